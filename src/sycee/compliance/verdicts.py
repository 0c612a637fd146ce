"""Verdicts of rules, with their evidence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Final, NamedTuple

from sycee.compliance.canonical import digest
from sycee.compliance.facts import Assurance, Value, Waiver
from sycee.compliance.vocabulary import NamedEnum

ENGINE: Final = "sycee.compliance.v2"  # changes when the same input may get another verdict
ON_PATH: Final = " @ "  # FLOW @ ENTITY is the subject of a rule about an element on the path of a flow


class Verdict(NamedEnum):
    """Result of a rule for a subject, from the best to the worst."""

    NOT_APPLICABLE = 0  # the rule is about other subjects, or exempts this one
    PASS = 1  # declared facts show that the rule is met
    ATTESTED = 2  # the rule is met by attestation; it cannot be checked here
    WAIVED = 3  # the rule is not met or unknown, and a person waived it
    UNKNOWN = 4  # a fact is missing or has expired, or a list is not valid
    CONFLICT = 5  # another regime requires the opposite; a person decides
    FAIL = 6  # declared facts show that the rule is not met

    @property
    def stops(self) -> bool:
        """Whether the verdict stops its subject under an enforced regime."""
        return self >= Verdict.UNKNOWN


class Force(NamedEnum):
    """How a regime binds on a day."""

    NONE = 0  # not in effect
    ADVISED = 1  # a pledge without an adoption on a legal basis: it has findings, and stops nothing
    ENFORCED = 2  # a law, a contract, or a pledge that an authority adopted


# Named tuples, because evidence and findings are created 100,000 times a second: four times as fast as frozen data
# classes.
class Evidence(NamedTuple):
    """One fact that was considered for a verdict. `holds` is the truth that it supports; None if that is unknown.

    Its truth and its note come last: conditions copy the other fields.
    """

    path: str  # ENTITY.FIELD…
    value: Value | None
    source: str = ""
    as_of: date | None = None
    assurance: Assurance = Assurance.DECLARED
    holds: bool | None = None
    note: str = ""


class Finding(NamedTuple):
    """The verdict of one rule about one subject."""

    profile: str
    version: int
    rule: str  # PROFILE/RULE
    title: str
    level: str
    subject: str  # the id of an entity, or FLOW @ ENTITY for an element on the path of a flow
    verdict: Verdict
    force: Force
    message: str = ""  # one sentence for people; not part of digests
    evidence: tuple[Evidence, ...] = ()
    chain: tuple[str, ...] = ()  # the owners from a listed party down to the subject, if ownership decided
    list_row: str = ""  # LIST: the row that decided
    missing: tuple[str, ...] = ()  # paths of facts that would decide
    assurance: Assurance | None = None  # the weakest of the evidence
    remedy: str = ""
    interpretation: str = ""
    conflicts_with: tuple[str, ...] = ()
    waiver: Waiver | None = None

    @property
    def applies(self) -> bool:
        """Whether the rule is about its subject."""
        return self.verdict is not Verdict.NOT_APPLICABLE

    @property
    def stops(self) -> bool:
        """Whether the finding stops its subject."""
        return self.force is Force.ENFORCED and self.verdict.stops


class Contradiction(NamedTuple):
    """Declared facts that exclude each other. `check` is the name of the check, `text` one sentence for people."""

    check: str
    subject: str
    text: str
    facts: tuple[str, ...]

    def finding(self, level: str) -> Finding:
        """Return the contradiction as a finding that stops its subject, for decisions."""
        return Finding(
            profile="consistency",
            version=1,
            rule=f"consistency/{self.check}",
            title="Declared facts do not contradict each other",
            level=level,
            subject=self.subject,
            verdict=Verdict.UNKNOWN,
            force=Force.ENFORCED,
            message=f"{self.text}.",
            missing=self.facts,
            remedy="Correct the declarations.",
        )


@dataclass(frozen=True)
class Report:
    """All findings about a network under some profiles and lists, as of a day.

    Equal inputs give equal findings and an equal `digest` on every machine.
    """

    network: str  # digests, 64 hexadecimal digits each
    library: str
    at: date
    findings: tuple[Finding, ...]
    engine: str = ENGINE
    contradictions: tuple[Contradiction, ...] = ()

    @cached_property
    def digest(self) -> str:
        """BLAKE3 of inputs and findings, without messages. The order of files and profiles does not matter.

        Contradictions follow from network and day, so they are not part of it.
        """
        findings = sorted((each.rule, each.version, each.subject, each.verdict, each.force) for each in self.findings)
        return digest([self.engine, self.network, self.library, self.at, findings])

    @property
    def stops(self) -> tuple[Finding, ...]:
        """The findings that stop their subjects."""
        return tuple(each for each in self.findings if each.stops)
