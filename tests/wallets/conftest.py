"""A town on `server`: each test that uses `town` runs once per kind of database; `small` is on SQLite alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.wallets import world
from tests.wallets.world import Town


@pytest.fixture
def town(server: str, tmp_path: Path) -> Iterator[Town]:
    with world.bank(server, tmp_path) as made:
        yield made


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Town]:
    with world.bank("", tmp_path) as made:
        yield made
