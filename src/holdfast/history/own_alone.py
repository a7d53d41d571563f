"""A feature is of one customer: whether a user's query gives a few the same value alone as among others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from holdfast.history.own_checks import QueryError

if TYPE_CHECKING:
    from collections.abc import Mapping

_HASHED = 2
_TOLERANCE = 1e-9
"""Of a value: engines add doubles in any order."""


def tried_sql(own: str) -> str:
    """SQL (DuckDB and PostgreSQL) for a few customers at the last moment, and the values they have then.

    It gives ``_customer``, ``as_of`` and ``value``. They are the first, the last and some chosen by a hash,
    of those who have a value and of all.

    Args:
        own: the table of the feature's values; ``spine`` is the one of all customers.
    """
    latest = "as_of = (SELECT MAX(as_of) FROM spine)"
    parts = []
    for rows in (f"{own} WHERE value IS NOT NULL AND {latest}", f"spine WHERE {latest}"):
        parts += [f"SELECT {which}(_customer) AS _customer FROM {rows}" for which in ("MIN", "MAX")]
        parts.append(f"(SELECT _customer FROM {rows} ORDER BY MD5(_customer), _customer LIMIT {_HASHED})")
    return (
        "SELECT t._customer, m.as_of, o.value "
        f"FROM ({' UNION '.join(parts)}) AS t CROSS JOIN (SELECT MAX(as_of) AS as_of FROM spine) AS m "
        f"LEFT JOIN {own} AS o ON o._customer = t._customer AND o.as_of = m.as_of "
        "WHERE t._customer IS NOT NULL ORDER BY t._customer"
    )


def insist_same(among: Mapping[str, Any], alone: Mapping[str, Any], place: str) -> None:
    """Refuse values that depend on who else is there.

    Args:
        among: each customer's value among others.
        alone: the value from the customer's own rows; none is the same as a missing one.
        place: the query's file.

    Raises:
        QueryError: a value is another one, by more than a billionth of it or of the largest here.
    """
    sizes = [abs(value) for value in among.values() if isinstance(value, float) and math.isfinite(value)]
    least = _TOLERANCE * max(sizes, default=0.0)
    unlike = next((who for who, value in among.items() if not _same(value, alone.get(who), least)), None)
    if unlike is not None:
        raise QueryError(
            f'The query gives a customer another value alone than among others, such as "{unlike}": '
            f"{_said(alone.get(unlike))} alone, {_said(among[unlike])} among others.",
            where=place,
            hint="A feature is of one customer: use no rows of others, no windows without PARTITION BY the "
            "customer, and no LIMIT over all.",
        )


def _same(one: Any, other: Any, least: float) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_TOLERANCE, abs_tol=least)
    return bool(one == other)


def _said(value: Any) -> str:
    return "missing" if value is None else f"{value}"
