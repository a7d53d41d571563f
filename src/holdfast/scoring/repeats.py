"""How many rows carry a customer id that an earlier row had, in fixed memory whatever the table's length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_HELD = 1 << 17
_TOP = 2**64 - 1


class RepeatedIds:
    """Counts repeats among hashed ids; exactly up to ``most`` different ones, beyond that by a sample.

    Distinct sampling (Gibbons 2001, "Distinct sampling for highly-accurate answers to distinct values
    queries"): only hashes up to a limit are held, each with how often it came. When there are too many the
    limit is halved. A customer is in the sample with all of its rows or with none, so a table without
    repeats is always said to have none.

    Args:
        most: different hashes held, 16 bytes each; about three times as many for a moment.
    """

    def __init__(self, most: int = MOST_HELD) -> None:
        self._most = most
        self._limit = _TOP
        self._seen = np.empty(0, np.uint64)
        self._times = np.empty(0, np.int64)
        self._new: list[NDArray[np.uint64]] = []
        self._waiting = 0

    def add(self, hashes: NDArray[np.uint64]) -> None:
        """Take in the hashed ids of some rows, shape (n,)."""
        kept = hashes if self.exact else hashes[hashes <= np.uint64(self._limit)]
        self._new.append(kept)
        self._waiting += len(kept)
        if self._waiting > self._most:
            self._settle()

    @property
    def exact(self) -> bool:
        """Whether `count` is no estimate."""
        return self._limit == _TOP

    def count(self) -> int:
        """Rows whose id was there before; divided by the sample's share where not every id is held."""
        self._settle()
        repeated = int(self._times.sum()) - len(self._times)
        return round(repeated * (_TOP / self._limit))

    def _settle(self) -> None:
        """Merge what is new into the sorted counts, and thin them out where they are too many."""
        if not self._waiting:
            self._new = []
            return
        values, counts = np.unique(np.concatenate(self._new), return_counts=True)
        self._new, self._waiting = [], 0
        every = np.concatenate([self._seen, values])
        times = np.concatenate([self._times, counts])
        order = np.argsort(every, kind="stable")
        every, times = every[order], times[order]
        first = np.flatnonzero(np.append(True, every[1:] != every[:-1]))
        self._seen, self._times = every[first], np.add.reduceat(times, first)
        while len(self._seen) > self._most:
            self._limit //= 2
            kept = int(np.searchsorted(self._seen, np.uint64(self._limit), side="right"))
            self._seen, self._times = self._seen[:kept].copy(), self._times[:kept].copy()
