"""What went wrong, as RFC 9457 problems. One table says which status each error code has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from holdfast.api import metrics
from holdfast.api.wire import encode
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"

MOST_ERRORS = 100
"""So many single errors are listed in a problem."""

PROBLEMS: dict[str, tuple[int, str]] = {
    "json": (400, "The body is not JSON"),
    "host": (400, "Not a name of this server"),
    "request": (400, "The request cannot be read"),
    "form": (400, "The body is no form"),
    "tensors": (400, "The tensors cannot be scored"),
    "unauthorized": (401, "Nobody that may ask"),
    "forbidden": (403, "Not allowed"),
    "origin": (403, "A web page of another origin"),
    "not_found": (404, "There is nothing here"),
    "job": (404, "There is no such job"),
    "prediction": (404, "There is no such prediction"),
    "customer": (404, "There is no such customer"),
    "method": (405, "This address does not take that method"),
    "version": (404, "There is no such version"),
    "unknown": (404, "There is no such key or user"),
    "slow_body": (408, "The body came too slowly"),
    "idempotency": (409, "The Idempotency-Key was used for another request"),
    "no_earlier": (409, "There is no earlier champion"),
    "registry": (409, "The version's files are not what was registered"),
    "artefact": (409, "The version's files are damaged"),
    "job_state": (409, "The job is not where it would have to be"),
    "taken": (409, "The name is taken"),
    "too_large": (413, "The body is too large"),
    "media_type": (415, "The body has another form than this address takes"),
    "record": (422, "The record breaks the contract"),
    "batch": (422, "The batch cannot be scored"),
    "body": (422, "The body is wrong"),
    "query": (422, "A query parameter is wrong"),
    "idempotency_key": (422, "The Idempotency-Key is wrong"),
    "rate": (429, "Too many requests"),
    "quota": (429, "Too many jobs"),
    "internal": (500, "The server failed"),
    "no_model": (503, "No model is in charge"),
    "not_ready": (503, "Not ready"),
    "overloaded": (503, "Too much is asked"),
    "log": (503, "Answers cannot be logged"),
    "archive": (503, "The archive cannot be used"),
    "store": (503, "The database cannot be used"),
    "tables": (503, "The tables cannot be asked"),
    "room": (507, "The disk is too full"),
}
"""Status and title of each code. Codes are stable; clients may rely on them."""

RETRY_SECONDS = {"no_model": 5, "not_ready": 5, "store": 1, "tables": 1}
"""When to ask again after a failure that passes, where the error itself does not say."""

SAID = frozenset({"version", "no_earlier", "overloaded", "log", "job", "job_state", "quota", "room"})
"""Codes of errors from other rooms whose words are made for callers."""

_OF_STATUS = {400: "request", 404: "not_found", 405: "method", 413: "too_large"}


class ProblemError(HoldfastError):
    """A request that cannot be answered; ``errors`` says what is wrong with which field.

    ``more`` are further members of the problem's document.
    """

    more: Mapping[str, Any] | None = None

    def __init__(
        self, message: str, *, hint: str | None = None, errors: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        super().__init__(message, hint=hint)
        self.errors = errors


class NotJsonError(ProblemError):
    """The body cannot be parsed."""

    code = "json"


class FormError(ProblemError):
    """A form cannot be parsed."""

    code = "form"


class HostError(ProblemError):
    """The request was sent to a name that this server does not have."""

    code = "host"


class HeaderError(ProblemError):
    """A header stands there twice, so that two servers could read two requests."""

    code = "request"


class UnauthorizedError(ProblemError):
    """The request is from nobody that may ask. ``expired``: a new token would help."""

    code = "unauthorized"

    def __init__(self, message: str, *, hint: str | None = None, expired: bool = False) -> None:
        super().__init__(message, hint=hint)
        told = ', error="invalid_token", error_description="expired"' if expired else ""
        self.challenge = f'Bearer realm="holdfast"{told}'


class ForbiddenError(ProblemError):
    """The caller is known, but may not do this."""

    code = "forbidden"


class OriginError(ProblemError):
    """A web page of another origin asks."""

    code = "origin"


class RateError(ProblemError):
    """The caller asks too often."""

    code = "rate"

    def __init__(self, message: str, *, hint: str, retry_seconds: int) -> None:
        super().__init__(message, hint=hint)
        self.retry_seconds = retry_seconds


class TakenError(ProblemError):
    """A name is taken."""

    code = "taken"


class NoSuchError(ProblemError):
    """There is no key or user of that name."""

    code = "unknown"


class NoPredictionError(ProblemError):
    """The log holds no such prediction."""

    code = "prediction"


class NoCustomerError(ProblemError):
    """The tables have no such customer, or it was none at that moment."""

    code = "customer"


class TablesError(ProblemError):
    """The tables from which records are built cannot be asked: their database did not answer, say."""

    code = "tables"

    def __init__(self) -> None:
        super().__init__(
            "The tables of which records are built cannot be asked.",
            hint="Try again in a moment, or send whole records.",
        )


class BodyError(ProblemError):
    """A body that is no record has a wrong field."""

    code = "body"


class TooLargeError(ProblemError):
    """The body is larger than the server reads."""

    code = "too_large"


class MediaTypeError(ProblemError):
    """The body says that it is something else than JSON."""

    code = "media_type"


class RecordError(ProblemError):
    """A customer's record breaks the contract."""

    code = "record"


