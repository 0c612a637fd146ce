"""Screening of a payment across borders: a route that every applicable regime permits, or a refusal.

The decision is a record that travels with the payment. It names the digests of all inputs, so that a receiver who has
the same versions can judge again and must reach the same decision.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from json.encoder import encode_basestring
from typing import Any, ClassVar, Final, TypeAlias

from blake3 import blake3

from sycee.compliance import canonical
from sycee.compliance.enforcement import admission, decisions, reason_codes
from sycee.compliance.enforcement.decisions import Decision, Inputs, RecordedFinding, RecordedWaiver
from sycee.compliance.enforcement.payment_flow import FlowClass
from sycee.compliance.judging.judge import Judge
from sycee.compliance.routing import parties
from sycee.compliance.routing.routes import NearestMiss, Route
from sycee.compliance.verdicts import ENGINE, Report, Verdict
from sycee.core.errors import UsageError

PERMITTED: Final = "permitted"
REFUSED: Final = "refused"
# Outcomes in records and tables. Digests of records that were sent cover these words, and triggers forbid updates.
STORED_OUTCOMES: Final = {PERMITTED: "cleared", REFUSED: "refused"}
GIVEN_MAX: Final = 10_000  # characters of a request that are stored where it cannot be judged
MESSAGE_MAX: Final = 1_000  # characters of an error in a record


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """A payment to be screened: the caller's reference, the id of its declared flow, and facts of its own.

    `role` and `reason` are needed if the facts narrow the declared flow.
    """

    payment: str = ""
    flow: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    role: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AppliedRegime:
    """A profile that applies to the flow ("yes"), or may apply ("unknown"). `touched_by` is the first cause."""

    profile: str
    version: int
    force: str
    applies: str
    touched_by: str


@dataclass(frozen=True, slots=True)
class BestRoute:
    """The best route: spans and segments in order, their cost, and the digest of `via`."""

    via: tuple[str, ...]
    cost: int
    digest: str


@dataclass(frozen=True, slots=True)
class AdmissionStatus:
    """Outcome and digest of a participant's newest admission; both are empty if it never applied."""

    participant: str
    outcome: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class FlowResult:
    """Result for a class of flows on a day, regardless of the admissions of both parties: equal for all payments.

    `route` is None where nothing joins the parties. `verdicts` counts the findings that apply; `findings` are those
    that do not hold, of any force. The result may change on the day `until`. `reasons` are those of
    `reason_codes.PRECEDENCE` for which every payment of the class is refused.
    """

    flow: Mapping[str, Any]
    sender: str
    receiver: str
    inputs: Inputs
    route: BestRoute | None
    regimes: tuple[AppliedRegime, ...]
    verdicts: Mapping[str, int]
    findings: tuple[RecordedFinding, ...]
    waivers: tuple[RecordedWaiver, ...]
    missing: tuple[str, ...]
    until: date | None
    reasons: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()

    @property
    def parties(self) -> tuple[str, ...]:
        """Return the participants that must be admitted: one or two."""
        return tuple(dict.fromkeys((self.sender, self.receiver)))


@dataclass(frozen=True)
class Screening(Decision):
    """Decision about one payment: a `ComplianceRecord` or a `Refusal`.

    `payment` is the caller's reference. `reason_code` is an ISO 20022 status reason, empty if permitted.
    """

    payment: str
    result: FlowResult
    statuses: tuple[AdmissionStatus, ...]
    reason_code: str
    messages: tuple[str, ...]

    FORMAT: ClassVar = "sycee.compliance-crossing.v1"
    outcome: ClassVar[str]

    def _content(self) -> dict[str, Any]:
        content: dict[str, Any] = canonical.plain(self.result)
        del content["reasons"]
        return content | {
            "payment": self.payment,
            "outcome": STORED_OUTCOMES[self.outcome],
            "reason_code": self.reason_code,
            "standings": canonical.plain(self.statuses),
            "messages": list(self.messages),
        }


class ComplianceRecord(Screening):
    """Permission: the payment meets the profiles on declared facts, on `result.route`, until `result.until`."""

    outcome = PERMITTED

    def holds(self, day: date) -> bool:
        """Return whether the permission is still valid on `day`, as far as time alone decides."""
        return self.result.inputs.day <= day and (self.result.until is None or day < self.result.until)


class Refusal(Screening):
    """Refusal: `messages` give the reasons, `result.missing` the facts that would decide."""

    outcome = REFUSED


