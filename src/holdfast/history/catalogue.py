"""The features that follow from a history's contract: name, meaning, unit and SQL of each.

Each feature is an SQL expression over aggregates of one table's rows, which `holdfast.history.compile`
restricts to what had happened before ``as_of`` and was known by then. Nothing here looks at data, so a
contract alone says which features there are.

How many there are follows one rule: of `Detail`, the finest that gives at most `MOST` is taken for all
tables; the coarsest is taken if none does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.contract.history import TableKind
from holdfast.errors import ContractError, nearest
from holdfast.history.feature import Detail, Input, Source, slug, unlike
from holdfast.history.of_customers import customer_features
from holdfast.history.of_events import event_features
from holdfast.history.of_intervals import interval_features
from holdfast.history.of_peers import peer_features
from holdfast.history.own import own_features

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.contract.history import History
    from holdfast.history.feature import HistoryFeature

MOST = 600
"""Features beyond which a coarser `Detail` is taken."""

RESERVED = frozenset({"customer", "_customer", "as_of", "churned", "outcome", "left_at"})
"""Columns that the built table has beside its features."""

_MAKERS = {
    TableKind.CUSTOMERS: customer_features,
    TableKind.EVENTS: event_features,
    TableKind.INTERVALS: interval_features,
}


def catalogue(history: History) -> list[HistoryFeature]:
    """Every feature of a history, in the order of its tables; the user's own at the end.

    Raises:
        ContractError: a feature of one's own has the name of a generated one, or its query cannot be used.
    """
    generated = _generated(history) if history.generated else []
    own = own_features(history)
    taken = RESERVED | {one.name for one in generated}
    for feature in own:
        if feature.name in taken:
            raise ContractError(
                f'"{feature.name}" is already the name of a column that Holdfast makes.',
                where=f"[features], {feature.name}",
                hint="Give your feature another name.",
            )
    return [*generated, *own]


def feature_named(history: History, name: str) -> HistoryFeature:
    """One feature.

    Raises:
        ContractError: there is none of this name.
    """
    found = {feature.name: feature for feature in catalogue(history)}
    if name not in found:
        raise ContractError(f'There is no feature "{name}".', hint=nearest(name, found))
    return found[name]


def _generated(history: History) -> list[HistoryFeature]:
    for detail in Detail:
        found = _at(history, detail)
        if len(found) <= MOST:
            break
    return found


def _at(history: History, detail: Detail) -> list[HistoryFeature]:
    """The features by one rule. Those of peers come last and take what room is left.

    So none of the others is called otherwise, or left out, for their sake.
    """
    sources = [source(history, name, detail) for name in history.tables]
    features = [feature for one in sources for feature in _MAKERS[one.table.kind](one)]
    intervals = [one for one in sources if one.table.kind is TableKind.INTERVALS]
    peers = [feature for one in intervals for feature in peer_features(one)]
    return _apart([*features, *peers[: max(0, MOST - len(features))]])


def source(history: History, name: str, detail: Detail = Detail.FULL) -> Source:
    """A table as the makers of features see it; never with the column that says why a customer left."""
    table = history.tables[name]
    cause = history.churn.cause if history.churn.table == name else None
    usable = {column: told for column, told in table.inputs.items() if column != cause}
    slugs = unlike([slug(column) for column in usable])
    inputs = tuple(Input(column, slugs[at], usable[column]) for at, column in enumerate(usable))
    return Source(name, table, history.clock.windows, detail, inputs)


def _apart(features: Iterable[HistoryFeature]) -> list[HistoryFeature]:
    """The features, of those with one name all but the first numbered."""
    found = list(features)
    names = unlike([feature.name for feature in found])
    return [replace(feature, name=name) for feature, name in zip(found, names, strict=True)]
