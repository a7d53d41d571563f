"""Reads the log: pages of it, one prediction, and all that a filter leaves, in blocks."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from holdfast.errors import UsageError
from holdfast.store import reading
from holdfast.store.tables import predictions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST = 1_000
"""Predictions on a page at most."""

BLOCK = 2_000
"""Predictions that are in memory at a time where all are read."""

SLACK = timedelta(hours=1)
"""An id carries the time it was made, ``at`` says when the answer was; they are never this far apart. So the
index over ids, which has the order of time, also finds rows by ``at``."""

YEARS = (1971, 9_998)
"""What a filter may ask for; beyond, a time in another zone could be none in UTC."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

NAMES = {
    "prediction_id": "id",
    "request_id": "request",
    "timestamp": "at",
    "customer_id": "customer_id",
    "as_of": "as_of",
    "model": "model",
    "version": "version",
    "slot": "slot",
    "record": "record",
    "churn_probability": "probability",
    "threshold": "threshold",
    "will_churn": "will_churn",
    "latency_ms": "latency_ms",
    "key_id": "key_id",
    "correlation_id": "correlation_id",
}
"""What leaves the log under which name (those of ``POST /predict`` where it has them), and its column."""

SELECTED = [predictions.c[column].label(name) for name, column in NAMES.items()]


class WantedError(UsageError):
    """A filter or a cursor is none. Its words hold nothing of the installation."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which predictions. What is not given leaves nothing out.

    Raises:
        WantedError: a text or time can be in no log.
    """

    customer: str | None = None
    since: datetime | None = None
    """Not before this; UTC unless it has a zone."""
    until: datetime | None = None
    """Before this; UTC unless it has a zone."""
    version: str | None = None
    will_churn: bool | None = None
    min_probability: float | None = None
    key: str | None = None
    """The caller's id."""

    def __post_init__(self) -> None:
        for name in ("since", "until"):
            at: datetime | None = getattr(self, name)
            if at is not None:
                object.__setattr__(self, name, _utc(at))  # frozen for everybody else
        if any(text is not None and not storable(text) for text in (self.customer, self.version, self.key)):
            raise WantedError("A filter holds what no text in the log can.", hint="Leave out NUL.")

    def as_dict(self) -> dict[str, Any]:
        """What was given, in plain JSON types, for the audit trail: names no customer."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        times = {name: at.isoformat() for name, at in given.items() if isinstance(at, datetime)}
        return given | times | ({"customer": "one"} if self.customer is not None else {})

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """As SQL."""
        row = predictions.c
        found: list[sa.ColumnElement[bool]] = []
        if self.customer is not None:
            found.append(row.customer_id == self.customer)
        if self.since is not None:
            found += [row.at >= self.since, row.id >= first_id(self.since - SLACK)]
        if self.until is not None:
            found += [row.at < self.until, row.id < first_id(self.until + SLACK)]
        if self.version is not None:
            found.append(row.version == self.version)
        if self.will_churn is not None:
            found.append(row.will_churn == self.will_churn)
        if self.min_probability is not None:
            found.append(row.probability >= self.min_probability)
        if self.key is not None:
            found.append(row.key_id == self.key)
        return found


@dataclass(frozen=True, slots=True)
class Page:
    """Some predictions, newest first, and the cursor of the page after; none after the last."""

    predictions: list[dict[str, Any]] = field(default_factory=list)
    next: str | None = None


def page(engine: sa.Engine, wanted: Wanted, *, cursor: str | None = None, limit: int = 100) -> Page:
    """The newest ``limit`` predictions, or those that follow the page that gave ``cursor``.

    Every prediction that was logged before the first page is on exactly one page, whatever is logged
    meanwhile.

    Raises:
        WantedError: no page gave this cursor.
        StoreError: the database cannot be read.
    """
    before = None if cursor is None else _opened(cursor)
    with reading(engine) as connection:
        rows = _rows(connection, wanted, before, limit + 1)
    more = len(rows) > limit
    rows = rows[:limit]
    return Page([as_document(row) for row in rows], _cursor(rows[-1].prediction_id) if more else None)


def one(engine: sa.Engine, prediction_id: str) -> dict[str, Any] | None:
    """The prediction with this id, unless there is none.

    Raises:
        StoreError: the database cannot be read.
    """
    with reading(engine) as connection:
        row = connection.execute(sa.select(*SELECTED).where(predictions.c.id == prediction_id)).one_or_none()
    return None if row is None else as_document(row)


def count(engine: sa.Engine, wanted: Wanted) -> int:
    """How many predictions there are.

    Raises:
        StoreError: the database cannot be read.
    """
    counted = sa.select(sa.func.count()).select_from(predictions).where(*wanted.conditions())
    with reading(engine) as connection:
        return connection.scalar(counted) or 0


def blocks(engine: sa.Engine, wanted: Wanted) -> Iterator[Sequence[sa.Row[Any]]]:
    """All predictions, newest first, as rows with the columns of `NAMES`. No transaction outlives a block.

    Raises:
        StoreError: the database cannot be read.
    """
    before: str | None = None
    while True:
        with reading(engine) as connection:
            rows = _rows(connection, wanted, before, BLOCK)
        if rows:
            yield rows
        if len(rows) < BLOCK:
            return
        before = rows[-1].prediction_id


def as_document(row: sa.Row[Any]) -> dict[str, Any]:
    """A prediction in JSON's types."""
    found = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    for name in ("timestamp", "as_of"):
        found[name] = moment(found[name])
    return found | {"record": json.loads(found["record"])}


