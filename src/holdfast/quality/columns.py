"""Find the contract's columns in a table, whatever their order, and say clearly what does not fit."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.contract import Contract

MOST_NAMED = 20
"""So many names are listed in a message; the rest are counted."""


class ColumnsError(DataError):
    """The table does not have the columns that the contract asks for.

    Attributes:
        missing: names the contract requires and the table lacks.
        unexpected: names the table has and the contract does not know.
    """

    code = "columns"

    def __init__(self, message: str, *, missing: Sequence[str] = (), unexpected: Sequence[str] = ()) -> None:
        super().__init__(
            message,
            hint="Rename the table's columns, or make a contract for this table with `holdfast init`.",
        )
        self.missing = tuple(missing)
        self.unexpected = tuple(unexpected)


@dataclass(frozen=True, slots=True)
class Matched:
    """Where the contract's columns are in a table."""

    sources: Mapping[str, str]
    """Contract name to the table's own name, for inputs, id and label that are there."""
    absent: tuple[str, ...]
    """Optional columns that are not."""
    ignored: tuple[str, ...]
    """Columns of the table that the contract does not know."""


def match_columns(contract: Contract, names: Sequence[str], *, with_label: bool) -> Matched:
    """Match the table's column names to the contract's: exactly, else without the blanks around them.

    Args:
        contract: what is asked for: its inputs, its id and, ``with_label``, its label.
        names: the table's column names, each different.
        with_label: whether the label must be there.

    Raises:
        ColumnsError: a required column is absent, or two columns of the table have one name but for blanks.
    """
    exact = set(names)
    stripped: dict[str, list[str]] = {}
    for name in names:
        stripped.setdefault(name.strip(), []).append(name)

    def source(wanted: str) -> str | None:
        if wanted in exact:
            return wanted
        found = stripped.get(wanted.strip(), [])
        if len(found) > 1:
            raise ColumnsError(f'{len(found)} columns of the table are called "{wanted.strip()}"')
        return found[0] if found else None

    wanted = {name: column.required for name, column in contract.inputs.items()}
    if contract.id_column is not None:
        wanted[contract.id_column] = contract.columns[contract.id_column].required
    if with_label:
        wanted[contract.churn.label] = True
    sources = {name: found for name in wanted if (found := source(name)) is not None}
    known = {name.strip() for name in (*contract.columns, contract.churn.label)}
    ignored = tuple(name for name in names if name.strip() not in known)
    missing = [name for name, required in wanted.items() if required and name not in sources]
    if missing:
        raise ColumnsError(_diff(missing, ignored), missing=missing, unexpected=ignored)
    absent = tuple(name for name in wanted if name not in sources)
    return Matched(sources, absent, ignored)


def _diff(missing: Sequence[str], unexpected: Sequence[str]) -> str:
    """The two sides, one name a line, each missing name with the nearest the table has."""
    lines = [f"The table lacks {_many(len(missing), 'column')} that the contract requires:"]
    folded = {name.strip().casefold(): name for name in unexpected}
    for name in missing[:MOST_NAMED]:
        close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
        lines.append(f'  - "{name}"' + (f'  (the table has "{folded[close[0]]}")' if close else ""))
    lines += _rest(missing)
    if unexpected:
        lines.append(f"It has {_many(len(unexpected), 'column')} that the contract does not know:")
        lines += [f'  + "{name}"' for name in unexpected[:MOST_NAMED]]
        lines += _rest(unexpected)
    return "\n".join(lines)


def _rest(names: Sequence[str]) -> list[str]:
    return [f"  … and {len(names) - MOST_NAMED:,} more"] if len(names) > MOST_NAMED else []


def _many(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
