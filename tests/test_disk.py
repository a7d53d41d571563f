"""What killed processes leave is removed by the next; what living ones hold is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from holdfast import disk
from holdfast.disk import scratch

PROGRAM = """
import os, signal, sys
from pathlib import Path
from holdfast.disk import scratch

with scratch(Path(sys.argv[1]), ".work-") as folder:
    (folder / "half").write_text("half")
    print(folder.name, flush=True)
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_folder_is_empty_and_its_own_and_gone_afterwards(tmp_path):
    with scratch(tmp_path / "new", ".work-") as one, scratch(tmp_path / "new", ".work-") as other:
        assert one != other
        assert list(one.iterdir()) == list(other.iterdir()) == []
        (one / "file").write_text("x")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_folder_may_be_moved_away(tmp_path):
    with scratch(tmp_path, ".work-") as folder:
        (folder / "file").write_text("x")
        folder.rename(tmp_path / "kept")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_what_a_living_process_holds_stays_and_what_a_killed_one_left_goes(tmp_path):
    line = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own program
        name = process.stdout.readline().strip()
        with scratch(tmp_path, ".work-"):
            assert (tmp_path / name / "half").exists()
        process.stdin.close()
        assert process.wait(30) == -signal.SIGKILL
    assert (tmp_path / name / "half").exists()
    with scratch(tmp_path, ".other-"):
        assert (tmp_path / name).exists()
    with scratch(tmp_path, ".work-") as mine:
        assert list(tmp_path.iterdir()) == [mine]


def test_nothing_but_such_folders_is_removed(tmp_path):
    kept = [tmp_path / ".work-notes", tmp_path / ".work-20250101", tmp_path / ".work-elsewher"]
    kept[0].mkdir()
    kept[1].write_text("a file")
    (tmp_path / "far").mkdir()
    kept[2].symlink_to(tmp_path / "far")
    with scratch(tmp_path, ".work-"):
        assert all(path.exists() for path in kept)


def test_many_at_once_sweep_nobody_s_folder(tmp_path):
    def work(number):
        with scratch(tmp_path, ".work-") as folder:
            (folder / "mine").write_text(str(number))
            return (folder / "mine").read_text() == str(number)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(400)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [OSError("no locks here"), BlockingIOError("held")])
def test_where_folders_cannot_be_locked_work_goes_on_and_nothing_is_swept(tmp_path, monkeypatch, error):
    left = tmp_path / ".work-12345678"
    left.mkdir()
    real, tried = disk._lock, []

    def lock(folder):
        tried.append(folder)
        if len(tried) <= 2:  # the sweep's, and the first of the folder's own
            raise error
        return real(folder)

    monkeypatch.setattr(disk, "_lock", lock)
    with scratch(tmp_path, ".work-") as folder:
        assert folder.is_dir()
        assert left.is_dir()


def test_sync_takes_files_and_folders(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino))
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path):
        disk.sync(path)
    assert synced == [(tmp_path / "file").stat().st_ino, tmp_path.stat().st_ino]
