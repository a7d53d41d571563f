"""Answers questions that arrived together: reads, scores and logs them in one go, and writes the answers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import orjson

from holdfast.api import metrics, wire
from holdfast.api.built import completed, ids_refused
from holdfast.api.forms import Outcome
from holdfast.api.problems import RepeatedKeyError
from holdfast.api.scoring import at_once, explain, rejects_between, score
from holdfast.errors import HoldfastError
from holdfast.predictions import Answered, LogError, Reply
from holdfast.store.tables import CHAMPION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from holdfast.api.forms import Form
    from holdfast.api.intake import Reject
    from holdfast.api.live import Live, Serving
    from holdfast.api.scoring import Scored
    from holdfast.api.tracing import RequestTrace
    from holdfast.predictions import PredictionLog
    from holdfast.scoring import AnswerCache


@dataclass(slots=True)
class Question:
    """One request about customers."""

    form: Form
    body: bytes
    caller: str
    correlation_id: str
    started: float
    """`time.perf_counter` at the request's arrival."""
    scope: str | None = None
    """What its Idempotency-Key stands for, if it has one."""
    digest: str = ""
    """SHA-256 of the body, where there is a ``scope``."""
    trace: RequestTrace | None = None
    """Where its times go, if anybody wants them."""


@dataclass(slots=True)
class Told:
    """The answer to a question."""

    body: bytes
    predictions: Sequence[tuple[float, str]] = ()
    """Probability and risk level of each customer that was predicted."""
    replayed: bool = False
    """Whether these are the bytes of an earlier answer under the same Idempotency-Key."""


class Desk:
    """Does the work of a batch of questions, for `holdfast.scoring.MicroBatcher`.

    Args:
        live: the model.
        log: where each answer is written before it leaves, or soon after.
        wait_for_log: whether an answer leaves only after it was logged; so must one to be found again.
        cache: probabilities of equal records, if any are kept.
    """

    def __init__(
        self, live: Live, log: PredictionLog, *, wait_for_log: bool, cache: AnswerCache | None
    ) -> None:
        self._live = live
        self._log = log
        self._wait = wait_for_log
        self._cache = cache

    def work(
        self,
        questions: Sequence[Question],
        done: Callable[[Sequence[Told | Exception]], None],
        give_way: Callable[[], None] = at_once,
        patience: float = 0.0,
    ) -> None:
        """Answer questions, for `MicroBatcher`.

        Args:
            questions: asked at the same time.
            done: called with the results.
            give_way: called between the steps of the work.
            patience: seconds to wait for room in the log; a question for which there is none is not answered.
        """
        began = time.perf_counter()
        results: dict[int, Told | Exception] = {}
        spans = _read(questions, results)
        give_way()
        answered = self._score(questions, spans, results, give_way) if spans else {}
        _trace(questions, "score", began)
        # An answer that is to be found again waits for the log, whatever others do.
        waiting = {at: one for at, one in answered.items() if self._wait or one.reply}
        alone = [at for at in answered if at not in waiting]
        # Each that can wait for room asks for its own: together they might fill what is left to others.
        for together in [[at] for at in alone] if patience else [alone] if alone else []:
            try:
                self._log.put([answered[at] for at in together], patience=patience)
            except LogError as error:
                results |= {at: LogError(error.message) for at in together}  # to each its own, to be raised
            else:
                _count(results, together)
        put = time.perf_counter()

        def logged(outcomes: Sequence[Reply | Exception | None]) -> None:
            _trace(questions, "commit", put)
            _count(results, [at for at, one in zip(waiting, outcomes, strict=True) if one is None])
            _merge(questions, results, [*waiting], outcomes)
            done([results[at] for at in range(len(questions))])

        if waiting:
            self._log.put([*waiting.values()], logged, patience=patience)
        else:
            done([results[at] for at in range(len(questions))])

    def recall(
        self, scopes: Sequence[str], done: Callable[[Sequence[Reply | Exception | None]], None]
    ) -> None:
        """Look up what was answered under Idempotency-Keys; see `MicroBatcher`."""
        try:
            found = self._log.replies(scopes)
        except HoldfastError as error:  # it is everybody's
            done([error] * len(scopes))
        else:
            done([found.get(scope) for scope in scopes])

    def _score(
        self,
        questions: Sequence[Question],
        spans: Sequence[_Span],
        results: dict[int, Told | Exception],
        give_way: Callable[[], None],
    ) -> dict[int, Answered]:
        """Score what was read; returns what goes into the log, by question."""
        try:
            serving = self._live.serving()
        except HoldfastError as error:
            results |= dict.fromkeys((span.question for span in spans), error)
            return {}
        records = [record for span in spans for record in span.records]
        starts = [*accumulate(len(span.records) for span in spans)]
        moments: Mapping[int, datetime] = {}
        refused: Mapping[int, Reject] = {}
        if serving.from_tables and (column := serving.intake.contract.id_column) is not None:
            features = serving.features
            made = completed(features, column, records) if features else ids_refused(column, records)
            records, refused, moments = made.records, made.rejects, made.moments
            give_way()
        scored = score(serving, records, starts[:-1], self._cache, give_way)
        scored.rejects.update({at: [reject] for at, reject in refused.items()})
        writer = _Writer(serving, scored, len(spans), moments)
        answered = {}
        for span, end in zip(spans, starts, strict=True):
            at = span.question
            try:
                results[at], answered[at] = writer.write(questions[at], end - len(span.records), end)
            except HoldfastError as error:
                results[at] = error
            give_way()
        return answered


