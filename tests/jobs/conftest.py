from __future__ import annotations

import shutil

import pytest
import sqlalchemy as sa
from waiting import wait_until

from holdfast.jobs import JobBook, start_worker
from holdfast.settings import Settings
from holdfast.store import engine, reading, writing
from holdfast.store.tables import deployments, events, versions


@pytest.fixture
def settings(database, database_url, tmp_path, trained):
    """An installation with two trained versions, on each kind of database."""
    home = tmp_path / "home"
    shutil.copytree(trained.home / "artefacts", home / "artefacts")
    source = engine(f"sqlite:///{trained.home / 'holdfast.db'}")
    for table in (versions, events, deployments):
        with reading(source) as connection:
            rows = [dict(row) for row in connection.execute(sa.select(table)).mappings()]
        with writing(database) as connection:
            connection.execute(sa.insert(table), rows)
    source.dispose()
    url = None if database_url.startswith("sqlite") else database_url
    return Settings(home=home, database_url=url)


@pytest.fixture
def book(database, settings):
    return JobBook(database, settings.home)


@pytest.fixture
def submit(book):
    """Sends a file, or bytes, as a job."""

    def one(content, **given):
        with book.staging() as staged:
            if isinstance(content, bytes):
                staged.write_bytes(content)
            else:
                shutil.copyfile(content, staged)
            return book.accept(staged, **{"owner": "key:a", "file": "mine.csv", "version": "v1"} | given)

    return one


@pytest.fixture
def worker(settings):
    """Starts workers, and ends them with the test."""
    started = []

    def one():
        started.append(start_worker(settings))
        return started[-1]

    yield one
    for each in started:
        each.stop()


@pytest.fixture
def files_of(settings):
    """The names of a job's files."""
    return lambda job: sorted(path.name for path in (settings.home / "jobs" / job.id).glob("*"))


@pytest.fixture
def until(book):
    """Waits until a job is as it should be."""

    def wait(job, wanted):
        wait_until(lambda: wanted(book.get(job.id)), "a job to be as it should")
        return book.get(job.id)

    return wait


@pytest.fixture(scope="session")
def long_table(trained, tmp_path_factory):
    """Several batches of rows, so that a worker is at them for a while."""
    header, *lines = trained.table.read_text().splitlines()
    path = tmp_path_factory.mktemp("long") / "long.csv"
    path.write_text("\n".join([header, *(lines * 130)]) + "\n")
    return path
