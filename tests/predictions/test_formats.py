from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from datetime import datetime

import pyarrow as pa
import pytest
from pyarrow import parquet

from holdfast.predictions import listing
from holdfast.predictions.formats import SCHEMA, export
from holdfast.predictions.listing import NAMES, Wanted, page


def read(content, layout):
    if layout == "ndjson":
        return [json.loads(line) for line in content.splitlines()]
    if layout == "parquet":
        table = parquet.read_table(pa.BufferReader(content))
        assert table.schema.equals(SCHEMA)
        return [
            row
            | {name: listing.moment(row[name]) for name in ("timestamp", "as_of")}
            | {"record": json.loads(row["record"])}
            for row in table.to_pylist()
        ]
    parse = {
        "record": json.loads,
        "will_churn": {"true": True, "false": False}.__getitem__,
        "key_id": lambda text: text or None,
    } | dict.fromkeys(("churn_probability", "threshold", "latency_ms"), float)
    rows = csv.DictReader(io.StringIO(content.decode(), newline=""))
    return [{name: parse.get(name, str)(value) for name, value in row.items()} for row in rows]


@pytest.mark.parametrize("layout", ["csv", "parquet", "ndjson"])
@pytest.mark.parametrize("many", [0, 1, 50])
def test_an_export_holds_what_the_pages_show(database, log_some, layout, many, monkeypatch):
    monkeypatch.setattr(listing, "BLOCK", 20)
    if many:
        log_some(database, many)
    found = read(b"".join(export(database, Wanted(), layout, "test")), layout)
    shown = page(database, Wanted(), limit=1_000).predictions
    for row in [*found, *shown]:
        assert list(row) == list(NAMES)
        for name in ("timestamp", "as_of"):
            row[name] = datetime.fromisoformat(row[name])
    assert found == shown
    assert len(found) == many


def test_an_export_tells_how_far_it_is(database, log_some):
    log_some(database, 30)

    class Watcher:
        told: tuple = ()
        done = 0

        def start(self, name, total):
            self.told = (name, total)

        def advance(self, amount=1.0, note=None):  # noqa: ARG002 - the protocol's
            self.done += amount

    watcher = Watcher()
    b"".join(export(database, Wanted(), "csv", "test", watcher))
    assert (watcher.told, watcher.done) == (("Exporting", 30), 30)


PROGRAM = """
import resource, sys
from pathlib import Path
from holdfast.predictions.formats import export
from holdfast.predictions.listing import Wanted
from holdfast.store import engine

opened = engine(sys.argv[1])
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for layout in ("csv", "ndjson", "parquet"):
    warm = next(export(opened, Wanted(), layout, "test"))
before = peak()
written = sum(len(part) for layout in ("csv", "ndjson") for part in export(opened, Wanted(), layout, "test"))
print(written // 1024, peak() - before)
"""


def test_memory_is_flat_however_long_the_export(database, log_some):
    if database.dialect.name != "sqlite":
        pytest.skip("the same code reads both")
    log_some(database, 60_000, customers=1_000)
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", PROGRAM, str(database.url)], capture_output=True, text=True, check=True
    )
    written, grown = map(int, done.stdout.split())
    assert written > 30_000
    assert grown < written / 3, "KiB"
