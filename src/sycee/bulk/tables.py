"""SQL tables of bulk payments: one row for each file, and rows whose result the ledger does not store.

Results of all other rows are read from the ledger by their ids, so that a row costs no SQL.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, LargeBinary, MetaData, Table, Text

from sycee.core.records.bulk_rows import Mode
from sycee.database.columns import DIGEST, MINOR, NS, NUMBER, Id128, required, state_column
from sycee.database.migrations import Schema

METADATA: Final = MetaData()
SCHEMA: Final = Schema("bulk", METADATA, Path(__file__).parent / "migrations")

WAITING: Final = "waiting"  # for the approval of two persons
OPEN: Final = "open"  # takes rows
SETTLING: Final = "settling"
SETTLED: Final = "settled"  # all rows were paid together
DISCARDED: Final = "discarded"  # no row was paid
STATES: Final = (WAITING, OPEN, SETTLING, SETTLED, DISCARDED)

_MODES: Final = ", ".join(f"'{mode.value}'" for mode in Mode)

# `batches`: bulk_rows.Content.batches. `settlement`: number of the settlement batch, 0 for mode "each" and before the
# first rows are staged.
FILES: Final = Table(
    "bulk_files",
    METADATA,
    Column("id", Id128, primary_key=True),
    *required(Id128, "payer"),
    *required(Integer, "operator"),
    Column("mode", Text, CheckConstraint(f"mode IN ({_MODES})"), nullable=False),
    *required(BigInteger, "rows"),
    *required(MINOR, "sum_minor"),
    *required(LargeBinary, "batches"),
    *required(DIGEST, "digest"),
    *required(NUMBER, "settlement"),
    Column("proposal", Id128),
    state_column(*STATES),
    *required(Id128, "who"),
    *required(NS, "made_ns"),
    Column("ended_ns", NS),
)
Index("bulk_files_payer", FILES.c.payer, FILES.c.id)
Index("bulk_files_settlement", FILES.c.settlement)
# Malformed rows; the ledger binds no id to them.
BAD_ROWS: Final = Table(
    "bulk_bad_rows",
    METADATA,
    Column("file", Id128, primary_key=True),
    Column("row", NUMBER, primary_key=True),
    *required(Integer, "code"),
)
