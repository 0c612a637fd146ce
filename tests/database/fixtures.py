"""Fixtures that the tests of several packages share: tests/conftest.py imports them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def sockets() -> Iterator[Path]:
    """The folder of the socket of the tests' PostgreSQL server."""
    from tests.database import places  # here, because most tests need no database

    with places.server() as folder:
        yield folder


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest) -> str:
    """Return "" for SQLite, then the URL of a PostgreSQL server: a test copies a database that is prepared once."""
    if request.param == "sqlite":
        return ""
    from sycee.testing import postgresql

    return postgresql.url(request.getfixturevalue("sockets"))


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A new, empty database: the path of a file, then a URL."""
    if request.param == "sqlite":
        yield str(tmp_path / "kept.db")
        return
    from tests.database import places

    with places.new_database(request.getfixturevalue("sockets"), f"kept_{next(_NUMBERS)}") as url:
        yield url
