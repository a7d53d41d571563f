"""What the server says on stderr: one line an event, whoever says it, and never an error's own words."""

from __future__ import annotations

import asyncio
import json
import logging
import re

import pytest
from dbos._logger import init_logger

from holdfast.api import log

SECRET = "4111-1111-1111-1111"  # noqa: S105 - stands for a customer's data


def fail():
    try:
        float(SECRET)
    except ValueError as error:
        raise KeyError(SECRET) from error


def test_an_event_is_one_line_of_json_with_the_facts_that_are_known(lines):
    log.configure()
    log.event("champion", version="v3", before=None, seconds=0.25, said="one\ntwo")
    (line,) = lines()
    found = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", found.pop("timestamp"))
    expected = {"event": "champion", "level": "info", "version": "v3", "seconds": 0.25, "said": "one\ntwo"}
    assert found == expected


def test_on_a_terminal_an_event_is_one_line_of_words():
    record = logging.makeLogRecord({"name": "holdfast.api", "msg": "champion", "fields": {"said": "1\n2"}})
    shown = re.sub(r"\x1b\[[\d;]*m", "", log.formatter(for_people=True).format(record))
    assert "champion" in shown
    assert "\n" not in shown


@pytest.mark.parametrize("debug", [False, True])
def test_of_an_error_kind_and_place_are_told_and_never_its_words(lines, debug):
    log.configure(debug=debug)
    try:
        fail()
    except KeyError as error:
        log.fault(error, method="POST")
        logging.getLogger("somebody.else").exception("It went wrong.\n%s", SECRET)
    ours, theirs = map(json.loads, lines())
    assert (ours["event"], ours["kind"], ours["method"], ours["level"]) == (
        "fault",
        "KeyError",
        "POST",
        "error",
    )
    assert "fail:" in ours["at"]
    assert ("ValueError" in ours["at"]) == debug
    assert (theirs["event"], theirs["kind"], theirs["logger"]) == (
        "It went wrong.",
        "KeyError",
        "somebody.else",
    )
    assert SECRET not in json.dumps([ours, theirs])


@pytest.mark.parametrize(
    ("said", "given", "told"),
    [
        (f"Exception listing queues: (psycopg.OperationalError) {SECRET}", (), "Exception listing queues"),
        (f"Could not connect(host={SECRET})", (), "Could not connect"),
        ("Retrying %s after %s", ("load", SECRET), "Retrying %s after %s"),
        ("A plain sentence.", (), "A plain sentence."),
    ],
)
def test_of_what_libraries_say_only_what_they_wrote_beforehand_is_told(lines, said, given, told):
    log.configure()
    for name in ("dbos", "somebody.else"):
        logging.getLogger(name).error(said, *given)
    found = [json.loads(line) for line in lines()]
    assert [(line["event"], line["logger"]) for line in found] == [(told, "dbos"), (told, "somebody.else")]
    assert SECRET not in json.dumps(found)


def test_the_library_of_the_jobs_speaks_through_the_same_renderer(lines):
    log.configure()
    init_logger()
    logging.getLogger("dbos").warning(f"Exception listing queues: {SECRET}")  # noqa: G004 - as the library does
    (found,) = lines()
    assert json.loads(found)["event"] == "Exception listing queues"


def test_a_task_that_nobody_waited_for_is_told_of_without_its_words(lines):
    log.configure()

    async def main():
        asyncio.get_running_loop().call_exception_handler(
            {"message": "Task exception was never retrieved", "exception": ValueError(SECRET), "task": SECRET}
        )

    asyncio.run(main())
    (found,) = map(json.loads, lines())
    assert (found["event"], found["kind"]) == ("Task exception was never retrieved", "ValueError")
    assert SECRET not in json.dumps(found)


def test_each_line_of_a_request_has_its_correlation_id_and_no_other_s(lines):
    log.configure()

    async def request(correlation):
        log.bind(correlation)
        await asyncio.sleep(0)
        log.event("seen", mine=correlation)

    async def main():
        await asyncio.gather(*map(request, ["a-1", "b-2"]))
        log.event("afterwards")

    asyncio.run(main())
    *during, after = map(json.loads, lines())
    assert {(found["mine"], found["correlation_id"]) for found in during} == {("a-1", "a-1"), ("b-2", "b-2")}
    assert "correlation_id" not in after


@pytest.mark.parametrize(
    ("options", "status", "seconds", "told"),
    [
        ({}, 200, 0.01, False),
        ({}, 422, 0.01, False),
        ({}, 500, 0.01, True),
        ({}, 503, 0.01, False),
        ({}, 200, log.SLOW_SECONDS, True),
        ({"debug": True}, 200, 0.01, True),
        ({"level": "debug"}, 200, 0.01, True),
        ({"level": "warning"}, 500, 0.01, False),
        ({"quiet": True}, 500, 0.01, False),
    ],
)
def test_a_request_is_told_of_if_it_failed_or_was_slow(lines, options, status, seconds, told):
    log.configure(**options)
    log.answered("DELETE", "/customers/{id}", status, seconds, "key:k1")
    assert [json.loads(line)["route"] for line in lines()] == ["/customers/{id}"] * told
