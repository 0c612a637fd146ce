"""Recoveries: another login for a person who lost every one, or whom no message reaches. Two persons approve each.

The person is told when a recovery is requested. From the approval on a waiting time runs, in which the person can
object; the code works after it. The reason is part of the proposal that both persons sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.core import ids
from sycee.core.clock import Clock, RealClock, read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.records.proposal_format import Proposal
from sycee.core.result_codes import Result
from sycee.database.actions import Intent
from sycee.identity.duties import Duty
from sycee.identity.people import DutyMissing, People
from sycee.identity.proposals import Proposals
from sycee.identity.tables import ACTIVE
from sycee.life.notices import LOGIN_RECOVERY
from sycee.server.auth.tables import RECOVERIES
from sycee.server.auth.told import Told
from sycee.wallets.directory import Directory

RECOVER: Final = "login.recover"  # actions of sycee.identity.duties
RECOVER_STAFF: Final = "login.recover-staff"
USABLE_NS: Final = 7 * 86_400 * 10**9  # after the waiting time; then the identity is proved anew
REASON_CHARACTERS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Recovery:
    """An approved recovery. `letter`: whether the second half of its code may be printed."""

    id: int
    person: int
    letter: bool
    from_ns: int
    until_ns: int


class Recoveries:
    """The recoveries of a bank. `waiting_ns`: from the approval until the code works."""

    def __init__(
        self, people: People, directory: Directory, proposals: Proposals, told: Told, *, waiting_ns: int
    ) -> None:
        self._people = people
        self._directory = directory
        self._proposals = proposals
        self._told = told
        self._waiting_ns = waiting_ns

    def request(
        self, person: int, reason: str, *, maker: int, letter: bool = False, operator: int | None = None, id: int = 0
    ) -> Proposal:
        """Propose that a person gets another login, and tell the person.

        `reason`: how the identity was proved, and why no earlier login serves. `letter`: print the second half of the
        code, for a person without a phone on record. `operator`: the only operator for which `maker` acts. Raises
        NotFound for an unknown person, UsageError for a wrong reason, for the maker's own login, and without the duty.
        """
        if not 1 <= len(reason.strip()) <= REASON_CHARACTERS_MAX or not reason.isprintable():
            raise UsageError(
                f"the reason of a recovery has 1 to {REASON_CHARACTERS_MAX} printable characters",
                hint="state how the identity was proved; write no name, number or address",
            )
        if self._people.state_of(person) != ACTIVE:
            raise NotFound(f"there is no person {ids.format(person)}", hint="name the id of a stored person")
        if person == maker:
            raise UsageError("nobody recovers their own login", hint="two other persons with the duty do")
        action, concerned = self._action(person, maker, operator)
        effect = {
            "person": ids.format(person),
            "reason": reason.strip(),
            "letter": letter,
            "waiting_ns": self._waiting_ns,
            **({} if concerned is None else {"operator": concerned}),
        }
        notice = self._told.prepare(person, LOGIN_RECOVERY, by=maker)
        return self._proposals.propose(
            action, None, effect, maker=maker, before=lambda connection: self._told.store(connection, notice), id=id
        )

    def _action(self, person: int, maker: int, operator: int | None) -> tuple[str, int | None]:
        """Return the action for a person, and the operator concerned: None for persons with a duty."""
        held = self._people.duties_of(person)
        if any(each.duty is not Duty.MERCHANT for each in held):
            return RECOVER_STAFF, None
        served = {each.operator for each in held} | {each.operator for each in self._directory.of_holder(person)}
        mine = self._people.duties_of(maker)
        if any(each.duty is Duty.OFFICER for each in mine):
            return RECOVER, min((each for each in served if each is not None), default=None)
        own = {each.operator for each in mine} & served
        chosen = [each for each in own if each is not None and operator in (None, each)]
        if not chosen:
            raise DutyMissing(
                f"{ids.format(maker)} may not request {RECOVER} for this person",
                hint="a person of the operator at which the person has a wallet, or an officer, requests it",
            )
        return RECOVER, min(chosen)


class RecoveryAction:
    """The effect of a recovery that two persons signed. It reads the machine's clock, as logins do."""

    def __init__(self, name: str, clock: Clock | None = None) -> None:
        self.name = name
        self._clock = clock or RealClock()

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Store the recovery, once."""
        if connection.scalar(sqlalchemy.select(RECOVERIES.c.id).where(RECOVERIES.c.id == intent.id)) is not None:
            return
        now_ns, effect = read_ns(self._clock), intent.payload
        from_ns = now_ns + effect["waiting_ns"]
        row = {
            "id": intent.id,
            "person": ids.parse(effect["person"]),
            "letter": int(effect["letter"]),
            "made_ns": now_ns,
            "from_ns": from_ns,
            "until_ns": from_ns + USABLE_NS,
        }
        connection.execute(RECOVERIES.insert().values(row))

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Remove the recovery."""
        connection.execute(RECOVERIES.delete().where(RECOVERIES.c.id == intent.id))


ACTIONS: Final = (RecoveryAction(RECOVER), RecoveryAction(RECOVER_STAFF))


def open_recovery(connection: Connection, person: int, now_ns: int) -> Recovery | None:
    """Return the newest approved recovery of a person that was not used and is not over, or None."""
    chosen = (RECOVERIES.c.person == person) & RECOVERIES.c.used_ns.is_(None) & (RECOVERIES.c.until_ns > now_ns)
    query = sqlalchemy.select(RECOVERIES).where(chosen).order_by(RECOVERIES.c.id.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else _recovery(row)


def use(connection: Connection, recovery: int, now_ns: int) -> bool:
    """Use a recovery in the caller's transaction; return whether it was not used before."""
    chosen = (RECOVERIES.c.id == recovery) & RECOVERIES.c.used_ns.is_(None)
    return connection.execute(RECOVERIES.update().where(chosen).values(used_ns=now_ns)).rowcount == 1


def forget(connection: Connection, person: int, now_ns: int) -> None:
    """End the recoveries of a person who objects or whose logins end, in the caller's transaction."""
    chosen = (RECOVERIES.c.person == person) & RECOVERIES.c.used_ns.is_(None)
    connection.execute(RECOVERIES.update().where(chosen).values(used_ns=now_ns))


def _recovery(row: Row[Any]) -> Recovery:
    return Recovery(row.id, row.person, bool(row.letter), row.from_ns, row.until_ns)
