"""Codes in two halves, recoveries, sessions with their browser, first uses of logins, and notices about them.

Sessions end: earlier rows have no login. Unused codes are revoked: whoever issued one has read the whole code.
"""

from __future__ import annotations

from hashlib import sha256

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
    _known_logins()
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


def _known_logins() -> None:
    """Store a first use of each login that exists, without its place: who has a login is not invited again."""
    connection = op.get_bind()
    passkeys = connection.execute(text("SELECT * FROM server_passkeys"))
    links = connection.execute(text("SELECT * FROM server_oidc_links"))
    names = [
        *((bytes(row.credential), "passkey", row) for row in passkeys),
        *((f"{row.issuer}\0{row.subject}".encode(), "oidc", row) for row in links),
    ]
    insert = text(
        "INSERT INTO server_first_uses (login, person, method, invitation, inviter, at_ns, address, device) "
        "VALUES (:login, :person, :method, :invitation, :inviter, :at_ns, '', '')"
    )
    for name, method, row in names:
        values = {"login": sha256(name).digest()[:16], "person": row.person, "method": method}
        values |= {"invitation": row.invitation, "inviter": row.inviter, "at_ns": row.made_ns}
        connection.execute(insert, values)
