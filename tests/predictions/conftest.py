from __future__ import annotations

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
