"""Customers of whom only the id is sent: their records are built now, from the tables."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from holdfast.api.fields import json_type
from holdfast.api.intake import CUSTOMER_ID, LONGEST_SHOWN, Reject
from holdfast.api.log import event
from holdfast.errors import HoldfastError
from holdfast.sources.door import TABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.history.live import LiveFeatures
    from holdfast.history.live_files import FileFeatures
    from holdfast.model import Model
    from holdfast.settings import Settings

AS_OF = "as_of"
UNKNOWN = "the tables have no such customer"
NOT_ELIGIBLE = "no customer at that moment by the contract: gone, not one yet, or not active"
AWAY = "the tables cannot be asked"
NO_TABLES = (
    "an id alone says nothing here: the model's tables were not at hand when it was loaded. `holdfast score` "
    "prepares files in the server's home; of a database HOLDFAST_SOURCE_URL says where it is"
)
_MISNAMED = f'an id alone goes by the name "{CUSTOMER_ID}", whatever it is called in the tables'
_OLDEST = 1900
_NO_MOMENT = "no moment such as 2024-06-01 or 2024-06-01T12:00:00+02:00"


@dataclass(frozen=True, slots=True)
class Absent(Reject):
    """There is no such customer, or it was none at that moment."""


@dataclass(frozen=True, slots=True)
class Away(Reject):
    """Nothing can be built of any customer now."""


@dataclass(frozen=True)
class Completed:
    """Records as the contract wants them."""

    records: list[object]
    rejects: dict[int, Reject] = field(default_factory=dict)
    """Of customers of whom none can be built, by index; their records are null."""
    moments: dict[int, datetime] = field(default_factory=dict)
    """As of when, of those that were built, by index; aware."""


@dataclass(frozen=True, slots=True)
class _Asked:
    index: int
    given: str
    """The field that holds the id."""
    key: str
    as_of: datetime


def open_features(model: Model, settings: Settings | None) -> LiveFeatures | FileFeatures | None:
    """What builds the records of a model's customers: from PostgreSQL, or from files that were prepared.

    Builds once, so that the first customer need not wait for the statement to be planned.
    """
    history = None if settings is None else model.history
    if settings is None or history is None:
        return None
    from holdfast.history.live import LiveFeatures  # noqa: PLC0415 - only for histories
    from holdfast.history.live_files import FileFeatures  # noqa: PLC0415 - as above

    features: LiveFeatures | FileFeatures
    near = not any(table.source.startswith(TABLE) for table in history.tables.values())
    try:
        features = (
            FileFeatures(history, settings.home, model.contract.inputs)
            if near
            else LiveFeatures(history, settings, model.contract.inputs)
        )
    except HoldfastError as error:  # another database than PostgreSQL, or nothing is prepared
        event("live_features", level=logging.WARNING, code=error.code, reason=error.message)
        return None
    try:
        features.records([""], features.now())
    except HoldfastError as error:  # it may be back when somebody asks
        event("live_features", level=logging.WARNING, code=error.code, reason=error.message)
    return features


def completed(features: LiveFeatures | FileFeatures, id_column: str, records: Sequence[object]) -> Completed:
    """Build each record that has nothing but an id and, if it likes, ``as_of``; leave the others.

    All customers that are asked about as of one moment are built together, and who does not say when is
    asked about as of now.

    Args:
        features: what builds.
        id_column: the contract's column of ids.
        records: as parsed from JSON.
    """
    made = Completed(list(records))
    now = features.now()
    asked: dict[datetime, list[_Asked]] = {}
    for index, record in enumerate(records):
        if not isinstance(record, dict):
            continue
        if not _bare(record, id_column):
            name, *others = record.keys() - {AS_OF} or (CUSTOMER_ID, "")
            if not others and name not in {CUSTOMER_ID, id_column}:
                _refuse(made, Reject(index, name[:LONGEST_SHOWN], _shown(record[name]), _MISNAMED))
            continue
        found = _read(features, index, record, id_column, now)
        if isinstance(found, Reject):
            _refuse(made, found)
        else:
            asked.setdefault(found.as_of, []).append(found)
    for as_of, some in asked.items():
        _build(features, id_column, as_of, some, made)
    return made


def ids_refused(id_column: str, records: Sequence[object]) -> Completed:
    """Refuse records that have nothing but an id where nothing can build them; leave the others.

    Taken as whole records they would be of customers of whom nothing is known.
    """
    made = Completed(list(records))
    for index, record in enumerate(records):
        if isinstance(record, dict) and _bare(record, id_column):
            name = CUSTOMER_ID if CUSTOMER_ID in record else id_column
            _refuse(made, Reject(index, name, _shown(record[name]), NO_TABLES))
    return made


def schema(record: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a customer, where that of a whole record is ``record``."""
    bare = {
        "type": "object",
        "title": "Id",
        "description": "The record is built from the tables, as of now or of another moment.",
        "required": [CUSTOMER_ID],
        "additionalProperties": False,
        "properties": {
            CUSTOMER_ID: {"type": ["string", "integer"], "title": CUSTOMER_ID, "examples": ["C-0001"]},
            AS_OF: {
                "type": ["string", "null"],
                "title": AS_OF,
                "description": "A moment up to now, ISO 8601; without a zone, by the contract's.",
                "examples": ["2024-06-01"],
            },
        },
    }
    return {"title": "Customer", "anyOf": [bare, record]}


