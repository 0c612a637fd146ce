"""SQL tables of vouchers. Money is on the ledger; a beneficiary is a keyed hash, and a secret is nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, Integer, LargeBinary, MetaData, Table, Text

from sycee.database.columns import DAY, MINOR, NS, NUMBER, Id128, required, state_column
from sycee.database.migrations import Schema

METADATA: Final = MetaData()
SCHEMA: Final = Schema("vouchers", METADATA, Path(__file__).parent / "migrations")

# Of a group.
PROPOSED: Final = "proposed"  # two officers sign
OPEN: Final = "open"
REFUSED: Final = "refused"  # also of a voucher and of a step
# Of a voucher.
RESERVING: Final = "reserving"  # the ledger has not answered yet
PREACTIVATED: Final = "preactivated"
ACTIVATED: Final = "activated"
REDEEMED: Final = "redeemed"  # in full
CANCELLED: Final = "cancelled"
EXPIRED: Final = "expired"
STATES: Final = (RESERVING, REFUSED, PREACTIVATED, ACTIVATED, REDEEMED, CANCELLED, EXPIRED)
LIVE: Final = (PREACTIVATED, ACTIVATED)  # money is held
# Kinds of a step, and its states.
RESERVE: Final = "reserve"
ACTIVATE: Final = "activate"
REDEEM: Final = "redeem"
CANCEL: Final = "cancel"
EXPIRE: Final = "expire"
PRINT: Final = "print"  # somebody read the number
STEPS: Final = (RESERVE, ACTIVATE, REDEEM, CANCEL, EXPIRE, PRINT)
SENT: Final = "sent"
DONE: Final = "done"

_KINDS: Final = ", ".join(f"'{each}'" for each in STEPS)

# `programme`, `merchants`: whose shops redeem. `funder`: pays. `account`: receives what holds pay and pays the shops.
# `budget_minor`: the most that its vouchers promise and have paid together. `until_ns`: end of all its vouchers.
GROUPS: Final = Table(
    "vouchers_groups",
    METADATA,
    Column("group", Text, primary_key=True),
    *required(Text, "programme", "merchants"),
    *required(Id128, "funder", "account"),
    *required(Integer, "operator", "rule_set"),
    *required(MINOR, "budget_minor"),
    *required(NS, "until_ns", "made_ns"),
    *required(Id128, "proposal", "who"),
    state_column(PROPOSED, OPEN, REFUSED),
)
# `hold`: the HOLD that keeps its money. `batch`, `row`: the request that made it, and its place there, from 0.
# `redeemed_minor` and `state` follow from its steps. `beneficiary`: keyed hash of an id.
VOUCHERS: Final = Table(
    "vouchers_vouchers",
    METADATA,
    Column("serial", NUMBER, primary_key=True, autoincrement=False),
    *required(Text, "group"),
    *required(Id128, "hold", "batch"),
    *required(Integer, "row"),
    *required(MINOR, "minor", "redeemed_minor"),
    *required(NS, "until_ns"),
    Column("beneficiary", LargeBinary),
    state_column(*STATES),
)
Index("vouchers_vouchers_batch", VOUCHERS.c.batch, VOUCHERS.c.row)
Index("vouchers_vouchers_group", VOUCHERS.c.group, VOUCHERS.c.state)
# What was done with each voucher, by whom. `id`: of the request, of the redemption's payment, or of the job's run.
# `number`: the order of a voucher's steps, from 1. `code`: why it was refused, or "". `payee`: of a redemption.
STEP_ROWS: Final = Table(
    "vouchers_steps",
    METADATA,
    Column("serial", NUMBER, primary_key=True, autoincrement=False),
    Column("id", Id128, primary_key=True),
    *required(Integer, "number"),
    Column("step", Text, CheckConstraint(f"step IN ({_KINDS})"), nullable=False),
    *required(MINOR, "minor"),
    Column("payee", Id128),
    *required(Text, "code"),
    *required(Id128, "who"),
    *required(NS, "at_ns"),
    state_column(SENT, DONE, REFUSED),
)
Index("vouchers_steps_id", STEP_ROWS.c.id, STEP_ROWS.c.serial)
# Wrong numbers that a person sent for a shop on one day.
ATTEMPTS: Final = Table(
    "vouchers_attempts",
    METADATA,
    Column("who", Id128, primary_key=True),
    Column("payee", Id128, primary_key=True),
    Column("day", DAY, primary_key=True),
    *required(Integer, "count"),
)
