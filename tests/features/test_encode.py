from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from holdfast.features import Encoder, FeatureProgram
from holdfast.features.encode import MAX_FLAGS, RARE

N = 600
COLUMNS = {
    "months": {"kind": "integer", "meaning": "tenure_months"},
    "monthly": {"kind": "number", "meaning": "monthly_charge"},
    "yes": {"kind": "boolean"},
    "term": {"kind": "category", "levels": ["a", "b", "c", "never seen"], "meaning": "contract_term"},
    "pay": {"kind": "category", "levels": ["x", "y", "z", "rare"], "meaning": "payment_method"},
    "town": {"kind": "category"},
    "use": {"kind": "number", "meaning": "data_usage"},
    "since": {"kind": "date"},
}


def customers(n=N, seed=5):
    draw = np.random.default_rng(seed)
    some = draw.random(n)
    return {
        "months": draw.integers(0, 72, n).tolist(),
        "monthly": draw.uniform(10, 120, n).round(2).tolist(),
        "yes": draw.choice(["Yes", "No"], n).tolist(),
        "term": draw.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2]).tolist(),
        "pay": [*draw.choice(["x", "y", "z"], n - 3).tolist(), "rare", "rare", None],
        "town": [None if at < 0.1 else f"town {int(60 * at)}" for at in some],
        "use": [None if at > 0.9 else round(at, 3) for at in draw.random(n)],
        "since": [f"20{10 + at % 14}-0{1 + at % 9}-01" for at in range(n)],
    }


@pytest.fixture(scope="module")
def contract(make_contract):
    return make_contract(COLUMNS)


@pytest.fixture(scope="module")
def program(contract):
    return FeatureProgram(contract)


@pytest.fixture(scope="module")
def features(contract, program, conformed):
    return program.frame(conformed(contract, customers()))


@pytest.fixture(scope="module")
def y():
    return (np.random.default_rng(3).random(N) < 0.3).astype(np.int8)


@pytest.fixture(scope="module")
def encoder(program, features, y):
    return Encoder(program).fit(features, y)


def same_bits(a, b):
    return a.tobytes() == b.tobytes()


def test_a_row_alone_has_the_bits_it_has_among_many(encoder, features):
    X = encoder.transform(features)
    assert X.dtype == np.float32
    assert X.shape == (N, len(encoder.slots))
    for row in range(0, N, 37):
        assert same_bits(encoder.transform(features[row]), X[[row]])
    order = np.random.default_rng(1).permutation(N)
    assert same_bits(encoder.transform(features[order]), X[order])


def test_what_was_learned_survives_json_bit_for_bit(program, encoder, features, contract, conformed):
    state = json.loads(json.dumps(encoder.state(), allow_nan=False))
    again = Encoder(program).restore(state)
    assert again.slots == encoder.slots
    assert again.state() == encoder.state()
    others = program.frame(conformed(contract, customers(seed=99)))
    assert same_bits(again.transform(features), encoder.transform(features))
    assert same_bits(again.transform(others), encoder.transform(others))


cell = {
    "months": st.one_of(st.none(), st.integers(-(2**53), 2**53)),
    "monthly": st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
    "yes": st.sampled_from(["Yes", "No", None]),
    "term": st.sampled_from(["a", "b", "c", "never seen", "not in the contract", None]),
    "pay": st.sampled_from(["x", "y", "z", "rare", "other", None]),
    "town": st.one_of(st.none(), st.text(max_size=5), st.sampled_from(["town 1", "town 7"])),
    "use": st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
    "since": st.one_of(st.none(), st.dates().map(str)),
}


