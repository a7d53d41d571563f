from __future__ import annotations

from datetime import UTC, datetime, timedelta

from holdfast.predictions.tombstones import FILE, note, noted

NOON = datetime(2024, 2, 29, 12, 0, 0, 1, tzinfo=UTC)


def test_the_latest_time_of_each_is_read_and_only_the_owner_may(tmp_path):
    assert noted(tmp_path) == {}
    later = NOON + timedelta(hours=1)
    for digest, at in (("a", NOON), ("b", later), ("a", later), ("b", NOON)):
        note(tmp_path, digest, at)
    assert noted(tmp_path) == {"a": later, "b": later}
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_half_a_line_that_a_crash_left_spoils_neither_the_one_before_nor_the_next(tmp_path):
    note(tmp_path, "a", NOON)
    file = tmp_path / FILE
    file.write_bytes(file.read_bytes() * 2)
    file.write_bytes(file.read_bytes()[:-9])
    note(tmp_path, "b", NOON)
    assert noted(tmp_path) == {"a": NOON, "b": NOON}
