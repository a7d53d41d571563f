"""The main job from end to end, on simulated customers or on a table of one's own: `make demo`.

Types the commands that a person would type, shows each, and says in plain words what it is for. Everything
lands in one folder below .holdfast-demo/, so it can be run again and thrown away. Settings come from the
environment, as make hands them over: DATA, LABEL, POSITIVE, BUDGET, PORT, SERVE.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import textwrap
import time
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / ".holdfast-demo"
CUSTOMERS = 10_000
OFF = {"0", "no", "false", "off"}


@dataclass(frozen=True)
class Settings:
    """What the demo was asked for.

    Attributes:
        data: table of one's own; simulated customers without it.
        label: its column that says who left.
        positive: the label's value that means left; guessed without it.
        budget: time for the search, as `holdfast train` takes it.
        port: to serve at.
        serve: whether to go on and serve.
        customers: how many to simulate.
        place: folder that holds the folders of all demos.
    """

    data: Path | None = None
    label: str = "Churn"
    positive: str | None = None
    budget: str = "60s"
    port: str = "8000"
    serve: bool = True
    customers: int = CUSTOMERS
    place: Path = PLACE

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Settings:
        """Read them from the environment; empty is the same as absent.

        Raises:
            SystemExit: a table that is not there, or without its label.
        """
        known = {name: value for name, value in given.items() if value.strip()}
        data = Path(known["DATA"]).expanduser().resolve() if "DATA" in known else None
        if data is not None and not data.is_file():
            stop(f"There is no table {data}.", 2)
        if data is not None and "LABEL" not in known:
            said = shlex.quote(known["DATA"])
            stop(f"Say which column of {data.name} tells who left:  make demo DATA={said} LABEL=Churn")
        return cls(
            data=data,
            label=known.get("LABEL", cls.label) if data else cls.label,
            positive=known.get("POSITIVE") if data else None,
            budget=known.get("BUDGET", cls.budget),
            port=known.get("PORT", cls.port),
            serve=known.get("SERVE", "1").strip().lower() not in OFF,
            customers=int(known.get("CUSTOMERS", cls.customers)),
            place=Path(known.get("PLACE", cls.place)),
        )

    @property
    def folder(self) -> Path:
        """Where this demo's files are."""
        return self.place / (self.data.name.partition(".")[0] if self.data else "simulated")

    @property
    def table(self) -> str:
        """The table, as typed in that folder."""
        return str(self.data) if self.data else "customers.csv"


def main() -> None:
    """Run the demo with the settings of the environment."""
    settings = Settings.of(os.environ)
    began = time.monotonic()
    if settings.serve and taken(int(settings.port)):
        stop(f"Something answers at port {settings.port} already. Choose another:  make demo PORT=8001")
    folder = settings.folder
    folder.mkdir(parents=True, exist_ok=True)
    say(f"Everything below happens in {shown(folder)}; remove the folder to start afresh.")
    if settings.data is None:
        title("Make up some customers")
        say(
            f"{settings.customers:,} customers of a telephone company. How likely each is to leave is known "
            "to the simulator alone; it ends up in oracle.parquet, which Holdfast refuses to learn from."
        )
        run(folder, "simulate", "--customers", str(settings.customers), "--out", ".", "--force")
    describe(settings, folder)
    title("Check the table against the contract")
    say("Each cell is held against what the contract says. What does not fit is repaired or rejected.")
    run(folder, "check")
    title("Train")
    say(
        f"Up to nine kinds of models compete for {settings.budget}; a fifth of the customers is set aside to "
        "measure the winner on. The result is registered as a version."
    )
    run(folder, "train", "--budget", settings.budget)
    title("Score the table")
    say("Each customer gets a probability of leaving, and whether acting on it pays.")
    run(folder, "score", settings.table, "-o", "scored.csv", "--reasons", "3", "--force")
    finish(settings, folder, time.monotonic() - began)


def describe(settings: Settings, folder: Path) -> None:
    """Write the contract, unless there is one that a person has edited."""
    title("Describe the table in a contract")
    contract, mark = folder / "churn.toml", folder / ".as-written"
    if contract.exists() and not (mark.exists() and mark.read_text() == digest(contract)):
        label = tomllib.loads(contract.read_text(encoding="utf-8")).get("churn", {}).get("label")
        if label != settings.label:
            stop(f'{contract} is about the label "{label}". Remove it to describe the table anew.')
        say("You have edited churn.toml, so it stays as it is. Remove it to have it written anew.")
        return
    say("What each column is and means, what is sensible, and what gives the answer away and must stay out.")
    positive = ["--positive", settings.positive] if settings.positive else []
    run(folder, "init", settings.table, "--label", settings.label, *positive, "--force")
    mark.write_text(digest(contract))


