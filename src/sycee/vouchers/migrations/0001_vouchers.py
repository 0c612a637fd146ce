"""Groups of vouchers, vouchers, their steps, and wrong numbers.

They are defined here and not imported from `tables`, which describes the tables of the current release.
"""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, LargeBinary, String, Text

revision = "0001"
down_revision = None

ID = LargeBinary(16)
NUMBER = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "vouchers_groups",
        Column("group", Text, primary_key=True),
        *_required(Text, "programme", "merchants"),
        *_required(ID, "funder", "account"),
        *_required(Integer, "operator", "rule_set"),
        *_required(BigInteger, "budget_minor", "until_ns", "made_ns"),
        *_required(ID, "proposal", "who"),
        _state("proposed", "open", "refused"),
    )
    op.create_table(
        "vouchers_vouchers",
        Column("serial", NUMBER, primary_key=True, autoincrement=False),
        *_required(Text, "group"),
        *_required(ID, "hold", "batch"),
        *_required(Integer, "row"),
        *_required(BigInteger, "minor", "redeemed_minor", "until_ns"),
        Column("beneficiary", LargeBinary),
        _state("reserving", "refused", "preactivated", "activated", "redeemed", "cancelled", "expired"),
    )
    op.create_index("vouchers_vouchers_batch", "vouchers_vouchers", ["batch", "row"])
    op.create_index("vouchers_vouchers_group", "vouchers_vouchers", ["group", "state"])
    op.create_table(
        "vouchers_steps",
        Column("serial", NUMBER, primary_key=True, autoincrement=False),
        Column("id", ID, primary_key=True),
        *_required(Integer, "number"),
        Column(
            "step",
            Text,
            CheckConstraint("step IN ('reserve', 'activate', 'redeem', 'cancel', 'expire', 'print')"),
            nullable=False,
        ),
        *_required(BigInteger, "minor"),
        Column("payee", ID),
        *_required(Text, "code"),
        *_required(ID, "who"),
        *_required(BigInteger, "at_ns"),
        _state("sent", "done", "refused"),
    )
    op.create_index("vouchers_steps_id", "vouchers_steps", ["id", "serial"])
    op.create_table(
        "vouchers_attempts",
        Column("who", ID, primary_key=True),
        Column("payee", ID, primary_key=True),
        Column("day", String(10), primary_key=True),
        *_required(Integer, "count"),
    )


def _required(type_: Any, *names: str) -> list[Column[Any]]:
    return [Column(name, type_, nullable=False) for name in names]


def _state(*states: str) -> Column[str]:
    shown = ", ".join(f"'{state}'" for state in states)
    return Column("state", Text, CheckConstraint(f"state IN ({shown})"), nullable=False)
