"""Speed and memory beside what they are to be measured against, in one run on one machine: `make bench`.

Simulated customers only, in a folder that is removed at the end. Ratios are what to look at: they carry over
to other machines, the rest does not. With --quick a tenth of the rows.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from http_load import load

from holdfast import Contract, Model, train
from holdfast.api.intake import Intake
from holdfast.scoring import score_file
from holdfast.simulator import simulate

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = 2
CUSTOMERS = 20_000
BUDGETS = {"catboost": 5.0, "xgboost": 5.0, "logistic_regression": 30.0, "champion": 60.0}
"""The models to time and the seconds to train each: single ones, and whatever the defaults choose."""


def main() -> None:
    """Run all, or the part of it that a child process was started for."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="a tenth of the rows; rougher figures")
    arguments.add_argument("--only", choices=["start", "files", "memory", "http"], help="one part alone")
    arguments.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.child:
        {"score": score_child, "empty": empty_child}[given.child[0]](*given.child[1:])
        return
    rows = 100_000 if given.quick else 1_000_000
    wanted = {given.only} if given.only else {"start", "files", "memory", "http"}
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        work = Path(folder)
        if "start" in wanted:
            starting()
        if wanted == {"start"}:
            return
        models = trained(work, ["catboost"] if wanted == {"memory"} else list(BUDGETS))
        if wanted & {"files", "memory"}:
            parts = write_parts(work, rows, 10 if "memory" in wanted else 1)
        if "files" in wanted:
            scoring(models, parts[0], work)
        if "memory" in wanted:
            memory(models["catboost"], parts, rows, work)
        if "http" in wanted:
            serving(models["catboost"], work, 3.0 if given.quick else 10.0)


def trained(work: Path, names: list[str]) -> dict[str, Path]:
    """Artefact of each model that is timed."""
    table = simulate(CUSTOMERS, seed=1).customers
    contract = Contract.infer(table, label="Churn")
    found = {}
    heading(f"Models, trained on {CUSTOMERS:,} simulated customers")
    for name in names:
        only = None if name == "champion" else [name]
        done = train(table, contract, models=only, budget=BUDGETS[name], home=work / name)
        found[name] = done.version.path
        members = " + ".join(f"{m.weight:.2f} {m.name}{trees(m.estimator)}" for m in members_of(done.model))
        line(name, members)
    return found


def members_of(model: Model) -> tuple:
    """Everything that scores in a model."""
    return model.scorer.ensemble.first + model.scorer.ensemble.second


def trees(estimator: object) -> str:
    """How many trees an estimator has."""
    if estimator.kind == "catboost":
        return f" ({estimator.model.tree_count_} trees)"
    if estimator.kind == "xgboost":
        return f" ({sum(b.num_boosted_rounds() for b in estimator.boosters)} trees)"
    if estimator.kind == "lightgbm":
        return f" ({sum(b.num_trees() for b in estimator.boosters)} trees)"
    return ""


def write_parts(work: Path, rows: int, parts: int) -> tuple[Path, Path]:
    """Tables of ``rows`` and of ``parts`` times as many customers, without their labels."""
    small, large = work / "small.parquet", work / "large.parquet"
    writer = None
    for seed in range(parts):
        part = simulate(rows, seed=seed).customers.drop("Churn")
        if seed == 0:
            part.write_parquet(small)
        table = part.to_arrow(compat_level=pl.CompatLevel.oldest())
        writer = writer or pq.ParquetWriter(large, table.schema)
        writer.write_table(table)
    writer.close()
    return small, large


def scoring(models: dict[str, Path], table: Path, work: Path) -> None:
    """Rows a second from Parquet to Parquet, beside the model alone on a matrix that is ready."""
    frame = pl.read_parquet(table)
    heading(f"File scoring, {frame.height:,} rows of Parquet to Parquet (reach: half of the bare model)")
    target = work / "scored.parquet"
    for name, path in models.items():
        model = Model.load(path)
        X = np.vstack([model.scorer.matrix(model.conform(part).frame) for part in frame.iter_slices(100_000)])
        bare, whole = [], []
        for _ in range(3):
            bare.append(spent(lambda model=model, X=X: alone(model, X)))
            whole.append(spent(lambda model=model: score_file(model, table, target, overwrite=True)))
        fast, ours = frame.height / min(bare), frame.height / min(whole)
        line(
            name,
            f"{ours:>10,.0f} rows/s of {fast:>10,.0f} bare on {THREADS} threads: ratio {ours / fast:.2f}",
        )


