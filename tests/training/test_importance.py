from __future__ import annotations

import numpy as np

from holdfast import Contract
from holdfast.features import Encoder, FeatureProgram
from holdfast.model.calibration import Calibrator
from holdfast.model.ensemble import Ensemble
from holdfast.model.explain import Reasons
from holdfast.model.model import Scorer
from holdfast.quality.table import training_table
from holdfast.simulator import simulate
from holdfast.sources import RawTable
from holdfast.training.importance import _shuffled


def test_shuffling_one_thing_gives_the_matrix_of_customers_with_its_values_shuffled():
    table = simulate(400, seed=4).customers
    contract = Contract.infer(table, label="Churn")
    found = training_table(RawTable(table), contract)
    conformed, program = found.frame, FeatureProgram(contract)
    features, encoder = program.frame(conformed), Encoder(program)
    encoder.fit(features, found.label.to_numpy())
    scorer = Scorer(program, encoder, Ensemble(()), Calibrator())
    X = encoder.transform(features)
    order = np.random.default_rng(1).permutation(len(X))
    names = Reasons(program, encoder.slots).names
    assert {name in conformed.columns for name in names} == {True, False}  # columns, and features of several
    for name in names:
        if name in conformed.columns:
            mixed = scorer.matrix(conformed.with_columns(conformed[name][order]))
        else:
            mixed = encoder.transform(features.with_columns(features[name][order]))
        assert np.array_equal(_shuffled(scorer, conformed, X, name, order), mixed, equal_nan=True), name
