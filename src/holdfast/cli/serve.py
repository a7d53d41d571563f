"""``holdfast serve``."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli.session import Session, command

if TYPE_CHECKING:
    from holdfast.api.live import Live


@command("holdfast serve --port 8000", panel="Run")
def serve(
    session: Session,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to answer on; 0 takes a free one.")
    ] = 8_000,
    host: Annotated[str, typer.Option(help="Loopback address of this machine.")] = "127.0.0.1",
) -> None:
    """Answer predictions over HTTP on this machine, with the champion.

    Promotions and rollbacks take effect within a second, without a restart. The page /docs shows every route
    as a form. Ctrl-C stops it.
    """
    from holdfast.api import log  # noqa: PLC0415 - help must not wait for it
    from holdfast.api.live import Live  # noqa: PLC0415 - as above
    from holdfast.api.server import bind, url_of  # noqa: PLC0415 - as above
    from holdfast.api.server import serve as run  # noqa: PLC0415 - as above

    bound = bind(host, port)
    url = url_of(bound)
    log.configure(debug=session.debug, quiet=session.quiet or session.json)
    with session.registry() as registry:
        live = Live(registry)

        def ready() -> None:
            session.answer(*_announced(live, url))
            sys.stdout.flush()

        run(live, session.settings, registry.engine, bound, ready)
    session.note("Stopped.")


def _announced(live: Live, url: str) -> tuple[dict[str, Any], str]:
    """What is served where, as a document and in words."""
    current = live.current
    document: dict[str, Any] = {"url": url, "docs": f"{url}/docs", "model": None, "example": None}
    if current is None:
        trouble = live.trouble
        found = "There is no model yet; train one with `holdfast train churn.toml`."
        found = f"{trouble.reason}\n{trouble.hint}" if trouble else found
        words = f"{found}\nThe server waits for it at {url} and takes it up by itself. Ctrl-C stops it."
        return document, words
    body = shlex.quote(json.dumps(current.intake.example, ensure_ascii=False))
    ask = f"curl {url}/predict -H 'content-type: application/json' -d {body}"
    document["model"] = {"name": current.model.name, "version": current.model.version}
    document["example"] = ask
    words = (
        f'Holdfast answers at {url} with {current.model.version} of "{current.model.name}".\n'
        f"Try it in a browser: {url}/docs\nOr here: {ask}\nCtrl-C stops it."
    )
    return document, words
