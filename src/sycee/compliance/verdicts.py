"""What judging gives: verdicts with the evidence that they rest on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from functools import cached_property
from typing import Final, NamedTuple

from sycee.compliance.canonical import digest
from sycee.compliance.facts import Assurance, Value, Waiver

ENGINE: Final = "sycee.compliance.v1"  # changes when the same input may be judged otherwise
ON_PATH: Final = " @ "  # FLOW @ ENTITY is the subject of a rule about an element on the path of a flow


class Verdict(IntEnum):
    """What a rule comes to for a subject, from the best to the worst."""

    NOT_APPLICABLE = 0  # the rule is not about this, or exempts it
    PASS = 1  # declared facts show that it holds
    ATTESTED = 2  # somebody vouches for it; nobody could check it here
    WAIVED = 3  # it does not hold or is unknown, and a person let it through
    UNKNOWN = 4  # a fact is missing, has expired, or its list has
    CONFLICT = 5  # what this regime asks for, another one forbids; a person decides
    FAIL = 6  # declared facts show that it does not hold

    @property
    def word(self) -> str:
        """As reports have it: `not-applicable`."""
        return self.name.lower().replace("_", "-")

    @property
    def stops(self) -> bool:
        """Whether nothing goes on under a regime that is enforced."""
        return self >= Verdict.UNKNOWN


class Force(IntEnum):
    """How a regime binds on a day."""

    NONE = 0  # it is not in effect
    ADVISED = 1  # a pledge that nobody adopted on a legal basis: it says what it finds, and stops nothing
    ENFORCED = 2  # a law, a contract, or a pledge that an authority adopted

    @property
    def word(self) -> str:
        """As reports have it."""
        return self.name.lower()


# Evidence and findings are made by the hundred thousand a second: a named tuple is made in a quarter of the time that a
# frozen data class takes, and is as frozen.
class Evidence(NamedTuple):
    """One fact that a verdict looked at. `holds` says what came of it: true, false, or None where it is unknown."""

    path: str  # ENTITY.FIELD…
    value: Value | None
    source: str = ""
    as_of: date | None = None
    assurance: Assurance = Assurance.DECLARED
    holds: bool | None = None
    note: str = ""


class Finding(NamedTuple):
    """One rule judged on one subject."""

    profile: str
    version: int
    rule: str  # PROFILE/RULE
    title: str
    level: str
    subject: str  # the id of an entity; of what lies on the path of a flow: FLOW @ ENTITY
    verdict: Verdict
    force: Force
    message: str = ""  # one sentence for people; no part of digests
    evidence: tuple[Evidence, ...] = ()
    chain: tuple[str, ...] = ()  # who controls whom, from the listed party down, where ownership decided
    list_row: str = ""  # LIST: the row that decided
    missing: tuple[str, ...] = ()  # paths of facts that would decide
    assurance: Assurance | None = None  # the weakest of what it rests on
    remedy: str = ""
    interpretation: str = ""
    conflicts_with: tuple[str, ...] = ()
    waiver: Waiver | None = None

    @property
    def stops(self) -> bool:
        """Whether it keeps its subject from going on."""
        return self.force is Force.ENFORCED and self.verdict.stops


@dataclass(frozen=True)
class Report:
    """All findings of one judgement: of this network under these profiles and lists, as of this day.

    `digest` names the judgement: the same inputs give the same, on any machine.
    """

    network: str  # digests, 64 hexadecimal digits each
    library: str
    at: date
    findings: tuple[Finding, ...]
    engine: str = ENGINE

    @cached_property
    def digest(self) -> str:
        """BLAKE3 over inputs and findings, without messages and in an order of their own, as the inputs have."""
        told = sorted((each.rule, each.version, each.subject, each.verdict, each.force) for each in self.findings)
        return digest([self.engine, self.network, self.library, self.at, told])

    @property
    def stops(self) -> tuple[Finding, ...]:
        """The findings that keep something from going on."""
        return tuple(each for each in self.findings if each.stops)
