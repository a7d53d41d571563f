from __future__ import annotations

import ast
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import holdfast.cli
from holdfast import __version__
from holdfast.cli.main import app
from holdfast.errors import DataError


def paths(command, path):
    yield path
    for name, child in getattr(command, "commands", {}).items():
        yield from paths(child, [*path, name])


GROUPS = [[], *([group.name] for group in app.registered_groups)]
COMMANDS = list(paths(typer.main.get_command(app), []))
CLI_FILES = sorted(Path(holdfast.cli.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_each_command_has_help_with_an_example_and_the_options_that_work_everywhere(holdfast, path):
    shown = holdfast(*path, "--help")
    assert shown.code == 0
    assert shown.err == ""
    assert all(option in shown.out for option in ("--json", "--home", "--debug", "--quiet"))
    if path not in GROUPS:  # a group's commands each have their own
        assert f"Example  holdfast {' '.join(path)}" in shown.out


def test_alone_it_shows_its_help(holdfast):
    shown = holdfast()
    assert shown.code == 0
    assert "Usage: holdfast" in shown.out
    assert "[bold]" not in shown.out


def test_version(holdfast):
    assert holdfast("--version").out == f"holdfast {__version__}\n"
    assert holdfast("--version", "--json").json() == {"version": __version__}


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["simulate"],
        ["simulate", "--out", "x", "--customers", "many"],
        ["simulate", "--out", "x", "--bogus"],
        ["simulate", "--out", "x", "--customers", "0"],
        ["simulate", "--out", "x", "--seed", "-1"],
        ["simulate", "--out", "x", "--format", "xlsx"],
        ["models", "promote"],
        ["models", "promote", "7"],
        ["models", "nonsense"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_is_one_block_and_code_2_and_writes_nothing(holdfast, tmp_path, arguments):
    wrong = holdfast(*arguments)
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err.startswith("Error: ")
    assert "  do: " in wrong.err
    assert "Traceback" not in wrong.err
    as_json = holdfast(*arguments, "--json")
    assert (as_json.code, as_json.err) == (2, "")
    assert as_json.json()["error"].keys() >= {"code", "message", "hint"}
    assert list(tmp_path.iterdir()) == []


def test_a_misspelt_command_names_the_nearest(holdfast):
    assert "Did you mean 'simulate'?" in holdfast("simulat").err


def fails_with(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("holdfast.simulator.simulate", fail)


def test_data_that_break_the_contract_are_code_3(holdfast, monkeypatch):
    fails_with(monkeypatch, DataError("Bad cell.", where="a.csv, row 3", hint="Mend it."))
    failed = holdfast("simulate", "--out", "x", "--quiet")
    assert failed == type(failed)(3, "", "Error: Bad cell.\n  at: a.csv, row 3\n  do: Mend it.\n")
    assert holdfast("--json", "simulate", "--out", "x").json() == {
        "error": {"code": "data", "message": "Bad cell.", "where": "a.csv, row 3", "hint": "Mend it."}
    }


@pytest.mark.parametrize(
    ("number", "says"),
    [(errno.ENOSPC, "no room left on the disk"), (errno.EROFS, "does not let it be written")],
)
def test_what_a_disk_refuses_is_no_fault_of_ours(holdfast, monkeypatch, number, says):
    fails_with(monkeypatch, OSError(number, os.strerror(number), "home/histories"))
    failed = holdfast("simulate", "--out", "x", "--quiet")
    assert (failed.code, says in failed.err, "at: home/histories" in failed.err) == (1, True, True)
    assert "fault in Holdfast" not in failed.err
    assert holdfast("simulate", "--out", "x", "--json").json()["error"]["code"] == "disk"


def test_an_unexpected_failure_is_one_line_unless_asked_for_more(holdfast, monkeypatch):
    fails_with(monkeypatch, ZeroDivisionError("division\nby zero"))
    failed = holdfast("simulate", "--out", "x", "--quiet")
    assert failed.code == 1
    assert "ZeroDivisionError: division" in failed.err
    assert "--debug" in failed.err
    assert "Traceback" not in failed.err
    assert holdfast("simulate", "--out", "x", "--json").json()["error"]["code"] == "unexpected"
    debug = holdfast("simulate", "--out", "x", "--debug")
    assert "Traceback" in debug.err
    assert "test_main.py" in debug.err


def test_the_options_that_work_everywhere_work_before_and_after(holdfast, register, tmp_path):
    register()
    elsewhere = tmp_path / "elsewhere"
    assert len(holdfast("--json", "models", "list").json()["models"]) == 1
    assert len(holdfast("models", "--json", "list").json()["models"]) == 1
    assert len(holdfast("models", "list", "--json").json()["models"]) == 1
    for line in (
        ["--home", elsewhere, "models"],
        ["models", "--home", elsewhere],
        ["models", "list", "--home", elsewhere],
    ):
        assert holdfast(*line, "--json").json() == {"models": []}


def test_home_comes_from_the_environment_unless_given(holdfast, register, monkeypatch, tmp_path):
    register()
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / "elsewhere"))
    assert holdfast("models", "list", "--json").json() == {"models": []}
    for line in (["--home", ".holdfast", "models", "list"], ["models", "list", "--home", ".holdfast"]):
        assert len(holdfast(*line, "--json").json()["models"]) == 1
    monkeypatch.setenv("HOLDFAST_HOME", "")
    assert len(holdfast("models", "list", "--json").json()["models"]) == 1


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["words", "json"])
def test_stopped_in_the_middle_it_leaves_cleanly_and_nothing_half_written(tmp_path, sent, code, options):
    """The work sleeps in short turns: a signal that comes just before a sleep is seen only after it."""
    program = (
        "import sys, holdfast.simulator as s, holdfast.cli.main as m, time\n"
        "def slow(*_):\n    print('begun', flush=True, file=sys.stderr)\n    while True: time.sleep(.05)\n"
        "s.simulate = slow; m.main()"
    )
    line = [sys.executable, "-c", program, "simulate", "--out", "x", "--quiet", *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(line, cwd=tmp_path, **pipes) as process:  # noqa: S603 - our own program
        assert process.stderr.readline() == "begun\n"
        process.send_signal(sent)
        out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in out + err
    assert list(tmp_path.iterdir()) == []
    if sent == signal.SIGINT and options:
        assert json.loads(out)["error"]["code"] == "stopped"
    elif sent == signal.SIGINT:
        assert err == "Stopped.\n"


def test_a_reader_that_goes_away_is_no_failure_worth_words(tmp_path, register):
    register()
    read, write = os.pipe()
    os.close(read)
    line = [sys.executable, "-m", "holdfast.cli", "models", "list", "--json"]
    done = subprocess.run(line, stdout=write, stderr=subprocess.PIPE, cwd=tmp_path, check=False)  # noqa: S603 - our own program
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_help_imports_nothing_heavy():
    program = (
        "import sys\nfrom holdfast.cli.main import run\nassert run(['--help']) == 0\n"
        "heavy = {'polars', 'numpy', 'sqlalchemy', 'pydantic', 'pandas', 'sklearn', 'matplotlib'}\n"
        "print(sorted(heavy & sys.modules.keys()), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 - our own program
    assert done.stderr == "[]\n"


@pytest.mark.parametrize("path", CLI_FILES, ids=lambda path: path.name)
def test_no_command_file_imports_a_room_before_it_runs(path):
    """What `--help` must not wait for stays inside functions."""
    light = ("holdfast", "holdfast.cli", "holdfast.disk", "holdfast.errors", "holdfast.progress")
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "holdfast":
            assert node.module.startswith("holdfast.cli") or node.module in light
