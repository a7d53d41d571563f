"""Which of day and month comes first, where no value of a column shows it."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.contract.guess.dates import guess_dates, guess_orders
from holdfast.contract.guess.history import infer_history
from holdfast.contract.guess.profile import Profile
from holdfast.contract.load import load_history
from holdfast.contract.write_history import write_history

FIRSTS = [date(2019 + month // 12, month % 12 + 1, 1) for month in range(36)]
EARLY = [day + timedelta(days=place % 5) for place, day in enumerate(FIRSTS)]
UP_TO_12 = [date(2021, month, day) for month in range(1, 13) for day in range(1, 13)]
ANY_DAY = [date(2021, 1, 1) + timedelta(days=7 * place) for place in range(100)]
DAY, MONTH = "%d/%m/%Y", "%m/%d/%Y"


def written(days, form):
    return [day.strftime(form) for day in days]


def orders(**tables):
    """For each table, of columns of text: whether the day comes first, and why that is the guess."""
    profiles = {
        name: {column: Profile(pl.Series(column, values)) for column, values in columns.items()}
        for name, columns in tables.items()
    }
    found = guess_orders(profiles)
    return {name: order and (order.day_first, order.ground) for name, order in found.items()}


def order(**columns):
    return orders(only=columns)["only"]


def test_what_values_show_or_do_not_need_is_no_guess():
    assert order(at=written(ANY_DAY, DAY)) is None
    assert order(at=written(ANY_DAY, "%Y-%m-%d")) is None
    assert order(note=["1/2 of it", "paid", "no"]) is None


def test_dots_are_day_first_and_else_the_month_is():
    assert order(at=written(UP_TO_12, "%d.%m.%Y")) == (True, "as dots suggest")
    assert order(at=written(UP_TO_12, DAY)) == (False, "as nothing suggests otherwise")


@pytest.mark.parametrize("days", [FIRSTS, EARLY], ids=["firsts", "1st to 5th"])
@pytest.mark.parametrize("mark", ["/", "-"])
@pytest.mark.parametrize("first", [True, False])
def test_the_reading_with_few_days_of_the_month_is_the_likelier(days, mark, first):
    form = (DAY if first else MONTH).replace("/", mark)
    found, ground = order(at=written(days, form))
    assert found is first
    assert ground.startswith('as "at" then falls on')


def test_a_column_of_the_table_counts_more_than_one_of_another_table_and_that_more_than_habits():
    open_, shown = written(FIRSTS, DAY), written(ANY_DAY, MONTH)
    assert order(at=open_, born=shown) == (False, 'as "born" shows')
    other = {"paid": shown}
    assert orders(one={"at": open_}, other=other)["one"] == (False, 'as "paid" of "other" shows')
    dashed = {"paid": written(ANY_DAY, "%m-%d-%Y")}
    assert orders(one={"at": open_}, other=dashed)["one"][0]  # another mark says nothing
    own = {"at": open_, "born": written(ANY_DAY, DAY)}
    assert orders(one=own, other=other)["one"] == (True, 'as "born" shows')


def test_words_among_ends_hide_no_dates():
    ends = [*written(ANY_DAY, DAY), *["No"] * 300]
    assert order(begin=written(UP_TO_12, DAY), end=ends) == (True, 'as "end" shows')


def test_a_few_slips_among_other_dates_are_not_guessed_without_a_ground():
    iso = written(ANY_DAY, "%Y-%m-%d") * 3
    assert order(at=[*iso, "01/06/2021", "02/09/2021", "07/04/2021"]) is None
    assert order(at=[*iso, *written(FIRSTS[:12], DAY)])[0]  # these have one


@given(st.lists(st.sampled_from(UP_TO_12), min_size=1, max_size=30))
def test_a_guess_does_not_depend_on_the_order_of_the_rows(days):
    assert order(at=written(days, DAY)) == order(at=written(sorted(days), DAY))


def test_the_words_for_a_column_name_the_guess():
    levels = Profile(pl.Series("at", written(UP_TO_12, "%d.%m.%Y"))).levels
    guess = guess_dates(
        levels, order=guess_orders({"t": {"at": Profile(pl.Series("at", ["1.2.2021"]))}})["t"]
    )
    assert guess.why == "dates, 2021-01-01 to 2021-12-12, day first (a guess, as dots suggest)"


def payments(form, days=FIRSTS):
    """Someone pays, of fifty customers, on each day; not everybody always."""
    lines = [(f"c{one:02d}", day) for one in range(50) for day in days if (one + day.month) % 7]
    return pl.DataFrame(
        {
            "customer_id": [one for one, _ in lines],
            "paid_at": written([day for _, day in lines], form),
            "amount": ["9.90"] * len(lines),
        }
    )


@pytest.mark.parametrize("form", ["%d.%m.%Y", DAY, MONTH])
def test_what_init_shows_is_what_the_contract_says(tmp_path, form):
    inferred = infer_history({"payments": payments(form)}, customer="customer_id")
    table = inferred.history.tables["payments"]
    assert inferred.notes["tables", "payments", "time"] == f"{FIRSTS[0]} to {FIRSTS[-1]}"
    assert table.day_first is (form != MONTH)
    note = inferred.notes["tables", "payments", "day_first"]
    assert note.startswith("a guess, as ")
    assert '"paid_at"' in note
    assert f"is in {'March' if form == MONTH else 'April'} there" in note
    write_history(inferred, tmp_path / "churn.toml")
    assert f"day_first = {'false' if form == MONTH else 'true'}  # a guess, as " in (
        tmp_path / "churn.toml"
    ).read_text(encoding="utf-8")
    assert load_history(tmp_path / "churn.toml").tables["payments"].day_first is table.day_first


@pytest.mark.parametrize(("form", "says"), [(DAY, True), (MONTH, None), ("%Y-%m-%d", None)])
def test_what_values_show_is_written_without_a_comment_as_ever(form, says):
    inferred = infer_history({"payments": payments(form, ANY_DAY)}, customer="customer_id")
    assert inferred.history.tables["payments"].day_first is says
    assert ("tables", "payments", "day_first") not in inferred.notes


def test_a_few_dates_month_first_among_others_are_read_by_the_contract():
    paid = payments("%Y-%m-%d", ANY_DAY).with_row_index()
    other = pl.col("paid_at").str.to_date().dt.strftime(MONTH)
    mixed = paid.select("customer_id", pl.when(pl.col("index") % 50 == 0).then(other).otherwise("paid_at"))
    table = infer_history({"payments": mixed}, customer="customer_id").history.tables["payments"]
    assert table.day_first is False


def test_a_date_that_is_no_clock_has_its_order_written_too():
    born = written([UP_TO_12[place % len(UP_TO_12)] for place in range(50)], "%d/%m/%Y")
    people = pl.DataFrame({"customer_id": [f"c{one:02d}" for one in range(50)], "promised_date": born})
    tables = {"people": people, "payments": payments("%Y-%m-%d", ANY_DAY)}
    inferred = infer_history(tables, customer="customer_id")
    said = inferred.history.tables["people"]
    assert said.begin is None
    assert said.columns["promised_date"].day_first is False
    assert inferred.notes["tables", "people", "columns", "promised_date", "day_first"].startswith("a guess")
