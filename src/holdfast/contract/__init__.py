"""The contract: one file, `churn.toml`, that describes a business's customer table, or its history.

Its types, loading, writing and inference from data. Imports nothing of Holdfast but `holdfast.errors`: every
other room derives from it. Nothing about telco may be typed in here.
"""

from holdfast.contract.history import History
from holdfast.contract.meanings import Meaning
from holdfast.contract.types import Churn, Column, Contract, Economics, Kind

__all__ = ["Churn", "Column", "Contract", "Economics", "History", "Kind", "Meaning"]
