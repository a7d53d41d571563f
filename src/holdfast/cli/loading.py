"""Loads the model that a command speaks of, verified."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.cli.session import Session
    from holdfast.model import Model

ModelRef = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="REF",
        help="champion, challenger, a version such as 3 or v3, or the folder of an exported model.",
    ),
]


def load_model(session: Session, ref: str) -> Model:
    """The model that ``ref`` means, its files checked against what was registered.

    What is registered goes before a folder of the same name, which can be given as ``./champion``.

    Raises:
        UsageError: ``ref`` is a file.
        UnknownVersionError: nothing is registered under that name, or nothing at all.
        HoldfastError: its files are damaged.
    """
    from holdfast.model import Model  # noqa: PLC0415 - help must not wait for it
    from holdfast.registry import is_reference  # noqa: PLC0415 - help must not wait for it

    if not is_reference(ref) and Path(ref).exists():
        if not Path(ref).is_dir():
            raise UsageError("An exported model is given as its folder.", where=ref, hint="Unpack it first.")
        return Model.load(ref)
    with session.registry() as registry:
        version = registry.verify(ref)
    return Model.load(version.path, version=version.label)
