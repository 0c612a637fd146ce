"""Proposals: a queue of records that several persons sign, each with a key that need not be on this machine.

The stored proposal contains the complete records. `add_signature` checks a signature against the stored bytes, and
submits the proposal once nothing is missing: as an intent with the proposal's own id, so that a crash neither loses nor
repeats it. The action of that name, registered by its package, writes the effect.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.errors import IntegrityError, NotFound, SyceeError, UsageError
from sycee.core.keys import PublicKey, SigningKey
from sycee.core.records import describe, proposal_format
from sycee.core.records.describe import LocalName
from sycee.core.records.envelopes import ENVELOPE, decode
from sycee.core.records.layout import OPERATION
from sycee.core.records.proposal_format import Proposal, ProposalSignature, records_of, sign
from sycee.core.result_codes import Result
from sycee.core.timestamps import utc_text
from sycee.database.actions import Draft, Intent, IntentOutcome
from sycee.database.events import EventKind, record_event
from sycee.database.intents import check_payload
from sycee.database.jobs import Run
from sycee.database.states import LAPSED as INTENT_LAPSED
from sycee.database.states import PENDING as INTENT_PENDING
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.identity import duties, proposal_rules, signature_checks
from sycee.identity.duties import Duty
from sycee.identity.people import DutyMissing, HeldDuty, People
from sycee.identity.proposal_rules import Seat, concerned, operator_of
from sycee.identity.tables import DONE, LAPSED, OPEN, PROPOSALS, REFUSED, SIGNATURES, SUBMITTED, WITHDRAWN
from sycee.ledger import authority
from sycee.ledger.state import LedgerState

LAPSE_JOB: Final = "identity.lapse"

_ACCOUNTS: Final = ("debit", "credit", "reference")  # fields of a record that may name an account

# The ledger can use an envelope with one of these codes: alone, or as one of the two that an operation needs.
_USEFUL: Final = (Result.CREATED, Result.TWO_PERSONS_MUST_SIGN)


@dataclass(frozen=True, slots=True)
class StoredProposal:
    """A proposal as stored. `signers`: persons who signed. `reason`: a code, why it was refused or lapsed, or ""."""

    proposal: Proposal
    state: str
    reason: str
    signers: tuple[int, ...]
    results: tuple[Result, ...]
    made_ns: int
    finished_ns: int | None

    @property
    def id(self) -> int:
        """Return the proposal's id, which is also its intent's."""
        return self.proposal.id


@dataclass(frozen=True, slots=True)
class Missing:
    """The signatures that a proposal needs, in words: () if it was submitted, with its outcome."""

    needs: tuple[str, ...]
    outcome: IntentOutcome | None = None


class Proposals:
    """The proposals of one bank."""

    def __init__(self, stores: Stores, people: People) -> None:
        self._stores = stores
        self._people = people
        stores.jobs.register(LAPSE_JOB, self._lapse_job)

    # --- making and reading ---

    def propose(
        self,
        action: str,
        records: Array | None,
        effect: Mapping[str, Any],
        *,
        maker: int,
        valid_ns: int = proposal_format.PROPOSAL_VALIDITY_NS,
        before: Callable[[Connection], None] | None = None,
        id: int = 0,
    ) -> Proposal:
        """Store a proposal and return it; nobody has signed it yet.

        - `records`: with their final ids; None or an empty array for an action that writes to SQL only.
        - `effect`: what the action writes; its member "operator" is the number of the operator concerned, "not_by" a
          list of persons who must not sign.
        - `valid_ns`: at most 72 hours. `before` writes SQL in the same transaction; the action's `lapsed` undoes it.
        - `id`: the same id with the same action, maker and records again returns the stored proposal.

        Raises UsageError if the maker's duties do not permit the action, for values that do not fit, and if another
        proposal has the id.
        """
        rule = duties.rule(action)
        if not rule.checkers_min:
            raise UsageError(f"{action} needs no proposal: one person requests it", hint="call the service's method")
        check_payload(effect)
        if not 0 < valid_ns <= (most_ns := proposal_format.PROPOSAL_VALIDITY_NS_MAX):
            raise UsageError(
                f"a proposal is valid for up to {most_ns // 3_600_000_000_000} hours", hint="propose again later"
            )
        self._people.require(maker, action, **concerned(effect))
        self._stores.actions.get(action)
        now_ns = read_ns(self._stores.clock)
        made = Proposal(
            id=id or ids.new(now_ns // 1_000_000),
            ledger_id=self._stores.ledger.ledger_id,
            action=action,
            maker=maker,
            records=np.zeros(0, OPERATION) if records is None else np.ascontiguousarray(records),
            effect=dict(effect),
            valid_until_ns=now_ns + valid_ns,
        )
        with self._stores.ledger.sequencer.reading() as state:
            why = proposal_rules.unsupported(self._requirements(state, made))
        if why:
            raise UsageError(f"{action} cannot be a proposal: {why}")

        def store(connection: Connection) -> Row[Any] | None:
            if (earlier := _row(connection, made.id)) is not None:
                return earlier
            if before is not None:
                before(connection)
            connection.execute(PROPOSALS.insert().values(_new_row(made, now_ns)))
            self._stores.jobs.add(connection, LAPSE_JOB, made.valid_until_ns, key=ids.format(made.id))
            self._record(connection, EventKind.PROPOSAL_WAITING, made.id, action, made.effect)
            return None

        earlier = write(self._stores.engine, store)
        if earlier is None:
            return made
        if (earlier.action, earlier.maker, bytes(earlier.records)) != (action, maker, made.records.tobytes()):
            raise UsageError(f"another proposal has the id {ids.format(made.id)}", hint="use a fresh id")
        return self.get(made.id).proposal

    def list(self, state: str | None = None) -> Sequence[StoredProposal]:
        """Return the proposals, or those in one state, oldest first."""
        query = sqlalchemy.select(PROPOSALS).order_by(PROPOSALS.c.id)
        with reading(self._stores.engine) as connection:
            rows = list(connection.execute(query if state is None else query.where(PROPOSALS.c.state == state)))
            return [self._stored(connection, row) for row in rows]

    def page(self, state: str | None, *, after: int, most: int) -> Sequence[StoredProposal]:
        """Return up to `most` proposals, or of those in one state, whose ids follow `after`, by id."""
        query = sqlalchemy.select(PROPOSALS).where(PROPOSALS.c.id > after).order_by(PROPOSALS.c.id).limit(most)
        with reading(self._stores.engine) as connection:
            rows = list(connection.execute(query if state is None else query.where(PROPOSALS.c.state == state)))
            return [self._stored(connection, row) for row in rows]

    def get(self, id: int) -> StoredProposal:
        """Return a proposal. Raises UsageError if there is none, IntegrityError if its stored bytes were changed."""
        with reading(self._stores.engine) as connection:
            row = _row(connection, id)
            if row is None:
                raise NotFound(f"there is no proposal {ids.format(id)}", hint="`sycee proposal list` shows them")
            return self._stored(connection, row)

    def exported(self, id: int) -> Proposal:
        """Return a proposal for a file: with the persons who may sign it, by their keys."""
        proposal = self.get(id).proposal
        held_by: dict[int, list[HeldDuty]] = {}
        for held in self._people.holders():
            held_by.setdefault(held.person, []).append(held)
        may_sign = [person for person in sorted(held_by) if self.has_place(proposal, held_by[person])]
        keys = {str(key): person for person in may_sign for key in self._people.keys_of(person)}
        return replace(proposal, signers=keys)

    def has_place(self, proposal: Proposal, held: Sequence[HeldDuty]) -> bool:
        """Return whether a person with these duties has a place among the signers of a proposal."""
        with self._stores.ledger.sequencer.reading() as state:
            places = self._seats(state, proposal)
        return proposal_rules.may_sign(held, duties.rule(proposal.action), places, **concerned(proposal.effect))

    def lines(self, proposal: Proposal) -> Sequence[str]:
        """Return the decoded records of a proposal, as `lines_of`."""
        return self.lines_of(proposal.records)

    def lines_of(self, records: Array, among: Collection[int] | None = None) -> Sequence[str]:
        """Return decoded records, with the accounts that this machine's ledger has, marked as local names.

        `among`: the accounts that may be named so, for a reader who may not learn which others exist; None for all.
        """
        accounts = {id for name in _ACCOUNTS for id in ids.of_records(records, name) if id}
        accounts = accounts if among is None else accounts.intersection(among)
        with self._stores.ledger.sequencer.reading() as state:
            found = [account for account in map(state.account, sorted(accounts)) if account is not None]
        names = {
            account.id: LocalName(f"{account.kind.name} of operator {account.operator}", account.currency)
            for account in found
        }
        return describe.lines(records, names)

    def missing(self, id: int) -> Missing:
        """Return the signatures that an open proposal still needs now."""
        stored = self.get(id)
        with reading(self._stores.engine) as connection:
            signatures = _signatures(connection, id)
        return Missing(self._needs(stored.proposal, signatures)[0] if stored.state == OPEN else ())

    # --- signing ---

    def sign(self, id: int, *keys: SigningKey) -> Missing:
        """Sign an open proposal with keys that are on this machine, one after the other, while it is open."""
        answer = self.missing(id)
        for key in keys:
            if answer.outcome is not None:
                break
            signature = sign(self.get(id).proposal, self._people.person_of_key(key.public), key)
            answer = self.add_signature(signature)
        return answer

    def has_signature(self, signature: ProposalSignature) -> bool:
        """Return whether exactly this signature is stored."""
        with reading(self._stores.engine) as connection:
            return any(
                (row.signer, row.public_key, bytes(row.envelope or b""), bytes(row.approval))
                == (signature.signer, str(signature.public_key), signature.envelope, signature.approval)
                for row in _signatures(connection, signature.proposal)
            )

    def add_signature(self, signature: ProposalSignature) -> Missing:
        """Check and store a signature; submit the proposal if nothing is missing then.

        Raises UsageError, with nothing stored, for a signature that is invalid, late or stored already, of other bytes,
        of a person without the duty, or with another person's key.
        """
        stored = self.get(signature.proposal)
        self._require_open(stored)
        proposal = stored.proposal
        signature_checks.check_bytes(proposal, signature)
        signature_checks.check_person(self._people, signature)
        held = self._people.duties_of(signature.signer)
        with self._stores.ledger.sequencer.reading() as state:
            places = self._seats(state, proposal)
        signature_checks.check_duty(proposal, signature.signer, held, places)
        signature_checks.check_signatures(proposal, signature)
        now_ns = read_ns(self._stores.clock)

        def store(connection: Connection) -> None:
            row = _row(connection, proposal.id)
            if row is None or row.state != OPEN:
                raise UsageError(f"{_name(proposal)} is {row.state if row else 'gone'}", hint="nothing was stored")
            if any(each.signer == signature.signer for each in _signatures(connection, proposal.id)):
                raise UsageError(
                    f"{ids.format(signature.signer)} signed {_name(proposal)} already",
                    hint="another person must sign: a second key of the same person does not count",
                )
            values = {
                "proposal": proposal.id,
                "signer": signature.signer,
                "public_key": str(signature.public_key),
                "envelope": signature.envelope or None,
                "approval": signature.approval,
                "at_ns": now_ns,
            }
            connection.execute(SIGNATURES.insert().values(values))

        write(self._stores.engine, store)
        answer = self.missing(proposal.id)
        return Missing((), self.submit(proposal.id)) if not answer.needs else answer

    def submit(self, id: int) -> IntentOutcome:
        """Submit a proposal that has all signatures, and return its outcome. Repeating the call changes nothing.

        Raises UsageError if it is not open or signatures are missing.
        """
        stored = self.get(id)
        if stored.state not in (OPEN, SUBMITTED):
            return self._outcome(stored)
        if stored.state == OPEN:
            self._require_open(stored)
        with reading(self._stores.engine) as connection:
            signatures = _signatures(connection, id)
        needs, useful = self._needs(stored.proposal, signatures)
        if needs and stored.state == OPEN:
            raise UsageError(
                f"{_name(stored.proposal)} is not signed by all: missing {'; '.join(needs)}",
                hint="maker and checker are two persons, and no person signs in two places",
            )
        return self._submit(stored.proposal, useful)

    # --- ending ---

    def withdraw(self, id: int, *, by: int) -> None:
        """Withdraw an open proposal: its maker may, and every officer. Raises UsageError otherwise."""
        stored = self.get(id)
        if by != stored.proposal.maker and all(each.duty is not Duty.OFFICER for each in self._people.duties_of(by)):
            raise DutyMissing(
                f"{ids.format(by)} may not withdraw {_name(stored.proposal)}",
                hint="its maker or an officer withdraws it",
            )
        self._require_open(stored)
        if not self._end(stored.proposal, WITHDRAWN, ""):
            raise UsageError(f"{_name(stored.proposal)} is not open any more", hint="nothing was changed")

    def lapse_due(self) -> int:
        """Lapse the open proposals whose time is over; return their number."""
        now_ns = read_ns(self._stores.clock)
        due = [stored for stored in self.list(OPEN) if stored.proposal.valid_until_ns <= now_ns]
        return sum(self._end(stored.proposal, LAPSED, Result.SIGNATURE_EXPIRED.name) for stored in due)

    def catch_up(self, *, again: bool = False) -> int:
        """Complete what a crash interrupted; return how many proposals changed.

        A proposal that has all signatures is submitted, and outcomes of intents are written to their proposals.
        `again`: also of proposals that have an outcome, because a restore may have changed it.
        """
        states = (SUBMITTED, DONE, REFUSED, LAPSED) if again else (SUBMITTED,)
        changed = 0
        now_ns = read_ns(self._stores.clock)
        for stored in self.list(OPEN):
            if now_ns < stored.proposal.valid_until_ns and not self.missing(stored.id).needs:
                with suppress(SyceeError):  # what it needs has changed since: it stays open until it lapses
                    self.submit(stored.id)
                    changed += 1
        for state in states:
            for stored in self.list(state):
                intent = self._stores.intents.find(stored.id)
                if intent is not None and intent.state != INTENT_PENDING:
                    changed += self._write_outcome(intent.outcome, from_states=states)
        return changed

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each proposal whose state differs from its intent's."""
        for stored in self.list():
            intent = self._stores.intents.find(stored.id)
            if intent is None:
                if stored.state in (SUBMITTED, DONE, REFUSED) and stored.proposal.records.size:
                    yield f"{_name(stored.proposal)} is {stored.state}, and has no intent"
            elif intent.state == INTENT_PENDING or stored.state != _state_of(intent.outcome):
                yield f"{_name(stored.proposal)} is {stored.state}, and its intent {intent.state}"

    # --- helpers ---

    def _requirements(self, state: LedgerState, proposal: Proposal) -> Sequence[authority.Requirement]:
        return authority.requirements(state, self._frame_ns(state), proposal.records) if proposal.records.size else []

    def _seats(self, state: LedgerState, proposal: Proposal) -> Sequence[Seat]:
        return proposal_rules.seats(self._requirements(state, proposal), duties.rule(proposal.action))

    def _frame_ns(self, state: LedgerState) -> int:
        """Return the time that a frame would have now."""
        return max(read_ns(self._stores.clock), state.now_ns + 1)

    def _needs(self, proposal: Proposal, signatures: Sequence[Row[Any]]) -> tuple[tuple[str, ...], Array]:
        """Return the missing signatures, in words, and the envelopes that the ledger accepts: (m,) ENVELOPE."""
        rule, of = duties.rule(proposal.action), concerned(proposal.effect)
        # A writer of the database could add a row, so the bytes of every signature are verified again.
        signatures = [row for row in signatures if _is_valid(proposal, row)]
        now = {row.signer: self._duties_now(row) for row in signatures}
        useful = np.zeros(0, ENVELOPE)
        with self._stores.ledger.sequencer.reading() as state:
            now_ns = self._frame_ns(state)
            places = self._seats(state, proposal)
            signers = {
                person: held for person, held in now.items() if proposal_rules.may_sign(held, rule, places, **of)
            }
            for row in signatures:
                envelope = decode(row.envelope or b"")
                if row.signer in signers and envelope.size and _is_useful(state, proposal, now_ns, envelope):
                    useful = np.concatenate([useful, envelope])
            words = proposal_rules.missing(rule, proposal.maker, signers, places, **of)
            if not words and proposal.records.size:
                words = _refusals(state, proposal, now_ns, useful)
        return words, useful

    def _duties_now(self, row: Row[Any]) -> Sequence[HeldDuty]:
        """Return the duties of a person who signed; none if the person, or the key, was dismissed since."""
        keys = {str(key) for key in self._people.keys_of(row.signer)}
        return self._people.duties_of(row.signer) if row.public_key in keys else []

    def _require_open(self, stored: StoredProposal) -> None:
        if stored.state != OPEN:
            raise _not_open(stored)
        if read_ns(self._stores.clock) >= stored.proposal.valid_until_ns:
            self._end(stored.proposal, LAPSED, Result.SIGNATURE_EXPIRED.name)
            raise UsageError(
                f"{_name(stored.proposal)} lapsed at {utc_text(stored.proposal.valid_until_ns)}",
                hint="propose it again: its signatures have the same end",
            )

    def _submit(self, proposal: Proposal, envelopes: Array) -> IntentOutcome:
        def submitted(connection: Connection) -> None:
            if not _change(connection, proposal.id, (OPEN, SUBMITTED), state=SUBMITTED):
                raise UsageError(f"{_name(proposal)} is not open any more", hint="nothing was submitted")

        if not proposal.records.size:
            return self._run_effect(proposal)
        draft = Draft(
            proposal.action,
            proposal.records,
            proposal.effect,
            who=proposal.maker,
            envelopes=envelopes,
            before=submitted,
            id=proposal.id,
        )
        outcome = self._stores.intents.perform(draft)
        self._write_outcome(outcome)
        return outcome

    def _run_effect(self, proposal: Proposal) -> IntentOutcome:
        """Write the effect of a proposal without records, and its end, in one transaction."""
        now_ns = read_ns(self._stores.clock)

        def done(connection: Connection) -> None:
            if not _change(connection, proposal.id, (OPEN,), state=DONE, finished_ns=now_ns):
                raise UsageError(f"{_name(proposal)} is not open any more", hint="nothing was changed")
            self._stores.actions.get(proposal.action).done(connection, _intent(proposal), ())
            self._record_end(connection, proposal.id, DONE)

        write(self._stores.engine, done)
        return IntentOutcome(proposal.id, DONE, (), 0)

    def _write_outcome(self, outcome: IntentOutcome, from_states: tuple[str, ...] = (SUBMITTED,)) -> bool:
        refusal = outcome.refusal
        values = {
            "state": _state_of(outcome),
            "reason": "" if refusal is None else refusal.name,
            "results": np.array(outcome.results, "<u2").tobytes(),
            "finished_ns": read_ns(self._stores.clock),
        }

        def store(connection: Connection) -> bool:
            before = _row(connection, outcome.intent)
            changed = _change(connection, outcome.intent, from_states, **values)
            if changed and before is not None and before.state != values["state"]:
                self._record_end(connection, outcome.intent, _state_of(outcome))
            return changed

        return write(self._stores.engine, store)

    def _outcome(self, stored: StoredProposal) -> IntentOutcome:
        intent = self._stores.intents.find(stored.id)
        if intent is not None:
            return intent.outcome
        if stored.state == DONE:
            return IntentOutcome(stored.id, DONE, (), 0)
        raise _not_open(stored)

    def _end(self, proposal: Proposal, state: str, reason: str) -> bool:
        """End an open proposal without an intent, and undo what it prepared; return whether it was open."""
        now_ns = read_ns(self._stores.clock)

        def end(connection: Connection) -> bool:
            if not _change(connection, proposal.id, (OPEN,), state=state, reason=reason, finished_ns=now_ns):
                return False
            self._stores.actions.get(proposal.action).lapsed(connection, _intent(proposal))
            self._record_end(connection, proposal.id, state)
            return True

        return write(self._stores.engine, end)

    def _record_end(self, connection: Connection, id: int, state: str) -> None:
        row = _row(connection, id)
        assert row is not None, "its state was changed in this transaction"
        self._record(connection, EventKind.PROPOSAL_ENDED, id, row.action, json.loads(row.effect), state=state)

    def _record(
        self, connection: Connection, kind: EventKind, id: int, action: str, effect: Mapping[str, Any], **data: str
    ) -> None:
        """Add an event of a proposal in the transaction that changes it."""
        currencies = proposal_rules.currencies_of(action, effect)
        record_event(
            connection,
            self._stores.clock,
            kind,
            ids.format(id),
            operator=operator_of(effect),
            data={"action": action, **data, **({"currencies": currencies} if currencies else {})},
        )

    def _lapse_job(self, run: Run) -> None:
        self.lapse_due()

    def _stored(self, connection: Connection, row: Row[Any]) -> StoredProposal:
        proposal = Proposal(
            id=row.id,
            ledger_id=self._stores.ledger.ledger_id,
            action=row.action,
            maker=row.maker,
            records=records_of(bytes(row.records)),
            effect=json.loads(row.effect),
            valid_until_ns=row.valid_until_ns,
        )
        if proposal.digest.hex() != row.digest:
            raise IntegrityError(
                f"the stored bytes of {_name(proposal)} were changed since it was made",
                hint="restore the database from a backup, and sign nothing",
            )
        signers = tuple(each.signer for each in _signatures(connection, row.id))
        results = tuple(Result(code) for code in np.frombuffer(bytes(row.results or b""), "<u2").tolist())
        return StoredProposal(proposal, row.state, row.reason, signers, results, row.made_ns, row.finished_ns)


