"""Who may take part: admitted, admitted on conditions, or refused, with what was found.

Judged are the participant, the organisation that it is and the apps that it offers, under every rule about such; what
it does not say of these is unknown. It is refused where a regime that is enforced stops any of them. Where only waivers
keep it from being stopped, it is admitted conditionally: each names a role, a reason and an end.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Final

from sycee.compliance.enforcement import decisions, reason_codes
from sycee.compliance.enforcement.decisions import Inputs, RecordedFinding, RecordedWaiver
from sycee.compliance.judging.judge import Judge
from sycee.compliance.routing import parties
from sycee.compliance.verdicts import Finding, Force, Verdict
from sycee.compliance.vocabulary import PARTICIPANT
from sycee.core import typos
from sycee.core.errors import UsageError

FORMAT: Final = "sycee.compliance-admission.v1"

ADMIT: Final = "admit"
CONDITIONAL: Final = "conditional"
REFUSE: Final = "refuse"
ADMITTED: Final = (ADMIT, CONDITIONAL)


@dataclass(frozen=True)
class Admission:
    """One decision about a participant. `findings` are all that apply; `until` is the first day that it may not hold.

    `missing` are the paths of facts that would decide what is unknown. `reason_code` is ISO 20022's; empty if admitted.
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

    @cached_property
    def record(self) -> dict[str, Any]:
        """What is kept and can be sent, as JSON has it."""
        content = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "messages"}
        return decisions.build_record(FORMAT, content, self.messages)

    @property
    def digest(self) -> str:
        """What names the decision."""
        return str(self.record["digest"])


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one rule for a participant when it was judged again. A verdict that is not there is empty.

    A change of `outcome` alone, where no rule changed, names no rule.
    """

    participant: str
    outcome_before: str
    outcome: str
    rule: str = ""
    subject: str = ""
    before: str = ""
    after: str = ""


def findings_of(judge: Judge, participant: str) -> tuple[Finding, ...]:
    """What the judge finds for a participant, without what is not applicable or not in effect.

    UsageError, with the nearest that is one, if it is no participant.
    """
    entity = judge.network.entities.get(participant)
    if entity is None or entity.kind != PARTICIPANT:
        participants = [each.id for each in judge.network.of_kind(PARTICIPANT)]
        hint = typos.hint(participant, participants, "a participant is declared before it is admitted")
        raise UsageError(f"{participant} is no participant that was declared", hint=hint)
    return tuple(each for each in parties.findings(judge, participant) if applies(each))


def applies(finding: Finding) -> bool:
    """Whether a finding says anything: its rule is in effect, and about its subject."""
    return finding.force is not Force.NONE and finding.verdict is not Verdict.NOT_APPLICABLE


def decide(judge: Judge, change_days: Sequence[date], participant: str, findings: Sequence[Finding]) -> Admission:
    """The decision that findings come to. `change_days` are the days on which time alone may change it."""
    report = decisions.report_of(judge.network, judge.library, judge.at, findings)
    stops = decisions.stopping_findings(report)
    waivers = decisions.recorded_waivers(each for each in findings if each.force is Force.ENFORCED)
    return Admission(
        participant=participant,
        outcome=outcome_of(findings),
        inputs=decisions.inputs_of(report),
        findings=decisions.recorded_findings(findings),
        waivers=waivers,
        missing=tuple(sorted({path for each in stops for path in each.missing})),
        reason_code=reason_codes.code_of(*(each.verdict.word for each in stops)),
        until=next_day(change_days, judge.at),
        messages=tuple(each.message for each in stops),
    )


def gone(judge: Judge, participant: str) -> Admission:
    """The decision on one who asked to be admitted and is declared no more."""
    report = decisions.report_of(judge.network, judge.library, judge.at, ())
    code = reason_codes.code_of(reason_codes.NOT_ADMITTED)
    says = f"{participant} is declared no more"
    return Admission(participant, REFUSE, decisions.inputs_of(report), (), (), (participant,), code, None, (says,))


def outcome_of(findings: Iterable[Finding]) -> str:
    """What enforced regimes leave: refused, or admitted, on conditions or without."""
    conditional = False
    for each in findings:
        if each.stops:
            return REFUSE
        conditional |= each.force is Force.ENFORCED and each.verdict is Verdict.WAIVED
    return CONDITIONAL if conditional else ADMIT


def next_day(change_days: Sequence[date], day: date) -> date | None:
    """The first of these days after this one."""
    place = bisect_right(change_days, day)
    return change_days[place] if place < len(change_days) else None


def changes(before: str, participant: str, outcome: str, findings: Iterable[Finding]) -> tuple[Change, ...]:
    """What is otherwise than in the record kept before, rule by rule."""
    record = json.loads(before)
    old = {(each["rule"], each["subject"]): _word(each["verdict"], each["force"]) for each in record["findings"]}
    new = {(each.rule, each.subject): _word(each.verdict.word, each.force.word) for each in findings}
    if old == new and record["outcome"] == outcome:
        return ()
    rows = [
        Change(participant, record["outcome"], outcome, rule, subject, before, after)
        for rule, subject in sorted(old.keys() | new.keys())
        if (before := old.get((rule, subject), "")) != (after := new.get((rule, subject), ""))
    ]
    return tuple(rows) or (Change(participant, record["outcome"], outcome),)


def _word(verdict: str, force: str) -> str:
    """A verdict, and that it only advises, if so."""
    return verdict if force == Force.ENFORCED.word else f"{verdict} ({force})"
