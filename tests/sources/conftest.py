"""Real servers that tables are read from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from real_mariadb import MariaDBUnavailableError, RealMariaDB
from real_s3 import KEY, REGION, SECRET, RealS3

from holdfast.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def mariadb() -> Iterator[RealMariaDB]:
    """A real server; ``mariadb.url()`` makes an empty database. Whoever stops it starts it again."""
    try:
        server = RealMariaDB()
    except MariaDBUnavailableError as error:
        pytest.skip(str(error))
    yield server
    server.remove()


@pytest.fixture(scope="session")
def s3() -> Iterator[RealS3]:
    """A store; whoever makes it falter ends that."""
    store = RealS3()
    yield store
    store.close()


@pytest.fixture
def s3_settings(s3):
    """Settings for the store, at another address if one is given."""

    def made(address=None, **others) -> Settings:
        host, port = address or s3.address
        own = {
            "s3_endpoint": f"http://{host}:{port}",
            "s3_region": REGION,
            "s3_access_key_id": KEY,
            "s3_secret_access_key": SECRET,
            "source_retries": 2,
        }
        return Settings(**{**own, **others})

    return made
