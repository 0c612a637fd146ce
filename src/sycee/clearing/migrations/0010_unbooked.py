"""Indexes of the open payments by a condition that does not change with each state of a payment."""

from __future__ import annotations

import sqlalchemy
from alembic import op

revision = "0010"
down_revision = "0009"

_UNBOOKED = "booked_ns = 0 AND answered_ns = 0"


def upgrade() -> None:
    """Make the indexes anew."""
    for name, columns, condition in (
        ("clearing_payments_open", ["state", "number"], _UNBOOKED),
        ("clearing_payments_between", ["sender", "receiver"], _UNBOOKED),
        ("clearing_payments_backs", ["receiver"], f"{_UNBOOKED} AND back_minor > 0"),
    ):
        where = sqlalchemy.text(condition)
        op.drop_index(name, "clearing_payments")
        op.create_index(name, "clearing_payments", columns, sqlite_where=where, postgresql_where=where)