def finish(settings: Settings, folder: Path, seconds: float) -> None:
    """Say what came out and what to type next; serve if asked to."""
    title("What you have now")
    for line in outcome(settings, folder):
        say(line)
    versions = json.loads(heard(folder, "models", "list", "--json"))["models"]
    newest, champion = versions[-1], next(one for one in versions if one["status"] == "champion")
    if newest is not champion:
        say(
            f"{newest['version']} was trained just now and waits as challenger. {champion['version']}, of an "
            "earlier run, is still the champion: it scored the table, and it is what gets served."
        )
    report = folder / newest["path"] / "report.html"
    print(f"How good {newest['version']} is and what it leans on, to open in a browser: {shown(report)}")
    say(f"It took {seconds:.0f} seconds. To go on by hand, type:")
    riskiest = top_customer(folder)
    types = [f"cd {shlex.quote(shown(folder))}", f"source {shlex.quote(activate(folder))}"]
    if riskiest:
        types.append(f"holdfast explain {shlex.quote(riskiest)} --data {shlex.quote(settings.table)}")
    if newest is not champion:
        types.append(f"holdfast models promote {newest['version']}")
    types += ["holdfast models", f"holdfast evaluate {shlex.quote(settings.table)}", "holdfast --help"]
    types += [] if settings.serve else [f"holdfast serve --port {settings.port}"]
    print("\n".join(f"    {line}" for line in types), flush=True)
    if settings.serve:
        title("Serve")
        say("The champion answers over HTTP, on this machine only, until you press Ctrl-C.")
        command = typed("serve", "--port", settings.port)
        os.chdir(folder)
        os.execve(command[0], command, environment())  # noqa: S606 - Ctrl-C then reaches the server and nobody else


def outcome(settings: Settings, folder: Path) -> list[str]:
    """What the files hold, and with simulated customers how near the truth the probabilities are."""
    import polars as pl  # noqa: PLC0415 - after the settings were found good

    scored = pl.read_csv(
        folder / "scored.csv", infer_schema_length=None, schema_overrides={"customer_id": str}
    )
    act = int(scored["will_churn"].sum())
    lines = [
        f"scored.csv: {scored.height:,} customers, {act:,} of them worth acting on, with three reasons each.",
    ]
    if settings.data is None:
        truth = pl.read_parquet(folder / "oracle.parquet").select("customerID", true="churn_probability")
        both = scored.join(truth, left_on="customer_id", right_on="customerID")
        error = float((both["churn_probability"] - both["true"]).abs().mean())
        lines.append(
            f"Beside the truth that only the simulator knows, the probabilities are off by {100 * error:.1f} "
            "points on average."
        )
    return lines


def top_customer(folder: Path) -> str | None:
    """The id of the customer most likely to leave."""
    import polars as pl  # noqa: PLC0415 - as above

    columns = ["customer_id", "churn_probability"]
    scored = pl.read_csv(folder / "scored.csv", columns=columns, schema_overrides={"customer_id": str})
    contract = tomllib.loads((folder / "churn.toml").read_text(encoding="utf-8"))
    named = any(c["kind"] == "id" and "exclude" not in c for c in contract["columns"].values())
    return str(scored.sort("churn_probability", descending=True)["customer_id"][0]) if named else None


def typed(*words: str) -> list[str]:
    """A command, shown as a person would type it; returns what to execute."""
    print(f"\n$ {shlex.join(['holdfast', *words])}", flush=True)
    return [str(beside("holdfast")), *words]


def run(folder: Path, *words: str) -> None:
    """Run a command and let it speak for itself.

    Raises:
        SystemExit: with its exit code, if it fails.
    """
    command = typed(*words)
    try:
        done = subprocess.run(command, cwd=folder, env=environment(), check=False)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    if done.returncode:
        with suppress(OSError):  # what holds something stays
            folder.rmdir()
            folder.parent.rmdir()
        stop(
            f"The demo ends here: holdfast {words[0]} left with exit code {done.returncode}.", done.returncode
        )


def heard(folder: Path, *words: str) -> str:
    """What a command answers, unseen."""
    command = [str(beside("holdfast")), *words]
    return subprocess.run(
        command, cwd=folder, env=environment(), check=True, capture_output=True, text=True
    ).stdout


def environment() -> dict[str, str]:
    """Ours, but for a home that would lead away from the demo's folder."""
    return {name: value for name, value in os.environ.items() if name != "HOLDFAST_HOME"}


def beside(name: str) -> Path:
    """A program of the virtual environment that runs this."""
    return Path(sys.executable).parent / name


def taken(port: int) -> bool:
    """Whether a program of this machine answers at a port."""
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def activate(folder: Path) -> str:
    """The way from ``folder`` to the script that puts ``holdfast`` on the PATH."""
    return os.path.relpath(beside("activate"), folder)


def shown(path: Path) -> str:
    """A path, seen from where make was called."""
    return os.path.relpath(path, ROOT) if path.is_relative_to(ROOT) else str(path)


def digest(path: Path) -> str:
    """Fingerprint of a file, to tell whether it was edited."""
    return sha256(path.read_bytes()).hexdigest()


def title(words: str) -> None:
    """Begin a step."""
    print(f"\n== {words} ==", flush=True)


def say(words: str) -> None:
    """Tell the person at the terminal something."""
    print(textwrap.fill(words, 100), flush=True)


def stop(words: str, code: int = 2) -> None:
    """End with a sentence."""
    print(f"\n{words}", file=sys.stderr, flush=True)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