def moment(at: datetime) -> str:
    """ISO 8601 in UTC.

    >>> moment(datetime(2026, 1, 31, 12, tzinfo=UTC))
    '2026-01-31T12:00:00.000000Z'
    """
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def first_id(at: datetime) -> str:
    """What no id of version 7 that was made from ``at`` on sorts before.

    >>> first_id(datetime(2026, 1, 31, 12, tzinfo=UTC))
    '019c13ec-9e00-0000-0000-000000000000'
    """
    milliseconds = max(0, (at - EPOCH) // timedelta(milliseconds=1))
    return str(uuid.UUID(int=milliseconds << 80))


def made_at(prediction_id: str) -> datetime:
    """When an id of version 7 was made.

    >>> made_at("019c13ec-9e00-7abc-8abc-000000000000")
    datetime.datetime(2026, 1, 31, 12, 0, tzinfo=datetime.timezone.utc)
    """
    return EPOCH + timedelta(milliseconds=int(prediction_id[:8] + prediction_id[9:13], 16))


def storable(text: str) -> bool:
    """Whether both databases can hold this: Unicode without NUL."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _utc(at: datetime) -> datetime:
    if not YEARS[0] <= at.year <= YEARS[1]:
        raise WantedError("A time is out of all reason.", hint="Write it like 2026-01-31T12:00:00Z.")
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _rows(connection: sa.Connection, wanted: Wanted, before: str | None, limit: int) -> Sequence[sa.Row[Any]]:
    conditions = wanted.conditions()
    if before is not None:
        conditions.append(predictions.c.id < before)
    query = sa.select(*SELECTED).where(*conditions).order_by(predictions.c.id.desc()).limit(limit)
    return connection.execute(query).all()


def _cursor(last: str) -> str:
    return base64.urlsafe_b64encode(uuid.UUID(last).bytes).decode().rstrip("=")


def _opened(cursor: str) -> str:
    try:
        return str(uuid.UUID(bytes=base64.b64decode(f"{cursor}==", altchars=b"-_", validate=True)))
    except (binascii.Error, ValueError) as error:
        raise WantedError(
            "The cursor is none that a page gave.", hint="Take it from a page's `next`, whole and as it is."
        ) from error
