"""What leaving means in a history: an end, a cancellation, or silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.contract.guess.cancellations import by_cancellation
from holdfast.contract.guess.endings import by_end
from holdfast.contract.guess.silence import by_inactivity
from holdfast.contract.history import ChurnEvent
from holdfast.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from holdfast.contract.guess.fields import Fields
    from holdfast.contract.guess.leaving import Leaving

SOME_AT_ALL = 0.005
"""Share of customers that must have left by a definition for it to be guessed before the next."""

_OTHERS = "Leave --churn out to see what the tables do show."
_LACKS = {
    ChurnEvent.END: "an end: no interval or customer has one in the past",
    ChurnEvent.CANCELLATION: "a cancellation: no event says that a customer leaves",
    ChurnEvent.INACTIVITY: "inactivity: there is no table of events",
}
_GUESSES = {
    ChurnEvent.END: by_end,
    ChurnEvent.CANCELLATION: by_cancellation,
    ChurnEvent.INACTIVITY: by_inactivity,
}


def guess_leaving(
    everything: Sequence[Fields], *, until: date, asked: ChurnEvent | None, horizon: int | None
) -> Leaving:
    """The definition that the tables suggest.

    Args:
        everything: the tables.
        until: the last day on which anything happened.
        asked: the kind of churn that a user wants; guessed if not given.
        horizon: the horizon that a user wants, days; guessed if not given.

    Raises:
        UsageError: the tables have nothing of the kind asked for.
        DataError: they have nothing that could be churn.
    """
    tried = [asked] if asked is not None else list(ChurnEvent)
    doubtful: Leaving | None = None
    for event in tried:
        found = _GUESSES[event](everything, until, horizon)
        if found is not None and (asked is not None or (found.share >= SOME_AT_ALL and not found.aside)):
            return found
        doubtful = doubtful or found
    if doubtful is not None:
        return doubtful
    if asked is not None:
        raise UsageError(f"No table shows churn as {_LACKS[asked]}.", where="--churn", hint=_OTHERS)
    raise DataError(
        "Nothing in the tables says that a customer left: no interval ends and nothing happens.",
        hint="Add a table of what customers do, or of what they have and until when.",
    )
