"""The schema "server": all SQL tables of this package, with their migrations."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sycee.database.migrations import Schema
from sycee.server import backup_tables
from sycee.server.auth import recoveries
from sycee.server.auth import tables as auth_tables
from sycee.server.events import tables as event_tables
from sycee.server.metadata import METADATA

# Each module with tables is named here: importing it adds its tables to METADATA.
MODULES: Final = (auth_tables, backup_tables, event_tables)
SCHEMA: Final = Schema("server", METADATA, Path(__file__).parent / "migrations", recoveries.ACTIONS)
