"""The answers' documents, for the OpenAPI page only: answers are built as plain values, not through these."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads the annotations
from typing import Annotated, Any, Literal
from uuid import UUID  # noqa: TC003 - as above

from pydantic import BaseModel, ConfigDict, Field

from holdfast.api.problems import MEDIA_TYPE, PROBLEMS

Probability = Annotated[float, Field(ge=0, le=1)]

_ANSWER: dict[str, Any] = {
    "customer_id": "C-0001",
    "prediction": 1,
    "churn_probability": 0.6127,
    "will_churn": True,
    "confidence": 0.6127,
    "risk_level": "medium",
    "recommendation": "Contact with the offer",
    "threshold": 0.21,
    "model": {"name": "customers", "version": "v3"},
    "prediction_id": "019c1a2b-3c4d-7e5f-8a6b-7c8d9e0f1a2b",
    "timestamp": "2026-01-31T12:00:00.000Z",
    "latency_ms": 2.1,
    "warnings": [],
}
_REASON: dict[str, Any] = {
    "feature": "tenure",
    "value": "3",
    "unit": "months",
    "effect": 0.81,
    "points": 0.19,
    "direction": "up",
}
_EXPLANATION = _ANSWER | {
    "reasons_up": [_REASON],
    "reasons_down": [
        _REASON
        | {"feature": "Contract", "value": "Two year", "unit": "", "effect": -0.4, "points": -0.1}
        | {"direction": "down"}
    ],
}


class ModelName(BaseModel):
    """The version that made an answer."""

    name: str = Field(examples=["customers"])
    version: str = Field(examples=["v3"])


class Note(BaseModel):
    """Something that was not scored as it was written."""

    column: str
    value: str | None = None
    reason: str


class Answer(BaseModel):
    """One customer's prediction."""

    model_config = ConfigDict(title="Prediction", json_schema_extra={"example": _ANSWER})

    customer_id: str | None
    prediction: Literal[0, 1] = Field(description="1: about to leave; `will_churn` as a number.")
    churn_probability: Probability
    will_churn: bool = Field(description="Whether the probability reaches the threshold.")
    confidence: Probability = Field(description="Chance that the prediction is right.")
    risk_level: Literal["low", "medium", "high"]
    recommendation: str
    threshold: Probability = Field(description="From here on, contacting a customer pays.")
    model: ModelName
    prediction_id: UUID = Field(description="Version 7: sorts by time.")
    timestamp: datetime = Field(description="UTC.")
    latency_ms: float = Field(description="From the request's arrival to its answer.")
    warnings: list[Note]
    as_of: datetime | None = Field(
        None, description="UTC. Only where the record was built from the tables: as known then."
    )


class BatchPrediction(Answer):
    """One customer of a batch."""

    model_config = ConfigDict(title="BatchPrediction", json_schema_extra={"example": _ANSWER | {"index": 0}})

    index: int = Field(ge=0, description="Place of the customer in the request, from 0.")


class Rejected(BaseModel):
    """Why a customer of a batch was not scored."""

    index: int
    column: str | None
    value: str | None
    reason: str


class BatchCounts(BaseModel):
    """How many customers of a batch came to what."""

    received: int
    predicted: int
    rejected: int


class BatchAnswer(BaseModel):
    """The predictions of a batch, and the customers that could not be scored."""

    predictions: list[BatchPrediction]
    rejected: list[Rejected]
    counts: BatchCounts
    model: ModelName
    timestamp: datetime
    latency_ms: float


class Reason(BaseModel):
    """One reason for a probability."""

    feature: str
    value: str = Field(description="The customer's own, for people; `not known` where it is missing.")
    unit: str = Field(description="What follows the value, in the right number: `1` `month`, `2` `months`.")
    effect: float = Field(description="In log-odds.")
    points: float = Field(description="By how much the probability would change without it.")
    direction: Literal["up", "down"]


_STAY = "Chance that the customer is still there after {}. Only of models that learned from a history."


class Explanation(Answer):
    """A prediction and what speaks for and against it, strongest first."""

    model_config = ConfigDict(title="Explanation", json_schema_extra={"example": _EXPLANATION})

    reasons_up: list[Reason]
    reasons_down: list[Reason]
    survival_3: Probability | None = Field(None, description=_STAY.format("3 months of 30 days"))
    survival_6: Probability | None = Field(None, description=_STAY.format("6 months"))
    survival_12: Probability | None = Field(None, description=_STAY.format("12 months"))
    expected_months: float | None = Field(
        None, description="How long the customer is expected to stay, 120 at the most; as above."
    )


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str | None = None
    value: str | None = None
    reason: str


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(examples=["urn:holdfast:problem:record"])
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable; for programs.", examples=["record"])
    hint: str | None = Field(None, description="What to do next.")
    errors: list[FieldError | Rejected] | None = None


_CODES = (
    "json",
    "unauthorized",
    "forbidden",
    "unknown",
    "taken",
    "too_large",
    "media_type",
    "rate",
    "no_model",
)
"""The one of each status that stands in the documentation."""


def problems(*statuses: int, wrong: str = "record") -> dict[int | str, dict[str, Any]]:
    """What a route's documentation says about the ways in which it can fail.

    Args:
        statuses: of the answers that are problems.
        wrong: the code of the one with status 422.
    """
    described: dict[int | str, dict[str, Any]] = {}
    for code in (*_CODES, wrong):
        status, title = PROBLEMS[code]
        if status in statuses:
            said = {"type": f"urn:holdfast:problem:{code}", "title": title, "status": status, "code": code}
            said |= {"detail": "What happened, in one sentence."}
            if code == "record":
                said["errors"] = [
                    {"field": "tenure", "value": "3 y", "reason": "a whole number is needed, not text"}
                ]
            content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": said}
            described[status] = {"description": title, "content": {MEDIA_TYPE: content}}
    return described
