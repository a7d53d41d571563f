"""Who churned: hand-worked cases of every edge.

Each line of a table is one customer; "-" means not eligible at the snapshot.
"""

from __future__ import annotations

import pytest
from small_histories import history, labelled

# as_of 1 March 2024 (a leap year); lead 10 days: A = 11 March; horizon 30: until 10 April; grace 14 days.
END = {"event": "end", "table": "subscriptions", "horizon_days": 30, "lead_days": 10, "grace_days": 14}
AS_OF = {"snapshots": ["2024-03-01"], "until": "2024-06-01"}
SPELLS = {
    "goes on": ("2023-01-01 ..", "stayed"),
    "ended on the leap day": ("2023-01-01 .. 2024-02-29", "-"),
    "ended a moment before as_of": ("2023-01-01 .. 2024-02-29T23:59:59.999999", "-"),
    "ends exactly at as_of": ("2023-01-01 .. 2024-03-01", "too late"),
    "ends in the lead's last moment": ("2023-01-01 .. 2024-03-10T23:59:59.999999", "too late"),
    "ends exactly at the lead's end": ("2023-01-01 .. 2024-03-11", "churned"),
    "ends in the horizon's last moment": ("2023-01-01 .. 2024-04-09T23:59:59.999999", "churned"),
    "ends exactly at the horizon's end": ("2023-01-01 .. 2024-04-10", "stayed"),
    "begins a moment before as_of": ("2024-02-29T23:59:59.999999 ..", "stayed"),
    "begins exactly at as_of": ("2024-03-01 ..", "-"),
    "back within the grace": ("2023-01-01 .. 2024-03-20 | 2024-03-25 ..", "stayed"),
    "back on the grace's last day": ("2023-01-01 .. 2024-03-20 | 2024-04-03 ..", "stayed"),
    "back a moment after the grace": ("2023-01-01 .. 2024-03-20 | 2024-04-03T00:00:00.000001 ..", "churned"),
    "back within the grace, then gone": ("2023-01-01 .. 2024-03-20 | 2024-03-25 .. 2024-04-01", "churned"),
    "back, and gone after the horizon": ("2023-01-01 .. 2024-03-20 | 2024-03-25 .. 2024-04-15", "stayed"),
    "changes plan": ("2023-01-01 .. 2024-03-20 | 2024-03-20 ..", "stayed"),
    "changes plan on as_of": ("2023-01-01 .. 2024-03-01 | 2024-03-01 ..", "stayed"),
    "away at as_of, back within the grace": ("2023-01-01 .. 2024-02-25 | 2024-03-05 ..", "-"),
    "re-joined before as_of": ("2020-01-01 .. 2021-01-01 | 2024-02-01 ..", "stayed"),
    "two, one ends": ("2023-01-01 .. 2024-03-20 | 2023-06-01 ..", "stayed"),
    "two, both end in the window": ("2023-01-01 .. 2024-03-12 | 2023-06-01 .. 2024-04-01", "churned"),
    "two, the last ends after it": ("2023-01-01 .. 2024-03-12 | 2023-06-01 .. 2024-04-10", "stayed"),
    "a short one within a long one": ("2023-01-01 .. 2024-04-20 | 2024-01-01 .. 2024-03-20", "stayed"),
    "ends before as_of and in the window": ("2023-01-01 .. 2024-02-01 | 2024-02-05 .. 2024-03-30", "churned"),
}


def csv_of(spells: dict[str, tuple[str, str]]) -> str:
    lines = ["customer,begin,end"]
    for customer, (text, _) in spells.items():
        for interval in text.split("|"):
            begin, end = interval.split("..")
            lines.append(f'"{customer}",{begin.strip()},{end.strip()}')
    return "\n".join(lines) + "\n"


INTERVALS = {"kind": "intervals", "begin": "begin", "end": "end"}


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    contract = history({"subscriptions": INTERVALS}, END, **AS_OF)
    return labelled(contract, tmp_path_factory.mktemp("ends"), {"subscriptions.csv": csv_of(SPELLS)})


def outcomes(found) -> dict[str, str]:
    return dict(found.labels.select("_customer", "outcome").iter_rows())


@pytest.mark.parametrize("customer", SPELLS)
def test_an_end_counts_by_where_it_lies(ends, customer):
    assert outcomes(ends).get(customer, "-") == SPELLS[customer][1]


