"""``holdfast features``: what follows from a history's tables, and what it means."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - Typer reads the annotations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.inputs import ContractFile  # noqa: TC001 - Typer reads the annotations
from holdfast.cli.session import Group, Session, command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from holdfast.history.build import Built
    from holdfast.history.feature import HistoryFeature

ENGINES = ("duckdb", "postgres", "spark")

features = Group("Build the features of a history, list them, and show what each means.")


@command(
    "holdfast features build churn.toml --as-of 2024-06-01 --out features.parquet",
    "holdfast features build churn.toml --out training.parquet",
    "holdfast features build churn.toml --engine postgres",
    "holdfast features build churn.toml --engine spark",
)
def build(
    session: Session,
    contract: ContractFile = Path("churn.toml"),
    *,
    as_of: Annotated[
        list[datetime] | None,
        typer.Option(
            "--as-of",
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
            help="Describe customers as of this moment; may be repeated. All snapshots, unless given.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The Parquet file to write.")] = Path(
        "features.parquet"
    ),
    labels: Annotated[
        bool, typer.Option("--labels/--no-labels", help="Say also who then left, as far as it is known.")
    ] = True,
    memory: Annotated[
        int | None,
        typer.Option(
            "--memory", min=256, metavar="MIB", help="Memory to use; HOLDFAST_MEMORY_MIB, unless given."
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            help="duckdb; postgres: in the database where the tables live; spark: where "
            "HOLDFAST_SPARK_MASTER says.",
        ),
    ] = "duckdb",
) -> None:
    """Build the features of everyone eligible, as known at one moment or at every snapshot.

    One row a customer and moment. Nothing in it happened, or became known, after that moment, but the label.
    With --engine postgres the tables stay in their database, which does the work and is only read. With
    --engine spark the tables are prepared here and Spark does the rest.
    """
    from holdfast.contract.load import load_history  # noqa: PLC0415 - help must not wait for it
    from holdfast.errors import UsageError, nearest  # noqa: PLC0415 - as above
    from holdfast.history.build_by import build_by  # noqa: PLC0415 - as above

    if engine not in ENGINES:
        raise UsageError(f'There is no engine "{engine}".', hint=nearest(engine, ENGINES))
    history = load_history(contract)
    with session.progress() as progress:
        try:
            built, found, rejects = build_by(
                engine, history, contract.parent, out, settings=session.settings, as_of=as_of, labels=labels,
                memory_mib=memory, progress=progress,
            )  # fmt: skip
        except OSError as error:
            raise UsageError(
                f"The file cannot be written: {error.strerror or error}.",
                where=str(out),
                hint="Choose another --out.",
            ) from error
    counts = built.outcomes()
    document = {
        "out": str(out),
        "rows": built.rows,
        "features": len(built.features),
        "as_of": [moment.isoformat() for moment in built.as_of],
        "outcomes": counts,
        "rejected": {name: table.rejected for name, table in found.items()},
        "rejects": None if rejects is None else str(rejects),
    }
    rejected = sum(sum(table.rejected.values()) for table in found.values())
    session.answer(document, *_built(built, counts, rejected, rejects))


def _built(
    built: Built, counts: dict[str, int], rejected: int, rejects: Path | None
) -> Iterator[RenderableType]:
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    first, last = min(built.as_of), max(built.as_of)
    when = (
        f"as of {first:%Y-%m-%d}"
        if first == last
        else f"at {len(built.as_of)} moments, {first:%Y-%m-%d} to {last:%Y-%m-%d}"
    )
    yield Text(f"{built.rows:,} rows with {len(built.features):,} features {when}: {built.path}")
    if counts:
        yield Text("Of them " + ", ".join(f"{rows:,} {outcome}" for outcome, rows in counts.items()) + ".")
    if rejected:
        which = "; --json says why" if rejects is None else f": {rejects}"
        yield Text(f"{rejected:,} rows of the tables were rejected{which}")


@command("holdfast features list", "holdfast features list shop/churn.toml --table transactions")
def list_(
    session: Session,
    contract: ContractFile = Path("churn.toml"),
    *,
    table: Annotated[str | None, typer.Option("--table", help="Only those of this table.")] = None,
) -> None:
    """List every feature with its unit and meaning."""
    from holdfast.contract.load import load_history  # noqa: PLC0415 - help must not wait for it
    from holdfast.errors import UsageError, nearest  # noqa: PLC0415 - as above
    from holdfast.history.catalogue import catalogue  # noqa: PLC0415 - as above

    history = load_history(contract)
    if table is not None and table not in history.tables:
        raise UsageError(
            f'There is no table "{table}".', where=str(contract), hint=nearest(table, history.tables)
        )
    found = [feature for feature in catalogue(history) if table in (None, feature.table)]
    session.answer({"features": [_described(feature) for feature in found]}, _table(found))


@command(
    "holdfast features show transactions_amount_sum_90d", "holdfast features show NAME --engine postgres"
)
def show(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The feature.")],
    *,
    contract: Annotated[
        Path, typer.Option("--contract", "-c", metavar="CONTRACT", help="The contract, churn.toml.")
    ] = Path("churn.toml"),
    engine: Annotated[
        str | None, typer.Option("--engine", help="SQL for one engine alone: duckdb, postgres or spark.")
    ] = None,
) -> None:
    """Show what a feature means, its unit, and its SQL for each engine."""
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    from holdfast.contract.load import load_history  # noqa: PLC0415 - help must not wait for it
    from holdfast.errors import UsageError, nearest  # noqa: PLC0415 - as above
    from holdfast.history.build import folder_of  # noqa: PLC0415 - as above
    from holdfast.history.catalogue import feature_named  # noqa: PLC0415 - as above
    from holdfast.history.compile import feature_sql  # noqa: PLC0415 - as above

    if engine is not None and engine not in ENGINES:
        raise UsageError(f'There is no engine "{engine}".', hint=nearest(engine, ENGINES))
    history = load_history(contract)
    feature = feature_named(history, name)
    texts = {one: feature_sql(history, feature, dialect=one) for one in ENGINES if engine in (None, one)}
    unit = f"  [{feature.unit}]" if feature.unit else ""
    shown = [Text(f"{feature.name}{unit}\n{feature.doc}")]
    if feature.query is None:
        folder = folder_of(session.home, history)
        shown.append(
            Text(
                "The SQL reads spine (_customer, as_of), moments (as_of, w7, …) and the tables as prepared: "
                f"files in {folder}, in PostgreSQL sub-queries of one statement."
            )
        )
    for one, text in texts.items():
        shown += [Text(f"\n-- {one}"), Text(text, no_wrap=True)]
    session.answer({"feature": _described(feature) | {"sql": texts}}, *shown)


for _command in (build, show):
    _command.add_to(features)
list_.add_to(features, "list")


def _described(feature: HistoryFeature) -> dict[str, str | None]:
    return {
        "name": feature.name,
        "table": feature.table,
        "kind": feature.kind.value,
        "unit": feature.unit or None,
        "doc": feature.doc,
    }


def _table(found: Sequence[HistoryFeature]) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415 - only when something is shown
    from rich.text import Text  # noqa: PLC0415 - only when something is shown

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("feature", "unit", "meaning"):
        shown.add_column(heading, overflow="fold")
    for feature in found:
        shown.add_row(Text(feature.name), Text(feature.unit), Text(feature.doc))
    return shown
