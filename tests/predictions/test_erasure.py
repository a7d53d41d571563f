from __future__ import annotations

import random
import threading
from datetime import UTC, datetime, timedelta

import orjson
import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st

from holdfast import audit
from holdfast.errors import UsageError
from holdfast.predictions import Answered, PredictionLog, erasure, log
from holdfast.predictions.archive import archive, keeping
from holdfast.predictions.erasure import apply_tombstones, can_be_id, customer_hash, erase, last_erasure
from holdfast.predictions.formats import export
from holdfast.predictions.house import keep_house
from holdfast.predictions.listing import Wanted, count, page
from holdfast.settings import Settings, secret_of
from holdfast.store import reading, writing
from holdfast.store.tables import jobs, predictions, replies, tombstones

DAY = timedelta(days=1)
GONE, STAYS = "Zerbino-4711-Ä", "Yorick-0815-Ö"


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home")


@pytest.fixture
def now():
    return datetime.now(UTC)


def traces(home, text):
    """Every file under ``home`` that holds ``text``: as it is, as JSON in ASCII, or compressed in Parquet."""
    spellings = (text.encode(), ascii(text)[1:-1].encode(), text.encode("utf-16-le"))
    files = [path for path in home.rglob("*") if path.is_file()]
    assert files
    return sorted(str(path.relative_to(home)) for path in files if any(s in content(path) for s in spellings))


def content(path):
    plain = path.read_bytes()
    if path.suffix == ".parquet" and b"damaged" not in plain:
        plain += pl.read_parquet(path).write_csv(quote_style="never").encode()
    return plain


def add_predictions(engine, rows):
    with writing(engine) as connection:
        connection.execute(sa.insert(predictions), rows)


def add_job(engine, name, finished):
    filler = {sa.String: "x", sa.Integer: 1, sa.BigInteger: 1, sa.Float: 0.5}
    row = {
        column.name: next((filler[kind] for kind in type(column.type).__mro__ if kind in filler), finished)
        for column in jobs.c
        if not column.nullable
    }
    at = datetime.now(UTC)
    with writing(engine) as connection:
        row |= {"id": name, "created": at, "finished": at if finished else None}
        connection.execute(sa.insert(jobs).values(**row))


def replies_of(engine):
    with reading(engine) as connection:
        return sorted(connection.scalars(sa.select(replies.c.scope)))


def furnish(engine, home, make_row, now):
    """A home in which both customers are wherever a customer can be, among others."""
    chance = random.Random(4)  # noqa: S311 - no secret, a repeatable test
    rows = []
    for number in range(600):
        customer = {0: GONE, 1: STAYS}.get(number % 10, f"C-{chance.randrange(10**9)}")
        rows.append(make_row(chance, now - timedelta(hours=number), customer))
    add_predictions(engine, rows)
    theirs = [row["request"] for row in rows if row["customer_id"] == GONE]
    others = [row["request"] for row in rows if row["customer_id"] == STAYS]
    reply = {"body_digest": "d", "at": now}
    with writing(engine) as connection:
        connection.execute(
            sa.insert(replies),
            [
                reply | {"scope": "theirs", "request": theirs[0], "body": f'"{GONE}"'.encode()},
                reply | {"scope": "others", "request": others[0], "body": f'"{STAYS}"'.encode()},
                reply | {"scope": "refused", "request": "none", "body": f'{{"value":"{GONE}"}}'.encode()},
                reply | {"scope": "other", "request": "none 2", "body": f'{{"value":"{STAYS}"}}'.encode()},
            ],
        )
    with keeping(home):
        archive(engine, home, datetime.combine((now - 10 * DAY).date(), datetime.min.time(), UTC), "test")
    (home / "exports").mkdir()
    for layout in ("csv", "parquet", "ndjson"):
        (home / "exports" / f"all.{layout}").write_bytes(b"".join(export(engine, Wanted(), layout, "test")))
    for job, layout in (("one", "csv"), ("two", "parquet")):
        folder = home / "jobs" / job
        folder.mkdir(parents=True)
        answers = pl.DataFrame({"customer_id": [GONE, "a,b", STAYS, None], "churn_probability": [0.1] * 4})
        getattr(answers, f"write_{layout}")(folder / f"answers.{layout}")
        pl.DataFrame(
            {
                "row": [5, 6, 7, 8],
                "column": ["id", "id", None, "tenure"],
                "value": [GONE, STAYS, f"{GONE},1,2,3", "x\ny"],
                "reason": ["wrong"] * 4,
            }
        ).write_csv(folder / "rejects.csv")
        add_job(engine, job, finished=True)
    return rows


