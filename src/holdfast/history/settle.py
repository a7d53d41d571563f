"""Judges the rows of a table against the others, and puts them in order: what no single row can tell.

DuckDB does it, because it sorts and joins more than fits into memory.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast.contract.history import TableKind

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import duckdb

    from holdfast.contract.history import Table

UNKNOWN = "its customer is not in the table of customers"
EARLY = "before the customer's own begin"
REPEATED = "the same version of the same id once more"
CONFLICT = "another version of its id, known at the same moment; the last one counts"

MOST_COMPARED = 20_000_000
"""Rows; files of more are not compared with each other, which would take long."""

WHOLE = 0.75
"""So large a share of different rows is there an even number of times, if a file was written twice."""

EXAMPLES = 1_000
"""So many rejects a table and reason are listed; all are counted."""


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


class Repeats(NamedTuple):
    """Rows that are there before, with the same values in all that is read."""

    across: int = 0
    """In another file."""
    within: int = 0
    """In their own file alone."""
    whole: bool = False
    """Whether nearly every row is there again, as if the file was written twice."""


class Settler:
    """Settles one table after the other; the register of customers first.

    Args:
        connection: DuckDB, with its memory limit and folder for what does not fit.
        register: name of the table of customers, if there is one.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, register: str | None) -> None:
        self._db = connection
        self._register = register
        self._columns: list[str] = []

    def settle(
        self, name: str, table: Table, staged: Path, out: Path
    ) -> tuple[int, dict[str, int], list[tuple[Any, ...]]]:
        """Write the table's canonical file: good rows alone, sorted by customer and time.

        Args:
            name: of the table.
            table: its description.
            staged: Parquet as `TableReader` makes it.
            out: the file to write.

        Returns:
            How many rows were kept, how many rejected by reason, and examples of those
            (file, row, column, value, reason).
        """
        db = self._db
        db.execute(
            f"CREATE OR REPLACE TEMP VIEW staged AS SELECT * FROM read_parquet({literal(str(staged))})"
        )
        self._columns = [row[0] for row in db.execute("DESCRIBE staged").fetchall()]
        known = self._register is not None and name != self._register
        judged = self._judged(table, with_register=known)
        hidden = {"_file", "_row", "_id", "_day", "_known", "_customer", "_time", "_begin", "_end"}
        times = ["_time"] if table.kind is TableKind.EVENTS else ["_begin", "_end"]
        first = ["_customer", *times, "_known", "_superseded"]
        kept_columns = ", ".join(quoted(c) for c in [*first, *(c for c in self._columns if c not in hidden)])
        copied = db.execute(
            f"COPY (SELECT {kept_columns} FROM ({judged}) WHERE _why IS NULL "
            f"ORDER BY _customer, {times[0]}, _known, _file, _row) "
            f"TO {literal(str(out))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
        ).fetchone()
        kept = int(copied[0]) if copied else 0
        found = db.execute("SELECT count(*) FROM staged").fetchone()
        rejected: dict[str, int] = {}
        examples: list[tuple[Any, ...]] = []
        if found and kept < int(found[0]):
            rejected, examples = self._rejects(judged, table)
        if name == self._register:
            db.execute(
                "CREATE OR REPLACE TEMP TABLE register AS "
                # As first told: what is corrected later must not judge rows that were read before.
                "SELECT _customer, array_agg(_day ORDER BY _known, _day NULLS FIRST)[1] AS _day "
                f"FROM ({judged}) WHERE _why IS NULL GROUP BY _customer"
            )
        return kept, rejected, examples

    def _judged(self, table: Table, *, with_register: bool) -> str:
        """Staged rows with ``_superseded`` and ``_why`` (null: good)."""
        begins = "_time" if table.kind is TableKind.EVENTS else "_begin"
        placed = "SELECT staged.*, CAST(NULL AS VARCHAR) AS _where FROM staged"
        if with_register:
            placed = (
                f"SELECT staged.*, CASE WHEN register._customer IS NULL THEN {literal(UNKNOWN)} "
                f"WHEN staged.{begins} < register._day THEN {literal(EARLY)} END AS _where "
                "FROM staged LEFT JOIN register ON staged._customer = register._customer"
            )
        key = version_key(table)
        if key is None:
            return f"SELECT *, CAST(NULL AS TIMESTAMP) AS _superseded, _where AS _why FROM ({placed})"
        content = ", ".join(quoted(c) for c in self._columns if c not in {"_file", "_row"})
        versions = (
            f"SELECT *, CASE WHEN {key} IS NOT NULL THEN lead(_known) OVER w END AS _superseded, "
            f"lead(hash({content})) OVER w = hash({content}) AS _same FROM ({placed}) "
            f"WINDOW w AS (PARTITION BY {key}, _where IS NULL ORDER BY _known, _file, _row)"
        )
        return (
            "SELECT *, CASE WHEN _where IS NOT NULL THEN _where "
            f"WHEN _superseded = _known AND _same THEN {literal(REPEATED)} "
            f"WHEN _superseded = _known THEN {literal(CONFLICT)} END AS _why FROM ({versions})"
        )

    def _rejects(self, judged: str, table: Table) -> tuple[dict[str, int], list[tuple[Any, ...]]]:
        wrong = f"SELECT _file, _row, _customer, _why FROM ({judged}) WHERE _why IS NOT NULL"
        counts = self._db.execute(
            f"SELECT _why, count(*) FROM ({wrong}) GROUP BY _why ORDER BY _why"
        ).fetchall()
        start = table.time if table.kind is TableKind.EVENTS else table.begin
        examples = []
        for reason, _ in counts:
            column = start if reason == EARLY else table.customer if reason == UNKNOWN else table.id
            rows = self._db.execute(
                f"SELECT _file, _row, ?, CASE WHEN ? THEN _customer END, _why FROM ({wrong}) "
                "WHERE _why = ? ORDER BY _file, _row LIMIT ?",
                [column or table.customer, reason == UNKNOWN, reason, EXAMPLES],
            ).fetchall()
            examples += rows
        return {str(reason): int(count) for reason, count in counts}, examples

    def overlaps(self, out: Path) -> int:
        """How many intervals begin while another one of the customer's is in force; legal, worth knowing."""
        found = self._db.execute(
            "SELECT count(*) FROM (SELECT _begin < max(coalesce(_end, TIMESTAMP '9999-01-01')) OVER ("
            "PARTITION BY _customer ORDER BY _begin, _end ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
            f") AS _over FROM read_parquet({literal(str(out))}) WHERE _superseded IS NULL) WHERE _over"
        ).fetchone()
        return int(found[0]) if found else 0

    def twice(self, name: str, table: Table, out: Path) -> Repeats:
        """How many kept rows of the table settled last are the same as one before, in all that is read.

        Exports that overlap, such as of two years, count what lies in both twice; what one file repeats may
        have happened twice, or was written twice. Looked for where rows have no ids.

        Args:
            name: of the table.
            table: its description.
            out: its canonical file.
        """
        if version_key(table) is not None:
            return Repeats()
        start = "_time" if table.kind is TableKind.EVENTS else "_begin"
        across = self._across(name, table, start)
        if across is None:
            return Repeats()
        repeated, even, kept = self._repeated(out, start)
        return Repeats(across, max(repeated - across, 0), whole=even >= WHOLE * (kept - repeated))

    def _across(self, name: str, table: Table, start: str) -> int | None:
        """Rows that another file has, too; none of files that tell of other times; None if not compared."""
        spans = self._db.execute(
            f"SELECT min({start}), max({start}), count(*) FROM staged GROUP BY _file ORDER BY 1, _file"
        ).fetchall()
        shared = [low for before, (low, *_) in pairwise(spans) if low <= before[1]]
        if not shared:
            return 0
        if sum(rows for *_, rows in spans) > MOST_COMPARED:
            return None
        good = self._judged(table, with_register=self._register not in {None, name})
        content = ", ".join(quoted(c) for c in self._columns if c not in {"_file", "_row"})
        found = self._db.execute(
            "SELECT sum(total) - sum(most) FROM (SELECT sum(counted) AS total, max(counted) AS most FROM ("
            f"SELECT hash({content}) AS _what, _file, count(*) AS counted FROM ({good}) "
            f"WHERE _why IS NULL AND {start} >= ? GROUP BY _what, _file) GROUP BY _what)",
            [shared[0]],
        ).fetchone()
        return int(found[0] or 0) if found else 0

    def _repeated(self, out: Path, start: str) -> tuple[int, int, int]:
        """Rows beyond the first of their like; different rows that are there 2, 4, … times; all rows."""
        file = f"read_parquet({literal(str(out))})"
        columns = [row[0] for row in self._db.execute(f"DESCRIBE SELECT * FROM {file}").fetchall()]
        # Rows are in order of customer and time: only where a neighbour has both, one must look closer.
        beside = " OR ".join(
            f"(_customer = {of}(_customer) OVER () AND {start} = {of}({start}) OVER ())"
            for of in ("lag", "lead")
        )
        found = self._db.execute(
            "SELECT coalesce(sum(counted - 1), 0), count(*) FILTER (WHERE counted % 2 = 0), "
            f"(SELECT count(*) FROM {file}) FROM (SELECT count(*) AS counted FROM "
            f"(SELECT hash({', '.join(map(quoted, columns))}) AS _what, {beside} AS _near FROM {file}) "
            "WHERE _near GROUP BY _what HAVING count(*) > 1)"
        ).fetchone()
        repeated, even, kept = found or (0, 0, 0)
        return int(repeated), int(even), int(kept)

    def first_left(self, out: Path, left: str, where: str) -> datetime | None:
        """When leaving began to be recorded: the first of a file's leavers, but for one in a hundred.

        Args:
            out: the file.
            left: the column that says when.
            where: SQL over the file as ``t``: which rows tell of leavers.
        """
        found = self._db.execute(
            f"SELECT quantile_disc(t.{left}, 0.01) FROM read_parquet({literal(str(out))}) AS t WHERE {where}"
        ).fetchone()
        return found[0] if found else None

    def span(self, out: Path, kind: TableKind) -> tuple[datetime | None, datetime | None, datetime | None]:
        """First and last time of a canonical file, and when its last row became known."""
        time = "_time" if kind is TableKind.EVENTS else "_begin"
        found = self._db.execute(
            f"SELECT min({time}), max({time}), max(_known) FROM read_parquet({literal(str(out))})"
        ).fetchone()
        return found or (None, None, None)


def version_key(table: Table) -> str | None:
    """The canonical column whose rows are versions of one fact; none where every row is a fact of its own.

    A customer is one fact: of several rows about one the latest known counts.
    """
    if table.id is not None:
        return "_id"
    return "_customer" if table.kind is TableKind.CUSTOMERS else None
