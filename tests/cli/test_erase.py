from __future__ import annotations

import io
import sys

import pytest
from logged import log_rows

from holdfast import audit
from holdfast.predictions.listing import Wanted, count
from holdfast.store import open_store


@pytest.fixture
def engine(tmp_path):
    opened = open_store(tmp_path / ".holdfast")
    log_rows(opened, 20, customers=3)
    yield opened
    opened.dispose()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def left(engine, customer):
    return count(engine, Wanted(customer=customer))


def test_a_customer_is_erased_with_a_proof(holdfast, engine):
    before = left(engine, "C-1")
    done = holdfast("erase", "C-1", "--yes", "--json")
    assert done.code == 0
    assert done.json()["removed"]["predictions"] == before > 0
    assert "C-1" not in done.out
    assert left(engine, "C-1") == 0
    assert left(engine, "C-2") > 0
    proof = audit.entries(engine, action="customers.erased")[0]
    assert proof.subject == done.json()["customer_hash"]
    assert proof.actor.startswith("cli:")


def test_nothing_is_erased_unless_somebody_says_yes(holdfast, engine, monkeypatch):
    refused = holdfast("erase", "C-1")
    assert (refused.code, "--yes" in refused.err) == (2, True)
    assert holdfast("erase", "C-1", "--json").code == 2
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    assert holdfast("erase", "C-1").code == 2
    assert left(engine, "C-1") > 0
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert "Erased" in holdfast("erase", "C-1").out
    assert left(engine, "C-1") == 0


def test_what_is_left_is_said_and_is_an_exit_code(holdfast, engine, tmp_path):
    del engine
    archive = tmp_path / ".holdfast" / "archive"
    archive.mkdir()
    (archive / "predictions-2020-01-01.parquet").write_bytes(b"damaged")
    done = holdfast("erase", "C-1", "--yes")
    assert done.code == 1
    assert "Left: The file archive/predictions-2020-01-01.parquet" in done.out


def test_an_id_that_can_be_nobody_s_is_a_usage_error(holdfast, engine):
    del engine
    assert holdfast("erase", "", "--yes").code == 2
