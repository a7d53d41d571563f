from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit

from holdfast.contract import Kind
from holdfast.features.units import phrase
from holdfast.quality.columns import ColumnsError

FAMILIES = [
    "logistic_regression",
    "naive_bayes",
    "decision_tree",
    "random_forest",
    "xgboost",
    "lightgbm",
    "catboost",
    "blend",
    "stack",
]
ANSWER = [
    "customer_id",
    "churn_probability",
    "will_churn",
    "risk_level",
    "recommendation",
    "model_version",
]


@pytest.fixture(scope="module")
def others(world):
    return world.others.drop("Churn")


@pytest.fixture(params=FAMILIES)
def model(models, request):
    return models[request.param]


def texts(frame):
    return frame.select(pl.all().cast(pl.String))


def same(scored, expected):
    assert scored.rejects.is_empty()
    assert scored.frame.equals(expected.frame)
    bits = [frame["churn_probability"].to_numpy().tobytes() for frame in (scored.frame, expected.frame)]
    assert bits[0] == bits[1]


def test_answers_are_whole(model, others):
    scored = model.score(others)
    assert scored.frame.columns == ANSWER
    assert scored.frame.height == others.height
    assert scored.frame["customer_id"].equals(others["customerID"].alias("customer_id"))
    p = scored.frame["churn_probability"]
    assert p.is_between(0, 1).all()
    assert p.n_unique() > 5
    assert scored.frame["will_churn"].equals((p >= model.threshold).alias("will_churn"))


def test_loaded_from_its_artefact_it_gives_the_same_bits(model, others, scorers, models):
    name = next(name for name, own in models.items() if own is model)
    frame = model.conform(others).frame
    assert model.probability(frame).tobytes() == scorers[name].probability(frame).tobytes()


def test_one_row_alone_equals_the_row_among_many(model, others):
    together = model.score(others, reasons=3).frame
    for at in range(0, others.height, 11):
        assert model.score(others[at], reasons=3).frame.equals(together[at])


def test_chunked_and_shuffled_rows_have_the_same_bits(model, others):
    together = model.score(others)
    pieces = pl.concat([others[:7], others[7:8], others[8:90], others[90:]], rechunk=False)
    same(model.score(pieces), together)
    order = np.random.default_rng(0).permutation(others.height)
    assert model.score(others[order]).frame.equals(together.frame[order])


def test_shuffled_and_further_columns_have_the_same_bits(model, others):
    columns = others.columns
    np.random.default_rng(1).shuffle(columns)
    same(model.score(others.select(columns).with_columns(pl.lit("x").alias("further"))), model.score(others))


def test_texts_and_pandas_have_the_same_bits(model, others):
    together = model.score(others)
    same(model.score(texts(others)), together)
    same(model.score(others.to_pandas()), together)
    same(model.score(pd.DataFrame(texts(others).to_dicts())), together)


def cells(contract):
    """Any record of a contract, as texts: values, gaps, levels that nobody has seen."""
    kinds = {
        Kind.NUMBER: st.floats(0, 1000).map(lambda value: f"{value:.3f}"),
        Kind.INTEGER: st.integers(0, 70).map(str),
        Kind.BOOLEAN: st.sampled_from(["Yes", "No"]),
        Kind.CATEGORY: st.sampled_from(["Yes", "No", "DSL", "Two year", "Male", "unheard of", "ß Ω \u200b"]),
    }
    columns = {}
    for name, column in contract.inputs.items():
        own = st.sampled_from(column.levels) if column.levels else kinds[column.kind]
        columns[name] = st.one_of(own, kinds[column.kind], st.none())
    return st.lists(st.fixed_dictionaries(columns), min_size=1, max_size=6)


@given(st.data())
@settings(max_examples=12, deadline=None)
def test_any_record_has_the_same_bits_alone_shuffled_and_typed(models, world, data):
    records = data.draw(cells(world.contract))
    columns = data.draw(st.permutations(list(world.contract.inputs)))
    frame = pl.DataFrame(records, schema=dict.fromkeys(world.contract.inputs, pl.String))
    frame = frame.with_columns(customerID=pl.Series([f"c{at}" for at in range(len(records))]))
    for model in models.values():
        conformed = model.conform(frame)
        assert conformed.rejects.is_empty()
        together = model.answer(conformed)
        assert together["churn_probability"].is_between(0, 1).all()
        alone = [model.score(frame[at].select(*columns, "customerID")).frame for at in range(frame.height)]
        assert pl.concat(alone).equals(together)
        typed = conformed.frame.with_columns(conformed.ids.alias("customerID"))
        assert model.score(typed).frame.equals(together)


