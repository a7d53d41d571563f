"""Small random histories as tables of PostgreSQL, with everything in them that engines may differ on."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from holdfast.contract.history import History

if TYPE_CHECKING:
    from collections.abc import Iterable

ECONOMICS = {"customer_value": 100, "contact_cost": 1, "offer_cost": 5, "success_rate": 0.2}
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
AS_OF = ("2024-03-31", "2024-07-01", "2024-10-28")
"""In Berlin the clocks change on the first and on the day before the last."""

CHURN: dict[str, dict[str, Any]] = {
    "end": {
        "event": "end", "table": "plans", "horizon_days": 30, "lead_days": 3, "grace_days": 10,
        "min_tenure_days": 20, "cause": "why", "causes": ["Price", "DÉMÉNAGÉ"],
    },
    "cancellation": {
        "event": "cancellation", "table": "payments", "where": {"status": ["failed", "échoué"]},
        "horizon_days": 40, "grace_days": 5, "returns": "plans",
    },
    "inactivity": {
        "event": "inactivity", "table": "payments", "horizon_days": 30, "active_days": 90,
        "where": {"online": ["yes"]}, "min_tenure_days": 5,
    },
}  # fmt: skip

OWN = """\
-- The customer's payments in the last month, less those that failed.
SELECT id AS customer, SUM(amount) - SUM(CASE WHEN status = 'Failed' THEN amount ELSE 0 END) AS value
FROM payments WHERE at >= :w30 GROUP BY id
"""


ALIKE = {
    "days": "DATE_DIFF('day', MIN(at), :as_of) + SUM(DATE_DIFF('day', at, settled)) + COUNT(*) / 7",
    "weeks": "COUNT(DISTINCT DATE_TRUNC('week', at)) * 100 + COUNT(DISTINCT CAST(at AS DATE))",
    "moments": "MAX(STRFTIME(at, '%d.%m.%Y %H:%M:%S'))",
    "parts": "SUM(EXTRACT(year FROM at) + EXTRACT(month FROM at) + EXTRACT(day FROM at)) "
    "+ SUM(EXTRACT(hour FROM at) * 7 + EXTRACT(minute FROM at) + CAST(items AS DOUBLE))",
    "middle": "MEDIAN(amount) + 2 * QUANTILE_CONT(amount, 0.25) + 3 * STDDEV(amount)",
    "together": "CORR(amount, items)",
    "rounded": "ROUND(AVG(amount) + ROUND(MAX(amount), 2), 1) + ROUND(COUNT(*) + 0.675, 2)",
    "halves": "ROUND(SUM(items) / 2) + 100 * ROUND(MIN(items) / 2 - 5)",
    "around": "CEIL(AVG(amount)) + FLOOR(MIN(amount)) + ABS(MIN(amount) - 100) + EXP(AVG(amount) / 1000) "
    "+ SQRT(SUM(amount ** 2)) + LN(1 + COUNT(*))",
    "online": "BOOL_OR(online) AND NOT BOOL_AND(online)",
    "texts": "MAX(TRIM(status, ' F') || '-' || SUBSTRING(status, 1, 2) || SUBSTRING(status, 2)) "
    "|| MIN(LEFT(status, 1))",
    "like_it": "MAX(LENGTH(status)) * 100 "
    "+ COUNT(*) FILTER (WHERE REGEXP_MATCHES(status, '^F[ab](i|l)+') OR status LIKE 'P%')",
    "counted": "COUNT(*) FILTER (WHERE at >= :as_of - INTERVAL 3 MONTH) "
    "+ 100 * COUNT(*) FILTER (WHERE :as_of - at < INTERVAL '40 days' AND at >= '2024-02-01') "
    "+ 1e4 * COUNT(*) FILTER (WHERE at BETWEEN DATE '2024-05-01' AND TIMESTAMP '2024-07-31 23:59:59')",
    "compared": "COUNT(*) FILTER (WHERE amount IS DISTINCT FROM items) "
    "+ 10 * COUNT(*) FILTER (WHERE NOT (online IS NOT DISTINCT FROM TRUE)) "
    "+ 100 * COUNT(*) FILTER (WHERE status IN ('Paid', 'x') OR amount < -items OR amount <> 5)",
    "rest": "SUM(items) % 3 + GREATEST(MAX(amount), 10)",
    "failed": "SUM(IF(status = 'Failed', 1, 0)) / NULLIF(COUNT(*), 0)",
    "paid": "COALESCE(MAX(CASE WHEN status = 'Paid' AND online THEN amount END), LEAST(MIN(amount), 1))",
    "by_nothing": "COALESCE(SUM(amount) / COUNT(settled), 3)",
    "no_bounds": "CASE WHEN SUM(items) / SUM(items - items) > 5 THEN 1 ELSE -1 END "
    "+ CASE WHEN MAX(ROUND(1 / items, 1)) > 1e300 THEN 10 ELSE 0 END "
    "+ CASE WHEN CEIL(FLOOR(1 / MIN(ABS(items)))) > 1e300 THEN 100 ELSE 0 END "
    "+ MAX(CASE WHEN SQRT(items) > 100 THEN 2000 WHEN LN(items) <= 6 THEN 1000 ELSE 0 END) "
    "+ CASE WHEN EXP(MAX(amount) * 10) > 1e300 THEN 1e4 WHEN EXP(MIN(items) * 999) = 0 THEN 2e4 ELSE 0 END",
    "Capitals": 'MAX(PAYMENTS.Amount) + MIN("AMOUNT")',
}
"""Values of own features of payments that every engine gives alike."""

_STEPS = """\
SELECT id AS customer,
    SUM(DATE_DIFF('day', before, at)) + SUM(DATE_DIFF('day', at, later)) + MAX(place) AS value
