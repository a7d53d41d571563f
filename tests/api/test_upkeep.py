from __future__ import annotations

import time

from holdfast.predictions.erasure import erase
from holdfast.settings import Settings

DEADLINE = 60.0


def until(true):
    end = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def turns(app, many):
    """Wait until the follower has looked so many times."""
    live, seen = app.state.live, 0
    refresh = live.refresh

    def counting():
        nonlocal seen
        seen += 1
        refresh()

    live.refresh = counting
    until(lambda: seen > many)
    live.refresh = refresh


def test_caches_are_emptied_by_an_erasure_and_not_by_a_start(shop, open_client):
    shop.add()
    settings = Settings(home=shop.home)
    erase(shop.registry.engine, settings, "C-1", "test")
    app = open_client(shop).app
    cache = app.state.cache
    cache.put_many([(b"key", b"answer")])
    turns(app, 2)
    assert cache.get_many([b"key"]) == [b"answer"]
    erase(shop.registry.engine, settings, "C-2", "test")
    until(lambda: cache.get_many([b"key"]) == [None])
