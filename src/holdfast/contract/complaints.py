"""What the checker found wrong in a contract, in the user's terms: line, key, what to write instead."""

from __future__ import annotations

import re
import typing
from dataclasses import dataclass
from enum import Enum
from types import UnionType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from holdfast.contract.places import KeyPath, line_of
from holdfast.contract.types import Misfit
from holdfast.errors import ContractError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_MOST_SHOWN = 8


@dataclass(frozen=True)
class Complaint:
    """One thing that is wrong.

    ``path`` are the keys that lead to it, ``line`` is where it stands in the file, if it is in one.
    """

    path: KeyPath
    line: int | None
    text: str
    hint: str | None = None

    @property
    def key(self) -> str:
        """The key as in the file, ``columns."Monthly Charges".kind``."""
        return ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part}"' for part in self.path)

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        what = f"{self.key}: {self.text}" if self.key else self.text
        return f"{place}{what}" + (f". {self.hint}" if self.hint else "")


def complaints_of(
    error: ValidationError, model: type[BaseModel], lines: dict[KeyPath, int]
) -> list[Complaint]:
    """Everything that the checker found, each place once.

    Args:
        error: what the checker raised.
        model: the type of the whole file.
        lines: the line of each key, where it came from a file.
    """
    found: dict[tuple[KeyPath, str], Complaint] = {}
    for details in error.errors():
        complaint = _complaint_of(details, model, lines)
        found.setdefault((complaint.path, complaint.text), complaint)
    return list(found.values())


def refusal(where: str, complaints: Iterable[Complaint]) -> ContractError:
    """All complaints about one file as one error, in the order of the file."""
    told = sorted(complaints, key=lambda complaint: complaint.line or 0)
    first = told[0]
    at = f"{where}, line {first.line}" if first.line else where
    if len(told) == 1:
        message = f"{first.key}: {first.text}." if first.key else f"{first.text}."
        return ContractError(message, where=f"{at}, key {first.key}" if first.key else at, hint=first.hint)
    shown = [str(complaint) for complaint in told[:_MOST_SHOWN]]
    if len(told) > _MOST_SHOWN:
        shown.append(f"… and {len(told) - _MOST_SHOWN} more")
    listed = "\n  ".join(shown)
    return ContractError(f"The contract has {len(told)} mistakes:\n  {listed}", where=at)


def _complaint_of(details: ErrorDetails, model: type[BaseModel], lines: dict[KeyPath, int]) -> Complaint:
    misfit = details.get("ctx", {}).get("error")
    # A complaint about keys of one table is raised at the table; it names the keys itself.
    at = misfit.at if isinstance(misfit, Misfit) else ()
    said = tuple(str(part) for part in details["loc"] if part != "[key]")
    path, either = _without_alternatives((*said, *at), model)
    if either is not None:
        return Complaint(path, line_of(path, lines), either)
    return Complaint(path, line_of(path, lines), *_explain(details, path, model))


def _without_alternatives(path: KeyPath, model: type[BaseModel]) -> tuple[KeyPath, str | None]:
    """The path up to a key that may be one thing or another, and what it may be.

    The checker complains once for each thing that the value is not, below names of its own making.
    """
    for length in range(1, len(path)):
        kind = _annotation(path[:length], model)
        choices = [one for one in typing.get_args(kind) if one is not type(None)]
        if typing.get_origin(kind) in (typing.Union, UnionType) and len(choices) > 1:
            words = [f'"{word}"' for one in choices for word in typing.get_args(one) if isinstance(word, str)]
            return path[:length], f'must be {" or ".join(words)}, or a list such as ["2024-01-31"]'
    return path, None


_PLAIN = {
    "missing": "this key is needed and not there",
    "string_type": "must be text, in quotes",
    "bool_type": "must be true or false, without quotes",
    "int_type": "must be a whole number, without quotes",
    "float_type": "must be a number, without quotes",
    "finite_number": "must be a finite number",
    "dict_type": "must be a table, such as [columns.tenure]",
    "model_type": "must be a table, such as [columns.tenure]",
    "tuple_type": 'must be a list, such as ["a", "b"]',
    "string_too_short": "must not be empty",
    "float_parsing": "must be a number, without quotes",
    "bool_parsing": "must be true or false, without quotes",
    "int_parsing": "must be a whole number, without quotes",
    "date_type": "must be a date, such as 2024-01-31",
    "date_parsing": "must be a date, such as 2024-01-31",
    "date_from_datetime_parsing": "must be a date, such as 2024-01-31",
    "date_from_datetime_inexact": "must be a date, such as 2024-01-31, without a time of day",
}


def _explain(details: ErrorDetails, path: KeyPath, model: type[BaseModel]) -> tuple[str, str | None]:
    """What is wrong in plain words, and what to do about it if more can be said."""
    kind, given = details["type"], details["input"]
    if kind == "extra_forbidden":
        return "there is no such key", nearest(path[-1], _keys(path[:-1], model))
    if kind == "enum":
        return f'"{given}" is no {path[-1]}', nearest(str(given), _members(path, model))
    if path == ("version",):
        return f"version {given!r} of the contract is not known here; 1 is", "Update Holdfast, or write 1."
    return _reworded(details), None


def _reworded(details: ErrorDetails) -> str:
    kind, given, message = details["type"], details["input"], details["msg"]
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    found = f" (found {given!r})" if isinstance(given, str | int | float) else ""
    if kind == "string_pattern_mismatch":
        if str(details["ctx"]["pattern"]).startswith("^[a-z]"):
            return f"must begin with a small letter and hold only those, digits and _{found}"
        return f"must begin with a letter or digit and hold only those, blanks, and . _ -{found}"
    return _PLAIN.get(kind, message[:1].lower() + message[1:]) + found


def _annotation(path: KeyPath, model: type[BaseModel]) -> Any:
    """The type of a key, found by walking down from the whole file; none if there is no such key."""
    kind: Any = model
    for part in path:
        kind = _plain(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = kind.model_fields.get(part)
            kind = field.annotation if field else None
        elif typing.get_origin(kind) is dict:
            kind = typing.get_args(kind)[1]
        else:
            return None
    return _plain(kind)


def _plain(kind: Any) -> Any:
    """A type without what is said around it: ``Annotated`` and ``| None``."""
    if typing.get_origin(kind) is typing.Annotated:
        return _plain(typing.get_args(kind)[0])
    if typing.get_origin(kind) in (typing.Union, UnionType):
        choices = [one for one in typing.get_args(kind) if one is not type(None)]
        return _plain(choices[0]) if len(choices) == 1 else kind
    return kind


def _keys(table: KeyPath, model: type[BaseModel]) -> list[str]:
    """The keys that a table may have."""
    kind = _annotation(table, model)
    known = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else model
    return list(known.model_fields)


def _members(path: KeyPath, model: type[BaseModel]) -> list[str]:
    """The words that a key may have."""
    kind = _annotation(path, model)
    return [str(one) for one in kind] if isinstance(kind, type) and issubclass(kind, Enum) else []
