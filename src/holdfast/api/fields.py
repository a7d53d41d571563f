"""How one JSON value of each kind of column is read and described.

JSON has types, so a wrong one is an error here and no guess is made (``"29.85"`` is no number). What a value
*says* (ranges, dates, levels) is for `holdfast.quality.conform` to judge, as it is for files.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from holdfast.contract import Kind, parse
from holdfast.contract.text import SAID_MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.contract import Column

_LARGEST = 2**63
_EXACT = 2**53
"""Below it a float that is whole is an integer beyond doubt."""

LONGEST_TEXT = 1_000
"""Characters of a text. No level, id or date is as long; a log of longer ones would fill the disk."""

NO_NUL = r"^[^\u0000]*$"
ID_PATTERN = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"
"""An id has more than spaces."""

EXAMPLE_DATE = "2024-06-01"


def field_type(column: Column) -> Any:
    """The annotation of a column's field: what is accepted, and what the schema says of it."""
    readers: dict[Kind, Any] = {
        Kind.NUMBER: float | None,
        Kind.INTEGER: Annotated[int | None, BeforeValidator(whole)],
        Kind.BOOLEAN: Annotated[bool | None, BeforeValidator(boolean_reader(column))],
        Kind.CATEGORY: Annotated[str | None, BeforeValidator(text)],
        Kind.DATE: Annotated[str | None, AfterValidator(text)],
        Kind.ID: Annotated[str | None, BeforeValidator(text)],
    }
    return Annotated[readers[column.kind], WithJsonSchema(schema(column))]


def free_text(said: dict[str, Any]) -> Any:
    """The annotation of a field that is no column: text or a number, kept as text."""
    return Annotated[str | None, BeforeValidator(text), WithJsonSchema(said)]


def schema(column: Column) -> dict[str, Any]:
    """JSON Schema of a column's field: type, range, levels, example and a sentence."""
    said: dict[str, Any] = {"description": describe(column), "examples": [example(column)]}
    if column.kind in (Kind.NUMBER, Kind.INTEGER):
        bounds = {"minimum": column.min, "maximum": column.max}
        said |= {name: _plain(bound) for name, bound in bounds.items() if bound is not None}
        return {"type": [column.kind.value, "null"], **said}
    if column.kind is Kind.BOOLEAN:
        own = [word for word in (column.true, column.false) if word is not None]
        return {"anyOf": [{"type": "boolean"}, {"enum": [*own, 1, 0]}, {"type": "null"}], **said}
    if column.kind is Kind.DATE:
        return {"type": ["string", "null"], "format": "date", **said}
    if column.kind is Kind.ID:
        return {"type": ["string", "integer"], "pattern": ID_PATTERN, "maxLength": LONGEST_TEXT, **said}
    if column.levels is None:
        return {"type": ["string", "number", "null"], "pattern": NO_NUL, "maxLength": LONGEST_TEXT, **said}
    # Listed levels first, so that forms can offer them; any other text is taken too.
    return {
        "anyOf": [
            {"enum": list(column.levels)},
            {"type": ["string", "number"], "pattern": NO_NUL, "maxLength": LONGEST_TEXT},
            {"type": "null"},
        ],
        **said,
    }


def plain_reader(column: Column) -> Callable[[Sequence[Any]], Sequence[Any] | None]:
    """Reads many values of a column as `field_type` reads each; None where one needs a closer look."""
    if column.kind is Kind.BOOLEAN:
        read = boolean_reader(column)
        words = [word for word in (column.true, column.false) if word is not None]
        known = {None: None, True: True, False: False} | {word: read(word) for word in words}
        # To a dictionary, 1 is True: numbers may be looked up only where they mean the same.
        numbers = {int} if read(1) is True and read(0) is False else set()
        return partial(_plain_booleans, known=known, types={bool, str, type(None)} | numbers)
    if column.kind is Kind.NUMBER:
        return plain_numbers
    return plain_integers if column.kind is Kind.INTEGER else plain_text


def plain_numbers(values: Sequence[Any]) -> Sequence[Any] | None:
    """Finite numbers as floats."""
    types = set(map(type, values))
    if types == {float}:
        return values if all(map(math.isfinite, values)) else None
    if not types <= {float, int, type(None)}:
        return None
    try:
        floats = [None if value is None else float(value) for value in values]
    except OverflowError:
        return None
    return floats if all(value is None or math.isfinite(value) for value in floats) else None


def plain_integers(values: Sequence[Any]) -> Sequence[Any] | None:
    """Whole numbers that fit into 64 bits."""
    if not set(map(type, values)) <= {int, type(None)}:
        return None
    return values if all(value is None or -_LARGEST <= value < _LARGEST for value in values) else None


def plain_text(values: Sequence[Any]) -> Sequence[Any] | None:
    """Text that is not too long and holds no NUL."""
    types = set(map(type, values))
    if not types <= {str, type(None)}:
        return None
    texts = values if types == {str} else [*filter(None, values)]
    return values if max(map(len, texts), default=0) <= LONGEST_TEXT and "\0" not in "".join(texts) else None


