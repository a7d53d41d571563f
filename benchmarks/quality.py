"""Quality on the IBM telco table, by the protocol of docs/benchmarks.md: `make bench-quality`.

StratifiedKFold(5, shuffle, random_state=s) for s in 0, 1: infer a contract and train on four folds with the
product's defaults, score the fifth. Prints each fold and the mean of ten: ROC AUC, log loss, calibration
error (10 bins of equal size).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold

from holdfast import Contract, train
from holdfast.sources import read_table
from holdfast.training.metrics import calibration_error


def main() -> None:
    """Run the protocol and print one line a fold and the means."""
    arguments = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).resolve().parents[2] / "shared" / "data" / "telco_churn.csv"
    arguments.add_argument("--data", type=Path, default=here)
    arguments.add_argument("--label", default="Churn")
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    arguments.add_argument("--budget", type=float, default=180.0)
    arguments.add_argument("--models", nargs="+", default=None)
    given = arguments.parse_args()
    if not given.data.is_file():
        sys.exit(f"skipped: {given.data} is not on this machine; give --data")
    table = read_table(given.data).frame
    whole = Contract.infer(table, label=given.label)
    y = (table[given.label].str.strip_chars() == whole.churn.positive).to_numpy().astype(int)
    rows = []
    for seed in given.seeds:
        folds = StratifiedKFold(5, shuffle=True, random_state=seed).split(y, y)
        for number, (learn, judged) in enumerate(folds):
            begin = time.perf_counter()
            contract = Contract.infer(table[learn], label=given.label)
            trained = train(table[learn], contract, budget=given.budget, models=given.models)
            answers = trained.model.score(table[judged].drop(given.label))
            if answers.frame.height != len(judged):
                sys.exit(f"{answers.rejects.height} rows were rejected; they cannot be compared")
            p = answers.frame["churn_probability"].to_numpy()
            row = {
                "seed": seed,
                "fold": number,
                "chosen": trained.findings.chosen,
                "roc_auc": roc_auc_score(y[judged], p),
                "log_loss": log_loss(y[judged], p),
                "calibration_error": calibration_error(y[judged].astype(np.int8), p),
                "seconds": time.perf_counter() - begin,
            }
            rows.append(row)
            sys.stdout.write(json.dumps(row) + "\n")
            sys.stdout.flush()
    measures = ("roc_auc", "log_loss", "calibration_error", "seconds")
    means = {name: round(float(np.mean([row[name] for row in rows])), 4) for name in measures}
    sys.stdout.write(json.dumps({"mean of": len(rows), **means}) + "\n")


if __name__ == "__main__":
    main()
