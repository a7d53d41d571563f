"""What to say of a definition of churn, and what to do, from what was counted of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from holdfast.contract.history import ChurnEvent
from holdfast.quality.enough import about_few

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from holdfast.contract.history import History
    from holdfast.history.prepared import Prepared
    from holdfast.history.sensitivity import Gaps, Snapshot, Variant

RARE, USUAL = 0.005, 0.95
"""Churn rates beyond which hardly anything can be learned."""

MUCH = 0.05
"""Share of rows or customers of which to speak."""

FEW = 5
"""So many between windows may be chance where hardly anybody leaves."""

LONG_SILENT = 1 / 3
"""Share of those judged that has been silent for longer than the horizon, of which to speak."""

_MONTH, _WEEK = 31, 7


@dataclass(frozen=True)
class Told:
    """What was counted of the contract's own definition."""

    own: Variant
    seen: Sequence[Snapshot]
    gaps: list[Gaps]
    at_once: int
    """Of those who churn: who left on the first day of the window."""
    leaving: int
    """Who left from the begin of a matured snapshot's window to that of the next, each once."""
    last_left: date | None
    """The last day on which an eligible customer left; none for inactivity."""
    complete: date
    """The day up to which all is known."""
    silent: float
    """Share of those judged last whose last event was longer ago than the horizon."""
    share: float
    """Of customers that were counted."""

    @property
    def between(self) -> int:
        """Who left in no snapshot's window, though eligible at the snapshot before."""
        return sum(snapshot.between for snapshot in self.seen if snapshot.mature)

    @property
    def recorded(self) -> date | None:
        """A day that ``until`` may be: after the last who left and before the next would; none if it is so.

        Where customers leave on firsts of months, those of the next first are not told of yet.
        """
        if self.last_left is None:
            return None
        days = _MONTH if self.last_left.day == 1 else 1
        after = self.last_left + timedelta(days=days)
        after = after.replace(day=1) if days == _MONTH else after
        return after if after < self.complete else None


def of_lead(history: History, told: Told) -> list[str]:
    """Whether anybody could act."""
    churn, found = history.churn, []
    if churn.event is not ChurnEvent.INACTIVITY and told.at_once > told.own.churned / 2:
        found.append(
            f"{told.at_once:,} of the {told.own.churned:,} who churn leave on the first day that counts: "
            f"ends lie on days such as the snapshots' own, and nobody can act. {_next_ends(history, told)}"
        )
    elif churn.lead_days == 0:
        found.append(
            "lead_days is 0: customers count who leave the very day on which they are found, before anybody "
            "can act. Set it to the days that you need."
        )
    return found


def _next_ends(history: History, told: Told) -> str:
    if history.clock.snapshots != "monthly" or history.churn.lead_days:
        return "A lead_days one longer looks at the next ones, if horizon_days reaches from these to those."
    advice = "Under [churn], lead_days = 1 and horizon_days = 31 look at the next one instead"
    if told.recorded is None:
        return f"{advice}."
    return (
        f"{advice}; then write until = {told.recorded} under [clock] too: the last ends are of "
        f"{told.last_left}, and where later ones are not recorded yet, all would count as staying."
    )


def of_windows(history: History, told: Told) -> list[str]:
    """Whether many leave in no snapshot's window."""
    if told.between <= max(FEW * told.share, MUCH * told.leaving):
        return []
    churn = history.churn
    steps = [round((after.as_of - one.as_of) / timedelta(days=1)) for one, after in pairwise(told.seen)]
    apart = max(days for days in steps if days <= _MONTH)
    last = history.clock.snapshots == "monthly" and (churn.horizon_days, churn.lead_days) == (30, 0)
    which = ", so the 31st of a month is in none" if last else ""
    reach = f"Write horizon_days = {apart} under [churn]"
    if churn.horizon_days >= _WEEK and apart > _WEEK:
        reach += ', or snapshots = "weekly" under [clock]'
    words = (
        f"{told.between:,} of {told.leaving:,} who left lie in no snapshot's window, and training takes them "
        f"for stayers: windows of {churn.horizon_days} days begin up to {apart} days apart{which}. {reach}."
    )
    return [words]


