from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from starlette.requests import Request

from holdfast.access import Role
from holdfast.access.keys import create_key
from holdfast.api import upload
from holdfast.api.problems import SlowBodyError
from holdfast.audit import entries
from holdfast.jobs import JobBook, State

TABLE = b"Customer No.,tenure\na,1\n"
SUMMARY = {"rows_in": 2, "scored": 1, "rejected": 1}


def send(client, content=TABLE, name="mine.csv", *, headers=None, **fields):
    return client.post("/jobs/score", files={"file": (name, content)}, data=fields, headers=headers)


@pytest.fixture
def book(shop):
    return JobBook(shop.registry.engine, shop.home)


@pytest.fixture
def key(shop):
    """Makes keys; gives the headers that show one."""

    def one(name, role=Role.SCORER):
        _, made = create_key(shop.registry.engine, name=name, role=role, actor="test")
        return {"x-api-key": made}

    return one


def finish(book, job_id, error=None):
    """What a worker does in the end."""
    job = book.begin(job_id)
    folder = book.home / "jobs" / job_id
    (folder / f"answers.{job.format}").write_bytes(b"answers")
    (folder / "rejects.csv").write_bytes(b"rejects")
    if error:
        book.settle(job_id, State.FAILED, {"error": error})
    else:
        book.settle(job_id, State.DONE, {"summary": SUMMARY, "done": 1.0})


def nothing_is_left(shop):
    return [path for path in (shop.home / "jobs").iterdir() if path.is_dir()] == []


def test_a_file_is_accepted_watched_and_fetched(client, book):
    accepted = send(client, name="July 2025.csv.gz", reasons=2, format="parquet")
    assert accepted.status_code == 202
    job = accepted.json()
    assert accepted.headers["location"] == f"/jobs/{job['id']}" == job["links"]["self"]
    assert (job["state"], job["model_version"], job["reasons"], job["format"], job["bytes"]) == (
        "waiting",
        "v1",
        2,
        "parquet",
        len(TABLE),
    )
    assert (book.home / "jobs" / job["id"] / "upload.csv").read_bytes() == TABLE
    assert client.get(job["links"]["self"]).json() == job
    assert client.get("/jobs").json() == {"jobs": [job]}
    early = client.get(f"/jobs/{job['id']}/results")
    assert (early.status_code, early.json()["code"]) == (409, "job_state")
    assert client.delete(job["links"]["self"]).status_code == 409

    finish(book, job["id"])
    done = client.get(job["links"]["self"]).json()
    assert (done["state"], done["progress"], done["summary"]) == ("done", 1.0, SUMMARY)
    answers = client.get(done["links"]["results"])
    assert answers.content == b"answers"
    assert answers.headers["content-type"] == "application/vnd.apache.parquet"
    assert "July%202025.scored.parquet" in answers.headers["content-disposition"]
    assert client.get(done["links"]["rejects"]).content == b"rejects"
    traces = entries(book.engine, action="jobs.download")
    assert [(one.actor, one.detail["file"]) for one in traces] == [("local", "rejects"), ("local", "answers")]

    assert client.post(f"/jobs/{job['id']}/cancel").status_code == 409
    assert client.delete(job["links"]["self"]).status_code == 204
    assert client.get(job["links"]["self"]).status_code == 404
    assert not (book.home / "jobs" / job["id"]).exists()


def test_the_version_is_the_one_in_charge_when_the_job_was_accepted(client, shop, book):
    job = send(client).json()
    shop.add()
    assert book.get(job["id"]).version == "v1"
    assert send(client, model="v1").json()["model_version"] == "v1"
    assert send(client).json()["model_version"] == "v2"
    unknown = send(client, model="v9")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "version")


def test_a_cancelled_job_is_over(client, shop):
    job = send(client).json()
    assert client.post(job["links"]["cancel"]).json()["state"] == "cancelled"
    assert nothing_is_left(shop)


def test_why_a_job_failed_is_told(client, book):
    job = send(client).json()
    finish(book, job["id"], error={"code": "source", "message": "It is a picture."})
    told = client.get(job["links"]["self"]).json()
    assert (told["state"], told["error"]["message"]) == ("failed", "It is a picture.")
    assert client.get(f"/jobs/{job['id']}/results").status_code == 409


def test_nobody_sees_the_jobs_of_another_but_an_administrator(client, book, key):
    ours, theirs, admin = key("ours"), key("theirs"), key("admin", Role.ADMIN)
    client.app.state.gate.refresh()
    job = send(client, headers=ours).json()
    here = f"/jobs/{job['id']}"
    for method, path in (
        ("GET", here),
        ("GET", f"{here}/results"),
        ("GET", f"{here}/rejects"),
        ("POST", f"{here}/cancel"),
        ("DELETE", here),
    ):
        refused = client.request(method, path, headers=theirs)
        assert (refused.status_code, refused.json()["code"]) == (404, "job")
    assert client.get("/jobs", headers=theirs).json() == {"jobs": []}
    assert [each["id"] for each in client.get("/jobs", headers=admin).json()["jobs"]] == [job["id"]]
    assert book.get(job["id"]).state == State.WAITING
    assert client.post(f"{here}/cancel", headers=admin).status_code == 200


