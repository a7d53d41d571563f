from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from holdfast.simulator.telco import chains, life
from holdfast.simulator.telco.calendar import FIBRE, PAST, draw_calendar
from holdfast.simulator.telco.hazard import CAUSES
from holdfast.simulator.telco.oracle import HORIZONS, truth_of
from holdfast.simulator.telco.people import TASTES, draw_people
from holdfast.simulator.telco.traits import traits_of

MONTH = 19
"""Of the 24 of these worlds: one in which nobody feels a price rise any more."""


class Scene:
    """Some customers as of one moment, whose state can be changed."""

    def __init__(self, size: int) -> None:
        calendar, people, traits, begin = np.random.default_rng(5).spawn(4)
        self.calendar = draw_calendar(24, calendar)
        self.people = draw_people(size, self.calendar, people)
        self.traits = traits_of(self.people, traits)
        state = life._at_start(self.people, self.traits, self.calendar, begin)
        self.state = replace(
            state,
            begin=state.begin.clip(max=self.calendar.starts[0] - 1),
            contract_end=np.full(size, -PAST),
            payment=np.zeros(size, np.int64),
            ticket=np.zeros(size, np.int64),
            usage=np.zeros(size, np.int64),
            billed=np.ones(size, np.bool_),
        )
        self.belief = np.full((size, TASTES.size), 1 / TASTES.size)

    def truth(self, month=MONTH, traits=None, **changed):
        """The truth as of a month, if the state were another."""
        whole = {name: np.full(self.people.size, value) for name, value in changed.items()}
        return truth_of(
            traits or self.traits,
            replace(self.state, **whole),
            taste=self.people.taste,
            belief=self.belief,
            calendar=self.calendar,
            month=month,
        )

    def churn(self, month=MONTH, **changed):
        """(horizons, customers): the chance of leaving for any cause."""
        return self.truth(month, **changed).causes.sum(axis=1)


@pytest.fixture(scope="module")
def scene():
    return Scene(400)


@pytest.fixture(scope="module")
def usual(scene):
    return scene.churn()


@pytest.mark.parametrize(
    "trouble", [{"payment": 1}, {"payment": 2}, {"ticket": 1}, {"usage": 1}, {"usage": 2}], ids=str
)
def test_each_trouble_makes_everybody_likelier_to_leave(scene, usual, trouble):
    assert (scene.churn(**trouble) > usual).all()


def test_troubles_grow(scene):
    failed = [scene.truth(payment=state).causes[:, CAUSES.index("payment")] for state in range(3)]
    assert (failed[0] < failed[1]).all()
    assert (failed[1] < failed[2]).all()
    low = [scene.churn(usage=state) for state in range(3)]
    assert (low[1] < low[2]).all()


def test_an_open_ticket_and_falling_usage_together_weigh_more_than_both(scene, usual):
    both, ticket, usage = scene.churn(usage=1, ticket=1), scene.churn(ticket=1), scene.churn(usage=1)
    assert np.log(both / usual).mean() > np.log(ticket / usual).mean() + np.log(usage / usual).mean()


def test_a_contract_binds_until_it_ends(scene, usual):
    middle, ending = scene.churn(contract_end=MONTH + 9), scene.churn(contract_end=MONTH + 1)
    assert (middle < usual).all()
    assert (middle < ending).all()
    just_over = scene.churn(contract_end=MONTH, signed_index=scene.calendar.index[MONTH + PAST, FIBRE])
    fibre = scene.traits.family == FIBRE
    assert (just_over[:, fibre] > usual[:, fibre]).all()


def test_a_price_rise_is_felt_at_once_and_fades(scene):
    fibre, shock = scene.traits.family == FIBRE, scene.calendar.shock
    by_month = [scene.churn(month)[0, fibre].mean() for month in range(shock - 1, shock + 4)]
    assert by_month[1] > 1.3 * by_month[0]
    assert by_month[1] > by_month[2] > by_month[3]


def test_rivals_offers_draw_those_who_are_free_more_than_those_who_are_bound(scene):
    def drawn(**changed):
        calendar = scene.calendar
        sides = []
        for strength in (1.0, 0.0):
            scene.calendar = replace(calendar, rivals=np.full_like(calendar.rivals, strength))
            sides.append(scene.churn(**changed)[0])
        scene.calendar = calendar
        return sides[0] / sides[1]

    free, bound = drawn(), drawn(contract_end=MONTH + 9)
    assert (free > bound).all()
    assert (bound > 1).all()


def test_people_move_in_summer(scene):
    def moving(month):
        return scene.truth(month).causes[0, CAUSES.index("relocation")]

    june, january = (
        next(n for n in range(scene.calendar.months) if scene.calendar.day(n).month == month)
        for month in (6, 1)
    )
    assert (moving(june) > 2 * moving(january)).all()


def test_leaving_is_not_linear_in_tenure(scene):
    month = 30.4 * 86_400
    by_tenure = [
        scene.churn(begin=int(scene.calendar.starts[MONTH] - t * month))[0].mean()
        for t in (1, 12, 36, 62, 90)
    ]
    assert by_tenure[0] > by_tenure[1] > by_tenure[2]
    assert by_tenure[3] > by_tenure[2] > by_tenure[4] * 0.99


def test_horizons_and_causes_add_up(scene):
    truth = scene.truth()
    assert (truth.causes >= 0).all()
    assert (np.diff(truth.causes, axis=0) > 0).all()
    assert (truth.causes.sum(axis=1) < 1).all()