def test_only_churned_and_stayed_are_examples(ends):
    said = set(ends.labels.select("outcome", "churned").iter_rows())
    assert said == {("churned", 1), ("stayed", 0), ("too late", None)}


def test_who_left_says_when_whether_in_the_window_or_after_it(ends):
    left = {c: str(at) for c, at in ends.labels.select("_customer", "left_at").iter_rows()}
    assert left["ends exactly at the lead's end"] == "2024-03-11 00:00:00"
    assert left["ends exactly at the horizon's end"] == "2024-04-10 00:00:00"
    assert left["two, both end in the window"] == "2024-04-01 00:00:00"
    assert left["goes on"] == "None"


@pytest.mark.parametrize(
    ("until", "outcome"),
    [
        ("2024-04-24", "churned"),  # the window ends on 10 April, the grace after it on the 24th
        ("2024-04-23", "immature"),
    ],
)
def test_a_label_matures_when_window_and_grace_are_over(tmp_path, until, outcome):
    contract = history({"subscriptions": INTERVALS}, END, snapshots=["2024-03-01"], until=until)
    text = "customer,begin,end\na,2023-01-01,2024-03-15\n"
    assert outcomes(labelled(contract, tmp_path, {"subscriptions.csv": text}))["a"] == outcome


def test_an_end_so_late_that_the_customer_may_yet_be_back_is_not_told(tmp_path):
    contract = history({"subscriptions": INTERVALS}, END, snapshots=["2024-03-01"], until="2024-06-01")
    ends = {"final": "2024-05-17", "open": "2024-05-18", "ahead": "2024-09-01"}
    text = "\n".join(["customer,begin,end", *(f"{c},2023-01-01,{end}" for c, end in ends.items())]) + "\n"
    found = labelled(contract, tmp_path, {"subscriptions.csv": text})
    left = {c: str(at) for c, at in found.labels.select("_customer", "left_at").iter_rows()}
    assert left == {"final": "2024-05-17 00:00:00", "open": "None", "ahead": "None"}


# Berlin: 31 March 2024 has 23 hours and 27 October 25. Each line: as_of, horizon in days, end, outcome.
BERLIN = [
    ("the 23-hour day ends at 22:00 UTC", "2024-03-31", 1, "2024-03-31T21:59:59.999999Z", "churned"),
    ("and what happens then is the next day", "2024-03-31", 1, "2024-03-31T22:00:00Z", "stayed"),
    ("a wall-clock midnight is that instant", "2024-03-31", 1, "2024-04-01", "stayed"),
    ("and a moment before it is not", "2024-03-31", 1, "2024-03-31 23:59:59.999999", "churned"),
    ("the 25-hour day ends at 23:00 UTC", "2024-10-27", 1, "2024-10-27T22:59:59.999999Z", "churned"),
    ("and what happens then is the next day too", "2024-10-27", 1, "2024-10-27T23:00:00Z", "stayed"),
    ("New York's offset is read", "2024-10-27", 1, "2024-10-27T18:59:59-04:00", "churned"),
    ("also at the edge", "2024-10-27", 1, "2024-10-27T19:00:00-04:00", "stayed"),
    ("an hour that is skipped is the one after", "2024-03-31", 1, "2024-03-31 02:30", "churned"),
    ("at as_of in UTC one is still in force", "2024-03-31", 1, "2024-03-30T23:00:00Z", "churned"),
    ("a second before no more", "2024-03-31", 1, "2024-03-30T22:59:59Z", "-"),
    ("a horizon over the change ends at midnight", "2024-03-20", 30, "2024-04-18T22:00:00Z", "stayed"),
    ("and not an hour later", "2024-03-20", 30, "2024-04-18T21:59:59Z", "churned"),
]


@pytest.mark.parametrize(
    ("why", "as_of", "horizon", "end", "outcome"), BERLIN, ids=[line[0] for line in BERLIN]
)
def test_days_are_days_of_the_zone(tmp_path, *, why, as_of, horizon, end, outcome):
    churn = {"event": "end", "table": "subscriptions", "horizon_days": horizon}
    contract = history(
        {"subscriptions": INTERVALS}, churn, time_zone="Europe/Berlin", snapshots=[as_of], until="2025-01-01"
    )
    text = f"customer,begin,end\na,2023-01-01,{end}\n"
    assert outcomes(labelled(contract, tmp_path, {"subscriptions.csv": text})).get("a", "-") == outcome, why


