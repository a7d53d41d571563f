"""A log of invoices as people have it goes through every command: returns, rows of nobody, ids as 17850.0."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest


@pytest.fixture
def log(tmp_path):
    """400 customers over 13 months; half of them stop buying at some time."""
    draw = np.random.default_rng(5)
    lines = ["InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"]
    begin, number = datetime(2010, 12, 1, 8), 536365  # noqa: DTZ001 - the log has no zone
    for customer in range(400):
        last = draw.uniform(30, 400) if customer % 2 else 500
        for day in np.cumsum(draw.exponential(25, 30)):
            if day > min(last, 373):
                break
            at = begin + timedelta(days=float(day))
            returned = draw.random() < 0.05
            who = "" if draw.random() < 0.25 else f"{12346 + customer}.0"
            number += 1
            lines += [
                f"{'C' * returned}{number},{code},BAG \xa31,{-1 if returned else 6},"
                f"{at.month}/{at.day}/{at.year} {at.hour}:{at.minute:02},{price},{who},EIRE"
                for code, price in (("85123A", 2.55), ("POST", 0))
            ]
    path = tmp_path / "online_retail.csv"
    path.write_bytes("\r\n".join([*lines, ""]).encode("cp1252"))
    return path


def test_invoices_go_from_init_to_answers(holdfast, log):
    told = holdfast("init", "--tables", log.name, "--churn", "inactivity", "--horizon", 60)
    assert told.code == 0, told.err
    assert "lines are not UTF-8 and were read as Windows-1252" in told.out
    assert "above.Quantity" in told.out
    assert 'have no "CustomerID": nobody\'s, so rejected' in told.out
    checked = holdfast("check", "--json").json()
    counts = checked["tables"]["online_retail"]
    assert counts["rejected"] == {"no customer id": counts["read"] - counts["kept"]}
    assert counts["notes"]["its line is not UTF-8 and was read as Windows-1252"] == counts["read"]
    assert checked["leaks"] == []
    names = holdfast("features", "list", "--json").json()["features"]
    assert not any("invoiceno" in one["name"] for one in names)
    trained = holdfast("train", "churn.toml", "--budget", "1s", "--models", "logistic_regression")
    assert trained.code == 0, trained.err
    scored = holdfast("score", "churn.toml", "--json").json()
    answers = pl.read_csv(scored["out"])
    assert scored["scored"] == answers.height > 300
    assert answers["customer_id"].dtype == pl.Int64  # 17850, not 17850.0
    assert json.loads(holdfast("evaluate", "churn.toml", "--json").out)["rows"] > 200
