from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import pytest

from holdfast.jobs import start_worker
from holdfast.settings import Settings


@pytest.fixture
def home(tmp_path, trained):
    """A copy of a home with two versions, to write into."""
    return shutil.copytree(trained.home, tmp_path / "home")


@pytest.fixture
def jobs(holdfast, home):
    """Runs `holdfast jobs …` in that home."""
    return lambda *arguments: holdfast("--home", home, "jobs", *arguments)


def test_files_are_sent_watched_and_fetched(jobs, holdfast, home, trained, tmp_path):
    assert "No job yet" in jobs().out
    waiting = jobs("submit", trained.table, "--model", "v2").out.strip()
    worker = start_worker(Settings(home=home))
    try:
        done = jobs("submit", trained.table, "--reasons", "1", "--wait", "--json").json()["job"]
    finally:
        worker.stop()
    assert (done["state"], done["progress"], done["summary"]["scored"]) == ("done", 1.0, 800)

    listed = jobs("list", "--json").json()["jobs"]
    assert [(job["id"], job["model_version"]) for job in listed] == [(done["id"], "v1"), (waiting, "v2")]
    shown = jobs("show", done["id"][:8]).out
    assert "800 read, 800 scored" in shown
    assert "--rejects" not in shown
    loose = os.umask(0o022)
    try:
        assert jobs("download", done["id"][:8], "--out", tmp_path / "mine.csv").code == 0
    finally:
        os.umask(loose)
    assert (
        (tmp_path / "mine.csv").stat().st_mode & 0o777 == (home / "jobs.db").stat().st_mode & 0o777 == 0o600
    )
    arguments = ("score", trained.table, "--out", tmp_path / "same.csv", "--reasons", "1")
    assert holdfast("--home", home, *arguments).code == 0
    assert (tmp_path / "mine.csv").read_bytes() == (tmp_path / "same.csv").read_bytes()
    refused = jobs("download", done["id"], "--out", tmp_path / "mine.parquet")
    assert (refused.code, "mine.csv" in refused.err) == (2, True)
    assert not (tmp_path / "mine.parquet").exists()
    assert "already there" in jobs("download", done["id"], "--out", tmp_path / "mine.csv").err
    assert "No row was rejected" in jobs("download", done["id"], "--rejects", "--out", tmp_path / "r").err


def test_rows_that_were_rejected_are_named_with_the_command_that_fetches_them(jobs, home, trained, tmp_path):
    header, first, *_ = trained.table.read_text().splitlines()
    (tmp_path / "some.csv").write_text(f"{header}\n{first}\nnot,a,row\n")
    worker = start_worker(Settings(home=home))
    try:
        job = jobs("submit", tmp_path / "some.csv", "--wait", "--json").json()["job"]["id"]
    finally:
        worker.stop()
    assert f"holdfast jobs download {job[:8]} --rejects -o rejects.csv" in jobs("show", job).out
    refused = jobs("download", job, "--rejects", "-o", tmp_path / "rejects.parquet")
    assert (refused.code, "rejects.csv" in refused.err) == (2, True)
    assert jobs("download", job, "--rejects", "-o", tmp_path / "rejects.csv").code == 0


def test_a_job_that_waits_can_be_cancelled(jobs, home, trained):
    job = jobs("submit", trained.table).out.strip()
    assert jobs("cancel", job[:8]).code == 0
    assert "cancelled" in jobs("show", job).out
    assert not (home / "jobs" / job).exists()
    again = jobs("cancel", job)
    assert (again.code, "cancelled already" in again.err) == (1, True)


def test_what_is_not_there_is_said(jobs, tmp_path):
    for arguments in (("show", "nothing"), ("submit", tmp_path / "nothing.csv")):
        failed = jobs(*arguments)
        assert (failed.code, "There is no such" in failed.err) == (2, True)


def test_a_failed_job_is_told_and_has_its_exit_code(jobs, home, tmp_path):
    (tmp_path / "no.csv").write_text("a,b\n1,2\n")
    worker = start_worker(Settings(home=home))
    try:
        failed = jobs("submit", tmp_path / "no.csv", "--wait")
    finally:
        worker.stop()
    assert failed.code == 3
    assert "columns" in failed.out


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_in_the_foreground_stops_when_it_is_told(home, sign):
    line = [sys.executable, "-m", "holdfast.cli", "jobs", "worker"]
    told = os.environ | {"HOLDFAST_HOME": str(home)}
    process = subprocess.Popen(line, env=told, stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own program
    assert "worker ready" in process.stderr.readline()
    process.send_signal(sign)
    _, said = process.communicate()
    assert (process.returncode, said) == (0, "")
