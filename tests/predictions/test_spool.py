from __future__ import annotations

import os
import random
import resource
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.predictions.spool import BATCH_BYTES, Spool

NOON = datetime(2024, 2, 29, 12, 0, 0, 1, tzinfo=UTC)


def rows_of(many: int, text: str = "x") -> list[tuple]:
    return [(f"id-{at}", NOON, None, text, at / 7, True, '{"@":"2024"}') for at in range(many)]


def read_all(spool: Spool) -> tuple[list[tuple], int]:
    rows, damaged = [], 0
    while (batch := spool.read()) is not None:
        rows += batch.rows
        damaged += batch.damaged
        spool.forget(batch)
    return rows, damaged


def only_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_rows_come_back_as_they_were_and_nothing_is_left(tmp_path):
    spool, rows = Spool(tmp_path / "spool"), rows_of(20, 'é \U0001f600 "\n')
    assert spool.append(rows[:15]) + spool.append(rows[15:]) == 20
    assert spool.rows == 20
    assert read_all(spool) == (rows, 0)
    assert spool.rows == 0
    assert list((tmp_path / "spool").iterdir()) == []


def test_what_was_not_forgotten_is_read_again(tmp_path):
    spool, rows = Spool(tmp_path), rows_of(3)
    spool.append(rows)
    assert spool.read().rows == rows
    assert read_all(spool) == (rows, 0)


def test_rows_are_read_in_portions_and_more_may_come_between(tmp_path):
    spool, rows = Spool(tmp_path), rows_of(5, "y" * (BATCH_BYTES // 2))
    spool.append(rows[:3])
    first = spool.read()
    assert 0 < len(first.rows) < 3
    spool.forget(first)
    spool.append(rows[3:])
    assert first.rows + read_all(spool)[0] == rows


def test_only_its_owner_may_read_the_file(tmp_path):
    spool = Spool(tmp_path / "spool")
    spool.append(rows_of(1))
    assert only_file(tmp_path / "spool").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700


def test_a_live_process_keeps_its_file_and_a_dead_one_does_not(tmp_path):
    rows = rows_of(4)
    alive, other = Spool(tmp_path), Spool(tmp_path)
    alive.append(rows)
    other.adopt()
    assert other.rows == 0
    assert other.read() is None
    alive.close()  # as the end of its process does
    other.adopt()
    other.adopt()
    assert other.rows == 4
    assert read_all(other) == (rows, 0)
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_is_left_out_and_what_was_written_stays(tmp_path):
    spool, rows = Spool(tmp_path, limit=1_000), rows_of(50)
    kept = spool.append(rows)
    assert 0 < kept < 50
    assert spool.append(rows[:1] * 20) == 0
    assert only_file(tmp_path).stat().st_size <= 1_000
    assert read_all(spool) == (rows[:kept], 0)
    assert spool.append(rows) == kept  # there is room again


def test_a_folder_that_cannot_be_written_to_takes_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    spool = Spool(tmp_path / "file" / "spool")
    spool.adopt()
    assert spool.append(rows_of(2)) == 0
    assert spool.rows == 0


def test_what_a_full_disk_tore_spoils_nothing(tmp_path):
    spool, rows = Spool(tmp_path), rows_of(6)
    assert spool.append(rows[:2]) == 2
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = only_file(tmp_path).stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limits[1]))  # some bytes of the next line fit
    try:
        assert spool.append(rows[2:4]) == 0
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert spool.append(rows[4:]) == 2
    assert read_all(spool) == (rows[:2] + rows[4:], 0)


def test_text_that_is_no_unicode_is_left_out_alone(tmp_path):
    spool, rows = Spool(tmp_path), rows_of(2)
    assert spool.append([rows[0], ("\ud800",), rows[1]]) == 2
    assert read_all(spool) == (rows, 0)


def test_what_somebody_removed_is_read_all_the_same(tmp_path):
    spool, rows = Spool(tmp_path), rows_of(3)
    spool.append(rows)
    only_file(tmp_path).unlink()
    assert read_all(spool) == (rows, 0)
    assert spool.rows == 0


def test_what_somebody_cut_off_counts_as_damaged(tmp_path):
    spool, rows = Spool(tmp_path), rows_of(3)
    spool.append(rows)
    os.truncate(only_file(tmp_path), only_file(tmp_path).stat().st_size // 3)
    assert read_all(spool) == (rows[:1], 2)
    assert spool.rows == 0
    assert list(tmp_path.iterdir()) == []


def test_too_many_open_files_lose_nothing(tmp_path):
    dead, spool, rows = Spool(tmp_path), Spool(tmp_path), rows_of(4)
    dead.append(rows[:2])
    dead.close()
    spool.append(rows[2:])
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        spool.adopt()
        own = read_all(spool)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert own == (rows[2:], 0)
    spool.adopt()
    assert read_all(spool) == (rows[:2], 0)


def test_a_file_that_cannot_be_read_for_a_while_is_kept_and_holds_up_no_other(tmp_path, failing_reads):
    dead, spool, rows = Spool(tmp_path), Spool(tmp_path), rows_of(4)
    spool.append(rows[:2])
    own = only_file(tmp_path)
    dead.append(rows[2:])
    dead.close()
    spool.adopt()
    with failing_reads(own):
        with pytest.raises(OSError, match="Input/output error"):
            spool.read()
        other = spool.read()
        assert other.rows == rows[2:]
        spool.forget(other)
        with pytest.raises(OSError, match="Input/output error"):
            spool.read()
    assert only_file(tmp_path) == own
    assert read_all(spool) == (rows[:2], 0)


@settings(deadline=None)  # a disk may be slow
@given(st.data())
def test_a_cut_loses_no_whole_line_and_invents_none(data):
    """Whatever a crash leaves of the file: its whole lines are read, the torn one is counted."""
    chance = random.Random(data.draw(st.integers(0, 1_000), "rows"))  # noqa: S311 - no secret
    rows = rows_of(chance.randrange(1, 6), "é" * chance.randrange(40))
    with tempfile.TemporaryDirectory() as folder:
        before = Spool(Path(folder))
        before.append(rows)
        before.close()
        file = only_file(Path(folder))
        whole = file.read_bytes()
        left = whole[: data.draw(st.integers(0, len(whole)), "cut")]
        tail = data.draw(st.sampled_from([b"", b"\0" * 30, b"\0" * 9 + b"\n"]), "what the disk holds instead")
        file.write_bytes(left + tail)
        lines = left.count(b"\n")
        rest = (left + tail)[left.rfind(b"\n") + 1 :]

        after = Spool(Path(folder))
        after.adopt()
        found, damaged = read_all(after)
        assert found == rows[:lines]
        assert damaged == (1 if rest else 0)
        assert list(Path(folder).iterdir()) == []
