"""Only faults that pass are tried again: ever later, and not for ever."""

from __future__ import annotations

import pytest

from holdfast.sources import again
from holdfast.sources.again import persistently


class Passing(Exception):  # noqa: N818 - as what it is told apart
    """Gone in a moment."""


class Lasting(Exception):  # noqa: N818 - as above
    """Here to stay."""


@pytest.fixture
def pauses(monkeypatch):
    """How long was waited, without waiting."""
    waited = []
    monkeypatch.setattr(again.time, "sleep", waited.append)
    return waited


def failing(faults):
    """Work that gives 1, fails as long as there are faults, and then gives 2."""

    def work():
        yield 1
        if faults:
            raise faults.pop()
        yield 2

    return work


def ask(work, retries=10):
    return persistently(
        work,
        retries=retries,
        faults=(Passing, Lasting),
        passes=lambda error: isinstance(error, Passing),
        failed=lambda error, tries: RuntimeError(f"{type(error).__name__} after {tries}"),
    )


def test_faults_that_pass_are_tried_again_from_the_start(pauses):
    assert list(ask(failing([Passing(), Passing()]))) == [1, 1, 1, 2]
    assert len(pauses) == 2


def test_a_fault_that_lasts_is_told_at_once(pauses):
    with pytest.raises(RuntimeError, match="Lasting after 1"):
        list(ask(failing([Lasting()])))
    assert pauses == []


def test_tries_end_and_pauses_grow_to_a_bound(pauses):
    with pytest.raises(RuntimeError, match="Passing after 11"):
        list(ask(failing([Passing() for _ in range(20)])))
    whole = [min(again.LONGEST_PAUSE, again.FIRST_PAUSE * 2**n) for n in range(10)]
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, whole, strict=True))
    assert len(set(pauses)) == 10


def test_other_errors_go_through(pauses):
    with pytest.raises(KeyError):
        list(ask(failing([KeyError()])))
    assert pauses == []