@pytest.mark.parametrize(("left", "back"), [("2024-03-20", "2024-04-03"), ("2024-10-20", "2024-11-03")])
@pytest.mark.parametrize(("later", "outcome"), [("", "stayed"), (" 00:00:01", "churned")])
def test_the_grace_counts_days_of_the_wall_clock(tmp_path, left, back, later, outcome):
    as_of = f"{left[:7]}-01"
    contract = history(
        {"subscriptions": INTERVALS},
        END | {"lead_days": 0},
        time_zone="Europe/Berlin",
        snapshots=[as_of],
        until="2025-06-01",
    )
    text = f"customer,begin,end\na,2023-01-01,{left}\na,{back}{later},\n"
    assert outcomes(labelled(contract, tmp_path, {"subscriptions.csv": text}))["a"] == outcome


VERSIONS = """id,customer,begin,end,known
1,corrected forward,2023-01-01,,2023-01-01T08:00:00
1,corrected forward,2023-01-01,2024-03-15,2024-03-15T08:00:00
1,corrected forward,2023-01-01,2024-05-20,2024-04-02T08:00:00
2,corrected back,2023-01-01,,2023-01-01T08:00:00
2,corrected back,2023-01-01,2024-02-10,2024-03-05T08:00:00
3,known at once,2023-01-01,,2023-01-01T08:00:00
3,known at once,2023-01-01,2024-02-10,2024-02-10T08:00:00
4,withdrawn,2023-01-01,2024-02-10,2024-02-10T08:00:00
4,withdrawn,2023-01-01,,2024-03-01T00:00:00
5,told late,2023-01-01,,2024-03-01T00:00:00.000001
6,told at as_of,2023-01-01,,2024-03-01
7,told by a day alone,2023-01-01,,2024-03-01
"""


@pytest.mark.parametrize(
    ("customer", "outcome"),
    [
        ("corrected forward", "stayed"),  # the end in the window was taken back a fortnight later
        ("corrected back", "gone"),  # had left on 10 February; on 1 March nobody knew
        ("known at once", "-"),
        ("withdrawn", "stayed"),  # what becomes known exactly at as_of is known
        ("told late", "-"),  # nobody knew of this customer on 1 March
        ("told at as_of", "-"),  # a day alone is known by its end
    ],
)
def test_eligible_is_who_was_known_to_be_and_labels_know_better(tmp_path, customer, outcome):
    table = INTERVALS | {"id": "id", "known": "known"}
    contract = history({"subscriptions": table}, END | {"lead_days": 0}, **AS_OF)
    found = labelled(contract, tmp_path, {"subscriptions.csv": VERSIONS})
    assert outcomes(found).get(customer, "-") == outcome


def test_only_causes_that_count_are_churn_and_the_lead_is_for_all(tmp_path):
    columns = {"columns": {"reason": {"kind": "category", "exclude": "known only at the end"}}}
    churn = END | {"cause": "reason", "causes": ["Voluntary", "Payment"]}
    contract = history({"subscriptions": INTERVALS | columns}, churn, **AS_OF)
    text = (
        "customer,begin,end,reason\n"
        "chose,2023-01-01,2024-03-20,voluntary\n"  # spelled otherwise
        "moved,2023-01-01,2024-03-20,Relocation\n"
        "moved early,2023-01-01,2024-03-05,Relocation\n"
        "unsaid,2023-01-01,2024-03-20,\n"
        "last one counts,2023-01-01,2024-03-12,Voluntary\n"
        "last one counts,2023-01-01,2024-03-20,Relocation\n"
        "both at once,2023-01-01,2024-03-20,Relocation\n"
        "both at once,2023-02-01,2024-03-20,Payment\n"
    )
    found = labelled(contract, tmp_path, {"subscriptions.csv": text})
    assert {
        c: (o, why) for c, o, why in found.labels.select("_customer", "outcome", "cause").iter_rows()
    } == {
        "chose": ("churned", "Voluntary"),
        "moved": ("stayed", "Relocation"),
        "moved early": ("too late", "Relocation"),
        "unsaid": ("stayed", None),
        "last one counts": ("stayed", "Relocation"),
        "both at once": ("churned", "Payment"),
    }