def _plain_booleans(
    values: Sequence[Any], *, known: dict[Any, bool | None], types: set[type]
) -> Sequence[Any] | None:
    if not set(map(type, values)) <= types:
        return None
    try:
        return [known[value] for value in values]
    except KeyError:
        return None


def describe(column: Column) -> str:
    """One sentence for people."""
    parts = [column.kind.value + (f", {column.meaning.value.replace('_', ' ')}" if column.meaning else "")]
    if column.min is not None or column.max is not None:
        low = "any" if column.min is None else f"{column.min:,.15g}"
        high = "any" if column.max is None else f"{column.max:,.15g}"
        parts.append(f"from {low} to {high}")
    if column.levels is not None:
        parts.append("another level than those listed is scored as missing, with a warning")
    if column.kind is Kind.BOOLEAN:
        parts.append("true or false" + (f', "{column.true}" or "{column.false}"' if column.true else ""))
    if column.kind is Kind.DATE:
        parts.append("ISO, such as " + EXAMPLE_DATE)
    return "; ".join(parts) + "."


def example(column: Column) -> Any:
    """A value that the contract accepts and that looks like a customer's."""
    if column.kind in (Kind.NUMBER, Kind.INTEGER):
        return _plain(_typical(column), whole=column.kind is Kind.INTEGER)
    if column.kind is Kind.BOOLEAN:
        return {None: False, "0": 0, "false": False}.get(column.false, column.false)
    if column.kind is Kind.DATE:
        return EXAMPLE_DATE
    if column.kind is Kind.ID:
        return "C-0001"
    return column.levels[0] if column.levels else "other"


def _typical(column: Column) -> float:
    """Contracts allow about ten times what was seen, so what is usual is far below the bound."""
    low = column.min if column.min is not None else min(0.0, column.max or 0.0)
    high = column.max if column.max is not None else low + 20
    value = low + (high - low) / 20 if low >= 0 else min(max(0.0, low), high)
    value = float(f"{value:.2g}")
    if column.kind is Kind.INTEGER:
        value = math.ceil(low) if math.floor(value) < low else math.floor(value)
    return value if low <= value <= high else low


def _plain(number: float, *, whole: bool = True) -> float | int:
    return int(number) if whole or (number == int(number) and abs(number) < _EXACT) else number


def whole(value: Any) -> Any:
    """An integer of 64 bits from a JSON number; 3.0 is 3, as clients write it beside missing values."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong("a whole number", value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise PydanticCustomError("value", "infinite or not a number")
        if value != int(value):
            raise PydanticCustomError("value", "not a whole number")
    if not -_LARGEST <= value < _LARGEST:
        raise PydanticCustomError("value", "too large for an integer")
    return int(value)


def text(value: Any) -> Any:
    """A level or an id: text, or a number, written as files write it (3.0 is 3)."""
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise PydanticCustomError("value", "longer than {most} characters", {"most": f"{LONGEST_TEXT:,}"})
    if isinstance(value, str) and "\0" in value:  # PostgreSQL has no such text
        raise PydanticCustomError("value", "holds NUL, which no text can")
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong("text", value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise PydanticCustomError("value", "infinite or not a number")
        return str(int(value)) if value == int(value) and abs(value) < _EXACT else repr(value)
    if not -_LARGEST <= value < _LARGEST:
        raise PydanticCustomError("value", "too large for an integer; write it as text")
    return str(value)


def boolean_reader(column: Column) -> Callable[[Any], Any]:
    """Reads true and false, and the spellings that files may use, as `parse.boolean_expr` reads them."""
    yes, no = parse.boolean_words(column.true, column.false)
    said = (column.true or "true", column.false or "false")
    exact = (
        dict(zip(said, (True, False), strict=True)) if (column.true is None) == (column.false is None) else {}
    )
    reason = f'neither "{said[0]}" nor "{said[1]}"' if column.true else "not yes or no, true or false, 1 or 0"
    return partial(_boolean, exact=exact, yes=yes, no=no, reason=reason)


def _boolean(
    value: Any, *, exact: dict[str, bool], yes: frozenset[str], no: frozenset[str], reason: str
) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if not isinstance(value, str | int | float):
        raise _wrong("true or false", value)
    spelled = str(value)
    found = exact.get(spelled)
    if found is not None:
        return found
    key = _key(spelled[:100])
    if key in yes or key in no:
        return key in yes
    if isinstance(value, str) and spelled.strip().lower() in SAID_MISSING:
        return None
    raise PydanticCustomError("value", "{reason}", {"reason": reason})


_key = lru_cache(maxsize=1_024)(parse.key_of)


def _wrong(needed: str, value: object) -> PydanticCustomError:
    return PydanticCustomError(
        "type", "{needed} is needed, not {given}", {"needed": needed, "given": json_type(value)}
    )


def json_type(value: object) -> str:
    """What JSON calls the type of a parsed value."""
    if value is None:
        return "null"
    names = {
        bool: "true or false",
        str: "text",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), "something else")
