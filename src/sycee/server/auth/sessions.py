"""Sessions of persons in browsers: a random cookie, whose digest is stored.

The cookie is HttpOnly and SameSite=Strict. A request with it must come from a page of this server: browsers state the
origin of each request that could change something, and such a request without an origin is refused too.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final, Literal, TypeAlias

import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.core import ids
from sycee.core.clock import Clock, read_ns
from sycee.core.errors import NotFound
from sycee.core.extras import extra
from sycee.database.stores import Stores
from sycee.database.transactions import Also, reading, write
from sycee.identity.people import People
from sycee.identity.tables import ACTIVE
from sycee.server.auth.logins import BROWSER_CHARACTERS_MAX, Login, Session, Visitor, origin_columns, origin_of
from sycee.server.auth.places import Places
from sycee.server.auth.refusals import ForeignOrigin, NotAuthenticated
from sycee.server.auth.settings import MINUTE_NS, AuthSettings
from sycee.server.auth.tables import SESSIONS

with extra("bank"):
    from starlette.responses import Response

SameSite: TypeAlias = Literal["strict", "lax"]
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_TOKEN_BYTES: Final = 32
_DEVICE_BYTES: Final = 16
_DEVICE: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_DEVICE_AGE_S: Final = 400 * 86_400  # the longest that browsers keep a cookie
_TOKEN_CHARACTERS_MAX: Final = 64


class Sessions:
    """Sessions in the bank's database."""

    def __init__(self, stores: Stores, people: People, places: Places, settings: AuthSettings, clock: Clock) -> None:
        self._engine = stores.engine
        self._people = people
        self._places = places
        self._settings = settings
        self._clock = clock

    @property
    def cookie_name(self) -> str:
        """Return the name of the cookie: browsers accept the prefix __Host- over TLS only."""
        return "__Host-sycee" if self._settings.secure else "sycee"

    @property
    def device_cookie(self) -> str:
        """Return the name of the cookie by which a browser is recognised, also after a session."""
        return f"{self.cookie_name}-device"

    def begin(
        self, connection: Connection, login: Login, visitor: Visitor = Visitor(), *, replaces: str = ""  # noqa: B008 - frozen
    ) -> str:  # fmt: skip
        """Store a new session in the caller's transaction, remove ended ones, and return the cookie's value.

        `replaces`: the cookie's value before, whose session ends (OWASP ASVS 5, 7.2.4).
        """
        now_ns = read_ns(self._clock)
        earliest_ns = now_ns - self._settings.session_idle_ns
        ended = (SESSIONS.c.until_ns <= now_ns) | (SESSIONS.c.used_ns <= earliest_ns)
        connection.execute(SESSIONS.delete().where(ended))
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        row = {
            "token": _digest(token),
            "id": ids.new(now_ns // 10**6),
            "person": login.person,
            "login": login.id,
            "method": login.method,
            "address": visitor.address,
            "browser": shown_browser(visitor.browser),
            **origin_columns(login.origin),
            "made_ns": now_ns,
            "used_ns": now_ns,
            "until_ns": now_ns + self._settings.session_ns,
        }
        connection.execute(SESSIONS.delete().where(SESSIONS.c.token == _digest(replaces)))
        connection.execute(SESSIONS.insert().values(row))
        self._places.noted(login.person, visitor)(connection)
        return token

    def find(self, token: str, visitor: Visitor | None = None) -> Session:
        """Return a session. Raises NotAuthenticated if it has ended, or there is none.

        `visitor`: who uses it now; None for a check that does not keep an idle session alive.
        """
        if not 0 < len(token) <= _TOKEN_CHARACTERS_MAX:
            raise NotAuthenticated("")
        now_ns = read_ns(self._clock)
        chosen = SESSIONS.c.token == _digest(token)
        with reading(self._engine) as connection:
            row = connection.execute(sqlalchemy.select(SESSIONS).where(chosen)).one_or_none()
        if row is None or self._has_ended(row, now_ns) or self._people.state_of(row.person) != ACTIVE:
            raise NotAuthenticated("")
        if visitor is not None and now_ns >= row.used_ns + MINUTE_NS:  # one write a minute, not one a request
            used, noted = (
                SESSIONS.update().where(chosen).values(used_ns=now_ns),
                self._places.noted(row.person, visitor),
            )

            def work(connection: Connection) -> None:
                connection.execute(used)
                noted(connection)

            write(self._engine, work)
        return _session(row)

    def of_person(self, person: int) -> list[Session]:
        """Return the sessions of a person that have not ended, newest first."""
        now_ns = read_ns(self._clock)
        query = sqlalchemy.select(SESSIONS).where(SESSIONS.c.person == person).order_by(SESSIONS.c.id.desc())
        with reading(self._engine) as connection:
            return [_session(row) for row in connection.execute(query) if not self._has_ended(row, now_ns)]

    def end_one(self, person: int, session: int, *, also: Also) -> None:
        """End a session of a person, by its id. Raises NotFound if the person has no such session."""
        ended = SESSIONS.delete().where(SESSIONS.c.id == session, SESSIONS.c.person == person)

        def work(connection: Connection) -> None:
            if not connection.execute(ended).rowcount:
                raise NotFound("you have no such session", hint="list your sessions again")
            also(connection)

        write(self._engine, work)

    def end_others(self, person: int, session: int, *, also: Callable[[Connection, int], None]) -> int:
        """End all sessions of a person but one; return their number, which `also` gets too."""
        ended = SESSIONS.delete().where(SESSIONS.c.person == person, SESSIONS.c.id != session)

        def work(connection: Connection) -> int:
            count: int = connection.execute(ended).rowcount
            also(connection, count)
            return count

        return write(self._engine, work)

    def end(self, token: str) -> None:
        """End a session. A token without a session changes nothing."""
        ended = SESSIONS.delete().where(SESSIONS.c.token == _digest(token))
        write(self._engine, lambda connection: connection.execute(ended))

    def _has_ended(self, row: Row[Any], now_ns: int) -> bool:
        return now_ns >= int(row.until_ns) or now_ns >= int(row.used_ns) + self._settings.session_idle_ns

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

    def device_in(self, cookies: Mapping[str, str]) -> str:
        """Return the value by which a browser is recognised, "" for an unknown one."""
        value = cookies.get(self.device_cookie, "")
        return value if _DEVICE.fullmatch(value) else ""

    @staticmethod
    def new_device() -> str:
        """Return a value by which a browser can be recognised."""
        return secrets.token_urlsafe(_DEVICE_BYTES)

    def set_device(self, response: Response, device: str) -> None:
        """Add the cookie by which a browser is recognised to a response."""
        set_cookie(response, self.device_cookie, device, age_s=_DEVICE_AGE_S, secure=self._settings.secure)

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


def shown_browser(name: str) -> str:
    """Return how a browser names itself, in printable ASCII and shortened: anybody can send anything."""
    return "".join(each for each in name if " " <= each <= "~")[:BROWSER_CHARACTERS_MAX]


def _session(row: Row[Any]) -> Session:
    login = Login(row.login, row.person, row.method, origin_of(row))
    return Session(row.id, login, row.address, row.browser, row.made_ns, row.used_ns, row.until_ns)
