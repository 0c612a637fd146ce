"""Content that all report formats share: summaries by profile and by subject, sentences, and values as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Final, NamedTuple

from sycee.compliance import library
from sycee.compliance.facts import Assurance, Element, Entity, Network, Value
from sycee.compliance.judging.control import CONSIDERED
from sycee.compliance.profiles import Library, Profile, list_ids
from sycee.compliance.verdicts import ON_PATH, Evidence, Finding, Force, Report, Verdict
from sycee.compliance.vocabulary import FLOW, KINDS, Field, Type
from sycee.core.words import quantity

WORST_FIRST: Final = tuple(sorted(Verdict, reverse=True))
UNMET: Final = frozenset(verdict for verdict in Verdict if verdict >= Verdict.WAIVED)


class Look(NamedTuple):
    """How reports show a verdict: a sign, a colour of pages, the kind of a SARIF result, and the meaning."""

    sign: str
    colour: str
    kind: str
    meaning: str


LOOKS: Final[Mapping[Verdict, Look]] = {
    Verdict.FAIL: Look("✗", "warning", "fail", "declared facts show that the rule does not hold"),
    Verdict.CONFLICT: Look("≠", "fourth", "review", "one regime requires what another forbids; a person decides"),
    Verdict.UNKNOWN: Look("?", "second", "open", "a fact is missing or has expired, or the profile does not model it"),
    Verdict.WAIVED: Look("w", "sixth", "fail", "the rule does not hold or is unknown, and a person granted a waiver"),
    Verdict.ATTESTED: Look(
        "a", "first", "informational", "the rule cannot be checked here; an organisation attests or declares it"
    ),
    Verdict.PASS: Look("✓", "third", "pass", "declared facts show that the rule holds"),
    Verdict.NOT_APPLICABLE: Look("", "neutral", "", "the rule is not about the subject, or exempts it"),
}

_IDENTIFIERS: Final = ".identifiers"  # ends the path of the fact
_NAMED_MAX: Final = 5  # organisations in one sentence
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _moments(fields: Iterable[Field]) -> frozenset[str]:
    own = {field.name for field in fields if field.type is Type.MOMENT}
    return frozenset(own.union(*(_moments(field.fields) for field in fields)))


_MOMENTS: Final = frozenset[str]().union(*(_moments(kind.fields) for kind in KINDS.values()))


@dataclass(frozen=True, slots=True)
class ProfileSummary:
    """Result of the network under one profile. `sentence` is the one that may be quoted."""

    profile: Profile
    force: Force
    counts: Mapping[Verdict, int]
    stops: int
    sentence: str
    contradicted: bool = False  # whether declared facts of the network contradict each other

    @property
    def applied(self) -> int:
        """Return the number of findings of rules that apply."""
        return sum(count for verdict, count in self.counts.items() if verdict is not Verdict.NOT_APPLICABLE)

    @property
    def is_met(self) -> bool:
        """Whether all that was judged is met, or waived, something was judged, and no declared facts contradict."""
        return (
            self.applied > 0 and not self.contradicted and not any(self.counts[each] for each in Verdict if each.stops)
        )

    @property
    def capitalised_sentence(self) -> str:
        """Return the sentence with a capital letter, without a full stop."""
        return self.sentence[0].upper() + self.sentence[1:]


@dataclass(frozen=True)
class JudgedNetwork:
    """A report with the network and the library that it was made from."""

    network: Network
    library: Library
    report: Report

    @cached_property
    def profiles(self) -> tuple[ProfileSummary, ...]:
        """One summary per profile, in the library's order."""
        return tuple(self._summary(profile) for profile in self.library.profiles)

    @cached_property
    def by_subject(self) -> Mapping[str, tuple[Finding, ...]]:
        """The findings of each subject, the worst first; subjects by their worst finding, then as declared."""
        subjects: dict[str, list[Finding]] = {}
        for finding in self.report.findings:
            subjects.setdefault(finding.subject, []).append(finding)
        ordered = {subject: tuple(worst_first(findings)) for subject, findings in subjects.items()}
        return dict(sorted(ordered.items(), key=lambda item: -weight(item[1][0])))

    @property
    def applied(self) -> tuple[str, ...]:
        """The subjects that a rule applies to, the worst first."""
        return tuple(name for name, findings in self.by_subject.items() if any(each.applies for each in findings))

    @cached_property
    def subjects_of(self) -> Mapping[str, tuple[str, ...]]:
        """The subjects of each participant and flow: itself, its flows, and the places and links on their paths."""
        own: dict[str, list[str]] = {}
        for subject in self.by_subject:
            flow, _, last = subject.rpartition(ON_PATH)
            own.setdefault(flow or last, []).append(subject)
        for each in self.network.of_kind(FLOW):
            for sender in each.values("from"):
                own.setdefault(sender, []).extend(own.get(each.id, ()))
        return {name: tuple(subjects) for name, subjects in own.items()}

    @property
    def headline(self) -> str:
        """Return the number of contradictions, and of findings that stop and stopped subjects or why there are none."""
        found = len(self.report.contradictions)
        verb = "contradicts" if found == 1 else "contradict"
        first = f"{quantity(found, 'declaration')} {verb} another: resolve that first. " if found else ""
        return first + self._stops_text

    @property
    def is_stopped(self) -> bool:
        """Return whether a finding stops something, or declared facts contradict each other."""
        return bool(self.report.stops or self.report.contradictions)

    @property
    def _stops_text(self) -> str:
        regimes = f"under the regimes enforced on {self.report.at}."
        stops = self.report.stops
        if not any(finding.applies for finding in self.report.findings):
            if all(summary.force is Force.NONE for summary in self.profiles):
                return f"Nothing was judged: no profile is in effect on {self.report.at}."
            absent = "" if any(self.network.of_kind(FLOW)) else " Declare flows: most rules are about them."
            return f"Nothing was judged on {self.report.at}: no rule is about what is declared.{absent}"
        if not stops:
            return f"No finding stops anything {regimes}"
        verb = "stops" if len(stops) == 1 else "stop"
        subjects = len({finding.subject for finding in stops})
        return f"{quantity(len(stops), 'finding')} {verb} {quantity(subjects, 'subject')} {regimes}"

    @property
    def digests(self) -> dict[str, str]:
        """Return the digests of report, network and library."""
        return {"report": self.report.digest, "network": self.report.network, "library": self.report.library}

    def entity(self, subject: str) -> Entity | None:
        """Return the entity that a finding is about; on the path of a flow, the place or link."""
        return self.network.entities.get(subject.rpartition(ON_PATH)[2])

    def place(self, subject: str) -> tuple[str, str]:
        """Return the file and the line that declare a subject; both are empty if neither is known."""
        entity = self.entity(subject)
        file, _, line = (entity.place if entity else "").rpartition(":")
        return (file, line) if file and line.isdigit() else ("", "")

    def kind(self, subject: str) -> str:
        """Return the kind of a subject, with ", synthetic" for a made-up one."""
        entity = self.entity(subject)
        return f"{entity.kind}{', synthetic' if entity.synthetic else ''}" if entity else "subject"

    def name(self, subject: str) -> str:
        """Return a subject's name for people; on a path, its own name and the flow's."""
        flow, _, last = subject.rpartition(ON_PATH)
        parts = [self.network.entities[each].name if each in self.network.entities else each for each in (flow, last)]
        return f"{parts[1]}, on the path of {parts[0]}" if flow else parts[1]

    def _summary(self, profile: Profile) -> ProfileSummary:
        findings = [finding for finding in self.report.findings if finding.profile == profile.id]
        counts = dict.fromkeys(WORST_FIRST, 0)
        for finding in findings:
            counts[finding.verdict] += 1
        force = profile.force(self.report.at, self.network.adoptions)
        stops = sum(finding.stops for finding in findings)
        contradicted = bool(self.report.contradictions)
        reported = any(finding.assurance is Assurance.REPORTED for finding in findings)
        on = f"on declared {'and reported ' if reported else ''}facts as of {self.report.at}"
        named = _named(profile, self.library)
        sentence = _sentence(named, force, counts, self.report.at, on, contradicted=contradicted)
        if not any(counts[each] for each in Verdict if each.stops):
            sentence += _without_identifiers(findings)
        return ProfileSummary(profile, force, counts, stops, sentence, contradicted)


