"""Everything that authenticates the senders of one server's requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.engine import Connection

from sycee.bank.bank import Bank
from sycee.core.clock import Clock, RealClock, read_ns
from sycee.database.transactions import write
from sycee.identity.tables import PERSONS, SHREDDED
from sycee.server.auth import oidc
from sycee.server.auth.caller import SCOPES, WRITE, Caller, CallerKind
from sycee.server.auth.dpop import Proofs
from sycee.server.auth.logins import Begin, Login, Session, Visitor
from sycee.server.auth.oidc import OpenId
from sycee.server.auth.passkeys import Passkeys
from sycee.server.auth.rate_limits import Limiter, token_name
from sycee.server.auth.refusals import LoginTooOld, NotAuthenticated, ScopeMissing
from sycee.server.auth.registers import Registers
from sycee.server.auth.sessions import SAFE_METHODS, Sessions
from sycee.server.auth.settings import MINUTE_NS, AuthSettings
from sycee.server.auth.tables import CLIENTS, OIDC_LINKS, PASSKEYS, SESSIONS
from sycee.server.auth.tokens import Tokens
from sycee.server.payments.senders import network_of

Run = Callable[..., Awaitable[Any]]
FRESH_NS: Final = 10 * MINUTE_NS  # age of a session in which a person may change logins (OWASP ASVS 5, 7.5.1)
_SCHEME: Final = "dpop"


class Authentication:
    """Clients, tokens, invitations, passkeys, providers, sessions and rate limits of a bank."""

    def __init__(self, bank: Bank, settings: AuthSettings, clock: Clock | None = None) -> None:
        clock = clock or RealClock()
        oidc.require_names(settings.providers)
        stores, people = bank.stores, bank.people
        self._bank = bank
        self._clock = clock
        self.settings = settings
        # Persons who were shredded before this start, for example by a restore, have no login.
        write(stores.engine, lambda connection: _forget_shredded(connection, read_ns(clock)))
        registers = Registers(bank, settings, clock)
        self.told, self.clients, self.invitations = registers.told, registers.clients, registers.invitations
        self.recoveries, self.places = registers.recoveries, registers.places
        self.proofs = Proofs(clock, nonce_required=settings.dpop_nonce)
        self.tokens = Tokens(self.clients, self.proofs, settings.public_url, clock)
        self.sessions = Sessions(stores, people, self.places, settings, clock)
        self.passkeys = Passkeys(stores, people, self.invitations, self.told, settings, clock)
        self.openid = OpenId(stores, people, self.invitations, self.told, settings, clock)
        self._requests = Limiter(settings.requests_per_address, clock)
        self._tokens = Limiter(settings.requests_per_token, clock)
        self._failures = Limiter(settings.failures_per_address, clock)
        self._lookups = Limiter(settings.lookups_per_address, clock)
        bank.personal.on_shred.append(self._forget)
        bank.life.on_new_key.append(self.told.new_key)

    def admit(self, address: str) -> None:
        """Count a request of an address. Raises TooManyRequests; it precedes every check of a signature."""
        sender = network_of(address)
        self._failures.require(sender)
        self._requests.count(sender)

    def count_lookup(self, address: str) -> None:
        """Count a look-up of an alias by an address. Raises TooManyRequests; it precedes the look-up."""
        self._lookups.count(network_of(address))

    @contextmanager
    def counting(self, address: str) -> Iterator[None]:
        """Count a failure in this block against the address that sent the request."""
        try:
            yield
        except NotAuthenticated as error:
            if error.code != "use_dpop_nonce":  # a part of the protocol, and no failure
                self._failures.add(network_of(address))
            raise

    async def caller(
        self,
        *,
        method: str,
        path: str,
        authorization: Sequence[str],
        proofs: Sequence[str],
        cookies: Mapping[str, str],
        headers: Mapping[str, str],
        visitor: Visitor,
        run: Run,
    ) -> Caller:
        """Return the caller of a request that was admitted. `run` runs a function on a thread of the services.

        Raises NotAuthenticated, ForeignOrigin, ScopeMissing, TooManyRequests.
        """
        address = visitor.address
        if authorization:
            with self.counting(address):
                return self._machine(method, path, authorization, proofs, address)
        token = self.sessions.token_in(cookies)
        if not token:
            return Caller(CallerKind.ANONYMOUS, address)
        self.sessions.require_own_origin(method, headers)
        # Not counted as a failure: browsers send the cookie of a session that has ended, and nobody guesses 256 bits.
        try:
            session: Session = await run(self.sessions.find, token, visitor)
        except NotAuthenticated as error:
            raise NotAuthenticated("", cookie=self.sessions.ended_cookie()) from error
        return self.caller_in(session, address)

    def caller_in(self, session: Session, address: str) -> Caller:
        """Return the person who sends a request in a session."""
        is_masked = read_ns(self._clock) < session.login.origin.masked_until_ns
        return Caller(
            CallerKind.PERSON, address, session.login.person, scopes=frozenset(SCOPES), session=session,
            is_masked=is_masked,
        )  # fmt: skip

    def require_still(self, caller: Caller, cookies: Mapping[str, str]) -> None:
        """Raise NotAuthenticated if the caller of a long answer lost access since its request.

        It is no use of a session, which would otherwise not become idle while the answer lasts.
        """
        if caller.kind is CallerKind.PERSON:
            self.sessions.find(self.sessions.token_in(cookies))
        elif self.clients.active(caller.client) is None:
            raise NotAuthenticated

    def require_fresh(self, session: Session) -> None:
        """Raise LoginTooOld unless a session began in the last FRESH_NS: its browser may be left alone since."""
        if read_ns(self._clock) >= session.made_ns + FRESH_NS:
            raise LoginTooOld

    def begin(self, visitor: Visitor, replaces: str = "") -> Begin:
        """Return a write that begins a session under a login in a browser, and stores the first use of the login.

        `replaces`: the cookie's value before, whose session ends.
        """

        def begun(connection: Connection, login: Login) -> str:
            if not self.places.is_known(connection, login.id):
                self.places.first_use(connection, login, visitor)
            return self.sessions.begin(connection, login, visitor, replaces=replaces)

        return begun

    def answer(self, notice: int, session: Session, *, was_me: bool, also: Callable[[Connection, int], None]) -> int:
        """Store a person's answer to a notice. Return the number of the case that "this was not me" opens, else 0.

        That answer ends all sessions, logins, codes, recoveries and programs of the person. `also` gets the number, in
        the transaction of the change. Errors as `Told.confirm`.
        """
        person, engine = session.login.person, self._bank.stores.engine
        if was_me:

            def confirm(connection: Connection) -> None:
                self.told.confirm(connection, notice, person, session.login.id)
                also(connection, 0)

            write(engine, confirm)
            return 0
        self.told.require(notice, person)
        # The case first: after a crash in between the person can answer again, and the case is the same.
        kind = self._bank.cases.rules.foreign_login
        case = self._bank.cases.open(kind, by=person, person=person, id=notice) if kind else 0

        def work(connection: Connection) -> None:
            self.told.deny(connection, person)
            self.clients.forget(connection, person)
            self.invitations.forget(connection, person, by=person)
            also(connection, case)

        write(engine, work)
        return case

    def _machine(
        self, method: str, path: str, authorization: Sequence[str], proofs: Sequence[str], address: str
    ) -> Caller:
        scheme, _, token = authorization[0].partition(" ")
        if len(authorization) != 1 or len(proofs) != 1 or scheme.lower() != _SCHEME:
            raise NotAuthenticated  # Bearer, for example: a token without a proof is no credential
        self._tokens.count(token_name(token))
        found = self.tokens.verify(
            token, proofs[0], method=method, url=self.settings.public_url + path, address=address
        )
        if method not in SAFE_METHODS and not found.may(WRITE):
            raise ScopeMissing
        return found

    def _forget(self, connection: Connection, person: int) -> None:
        self.clients.forget(connection, person)
        self.invitations.forget(connection, person)
        self.places.forget(connection, person)
        self.told.forget(connection, person)


def _forget_shredded(connection: Connection, now_ns: int) -> None:
    shredded = select(PERSONS.c.id).where(PERSONS.c.state == SHREDDED)
    for table in (SESSIONS, PASSKEYS, OIDC_LINKS):
        connection.execute(table.delete().where(table.c.person.in_(shredded)))
    chosen = CLIENTS.c.person.in_(shredded) & CLIENTS.c.revoked_ns.is_(None)
    connection.execute(CLIENTS.update().where(chosen).values(revoked_ns=now_ns, revoked_by=0))
