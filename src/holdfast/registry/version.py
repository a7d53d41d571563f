"""What a registered version is, and how people refer to one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from holdfast.errors import HoldfastError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

Status = Literal["champion", "challenger", "retired"]

USE_ANOTHER = (
    "`holdfast models verify` tells which versions are sound, "
    "`holdfast models rollback` goes back to the champion before."
)
"""What to do when a version's files are damaged."""

TRAIN_FIRST = "Train a model first: holdfast train churn.toml"


class RegistryError(HoldfastError):
    """A version's files are not what was registered, or cannot be moved or copied."""

    code = "registry"


class UnknownVersionError(UsageError):
    """Nothing is registered under that name."""

    code = "version"


class NoEarlierChampionError(UnknownVersionError):
    """There is nothing to roll back to."""

    code = "no_earlier"


@dataclass(frozen=True)
class Version:
    """One registered model. ``path`` is its folder; ``metrics`` are those of its test split."""

    number: int
    name: str
    recipe: str
    path: Path
    status: Status
    created: datetime
    metrics: dict[str, Any]
    contract_digest: str
    data_digest: str
    manifest_digest: str

    @property
    def label(self) -> str:
        """The version as people write it, such as ``v3``."""
        return f"v{self.number}"

    def as_dict(self) -> dict[str, Any]:
        """The version for machines, in plain JSON types."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return plain | {"version": self.label, "path": str(self.path), "created": self.created.isoformat()}


@dataclass(frozen=True, slots=True)
class Promotion:
    """What became champion, and what was it before, as one transaction saw and changed it."""

    version: Version
    before: Version | None

    @property
    def changed(self) -> bool:
        """Whether the champion is another than before."""
        return self.before is None or self.before.number != self.version.number


_NUMBER = re.compile(r"v?(\d{1,9})")


def is_reference(ref: str) -> bool:
    """Whether ``ref`` is written as what `pick` understands: a slot's name or a number.

    >>> is_reference("champion"), is_reference("V3"), is_reference("./champion")
    (True, True, False)
    """
    wanted = ref.strip().casefold()
    return wanted in {"champion", "challenger"} or _NUMBER.fullmatch(wanted) is not None


def pick(versions: Sequence[Version], ref: str) -> Version:
    """The version that ``ref`` means: ``champion``, ``challenger``, ``3`` or ``v3``.

    Raises:
        UnknownVersionError: there is none; names those that there are.
    """
    wanted = ref.strip().casefold()
    number = _NUMBER.fullmatch(wanted)
    for version in versions:
        in_slot = version.status != "retired" and version.status == wanted
        if in_slot or (number and int(number[1]) == version.number):
            return version
    if not versions:
        raise UnknownVersionError("No model is registered yet.", hint=TRAIN_FIRST)
    if wanted == "challenger":
        raise UnknownVersionError("There is no challenger.", hint=f"Registered: {_listed(versions)}.")
    raise UnknownVersionError(f'There is no version "{ref[:100]}".', hint=f"Registered: {_listed(versions)}.")


def _listed(versions: Sequence[Version], most: int = 10) -> str:
    shown = [v.label if v.status == "retired" else f"{v.label} ({v.status})" for v in versions[-most:]]
    return ("…, " if len(versions) > most else "") + ", ".join(shown)
