"""Actions of life events: changes of SQL after the ledger's results. They set states, so that they can run again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core import ids
from sycee.core.keys import PublicKey
from sycee.core.result_codes import Result
from sycee.database.actions import Intent
from sycee.database.jobs import Jobs
from sycee.identity.key_register import KeyRegister
from sycee.life import restrictions
from sycee.life.notices import Notices
from sycee.life.rules import LifeEventKind
from sycee.life.tables import ACTIVE, ENDED, GUARDIANS, REFUSED
from sycee.personal.retention import Retention

RECOVER: Final = "life.phone-lost"
RESTRICT: Final = "life.restrict"
RELEASE: Final = "life.release"
STEP: Final = "life.step"
LIFT_ORDER: Final = "life.lift-order"
GUARD: Final = "life.guardian"
UNBLOCK_JOB: Final = "life.unblock"
RESTORE_JOB: Final = "life.restore"


class Recover:
    """Phone lost: the account is blocked, has a new key and the recovery rule set."""

    name = RECOVER

    def __init__(self, jobs: Jobs, keys: KeyRegister, notices: Notices) -> None:
        self._jobs, self._keys, self._notices = jobs, keys, notices

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Start the two later steps as jobs. If the ledger refused a record, the account stays as the ledger has it."""
        payload = intent.payload
        account = ids.parse(payload["account"])
        if results[1] is Result.CREATED:  # the second record sets the key
            self._keys.record(
                connection, account, PublicKey.parse(payload["key"]), epoch=payload["epoch"],
                reason=LifeEventKind.PHONE_LOST, intent=intent.id,
            )  # fmt: skip
        else:
            self._keys.forget(connection, account, epoch=payload["epoch"])
        if any(result is not Result.CREATED for result in results):
            self._refuse(connection, intent)
            return
        restrictions.add_event(connection, intent.id, LifeEventKind.PHONE_LOST, payload, intent.who)
        common = {
            "account": payload["account"],
            "event": ids.format(intent.id),
            "person": payload["person"],
            "who": ids.format(intent.who),
        }
        for job, step, due in (
            (UNBLOCK_JOB, payload["unblock"], payload["at_ns"]),
            (RESTORE_JOB, payload["restore"], payload["until_ns"]),
        ):
            self._jobs.stop(connection, job, payload["replaces"])
            self._jobs.add(connection, job, due, key=ids.format(intent.id), payload={**common, "step": step})
        restrictions.set_state(connection, account, LifeEventKind.PHONE_LOST, ACTIVE, event=intent.id)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Recall the notice: nothing was changed, or a restore took it back."""
        self._refuse(connection, intent)
        self._keys.forget(connection, ids.parse(intent.payload["account"]), epoch=intent.payload["epoch"])

    def _refuse(self, connection: Connection, intent: Intent) -> None:
        account = ids.parse(intent.payload["account"])
        for job in (UNBLOCK_JOB, RESTORE_JOB):
            self._jobs.stop(connection, job, ids.format(intent.id))
        self._notices.recall(connection, intent.id)
        restrictions.set_state(connection, account, LifeEventKind.PHONE_LOST, REFUSED, event=intent.id)


class Step:
    """A later step of a recovery: the block is lifted, or the earlier rule set is back."""

    name = STEP

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """End the restriction with its last step, for every result: a closed account needs no rule set."""
        payload = intent.payload
        if payload["job"] == RESTORE_JOB:
            end_recovery(connection, intent.id, payload, intent.who)
            for job in (UNBLOCK_JOB, RESTORE_JOB):
                self._jobs.stop(connection, job, payload["event"])

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Change nothing: the recovery continues until the operator signs its last step."""
        payload = intent.payload
        if payload["job"] == RESTORE_JOB:
            account, event = ids.parse(payload["account"]), ids.parse(payload["event"])
            restrictions.set_state(connection, account, LifeEventKind.PHONE_LOST, ACTIVE, event=event)


