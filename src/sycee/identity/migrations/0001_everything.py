"""Tables of the first release.

They are defined here and not imported from `tables`, which describes the tables of the current release.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
)

from sycee.database.append_only import make_append_only

revision = "0001"
down_revision = None

ID = LargeBinary(16)
NUMBER = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Create the tables, and triggers against changes of checks and signatures."""
    _people()
    _merchants()
    _proposals()
    make_append_only(op.get_bind(), "identity_checks", "identity_signatures")


def _people() -> None:
    op.create_table(
        "identity_persons",
        Column("id", ID, primary_key=True),
        _state("active", "shredded"),
        Column("made_ns", BigInteger, nullable=False),
    )
    op.create_table(
        "identity_duties",
        Column("id", ID, primary_key=True),
        Column("person", ID, nullable=False, index=True),
        Column("institution", ID),
        Column("duty", Text, nullable=False),
        Column("from_ns", BigInteger, nullable=False),
        Column("until_ns", BigInteger, nullable=False),
        Column("grant_id", ID),
        Column("ended_ns", BigInteger),
        Column("proposal", ID, nullable=False),
    )
    op.create_table(
        "identity_institutions",
        Column("id", ID, primary_key=True),
        Column("kind", Text, CheckConstraint("kind IN ('issuer', 'operator', 'merchant', 'auditor')"), nullable=False),
        Column("name", Text, nullable=False),
        Column("operator", Integer, index=True),
        Column("participant", Text, nullable=False),
        _state("applied", "approved", "active", "leaving", "left", "refused"),
        Column("made_ns", BigInteger, nullable=False),
    )
    op.create_table(
        "identity_keys",
        Column("subject", ID, primary_key=True),
        Column("epoch", Integer, primary_key=True, autoincrement=False),
        Column("public_key", Text, nullable=False, index=True),
        Column("from_ns", BigInteger, nullable=False),
        Column("until_ns", BigInteger),
        Column("reason", Text, nullable=False),
        _state("setting", "set"),
        Column("intent", ID),
        Column("lift", ID),
    )


def _merchants() -> None:
    op.create_table(
        "identity_owners",
        Column("institution", ID, primary_key=True),
        Column("person", ID, primary_key=True),
        Column("share_ppm", Integer, nullable=False),
    )
    op.create_table(
        "identity_checks",
        Column("number", NUMBER, primary_key=True),
        Column("institution", ID, nullable=False, index=True),
        Column("kind", Text, nullable=False),
        Column("outcome", Text, nullable=False),
        Column("proposal", ID, nullable=False),
        Column("at_ns", BigInteger, nullable=False),
    )
    op.create_table(
        "identity_settlement_accounts",
        Column("institution", ID, primary_key=True),
        Column("sealed", LargeBinary, nullable=False),
        Column("hash", LargeBinary(16), nullable=False, index=True),
        _state("stated", "verified"),
        Column("proposal", ID),
    )
    op.create_table(
        "identity_outlets",
        Column("id", ID, primary_key=True),
        Column("merchant", ID, nullable=False),
        Column("code", String(16), nullable=False),
        _state("active", "closed"),
        UniqueConstraint("merchant", "code", name="identity_outlets_code"),
    )
    op.create_table(
        "identity_tills",
        Column("id", ID, primary_key=True),
        Column("outlet", ID, nullable=False),
        Column("code", String(16), nullable=False),
        Column("public_key", Text),
        _state("active", "closed"),
        UniqueConstraint("outlet", "code", name="identity_tills_code"),
    )


def _proposals() -> None:
    op.create_table(
        "identity_proposals",
        Column("id", ID, primary_key=True),
        Column("action", Text, nullable=False),
        Column("maker", ID, nullable=False),
        Column("records", LargeBinary, nullable=False),
        Column("effect", Text, nullable=False),
        Column("digest", String(64), nullable=False),
        Column("valid_until_ns", BigInteger, nullable=False),
        _state("open", "submitted", "done", "refused", "withdrawn", "lapsed"),
        Column("reason", Text, nullable=False),
        Column("results", LargeBinary),
        Column("made_ns", BigInteger, nullable=False),
        Column("finished_ns", BigInteger),
    )
    op.create_index("identity_proposals_state", "identity_proposals", ["state", "id"])
    op.create_table(
        "identity_signatures",
        Column("proposal", ID, primary_key=True),
        Column("signer", ID, primary_key=True),
        Column("public_key", Text, nullable=False),
        Column("envelope", LargeBinary),
        Column("approval", LargeBinary(64), nullable=False),
        Column("at_ns", BigInteger, nullable=False),
    )


def _state(*states: str) -> Column[str]:
    shown = ", ".join(f"'{state}'" for state in states)
    return Column("state", Text, CheckConstraint(f"state IN ({shown})"), nullable=False)
