"""What a server does beside answering, for as long as it runs."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

from holdfast import audit
from holdfast.api import about
from holdfast.api.live import POLL_SECONDS, PREPARE_SECONDS, import_libraries
from holdfast.api.log import event, fault
from holdfast.predictions.erasure import last_erasure
from holdfast.predictions.house import keep_house
from holdfast.store import StoreError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from holdfast.access import Gate
    from holdfast.api.live import Live

MEASURE_SECONDS = 0.5
"""How often figures are looked up that no request counts."""

HOUSE_SECONDS = 3_600.0
IMPORT_SECONDS = 10.0
"""How long the first requests, or a stop soon after the start, are spared what no model needs yet."""


async def upkeep(app: FastAPI) -> None:
    """Do all of it until cancelled."""
    await asyncio.gather(_follow(app), _guard(app), _measure(app), _keep_house(app), _look_ahead())


async def _look_ahead() -> None:
    """Be ready for a version of any family: its libraries take seconds to import."""
    await asyncio.sleep(IMPORT_SECONDS)
    await asyncio.to_thread(import_libraries)


async def _follow(app: FastAPI) -> None:
    """Look after the champion, and who was erased."""
    live: Live = app.state.live
    cache, engine = app.state.cache, app.state.engine
    erased: int | None = None
    seen: int | None = None  # a start forgets nothing: what servers share is emptied by those that run
    for turn in count(1):
        await asyncio.sleep(POLL_SECONDS)
        try:
            await asyncio.to_thread(live.refresh)
            if turn % round(PREPARE_SECONDS / POLL_SECONDS) == 0:
                await asyncio.to_thread(live.prepare)
            if cache is None or (newest := await asyncio.to_thread(audit.newest, engine)) == seen:
                continue
            latest = await asyncio.to_thread(last_erasure, engine)
            if seen is not None and latest != erased:
                await asyncio.to_thread(cache.clear)
            seen, erased = newest, latest
        except StoreError:
            pass  # `health` says so, once; the next look may succeed
        except Exception as error:  # noqa: BLE001 - whatever it is, the next look may succeed
            fault(error)


async def _guard(app: FastAPI) -> None:
    """Look who may ask. Apart from all else: a model that takes long to load keeps no revoked key alive."""
    gate: Gate = app.state.gate
    while True:
        await asyncio.sleep(POLL_SECONDS)
        try:
            await asyncio.to_thread(gate.refresh)
        except Exception as error:  # noqa: BLE001 - as above
            fault(error)


async def _measure(app: FastAPI) -> None:
    """Keep the figures current, also while the database hangs."""
    while True:
        about.sample(app.state)
        await asyncio.sleep(MEASURE_SECONDS)


async def _keep_house(app: FastAPI) -> None:
    """Keep the log within what the settings say; one server of all does it, each hour."""
    while True:
        try:
            kept = await asyncio.to_thread(keep_house, app.state.engine, app.state.settings)
            if kept is not None and kept.predictions:
                event("archive", rows=kept.predictions)
        except StoreError:
            pass  # as above
        except Exception as error:  # noqa: BLE001 - as above
            fault(error)
        await asyncio.sleep(HOUSE_SECONDS)
