"""A service on `where`: each test that asks for one runs once on every kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.compliance.service.world import NOON, Desk
from tests.database.places import opened

from sycee.core.clock import SimulatedClock


@pytest.fixture
def desk(where: str, tmp_path: Path) -> Iterator[Desk]:
    """A service with the world of `world` declared, its law and its pledge used, and nobody admitted."""
    with opened(where) as engine:
        yield Desk.of(engine, where, tmp_path, SimulatedClock(NOON))
