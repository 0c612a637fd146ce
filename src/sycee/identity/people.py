"""Persons, and the duties that they have at a given time.

Officers, operators and witnesses are grants of the ledger: such a duty is a counting grant, and never a row of SQL
alone. Other duties are rows of SQL. Names and papers of persons are not stored here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.core import ids
from sycee.core.clock import read_ns
from sycee.core.errors import UsageError
from sycee.core.keys import PublicKey
from sycee.core.money import currency_code
from sycee.core.records.layout import Role
from sycee.database.comparing import differences
from sycee.database.stores import Stores
from sycee.database.transactions import reading
from sycee.identity import duties
from sycee.identity.duties import ActionRule, Duty
from sycee.identity.tables import ACTIVE, DUTIES, INSTITUTIONS, KEYS, OPERATOR, PERSONS, SET, SHREDDED
from sycee.ledger.models import Grant
from sycee.ledger.state import LedgerState

_DUTY_OF_ROLE: Final = {role: duty for duty, role in duties.ROLES.items() if duty is not Duty.CURRENCY_OFFICER}


@dataclass(frozen=True, slots=True)
class HeldDuty:
    """A duty that a person has. `id` is the row's, or the grant's if this database has no row for it.

    `operator` is the number of the operator that it is for, None for duties without one; `institution` 0 for none.
    `currency` is the ISO 4217 number of an officer of one currency, else 0.
    """

    id: int
    person: int
    duty: Duty
    institution: int
    operator: int | None
    from_ns: int
    until_ns: int
    grant: int = 0
    currency: int = 0

    def __str__(self) -> str:
        if self.currency:
            return f"{self.duty.value} of {currency_code(self.currency)}"
        return self.duty.value if self.operator is None else f"{self.duty.value} of operator {self.operator}"


class DutyMissing(UsageError):
    """No duty of the person permits the action."""


class People:
    """Persons and their duties."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    # --- persons ---

    def add(self, connection: Connection, *, person: int) -> None:
        """Store a person's id in the caller's transaction. A person who is stored already stays unchanged."""
        found = connection.scalar(sqlalchemy.select(PERSONS.c.id).where(PERSONS.c.id == person))
        if found is None:
            row = {"id": person, "state": ACTIVE, "made_ns": read_ns(self._stores.clock)}
            connection.execute(PERSONS.insert().values(row))

    def state_of(self, person: int) -> str | None:
        """Return the state of a person, None for an unknown one."""
        with reading(self._stores.engine) as connection:
            return connection.scalar(sqlalchemy.select(PERSONS.c.state).where(PERSONS.c.id == person))

    def shred(self, connection: Connection, person: int) -> None:
        """Mark a person whose data was made unreadable, in the caller's transaction: the id stays, for the ledger."""
        connection.execute(PERSONS.update().where(PERSONS.c.id == person).values(state=SHREDDED))

    # --- duties ---

    def duties_of(self, person: int) -> list[HeldDuty]:
        """Return the duties that a person has now, without the duty of a citizen."""
        return self._held(person)

    def holders(self) -> list[HeldDuty]:
        """Return all duties that count now, by duty and person."""
        return self._held(None)

    def _held(self, person: int | None) -> list[HeldDuty]:
        """Return the duties of one person, or of all."""
        with self._stores.ledger.sequencer.reading() as state:
            now_ns = self._now_ns(state)
            grants = [
                grant for grant in state.grants.values() if person in (None, grant.person) and grant.counts(now_ns)
            ]
        with reading(self._stores.engine) as connection:
            joined = DUTIES.outerjoin(INSTITUTIONS, DUTIES.c.institution == INSTITUTIONS.c.id)
            chosen = sqlalchemy.select(DUTIES, INSTITUTIONS.c.operator).select_from(joined)
            if person is not None:
                chosen = chosen.where(DUTIES.c.person == person)
            rows = list(connection.execute(chosen.where(DUTIES.c.ended_ns.is_(None))))
            of_operator: dict[int | None, int] = {}
            if grants:
                operators = sqlalchemy.select(INSTITUTIONS.c.operator, INSTITUTIONS.c.id)
                of_operator = dict(connection.execute(operators.where(INSTITUTIONS.c.kind == OPERATOR)).all())
        by_grant = {row.grant_id: row for row in rows if row.grant_id is not None}
        held = [_of_grant(grant, by_grant.get(grant.id), of_operator) for grant in grants]
        held += [_of_row(row) for row in rows if row.grant_id is None and row.from_ns <= now_ns < row.until_ns]
        return sorted(held, key=lambda each: (each.duty, each.operator or 0, each.currency, each.person, each.id))

    def require(
        self,
        person: int,
        action: str,
        *,
        operator: int | None = None,
        institution: int | None = None,
        currencies: Collection[int] = (),
    ) -> None:
        """Raise UsageError unless a person has a duty that may request the action, for this operator or institution.

        `operator`, `institution`: of the accounts concerned; compared where the action is one's own institution's only.
        `currencies`: that the action concerns, by ISO 4217 number; an officer of one currency acts for it alone.
        """
        rule = duties.rule(action)
        if not self.allowed(
            person, rule.makers, rule, operator=operator, institution=institution, currencies=currencies
        ):
            raise self._refused(person, rule, operator, currencies)

    def allowed(
        self,
        person: int,
        wanted: Iterable[Duty],
        rule: ActionRule,
        *,
        operator: int | None = None,
        institution: int | None = None,
        currencies: Collection[int] = (),
    ) -> bool:
        """Return whether a person has one of the duties `wanted`, for this operator or institution where it matters."""
        wanted = frozenset(wanted)
        if duties.OWN in wanted and self.state_of(person) == ACTIVE:
            return True
        return any(
            counts(held, rule, operator=operator, institution=institution, currencies=currencies)
            for held in self.duties_of(person)
            if held.duty in wanted
        )

    def person_of_key(self, key: PublicKey) -> int:
        """Return the person who signs with a key. Raises UsageError if no person has it, or if it has been ended."""
        with self._stores.ledger.sequencer.reading() as state:
            now_ns = self._now_ns(state)
            for grant in state.grants.values():
                if grant.counts(now_ns) and (int(grant.flags), grant.key) == (key.flags, key.key):
                    return grant.person
        chosen = (KEYS.c.public_key == str(key)) & KEYS.c.until_ns.is_(None) & (KEYS.c.subject == PERSONS.c.id)
        with reading(self._stores.engine) as connection:
            person = connection.scalar(sqlalchemy.select(KEYS.c.subject).where(chosen))
        if person is None:
            raise UsageError(
                f"no person has the key {key} now",
                hint="`sycee officer list` shows duties and keys; an officer appoints with `sycee officer add`",
            )
        return int(person)

    def keys_of(self, person: int) -> list[PublicKey]:
        """Return the keys with which a person signs now."""
        with self._stores.ledger.sequencer.reading() as state:
            now_ns = self._now_ns(state)
            found = [
                PublicKey(int(grant.flags), grant.key)
                for grant in state.grants.values()
                if grant.person == person and grant.counts(now_ns)
            ]
        with reading(self._stores.engine) as connection:
            chosen = (KEYS.c.subject == person) & KEYS.c.until_ns.is_(None) & (KEYS.c.public_key != "")
            found += [
                PublicKey.parse(text) for text in connection.scalars(sqlalchemy.select(KEYS.c.public_key).where(chosen))
            ]
        return list(dict.fromkeys(found))

    # --- rows ---

    def record(self, connection: Connection, held: HeldDuty, key: PublicKey, *, proposal: int = 0) -> None:
        """Store a person and a duty in the caller's transaction, for founding and for the outcome of a proposal.

        The key is stored for duties that are no role of the ledger; a grant contains it otherwise. Repeating a call
        changes nothing. Raises UsageError, for such a duty, if another person got the key since it was proposed.
        """
        if held.duty not in duties.ROLES:
            self._require_free(connection, held.person, key)
        self.add(connection, person=held.person)
        if connection.scalar(sqlalchemy.select(DUTIES.c.id).where(DUTIES.c.id == held.id)) is None:
            row = {
                "id": held.id,
                "person": held.person,
                "institution": held.institution or None,
                "duty": held.duty.value,
                "from_ns": held.from_ns,
                "until_ns": held.until_ns,
                "grant_id": held.grant or None,
                "proposal": proposal,
            }
            connection.execute(DUTIES.insert().values(row))
        if held.duty not in duties.ROLES:
            self._record_key(connection, held, key)

    def _require_free(self, connection: Connection, person: int, key: PublicKey) -> None:
        """Raise UsageError if another person has the key: as two persons, one could be maker and checker."""
        with self._stores.ledger.sequencer.reading() as state:
            now_ns = self._now_ns(state)
            others = {
                grant.person
                for grant in state.grants.values()
                if grant.counts(now_ns) and (int(grant.flags), grant.key) == (key.flags, key.key)
            }
        chosen = (KEYS.c.public_key == str(key)) & KEYS.c.until_ns.is_(None) & (KEYS.c.subject == PERSONS.c.id)
        others.update(connection.scalars(sqlalchemy.select(KEYS.c.subject).where(chosen)))
        if other := next(iter(others - {person}), 0):
            raise UsageError(
                f"the key {key} is {ids.format(other)}'s since: two persons with one key would count as two signers",
                hint="withdraw the proposal, and appoint the person with a key of their own",
            )

    def _record_key(self, connection: Connection, held: HeldDuty, key: PublicKey) -> None:
        """Store the one key with which a person signs for all duties that are no role: it replaces an earlier one."""
        chosen = KEYS.c.subject == held.person
        rows = list(connection.execute(sqlalchemy.select(KEYS).where(chosen).order_by(KEYS.c.epoch)))
        other = chosen & KEYS.c.until_ns.is_(None) & (KEYS.c.public_key != str(key))
        connection.execute(KEYS.update().where(other).values(until_ns=read_ns(self._stores.clock)))
        if any(row.public_key == str(key) and row.until_ns is None for row in rows):
            return
        row = {
            "subject": held.person,
            "epoch": rows[-1].epoch + 1 if rows else 1,
            "public_key": str(key),
            "from_ns": held.from_ns,
            "reason": held.duty.value,
            "state": SET,
        }
        connection.execute(KEYS.insert().values(row))

    def end(self, connection: Connection, duty: int, *, at_ns: int) -> None:
        """End a duty in the caller's transaction. The person's key ends with the last duty that is no role."""
        row = connection.execute(sqlalchemy.select(DUTIES).where(DUTIES.c.id == duty)).one_or_none()
        if row is None:
            return
        connection.execute(DUTIES.update().where(DUTIES.c.id == duty).values(ended_ns=at_ns))
        others = (DUTIES.c.person == row.person) & DUTIES.c.ended_ns.is_(None) & DUTIES.c.grant_id.is_(None)
        if connection.scalar(sqlalchemy.select(DUTIES.c.id).where(others).limit(1)) is None:
            ended = (KEYS.c.subject == row.person) & KEYS.c.until_ns.is_(None)
            connection.execute(KEYS.update().where(ended).values(until_ns=at_ns))

    def forget(self, connection: Connection, duty: int) -> None:
        """Remove a duty that a restore took back, in the caller's transaction, and a key that serves no other duty."""
        row = connection.execute(sqlalchemy.select(DUTIES).where(DUTIES.c.id == duty)).one_or_none()
        if row is None:
            return
        connection.execute(DUTIES.delete().where(DUTIES.c.id == duty))
        others = (DUTIES.c.person == row.person) & DUTIES.c.grant_id.is_(None)
        if row.grant_id is None and connection.scalar(sqlalchemy.select(DUTIES.c.id).where(others).limit(1)) is None:
            connection.execute(KEYS.delete().where(KEYS.c.subject == row.person))

    def restore(self, connection: Connection, duty: int) -> None:
        """Take the end of a duty back, in the caller's transaction, and of the key that ended with it."""
        row = connection.execute(sqlalchemy.select(DUTIES).where(DUTIES.c.id == duty)).one_or_none()
        if row is None or row.ended_ns is None:
            return
        connection.execute(DUTIES.update().where(DUTIES.c.id == duty).values(ended_ns=None))
        ended = (KEYS.c.subject == row.person) & (KEYS.c.until_ns == row.ended_ns)
        connection.execute(KEYS.update().where(ended).values(until_ns=None))

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each duty of SQL whose grant the ledger does not have as stated."""
        with reading(self._stores.engine) as connection:
            rows = list(connection.execute(sqlalchemy.select(DUTIES).where(DUTIES.c.grant_id.is_not(None))))

        def compared(state: LedgerState, row: Row[Any]) -> Iterator[str]:
            grant = state.grants.get(row.grant_id)
            name = f"the {row.duty} {ids.format(row.person)}"
            if grant is None and row.ended_ns is not None:
                return  # a restore took the grant back
            if grant is None or grant.person != row.person:
                yield f"{name} has no grant {ids.format(row.grant_id)} in the ledger"
            elif grant.revoked is (row.ended_ns is None):
                yield f"{name} is {'revoked' if grant.revoked else 'granted'} in the ledger, and not in the database"

        return differences(self._stores.ledger, rows, compared)

    def _now_ns(self, state: LedgerState) -> int:
        return max(read_ns(self._stores.clock), state.now_ns)

    def _refused(self, person: int, rule: ActionRule, operator: int | None, currencies: Collection[int]) -> DutyMissing:
        held = ", ".join(str(each) for each in self.duties_of(person)) or "none"
        scope = f" for operator {operator}" if rule.own_operator and operator is not None else ""
        if currencies and Duty.CURRENCY_OFFICER in rule.makers:
            scope += f" in {listed(currency_code(each) for each in sorted(currencies))}"
        return DutyMissing(
            f"{ids.format(person)} may not request {rule.name}{scope}: it needs the duty "
            f"{listed(duty.value for duty in sorted(rule.makers))}; this person has: {held}",
            hint="docs/reference/duties.md lists who may request each action",
        )


def counts(
    held: HeldDuty,
    rule: ActionRule,
    *,
    operator: int | None = None,
    institution: int | None = None,
    currencies: Collection[int] = (),
) -> bool:
    """Return whether a duty counts for an action that concerns this operator, institution and currencies. Pure."""
    if held.duty is Duty.CURRENCY_OFFICER:
        return held.currency in currencies
    if not rule.own_operator or held.duty not in duties.OF_INSTITUTION:
        return True
    if held.duty is Duty.MERCHANT and institution is not None:
        return held.institution == institution
    return operator is None or held.operator == operator


def article(noun: str) -> str:
    """Return a noun with its article: "a merchant", "an operator"."""
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def listed(words: Iterable[str]) -> str:
    """Return words as "a", "a or b", "a, b or c"."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _of_grant(grant: Grant, row: Row[Any] | None, of_operator: dict[int | None, int]) -> HeldDuty:
    operator = grant.operator if grant.role is Role.OPERATOR else None
    institution = of_operator.get(operator, 0) if operator is not None else 0
    id = grant.id if row is None else row.id
    duty = Duty.CURRENCY_OFFICER if grant.currency else _DUTY_OF_ROLE[grant.role]
    return HeldDuty(
        id, grant.person, duty, institution, operator, grant.from_ns, grant.until_ns, grant.id, grant.currency
    )


def _of_row(row: Row[Any]) -> HeldDuty:
    return HeldDuty(row.id, row.person, Duty(row.duty), row.institution or 0, row.operator, row.from_ns, row.until_ns)
