"""Holdfast finds the customers a business is about to lose, says whom to act on and why.

The public names load on first use, so that ``import holdfast`` and ``holdfast --help`` stay instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.contract import Contract
    from holdfast.model import Model
    from holdfast.training import train

__version__ = "0.1.0"
__all__ = ["Contract", "Model", "__version__", "train"]

_HOMES = {"Contract": "holdfast.contract", "Model": "holdfast.model", "train": "holdfast.training"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'holdfast' has no attribute {name!r}")