def alone(model: Model, X: np.ndarray) -> None:
    """The members themselves, with their own threads where they have them."""
    first = model.scorer.ensemble.first
    if len(members_of(model)) == 1 and first[0].estimator.kind == "catboost":
        first[0].estimator.model.predict(X, prediction_type="RawFormulaVal", thread_count=THREADS)
    elif len(members_of(model)) == 1 and first[0].estimator.kind == "xgboost":
        for booster in first[0].estimator.boosters:
            booster.set_param({"nthread": THREADS})
            booster.inplace_predict(X, predict_type="margin")
            booster.set_param({"nthread": 1})
    else:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(model.scorer.ensemble.logit, np.array_split(X, max(THREADS, len(X) // 50_000))))


def memory(model: Path, tables: tuple[Path, Path], rows: int, work: Path) -> None:
    """Peak memory of scoring ten times the rows, each in a process of its own."""
    heading("Memory of file scoring (reach: at most 1.2 times for 10 times the rows)")
    peaks = []
    for table, count in zip(tables, (rows, 10 * rows), strict=True):
        said = child("score", str(model), str(table), str(work / "scored.parquet"))
        peaks.append(said["peak"])
        line(
            f"{count:,} rows",
            f"{said['peak'] / 1e6:,.0f} MB at the peak, {count / said['seconds']:,.0f} rows/s",
        )
    line("ratio", f"{peaks[1] / peaks[0]:.2f}")


def score_child(model: str, table: str, out: str) -> None:
    """Score one table and say the seconds and the peak of memory in bytes."""
    begin = time.perf_counter()
    score_file(Model.load(model), table, out, overwrite=True)
    print(json.dumps({"seconds": time.perf_counter() - begin, "peak": peak_memory()}))


def peak_memory() -> int:
    """Bytes of memory that this process has held at most."""
    status = Path("/proc/self/status")
    if status.exists():  # a child's ru_maxrss starts at its parent's on Linux; this is its own
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def child(*words: str) -> dict[str, float]:
    """What a part says that runs in a process of its own."""
    command = [sys.executable, __file__, "--child", *words]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def starting() -> None:
    """Seconds until the command line is there."""
    heading("Start (reach: 0.3 s)")
    holdfast = str(Path(sys.executable).with_name("holdfast"))
    python = [sys.executable, "-c", "pass"]
    empty = median(lambda: quiet(python))
    imported = median(lambda: quiet([sys.executable, "-c", "import holdfast.cli.main"]))
    line("import of holdfast.cli", f"{imported - empty:.3f} s, above the {empty:.3f} s that Python takes")
    line("holdfast --help", f"{median(lambda: quiet([holdfast, '--help'])):.3f} s")
    line("holdfast train --help", f"{median(lambda: quiet([holdfast, 'train', '--help'])):.3f} s")


def serving(model: Path, work: Path, seconds: float) -> None:
    """POST /predict beside an endpoint of the same framework and request model that does nothing."""
    heading("POST /predict, catboost, one worker; client and server share this machine's processors")
    body = json.dumps(Intake(Model.load(model).contract).example).encode()
    home = work / "catboost"
    ours = [str(Path(sys.executable).with_name("holdfast")), "serve", "--json", "--home", str(home)]
    port, other = free_port(), free_port()
    commands = {
        f"http://127.0.0.1:{port}/predict": [*ours, "--port", str(port)],
        f"http://127.0.0.1:{other}/predict": [
            sys.executable,
            __file__,
            "--child",
            "empty",
            str(model),
            str(other),
        ],
    }
    figures = []
    for url, command in commands.items():
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until_open(url)
            load(url, body, connections=8, seconds=1.0)
            figures.append([load(url, body, connections=n, seconds=seconds) for n in (1, 64)])
        finally:
            server.terminate()
            server.wait()
    for at, connections in enumerate((1, 64)):
        for who, said in zip(("holdfast", "empty endpoint"), figures, strict=True):
            one = said[at]
            times = f"p50 {one['p50']:.2f} ms, p95 {one['p95']:.2f} ms, p99 {one['p99']:.2f} ms"
            line(f"{connections} connections, {who}", f"{one['rate']:>7,.0f} requests/s, {times}")
    (one, many), (_, most) = figures
    line("1 connection (reach: p50 3 ms, p95 5 ms)", f"p50 {one['p50']:.2f} ms, p95 {one['p95']:.2f} ms")
    rate, slow = many["rate"] / most["rate"], many["p99"] / most["p99"]
    line("64 connections (reach: 0.60, 3.0)", f"ratio of requests/s {rate:.2f}, of p99 {slow:.1f}")


def empty_child(model: str, port: str) -> None:
    """Serve an endpoint that takes the same requests and answers at once."""
    import uvicorn  # noqa: PLC0415 - only this child serves
    from fastapi import FastAPI  # noqa: PLC0415 - as above

    app = FastAPI()
    customer = Intake(Contract.load(Path(model) / "contract.toml")).model

    async def predict(record: customer) -> dict[str, float]:  # noqa: ARG001 - taking it is the work
        return {"churn_probability": 0.5}

    predict.__annotations__ = {"record": customer, "return": dict[str, float]}
    app.post("/predict")(predict)
    uvicorn.run(app, port=int(port), log_level="error", access_log=False)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def until_open(url: str, patience: float = 60.0) -> None:
    """Wait until a server takes connections."""
    host, port = url.split("/")[2].split(":")
    end = time.monotonic() + patience
    while time.monotonic() < end:
        with socket.socket() as tried:
            if tried.connect_ex((host, int(port))) == 0:
                return
        time.sleep(0.1)
    sys.exit(f"Nothing answers at {url}.")


def spent(work: Callable[[], object]) -> float:
    """Seconds that ``work`` takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def median(work: Callable[[], object]) -> float:
    """Median seconds of seven runs, after one that warms the caches."""
    work()
    return statistics.median(spent(work) for _ in range(7))


def quiet(command: list[str]) -> None:
    """Run a command whose words nobody needs."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "COLUMNS": "100"})


def heading(words: str) -> None:
    """Begin a part."""
    print(f"\n{words}", flush=True)


def line(name: str, words: str) -> None:
    """One figure."""
    print(f"  {name:<42} {words}", flush=True)


if __name__ == "__main__":
    main()
