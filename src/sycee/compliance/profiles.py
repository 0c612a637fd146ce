"""Profiles, which are regimes as data, and the lists that their rules use.

A profile has a status (a pledge, a law, a contract), adoptions, conditions that make it apply, and rules. A rule
consists of conditions over facts, each a test of `vocabulary.TESTS`. A new profile needs no code. Paths of facts, sets
and lists are checked when a profile is read: an error has file, line, value and the nearest valid word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from sycee.compliance import vocabulary
from sycee.compliance.canonical import digest
from sycee.compliance.coverage import Coverage
from sycee.compliance.document_fields import Name, end_of, number, one_of, read, read_tables, some_of
from sycee.compliance.fact_paths import Roots
from sycee.compliance.facts import CONTROL_BP, Adoption, Assurance, Dated
from sycee.compliance.verdicts import Force
from sycee.compliance.vocabulary import Field, Type
from sycee.core import documents, typos
from sycee.core.documents import Table
from sycee.core.errors import UsageError

T = TypeVar("T")

STATUSES: Final = ("pledge", "law", "contract")
ADDRESSEES: Final = ("company", "state")
COVERAGE: Final = "coverage"  # the kind of rules that state what a profile models; also the id of a generated one
RULE_KINDS: Final = ("checked", "attested", COVERAGE)
ROW_STATUSES: Final = ("listed", "pending", "recommended")
BUSINESS_DAYS_MAX: Final = 366  # a deadline is counted day by day, and none is longer than a year
REQUIRED: Final = Field("", Type.TEXT, "", required=True)  # by the tests that have this argument
# The arguments of tests that have some, besides the set of `vocabulary.SETS`.
ARGUMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(vocabulary.LISTED, ("list", "parts", "purposes", "control_bp", "affiliates")),
    **dict.fromkeys((vocabulary.AT_MOST, vocabulary.AT_LEAST), ("limit",)),
    vocabulary.SUM_AT_MOST: ("limit", "among", "through"),
    vocabulary.ATTESTED: ("topic", "at_least", "of"),
    vocabulary.RETURNED_IN_TIME: ("hours", "business_days"),
    vocabulary.CONTROLLED_BY: ("outside", "control_bp", "chain", "contracts"),
}
DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True)
class Source:
    """A text on which a profile or list is based. `at_hand`: its author read the text, not a citation."""

    id: Name
    title: str
    publisher: str
    date: date
    at_hand: bool


@dataclass(frozen=True, slots=True)
class Member(Dated):
    """A value that belongs to a set on some days only."""

    set: str
    value: str
    from_date: date | None
    until_date: Annotated[date | None, end_of("from_date")]
    source: str


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of one fact; or, without a test, several conditions.

    One of `any_of` must hold; or, with `some`, one element of this list must meet all of `having`, whose paths start at
    the element. `fact` is a path from the element, or from the subject of a rule without elements; the prefixes
    `subject.` and `flow.` name other starts. Only the arguments of its test are set.
    """

    fact: str = ""
    test: str = ""
    negate: bool = False
    self_declared: bool = False  # where it holds, the verdict is attested at most
    values: frozenset[str] = frozenset()  # of a set test, unless `facts` is the path of the set
    facts: str = ""
    members: tuple[Member, ...] = ()  # further values, on some days only
    set_name: str = ""  # the name of the values in the profile
    list: Annotated[str, REQUIRED] = ""
    parts: str = ""  # paths of the values that rows limited to parts or purposes must meet
    purposes: str = ""
    control_bp: Annotated[int, number(1, vocabulary.BASIS_POINTS)] = CONTROL_BP
    affiliates: bool = False  # owners of a listed party, and firms that such an owner owns, count as controlled by it
    contracts: bool = False  # control by other means than shares counts as well, and must be declared
    outside: bool = False  # the states are those that are not in the set
    home: frozenset[str] = frozenset()  # the states whose own parties are excepted
    home_members: tuple[Member, ...] = ()
    home_name: str = ""
    chain: Annotated[str, one_of(vocabulary.CHAINS, vocabulary.ATTRIBUTE)] = vocabulary.ATTRIBUTE
    ties: tuple[str, ...] = ()  # relations by which a party belongs to a state
    limit: Annotated[int, number(required=True)] = 0
    among: tuple[Condition, ...] = ()  # of a sum over flows: the conditions that a flow must meet to count
    through: tuple[Condition, ...] = ()  # further parties: flows of one sender with the same party count together
    topic: Annotated[str, REQUIRED] = ""
    at_least: Assurance = Assurance.DECLARED
    of: str = ""  # the path of the entities whose attestations count; empty: those of the subject
    hours: Annotated[int, number(1, required=True)] = 0
    business_days: Annotated[int, number(0, BUSINESS_DAYS_MAX, required=True)] = 0
    zone: str = ""
    weekend: tuple[str, ...] = ()
    holidays: frozenset[str] = frozenset()  # as ISO dates
    any_of: tuple[Condition, ...] = ()
    some: str = ""
    having: tuple[Condition, ...] = ()
    name: str = ""  # its name in the table [conditions]
    place: str = ""

    def values_on(self, at: date) -> frozenset[str]:
        """Return the values of its set on a day."""
        return self.values | {each.value for each in self.members if each.in_force(at)}

    def home_on(self, at: date) -> frozenset[str]:
        """Return the states whose own parties are excepted on a day."""
        return self.home | {each.value for each in self.home_members if each.in_force(at)}

    def leaves(self) -> Iterator[Condition]:
        """Yield this condition; or the conditions of `any_of` or `having`, at any depth."""
        parts = (*self.any_of, *self.having)
        if not parts:
            yield self
        for each in parts:
            yield from each.leaves()

    def paths(self) -> Iterator[str]:
        """Yield all its paths of facts, at any depth.

        Paths in `having` are included only if they begin with `subject.` or `flow.`: all others start at the elements
        of `some`.
        """
        yield from filter(None, (self.fact, self.facts, self.parts, self.purposes, self.of, self.some))
        for each in self.any_of:
            yield from each.paths()
        for each in self.having:
            yield from (path for path in each.paths() if path.startswith(("subject.", "flow.")))

    def sums_over(self) -> Iterator[Condition]:
        """Yield the conditions of its sums, at any depth. Their paths start at a flow."""
        for leaf in self.leaves():
            yield from (*leaf.among, *leaf.through)


