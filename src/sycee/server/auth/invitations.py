"""Invitations: a code with which a person creates a login, once.

A code has two halves. Staff hand over the first one. The second one reaches the person's phone, or in a letter that two
persons approved; neither the staff nor an answer nor a log has it. So nobody can log in as a person whom they invite.

A person who has, or had, a login gets another one only in a session of that login, or by a recovery (`recoveries`).
Clerks and signers of operators invite their own customers and merchants only; officers alone invite persons with
another duty.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
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
from sycee.life.notices import LOGIN_CODE, LOGIN_INVITED, Addressed
from sycee.server.auth import recoveries
from sycee.server.auth.logins import Login, Origin, end_logins, had_login, login_origin
from sycee.server.auth.recoveries import Recovery
from sycee.server.auth.refusals import NotAuthenticated
from sycee.server.auth.settings import MINUTE_NS
from sycee.server.auth.tables import INVITATIONS
from sycee.server.auth.told import Told
from sycee.wallets.directory import Directory

INVITE_STAFF: Final = "login.invite-staff"  # actions of sycee.identity.duties
INVITE: Final = "login.invite"
END: Final = "login.end"
OPEN: Final = "open"
WAITING: Final = "waiting"
HOUR_NS: Final = 60 * MINUTE_NS
HOURS_MAX: Final = 24 * 14
OWN_CODE_NS: Final = 10 * MINUTE_NS  # of a code for another device of the person, who is at both devices
HALF_BYTES: Final = 10  # a code can be tried over the network only
HALF_LETTERS: Final = HALF_BYTES * 8 // 5  # of base32, in groups
_GROUP: Final = 4
_IGNORED: Final = re.compile(r"[\s-]")


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation, without its code. `state`: waiting (for `from_ns`), open, used, revoked or expired.

    `login`: in whose session the person got it, 0 for an invitation by staff or with a key. `recovery`: that it
    follows, 0 for none.
    """

    id: int
    person: int
    made_by: int
    made_ns: int
    from_ns: int
    until_ns: int
    state: str
    login: int = 0
    recovery: int = 0


@dataclass(frozen=True, slots=True)
class Issued:
    """A new invitation. `second`: the second half of the code, "" if it goes to the phone of the person."""

    invitation: Invitation
    first: str
    second: str = ""

    @property
    def code(self) -> str:
        """Return both halves, as one text."""
        return f"{self.first}-{self.second}"


