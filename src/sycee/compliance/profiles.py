"""Regimes as data: profiles with their rules, and the lists that rules look at.

A profile says what it is (a pledge, a law, a contract), who adopted it, what makes it apply, and its rules; a rule is
made of conditions over facts, each a test of `vocabulary.TESTS`. A new profile needs no code. Paths of facts, sets and
lists are checked when a profile is read: what cannot be is an error with file, line, value and the nearest right word.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from sycee.compliance import common_fields, fact_paths
from sycee.compliance.canonical import digest
from sycee.compliance.facts import CONTROL_BP, Adoption, Assurance
from sycee.compliance.verdicts import Force
from sycee.compliance.vocabulary import (
    AT_LEAST,
    AT_MOST,
    ATTESTED,
    BASIS_POINTS,
    LEVELS,
    LISTED,
    PARTS,
    PATH_LEVELS,
    PURPOSES,
    RETURNED_IN_TIME,
    SETS,
    TESTS,
)
from sycee.core import documents, typos
from sycee.core.documents import Table
from sycee.core.errors import UsageError

STATUSES: Final = ("pledge", "law", "contract")
ADDRESSEES: Final = ("company", "state")
RULE_KINDS: Final = ("checked", "attested")
ROW_STATUSES: Final = ("listed", "pending", "recommended")
ASSURANCES: Final = tuple(each.word for each in Assurance)
BUSINESS_DAYS_MAX: Final = 366  # a deadline is counted day by day, and one of more than a year is none
DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True)
class Source:
    """Where something was read. `at_hand` is false where the text itself was not: it was re-typed from elsewhere."""

    id: str
    title: str
    publisher: str
    date: date
    at_hand: bool


@dataclass(frozen=True, slots=True)
class Supporter:
    """Who stands by a profile, and how: member, signed, joint initiative, welcomed. That alone binds nobody."""

    by: str
    relation: str
    from_date: date
    until_date: date | None
    source: str


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of one fact, or several of which one must hold (`any_of`; then it has no test of its own).

    `fact` is a path from the element at hand, or from the subject where there is none; `subject.` and `flow.` before
    it name those. Only the arguments of its test are set.
    """

    fact: str = ""
    test: str = ""
    negate: bool = False
    values: frozenset[str] = frozenset()  # of a set test, unless `facts` says where they are declared
    facts: str = ""
    set_name: str = ""  # what the profile calls the values
    list: str = ""
    parts: str = ""  # the path of what rows that are limited to parts, or to purposes, must meet
    purposes: str = ""
    control_bp: int = CONTROL_BP
    limit: int = 0
    topic: str = ""
    at_least: Assurance = Assurance.DECLARED
    of: str = ""  # the path of the entities whose attestations count; the subject's without it
    hours: int = 0
    business_days: int = 0
    zone: str = ""
    weekend: tuple[str, ...] = ()
    holidays: frozenset[str] = frozenset()  # as ISO dates
    any_of: tuple[Condition, ...] = ()
    place: str = ""