@dataclass(frozen=True, slots=True)
class Touch:
    """A condition on entities of a level that makes a profile apply."""

    level: str
    condition: Condition

    def paths(self) -> Iterator[tuple[str, Roots]]:
        """Yield the paths of its condition, with their roots."""
        yield from ((path, Roots(self.level)) for path in self.condition.paths())
        yield from _paths_of_sums(self.condition)


@dataclass(frozen=True, slots=True)
class Rule(Dated):
    """One rule. `id` is PROFILE/RULE. On days on which it is not in force, it applies to nothing.

    It applies if the flow (on levels of a path) meets all of `flow`, and the subject meets all of `when` and none of
    `unless`. Then the subject must meet all of `require`; or, with `each`, every element of that list which meets all
    of `where`.

    A rule of the kind `coverage` states what the profile models. A subject that does not meet it is unknown, and one
    that meets it has no verdict of this rule: `not applicable`.
    """

    id: str
    title: str
    level: str
    addressee: Annotated[str, one_of(ADDRESSEES)]
    kind: Annotated[str, one_of(RULE_KINDS)]
    source: str
    remedy: str
    clause: str = ""
    interpretation: str = ""
    when_unknown: Annotated[str, one_of(("unknown", "fail"))] = "unknown"
    flow: tuple[Condition, ...] = ()
    when: tuple[Condition, ...] = ()
    unless: tuple[Condition, ...] = ()
    each: str = ""
    where: tuple[Condition, ...] = ()
    require: tuple[Condition, ...] = ()
    complete: str = ""  # the topic of an attestation that the elements or facts are complete
    basis: str = ""  # the field of an element that names a rule of another regime, which requires it
    from_date: date | None = None
    until_date: Annotated[date | None, end_of("from_date")] = None
    place: str = ""

    @property
    def profile(self) -> str:
        """The id of its profile."""
        return self.id.partition("/")[0]

    @property
    def unknown_fails(self) -> bool:
        """Whether an unknown result counts as broken; always false for a rule of the kind `coverage`."""
        return self.when_unknown == "fail" and self.kind != COVERAGE

    def conditions(self) -> Iterator[tuple[Condition, Roots]]:
        """Yield all conditions with their roots."""
        subject, element = Roots(self.level), Roots(self.level, self.each)
        yield from ((each, Roots(vocabulary.FLOW)) for each in self.flow)
        yield from ((each, subject) for each in (*self.when, *self.unless))
        yield from ((each, element) for each in (*self.where, *self.require))

    def paths(self) -> Iterator[tuple[str, Roots]]:
        """Yield the paths of all conditions, of `each` and of `basis`, with their roots."""
        for condition, roots in self.conditions():
            yield from ((path, roots) for path in condition.paths())
            yield from _paths_of_sums(condition)
        if self.each:
            yield self.each, Roots(self.level)
        if self.basis:
            yield self.basis, Roots(self.level, self.each)


