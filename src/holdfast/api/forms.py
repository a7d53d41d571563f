"""The forms in which customers are asked about: what a body holds, and how the answer to it is laid out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from holdfast.api import wire
from holdfast.api.built import AS_OF, Absent, Away
from holdfast.api.fields import json_type
from holdfast.api.problems import BatchError, NoCustomerError, NotJsonError, RecordError, TablesError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.api.intake import Reject

MAX_BATCH = 1_000
CUSTOMERS = "customers"

_FORM = f'Send {{"{CUSTOMERS}": [ … ]}}; GET /docs shows an example.'


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the customers of one request."""

    received: int
    answers: dict[int, dict[str, Any]]
    """By the customer's place in the request, from 0."""
    rejects: Sequence[Reject]
    model: dict[str, str]
    timestamp: str
    latency_ms: float


class Form(Protocol):
    """One way to ask."""

    @property
    def reasons(self) -> int:
        """How many reasons each way to give with an answer; only where a body is one customer."""

    def read(self, body: bytes) -> Sequence[object]:
        """The customers in a body, as parsed from JSON.

        Raises:
            ProblemError: the body does not have this form.
        """

    def write(self, outcome: Outcome) -> dict[str, Any]:
        """The document that answers.

        Raises:
            ProblemError: nothing in the request can be scored.
        """


@dataclass(frozen=True)
class One:
    """A body that is one record."""

    reasons: int = 0

    def read(self, body: bytes) -> Sequence[object]:
        """The record, alone."""
        record = parsed(body)
        if not isinstance(record, dict):
            raise RecordError(
                f"The body must be one JSON object, not {json_type(record)}.",
                hint="Several customers at a time go to /predict/batch.",
            )
        return [record]

    def write(self, outcome: Outcome) -> dict[str, Any]:
        """The answer, or what is wrong with the record."""
        if not outcome.answers:
            _refuse(outcome.rejects)
            many = len(outcome.rejects)
            raise RecordError(
                f"{many} {'fields break' if many > 1 else 'field breaks'} the contract.",
                hint="GET /docs shows what each field may hold.",
                errors=[reject.as_field() for reject in outcome.rejects],
            )
        answer = outcome.answers[0]
        answer["latency_ms"] = outcome.latency_ms
        return answer


@dataclass(frozen=True)
class Many:
    """A body with a list of records, of which each may fail for itself."""

    reasons: int = 0

    def read(self, body: bytes) -> Sequence[object]:
        """The records."""
        document = parsed(body)
        if not isinstance(document, dict):
            raise BatchError(
                f'The body must be an object with "{CUSTOMERS}", not {json_type(document)}.', hint=_FORM
            )
        records = document.get(CUSTOMERS)
        other = sorted(document.keys() - {CUSTOMERS})[:10]
        if other:
            unknown = [
                {"field": name[:80], "reason": f'unknown; "{CUSTOMERS}" is all there is'} for name in other
            ]
            raise BatchError("The body has fields that nobody knows.", hint=_FORM, errors=unknown)
        if not isinstance(records, list):
            given = json_type(records) if CUSTOMERS in document else "missing"
            wrong = {"field": CUSTOMERS, "reason": f"a list of customers is needed, not {given}"}
            raise BatchError("There is no list of customers.", hint=_FORM, errors=[wrong])
        if not 1 <= len(records) <= MAX_BATCH:
            wrong = {
                "field": CUSTOMERS,
                "reason": f"1 to {MAX_BATCH:,} customers are taken, not {len(records):,}",
            }
            hint = "Split it; whole files go to /jobs/score." if records else _FORM
            raise BatchError(f"The batch has {len(records):,} customers.", hint=hint, errors=[wrong])
        return records

    def write(self, outcome: Outcome) -> dict[str, Any]:
        """All answers and all rejects."""
        rejected = [reject.as_dict() for reject in outcome.rejects]
        if not outcome.answers:
            if all(isinstance(reject, Away) for reject in outcome.rejects):
                raise TablesError
            raise BatchError(
                f"None of the {outcome.received:,} customers can be scored.",
                hint="GET /docs shows what each field may hold.",
                errors=rejected,
            )
        latency = {"latency_ms": outcome.latency_ms}
        predicted = len(outcome.answers)
        return {
            "predictions": [{"index": at} | found | latency for at, found in outcome.answers.items()],
            "rejected": rejected,
            "counts": {
                "received": outcome.received,
                "predicted": predicted,
                "rejected": outcome.received - predicted,
            },
            "model": outcome.model,
            "timestamp": outcome.timestamp,
            **latency,
        }


def _refuse(rejects: Sequence[Reject]) -> None:
    """Say it plainly where a customer's record could not be built."""
    for reject in rejects:
        if isinstance(reject, Away):
            raise TablesError
        if isinstance(reject, Absent):
            raise NoCustomerError(
                f'Of customer "{reject.value}" no record can be built: {reject.reason}.',
                hint=f'Check the id and "{AS_OF}", or send the whole record.',
            )


def parsed(body: bytes) -> Any:
    """What a body says.

    Raises:
        NotJsonError: it is no JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:  # the slower parser says what is wrong, and takes a little more
        pass
    if not body.strip():
        raise NotJsonError("The body is empty.", hint="GET /docs shows an example of a body.")
    try:
        return wire.decode(body)
    except ValueError as error:
        raise NotJsonError(f"The body is not JSON: {error}.", hint="GET /docs shows an example.") from error
