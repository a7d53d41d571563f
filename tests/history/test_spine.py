"""Spine and labels equal a slow oracle of the rules, in plain Python, on random small histories.

Times lie on a grid of half days, so that edges meet often; zones have a change of clocks within reach.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

import polars as pl
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from small_histories import history, spine_and_labels

from holdfast.history.labels import labels_sql
from holdfast.history.spine import spine_sql

DAYS = [date(2024, 3, 20), date(2024, 4, 1), date(2024, 4, 12)]  # Berlin's clocks change on 31 March
BEGIN = datetime(2024, 3, 1)  # noqa: DTZ001 - canonical times are naive UTC
UNTIL = datetime(2024, 5, 10)  # noqa: DTZ001 - as above
INSTANT = pl.Datetime("us")


class Days:
    """Wall-clock days of a zone."""

    def __init__(self, zone: str) -> None:
        self.zone = ZoneInfo(zone)

    def utc(self, wall: datetime) -> datetime:
        return wall.replace(tzinfo=self.zone).astimezone(UTC).replace(tzinfo=None)

    def wall(self, instant: datetime) -> datetime:
        return instant.replace(tzinfo=UTC).astimezone(self.zone).replace(tzinfo=None)

    def later(self, instant: datetime, days: int) -> datetime:
        return self.utc(self.wall(instant) + timedelta(days=days))


def latest(rows, when=None):
    """The version of each fact that was known last (at a moment)."""
    known = [row for row in rows if when is None or row["known"] <= when]
    ordered = sorted(known, key=lambda row: (row["id"], row["known"]))
    return [list(versions)[-1] for _, versions in groupby(ordered, key=lambda row: row["id"])]


def spells(rows, days, grace):
    """Groups of intervals, of which each is near another one of its group."""

    def near(one, other):
        first, second = sorted((one, other), key=lambda row: row["begin"])
        if first["end"] is None or second["begin"] <= first["end"]:
            return True
        return bool(grace) and days.wall(second["begin"]) <= days.wall(first["end"]) + timedelta(days=grace)

    groups = []
    for row in rows:
        touched = [group for group in groups if any(near(row, other) for other in group)]
        groups = [group for group in groups if group not in touched] + [
            [row, *(r for g in touched for r in g)]
        ]
    return groups


def leave(group):
    ends = [row["end"] for row in group]
    return None if None in ends else max(ends)


def outcome(days, churn, as_of, *, gone, left, counts):
    begin = days.later(as_of, churn["lead_days"])
    end = days.later(as_of, churn["lead_days"] + churn["horizon_days"])
    known = days.later(as_of, churn["lead_days"] + churn["horizon_days"] + churn.get("grace_days", 0))
    if known > UNTIL:
        return "immature"
    if gone:
        return "gone"
    if left is not None and left < begin:
        return "too late"
    return "churned" if left is not None and left < end and counts else "stayed"


def by_end(rows, churn, days, moments):
    """(customer, as_of) to outcome, for who is eligible."""
    found = {}
    for customer in {row["customer"] for row in rows}:
        own = [row for row in rows if row["customer"] == customer]
        for as_of in moments:
            seen = [row for row in latest(own, as_of) if row["begin"] < as_of]
            seen = [row | {"end": row["end"] if row["end"] and row["end"] < as_of else None} for row in seen]
            now = [group for group in spells(seen, days, churn["grace_days"]) if leave(group) is None]
            since = days.later(as_of, -churn["min_tenure_days"])
            if not now or min(row["begin"] for row in now[0]) > since:
                continue
            truth = [
                group
                for group in spells(latest(own), days, churn["grace_days"])
                if min(row["begin"] for row in group) < as_of
                and (leave(group) is None or leave(group) >= as_of)
            ]
            left = leave(truth[0]) if truth else None
            whys = {row["why"] for row in truth[0] if row["end"] == left} if truth else set()
            counts = "causes" not in churn or bool(whys & set(churn["causes"]))
            found[customer, as_of] = outcome(days, churn, as_of, gone=not truth, left=left, counts=counts)
    return found


def by_cancellation(rows, returns, churn, days, moments):
    found = {}
    for customer in {row["customer"] for row in [*rows, *returns]}:
        own = [row for row in rows if row["customer"] == customer]
        backs = [row for row in returns if row["customer"] == customer]
        truth = sorted({row["time"] for row in own})
        returned = sorted({row["time"] for row in backs})
        final = []
        for left in truth:
            back = next((at for at in returned if at > left), None)
            limit = days.wall(left) + timedelta(days=churn["grace_days"])
            if back is None or days.wall(back) > limit:
                final.append((left, back))
        for as_of in moments:
            seen = [row["time"] for row in own if row["time"] < as_of and row["known"] <= as_of]
            again = [row["time"] for row in backs if row["time"] < as_of and row["known"] <= as_of]
            if not (seen or again) or (seen and not any(at > max(seen) for at in again)):
                continue
            gone = any(left < as_of and (back is None or back >= as_of) for left, back in final)
            left = min((at for at, _ in final if at >= as_of), default=None)
            found[customer, as_of] = outcome(days, churn, as_of, gone=gone, left=left, counts=True)
    return found


def by_inactivity(rows, churn, days, moments):
    found = {}
    for customer in {row["customer"] for row in rows}:
        own = [row for row in rows if row["customer"] == customer]
        for as_of in moments:
            since = days.later(as_of, -churn["active_days"])
            seen = [row["time"] for row in latest(own, as_of) if row["time"] < as_of and row["why"] == "a"]
            if not any(at >= since for at in seen):
                continue
            begin = days.later(as_of, churn["lead_days"])
            end = days.later(as_of, churn["lead_days"] + churn["horizon_days"])
            active = any(begin <= row["time"] < end for row in latest(own) if row["why"] == "a")
            left = None if active else begin
            found[customer, as_of] = outcome(days, churn, as_of, gone=False, left=left, counts=True)
    return found


halves = st.integers(0, 110)
"""Half days since the first of March."""


@st.composite
def facts(draw, *, ends: bool, most_versions: int = 3):
    """Facts with versions, as plain rows with wall-clock times."""
    rows = []
    for number in range(draw(st.integers(1, 8))):
        customer = draw(st.sampled_from("abc"))
        knowns = draw(st.lists(halves, min_size=1, max_size=most_versions, unique=True))
        for known in sorted(knowns):
            begin = draw(halves)
            length = draw(st.none() | st.integers(0, 40)) if ends else None
            rows.append(
                {
                    "id": str(number),
                    "customer": customer,
                    "begin": BEGIN + timedelta(hours=12 * begin),
                    "end": None if length is None else BEGIN + timedelta(hours=12 * (begin + length)),
                    "known": BEGIN + timedelta(hours=12 * known),
                    "why": draw(st.sampled_from(["a", "b", None])),
                }
            )
    return rows


def canonical(rows, days, *, events: bool) -> pl.DataFrame:
    start = "_time" if events else "_begin"
    names = [start] if events else ["_begin", "_end"]
    times = [*names, "_known", "_superseded", *(f"{name}_wall" for name in names)]
    made = []
    for row in rows:
        later = [
            other["known"] for other in rows if other["id"] == row["id"] and other["known"] > row["known"]
        ]
        one = {start: row["time" if events else "begin"], "_known": row["known"]}
        one |= {} if events else {"_end": row["end"]}
        one |= {f"{name}_wall": one[name] and days.wall(one[name]) for name in names}
        made.append(
            one | {"_customer": row["customer"], "_superseded": min(later, default=None), "why": row["why"]}
        )
    schema = {"_customer": pl.String, **dict.fromkeys(times, INSTANT), "why": pl.String}
    return pl.DataFrame(made, schema=schema)


def instants(rows, days):
    """Rows with all wall-clock times as instants."""
    moved = [row | {k: v and days.utc(v) for k, v in row.items() if isinstance(v, datetime)} for row in rows]
    return [row | {"time": row["begin"]} for row in moved]


def known_at(rows, moment):
    """The database as it was: nothing that was not known, no end that was not past."""
    cut = [row for row in rows if row["known"] <= moment]
    return [row | {"end": row["end"] if row["end"] and row["end"] < moment else None} for row in cut]


churns = st.fixed_dictionaries(
    {
        "horizon_days": st.integers(1, 15),
        "lead_days": st.integers(0, 4),
        "grace_days": st.integers(0, 5),
        "min_tenure_days": st.sampled_from([0, 0, 7]),
    }
)
zones = st.sampled_from(["UTC", "Europe/Berlin"])
COLUMNS = {"columns": {"why": {"kind": "category"}}}
INTERVALS = {"kind": "intervals", "begin": "begin", "end": "end", **COLUMNS}
EVENTS = {"kind": "events", "time": "time", **COLUMNS}


def compared(contract, frames, days, expected):
    as_of = [datetime.combine(day, time(), days.zone) for day in DAYS]
    spine, labels = spine_and_labels(contract, frames, as_of, UNTIL)
    assert set(spine.iter_rows()) == set(expected)
    assert spine.height == labels.height == len(expected)
    assert {(c, t): o for c, t, o in labels.select("_customer", "as_of", "outcome").iter_rows()} == expected


@settings(max_examples=80, deadline=None)
@given(rows=facts(ends=True), churn=churns, zone=zones, causes=st.booleans())
def test_by_end_equals_the_oracle(rows, churn, zone, causes):
    days = Days(zone)
    churn = churn | {"event": "end", "table": "plans"} | ({"cause": "why", "causes": ["a"]} if causes else {})
    rows = instants(rows, days)
    contract = history({"plans": INTERVALS | {"id": "id", "known": "known"}}, churn, time_zone=zone)
    moments = [days.utc(datetime.combine(day, time())) for day in DAYS]
    compared(
        contract, {"plans": canonical(rows, days, events=False)}, days, by_end(rows, churn, days, moments)
    )


@settings(max_examples=30, deadline=None)
@given(rows=facts(ends=True, most_versions=1), churn=churns, zone=zones)
def test_by_end_without_versions_equals_the_oracle(rows, churn, zone):
    days = Days(zone)
    churn = churn | {"event": "end", "table": "plans"}
    rows = [row | {"known": row["begin"]} for row in instants(rows, days)]
    contract = history({"plans": INTERVALS}, churn, time_zone=zone)
    moments = [days.utc(datetime.combine(day, time())) for day in DAYS]
    compared(
        contract, {"plans": canonical(rows, days, events=False)}, days, by_end(rows, churn, days, moments)
    )


@settings(max_examples=50, deadline=None)
@given(
    rows=facts(ends=False, most_versions=1),
    returns=facts(ends=False, most_versions=1),
    churn=churns.map(lambda churn: churn | {"min_tenure_days": 0}),
    zone=zones,
)
def test_by_cancellation_equals_the_oracle(rows, returns, churn, zone):
    days = Days(zone)
    churn = churn | {"event": "cancellation", "table": "calls", "returns": "backs"}
    rows, returns = instants(rows, days), instants(returns, days)
    tables = {"calls": EVENTS | {"known": "known"}, "backs": EVENTS | {"known": "known"}}
    contract = history(tables, churn, time_zone=zone)
    moments = [days.utc(datetime.combine(day, time())) for day in DAYS]
    frames = {"calls": canonical(rows, days, events=True), "backs": canonical(returns, days, events=True)}
    compared(contract, frames, days, by_cancellation(rows, returns, churn, days, moments))


@settings(max_examples=30, deadline=None)
@given(rows=facts(ends=False), churn=churns, zone=zones, active=st.integers(1, 20))
def test_by_inactivity_equals_the_oracle(rows, churn, zone, active):
    days = Days(zone)
    churn = churn | {"grace_days": 0, "min_tenure_days": 0, "active_days": active}
    churn |= {"event": "inactivity", "table": "sales", "where": {"why": ["a"]}}
    rows = instants(rows, days)
    contract = history({"sales": EVENTS | {"id": "id", "known": "known"}}, churn, time_zone=zone)
    moments = [days.utc(datetime.combine(day, time())) for day in DAYS]
    compared(
        contract,
        {"sales": canonical(rows, days, events=True)},
        days,
        by_inactivity(rows, churn, days, moments),
    )


@settings(max_examples=30, deadline=None)
@given(
    rows=facts(ends=True),
    churn=churns,
    event=st.sampled_from(["end", "cancellation", "inactivity"]),
    day=st.sampled_from(DAYS),
)
def test_the_spine_is_that_of_a_database_cut_down_to_what_was_known(rows, churn, event, day):
    days = Days("Europe/Berlin")
    rows = instants(rows, days)
    churn = churn | {"event": event, "table": "facts"}
    churn |= {"grace_days": 0} if event != "end" else {}
    table = (INTERVALS if event == "end" else EVENTS) | {"id": "id", "known": "known"}
    contract = history({"facts": table}, churn, time_zone="Europe/Berlin")
    as_of = datetime.combine(day, time(), days.zone)
    then = as_of.astimezone(UTC).replace(tzinfo=None)
    whole, cut = (
        spine_and_labels(contract, {"facts": canonical(some, days, events=event != "end")}, [as_of], UNTIL)[0]
        for some in (rows, known_at(rows, then))
    )
    assert whole.equals(cut)


EVERY = [
    ({"event": "end", "table": "plans", "grace_days": 5, "min_tenure_days": 7}, {}),
    ({"event": "end", "table": "plans", "cause": "why", "causes": ["a"]}, {"id": "id", "known": "known"}),
    ({"event": "end", "table": "plans", "min_tenure_days": 7}, {"id": "id", "known": "known"}),
    ({"event": "cancellation", "table": "sales", "returns": "plans", "grace_days": 5}, {}),
    ({"event": "inactivity", "table": "sales", "where": {"why": ["a"]}, "active_days": 9}, {"id": "id"}),
]


@pytest.mark.parametrize("dialect", ["postgres", "spark"])
@pytest.mark.parametrize(("churn", "more"), EVERY)
def test_the_sql_is_translated_whole(churn, more, dialect):
    tables = {"plans": INTERVALS | more, "sales": EVENTS | more}
    contract = history(tables, churn | {"horizon_days": 30})
    for text in (spine_sql(contract), labels_sql(contract, UNTIL)):
        [made] = sqlglot.transpile(text, "duckdb", dialect, unsupported_level=sqlglot.ErrorLevel.RAISE)
        again = sqlglot.transpile(made, dialect, dialect)  # what it wrote, it reads
        assert again == [made]
