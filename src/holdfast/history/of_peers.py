"""A customer's number beside that of others: as a share of the median in the same level, that day.

What a plan costs says little where prices differ by year and offer; what a customer pays beside all who have
the same plan says a lot. Others are looked at as of the begin of ``as_of``'s day, a moment that all questions
of a day have in common: their medians are worked out once, over everybody, and kept in the table ``__peers``
(``_feature``, ``_day``, ``_level``, ``_median``) whichever customers are then asked about.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice, product
from typing import TYPE_CHECKING

from holdfast.contract.types import Kind
from holdfast.history.clocks import in_force
from holdfast.history.expressions import number_columns
from holdfast.history.feature import Detail, Peers
from holdfast.history.of_intervals import newest
from holdfast.history.settle import literal, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.contract.history import History
    from holdfast.history.feature import HistoryFeature, Input, Source

FEWEST = 20
"""Intervals with the number that a level needs for a median."""

MOST_OF_A_TABLE = {Detail.FULL: 6, Detail.BRIEF: 2, Detail.LEAST: 0}
"""Pairs of a category and a number, in the contract's order: the first category with each number first."""

PEERS = "__peers"
"""The table of medians; no table of a contract, and no step of a query, is called so."""


def peer_features(source: Source) -> list[HistoryFeature]:
    """The features of one table of intervals."""
    pairs = product(source.of(Kind.CATEGORY), source.of(Kind.NUMBER, Kind.INTEGER))
    return [_feature(source, *pair) for pair in islice(pairs, MOST_OF_A_TABLE[source.detail])]


def with_peers(features: Iterable[HistoryFeature]) -> list[HistoryFeature]:
    """Those that hold a customer against others, for which the table of medians must be made."""
    return [feature for feature in features if feature.peers is not None]


def peers_sql(history: History, features: Iterable[HistoryFeature]) -> str:
    """SQL (DuckDB) over the canonical tables and ``moments``: the medians that features need, in no order.

    A median is the value in the middle, or the mean of the two there. Equal values are counted before they
    are put in order, so that it takes little memory however many intervals there are.

    Args:
        history: the contract.
        features: `with_peers` of those that are built; at least one.
    """
    rows = " UNION ALL ".join(
        _rows(history, one.name, one.table, one.peers) for one in features if one.table and one.peers
    )
    keys = "_feature, _day, _level"
    counted = (
        f"SELECT {keys}, _value, COUNT(*) AS _rows FROM ({rows}) AS r "
        f"WHERE _level IS NOT NULL AND _value IS NOT NULL GROUP BY {keys}, _value"
    )
    placed = (
        f"SELECT {keys}, _value, SUM(_rows) OVER (PARTITION BY {keys} ORDER BY _value) AS _upto, "
        f"SUM(_rows) OVER (PARTITION BY {keys}) AS _all FROM ({counted}) AS c"
    )
    low, high = (f"MIN(CASE WHEN 2 * _upto {at} _all THEN _value END)" for at in (">=", ">"))
    return (
        f"SELECT {keys}, ({low} + {high}) / 2 AS _median FROM ({placed}) AS p "
        f"GROUP BY {keys} HAVING MAX(_all) >= {FEWEST}"
    )


def _feature(source: Source, category: Input, number: Input) -> HistoryFeature:
    alias = f"{number.slug}__of_{category.slug}"
    value, level = newest(number), newest(category)
    doc = (
        f"The {number.column} of the newest of the {source.name} in force, divided by the median of all "
        f"{source.name} with the same {category.column} in force at the begin of the day; missing where that "
        f"is 0, or of fewer than {FEWEST}."
    )
    name = (number.slug, "to", category.slug, "median")
    ratio = f"{value.name} / NULLIF({alias}._median, 0)"
    made = source.feature(name, doc, ratio, value, level, unit="ratio")
    return replace(made, peers=Peers(number, category, alias, level.name))


def _rows(history: History, feature: str, table: str, peers: Peers) -> str:
    level = f"t.{quoted(peers.category.column)}"
    value = number_columns(peers.number, "t")[f"{peers.number.slug}__value"]
    there = in_force(history.tables[table], "t", "m.day")
    return (
        f"SELECT {literal(feature)} AS _feature, m.day AS _day, {level} AS _level, {value} AS _value "
        f"FROM (SELECT DISTINCT day FROM moments) AS m JOIN {quoted(table)} AS t ON {there}"
    )
