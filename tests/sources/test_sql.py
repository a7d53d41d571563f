"""Tables of real databases read as the same data from Parquet, also over a line that breaks."""

from __future__ import annotations

import datetime as dt
import tempfile
import threading
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import product
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from real_mariadb import PASSWORD
from tcp_proxy import TcpProxy

from holdfast.errors import UsageError
from holdfast.settings import Settings
from holdfast.sources import SourceError, Where, list_tables, open_source, open_sources
from holdfast.sources.database import Database
from holdfast.sources.source import Asked
from holdfast.sources.sql import sql_source

SCHEMA = pl.Schema(
    {
        "n": pl.Int64(),
        "x": pl.Float64(),
        "amount": pl.Decimal(12, 2),
        "ok": pl.Boolean(),
        "day": pl.Date(),
        "at": pl.Datetime("us"),
        "moment": pl.Datetime("us", "UTC"),
        "name": pl.String(),
    }
)
COLUMNS = {
    "postgres": "n bigint, x double precision, amount numeric(12, 2), ok boolean, day date, at timestamp, "
    "moment timestamptz, name text",
    "mariadb": "n bigint, x double, amount decimal(12, 2), ok boolean, day date, at datetime(6), "
    "moment timestamp(6) NULL DEFAULT NULL, name text",
}
EMPTY = pl.DataFrame(schema={name: SCHEMA[name] for name in ["n", "name"]})
LENGTH = 8_000
NAIVE = dt.datetime(2024, 1, 1)  # noqa: DTZ001 - most columns have no zone
ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False),
        st.none() | st.decimals(-(10**9), 10**9, places=2),
        st.none() | st.booleans(),
        st.none() | st.dates(dt.date(1000, 1, 1)),
        st.none() | st.datetimes(NAIVE.replace(year=1000)),
        # MySQL's TIMESTAMP begins in 1970 and ends in 2038.
        st.none()
        | st.datetimes(NAIVE.replace(year=1971), NAIVE.replace(year=2038), timezones=st.just(dt.UTC)),
        st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
    ),
    max_size=8,
)


