"""The house, its currencies, participants and positions; messages and payments; sets and certificates.

They are defined here and not imported from `tables`, which describes the tables of the current release.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy
from alembic import op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
)

from sycee.database.append_only import make_append_only

revision = "0001"
down_revision = None

ID = LargeBinary(16)
DIGEST = String(64)
NUMBER = BigInteger().with_variant(Integer, "sqlite")
OPENED = ("proposed", "open", "refused")


def upgrade() -> None:
    """Create the tables."""
    _register()
    _payments()
    _sets()
    make_append_only(op.get_bind(), "clearing_certificates")


def _register() -> None:
    op.create_table(
        "clearing_house",
        Column("operator", Integer, primary_key=True, autoincrement=False),
        *_required(Integer, "positions", "lines", "exits", "line_rule_set"),
        _state(*OPENED),
        *_required(ID, "proposal"),
    )
    op.create_table(
        "clearing_currencies",
        Column("currency", Integer, primary_key=True, autoincrement=False),
        *_required(ID, "issuance", "suspense"),
        _state(*OPENED),
        *_required(ID, "proposal"),
    )
    op.create_table(
        "clearing_participants",
        Column("participant", Integer, primary_key=True, autoincrement=False),
        Column("code", Text, nullable=False, unique=True),
        *_required(Text, "entity"),
        _state(*OPENED),
        *_required(ID, "proposal"),
    )
    op.create_table(
        "clearing_message_keys",
        Column("participant", Integer, primary_key=True),
        Column("from_ns", BigInteger, primary_key=True),
        *_required(Text, "key"),
        *_required(ID, "who"),
    )
    op.create_table(
        "clearing_positions",
        Column("participant", Integer, primary_key=True),
        Column("currency", Integer, primary_key=True),
        *_required(ID, "account", "line"),
        *_required(Integer, "rule_set"),
        *_required(BigInteger, "floor_minor", "most_minor"),
        _state(*OPENED),
        *_required(ID, "proposal"),
    )
    op.create_table(
        "clearing_lines",
        Column("id", ID, primary_key=True),
        *_required(Integer, "participant", "currency"),
        *_required(BigInteger, "minor"),
        _state(*OPENED),
    )
    op.create_table(
        "clearing_limits",
        Column("number", NUMBER, primary_key=True, autoincrement=False),
        Column("id", ID, nullable=False, unique=True),
        *_required(Integer, "participant", "currency"),
        _chosen("kind", "bilateral", "multilateral", "reservation"),
        *_required(Integer, "other"),
        Column("minor", BigInteger),
        *_required(BigInteger, "from_ns", "made_ns"),
        *_required(ID, "who"),
    )
    op.create_index("clearing_limits_participant", "clearing_limits", ["participant", "currency"])


def _payments() -> None:
    op.create_table(
        "clearing_deliveries",
        Column("id", ID, primary_key=True),
        *_required(Integer, "participant"),
        *_required(DIGEST, "digest"),
        *_required(Text, "key"),
        *_required(LargeBinary, "signature", "content"),
        *_required(BigInteger, "at_ns"),
        *_required(ID, "who"),
        UniqueConstraint("participant", "digest", name="clearing_deliveries_content"),
    )
    op.create_table(
        "clearing_messages",
        Column("message", NUMBER, primary_key=True, autoincrement=False),
        *_required(Integer, "participant"),
        *_required(Text, "business_id", "kind"),
        *_required(ID, "delivery"),
        Column("answer", LargeBinary),
        UniqueConstraint("participant", "business_id", name="clearing_messages_business_id"),
    )
    op.create_table(
        "clearing_payments",
        Column("number", NUMBER, primary_key=True, autoincrement=False),
        Column("uetr", ID, nullable=False, unique=True),
        *_required(Integer, "sender", "receiver", "currency"),
        *_required(BigInteger, "minor"),
        *_required(Integer, "back_currency"),
        *_required(BigInteger, "back_minor"),
        *_required(SmallInteger, "priority", "crossing"),
        *_required(NUMBER, "message", "back_message", "original"),
        *_required(BigInteger, "from_ns", "until_ns", "at_ns", "booked_ns", "answered_ns"),
        *_required(Text, "reason"),
        _state("unmatched", "valid", "cleared", "queued", "decided", "booked", "refused", "cancelled", "returned"),
    )
    _partial("clearing_payments_open", "clearing_payments", ["state", "number"],
             "state IN ('unmatched', 'valid', 'cleared', 'queued', 'decided')")  # fmt: skip
    _partial("clearing_payments_answers", "clearing_payments", ["number"], "answered_ns = 0")
    _partial("clearing_payments_original", "clearing_payments", ["original"], "original > 0")
    op.create_table(
        "clearing_permits",
        Column("payment", NUMBER, primary_key=True, autoincrement=False),
        *_required(Text, "flow", "facts"),
        *_required(Text, "digest", "network", "library", "until_day"),
    )


def _sets() -> None:
    op.create_table(
        "clearing_sets",
        Column("id", ID, primary_key=True),
        _chosen("kind", "gross", "net"),
        *_required(ID, "first"),
        *_required(NUMBER, "batch"),
        *_required(BigInteger, "payments", "records", "total_minor", "frame", "decided_ns", "ended_ns"),
        *_required(Text, "reason"),
        _state("booking", "done", "discarded"),
        *_required(ID, "who"),
    )
    _partial("clearing_sets_unfinished", "clearing_sets", ["id"], "ended_ns = 0")
    op.create_table(
        "clearing_members",
        Column("payment", NUMBER, primary_key=True, autoincrement=False),
        *_required(ID, "set_id"),
        *_required(BigInteger, "place"),
    )
    op.create_index("clearing_members_set", "clearing_members", ["set_id", "place"])
    op.create_table(
        "clearing_draws",
        Column("set_id", ID, primary_key=True),
        Column("participant", Integer, primary_key=True),
        Column("currency", Integer, primary_key=True),
        *_required(BigInteger, "minor"),
    )
    op.create_table(
        "clearing_flows",
        Column("set_id", ID, primary_key=True),
        Column("sender", Integer, primary_key=True),
        Column("receiver", Integer, primary_key=True),
        Column("currency", Integer, primary_key=True),
        *_required(BigInteger, "minor", "at_ns"),
    )
    op.create_index("clearing_flows_time", "clearing_flows", ["at_ns"])
    op.create_table(
        "clearing_certificates",
        Column("set_id", ID, primary_key=True),
        *_required(DIGEST, "digest"),
        *_required(LargeBinary, "header", "rows"),
        *_required(BigInteger, "at_ns"),
    )


def _required(type_: Any, *names: str) -> list[Column[Any]]:
    return [Column(name, type_, nullable=False) for name in names]


def _state(*states: str) -> Column[str]:
    return _chosen("state", *states)


def _chosen(name: str, *values: str) -> Column[str]:
    shown = ", ".join(f"'{value}'" for value in values)
    return Column(name, Text, CheckConstraint(f"{name} IN ({shown})"), nullable=False)


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sqlalchemy.text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)