@dataclass(frozen=True, slots=True)
class Touch:
    """One of the things that make a regime apply: a condition on a level."""

    level: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `id` is PROFILE/RULE.

    It applies where all of `flow` hold of the flow (on levels of a path), all of `when` of the subject, and none of
    `unless`. Then all of `require` must hold: of the subject, or of each element of the list `each` of which all of
    `where` hold.
    """

    id: str
    title: str
    level: str
    addressee: str
    kind: str
    source: str
    clause: str
    remedy: str
    interpretation: str = ""
    when_unknown: str = "unknown"
    flow: tuple[Condition, ...] = ()
    when: tuple[Condition, ...] = ()
    unless: tuple[Condition, ...] = ()
    each: str = ""
    where: tuple[Condition, ...] = ()
    require: tuple[Condition, ...] = ()
    complete: str = ""  # a topic: who vouches that the list of elements, or the facts looked at, are all there are
    basis: str = ""  # the field of an element that names the rule of another regime which asks for it
    place: str = ""

    @property
    def profile(self) -> str:
        """The id of its profile."""
        return self.id.partition("/")[0]


@dataclass(frozen=True)
class Profile:
    """One regime, as of one version."""

    id: str
    version: int
    title: str
    status: str
    issuer: str
    effective_from: date
    effective_until: date | None
    reviewed: date
    summary: str
    limits: str
    sources: tuple[Source, ...]
    sets: Mapping[str, tuple[str, ...]]
    adoptions: tuple[Adoption, ...]
    supporters: tuple[Supporter, ...]
    touches: tuple[Touch, ...]
    rules: tuple[Rule, ...]
    place: str = field(default="", compare=False)

    def force(self, at: date, adoptions: Sequence[Adoption] = ()) -> Force:
        """How it binds on a day. `adoptions` are further ones, of a network; those of other profiles do not count."""
        if at < self.effective_from or (self.effective_until is not None and at >= self.effective_until):
            return Force.NONE
        adopted = any(each.in_force(at) and each.profile == self.id for each in (*self.adoptions, *adoptions))
        return Force.ENFORCED if self.status != "pledge" or adopted else Force.ADVISED


def normalized_name(name: str) -> str:
    """What names are compared by: letters and signs alone, not how they are written.

    Wide and narrow forms, small and great letters, and blanks of any kind and number are the same, and what nobody can
    see (Unicode category Cf) is left out. Whoever writes a name otherwise than its list does is not another party.
    """
    seen = "".join(each for each in unicodedata.normalize("NFKC", name) if unicodedata.category(each) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", seen.casefold()).split())


@dataclass(frozen=True, slots=True)
class Row:
    """Who stands on a list: `party` as an organisation's id or one of its identifiers, or another name of `also`.

    Limited to parts or purposes, it is about nothing else. Only a row that is `listed` excludes: one that is `pending`
    makes the answer unknown, and one that is `recommended` is told and decides nothing.
    """

    party: str
    also: tuple[str, ...]
    status: str
    parts: tuple[str, ...]
    purposes: tuple[str, ...]
    from_date: date | None
    until_date: date | None
    source: str
    note: str = ""
    place: str = ""

    def in_force(self, at: date) -> bool:
        """Whether it counts on this day."""
        return (self.from_date is None or self.from_date <= at) and (self.until_date is None or at < self.until_date)


@dataclass(frozen=True)
class List:
    """A list of parties. It says how things were as of a day, and nothing from `valid_until` on."""

    id: str
    title: str
    publisher: str
    as_of: date
    valid_until: date | None
    complete: bool  # false: rows are some of many, so that whoever is not on it may yet be listed
    sources: tuple[Source, ...]
    rows: tuple[Row, ...]
    note: str = ""

    def expired(self, at: date) -> bool:
        """Whether it says nothing any more."""
        return self.valid_until is not None and at >= self.valid_until

    @cached_property
    def rows_by_name(self) -> Mapping[str, tuple[Row, ...]]:
        """The rows by every name of their parties, as `key_of` has it."""
        names: dict[str, list[Row]] = {}
        for row in self.rows:
            for name in (row.party, *row.also):
                names.setdefault(normalized_name(name), []).append(row)
        return {name: tuple(rows) for name, rows in names.items()}


@dataclass(frozen=True)
class Library:
    """The profiles that judge, in their order, and the lists that they name. Each list is there: `put_together`."""

    profiles: tuple[Profile, ...]
    lists: Mapping[str, List]

    @cached_property
    def digest(self) -> str:
        """BLAKE3 over both, 64 hexadecimal digits."""
        profiles = sorted(self.profiles, key=lambda each: each.id)  # in whatever order they were named
        return digest([profiles, {name: self.lists[name] for name in sorted(self.lists)}])

    @cached_property
    def rules(self) -> Mapping[str, Rule]:
        """Every rule by its full name."""
        return {rule.id: rule for profile in self.profiles for rule in profile.rules}


def build_library(profiles: Sequence[Profile], lists: Sequence[List]) -> Library:
    """A library, with no list that nobody names: its digest would change with what it does not look at.

    UsageError if a profile comes twice, or one of its rules names a list that is not among them.
    """
    by_id = {each.id: each for each in lists}
    named: set[str] = set()
    for position, profile in enumerate(profiles):
        if profile.id in [each.id for each in profiles[:position]]:
            raise UsageError(f"The profile {profile.id} was given twice.", hint="Name each profile once.")
        named |= list_ids(profile)
        for name in sorted(named - by_id.keys()):
            near = typos.nearest(name, by_id)
            right = f"Give it with --list FILE{f'; or did you mean {near}?' if near else '.'}"
            raise UsageError(f"The profile {profile.id} names the list {name}, which was not found.", hint=right)
    return Library(tuple(profiles), {name: by_id[name] for name in sorted(named)})


def parse_profile(table: Table) -> Profile:
    """A profile out of a document. DocumentError says what cannot be, and where."""
    return _ProfileReader(table).read()


def read_profile(path: Path) -> Profile:
    """The profile in a file. DocumentError if it cannot be read or says what cannot be."""
    return parse_profile(documents.read(path))


def read_list(path: Path) -> List:
    """The list in a file. DocumentError if it cannot be read or says what cannot be."""
    return parse_list(documents.read(path))


def parse_list(table: Table) -> List:
    """A list out of a document. DocumentError says what cannot be, and where."""
    name = common_fields.name(table, "id")
    title, publisher, note = table.text("title"), table.text("publisher"), common_fields.optional(table, "note")
    as_of = table.day("as_of")
    valid_until = common_fields.until(table, "valid_until", as_of)
    complete = table.boolean("complete")
    sources = _sources(table)
    rows = tuple(_row(each, sources) for each in common_fields.optional_tables(table, "rows"))
    table.finish()
    if complete and not rows:
        right = "its [[rows]], or complete = false: a whole list of nobody would let everybody through"
        raise table.error("complete", "the list is complete and has no rows", right=right)
    return List(name, title, publisher, as_of, valid_until, complete, sources, rows, note)


def _row(table: Table, sources: tuple[Source, ...]) -> Row:
    from_date = common_fields.optional_day(table, "from")
    row = Row(
        party=table.text("party"),
        also=table.texts("also", default=()),
        status=table.choice("status", ROW_STATUSES, "listed"),
        parts=common_fields.words(table, "parts", PARTS),
        purposes=common_fields.words(table, "purposes", PURPOSES),
        from_date=from_date,
        until_date=common_fields.until(table, "until", from_date),
        source=table.choice("source", [source.id for source in sources]),
        note=common_fields.optional(table, "note"),
        place=f"{table.file}:{table.line()}",
    )
    table.finish()
    return row


class _ProfileReader:
    """Takes one document apart. Sets are read first: conditions name them."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.id = common_fields.name(table, "id")
        self.sources = _sources(table)
        self.sets: dict[str, tuple[str, ...]] = {}
        if "sets" in table:
            sets = table.table("sets")
            self.sets = {name: sets.texts(name) for name in sets.names()}

    def read(self) -> Profile:
        """The whole profile."""
        table = self.table
        effective_from = table.day("effective_from")
        profile = Profile(
            id=self.id,
            version=table.integer("version", least=1),
            title=table.text("title"),
            status=table.choice("status", STATUSES),
            issuer=table.text("issuer"),
            effective_from=effective_from,
            effective_until=common_fields.until(table, "effective_until", effective_from),
            reviewed=table.day("reviewed"),
            summary=table.text("summary"),
            limits=table.text("limits"),
            sources=self.sources,
            sets=self.sets,
            adoptions=tuple(adoption(each, self.id) for each in common_fields.optional_tables(table, "adoptions")),
            supporters=tuple(self._supporter(each) for each in common_fields.optional_tables(table, "supporters")),
            touches=tuple(self._touch(each) for each in common_fields.optional_tables(table, "touches")),
            rules=tuple(self._rule(each) for each in table.tables("rules")),
            place=f"{table.file}:{table.line()}",
        )
        names = [rule.id for rule in profile.rules]
        for position, each in enumerate(table.tables("rules")):
            if names[position] in names[:position]:
                raise each.error("id", f"the rule {names[position]} is there twice", right="another id for one of both")
        table.finish()
        return profile

    def _supporter(self, table: Table) -> Supporter:
        from_date = table.day("from")
        supporter = Supporter(
            by=table.text("by"),
            relation=table.text("relation"),
            from_date=from_date,
            until_date=common_fields.until(table, "until", from_date),
            source=table.choice("source", [source.id for source in self.sources]),
        )
        table.finish()
        return supporter

    def _touch(self, table: Table) -> Touch:
        level = table.choice("level", tuple(LEVELS))
        return Touch(level, self._condition(table, fact_paths.Roots(level)))

    def _rule(self, table: Table) -> Rule:
        level = table.choice("level", tuple(LEVELS))
        each = common_fields.optional(table, "each")
        subject = fact_paths.Roots(level)
        if each:
            fact_paths.check_each(table, "each", each, subject)
        element = fact_paths.Roots(level, each)
        if "flow" in table and level not in PATH_LEVELS:
            raise table.error("flow", "is about what lies on the path of a flow", right='say it in "when"')
        rule = Rule(
            id=f"{self.id}/{common_fields.name(table, 'id')}",
            title=table.text("title"),
            level=level,
            addressee=table.choice("addressee", ADDRESSEES),
            kind=table.choice("kind", RULE_KINDS),
            source=table.choice("source", [source.id for source in self.sources]),
            clause=common_fields.optional(table, "clause"),
            remedy=table.text("remedy"),
            interpretation=common_fields.optional(table, "interpretation"),
            when_unknown=table.choice("when_unknown", ("unknown", "fail"), "unknown"),
            flow=self._conditions(table, "flow", fact_paths.Roots("flow")),
            when=self._conditions(table, "when", subject),
            unless=self._conditions(table, "unless", subject),
            each=each,
            where=self._conditions(table, "where", element) if each else (),
            require=self._conditions(table, "require", element),
            complete=common_fields.optional(table, "complete"),
            basis=common_fields.optional(table, "basis"),
            place=f"{table.file}:{table.line()}",
        )
        if rule.basis:
            fact_paths.check(table, "basis", rule.basis, element)
        if not rule.require:
            raise table.error(None, 'has no "require"', right="say what must hold: require = [{ fact = …, test = … }]")
        table.finish()
        return rule

    def _conditions(self, table: Table, key: str, roots: fact_paths.Roots) -> tuple[Condition, ...]:
        return tuple(self._condition(each, roots) for each in common_fields.optional_tables(table, key))

    def _condition(self, table: Table, roots: fact_paths.Roots) -> Condition:
        place = f"{table.file}:{table.line()}"
        if "any" in table:
            any_of = tuple(self._condition(each, roots) for each in table.tables("any"))
            table.finish()
            return Condition(any_of=any_of, place=place)
        test = table.choice("test", tuple(TESTS))
        fact = "" if test == ATTESTED else fact_paths.check(table, "fact", table.text("fact"), roots)
        arguments = self._arguments(table, test, roots)
        negate = table.boolean("negate", False)
        table.finish()
        return Condition(fact=fact, test=test, negate=negate, place=place, **arguments)  # type: ignore[arg-type]

    def _arguments(self, table: Table, test: str, roots: fact_paths.Roots) -> dict[str, object]:
        if test in SETS:
            return self._set(table, roots)
        if test in LISTED:
            return {
                "list": table.text("list"),
                "parts": self._path(table, "parts", roots),
                "purposes": self._path(table, "purposes", roots),
                "control_bp": table.integer("control_bp", CONTROL_BP, least=1, most=BASIS_POINTS),
            }
        if test in (AT_MOST, AT_LEAST):
            return {"limit": table.integer("limit")}
        if test == ATTESTED:
            return {
                "topic": table.text("topic"),
                "at_least": Assurance[table.choice("at_least", ASSURANCES, ASSURANCES[0]).replace("-", "_").upper()],
                "of": self._path(table, "of", roots),
            }
        if test == RETURNED_IN_TIME:
            zone: ZoneInfo = table.zone("zone")
            return {
                "hours": table.integer("hours", least=1),
                "business_days": table.integer("business_days", least=0, most=BUSINESS_DAYS_MAX),
                "zone": zone.key,
                "weekend": _weekend(table),
                "holidays": self._holidays(table),
            }
        return {}

    def _set(self, table: Table, roots: fact_paths.Roots) -> dict[str, object]:
        given = [key for key in ("set", "values", "facts") if key in table]
        for key in ("set", "values", "facts"):
            table.offer(key)
        if len(given) != 1:
            raise table.error(
                None, f"has {' and '.join(given) or 'no values'}", right='one of "set", "values" and "facts"'
            )
        if given == ["facts"]:
            return {"facts": self._path(table, "facts", roots)}
        if given == ["values"]:
            values = table.texts("values")
            self._check_values(table, "values", values, roots)
            return {"values": frozenset(values)}
        name = table.choice("set", tuple(self.sets))
        self._check_values(table, "set", self.sets[name], roots)
        return {"values": frozenset(self.sets[name]), "set_name": name}

    def _check_values(self, table: Table, key: str, values: Sequence[str], roots: fact_paths.Roots) -> None:
        """A value that the fact can never have would make a test that never finds it."""
        fields = fact_paths.fields(table, "fact", table.text("fact"), roots)
        for value in values:
            for each in fields:
                common_fields.check_text(table, key, value, each)

    def _holidays(self, table: Table) -> frozenset[str]:
        if "holidays" not in table:
            table.offer("holidays")
            return frozenset()
        days = self.sets[table.choice("holidays", tuple(self.sets))]
        for day in days:
            try:
                common_fields.parse_day(day, "holidays")
            except UsageError as error:
                right = 'a set of dates that exist, written as "2026-10-01"'
                raise table.error("holidays", f"found {documents.found(day)}", right=right) from error
        return frozenset(days)

    def _path(self, table: Table, key: str, roots: fact_paths.Roots) -> str:
        return (
            fact_paths.check(table, key, table.text(key), roots) if key in table else common_fields.optional(table, key)
        )


