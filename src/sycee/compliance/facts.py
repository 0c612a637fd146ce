"""What was declared: facts of entities, in one network.

A fact is one value with where it comes from, as of when, and how sure it is. A field that was left out is no fact: it
is unknown, and unknown never passes a rule that is enforced. An empty list is a fact: there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum
from functools import cached_property
from typing import Final

from sycee.compliance.vocabulary import BASIS_POINTS

CONTROL_BP: Final = BASIS_POINTS // 2  # who holds half decides; a rule may ask for less


class Assurance(IntEnum):
    """How sure a fact is, from the weakest. What is declared was not observed."""

    DECLARED = 0  # its owner says so
    SELF_SIGNED = 1  # and signed it
    THIRD_PARTY = 2  # somebody else looked, and signed
    OBSERVED = 3  # somebody else measured it, and signed

    @property
    def word(self) -> str:
        """As declarations have it: `third-party`."""
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class Fact:
    """One declared value.

    `value` is a text (also a state, or the id of an entity), a number, true or false, a date, a moment in nanoseconds
    since 1970-01-01T00:00Z, a tuple of texts, or a tuple of elements. Past `expires` it is unknown.
    """

    value: Value
    source: str = ""
    as_of: date | None = None
    assurance: Assurance = Assurance.DECLARED
    expires: date | None = None
    synthetic: bool = False
    place: str = ""  # file and line of the entity that it is of


@dataclass(frozen=True, slots=True)
class Element:
    """One table of a list of tables, such as one owner. It counts from `from_date` until `until_date`, excluded."""

    facts: Mapping[str, Fact]
    from_date: date | None = None
    until_date: date | None = None
    place: str = ""

    def in_force(self, at: date) -> bool:
        """Whether it counts on this day."""
        return (self.from_date is None or self.from_date <= at) and (self.until_date is None or at < self.until_date)


Value = str | int | bool | date | datetime | tuple[str, ...] | tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class Entity:
    """A thing with facts. `kind` is a name of `vocabulary.KINDS`; `id` is its own in the whole network."""

    kind: str
    id: str
    name: str
    facts: Mapping[str, Fact]
    synthetic: bool = False
    place: str = ""

    def value_on(self, name: str, at: date) -> Value | None:
        """Return the value of a fact on a day; None if it is not declared or has expired."""
        fact = self.facts.get(name)
        return None if fact is None or (fact.expires is not None and at >= fact.expires) else fact.value


@dataclass(frozen=True, slots=True)
class Attestation:
    """Somebody vouches for topics of a subject, or for some of its facts. `signed` tells a checked signature.

    `by` is the id of an organisation. It counts from `as_of` until `expires`, excluded.
    """

    subject: str
    topics: tuple[str, ...]
    facts: tuple[str, ...]
    assurance: Assurance
    by: str
    as_of: date
    expires: date | None
    signed: bool
    source: str = ""
    place: str = ""

    def in_force(self, at: date) -> bool:
        """Whether it counts on this day."""
        return self.as_of <= at and (self.expires is None or at < self.expires)


@dataclass(frozen=True, slots=True)
class Adoption:
    """An authority makes a profile binding, on a legal basis, from one day until another, excluded."""

    profile: str
    by: str
    basis: str
    from_date: date
    until_date: date | None
    source: str = ""

    def in_force(self, at: date) -> bool:
        """Whether it counts on this day."""
        return self.from_date <= at and (self.until_date is None or at < self.until_date)


@dataclass(frozen=True, slots=True)
class Waiver:
    """A person in a role lets a subject off one rule, PROFILE/RULE, for a reason and until a day, excluded."""

    rule: str
    subject: str
    role: str
    reason: str
    from_date: date
    until_date: date

    def in_force(self, at: date) -> bool:
        """Whether it counts on this day."""
        return self.from_date <= at < self.until_date


@dataclass(frozen=True)
class Network:
    """All that was declared, in the order of the files. `digest` is BLAKE3 over its canonical form, not its text."""

    id: str
    title: str
    as_of: date
    entities: Mapping[str, Entity]
    attestations: tuple[Attestation, ...] = ()
    adoptions: tuple[Adoption, ...] = ()
    waivers: tuple[Waiver, ...] = ()

    def of_kind(self, kind: str) -> Iterator[Entity]:
        """The entities of one kind."""
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
        """64 hexadecimal digits. Two networks that say the same have the same, however their files are laid out."""
        from sycee.compliance.canonical import digest

        return digest(self)