def test_no_byte_of_the_customer_stays_and_the_others_do(database, settings, make_row, now):
    home = settings.home
    rows = furnish(database, home, make_row, now)
    places = {path.split("/")[0].removesuffix("-wal") for path in traces(home, GONE)}
    assert places == {"archive", "exports", "jobs"} | {path.name for path in home.glob("holdfast.db")}
    before = {path.removesuffix("-wal") for path in traces(home, STAYS)}
    done = erase(database, settings, GONE, "cli:ana")
    assert traces(home, GONE) == []
    assert set(traces(home, STAYS)) == before
    assert done.left == ()
    assert done.removed["predictions"] + done.removed["archived"] == 60
    assert done.removed["archived"] > 30
    assert done.removed["replies"] == 2
    assert replies_of(database) == ["other", "others"]
    assert done.removed["exported"] == 3 * done.removed["predictions"]
    assert done.removed["job_rows"] == 2 + 4
    assert count(database, Wanted(customer=GONE)) == 0
    old = pl.concat([pl.read_parquet(file) for file in (home / "archive").iterdir()])
    kept = {row["id"] for row in rows if row["customer_id"] != GONE}
    in_log = {each["prediction_id"] for each in page(database, Wanted(), limit=1_000).predictions}
    assert set(old["prediction_id"]) | in_log == kept
    answers = pl.read_csv(home / "jobs" / "one" / "answers.csv")
    assert answers.equals(pl.read_parquet(home / "jobs" / "two" / "answers.parquet"))
    assert answers["customer_id"].to_list() == ["a,b", STAYS, None]
    rejects = pl.read_csv(home / "jobs" / "one" / "rejects.csv")
    assert rejects.select("row", "value").rows() == [(6, STAYS), (8, "x\ny")]
    assert list(home.rglob(".writing-*")) == []


def test_the_archive_goes_on_after_an_erasure(database, settings, make_row, now):
    rows = furnish(database, settings.home, make_row, now)
    erase(database, settings, GONE, "test")
    chance = random.Random(6)  # noqa: S311 - no secret, a repeatable test
    late = [make_row(chance, now - timedelta(hours=599), "late")]
    add_predictions(database, late)
    with keeping(settings.home):
        archive(database, settings.home, now + DAY, "test")
    old = pl.concat([pl.read_parquet(file) for file in (settings.home / "archive").iterdir()])
    expected = [row["id"] for row in [*rows, *late] if row["customer_id"] != GONE]
    assert sorted(old["prediction_id"]) == sorted(expected)


def test_the_trail_proves_it_without_naming_anybody(database, settings, make_row, now):
    furnish(database, settings.home, make_row, now)
    done = erase(database, settings, GONE, "key:crm")
    proof, order = [e for e in audit.entries(database) if e.action.startswith("customers.")]
    assert (order.action, proof.action) == ("customers.erase", "customers.erased")
    assert order.subject == proof.subject == customer_hash(secret_of(settings), GONE) == done.customer_hash
    assert proof.actor == "key:crm"
    assert proof.detail == done.removed | {"left": 0}
    assert GONE not in str(done.as_dict())
    assert audit.verify(database).sound