class Invitations:
    """Invitations of a bank's persons."""

    def __init__(
        self, stores: Stores, people: People, directory: Directory, told: Told, clock: Clock, *, masked_ns: int
    ) -> None:
        """`masked_ns`: how long a login that staff invited shows personal data masked."""
        self._engine = stores.engine
        self._people = people
        self._directory = directory
        self._told = told
        self._clock = clock
        self._masked_ns = masked_ns

    def issue(
        self, person: int, *, by: int, hours: int = 24, operator: int | None = None, staff: bool = True,
        letter: bool = False, also: Callable[[Connection, Invitation], None] = lambda connection, made: None,
    ) -> Issued:  # fmt: skip
        """Return a new invitation and the first half of its code; the second half goes to the person's phone.

        `operator`: the only operator for which `by` acts, None for all of them. `staff`: whether the person may have
        another duty than MERCHANT. `letter`: return the second half too, for a letter that a recovery permits. `also`
        writes in the same transaction, and gets the invitation. Raises NotFound for an unknown person, UsageError if
        `by` may not invite the person, if the person had a login and there is no recovery, if no message reaches the
        person, and if `hours` is not 1 to HOURS_MAX.
        """
        _require_hours(hours)
        self._require(person, INVITE, by, operator=operator, staff=staff)
        if by == person:
            raise UsageError("nobody invites themselves", hint="add a login in a session, or ask a colleague")
        now_ns = read_ns(self._clock)
        recovery, from_ns = self._permission(person, now_ns, letter=letter)
        if letter and (recovery is None or not recovery.letter):
            raise UsageError(
                f"no letter to {ids.format(person)} is approved",
                hint="request one with `sycee invite recover --letter`; two persons sign, and the reason is stored",
            )
        made = _new(person, by, now_ns, from_ns, from_ns + hours * HOUR_NS, recovery)
        first, second = _half(), _half()
        message = None if letter else self._message(person, second, made.until_ns)
        notice = self._told.prepare(person, LOGIN_INVITED, by=by)
        if message is not None:
            notice = replace(notice, message=message)  # the code is the message about the invitation

        def store(connection: Connection) -> None:
            connection.execute(INVITATIONS.insert().values(_row(made, first + second)))
            self._told.store(connection, notice)
            also(connection, made)

        write(self._engine, store)
        return Issued(made, _shown(first), _shown(second) if letter else "")

    def issue_to_owner(
        self, login: Login, *, also: Callable[[Connection, Invitation], None] = lambda connection, made: None
    ) -> Issued:
        """Return a code, whole, for another device of the person in whose session of `login` it is shown."""
        now_ns = read_ns(self._clock)
        made = _new(login.person, login.person, now_ns, now_ns, now_ns + OWN_CODE_NS)
        return self._issued_whole(replace(made, login=login.id), also)

    def issue_to_holder(self, person: int, *, hours: int = 24) -> Issued:
        """Return a code, whole, for a person who proved to have the private key of a duty. The person is told.

        Raises UsageError if the person had a login and there is no recovery, and if `hours` is not 1 to HOURS_MAX.
        """
        _require_hours(hours)
        now_ns = read_ns(self._clock)
        if self._people.state_of(person) != ACTIVE:
            raise NotFound(f"there is no person {ids.format(person)}", hint="name the id of a stored person")
        recovery, from_ns = self._permission(person, now_ns)
        notice = self._told.prepare(person, LOGIN_INVITED, by=person)
        made = _new(person, person, now_ns, from_ns, from_ns + hours * HOUR_NS, recovery)
        return self._issued_whole(made, lambda connection, _: self._told.store(connection, notice))

    def _issued_whole(self, made: Invitation, also: Callable[[Connection, Invitation], None]) -> Issued:
        first, second = _half(), _half()

        def store(connection: Connection) -> None:
            connection.execute(INVITATIONS.insert().values(_row(made, first + second)))
            also(connection, made)

        write(self._engine, store)
        return Issued(made, _shown(first), _shown(second))

    def _permission(self, person: int, now_ns: int, *, letter: bool = False) -> tuple[Recovery | None, int]:
        """Return the recovery that permits another login, None for a first login; and from when a code works.

        Raises UsageError if the person had a login and there is no recovery.
        """
        with reading(self._engine) as connection:
            recovery, is_first = recoveries.open_recovery(connection, person, now_ns), not had_login(connection, person)
        if recovery is None and not is_first:
            raise _has_login(person)
        # A first login needs no waiting, unless those who print the letter could also be those who use the code.
        return recovery, now_ns if recovery is None or (is_first and not letter) else max(now_ns, recovery.from_ns)

    def _message(self, person: int, second: str, until_ns: int) -> Addressed:
        """Return the message with the second half of a code. Raises UsageError if it would reach nobody."""
        messages = self._told.messages
        hint = "request a letter with `sycee invite recover --letter`; two persons sign, and the reason is stored"
        if not messages.are_delivered:
            raise UsageError(
                "no delivery of messages is set, and the second half of a code reaches nobody",
                hint=f"set message_gateway or message_program, or {hint}",
            )
        made = messages.addressed(person, LOGIN_CODE, secret=_shown(second), until_ns=until_ns)
        if made is None:
            raise UsageError(f"there is no phone of the person {ids.format(person)} on record", hint=hint)
        return made

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
        ended = INVITATIONS.update().where(_unused(INVITATIONS.c.id == id))
        values = {"revoked_ns": read_ns(self._clock), "revoked_by": by}
        write(self._engine, lambda connection: connection.execute(ended.values(values)))

    def end_logins(self, person: int, *, by: int, operator: int | None = None) -> None:
        """End a person's sessions, passkeys, links, recoveries and open invitations: after a theft, for example.

        `operator` as for `issue`. Raises UsageError if `by` may not end the logins of this person. Everybody may end
        their own.
        """
        if by != person:
            self._require(person, END, by, operator=operator)
        write(self._engine, lambda connection: self.forget(connection, person, by=by))

    def forget(self, connection: Connection, person: int, *, by: int = 0) -> None:
        """Remove all logins of a person, and each way to a new one, in the caller's transaction."""
        now_ns = read_ns(self._clock)
        end_logins(connection, person)
        recoveries.forget(connection, person, now_ns)
        ended = INVITATIONS.update().where(_unused(INVITATIONS.c.person == person))
        connection.execute(ended.values(revoked_ns=now_ns, revoked_by=by))

    def open(self, code: str) -> Invitation:
        """Return the open invitation of a code. Raises NotAuthenticated for any other text."""
        with reading(self._engine) as connection:
            return self._open(connection, code)

    def use(self, connection: Connection, code: str) -> tuple[Invitation, Origin]:
        """Use an open invitation in the caller's transaction; return it with the origin of the login that it makes.

        An invitation after a recovery ends the earlier logins. Raises NotAuthenticated for any other code.
        """
        found, now_ns = self._open(connection, code), read_ns(self._clock)
        connection.execute(INVITATIONS.update().where(_unused(INVITATIONS.c.id == found.id)).values(used_ns=now_ns))
        if found.recovery:
            if not recoveries.use(connection, found.recovery, now_ns):
                raise NotAuthenticated("")
            end_logins(connection, found.person)
        return found, self._origin(connection, found, now_ns)

    def _origin(self, connection: Connection, found: Invitation, now_ns: int) -> Origin:
        if found.login:
            origin = login_origin(connection, found.person, found.login)
            if origin is None:  # the login was removed since
                raise NotAuthenticated("")
            return origin
        return Origin(found.id, found.made_by, now_ns + self._masked_ns)

    def _open(self, connection: Connection, code: str) -> Invitation:
        chosen = sqlalchemy.select(INVITATIONS).where(INVITATIONS.c.code == code_digest(code))
        row = connection.execute(chosen).one_or_none()
        found = None if row is None else _invitation(row, read_ns(self._clock))
        if found is None or found.state != OPEN or self._people.state_of(found.person) != ACTIVE:
            raise NotAuthenticated("")
        # The person may have made a login since: by another code, for example.
        if not (found.login or found.recovery) and had_login(connection, found.person):
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


