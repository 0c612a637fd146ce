"""What persons are told about their logins: a message to the phone, and a notice at the next login.

A notice waits until the person answers it. The answer "this was not me" ends all logins; `Authentication` opens a case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

import sqlalchemy
from sqlalchemy import ColumnElement
from sqlalchemy.engine import Connection, Engine, Row

from sycee.core import ids
from sycee.core.clock import Clock, read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.database.transactions import reading
from sycee.life.notices import KEY_REPLACED, Addressed
from sycee.server.auth.logins import login_count
from sycee.server.auth.tables import LOGIN_NOTICES

NOTICES_SHOWN_MAX: Final = 100


class Messages(Protocol):
    """The messages to the phones of persons, as `sycee.life` stores them."""

    @property
    def are_delivered(self) -> bool:
        """Whether the settings name a delivery."""
        ...

    def addressed(self, person: int, text: str, *, secret: str = "", until_ns: int = 0) -> Addressed | None:
        """Return a message, sealed for its person; None without a phone. Called before a transaction."""
        ...

    def send(self, connection: Connection, id: int, message: Addressed) -> None:
        """Store a message in the caller's transaction."""
        ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """A notice before it is stored. `message`: None for a person without a phone."""

    id: int
    person: int
    text: str
    by: int
    message: Addressed | None


@dataclass(frozen=True, slots=True)
class LoginNotice:
    """A notice. `text`: a code of `sycee.life.notices`; `login`: that it concerns, `by`: who acted; 0 for none."""

    id: int
    person: int
    text: str
    login: int
    by: int
    at_ns: int


class Told:
    """The notices about logins."""

    def __init__(self, engine: Engine, clock: Clock, messages: Messages) -> None:
        self._engine = engine
        self._clock = clock
        self.messages = messages

    def prepare(self, person: int, text: str, *, by: int = 0) -> Prepared:
        """Return a notice to store, sealed for the person's phone. Reads files, so it precedes the transaction."""
        message = self.messages.addressed(person, text)
        return Prepared(ids.new(read_ns(self._clock) // 10**6), person, text, by, message)

    def store(self, connection: Connection, prepared: Prepared, *, login: int = 0) -> None:
        """Store a notice and its message in the caller's transaction. `login`: that it concerns."""
        row = {"id": prepared.id, "person": prepared.person, "text": prepared.text, "login": login, "by": prepared.by}
        connection.execute(LOGIN_NOTICES.insert().values(**row, at_ns=read_ns(self._clock)))
        if prepared.message is not None:
            self.messages.send(connection, prepared.id, prepared.message)

    def new_key(self, connection: Connection, person: int, by: int, event: int) -> None:
        """Store a notice about a new key of a wallet, in the caller's transaction; the same event again: nothing.

        `sycee.life` sends its message.
        """
        if connection.scalar(sqlalchemy.select(LOGIN_NOTICES.c.id).where(LOGIN_NOTICES.c.id == event)) is None:
            self.store(connection, Prepared(event, person, KEY_REPLACED, by, None))

    def waiting(self, person: int) -> list[LoginNotice]:
        """Return the newest notices that a person has not answered, newest first."""
        query = sqlalchemy.select(LOGIN_NOTICES).where(
            LOGIN_NOTICES.c.person == person, LOGIN_NOTICES.c.answered_ns.is_(None)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(LOGIN_NOTICES.c.id.desc()).limit(NOTICES_SHOWN_MAX)).all()
        return [LoginNotice(row.id, row.person, row.text, row.login, row.by, row.at_ns) for row in rows]

    def require(self, notice: int, person: int) -> None:
        """Raise NotFound unless a notice waits for an answer of this person."""
        with reading(self._engine) as connection:
            _row(connection, notice, person)

    def confirm(self, connection: Connection, notice: int, person: int, login: int) -> None:
        """Store the answer "this was me", given in a session of `login`, in the caller's transaction.

        A login does not confirm itself while the person has another one: whoever made it would hide it. Raises NotFound
        as `require`, UsageError for a login that confirms itself.
        """
        if _row(connection, notice, person).login == login and login_count(connection, person) > 1:
            raise UsageError(
                "this login does not confirm itself", hint="log in with another passkey, and answer the notice there"
            )
        self._answer(connection, LOGIN_NOTICES.c.id == notice, was_me=True)

    def deny(self, connection: Connection, person: int) -> None:
        """Store the answer "this was not me" to all notices that wait for a person, in the caller's transaction."""
        waiting = (LOGIN_NOTICES.c.person == person) & LOGIN_NOTICES.c.answered_ns.is_(None)
        self._answer(connection, waiting, was_me=False)

    def _answer(self, connection: Connection, chosen: ColumnElement[bool], *, was_me: bool) -> None:
        answer = {"answered_ns": read_ns(self._clock), "was_me": int(was_me)}
        connection.execute(LOGIN_NOTICES.update().where(chosen).values(answer))

    def forget(self, connection: Connection, person: int) -> None:
        """Remove the notices of a person whose data is shredded, in the caller's transaction."""
        connection.execute(LOGIN_NOTICES.delete().where(LOGIN_NOTICES.c.person == person))


def _row(connection: Connection, notice: int, person: int) -> Row[Any]:
    chosen = (LOGIN_NOTICES.c.id == notice) & (LOGIN_NOTICES.c.person == person)
    query = sqlalchemy.select(LOGIN_NOTICES).where(chosen, LOGIN_NOTICES.c.answered_ns.is_(None))
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound("no such notice waits for you", hint="list the notices again")
    return row
