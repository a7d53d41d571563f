"""The log of answered predictions: one row for each, committed in groups, kept for a time, erased on demand.

Also the replies that an `Idempotency-Key` brings back, in the same transaction. Knows the database and rows;
no HTTP, no model.
"""

from holdfast.predictions.log import COLUMNS, Answered, LogError, LogState, Outcome, PredictionLog
from holdfast.predictions.replies import Reply

__all__ = ["COLUMNS", "Answered", "LogError", "LogState", "Outcome", "PredictionLog", "Reply"]
