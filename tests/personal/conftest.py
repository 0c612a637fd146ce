"""A bank on SQLite; tests marked BOTH run once per kind of database."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.database.places import new_database
from tests.personal.world import World, world

_NUMBERS = itertools.count(1)


@pytest.fixture
def bank(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if getattr(request, "param", "sqlite") == "sqlite":
        with world(str(tmp_path / "kept.db"), tmp_path) as made:
            yield made
        return
    name = f"personal_{next(_NUMBERS)}"
    with new_database(request.getfixturevalue("sockets"), name) as url, world(url, tmp_path) as made:
        yield made
