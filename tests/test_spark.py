"""Spark builds and scores what this process does, on a cluster of two workers; one session for all.

The tests that end workers come last.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from alike import unlike
from database_worlds import contract, odd, with_alike, world
from real_spark import RealSpark, SparkUnavailableError

import holdfast.spark
from holdfast.errors import UsageError
from holdfast.history.build import build, record_contract
from holdfast.history.build_in_spark import _Tables, build_in_spark
from holdfast.history.catalogue import feature_named
from holdfast.history.compile import feature_sql
from holdfast.history.moments import moments
from holdfast.history.own_checks import QueryError
from holdfast.history.prepare import prepare
from holdfast.model import Model
from holdfast.progress import NullProgress
from holdfast.scoring import score_file
from holdfast.scoring.history import score_history
from holdfast.scoring.in_spark import score_file_in_spark
from holdfast.settings import Settings
from holdfast.spark import Spark, SparkError
from holdfast.training import train


@pytest.fixture(scope="module")
def cluster():
    try:
        started = RealSpark()
    except SparkUnavailableError as error:
        pytest.skip(str(error))
    yield started
    started.remove()


@pytest.fixture(scope="module")
def spark(cluster, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_CONF_DIR", str(cluster.conf))
        home = tmp_path_factory.mktemp("spark home")
        with Spark(Settings(home=home, spark_master=cluster.url), memory_mib=512) as session:
            yield session


@pytest.fixture(scope="module")
def at(postgres):
    return postgres.url()


def prepared(history, url, folder):
    return prepare(history, folder, folder / "prepared", settings=Settings(source_url=url))


def both(history, tables, spark, folder, **asked):
    here = build(history, tables, folder / "here.parquet", **asked)
    return here, build_in_spark(history, tables, folder / "there.parquet", spark=spark, **asked)


def assert_shown_is_run(history, tables, spark, built):
    """What `holdfast features show` prints for Spark gives what was built."""
    views = _Tables(history, tables, spark, moments(history, built.as_of))
    for name in ("payments_amount_sd_90d", "plans_price_to_plan_median"):
        feature = feature_named(history, name)
        shown = views.session.sql(feature_sql(history, feature, dialect="spark")).toArrow()
        found = pl.DataFrame(shown).sort("_customer", "as_of")
        assert found[name].equals(built.frame()[name])
        assert found[name].null_count() < found.height


@pytest.mark.parametrize(
    ("event", "zone"),
    [("end", "Europe/Berlin"), ("cancellation", "UTC"), ("inactivity", "Europe/Berlin")],
)
def test_what_spark_builds_equals_what_is_built_here(spark, at, tmp_path, event, zone):
    world(11).into(at)
    history = contract(event, zone)
    tables = prepared(history, at, tmp_path)
    here, there = both(history, tables, spark, tmp_path)
    one, other = here.frame(), there.frame()
    assert one.schema == other.schema
    assert one.select("customer", "as_of").equals(other.select("customer", "as_of"))
    assert not unlike(one, other)
    assert here.outcomes() == there.outcomes()
    assert len({*one["as_of"]}) == 3
    if event == "end":
        assert_shown_is_run(history, tables, spark, there)
    assert not list(tmp_path.glob(".building-*"))


def test_own_features_of_every_function_that_may_be_used_are_equal(spark, at, tmp_path):
    world(3).into(at)
    history = with_alike(contract("end", "UTC"))
    here, there = both(history, prepared(history, at, tmp_path), spark, tmp_path, labels=False)
    assert not unlike(here.frame(), there.frame())


def test_signs_that_mean_something_to_sql_or_a_path_are_names_levels_and_ids_like_others(spark, at, tmp_path):
    history, folder = odd(at), tmp_path / "a [b] {c} 100%"
    folder.mkdir()
    here, there = both(history, prepared(history, at, folder), spark, folder, labels=False)
    assert not unlike(here.frame(), there.frame())


def test_a_query_that_gives_a_customer_several_rows_or_that_spark_cannot_run_is_refused(
    spark, at, tmp_path, capfd
):
    world(7).into(at)
    for query, said in (
        ("SELECT id AS customer, amount AS value FROM payments", "several rows for one customer"),
        ("SELECT id AS customer, MAX(CAST(status AS DOUBLE)) AS value FROM payments GROUP BY id", "each"),
    ):
        history = contract("end", "UTC", own=False).model_copy(update={"features": {"each": query}})
        tables = prepared(history, at, tmp_path)
        with pytest.raises((QueryError, SparkError)) as raised:
            build_in_spark(history, tables, tmp_path / "p.parquet", spark=spark)
        assert said in str(raised.value)
    assert not (tmp_path / "p.parquet").exists()
    assert capfd.readouterr().err == ""  # no trace of Java's beside the one error


def dirtied(table):
    """Lines of a table, some that cannot be read, some with cells that cannot, and all of them ten times."""
    header, *lines = table.read_text().splitlines()
    lines = lines * 10
    lines[5] += ",one too many"
    tenure = header.split(",").index("tenure")
    for bad in (17, 3_000, 7_990):
        cells = lines[bad].split(",")
        lines[bad] = ",".join([*cells[:tenure], "many", *cells[tenure + 1 :]])
    lines.append("the,end")
    return "\n".join([header, *lines]) + "\n"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_spark_scores_to_the_bit_what_is_scored_here_with_the_same_rejects(spark, trained, tmp_path, kind):
    table = tmp_path / f"customers.{kind}"
    if kind == "csv":
        table.write_text(dirtied(trained.table))
    else:
        bad = pl.when(pl.int_range(pl.len()) % 1_000 == 7).then(-1).otherwise(pl.col("tenure"))
        other = (pl.col("Contract").cast(pl.Categorical), pl.col("MonthlyCharges").cast(pl.Float32))
        many = pl.concat([trained.customers] * 10).with_columns(bad.cast(pl.Int16).alias("tenure"), *other)
        many.write_parquet(table, row_group_size=900)
    here = score_file(trained.model, table, tmp_path / "here.parquet", reasons=2)
    there = score_file_in_spark(trained.model, table, tmp_path / "there.parquet", spark=spark, reasons=2)
    assert pl.read_parquet(there.out).equals(pl.read_parquet(here.out))
    assert there.rejects.read_text() == here.rejects.read_text()
    assert here.rejected >= 5
    one, other = here.as_dict(), there.as_dict()
    for told in (one, other):
        for changes in ("out", "rejects", "seconds", "rows_per_second"):
            del told[changes]
    assert one.pop("expected_churners") == pytest.approx(other.pop("expected_churners"), rel=1e-12)
    assert one == other


def test_everyone_of_a_history_is_scored_as_here(spark, at, tmp_path):
    world(5, customers=700).into(at)
    history = contract("inactivity", "Europe/Berlin")
    midnight = datetime(2024, 7, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    settings = Settings(home=tmp_path / "home", source_url=at)
    built = build(history, prepared(history, at, tmp_path), tmp_path / "b.parquet", as_of=[midnight])
    known = built.frame().filter(pl.col("churned").is_not_null())
    model = train(
        known, record_contract(history), budget=1.0, models=["logistic_regression"], seed=1,
        home=settings.home,
    ).model  # fmt: skip
    model.history = history  # as if it had learned from it in time, which takes longer

    def scored(where):
        out = tmp_path / ("here.parquet" if where is None else "there.parquet")
        done = score_history(
            model, history, tmp_path / "churn.toml", out, home=settings.home, as_of=midnight,
            settings=settings, spark=where,
        )  # fmt: skip
        return done, pl.read_parquet(out)

    (tmp_path / "churn.toml").write_text("a contract is a file\n")
    (here, one), (there, other) = scored(None), scored(spark)
    assert (there.scored, there.risk_levels) == (here.scored, here.risk_levels)
    assert one.drop("churn_probability").equals(other.drop("churn_probability"))
    assert (one["churn_probability"] - other["churn_probability"]).abs().max() <= 1e-9


def test_a_model_whose_files_were_changed_scores_nothing(spark, trained, tmp_path):
    folder = shutil.copytree(trained.challenger.path, tmp_path / "model")
    model = Model.load(folder)
    metrics = folder / "metrics.json"
    metrics.write_text(metrics.read_text() + " ")
    with pytest.raises(SparkError, match=r"not what was written: metrics\.json was changed"):
        score_file_in_spark(model, trained.table, tmp_path / "out.csv", spark=spark)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 1,', '"format": 1, "more": 1,'))
    with pytest.raises(SparkError, match="not what was sent"):
        score_file_in_spark(model, trained.table, tmp_path / "out.csv", spark=spark)
    assert {path.name for path in tmp_path.iterdir()} == {"model"}


def test_what_an_executor_raises_is_told_and_not_only_that_it_did(spark):
    def fail(_):
        raise ValueError("this batch is odd")

    with spark.told():
        rows = spark.session().range(1).mapInArrow(fail, "id long")
    with pytest.raises(SparkError, match=r"Spark failed: ValueError: this batch is odd\."):
        spark.run(rows.collect)


def test_spark_listens_on_the_loopback_address_alone(spark):
    java = spark.session().sparkContext._gateway.proc.pid
    sockets = {str(link.readlink()) for link in Path(f"/proc/{java}/fd").iterdir()}
    listening = set()
    for table in ("tcp", "tcp6"):
        for words in map(str.split, Path(f"/proc/net/{table}").read_text().splitlines()[1:]):
            if words[3] == "0A" and f"socket:[{words[9]}]" in sockets:
                listening.add(words[1].partition(":")[0])
    assert listening
    assert listening <= {"0100007F", "0000000000000000FFFF00000100007F"}


def test_on_this_machine_alone_it_is_a_command_like_others(trained, installed, cluster, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("alone")
    shutil.copy(trained.table, tmp_path / "customers.csv")
    line = [sys.executable, "-m", "holdfast.cli", "score", "customers.csv", "--engine", "spark"]
    own = {"SPARK_CONF_DIR": str(cluster.conf), "HOLDFAST_SPARK_MASTER": "local[1]"}
    own |= {"HOLDFAST_HOME": str(installed), "HOLDFAST_MEMORY_MIB": "512"}
    done = subprocess.run(  # noqa: S603 - our own command
        line, cwd=tmp_path, env=os.environ | own, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "800 read, 800 scored, 0 rejected" in done.stdout
    assert "WARN" not in done.stderr
    score_file(trained.model, trained.table, tmp_path / "here.csv")
    assert (tmp_path / "customers.scored.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()
    assert {one.name for one in tmp_path.iterdir()} == {"customers.csv", "customers.scored.csv", "here.csv"}


def test_without_pyspark_java_or_a_master_it_says_what_to_do(tmp_path, monkeypatch):
    pytest.importorskip("pyspark", reason="pyspark is not installed (the extra spark)")
    here = Settings(home=tmp_path)
    nowhere = Settings(home=tmp_path, spark_master="spark://127.0.0.1:1")
    with (
        pytest.raises(UsageError, match="No master of Spark answers: Connection refused"),
        Spark(nowhere, memory_mib=512),
    ):
        pass
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(UsageError, match="Spark needs Java") as raised, Spark(here, memory_mib=512):
        pass
    assert "17" in raised.value.hint
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(UsageError, match="pyspark is not installed") as raised, Spark(here, memory_mib=512):
        pass
    assert "holdfast[spark]" in raised.value.hint
    assert not list(tmp_path.iterdir())


class Killing(NullProgress):
    """Ends a worker once tasks are under way."""

    def __init__(self, cluster, number):
        self._cluster, self._number, self.killed = cluster, number, False

    def advance(self, amount=1.0, note=None):
        del amount
        if note is not None and "tasks" in note and not self.killed:
            self.killed = True
            self._cluster.kill_worker(self._number)


def test_a_worker_that_dies_half_way_changes_nothing(spark, cluster, trained, tmp_path):
    table = tmp_path / "customers.parquet"
    pl.concat([trained.customers] * 100).write_parquet(table, row_group_size=20_000)
    here = score_file(trained.model, table, tmp_path / "here.csv", reasons=3)
    killing = Killing(cluster, 0)
    there = score_file_in_spark(
        trained.model, table, tmp_path / "there.csv", spark=spark, reasons=3, progress=killing
    )
    assert killing.killed
    assert there.out.read_bytes() == here.out.read_bytes()


def test_without_any_worker_it_gives_up_and_writes_nothing(spark, cluster, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(holdfast.spark, "PATIENCE", 2)
    cluster.kill_worker(0)
    cluster.kill_worker(1)
    with pytest.raises(SparkError, match="gave no executor for 2 seconds") as raised:
        score_file_in_spark(trained.model, trained.table, tmp_path / "out.csv", spark=spark)
    assert raised.value.where == cluster.url
    assert not list(tmp_path.iterdir())
