"""Read `churn.toml` and check it; every complaint names file, line and key."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from holdfast.contract.meanings import Meaning
from holdfast.contract.places import key_lines, line_of
from holdfast.contract.types import Churn, Column, Contract, Economics, Kind, Misfit
from holdfast.errors import ContractError, UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

_MOST_SHOWN = 8
_TOO_LARGE = 5_000_000
"""Bytes; MAX_COLUMNS columns with all their levels need less."""


class NoContractError(ContractError):
    """There is no such file: no fault of a contract, but of what was asked for."""

    exit_code = UsageError.exit_code


def load_contract(path: str | Path) -> Contract:
    """Read and check a contract file.

    Args:
        path: the file, usually ``churn.toml``.

    Raises:
        ContractError: the file is missing, no TOML, or says something that cannot be; all complaints at once.
    """
    file = Path(path)
    text = _read(file)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _broken(file, error) from error
    except RecursionError as error:
        raise ContractError("The file is nested too deeply.", where=str(file)) from error
    return parse_contract(document, where=str(file), lines=key_lines(text))


def parse_contract(
    document: Mapping[str, Any],
    *,
    where: str = "the contract",
    lines: dict[tuple[str, ...], int] | None = None,
) -> Contract:
    """Check a contract that is already plain dicts, such as ``Contract.canonical()`` gives.

    Args:
        document: keys and values as in the file.
        where: what to call it in errors.
        lines: the line of each key, where it came from a file.

    Raises:
        ContractError: it says something that cannot be; all complaints at once.
    """
    try:
        return Contract.model_validate(document)
    except ValidationError as error:
        places = lines or {}
        problems = [_Problem(details, places) for details in error.errors()]
        problems.sort(key=lambda problem: problem.line or 0)
        raise _complaint(where, problems) from error


def _read(file: Path) -> str:
    if not file.exists():
        raise NoContractError(
            "There is no such contract.",
            where=str(file),
            hint="Make one with `holdfast init customers.csv --label Churn`.",
        )
    if not file.is_file():
        raise ContractError("The contract is no file.", where=str(file), hint="Name a churn.toml.")
    try:
        if file.stat().st_size > _TOO_LARGE:
            raise ContractError("The file is too large for a contract.", where=str(file))
        return file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ContractError(
            f"The contract cannot be read: {error.strerror or error}.", where=str(file)
        ) from error
    except UnicodeDecodeError as error:
        raise ContractError(
            "The contract is not UTF-8.",
            where=f"{file}, byte {error.start:,}",
            hint="Save it as UTF-8; a table of customers is given to `holdfast init` instead.",
        ) from error


def _broken(file: Path, error: tomllib.TOMLDecodeError) -> ContractError:
    text = str(error)
    place = re.search(r"\(at line (\d+), column (\d+)\)", text)
    message = re.sub(r"\s*\(at [^)]*\)", "", text)
    where = f"{file}, line {place[1]}, column {place[2]}" if place else f"{file}, at its end"
    return ContractError(
        f"The contract is not valid TOML: {message[:1].lower()}{message[1:]}.",
        where=where,
        hint='Text needs quotes ("Yes"), and names with blanks do too ([columns."Monthly Charges"]).',
    )


class _Problem:
    """One complaint of the checker, in the user's terms."""

    def __init__(self, details: ErrorDetails, lines: dict[tuple[str, ...], int]) -> None:
        misfit = details.get("ctx", {}).get("error")
        at = misfit.at if isinstance(misfit, Misfit) else ()
        self.path = (*(str(part) for part in details["loc"] if part != "[key]"), *at)
        # A complaint about the keys of one column is raised at its table; it names the keys itself.
        self.line = line_of(self.path, lines)
        self.key = _key(self.path)
        self.text, self.hint = _explain(details, self.path)

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        what = f"{self.key}: {self.text}" if self.key else self.text
        return f"{place}{what}" + (f". {self.hint}" if self.hint else "")


def _complaint(where: str, problems: list[_Problem]) -> ContractError:
    first = problems[0]
    at = f"{where}, line {first.line}" if first.line else where
    if len(problems) == 1:
        message = f"{first.key}: {first.text}." if first.key else f"{first.text}."
        return ContractError(message, where=f"{at}, key {first.key}" if first.key else at, hint=first.hint)
    shown = [str(problem) for problem in problems[:_MOST_SHOWN]]
    if len(problems) > _MOST_SHOWN:
        shown.append(f"… and {len(problems) - _MOST_SHOWN} more")
    listed = "\n  ".join(shown)
    return ContractError(f"The contract has {len(problems)} mistakes:\n  {listed}", where=at)


def _key(path: tuple[str, ...]) -> str:
    return ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part}"' for part in path)


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
}


def _explain(details: ErrorDetails, path: tuple[str, ...]) -> tuple[str, str | None]:
    """What is wrong in plain words, and what to do about it if more can be said."""
    kind, given = details["type"], details["input"]
    if kind == "extra_forbidden":
        return "there is no such key", nearest(path[-1], _known(path[:-1]))
    if kind == "enum":
        known: list[str] = [str(value) for value in (Meaning if path[-1] == "meaning" else Kind)]
        return f'"{given}" is no {path[-1]}', nearest(str(given), known)
    if path == ("version",):
        return f"version {given!r} of the contract is not known here; 1 is", "Update Holdfast, or write 1."
    return _reworded(details), None


def _reworded(details: ErrorDetails) -> str:
    kind, given, message = details["type"], details["input"], details["msg"]
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    found = f" (found {given!r})" if isinstance(given, str | int | float) else ""
    if kind == "string_pattern_mismatch":
        return f"must begin with a letter or digit and hold only those, blanks, and . _ -{found}"
    return _PLAIN.get(kind, message[:1].lower() + message[1:]) + found


def _known(table: tuple[str, ...]) -> list[str]:
    """The keys that a table may have."""
    models: dict[str, type[BaseModel]] = {"churn": Churn, "economics": Economics, "columns": Column}
    model = models[table[0]] if table and table[0] in models else Contract
    return list(model.model_fields)