def test_the_truth_without_the_taste_lies_between_those_of_all_tastes(scene):
    total, untasted = scene.churn(), scene.truth().untasted
    taste = TASTES[scene.people.taste]
    assert (total[:, taste < 0] < untasted[:, taste < 0]).all()
    assert (total[:, taste > 0] > untasted[:, taste > 0]).all()


def test_an_offers_effect_is_the_difference_that_it_makes(scene, usual):
    truth = scene.truth()
    for place, effect in enumerate(scene.traits.offers):
        offered = replace(scene.traits, leaving=scene.traits.leaving + effect)
        found = scene.truth(traits=offered).causes.sum(axis=1) - usual
        assert np.allclose(truth.offers[:, place], found, atol=2e-6)
        assert (np.sign(truth.offers[:, place]) == np.sign(effect))[:, np.abs(effect) > 0.01].all()
        harmed = (effect > 0).mean()
        assert 0.03 < harmed < 0.45


@pytest.mark.parametrize(
    ("month", "changed"),
    [
        (
            1,
            {"payment": 1, "usage": 1},
        ),  # February of 28 days: the longest horizon reaches into a fourth month
        (3, {"ticket": 1, "billed": False}),
        (9, {"contract_end": 11, "signed_index": 1.0}),
        (12, {"contract_end": 13, "payment": 2}),
    ],
    ids=str,
)
def test_the_truth_is_what_many_lives_from_the_same_state_come_to(month, changed):
    """40,000 lives of each of four customers: every share is within 4.5 standard errors of the truth.

    Four states, four customers, three causes and horizons: 144 comparisons, of which none is that far off
    with probability .999.
    """
    lives, few = 40_000, Scene(4)
    whole = {name: np.full(4, value) for name, value in changed.items()}
    few.state = replace(few.state, **whole)
    truth = few.truth(month).causes
    many = np.repeat(np.arange(4), lives)
    traits, state, taste = few.traits.take(many), few.state.take(many), few.people.taste[many]
    rng = np.random.default_rng(8)
    left, why = np.full(many.size, life.NEVER), np.full(many.size, life.STAYING)
    for step in range(month, month + 4):
        start, stop = few.calendar.starts[step], few.calendar.starts[step + 1]
        rates, _ = life._rates(traits, state, taste, few.calendar, step)
        cause, end = life._leave(rates, state.begin, start, stop, rng)
        first = (left == life.NEVER) & (cause != life.STAYING)
        left[first], why[first] = end[first], cause[first]
        state, _ = chains.next_state(traits, state, few.calendar, step, rng)
        state = replace(state, billed=np.ones(many.size, np.bool_))
    for place, days in enumerate(HORIZONS):
        within = left < few.calendar.starts[month] + days * 86_400
        for number in range(len(CAUSES)):
            share = (within & (why == number)).reshape(4, lives).mean(axis=1)
            error = np.sqrt(truth[place, number] * (1 - truth[place, number]) / lives)
            assert (np.abs(share - truth[place, number]) <= 4.5 * error).all()


@pytest.mark.parametrize("days", HORIZONS)
@pytest.mark.parametrize("name", ["churn", "observable"])
def test_as_many_leave_as_the_oracle_says_in_each_tenth(lived, days, name):
    """Observed minus expected, in standard errors: ten standard normals, within 4 with probability .999."""
    probability = pl.col(f"{name}_{days}").cast(pl.Float64)
    groups = (
        lived.outcomes(days, every=1 if days == 30 else 3)
        .with_columns(group=probability.rank("ordinal") * 10 // (pl.len() + 1))
        .group_by("group")
        .agg(
            error=(pl.col("left").sum() - probability.sum()) / (probability * (1 - probability)).sum().sqrt()
        )
    )
    assert groups.height == 10
    assert groups["error"].abs().max() < 4


@pytest.mark.parametrize("cause", CAUSES)
def test_as_many_leave_for_each_cause_as_the_oracle_says(lived, cause):
    """As above: within 4 standard errors."""
    outcomes = lived.outcomes(90, every=3)
    expected = outcomes[f"{cause}_90"].cast(pl.Float64)
    observed = (outcomes["end_reason"] == cause).fill_null(value=False)
    assert abs(observed.sum() - expected.sum()) < 4 * (expected * (1 - expected)).sum() ** 0.5
    assert observed.sum() > 50


def test_the_world_is_neither_easy_nor_hopeless(lived):
    outcomes = lived.outcomes(90, every=3)
    true, best = (roc_auc_score(outcomes["left"], outcomes[f"{name}_90"]) for name in ("churn", "observable"))
    assert 0.75 < true < 0.81
    assert true - 0.03 < best < true
    monthly = lived.outcomes(30)["left"].mean()
    assert 0.015 < monthly < 0.03
    apart = (lived.truth["churn_90"] - lived.truth["observable_90"]).abs().mean()
    assert 0.005 < apart < 0.02


def test_the_oracle_has_a_row_for_each_customer_and_month_in_force(lived):
    truth, calendar = lived.truth, lived.world.calendar
    assert truth.select("customer_id", "as_of").is_unique().all()
    assert truth["as_of"].n_unique() == 13
    assert truth["as_of"].max() == calendar.day(12)
    for month in (0, 5, 12):
        day = calendar.day(month)
        begun = lived.latest.filter(
            pl.col("started_at").dt.replace_time_zone(None) < day,
            pl.col("ended_at").is_null() | (pl.col("ended_at").dt.replace_time_zone(None) >= day),
        )
        here = truth.filter(pl.col("as_of") == day)["customer_id"]
        assert set(begun["customer_id"]) == set(here)
    assert lived.hidden["customer_id"].equals(lived.tables["customers"]["customer_id"])
