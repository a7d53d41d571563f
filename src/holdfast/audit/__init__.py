"""The audit trail: who changed what, each entry chained to the one before by its hash.

Whatever changes state adds its entry in the same transaction (`record`). Entries name people and programs,
never customers. Below everything that changes state; knows only `store`.
"""

from holdfast.audit.trail import Entry, entries, hold, newest, record
from holdfast.audit.verify import Fault, Verdict, verify

__all__ = ["Entry", "Fault", "Verdict", "entries", "hold", "newest", "record", "verify"]
