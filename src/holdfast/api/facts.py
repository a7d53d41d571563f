"""The documents about the service and the model, for the OpenAPI page only, as in `holdfast.api.answers`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from holdfast.api.answers import ModelName, Probability  # noqa: TC001 - pydantic reads the annotations


class Service(BaseModel):
    """What this is and where to go."""

    service: Literal["holdfast"]
    version: str
    model: ModelName | None
    links: dict[str, str]


class DependencyFacts(BaseModel):
    """How something is that the service depends on."""

    state: Literal["ok", "degraded", "down"]
    reason: str | None
    required: bool = Field(description="Whether predictions cannot be asked for without it.")


class Readiness(BaseModel):
    """Whether predictions can be asked for."""

    status: Literal["ready", "degraded"]
    reason: str | None
    hint: str | None
    model: ModelName | None
    dependencies: dict[str, DependencyFacts]


class Condition(BaseModel):
    """How the service is."""

    status: Literal["ok", "degraded", "not ready", "draining", "no model"]
    reason: str | None
    hint: str | None
    uptime_seconds: float
    version: str
    model: ModelName | None
    requests: int
    error_rate: Probability
    dependencies: dict[str, DependencyFacts]


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"]


class ContractFacts(BaseModel):
    """What the model knows of a customer."""

    name: str
    digest: str
    id_column: str | None
    columns: list[dict[str, Any]]
    features: Any


class ModelInfo(BaseModel):
    """The model in charge."""

    model: ModelName
    created: str | None
    recipe: str | None
    holdfast: str | None = Field(description="The Holdfast that trained it.")
    threshold: Probability
    contract: ContractFacts
    metrics: dict[str, Any] = Field(description="On its test split.")


class ModelMetrics(BaseModel):
    """How good the model is: its metrics by split, and beside them their intervals."""

    model_config = ConfigDict(extra="allow")

    model: ModelName


class Importance(BaseModel):
    """What the model looks at, most important first."""

    model: ModelName
    features: list[dict[str, Any]]


class ServerName(BaseModel):
    """The server, as the Open Inference Protocol wants it."""

    name: Literal["holdfast"]
    version: str
    extensions: list[str]


class Live(BaseModel):
    """The process answers."""

    live: Literal[True]


class Ready(BaseModel):
    """Whether predictions can be asked for."""

    name: str | None = None
    ready: bool


class TensorFacts(BaseModel):
    """A tensor that goes in or comes out; -1 is any length."""

    name: str
    datatype: str
    shape: list[int]


class TensorData(TensorFacts):
    """A tensor of answers."""

    data: list[Any]


class TensorModel(BaseModel):
    """A model's tensors."""

    name: str
    versions: list[str]
    platform: Literal["holdfast"]
    inputs: list[TensorFacts]
    outputs: list[TensorFacts]


class Inferred(BaseModel):
    """Predictions as tensors."""

    model_name: str
    model_version: str
    parameters: dict[str, Any]
    outputs: list[TensorData]
    id: str | None = None
