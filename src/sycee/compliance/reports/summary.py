"""What a report comes to, said alike on every page: by profile, by subject, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Final

from sycee.compliance.facts import Element, Entity, Network, Value
from sycee.compliance.profiles import Library, Profile, Rule
from sycee.compliance.verdicts import ON_PATH, Evidence, Finding, Force, Report, Verdict
from sycee.compliance.vocabulary import FLOW, KINDS, Field, Type

WORST_FIRST: Final = tuple(sorted(Verdict, reverse=True))
UNMET: Final = frozenset(verdict for verdict in Verdict if verdict >= Verdict.WAIVED)
MEANINGS: Final[Mapping[Verdict, str]] = {
    Verdict.FAIL: "declared facts show that it does not hold",
    Verdict.CONFLICT: "one regime asks for what another forbids; a person decides",
    Verdict.UNKNOWN: "a fact is missing or has expired, or a list has",
    Verdict.WAIVED: "it does not hold or is unknown, and a person let it through",
    Verdict.ATTESTED: "somebody vouches for it; it could not be checked here",
    Verdict.PASS: "declared facts show that it holds",
    Verdict.NOT_APPLICABLE: "the rule is not about this, or exempts it",
}

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _moments(fields: Iterable[Field]) -> frozenset[str]:
    own = {field.name for field in fields if field.type is Type.MOMENT}
    return frozenset(own.union(*(_moments(field.fields) for field in fields)))


_MOMENTS: Final = frozenset[str]().union(*(_moments(kind.fields) for kind in KINDS.values()))


@dataclass(frozen=True, slots=True)
class ProfileSummary:
    """How the network stands under one profile. `sentence` is the one that may be quoted."""

    profile: Profile
    force: Force
    counts: Mapping[Verdict, int]
    stops: int
    sentence: str

    @property
    def worst(self) -> Verdict:
        """The worst verdict that occurs."""
        return max((verdict for verdict, count in self.counts.items() if count), default=Verdict.NOT_APPLICABLE)

    @property
    def judged(self) -> int:
        """Findings of rules that applied."""
        return sum(count for verdict, count in self.counts.items() if verdict is not Verdict.NOT_APPLICABLE)


@dataclass(frozen=True)
class JudgedNetwork:
    """A report with what it was made from."""

    network: Network
    library: Library
    report: Report

    @cached_property
    def profiles(self) -> tuple[ProfileSummary, ...]:
        """One for each profile, in the library's order."""
        return tuple(self._standing(profile) for profile in self.library.profiles)

    @cached_property
    def by_subject(self) -> Mapping[str, tuple[Finding, ...]]:
        """Findings of each subject, the worst first; subjects in the same order, then as they were declared."""
        subjects: dict[str, list[Finding]] = {}
        for finding in self.report.findings:
            subjects.setdefault(finding.subject, []).append(finding)
        ordered = {subject: tuple(worst_first(findings)) for subject, findings in subjects.items()}
        order = sorted(ordered, key=lambda subject: -weight(ordered[subject][0]))
        return {subject: ordered[subject] for subject in order}

    @cached_property
    def by_rule(self) -> Mapping[str, tuple[Finding, ...]]:
        """Findings of each rule, in the library's order of rules, as they were judged."""
        rules: dict[str, list[Finding]] = {rule: [] for rule in self.library.rules}
        for finding in self.report.findings:
            rules.setdefault(finding.rule, []).append(finding)
        return {rule: tuple(findings) for rule, findings in rules.items()}

    @cached_property
    def subjects_of(self) -> Mapping[str, tuple[str, ...]]:
        """The subjects that belong to a participant or a flow: itself, what it sends, and what lies on the paths."""
        own: dict[str, list[str]] = {}
        for subject in self.by_subject:
            flow, _, last = subject.rpartition(ON_PATH)
            own.setdefault(flow or last, []).append(subject)
        for each in self.network.of_kind(FLOW):
            sender = each.facts.get("from")
            if sender and isinstance(sender.value, str):
                own.setdefault(sender.value, []).extend(own.get(each.id, ()))
        return {name: tuple(subjects) for name, subjects in own.items()}

    @property
    def headline(self) -> str:
        """One sentence: what stops."""
        count = len(self.report.stops)
        if not count:
            return f"Nothing stops under what is enforced on {self.report.at}."
        subjects = len({finding.subject for finding in self.report.stops})
        return (
            f"{quantity(count, 'finding')} on {quantity(subjects, 'subject')} "
            f"{'stops' if count == 1 else 'stop'} under what is enforced on {self.report.at}."
        )

    def entity(self, subject: str) -> Entity | None:
        """The entity that a finding is about: on the path of a flow, what lies there."""
        return self.network.entities.get(subject.rpartition(ON_PATH)[2])

    def name(self, subject: str) -> str:
        """A subject for people: its name; on a path, the flow's and its own."""
        flow, _, last = subject.rpartition(ON_PATH)
        parts = [self.network.entities[each].name if each in self.network.entities else each for each in (flow, last)]
        return f"{parts[1]}, on the path of {parts[0]}" if flow else parts[1]

    def rule(self, finding: Finding) -> Rule | None:
        """The rule of a finding; None if the library is not the one that it was judged by."""
        return self.library.rules.get(finding.rule)

    def _standing(self, profile: Profile) -> ProfileSummary:
        findings = [finding for finding in self.report.findings if finding.profile == profile.id]
        counts = dict.fromkeys(WORST_FIRST, 0)
        for finding in findings:
            counts[finding.verdict] += 1
        force = profile.force(self.report.at, self.network.adoptions)
        stops = sum(finding.stops for finding in findings)
        return ProfileSummary(profile, force, counts, stops, _sentence(profile, force, counts, self.report.at))


