"""A world on `where`: each test that uses it runs once per kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.personal.world import World, world


@pytest.fixture
def bank(where: str, tmp_path: Path) -> Iterator[World]:
    with world(where, tmp_path) as made:
        yield made
