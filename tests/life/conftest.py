"""A bank on SQLite; `test_kills` uses both kinds of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.life.world import World, world


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[World]:
    with world(str(tmp_path / "kept.db"), tmp_path) as made:
        yield made
