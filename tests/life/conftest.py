"""A bank on SQLite; `test_kills` uses both kinds of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.life.world import World, small_world


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[World]:
    with small_world(tmp_path) as made:
        yield made