def _named(profile: Profile, of: Library) -> str:
    """Return the name of a profile in sentences. A modified copy of a shipped profile or list is called that."""
    copy = "a modified copy of " if library.is_modified(profile) else ""
    lists = [name for name in sorted(list_ids(profile)) if library.is_modified(of.lists[name])]
    with_lists = f" with a modified copy of {' and '.join(lists)}" if lists else ""
    return f"{copy}profile {profile.id} version {profile.version}{with_lists}"


def _sentence(named: str, force: Force, counts: Mapping[Verdict, int], at: date, on: str, *, contradicted: bool) -> str:
    met = counts[Verdict.PASS] or counts[Verdict.ATTESTED]
    by = f", by {quantity(counts[Verdict.ATTESTED], 'attestation')}" if counts[Verdict.ATTESTED] else ""
    if force is Force.NONE:
        return f"{named} is not in effect on {at}"
    if counts[Verdict.FAIL]:
        return f"does not meet {named} {on}"
    if counts[Verdict.CONFLICT]:
        return f"a person has to decide whether it meets {named} {on}"
    if counts[Verdict.UNKNOWN]:
        return f"is not known to meet {named} {on}"
    if contradicted:
        return f"is not known to meet {named} {on}, because declared facts contradict each other"
    if counts[Verdict.WAIVED]:
        # A waived rule is not met, so the sentence begins with the waivers: its beginning may be quoted alone.
        waived = f"has {quantity(counts[Verdict.WAIVED], 'waived finding')} under {named}"
        return f"{waived}{' and meets the rest' if met else ''} {on}{by}"
    return f"meets {named} {on}{by}" if met else f"there is nothing to judge under {named} {on}"


