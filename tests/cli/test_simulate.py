from __future__ import annotations

import polars as pl


def test_it_writes_the_table_and_the_oracle_and_says_what_to_do_next(process, tmp_path):
    done = process("simulate", "--customers", "500", "--seed", "7", "--out", "demo")
    assert done.code == 0
    assert "holdfast init demo/customers.csv --label Churn" in done.out
    assert done.err == "Writing 500 customers …\n"
    assert pl.read_csv(tmp_path / "demo/customers.csv").shape == (500, 21)
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == ["customers.csv", "oracle.parquet"]


def test_json_says_the_same(process, tmp_path):
    done = process("simulate", "--customers", "500", "--out", "demo", "--format", "parquet", "--json")
    assert done.err == ""
    assert done.json() | {"churn_rate": 0} == {
        "table": "demo/customers.parquet",
        "oracle": "demo/oracle.parquet",
        "customers": 500,
        "seed": 7,
        "churn_rate": 0,
    }
    left = pl.read_parquet(tmp_path / "demo/customers.parquet")["Churn"] == "Yes"
    assert done.json()["churn_rate"] == left.mean()


def test_it_overwrites_only_when_told_to(holdfast, tmp_path):
    line = ("simulate", "--customers", "50", "--out", tmp_path)
    assert holdfast(*line).code == 0
    before = (tmp_path / "customers.csv").read_bytes()
    refused = holdfast(*line, "--seed", "8")
    assert refused.code == 2
    assert "--force" in refused.err
    assert (tmp_path / "customers.csv").read_bytes() == before
    assert holdfast(*line, "--seed", "8", "--force").code == 0
    assert (tmp_path / "customers.csv").read_bytes() != before
