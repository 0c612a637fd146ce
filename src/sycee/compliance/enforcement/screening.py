"""Before a payment crosses a border: a route under every regime that applies, or a refusal before money moves.

The answer is a record that travels with the payment. It names the digests of everything it was judged on, so that
whoever keeps those versions can judge again and must come to the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Final

from sycee.compliance import canonical
from sycee.compliance.enforcement import admission, decisions, reason_codes
from sycee.compliance.enforcement.decisions import Inputs, RecordedFinding, RecordedWaiver
from sycee.compliance.enforcement.payment_flow import FlowClass
from sycee.compliance.judging.judge import Judge
from sycee.compliance.routing.routes import NearestMiss, Route
from sycee.compliance.verdicts import Force, Report, Verdict

FORMAT: Final = "sycee.compliance-crossing.v1"

PERMITTED: Final = "permitted"
REFUSED: Final = "refused"
# Outcomes in records and tables. Digests of records that were sent cover these words, and triggers forbid updates.
STORED_OUTCOMES: Final = {PERMITTED: "cleared", REFUSED: "refused"}


@dataclass(frozen=True, slots=True)
class AppliedRegime:
    """A profile that applies to the flow on its route, or may; `applies` is "yes" or "unknown".

    `force` is how it binds. `touched_by` is what first made it apply: the flow itself, or what lies on the route.
    """

    profile: str
    version: int
    force: str
    applies: str
    touched_by: str


@dataclass(frozen=True, slots=True)
class BestRoute:
    """The best way there is: spans and segments in order, and what they cost. `digest` is of `via`."""

    via: tuple[str, ...]
    cost: int
    digest: str


@dataclass(frozen=True, slots=True)
class AdmissionStatus:
    """Where a party stands: its newest admission's outcome and digest; both empty if it never asked."""

    participant: str
    outcome: str = ""
    digest: str = ""

    @property
    def admitted(self) -> bool:
        """Whether it may take part."""
        return self.outcome in admission.ADMITTED


@dataclass(frozen=True, slots=True)
class FlowResult:
    """What is found for a class of flows on a day, whoever pays: it is the same for every payment of the class.

    `route` is None where nothing joins the two. `verdicts` counts what applies; `findings` are those that do not hold,
    of whatever force. `until` is the first day that it may not hold.
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
    whys: tuple[str, ...] = ()  # why it is refused whoever pays: reasons by when they are given
    messages: tuple[str, ...] = ()

    @property
    def parties(self) -> tuple[str, ...]:
        """Who has to be admitted: both, or one that pays itself."""
        return tuple(dict.fromkeys((self.sender, self.receiver)))


@dataclass(frozen=True)
class Screening:
    """One answer to one payment: a `ComplianceRecord`, or a `Refusal`.

    `payment` is the caller's own reference. `reason_code` is ISO 20022's, empty if permitted.
    """

    payment: str
    result: FlowResult
    statuses: tuple[AdmissionStatus, ...]
    outcome: str
    reason_code: str
    messages: tuple[str, ...]

    @cached_property
    def record(self) -> dict[str, Any]:
        """What is kept, and travels with the payment, as JSON has it."""
        result = {
            name: getattr(self.result, name)
            for name in self.result.__dataclass_fields__
            if name not in ("whys", "messages")
        }
        own = {
            "payment": self.payment,
            "outcome": STORED_OUTCOMES[self.outcome],
            "reason_code": self.reason_code,
            "standings": self.statuses,
        }
        return decisions.build_record(FORMAT, result | own, self.messages)

    @property
    def digest(self) -> str:
        """What names the answer."""
        return str(self.record["digest"])

    def json(self) -> str:
        """The record as one line of text."""
        return decisions.record_text(self.record)


class ComplianceRecord(Screening):
    """The payment may go, on `result.route`, until `result.until`: it meets the profiles on declared facts."""

    def holds(self, day: date) -> bool:
        """Whether time alone has not put it in doubt on this day."""
        return self.result.inputs.day <= day and (self.result.until is None or day < self.result.until)


class Refusal(Screening):
    """The payment may not go. `messages` say why, `result.missing` names the facts that would decide."""


def flow_result(
    judge: Judge, change_days: Sequence[date], flow_class: FlowClass, found: Route | NearestMiss
) -> FlowResult:
    """What is found for a class of flows: for the parties, and for the flow on the best route there is."""
    flow = flow_class.entity
    sender, receiver = (str(flow.facts[end].value) for end in ("from", "to"))
    days = sorted(decisions.change_days(flow.facts))  # of the flow itself: a payment's own are in no network
    until = (admission.next_day(each, judge.at) for each in (change_days, days))
    findings = [each for each in found.findings if admission.applies(each)]
    report = decisions.report_of(judge.network, judge.library, judge.at, findings)
    worse = [each for each in report.findings if each.verdict > Verdict.ATTESTED]
    whys, missing, messages = _against(found, report)
    return FlowResult(
        flow={"id": flow_class.id, "facts": flow_class.facts, "digest": flow_class.digest},
        sender=sender,
        receiver=receiver,
        inputs=decisions.inputs_of(report),
        route=BestRoute(found.edges, found.cost, canonical.digest(found.edges)) if _joined(found) else None,
        regimes=tuple(
            AppliedRegime(
                each.profile, each.version, each.force.word, "yes" if each.applies else "unknown", each.touched_by
            )
            for each in found.regimes
        ),
        verdicts=decisions.verdict_counts(report.findings),
        findings=decisions.recorded_findings(worse),
        waivers=decisions.recorded_waivers(each for each in worse if each.force is Force.ENFORCED),
        missing=missing,
        until=min((day for day in until if day), default=None),
        whys=whys,
        messages=messages,
    )


def decide(payment: str, found: FlowResult, statuses: Sequence[AdmissionStatus]) -> ComplianceRecord | Refusal:
    """The result for one payment: permitted if nothing is against it and both parties are admitted."""
    outside = [each.participant for each in statuses if not each.admitted]
    whys = (*found.whys, *(reason_codes.NOT_ADMITTED for _ in outside))
    messages = (*(f"{each} is not admitted" for each in outside), *found.messages)
    made = Refusal if whys else ComplianceRecord
    outcome = REFUSED if whys else PERMITTED
    return made(payment, found, tuple(statuses), outcome, reason_codes.code_of(*whys), messages)


def _joined(found: Route | NearestMiss) -> bool:
    return isinstance(found, Route) or found.joined


def _against(found: Route | NearestMiss, report: Report) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """What is against it: why, which facts are missing that would decide, and the same in sentences."""
    stops = decisions.stopping_findings(report)
    whys = [each.verdict.word for each in stops]
    missing = [path for each in stops for path in each.missing]
    messages = [each.message for each in stops]
    if isinstance(found, NearestMiss):
        missing += found.missing
        if not found.joined:
            whys.append(reason_codes.NO_ROUTE)
            messages.append(f"nothing that is declared joins both parties of {found.flow}")
        elif not whys:
            whys.append(Verdict.UNKNOWN.word)
            messages.append(f"the route of {found.flow} cannot be compared: {', '.join(found.missing)} is not declared")
    return tuple(dict.fromkeys(whys)), tuple(sorted(set(missing))), tuple(dict.fromkeys(messages))
