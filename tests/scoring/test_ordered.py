from __future__ import annotations

import random
import threading
import time

import pytest

from holdfast.scoring.ordered import available_workers, in_order


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_results_keep_the_order_whatever_takes_longest(workers):
    moments = random.Random(1)  # noqa: S311 - no secret

    def work(item):
        time.sleep(moments.uniform(0, 0.002))
        return item * 2

    assert list(in_order(work, iter(range(100)), workers=workers)) == [2 * item for item in range(100)]


def test_no_more_than_a_few_items_are_under_way():
    taken = done = most = 0

    def items():
        nonlocal taken, most
        for item in range(50):
            taken += 1
            most = max(most, taken - done)
            yield item

    for _ in in_order(lambda item: item, items(), workers=2):
        done += 1
    assert most <= 6


def test_the_first_failure_is_raised_and_nothing_goes_on():
    before = threading.active_count()

    def work(item):
        if item >= 3:
            raise LookupError(item)
        return item

    results = in_order(work, iter(range(1_000)), workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(LookupError, match=r"^3$"):
        next(results)
    assert threading.active_count() == before


def test_a_failing_source_is_raised():
    def items():
        yield 1
        raise LookupError

    with pytest.raises(LookupError):
        list(in_order(lambda item: item, items(), workers=2))


def test_there_is_always_a_worker():
    assert 1 <= available_workers() <= 4
