"""Quality, by the two protocols of docs/benchmarks.md: `make bench-quality`.

1. A public churn table. StratifiedKFold(5, shuffle, random_state=s) for s in 0, 1: infer a contract and train
   on four folds with the product's defaults, score the fifth. Prints each fold and the mean of ten: ROC AUC,
   log loss, calibration error (10 bins of equal size).
2. Simulated customers, whose true probability is known. Train with the defaults; the mean absolute difference
   between predicted and true probability, on the customers trained on and on a fifth as many fresh ones.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold

from holdfast import Contract, train
from holdfast.simulator import simulate
from holdfast.sources import read_table
from holdfast.training.metrics import calibration_error

if TYPE_CHECKING:
    from holdfast import Model
    from holdfast.simulator import Snapshot

SIMULATED = {"train": 7, "fresh": 8}
"""Seeds."""


def main() -> None:
    """Run both protocols, or the one that is asked for."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    here = Path(__file__).resolve().parents[2] / "shared" / "data" / "telco_churn.csv"
    arguments.add_argument("--data", type=Path, default=here)
    arguments.add_argument("--label", default="Churn")
    arguments.add_argument("--seeds", type=int, nargs="*", default=[0, 1], help="none: leave the table out")
    arguments.add_argument("--simulated", type=int, default=100_000, help="0: leave the simulation out")
    arguments.add_argument("--budget", type=float, default=180.0)
    arguments.add_argument("--models", nargs="+", default=None)
    given = arguments.parse_args()
    settings = {"budget": given.budget, "models": given.models}
    if given.seeds and not given.data.is_file():
        say(skipped=f"{given.data} is not on this machine; give --data")
    elif given.seeds:
        cross_validated(given.data, given.label, given.seeds, settings)
    if given.simulated:
        against_the_truth(given.simulated, settings)


def cross_validated(data: Path, label: str, seeds: list[int], settings: dict[str, Any]) -> None:
    """Figures of each fold, and their means."""
    table = read_table(data).frame
    y = (table[label].str.strip_chars() == Contract.infer(table, label=label).churn.positive).to_numpy()
    y = y.astype(np.int8)
    rows = []
    for seed in seeds:
        folds = StratifiedKFold(5, shuffle=True, random_state=seed).split(y, y)
        for number, (learn, judged) in enumerate(folds):
            begin = time.perf_counter()
            trained = train(table[learn], Contract.infer(table[learn], label=label), **settings)
            answers = trained.model.score(table[judged].drop(label))
            if answers.frame.height != len(judged):
                sys.exit(f"{answers.rejects.height} rows were rejected; they cannot be compared")
            p = answers.frame["churn_probability"].to_numpy()
            rows.append(
                {
                    "roc_auc": roc_auc_score(y[judged], p),
                    "log_loss": log_loss(y[judged], p),
                    "calibration_error": calibration_error(y[judged], p),
                    "seconds": time.perf_counter() - begin,
                }
            )
            say(seed=seed, fold=number, chosen=trained.findings.chosen, **rows[-1])
    say(mean_of=len(rows), **{name: float(np.mean([row[name] for row in rows])) for name in rows[0]})


def against_the_truth(customers: int, settings: dict[str, Any]) -> None:
    """How far predicted probabilities are from the true ones."""
    known = simulate(customers, seed=SIMULATED["train"])
    begin = time.perf_counter()
    trained = train(known.customers, Contract.infer(known.customers, label="Churn"), **settings)
    say(
        simulated=customers,
        chosen=trained.findings.chosen,
        seconds=time.perf_counter() - begin,
        away_from_truth=away(trained.model, known),
        away_from_truth_fresh=away(trained.model, simulate(customers // 5, seed=SIMULATED["fresh"])),
    )


def away(model: Model, snapshot: Snapshot) -> float:
    """Mean absolute difference between predicted and true probability."""
    predicted = model.score(snapshot.customers.drop("Churn")).frame["churn_probability"]
    return float((predicted - snapshot.oracle["churn_probability"]).abs().mean())


def say(**facts: Any) -> None:
    """One line of JSON."""
    shown = {name: round(fact, 4) if isinstance(fact, float) else fact for name, fact in facts.items()}
    sys.stdout.write(json.dumps(shown) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
