from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from waiting import wait_until

from holdfast.predictions import COLUMNS, Answered, LogError, PredictionLog, Reply, groups, replay, watch
from holdfast.predictions import log as module
from holdfast.predictions.spool import Spool
from holdfast.store import engine, insert_rows, reading, writing
from holdfast.store.tables import predictions, replies, tombstones

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
DEADLINE = 60.0
CHILD = Path(__file__).with_name("logging_child.py")


def row(id_: str, customer: str | None = "C-1", at: datetime = NOON) -> tuple:
    return (id_, "r", at, customer, at, "m", "v1", "champion", "{}", 0.25, 0.5, False, 1.5, None, "c")


def answered(*ids: str, scope: str | None = None, body: bytes = b"{}", digest: str = "d") -> Answered:
    reply = None if scope is None else Reply(scope, digest, ids[0], body)
    return Answered(ids[0], [row(id_) for id_ in ids], reply)


def ids_in(database) -> list[str]:
    with reading(database) as connection:
        return sorted(connection.execute(sa.select(predictions.c.id)).scalars())


until = partial(wait_until, what="the log")


def asked(log: PredictionLog, *wanted: Answered) -> list:
    """Put and wait for the outcomes."""
    outcomes, told = [], threading.Event()

    def done(found):
        outcomes.extend(found)
        told.set()

    log.put(wanted, done)
    assert told.wait(DEADLINE)
    return outcomes


@pytest.fixture
def make_log(tmp_path, monkeypatch):
    """Starts logs, and ends them with the test."""
    monkeypatch.setattr(watch, "PROBE_SECONDS", 0.05)
    monkeypatch.setattr(replay, "AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(replay, "ADOPT_SECONDS", 0.1)
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.1)
    logs = []

    def make(database, *, start=True, **other) -> PredictionLog:
        settings = {"queue": 10_000, "spool": tmp_path / "spool", "keep": timedelta(hours=24)}
        log = PredictionLog(database, hashed=lambda customer: f"hash of {customer}", **settings | other)
        logs.append(log)
        if start:
            log.start()
        return log

    yield make
    for log in logs:
        log.close()


@pytest.fixture
def postgres_database(postgres, postgres_ready):
    opened = engine(postgres.url(like=postgres_ready))
    yield opened
    opened.dispose()


@contextmanager
def locked(database):
    """Nobody else can write, on either database."""
    with writing(database) as connection:
        if database.dialect.name == "postgresql":
            connection.execute(sa.text("LOCK TABLE predictions IN ACCESS EXCLUSIVE MODE"))
        yield


def test_what_is_acknowledged_is_in_the_database(database, make_log):
    log = make_log(database)
    assert asked(log, answered("a", "b"), answered("c")) == [None, None]
    with reading(database) as connection:
        found = connection.execute(sa.select(predictions).order_by("id")).all()
    assert [tuple(one) for one in found] == [row("a"), row("b"), row("c")]
    assert found[0]._fields == COLUMNS
    state = log.state
    assert (state.writable, state.reason, state.lost, state.spooled) == (True, None, 0, 0)
    until(lambda: log.state.depth == 0 and log.state.lag_seconds == 0)


