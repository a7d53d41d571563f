"""Each feature equals what a slow oracle in plain Python says of it, on random small histories."""

from __future__ import annotations

import math
import statistics
from datetime import timedelta
from itertools import pairwise

from feature_worlds import AS_OF, CONTRACT, FEWEST, everyone, features_of, worlds
from hypothesis import given, settings

from holdfast.history.catalogue import catalogue

WINDOWS = CONTRACT.clock.windows
LONG = 90


def days(duration):
    return duration / timedelta(days=1)


def visible(rows, start, as_of):
    """The rows of one customer that count: happened before, known by then, not yet replaced by then."""
    return [
        row
        for row in rows
        if row[start] < as_of
        and row["_known"] <= as_of
        and (row["_superseded"] is None or row["_superseded"] > as_of)
    ]


def mean(values):
    return sum(values) / len(values) if values else None


def ratio(above, below):
    return above / below if above is not None and below else None


def percentile(values, share):
    if not values:
        return None
    ordered, place = sorted(values), share * (len(values) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))


def sd(values):
    return statistics.stdev(values) if len(values) > 1 else None


def of_people(rows, as_of):
    row = next(iter(visible(rows, "_begin", as_of)), None)
    return {
        "people_days_since_begin": row and days(as_of - row["_begin"]),
        "people_segment": row and row["segment"],
        "people_born_age": row and row["born"] and days(as_of - row["born"]),
        "people_score_1": row and row["Score 1"],
        "people_vip": row and row["vip"],
    }


def of_payments(rows, as_of):
    seen = sorted(visible(rows, "_time", as_of), key=lambda row: row["_time"])
    within = {n: [row for row in seen if row["_time"] >= as_of - timedelta(days=n)] for n in WINDOWS}
    return (
        counts(seen, within, as_of)
        | failures(seen, within, as_of)
        | amounts("amount", seen, within, as_of)
        | amounts("items", seen, within, as_of)
        | shares(within)
        | settled(seen, within, as_of)
    )


def counts(seen, within, as_of):
    times = [row["_time"] for row in seen]
    gaps = [days(after - before) for before, after in pairwise(times)]
    first, last = (times[0], times[-1]) if times else (None, None)
    gap = days(last - first) / len(gaps) if gaps else None
    found = {f"payments_count_{n}d": len(rows) for n, rows in within.items()}
    return found | {
        "payments_count_ever": len(seen),
        "payments_count_per_day": first and len(seen) / days(as_of - first),
        "payments_count_trend": ratio(len(within[30]) / 30, len(within[90]) / 90),
        "payments_days_since_last": last and days(as_of - last),
        "payments_days_since_first": first and days(as_of - first),
        "payments_active_share": first and days(last - first) / days(as_of - first),
        "payments_gap_mean": gap,
        "payments_overdue": ratio(last and days(as_of - last), gap),
        "payments_gap_sd": sd(gaps),
        "payments_gap_last": gaps[-1] if gaps else None,
        "payments_gap_last_ratio": ratio(gaps[-1] if gaps else None, gap),
        "payments_visits_ever": len(seen) and 1 + sum(gap >= 0.5 for gap in gaps),
    }


def failures(seen, within, as_of):
    failed = [row for row in seen if row["status"] == "failed"]
    return {
        f"payments_failure_rate_{n}d": ratio(
            sum(row["status"] == "failed" for row in within[n]), len(within[n])
        )
        for n in (30, 90)
    } | {
        "payments_failures_ever": len(failed),
        "payments_days_since_last_failure": days(as_of - failed[-1]["_time"]) if failed else None,
    }


def values(rows, column):
    return [row[column] for row in rows if row[column] is not None]


def amounts(column, seen, within, as_of):
    found = {}
    ever = sum(values(seen, column))
    for n, rows in within.items():
        some = values(rows, column)
        found |= {f"{column}_sum_{n}d": sum(some), f"{column}_mean_{n}d": mean(some)}
        if n >= LONG:
            found |= {
                f"{column}_sd_{n}d": sd(some),
                f"{column}_median_{n}d": percentile(some, 0.5),
                f"{column}_p90_{n}d": percentile(some, 0.9),
            }
    newest = [row for row in seen if sum(other["_time"] > row["_time"] for other in seen) < 30]
    last = [row for row in seen if row["_time"] == seen[-1]["_time"]]
    recent, earlier = (sum(values(within[n], column)) for n in (30, 90))
    return {f"payments_{name}": value for name, value in found.items()} | {
        f"payments_{column}_sum_ever": ever,
        f"payments_{column}_sum_per_day": ever / days(as_of - seen[0]["_time"]) if seen else None,
        f"payments_{column}_max_ever": max(values(seen, column), default=None),
        f"payments_{column}_mean_last30": mean(values(newest, column)),
        f"payments_{column}_last": mean(values(last, column)),
        f"payments_{column}_last_ratio": ratio(
            mean(values(last, column)), percentile(values(within[LONG], column), 0.9)
        ),
        f"payments_{column}_trend": ratio(recent / 30, earlier / 90) if abs(earlier) > 1e-9 else None,
    }


