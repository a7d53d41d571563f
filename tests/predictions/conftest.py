from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path

import pytest
from logged import NOON, log_rows, row_of


@pytest.fixture(scope="session")
def make_row():
    """Makes one row of the log."""
    return row_of


@pytest.fixture(scope="session")
def log_some():
    """Logs some predictions; returns the rows."""
    return log_rows


@pytest.fixture(scope="session")
def noon():
    """When the first of them was made, unless told otherwise."""
    return NOON


@pytest.fixture(scope="session")
def failing_reads():
    """Has a file that is open in this process fail to be read (EIO), as a disk may, for a while."""

    @contextmanager
    def failing(path):
        handles = [int(link.name) for link in Path("/proc/self/fd").iterdir() if _leads_to(link, path)]
        kept = [os.dup(handle) for handle in handles]
        broken = os.open("/proc/self/mem", os.O_RDONLY)  # nothing is mapped where it begins
        try:
            for handle in handles:
                os.dup2(broken, handle)
            yield
        finally:
            for handle, old in zip(handles, kept, strict=True):
                os.dup2(old, handle)
                os.close(old)
            os.close(broken)

    return failing


def _leads_to(link, path) -> bool:
    try:
        return link.readlink() == path
    except FileNotFoundError:  # closed meanwhile
        return False
