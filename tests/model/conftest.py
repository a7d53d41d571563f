from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from holdfast.contract.infer import infer_contract
from holdfast.contract.write import render
from holdfast.features import FeatureProgram
from holdfast.model import Model
from holdfast.model.artefact import MANIFEST, write_json, write_manifest
from holdfast.model.calibration import Calibrator
from holdfast.quality.conform import conform
from holdfast.simulator import simulate
from holdfast.training.build import build
from holdfast.training.recipes import Recipe
from holdfast.training.search import Plan

if TYPE_CHECKING:
    from holdfast.contract import Contract

CURVES = Recipe("logistic_regression", {"C": 0.05})
TREES = {
    "lightgbm": Recipe("lightgbm", {"num_leaves": 6, "learning_rate": 0.1}, rounds=15),
    "xgboost": Recipe("xgboost", {"max_depth": 3, "learning_rate": 0.1}, rounds=15),
    "catboost": Recipe("catboost", {"depth": 3, "learning_rate": 0.1}, rounds=15),
}
PLANS = {
    "logistic_regression": Plan(((CURVES, 1.0),)),
    "naive_bayes": Plan(((Recipe("naive_bayes"), 1.0),)),
    "decision_tree": Plan(((Recipe("decision_tree", {"max_depth": 5, "min_child_weight": 10}), 1.0),)),
    "random_forest": Plan(
        ((Recipe("random_forest", {"max_depth": 6, "min_child_weight": 5, "trees": 30}), 1.0),)
    ),
    **{name: Plan(((recipe, 1.0),)) for name, recipe in TREES.items()},
    "blend": Plan(((CURVES, 0.4), (TREES["lightgbm"], 0.25), (TREES["catboost"], 0.5))),
    "stack": Plan(
        ((CURVES, 0.3), (TREES["xgboost"], 0.0), (TREES["lightgbm"], 0.2)),
        ((TREES["lightgbm"], 0.3), (TREES["catboost"], 0.25)),
    ),
}
"""Every family that can be chosen, small."""


@dataclass(frozen=True)
class World:
    """Simulated customers, some with gaps, and what the features make of them."""

    customers: pl.DataFrame
    others: pl.DataFrame
    """Customers that no model has seen, with gaps and levels that none has seen either."""
    contract: Contract
    program: FeatureProgram
    features: pl.DataFrame
    y: np.ndarray


def with_gaps(customers, draw, *, unseen):
    """Some cells of every column emptied, some levels replaced."""
    gaps = {name: pl.Series(draw.random(customers.height) < 0.08) for name in customers.columns[1:-1]}
    strange = pl.Series(draw.random(customers.height) < 0.05)
    frame = customers.with_columns(
        pl.when(empty).then(None).otherwise(pl.col(name)).alias(name) for name, empty in gaps.items()
    )
    if not unseen:
        return frame
    return frame.with_columns(
        pl.when(strange).then(pl.lit("never heard of")).otherwise(pl.col(name)).alias(name)
        for name in ("Contract", "PaymentMethod", "InternetService")
    )


@pytest.fixture(scope="session")
def world() -> World:
    draw = np.random.default_rng(4)
    customers = with_gaps(simulate(700, seed=21).customers, draw, unseen=False)
    others = with_gaps(simulate(150, seed=22).customers, draw, unseen=True)
    contract = infer_contract(customers, label="Churn").contract
    found = conform(customers, contract, with_label=True)
    program = FeatureProgram(contract)
    y = found.label.to_numpy().astype(np.int8)
    return World(customers, others, contract, program, program.frame(found.frame), y)


@pytest.fixture(scope="session")
def scorers(world):
    """A fitted scorer of each family."""
    draw = np.random.default_rng(6)
    calibrator = Calibrator("logistic", 0.9, -0.1)
    made = {}
    for name, plan in PLANS.items():
        layer = (2 * world.y - 1)[:, None] * 0.5 + draw.normal(size=(len(world.y), len(plan.first)))
        made[name] = build(plan, calibrator, world.program, world.features, world.y, layer=layer, seed=3)
    return made


def write_model(scorer, contract, folder, threshold=0.2):
    """The artefact of a scorer, as training writes it, without its report."""
    folder.mkdir(parents=True)
    (folder / "contract.toml").write_text(render(contract), encoding="utf-8")
    write_json(folder, "features.json", {"record": scorer.program.record, "encoder": scorer.encoder.state()})
    described = {
        **scorer.ensemble.save(folder),
        "calibrator": scorer.calibrator.state(),
        "threshold": threshold,
        "columns": [slot.name for slot in scorer.encoder.slots],
    }
    write_json(folder, "model.json", described)
    write_json(folder, "metrics.json", {"test": {}})
    write_json(folder, "importance.json", [])
    spread = {name: {"missing": 0.0} for name in scorer.program.contract.inputs}
    write_json(folder, "baseline.json", {"columns": spread, "probability": {"edges": [], "shares": []}})
    (folder / "model_card.md").write_text("# A model\n", encoding="utf-8")
    write_manifest(folder, {"name": contract.name})
    return folder


@pytest.fixture(scope="session")
def artefacts(scorers, world, tmp_path_factory):
    """The artefact folder of each family. Read only."""
    place = tmp_path_factory.mktemp("artefacts")
    return {name: write_model(scorer, world.contract, place / name) for name, scorer in scorers.items()}


@pytest.fixture(scope="session")
def models(artefacts):
    """Each family's model as loaded from its artefact."""
    return {name: Model.load(folder) for name, folder in artefacts.items()}


@pytest.fixture
def copy(artefacts, tmp_path):
    """A copy of a family's artefact to damage."""
    return lambda name="stack": shutil.copytree(artefacts[name], tmp_path / name)


def reseal(folder):
    """Make the manifest anew over whatever is in ``folder``, as one who tampers would."""
    (folder / MANIFEST).unlink(missing_ok=True)
    write_manifest(folder, {"name": "tampered"})


@pytest.fixture(scope="session")
def tamper():
    """Changes one JSON file of an artefact and makes its manifest anew."""

    def change(folder, name, edit):
        path = folder / name
        content = json.loads(path.read_text(encoding="utf-8"))
        edit(content)
        path.write_text(json.dumps(content), encoding="utf-8")
        reseal(folder)
        return folder

    return change


@pytest.fixture(scope="session", name="reseal")
def _reseal():
    return reseal