TENURES = {
    "long": ("2023-01-01 ..", True),
    "exactly so long": ("2023-12-02 ..", True),  # 90 days before 1 March 2024, over the leap day
    "a moment less": ("2023-12-02T00:00:00.000001 ..", False),
    "by a change of plan": ("2023-01-01 .. 2024-01-15 | 2024-01-15 ..", True),
    "by coming back within the grace": ("2023-01-01 .. 2024-01-15 | 2024-01-29 ..", True),
    "anew after the grace": ("2023-01-01 .. 2024-01-15 | 2024-01-30 ..", False),
    "two at once": ("2024-01-15 .. | 2023-01-01 ..", True),
    "one of two ended": ("2023-01-01 .. 2024-02-28 | 2024-01-15 ..", True),
    "ended before as_of": ("2023-01-01 .. 2024-02-28", False),
}


@pytest.mark.parametrize("known", [False, True])
def test_tenure_counts_from_the_begin_of_the_spell(tmp_path, known):
    table = INTERVALS | ({"known": "begin"} if known else {})  # the two ways to find spells agree
    contract = history({"subscriptions": table}, END | {"min_tenure_days": 90}, **AS_OF)
    found = labelled(contract, tmp_path, {"subscriptions.csv": csv_of(TENURES)})
    eligible = set(found.spine["_customer"])
    assert eligible == {name for name, (_, long_enough) in TENURES.items() if long_enough}


CANCELLING = {
    # customer: events (c: cancelled, r: came back) and outcome at 1 March with lead 10, horizon 30, grace 14
    "never": ("", "stayed"),
    "in the window": ("c 2024-03-20", "churned"),
    "exactly at as_of": ("c 2024-03-01", "too late"),
    "exactly at the lead's end": ("c 2024-03-11", "churned"),
    "exactly at the horizon's end": ("c 2024-04-10", "stayed"),
    "before": ("c 2024-02-20", "-"),
    "before, and back": ("c 2024-02-20, r 2024-02-21", "stayed"),
    "back exactly at as_of": ("c 2024-02-20, r 2024-03-01", "-"),
    "back within the grace": ("c 2024-03-20, r 2024-04-03", "stayed"),
    "back after it": ("c 2024-03-20, r 2024-04-03T00:00:01", "churned"),
    "twice": ("c 2024-03-20, c 2024-03-21", "churned"),
    "back, and gone for good": ("c 2024-03-12, r 2024-03-14, c 2024-04-01", "churned"),
    "back, and gone after the horizon": ("c 2024-03-12, r 2024-03-14, c 2024-04-11", "stayed"),
    "an event at that very moment is no return": ("r 2024-03-20, c 2024-03-20", "churned"),
    "joined afterwards": ("j 2024-03-01", "-"),
    "joined a moment before": ("j 2024-02-29T23:59:59", "stayed"),
}


def test_a_cancellation_counts_unless_the_customer_is_back(tmp_path):
    signups, calls = ["customer,joined"], ["customer,at,what"]
    for customer, (events, _) in CANCELLING.items():
        told = [event.split() for event in events.split(",") if event.strip()]
        joined = next((at for what, at in told if what == "j"), "2020-01-01")
        signups.append(f'"{customer}",{joined}')
        calls += [f'"{customer}",{at},{what}' for what, at in told if what != "j"]
    text = "\n".join(calls) + "\n"
    tables = {
        "customers": {"kind": "customers", "begin": "joined"},
        "calls": {"kind": "events", "time": "at", "columns": {"what": {"kind": "category"}}},
        "returns": {"kind": "events", "time": "at"},
    }
    churn = END | {"event": "cancellation", "table": "calls", "where": {"what": ["c"]}, "returns": "returns"}
    contract = history(tables, churn, **AS_OF)
    backs = "\n".join(line for line in calls if not line.endswith(",c")) + "\n"
    files = {"customers.csv": "\n".join(signups) + "\n", "calls.csv": text, "returns.csv": backs}
    found = outcomes(labelled(contract, tmp_path, files))
    assert {c: found.get(c, "-") for c in CANCELLING} == {
        c: outcome for c, (_, outcome) in CANCELLING.items()
    }


def test_a_new_interval_at_the_moment_of_cancelling_is_a_change_of_plan(tmp_path):
    tables = {
        "calls": {"kind": "events", "time": "at"},
        "plans": {"kind": "intervals", "begin": "begin"},
    }
    churn = {"event": "cancellation", "table": "calls", "horizon_days": 30, "returns": "plans"}
    contract = history(tables, churn, **AS_OF)
    files = {
        "calls.csv": "customer,at\nchanged,2024-03-20\nleft,2024-03-20\n",
        "plans.csv": "customer,begin\nchanged,2023-01-01\nchanged,2024-03-20\nleft,2023-01-01\n",
    }
    assert outcomes(labelled(contract, tmp_path, files)) == {"changed": "stayed", "left": "churned"}


