"""Corridors between currencies: what participants may quote, their quotes, and the payments that accept them."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, LargeBinary, String, Text

from sycee.database.append_only import make_append_only

revision = "0005"
down_revision = "0004"

ID = LargeBinary(16)
NUMBER = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "clearing_corridors",
        Column("number", NUMBER, primary_key=True, autoincrement=False),
        *(Column(name, Integer, nullable=False) for name in ("provider", "takes", "gives")),
        Column("most_minor", BigInteger, nullable=False),
        Column("valid_ns", BigInteger, nullable=False),
        Column("state", Text, CheckConstraint("state IN ('proposed', 'open', 'refused')"), nullable=False),
        Column("proposal", ID, nullable=False, unique=True),
        Column("made_ns", BigInteger, nullable=False),
    )
    op.create_table(
        "clearing_quotes",
        Column("number", NUMBER, primary_key=True, autoincrement=False),
        Column("id", ID, nullable=False, unique=True),
        *(Column(name, Integer, nullable=False) for name in ("provider", "takes", "gives")),
        *(
            Column(name, BigInteger, nullable=False)
            for name in ("numerator", "denominator", "least_minor", "most_minor", "until_ns")
        ),
        Column("digest", String(64), nullable=False),
        Column("message", NUMBER, nullable=False),
        Column("at_ns", BigInteger, nullable=False),
    )
    op.create_index("clearing_quotes_pair", "clearing_quotes", ["provider", "takes", "gives", "number"])
    op.create_table(
        "clearing_deals",
        Column("payment", NUMBER, primary_key=True, autoincrement=False),
        Column("quote", NUMBER, nullable=False),
        Column("at_ns", BigInteger, nullable=False),
    )
    op.create_index("clearing_deals_quote", "clearing_deals", ["quote"])
    for name in ("clearing_quotes", "clearing_deals"):
        make_append_only(op.get_bind(), name)
