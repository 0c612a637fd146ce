"""Tables of the first release.

They are defined here and not imported from `tables`, which describes the tables of the current release.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, LargeBinary, String, Text

from sycee.database.append_only import make_append_only

revision = "0001"
down_revision = None

ID = LargeBinary(16)


def upgrade() -> None:
    """Create the tables, and triggers against changes of reserve rules."""
    op.create_table(
        "issuance_operators",
        Column("number", Integer, primary_key=True, autoincrement=False),
        *(
            Column(name, ID, nullable=False)
            for name in (
                "institution", "suspense", "reserve_suspense", "transit_suspense", "vault", "reserve", "transit",
            )
        ),
        Column("quota_rule_set", Integer, nullable=False),
        _state("joining", "active", "leaving", "left", "refused"),
        Column("proposal", ID, nullable=False),
        Column("joined_ns", BigInteger),
        Column("left_ns", BigInteger),
    )  # fmt: skip
    op.create_table(
        "issuance_fundings",
        Column("id", ID, primary_key=True),
        Column("direction", String(3), CheckConstraint("direction IN ('in', 'out')"), nullable=False),
        Column("operator", Integer, nullable=False),
        Column("wallet", ID, nullable=False),
        Column("minor", BigInteger, nullable=False),
        Column("bank_reference", String(35), nullable=False),
        _state("sending", "sent", "confirmed", "rejected", "refused", "lapsed"),
        Column("reason", Text, nullable=False),
        Column("at_ns", BigInteger, nullable=False),
        Column("decided_ns", BigInteger),
    )
    op.create_index("issuance_fundings_reference", "issuance_fundings", ["operator", "direction", "bank_reference"])
    op.create_table(
        "issuance_reserve_rules",
        Column("wallet_class", Text, primary_key=True),
        Column("from_day", String(10), primary_key=True),
        Column("proposal", ID, primary_key=True),
        Column("holder", Text, nullable=False),
        Column("share_ppm", Integer, nullable=False),
        Column("source", Text, nullable=False),
    )
    make_append_only(op.get_bind(), "issuance_reserve_rules")


def _state(*states: str) -> Column[str]:
    shown = ", ".join(f"'{state}'" for state in states)
    return Column("state", Text, CheckConstraint(f"state IN ({shown})"), nullable=False)
