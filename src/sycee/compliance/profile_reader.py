"""Reader of the document of a profile. Paths of facts, sets and named conditions are checked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from sycee.compliance import document_fields, fact_paths, vocabulary
from sycee.compliance.coverage import Coverage, Gap
from sycee.compliance.document_fields import read, read_tables
from sycee.compliance.fact_paths import Roots
from sycee.compliance.facts import Adoption
from sycee.compliance.profiles import (
    ADDRESSEES,
    ARGUMENTS,
    COVERAGE,
    DAYS,
    Condition,
    Member,
    Profile,
    Rule,
    Source,
    Touch,
    with_source,
)
from sycee.compliance.vocabulary import Field, Type
from sycee.core import documents
from sycee.core.documents import Table
from sycee.core.errors import UsageError

_STATE: Final = Field("", Type.STATE, "")
# The type of fact that a test needs: with another it would always be false, or fail.
_FACT_TYPES: Final = {
    **dict.fromkeys((vocabulary.AT_MOST, vocabulary.AT_LEAST), Type.INTEGER),
    **dict.fromkeys((vocabulary.IS_TRUE, vocabulary.IS_FALSE), Type.BOOLEAN),
}
_TYPE_NAMES: Final = {Type.INTEGER: "number", Type.BOOLEAN: "fact that is true or false"}


def parse_profile(table: Table) -> Profile:
    """Return the profile in a document. DocumentError for an invalid value."""
    return _ProfileReader(table).read()


class _ProfileReader:
    """Reads one document. Sets are read first, because conditions name them."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.id = document_fields.name(table, "id")
        self.sources = read_tables(table, "sources", partial(read, Source), required=True)
        self.sets: dict[str, tuple[str, ...]] = {}
        if "sets" in table:
            sets = table.table("sets")
            self.sets = {name: sets.texts(name, default=(), empty=True) for name in sets.names()}
        self.members = read_tables(table, "members", self._member)
        self.named = table.table("conditions") if "conditions" in table else None
        self.naming: list[str] = []  # the named conditions that are being read, from the outermost
        self.used: set[str] = set()
        for name, values in self.sets.items():
            if not values and all(each.set != name for each in self.members):
                raise sets.error(name, "the set is empty", right="its values, or [[members]] with dates")

    def read(self) -> Profile:
        """Return the whole profile."""
        table = self.table
        coverage, made = self._coverage()
        profile = read(
            Profile,
            table,
            id=self.id,
            sources=self.sources,
            sets=self.sets,
            members=self.members,
            adoptions=read_tables(table, "adoptions", partial(read, Adoption, profile=self.id)),
            touches=read_tables(table, "touches", self._touch),
            rules=(*read_tables(table, "rules", self._rule, required=True), *made),
            coverage=coverage,
        )
        names = [rule.id for rule in profile.rules]
        for index, each in enumerate(table.tables("rules")):
            if names[index] in names[:index]:
                raise each.error("id", f"the rule {names[index]} is there twice", right="another id for one of them")
            if made and names[index] == made[0].id:
                raise each.error("id", f"the rule {names[index]} is made from [coverage]", right="another id")
        table.offer("conditions")
        if self.named is not None and (unused := [each for each in self.named.names() if each not in self.used]):
            raise self.named.error(unused[0], "no condition names it", right="remove it, or write { named = … }")
        table.finish()
        return profile

    def _coverage(self) -> tuple[Coverage | None, tuple[Rule, ...]]:
        """Read what the profile models, and the rule that is made from it."""
        if "coverage" not in self.table:
            self.table.offer("coverage")
            return None, ()
        table = self.table.table("coverage")
        when = self._conditions(table, "when", Roots(vocabulary.FLOW))
        gaps = read_tables(table, "not_modelled", partial(read, Gap))
        coverage = with_source(Coverage, self.sources, table, not_modelled=gaps)
        table.finish()
        outside = (*coverage.outside_classes, *coverage.outside_purposes)
        if outside and not coverage.outside:
            right = "the reason why the regime is not about it, with the place in the source"
            raise table.error("outside", f"no reason for {documents.found(outside[0])}", right=right)
        if not coverage.covered_values():
            return coverage, ()
        rule = Rule(
            id=f"{self.id}/{COVERAGE}",
            title="The profile models the classes of data and the purpose of the flow",
            level=vocabulary.FLOW,
            addressee=ADDRESSEES[0],
            kind=COVERAGE,
            source=coverage.source,
            remedy="Judge by the text what the profile does not model.",
            when=when,
            require=tuple(
                Condition(fact=fact, test=vocabulary.ALL_IN, values=values)
                for fact, values in coverage.covered_values().items()
            ),
            place=document_fields.place(table),
        )
        return coverage, (rule,)

    def _member(self, table: Table) -> Member:
        name = table.choice("set", tuple(self.sets))
        member = with_source(Member, self.sources, table, set=name)
        if member.value in self.sets[name]:
            problem = f"{documents.found(member.value)} is always in the set {name}"
            raise table.error("value", problem, right="remove it from [sets], or remove this")
        if member.from_date is None and member.until_date is None:
            raise table.error(None, "has no dates", right=f'"from", "until" or both; or add the value to {name}')
        return member

    def _touch(self, table: Table) -> Touch:
        level = table.choice("level", tuple(vocabulary.LEVELS))
        return Touch(level, self._condition(table, Roots(level)))

    def _rule(self, table: Table) -> Rule:
        level = table.choice("level", tuple(vocabulary.LEVELS))
        each = table.text("each", "")
        subject, element = Roots(level), Roots(level, each)
        if each:
            fact_paths.check_each(table, "each", each, subject)
        if "flow" in table and level not in vocabulary.PATH_LEVELS:
            raise table.error("flow", "is for levels on the path of a flow", right='write these conditions in "when"')
        rule = with_source(
            Rule,
            self.sources,
            table,
            id=f"{self.id}/{document_fields.name(table, 'id')}",
            level=level,
            flow=self._conditions(table, "flow", Roots(vocabulary.FLOW)),
            when=self._conditions(table, "when", subject),
            unless=self._conditions(table, "unless", subject),
            each=each,
            where=self._conditions(table, "where", element) if each else (),
            require=self._conditions(table, "require", element),
            basis=self._path(table, "basis", element),
        )
        if not rule.require:
            right = "the conditions that must hold: require = [{ fact = …, test = … }]"
            raise table.error(None, 'has no "require"', right=right)
        return rule

    def _conditions(self, table: Table, key: str, roots: Roots) -> tuple[Condition, ...]:
        return read_tables(table, key, partial(self._condition, roots=roots))

    def _condition(self, table: Table, roots: Roots) -> Condition:
        if "any" in table:
            return Condition(any_of=self._conditions(table, "any", roots), place=document_fields.place(table))
        if "some" in table:
            return self._some(table, roots)
        if "named" in table:
            return self._named(table, roots)
        test = table.choice("test", tuple(vocabulary.TESTS))
        fact = "" if test == vocabulary.ATTESTED else fact_paths.check(table, "fact", table.text("fact"), roots)
        given = self._set(table, roots) if test in vocabulary.SETS else {}
        if test == vocabulary.SUM_AT_MOST:
            given = {key: self._conditions(table, key, Roots(vocabulary.FLOW)) for key in ("among", "through")}
        if test == vocabulary.CONTROLLED_BY:
            given = self._states(table, roots)
        if test == vocabulary.RETURNED_IN_TIME:
            zone: ZoneInfo = table.zone("zone")
            given = {"zone": zone.key, "weekend": _weekend(table), "holidays": self._holidays(table)}
        wanted = _FACT_TYPES.get(test)
        if wanted and any(field.type is not wanted for field in self._fields(table, roots)):
            right = f"the path of a {_TYPE_NAMES[wanted]}"
            raise table.error("fact", f"{documents.found(fact)} is no {_TYPE_NAMES[wanted]}", right=right)
        only = ("negate", "self_declared", *ARGUMENTS.get(test, ()))
        condition = read(Condition, table, only=only, fact=fact, test=test, **given)
        if test == vocabulary.SUM_AT_MOST:
            _check_sum(table, condition, roots)
        for key in ("parts", "purposes", "of"):
            if path := getattr(condition, key):
                fact_paths.check(table, key, path, roots)
        if condition.chain == vocabulary.MULTIPLY and vocabulary.EMPLOYED in condition.ties:
            right = f'without "{vocabulary.EMPLOYED}", or chain = "{vocabulary.ATTRIBUTE}"'
            raise table.error("ties", "a person has no shares of an employer to multiply", right=right)
        return condition

    def _some(self, table: Table, roots: Roots) -> Condition:
        path = table.text("some")
        fact_paths.check_each(table, "some", path, roots)
        having = read_tables(
            table, "having", partial(self._condition, roots=fact_paths.below(path, roots)), required=True
        )
        return read(Condition, table, only=("negate",), some=path, having=having)

    def _states(self, table: Table, roots: Roots) -> dict[str, object]:
        """Return the states of `controlled-by`, those of the exception, and the ties."""
        if any(field.kinds != (vocabulary.ORGANISATION,) for field in self._fields(table, roots)):
            right = "the path of a reference to organisations, such as to.organisation"
            raise table.error("fact", "names no organisation", right=right)
        given = self._chosen_set(table, ("set", "values"), [_STATE])
        if "home" in table:
            name = self._set_name(table, "home", [_STATE])
            given |= {"home": frozenset(self.sets[name]), "home_members": self._members_of(name), "home_name": name}
        else:
            table.offer("home")
        return {**given, "ties": table.texts("ties", choices=vocabulary.TIES, default=vocabulary.USUAL_TIES)}

    def _named(self, table: Table, roots: Roots) -> Condition:
        """Read the conditions of this name in [conditions], of which one must hold, with these roots."""
        if self.named is None:
            raise table.error("named", "the profile has no [conditions]", right='add them, or write "any"')
        name = table.choice("named", self.named.names())
        if name in self.naming:
            raise table.error("named", f"{documents.found(name)} names itself", right="other conditions")
        self.used.add(name)
        self.naming.append(name)
        conditions = self._conditions(self.named, name, roots)
        self.naming.pop()
        return Condition(any_of=conditions, name=name, place=document_fields.place(table))

    def _set(self, table: Table, roots: Roots) -> dict[str, object]:
        if "facts" in table and not {"set", "values"} & set(table.names()):
            return {"facts": self._path(table, "facts", roots)}
        return self._chosen_set(table, ("set", "values", "facts"), self._fields(table, roots))

    def _chosen_set(self, table: Table, keys: Sequence[str], fields: Sequence[Field]) -> dict[str, object]:
        """Return the set that one of these keys gives, whose values must be allowed in all of the fields."""
        given = [key for key in keys if key in table]
        for key in keys:
            table.offer(key)
        if len(given) != 1:
            problem = f"has {' and '.join(given) or 'no values'}"
            *others, last = [f'"{key}"' for key in keys]
            raise table.error(None, problem, right=f"one of {', '.join(others)} and {last}")
        if given == ["values"]:
            values = table.texts("values")
            _check_values(table, "values", values, fields)
            return {"values": frozenset(values)}
        name = self._set_name(table, "set", fields)
        return {"values": frozenset(self.sets[name]), "members": self._members_of(name), "set_name": name}

    def _set_name(self, table: Table, key: str, fields: Sequence[Field]) -> str:
        """Return the name of a set, whose values must be allowed in all of the fields."""
        name = table.choice(key, tuple(self.sets))
        _check_values(table, key, [*self.sets[name], *(each.value for each in self._members_of(name))], fields)
        return name

    def _members_of(self, name: str) -> tuple[Member, ...]:
        return tuple(each for each in self.members if each.set == name)

    def _fields(self, table: Table, roots: Roots) -> Sequence[Field]:
        return fact_paths.fields(table, "fact", table.text("fact"), roots)

    def _holidays(self, table: Table) -> frozenset[str]:
        if "holidays" not in table:
            table.offer("holidays")
            return frozenset()
        days = self.sets[table.choice("holidays", tuple(self.sets))]
        for day in days:
            try:
                document_fields.parse_day(day, "holidays")
            except UsageError as error:
                right = 'a set of dates that exist, written as "2026-10-01"'
                raise table.error("holidays", f"found {documents.found(day)}", right=right) from error
        return frozenset(days)

    def _path(self, table: Table, key: str, roots: Roots) -> str:
        path = table.text(key, "")
        return fact_paths.check(table, key, path, roots) if path else ""