def test_what_a_backup_brings_back_goes_again_and_what_came_later_stays(database, settings, make_row, now):
    home, secret = settings.home, secret_of(settings)
    rows = furnish(database, home, make_row, now)
    saved = {file: file.read_bytes() for file in (home / "archive").iterdir()}
    with reading(database) as connection:
        old = [dict(row) for row in connection.execute(sa.select(predictions)).mappings()]
    done = erase(database, settings, GONE, "test")
    chance = random.Random(8)  # noqa: S311 - no secret, a repeatable test
    back = make_row(chance, done.at + timedelta(seconds=1), GONE)
    with writing(database) as connection:
        connection.execute(sa.delete(predictions))
        connection.execute(sa.insert(predictions), [*old, back])
        theirs = next(row["request"] for row in old if row["customer_id"] == GONE)
        held = {"body_digest": "d", "at": now, "request": theirs, "body": b"{}"}
        connection.execute(sa.insert(replies).values(scope="again", **held))
    for file, content in saved.items():
        file.write_bytes(content)
    assert apply_tombstones(database, secret, home) == 60
    assert [each["prediction_id"] for each in page(database, Wanted(customer=GONE)).predictions] == [
        back["id"]
    ]
    assert "again" not in replies_of(database)
    left = pl.concat([pl.read_parquet(file) for file in saved])
    assert GONE not in left["customer_id"].to_list()
    others = sum(row["customer_id"] != GONE for row in rows)
    assert left.height + count(database, Wanted()) == others + 1
    assert apply_tombstones(database, secret, home) == 0


def test_what_was_under_way_at_the_erasure_goes_within_the_hour(database, settings, make_row, now):
    add_predictions(database, [make_row(random.Random(1), now, "C-1")])  # noqa: S311 - no secret
    done = erase(database, settings, "C-1", "test")
    late = [
        make_row(random.Random(seed), done.at + timedelta(seconds=seconds), customer)  # noqa: S311 - no secret
        for seed, (seconds, customer) in enumerate([(-3, "C-1"), (3, "C-1"), (-3, "C-2")])
    ]
    add_predictions(database, late)
    keep_house(database, settings)
    left = {each["prediction_id"] for each in page(database, Wanted()).predictions}
    assert left == {late[1]["id"], late[2]["id"]}


def test_a_database_that_was_lost_with_its_tombstones_gets_them_back_within_the_hour(
    database, settings, make_row, now
):
    rows = [make_row(random.Random(seed), now, f"C-{seed}") for seed in (1, 2)]  # noqa: S311 - no secret
    add_predictions(database, rows)
    done = erase(database, settings, "C-1", "test")
    with writing(database) as connection:  # as a backup of before has it, hours later
        connection.execute(sa.delete(tombstones))
        connection.execute(sa.insert(predictions).values(rows[0]))
    keep_house(database, settings)
    assert [each["prediction_id"] for each in page(database, Wanted()).predictions] == [rows[1]["id"]]
    with reading(database) as connection:
        stones = connection.execute(sa.select(tombstones)).all()
    assert [tuple(stone) for stone in stones] == [(done.customer_hash, done.at)]


def test_once_more_moves_the_tombstone(database, settings):
    assert last_erasure(database) is None
    first = erase(database, settings, "C-1", "test")
    second = erase(database, settings, "C-1", "test")
    with reading(database) as connection:
        (stone,) = connection.execute(sa.select(tombstones)).all()
    assert stone.customer_hash == first.customer_hash
    assert stone.at == second.at > first.at
    assert set(second.removed.values()) == {0}