def _sentence(profile: Profile, force: Force, counts: Mapping[Verdict, int], at: date) -> str:
    named = f"profile {profile.id} version {profile.version}"
    on = f"on declared facts as of {at}"
    if force is Force.NONE:
        return f"{named} is not in effect on {at}"
    if counts[Verdict.FAIL]:
        return f"does not meet {named} {on}"
    if counts[Verdict.CONFLICT]:
        return f"a person has to decide whether it meets {named} {on}"
    if counts[Verdict.UNKNOWN]:
        return f"is not known to meet {named} {on}"
    if not any(count for verdict, count in counts.items() if verdict is not Verdict.NOT_APPLICABLE):
        return f"{named} is about nothing here {on}"
    met = counts[Verdict.PASS] or counts[Verdict.ATTESTED]
    by = f", by {quantity(counts[Verdict.ATTESTED], 'attestation')}" if counts[Verdict.ATTESTED] else ""
    if counts[Verdict.WAIVED]:
        # What was waived is not met, and whoever quotes the beginning of the sentence alone should not say so.
        let_off = f"is let off {quantity(counts[Verdict.WAIVED], 'finding')} of {named}"
        return f"{let_off}{' and meets the rest' if met else ''} {on}{by}"
    return f"meets {named} {on}{by}"


def weight(finding: Finding) -> int:
    """How much a finding matters: what stops more than what does not, then by verdict."""
    return len(Verdict) * finding.stops + finding.verdict


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that matter most first; equals stay in their order."""
    return sorted(findings, key=lambda finding: -weight(finding))


def worst(findings: Sequence[Finding]) -> Verdict | None:
    """The worst verdict of findings; None where there are none."""
    return max((finding.verdict for finding in findings), default=None)


def quantity(count: int, what: str) -> str:
    """A number with its noun: "1 finding", "2 findings"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def value_text(value: Value | None, path: str = "") -> str:
    """A declared value for people; the path tells a moment, which is declared to the nanosecond, from a number."""
    if value is None:
        return "undeclared"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and path.rpartition(".")[2] in _MOMENTS:
        return f"{_EPOCH + timedelta(seconds=value // 1_000_000_000):%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, tuple):
        return ", ".join(_element(each) if isinstance(each, Element) else each for each in value) or "none"
    return str(value)


def provenance(evidence: Evidence) -> str:
    """Where a fact comes from, as of when, and how sure it is."""
    as_of = f"as of {evidence.as_of}" if evidence.as_of else ""
    return ", ".join(part for part in (evidence.source, as_of, evidence.assurance.word) if part)


def outcome_word(evidence: Evidence) -> str:
    """What came of a fact, in a word."""
    return {True: "holds", False: "does not hold", None: "unknown"}[evidence.holds]


def _element(element: Element) -> str:
    facts = "; ".join(f"{name} {value_text(fact.value, name)}" for name, fact in element.facts.items())
    dates = [f"{word} {day}" for word, day in (("from", element.from_date), ("until", element.until_date)) if day]
    return f"({'; '.join([facts, *dates])})"