class SlowBodyError(ProblemError):
    """The body did not arrive in time."""

    code = "slow_body"


class RepeatedKeyError(ProblemError):
    """An Idempotency-Key came back with another body."""

    code = "idempotency"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used before, with another body.",
            hint="Use a new key for a new request; repeat a request exactly as it was.",
        )


class KeyFormError(ProblemError):
    """An Idempotency-Key cannot be one."""

    code = "idempotency_key"


class BatchError(ProblemError):
    """A batch has the wrong form, the wrong size or no good record."""

    code = "batch"


class TensorError(ProblemError):
    """A request in the words of the Open Inference Protocol is wrong."""

    code = "tensors"


class QueryError(ProblemError):
    """A query parameter is wrong."""

    code = "query"


class NoModelError(ProblemError):
    """There is no champion, unless another reason is given."""

    code = "no_model"

    def __init__(
        self,
        reason: str = "No model is in charge yet.",
        hint: str = "Train one with `holdfast train churn.toml`; this server takes it up by itself.",
    ) -> None:
        super().__init__(reason, hint=hint)


class NotReadyError(ProblemError):
    """Predictions cannot be asked for now."""

    code = "not_ready"


class InternalError(ProblemError):
    """A fault of ours. Says nothing about it: what happened is in the server's log."""

    code = "internal"

    def __init__(self) -> None:
        super().__init__("The request could not be answered.", hint="The server's log says more.")


def problem(error: HoldfastError, *, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a request that ended in ``error``.

    Errors of other rooms may hold paths: of them only those that the table lists keep their code, and only
    those that are made for callers (`SAID`) their words. Those that pass say when to ask again.
    """
    retry: int | None = getattr(error, "retry_seconds", RETRY_SECONDS.get(error.code))
    if retry is not None:
        headers = {**(headers or {}), "retry-after": str(retry)}
    if isinstance(error, UnauthorizedError):
        headers = {**(headers or {}), "www-authenticate": error.challenge}
    if error.code in SAID:
        return _response(error.code, error.message, error.hint, (), headers)
    if not isinstance(error, ProblemError):
        code = error.code if error.code in PROBLEMS else "internal"
        hint = "Try again in a moment." if code in RETRY_SECONDS else "The server's log says more."
        return _response(code, "The request could not be answered.", hint, (), headers)
    return _response(error.code, error.message, error.hint, error.errors, headers, more=error.more)


def http_problem(error: HTTPException) -> Response:
    """The framework's own refusals (no such address, method not allowed) as problems."""
    code = _OF_STATUS.get(error.status_code, "request" if error.status_code < 500 else "internal")  # noqa: PLR2004 - HTTP's border between theirs and ours
    words = {
        "not_found": ("No such address.", "GET /docs shows every address."),
        "method": ("The address exists but takes another method.", "The Allow header names it."),
    }
    detail, hint = words.get(code, ("The request could not be read.", "GET /docs shows how to ask."))
    return _response(code, detail, hint, (), error.headers)


def _response(
    code: str,
    detail: str,
    hint: str | None,
    errors: Sequence[Mapping[str, Any]],
    headers: Mapping[str, str] | None,
    *,
    more: Mapping[str, Any] | None = None,
) -> Response:
    status, title = PROBLEMS[code]
    metrics.refused(code)
    document: dict[str, Any] = {
        "type": f"urn:holdfast:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if hint is not None:
        document["hint"] = hint
    if more:
        document |= more
    if errors:
        document["errors"] = list(errors[:MOST_ERRORS])
    if len(errors) > MOST_ERRORS:
        document["more_errors"] = len(errors) - MOST_ERRORS
    return Response(encode(document), status_code=status, media_type=MEDIA_TYPE, headers=headers)
