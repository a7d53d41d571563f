"""People who end the same job at the same time, on PostgreSQL."""

from __future__ import annotations

from functools import partial

from interleaved import interleaved

from holdfast.audit import entries
from holdfast.jobs import JobBook
from holdfast.store import engine


def test_a_job_is_not_deleted_by_what_it_was_before_another_ended_it(postgres, postgres_ready, tmp_path):
    url = postgres.url(like=postgres_ready)
    opened = engine(url)
    book = JobBook(opened, tmp_path)
    with book.staging() as staged:
        staged.write_bytes(b"id\n1\n")
        job = book.accept(staged, owner="key:a", file="a.csv", version="v1")

    def end(how, other):
        return getattr(JobBook(other, tmp_path), how)(job.id, actor=how)

    cancelled, deleted = interleaved(url, partial(end, "cancel"), partial(end, "delete"))
    assert cancelled.exception() is None
    assert deleted.exception() is None
    told = [entry.action for entry in reversed(entries(opened, action="jobs"))]
    assert told == ["jobs.submit", "jobs.cancel", "jobs.delete"]
    opened.dispose()