def test_a_caller_may_have_so_many_jobs_and_no_more(shop, open_client):
    shop.add()
    client = open_client(shop, jobs_per_key=2)
    first = send(client).json()
    assert send(client).status_code == 202
    refused = send(client)
    assert (refused.status_code, refused.json()["code"]) == (429, "quota")
    assert int(refused.headers["retry-after"]) > 0
    client.post(first["links"]["cancel"])
    assert send(client).status_code == 202


@pytest.mark.parametrize("told", [True, False])
def test_a_file_that_is_too_large_is_refused_and_removed(shop, open_client, told):
    shop.add()
    client = open_client(shop, job_mib=1)
    content = b"x" * (2 * 1024 * 1024)
    if told:
        refused = send(client, content)
    else:  # in pieces, without saying how many
        head = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'
        pieces = (
            head,
            *(content[at : at + 65_536] for at in range(0, len(content), 65_536)),
            b"\r\n--b--\r\n",
        )
        headers = {"content-type": "multipart/form-data; boundary=b"}
        refused = client.post("/jobs/score", content=iter(pieces), headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")
    assert nothing_is_left(shop)
    assert send(client, content[: 1024 * 1024]).status_code == 202


NAMES = (
    "../../../../tmp/canary.csv",
    "/etc/canary",
    "..\\..\\canary.csv",
    "a/../../canary",
    "canary\x00.csv",
    "%2e%2e%2fcanary",
    ".worker",
    "",
    "ünï😀.csv",
    "x" * 3_000,
)


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_name_is_shown_and_never_used(client, shop, name):
    quoted = name.replace("\\", "\\\\").replace("\x00", "\\0")
    body = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{quoted}"\r\n\r\n'.encode()
    headers = {"content-type": "multipart/form-data; boundary=b"}
    accepted = client.post("/jobs/score", content=body + TABLE + b"\r\n--b--\r\n", headers=headers)
    assert accepted.status_code == 202
    job = accepted.json()
    assert 0 < len(job["file"]) <= 100
    assert not set(job["file"]) & set("/\\\x00")
    assert [path.name for path in (shop.home / "jobs" / job["id"]).iterdir()] == ["upload.csv"]
    assert not [path for path in shop.home.parent.rglob("*") if "canary" in path.name]
    assert not [place for place in ("/tmp/canary.csv", "/etc/canary") if Path(place).exists()]  # noqa: S108 - must not be there


HEADERS = "h: 1\r\n" * 50
FORM = "multipart/form-data; boundary=b"
FILE = 'content-disposition: form-data; name="file"; filename="a"'


@pytest.mark.parametrize(
    ("kind", "body", "status", "code"),
    [
        ("application/json", "{}", 415, "media_type"),
        ("multipart/form-data", "--b--", 415, "media_type"),
        (f"multipart/form-data; boundary={'b' * 300}", "--b--", 415, "media_type"),
        (FORM, "no form at all", 400, "form"),
        (FORM, "", 400, "form"),
        (FORM, f"--b\r\n{FILE}\r\n\r\ncut of", 400, "form"),
        (FORM, f"--b\r\n{HEADERS}\r\n", 400, "form"),
        (FORM, f"--b\r\n{FILE}; x={'x' * 10_000}\r\n\r\na\r\n--b--\r\n", 400, "form"),
        (FORM, '--b\r\ncontent-disposition: form-data; name="reasons"\r\n\r\n1\r\n--b--\r\n', 422, "body"),
        (FORM, f"--b\r\n{FILE}\r\n\r\na\r\n--b\r\n{FILE}\r\n\r\nb\r\n--b--\r\n", 422, "body"),
        (FORM, '--b\r\ncontent-disposition: form-data; name="files"\r\n\r\n1\r\n--b--\r\n', 422, "body"),
        (FORM, "--b\r\n\r\nnameless\r\n--b--\r\n", 422, "body"),
    ],
)
def test_what_is_no_such_form_is_refused_and_leaves_nothing(client, shop, kind, body, status, code):  # noqa: PLR0917 - pytest passes them by name
    refused = client.post("/jobs/score", content=body.encode(), headers={"content-type": kind})
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert nothing_is_left(shop)


@pytest.mark.parametrize(
    "fields",
    [{"reasons": "21"}, {"reasons": "-1"}, {"reasons": "two"}, {"format": "xlsx"}, {"model": "x" * 1_001}],
)
def test_a_wrong_field_is_named(client, shop, fields):
    refused = send(client, **fields)
    assert refused.status_code == 422
    assert next(iter(fields)) in refused.text
    assert nothing_is_left(shop)


def test_a_file_that_the_disk_cannot_take_is_refused(client, shop, monkeypatch):
    monkeypatch.setattr("holdfast.jobs.files.RESERVE", 1 << 62)
    refused = send(client)
    assert (refused.status_code, refused.json()["code"]) == (507, "room")
    assert nothing_is_left(shop)


def test_a_file_that_does_not_come_is_given_up(monkeypatch, tmp_path):
    monkeypatch.setattr(upload, "IDLE_SECONDS", 0.01)

    async def never():
        await asyncio.Event().wait()

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", FORM.encode())]}
    waiting = upload.Upload(tmp_path / "file", fields=(), most=1_000)
    with pytest.raises(SlowBodyError):
        asyncio.run(waiting.receive(Request(scope, never)))