def test_what_cannot_be_reached_is_said_and_all_else_is_erased(database, settings, make_row, now):
    home = settings.home
    furnish(database, home, make_row, now)
    (home / "archive" / "predictions-2020-01-01.parquet").write_bytes(b"PAR1 damaged")
    (home / "exports" / "mine.csv").write_text("a,b\n1,2\n")
    (home / "exports" / "mine.ndjson").write_text("[1]\n")
    (home / "spool").mkdir()
    (home / "spool" / "1.ndjson").write_text(f'["{GONE}"]')
    for job, customer in (("three", GONE), ("four", STAYS)):
        (home / "jobs" / job).mkdir()
        (home / "jobs" / job / "upload.csv").write_text(f"id,tenure\n{customer} ,3\nother,4\n")
        add_job(database, job, finished=False)
    left = " ".join(erase(database, settings, GONE, "test").left)
    for named in ("predictions-2020-01-01.parquet", "mine.csv", "mine.ndjson", "job three", "wait"):
        assert named in left
    assert "job four" not in left
    assert str(home) not in left
    assert traces(home, GONE) == ["jobs/three/upload.csv", "spool/1.ndjson"]


@pytest.mark.parametrize("wrong", ["", "\0", "a\0b", "\udcff"])
def test_what_is_nobody_s_id_is_refused(database, settings, wrong):
    assert not can_be_id(wrong)
    with pytest.raises(UsageError, match="no customer"):
        erase(database, settings, wrong, "test")