def test_many_threads_are_each_told_of_their_own(database, make_log):
    log, told = make_log(database), Counter()

    def ask(name):
        for at in range(20):
            told[name] += asked(log, answered(f"{name}-{at}"), answered(f"{name}-{at}+")) == [None, None]

    threads = [threading.Thread(target=ask, args=(f"t{at}",)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == {f"t{at}": 20 for at in range(8)}
    assert len(ids_in(database)) == 320


def test_the_first_reply_of_a_scope_stands(database, make_log):
    log = make_log(database)
    first, again = answered("a", scope="s", body=b"1"), answered("b", scope="s", body=b"2")
    assert asked(log, first, again, answered("c")) == [None, first.reply, None]  # in one group
    other = answered("d", scope="s", digest="other")
    assert asked(log, other, answered("e", scope="t")) == [first.reply, None]  # later
    assert ids_in(database) == ["a", "c", "e"]
    assert log.replies(["s", "nobody's"]) == {"s": first.reply}


def test_of_two_processes_one_is_first(database, make_log):
    one, two = make_log(database), make_log(database)
    scopes = [f"{at:02d}" for at in range(40)]
    outcomes: dict[str, list] = {}

    def ask(name, log, order):
        wanted = [answered(f"{name}{scope}", scope=scope, body=name.encode()) for scope in order]
        found = [asked(log, *wanted[at : at + 8]) for at in range(0, len(wanted), 8)]
        outcomes[name] = dict(zip(order, itertools.chain(*found), strict=True))

    threads = [
        threading.Thread(target=ask, args=("x", one, scopes)),
        threading.Thread(target=ask, args=("y", two, scopes[::-1])),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = one.replies(scopes)
    for scope in scopes:
        winner = stored[scope].body.decode()
        loser = "y" if winner == "x" else "x"
        assert outcomes[winner][scope] is None
        assert outcomes[loser][scope] == stored[scope]
    assert ids_in(database) == sorted(stored[scope].request for scope in scopes)


def test_a_reply_is_forgotten_after_its_time(database, make_log):
    log = make_log(database)
    assert asked(log, answered("a", scope="s")) == [None]
    with writing(database) as connection:
        connection.execute(sa.update(replies).values(at=datetime.now(UTC) - timedelta(hours=25)))
    assert log.replies(["s"]) == {}
    newer = answered("b", scope="s", digest="other")
    assert asked(log, newer) == [None]
    assert log.replies(["s"]) == {"s": newer.reply}


def test_values_that_no_database_takes_fail_alone(database, make_log):
    log = make_log(database)
    wanted = [answered(str(at)) for at in range(9)]
    wanted[4] = Answered("4", [row("4"), row("4+", customer="\ud800")])
    outcomes = asked(log, *wanted)
    assert [outcome for at, outcome in enumerate(outcomes) if at != 4] == [None] * 8
    assert isinstance(outcomes[4], LogError)
    assert outcomes[4].retry_seconds is None
    assert ids_in(database) == sorted("01235678")
    assert log.state.writable
    log.put([wanted[4]])
    until(lambda: log.state.lost == 2)


def test_nobody_hangs_while_another_holds_the_database(database, make_log, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.2)
    log = make_log(database)
    with locked(database):
        (outcome,) = asked(log, answered("a", scope="s"))
        assert isinstance(outcome, LogError)
        assert outcome.retry_seconds == 1
        assert not log.state.writable
        if database.dialect.name == "sqlite":  # PostgreSQL's trial takes another table
            assert log.state.reason == "Another process holds the database."
            with pytest.raises(LogError):
                log.replies(["s"])
    until(lambda: log.state.writable)
    assert asked(log, answered("b", scope="s")) == [None]
    assert ids_in(database) == ["b"]


def test_who_has_patience_waits_for_room_and_leaves_half_of_it_to_others(database, make_log):
    log, put = make_log(database, queue=10), []

    def patient():
        log.put([answered("e", "f", "g")], patience=DEADLINE)
        put.append("e")

    with locked(database):
        log.put([answered("a", "b", "c", "d")])
        waits = threading.Thread(target=patient)
        waits.start()
        with pytest.raises(LogError):
            log.put([answered("x", "y")], patience=0.01)
        told = []
        log.put([answered("z", "z+")], told.append, patience=0.01)
        assert [type(outcome) for (outcome,) in told] == [LogError]
        log.put([answered("h", "i", "j", "k", "l")])  # has none, and finds room
        assert put == []
    waits.join()
    until(lambda: log.state.depth == 0)
    assert ids_in(database) == [*"abcdefghijkl"]
    assert log.state.lost == 0


def test_of_a_burst_that_nobody_waits_for_all_is_written_once(database, make_log):
    log = make_log(database, queue=500)

    def burst(name):
        for at in range(10):
            log.put([answered(*(f"{name}-{at}-{one}" for one in range(150)))], patience=DEADLINE)

    threads = [threading.Thread(target=burst, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: log.state.depth == 0)
    assert log.state.lost == 0
    assert len(ids_in(database)) == len(set(ids_in(database))) == 6_000


def test_few_rows_do_not_wait_for_all_the_batches_before_them_nor_the_batches_for_ever(database, make_log):
    log, order = make_log(database, start=False), []

    def put(name, rows=1, then=lambda: None):
        def done(_):
            order.append(name)
            then()

        log.put([answered(*(f"{name}{at}" for at in range(rows)))], done)

    for name in ("batch 1", "batch 2", "batch 3"):
        put(name, rows=groups.LARGE_GROUP_ROWS)
    put("one", then=lambda: put("two"))
    log.start()
    until(lambda: len(order) == 5)
    assert order == ["one", "batch 1", "two", "batch 2", "batch 3"]


def test_a_full_queue_is_said_at_once(database, make_log):
    log, told = make_log(database, queue=3), []
    assert asked(log, answered("a")) == [None]
    with locked(database):
        log.put([answered("b", "c")], told.append)
        log.put([answered("d", "e")], told.append)  # waits for nobody
        assert [type(outcome) for (outcome,) in told] == [LogError]
        log.put([answered("f", "g")])
        assert log.state.lost == 2
        until(lambda: log.state.depth == 2 and log.state.lag_seconds > 0)
    until(lambda: len(told) == 2)
    until(lambda: log.state.depth == 0)
    assert asked(log, answered("h", "i", "j", "k")) == [None]  # more than the queue, but alone
    assert ids_in(database) == ["a", "b", "c", "h", "i", "j", "k"]


def test_a_full_disk_is_no_false_success_and_is_got_over(sqlite_ready, tmp_path, make_log):
    (tmp_path / "full.db").write_bytes(sqlite_ready.read_bytes())
    database = engine(f"sqlite:///{tmp_path / 'full.db'}")
    log = make_log(database, start=False)
    room = ["PRAGMA max_page_count = 1"]  # SQLite takes it as: no more than there is

    @sa.event.listens_for(log._engine, "connect")
    def _limit(connection, _record):
        connection.execute(room[0])

    log.start()
    stored = []
    for name in itertools.count():
        ids = [f"{name}-{at}" for at in range(50)]
        (outcome,) = asked(log, answered(*ids))
        if outcome is not None:
            break
        stored += ids
    assert isinstance(outcome, LogError)
    assert not log.state.writable
    assert log.state.reason == "The database's disk is full."
    assert isinstance(asked(log, answered("lost"))[0], LogError)
    assert ids_in(database) == sorted(stored)
    room[0] = "PRAGMA max_page_count = 100000"
    until(lambda: log.state.writable)
    assert asked(log, answered("after")) == [None]
    assert ids_in(database) == sorted([*stored, "after"])
    with reading(database) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(replies)) == 0  # no trial is left
    database.dispose()


def test_postgres_crashes_under_writes(postgres, postgres_database, make_log):
    """What was acknowledged is there, and who asks again with the same scope is answered once."""
    log, acknowledged, failed, stop = make_log(postgres_database), [], [], threading.Event()

    def ask(name):
        for number in itertools.count():
            scope = f"{name}-{number}"
            for attempt in itertools.count():
                (outcome,) = asked(log, answered(f"{scope}-{attempt}", scope=scope))
                if isinstance(outcome, LogError):
                    failed.append(scope)
                    if stop.is_set():
                        return
                    time.sleep(0.02)
                    continue
                acknowledged.append((scope, f"{scope}-{attempt}" if outcome is None else outcome.request))
                break
            if stop.is_set():
                return

    threads = [threading.Thread(target=ask, args=(f"t{at}",)) for at in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            many = len(acknowledged)
            until(lambda many=many: len(acknowledged) > many + 50)
            postgres.stop("immediate")
            until(lambda: not log.state.writable)
            postgres.start()
            until(lambda: log.state.writable)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert len(acknowledged) >= 150
    assert failed
    stored = ids_in(postgres_database)
    assert {id_ for _, id_ in acknowledged} <= set(stored)
    assert max(Counter(id_.rpartition("-")[0] for id_ in stored).values()) == 1  # each scope once


def test_a_server_that_says_nothing_is_left(postgres_database, make_log, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.3)
    log = make_log(postgres_database)
    assert asked(log, answered("a")) == [None]
    with reading(postgres_database) as connection:
        mine = connection.scalar(sa.select(sa.func.pg_backend_pid()))
        activity = sa.text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        others = [pid for pid in connection.execute(activity).scalars() if pid != mine]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        (outcome,) = asked(log, answered("b", scope="s"))
        assert isinstance(outcome, LogError)
        until(lambda: log.state.writable)  # over another connection
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)
    assert asked(log, answered("c", scope="s")) == [None]
    assert ids_in(postgres_database) == ["a", "c"]


def test_rows_nobody_waits_for_survive_a_database_that_is_down(postgres, postgres_database, make_log):
    log = make_log(postgres_database)
    log.put([answered("a")])
    until(lambda: ids_in(postgres_database) == ["a"])
    postgres.stop("immediate")
    try:
        until(lambda: not log.state.writable)  # it is looked at also while nothing is written
        for at in range(100):
            log.put([answered(f"b{at:02d}")])
        until(lambda: log.state.spooled == 100)
        assert isinstance(asked(log, answered("c", scope="s"))[0], LogError)
        with pytest.raises(LogError) as caught:
            log.replies(["s"])
        assert "127.0.0.1" not in f"{caught.value}{log.state.reason}"
    finally:
        postgres.start()
    until(lambda: log.state.writable and log.state.spooled == 0)
    assert ids_in(postgres_database) == ["a", *(f"b{at:02d}" for at in range(100))]
    assert log.state.lost == 0


def test_a_dead_processs_rows_are_replayed_but_what_is_there_and_who_was_erased(database, make_log, tmp_path):
    hour = timedelta(hours=1)
    rows = [
        row("there"),
        row("new", None),
        row("erased later", "E"),
        row("came again", "E", NOON + 2 * hour),
        row("bad", "nul \0"),
        row("last"),
    ]
    with writing(database) as connection:
        insert_rows(connection, predictions, [row("there", "as it was")])
        connection.execute(sa.insert(tombstones).values(customer_hash="hash of E", at=NOON + hour))
    dead = Spool(tmp_path / "spool")
    dead.append(rows)
    dead.close()
    (file,) = (tmp_path / "spool").iterdir()
    file.write_bytes(file.read_bytes() + b"torn")
    log = make_log(database)
    until(lambda: not list((tmp_path / "spool").iterdir()) and log.state.spooled == 0)
    taken = ["bad"] if database.dialect.name == "sqlite" else []  # PostgreSQL knows no NUL
    assert ids_in(database) == sorted([*taken, "there", "new", "came again", "last"])
    with reading(database) as connection:
        customer = sa.select(predictions.c.customer_id).where(predictions.c.id == "there")
        assert connection.scalar(customer) == "as it was"
    until(lambda: log.state.lost == 2 - len(taken))


def test_a_disk_that_fails_for_a_while_loses_no_row_that_waits_there(
    database, make_log, tmp_path, failing_reads
):
    log = make_log(database)
    with ExitStack() as disk:
        with locked(database):
            log.put([answered("a")])
            until(lambda: log.state.spooled == 1)
            (file,) = (tmp_path / "spool").iterdir()
            disk.enter_context(failing_reads(file))
        until(lambda: log.state.writable)
        assert asked(log, answered("b")) == [None]  # the log goes on
        assert (log.state.spooled, log.state.lost) == (1, 0)
    until(lambda: log.state.spooled == 0)
    assert (ids_in(database), log.state.lost) == (["a", "b"], 0)


def test_closing_writes_what_waits_and_then_takes_no_more(database, make_log):
    log, told = make_log(database), []
    for at in range(200):
        log.put([answered(f"{at:03d}")], told.append if at % 2 else None)
    log.close()
    assert told == [[None]] * 100
    assert len(ids_in(database)) == 200
    log.put([answered("late")], told.append)
    log.put([answered("later")])
    assert isinstance(told[-1][0], LogError)
    assert log.state.lost == 1


def test_a_log_that_never_started_tells_those_who_wait(database, make_log):
    log, told = make_log(database, start=False), []
    log.put([answered("a")], told.append)
    log.close()
    assert isinstance(told[0][0], LogError)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_the_log_leaves_nobody_waiting(database, make_log):
    log = make_log(database)
    fault = Answered("a", _Rows())
    assert isinstance(asked(log, fault)[0], LogError)
    until(lambda: not log.state.writable)
    assert isinstance(asked(log, answered("b"))[0], LogError)


class _Rows(list):
    def __iter__(self):
        raise RuntimeError("a fault")


def test_an_asker_that_is_gone_stops_nobody(database, make_log):
    log = make_log(database)

    def gone(_outcomes):
        raise RuntimeError("Event loop is closed")

    log.put([answered("a")], gone)
    assert asked(log, answered("b")) == [None]


def test_a_killed_process_has_written_what_it_acknowledged(database, tmp_path):
    """kill -9 at random moments; what the child acknowledged, it said over a pipe that outlives it."""
    chance = random.Random(7)  # noqa: S311 - no secret
    acknowledged: list[str] = []
    url = database.url.render_as_string(hide_password=False)
    for turn in range(4):
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and program
            [sys.executable, str(CHILD), url, str(tmp_path / "spool"), f"turn{turn}"], stdout=subprocess.PIPE
        )
        enough = chance.randrange(50, 400)
        said = [line for line, _ in zip(child.stdout, range(enough), strict=False)]
        child.kill()
        said += child.stdout.readlines()
        child.wait()
        child.stdout.close()
        acknowledged += [line.decode().strip() for line in said if line.endswith(b"\n")]
    assert len(acknowledged) >= 200
    assert set(acknowledged) <= set(ids_in(database))


def test_what_a_killed_process_spooled_is_taken_over_by_one_that_lives(
    postgres, postgres_database, make_log, tmp_path
):
    log = make_log(postgres_database)
    url = postgres_database.url.render_as_string(hide_password=False)
    postgres.stop("immediate")
    try:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and program
            [sys.executable, str(CHILD), url, str(tmp_path / "spool"), "child", "300"], stdout=subprocess.PIPE
        )
        assert child.stdout.readline() == b"spooled\n"
        child.kill()
        child.wait()
        child.stdout.close()
    finally:
        postgres.start()
    until(lambda: not list((tmp_path / "spool").iterdir()))
    assert ids_in(postgres_database) == sorted(f"child-{at}" for at in range(300))
    assert log.state.lost == 0
