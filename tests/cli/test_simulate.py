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


def test_a_telco_is_tables_with_their_contract_and_an_oracle(process, tmp_path):
    done = process("simulate", "--world", "telco", "--customers", "150", "--months", "8", "--out", "telco")
    assert done.code == 0
    assert "150 customers, " in done.out
    assert done.out.endswith("Next: holdfast check telco/churn.toml\n")
    assert done.err == "Simulating 150 customers over 8 months …\n"
    assert sorted(path.name for path in (tmp_path / "telco").iterdir()) == [
        "churn.toml",
        "customers.parquet",
        "oracle",
        "subscriptions.parquet",
        "support_tickets.parquet",
        "transactions.parquet",
    ]


def test_a_telco_goes_into_postgresql_too(holdfast, tmp_path, postgres):
    url = postgres.url()
    line = ("simulate", "--world", "telco", "--customers", "80", "--months", "6", "--into", url, "--json")
    said = holdfast(*line, "--out", tmp_path / "one").json()
    assert said["database"] == url
    assert said["rows"]["customers"] == said["customers"] == 80
    assert 0 < said["monthly_churn_rate"] < 0.1
    refused = holdfast(*line, "--out", tmp_path / "two")
    assert "--force" in refused.json()["error"]["hint"]
    assert not (tmp_path / "two").exists()  # it is refused before anything is simulated
    assert holdfast(*line, "--out", tmp_path / "two", "--force").code == 0


def test_what_belongs_to_a_telco_is_no_option_of_a_snapshot(holdfast, tmp_path):
    for option in (("--months", "12"), ("--into", "postgresql://here")):
        refused = holdfast("simulate", "--out", tmp_path, *option)
        assert refused.code == 2
        assert "--world telco" in refused.err