def test_reasons_name_what_moved_the_row_most(model, others):
    scored = model.score(others, reasons=2).frame
    assert scored.columns == [*ANSWER, "reason_1", "reason_2"]
    told = scored["reason_1"].drop_nulls()
    assert told.len() > 0.5 * others.height
    assert told.str.contains(r" \((raises|lowers)\)$").all()
    strongest = model.explain(others).filter(pl.col("rank") == 1)
    for says, why in zip(scored["reason_1"], strongest.iter_rows(named=True), strict=True):
        if says is None:
            assert why["direction"] == "none"
        else:
            way = {"up": "raises", "down": "lowers"}[why["direction"]]
            assert says == f"{why['feature']}: {phrase(why['value'], why['unit'])} ({way})"


def test_what_is_measured_agrees_with_its_number(models, others):
    tenures = others[:3].with_columns(tenure=pl.Series([1, 2, None]))
    found = models["blend"].explain(tenures).filter(pl.col("feature") == "tenure").sort("row")
    assert found.select("value", "unit").rows() == [("1", "month"), ("2", "months"), ("not known", "")]


def test_more_reasons_than_there_are_leave_the_rest_empty(models, others):
    scored = models["blend"].score(others[:5], reasons=60).frame
    assert scored.select(pl.col("^reason_.*$")).columns == [f"reason_{rank}" for rank in range(1, 61)]
    assert scored["reason_60"].to_list() == [None] * 5


def test_explanations_are_whole_and_ordered(model, others):
    found = model.explain(others[:20])
    assert found["row"].unique(maintain_order=True).to_list() == list(range(1, 21))
    for _, part in found.group_by("row"):
        assert part["rank"].to_list() == list(range(1, part.height + 1))
        assert (part["effect"].abs().diff().drop_nulls() <= 0).all()
    assert found["feature"].n_unique() == found.filter(pl.col("row") == 1).height
    assert found["value"].null_count() == 0
    signs = found["direction"].replace_strict({"up": 1, "down": -1, "none": 0})
    assert (found["effect"].sign() == signs).all()
    points = found["points"].to_numpy()
    assert (np.sign(points) * np.sign(found["effect"].to_numpy()) >= 0).all()


ADDITIVE = [name for name in FAMILIES if name not in {"stack", "random_forest", "decision_tree"}]


@pytest.mark.parametrize("name", ADDITIVE)
def test_effects_and_one_base_add_up_to_the_log_odds(models, name, others):
    found = models[name].explain(others).group_by("row", maintain_order=True)
    sums = found.agg(pl.col("effect").sum(), pl.col("churn_probability").first())
    told = logit(sums["churn_probability"].to_numpy())
    base = (told - sums["effect"].to_numpy())[np.abs(told) < 15]  # beyond, a probability rounds to 0 or 1
    assert base == pytest.approx(np.full(len(base), base.mean()), abs=1e-3)


def test_effects_of_a_stack_follow_its_log_odds(models, others):
    found = models["stack"].explain(others).group_by("row", maintain_order=True)
    sums = found.agg(pl.col("effect").sum(), pl.col("churn_probability").first())
    # The rescale rule is an approximation: nearly all of the variation between customers must be told.
    assert np.corrcoef(sums["effect"], logit(sums["churn_probability"].to_numpy()))[0, 1] > 0.95


def test_no_rows_give_no_answers(model, others):
    nobody = model.conform(others.clear())
    assert model.answer(nobody, reasons=2).shape == (0, len(ANSWER) + 2)
    assert model.probability(nobody.frame).shape == (0,)


def test_a_missing_required_column_is_named(trained):
    with pytest.raises(ColumnsError, match="tenure"):
        trained.model.score(trained.customers.drop("tenure"))


def test_missing_optional_columns_are_missing_values(models, others):
    fewer = others.drop("tenure", "Contract")
    gone = others.with_columns(pl.lit(None).alias("tenure"), pl.lit(None).alias("Contract"))
    assert models["blend"].score(fewer).frame.equals(models["blend"].score(gone).frame)


def test_rejected_rows_are_left_out_and_told(models, others):
    bad = texts(others[:3]).with_columns(tenure=pl.Series(["1", "abc", "3"]))
    scored = models["xgboost"].score(bad)
    assert scored.frame["customer_id"].to_list() == others["customerID"][[0, 2]].to_list()
    assert scored.rejects["row"].to_list() == [2]
    assert scored.rejects["column"].to_list() == ["tenure"]
