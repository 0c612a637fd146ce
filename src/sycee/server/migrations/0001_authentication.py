"""Tables of authentication."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Text

revision = "0001"
down_revision = None

ID = LargeBinary(16)
NS = BigInteger()
DIGEST = String(64)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "server_clients",
        Column("id", ID, primary_key=True),
        Column("person", ID, nullable=False, index=True),
        Column("operator", Integer),
        Column("name", Text, nullable=False),
        Column("public_key", Text, nullable=False),
        Column("thumbprint", String(43), nullable=False, unique=True),
        Column("scopes", Text, nullable=False),
        Column("made_ns", NS, nullable=False),
        Column("made_by", ID, nullable=False),
        Column("revoked_ns", NS),
        Column("revoked_by", ID),
    )
    op.create_table(
        "server_invitations",
        Column("id", ID, primary_key=True),
        Column("person", ID, nullable=False, index=True),
        Column("code", DIGEST, nullable=False, unique=True),
        Column("made_ns", NS, nullable=False),
        Column("until_ns", NS, nullable=False),
        Column("made_by", ID, nullable=False),
        Column("used_ns", NS),
        Column("revoked_ns", NS),
        Column("revoked_by", ID),
    )
    op.create_table(
        "server_passkeys",
        Column("credential", LargeBinary(1023), primary_key=True),
        Column("person", ID, nullable=False, index=True),
        Column("public_key", LargeBinary, nullable=False),
        Column("sign_count", BigInteger, nullable=False),
        Column("invitation", ID, nullable=False),
        Column("made_ns", NS, nullable=False),
        Column("used_ns", NS),
    )
    op.create_table(
        "server_oidc_links",
        Column("issuer", Text, primary_key=True),
        Column("subject", Text, primary_key=True),
        Column("person", ID, nullable=False, index=True),
        Column("invitation", ID, nullable=False),
        Column("made_ns", NS, nullable=False),
        Column("used_ns", NS),
    )
    op.create_table(
        "server_sessions",
        Column("token", DIGEST, primary_key=True),
        Column("person", ID, nullable=False, index=True),
        Column("method", Text, nullable=False),
        Column("made_ns", NS, nullable=False),
        Column("used_ns", NS, nullable=False),
        Column("until_ns", NS, nullable=False, index=True),
    )
