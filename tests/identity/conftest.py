"""A world on `where`: each test that uses `bank` runs once per kind of database; `small` is on SQLite alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.identity.world import World, small_world, world


@pytest.fixture
def bank(where: str, tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, where) as made:
        yield made


@pytest.fixture
def small(tmp_path: Path) -> Iterator[World]:
    with small_world(tmp_path) as made:
        yield made
