"""A service with the network of `world`, its law and its pledge, and no admission.

Each test that uses `desk` runs once per kind of database; `small` is on SQLite alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.compliance.service import world
from tests.compliance.service.world import Desk


@pytest.fixture
def desk(server: str, tmp_path: Path) -> Iterator[Desk]:
    with world.desk(server, tmp_path) as made:
        yield made


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Desk]:
    with world.desk("", tmp_path) as made:
        yield made
