"""PostgreSQL builds from its own tables what DuckDB builds from files that were read from there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest
from alike import unlike
from database_worlds import ALIKE_QUERIES, CHURN, contract, odd, with_alike, world
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from small_histories import history as small_history

from holdfast.contract.types import Column
from holdfast.errors import UsageError
from holdfast.history.build import build
from holdfast.history.build_in_place import build_in_postgres
from holdfast.history.engines.postgres import Postgres
from holdfast.history.own_checks import QueryError
from holdfast.history.prepare import prepare
from holdfast.history.problems import HistoryError
from holdfast.history.settle import CONFLICT, REPEATED
from holdfast.progress import NullProgress
from holdfast.settings import Settings
from holdfast.sources import SourceError


@pytest.fixture(scope="module")
def at(postgres):
    return postgres.url()


def both(history, url, folder):
    there = Settings(source_url=url)
    prepared = prepare(history, folder, folder / "prepared", settings=there)
    files = build(history, prepared, folder / "files.parquet")
    return files, prepared.counts, *build_in_postgres(history, folder / "place.parquet", settings=there)


def counted(counts):
    """Rows by reason; of two versions known at once it does not matter whether they are the same."""
    found = {}
    for name, table in counts.items():
        rejected = dict(table.rejected)
        twice = rejected.pop(REPEATED, 0) + rejected.pop(CONFLICT, 0)
        found[name] = (table.read, table.kept, rejected, twice)
    return found


@settings(max_examples=6, deadline=None, phases=[Phase.explicit, Phase.generate])  # a world has a seed
@given(st.integers(0, 2**32), st.sampled_from([*CHURN]), st.sampled_from(["UTC", "Europe/Berlin"]))
def test_what_is_built_in_postgresql_equals_what_is_built_from_files(at, tmp_path_factory, seed, event, zone):
    world(seed).into(at)
    history = contract(event, zone)
    if event == "inactivity":
        above = history.churn.model_copy(update={"above": {"amount": 5.0}})
        history = history.model_copy(update={"churn": above})
    files, counts, place, counts_there = both(history, at, tmp_path_factory.mktemp("world"))
    assert counted(counts_there) == counted(counts)
    one, other = files.frame(), place.frame()
    assert one.schema == other.schema
    assert one.select("customer", "as_of").equals(other.select("customer", "as_of"))
    assert not unlike(one, other)


def test_own_features_of_every_function_that_may_be_used_are_equal(at, tmp_path):
    world(3).into(at)
    files, _, place, _ = both(with_alike(contract("end", "UTC")), at, tmp_path)
    assert not unlike(files.frame(), place.frame())
    assert all(files.frame()[name].n_unique() > 1 for name in ALIKE_QUERIES)


def test_pieces_change_nothing(at, tmp_path, monkeypatch):
    world(7).into(at)
    history, there = contract("end", "Europe/Berlin"), Settings(source_url=at)
    files, _, whole, _ = both(history, at, tmp_path)
    monkeypatch.setattr("holdfast.history.build_in_place.PIECE", 600)
    pieces, _ = build_in_postgres(history, tmp_path / "pieces.parquet", settings=there)
    assert pieces.frame().equals(whole.frame())
    assert not unlike(files.frame(), whole.frame())
    assert whole.frame()["plans_price_to_plan_median"].null_count() < whole.rows


def test_what_the_database_holds_as_text_is_refused_with_what_to_do(at, tmp_path):
    world(7).into(at)
    with psycopg.connect(at, autocommit=True) as connection:
        connection.execute("ALTER TABLE plans ALTER COLUMN price TYPE text")
    with pytest.raises(HistoryError, match='"price" is of another type') as raised:
        build_in_postgres(contract("end", "UTC"), tmp_path / "p.parquet", settings=Settings(source_url=at))
    assert "--engine duckdb" in raised.value.hint


def test_a_query_that_gives_a_customer_several_rows_is_refused(at, tmp_path):
    world(7).into(at)
    many = "SELECT id AS customer, amount AS value FROM payments"
    history = contract("end", "UTC").model_copy(update={"features": {"each": many}})
    with pytest.raises(QueryError, match="several rows for one customer"):
        build_in_postgres(history, tmp_path / "p.parquet", settings=Settings(source_url=at))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("MAX(amount) / (SELECT MAX(amount) FROM payments)", "another value alone than among others"),
        ("SUM(SUM(amount)) OVER (ORDER BY id)", "another value alone than among others"),
        ("MAX(items * 1e308 * 1e308)", "PostgreSQL cannot run the query"),
    ],
)
def test_a_query_that_is_not_of_one_customer_or_fails_is_refused_with_its_name(at, tmp_path, value, says):
    world(7).into(at)
    query = f"SELECT id AS customer, {value} AS value FROM payments GROUP BY id"  # noqa: S608 - ours
    history = contract("end", "UTC").model_copy(update={"features": {"mine": query}, "generated": False})
    with pytest.raises(QueryError, match=says) as told:
        build_in_postgres(history, tmp_path / "p.parquet", settings=Settings(source_url=at))
    assert told.value.where == "[features], mine"


def test_tables_elsewhere_are_refused():
    history = contract("end", "UTC")
    files = history.tables | {"plans": history.tables["plans"].model_copy(update={"source": "plans.csv"})}
    with pytest.raises(UsageError, match="no table of a database"):
        Postgres(history.model_copy(update={"tables": files}), Settings(source_url="postgresql://h/d"))
    with pytest.raises(UsageError, match="in which database"):
        Postgres(history, Settings())
    with pytest.raises(UsageError, match="in PostgreSQL alone"):
        Postgres(history, Settings(source_url="mysql://u@h/d"))


def test_nothing_is_made_in_the_database_and_what_was_built_before_stays_if_it_is_down(at, tmp_path):
    world(7).into(at)
    out = tmp_path / "p.parquet"
    made, _ = build_in_postgres(contract("end", "UTC"), out, settings=Settings(source_url=at))
    before = out.read_bytes()
    gone = Settings(source_url="postgresql://u@127.0.0.1:1/none", source_retries=0)
    with pytest.raises(SourceError, match="refused"):
        build_in_postgres(contract("end", "UTC"), out, settings=gone)
    assert made.rows
    assert out.read_bytes() == before
    with psycopg.connect(at) as connection:
        count = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 't'"
        assert connection.execute(count).fetchone() == (3,)


class Dying(NullProgress):
    """Ends the connections of all others once the first piece is built, as often as it is told to."""

    def __init__(self, at, times):
        self.at, self.times, self.built = at, times, 0

    def advance(self, *_):
        self.built += 1
        if self.times:
            self.times -= 1
            with psycopg.connect(self.at, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )


def test_a_database_that_dies_half_way_leaves_what_was_there_or_is_asked_again(at, tmp_path, monkeypatch):
    world(7).into(at)
    history, out = contract("end", "UTC"), tmp_path / "p.parquet"
    expected, _ = build_in_postgres(history, out, settings=Settings(source_url=at))
    before, expected = out.read_bytes(), expected.frame()
    monkeypatch.setattr("holdfast.history.build_in_place.PIECE", 600)
    dying = Dying(at, 1)
    with pytest.raises(SourceError, match=r"terminating connection|closed the connection") as raised:
        build_in_postgres(history, out, settings=Settings(source_url=at, source_retries=0), progress=dying)
    assert dying.built == 1  # half-way
    assert raised.value.where.startswith("the tables of postgresql://")
    assert [path.name for path in tmp_path.iterdir()] == ["p.parquet"]
    assert out.read_bytes() == before
    again, _ = build_in_postgres(history, out, settings=Settings(source_url=at), progress=Dying(at, 1))
    assert again.frame().equals(expected)


def test_columns_that_sql_cannot_tell_apart_are_refused_as_from_files(at, tmp_path):
    world(7).into(at)
    with psycopg.connect(at, autocommit=True) as connection:
        connection.execute('ALTER TABLE plans ADD COLUMN "Price" numeric, ADD COLUMN "_known" numeric')
    for name in ("Price", "_known"):
        history = contract("end", "UTC")
        plans = history.tables["plans"]
        columns = plans.columns | {name: Column(kind="number")}
        tables = history.tables | {"plans": plans.model_copy(update={"columns": columns})}
        changed = history.model_copy(update={"tables": tables})
        there = Settings(source_url=at)
        with pytest.raises(
            HistoryError, match=r'has the columns "price" and "Price"|a column "_known"'
        ) as one:
            build_in_postgres(changed, tmp_path / "p.parquet", settings=there)
        with pytest.raises(HistoryError) as other:
            prepare(changed, tmp_path, tmp_path / "prepared", settings=there)
        assert (one.value.message, one.value.hint) == (other.value.message, other.value.hint)


def test_signs_that_mean_something_to_sql_are_names_levels_and_ids_like_others(at, tmp_path, monkeypatch):
    history = odd(at)
    files, counts, place, counts_there = both(history, at, tmp_path)
    assert counted(counts_there) == counted(counts)
    one, other = files.frame(), place.frame()
    assert not unlike(one, other)
    assert one["odd_count_ever"].sum() == 18  # those of June are to come
    monkeypatch.setattr("holdfast.history.build_in_place.PIECE", 3)
    pieces, _ = build_in_postgres(history, tmp_path / "pieces.parquet", settings=Settings(source_url=at))
    assert pieces.frame().equals(other)


def test_tables_without_a_row_that_can_be_used_are_refused_as_from_files(at, tmp_path):
    there = Settings(source_url=at)
    for event in CHURN:
        world(7).into(at)
        with psycopg.connect(at, autocommit=True) as connection:
            connection.execute("TRUNCATE payments, plans, people")
        with pytest.raises(HistoryError, match="has no rows") as raised:
            build_in_postgres(contract(event, "UTC"), tmp_path / "p.parquet", settings=there)
        with pytest.raises(HistoryError) as files:
            prepare(contract(event, "UTC"), tmp_path, tmp_path / "prepared", settings=there)
        assert (raised.value.message, raised.value.hint) == (files.value.message, files.value.hint)
    world(7).into(at)
    with psycopg.connect(at, autocommit=True) as connection:
        connection.execute("UPDATE payments SET id = NULL")
    with pytest.raises(HistoryError, match=r'No row of table "payments" can be used\..*no customer id'):
        build_in_postgres(contract("end", "UTC"), tmp_path / "p.parquet", settings=there)


def test_what_is_still_to_come_today_is_known_to_neither(at, tmp_path):
    zone = f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"  # it is noon there
    day = datetime.now(ZoneInfo(zone)).date()
    began, as_of = day - timedelta(days=200), day - timedelta(days=29)
    with psycopg.connect(at, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS buys")
        connection.execute("CREATE TABLE buys (customer text, at date)")
        rows = [("a", began), ("b", began), ("b", day)]
        connection.cursor().executemany("INSERT INTO buys VALUES (%s, %s)", rows)
    tables = {"buys": {"kind": "events", "source": "table:buys", "time": "at"}}
    churn = {"event": "inactivity", "table": "buys", "horizon_days": 30}
    tomorrow = str(day + timedelta(days=1))
    for clock in ({}, {"until": tomorrow}):
        files, _, place, _ = both(
            small_history(tables, churn, time_zone=zone, snapshots=[str(as_of)], **clock), at, tmp_path
        )
        assert files.frame()["outcome"].to_list() == ["immature", "immature"]
        assert place.frame().equals(files.frame())
