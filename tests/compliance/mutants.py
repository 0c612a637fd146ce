"""Mutants of rules: small changes of parsed rules, generated without knowledge of any rule."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from sycee.compliance.facts import CONTROL_BP
from sycee.compliance.judging.cases import Case, ExpectationResult
from sycee.compliance.profiles import Condition, Library, List, Profile, Rule
from sycee.compliance.vocabulary import ATTRIBUTE, CONTROLLED_BY, LISTED, MULTIPLY, ORGANISED, RETURNED_IN_TIME

PARTS = ("flow", "when", "unless", "where", "require")
Mutate = Callable[[Library], Library]


@dataclass(frozen=True)
class Mutant:
    """A mutated rule or profile, and the change. Equal on every run."""

    of: str
    name: str
    library: Mutate

    def run(self, case: Case) -> Iterator[ExpectationResult]:
        """Run a case with the mutant. A mutated rule is judged alone, so that no other rule of its regime detects it.

        Of a case with one regime, only the rules that have an expectation are judged.
        """
        profile, _, rule = self.of.partition("/")
        judged = {self.of} if rule else case.rules
        expectations = tuple(each for each in case.expectations if each.rule in judged)
        mutated = self.library(case.library)
        if rule or len(mutated.profiles) == 1:
            profiles = tuple(_only(each, judged) if each.id == profile else each for each in mutated.profiles)
            mutated = Library(profiles, mutated.lists)
        yield from replace(case, expectations=expectations).run(mutated)


def _only(profile: Profile, rules: Collection[str]) -> Profile:
    return replace(profile, rules=tuple(each for each in profile.rules if each.id in rules))


def of_profile(profile: Profile) -> Iterator[Mutant]:
    """Yield mutants of a profile: of its touches, its days and its status."""
    for place, touch in enumerate(profile.touches):
        without = (*profile.touches[:place], *profile.touches[place + 1 :])
        yield _profile(f"touches[{place}] dropped", replace(profile, touches=without))
        for name, mutated in _of_condition(touch.condition):
            changed = (*profile.touches[:place], replace(touch, condition=mutated), *profile.touches[place + 1 :])
            yield _profile(f"touches[{place}] {name}", replace(profile, touches=changed))
    for name, named in _named(profile).items():
        for what, mutated in _of_condition(replace(named, name="")):
            rules = tuple(_replaced(rule, named, replace(mutated, name=name)) for rule in profile.rules)
            yield _profile(f"{name} {what}", replace(profile, rules=rules))
    if profile.effective_until is not None:
        yield _profile("without an end", replace(profile, effective_until=None))
    other = "law" if profile.status == "pledge" else "pledge"
    yield _profile(f"a {other}", replace(profile, status=other, adoptions=()))


def _named(profile: Profile) -> dict[str, Condition]:
    """Return the named conditions of a profile, which are changed for all rules at once, as in the file."""
    waiting = [condition for rule in profile.rules for part in PARTS for condition in getattr(rule, part)]
    found = {}
    while waiting:
        condition = waiting.pop()
        if condition.name:
            found[condition.name] = condition
        waiting += condition.any_of
    return found


def _replaced(rule: Rule, old: Condition, new: Condition) -> Rule:
    def changed(condition: Condition) -> Condition:
        if condition.name == old.name:
            return new
        return replace(condition, any_of=tuple(map(changed, condition.any_of)))

    return replace(rule, **{part: tuple(map(changed, getattr(rule, part))) for part in PARTS})


def of_rule(rule: Rule, lists: Mapping[str, List]) -> Iterator[Mutant]:
    """Yield mutants of a rule and of its lists."""
    for part in PARTS:
        conditions = getattr(rule, part)
        for place, condition in enumerate(conditions):
            where = f"{part}[{place}]"
            without = (*conditions[:place], *conditions[place + 1 :])
            yield _rule(rule, f"{where} dropped", replace(rule, **{part: without}))
            for name, mutated in _of_condition(condition):
                changed = (*conditions[:place], mutated, *conditions[place + 1 :])
                yield _rule(rule, f"{where} {name}", replace(rule, **{part: changed}))
    if rule.complete:
        yield _rule(rule, "complete dropped", replace(rule, complete=""))
    if rule.basis:
        yield _rule(rule, "basis dropped", replace(rule, basis=""))
    if rule.from_date is not None:
        yield _rule(rule, "from dropped", replace(rule, from_date=None))
    if rule.until_date is not None:
        yield _rule(rule, "until dropped", replace(rule, until_date=None))
    for name in sorted(_lists_of(rule)):
        for what, changed_list in _of_list(lists[name]):
            yield Mutant(rule.id, f"list {name} {what}", _with_list(changed_list))


def _of_condition(condition: Condition) -> Iterator[tuple[str, Condition]]:
    if condition.name:
        return  # a mutant of the profile
    if condition.any_of:
        for place, each in enumerate(condition.any_of):
            rest = (*condition.any_of[:place], *condition.any_of[place + 1 :])
            if rest:
                yield f"any[{place}] dropped", replace(condition, any_of=rest)
            for name, mutated in _of_condition(each):
                changed = (*condition.any_of[:place], mutated, *condition.any_of[place + 1 :])
                yield f"any[{place}] {name}", replace(condition, any_of=changed)
        return
    yield "negated", replace(condition, negate=not condition.negate)
    for place, each in enumerate(condition.having):
        rest = (*condition.having[:place], *condition.having[place + 1 :])
        yield f"having[{place}] dropped", replace(condition, having=rest)
        for name, mutated in _of_condition(each):
            changed = (*condition.having[:place], mutated, *condition.having[place + 1 :])
            yield f"having[{place}] {name}", replace(condition, having=changed)
    if condition.self_declared:
        yield "self_declared dropped", replace(condition, self_declared=False)
    if condition.values:
        yield "set emptied", replace(condition, values=frozenset())
        yield "set swapped", replace(condition, values=frozenset({"ZZ"}))
    if condition.limit:
        yield "limit - 1", replace(condition, limit=condition.limit - 1)
        yield "limit + 1", replace(condition, limit=condition.limit + 1)
    if condition.test == CONTROLLED_BY:
        yield "inside turned", replace(condition, outside=not condition.outside)
        if condition.contracts:
            yield "contracts dropped", replace(condition, contracts=False)
        if condition.home:
            yield "home emptied", replace(condition, home=frozenset())
        if len(condition.ties) > 1:
            yield "only organised", replace(condition, ties=(ORGANISED,))
        other = MULTIPLY if condition.chain == ATTRIBUTE else ATTRIBUTE
        yield "chain turned", replace(condition, chain=other)
    if condition.test in (*LISTED, CONTROLLED_BY):
        if condition.control_bp != CONTROL_BP:  # the default threshold of control is not part of a rule
            if condition.control_bp > 1:
                yield "control - 1", replace(condition, control_bp=condition.control_bp - 1)
            yield "control + 1", replace(condition, control_bp=condition.control_bp + 1)
        if condition.affiliates:
            yield "affiliates dropped", replace(condition, affiliates=False)
        if condition.parts:
            yield "parts dropped", replace(condition, parts="")
        if condition.purposes:
            yield "purposes dropped", replace(condition, purposes="")
    if condition.test == RETURNED_IN_TIME:
        yield "hours - 1", replace(condition, hours=condition.hours - 1)
        yield "hours + 1", replace(condition, hours=condition.hours + 1)
        yield "business_days + 1", replace(condition, business_days=condition.business_days + 1)
        yield "weekend dropped", replace(condition, weekend=())
        yield "zone swapped", replace(condition, zone="UTC")


def _of_list(listed: List) -> Iterator[tuple[str, List]]:
    yield "emptied", replace(listed, rows=())
    yield "completeness turned", replace(listed, complete=not listed.complete)
    if listed.valid_until is not None:
        yield "never expires", replace(listed, valid_until=None)
    if any(row.status != "listed" for row in listed.rows):
        yield "every row listed", replace(listed, rows=tuple(replace(row, status="listed") for row in listed.rows))
    if any(row.purposes for row in listed.rows):
        yield "no purposes", replace(listed, rows=tuple(replace(row, purposes=()) for row in listed.rows))


def _profile(name: str, mutated: Profile) -> Mutant:
    def mutate(library: Library) -> Library:
        return Library(tuple(mutated if each.id == mutated.id else each for each in library.profiles), library.lists)

    return Mutant(mutated.id, name, mutate)


def _rule(original: Rule, name: str, mutated: Rule) -> Mutant:
    def mutate(library: Library) -> Library:
        profiles = tuple(
            replace(each, rules=tuple(mutated if rule.id == original.id else rule for rule in each.rules))
            for each in library.profiles
        )
        return Library(profiles, library.lists)

    return Mutant(original.id, name, mutate)


def _with_list(mutated: List) -> Mutate:
    def mutate(library: Library) -> Library:
        # A case with its own list does not test the shipped one.
        own = library.lists[mutated.id]
        return (
            Library(library.profiles, {**library.lists, mutated.id: mutated}) if own.title == mutated.title else library
        )

    return mutate


def _lists_of(rule: Rule) -> set[str]:
    waiting = [condition for part in PARTS for condition in getattr(rule, part)]
    names = set()
    while waiting:
        condition = waiting.pop()
        names.add(condition.list)
        waiting += (*condition.any_of, *condition.having)
    return names - {""}
