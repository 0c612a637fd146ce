"""A permit covers all requests that follow from the chain of a payment, and keeps the digest of each record."""

from __future__ import annotations

import json

import sqlalchemy
from alembic import op
from blake3 import blake3
from sqlalchemy import BigInteger, Column, Integer, String, Text

revision = "0003"
down_revision = "0002"

DIGEST = String(64)
NUMBER = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Store chains by themselves; an earlier request becomes the chain of the two participants."""
    connection = op.get_bind()
    query = (
        "SELECT p.payment, one.code, other.code, p.digest, p.network, p.library, p.until_day "
        "FROM clearing_permits p JOIN clearing_payments m ON m.number = p.payment "
        "JOIN clearing_participants one ON one.participant = m.sender "
        "JOIN clearing_participants other ON other.participant = m.receiver ORDER BY p.payment"
    )
    rows = connection.execute(sqlalchemy.text(query)).all()
    op.drop_table("clearing_permits")
    chains = op.create_table(
        "clearing_chains",
        Column("chain", NUMBER, primary_key=True, autoincrement=False),
        Column("digest", DIGEST, nullable=False, unique=True),
        Column("content", Text, nullable=False),
    )
    permits = op.create_table(
        "clearing_permits",
        Column("payment", NUMBER, primary_key=True, autoincrement=False),
        Column("chain", NUMBER, nullable=False),
        *(Column(name, Text, nullable=False) for name in ("digests", "network", "library", "until_day")),
    )
    numbers: dict[str, int] = {}
    for payment, sender, receiver, digest, network, library, until_day in rows:
        agents = [[code, "", [code[4:6]]] for code in (sender, receiver)]
        found = {"accounts": False, "agents": agents, "parties": []}
        text = json.dumps(found, separators=(",", ":"), sort_keys=True)
        if text not in numbers:
            numbers[text] = len(numbers) + 1
            row = {"chain": numbers[text], "digest": blake3(text.encode()).hexdigest(), "content": text}
            connection.execute(chains.insert().values(row))
        row = {
            "payment": payment, "chain": numbers[text], "digests": digest, "network": network, "library": library,
            "until_day": until_day,
        }  # fmt: skip
        connection.execute(permits.insert().values(row))
