"""Read `churn.toml` and check it; every complaint names file, line and key."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from holdfast.contract.complaints import Complaint, complaints_of, refusal
from holdfast.contract.history import History
from holdfast.contract.places import KeyPath, key_lines, line_of
from holdfast.contract.types import Contract
from holdfast.errors import ContractError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

Checked = TypeVar("Checked", bound=BaseModel)

_TOO_LARGE = 5_000_000
"""Bytes; MAX_COLUMNS columns with all their levels need less."""

_LONGEST_QUERY = 200_000
"""Bytes of one feature's SQL."""


class NoContractError(ContractError):
    """There is no such file: no fault of a contract, but of what was asked for."""

    exit_code = UsageError.exit_code


def load_contract(path: str | Path) -> Contract:
    """Read and check a contract file about one table of customers.

    Args:
        path: the file, usually ``churn.toml``.

    Raises:
        ContractError: the file is missing, no TOML, describes a history, or says something that cannot be;
            all complaints at once.
    """
    opened = _open(Path(path))
    if opened.is_history:
        raise ContractError(
            "The contract describes a history of several tables; one about a single table is needed here.",
            where=str(path),
            hint="Make one with `holdfast init customers.csv --label Churn`.",
        )
    return parse_contract(opened.document, where=str(path), lines=opened.lines)


def is_history(path: str | Path) -> bool:
    """Whether a contract file describes a history: it has a section ``[tables]``.

    Raises:
        ContractError: the file is missing or no TOML.
    """
    return _open(Path(path)).is_history


def load_history(path: str | Path) -> History:
    """Read and check a contract file about the tables of a history, with the features beside it.

    Args:
        path: the file, usually ``churn.toml``. Its ``[features]`` name files with SQL in its own folder.

    Raises:
        ContractError: the file is missing, no TOML, describes a single table, or says something that cannot
            be; or the file of a feature cannot be read. All complaints at once.
    """
    file = Path(path)
    opened = _open(file)
    if not opened.is_history:
        raise ContractError(
            "The contract describes one table of customers; one about a history ([tables]) is needed here.",
            where=str(file),
            hint="Make one with `holdfast init --tables FOLDER`.",
        )
    document, lines = dict(opened.document), opened.lines
    features, complaints = _features(document.get("features"), file, lines)
    if features is not None:
        document["features"] = features
    history = _checked(History, document, str(file), lines, complaints)
    named = opened.document.get("features", {})
    history.files.update({name: str(file.parent / said) for name, said in named.items()})
    return history


def parse_contract(
    document: Mapping[str, Any],
    *,
    where: str = "the contract",
    lines: dict[KeyPath, int] | None = None,
) -> Contract:
    """Check a contract that is already plain dicts, such as ``Contract.canonical()`` gives.

    Args:
        document: keys and values as in the file.
        where: what to call it in errors.
        lines: the line of each key, where it came from a file.

    Raises:
        ContractError: it says something that cannot be; all complaints at once.
    """
    return _checked(Contract, document, where, lines or {})


def parse_history(document: Mapping[str, Any], *, where: str = "the contract") -> History:
    """Check a history that is already plain dicts, such as ``History.canonical()`` gives.

    Args:
        document: keys and values as in the file, but features as the text of their SQL.
        where: what to call it in errors.

    Raises:
        ContractError: it says something that cannot be; all complaints at once.
    """
    return _checked(History, document, where, {})


def _checked(
    model: type[Checked],
    document: Mapping[str, Any],
    where: str,
    lines: dict[KeyPath, int],
    known: list[Complaint] | None = None,
) -> Checked:
    complaints = known or []
    try:
        checked = model.model_validate(document)
    except ValidationError as error:
        raise refusal(where, [*complaints, *complaints_of(error, model, lines)]) from error
    if complaints:
        raise refusal(where, complaints)
    return checked


@dataclass(frozen=True)
class _Opened:
    """A file that is TOML."""

    document: dict[str, Any]
    lines: dict[KeyPath, int]

    @property
    def is_history(self) -> bool:
        return "tables" in self.document


def _open(file: Path) -> _Opened:
    text = _read(file)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _broken(file, error) from error
    except RecursionError as error:
        raise ContractError("The file is nested too deeply.", where=str(file)) from error
    return _Opened(document, key_lines(text))


def _features(
    named: object, contract: Path, lines: dict[KeyPath, int]
) -> tuple[dict[str, object] | None, list[Complaint]]:
    """The text of each feature's file, and what is wrong with the files; none if there is no such section."""
    if not isinstance(named, dict):
        return None, []
    texts: dict[str, object] = {}
    complaints = []
    for name, said in named.items():
        texts[name] = said
        if not isinstance(said, str):
            continue  # the checker says what is wrong with it
        found = _query(said, contract.parent)
        if isinstance(found, _Unusable):
            path = ("features", name)
            complaints.append(Complaint(path, line_of(path, lines), found.text, found.hint))
        else:
            texts[name] = found
    return texts, complaints


@dataclass(frozen=True)
class _Unusable:
    """Why a feature's file cannot be used."""

    text: str
    hint: str | None = None


def _query(said: str, folder: Path) -> str | _Unusable:
    """The text of a feature's file, or what is wrong with it."""
    beside = 'Name a file beside the contract, such as "features/late_payments.sql".'
    if "\0" in said or "\n" in said or not said.endswith(".sql"):
        return _Unusable("must be the name of a .sql file", beside)
    file, home = (folder / said).resolve(), folder.resolve()
    if Path(said).is_absolute() or not file.is_relative_to(home):
        return _Unusable(f'"{said}" is outside the contract\'s folder', beside)
    try:
        if file.stat().st_size > _LONGEST_QUERY:
            return _Unusable(f'"{said}" is too long for one query')
        return file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        return _Unusable(f'"{said}" cannot be read: {error.strerror or error}', beside)
    except UnicodeDecodeError as error:
        return _Unusable(f'"{said}" is not UTF-8, byte {error.start:,}', "Save it as UTF-8.")


def _read(file: Path) -> str:
    if not file.exists():
        raise NoContractError(
            "There is no such contract.",
            where=str(file),
            hint="Make one with `holdfast init customers.csv --label Churn`, or of event tables with "
            "`holdfast init --tables FOLDER`.",
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
