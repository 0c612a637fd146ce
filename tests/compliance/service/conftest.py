"""A service on `where`: each test that uses it runs once per kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.compliance.service.world import NOON, Desk
from tests.database.places import opened

from sycee.core.clock import SimulatedClock


@pytest.fixture
def desk(where: str, tmp_path: Path) -> Iterator[Desk]:
    """Yield a service with the network of `world`, its law and its pledge, and no admission."""
    with opened(where) as engine:
        yield Desk.of(engine, where, tmp_path, SimulatedClock(NOON))
