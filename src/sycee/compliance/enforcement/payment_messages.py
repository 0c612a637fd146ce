"""Payments of ISO 20022 messages: requests to screen, from what a message says, and the report of their status.

A transfer passes several agents. Each step from one agent to the next is a separate flow, in the currency of the
settlement and in that of the instruction: the transfer is permitted if every one is. A message adds facts to the flow
that is declared between two participants, and takes none away. What it does not say stays as declared, or unknown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from sycee.compliance.enforcement import reason_codes
from sycee.compliance.enforcement.screening import PaymentRequest, Screened
from sycee.compliance.facts import Entity, Network
from sycee.compliance.vocabulary import FLOW, PARTICIPANT
from sycee.core.errors import UsageError

if TYPE_CHECKING:
    from sycee.iso20022.credit_transfers import Agent, CreditTransfer, CreditTransfers
    from sycee.iso20022.elements import Amount

PURPOSE: Final = "payment"
LEI: Final = "lei:"  # before a code among the identifiers of organisations
AMOUNT: Final = "amount_minor"
SHARED_MAX: Final = 10_000  # chains whose requests are kept
REFERENCE_MAX: Final = 35  # characters of the id of a report
HEAD_OFFICE: Final = 3 * "X"  # a BIC of 8 letters is the same as one with this branch


@dataclass(frozen=True, slots=True)
class ScreenedTransfer:
    """A transfer of a message, and the decision about each of its steps and currencies."""

    transfer: CreditTransfer
    decisions: tuple[Screened, ...]

    @property
    def outcome(self) -> str:
        """Return "permitted" if every decision is, else "refused"."""
        permitted, refused = reason_codes.OUTCOMES
        return permitted if all(each.outcome == permitted for each in self.decisions) else refused

    @property
    def reason_code(self) -> str:
        """Return the first reason of refusal in order of precedence; an empty text if permitted."""
        return reason_codes.first_code(each.reason_code for each in self.decisions)


def requests(message: CreditTransfers, network: Network, day: date) -> list[tuple[PaymentRequest, ...]]:
    """Return the requests to screen for each transfer of a message, on a day. Every transfer has one or more."""
    directory = Directory(network, day)
    return [directory.requests(each, reference(message, each)) for each in message.transactions]


def reference(message: CreditTransfers, transfer: CreditTransfer) -> str:
    """Return the reference of a transfer: its UETR, or the ids of message and transaction."""
    own = transfer.transaction_id or transfer.instruction_id or transfer.end_to_end_id
    return transfer.uetr or f"{message.id}/{own}"


class Directory:
    """The participants of a network by their codes, and the flows of payments that it declares between them."""

    def __init__(self, network: Network, day: date) -> None:
        self._day = day
        self._by_bic: dict[str, set[str]] = defaultdict(set)
        self._by_lei: dict[str, set[str]] = defaultdict(set)
        self._leis: dict[str, set[str]] = defaultdict(set)  # by participant
        self._flows: dict[tuple[str, str], list[Entity]] = defaultdict(list)
        # Of transfers with equal chains and currency: flow and facts of each request, and the least amount.
        self._shared: dict[Hashable, list[tuple[str, dict[str, Any], int]]] = {}
        for each in network.of_kind(PARTICIPANT):
            for bic in each.values("bic"):
                self._by_bic[_full(bic)].add(each.id)
            for lei in _leis(network, each):
                self._by_lei[lei].add(each.id)
                self._leis[each.id].add(lei)
        for each in network.of_kind(FLOW):
            ends = [each.value_on(name, day) for name in ("from", "to")]
            if all(ends) and each.value_on("purpose", day) == PURPOSE:
                self._flows[str(ends[0]), str(ends[1])].append(each)

    def participant(self, agent: Agent) -> str:
        """Return the id of the participant that an agent is: by its BIC and its LEI, of which neither may contradict.

        If there is no such participant, or several, the id says so; screening then refuses it as not declared.
        """
        code = "-and-".join(f"{kind}-{each.lower()}" for kind, each in (("bic", agent.bic), ("lei", agent.lei)) if each)
        found = self._by_bic.get(_full(agent.bic), set()) if agent.bic else self._by_lei.get(agent.lei, set())
        if agent.lei:
            # A participant that declares other codes is another one; one that declares none is known by its BIC alone.
            found = {each for each in found if agent.lei in (self._leis.get(each) or (agent.lei,))}
        if len(found) == 1:
            return next(iter(found))
        if not code:
            return "no-participant-without-bic-and-lei"
        return f"{'several-participants' if found else 'no-participant'}-with-{code}"

    def requests(self, transfer: CreditTransfer, payment: str) -> tuple[PaymentRequest, ...]:
        """Return the requests for each step of a transfer, in each of its currencies.

        Transfers that differ in their amounts alone share all facts but the amount.
        """
        if transfer.instructed is not None:
            return tuple(self._requests(transfer, payment, _amounts(transfer)))
        key = (transfer.agents, transfer.parties, transfer.has_accounts, transfer.amount.currency)
        shared = self._shared.get(key)
        if shared is None:
            if len(self._shared) >= SHARED_MAX:
                self._shared.clear()
            found = self._requests(transfer, "", [replace(transfer.amount, minor=0)])
            shared = self._shared[key] = [(each.flow, dict(each.facts), each.facts[AMOUNT]) for each in found]
        minor = transfer.amount.minor
        return tuple(
            PaymentRequest(payment, flow, {**facts, AMOUNT: max(minor, least)}) for flow, facts, least in shared
        )

    def _requests(self, transfer: CreditTransfer, payment: str, amounts: Sequence[Amount]) -> Iterator[PaymentRequest]:
        passed = [self.participant(each) for each in transfer.agents]
        steps = dict.fromkeys((a, b) for a, b in pairwise(passed) if a != b) or {(passed[0], passed[0]): None}
        for sender, receiver in steps:
            for amount in amounts:
                yield self._request(payment, sender, receiver, transfer, amount)

    def _request(
        self, payment: str, sender: str, receiver: str, transfer: CreditTransfer, amount: Amount
    ) -> PaymentRequest:
        facts = dict(_facts(transfer, amount))
        states, complete = _subject_states(transfer)
        flow = self._flow(sender, receiver, amount.currency)
        if flow is None:
            # A list that lacks the state of one person would be wrong, so it is not declared at all.
            own = {"subject_states": states} if complete else {}
            return PaymentRequest(payment, "", {"from": sender, "to": receiver, "purpose": PURPOSE, **facts, **own})
        return PaymentRequest(
            payment, flow.id, self._added(flow, {**facts, "subject_states": states}, complete=complete)
        )

    def _flow(self, sender: str, receiver: str, currency: str) -> Entity | None:
        """Return the declared flow of payments between two participants; None without one, or with several."""
        flows = [
            each
            for each in self._flows.get((sender, receiver), ())
            if each.value_on("currency", self._day) in (None, currency)
        ]
        return flows[0] if len(flows) == 1 else None

    def _added(self, flow: Entity, facts: Mapping[str, Any], *, complete: bool) -> dict[str, Any]:
        """Return the facts of a message that add to those of a flow, each with what is declared."""
        added: dict[str, Any] = {}
        for name, own in facts.items():
            declared = flow.value_on(name, self._day)
            if isinstance(own, tuple):
                listed = declared if isinstance(declared, tuple) else ()
                more = [each for each in own if each not in listed]
                if more and (declared is not None or complete or name != "subject_states"):
                    added[name] = (*listed, *more)
            elif isinstance(own, bool):
                if declared is None or own:
                    added[name] = own
            elif isinstance(own, int) and isinstance(declared, int):
                added[name] = max(own, declared)
            else:
                added[name] = own
        return added


def status_report(
    message: CreditTransfers,
    records: Sequence[Sequence[Mapping[str, Any]]],
    id: str,
    at_ns: int,
) -> bytes:
    """Return a pacs.002 message about a message: for each of its transfers the status that the records give it.

    `records` are those of the decisions about each transfer, stored ones too. The report goes back from the receiver to
    the sender, and names the digest of the record that decided. Raise UsageError if `records` are not as many.
    """
    from sycee.iso20022 import answers
    from sycee.iso20022.institutions import Institution, Original, StatusReason
    from sycee.iso20022.messages import Message, write
    from sycee.iso20022.statuses import PaymentStatus, StatusReport

    original = Original(id=message.id, name=message.name, created=message.created)
    if len(records) != len(message.transactions) or not all(records):
        problem = f"a message of {len(message.transactions):,} transfers and records of {len(records):,}"
        raise UsageError(problem, hint="give the records of each transfer, one or more")
    statuses = []
    for transfer, decided in zip(message.transactions, records, strict=True):
        code, record = _deciding(decided)
        words = (f"record {record['digest']}", *record["messages"][:1])
        reason = StatusReason(
            code=code, information=tuple(line for each in words for line in answers.information(each))
        )
        statuses.append(
            PaymentStatus(
                original=original,
                instruction=transfer.instruction_id,
                end_to_end=transfer.end_to_end_id,
                transaction=transfer.transaction_id,
                uetr=transfer.uetr,
                status=reason_codes.status_codes()["refused" if code else "permitted"],
                reasons=(reason,),
            )
        )

    def institution(agent: Agent | None) -> Institution | None:
        if agent is None or not (agent.bic or agent.clearing or agent.lei):
            return None
        return Institution(bic=agent.bic, member=agent.clearing, lei=agent.lei)

    report = StatusReport(
        id=id[:REFERENCE_MAX],
        created=answers.moment(at_ns),
        sender=institution(message.receiver),
        receiver=institution(message.sender),
        payments=tuple(statuses),
    )
    # Messages of other versions may have a time of a form that ours have not, which the report repeats.
    return write(Message(answers.STATUS, report), check=False)


def _deciding(records: Sequence[Mapping[str, Any]]) -> tuple[str, Mapping[str, Any]]:
    """Return the reason code of a transfer, and the record that gave it; the first record if all permit it."""
    code = reason_codes.first_code(str(each["reason_code"]) for each in records)
    return code, next(each for each in records if each["reason_code"] == code)


def _amounts(transfer: CreditTransfer) -> list[Amount]:
    """Return the larger amount in each currency of a transfer: of the settlement, and of the instruction."""
    amounts: dict[str, Amount] = {}
    for each in (transfer.amount, transfer.instructed):
        if each and (each.currency not in amounts or amounts[each.currency].minor < each.minor):
            amounts[each.currency] = each
    return list(amounts.values())


def _facts(transfer: CreditTransfer, amount: Amount) -> Iterator[tuple[str, Any]]:
    """Yield what a transfer says whoever sends it, except for the states of persons."""
    classes = ["payment"]
    if transfer.parties:
        # A message does not prove that a party is no person, so every transfer of customers has personal data.
        classes += ["personal", "financial"]
        classes += ["identifiers"] if any(each.identified for each in transfer.parties) else []
    classes += ["account"] if transfer.has_accounts else []
    yield "classes", tuple(classes)
    yield "currency", amount.currency
    yield AMOUNT, amount.minor
    named = [*(each.states for each in transfer.agents), *(each.states for each in transfer.parties)]
    states = {state for each in named for state in each}
    if len(states) > 1:
        yield "cross_border", True
    elif all(named):
        yield "cross_border", False


def _subject_states(transfer: CreditTransfer) -> tuple[tuple[str, ...], bool]:
    """Return the states of a transfer's persons and firms, and whether the message names one for each of them."""
    states = dict.fromkeys(state for each in transfer.parties for state in each.states)
    return tuple(states), bool(transfer.parties) and all(each.states for each in transfer.parties)


def _leis(network: Network, participant: Entity) -> Iterator[str]:
    for name in participant.values("organisation"):
        organisation = network.entities.get(name)
        for identifier in organisation.values("identifiers") if organisation else ():
            if identifier.lower().startswith(LEI):
                yield identifier[len(LEI) :].strip().upper()


def _full(bic: str) -> str:
    return bic if len(bic) > 8 else bic + HEAD_OFFICE
