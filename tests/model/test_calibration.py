from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.calibration import Calibrator

shares = st.lists(st.floats(0, 1), min_size=2, max_size=20, unique=True).map(sorted)


@st.composite
def calibrators(draw):
    if draw(st.booleans()):
        return Calibrator("logistic", draw(st.floats(0.05, 5)), draw(st.floats(-5, 5)))
    y = draw(shares)
    x = np.cumsum(draw(st.lists(st.floats(1e-3, 3), min_size=len(y), max_size=len(y)))) - 5
    return Calibrator("isotonic", 1.0, 0.0, tuple(zip(x.tolist(), y, strict=True)))


@given(calibrators(), st.lists(st.floats(-50, 50), min_size=1, max_size=40))
def test_probabilities_rise_with_the_log_odds_and_stay_between_0_and_1(calibrator, logits):
    p = calibrator.probability(np.sort(np.array(logits)))
    assert ((p >= 0) & (p <= 1)).all()
    assert (np.diff(p) >= -1e-15).all()


@given(calibrators(), st.lists(st.floats(-50, 50), min_size=1, max_size=40))
def test_the_state_survives_json_and_a_row_alone_has_its_bits(calibrator, logits):
    z = np.array(logits)
    again = Calibrator.restore(json.loads(json.dumps(calibrator.state())))
    assert again == calibrator
    together = calibrator.probability(z)
    assert again.probability(z).tobytes() == together.tobytes()
    assert (
        np.concatenate([again.probability(z[[at]]) for at in range(len(z))]).tobytes() == together.tobytes()
    )


def test_none_is_the_sigmoid():
    assert Calibrator().probability(np.array([0.0, 2.0])) == pytest.approx([0.5, 1 / (1 + np.exp(-2))])


@pytest.mark.parametrize(
    "change",
    [
        {"slope": 0},
        {"slope": -1},
        {"points": [[1, 0.1], [0, 0.2]]},
        {"points": [[0, 0.2], [1, 0.1]]},
        {"points": [[0, -0.1], [1, 0.1]]},
        {"points": [[0, 0.5], [0, 0.6]]},
    ],
)
def test_one_that_falls_is_not_taken_back(change):
    with pytest.raises(ValueError, match="rise"):
        Calibrator.restore(Calibrator().state() | change)