def shares(within):
    rows = within[LONG]
    return {
        f"payments_status_{level}_share_90d": mean([value == level for value in values(rows, "status")])
        for level in ("paid", "failed")
    } | {"payments_online_share_90d": mean(values(rows, "online"))}


def settled(seen, within, as_of):
    def delays(rows):
        return [
            days(row["settled"] - row["_time"]) for row in rows if row["settled"] and row["settled"] < as_of
        ]

    return {
        "payments_settled_pending": len(seen) - len(delays(seen)),
        "payments_settled_delay_mean_ever": mean(delays(seen)),
        "payments_settled_delay_mean_90d": mean(delays(within[LONG])),
    }


def of_plans(rows, as_of):
    seen = visible(rows, "_begin", as_of)
    for row in seen:
        row["ended"] = row["_end"] if row["_end"] and row["_end"] < as_of else None
    force = [row for row in seen if row["ended"] is None]
    keys = ("_begin", "_known", "plan", "price", "auto", "term")
    order = sorted(seen, key=lambda row: place(row, keys), reverse=True)
    newest = next((row for row in order if row["ended"] is None), None)
    before = order[order.index(newest) + 1 :][:1] if newest else []
    ends = [row["ended"] for row in seen if row["ended"]]
    price = newest and newest["price"]
    changed = price is not None and before and before[0]["price"] is not None
    found = {
        "plans_in_force": len(force),
        "plans_days_in_force": newest and days(as_of - newest["_begin"]),
        "plans_days_since_first": days(as_of - min(row["_begin"] for row in seen)) if seen else None,
        "plans_days_since_end": days(as_of - max(ends)) if ends else None,
        "plans_begun_ever": len(seen),
        "plans_plan": newest and newest["plan"],
        "plans_price": price,
        "plans_price_sum_in_force": sum(values(force, "price")),
        "plans_price_change": price - before[0]["price"] if changed else None,
        "plans_price_change_ratio": ratio(price, before[0]["price"]) if changed else None,
        "plans_auto": newest and newest["auto"],
        "plans_days_until_term": newest and newest["term"] and days(newest["term"] - as_of),
    }
    for n in WINDOWS:
        edge = as_of - timedelta(days=n)
        found |= {
            f"plans_begun_{n}d": sum(row["_begin"] >= edge for row in seen),
            f"plans_ended_{n}d": sum(end >= edge for end in ends),
        }
    return found


def of_peers(rows, plans, as_of):
    """The price beside the median of all plans of the name that were in force when the day began."""
    newest = of_plans(rows, as_of)
    day = as_of.replace(hour=0)
    prices = [
        row["price"]
        for row in visible(plans, "_begin", day)
        if (row["_end"] is None or row["_end"] >= day) and row["plan"] == newest["plans_plan"] is not None
    ]
    known = [price for price in prices if price is not None]
    median = statistics.median(known) if len(known) >= FEWEST else None
    return {"plans_price_to_plan_median": ratio(newest["plans_price"], median)}


def place(row, keys):
    return tuple((row[key] is not None, *([row[key]] if row[key] is not None else [])) for key in keys)


def same(found, expected):
    if isinstance(found, float) and expected is not None:
        return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)
    return found == expected


@settings(max_examples=25, deadline=None)
@given(worlds())
def test_each_feature_is_what_the_oracle_says(tables):
    found = features_of(tables, everyone())
    rows = {name: frame.to_dicts() for name, frame in tables.items()}
    for row in found.iter_rows(named=True):
        own = {
            name: [dict(one) for one in some if one["_customer"] == row["_customer"]]
            for name, some in rows.items()
        }
        expected = (
            of_people(own["people"], row["as_of"])
            | of_payments(own["payments"], row["as_of"])
            | of_plans(own["plans"], row["as_of"])
            | of_peers(own["plans"], rows["plans"], row["as_of"])
        )
        unlike = {n: (row[n], value) for n, value in expected.items() if not same(row[n], value)}
        assert not unlike, (row["_customer"], row["as_of"])


@settings(max_examples=1, deadline=None)
@given(worlds())
def test_the_oracle_knows_every_feature(tables):
    row = everyone(AS_OF[:1]).row(0, named=True)
    nothing = of_people([], row["as_of"]) | of_payments([], row["as_of"]) | of_plans([], row["as_of"])
    nothing |= of_peers([], [], row["as_of"])
    assert set(nothing) == {feature.name for feature in catalogue(CONTRACT)}
    assert set(features_of(tables, everyone()).columns) == set(nothing) | {"_customer", "as_of"}
