"""The bodies of the Open Inference Protocol: one tensor a column in, one tensor a figure out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from holdfast.api.fields import json_type
from holdfast.api.forms import MAX_BATCH, parsed
from holdfast.api.problems import NoSuchError, TensorError
from holdfast.contract import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.api.forms import Outcome
    from holdfast.api.live import Serving

OUTPUTS = {
    "churn_probability": "FP64",
    "will_churn": "BOOL",
    "risk_level": "BYTES",
    "prediction_id": "BYTES",
}
"""What is told of each customer, and its datatype."""

_WHOLE, _ANY = frozenset({int}), frozenset({int, float})
_TYPES: dict[str, frozenset[type]] = {
    "BOOL": frozenset({bool}),
    "BYTES": frozenset({str}),
    **{f"{sign}INT{bits}": _WHOLE for sign in ("", "U") for bits in (8, 16, 32, 64)},
    **dict.fromkeys(("FP16", "FP32", "FP64"), _ANY),
}
"""What an element of each datatype is in JSON. Numbers are taken as they are written, not rounded to FP32."""

_DATATYPES = {Kind.NUMBER: "FP64", Kind.INTEGER: "INT64", Kind.BOOLEAN: "BOOL"}
_MOST_TOLD = 10

LONGEST_ID = 255
"""Characters of the name that a client gives its request."""

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string", "maxLength": LONGEST_ID},
        "inputs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["name", "shape", "datatype", "data"],
                "properties": {
                    "name": {"type": "string", "description": "Of a column."},
                    "shape": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2},
                    "datatype": {"enum": list(_TYPES)},
                    "data": {"type": "array", "minItems": 1, "maxItems": MAX_BATCH},
                },
            },
        },
        "outputs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"enum": list(OUTPUTS)}},
            },
        },
    },
}
"""JSON Schema of a request."""


@dataclass
class Tensors:
    """One request, as a form of `holdfast.api.forms`.

    A customer that breaks the contract fails all of it: the protocol has no place for part of an answer.
    """

    name: str
    """Of the model that is asked for."""
    version: str | None
    """As ``v3`` or ``3``; none for the one in charge."""
    reasons: int = field(default=0, init=False)
    _request: dict[str, Any] = field(default_factory=dict, init=False)

    def read(self, body: bytes) -> Sequence[object]:
        """The customers: the tensors' columns, turned into rows."""
        document = parsed(body)
        if not isinstance(document, dict):
            raise TensorError(f"The body must be an object, not {json_type(document)}.", hint=_FORM)
        own = document.get("id", "")
        if not isinstance(own, str) or len(own) > LONGEST_ID:
            raise TensorError(f'"id" must be text of up to {LONGEST_ID} characters.', hint=_FORM)
        wanted = [
            str(one.get("name") if isinstance(one, dict) else one)[:80] for one in _list(document, "outputs")
        ]
        unknown = [name for name in wanted if name not in OUTPUTS]
        if unknown:
            raise TensorError(f"There is no output {unknown[0]!r}.", hint=f"There are: {', '.join(OUTPUTS)}.")
        self._request = {"id": document.get("id"), "outputs": wanted or list(OUTPUTS)}
        columns = dict(_column(tensor) for tensor in _list(document, "inputs"))
        lengths = {len(values) for values in columns.values()}
        if len(columns) != len(document.get("inputs") or ()) or len(lengths) != 1:
            raise TensorError("Each column is one tensor, and all have as many elements.", hint=_FORM)
        if not 1 <= lengths.pop() <= MAX_BATCH:
            raise TensorError(f"1 to {MAX_BATCH:,} customers are taken.", hint="Split the tensors.")
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def write(self, outcome: Outcome) -> dict[str, Any]:
        """The tensors that answer."""
        check_asked(self.name, self.version, outcome.model["name"], outcome.model["version"])
        if outcome.rejects:
            told = [
                {"row": one.index, "field": one.column, "reason": one.reason}
                for one in outcome.rejects[:_MOST_TOLD]
            ]
            raise TensorError("Customers break the contract, so none is scored.", hint=None, errors=told)
        answers = outcome.answers.values()
        found: dict[str, Any] = {
            "model_name": outcome.model["name"],
            "model_version": outcome.model["version"],
            "parameters": {"threshold": next(iter(answers))["threshold"]},
            "outputs": [
                {
                    "name": name,
                    "datatype": OUTPUTS[name],
                    "shape": [len(answers)],
                    "data": [answer[name] for answer in answers],
                }
                for name in self._request["outputs"]
            ],
        }
        return found if self._request["id"] is None else found | {"id": self._request["id"]}


def check_asked(name: str, version: str | None, in_charge: str, current: str) -> None:
    """Hold what a path asks for against what is in charge.

    Raises:
        NoSuchError: it is something else.
    """
    if name != in_charge:
        raise NoSuchError("No model of that name is in charge.", hint="GET /model_info names the one.")
    if version is not None and version.removeprefix("v") != current.removeprefix("v"):
        raise NoSuchError("That version is not in charge.", hint=f"{current} is; leave the version out.")


def described(serving: Serving) -> dict[str, Any]:
    """The model's metadata: its tensors, each of any length."""
    columns = serving.intake.contract.columns
    inputs = [
        {
            "name": name,
            "datatype": _DATATYPES.get(columns[name].kind, "BYTES") if name in columns else "BYTES",
            "shape": [-1],
        }
        for name in serving.intake.schema()["properties"]
    ]
    return {
        "name": serving.model.name,
        "versions": [serving.model.version],
        "platform": "holdfast",
        "inputs": inputs,
        "outputs": [{"name": name, "datatype": kind, "shape": [-1]} for name, kind in OUTPUTS.items()],
    }


def example(serving: Serving) -> dict[str, Any]:
    """A request that the model answers."""
    types = {bool: "BOOL", int: "INT64", float: "FP64"}
    return {
        "inputs": [
            {"name": name, "shape": [1], "datatype": types.get(type(value), "BYTES"), "data": [value]}
            for name, value in serving.intake.example.items()
        ]
    }


def _list(document: dict[str, Any], name: str) -> list[Any]:
    if name == "outputs" and name not in document:
        return []
    found = document.get(name)
    if not isinstance(found, list):
        raise TensorError(f'"{name}" must be a list of tensors.', hint=_FORM)
    return found


def _column(tensor: Any) -> tuple[str, list[Any]]:
    """Name and elements of an input."""
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        raise TensorError("An input is no tensor with a name.", hint=_FORM)
    name = tensor["name"][:80]
    data, shape, datatype = tensor.get("data"), tensor.get("shape"), tensor.get("datatype")
    if not isinstance(data, list):
        raise TensorError(f"The tensor {name!r} has no data.", hint="Binary data is not read; send JSON.")
    if not isinstance(datatype, str) or datatype not in _TYPES:
        raise TensorError(f"The tensor {name!r} has no known datatype.", hint=f"Known: {', '.join(_TYPES)}.")
    if isinstance(shape, list) and shape[1:] == [1] and all(isinstance(one, list) for one in data):
        data = [value for one in data for value in one]  # [[1], [2]], as the protocol also lets it be written
    if shape not in ([len(data)], [len(data), 1]):
        raise TensorError(
            f"The shape of the tensor {name!r} is not [n] or [n, 1] with n elements.", hint=_FORM
        )
    if not set(map(type, data)) <= {*_TYPES[datatype], type(None)}:
        raise TensorError(f"The tensor {name!r} has elements that are not {datatype}.", hint=_FORM)
    return tensor["name"], data


_FORM = "Send one tensor a column: name, shape [n], datatype, data; null where a value is missing."
