"""Codes in two halves, recoveries, sessions with their browser, first uses of logins, and notices about them.

Sessions end: earlier rows have no login. Unused codes are revoked: whoever issued one has read the whole code.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Text, text

revision = "0004"
down_revision = "0003"

ID = LargeBinary(16)
NS = BigInteger()
DIGEST = String(64)


def upgrade() -> None:
    """Add the columns and create the tables."""
    zero = "'\\x" if op.get_bind().dialect.name == "postgresql" else "x'"
    nobody = text(f"{zero}{32 * '0'}'")
    op.add_column("server_invitations", Column("from_ns", NS, nullable=False, server_default="0"))
    op.add_column("server_invitations", Column("login", ID))
    op.add_column("server_invitations", Column("recovery", ID))
    op.execute(
        "UPDATE server_invitations SET revoked_ns = made_ns, revoked_by = made_by "
        "WHERE used_ns IS NULL AND revoked_ns IS NULL"
    )
    op.add_column("server_passkeys", Column("name", Text, nullable=False, server_default=""))
    for table in ("server_passkeys", "server_oidc_links"):
        op.add_column(table, Column("inviter", ID, nullable=False, server_default=nobody))
        op.add_column(table, Column("masked_until_ns", NS, nullable=False, server_default="0"))
        made_by = f"FROM server_invitations AS i WHERE i.id = {table}.invitation"
        changed = f"UPDATE {table} SET inviter = (SELECT made_by {made_by}) WHERE EXISTS (SELECT 1 {made_by})"  # noqa: S608 - names above
        op.execute(changed)
    op.drop_table("server_sessions")
    op.create_table(
        "server_sessions",
        Column("token", DIGEST, primary_key=True),
        Column("id", ID, nullable=False, unique=True),
        Column("person", ID, nullable=False, index=True),
        Column("login", ID, nullable=False),
        Column("method", Text, nullable=False),
        Column("address", Text, nullable=False),
        Column("browser", Text, nullable=False),
        Column("invitation", ID, nullable=False),
        Column("inviter", ID, nullable=False),
        Column("masked_until_ns", NS, nullable=False),
        Column("made_ns", NS, nullable=False),
        Column("used_ns", NS, nullable=False),
        Column("until_ns", NS, nullable=False, index=True),
    )
    op.create_table(
        "server_recoveries",
        Column("id", ID, primary_key=True),
        Column("person", ID, nullable=False, index=True),
        Column("letter", Integer, nullable=False),
        Column("made_ns", NS, nullable=False),
        Column("from_ns", NS, nullable=False),
        Column("until_ns", NS, nullable=False),
        Column("used_ns", NS),
    )
    op.create_table(
        "server_first_uses",
        Column("login", ID, primary_key=True),
        Column("person", ID, nullable=False, index=True),
        Column("method", Text, nullable=False),
        Column("invitation", ID, nullable=False),
        Column("inviter", ID, nullable=False),
        Column("at_ns", NS, nullable=False, index=True),
        Column("address", DIGEST, nullable=False),
        Column("device", DIGEST, nullable=False),
        Column("near", ID),
        Column("near_by", Text),
    )
    op.create_table(
        "server_staff_places",
        Column("place", DIGEST, primary_key=True),
        Column("person", ID, primary_key=True),
        Column("at_ns", NS, nullable=False, index=True),
    )
    op.create_table(
        "server_login_notices",
        Column("id", ID, primary_key=True),
        Column("person", ID, nullable=False, index=True),
        Column("text", Text, nullable=False),
        Column("login", ID, nullable=False),
        Column("by", ID, nullable=False),
        Column("at_ns", NS, nullable=False),
        Column("answered_ns", NS),
        Column("was_me", Integer),
    )