@dataclass(frozen=True)
class UnreadableFlow(Decision):
    """Refusal of a payment whose flow or facts cannot be read, so that no rule can be judged.

    `given` is the request as JSON; empty if it cannot be written as JSON or is too long. `network` and `library` are
    the digests of the versions by which it was read.
    """

    payment: str
    given: str
    network: str
    library: str
    day: date
    reason_code: str
    messages: tuple[str, ...]

    FORMAT: ClassVar = "sycee.compliance-unreadable.v1"
    outcome: ClassVar = REFUSED

    def _content(self) -> dict[str, Any]:
        inputs = {"network": self.network, "library": self.library, "day": self.day.isoformat(), "engine": ENGINE}
        return {
            "payment": self.payment,
            "given": self.given,
            "inputs": inputs,
            "outcome": STORED_OUTCOMES[self.outcome],
            "reason_code": self.reason_code,
            "messages": list(self.messages),
        }


Screened: TypeAlias = ComplianceRecord | Refusal | UnreadableFlow


class RecordWriter:
    """Decides about payments that differ only in their reference: same result, same status of the parties.

    The record is made once, with a reference that occurs nowhere else in it. Those of others differ in that text and
    in the digest. `form` is the part that all share, as it is stored; `outcome` is that of all.
    """

    def __init__(self, result: FlowResult, statuses: Sequence[AdmissionStatus]) -> None:
        reference = "payment"
        while True:
            sample = decide(reference, result, statuses)
            content = {name: each for name, each in sample.record.items() if name not in decisions.NOT_DIGESTED}
            parts = canonical.canonical(content).split(encode_basestring(reference).encode())
            if len(parts) == 2:
                break
            reference += "."
        self.form = stored_form(sample)
        self._hash, self._digested_tail = blake3(parts[0]), parts[1]
        self._decision, self.outcome = type(sample), sample.outcome
        self._fields = [(each.name, getattr(sample, each.name)) for each in fields(sample) if each.name != "payment"]

    def digest(self, payment: str) -> str:
        """Return the digest of the record about one payment."""
        hashed = self._hash.copy()
        hashed.update(encode_basestring(payment).encode() + self._digested_tail)
        return hashed.hexdigest()

    def decide(self, payment: str) -> ComplianceRecord | Refusal:
        """Return the decision about one payment."""
        # Not `vars(decision)`: a dictionary for each decision makes garbage collections frequent, and each visits the
        # whole network.
        decision = object.__new__(self._decision)
        for name, value in self._fields:
            object.__setattr__(decision, name, value)
        object.__setattr__(decision, "payment", payment)
        object.__setattr__(decision, "digest", self.digest(payment))  # instead of from the whole record
        return decision


@dataclass(frozen=True, slots=True)
class ScreenedAlike:
    """Decisions about payments whose records differ in reference and digest alone. `form`: as of `stored_form`."""

    payments: Sequence[str]
    digests: Sequence[str]
    outcome: str
    form: str


class RecordWriters:
    """Decides about payments by their results, with one writer for each result. Keep the results while it is used.

    `status` is called once for each party.
    """

    def __init__(self, status: Callable[[str], AdmissionStatus]) -> None:
        self._status = status
        self._statuses: dict[str, AdmissionStatus] = {}
        self._writers: dict[int, RecordWriter] = {}  # by the identity of the result

    def decide(self, payment: str, result: FlowResult | UnreadableFlow) -> Screened:
        """Return the decision about one payment. An unreadable flow is the decision itself."""
        return result if isinstance(result, UnreadableFlow) else self._writer(result).decide(payment)

    def records(
        self, payments: Sequence[str], result: FlowResult | UnreadableFlow, *, digests: Sequence[str] = ()
    ) -> ScreenedAlike:
        """Return the records about payments of one result, as they are stored; about one, of an unreadable flow.

        `digests`: of the records, if they are known.
        """
        if isinstance(result, UnreadableFlow):
            return ScreenedAlike([result.payment], [result.digest], result.outcome, stored_form(result))
        writer = self._writer(result)
        digests = digests or [writer.digest(each) for each in payments]
        return ScreenedAlike(payments, digests, writer.outcome, writer.form)

    def _writer(self, result: FlowResult) -> RecordWriter:
        writer = self._writers.get(id(result))
        if writer is None:
            for party in result.parties:
                if party not in self._statuses:
                    self._statuses[party] = self._status(party)
            writer = RecordWriter(result, [self._statuses[each] for each in result.parties])
            self._writers[id(result)] = writer
        return writer


def decide_many(
    requests: Sequence[PaymentRequest],
    results: Sequence[FlowResult | UnreadableFlow],
    status: Callable[[str], AdmissionStatus],
) -> tuple[list[Screened], list[ScreenedAlike]]:
    """Return the decision for each request, and its record. `status` is called once for each party."""
    writers = RecordWriters(status)
    made = [writers.decide(request.payment, result) for request, result in zip(requests, results, strict=True)]
    # The digest of a decision is that of its record.
    records = [
        writers.records([each.payment], result, digests=[each.digest])
        for each, result in zip(made, results, strict=True)
    ]
    return made, records


