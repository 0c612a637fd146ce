"""Sessions of persons in browsers: a random cookie, whose digest is stored.

The cookie is HttpOnly and SameSite=Strict. A request with it must come from a page of this server: browsers state the
origin of each request that could change something, and such a request without an origin is refused too.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from hashlib import sha256
from typing import Final, Literal, TypeAlias

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core.clock import Clock, read_ns
from sycee.core.extras import extra
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.identity.people import People
from sycee.identity.tables import ACTIVE
from sycee.server.auth.refusals import ForeignOrigin, NotAuthenticated
from sycee.server.auth.settings import MINUTE_NS, AuthSettings
from sycee.server.auth.tables import SESSIONS

with extra("server"):
    from starlette.responses import Response

SameSite: TypeAlias = Literal["strict", "lax"]
PASSKEY: Final = "passkey"
OIDC: Final = "oidc"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_TOKEN_BYTES: Final = 32
_TOKEN_CHARACTERS_MAX: Final = 64


class Sessions:
    """Sessions in the bank's database."""

    def __init__(self, stores: Stores, people: People, settings: AuthSettings, clock: Clock) -> None:
        self._engine = stores.engine
        self._people = people
        self._settings = settings
        self._clock = clock

    @property
    def cookie_name(self) -> str:
        """Return the name of the cookie: browsers accept the prefix __Host- over TLS only."""
        return "__Host-sycee" if self._settings.secure else "sycee"

    def begin(self, connection: Connection, person: int, method: str) -> str:
        """Store a new session in the caller's transaction, remove ended ones, and return the cookie's value."""
        now_ns = read_ns(self._clock)
        earliest_ns = now_ns - self._settings.session_idle_ns
        ended = (SESSIONS.c.until_ns <= now_ns) | (SESSIONS.c.used_ns <= earliest_ns)
        connection.execute(SESSIONS.delete().where(ended))
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        row = {
            "token": _digest(token),
            "person": person,
            "method": method,
            "made_ns": now_ns,
            "used_ns": now_ns,
            "until_ns": now_ns + self._settings.session_ns,
        }
        connection.execute(SESSIONS.insert().values(row))
        return token

    def person_of(self, token: str, *, is_use: bool = True) -> int:
        """Return the person of a session. Raises NotAuthenticated if it has ended, or there is none.

        `is_use`: False for a check that does not keep an idle session alive.
        """
        if not 0 < len(token) <= _TOKEN_CHARACTERS_MAX:
            raise NotAuthenticated("")
        now_ns = read_ns(self._clock)
        chosen = SESSIONS.c.token == _digest(token)
        with reading(self._engine) as connection:
            row = connection.execute(sqlalchemy.select(SESSIONS).where(chosen)).one_or_none()
        if row is None or now_ns >= row.until_ns or now_ns >= row.used_ns + self._settings.session_idle_ns:
            raise NotAuthenticated("")
        if self._people.state_of(row.person) != ACTIVE:
            raise NotAuthenticated("")
        if is_use and now_ns >= row.used_ns + MINUTE_NS:  # one write a minute, not one a request
            used = SESSIONS.update().where(chosen).values(used_ns=now_ns)
            write(self._engine, lambda connection: connection.execute(used))
        return int(row.person)

    def end(self, token: str) -> None:
        """End a session. A token without a session changes nothing."""
        ended = SESSIONS.delete().where(SESSIONS.c.token == _digest(token))
        write(self._engine, lambda connection: connection.execute(ended))

    # --- HTTP ---

    def token_in(self, cookies: Mapping[str, str]) -> str:
        """Return the value of the session's cookie, "" for none."""
        return cookies.get(self.cookie_name, "")

    def require_own_origin(self, method: str, headers: Mapping[str, str]) -> None:
        """Raise ForeignOrigin unless a request with a session comes from a page of this server."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is None:
            if method not in SAFE_METHODS:
                raise ForeignOrigin
        elif origin != self._settings.public_url:
            raise ForeignOrigin
        if site not in (None, "same-origin", "none"):
            raise ForeignOrigin

    def set_cookie(self, response: Response, token: str) -> None:
        """Add the cookie that begins a session to a response; for "" the one that ends it."""
        age_s = self._settings.session_ns // 10**9 if token else 0
        set_cookie(response, self.cookie_name, token, age_s=age_s, secure=self._settings.secure)

    def ended_cookie(self) -> str:
        """Return the header Set-Cookie that removes the session's cookie."""
        response = Response()
        self.set_cookie(response, "")
        return response.headers["set-cookie"]


def set_cookie(
    response: Response, name: str, value: str, *, age_s: int, secure: bool, samesite: SameSite = "strict"
) -> None:
    """Add a cookie for all paths of this host that no script can read."""
    response.set_cookie(name, value, max_age=age_s, path="/", secure=secure, httponly=True, samesite=samesite)


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
