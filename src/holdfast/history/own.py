"""A user's own features."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.contract.history import History
    from holdfast.history.feature import HistoryFeature


def own_features(history: History) -> list[HistoryFeature]:
    """The user's own features."""
    return []
