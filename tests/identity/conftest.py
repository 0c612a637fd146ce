"""A world on `where`: each test that uses `bank` runs once per kind of database; `small` is on SQLite alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.identity.world import World, world


@pytest.fixture
def bank(where: str, tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, where) as made:
        yield made


@pytest.fixture
def small(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, str(tmp_path / "small.db")) as made:
        yield made