def end_recovery(connection: Connection, id: int, payload: Mapping[str, Any], who: int) -> None:
    """End a recovery in the caller's transaction, with an event of this id."""
    account, event = ids.parse(payload["account"]), ids.parse(payload["event"])
    restrictions.add_event(connection, id, LifeEventKind.RECOVERED, payload, who)
    restrictions.set_state(connection, account, LifeEventKind.PHONE_LOST, ENDED, event=event)


class Restrict:
    """Accounts are blocked: deceased, dormant, court order. A period of retention begins with a death."""

    name = RESTRICT

    def __init__(self, retention: Retention, notices: Notices) -> None:
        self._retention, self._notices = retention, notices

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Mark the accounts that the ledger blocked."""
        payload = intent.payload
        kind = payload["kind"]
        restrictions.add_event(connection, intent.id, kind, payload, intent.who)
        for text, result in zip(payload["accounts"], results, strict=True):
            state = ACTIVE if result is Result.CREATED else REFUSED
            restrictions.put(connection, ids.parse(text), kind, event=intent.id, from_ns=payload["at_ns"], state=state)
        if kind == LifeEventKind.DECEASED and Result.CREATED in results:
            person, day = ids.parse(payload["person"]), date.fromisoformat(payload["day"])
            self._retention.begin(connection, person, LifeEventKind.DECEASED, day)
        elif kind == LifeEventKind.DECEASED:
            self._retention.withdraw(connection, ids.parse(payload["person"]), LifeEventKind.DECEASED)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Mark the restrictions as refused: nothing was blocked."""
        self._notices.recall(connection, intent.id)
        if intent.payload["kind"] == LifeEventKind.DECEASED:
            self._retention.withdraw(connection, ids.parse(intent.payload["person"]), LifeEventKind.DECEASED)
        for text in intent.payload["accounts"]:
            restrictions.set_state(connection, ids.parse(text), intent.payload["kind"], REFUSED, event=intent.id)


class Release:
    """A block is lifted, by the operator (`life.release`) or by officers (`life.lift-order`)."""

    def __init__(self, name: str) -> None:
        self.name = name

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """End the restriction of each account that the ledger released."""
        payload = intent.payload
        restrictions.add_event(connection, intent.id, LifeEventKind.LIFTED, payload, intent.who)
        for text, result in zip(payload["accounts"], results, strict=True):
            state = ENDED if result is Result.CREATED else ACTIVE
            restrictions.set_state(connection, ids.parse(text), payload["kind"], state)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Leave the blocks as they are; set them again if a restore took the release back."""
        if not restrictions.has_event(connection, intent.id):
            return
        for text in intent.payload["accounts"]:
            restrictions.set_state(connection, ids.parse(text), intent.payload["kind"], ACTIVE)


class Guard:
    """A guardian is appointed, or dismissed."""

    name = GUARD

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Set the end of the guardianship; insert it if it is new."""
        payload = intent.payload
        ward, guardian = ids.parse(payload["person"]), ids.parse(payload["guardian"])
        mine = (GUARDIANS.c.ward == ward) & (GUARDIANS.c.guardian == guardian)
        row = {"until_ns": payload["until_ns"], "proposal": intent.id}
        if not connection.execute(GUARDIANS.update().where(mine).values(**row)).rowcount:
            connection.execute(GUARDIANS.insert().values(ward=ward, guardian=guardian, from_ns=payload["at_ns"], **row))
        restrictions.add_event(connection, intent.id, LifeEventKind.GUARDIAN, payload, intent.who)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Remove what this proposal wrote, after a restore."""
        connection.execute(GUARDIANS.delete().where(GUARDIANS.c.proposal == intent.id))


def is_guardian(connection: Connection, guardian: int, ward: int, now_ns: int) -> bool:
    """Return whether a person is the guardian of another now."""
    query = sqlalchemy.select(GUARDIANS.c.until_ns).where(
        GUARDIANS.c.ward == ward, GUARDIANS.c.guardian == guardian, GUARDIANS.c.from_ns <= now_ns
    )
    row = connection.execute(query).first()
    return row is not None and (row.until_ns is None or row.until_ns > now_ns)
