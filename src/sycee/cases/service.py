"""Cases: opened about a payment or a person, moved from state to state by steps, and closed by a decision.

The rules define the possible steps, the deadline of each state, and the steps that lead to an operation of the ledger:
money is held until the decision, returned, or released. Such a step is an intent, or a proposal where the ledger
requires two officers. Free text is sealed under the key of the case's person.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol
from zoneinfo import ZoneInfo

import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.cases import events
from sycee.cases.events import Event
from sycee.cases.rules import HOLD, PAYMENT, RELEASE, RETURN, BusinessDays, CaseKind, Rules, Step, Weekdays, deadline
from sycee.cases.tables import CASES, CLAIMS, EVENTS, PREPARED
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.records import operations
from sycee.core.records.layout import PURSE_BIT, HoldState, Kind, PayFlag
from sycee.core.records.proposal_format import Proposal
from sycee.core.result_codes import Result
from sycee.database.actions import Draft, Intent
from sycee.database.comparing import differences
from sycee.database.events import EventKind, record_event
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.identity.duties import Duty
from sycee.identity.people import People
from sycee.identity.proposal_rules import operator_name
from sycee.ledger import authority, queries
from sycee.ledger.state import LedgerState
from sycee.personal.access import Access
from sycee.personal.register import Register
from sycee.sequencer.signer import Signer
from sycee.wallets.directory import Directory

if TYPE_CHECKING:
    from sycee.issuance.registry import Registry

OPEN_ACTION: Final = "case.open"
ACT: Final = "case.act"
PLACE: Final = "case"  # of sealed texts
NS_PER_S: Final = 10**9
DAY_NS: Final = 86_400 * NS_PER_S
HOLD_NS: Final = 180 * DAY_NS  # longer than every deadline: a hold ends with its case


@dataclass(frozen=True, slots=True)
class Case:
    """A case. `payment`: the disputed operation, 0 for none; `account`: the wallet that received its money."""

    number: int
    id: int
    kind: str
    state: str
    is_open: bool
    person: int
    account: int
    payment: int
    owner: int
    hold: int
    opened_ns: int
    deadline_ns: int  # of the state, 0 for none
    rules: str


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as the ledger has it. `payer` is 0 if it was paid from packets alone.

    `returned_minor`: what was refunded and reversed of it.
    """

    operation: int
    payer: int
    payee: int
    minor: int
    returned_minor: int


class Returns(Protocol):
    """Returns by authority, which `claims` implements."""

    def propose_return(self, case: Case, step: Step, *, who: int, minor: int, id: int) -> Proposal:
        """Propose to return a case's payment; the step is taken when officers have signed."""
        ...

    def proposed_return(self, id: int) -> Proposal | None:
        """Return the proposal of this id that returns money, regardless of its state; None if there is none."""
        ...