def _without_identifiers(findings: Iterable[Finding]) -> str:
    """Return the end of a sentence: for whom lists were searched without a name or code besides its own name.

    Only the organisation states that it has none, so what passes must not pass in silence.
    """
    searched = [each for finding in findings for each in finding.evidence if each.note.startswith(CONSIDERED)]
    paths = dict.fromkeys(each.path for each in searched if each.value == () and each.path.endswith(_IDENTIFIERS))
    ids = [path.removesuffix(_IDENTIFIERS) for path in paths]
    if not ids:
        return ""
    more = f" and {len(ids) - _NAMED_MAX:,} more" if len(ids) > _NAMED_MAX else ""
    own = "declares" if len(ids) == 1 else "declare"
    return f"; {', '.join(ids[:_NAMED_MAX])}{more} {own} no identifiers, so lists were searched for id and name alone"


def weight(finding: Finding) -> int:
    """Return a sort key: findings that stop before others, then by verdict."""
    return len(Verdict) * finding.stops + finding.verdict


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings by descending weight; equal ones in their order."""
    return sorted(findings, key=weight, reverse=True)


def details(finding: Finding, arrow: str) -> Iterator[tuple[str, str]]:
    """Yield the names and texts of a finding's other members that are not empty. `arrow` joins the chain of control."""
    details = (
        ("control", arrow.join(finding.chain)),
        ("list", finding.list_row),
        ("missing", ", ".join(finding.missing)),
        ("in conflict with", ", ".join(finding.conflicts_with)),
        ("waived", waiver_text(finding)),
        ("interpretation", finding.interpretation),
        ("remedy", finding.remedy),
    )
    return (each for each in details if each[1])


def waiver_text(finding: Finding) -> str:
    """Return role, end and reason of a finding's waiver, empty without one."""
    waiver = finding.waiver
    return f"by {waiver.role} until {waiver.until_date}: {waiver.reason}" if waiver else ""


def value_text(value: Value | None, path: str = "") -> str:
    """Return a declared value as text. The path distinguishes a moment, in nanoseconds, from a number."""
    if value is None:
        return "undeclared"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and path.rpartition(".")[2] in _MOMENTS:
        return f"{_EPOCH + timedelta(seconds=value // 1_000_000_000):%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, tuple):
        return ", ".join(_element(each) if isinstance(each, Element) else each for each in value) or "none"
    return str(value)


def _element(element: Element) -> str:
    facts = "; ".join(f"{name} {value_text(fact.value, name)}" for name, fact in element.facts.items())
    dates = [f"{word} {day}" for word, day in (("from", element.from_date), ("until", element.until_date)) if day]
    return f"({'; '.join([facts, *dates])})"


def outcome_word(evidence: Evidence) -> str:
    """Return the result for a fact: "holds", "does not hold" or "unknown"."""
    return {True: "holds", False: "does not hold", None: "unknown"}[evidence.holds]
