"""Training: candidates, tuning, calibration, evaluation, report.

`train` is the whole; `search` what happens before the test split is touched, `build` what the choice becomes,
`metrics` what is measured. May import the registry and below. Nothing that data teach may be learned outside
the rows that teach it, and the simulator's oracle has no path here.
"""

from holdfast.training.evaluate import Evaluation, evaluate
from holdfast.training.train import Trained, train

__all__ = ["Evaluation", "Trained", "evaluate", "train"]
