"""Decisions: from a probability and the contract's economics to whom to act on.

Imports the contract only. A decision never looks at anything but the probability and the economics, so the
same customer gets the same decision through every door.
"""

from holdfast.decisions.profit import (
    RECOMMENDATIONS,
    RISK_LEVELS,
    decide,
    expected_gain,
    profit_threshold,
    risk,
)

__all__ = ["RECOMMENDATIONS", "RISK_LEVELS", "decide", "expected_gain", "profit_threshold", "risk"]