@dataclass(frozen=True, slots=True)
class _Span:
    """The records of one question, by its place in the batch."""

    question: int
    records: Sequence[object]


def _trace(questions: Sequence[Question], name: str, began: float) -> None:
    """Tell the traces of ``questions`` what has just been done for all of them."""
    for question in questions:
        if question.trace is not None:
            question.trace.part(name, began, time.perf_counter(), together=len(questions))


def _read(questions: Sequence[Question], results: dict[int, Told | Exception]) -> list[_Span]:
    """What each question asks about."""
    spans = []
    for at, question in enumerate(questions):
        try:
            spans.append(_Span(at, question.form.read(question.body)))
        except HoldfastError as error:
            results[at] = error
    return spans


def again(question: Question, reply: Reply) -> Told:
    """What a question gets whose Idempotency-Key was used before.

    Raises:
        RepeatedKeyError: with another body.
    """
    if reply.body_digest != question.digest:
        raise RepeatedKeyError
    return Told(reply.body, replayed=True)


def _count(results: Mapping[int, Told | Exception], logged: Sequence[int]) -> None:
    """Count the predictions of these questions, which are as good as logged."""
    told = [one for at in logged if isinstance(one := results[at], Told)]
    pairs = [pair for one in told for pair in one.predictions]
    metrics.predicted([probability for probability, _ in pairs], [level for _, level in pairs])


def _merge(
    questions: Sequence[Question],
    results: dict[int, Told | Exception],
    logged: Sequence[int],
    outcomes: Sequence[Reply | Exception | None],
) -> None:
    """Put into the results what the log says became of each that was to be logged."""
    for at, outcome in zip(logged, outcomes, strict=True):
        if isinstance(outcome, Reply):
            try:
                results[at] = again(questions[at], outcome)
            except RepeatedKeyError as error:
                results[at] = error
        elif outcome is not None:
            results[at] = outcome


class _Writer:
    """Writes the answers to the questions of one batch, and the rows that go into the log."""

    def __init__(
        self, serving: Serving, scored: Scored, questions: int, moments: Mapping[int, datetime]
    ) -> None:
        self._serving = serving
        self._moments = moments
        self._scored = scored
        self._moment = datetime.now(UTC)
        self._timestamp = wire.utc_now()
        model = serving.model
        self._name = {"name": model.name, "version": model.version}
        count = sum(answer is not None for answer in scored.answers)
        self._ids = iter(wire.new_ids(count + questions))

    def write(self, question: Question, begin: int, end: int) -> tuple[Told, Answered]:
        """Answer the question whose records are those from ``begin`` to ``end``."""
        scored, name = self._scored, self._name
        latency = round((time.perf_counter() - question.started) * 1_000, 3)
        request = next(self._ids)
        answers: dict[int, dict[str, Any]] = {}
        rows = []
        for at in range(begin, end):
            answer = scored.answers[at]
            if answer is None:
                continue
            answer["prediction_id"] = next(self._ids)
            answer["timestamp"] = self._timestamp
            as_of = self._moments.get(at)
            if as_of is not None:
                answer["as_of"] = as_of.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            answers[at - begin] = answer
            rows.append(
                (
                    answer["prediction_id"],
                    request,
                    self._moment,
                    answer["customer_id"],
                    as_of or self._moment,
                    name["name"],
                    name["version"],
                    CHAMPION,
                    orjson.dumps(scored.records[at]).decode(),
                    answer["churn_probability"],
                    answer["threshold"],
                    answer["will_churn"],
                    latency,
                    question.caller,
                    question.correlation_id,
                )
            )
        if question.form.reasons and answers:
            place = scored.taken.indexes.index(begin)
            answers[0] |= explain(self._serving, scored.taken.table[place], question.form.reasons)
        rejects = rejects_between(scored, begin, end)
        outcome = Outcome(end - begin, answers, rejects, name, self._timestamp, latency)
        body = orjson.dumps(question.form.write(outcome))
        reply = None
        if question.scope:
            reply = Reply(question.scope, question.digest, request, body)
        predicted = [(one["churn_probability"], one["risk_level"]) for one in answers.values()]
        return Told(body, predicted), Answered(request, rows, reply)