@dataclass
class Server:
    """A server, the URL of a database of a module's own there, and what tests do as its owner."""

    kind: str
    server: object
    url: str

    @cached_property
    def engine(self) -> sa.Engine:
        driver = {"postgres": "postgresql+psycopg", "mariadb": "mysql+pymysql"}[self.kind]
        return sa.create_engine(sa.make_url(self.url).set(drivername=driver))

    def run(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def fill(self, table: str, rows: list[tuple]) -> None:
        """Put rows of `SCHEMA` into a table, and nothing else."""
        marks = ", ".join(["%s"] * len(SCHEMA))
        with self.engine.begin() as connection:
            if self.kind == "mariadb":
                connection.exec_driver_sql("SET time_zone = '+00:00'")
            connection.exec_driver_sql(f"CREATE TABLE IF NOT EXISTS {table} ({COLUMNS[self.kind]})")
            connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 - ours
            if rows:
                connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - ours

    def end_readers(self) -> None:
        """End the connections of all others to the database, as a restart does."""
        with self.engine.connect() as connection:
            if self.kind == "postgres":
                connection.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                return
            others = (
                "SELECT id FROM information_schema.processlist "
                "WHERE db = database() AND id <> connection_id()"
            )
            for (number,) in connection.exec_driver_sql(others).all():
                connection.exec_driver_sql(f"KILL {number}")

    def settings(self, address=None, **others) -> Settings:
        url = sa.make_url(self.url)
        if address is not None:
            url = url.set(host=address[0], port=address[1])
        return Settings(
            source_url=url.render_as_string(hide_password=False), **{"source_retries": 2, **others}
        )


@pytest.fixture(scope="module", params=["postgres", "mariadb"])
def server(request):
    found = request.getfixturevalue(request.param)
    made = Server(request.param, found, found.url())
    yield made
    made.engine.dispose()


@pytest.fixture(scope="module")
def lengthy(server):
    """A table that takes many pieces to come."""
    server.fill("lengthy", [(*row[:-1], row[-1] + "x" * 200) for row in some(LENGTH)])


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr("holdfast.sources.sql.PIECE_ROWS", 500)


@pytest.fixture
def proxy(server):
    made = TcpProxy((server.server.host, server.server.port))
    yield made
    made.close()


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Where copies are kept while they are read."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


def some(count: int) -> list[tuple]:
    """Rows of `SCHEMA`."""
    return [
        (
            n,
            n / 7,
            Decimal(n).scaleb(-2),
            n % 3 == 0,
            dt.date(2024, 1, 1) + dt.timedelta(days=n % 365),
            NAIVE + dt.timedelta(hours=n),
            (NAIVE + dt.timedelta(hours=n)).replace(tzinfo=dt.UTC),
            f"customer {n} xx",
        )
        for n in range(count)
    ]


def read(source, **asked):
    with source:
        schema = source.schema()
        empty = pl.DataFrame(schema={name: schema[name] for name in asked.get("columns", schema)})
        return pl.concat([empty, *(batch.frame for batch in source.batches(**asked))])


def sorted_frame(frame):
    return frame.sort(frame.columns, nulls_last=True)


@settings(max_examples=20)
@given(rows=ROWS)
def test_a_table_equals_the_same_data_in_parquet(server, tmp_path_factory, rows):
    server.fill("same", rows)
    path = tmp_path_factory.mktemp("same") / "same.parquet"
    pl.DataFrame(rows, schema=SCHEMA, orient="row").write_parquet(path)
    from_file = open_source(path.name, path.parent)
    with open_source("table:same", Path(), server.settings()) as from_table:
        assert from_table.schema() == from_file.schema() == SCHEMA
    found = read(open_source("table:same", Path(), server.settings()))
    assert_frame_equal(sorted_frame(found), sorted_frame(read(from_file)), check_exact=True)


CONDITIONS = [
    ("n", 50),
    ("n", 50.5),
    ("x", 3.5),
    ("x", 7),
    ("amount", 1),
    ("amount", 0.29),
    ("day", dt.date(2024, 2, 1)),
    ("day", NAIVE + dt.timedelta(days=20, hours=3)),
    ("at", dt.date(2024, 1, 3)),
    ("at", NAIVE + dt.timedelta(days=2, microseconds=1)),
    ("moment", (NAIVE + dt.timedelta(hours=55)).replace(tzinfo=dt.timezone(dt.timedelta(hours=2)))),
    ("name", "customer 7 xx"),
    ("ok", True),
]


@pytest.fixture(scope="module")
def hundred(server, tmp_path_factory):
    path = tmp_path_factory.mktemp("hundred") / "hundred.parquet"
    pl.DataFrame(some(100), schema=SCHEMA, orient="row").write_parquet(path)
    server.fill("hundred", some(100))
    return path


def test_conditions_choose_the_same_rows_in_the_database_as_in_a_file(server, hundred):
    with (
        open_source("table:hundred", Path(), server.settings()) as table,
        open_source(str(hundred), Path()) as file,
    ):
        for (column, value), op in product(CONDITIONS, ["==", "<", "<=", ">", ">="]):
            where = [Where(column, op, value)]
            found, expected = (
                pl.concat([EMPTY, *(batch.frame for batch in source.batches(["n", "name"], where=where))])
                for source in (table, file)
            )
            assert found.sort("n").equals(expected.sort("n")), where


def copied(url, asked):
    """What comes from the database before anything is chosen here."""
    database = Database(url, retries=0, seconds=60)
    with (
        sql_source(database, "hundred", close=True) as source,
        closing(source._parts[0].near(asked)) as coming,
    ):
        return pl.read_parquet(next(said for said in coming if isinstance(said, Path)))


def test_columns_conditions_and_limits_are_the_databases_work(server, hundred):
    assert hundred.exists()
    found = copied(server.url, Asked(["n", "at"], (Where("n", "<", 10), Where("at", ">=", NAIVE)), None))
    assert sorted(found["n"]) == list(range(10))
    assert found.columns == ["n", "at"]
    assert copied(server.url, Asked(["n"], (), 3)).height == 3
    # Databases order text by rules of their own.
    assert copied(server.url, Asked(["n", "name"], (Where("name", "<", "customer 5"),), 3)).height == 100


def test_limits_hold_with_conditions_too(server, hundred):
    assert hundred.exists()
    where = [Where("name", ">", "customer 5")]
    assert read(open_source("table:hundred", Path(), server.settings()), where=where, limit=7).height == 7


def test_the_database_reckons_how_many_rows_there_are(server, hundred):
    assert hundred.exists()
    server.run({"postgres": "ANALYZE hundred", "mariadb": "ANALYZE TABLE hundred"}[server.kind])
    with open_source("table:hundred", Path(), server.settings()) as source:
        assert source.rows() == 100
        assert source.stamp() is None


def test_tables_are_listed_and_one_that_is_not_there_is_told_with_the_nearest(server, hundred):
    assert hundred.exists()
    assert "table:hundred" in list_tables(server.url, server.settings())
    with (
        open_source("table:hundert", Path(), server.settings()) as source,
        pytest.raises(SourceError, match="no such table") as told,
    ):
        source.names()
    assert told.value.hint == 'Did you mean "hundred"?'
    assert "table hundert of" in told.value.where
    assert "reader:not" not in str(told.value)


def test_tables_that_are_read_together_are_of_one_moment(server):
    names = {"one": "table:first_of_two", "other": "table:second_of_two"}
    for table in ("first_of_two", "second_of_two"):
        server.fill(table, some(5))
    with open_sources(names, Path(), server.settings()) as sources:
        before = read(sources["one"])
        server.run(
            "INSERT INTO first_of_two SELECT * FROM first_of_two",
            "INSERT INTO second_of_two SELECT * FROM second_of_two",
        )
        assert read(sources["other"]).height == before.height == 5
        assert read(sources["one"]).height == 5
    with open_sources(names, Path(), server.settings()) as sources:
        assert [read(sources[name]).height for name in names] == [10, 10]


@pytest.mark.usefixtures("lengthy", "small_pieces")
def test_tables_that_are_read_together_are_asked_for_again_if_the_line_breaks(server):
    names = {"one": "table:lengthy", "other": "table:lengthy"}
    with open_sources(names, Path(), server.settings()) as sources:
        assert read(sources["one"]).height == LENGTH
        server.end_readers()
        assert read(sources["other"]).height == LENGTH


def test_a_database_that_takes_too_long_over_its_answer_is_told_and_not_waited_for(server):
    sleep = {"postgres": "pg_sleep(20)::text", "mariadb": "sleep(20)"}[server.kind]
    slow = Server(server.kind, server.server, server.server.url())
    slow.run(f"CREATE VIEW slow AS SELECT 1 AS a, {sleep} AS b")
    slow.engine.dispose()
    limited = slow.settings().model_copy(update={"source_seconds": 1.0})
    with (
        open_source("table:slow", Path(), limited) as source,
        pytest.raises(SourceError, match=r"timeout|timed out") as told,
    ):
        read(source)
    assert "HOLDFAST_SOURCE_SECONDS" in told.value.hint
    assert "table slow of" in told.value.where


def test_a_database_without_tables_shows_its_views_or_says_so(server):
    empty = Server(server.kind, server.server, server.server.url())
    with pytest.raises(SourceError, match="no table"):
        list_tables(empty.url, server.settings())
    empty.run("CREATE VIEW seen AS SELECT 1 AS a, 'x' AS b")
    empty.engine.dispose()
    assert list_tables(empty.url, server.settings()) == ["table:seen"]
    assert read(open_source("table:seen", Path(), empty.settings())).rows() == [(1, "x")]


@pytest.mark.usefixtures("lengthy", "small_pieces")
def test_a_table_comes_in_pieces_with_its_progress(server):
    with open_source("table:lengthy", Path(), server.settings()) as source:
        batches = list(source.batches(["n"], batch_rows=1_000))
    done = [batch.done for batch in batches]
    assert done == sorted(done)
    assert done[-1] == 1.0
    assert len({share for batch, share in zip(batches, done, strict=True) if not batch.frame.height}) > 1
    assert max(batch.frame.height for batch in batches) <= 1_000
    assert sorted(pl.concat([batch.frame for batch in batches])["n"]) == list(range(LENGTH))


@pytest.mark.usefixtures("lengthy", "small_pieces")
def test_a_line_that_breaks_in_the_middle_is_tried_again_and_each_row_comes_once(server, proxy):
    with open_source("table:lengthy", Path(), server.settings(proxy.address)) as source:
        rows = source.batches(["n", "name"])
        first = next(rows)
        assert not first.frame.height
        proxy.reset()
        found = pl.concat([batch.frame for batch in rows])
    assert sorted(found["n"]) == list(range(LENGTH))


@pytest.mark.usefixtures("lengthy", "small_pieces")
def test_a_server_that_ends_the_connection_is_asked_again(server):
    with open_source("table:lengthy", Path(), server.settings()) as source:
        rows = source.batches(["n", "name"])
        next(rows)
        server.end_readers()
        found = pl.concat([batch.frame for batch in rows])
    assert sorted(found["n"]) == list(range(LENGTH))


@pytest.mark.usefixtures("hundred")
def test_no_room_for_the_copy_is_one_clear_error(server, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    with (
        open_source("table:hundred", Path(), server.settings()) as source,
        pytest.raises(SourceError, match="cannot be kept") as told,
    ):
        list(source.batches())
    assert "TMPDIR" in told.value.hint


def test_a_database_that_comes_back_in_time_is_waited_for(server, hundred, proxy):
    assert hundred.exists()
    proxy.cut()
    later = threading.Timer(0.3, proxy.restore)
    later.start()
    assert (
        read(open_source("table:hundred", Path(), server.settings(proxy.address, source_retries=5))).height
        == 100
    )
    later.join()


@pytest.mark.usefixtures("lengthy", "small_pieces")
def test_a_database_that_stays_away_is_one_clear_error_and_leaves_nothing(server, proxy, scratch):
    with open_source("table:lengthy", Path(), server.settings(proxy.address, source_retries=1)) as source:
        rows = source.batches(["n", "name"])
        next(rows)
        assert list(scratch.iterdir())
        proxy.cut()
        with pytest.raises(SourceError, match="failed after 2 tries") as told:
            list(rows)
    assert f"table lengthy of {source.name.rpartition(' ')[2]}" == told.value.where
    assert PASSWORD not in f"{told.value} {told.value.as_dict()}"
    assert list(scratch.iterdir()) == []


@pytest.mark.usefixtures("lengthy", "small_pieces")
def test_who_reads_no_further_leaves_nothing_and_the_connection_is_usable(server, scratch):
    with open_source("table:lengthy", Path(), server.settings()) as source:
        rows = source.batches()
        next(rows)
        rows.close()
        assert list(scratch.iterdir()) == []
        assert source.rows() is None or source.rows() >= 0


@pytest.mark.parametrize("server", ["mariadb"], indirect=True)
def test_a_wrong_password_is_told_at_once_without_it(server, proxy):
    wrong = sa.make_url(server.url.replace(PASSWORD, "wrong-secret")).set(port=proxy.address[1])
    settings = Settings(source_url=wrong.render_as_string(hide_password=False))
    with (
        open_source("table:t", Path(), settings) as source,
        pytest.raises(SourceError, match="denied") as told,
    ):
        source.names()
    assert proxy.connections == 1
    assert "wrong-secret" not in str(told.value)


@pytest.mark.parametrize("server", ["postgres"], indirect=True)
def test_a_user_who_may_not_is_told_at_once(server, proxy):
    server.run("CREATE TABLE secret (a int)", "CREATE ROLE guest LOGIN")
    url = sa.make_url(server.url).set(username="guest", port=proxy.address[1])
    settings = Settings(source_url=url.render_as_string(hide_password=False))
    with (
        open_source("table:secret", Path(), settings) as source,
        pytest.raises(SourceError, match="permission") as told,
    ):
        list(source.batches())
    assert proxy.connections == 1
    assert "GRANT SELECT" in told.value.hint
    nobody = Settings(source_url=url.set(username="nobody").render_as_string(hide_password=False))
    with (
        open_source("table:secret", Path(), nobody) as source,
        pytest.raises(SourceError, match="does not exist"),
    ):
        source.names()
    assert proxy.connections == 2


@pytest.mark.parametrize("server", ["postgres"], indirect=True)
def test_a_function_that_postgresql_does_not_have_is_no_wrong_address(server):
    database = Database(server.url, retries=0, seconds=60)

    def ask():
        with database.reading() as connection:
            yield connection.exec_driver_sql("SELECT arg_max(1, 2)").scalar()

    with closing(database), pytest.raises(SourceError, match="function arg_max") as told:
        list(database.persistently(ask, "a feature"))
    assert "HOLDFAST_SOURCE_URL" not in told.value.hint
    assert "--engine duckdb" in told.value.hint


@pytest.mark.parametrize("server", ["postgres"], indirect=True)
def test_reading_changes_nothing_even_through_a_view_that_would(server):
    server.run(
        "CREATE SEQUENCE counted",
        "CREATE VIEW counting AS SELECT nextval('counted') AS n",
    )
    with (
        open_source("table:counting", Path(), server.settings()) as source,
        pytest.raises(SourceError, match="read-only"),
    ):
        list(source.batches())


@pytest.mark.parametrize("server", ["postgres"], indirect=True)
def test_other_types_of_postgresql(server):
    server.run(
        "CREATE SCHEMA crm",
        "CREATE TYPE crm.mood AS ENUM ('happy', 'sad')",
        "CREATE DOMAIN crm.money2 AS numeric(10, 2)",
        'CREATE TABLE crm."Odd ones" (small smallint, r real, any_digits numeric, cents crm.money2, '
        'mood crm.mood, id uuid, doc jsonb, tags text[], raw bytea, spot point, clock time, "50%%" char(3), '
        "till timestamp, until date)",
        "INSERT INTO crm.\"Odd ones\" VALUES (7, 0.1, 12345678901234567890.125, 1.50, 'sad', "
        "'5b1f9d0e-0000-4000-8000-000000000001', '{\"a\": 1}', '{a,b}', '\\x00ff', '(1,2)', '12:30', 'x', "
        "'infinity', 'infinity')",
    )
    with open_source("table:crm.Odd ones", Path(), server.settings()) as source:
        assert source.schema() == pl.Schema(
            {
                "small": pl.Int64(),
                "r": pl.Float32(),
                "any_digits": pl.String(),
                "cents": pl.String(),
                "mood": pl.String(),
                "id": pl.String(),
                "doc": pl.String(),
                "tags": pl.String(),
                "raw": pl.String(),
                "spot": pl.String(),
                "clock": pl.String(),
                "50%": pl.String(),
                "till": pl.Datetime("us"),
                "until": pl.Date(),
            }
        )
        assert read(source, where=[Where("mood", "==", "sad"), Where("id", ">", "5")]).rows() == [
            (
                7,
                pytest.approx(0.1),
                "12345678901234567890.125",
                "1.50",
                "sad",
                "5b1f9d0e-0000-4000-8000-000000000001",
                '{"a": 1}',
                "{a,b}",
                "00ff",
                "(1,2)",
                "12:30:00",
                "x",
                None,
                None,
            )
        ]


@pytest.mark.parametrize("server", ["mariadb"], indirect=True)
def test_other_types_of_mysql(server):
    server.run(
        "SET sql_mode = ''",
        "CREATE TABLE odd (big bigint unsigned, one bit(1), eight bit(8), f float, wide decimal(50, 2), "
        "y year, mood enum('happy', 'sad'), doc json, raw varbinary(4), clock time, gone date)",
        "INSERT INTO odd VALUES (18446744073709551615, b'1', b'10101010', 0.1, 1.50, 2024, "
        "'sad', '{\"a\": 1}', x'00ff', '12:30', '0000-00-00')",
    )
    with open_source("table:odd", Path(), server.settings()) as source:
        assert [str(held) for held in source.schema().values()] == (
            ["UInt64", "Boolean", "UInt64", "Float32", "String", "Int64"] + ["String"] * 4 + ["Date"]
        )
        [row] = read(source).rows()
    assert row == (
        (2**64 - 1, True, 170, pytest.approx(0.1), "1.50", 2024, "sad", '{"a": 1}', "00ff", "12:30:00", None)
    )


@pytest.mark.parametrize("server", ["postgres"], indirect=True)
def test_what_no_number_is_in_postgresql(server):
    server.run(
        "CREATE TABLE odd_numbers (x double precision, amount numeric(10, 2))",
        "INSERT INTO odd_numbers VALUES ('NaN', 'NaN'), ('Infinity', 1), ('-Infinity', NULL)",
    )
    found = read(open_source("table:odd_numbers", Path(), server.settings()))
    assert str(found["x"].to_list()) == "[nan, inf, -inf]"
    assert found["amount"].to_list() == [None, Decimal(1), None]


def test_a_table_needs_to_know_its_database():
    with pytest.raises(UsageError, match="which database") as told:
        open_source("table:bills", Path(), Settings())
    assert "HOLDFAST_SOURCE_URL" in told.value.hint
    with pytest.raises(UsageError, match="oracle"):
        list_tables("oracle://scott:tiger@host/db", Settings())
