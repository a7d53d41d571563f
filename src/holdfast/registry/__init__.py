"""Which models there are, and which one is in charge: versions, champion and challenger, as rows.

A version's files (the artefact) lie under the home folder; its row, its deployment and the event that tells
of it change in one transaction. A row never names files that are not there, whatever is killed when. Knows
nothing of what is inside an artefact but its manifest, and must never load a model.
"""

from holdfast.registry.registry import Registry
from holdfast.registry.version import (
    USE_ANOTHER,
    Promotion,
    RegistryError,
    UnknownVersionError,
    Version,
    is_reference,
)

__all__ = [
    "USE_ANOTHER",
    "Promotion",
    "Registry",
    "RegistryError",
    "UnknownVersionError",
    "Version",
    "is_reference",
]
