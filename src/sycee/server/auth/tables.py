"""SQL tables of authentication: clients, invitations, passkeys, links to OIDC subjects, sessions.

Secrets are stored as digests only. Times are of the machine's clock, because browsers and clients use theirs.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table, Text

from sycee.database.columns import DIGEST, NS, Id128, required
from sycee.server.metadata import METADATA

CREDENTIAL_BYTES_MAX: Final = 1_023  # Web Authentication, section 5.1: the longest credential id

# `operator`: number of the operator for which the client acts; None for duties without one. `public_key`: text of
# sycee.core.keys.PublicKey. `thumbprint`: of RFC 7638, unique, so that a revoked key is never registered again.
CLIENTS: Final = Table(
    "server_clients",
    METADATA,
    Column("id", Id128, primary_key=True),
    Column("person", Id128, nullable=False, index=True),
    Column("operator", Integer),
    *required(Text, "name", "public_key"),
    Column("thumbprint", String(43), nullable=False, unique=True),
    *required(Text, "scopes"),
    *required(NS, "made_ns"),
    *required(Id128, "made_by"),
    Column("revoked_ns", NS),
    Column("revoked_by", Id128),
)
# `code`: digest of the code that the person receives; it can be used once, until `until_ns`.
INVITATIONS: Final = Table(
    "server_invitations",
    METADATA,
    Column("id", Id128, primary_key=True),
    Column("person", Id128, nullable=False, index=True),
    Column("code", DIGEST, nullable=False, unique=True),
    *required(NS, "made_ns", "until_ns"),
    *required(Id128, "made_by"),
    Column("used_ns", NS),
    Column("revoked_ns", NS),
    Column("revoked_by", Id128),
)
# `public_key`: COSE_Key, as the authenticator sent it.
PASSKEYS: Final = Table(
    "server_passkeys",
    METADATA,
    Column("credential", LargeBinary(CREDENTIAL_BYTES_MAX), primary_key=True),
    Column("person", Id128, nullable=False, index=True),
    *required(LargeBinary, "public_key"),
    *required(BigInteger, "sign_count"),
    *required(Id128, "invitation"),
    *required(NS, "made_ns"),
    Column("used_ns", NS),
)
OIDC_LINKS: Final = Table(
    "server_oidc_links",
    METADATA,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("person", Id128, nullable=False, index=True),
    *required(Id128, "invitation"),
    *required(NS, "made_ns"),
    Column("used_ns", NS),
)
# `token`: digest of the cookie. `used_ns`: the last use, to the minute.
SESSIONS: Final = Table(
    "server_sessions",
    METADATA,
    Column("token", DIGEST, primary_key=True),
    Column("person", Id128, nullable=False, index=True),
    *required(Text, "method"),
    *required(NS, "made_ns", "used_ns"),
    Column("until_ns", NS, nullable=False, index=True),
)
