"""Write the `churn.toml` of a history so that a person can read it, understand each guess and change it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.contract import toml
from holdfast.contract.history import ChurnEvent
from holdfast.contract.write import assignments, column_section, economics, put, section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.contract.guess.history import InferredHistory
    from holdfast.contract.history import History, Table
    from holdfast.contract.infer import NotePath

_HEAD = """
What Holdfast knows about your customers and what happened to them. It was guessed from the tables; the
comments say why. Read it once and correct what is wrong: all else (who was a customer when, who then left,
features, training, what a mistake costs) follows it.
"""
_CLOCK = """
When to look: the moments at which customers are described and judged. snapshots: "monthly", "weekly" or a
list of dates. Times without a zone are of time_zone, and days begin at its midnights.
"""
_CHURN = """
What counts as having left. event: "end" (the last interval of a customer ends), "cancellation" (an event) or
"inactivity" (no event in the whole horizon).
"""
_TABLES = """
One section a table. kind: customers, events or intervals. customer says whose row it is; time (of events),
begin and end say when; known says when the row became known, and no prediction uses it before. What a row
says is taken to have been so since then: what is changed in place later is of today, not of the past.
"""
_FEATURES = """
Your own features: name to a file with one SQL query, beside this file.
"""
_ACTIVE = "# look only at who had an event in so many days: without it at all who ever had, many long gone"
_LEAD = "# lead_days = 7  # days you need to act: whoever leaves within them is too late to act on"


def write_history(inferred: InferredHistory, path: str | Path, *, overwrite: bool = True) -> None:
    """Write a guessed history, whole or not at all, and its features into ``features/`` beside it.

    Args:
        inferred: from `holdfast.contract.guess.history.infer_history`.
        path: the file to write.
        overwrite: whether a file of that name may be replaced.

    Raises:
        UsageError: the file is there and must not be replaced, or its folder cannot be written to.
    """
    file = Path(path)
    history = inferred.history
    if overwrite or not file.exists():
        for name, text in history.features.items():
            put(file.parent / _feature_file(name), text, overwrite=True)
    put(file, render_history(history, inferred.notes, inferred.left_out), overwrite=overwrite)


def render_history(
    history: History,
    notes: Mapping[NotePath, str] | None = None,
    left_out: Mapping[str, str] | None = None,
) -> str:
    """The history as TOML, each note beside its key. With the files of its features it loads back equal.

    Args:
        history: what to write.
        notes: path of a key, such as ``("tables", "orders", "time")``, to a sentence.
        left_out: tables that were not used, each with the reason.
    """
    said = notes or {}
    plain = history.model_dump(exclude_defaults=True, exclude={"tables", "features", "version"})
    top = {"version": history.version, "name": plain["name"]}
    top |= {name: plain[name] for name in ("generated",) if name in plain}
    clock = {
        "time_zone": history.clock.time_zone,
        "snapshots": history.clock.snapshots,
        **plain.get("clock", {}),
    }
    parts = [
        toml.paragraph(_HEAD),
        assignments(top, (), said),
        toml.paragraph(_CLOCK) + "\n" + section(("clock",), clock, said),
        toml.paragraph(_CHURN) + "\n" + section(("churn",), plain["churn"], said) + _churn_hints(history),
        economics(plain["economics"], said),
        toml.paragraph(_TABLES),
    ]
    parts += [
        toml.paragraph(toml.comment(f"Left out: {name}: {why}", prefix=""))
        for name, why in (left_out or {}).items()
    ]
    for name, table in history.tables.items():
        parts += _table_sections(name, table, said)
    parts.append(toml.paragraph(_FEATURES))
    parts[-1] += "\n" + section(("features",), {name: _feature_file(name) for name in history.features}, said)
    if not history.features:
        parts[-1] += f"\n# late_payments = {toml.string(_feature_file('late_payments'))}"
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _feature_file(name: str) -> str:
    return f"features/{name}.sql"


def _churn_hints(history: History) -> str:
    """Keys that only a person can fill in, as comments."""
    lines = [] if history.churn.lead_days else [_LEAD]
    if history.churn.event is ChurnEvent.INACTIVITY and history.churn.active_days is None:
        lines.append(f"# active_days = {min(3_650, 3 * history.churn.horizon_days)}  {_ACTIVE}")
    for name, column in history.tables[history.churn.table].columns.items():
        telling = {"reason", "cause", "why"}.intersection(name.lower().replace("_", " ").split())
        if history.churn.cause is None and telling and column.levels:
            listed = toml.value(column.levels).replace("\n", "")
            lines.append(f"# cause = {toml.string(name)}  # with causes, to count only some of its levels:")
            lines.append(toml.comment(f"causes = {listed}"))
            break
    return "".join(f"\n{line}" for line in lines)


def _table_sections(name: str, table: Table, notes: Mapping[NotePath, str]) -> list[str]:
    path = ("tables", name)
    keys = table.model_dump(exclude_defaults=True, exclude={"columns"})
    parts = [section(path, keys, notes)]
    for column, found in table.columns.items():
        parts.append(column_section((*path, "columns", column), found, notes))
    return parts