@dataclass(frozen=True)
class Profile:
    """One version of one regime."""

    id: str
    version: Annotated[int, number(1)]
    title: str
    status: Annotated[str, one_of(STATUSES)]
    issuer: str
    effective_from: date
    effective_until: Annotated[date | None, end_of("effective_from")]
    reviewed: date
    summary: str
    limits: str
    sources: tuple[Source, ...]
    sets: Mapping[str, tuple[str, ...]]
    members: tuple[Member, ...]
    adoptions: tuple[Adoption, ...]
    touches: tuple[Touch, ...]
    rules: tuple[Rule, ...]
    coverage: Coverage | None = None
    place: str = field(default="", compare=False)

    def force(self, at: date, adoptions: Sequence[Adoption] = ()) -> Force:
        """Return how the profile binds on a day. `adoptions` are further ones, of this profile or others."""
        if at < self.effective_from or (self.effective_until is not None and at >= self.effective_until):
            return Force.NONE
        adopted = any(each.in_force(at) and each.profile == self.id for each in (*self.adoptions, *adoptions))
        return Force.ENFORCED if self.status != "pledge" or adopted else Force.ADVISED

    def paths(self) -> Iterator[tuple[str, Roots]]:
        """Yield the paths of all touches and rules, with their roots."""
        yield from (each for touch in self.touches for each in touch.paths())
        yield from (each for rule in self.rules for each in rule.paths())


def _paths_of_sums(condition: Condition) -> Iterator[tuple[str, Roots]]:
    return ((path, Roots(vocabulary.FLOW)) for each in condition.sums_over() for path in each.paths())


@dataclass(frozen=True, slots=True)
class Alias:
    """A further name of a listed party, such as in another script or a trading name, with its own source."""

    name: str
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class RowOwner:
    """Who owns a listed party, directly or through others. `state`: it is a state, or an authority of one."""

    name: str
    source: str
    note: str = ""
    state: bool = False


@dataclass(frozen=True, slots=True)
class Row(Dated):
    """One party on a list: `party` is the id of an organisation, an identifier or a name; `also` are other names.

    The source of the row gives these; `aliases` are names with their own sources. `owners` are None if the list does
    not state who owns the party.

    A row with parts or purposes covers only those. Only a row that is `listed` excludes its party: one that is
    `pending` makes the result unknown, and one that is `recommended` is reported and does not decide.
    """

    party: str
    also: tuple[str, ...]
    status: Annotated[str, one_of(ROW_STATUSES, "listed")]
    parts: Annotated[tuple[str, ...], some_of(vocabulary.PARTS)]
    purposes: Annotated[tuple[str, ...], some_of(vocabulary.PURPOSES)]
    from_date: date | None
    until_date: Annotated[date | None, end_of("from_date")]
    source: str
    note: str = ""
    aliases: tuple[Alias, ...] = ()
    owners: tuple[RowOwner, ...] | None = None
    place: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """All names of the party."""
        return (self.party, *self.also, *(each.name for each in self.aliases))


