"""``holdfast erase``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.session import Session, command
from holdfast.errors import HoldfastError, UsageError

if TYPE_CHECKING:
    from holdfast.predictions.erasure import Erased


@command("holdfast erase C-17", "holdfast erase C-17 --yes --json", panel="Operate")
def erase(
    session: Session,
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The id, as the log holds it.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase a customer from log, caches, archive, exports and results of jobs, for good.

    The audit trail gets a proof that names nobody. A backup that is restored later does not bring the
    customer back. Exit code 1 if something could not be reached now; the answer says what.
    """
    from holdfast.predictions.erasure import erase as remove  # noqa: PLC0415 - help must not wait for it

    if not yes:
        _confirm(session)
    with session.database(existing=True) as database, session.progress() as progress:
        done = remove(database, session.settings, customer, session.actor, progress)
    session.answer(done.as_dict(), _words(done))
    if done.left:
        raise typer.Exit(HoldfastError.exit_code)


def _confirm(session: Session) -> None:
    """Ask the person at the terminal."""
    if session.json or not sys.stdin.isatty():
        raise UsageError("Erasing cannot be undone, and nobody is here to confirm it.", hint="Add --yes.")
    if not typer.confirm("This cannot be undone. Erase this customer?", err=True):
        raise UsageError("Nothing was erased.")


def _words(done: Erased) -> str:
    from holdfast.predictions.erasure import ELSEWHERE  # noqa: PLC0415 - help must not wait for it

    found = {
        "in the log": "predictions",
        "in the archive": "archived",
        "in exports": "exported",
        "in results of jobs": "job_rows",
        "in stored answers": "replies",
    }
    counts = ", ".join(f"{done.removed[name]:,} {place}" for place, name in found.items())
    left = [f"Left: {sentence}" for sentence in done.left]
    proof = f"The proof in the audit trail is about {done.customer_hash}."
    return "\n".join([f"Erased: {counts}.", *left, proof, ELSEWHERE])