BUYING = {
    # purchases and the outcome at 1 March: lead 10, horizon 30, active in the last 60 days (from 1 January)
    "buys on": ("2024-02-01 2024-03-20", "stayed"),
    "no more": ("2024-02-01", "churned"),
    "exactly at A": ("2024-02-01 2024-03-11", "stayed"),
    "only within the lead": ("2024-02-01 2024-03-10T23:59:59", "churned"),
    "exactly at the end": ("2024-02-01 2024-04-10", "churned"),
    "a moment before it": ("2024-02-01 2024-04-09T23:59:59", "stayed"),
    "active just long enough ago": ("2024-01-01 2024-03-20", "stayed"),
    "too long ago": ("2023-12-31T23:59:59 2024-03-20", "-"),
    "first on as_of": ("2024-03-01 2024-03-20", "-"),
    "only returned goods": ("-2024-02-01 2024-03-20", "-"),
    "only returns goods": ("2024-02-01 -2024-03-20", "churned"),
}


@pytest.mark.parametrize("versions", [False, True])
def test_inactivity_is_no_event_in_the_whole_window(tmp_path, versions):
    lines = ["id,customer,at,sort"]
    for customer, (times, _) in BUYING.items():
        for n, at in enumerate(times.split()):
            sort = "return" if at.startswith("-") else "sale"
            lines.append(f'"{customer} {n}","{customer}",{at.removeprefix("-")},{sort}')
    table = {"kind": "events", "time": "at", "columns": {"sort": {"kind": "category"}}}
    table |= {"id": "id"} if versions else {}
    churn = {
        "event": "inactivity",
        "table": "purchases",
        "where": {"sort": ["sale"]},
        "horizon_days": 30,
        "lead_days": 10,
        "active_days": 60,
    }
    contract = history({"purchases": table}, churn, **AS_OF)
    found = outcomes(labelled(contract, tmp_path, {"purchases.csv": "\n".join(lines) + "\n"}))
    assert {c: found.get(c, "-") for c in BUYING} == {c: outcome for c, (_, outcome) in BUYING.items()}


def test_without_active_days_whoever_ever_bought_is_eligible_and_tenure_counts_from_then(tmp_path):
    text = "customer,at\nold,2019-01-01\nnew,2024-02-25\nlater,2024-03-01\n"
    table = {"kind": "events", "time": "at"}
    churn = {"event": "inactivity", "table": "purchases", "horizon_days": 30}
    ever = labelled(history({"purchases": table}, churn, **AS_OF), tmp_path, {"purchases.csv": text})
    assert set(ever.spine["_customer"]) == {"old", "new"}
    contract = history({"purchases": table}, churn | {"min_tenure_days": 5}, **AS_OF)
    assert set(labelled(contract, tmp_path, {}).spine["_customer"]) == {"old", "new"}
    contract = history({"purchases": table}, churn | {"min_tenure_days": 6}, **AS_OF)
    assert set(labelled(contract, tmp_path, {}).spine["_customer"]) == {"old"}


def test_what_is_not_above_the_bound_is_no_sign_of_life(tmp_path):
    columns = {"pieces": {"kind": "integer"}, "sort": {"kind": "category"}}
    table = {"kind": "events", "time": "at", "columns": columns}
    churn = {"event": "inactivity", "table": "sales", "horizon_days": 30, "above": {"pieces": 0}}
    text = (
        "customer,at,pieces,sort\n"
        "returned alone,2024-02-25,-1,a\n"
        "bought and returned,2024-02-25,2,a\nbought and returned,2024-03-10,-2,a\n"
        "bought again,2024-02-25,2,a\nbought again,2024-03-10,1,a\n"
        "unsaid,2024-02-25,2,a\nunsaid,2024-03-10,,a\n"
        "another sort,2024-02-25,2,a\nanother sort,2024-03-10,2,b\n"
    )
    expected = {"bought and returned": "churned", "bought again": "stayed", "unsaid": "churned"}
    found = labelled(history({"sales": table}, churn, **AS_OF), tmp_path, {"sales.csv": text})
    assert outcomes(found) == expected | {"another sort": "stayed"}
    both = churn | {"where": {"sort": ["a"]}}
    found = labelled(history({"sales": table}, both, **AS_OF), tmp_path, {})
    assert outcomes(found) == expected | {"another sort": "churned"}


