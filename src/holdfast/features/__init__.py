"""Record features: one program of Polars expressions, the same in training, files and requests.

`record` holds the named features that meanings switch on, `custom` a user's own SQL expressions, `program`
puts both beside the input columns, `encode` learns on training rows what turns them into a float32 matrix and
`codecs` writes it.
May import `holdfast.contract` and below it `holdfast.errors`. Nothing here may look at a label except
`Encoder.fit`, and nothing may look at any row but the one it computes.
"""

from holdfast.features.codecs import Slot
from holdfast.features.encode import Encoder
from holdfast.features.program import FeatureProgram
from holdfast.features.record import RECORD_FEATURES, RecordFeature

__all__ = ["RECORD_FEATURES", "Encoder", "FeatureProgram", "RecordFeature", "Slot"]