def adoption(table: Table, profile: str = "") -> Adoption:
    """An adoption out of a table, of this profile, or of the one that it names itself."""
    from_date = table.day("from")
    made = Adoption(
        profile=profile or common_fields.name(table, "profile"),
        by=table.text("by"),
        basis=table.text("basis"),
        from_date=from_date,
        until_date=common_fields.until(table, "until", from_date),
        source=common_fields.optional(table, "source"),
    )
    table.finish()
    return made


def _weekend(table: Table) -> tuple[str, ...]:
    weekend = table.texts("weekend", choices=DAYS, default=("saturday", "sunday"))
    if len(set(weekend)) == len(DAYS):
        raise table.error("weekend", "found every day of the week", right="the days off: one is left for business")
    return weekend


def list_ids(profile: Profile) -> set[str]:
    """The ids of the lists that its conditions name."""
    waiting = [touch.condition for touch in profile.touches]
    for rule in profile.rules:
        waiting += (*rule.flow, *rule.when, *rule.unless, *rule.where, *rule.require)
    names = set()
    while waiting:
        condition = waiting.pop()
        names.add(condition.list)
        waiting += condition.any_of
    return names - {""}


def _sources(table: Table) -> tuple[Source, ...]:
    sources = []
    for each in table.tables("sources"):
        sources.append(
            Source(
                common_fields.name(each, "id"),
                each.text("title"),
                each.text("publisher"),
                each.day("date"),
                each.boolean("at_hand"),
            )
        )
        each.finish()
    return tuple(sources)
