"""Invitations: a code with which a person creates a login, once.

Staff give the code to the person outside of this system. Anybody with the code can log in as the person, so clerks and
signers of operators invite their own customers and merchants only; officers alone invite persons with another duty.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.core import ids
from sycee.core.clock import Clock, read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.identity.duties import Duty
from sycee.identity.people import People
from sycee.identity.tables import ACTIVE
from sycee.server.auth.refusals import NotAuthenticated
from sycee.server.auth.tables import INVITATIONS, OIDC_LINKS, PASSKEYS, SESSIONS
from sycee.wallets.directory import Directory

INVITE_STAFF: Final = "login.invite-staff"  # actions of sycee.identity.duties
INVITE: Final = "login.invite"
END: Final = "login.end"
OPEN: Final = "open"
HOUR_NS: Final = 3_600 * 10**9
HOURS_MAX: Final = 24 * 14
_CODE_BYTES: Final = 20  # 160 bits are 32 letters of base32
_GROUP: Final = 4
_IGNORED: Final = re.compile(r"[\s-]")


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation, without its code. `state`: open, used, revoked or expired."""

    id: int
    person: int
    made_by: int
    made_ns: int
    until_ns: int
    state: str


class Invitations:
    """Invitations of a bank's persons."""

    def __init__(self, stores: Stores, people: People, directory: Directory, clock: Clock) -> None:
        self._engine = stores.engine
        self._people = people
        self._directory = directory
        self._clock = clock

    def issue(
        self, person: int, *, by: int, hours: int = 24, operator: int | None = None, staff: bool = True,
        also: Callable[[Connection, Invitation], None] = lambda connection, made: None,
    ) -> tuple[Invitation, str]:  # fmt: skip
        """Return a new invitation and its code, which is stored nowhere.

        `operator`: the only operator for which `by` acts, None for all of them. `staff`: whether the person may have
        another duty than MERCHANT. `also` writes in the same transaction, and gets the invitation. Raises NotFound for
        an unknown person, UsageError if `by` may not invite the person, and if `hours` is not 1 to HOURS_MAX.
        """
        if not 1 <= hours <= HOURS_MAX:
            raise UsageError(f"an invitation lasts 1 to {HOURS_MAX} hours, not {hours}", hint="24 hours are usual")
        self._require(person, INVITE, by, operator=operator, staff=staff)
        text = base64.b32encode(os.urandom(_CODE_BYTES)).decode()
        now_ns = read_ns(self._clock)
        made = Invitation(ids.new(now_ns // 10**6), person, by, now_ns, now_ns + hours * HOUR_NS, OPEN)
        row = {
            "id": made.id,
            "person": person,
            "code": code_digest(text),
            "made_ns": now_ns,
            "until_ns": made.until_ns,
            "made_by": by,
        }

        def store(connection: Connection) -> None:
            connection.execute(INVITATIONS.insert().values(row))
            also(connection, made)

        write(self._engine, store)
        return made, "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))

    def list(self, *, after: int = 0, most: int | None = None) -> list[Invitation]:
        """Return up to `most` invitations with ids above `after`, oldest first."""
        now_ns = read_ns(self._clock)
        query = sqlalchemy.select(INVITATIONS).where(INVITATIONS.c.id > after).order_by(INVITATIONS.c.id).limit(most)
        with reading(self._engine) as connection:
            return [_invitation(row, now_ns) for row in connection.execute(query)]

    def may_end(self, found: Invitation, by: int, *, operator: int | None = None) -> bool:
        """Return whether `by` may end an invitation; `operator` as for `issue`."""
        try:
            self._require(found.person, END, by, operator=operator)
        except (NotFound, UsageError):
            return False
        return True

    def get(self, id: int) -> Invitation:
        """Return an invitation. Raises NotFound if there is none."""
        with reading(self._engine) as connection:
            row = connection.execute(sqlalchemy.select(INVITATIONS).where(INVITATIONS.c.id == id)).one_or_none()
        if row is None:
            raise NotFound(f"there is no invitation {ids.format(id)}", hint="`sycee invite list` shows the invitations")
        return _invitation(row, read_ns(self._clock))

    def revoke(self, id: int, *, by: int, operator: int | None = None) -> None:
        """End an open invitation; `operator` as for `issue`.

        Raises NotFound if there is no such invitation, UsageError if `by` may not end it.
        """
        self._require(self.get(id).person, END, by, operator=operator)
        chosen = (INVITATIONS.c.id == id) & INVITATIONS.c.used_ns.is_(None) & INVITATIONS.c.revoked_ns.is_(None)
        ended = INVITATIONS.update().where(chosen).values(revoked_ns=read_ns(self._clock), revoked_by=by)
        write(self._engine, lambda connection: connection.execute(ended))

    def end_logins(self, person: int, *, by: int, operator: int | None = None) -> None:
        """End a person's sessions, passkeys, links and open invitations: after a theft, for example.

        `operator` as for `issue`. Raises UsageError if `by` may not end the logins of this person. Everybody may end
        their own.
        """
        if by != person:
            self._require(person, END, by, operator=operator)
        write(self._engine, lambda connection: self.forget(connection, person, by=by))

    def forget(self, connection: Connection, person: int, *, by: int = 0) -> None:
        """Remove all logins of a person in the caller's transaction."""
        for table in (SESSIONS, PASSKEYS, OIDC_LINKS):
            connection.execute(table.delete().where(table.c.person == person))
        chosen = (INVITATIONS.c.person == person) & INVITATIONS.c.used_ns.is_(None) & INVITATIONS.c.revoked_ns.is_(None)
        ended = INVITATIONS.update().where(chosen).values(revoked_ns=read_ns(self._clock), revoked_by=by)
        connection.execute(ended)

    def open(self, code: str) -> Invitation:
        """Return the open invitation of a code. Raises NotAuthenticated for any other text."""
        with reading(self._engine) as connection:
            return self._open(connection, code)

    def use(self, connection: Connection, code: str) -> Invitation:
        """Use an open invitation in the caller's transaction. Raises NotAuthenticated for any other code."""
        found = self._open(connection, code)
        chosen = (INVITATIONS.c.id == found.id) & INVITATIONS.c.used_ns.is_(None)
        connection.execute(INVITATIONS.update().where(chosen).values(used_ns=read_ns(self._clock)))
        return found

    def _open(self, connection: Connection, code: str) -> Invitation:
        chosen = sqlalchemy.select(INVITATIONS).where(INVITATIONS.c.code == code_digest(code))
        row = connection.execute(chosen).one_or_none()
        found = None if row is None else _invitation(row, read_ns(self._clock))
        if found is None or found.state != OPEN or self._people.state_of(found.person) != ACTIVE:
            raise NotAuthenticated("")
        return found

    def _require(self, person: int, action: str, by: int, *, operator: int | None = None, staff: bool = True) -> None:
        """Raise UsageError unless `by` may request the action for this person.

        An officer may for everybody. The staff of an operator may for a person whose only duty is MERCHANT, if the
        person has a wallet at the operator, or acts for one of its merchants.
        """
        if self._people.state_of(person) != ACTIVE:
            raise NotFound(f"there is no person {ids.format(person)}", hint="name the id of a stored person")
        held = self._people.duties_of(person)
        if any(each.duty is not Duty.MERCHANT for each in held):
            self._people.require(by, INVITE_STAFF)
            if not staff:
                raise UsageError(
                    f"the person {ids.format(person)} has a duty, and is invited with an officer's key",
                    hint="use `sycee invite issue`: a login alone gives no login of staff",
                )
            return
        if any(each.duty is Duty.OFFICER for each in self._people.duties_of(by)):
            return
        operators = {each.operator for each in held} | {each.operator for each in self._directory.of_holder(person)}
        own = {each.operator for each in self._people.duties_of(by)} & operators
        chosen = [each for each in own if each is not None and operator in (None, each)]
        self._people.require(by, action, operator=min(chosen, default=-1))  # -1: nobody's, so that it is refused


def code_digest(code: str) -> str:
    """Return the digest of a code as it is stored. Blanks, hyphens and the case of letters do not matter."""
    return sha256(_IGNORED.sub("", code).upper().encode()).hexdigest()


def _invitation(row: Row[Any], now_ns: int) -> Invitation:
    state = OPEN if now_ns < row.until_ns else "expired"
    if row.revoked_ns is not None:
        state = "revoked"
    if row.used_ns is not None:
        state = "used"
    return Invitation(row.id, row.person, row.made_by, row.made_ns, row.until_ns, state)