@given(st.lists(st.fixed_dictionaries(cell), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_any_row_is_encoded_and_by_itself(encoder, program, contract, conformed, rows):
    schema = {"months": pl.Int64, "monthly": pl.Float64, "use": pl.Float64}
    schema = {name: schema.get(name, pl.String) for name in COLUMNS}
    frame = program.frame(conformed(contract, pl.DataFrame(rows, schema=schema)))
    X = encoder.transform(frame)
    assert X.shape == (len(rows), len(encoder.slots))
    assert not np.isinf(X).any()
    for row in range(len(rows)):
        assert same_bits(encoder.transform(frame[row]), X[[row]])


def test_a_level_never_seen_gets_the_rate_of_strangers_and_no_flag(encoder, program, contract, conformed):
    data = {name: [cells[0]] * 3 for name, cells in customers().items()}
    data |= {"term": ["never seen", "made up", "a"], "town": ["Atlantis", "town 3", "town 3"]}
    X = encoder.transform(program.frame(conformed(contract, data)))
    at = {slot.name: position for position, slot in enumerate(encoder.slots)}
    flags = [position for name, position in at.items() if name.startswith("term=")]
    assert flags
    assert not X[0, flags].any()
    state = {entry["feature"]: entry for entry in encoder.state()["codecs"]}
    assert X[0, at["town (rate)"]] == np.float32(state["town"]["other"])
    assert X[0, at["town (count)"]] == 0


def test_an_unseen_listed_level_after_all_the_learned_ones_has_a_rate(make_contract, conformed):
    levels = [f"level {number}" for number in range(30)]
    contract = make_contract({"k": {"kind": "category", "levels": levels}})
    program = FeatureProgram(contract)
    frame = program.frame(conformed(contract, {"k": levels[:25] * 20}))
    encoder = Encoder(program).fit(frame, (np.arange(500) % 4 == 0).astype(np.int8))
    assert encoder.slots[0].role == "rate"
    X = encoder.transform(program.frame(conformed(contract, {"k": [levels[29]]})))
    assert X[0, 0] == np.float32(encoder.state()["codecs"][0]["other"])


def test_missing_numbers_stay_missing_and_common_missing_levels_have_a_flag(encoder, features):
    X = encoder.transform(features)
    at = {slot.name: position for position, slot in enumerate(encoder.slots)}
    missing = features["use"].is_null().to_numpy()
    assert (np.isnan(X[:, at["use"]]) == missing).all()
    assert (np.isnan(X[:, at["data_usage_level"]]) == missing).all()
    state = {entry["feature"]: entry for entry in encoder.state()["codecs"]}
    absent = features["town"].is_null().to_numpy()
    assert (X[absent, at["town (rate)"]] == np.float32(state["town"]["missing"])).all()


def test_common_gaps_in_a_category_have_a_flag_of_their_own(make_contract, conformed):
    contract = make_contract({"k": {"kind": "category"}})
    program = FeatureProgram(contract)
    frame = program.frame(conformed(contract, {"k": ["a", "b", None] * 20}))
    encoder = Encoder(program).fit(frame, np.array([0, 1, 0] * 20, dtype=np.int8))
    assert [slot.name for slot in encoder.slots] == ["k=a", "k=b", "k=(missing)"]
    assert encoder.transform(frame)[:3].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_thirds_are_thirds_of_the_training_rows(encoder, features):
    X = encoder.transform(features)
    at = [slot.name for slot in encoder.slots].index("data_usage_level")
    levels = X[:, at][~np.isnan(X[:, at])]
    assert set(levels) == {0, 1, 2}
    assert [abs((levels == third).mean() - 1 / 3) < 0.01 for third in (0, 1, 2)] == [True] * 3


def test_a_third_of_nothing_known_is_left_out(make_contract, conformed):
    contract = make_contract({"use": {"kind": "number", "meaning": "data_usage"}, "x": {"kind": "number"}})
    program = FeatureProgram(contract)
    frame = program.frame(conformed(contract, {"use": [None] * 30, "x": list(range(30))}))
    encoder = Encoder(program).fit(frame, (np.arange(30) % 3 == 0).astype(np.int8))
    assert [slot.name for slot in encoder.slots] == ["x"]


def test_rare_levels_have_no_flag(make_contract, conformed):
    contract = make_contract({"k": {"kind": "category"}})
    program = FeatureProgram(contract)
    cells = ["a"] * 50 + ["b"] * 40 + ["c"] * RARE + ["d"] * (RARE - 1) + ["e"]
    frame = program.frame(conformed(contract, {"k": cells}))
    encoder = Encoder(program).fit(frame, (np.arange(len(cells)) % 3 == 0).astype(np.int8))
    assert [slot.level for slot in encoder.slots] == ["a", "b", "c"]


@pytest.mark.parametrize(("levels", "roles"), [(MAX_FLAGS, {"flag"}), (MAX_FLAGS + 1, {"rate", "count"})])
def test_few_levels_are_flags_many_are_rates(make_contract, conformed, levels, roles):
    contract = make_contract({"k": {"kind": "category"}})
    program = FeatureProgram(contract)
    cells = [f"level {at}" for at in range(levels) for _ in range(20 + at)]
    frame = program.frame(conformed(contract, {"k": cells}))
    encoder = Encoder(program).fit(frame, (np.arange(len(cells)) % 3 == 0).astype(np.int8))
    assert {slot.role for slot in encoder.slots} == roles


def test_of_two_levels_one_flag_says_it_all(make_contract, conformed):
    contract = make_contract({"k": {"kind": "category"}, "same": {"kind": "number"}})
    program = FeatureProgram(contract)
    frame = program.frame(conformed(contract, {"k": ["a"] * 30 + ["b"] * 20, "same": [1] * 50}))
    encoder = Encoder(program).fit(frame, (np.arange(50) % 3 == 0).astype(np.int8))
    assert [slot.name for slot in encoder.slots] == ["k=b"]


def test_straight_line_copies_are_dropped_and_their_originals_kept(encoder):
    names = [slot.name for slot in encoder.slots]
    assert "months" in names
    assert "tenure_years" not in names
    assert "days_since_signup" not in names
    assert "customer_lifetime_value" in names


def test_a_copy_with_other_gaps_is_kept(make_contract, conformed):
    contract = make_contract({"a": {"kind": "number"}, "b": {"kind": "number"}, "c": {"kind": "number"}})
    program = FeatureProgram(contract)
    a = np.random.default_rng(0).normal(size=200)
    rows = {"a": a.tolist(), "b": (3 - 2 * a).tolist(), "c": [None, *a[1:].tolist()]}
    encoder = Encoder(program).fit(program.frame(conformed(contract, rows)), (a > 0.5).astype(np.int8))
    assert [slot.name for slot in encoder.slots] == ["a", "c"]


def rate_column(encoder, matrix):
    return matrix[:, [slot.name for slot in encoder.slots].index("town (rate)")]


def test_a_row_does_not_see_its_own_label_in_its_rate(program, features, y):
    encoder = Encoder(program)
    before = rate_column(encoder, encoder.fit_transform(features, y, seed=11)).copy()
    for row in (0, 17, 400):
        flipped = y.copy()
        flipped[row] = 1 - flipped[row]
        again = Encoder(program)
        after = rate_column(again, again.fit_transform(features, flipped, seed=11))
        # Its whole part is left out of its rate, so nobody of that part sees the flip, others do.
        assert after[row] == before[row]
        assert 0.05 * N < (after != before).sum() <= 0.8 * N


def test_rows_that_may_be_one_customer_do_not_see_each_others_label(make_contract, conformed):
    draw = np.random.default_rng(9)
    contract = make_contract({"k": {"kind": "category"}})
    program = FeatureProgram(contract)
    cells = [f"level {level}" for level in draw.integers(0, 500, 2000)]
    y = (draw.random(2000) < 0.3).astype(np.int8)
    frame = program.frame(conformed(contract, {"k": [*cells, *cells]}))
    twice = np.tile(y, 2)
    groups = np.tile(np.arange(2000), 2)
    apart = Encoder(program).fit_transform(frame, twice, seed=1)[:, 0]
    together = Encoder(program).fit_transform(frame, twice, seed=1, groups=groups)[:, 0]
    # As above, with 600 leavers among 2,000: a standard error of .014.
    assert abs(roc_auc_score(twice, together) - 0.5) < 4 * 0.014
    assert roc_auc_score(twice, apart) > 0.6  # what it protects from


def test_rates_of_training_rows_tell_nothing_about_labels_drawn_by_lot(make_contract, conformed):
    draw = np.random.default_rng(8)
    contract = make_contract({"k": {"kind": "category"}})
    program = FeatureProgram(contract)
    cells = [f"level {level}" for level in draw.integers(0, 1000, 4000)]
    y = (draw.random(4000) < 0.3).astype(np.int8)
    frame = program.frame(conformed(contract, {"k": cells}))
    encoder = Encoder(program)
    crossed = encoder.fit_transform(frame, y, seed=1)[:, 0]
    naive = encoder.transform(frame)[:, 0]
    # Standard error of an AUC with 1,200 leavers among 4,000: sqrt((1/1200 + 1/2800) / 12) = .01.
    assert abs(roc_auc_score(y, crossed) - 0.5) < 0.04
    assert roc_auc_score(y, naive) > 0.6  # what cross-fitting protects from


def test_rates_are_between_the_levels_own_and_the_overall_rate(make_contract, conformed):
    contract = make_contract({"pay": {"kind": "category", "meaning": "payment_method"}})
    program = FeatureProgram(contract)
    cells = ["a"] * 300 + ["b"] * 200 + ["c"] * 3
    y = np.r_[np.arange(300) % 10 == 0, np.arange(200) % 2 == 0, [1, 1, 1]].astype(np.int8)
    encoder = Encoder(program).fit(program.frame(conformed(contract, {"pay": cells})), y)
    state = next(e for e in encoder.state()["codecs"] if e["feature"] == "payment_method_risk")
    rate = dict(zip(state["levels"], state["rates"], strict=True))
    overall = y.mean()
    assert 0.1 < rate["a"] < overall
    assert overall < rate["b"] < 0.5
    assert overall < rate["c"] < 1  # three leavers of three do not make a certainty
    assert state["other"] == pytest.approx(overall)


def test_a_table_of_constants_has_an_empty_matrix(make_contract, conformed):
    contract = make_contract({"k": {"kind": "category"}, "x": {"kind": "number"}})
    program = FeatureProgram(contract)
    frame = program.frame(conformed(contract, {"k": ["a"] * 30, "x": [1] * 30}))
    encoder = Encoder(program).fit(frame, (np.arange(30) % 3 == 0).astype(np.int8))
    assert encoder.slots == []


@pytest.mark.parametrize("levels", [3, MAX_FLAGS + 1])
def test_a_column_may_be_called_anything(make_contract, conformed, levels):
    names = ["count", "level", "len", "literal"]
    contract = make_contract({name: {"kind": "category"} for name in names})
    draw = np.random.default_rng(8)
    rows = {name: [f"l{at}" for at in draw.integers(0, levels, 600)] for name in names}
    program = FeatureProgram(contract)
    y = draw.integers(0, 2, 600).astype(np.int8)
    encoder = Encoder(program).fit(program.frame(conformed(contract, rows)), y)
    assert {slot.feature for slot in encoder.slots} == set(names)
