"""Finds the files that commands speak of, and says how to type them."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.contract import Contract

ContractFile = Annotated[Path, typer.Argument(metavar="CONTRACT", help="The contract, churn.toml.")]
DataFile = Annotated[
    Path | None,
    typer.Option("--data", metavar="FILE", help="The table; the one that the contract names, unless given."),
]


def training_data(contract: Contract, contract_file: Path, given: Path | None) -> Path:
    """The table that a contract is about: ``given``, or what the contract names beside itself.

    Raises:
        UsageError: neither says.
    """
    if given is not None:
        return given
    if contract.data is None:
        raise UsageError(
            "The contract does not say where the data are.",
            where=str(contract_file),
            hint='Give --data FILE, or write  data = "customers.csv"  at the top of the contract.',
        )
    return contract_file.parent / Path(contract.data).expanduser()


def typed(path: Path) -> str:
    """A file as a person would type it here: as it was given, relative or absolute, whichever is shortest."""
    there = path.parent.resolve() / path.name
    return shlex.quote(min(str(path), os.path.relpath(there, Path.cwd()), str(there), key=len))
