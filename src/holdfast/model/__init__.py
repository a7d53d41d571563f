"""The model: a checked artefact that scores and explains.

`artefact` is the directory and its checksums, `estimators` the learners as they score, `ensemble` how several
become one, `calibration` the last step to a probability, `model` the object that every door calls. Imports no
web framework and trains nothing; no file that it opens can execute anything (no pickle, no import by name).
"""

from holdfast.model.artefact import ArtefactError
from holdfast.model.model import Model, Scored

__all__ = ["ArtefactError", "Model", "Scored"]
