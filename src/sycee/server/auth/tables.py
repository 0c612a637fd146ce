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
# `code`: digest of both halves of the code; it can be used once, from `from_ns` until `until_ns`. `login`: in
# whose session a code for another device was made. `recovery`: of `RECOVERIES`.
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
    *required(NS, "from_ns"),
    Column("login", Id128),
    Column("recovery", Id128),
)
# A recovery that two persons approved: the person gets another login from `from_ns` on, although there is one.
# `letter`: the second half of the code may be printed. `used_ns`: the time of that login.
RECOVERIES: Final = Table(
    "server_recoveries",
    METADATA,
    Column("id", Id128, primary_key=True),
    Column("person", Id128, nullable=False, index=True),
    *required(Integer, "letter"),
    *required(NS, "made_ns", "from_ns", "until_ns"),
    Column("used_ns", NS),
)


def _origin() -> tuple[Column[int], ...]:
    """Return the columns of `logins.Origin`."""
    return (*required(Id128, "invitation", "inviter"), *required(NS, "masked_until_ns"))


# `public_key`: COSE_Key, as the authenticator sent it. `name`: by the person.
PASSKEYS: Final = Table(
    "server_passkeys",
    METADATA,
    Column("credential", LargeBinary(CREDENTIAL_BYTES_MAX), primary_key=True),
    Column("person", Id128, nullable=False, index=True),
    *required(Text, "name"),
    *required(LargeBinary, "public_key"),
    *required(BigInteger, "sign_count"),
    *_origin(),
    *required(NS, "made_ns"),
    Column("used_ns", NS),
)
OIDC_LINKS: Final = Table(
    "server_oidc_links",
    METADATA,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("person", Id128, nullable=False, index=True),
    *_origin(),
    *required(NS, "made_ns"),
    Column("used_ns", NS),
)
# `token`: digest of the cookie. `login`: id of the passkey or link. `address`, `browser`: at the login. `used_ns`: the
# last use, to the minute.
SESSIONS: Final = Table(
    "server_sessions",
    METADATA,
    Column("token", DIGEST, primary_key=True),
    Column("id", Id128, nullable=False, unique=True),
    Column("person", Id128, nullable=False, index=True),
    *required(Id128, "login"),
    *required(Text, "method", "address", "browser"),
    *_origin(),
    *required(NS, "made_ns", "used_ns"),
    Column("until_ns", NS, nullable=False, index=True),
)
# The first use of each login. `address`, `device`: keyed hashes. `near`: a person of the staff whose session had the
# same address or device within a day, and `near_by` which of the two.
FIRST_USES: Final = Table(
    "server_first_uses",
    METADATA,
    Column("login", Id128, primary_key=True),
    Column("person", Id128, nullable=False, index=True),
    *required(Text, "method"),
    *required(Id128, "invitation", "inviter"),
    Column("at_ns", NS, nullable=False, index=True),
    *required(DIGEST, "address", "device"),
    Column("near", Id128),
    Column("near_by", Text),
)
# Addresses and devices of the staff's sessions, as keyed hashes, with the last use to the minute.
STAFF_PLACES: Final = Table(
    "server_staff_places",
    METADATA,
    Column("place", DIGEST, primary_key=True),
    Column("person", Id128, primary_key=True),
    Column("at_ns", NS, nullable=False, index=True),
)
# What a person is told at the next login. `text`: a code of `sycee.life.notices`. `login`: the login concerned, 0 for
# none. `was_me`: the answer, 1 or 0.
LOGIN_NOTICES: Final = Table(
    "server_login_notices",
    METADATA,
    Column("id", Id128, primary_key=True),
    Column("person", Id128, nullable=False, index=True),
    *required(Text, "text"),
    *required(Id128, "login", "by"),
    *required(NS, "at_ns"),
    Column("answered_ns", NS),
    Column("was_me", Integer),
)
