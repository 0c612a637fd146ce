"""Appoint persons to duties, and dismiss them. Each is a proposal: officers sign it, the maker and another person.

A duty that is a role of the ledger is a grant: the ledger refuses a key that another person has. For other duties the
key is stored here, and no two persons have one key either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy.engine import Connection

from sycee.core import ids
from sycee.core.clock import read_ns
from sycee.core.errors import UsageError
from sycee.core.keys import PublicKey
from sycee.core.result_codes import Result
from sycee.database.actions import Intent
from sycee.database.stores import Stores
from sycee.identity import duties
from sycee.identity.duties import Duty
from sycee.identity.institutions import Institutions
from sycee.identity.people import HeldDuty, People, article
from sycee.identity.proposal_format import VALID_NS, Proposal
from sycee.identity.proposals import Proposals
from sycee.identity.tables import MERCHANT
from sycee.ledger import operations

APPOINT: Final = "duty.appoint"
DISMISS: Final = "duty.dismiss"
ISSUER_OPERATORS: Final = (0, 1)  # of the issuer's own accounts, without an institution


class Appointments:
    """Proposals that give and end duties."""

    def __init__(self, stores: Stores, people: People, institutions: Institutions, proposals: Proposals) -> None:
        self._stores = stores
        self._people = people
        self._institutions = institutions
        self._proposals = proposals
        stores.actions.register(_Appoint(people), _Dismiss(stores, people))

    def appoint(
        self,
        duty: Duty,
        key: PublicKey,
        *,
        until_ns: int,
        maker: int,
        person: int = 0,
        institution: int = 0,
        operator: int | None = None,
        from_ns: int = 0,
        valid_ns: int = VALID_NS,
    ) -> Proposal:
        """Propose that a person has a duty, and signs with `key`, while from_ns ≤ time < until_ns.

        `person`: 0 for a new one. `institution`: for duties of an institution; the issuer's operators 0 and 1 are given
        by `operator` alone. Raises UsageError for a duty that must be apart from the person's duties, for another
        person's key, and for an institution without due diligence.
        """
        now_ns = read_ns(self._stores.clock)
        if duty is duties.OWN:
            raise UsageError("nobody is appointed as a citizen", hint="open a wallet for the person")
        if until_ns <= max(now_ns, from_ns):
            raise UsageError("the duty ends before it begins", hint="give a later --until")
        person = person or self._new_person(key, now_ns)
        self._check_key(person, key)
        for held in self._people.duties_of(person):
            if duties.conflict([held.duty], duty):
                raise UsageError(
                    f"{ids.format(person)} is {held}, and one person may not also be {duty.value}",
                    hint="docs/reference/duties.md lists the duties that must be apart: appoint another person",
                )
        number = self._operator(duty, institution, operator)
        self._require_new(person, duty, institution, number, key, until_ns)
        id, grant = ids.new(now_ns // 1_000_000), 0
        records = None
        if role := duties.ROLES.get(duty):
            grant = ids.new(now_ns // 1_000_000)
            records = operations.grant_role(
                grant, person=person, role=role, key=key.key, flags=key.flags, from_ns=from_ns, until_ns=until_ns,
                operator=(number or 0) if duty is Duty.OPERATOR else 0,
            )  # fmt: skip
        effect: dict[str, Any] = {
            "duty_id": ids.format(id),
            "person": ids.format(person),
            "duty": duty.value,
            "key": str(key),
            "institution": ids.format(institution),
            "from_ns": from_ns,
            "until_ns": until_ns,
            "grant": ids.format(grant),
            "of_operator": number,
        }
        return self._proposals.propose(APPOINT, records, effect, maker=maker, valid_ns=valid_ns)

    def dismiss(self, duty: int, *, maker: int, valid_ns: int = VALID_NS) -> Proposal:
        """Propose the end of a duty, by the id that `People.holders` gives. Raises UsageError if it is not held."""
        held = next((each for each in self._people.holders() if duty in (each.id, each.grant)), None)
        if held is None:
            raise UsageError(f"nobody has the duty {ids.format(duty)} now", hint="`sycee officer list` shows duties")
        records = None
        if held.grant:
            id = ids.new(read_ns(self._stores.clock) // 1_000_000)
            records = operations.revoke_role(id, grant=held.grant)
        effect = {"duty_id": ids.format(held.id), "person": ids.format(held.person), "duty": held.duty.value}
        return self._proposals.propose(DISMISS, records, effect, maker=maker, valid_ns=valid_ns)

    def _new_person(self, key: PublicKey, now_ns: int) -> int:
        try:
            return self._people.person_of_key(key)
        except UsageError:
            return ids.new(now_ns // 1_000_000)

    def _check_key(self, person: int, key: PublicKey) -> None:
        try:
            other = self._people.person_of_key(key)
        except UsageError:
            return
        if other != person:
            raise UsageError(
                f"the key {key} is {ids.format(other)}'s: two persons with one key would count as two signers",
                hint="the new person makes a key of their own with `sycee key new`",
            )

    def _require_new(
        self, person: int, duty: Duty, institution: int, operator: int | None, key: PublicKey, until_ns: int
    ) -> None:
        """Raise UsageError for a duty that the person has with this key for as long: it would outlast the first."""
        for held in self._people.duties_of(person):
            is_same = (held.duty, held.institution, held.operator) == (duty, institution, operator)
            if is_same and until_ns <= held.until_ns and key in self._keys_of(held):
                raise UsageError(
                    f"{ids.format(person)} is {held} with this key already",
                    hint="give a later --until to renew the duty; `sycee officer list` shows duties",
                )

    def _keys_of(self, held: HeldDuty) -> list[PublicKey]:
        """Return the keys with which the person of a duty signs for it."""
        if not held.grant:
            return self._people.keys_of(held.person)
        with self._stores.ledger.sequencer.reading() as state:
            grant = state.grants[held.grant]
            return [PublicKey(int(grant.flags), grant.key)]

    def _operator(self, duty: Duty, institution: int, operator: int | None) -> int | None:
        if duty not in duties.OF_INSTITUTION:
            if institution or operator is not None:
                raise UsageError(f"the duty {duty.value} is not of an institution", hint="leave the institution out")
            return None
        if not institution:
            if duty is Duty.OPERATOR and operator in ISSUER_OPERATORS:
                return operator
            raise UsageError(f"the duty {duty.value} is of an institution", hint="name the institution")
        found = self._institutions.require_approved(institution)
        if (found.kind == MERCHANT) is not (duty is Duty.MERCHANT):
            raise UsageError(f"{found.name} is {article(found.kind)}, and the duty is {duty.value}")
        if found.operator is None:
            raise UsageError(f"{found.name} has no operator number yet", hint="it joins first: `sycee operator join`")
        return found.operator


class _Appoint:
    name = APPOINT

    def __init__(self, people: People) -> None:
        self._people = people

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Store the duty, or remove it if the ledger refused the grant, also where a restore took the grant back."""
        if any(result is not Result.CREATED for result in results):
            self.lapsed(connection, intent)
            return
        payload = intent.payload
        held = HeldDuty(
            ids.parse(payload["duty_id"]),
            ids.parse(payload["person"]),
            Duty(payload["duty"]),
            ids.parse(payload["institution"]),
            payload["of_operator"],
            payload["from_ns"],
            payload["until_ns"],
            ids.parse(payload["grant"]),
        )
        self._people.record(connection, held, PublicKey.parse(payload["key"]), proposal=intent.id)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Remove the duty, if a restore took its grant back."""
        self._people.forget(connection, ids.parse(intent.payload["duty_id"]))


class _Dismiss:
    name = DISMISS

    def __init__(self, stores: Stores, people: People) -> None:
        self._stores = stores
        self._people = people

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """End the duty, also if its grant was revoked before."""
        if all(result in (Result.CREATED, Result.GRANT_REVOKED) for result in results):
            duty = ids.parse(intent.payload["duty_id"])
            self._people.end(connection, duty, at_ns=read_ns(self._stores.clock))
        else:
            self.lapsed(connection, intent)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Give the duty back, if a restore takes its end back."""
        self._people.restore(connection, ids.parse(intent.payload["duty_id"]))
