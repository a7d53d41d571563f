"""``holdfast db``: looks after the database."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli.inputs import ContractFile  # noqa: TC001 - Typer reads the annotations
from holdfast.cli.session import Group, Session, command

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa
    from rich.table import Table

    from holdfast.store.restore import Restored
    from holdfast.store.state import StoreState

db = Group("Upgrade, back up and restore the database. Alone, it shows how the database is.")

UNRECOGNISED = (
    "The backup was made under another secret: customers whom it knows as erased cannot be recognised here. "
    "Restore once more with that secret (HOLDFAST_SECRET, or the file `secret` of that home)."
)


@command("holdfast db status")
def status(session: Session) -> None:
    """Show which database it is, its schema, how many rows it has and what it takes on disk."""
    from holdfast.store.state import state_of  # noqa: PLC0415 - help must not wait for it

    with _connected(session) as opened:
        found = state_of(opened)
    session.answer(found.as_dict(), _facts(found))


@command("holdfast db upgrade")
def upgrade(session: Session) -> None:
    """Give the database the tables of this Holdfast. Back it up before.

    All or nothing: when it fails, the database is as it was. Servers of the older version must be stopped.
    """
    from holdfast.audit import record  # noqa: PLC0415 - help must not wait for it
    from holdfast.store import place_of  # noqa: PLC0415 - as above
    from holdfast.store import upgrade as run  # noqa: PLC0415 - as above

    def audited(connection: sa.Connection, made: list[str]) -> None:
        record(connection, session.actor, "db.upgrade", made[-1], {"migrations": made})

    with _connected(session, may_be_new=True) as opened, session.progress() as progress:
        progress.start("Upgrading the database", None)
        made = run(opened, audited)
        place = place_of(opened)
    words = f"Upgraded to {made[-1]}" if made else "Up to date already"
    session.answer({"database": place, "migrations": made}, f"{words}: {place}")


@command("holdfast db backup holdfast.backup")
def backup(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new file to write.")],
) -> None:
    """Write the database as it is now, and the models, into one file. Servers may go on meanwhile.

    The file holds customers: only you may read it. Left out are logins, files to be scored, archived
    predictions and this installation's secret; keep that safe elsewhere.
    """
    from holdfast import __version__  # noqa: PLC0415 - help must not wait for it
    from holdfast.audit import record  # noqa: PLC0415 - as above
    from holdfast.settings import secret_mark, secret_of  # noqa: PLC0415 - as above
    from holdfast.store import writing  # noqa: PLC0415 - as above
    from holdfast.store.backup import backup as write  # noqa: PLC0415 - as above

    facts = {"holdfast": __version__, "secret": secret_mark(secret_of(session.settings))}
    with session.database(existing=True) as opened, session.progress() as progress:
        made = write(opened, session.home, file, facts=facts, progress=progress)
        with writing(opened) as connection:
            record(connection, session.actor, "db.backup", made.digest, {"rows": sum(made.rows.values())})
    document = {
        "file": str(made.path),
        "sha256": made.digest,
        "bytes": made.bytes,
        "rows": made.rows,
        "model_files": made.files,
        "missing": made.missing,
    }
    words = (
        f"{sum(made.rows.values()):,} rows and {made.files} files of models are in {made.path}, "
        f"{_size(made.bytes)}.\nSHA-256: {made.digest}"
    )
    lost = [f"Not there to be copied: {', '.join(made.missing)}"] if made.missing else []
    session.answer(document, words, *lost)


@command("holdfast db restore holdfast.backup", "holdfast db restore holdfast.backup --replace")
def restore(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What holdfast db backup wrote.")],
    *,
    replace: Annotated[bool, typer.Option("--replace", help="What the database holds now may go.")] = False,
) -> None:
    """Bring back a backup, into SQLite or PostgreSQL, whichever it came from. Stop the servers before.

    The whole file is verified before anything is changed. Customers who were erased since stay erased, keys
    that were revoked since stay revoked, and users who were locked out since stay out.
    """
    from holdfast.audit import record, verify  # noqa: PLC0415 - help must not wait for it
    from holdfast.predictions.erasure import apply_tombstones  # noqa: PLC0415 - as above
    from holdfast.settings import secret_mark, secret_of  # noqa: PLC0415 - as above
    from holdfast.store.restore import restore as run  # noqa: PLC0415 - as above

    def audited(connection: sa.Connection, restored: Restored, before: dict[str, Any]) -> None:
        detail = {"made": restored.manifest.made.isoformat(), "instead_of": before}
        record(connection, session.actor, "db.restore", restored.digest, detail)

    secret = secret_of(session.settings)
    with _connected(session, may_be_new=True) as opened, session.progress() as progress:
        found = run(opened, session.home, file, replace=replace, then=audited, progress=progress)
        progress.start("Removing erased customers", None)
        removed = apply_tombstones(opened, secret, session.home)
        progress.start("Verifying the audit trail", None)
        sound = verify(opened).sound
    other = found.manifest.secret not in {None, secret_mark(secret)} and found.rows.get("tombstones", 0) > 0
    document = {
        "file": str(file),
        "sha256": found.digest,
        "made": found.manifest.made.isoformat(),
        "rows": found.rows,
        "model_files": found.files,
        "erased_again": removed,
        "locked_out": found.locked_out,
        "audit_sound": sound,
        "other_secret": other,
    }
    words = (
        f"{sum(found.rows.values()):,} rows and {found.files} files of models are back as of "
        f"{found.manifest.made:%Y-%m-%d %H:%M} UTC; predictions of erased customers that were "
        f"removed again: {removed}."
    )
    trail = (
        []
        if sound
        else ["The audit trail is not as it was recorded: holdfast audit verify names the entries."]
    )
    out = [f"Disabled, as they were disabled or deleted since: {', '.join(found.locked_out)}."]
    session.answer(
        document, words, *(out if found.locked_out else ()), *trail, *([UNRECOGNISED] if other else [])
    )


@command("holdfast db index churn.toml", "holdfast db index churn.toml --apply")
def index(
    session: Session,
    contract: ContractFile = Path("churn.toml"),
    *,
    apply: Annotated[
        bool, typer.Option("--apply", help="Make those that are missing, while the tables are in use.")
    ] = False,
) -> None:
    """Propose the indexes by which features of one customer are built at once, in the tables' own database.

    That is the database that HOLDFAST_SOURCE_URL names, not Holdfast's. Without --apply nothing is changed.
    """
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    from holdfast.contract.load import load_history  # noqa: PLC0415 - help must not wait for it
    from holdfast.history.indexes import make_indexes, propose_indexes  # noqa: PLC0415 - as above

    history = load_history(contract)
    found = propose_indexes(history, session.settings)
    if apply:
        with session.progress() as progress:
            made = make_indexes(history, session.settings, found, progress)
        session.answer(
            {"made": [one.name for one in made], "there": [one.name for one in found if one.there]},
            f"{len(made)} of {len(found)} indexes were made; the others were there.",
        )
        return
    document = [{"name": one.name, "table": one.table, "there": one.there, "sql": one.sql} for one in found]
    missing = [one for one in found if not one.there]
    words = [Text(f"{one.sql};", no_wrap=True) for one in missing]
    words = words or [Text("Every index that is needed is there.")]
    session.answer({"indexes": document}, *words, *(["-- Make them:  --apply"] if missing else []))


for _command in (status, upgrade, backup, restore, index):
    _command.add_to(db)
db.alone = status


@contextmanager
def _connected(session: Session, *, may_be_new: bool = False) -> Iterator[sa.Engine]:
    """The database, whatever its schema is."""
    from holdfast.store import connect_store  # noqa: PLC0415 - help must not wait for it

    if not may_be_new:
        session.insist_on_database()
    opened = connect_store(session.home)
    try:
        yield opened
    finally:
        opened.dispose()


def _facts(found: StoreState) -> Table:
    from rich.table import Table  # noqa: PLC0415 - only when something is shown
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    told = {
        "current": "up to date",
        "older": f"older than {found.expected}; run: holdfast db upgrade",
        "newer": f"newer than {found.expected}; upgrade Holdfast",
        "empty": "no tables yet; run: holdfast db upgrade",
    }
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("database", Text(found.place))
    table.add_row("kind", found.kind)
    table.add_row("schema", f"{found.schema or 'none'} ({told[found.state]})")
    table.add_row("size", _size(found.bytes))
    for name, count in found.rows.items():
        table.add_row(f"rows of {name}", f"{count:,}")
    return table


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
