"""Finds the files that commands speak of, and says how to type them."""

from __future__ import annotations

import os
import shlex
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.contract import Contract
    from holdfast.progress import Progress
    from holdfast.settings import Settings

ContractFile = Annotated[Path, typer.Argument(metavar="CONTRACT", help="The contract, churn.toml.")]
DataFile = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FILE",
        help="The table: a file, s3://bucket/key or table:NAME; what the contract names, unless given.",
    ),
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
    named = Path(contract.data).expanduser()
    return named if address(named) else contract_file.parent / named


def address(table: Path) -> str | None:
    """Where a table is that is no file of this machine: ``s3://bucket/key`` or ``table:NAME``; else none."""
    text = table.as_posix()
    if text.startswith("s3:/"):  # a path folds two slashes into one
        return "s3://" + text.removeprefix("s3:").lstrip("/")
    return text if text.startswith("table:") else None


@contextmanager
def at_hand(table: Path, settings: Settings, progress: Progress) -> Iterator[Path]:
    """The file itself, or a copy, as long as it is needed, of a table that is elsewhere.

    Raises:
        SourceError: it cannot be fetched.
        UsageError: the settings do not say where its database is.
    """
    elsewhere = address(table)
    if elsewhere is None:
        progress.start(f"Reading {table.name}", None)
        yield table
        return
    from holdfast.sources import open_source  # noqa: PLC0415 - help must not wait for it

    progress.start(f"Fetching {elsewhere}", 1.0)
    with open_source(elsewhere, Path(), settings) as source, source.near(progress) as copy:
        progress.start(f"Reading {elsewhere}", None)
        yield copy


def typed(path: Path) -> str:
    """A file as a person would type it here: as it was given, relative or absolute, whichever is shortest."""
    elsewhere = address(path)
    if elsewhere is not None:
        return shlex.quote(elsewhere)
    there = path.parent.resolve() / path.name
    return shlex.quote(min(str(path), os.path.relpath(there, Path.cwd()), str(there), key=len))