def _check_values(table: Table, key: str, values: Sequence[str], fields: Sequence[Field]) -> None:
    """Raise DocumentError for a value that a fact cannot have, and that a test would never find."""
    for value in values:
        for each in fields:
            document_fields.check_text(table, key, value, each)


def _weekend(table: Table) -> tuple[str, ...]:
    weekend = table.texts("weekend", choices=DAYS, default=("saturday", "sunday"))
    if len(set(weekend)) == len(DAYS):
        raise table.error("weekend", "found every day of the week", right="the days off: at least one day is left out")
    return weekend


def _check_sum(table: Table, condition: Condition, roots: Roots) -> None:
    """Raise DocumentError unless the fact of a sum is a number of the flow itself, and `among` has no sums."""
    start, steps = fact_paths.split(condition.fact, roots)
    numbers = [each.name for each in vocabulary.KINDS[vocabulary.FLOW].fields if each.type is Type.INTEGER]
    of_flow = start == "flow" or (start == "subject" and roots.level == vocabulary.FLOW)
    if not of_flow or len(steps) > 1 or steps[0] not in numbers:
        right = f"a number of the flow itself: {', '.join(numbers)}"
        raise table.error("fact", f"found {documents.found(condition.fact)}", right=right)
    if any(leaf.test == vocabulary.SUM_AT_MOST for each in condition.among for leaf in each.leaves()):
        raise table.error("among", "has a sum in it", right="conditions on the facts of one flow")
    parties = (vocabulary.CONTROLLED_BY, vocabulary.ANY_LISTED)
    for leaf in (leaf for each in condition.through for leaf in each.leaves()):
        if leaf.test not in parties or leaf.negate:
            right = f"tests of parties, {' or '.join(parties)}, without negate"
            raise table.error("through", "has a test that names no party", right=right)