def test_any_id_is_erased_and_no_other(database, settings, make_row, now):
    """Ids are compared as they are: no pattern, no case, no blanks."""
    chance = random.Random(2)  # noqa: S311 - no secret, a repeatable test
    texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
    tricky = st.sampled_from(["%", "_", "a", "A", "a ", "'", '"', "\\", "*", "[a]", "NULL", "1", "1.0", "01"])

    @tries(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
    @given(st.sets(tricky | texts, min_size=2, max_size=8))
    def check(ids):
        gone, *others = sorted(ids, key=lambda _id: chance.random())
        with writing(database) as connection:
            connection.execute(sa.delete(predictions))
        for file in settings.home.glob("archive/*"):
            file.unlink()
        add_predictions(database, [make_row(chance, now - 5 * DAY, customer) for customer in ids])
        with keeping(settings.home):
            archive(database, settings.home, now, "test")
        add_predictions(database, [make_row(chance, now, customer) for customer in ids])
        erase(database, settings, gone, "test")
        files = [pl.read_parquet(file)["customer_id"].to_list() for file in settings.home.glob("archive/*")]
        assert sorted(sum(files, [])) == sorted(others)  # noqa: RUF017 - one file
        left = [each["customer_id"] for each in page(database, Wanted()).predictions]
        assert sorted(left) == sorted(others)

    check()


def test_deleted_rows_leave_no_trace_in_a_database_that_was_long_in_use(database, settings, make_row, now):
    """Pages that were split and freed in years of use hold nothing either."""
    if database.dialect.name != "sqlite":
        pytest.skip("PostgreSQL promises no such thing")
    chance = random.Random(7)  # noqa: S311 - no secret, a repeatable test
    for turn in range(30):
        ids = [f"C-{chance.randrange(300):05d}-x" for _ in range(100)]
        records = ["r" * chance.randrange(20, 6_000) for _ in ids]
        add_predictions(
            database,
            [
                make_row(chance, now - timedelta(seconds=chance.randrange(10**6)), customer, record=record)
                for customer, record in zip(ids, records, strict=True)
            ],
        )
        if turn % 3 == 2:
            with writing(database) as connection:
                some = sa.select(predictions.c.id).order_by(predictions.c.latency_ms).limit(60)
                connection.execute(sa.delete(predictions).where(predictions.c.id.in_(some)))
    for number in range(0, 300, 30):
        erase(database, settings, f"C-{number:05d}-x", "test")
        assert traces(settings.home, f"C-{number:05d}-x") == []


def test_predictions_are_logged_while_a_customer_is_erased(database, settings, make_row, now, monkeypatch):
    """Although the file is large and holds ids of others that begin alike."""
    if database.dialect.name != "sqlite":
        pytest.skip("there is no file that all share")
    monkeypatch.setattr(log, "PATIENCE_SECONDS", 1.0)
    chance = random.Random(9)  # noqa: S311 - no secret, a repeatable test
    for start in range(0, 12_000, 1_500):
        ids = [f"C-{(start + number) * 7919 % 60_000}" for number in range(1_500)]
        rows = [make_row(chance, now, customer, record="r" * 10_000) for customer in ids]
        add_predictions(database, [*rows, make_row(chance, now, "C-4711")])
    writer = PredictionLog(database, queue=9, spool=settings.home / "spool", keep=DAY, hashed=str)
    outcomes, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            row = make_row(chance, datetime.now(UTC), f"C-{chance.randrange(60_000):07d}")
            told = threading.Event()

            def done(found, told=told):
                outcomes.extend(found)
                told.set()

            writer.put([Answered(row["request"], [tuple(row.values())])], done)
            told.wait()

    asking = threading.Thread(target=ask)
    writer.start()
    asking.start()
    try:
        done = erase(database, settings, "C-4711", "test")
    finally:
        stop.set()
        asking.join()
        writer.close()
    assert done.left == ()
    assert done.removed["predictions"] >= 8
    assert len(outcomes) > 1
    assert set(outcomes) == {None}
    assert count(database, Wanted()) == 12_008 - done.removed["predictions"] + len(outcomes)
    with reading(database) as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_each_erasure_is_noticed_whatever_the_clock_says(database, settings):
    assert last_erasure(database) is None
    erase(database, settings, "C-1", "test")
    with writing(database) as connection:  # that machine's clock was fast
        connection.execute(sa.update(tombstones).values(at=datetime.now(UTC) + DAY))
    before = last_erasure(database)
    erase(database, settings, "C-2", "test")
    assert last_erasure(database) == before + 2


@pytest.mark.parametrize("customer", [GONE, "long-" * 30])
def test_answers_about_others_that_quote_the_customer_go_too(database, settings, make_row, now, customer):
    row = make_row(random.Random(1), now, STAYS)  # noqa: S311 - no secret
    add_predictions(database, [row])
    cut = [customer, customer[:80]] if len(customer) <= 80 else [customer[:79] + "…", customer[:80]]
    bodies = {"one": cut[0], "two": cut[1], "stays": STAYS}
    with writing(database) as connection:
        for scope, quoted in bodies.items():
            held = {"body_digest": "d", "at": now, "request": row["request"]}
            body = orjson.dumps({"predictions": [], "rejects": [{"value": quoted}]})
            connection.execute(sa.insert(replies).values(scope=scope, body=body, **held))
    assert erase(database, settings, customer, "test").removed["replies"] == 2
    assert replies_of(database) == ["stays"]


def test_what_is_left_of_a_job_that_was_cancelled_goes(database, settings):
    home = settings.home
    for job, customer in (("one", GONE), ("two", STAYS)):
        add_job(database, job, finished=True)
        (home / "jobs" / job).mkdir(parents=True)
        (home / "jobs" / job / "upload.csv").write_text(f"id,tenure\n{customer},3\nother,4\n")
    told = {"message": f"Cannot read {GONE}", "examples": [GONE, STAYS], "rows": 3}
    with writing(database) as connection:
        connection.execute(sa.update(jobs).values(file=f"{GONE}.csv", error=told, summary=told))
    assert erase(database, settings, GONE, "test").left == ()
    if database.dialect.name == "sqlite":
        assert traces(home, GONE) == []
    assert [path.parent.name for path in home.rglob("upload.csv")] == ["two"]
    clean = {"message": "Cannot read _", "examples": ["_", STAYS], "rows": 3}
    with reading(database) as connection:
        for row in connection.execute(sa.select(jobs)):
            assert (row.file, row.error, row.summary) == ("_.csv", clean, clean)


def test_the_hash_is_keyed_and_whole():
    digest = customer_hash(b"k" * 32, "C-1")
    assert len(digest) == 64
    assert digest == customer_hash(b"k" * 32, "C-1")
    assert digest != customer_hash(b"k" * 32, "C-2")
    assert erasure.COUNTED[0] == "predictions"
