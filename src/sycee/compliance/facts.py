"""Declared facts about the entities of one network.

A fact is one value with its source, its date and its assurance. A field that is not declared is unknown, and unknown
never passes an enforced rule. An empty list is a fact: there is none.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, cached_property
from importlib import resources
from typing import Annotated, Any, Final

from sycee.compliance.document_fields import Name, RuleName, end_of
from sycee.compliance.vocabulary import BASIS_POINTS, TOPIC, Field, NamedEnum, Type

TOPICS: Final = Field(
    "", Type.WORDS, 'small letters, digits and dashes, such as "inventory-complete"', pattern=TOPIC, least=1
)
CONTROL_BP: Final = BASIS_POINTS // 2  # a holder of half the shares controls; a rule may set a lower threshold


class Assurance(NamedEnum):
    """How sure a fact is, from the weakest. A declared fact was not observed."""

    REPORTED = 0  # read in the press, and stated by none of the parties
    DECLARED = 1  # stated in a declaration
    SELF_SIGNED = 2  # and signed by the organisation responsible for it
    THIRD_PARTY = 3  # checked and signed by another organisation
    OBSERVED = 4  # measured and signed by another organisation


class Dated:
    """Base of values that count from `from_date` until the day before `until_date`; None is open."""

    __slots__ = ()
    from_date: date | None
    until_date: date | None

    def in_force(self, at: date) -> bool:
        """Return whether the value counts on this day."""
        return (self.from_date is None or self.from_date <= at) and (self.until_date is None or at < self.until_date)


@dataclass(frozen=True, slots=True)
class Fact:
    """One declared value.

    `value` is a text (also a state, or the id of an entity), a number, true or false, a date, a moment in nanoseconds
    since 1970-01-01T00:00Z, a tuple of texts, or a tuple of elements. It is unknown from the day `expires` on.
    """

    value: Value
    source: str = ""
    as_of: date | None = None
    assurance: Assurance = Assurance.DECLARED
    expires: date | None = None
    synthetic: bool = False
    place: str = ""  # file and line of its entity


class WithFacts:
    """Base of values that have facts."""

    __slots__ = ()
    facts: Mapping[str, Fact]

    def values(self, name: str) -> tuple[Any, ...]:
        """Return the declared values of a fact, expired or not: one, those of a list, or none without the fact."""
        fact = self.facts.get(name)
        return () if fact is None else fact.value if isinstance(fact.value, tuple) else (fact.value,)


@dataclass(frozen=True, slots=True)
class Element(Dated, WithFacts):
    """One table of a list of tables, such as one owner."""

    facts: Mapping[str, Fact]
    from_date: date | None = None
    until_date: date | None = None
    place: str = ""


Value = str | int | bool | date | datetime | tuple[str, ...] | tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class Entity(WithFacts):
    """A thing with facts. `kind` is a name of `vocabulary.KINDS`; `id` is unique in the network."""

    kind: str
    id: str
    name: str
    facts: Mapping[str, Fact]
    synthetic: bool = False
    place: str = ""
    replaces: str = ""  # of the flow of a payment: the declared flow that it is a payment of

    def value_on(self, name: str, at: date) -> Value | None:
        """Return the value of a fact on a day; None if it is not declared or has expired."""
        fact = self.facts.get(name)
        return None if fact is None or (fact.expires is not None and at >= fact.expires) else fact.value


@dataclass(frozen=True, slots=True)
class Attestation:
    """Topics of a subject, or some of its facts, confirmed by an organisation, whose id is `by`.

    It counts from `as_of` until the day before `expires`. `signed` means that its signature was verified.
    """

    subject: Name
    topics: Annotated[tuple[str, ...], TOPICS]
    facts: tuple[str, ...]
    assurance: Assurance
    by: Name
    as_of: date
    expires: Annotated[date | None, end_of("as_of")]
    signed: bool
    source: str = ""
    place: str = ""

    def in_force(self, at: date) -> bool:
        """Return whether the attestation counts on this day."""
        return self.as_of <= at and (self.expires is None or at < self.expires)


@dataclass(frozen=True, slots=True)
class Adoption(Dated):
    """An authority makes a profile binding, on a legal basis."""

    profile: Name
    by: str
    basis: str
    from_date: date
    until_date: Annotated[date | None, end_of("from_date")]
    source: str = ""


@dataclass(frozen=True, slots=True)
class Waiver(Dated):
    """A person in a role exempts a subject from one rule, PROFILE/RULE, for a reason.

    However long it is, it counts for `waiver_days_max` days.
    """

    rule: RuleName
    subject: str
    role: str
    reason: str
    from_date: date
    until_date: Annotated[date, end_of("from_date")]  # required: a waiver without an end would change the rule

    @property
    def days(self) -> int:
        """The number of days from its first one to its end."""
        return (self.until_date - self.from_date).days

    def in_force(self, at: date) -> bool:
        """Return whether the waiver counts on this day."""
        return Dated.in_force(self, at) and (at - self.from_date).days < waiver_days_max()


def says_something(text: str) -> bool:
    """Return whether a text has a letter or a digit, and not only blanks, signs or characters that nobody sees."""
    return any(each.isalnum() for each in text)


@cache
def waiver_days_max() -> int:
    """Return the longest life of a waiver in days, which is shipped data."""
    text = resources.files("sycee.data").joinpath("waivers.toml").read_text(encoding="utf-8")
    return int(tomllib.loads(text)["days_max"])


@dataclass(frozen=True)
class Network:
    """All declarations, in the order of the files. `digest` is BLAKE3 of their canonical form, not of their text.

    `notes` are sentences about what does not count although a file has it. With `signed_only` only facts count that a
    key with authority signed.
    """

    id: str
    title: str
    as_of: date
    entities: Mapping[str, Entity]
    attestations: tuple[Attestation, ...] = ()
    adoptions: tuple[Adoption, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    notes: tuple[str, ...] = ()
    signed_only: bool = False

    def of_kind(self, kind: str) -> Iterator[Entity]:
        """Iterate over the entities of one kind."""
        return iter(self._by_kind.get(kind, ()))

    @cached_property
    def _by_kind(self) -> dict[str, list[Entity]]:
        kinds: dict[str, list[Entity]] = {}
        for entity in self.entities.values():
            kinds.setdefault(entity.kind, []).append(entity)
        return kinds

    @cached_property
    def attested(self) -> Mapping[str, tuple[Attestation, ...]]:
        """The attestations of each subject."""
        subjects: dict[str, list[Attestation]] = {}
        for attestation in self.attestations:
            subjects.setdefault(attestation.subject, []).append(attestation)
        return {subject: tuple(each) for subject, each in subjects.items()}

    @cached_property
    def digest(self) -> str:
        """64 hexadecimal digits. Networks with equal declarations have equal digests, in whatever files they are."""
        from sycee.compliance.canonical import digest

        return digest(self)
