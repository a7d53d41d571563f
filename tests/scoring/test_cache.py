from __future__ import annotations

import threading
import time

import pytest
from tcp_proxy import TcpProxy

from holdfast.scoring import AnswerCache
from holdfast.settings import Settings

PATIENCE = 30


@pytest.fixture
def opened():
    """Opens caches, and closes them at the end."""
    made = []

    def one(**settings):
        made.append(AnswerCache(Settings(**settings)))
        return made[-1]

    yield one
    for cache in made:
        cache.close()


@pytest.fixture
def proxy(redis):
    """Stands before a real Redis that is well."""
    between = TcpProxy((redis.host, redis.port))
    yield between
    between.close()


def url_of(proxy):
    return "redis://{}:{}/0".format(*proxy.address)


def key(number):
    return b"key-%d" % number


def value(number):
    return b"%08d" % number


def shares(one, other, number):
    """Whether what ``one`` remembers is known to ``other`` sooner or later."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        one.put_many([(key(number), value(number))])
        if other.get_many([key(number)]) == [value(number)]:
            return True
        time.sleep(0.05)
    return False


def test_what_was_put_is_found_and_counted(opened):
    cache = opened()
    cache.put_many([(key(1), value(1)), (key(2), value(2))])
    assert cache.get_many([key(2), key(3), key(1), key(2)]) == [value(2), None, value(1), value(2)]
    assert (cache.hits, cache.misses) == (3, 1)
    cache.clear()
    assert cache.get_many([key(1)]) == [None]


def test_only_the_most_recently_used_are_kept(opened):
    cache = opened(cache_entries=3)
    cache.put_many([(key(n), value(n)) for n in range(3)])
    cache.get_many([key(0)])
    cache.put_many([(key(3), value(3))])
    assert cache.get_many([key(n) for n in range(4)]) == [value(0), None, value(2), value(3)]


def test_what_is_too_old_is_not_found(opened):
    cache = opened(cache_seconds=0.05)
    cache.put_many([(key(1), value(1))])
    time.sleep(0.06)
    assert cache.get_many([key(1)]) == [None]


def test_nothing_is_kept_for_no_time(opened, redis):
    cache = opened(cache_seconds=0, redis_url=redis.url)
    cache.put_many([(key(1), value(1))])
    assert cache.get_many([key(1)]) == [None]


def test_threads_may_share_it(opened):
    cache = opened(cache_entries=50)
    wrong = []

    def work(seed):
        for turn in range(2_000):
            number = (turn * 7 + seed) % 80
            found = cache.get_many([key(number)])[0]
            if found not in (None, value(number)):
                wrong.append(found)
            cache.put_many([(key(number), value(number))])
            if turn % 500 == 0:
                cache.clear()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_servers_share_through_redis_and_forget_together(opened, redis):
    one, other = opened(redis_url=redis.url), opened(redis_url=redis.url)
    assert shares(one, other, 1)
    one.clear()
    assert one.get_many([key(1)]) == [None]
    deadline = time.monotonic() + PATIENCE
    while other.get_many([key(1), key(2)])[0] is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert other.get_many([key(1)]) == [None]
    assert shares(one, other, 3)


def test_an_answer_in_redis_expires(opened, redis):
    from redis import Redis  # noqa: PLC0415 - the fixture says whether it is installed

    one, other = (opened(redis_url=redis.url, cache_seconds=2) for _ in range(2))
    with Redis.from_url(redis.url) as looking:
        looking.flushall()
        assert shares(one, other, 1)
        left = [looking.pttl(name) for name in looking.scan_iter(match=b"*" + key(1))]
    assert all(one == -2 or 0 < one <= 2_000 for one in left)  # -2: expired since
    assert left


@pytest.mark.parametrize("trouble", ["delay", "hang", "cut", "reset"])
def test_trouble_with_redis_costs_misses_and_ends_with_it(opened, proxy, trouble):
    cache, other = opened(redis_url=url_of(proxy)), opened(redis_url=url_of(proxy))
    assert shares(other, cache, 1)
    if trouble == "delay":
        proxy.delay = 0.5
    else:
        getattr(proxy, trouble)()
    for number in range(1_000):
        assert cache.get_many([key(1), key(-number)]) == [value(1), None]
        cache.put_many([(key(number + 2), value(number + 2))])
    assert cache.get_many([key(number + 2) for number in range(1_000)]) == [
        value(number + 2) for number in range(1_000)
    ]
    proxy.restore()
    assert shares(other, cache, 5_000)


def test_answers_that_came_too_late_are_never_given_for_another_key(opened, proxy):
    one, other = opened(redis_url=url_of(proxy)), opened(redis_url=url_of(proxy), cache_entries=1)
    assert shares(one, other, 0)
    one.put_many([(key(n), value(n)) for n in range(200)])
    found = 0
    deadline = time.monotonic() + PATIENCE
    turn = 0
    while (found < 40 or turn < 110) and time.monotonic() < deadline:
        proxy.delay = 0.03 if turn % 50 == 49 else 0.0  # beyond the patience of the cache, now and then
        got = other.get_many([key(turn % 200)])[0]
        assert got in (None, value(turn % 200))
        found += got is not None
        turn += 1
        time.sleep(0.005)
    assert found >= 40


def test_a_redis_that_starts_later_is_taken_up(opened, redis):
    redis.stop()
    try:
        cache, other = opened(redis_url=redis.url), opened(redis_url=redis.url)
        cache.put_many([(key(1), value(1))])
        assert cache.get_many([key(1)]) == [value(1)]
    finally:
        redis.start()
    assert shares(cache, other, 2)
