"""kill -9 in the middle of a registration: the registry is as it was, or has one sound version more."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import json, os, signal, sys
from hashlib import sha256
from pathlib import Path
from holdfast.registry import Registry, files, registry as module

home, point = Path(sys.argv[1]), sys.argv[2]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def die_after(function):
    def run(*arguments):
        function(*arguments)
        die()
    return run

if point == "before the move":
    files.move = die
elif point == "after the move":
    files.move = die_after(files.move)
elif point == "before the commit":
    module._deploy = die_after(module._deploy)
elif point == "after the commit":
    module.Registry.resolve = die

registry = Registry(home)
print("ready", flush=True)
while True:
    with registry.staging() as staged:
        for number in range(20):
            (staged / f"{number}.bin").write_bytes(bytes(1000))
        zeros = sha256(bytes(1000)).hexdigest()
        sums = {f"{number}.bin": zeros for number in range(20)}
        (staged / "manifest.json").write_text(json.dumps(sums))
        registry.register(
            staged, name="customers", recipe="", contract_digest="", data_digest="", metrics={}
        )
    print("registered", flush=True)
"""


def start(home, point):
    return subprocess.Popen(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", PROGRAM, str(home), point], stdout=subprocess.PIPE
    )


def assert_sound(registry, register):
    """Every version verifies, one is champion, the next registration works. Returns how many there were."""
    versions = registry.list()
    for version in versions:
        registry.verify(version.label)
    assert [version.status for version in versions].count("champion") == min(len(versions), 1)
    assert register().number == len(versions) + 1
    assert list((registry.home / "staging").iterdir()) == []
    folders = sorted(int(path.name) for path in (registry.home / "artefacts" / "customers").iterdir())
    assert folders == list(range(1, len(versions) + 2))
    return len(versions)


@pytest.mark.parametrize("earlier", [0, 1])
@pytest.mark.parametrize(
    ("point", "added"),
    [("before the move", 0), ("after the move", 0), ("before the commit", 0), ("after the commit", 1)],
)
def test_killed_at_each_point(registry, register, point, added, earlier):
    for _ in range(earlier):
        register()
    with start(registry.home, point) as process:
        assert process.wait(30) == -signal.SIGKILL
    assert assert_sound(registry, register) == earlier + added


def test_killed_at_random_moments(registry, register):
    moments = random.Random(5)  # noqa: S311 - no secret, a repeatable test
    for _ in range(4):
        with start(registry.home, "never") as process:
            assert process.stdout.readline() == b"ready\n"
            for _ in range(moments.randint(1, 4)):
                assert process.stdout.readline() == b"registered\n"
            time.sleep(moments.uniform(0, 0.05))
            process.kill()
        assert_sound(registry, register)
