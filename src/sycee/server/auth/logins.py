"""Logins of persons: passkeys and links to provider's subjects, with their origin, and the browsers that use them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, TypeAlias

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.database.columns import ID_BYTES
from sycee.server.auth.tables import FIRST_USES, OIDC_LINKS, PASSKEYS, SESSIONS

PASSKEY: Final = "passkey"
OIDC: Final = "oidc"
BROWSER_CHARACTERS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Origin:
    """How a login came to be.

    - `invitation`, `inviter`: by which staff let it be made; 0 for a login without staff. A login that its person adds
      in a session has the origin of the session's login.
    - `masked_until_ns`: until then personal data is shown masked, in case that somebody else used the invitation.
    """

    invitation: int = 0
    inviter: int = 0
    masked_until_ns: int = 0


@dataclass(frozen=True, slots=True)
class Login:
    """A passkey, or a link to a provider's subject. `method`: PASSKEY or OIDC."""

    id: int
    person: int
    method: str
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True)
class Visitor:
    """The browser of a request.

    `address`: its network address; `browser`: how it names itself; `device`: its random cookie, "" for none.
    """

    address: str = ""
    browser: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """A session of a person in a browser. `address` and `browser`: at the login."""

    id: int
    login: Login
    address: str
    browser: str
    made_ns: int
    used_ns: int
    until_ns: int


Begin: TypeAlias = "Callable[[Connection, Login], str]"  # stores a session under a login, and returns its cookie


def passkey_id(credential: bytes) -> int:
    """Return the id under which a passkey is listed and removed."""
    return _id(credential)


def link_id(issuer: str, subject: str) -> int:
    """Return the id under which the link to a provider's subject is listed and removed."""
    return _id(f"{issuer}\0{subject}".encode())


def had_login(connection: Connection, person: int) -> bool:
    """Return whether a person has, or had, a passkey or a link to a provider's subject.

    A login that ended counts: otherwise one person of the staff could end the logins, and invite again.
    """
    return any(
        connection.scalar(sqlalchemy.select(table.c.person).where(table.c.person == person).limit(1)) is not None
        for table in (PASSKEYS, OIDC_LINKS, FIRST_USES)
    )


def login_count(connection: Connection, person: int) -> int:
    """Return the number of passkeys and links of a person."""
    return sum(
        connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).where(table.c.person == person)) or 0
        for table in (PASSKEYS, OIDC_LINKS)
    )


def login_origin(connection: Connection, person: int, login: int) -> Origin | None:
    """Return the origin of a login of a person, None if there is no such login any more."""
    for row in connection.execute(sqlalchemy.select(PASSKEYS).where(PASSKEYS.c.person == person)):
        if passkey_id(row.credential) == login:
            return origin_of(row)
    for row in connection.execute(sqlalchemy.select(OIDC_LINKS).where(OIDC_LINKS.c.person == person)):
        if link_id(row.issuer, row.subject) == login:
            return origin_of(row)
    return None


def end_logins(connection: Connection, person: int) -> None:
    """Remove the sessions, passkeys and links of a person."""
    for table in (SESSIONS, PASSKEYS, OIDC_LINKS):
        connection.execute(table.delete().where(table.c.person == person))


def origin_columns(origin: Origin) -> dict[str, int]:
    """Return the columns of an origin, which passkeys, links and sessions have."""
    return {
        "invitation": origin.invitation,
        "inviter": origin.inviter,
        "masked_until_ns": origin.masked_until_ns,
    }


def origin_of(row: sqlalchemy.Row[Any]) -> Origin:
    """Return the origin in a row of passkeys, links or sessions."""
    return Origin(row.invitation, row.inviter, row.masked_until_ns)


def _id(name: bytes) -> int:
    return int.from_bytes(sha256(name).digest()[:ID_BYTES], "big")
