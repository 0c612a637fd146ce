"""Appoint persons to duties, and dismiss them. Each is a proposal: officers sign it, the maker and another person.

A duty that is a role of the ledger is a grant: the ledger refuses a key that another person has. For other duties the
key is stored here, and no two persons have one key either.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.errors import UsageError
from sycee.core.keys import PublicKey
from sycee.core.records import operations
from sycee.core.records.proposal_format import PROPOSAL_VALIDITY_NS, Proposal
from sycee.core.result_codes import Result
from sycee.database.actions import Intent
from sycee.database.stores import Stores
from sycee.identity import duties
from sycee.identity.duties import Duty
from sycee.identity.institutions import Institutions
from sycee.identity.people import HeldDuty, People, article
from sycee.identity.proposals import Proposals
from sycee.identity.tables import MERCHANT, OPEN, PROPOSALS, SUBMITTED

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
        stores.actions.register(_Appoint(stores, people), _Dismiss(stores, people))

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
        currency: int = 0,
        valid_ns: int = PROPOSAL_VALIDITY_NS,
    ) -> Proposal:
        """Propose that a person has a duty until a time, and signs with `key`.

        - `person`: 0 for a new one.
        - `institution`: for duties of an institution; the issuer's operators 0 and 1 are given by `operator` alone.
        - `currency`: ISO 4217 number, of an officer of one currency.

        A person has a duty once: given again, with another key or a later end, it replaces the first. Raises UsageError
        for a duty that must be apart from the person's duties, for another person's key, for an institution without due
        diligence, and while a proposal about the duty is open.
        """
        now_ns = read_ns(self._stores.clock)
        if duty is duties.OWN:
            raise UsageError("nobody is appointed as a citizen", hint="open a wallet for the person")
        if until_ns <= now_ns:
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
        if (duty is Duty.CURRENCY_OFFICER) != bool(currency):
            raise UsageError(
                f"the duty {duty.value} is {'not of one currency' if currency else 'of one currency'}",
                hint="leave the currency out" if currency else "name the currency, such as HKD",
            )
        replaced = self._alike(person, duty, institution, number, currency)
        self._require_new(replaced, key, until_ns)
        id, grant = ids.new(now_ns // 1_000_000), 0
        records = None
        if role := duties.ROLES.get(duty):
            grant = ids.new(now_ns // 1_000_000)
            granted = operations.grant_role(
                grant, person=person, role=role, key=key.key, flags=key.flags, from_ns=0, until_ns=until_ns,
                operator=(number or 0) if duty is Duty.OPERATOR else 0, currency=currency,
            )  # fmt: skip
            # The grant is first: two officers remain on the board while the old grant is revoked.
            records = np.concatenate([granted, *self._revocations(replaced)])
        effect: dict[str, Any] = {
            "duty_id": ids.format(id),
            "person": ids.format(person),
            "duty": duty.value,
            "key": str(key),
            "institution": ids.format(institution),
            "from_ns": 0,
            "until_ns": until_ns,
            "grant": ids.format(grant),
            "of_operator": number,
            "replaces": [ids.format(held.id) for held in replaced],
        }
        return self._propose(APPOINT, records, effect, maker, valid_ns)

    def dismiss(self, duty: int, *, maker: int, valid_ns: int = PROPOSAL_VALIDITY_NS) -> Proposal:
        """Propose the end of a duty, by the id that `People.holders` gives.

        Every grant that gives the person the same duty is revoked. Raises UsageError if nobody has the duty, and while
        a proposal about it is open.
        """
        held = next((each for each in self._people.holders() if duty in (each.id, each.grant)), None)
        if held is None:
            raise UsageError(f"nobody has the duty {ids.format(duty)} now", hint="`sycee officer list` shows duties")
        ended = self._alike(held.person, held.duty, held.institution, held.operator, held.currency)
        revocations = self._revocations(ended)
        effect: dict[str, Any] = {
            "duty_id": ids.format(held.id),
            "person": ids.format(held.person),
            "duty": held.duty.value,
            "duties": [ids.format(each.id) for each in ended],
        }
        return self._propose(DISMISS, np.concatenate(revocations) if revocations else None, effect, maker, valid_ns)

    def _propose(
        self, action: str, records: Array | None, effect: dict[str, Any], maker: int, valid_ns: int
    ) -> Proposal:
        """Store a proposal, unless another about the same duty of the person is open: both would count on it."""
        now_ns = read_ns(self._stores.clock)
        of_duties = PROPOSALS.c.action.in_((APPOINT, DISMISS)) & (PROPOSALS.c.valid_until_ns > now_ns)
        query = sqlalchemy.select(PROPOSALS.c.id, PROPOSALS.c.effect).where(
            of_duties & PROPOSALS.c.state.in_((OPEN, SUBMITTED))
        )

        def before(connection: Connection) -> None:
            for row in connection.execute(query):
                other = json.loads(row.effect)
                if all(other.get(name) == effect[name] for name in ("person", "duty")):
                    raise UsageError(
                        f"proposal {ids.format(row.id)} is about the duty {effect['duty']} of {effect['person']} too",
                        hint="sign or withdraw it",
                    )

        return self._proposals.propose(action, records, effect, maker=maker, valid_ns=valid_ns, before=before)

    def _alike(self, person: int, duty: Duty, institution: int, operator: int | None, currency: int) -> list[HeldDuty]:
        """Return what gives a person this duty now: one, unless the ledger got a second grant by other means."""
        wanted = (duty, institution, operator, currency)
        return [
            held
            for held in self._people.duties_of(person)
            if (held.duty, held.institution, held.operator, held.currency) == wanted
        ]

    def _revocations(self, ended: Sequence[HeldDuty]) -> list[Array]:
        now_ms = read_ns(self._stores.clock) // 1_000_000
        return [operations.revoke_role(ids.new(now_ms), grant=held.grant) for held in ended if held.grant]

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

    def _require_new(self, replaced: Sequence[HeldDuty], key: PublicKey, until_ns: int) -> None:
        """Raise UsageError for a duty that the person has with this key for as long."""
        for held in replaced:
            if until_ns <= held.until_ns and key in self._keys_of(held):
                raise UsageError(
                    f"{ids.format(held.person)} is {held} with this key already",
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

    def __init__(self, stores: Stores, people: People) -> None:
        self._stores = stores
        self._people = people

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Store the duty and end what it replaces; take back what the ledger refused, also after a restore."""
        payload = intent.payload
        if any(result is not Result.CREATED for result in results[:1]):
            self._people.forget(connection, ids.parse(payload["duty_id"]))
        else:
            self._record(connection, intent)
        _end(self._stores, self._people, connection, payload.get("replaces", []), results[1:])

    def _record(self, connection: Connection, intent: Intent) -> None:
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
        """Remove the duty and return what it replaced, if a restore took its grant back."""
        self._people.forget(connection, ids.parse(intent.payload["duty_id"]))
        for text in intent.payload.get("replaces", []):
            self._people.restore(connection, ids.parse(text))


class _Dismiss:
    name = DISMISS

    def __init__(self, stores: Stores, people: People) -> None:
        self._stores = stores
        self._people = people

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """End the duty, also if its grant was revoked before."""
        _end(self._stores, self._people, connection, _ended(intent), results)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Give the duty back, if a restore takes its end back."""
        for text in _ended(intent):
            self._people.restore(connection, ids.parse(text))


def _ended(intent: Intent) -> list[str]:
    return list(intent.payload.get("duties", [intent.payload["duty_id"]]))


def _end(stores: Stores, people: People, connection: Connection, texts: list[str], results: Sequence[Result]) -> None:
    """End the duties of these ids, but those whose revocation the ledger refused. `results`: () without grants."""
    for text, result in zip(texts, results or [Result.CREATED] * len(texts), strict=True):
        if result in (Result.CREATED, Result.GRANT_REVOKED):
            people.end(connection, ids.parse(text), at_ns=read_ns(stores.clock))
        else:
            people.restore(connection, ids.parse(text))