def test_the_table_of_customers_says_since_when_and_until_when_one_is_a_customer(tmp_path):
    tables = {
        "customers": {"kind": "customers", "begin": "joined", "end": "left"},
        "purchases": {"kind": "events", "time": "at"},
    }
    churn = {"event": "inactivity", "table": "purchases", "horizon_days": 30, "min_tenure_days": 30}
    files = {
        "customers.csv": "customer,joined,left\n"
        "a,2023-01-01,\nb,2024-02-15,\nc,2023-01-01,2024-02-20\nd,2023-01-01,\n",
        "purchases.csv": "customer,at\na,2024-02-25\nb,2024-02-25\nc,2024-02-10\n",
    }
    found = labelled(history(tables, churn, **AS_OF), tmp_path, files)
    assert outcomes(found) == {"a": "churned"}


REGISTERED = {
    # joined, left, why; outcomes at 1 March and, of weekly snapshots, at Monday 4 March (horizon to 13 April)
    "always one": (",2024-03-20,own", "churned", "churned"),
    "ends at the lead's end": ("2023-01-01,2024-03-11,own", "churned", "too late"),
    "ends exactly at as_of": ("2023-01-01,2024-03-01,own", "too late", "-"),
    "ends exactly at the horizon's end": ("2023-01-01,2024-04-10,own", "stayed", "churned"),
    "moved": ("2023-01-01,2024-03-15,moved", "stayed", "stayed"),
    "exactly long enough": ("2024-02-10,2024-03-15,own", "churned", "churned"),
    "a day short": ("2024-02-11,2024-03-15,own", "-", "churned"),
    "left before": ("2023-01-01,2024-02-29,own", "-", "-"),
}


@pytest.mark.parametrize(
    ("clock", "at"),
    [
        ({"snapshots": ["2024-03-01"]}, 1),
        ({"snapshots": "weekly", "first": "2024-03-01", "last": "2024-03-10"}, 2),
    ],
)
def test_the_end_in_the_table_of_customers_may_be_what_counts(tmp_path, clock, at):
    columns = {"why": {"kind": "category"}}
    tables = {"customers": {"kind": "customers", "begin": "joined", "end": "left", "columns": columns}}
    churn = {"event": "end", "table": "customers", "horizon_days": 30, "lead_days": 10}
    churn |= {"min_tenure_days": 20, "cause": "why", "causes": ["own"]}
    lines = ["customer,joined,left,why", *(f'"{name}",{told[0]}' for name, told in REGISTERED.items())]
    contract = history(tables, churn, until="2024-06-01", **clock)
    found = outcomes(labelled(contract, tmp_path, {"customers.csv": "\n".join(lines) + "\n"}))
    assert {name: found.get(name, "-") for name in REGISTERED} == {
        name: told[at] for name, told in REGISTERED.items()
    }


@pytest.mark.parametrize("levels", [["Paid", "Cancelled"], None])
@pytest.mark.parametrize("asked", ["Cancelled", "cancelled", " CANCELLED.", "Résilié", "RÉSILIÉ"])
def test_levels_are_asked_for_in_any_spelling_whatever_the_rows_and_the_list_have(tmp_path, levels, asked):
    listed = levels and [*levels, "Résilié"]
    column = {"kind": "category"} | ({"levels": listed} if listed else {})
    tables = {"bills": {"kind": "events", "time": "at", "columns": {"type": column}}}
    tables["bills"]["failures"] = {"type": ["CANCELLED", "résilié"]}
    churn = {"event": "cancellation", "table": "bills", "where": {"type": [asked]}, "horizon_days": 30}
    churn |= {"cause": "type", "causes": ["cancelled", "résiliÉ"]}
    written = "Cancelled" if "c" in asked.lower() else "Résilié"
    lines = "a,2024-01-01,Paid\nb,2024-01-01,Paid\nc,2024-01-01,Paid\n"
    lines += f"a,2024-03-10,{written}\nb,2024-03-10,{written.upper()}\n"
    found = labelled(history(tables, churn, **AS_OF), tmp_path, {"bills.csv": f"customer,at,type\n{lines}"})
    assert outcomes(found) == {"a": "churned", "b": "churned", "c": "stayed"}
