from __future__ import annotations

import asyncio
import json
from functools import partial
from types import SimpleNamespace

import pytest
from waiting import wait_until

from holdfast.api import log, upkeep
from holdfast.predictions.erasure import erase
from holdfast.settings import Settings
from holdfast.store import engine

until = partial(wait_until, what="the upkeep")


def turns(app, many):
    """Wait until the follower has looked so many times."""
    live, seen = app.state.live, 0
    refresh = live.refresh

    def counting():
        nonlocal seen
        seen += 1
        refresh()

    live.refresh = counting
    until(lambda: seen > many)
    live.refresh = refresh


def test_caches_are_emptied_by_an_erasure_and_not_by_a_start(shop, open_client):
    shop.add()
    settings = Settings(home=shop.home)
    erase(shop.registry.engine, settings, "C-1", "test")
    app = open_client(shop).app
    cache = app.state.cache
    cache.put_many([(b"key", b"answer")])
    turns(app, 2)
    assert cache.get_many([b"key"]) == [b"answer"]
    erase(shop.registry.engine, settings, "C-2", "test")
    until(lambda: cache.get_many([b"key"]) == [None])


def test_libraries_of_other_families_are_imported_ahead_but_not_before_the_first_requests(
    shop, open_client, monkeypatch
):
    asked = []
    monkeypatch.setattr(upkeep, "import_libraries", lambda: asked.append(True))
    turns(open_client(shop).app, 2)
    assert asked == []
    monkeypatch.setattr(upkeep, "IMPORT_SECONDS", 0.0)
    open_client(shop)
    until(lambda: asked)


class State:
    """Of a service whose database is away; counts how often it is asked for what each turn needs."""

    def __init__(self, home, *errors):
        self.settings = Settings(home=home)
        self.live, self.cache, self.turns = self, self, 0
        self.errors = list(errors)
        self._engine = engine(f"sqlite:///{home / 'no' / 'folder' / 'holdfast.db'}")

    @property
    def engine(self):
        self.turns += 1
        return self._engine

    def refresh(self):
        self.turns += 1
        if self.errors:
            raise self.errors.pop()

    def prepare(self):
        pass


@pytest.mark.parametrize(("look", "faults"), [(upkeep._follow, ["ValueError"]), (upkeep._keep_house, [])])
def test_a_database_that_is_away_is_no_fault_and_all_else_is(lines, tmp_path, monkeypatch, look, faults):
    log.configure()
    monkeypatch.setattr(upkeep, "HOUSE_SECONDS", 0.01)
    state = State(tmp_path, ValueError("not the database"))

    async def main():
        task = asyncio.create_task(look(SimpleNamespace(state=state)))
        await asyncio.to_thread(until, lambda: state.turns > 4 or task.done())
        assert not task.done()
        task.cancel()

    asyncio.run(main())
    assert [json.loads(line)["kind"] for line in lines()] == faults
