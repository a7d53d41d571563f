from __future__ import annotations

import asyncio

import pytest

from holdfast.access import Gate
from holdfast.access.errors import AccessError
from holdfast.settings import Settings

SECRET = "not a secret, but as long as one"  # noqa: S105 - of tests


@pytest.fixture
def settings(tmp_path):
    """Makes settings of a home of this test's own."""
    return lambda **given: Settings(home=tmp_path / "home", secret=SECRET, **given)


@pytest.fixture
def gate(database, settings):
    """A gate to an empty database, of each kind."""
    return Gate(database, settings())


@pytest.fixture
def identify():
    """Asks a gate who sent these headers; gives the caller, or the error."""

    def ask(gate, *, local=False, **headers):
        raw = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        try:
            return asyncio.run(gate.identify(raw, local=local))
        except AccessError as error:
            return error

    return ask