def _bare(record: dict[str, Any], id_column: str) -> bool:
    ids = {CUSTOMER_ID, id_column} & record.keys()
    return len(ids) == 1 and record.keys() <= {*ids, AS_OF}


def _read(
    features: LiveFeatures | FileFeatures, index: int, record: dict[str, Any], id_column: str, now: datetime
) -> _Asked | Reject:
    from holdfast.history.live import customer_key  # noqa: PLC0415 - only for histories

    name = CUSTOMER_ID if CUSTOMER_ID in record else id_column
    given, said = record[name], record.get(AS_OF)
    if isinstance(given, bool) or not isinstance(given, str | int):
        return Reject(index, name, None, f"an id is needed, not {json_type(given)}")
    key = customer_key(str(given))
    if not key or "\x00" in key:
        return Reject(index, name, _shown(given), "no customer id")
    if said is None:
        return _Asked(index, name, key, now)
    try:
        moment = features.moment(datetime.fromisoformat(said))
        as_of = moment.astimezone(UTC) if moment.year >= _OLDEST else None
    except (TypeError, ValueError, OverflowError):
        as_of = None
    if as_of is None:
        return Reject(index, AS_OF, _shown(said), _NO_MOMENT)
    if as_of > now:
        return Reject(index, AS_OF, _shown(said), "still to come")
    return _Asked(index, name, key, as_of)


def _build(
    features: LiveFeatures | FileFeatures,
    id_column: str,
    as_of: datetime,
    asked: Sequence[_Asked],
    made: Completed,
) -> None:
    keys = sorted({one.key for one in asked})
    try:
        found = {row.pop("customer"): row for row in features.records(keys, as_of)}
        missing = [key for key in keys if key not in found]
        known = features.known(missing, as_of) if missing else set()
    except HoldfastError as error:
        event("live_features", level=logging.ERROR, code=error.code, reason=error.message)
        for one in asked:
            _refuse(made, Away(one.index, one.given, _shown(one.key), AWAY))
        return
    for one in asked:
        if one.key in found:
            record = {id_column: one.key, **found[one.key]}
            del record[AS_OF]
            made.records[one.index] = record
            made.moments[one.index] = as_of
        else:
            reason = NOT_ELIGIBLE if one.key in known else UNKNOWN
            _refuse(made, Absent(one.index, one.given, _shown(one.key), reason))


def _refuse(made: Completed, reject: Reject) -> None:
    made.records[reject.index] = None
    made.rejects[reject.index] = reject


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
