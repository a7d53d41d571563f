"""Asks again after faults that pass: ever later, not for ever, and not after other faults."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 16.0
"""Seconds between the first two tries, and at most between two."""

T = TypeVar("T")


def persistently(
    work: Callable[[], Iterable[T]],
    *,
    retries: int,
    faults: tuple[type[Exception], ...],
    passes: Callable[[Exception], bool],
    failed: Callable[[Exception, int], Exception],
) -> Iterator[T]:
    """What ``work`` gives; after a fault that passes, again from its start.

    Args:
        work: asks.
        retries: how often it is asked again at most.
        faults: as what its failures are raised; others go through.
        passes: whether the same question may succeed in a moment.
        failed: what to raise after the last try, from its fault and the number of tries.
    """
    for tries in range(1, retries + 2):
        try:
            yield from work()
        except faults as error:
            if tries > retries or not passes(error):
                raise failed(error, tries) from error
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (tries - 1))
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that not all come back at once
        else:
            return