FROM (
    SELECT id, at, LAG(at) OVER (PARTITION BY id ORDER BY at) AS before,
        LEAD(at) OVER (PARTITION BY id ORDER BY at) AS later,
        ROW_NUMBER() OVER (PARTITION BY id ORDER BY at) AS place
    FROM payments
) AS steps
GROUP BY id
"""

_JOINED = """\
WITH latest AS (
    SELECT id, MAX(start) AS Start, COUNT(*) AS Plans FROM plans WHERE stop IS NULL GROUP BY 1
    HAVING COUNT(*) > 0
)
SELECT q.ID AS customer, COUNT(*) + MAX(q.plans) + COUNT(p.settled) AS value
FROM latest AS q LEFT JOIN payments AS P ON p.Id = Q.id AND p.at >= q.START
WHERE EXISTS (SELECT 1 FROM people AS h WHERE h.id = q.id AND ("score 1" IS NULL OR "score 1" < 4))
GROUP BY q.id
"""

_SETS = """\
SELECT id AS customer, COUNT(DISTINCT what) * 100 + COUNT(*) AS value FROM (
    (SELECT id, status AS what FROM payments UNION ALL SELECT id, plan FROM plans)
    EXCEPT (SELECT id, status FROM payments WHERE amount > 500)
    UNION (SELECT id, status FROM payments INTERSECT SELECT id, 'Paid' FROM plans)
) AS known GROUP BY id
"""

_RUNNING = """\
SELECT id AS customer, SUM(lately) AS value FROM (
    SELECT id, SUM(items) OVER (
        PARTITION BY id ORDER BY at DESC, items, status, amount ROWS BETWEEN 2 PRECEDING AND CURRENT ROW
    ) AS lately FROM payments
) AS running GROUP BY id ORDER BY id LIMIT 100000
"""

ALIKE_QUERIES = {
    name: f"SELECT id AS customer, {value} AS value FROM payments GROUP BY id"  # noqa: S608 - ours
    for name, value in ALIKE.items()
} | {"steps": _STEPS, "joined": _JOINED, "sets": _SETS, "running": _RUNNING}
"""Own features that every engine gives alike; all that may be used is in one of them."""


def with_alike(history: History) -> History:
    """The history with these features, and nothing generated."""
    return history.model_copy(update={"features": ALIKE_QUERIES, "generated": False})


def contract(event: str, zone: str, *, own: bool = True, until: str | None = "2024-12-01") -> History:
    """The contract of the tables that `World.into` makes."""
    clock: dict[str, Any] = {"time_zone": zone, "windows": [7, 30, 90], "snapshots": AS_OF}
    return History.model_validate(
        {
            "name": "worlds",
            "clock": clock | ({"until": until} if until else {}),
            "churn": CHURN[event],
            "economics": ECONOMICS,
            "features": {"net_month": OWN} if own else {},
            "tables": {
                "people": {
                    "kind": "customers", "source": "table:people", "customer": "id", "begin": "joined",
                    "columns": {
                        "segment": {"kind": "category", "levels": ["Small", "big", "Öffentlich"]},
                        "born": {"kind": "date"},
                        "Score 1": {"kind": "integer", "min": 0, "max": 4},
                        "vip": {"kind": "boolean", "true": "gold"},
                        "note": {"kind": "text"},
                    },
                },
                "payments": {
                    "kind": "events", "source": "table:public.payments", "customer": "id", "id": "no",
                    "time": "at", "known": "seen", "failures": {"status": ["FAILED"]},
                    "columns": {
                        "amount": {"kind": "number", "max": 900},
                        "items": {"kind": "integer"},
                        "status": {"kind": "category", "levels": ["Paid", "Failed", "Échoué"]},
                        "online": {"kind": "boolean"},
                        "settled": {"kind": "date"},
                    },
                },
                "plans": {
                    "kind": "intervals", "source": "table:plans", "customer": "id", "id": "no",
                    "begin": "start", "end": "stop", "known": "seen",
                    "columns": {
                        "plan": {"kind": "category"},
                        "price": {"kind": "number"},
                        "auto": {"kind": "boolean"},
                        "term": {"kind": "date"},
                        "why": {"kind": "category"},
                    },
                },
            },
        }
    )  # fmt: skip


@dataclass(frozen=True)
class World:
    """Rows of three tables."""

    people: list[tuple[Any, ...]]
    payments: list[tuple[Any, ...]]
    plans: list[tuple[Any, ...]]
    whole_ids: bool
    """Customers are numbers in the database, not text."""

    def into(self, url: str) -> None:
        """Make the tables, in place of what is there."""
        customer = "bigint" if self.whole_ids else "text"
        columns = {
            "people": f'id {customer}, joined timestamptz, segment text, born date, "Score 1" numeric(4,1), '
            "vip text, note text",
            "payments": f"id {customer}, no bigint, at timestamptz, seen timestamptz, amount numeric(12,2), "
            "items smallint, status varchar(20), online text, settled timestamp",
            "plans": f"id {customer}, no text, start date, stop timestamp, seen date, plan text, "
            "price double precision, auto boolean, term date, why text",
        }
        with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
            for name, described in columns.items():
                table = sql.Identifier(name)
                cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
                made = sql.SQL("CREATE TABLE {} (" + described + ")")
                cursor.execute(made.format(table))
                with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(table)) as copying:
                    for row in getattr(self, name):
                        copying.write_row(row)


def world(seed: int, customers: int = 120) -> World:
    """Rows with missing values, ties, versions, late and impossible times, and odd spellings."""
    chance = random.Random(seed)  # noqa: S311 - a world, no secret
    whole = chance.random() < 0.3
    names = [str(n) for n in range(1, customers + 1)]
    if not whole:
        names = [f"{'cC'[n % 2]}{n}" for n in range(1, customers + 1)]
    told = [int(name) if whole else _dressed(chance, name) for name in names]
    people = [_person(chance, name) for name in told if chance.random() < 0.95]
    strangers = [] if whole else [None, " ", "null", "nobody"]
    everyone = [*told, *told, *told, *strangers]
    payments = [_payment(chance, chance.choice(everyone), customers) for _ in range(customers * 9)]
    plans = [_plan(chance, chance.choice(everyone), customers) for _ in range(customers * 3)]
    return World(people, payments, plans, whole)


def _dressed(chance: random.Random, name: str) -> str:
    return chance.choice([name, name, f" {name}", f"{name}\t"])


def _moment(chance: random.Random) -> datetime:
    """Half-days, so that times tie with each other and with windows; some where the clocks change."""
    change = [datetime(2024, 3, 31, tzinfo=UTC), datetime(2024, 10, 27, tzinfo=UTC)]
    if chance.random() < 0.15:
        return chance.choice(change) + timedelta(minutes=30 * chance.randint(-8, 8))
    return BEGIN + timedelta(hours=12 * chance.randint(0, 660), microseconds=chance.choice([0, 0, 0, 1]))


def _maybe(chance: random.Random, value: Any) -> Any:
    return None if chance.random() < 0.2 else value


def _of(chance: random.Random, values: Iterable[Any]) -> Any:
    return chance.choice([*values])


def _clock(chance: random.Random) -> datetime:
    return _moment(chance).replace(tzinfo=None)


def _day(chance: random.Random) -> date:
    return _moment(chance).date()


def _person(chance: random.Random, name: Any) -> tuple[Any, ...]:
    early = BEGIN - timedelta(days=chance.randint(0, 60), hours=chance.randint(0, 23))
    joined = _of(chance, [early, early, early, _moment(chance), datetime(1850, 1, 1, tzinfo=UTC), None])
    segment = _of(chance, ["small", " Small ", "big", "Big.", "ÖFFENTLICH", "other", "NaN", None])
    vip = _of(chance, ["Gold", "no", "N", "1.0", "ДА", "NÃO", "maybe", None])
    return (name, joined, segment, _maybe(chance, _day(chance)), _of(chance, [None, 1, 2.5, 3, 9]), vip, "x")


def _payment(chance: random.Random, name: Any, customers: int) -> tuple[Any, ...]:
    at = _of(chance, [_moment(chance)] * 30 + [None, "infinity", datetime(1899, 12, 31, tzinfo=UTC)])
    seen = None
    if isinstance(at, datetime):
        late = _of(chance, [0, 0, 0, 1, 30, -1] if chance.random() < 0.3 else [0, 0, 2])
        seen = _maybe(chance, at + timedelta(days=late))
    amount = _of(chance, [None, "NaN", *(chance.randint(-500, 100_000) / 100 for _ in range(6))])
    return (
        name,
        _maybe(chance, chance.randint(0, customers * 7)),
        at,
        seen,
        amount,
        _of(chance, [None, -3, 0, 1, 1, 7]),
        _of(chance, ["paid", "Paid", "PAID.", " failed", "Failed", "ÉCHOUÉ", "échoué", "other", "", None]),
        _of(chance, ["yes", "No", "1", "0", "Да", "NÃO", "?", None]),
        _maybe(chance, _clock(chance)),
    )


def _plan(chance: random.Random, name: Any, customers: int) -> tuple[Any, ...]:
    start = _of(chance, [_day(chance)] * 12 + [None, date(2024, 3, 31), date(2024, 10, 27)])
    stop = _of(chance, [None, None, _clock(chance), _clock(chance), _clock(chance), "9999-01-01", "infinity"])
    seen = None if start is None else start + timedelta(days=_of(chance, [-10, 0, 0, 0, 20]))
    price = _of(chance, [None, 9.0, 9.0, 19.99, float("nan"), float("inf"), -0.1])
    return (
        name,
        _maybe(chance, _of(chance, [f"p{chance.randint(0, customers * 2)}", "7.0"])),
        start,
        stop,
        _maybe(chance, seen),
        _of(chance, ["a", "Z", "ä", "L", None, *["S"] * 9]),  # enough for a median
        price,
        _of(chance, [True, False, None]),
        _maybe(chance, _day(chance)),
        _of(chance, ["price", "Price", "déménagé", "moved", None]),
    )


ODD_IDS = ("a{0}b", "it's; --", 'say "%s"', "100%", "$1", "back\\slash", ":as_of")


def odd(url: str) -> History:
    """A table and its contract; signs in names, levels and ids mean something to SQL or a driver."""
    levels = ["100% {0}", "a'b\\"]
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = psycopg.RawCursor(connection)
        cursor.execute('DROP TABLE IF EXISTS "odd %s"')
        cursor.execute(
            'CREATE TABLE "odd %s" ("id %s" text, at date, "percent %s" numeric, "why %(x)s" text)'
        )
        for at, one in enumerate(ODD_IDS * 3):
            row = [one, date(2024, 1 + at % 6, 11), at / 8, levels[at % 2]]
            cursor.execute('INSERT INTO "odd %s" VALUES ($1, $2, $3, $4)', row)
    why = {"kind": "category", "levels": levels}
    return History.model_validate(
        {
            "name": "odd",
            "clock": {"snapshots": ["2024-06-01"], "until": "2024-07-15"},
            "churn": {
                "event": "inactivity", "table": "odd", "horizon_days": 30, "where": {"why %(x)s": levels},
            },
            "economics": ECONOMICS,
            "tables": {
                "odd": {
                    "kind": "events", "source": "table:odd %s", "customer": "id %s", "time": "at",
                    "columns": {"percent %s": {"kind": "number"}, "why %(x)s": why},
                    "failures": {"why %(x)s": levels[:1]},
                },
            },
        }
    )  # fmt: skip
