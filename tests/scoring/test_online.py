from __future__ import annotations

import asyncio
import queue
import threading
from contextlib import asynccontextmanager

import pytest

from holdfast.scoring import MicroBatcher, OverloadedError


@asynccontextmanager
async def batcher(work, **bounds):
    made = MicroBatcher(work, **({"rows": 100, "queue": 1_000, "patience": 30.0} | bounds))
    try:
        yield made
    finally:
        await asyncio.to_thread(made.close)


class Worker:
    """Doubles numbers; holds each batch until `go` is set; fails on a batch with a bad item in it."""

    def __init__(self, *, held=False, bad=()):
        self.batches = []
        self.began = threading.Event()
        self.go = threading.Event()
        self.bad = set(bad)
        if not held:
            self.go.set()

    def __call__(self, items, done):
        self.batches.append(list(items))
        self.began.set()
        assert self.go.wait(10)
        if self.bad & set(items):
            raise ZeroDivisionError
        done([2 * item for item in items])


def test_a_lone_question_is_a_batch_at_once_even_where_batches_may_wait():
    async def run():
        worker = Worker()
        async with batcher(worker, wait=30.0) as made:
            assert await asyncio.wait_for(made.ask(4), 10) == 8
            assert await asyncio.wait_for(made.ask(5), 10) == 10
        assert worker.batches == [[4], [5]]

    asyncio.run(run())


def test_questions_of_one_moment_are_one_batch():
    async def run():
        worker = Worker()
        async with batcher(worker) as made:
            assert await asyncio.gather(*map(made.ask, range(50))) == [2 * n for n in range(50)]
        assert worker.batches == [[*range(50)]]

    asyncio.run(run())


def test_what_comes_while_a_batch_is_worked_on_is_the_next_up_to_its_rows():
    async def run():
        worker = Worker(held=True)
        async with batcher(worker, rows=10) as made:
            first = asyncio.create_task(made.ask(0))
            await asyncio.to_thread(worker.began.wait)
            others = [asyncio.create_task(made.ask(n)) for n in range(1, 26)]
            await asyncio.sleep(0)
            assert made.waiting == 25
            worker.go.set()
            await asyncio.gather(first, *others)
        assert [len(batch) for batch in worker.batches] == [1, 10, 10, 5]
        assert made.waiting == 0

    asyncio.run(run())


def test_a_large_item_is_a_batch_of_its_own():
    async def run():
        worker = Worker()
        async with batcher(worker, rows=10) as made:
            asked = made.ask(1, rows=4), made.ask(2, rows=500), made.ask(3, rows=4), made.ask(4, rows=4)
            await asyncio.gather(*asked)
        assert worker.batches == [[1], [2], [3, 4]]

    asyncio.run(run())


@pytest.mark.parametrize("bad", [[0], [63], [17], [3, 40, 41]])
def test_the_item_at_fault_is_found_and_fails_alone(bad):
    async def run():
        worker = Worker(bad=bad)
        async with batcher(worker) as made:
            answers = await asyncio.gather(*map(made.ask, range(64)), return_exceptions=True)
        for n, answer in enumerate(answers):
            if n in bad:
                assert isinstance(answer, ZeroDivisionError)
            else:
                assert answer == 2 * n

    asyncio.run(run())


