"""Tables of mandates and shortfalls."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, LargeBinary, String, Text

revision = "0003"
down_revision = "0002"

ID = LargeBinary(16)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "wallets_mandates",
        Column("id", ID, primary_key=True),
        Column("account", ID, nullable=False, index=True),
        Column("day_max_minor", BigInteger, nullable=False),
        Column("signature", LargeBinary(64), nullable=False),
        Column("at_ns", BigInteger, nullable=False),
        _state("active", "ended"),
    )
    op.create_table(
        "wallets_shortfalls",
        Column("id", ID, primary_key=True),
        Column("funding", ID, nullable=False, unique=True),
        *(Column(name, ID, nullable=False) for name in ("reference", "account", "payee")),
        Column("operator", Integer, nullable=False),
        *(Column(name, BigInteger, nullable=False) for name in ("minor", "missing_minor")),
        Column("day", String(10), nullable=False),
        *(Column(name, LargeBinary, nullable=False) for name in ("records", "envelopes")),
        *(Column(name, BigInteger, nullable=False) for name in ("at_ns", "expires_ns")),
        _state("asked", "paying", "paid", "refused", "rejected", "expired"),
        Column("answer", Text, nullable=False),
    )
    op.create_index("wallets_shortfalls_day", "wallets_shortfalls", ["account", "day"])
    op.create_index("wallets_shortfalls_open", "wallets_shortfalls", ["operator", "state"])


def _state(*states: str) -> Column[str]:
    shown = ", ".join(f"'{state}'" for state in states)
    return Column("state", Text, CheckConstraint(f"state IN ({shown})"), nullable=False)
