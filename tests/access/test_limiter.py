from __future__ import annotations

import asyncio
import time

import pytest
import uvloop

from holdfast.access import Caller, Limiter, Role
from holdfast.access.windows import Windows
from holdfast.errors import UsageError

CALLER = Caller("key:a", Role.SCORER)


class Clock:
    """A clock that stands still until it is set. Minutes begin at multiples of 60."""

    def __init__(self, monkeypatch):
        self.now = 6_000.0
        monkeypatch.setattr("holdfast.access.windows.time", self)

    def time(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def taken(windows, many, limit=10, name="a"):
    """How many of so many requests may pass."""
    return sum(windows.take(name, limit).allowed for _ in range(many))


@pytest.mark.usefixtures("clock")
def test_the_limit_is_kept_and_told():
    windows = Windows()
    left = [windows.take("a", 3) for _ in range(4)]
    assert [(verdict.allowed, verdict.limit, verdict.remaining) for verdict in left] == [
        (True, 3, 2),
        (True, 3, 1),
        (True, 3, 0),
        (False, 3, 0),
    ]
    assert windows.take("b", 3).allowed


def test_a_burst_over_the_edge_of_a_minute_is_held(clock):
    windows = Windows()
    clock.now += 59.9
    assert taken(windows, 20) == 10
    clock.now += 0.2
    assert taken(windows, 20) <= 1
    clock.now += 30
    assert taken(windows, 20) in (4, 5, 6)
    clock.now += 120
    assert taken(windows, 20) == 10


@pytest.mark.parametrize("later", [0, 7.5, 30, 59.9, 60, 75])
def test_whoever_waits_as_long_as_told_may_pass(clock, later):
    windows = Windows()
    clock.now += 13
    taken(windows, 10)
    clock.now += later
    while (verdict := windows.take("a", 10)).allowed:
        pass
    assert verdict.reset_seconds >= 1
    clock.now += verdict.reset_seconds
    assert windows.take("a", 10).allowed


def test_a_limit_that_was_lowered_is_waited_for(clock):
    windows = Windows()
    assert taken(windows, 10) == 10
    verdict = windows.take("a", 2)
    assert not verdict.allowed
    clock.now += verdict.reset_seconds
    assert windows.take("a", 2).allowed


def test_memory_is_bounded(clock):
    windows = Windows(most=10)
    for at in range(1_000):
        windows.take(str(at), 5)
    assert len(windows._counts) == 10
    clock.now += 1
    assert not any(windows.take("999", 5).allowed is False for _ in range(4))


def take(limiter, caller=CALLER):
    return asyncio.run(limiter.take(caller))


def test_a_caller_has_the_usual_limit_or_its_own(settings):
    limiter = Limiter(settings(rate_limit=5))
    assert take(limiter).limit == 5
    assert take(limiter, Caller("key:b", Role.SCORER, 2)).limit == 2


async def many(limiters, requests, caller=CALLER):
    """How many requests pass, spread over the limiters, all at once."""
    verdicts = await asyncio.gather(*(limiters[at % len(limiters)].take(caller) for at in range(requests)))
    return sum(verdict.allowed for verdict in verdicts)


async def on_redis(redis, settings, work, **given):
    limiters = [Limiter(settings(redis_url=redis.url, **given)) for _ in range(2)]
    try:
        return await work(limiters)
    finally:
        for limiter in limiters:
            await limiter.close()


def caller(name):
    return Caller(f"key:{name}", Role.SCORER)


@pytest.fixture
def one_minute_and_patience(monkeypatch):
    """Redis is waited for on a busy machine, too, and no minute ends within the test."""
    monkeypatch.setattr("holdfast.access.shared.PATIENCE", 60.0)
    left = 60 - time.time() % 60
    if left < 10:
        time.sleep(left)


@pytest.mark.usefixtures("one_minute_and_patience")
@pytest.mark.parametrize("limit", [7, 1_000])
def test_servers_share_one_limit_through_redis(redis, settings, limit):
    async def work(limiters):
        passed = 0
        for _ in range(4):
            passed += await many(limiters, limit // 2 + 1, caller(f"share{limit}"))
        return passed

    passed = asyncio.run(on_redis(redis, settings, work, rate_limit=limit))
    assert 0.9 * limit <= passed <= limit


@pytest.mark.usefixtures("one_minute_and_patience")
def test_what_is_left_is_told_with_redis_too(redis, settings):
    async def work(limiters):
        return [await limiters[0].take(caller("told")) for _ in range(4)]

    verdicts = asyncio.run(on_redis(redis, settings, work, rate_limit=3))
    assert [(verdict.allowed, verdict.remaining) for verdict in verdicts] == [
        (True, 2),
        (True, 1),
        (True, 0),
        (False, 0),
    ]
    assert 1 <= verdicts[-1].reset_seconds <= 60


def test_without_redis_each_server_counts_in_memory(redis, settings):
    async def work(limiters):
        assert (await limiters[0].take(caller("down"))).allowed
        redis.stop()
        try:
            return [await limiters[0].take(caller("down2")) for _ in range(8)]
        finally:
            redis.start()

    verdicts = asyncio.run(on_redis(redis, settings, work, rate_limit=5))
    assert [verdict.allowed for verdict in verdicts] == [True] * 5 + [False] * 3


def test_redis_is_used_again_when_it_is_back(redis, settings, monkeypatch):
    monkeypatch.setattr("holdfast.access.shared.PAUSE", 0.05)

    async def work(limiters):
        redis.stop()
        await many(limiters, 4, caller("back"))
        redis.start()
        until = time.monotonic() + 30
        while True:
            # Both count in Redis exactly when together they keep one limit.
            name = f"back{time.monotonic()}"
            if await many(limiters, 8, caller(name)) == 4:
                return True
            assert time.monotonic() < until
            await asyncio.sleep(0.1)

    assert asyncio.run(on_redis(redis, settings, work, rate_limit=4))


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_connection_that_was_cut_fails_no_request(redis, settings, monkeypatch, run):
    monkeypatch.setattr("holdfast.access.shared.PAUSE", 0.0)

    async def work(limiters):
        name = f"cut by {run.__module__}"
        assert (await limiters[0].take(caller(name))).allowed
        storage = limiters[0]._shared._counter.storage.bridge.storage
        for connection in storage.connection_pool._available_connections:
            connection._writer.transport.abort()
        return [(await limiters[0].take(caller(name))).remaining for _ in range(3)]

    # The first is counted in memory, or in Redis over another connection; the others are in Redis.
    assert run(on_redis(redis, settings, work, rate_limit=9))[1:] in ([7, 6], [6, 5])


def test_a_redis_that_hangs_costs_little_and_only_once(redis, settings, monkeypatch):
    monkeypatch.setattr("holdfast.access.shared.PAUSE", 600.0)

    async def work(limiters):
        redis.pause()
        try:
            return [await limiters[0].take(caller("hang")) for _ in range(2_000)]
        finally:
            redis.resume()

    verdicts = asyncio.run(on_redis(redis, settings, work, rate_limit=1_000))
    assert sum(verdict.allowed for verdict in verdicts) == 1_000


def test_an_address_that_is_none_of_redis_is_refused_at_the_start(settings):
    with pytest.raises(UsageError):
        Limiter(settings(redis_url="unix://"))
