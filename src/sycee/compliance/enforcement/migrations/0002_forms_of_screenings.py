"""Screenings that share the text of their record: a row has the payment's reference and the digest of the form."""

from __future__ import annotations

import json
from typing import Any, Final

from alembic import op
from blake3 import blake3
from sqlalchemy import BigInteger, Column, Connection, ForeignKey, Integer, String, Text, text

from sycee.database.append_only import make_append_only
from sycee.database.engines import is_sqlite

revision = "0002"
down_revision = "0001"

NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")
AT_ONCE: Final = 1_000  # rows in memory


def upgrade() -> None:
    """Create the new table, move all rows of the old one, and drop that."""
    op.create_table(
        "compliance_screenings",
        Column("number", NUMBER, primary_key=True),
        Column("payment", Text, nullable=False, index=True),
        Column("form", String(64), ForeignKey("compliance_contents.digest"), nullable=False),
        Column("digest_start", BigInteger, nullable=False, index=True),
        Column("outcome", Text, nullable=False),
        Column("who", Text, nullable=False),
        Column("at_ns", BigInteger, nullable=False),
    )
    _move(op.get_bind())
    op.drop_table("compliance_crossings")
    make_append_only(op.get_bind(), "compliance_screenings")


def _move(connection: Connection) -> None:
    last = 0
    query = text(
        "SELECT number, payment, digest, record, outcome, who, at_ns FROM compliance_crossings "
        "WHERE number > :last ORDER BY number LIMIT :most"
    )
    while rows := connection.execute(query, {"last": last, "most": AT_ONCE}).all():
        for row in rows:
            _add(connection, row)
        last = rows[-1].number
    if last and not is_sqlite(connection):
        serial = "pg_get_serial_sequence('compliance_screenings', 'number')"
        connection.execute(text(f"SELECT setval({serial}, :last)"), {"last": last})


def _add(connection: Connection, row: Any) -> None:
    shared = {name: each for name, each in json.loads(row.record).items() if name not in ("payment", "digest")}
    content = json.dumps(shared, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    form = blake3(content.encode()).hexdigest()
    stored = connection.execute(text("SELECT 1 FROM compliance_contents WHERE digest = :form"), {"form": form}).first()
    if stored is None:
        insert = text("INSERT INTO compliance_contents (digest, content) VALUES (:form, :content)")
        connection.execute(insert, {"form": form, "content": content})
    connection.execute(
        text("INSERT INTO compliance_screenings VALUES (:number, :payment, :form, :start, :outcome, :who, :at_ns)"),
        {
            **{name: getattr(row, name) for name in ("number", "payment", "outcome", "who", "at_ns")},
            "form": form,
            "start": int(row.digest[:16], 16) - (1 << 63),
        },
    )
