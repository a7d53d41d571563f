"""What became of each (customer, as_of): who left, when and why, by what is known now, or was then.

With A = as_of + lead, and the window [A, A + horizon):

* **immature**: the window, and the grace after it, are not over; nothing is said of anybody;
* **gone**: had left before as_of, which became known later;
* **too late**: left in [as_of, A), before anybody could act;
* **churned**: left in the window, for a cause that counts;
* **stayed**: anybody else, also who left for another cause.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from holdfast.contract.history import ChurnEvent
from holdfast.history.clocks import NEVER_SQL, among, chosen, days_later, instant, latest, start_of, told
from holdfast.history.moments import wall_of
from holdfast.history.settle import quoted
from holdfast.history.spine import fresh, interval_columns, returned
from holdfast.history.times import naive

if TYPE_CHECKING:
    from datetime import datetime

    from holdfast.contract.history import History, Table

OUTCOMES = ("churned", "stayed", "too late", "gone", "immature")


def final_before(history: History, until: datetime) -> datetime:
    """The moment before which leaving is final: nobody who left then can still be back within the grace.

    Args:
        history: the contract.
        until: up to which all is known (naive UTC).

    Returns:
        Naive UTC. To the time until churn, this is where customers are censored.
    """
    zone = ZoneInfo(history.clock.time_zone)
    return naive(wall_of(until, zone) - timedelta(days=history.churn.grace_days), zone)


def labels_sql(history: History, until: datetime, *, known: datetime | None = None) -> str:
    """SQL (DuckDB) over the canonical tables, ``moments`` and ``spine``, in no order.

    Columns: ``_customer``, ``as_of``, ``outcome``, ``churned`` (1, 0, or null for the last three outcomes),
    ``left_at`` (when the customer left after as_of, whether in the window or later; null where that is not
    final yet, and for inactivity) and ``cause``.

    Args:
        history: the contract.
        until: up to which all is known (naive UTC), as `holdfast.history.prepared.Prepared` says.
        known: by what was known at this moment (naive UTC); by the latest unless given.
    """
    builders = {
        ChurnEvent.END: _by_end,
        ChurnEvent.CANCELLATION: _by_cancellation,
        ChurnEvent.INACTIVITY: _by_inactivity,
    }
    churn = history.churn
    final = f"_left < {instant(final_before(history, until))}"
    left_at = (
        "CAST(NULL AS TIMESTAMP)"
        if churn.event is ChurnEvent.INACTIVITY
        else f"CASE WHEN {final} THEN _left END"
    )
    return (
        "SELECT _customer, as_of, outcome, "
        "CASE outcome WHEN 'churned' THEN 1 WHEN 'stayed' THEN 0 END AS churned, "
        f"{left_at} AS left_at, CASE WHEN {final} THEN _cause END AS cause FROM ("
        "SELECT f.*, CASE "
        f"WHEN m.label_known > {instant(until)} THEN 'immature' "
        "WHEN f._gone = 1 THEN 'gone' "
        "WHEN f._left < m.label_begin THEN 'too late' "
        "WHEN f._left < m.label_end AND f._counts = 1 THEN 'churned' "
        f"ELSE 'stayed' END AS outcome FROM ({builders[churn.event](history, known)}) AS f "
        "JOIN moments AS m ON m.as_of = f.as_of) AS o"
    )


def _by_end(history: History, known: datetime | None) -> str:
    """The spell in which as_of lies, by the latest versions; spells are disjoint, so there is one at most."""
    churn = history.churn
    table = history.tables[churn.table]
    columns = f"t._customer, {interval_columns(table, 't', churn.grace_days)}{_cause(history, 't')}"
    rows = f"SELECT {columns} FROM {quoted(churn.table)} AS t WHERE {_version(table, 't', known)}"
    numbered = (
        "SELECT *, sum(_fresh) OVER (PARTITION BY _customer ORDER BY _begin, _end NULLS LAST, _fresh DESC "
        f"ROWS UNBOUNDED PRECEDING) AS _spell FROM ({fresh(rows, churn.grace_days)}) AS f"
    )
    ended = (
        f"SELECT *, max(COALESCE(_end, {NEVER_SQL})) OVER (PARTITION BY _customer, _spell) AS _last "
        f"FROM ({numbered}) AS n"
    )
    spells = (
        "SELECT _customer, min(_begin) AS _begin, max(_last) AS _left, "
        "max(CASE WHEN _end = _last THEN _counts ELSE 0 END) AS _counts, "
        "COALESCE(min(CASE WHEN _end = _last AND _counts = 1 THEN _cause END), "
        "min(CASE WHEN _end = _last THEN _cause END)) AS _cause "
        f"FROM ({ended}) AS e GROUP BY _customer, _spell"
    )
    return (
        "SELECT s._customer, s.as_of, CASE WHEN p._customer IS NULL THEN 1 ELSE 0 END AS _gone, "
        "p._left, p._cause, p._counts FROM spine AS s "
        f"LEFT JOIN ({spells}) AS p "
        "ON p._customer = s._customer AND p._begin < s.as_of AND p._left >= s.as_of"
    )


def _by_cancellation(history: History, known: datetime | None) -> str:
    """Cancellations with nobody back within the grace, each with when the customer was back at all."""
    churn = history.churn
    table = history.tables[churn.table]
    cancelled = (
        "SELECT _customer, _left, min(_wall) AS _wall, max(_counts) AS _counts, "
        "COALESCE(min(CASE WHEN _counts = 1 THEN _cause END), min(_cause)) AS _cause FROM ("
        f"SELECT c._customer, c._time AS _left, c._time_wall AS _wall{_cause(history, 'c')} "
        f"FROM {quoted(churn.table)} AS c WHERE {_version(table, 'c', known)} AND {chosen(table, churn, 'c')}"
        ") AS x GROUP BY _customer, _left"
    )
    final = f"SELECT c.*, CAST(NULL AS TIMESTAMP) AS _back FROM ({cancelled}) AS c"
    if churn.returns is not None:
        returns = history.tables[churn.returns]
        at = start_of(returns)
        back = (
            "SELECT c._customer, c._left, c._wall, c._counts, c._cause, "
            f"min(r.{at}) AS _back, min(r.{at}_wall) AS _back_wall FROM ({cancelled}) AS c "
            f"LEFT JOIN {quoted(churn.returns)} AS r ON r._customer = c._customer "
            f"AND {_version(returns, 'r', known)} AND r.{at} {returned(returns)} c._left "
            "GROUP BY c._customer, c._left, c._wall, c._counts, c._cause"
        )
        away = (
            f"_back_wall > {days_later('_wall', churn.grace_days)}" if churn.grace_days else "_back > _left"
        )
        final = f"SELECT * FROM ({back}) AS b WHERE _back IS NULL OR {away}"
    ahead = (
        "SELECT s._customer, s.as_of, "
        "max(CASE WHEN f._left < s.as_of AND (f._back IS NULL OR f._back >= s.as_of) THEN 1 ELSE 0 END) "
        "AS _gone, "
        "min(CASE WHEN f._left >= s.as_of THEN f._left END) AS _left "
        "FROM spine AS s JOIN leavings AS f ON f._customer = s._customer GROUP BY s._customer, s.as_of"
    )
    return (
        f"WITH leavings AS ({final}) "
        "SELECT s._customer, s.as_of, COALESCE(a._gone, 0) AS _gone, a._left, f._cause, f._counts "
        f"FROM spine AS s LEFT JOIN ({ahead}) AS a ON a._customer = s._customer AND a.as_of = s.as_of "
        "LEFT JOIN leavings AS f ON f._customer = a._customer AND f._left = a._left"
    )


def _by_inactivity(history: History, known: datetime | None) -> str:
    """Whoever has no event in the window left at its begin."""
    churn = history.churn
    table = history.tables[churn.table]
    active = (
        f"SELECT e._customer, m.as_of FROM moments AS m JOIN {quoted(churn.table)} AS e "
        f"ON e._time >= m.label_begin AND e._time < m.label_end AND {_version(table, 'e', known)} "
        f"AND {chosen(table, churn, 'e')} GROUP BY e._customer, m.as_of"
    )
    return (
        "SELECT s._customer, s.as_of, 0 AS _gone, "
        "CASE WHEN a._customer IS NULL THEN b.label_begin END AS _left, "
        "CAST(NULL AS VARCHAR) AS _cause, 1 AS _counts "
        "FROM spine AS s JOIN moments AS b ON b.as_of = s.as_of "
        f"LEFT JOIN ({active}) AS a ON a._customer = s._customer AND a.as_of = s.as_of"
    )


def _version(table: Table, alias: str, known: datetime | None) -> str:
    """The last version of each fact, or the one that was known at a moment."""
    return latest(table, alias) if known is None else told(table, alias, instant(known))


def _cause(history: History, alias: str) -> str:
    """Columns for the cause of leaving, and whether it counts."""
    churn = history.churn
    if churn.cause is None or churn.causes is None:
        return ", CAST(NULL AS VARCHAR) AS _cause, 1 AS _counts"
    value = f"{alias}.{quoted(churn.cause)}"
    counts = among(value, history.tables[churn.table], churn.cause, churn, churn.causes)
    return f", CAST({value} AS VARCHAR) AS _cause, CASE WHEN {counts} THEN 1 ELSE 0 END AS _counts"
