"""Read customer tables from files into Polars, row by row accounted for.

`read_table` reads a whole file, `iter_batches` any length of file in flat memory; both know CSV in its many
dialects and Parquet by what the file holds, not by its name. Nothing is typed here: text stays text until the
contract says what it is.
"""

from holdfast.sources.problems import SourceError
from holdfast.sources.read import iter_batches, read_names, read_table, table_size
from holdfast.sources.tables import MALFORMED, RawBatch, RawTable, TableSize

__all__ = [
    "MALFORMED",
    "RawBatch",
    "RawTable",
    "SourceError",
    "TableSize",
    "iter_batches",
    "read_names",
    "read_table",
    "table_size",
]