def test_a_result_that_is_an_exception_is_raised_for_its_item_only():
    async def run():
        def work(items, done):
            done([KeyError(item) if item % 2 else item for item in items])

        async with batcher(work) as made:
            answers = await asyncio.gather(*map(made.ask, range(6)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [int, KeyError] * 3

    asyncio.run(run())


def test_who_gives_up_before_the_batch_is_left_out_and_who_gives_up_later_disturbs_nobody():
    async def run():
        worker = Worker(held=True)
        async with batcher(worker) as made:
            first, second = (asyncio.create_task(made.ask(n)) for n in (1, 2))
            await asyncio.to_thread(worker.began.wait)
            early, late = (asyncio.create_task(made.ask(n)) for n in (3, 4))
            await asyncio.sleep(0)
            first.cancel()  # its batch is under way
            early.cancel()  # its batch is not
            worker.go.set()
            assert await asyncio.gather(second, late) == [4, 8]
            for given_up in (first, early):
                with pytest.raises(asyncio.CancelledError):
                    await given_up
        assert worker.batches == [[1, 2], [4]]

    asyncio.run(run())


def test_beyond_the_queue_s_bound_questions_fail_at_once_and_the_others_are_answered():
    async def run():
        worker = Worker(held=True)
        async with batcher(worker, queue=5) as made:
            first = asyncio.create_task(made.ask(0))
            await asyncio.to_thread(worker.began.wait)
            waiting = [asyncio.create_task(made.ask(n)) for n in range(4)]
            await asyncio.sleep(0)
            with pytest.raises(OverloadedError) as refused:
                await made.ask(99)
            assert refused.value.retry_seconds == 1
            assert made.shed == 1
            worker.go.set()
            assert await asyncio.gather(first, *waiting) == [0, 0, 2, 4, 6]
            assert await made.ask(5, rows=5) == 10

    asyncio.run(run())


def test_what_is_scored_and_not_yet_committed_counts_for_the_bound():
    async def run():
        commits = Committer()
        async with batcher(commits, queue=2) as made:
            first = [asyncio.create_task(made.ask(n, rows=1)) for n in (1, 2)]
            items, done = await commits.next()
            assert (items, made.waiting) == ([1, 2], 0)
            with pytest.raises(OverloadedError):
                await made.ask(3)
            done([10, 20])
            assert await asyncio.gather(*first) == [10, 20]
            last = asyncio.create_task(made.ask(4))
            items, done = await commits.next()
            done([40])
            assert await last == 40

    asyncio.run(run())


def test_one_request_larger_than_the_whole_queue_is_taken_when_nobody_waits():
    async def run():
        async with batcher(Worker(), queue=5) as made:
            assert await made.ask(7, rows=1_000) == 14

    asyncio.run(run())


def test_what_waited_too_long_fails_and_is_not_begun():
    async def run():
        worker = Worker(held=True)
        async with batcher(worker, patience=0.05) as made:
            first = asyncio.create_task(made.ask(1))
            await asyncio.to_thread(worker.began.wait)
            late = asyncio.create_task(made.ask(2))
            for asked in (first, late):  # the one is worked on, but for too long
                with pytest.raises(OverloadedError):
                    await asked
            with pytest.raises(OverloadedError):  # also who comes when nobody else is left
                await made.ask(4)
            assert (made.shed, made.waiting) == (3, 0)
            worker.go.set()
            assert await made.ask(3) == 6
        assert worker.batches == [[1], [3]]

    asyncio.run(run())


class Committer:
    """Takes batches, and answers them only when told."""

    def __init__(self):
        self._taken = queue.SimpleQueue()

    def __call__(self, items, done):
        self._taken.put((items, done))

    async def next(self):
        return await asyncio.to_thread(self._taken.get, timeout=10)

    def idle(self):
        return self._taken.empty()


def test_the_next_batch_begins_while_an_earlier_one_waits_for_its_commit():
    async def run():
        commits = Committer()
        async with batcher(commits) as made:
            first = asyncio.create_task(made.ask(1))
            held = [await commits.next()]
            second = asyncio.create_task(made.ask(2))
            held.append(await commits.next())
            for items, done in reversed(held):
                done([item * 10 for item in items])
            assert await asyncio.gather(first, second) == [10, 20]

    asyncio.run(run())


def test_a_batch_waits_for_those_who_asked_a_moment_ago_until_all_ask_again_or_it_is_full():
    async def run():
        commits = Committer()
        async with batcher(commits, rows=3, wait=LONG) as made:
            tasks = [asyncio.create_task(made.ask(n)) for n in (0, 1, 2)]
            items, done = await commits.next()
            assert items == [0, 1, 2]  # nobody asked before, so nobody is waited for
            done(items)
            await asyncio.gather(*tasks)
            tasks = [asyncio.create_task(made.ask(n)) for n in (3, 4)]
            await asyncio.sleep(0.05)
            assert commits.idle()
            tasks.append(asyncio.create_task(made.ask(5)))  # all are there again
            items, done = await commits.next()
            assert items == [3, 4, 5]
            tasks += [asyncio.create_task(made.ask(n)) for n in (6, 7)]  # and these never paused
            later, done_later = await commits.next()
            done(items)
            done_later(later)
            assert await asyncio.gather(*tasks) == [3, 4, 5, 6, 7]

    asyncio.run(run())


def test_a_batch_does_not_wait_for_ever_for_those_who_asked_a_moment_ago():
    async def run():
        worker = Worker()
        async with batcher(worker, wait=0.01) as made:
            assert await asyncio.gather(made.ask(1), made.ask(2)) == [2, 4]
            assert await asyncio.wait_for(made.ask(3), 10) == 6
            assert await asyncio.wait_for(made.ask(4), 10) == 8

    asyncio.run(run())


def test_other_work_lets_what_is_asked_go_first_but_not_for_ever():
    async def run():
        worker = Worker(held=True)
        async with batcher(worker) as made:
            made.let_pass(LONG)  # nobody asks
            asked = asyncio.create_task(made.ask(1))
            await asyncio.sleep(0)
            made.let_pass(0.01)  # not for ever
            assert not asked.done()
            other = asyncio.create_task(asyncio.to_thread(made.let_pass, LONG))
            await asyncio.to_thread(worker.began.wait)
            await asyncio.sleep(0.05)
            assert not other.done()
            worker.go.set()
            assert await asked == 2
            await asyncio.wait_for(other, 10)

    asyncio.run(run())


LONG = 600.0