def _new(
    person: int, by: int, now_ns: int, from_ns: int, until_ns: int, recovery: Recovery | None = None
) -> Invitation:
    state, followed = OPEN if from_ns <= now_ns else WAITING, 0 if recovery is None else recovery.id
    return Invitation(ids.new(now_ns // 10**6), person, by, now_ns, from_ns, until_ns, state, recovery=followed)


def code_digest(code: str) -> str:
    """Return the digest of a code as it is stored. Blanks, hyphens and the case of letters do not matter."""
    return sha256(_IGNORED.sub("", code).upper().encode()).hexdigest()


def _require_hours(hours: int) -> None:
    if not 1 <= hours <= HOURS_MAX:
        raise UsageError(f"an invitation lasts 1 to {HOURS_MAX} hours, not {hours}", hint="24 hours are usual")


def _half() -> str:
    return base64.b32encode(os.urandom(HALF_BYTES)).decode()


def _shown(half: str) -> str:
    return "-".join(half[at : at + _GROUP] for at in range(0, len(half), _GROUP))


def _unused(chosen: Any) -> Any:
    return chosen & INVITATIONS.c.used_ns.is_(None) & INVITATIONS.c.revoked_ns.is_(None)


def _has_login(person: int) -> UsageError:
    return UsageError(
        f"the person {ids.format(person)} has, or had, a login",
        hint="the person adds another one in a session; who lost every login needs `sycee invite recover`",
    )


def _row(made: Invitation, code: str) -> dict[str, Any]:
    return {
        "id": made.id,
        "person": made.person,
        "code": code_digest(code),
        "made_ns": made.made_ns,
        "from_ns": made.from_ns,
        "until_ns": made.until_ns,
        "made_by": made.made_by,
        "login": made.login or None,
        "recovery": made.recovery or None,
    }


def _invitation(row: Row[Any], now_ns: int) -> Invitation:
    state = WAITING if now_ns < row.from_ns else OPEN if now_ns < row.until_ns else "expired"
    if row.revoked_ns is not None:
        state = "revoked"
    if row.used_ns is not None:
        state = "used"
    return Invitation(
        row.id, row.person, row.made_by, row.made_ns, row.from_ns, row.until_ns, state, row.login or 0,
        row.recovery or 0,
    )  # fmt: skip