def stored_form(decision: Screened) -> str:
    """Return the record as JSON without reference and digest: payments of one class share this text."""
    shared = {name: each for name, each in decision.record.items() if name not in ("payment", "digest")}
    return canonical.canonical(shared).decode()


def record_of(form: str, payment: str) -> dict[str, Any]:
    """Return the record of a payment, with its digest, from the form that `stored_form` made."""
    content = {**json.loads(form), "payment": payment}
    return {**content, "digest": decisions.record_digest(content)}


def unreadable_flow(
    request: PaymentRequest, error: UsageError, network: str, library: str, day: date
) -> UnreadableFlow:
    """Return the refusal of a request that raised this error. `network` and `library` are digests."""
    message = f"{error.message}; {error.hint}" if error.hint else error.message
    message = message.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")[:MESSAGE_MAX]
    try:
        content = {"flow": request.flow, "facts": canonical.plain(request.facts)}
        content |= {name: each for name in ("role", "reason") if (each := getattr(request, name))}
        given = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        given = ""
    given = given if len(given) <= GIVEN_MAX else ""
    code = reason_codes.code_of(reason_codes.UNREADABLE)
    return UnreadableFlow(request.payment, given, network, library, day, code, (message,))


def flow_result(
    judge: Judge, change_days: Sequence[date], flow_class: FlowClass, best: Route | NearestMiss
) -> FlowResult:
    """Return the result for a class of flows, from the findings on its parties and on its best route."""
    flow = flow_class.entity
    sender, receiver = (str(flow.facts[end].value) for end in ("from", "to"))
    days = sorted(decisions.change_days(flow.facts))  # a payment's own facts are in no network
    until = (admission.next_day(each, judge.at) for each in (change_days, days))
    findings = [each for each in best.findings if admission.applies(each)]
    findings += parties.contradictions(judge, sender, receiver, more=(flow, flow.replaces, *best.edges, *best.places))
    report = decisions.report_of(judge, findings)
    unmet = [each for each in report.findings if each.verdict > Verdict.ATTESTED]
    joined = isinstance(best, Route) or best.joined
    reasons, missing, messages = _objections(best, report)
    return FlowResult(
        flow={
            "id": flow_class.id,
            "facts": flow_class.facts,
            "digest": flow_class.digest,
            **({"narrowed": flow_class.narrowed} if flow_class.narrowed else {}),
        },
        sender=sender,
        receiver=receiver,
        inputs=decisions.inputs_of(report),
        route=BestRoute(best.edges, best.cost, canonical.digest(best.edges)) if joined else None,
        regimes=tuple(
            AppliedRegime(
                each.profile, each.version, each.force.word, "yes" if each.applies else "unknown", each.touched_by
            )
            for each in best.regimes
        ),
        verdicts=decisions.verdict_counts(report.findings),
        findings=decisions.recorded_findings(unmet),
        waivers=decisions.recorded_waivers(unmet),
        missing=missing,
        until=min((day for day in until if day), default=None),
        reasons=reasons,
        messages=messages,
    )


def decide(payment: str, result: FlowResult, statuses: Sequence[AdmissionStatus]) -> ComplianceRecord | Refusal:
    """Return the decision about one payment: permitted if nothing stops its flow and both parties are admitted."""
    refused = [each.participant for each in statuses if each.outcome not in admission.ADMITTED]
    reasons = (*result.reasons, *(reason_codes.NOT_ADMITTED for _ in refused))
    messages = (*(f"{each} is not admitted" for each in refused), *result.messages)
    decision = Refusal if reasons else ComplianceRecord
    return decision(payment, result, tuple(statuses), reason_codes.code_of(*reasons), messages)


def _objections(best: Route | NearestMiss, report: Report) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return why the flow is refused, the facts that would decide, and the reasons as sentences."""
    stops = decisions.stopping_findings(report)
    reasons = [each.verdict.word for each in stops]
    missing = [path for each in stops for path in each.missing]
    messages = [each.message for each in stops]
    if isinstance(best, NearestMiss):
        missing += best.missing
        if not best.joined:
            reasons.append(reason_codes.NO_ROUTE)
            messages.append(f"no declared path joins both parties of {best.flow}")
        elif not reasons:
            reasons.append(Verdict.UNKNOWN.word)
            messages.append(
                f"the cost of the route of {best.flow} is unknown: {', '.join(best.missing)} is not declared"
            )
    return tuple(dict.fromkeys(reasons)), tuple(sorted(set(missing))), tuple(dict.fromkeys(messages))
