"""Read tables from files, stores and databases into Polars, row by row accounted for.

`read_table` reads a whole file, `iter_batches` any length of file in flat memory; both know CSV in its many
dialects and Parquet by what the file holds, not by its name. `open_source` is the door for all that a
contract can name (folders, S3, databases too), and `list_tables` says what there is. Nothing is typed here:
text stays text until the contract says what it is.
"""

from holdfast.sources.door import list_tables, open_source, open_sources
from holdfast.sources.problems import SourceError
from holdfast.sources.read import iter_batches, read_names, read_table, table_size
from holdfast.sources.source import Source, Where
from holdfast.sources.tables import MALFORMED, RawBatch, RawTable, TableSize, said_of_encoding

__all__ = [
    "MALFORMED",
    "RawBatch",
    "RawTable",
    "Source",
    "SourceError",
    "TableSize",
    "Where",
    "iter_batches",
    "list_tables",
    "open_source",
    "open_sources",
    "read_names",
    "read_table",
    "said_of_encoding",
    "table_size",
]