@dataclass(frozen=True)
class List:
    """A list of parties as of a day. It is not valid before `covers_from`, and from `valid_until` on.

    A list whose rows are dated answers for earlier days as well: from `covers_from` on it has every row that was in
    force. Without this day, it is valid from `as_of` on.
    """

    id: Name
    title: str
    publisher: str
    as_of: date
    valid_until: Annotated[date | None, end_of("as_of")]
    covers_from: date | None
    complete: bool  # false: a party without a row may still be listed
    sources: tuple[Source, ...]
    rows: tuple[Row, ...]
    note: str = ""

    def expired(self, at: date) -> bool:
        """Return whether the list is no longer valid."""
        return self.valid_until is not None and at >= self.valid_until

    @property
    def first_day(self) -> date:
        """The first day for which the list is valid."""
        return self.covers_from or self.as_of


@dataclass(frozen=True)
class Library:
    """Profiles in their order, and the lists that they name. `build_library` makes sure that each list exists."""

    profiles: tuple[Profile, ...]
    lists: Mapping[str, List]

    @cached_property
    def digest(self) -> str:
        """BLAKE3 of both, 64 hexadecimal digits, regardless of the order of the profiles."""
        profiles = sorted(self.profiles, key=lambda each: each.id)
        return digest([profiles, {name: self.lists[name] for name in sorted(self.lists)}])

    @cached_property
    def rules(self) -> Mapping[str, Rule]:
        """Every rule by its full name."""
        return {rule.id: rule for profile in self.profiles for rule in profile.rules}


def build_library(profiles: Sequence[Profile], lists: Sequence[List]) -> Library:
    """Return a library of the profiles and of the lists that they name. Other lists would change its digest.

    UsageError for a profile that is given twice, and for a list that a rule names and that is not given.
    """
    by_id = {each.id: each for each in lists}
    named: set[str] = set()
    for index, profile in enumerate(profiles):
        if profile.id in [each.id for each in profiles[:index]]:
            raise UsageError(f"the profile {profile.id} was given twice", hint="name each profile once")
        named |= list_ids(profile)
        for name in sorted(named - by_id.keys()):
            near = typos.nearest(name, by_id)
            hint = "give it with --list FILE" + (f'; or did you mean "{near}"?' if near else "")
            raise UsageError(f"the profile {profile.id} names the list {name}, which was not found", hint=hint)
    return Library(tuple(profiles), {name: by_id[name] for name in sorted(named)})


def list_ids(profile: Profile) -> set[str]:
    """Return the ids of the lists that the conditions of a profile name."""
    conditions = [touch.condition for touch in profile.touches]
    conditions += [condition for rule in profile.rules for condition, _ in rule.conditions()]
    conditions += [each for condition in conditions for each in condition.sums_over()]
    return {leaf.list for condition in conditions for leaf in condition.leaves()} - {""}


def read_list(path: Path) -> List:
    """Return the list in a file. Errors as of `documents.read` and `parse_list`."""
    return parse_list(documents.read(path))


def parse_list(table: Table) -> List:
    """Return the list in a document. DocumentError for an invalid value."""
    sources = read_tables(table, "sources", partial(read, Source), required=True)
    rows = read_tables(table, "rows", partial(_row, sources))
    made = read(List, table, sources=sources, rows=rows)
    table.finish()
    if made.covers_from is not None and made.covers_from > made.as_of:
        raise table.error("covers_from", f"is after as_of, {made.as_of}", right="an earlier day, or leave it out")
    if made.complete and not made.rows:
        right = "its [[rows]], or complete = false: a complete list of nobody would permit everybody"
        raise table.error("complete", "the list is complete and has no rows", right=right)
    return made


def _row(sources: Sequence[Source], table: Table) -> Row:
    aliases = read_tables(table, "aliases", partial(with_source, Alias, sources))
    owners = read_tables(table, "owners", partial(with_source, RowOwner, sources), empty=True)
    return with_source(Row, sources, table, aliases=aliases, owners=owners if "owners" in table else None)


def with_source(kind: type[T], sources: Sequence[Source], table: Table, **given: Any) -> T:
    """Read a data class whose `source` is the id of one of these sources."""
    return read(kind, table, source=table.choice("source", [each.id for each in sources]), **given)
