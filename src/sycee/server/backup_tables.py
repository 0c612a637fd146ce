"""SQL table of the backups that a server wrote."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, Table, Text

from sycee.database.columns import DIGEST, MINOR, NS, Id128, required
from sycee.server.metadata import METADATA

RUNNING: Final = "running"
DONE: Final = "done"
FAILED: Final = "failed"

# `reason`: why a backup failed, "" otherwise. The figures are null unless the backup is done. Times are of the bank's
# clock.
BACKUPS: Final = Table(
    "server_backups",
    METADATA,
    Column("id", Id128, primary_key=True),
    *required(Id128, "who"),
    Column("state", Text, CheckConstraint(f"state IN ('{RUNNING}', '{DONE}', '{FAILED}')"), nullable=False),
    *required(Text, "reason"),
    Column("frame", BigInteger),
    Column("state_digest", DIGEST),
    Column("supply", MINOR),
    Column("file_bytes", BigInteger),
    Column("at_ns", NS, nullable=False, index=True),
    Column("finished_ns", NS),
)