def _name(proposal: Proposal) -> str:
    return f"proposal {ids.format(proposal.id)} ({proposal.action})"


def _not_open(stored: StoredProposal) -> UsageError:
    reason = f": {stored.reason}" if stored.reason else ""
    return UsageError(f"{_name(stored.proposal)} is {stored.state}{reason}", hint="propose it again")


def _is_valid(proposal: Proposal, row: Row[Any]) -> bool:
    """Return whether a stored signature is one of the key that is stored with it, over the proposal's bytes."""
    try:
        key, envelope = PublicKey.parse(row.public_key), bytes(row.envelope or b"")
        signature_checks.check_signatures(
            proposal, ProposalSignature(proposal.id, proposal.digest, row.signer, key, envelope, bytes(row.approval))
        )
    except UsageError:
        return False
    return True


def _state_of(outcome: IntentOutcome) -> str:
    if outcome.state == INTENT_LAPSED:
        return LAPSED
    return DONE if outcome.created else REFUSED


def _is_useful(state: LedgerState, proposal: Proposal, now_ns: int, envelope: Array) -> bool:
    """Return whether the ledger can use an envelope: it authorises a record alone, or is one of the two that a record
    needs.

    The ledger refuses records with an envelope that authorises none, such as one of a person without a grant.
    """
    codes = authority.authorise(state, proposal.ledger_id, now_ns, proposal.records, envelope)
    return bool(np.isin(codes, _USEFUL).any())


