"""Follows the chain from its start to its head and names each entry that is not what was recorded.

Finds every change by someone who cannot compute the hashes of all later entries and of the head anew. Against
one who can, keep the head's hash (`Verdict.head`) elsewhere and compare.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa

from holdfast.audit.trail import START, digest
from holdfast.store import snapshot
from holdfast.store.tables import audit, audit_head

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_FAULTS = 100
"""So many are named; the rest is counted."""

_AT_ONCE = 1_000

# As text: what someone wrote into a field by hand need not be of the field's type.
_ROWS = sa.select(
    audit.c.number,
    audit.c.actor,
    audit.c.action,
    audit.c.subject,
    audit.c.previous,
    audit.c.hash,
    sa.cast(audit.c.at, sa.Text).label("at"),
    sa.cast(audit.c.detail, sa.Text).label("detail"),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one entry, or with those from ``number`` to ``last``."""

    number: int
    what: Literal["edited", "removed", "moved", "added"]
    reason: str
    last: int | None = None

    def __str__(self) -> str:
        through = "" if self.last in {None, self.number} else f" to {self.last}"
        return f"{self.number}{through}: {self.reason}"


@dataclass(slots=True)
class Verdict:
    """What `verify` found. ``head`` is the hash of the newest entry; ``found`` counts all faults."""

    entries: int = 0
    head: str = START
    found: int = 0
    faults: list[Fault] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether the trail is as it was recorded."""
        return self.found == 0

    def add(self, fault: Fault) -> None:
        """Count a fault, and keep it if it is among the first."""
        self.found += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)

    def as_dict(self) -> dict[str, Any]:
        """The verdict for machines, in plain JSON types."""
        return {"sound": self.sound} | asdict(self)


def verify(opened: sa.Engine) -> Verdict:
    """Follow the whole chain, in flat memory, as it is at one moment.

    Raises:
        StoreError: the database cannot be read.
    """
    verdict = Verdict()
    with snapshot(opened) as connection:
        head = connection.execute(sa.select(audit_head).where(audit_head.c.id == 1)).one_or_none()
        rows = connection.execute(
            _ROWS.order_by(audit.c.number), execution_options={"yield_per": _AT_ONCE}
        ).mappings()
        for fault in _follow(rows, head, verdict):
            verdict.add(fault)
    return verdict


def _follow(rows: Any, head: sa.Row[Any] | None, verdict: Verdict) -> Iterator[Fault]:
    """Yield the faults, in the order of the entries."""
    last, trusted, previous = 0, True, START
    for row in rows:
        number = row["number"]
        verdict.entries += 1
        if number < 1 or (head is not None and number > head.number):
            yield Fault(
                number, "added", "It was not added by Holdfast: the head of the trail does not know it."
            )
            continue
        if number > last + 1:
            yield _removed(last + 1, number - 1)
            trusted = False  # what it is to hold is not known
        intact = _is_intact(row, number)
        if not intact:
            yield _changed(row, number)
        elif trusted and row["previous"] != previous:
            # The row itself holds together, so the one before was given another hash, content and all.
            yield Fault(max(last, 1), "edited", "It was edited: the next entry holds another hash of it.")
        last, trusted, previous = number, intact, row["hash"]
        verdict.head = row["hash"]
    yield from _compare_head(head, last, previous, trusted=trusted)


def _compare_head(head: sa.Row[Any] | None, last: int, newest: str, *, trusted: bool) -> Iterator[Fault]:
    if head is None:
        yield Fault(last, "removed", "The head of the trail was removed, so nothing tells where it ends.")
    elif head.number > last:
        yield _removed(last + 1, head.number)
    elif trusted and head.hash != newest:
        yield Fault(last, "edited", "It was edited: the head of the trail holds another hash of it.")


def _is_intact(row: Any, number: int) -> bool:
    """Whether the row's hash is of its content under that number."""
    try:
        at = datetime.fromisoformat(row["at"])
        facts = {name: row[name] for name in ("actor", "action", "subject", "previous")}
        made = digest(
            number=number,
            at=at if at.tzinfo else at.replace(tzinfo=UTC),
            detail=json.loads(row["detail"]),
            **facts,
        )
    except (TypeError, ValueError):  # no time, no JSON
        return False
    return bool(made == row["hash"])


def _changed(row: Any, number: int) -> Fault:
    """Edited, or an entry that stood elsewhere."""
    for place in (number - 1, number + 1):
        if _is_intact(row, place):
            return Fault(number, "moved", f"It is entry {place}, moved here.")
    return Fault(number, "edited", "It was edited or exchanged: its hash is not that of its content.")


def _removed(first: int, last: int) -> Fault:
    return Fault(first, "removed", "Removed." if first == last else "All of these were removed.", last)