class Cases:
    """The cases of a bank. `claims` follows the money that a return did not find."""

    def __init__(
        self, stores: Stores, people: People, register: Register, directory: Directory, registry: Registry,
        rules: Rules, zone: ZoneInfo, calendar: BusinessDays | None = None,
    ) -> None:  # fmt: skip
        self._stores, self._people, self._register = stores, people, register
        self._directory, self._registry = directory, registry
        self.rules = rules
        self._zone = zone
        self._calendar = calendar or Weekdays()
        self.claims: Returns | None = None
        stores.actions.register(_Act(stores))

    # --- reading ---

    def is_open(self, number: int) -> bool:
        """Return whether the case of this number exists and is open."""
        chosen = (CASES.c.number == number) & (CASES.c.open == 1)
        with reading(self._stores.engine) as connection:
            return connection.scalar(sqlalchemy.select(CASES.c.number).where(chosen)) is not None

    def concerns(self, number: int, person: int) -> bool:
        """Return whether a case is about the person, or about a payment that a wallet of the person made or got."""
        case = self.get(number)
        if person == case.person:
            return True
        accounts = {wallet.account for wallet in self._directory.of_holder(person)}
        return bool(case.payment) and not accounts.isdisjoint((case.account, self.payment(case.payment).payer))

    def opener(self, number: int, person: int) -> int:
        """Return who opened a case that can prove a lost phone of the person; 0 for another case.

        An institution has no case about itself: a case about a payment of its wallet serves.
        """
        case = self.get(number)
        is_proof = case.kind == self.rules.lost_phone and case.person == person
        return case.owner if is_proof or self._people.state_of(person) is None else 0

    def get(self, number: int) -> Case:
        """Return a case. Raises UsageError if there is none of this number."""
        with reading(self._stores.engine) as connection:
            found = case_in(connection, number)
        if found is None:
            raise NotFound(f"there is no case {number}", hint="`sycee case list` shows the cases")
        return found

    def list(self, *, only_open: bool = False) -> Sequence[Case]:
        """Return the cases, or the open ones, by number."""
        query = sqlalchemy.select(CASES).order_by(CASES.c.number)
        with reading(self._stores.engine) as connection:
            rows = connection.execute(query.where(CASES.c.open == 1) if only_open else query).all()
        return [_case(row) for row in rows]

    def page(self, *, after: int, most: int, only_open: bool = False) -> Sequence[Case]:
        """Return up to `most` cases, or open ones, with numbers above `after`, by number."""
        query = sqlalchemy.select(CASES).where(CASES.c.number > after).order_by(CASES.c.number).limit(most)
        with reading(self._stores.engine) as connection:
            rows = connection.execute(query.where(CASES.c.open == 1) if only_open else query).all()
        return [_case(row) for row in rows]

    def due(self, now_ns: int) -> Sequence[Case]:
        """Return the open cases whose deadline is reached."""
        return [case for case in self.list(only_open=True) if 0 < case.deadline_ns <= now_ns]

    def events(self, number: int) -> Sequence[Event]:
        """Return the events of a case, in order."""
        query = sqlalchemy.select(EVENTS).where(EVENTS.c.case_number == number).order_by(EVENTS.c.number)
        with reading(self._stores.engine) as connection:
            return [events.event_of(row) for row in connection.execute(query)]

    def text_of(self, number: int, event: Event, *, access: Access) -> str:
        """Return the free text of an event, after an entry in the access log; "" for none."""
        return self._register.open(self.get(number).person, PLACE, event.sealed, access=access) if event.sealed else ""

    def payment(self, operation: int) -> Payment:
        """Return a payment by its id. Raises UsageError if the ledger has no payment of this id that was made."""
        with self._stores.ledger.sequencer.reading() as state:
            found = payment_in(state, operation)
        if found is None:
            raise UsageError(
                f"the ledger has no payment {ids.format(operation)}", hint="name the id that the payment printed"
            )
        return found

    def rest_of(self, case: Case) -> int:
        """Return the part of a case's payment that was neither refunded, nor reversed, nor paid from a hold of the
        case.
        """
        acted = {event.id for event in self.events(case.number)}
        with self._stores.ledger.sequencer.reading() as state:
            return rest_in(state, case.payment, acted)

    # --- opening ---

    def open(self, kind: str, *, by: int, person: int = 0, payment: int = 0, text: str = "", id: int = 0) -> int:
        """Open a case and return its number; `by` owns it. The same id again returns the same number.

        About a payment: `person` is found by the wallet that paid. Raises UsageError for an unknown kind, a missing or
        an unknown person or payment, for a person without the duty, for a text about a person without a record, and
        while another case about the payment is open.
        """
        rule = self.rules.kind(kind)
        self._people.require(by, OPEN_ACTION)
        account = 0
        if rule.about == PAYMENT:
            if not payment:
                raise UsageError(f"a case of kind {kind} is about a payment", hint="name the id of the payment")
            found = self.payment(payment)
            account = found.payee
            person = person or (self._directory.holder_of(found.payer) if found.payer else 0)
        if not person or self._people.state_of(person) is None:
            raise UsageError(f"a case of kind {kind} is about a person of this bank", hint="name the person's id")
        now_ns = read_ns(self._stores.clock)
        id = id or ids.new(now_ns // 1_000_000)
        sealed = self._sealed(person, text)
        first = rule.states[0].name
        values = {
            "id": id,
            "kind": kind,
            "state": first,
            "open": 1,
            "person": person,
            "account": account,
            "operation": payment,
            "owner": by,
            "hold": 0,
            "opened_ns": now_ns,
            "deadline_ns": self._deadline_ns(rule, first, now_ns),
            "rules": self.rules.digest,
        }

        def work(connection: Connection) -> int:
            earlier = connection.scalar(sqlalchemy.select(CASES.c.number).where(CASES.c.id == id))
            if earlier is not None:
                return int(earlier)
            if rule.about == PAYMENT:
                self._require_first(connection, payment)
            number = int(connection.scalar(sqlalchemy.select(sqlalchemy.func.max(CASES.c.number))) or 0) + 1
            connection.execute(CASES.insert().values(number=number, **values))
            events.add(connection, number, id, "open", by, now_ns, {"state": first}, sealed)
            record_event(connection, self._stores.clock, EventKind.CASE_OPENED, str(number), data={"kind": kind})
            return number

        return write(self._stores.engine, work)

    def _sealed(self, person: int, text: str) -> bytes | None:
        """Return a text under a person's key; None for "". Raises UsageError for a person without a record."""
        if not text:
            return None
        if not self._register.keys.has(person):
            raise UsageError(
                f"nothing is stored about the person {ids.format(person)}, whose key would seal the text",
                hint="leave the text out, and keep it elsewhere",
            )
        return self._register.seal(person, PLACE, text)

    def _require_first(self, connection: Connection, payment: int) -> None:
        """Raise UsageError if an open case can return the payment already. Kinds about a person return nothing."""
        kinds = [kind.name for kind in self.rules.kinds.values() if kind.about == PAYMENT]
        chosen = (CASES.c.operation == payment) & (CASES.c.open == 1) & CASES.c.kind.in_(kinds)
        if (other := connection.scalar(sqlalchemy.select(CASES.c.number).where(chosen).limit(1))) is not None:
            raise UsageError(f"case {other} about this payment is open", hint="continue that case, or decide it first")

    # --- steps ---

    def act(
        self, number: int, step: str, *, who: int, signers: Sequence[Signer] = (), text: str = "", minor: int = 0,
        id: int = 0,
    ) -> Case | Proposal:  # fmt: skip
        """Take a step. Return the case after it, or the proposal that officers must sign for a return.

        - `signers`: of operations that the step leads to: those of the payee's operator.
        - `minor`: amount to hold or return; 0 for all of the payment.
        - `id`: of the step; the same id again changes nothing further.

        If a hold has less than the amount, its money is paid immediately and the return of the rest is proposed. A hold
        that ended by time holds nothing any more. Raises UsageError for a step that is not possible now, and for every
        step while a proposed return waits for signatures; Refused, with the case unchanged, if the ledger refuses the
        operation.
        """
        self._people.require(who, ACT)
        case = self.get(number)
        if id and self.claims is not None and (proposal := self.claims.proposed_return(id)) is not None:
            return proposal
        if id and self._is_done(case, step, id):
            return case
        chosen = self._kind(case).step(step, case.state)
        with reading(self._stores.engine) as connection:
            require_no_return(connection, number)
        now_ns = read_ns(self._stores.clock)
        id = id or ids.new(now_ns // 1_000_000)
        sealed = self._sealed(case.person, text)
        held = self._held_minor(case)
        if chosen.leads == HOLD and held:
            raise UsageError(f"case {number} holds money already", hint="decide the case: uphold or dismiss it")
        if chosen.leads == RETURN:
            assert self.claims is not None, "the bank connects cases and claims"
            wanted = minor or self.rest_of(case)
            if held < wanted:
                if held:
                    part = replace(chosen, to=case.state)
                    self._operate(case, part, id, who, signers, sealed, held, now_ns)
                    case, id = self.get(number), ids.new(now_ns // 1_000_000)
                return self.claims.propose_return(case, chosen, who=who, minor=wanted - held, id=id)
            minor = wanted
            if not wanted:  # refunded meanwhile
                chosen = replace(chosen, leads=RELEASE)
        if chosen.leads == HOLD or (chosen.leads in (RETURN, RELEASE) and held):
            self._operate(case, chosen, id, who, signers, sealed, minor, now_ns)
            return self.get(number)
        after = self.after(case, chosen, now_ns)

        def work(connection: Connection) -> None:
            self._require_state(connection, case)
            connection.execute(CASES.update().where(CASES.c.number == number).values(after))
            detail = {"from": case.state, "to": chosen.to}
            events.add(connection, number, id, chosen.name, who, now_ns, detail, sealed)

        write(self._stores.engine, work)
        return self.get(number)

    def _held_minor(self, case: Case) -> int:
        """Return the money that a case holds now, in minor units; 0 once the hold was decided or has ended."""
        hold = self._stores.ledger.find_hold(case.hold) if case.hold else None
        return hold.held if hold is not None and hold.state is HoldState.OPEN else 0

    def after(self, case: Case, step: Step, now_ns: int) -> dict[str, Any]:
        """Return the columns of a case after a step."""
        kind = self._kind(case)
        same = step.to == case.state
        return {
            "state": step.to,
            "open": int(bool(kind.steps_from(step.to))),
            "deadline_ns": case.deadline_ns if same else self._deadline_ns(kind, step.to, now_ns),
        }

    def _operate(
        self, case: Case, step: Step, id: int, who: int, signers: Sequence[Signer], sealed: bytes | None, minor: int,
        now_ns: int,
    ) -> None:  # fmt: skip
        """Perform the operation of a step, and then the step."""
        record = self._record(case, step, id, minor, now_ns)
        self._require_signers(case, step, record, signers)
        payload = {
            "case": case.number,
            "step": step.name,
            "leads": step.leads,
            "from": case.state,
            "after": self.after(case, step, now_ns),
            "before": {"state": case.state, "open": 1, "deadline_ns": case.deadline_ns, "hold": case.hold},
            "at_ns": now_ns,
        }

        def before(connection: Connection) -> None:
            self._require_state(connection, case)
            detail = {"from": case.state, "to": step.to}
            events.add(connection, case.number, id, step.name, who, now_ns, detail, sealed)

        outcome = self._stores.intents.perform(
            Draft(ACT, record, payload, who=who, signers=signers, before=before, id=id)
        )
        outcome.require_created(_refused(case, step.name))

    def _require_signers(self, case: Case, step: Step, record: Array, signers: Sequence[Signer]) -> None:
        """Raise UsageError unless the owner of the account signs: the ledger would refuse, without a name."""
        with self._stores.ledger.sequencer.reading() as state:
            now_ns = max(read_ns(self._stores.clock), state.now_ns + 1)
            required = authority.requirements(state, now_ns, record)
        signing = f"the step {step.name} of case {case.number} must be signed by"
        held = [held for each in signers if not each.currency for held in self._people.duties_of(each.id)]
        for need, operator, _ in required:
            if need is authority.Need.OWNER_OPERATOR and all(
                (each.duty, each.operator) != (Duty.OPERATOR, operator) for each in held
            ):
                raise UsageError(
                    f"{signing} {operator_name(operator)}, whose account it concerns",
                    hint="add --key with the key of a person who signs for it: `sycee officer list` shows duties",
                )
            if need is authority.Need.OWNER_KEY and not any(each.currency for each in signers):
                raise UsageError(
                    f"{signing} the key of the payee's wallet",
                    hint="without a hold, uphold proposes to return the money, and two officers sign",
                )

    def _record(self, case: Case, step: Step, id: int, minor: int, now_ns: int) -> Array:
        decider = self._registry.operator(self._directory.get(case.account).operator).accounts.vault
        if step.leads == HOLD:
            payment = self.payment(case.payment)
            if not payment.payer:
                raise UsageError("the payment came from packets alone", hint="return it without holding money first")
            account = self._stores.ledger.account(case.account)
            available = account.credits_posted - account.debits_posted - account.debits_pending
            amount = minor or min(self.rest_of(case), available)
            if amount < 1:
                raise UsageError("the payee has no money left to hold", hint="uphold the case: the rest is a claim")
            # The payee's operator decides: neither payer nor payee can post the hold. Packets stay the payee's.
            return operations.hold(
                id,
                payer=case.account,
                payee=payment.payer,
                amount=amount,
                # Of whole days: a request that is sent again, with a signature, gives the same record.
                until_ns=-(-(now_ns + HOLD_NS) // DAY_NS) * DAY_NS,
                flags=int(PayFlag.OWN_ONLY),
                third=decider,
            )
        if step.leads == RELEASE:
            return operations.void(id, hold=case.hold, by=decider)
        return operations.post(id, hold=case.hold, by=decider, amount=minor, release_rest=True)

    def _kind(self, case: Case) -> CaseKind:
        return self.rules.kind(case.kind)

    def _deadline_ns(self, kind: CaseKind, state: str, now_ns: int) -> int:
        """Return the end of the day on which a state that begins now must have ended; 0 for no deadline."""
        days = kind.state(state).business_days
        if not days:
            return 0
        today = datetime.fromtimestamp(now_ns // NS_PER_S, UTC).astimezone(self._zone).date()
        last = deadline(today, days, self._calendar) + timedelta(days=1)
        return int(datetime(last.year, last.month, last.day, tzinfo=self._zone).timestamp()) * NS_PER_S

    def _require_state(self, connection: Connection, case: Case) -> None:
        found = case_in(connection, case.number)
        if found is None or (found.state, found.hold) != (case.state, case.hold):
            raise UsageError(f"case {case.number} changed meanwhile", hint="read it again with `sycee case show`")
        require_no_return(connection, case.number)

    def _is_done(self, case: Case, step: str, id: int) -> bool:
        """Return whether a step of this id was taken. Raises Refused if the ledger refused its operation."""
        intent = self._stores.intents.find(id)
        if intent is not None:
            intent.outcome.require_created(_refused(case, step))
            return True
        return any(event.id == id for event in self.events(case.number))

    # --- agreement ---

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each case whose hold the ledger lacks, and each decided one that still holds money."""

        def compared(state: LedgerState, case: Case) -> Iterator[str]:
            if not case.hold:
                return
            hold = queries.answer(state, queries.holds([case.hold])).hold(0)
            if hold is None:
                yield f"case {case.number} holds money by {ids.format(case.hold)}, which the ledger does not have"
            elif not case.is_open and hold.state is HoldState.OPEN and hold.until_ns > state.now_ns:
                yield f"case {case.number} is {case.state}, and its money is still held"

        return differences(self._stores.ledger, self.list(), compared)


class _Act:
    """Action of a step with an operation."""

    name = ACT

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Move the case, or, if the ledger refused, leave it as it was."""
        payload = intent.payload
        if results[0] is not Result.CREATED:
            self._undo(connection, intent, "refused", {"code": results[0].name})
            return
        values = dict(payload["after"])
        if payload["leads"] == HOLD:
            values["hold"] = intent.id
        connection.execute(CASES.update().where(CASES.c.number == payload["case"]).values(values))
        detail = {"code": results[0].name}
        events.add(
            connection, payload["case"], intent.id, f"{payload['step']} done", intent.who, payload["at_ns"], detail
        )

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Leave the case as it was before the step."""
        self._undo(connection, intent, "lapsed", {})

    def _undo(self, connection: Connection, intent: Intent, what: str, detail: Mapping[str, Any]) -> None:
        payload = intent.payload
        connection.execute(CASES.update().where(CASES.c.number == payload["case"]).values(payload["before"]))
        events.add(
            connection, payload["case"], intent.id, f"{payload['step']} {what}", intent.who, payload["at_ns"], detail
        )


def payment_in(state: LedgerState, operation: int) -> Payment | None:
    """Return a payment by its id, or None if the ledger has no payment of this id that was made."""
    found = queries.answer(state, queries.operations([operation])).operation(0)
    if found is None or found.result is not Result.CREATED or not found.record["first_movement"]:
        return None
    movement = state.movements[int(found.record["first_movement"]) - 1]
    debit, credit = int(movement["debit_row"]), int(movement["credit_row"])
    payer = 0 if debit & PURSE_BIT else state.account_id(debit)
    payee = 0 if credit & PURSE_BIT else state.account_id(credit)
    refunds = state.refunds[state.refunds["bound"] == state.bound_row(operation)]
    returned = int(refunds["refunded"][0]) if refunds.size else 0
    return Payment(operation, payer, payee, int(found.record["amount"]), returned)


def rest_in(state: LedgerState, operation: int, acted: Iterable[int]) -> int:
    """Return the part of a payment that can still be returned. `acted`: ids of the case's events."""
    payment = payment_in(state, operation)
    made = [bound for id in acted if (bound := state.bound_of(id)) is not None]
    paid = sum(
        int(bound["amount"]) for bound in made if (bound["kind"], bound["result"]) == (Kind.POST, Result.CREATED)
    )
    return 0 if payment is None else max(0, payment.minor - payment.returned_minor - paid)


def _refused(case: Case, step: str) -> str:
    return f"case {case.number} stays {case.state}: the ledger refused the step {step}"


def require_no_return(connection: Connection, number: int) -> None:
    """Raise UsageError while a proposal to return the money of a case waits for signatures."""
    chosen = (CLAIMS.c.case_number == number) & (CLAIMS.c.state == PREPARED)
    proposal = connection.scalar(sqlalchemy.select(CLAIMS.c.proposal).where(chosen).limit(1))
    if proposal is not None:
        raise UsageError(
            f"proposal {ids.format(proposal)} returns the money of this case already", hint="sign or withdraw it"
        )


def case_in(connection: Connection, number: int) -> Case | None:
    """Return a case as a transaction sees it, or None."""
    row = connection.execute(sqlalchemy.select(CASES).where(CASES.c.number == number)).one_or_none()
    return None if row is None else _case(row)


def _case(row: Row[Any]) -> Case:
    return Case(
        row.number,
        row.id,
        row.kind,
        row.state,
        bool(row.open),
        row.person,
        row.account,
        row.operation,
        row.owner,
        row.hold,
        row.opened_ns,
        row.deadline_ns,
        row.rules,
    )