def of_definition(history: History, told: Told) -> list[str]:
    """What the lengths of horizon and lead lead to."""
    churn, own, gaps = history.churn, told.own, told.gaps
    found = []
    cycles = sorted((gap for gap in gaps if gap.regular and gap.median > 1), key=lambda gap: gap.median)
    if cycles and churn.horizon_days < cycles[-1].median:
        cycle = cycles[-1]
        found.append(
            f"The horizon of {churn.horizon_days} days is shorter than the cycle of {cycle.table}, "
            f"{cycle.median:.0f} days: some customers have no occasion to leave within it."
        )
    for gap in gaps:
        quiet = churn.event is ChurnEvent.INACTIVITY and gap.table == churn.table
        if quiet and gap.longer > MUCH:
            found.append(
                f"{gap.longer:.0%} of the gaps between a customer's {gap.table} are longer than "
                f"{churn.horizon_days} days: many who are said to have churned will be back."
            )
    if told.silent > LONG_SILENT:
        found.append(
            f"{told.silent:.0%} of those judged last have been silent for longer than the horizon already. "
            f"Write active_days = {min(3_650, 3 * churn.horizon_days)} under [churn] to look only at who was "
            "active in so many days."
        )
    if own.too_late > own.churned:
        found.append(
            f"More leave within the lead ({own.too_late:,}) than in the horizon after it ({own.churned:,}): "
            "a shorter lead would reach them."
        )
    return found


def of_outcomes(told: Told) -> list[str]:
    """Whether there is enough of either outcome, and as much in each snapshot."""
    own, seen = told.own, told.seen
    found = []
    immature = sum(not snapshot.mature for snapshot in seen)
    if immature:
        found.append(
            f"The labels of {immature} of {len(seen)} snapshots have not matured; they can be scored, "
            "not learned from."
        )
    few = about_few(own.churned, own.stayed) if told.share == 1 else None
    found += [few] if few else []
    if own.rate is not None and own.rate < RARE:
        found.append(f"Hardly anybody churns ({own.rate:.2%}): a longer horizon has more to learn from.")
    if own.rate is not None and own.rate > USUAL:
        found.append(f"Almost everybody churns ({own.rate:.1%}): eligible may be who had left long ago.")
    if own.gone > MUCH * own.eligible:
        found.append(
            f"{own.gone / own.eligible:.0%} of the eligible had left before their snapshot, which became "
            "known later: ends reach the tables late."
        )
    return [*found, *_of_changes(told)]


def _of_changes(told: Told) -> list[str]:
    """Whether the rate of those who leave jumps, windows that leave some out aside."""
    rates = [
        (s.churned + s.between) / (s.churned + s.stayed)
        for s in told.seen
        if s.mature and s.churned + s.stayed
    ]
    if not any(max(pair) > 3 * min(pair) and max(pair) > MUCH for pair in pairwise(rates)):
        return []
    words = (
        "The churn rate changes threefold from one snapshot to the next: see whether the tables are "
        "complete there."
    )
    none = len(rates) - sum(rate > 0 for rate in rates)
    if told.recorded is not None and none and not any(rates[-none:]):
        words = (
            f"Nobody leaves in the windows of the last {none} of {len(rates)} matured snapshots, as if that "
            f"were not recorded yet: the last left on {told.last_left}. If so, write "
            f"until = {told.recorded} under [clock]."
        )
    return [words]


def of_tables(prepared: Prepared) -> list[str]:
    """Whether tables are empty, or much of them is rejected."""
    found = []
    for name, counts in prepared.counts.items():
        rejected = sum(counts.rejected.values())
        if not counts.read:
            found.append(f"{name} has no rows, so nothing can be learned from it: is it the whole export?")
        if counts.read and rejected > MUCH * counts.read:
            reason, rows = max(counts.rejected.items(), key=lambda item: item[1])
            found.append(
                f"{rejected / counts.read:.0%} of the rows of {name} are rejected, most of them ({rows:,}) "
                f"for: {reason}."
            )
    return found
