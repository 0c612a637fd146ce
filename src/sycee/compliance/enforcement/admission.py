"""Admission of participants: admit, conditional or refuse, with the findings.

The participant is judged with its organisation and the apps that it offers, under every rule about them. Facts that it
does not declare of these are unknown. It is refused where an enforced regime stops any of them. It is admitted
conditionally where only waivers prevent that; each waiver names a role, a reason and an end.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Final

from sycee.compliance.enforcement import decisions, reason_codes
from sycee.compliance.enforcement.decisions import Decision, Inputs, RecordedFinding, RecordedWaiver
from sycee.compliance.facts import Network
from sycee.compliance.judging.judge import Judge
from sycee.compliance.routing import parties
from sycee.compliance.verdicts import Finding, Force, Verdict
from sycee.compliance.vocabulary import PARTICIPANT
from sycee.core import typos

ADMIT: Final = "admit"
CONDITIONAL: Final = "conditional"
REFUSE: Final = "refuse"
ADMITTED: Final = (ADMIT, CONDITIONAL)


@dataclass(frozen=True)
class Admission(Decision):
    """One decision about a participant.

    `findings` are all that apply, `missing` the paths of facts that would decide an unknown one. `reason_code` is an
    ISO 20022 status reason, empty if admitted. The decision may change on the day `until`, by time alone.
    """

    participant: str
    outcome: str
    inputs: Inputs
    findings: tuple[RecordedFinding, ...]
    waivers: tuple[RecordedWaiver, ...]
    missing: tuple[str, ...]
    reason_code: str
    until: date | None
    messages: tuple[str, ...] = ()

    FORMAT: ClassVar = "sycee.compliance-admission.v1"


@dataclass(frozen=True, slots=True)
class Change:
    """Change of one rule's verdict for a participant between two admissions.

    `before` or `after` is empty where there is no verdict. `rule` is empty where only the outcome changed.
    """

    participant: str
    outcome_before: str
    outcome: str
    rule: str = ""
    subject: str = ""
    before: str = ""
    after: str = ""


def require_declared(network: Network, participant: str) -> None:
    """Raise UsageError unless a participant has this id."""
    declared = [each.id for each in network.of_kind(PARTICIPANT)]
    problem = f"{participant} is not a declared participant"
    typos.require(participant, declared, problem, "declare the participant before you admit it")


def findings_of(judge: Judge, participant: str) -> tuple[Finding, ...] | None:
    """Return the findings that apply to a participant, and its contradictions; None if it is not declared."""
    entity = judge.network.entities.get(participant)
    if entity is None or entity.kind != PARTICIPANT:
        return None
    found = (*parties.findings(judge, participant), *parties.contradictions(judge, participant))
    return tuple(each for each in found if applies(each))


def applies(finding: Finding) -> bool:
    """Return whether a finding's rule is in effect and is about its subject."""
    return finding.force is not Force.NONE and finding.applies


def decide(
    judge: Judge, change_days: Sequence[date], participant: str, findings: Sequence[Finding] | None
) -> Admission:
    """Return the decision that follows from findings; None refuses a participant that is no longer declared."""
    report = decisions.report_of(judge, findings or ())
    if findings is None:
        code, message = reason_codes.code_of(reason_codes.NOT_ADMITTED), f"{participant} is no longer declared"
        inputs = decisions.inputs_of(report)
        return Admission(participant, REFUSE, inputs, (), (), (participant,), code, None, (message,))
    stops = decisions.stopping_findings(report)
    return Admission(
        participant=participant,
        outcome=outcome_of(findings),
        inputs=decisions.inputs_of(report),
        findings=decisions.recorded_findings(findings),
        waivers=decisions.recorded_waivers(findings),
        missing=tuple(sorted({path for each in stops for path in each.missing})),
        reason_code=reason_codes.code_of(*(each.verdict.word for each in stops)),
        until=next_day(change_days, judge.at),
        messages=tuple(each.message for each in stops),
    )


def outcome_of(findings: Sequence[Finding] | None) -> str:
    """Return "refuse", "conditional" or "admit"."""
    if findings is None or any(each.stops for each in findings):
        return REFUSE
    waived = any(each.force is Force.ENFORCED and each.verdict is Verdict.WAIVED for each in findings)
    return CONDITIONAL if waived else ADMIT


def next_day(days: Sequence[date], day: date) -> date | None:
    """Return the first of the ascending `days` after `day`, None without one."""
    index = bisect_right(days, day)
    return days[index] if index < len(days) else None


def changes(before: str, participant: str, findings: Sequence[Finding] | None) -> tuple[Change, ...]:
    """Return the differences to the admission record `before`, by rule and subject."""
    record, outcome = json.loads(before), outcome_of(findings)
    old = {(each["rule"], each["subject"]): RecordedFinding(**each).text for each in record["findings"]}
    new = {(each.rule, each.subject): each.text for each in decisions.recorded_findings(findings or ())}
    if old == new and record["outcome"] == outcome:
        return ()
    rows = [
        Change(participant, record["outcome"], outcome, rule, subject, before, after)
        for rule, subject in sorted(old.keys() | new.keys())
        if (before := old.get((rule, subject), "")) != (after := new.get((rule, subject), ""))
    ]
    return tuple(rows) or (Change(participant, record["outcome"], outcome),)