def _refusals(state: LedgerState, proposal: Proposal, now_ns: int, envelopes: Array) -> tuple[str, ...]:
    codes = authority.authorise(state, proposal.ledger_id, now_ns, proposal.records, envelopes).tolist()
    refused = [(number, Result(code)) for number, code in enumerate(codes, 1) if code != Result.CREATED]
    return tuple(f"the ledger refuses record {number}: {result.name}" for number, result in refused[:1])


def _new_row(proposal: Proposal, now_ns: int) -> dict[str, Any]:
    return {
        "id": proposal.id,
        "action": proposal.action,
        "maker": proposal.maker,
        "records": proposal.records.tobytes(),
        "effect": proposal.effect_text.decode("ascii"),
        "digest": proposal.digest.hex(),
        "valid_until_ns": proposal.valid_until_ns,
        "state": OPEN,
        "reason": "",
        "made_ns": now_ns,
    }


def _intent(proposal: Proposal) -> Intent:
    """Return the intent that an action sees for a proposal without one."""
    return Intent(
        proposal.id, proposal.action, proposal.effect, proposal.records, np.zeros(0, ENVELOPE),
        proposal.valid_until_ns, proposal.maker,
    )  # fmt: skip


def _row(connection: Connection, id: int) -> Row[Any] | None:
    return connection.execute(sqlalchemy.select(PROPOSALS).where(PROPOSALS.c.id == id)).one_or_none()


def _signatures(connection: Connection, id: int) -> Sequence[Row[Any]]:
    query = sqlalchemy.select(SIGNATURES).where(SIGNATURES.c.proposal == id)
    return list(connection.execute(query.order_by(SIGNATURES.c.at_ns, SIGNATURES.c.signer)))


def _change(connection: Connection, id: int, from_states: tuple[str, ...], **values: Any) -> bool:
    """Change a proposal that is in one of the states; return whether it was."""
    chosen = (PROPOSALS.c.id == id) & PROPOSALS.c.state.in_(from_states)
    return connection.execute(PROPOSALS.update().where(chosen).values(values)).rowcount == 1
