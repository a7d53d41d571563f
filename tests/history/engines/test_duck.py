from __future__ import annotations

import subprocess
import sys

import polars as pl
import pytest

from holdfast.history.engines.duck import Duck, EngineError, machine_mib


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "tables"
    place.mkdir()
    rows = {"_customer": [f"C{n:04}" for n in range(5_000)], "amount": [float(n) for n in range(5_000)]}
    pl.DataFrame(rows).write_parquet(place / "events.parquet", row_group_size=500)
    (tmp_path / "secret.csv").write_text("password\nhunter2\n")
    return place


def test_tables_are_views_that_can_be_narrowed_to_a_range_of_customers(folder):
    with Duck(folder, ["events"]) as engine:
        count = "SELECT COUNT(*) AS n, MIN(_customer) AS first FROM events"
        assert engine.query(count).row(0) == (5_000, "C0000")
        engine.narrow("C1000", "C2000")
        assert engine.query(count).row(0) == (1_000, "C1000")
        engine.narrow(None, "C0010")
        assert engine.query(count).row(0) == (10, "C0000")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('{place}/secret.csv')",
        "SELECT * FROM read_text('{place}/secret.csv')",
        "SELECT * FROM '{place}/secret.csv'",
        "SELECT * FROM glob('{place}/*')",
        "COPY events TO '{place}/out.csv'",
        "COPY (SELECT 1) TO '{place}/tables/events.parquet'",
        "ATTACH '{place}/other.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
        "SELECT * FROM frame",
    ],
)
def test_nothing_but_the_tables_can_be_reached(folder, statement):
    frame = pl.DataFrame({"a": [1]})
    with Duck(folder, ["events"]) as engine, pytest.raises(EngineError):
        engine.query(statement.format(place=folder.parent))
    assert sorted(path.name for path in folder.parent.iterdir()) == ["secret.csv", "tables"]
    assert pl.read_parquet(folder / "events.parquet").height == 5_000
    assert frame.height == 1


def test_what_it_spills_goes_to_a_folder_that_is_gone_at_the_end(folder, tmp_path):
    with Duck(folder, ["events"], memory_mib=256, spill=tmp_path / "spill") as engine:
        used = engine.query(
            "SELECT current_setting('temp_directory') AS place, current_setting('memory_limit') AS m"
        )
        assert used["place"].item().startswith(str(tmp_path / "spill"))
        assert used["m"].item() == "256.0 MiB"
        assert len(list((tmp_path / "spill").iterdir())) == 1
    assert not list((tmp_path / "spill").iterdir())


def test_too_little_memory_and_a_table_that_is_gone_are_told_in_plain_words(folder):
    with Duck(folder, ["events"]) as engine, pytest.raises(EngineError, match="cannot run the query"):
        engine.run("SELECT nothing FROM events")
    with pytest.raises(EngineError, match="prepared table is gone"):
        Duck(folder, ["events", "others"])


def test_half_of_the_memory_is_taken_unless_told_how_much(folder):
    with Duck(folder, ["events"]) as engine:
        (said,) = engine.query("SELECT current_setting('memory_limit') AS m")["m"]
    number, unit = said.split()
    mib = float(number) * {"MiB": 1, "GiB": 1_024}[unit]
    assert 0.45 * machine_mib() < mib < 0.55 * machine_mib()


STOPPED = """
import os, signal, sys, threading
from pathlib import Path
from holdfast.history.engines.duck import Duck

signal.signal(signal.SIGINT, signal.default_int_handler)
with Duck(Path(sys.argv[1]), []) as engine:
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        engine.query("SELECT count(*) FROM range(3000000000) AS r WHERE r.range % 7 = 3")
    except KeyboardInterrupt:
        os._exit(130)
"""


def test_ctrl_c_in_a_query_is_no_failure_of_the_query(folder):
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", STOPPED, str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 130, ended.stderr
