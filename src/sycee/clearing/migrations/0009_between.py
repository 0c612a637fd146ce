"""Indexes of the open payments between two participants, which an arriving payment reads."""

from __future__ import annotations

import sqlalchemy
from alembic import op

revision = "0009"
down_revision = "0008"

_OPEN = "state IN ('unmatched', 'valid', 'cleared', 'queued', 'decided')"


def upgrade() -> None:
    """Add the indexes."""
    for name, columns, condition in (
        ("clearing_payments_between", ["sender", "receiver"], _OPEN),
        ("clearing_payments_backs", ["receiver"], f"{_OPEN} AND back_minor > 0"),
    ):
        where = sqlalchemy.text(condition)
        op.create_index(name, "clearing_payments", columns, sqlite_where=where, postgresql_where=where)
