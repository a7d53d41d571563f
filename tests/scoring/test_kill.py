"""Killed, stopped or out of space while scoring: the answers are there whole or not at all."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, os, resource, runpy, signal, sys
from holdfast.contract import Contract
from holdfast.scoring import score_file

fakes, source, out, way = sys.argv[1:]
made = runpy.run_path(fakes)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

class Watch:
    def start(self, name, total): pass
    def advance(self, amount=1.0, note=None):
        if way.startswith("SIG") and note.startswith("50"):
            os.kill(os.getpid(), getattr(signal, way))

if way == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
model = made["FakeModel"](Contract.model_validate(made["CONTRACT"]))
try:
    score_file(model, source, out, batch_rows=10, overwrite=True, progress=Watch())
except Exception as error:
    print(json.dumps(error.as_dict()))
    sys.exit(error.exit_code)
"""


def run(table, out, way):
    fakes = str(Path(__file__).with_name("conftest.py"))
    line = [sys.executable, "-c", PROGRAM, fakes, str(table), str(out), way]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - our own program


@pytest.mark.parametrize("out", ["o.csv", "o.parquet"])
@pytest.mark.parametrize("way", ["SIGKILL", "SIGTERM", "SIGINT", "full"])
def test_nothing_half_written_is_left(customers, tmp_path, out, way):
    table = tmp_path / "t.parquet"
    customers(2_000).write_parquet(table)
    (tmp_path / out).write_text("before")
    done = run(table, tmp_path / out, way)
    assert (tmp_path / out).read_text() == "before"
    left = {path.name for path in tmp_path.iterdir()} - {out, "t.parquet"}
    if way == "SIGKILL":
        assert done.returncode == -signal.SIGKILL
        assert [name.startswith(".scoring-") for name in left] == [True]
        assert run(table, tmp_path / out, "finish").returncode == 0
        found = {path.name for path in tmp_path.iterdir()}
        assert found - {f"{out}.rejects.csv"} == {out, "t.parquet"}  # the next run tidies up
    else:
        assert not left
    if way == "full":
        assert done.returncode == 1
        assert json.loads(done.stdout)["code"] == "output"
