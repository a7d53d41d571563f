"""What can be wrong with a history, as one kind of error."""

from __future__ import annotations

from holdfast.errors import DataError


class HistoryError(DataError):
    """The tables of a history cannot be used as its contract says; ``where`` names table and column."""

    code = "history"
