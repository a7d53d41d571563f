"""A written history reads back equal, whatever the names and values, and reads well."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.contract import Column, Economics, Kind
from holdfast.contract.guess.history import InferredHistory, infer_history
from holdfast.contract.history import ChurnEvent, Clock, History, HistoryChurn, Table, TableKind
from holdfast.contract.load import load_history, parse_history
from holdfast.contract.write_history import render_history, write_history
from holdfast.errors import UsageError

TEXT = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=10)
WORDS = st.lists(TEXT, min_size=1, max_size=4, unique=True).map(tuple)
DAY = st.dates(date(1990, 1, 1), date(2050, 1, 1))
DAYS = st.lists(DAY, min_size=1, max_size=30).map(tuple)
WINDOWS = st.sets(st.integers(1, 3_650), min_size=1, max_size=12).map(lambda days: tuple(sorted(days)))
NAME = st.from_regex(r"\A[a-z][a-z0-9_]{0,12}\Z")
COLUMN = st.one_of(
    st.builds(Column, kind=st.sampled_from([Kind.NUMBER, Kind.INTEGER]), required=st.booleans()),
    st.builds(Column, kind=st.just(Kind.CATEGORY), levels=st.none() | WORDS),
    st.builds(Column, kind=st.just(Kind.DATE), day_first=st.sampled_from([None, True]), exclude=TEXT),
)
ECONOMICS = Economics(customer_value=200, contact_cost=1, offer_cost=10, success_rate=0.3)


@st.composite
def tables(draw, kind):
    clocks = draw(st.lists(TEXT, min_size=6, max_size=6, unique=True))
    customer, fact, time, end, known, level = clocks
    columns = draw(st.dictionaries(TEXT.filter(lambda name: name not in clocks), COLUMN, max_size=3))
    events = kind is TableKind.EVENTS
    if events:
        columns[level] = Column(kind=Kind.CATEGORY)
    return Table(
        kind=kind,
        source=draw(TEXT),
        customer=customer,
        id=draw(st.sampled_from([None, fact, customer])),
        time=time if events else None,
        begin=None if events else time,
        end=None if events else end,
        ongoing=() if events else draw(st.just(()) | WORDS),
        day_first=draw(st.sampled_from([None, True, False])),
        known=draw(st.sampled_from([None, known])),
        failures={level: draw(WORDS)} if events and draw(st.booleans()) else {},
        columns=columns,
    )


@st.composite
def histories(draw):
    event, span, people = draw(st.lists(NAME, min_size=3, max_size=3, unique=True))
    made = {
        people: draw(tables(TableKind.CUSTOMERS)),
        span: draw(tables(TableKind.INTERVALS)),
        event: draw(tables(TableKind.EVENTS)),
    }
    what = draw(st.sampled_from(ChurnEvent))
    where = {}
    if what is not ChurnEvent.END and draw(st.booleans()):
        where = {name: draw(WORDS) for name in list(made[event].columns)[-1:]}
    return History(
        name=draw(st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9 ._-]{0,20}\Z")),
        clock=Clock(
            time_zone=draw(st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns"])),
            snapshots=draw(st.sampled_from(["monthly", "weekly"]) | DAYS),
            first=draw(st.none() | st.just(date(1991, 1, 1))),
            until=draw(st.none() | DAY),
            windows=draw(WINDOWS),
        ),
        churn=HistoryChurn(
            event=what,
            table=span if what is ChurnEvent.END else event,
            where=where,
            horizon_days=draw(st.integers(1, 3_650)),
            lead_days=draw(st.integers(0, 90)),
            grace_days=draw(st.integers(0, 90)) if what is ChurnEvent.END else 0,
        ),
        economics=ECONOMICS,
        tables=made,
        features=draw(st.dictionaries(NAME, TEXT, max_size=3)),
        generated=draw(st.booleans()),
    )  # fmt: skip


def notes_for(history, words):
    paths = [("churn",), ("churn", "event"), ("clock", "windows"), ("economics", "offer_cost"), ("name",)]
    for name, table in history.tables.items():
        paths += [("tables", name), ("tables", name, "kind"), ("tables", name, "customer")]
        paths += [("tables", name, "columns", column, "kind") for column in table.columns]
    return dict.fromkeys(paths, words)


@settings(max_examples=60)
@given(history=histories(), words=TEXT)
def test_a_written_history_loads_back_equal(tmp_path_factory, history, words):
    path = tmp_path_factory.mktemp("toml") / "churn.toml"
    write_history(InferredHistory(history, notes_for(history, words), {"other": words}), path)
    loaded = load_history(path)
    assert loaded == history
    assert list(loaded.tables) == list(history.tables)
    assert (loaded.customers, loaded.digest()) == (history.customers, history.digest())
    assert parse_history(history.canonical()) == history


@pytest.fixture
def inferred():
    days = [date(2022, 1, 1 + place % 28) for place in range(100)] + [date(2023, 6, 30)] * 20
    log = pl.DataFrame({"user_id": [place % 40 for place in range(120)], "seen": days, "spent": range(120)})
    end = [date(2023, 1, 1) if place < 20 else None for place in range(40)]
    why = ["price" if place < 20 else None for place in range(40)]
    plans = pl.DataFrame(
        {"user_id": range(40), "plan start": [date(2022, 1, 1)] * 40, "plan end": end, "end reason": why}
    )
    return infer_history({"log": log, "plans": plans, "zones": pl.DataFrame({"zone": ["a"]})})


def test_each_guess_stands_beside_its_key_and_what_was_not_used_is_said(inferred):
    text = render_history(inferred.history, inferred.notes, inferred.left_out)
    assert '[tables.plans.columns."end reason"]' in text
    assert 'time = "seen"  # 2022-01-01 to 2023-06-30' in text
    assert "# Left out: zones: no column says whose row it is" in text
    assert "# lead_days = 7" in text


def test_hints_are_keys_that_work_once_they_are_no_comments(inferred, tmp_path):
    text = render_history(inferred.history)
    for hint in ("lead_days = 7", 'cause = "end reason"', 'causes = ["price"]', "capacity = 0.1"):
        assert f"# {hint}" in text
        text = text.replace(f"# {hint}", hint)
    (tmp_path / "churn.toml").write_text(text)
    churn = load_history(tmp_path / "churn.toml").churn
    assert (churn.lead_days, churn.cause, churn.causes) == (7, "end reason", ("price",))


def test_who_left_long_ago_can_be_left_out_of_a_definition_by_inactivity(inferred, tmp_path):
    silent = {"event": "inactivity", "table": "log", "horizon_days": 60}
    churn = inferred.history.churn.model_validate(silent)
    text = render_history(inferred.history.model_copy(update={"churn": churn}))
    (tmp_path / "churn.toml").write_text(text.replace("# active_days", "active_days"))
    assert load_history(tmp_path / "churn.toml").churn.active_days == 180


def test_somebodys_corrections_are_not_overwritten_unasked(inferred, tmp_path):
    (tmp_path / "churn.toml").write_text("mine")
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "late.sql").write_text("mine")
    with_feature = InferredHistory(inferred.history.model_copy(update={"features": {"late": "SELECT 1"}}))
    with pytest.raises(UsageError, match="already there"):
        write_history(with_feature, tmp_path / "churn.toml", overwrite=False)
    assert (tmp_path / "churn.toml").read_text() == (tmp_path / "features" / "late.sql").read_text() == "mine"
    write_history(with_feature, tmp_path / "churn.toml")
    assert load_history(tmp_path / "churn.toml") == with_feature.history
