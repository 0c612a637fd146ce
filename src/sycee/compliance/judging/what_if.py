"""What-if questions: the verdicts of a network if states joined or left a pledge, or a list had other rows.

Nothing is written: the question changes the library and the adoptions in memory. A state that joins is taken to adopt
the pledge, which binds the subjects that it concerns, and no others::

    asked = [Step(JOIN, "AA", "first-pledge"), Step(LIST_ADD, "a-carrier", "first-list")]
    answer = ask(network, library, day, asked)
    answer.before, answer.after  # reports; `answer.causes(finding)` names the steps behind a finding of `after`
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Final

from sycee.compliance import memberships, names, territories
from sycee.compliance.facts import Entity, Network
from sycee.compliance.judging.judge import Judge
from sycee.compliance.memberships import MemberList
from sycee.compliance.profiles import Library, List, Profile, Row
from sycee.compliance.verdicts import ON_PATH, Finding, Force, Report
from sycee.compliance.vocabulary import FACILITY, FLOW, KINDS, ORGANISATION, Type
from sycee.core import typos
from sycee.core.errors import UsageError

JOIN: Final = "join"
LEAVE: Final = "leave"
LIST_ADD: Final = "list-add"
LIST_REMOVE: Final = "list-remove"

# Words instead of the code of a state.
ALL: Final = "all"  # every state: the pledge binds everywhere, or its adoptions end
MEMBERS: Final = "members"  # the states that participate on the day, by the list of members of the profile
SUPPORTERS: Final = "supporters"  # these, and the states that only made a statement or are named
GROUPS: Final = (ALL, MEMBERS, SUPPORTERS)

_SOURCE: Final = "what-if"  # the source of a row that a question adds
_EXAMPLES: Final = {
    JOIN: "members=PROFILE",
    LEAVE: "all=PROFILE",
    LIST_ADD: "LIST=a-carrier",
    LIST_REMOVE: "LIST=a-carrier",
}
_OPPOSITES: Final = {JOIN: LEAVE, LEAVE: JOIN, LIST_ADD: LIST_REMOVE, LIST_REMOVE: LIST_ADD}


@dataclass(frozen=True, slots=True)
class Step:
    """One assumption: `what` is a state or one of GROUPS, or a party; `of` is the id of a profile, or of a list."""

    kind: str
    what: str
    of: str

    @property
    def sentence(self) -> str:
        """The assumption in words."""
        verbs = {JOIN: "joins", LEAVE: "leaves", LIST_ADD: "is added to", LIST_REMOVE: "is removed from"}
        who = {ALL: "every state", MEMBERS: "each member", SUPPORTERS: "each supporter"}.get(self.what, self.what)
        return f"{who if self.kind in (JOIN, LEAVE) else self.what} {verbs[self.kind]} {self.of}"


@dataclass(frozen=True, slots=True)
class _Binding:
    """Which states a pledge binds by assumption. `everywhere`: an adoption binds all, apart from those that left."""

    everywhere: bool
    joined: frozenset[str] | None  # None: all states
    left: frozenset[str] | None

    def binds(self, states: frozenset[str]) -> bool:
        """Return whether the pledge binds a subject that concerns these states."""
        joined = self.joined or frozenset()
        if self.left is None:
            return bool(states & joined)
        if (self.everywhere or self.joined is None) and not (states and states <= self.left):
            return True
        return bool(states & (joined - self.left))


@dataclass(frozen=True)
class Answer:
    """The reports before and after the steps."""

    network: Network
    library: Library  # with the lists of the question
    steps: tuple[Step, ...]
    before: Report
    after: Report

    def causes(self, rule: str, subject: str) -> tuple[Step, ...]:
        """Return the steps that concern a rule and a subject."""
        lists, profile = self._lists_of_rules.get(rule, frozenset()), rule.partition("/")[0]
        states = self._concerned.of(subject)
        of_rule = [step for step in self.steps if step.of in lists or step.of == profile]
        return tuple(step for step in of_rule if step.of in lists or step.what in GROUPS or step.what in states)

    @cached_property
    def _lists_of_rules(self) -> Mapping[str, frozenset[str]]:
        return {
            name: frozenset(leaf.list for condition, _ in rule.conditions() for leaf in condition.leaves()) - {""}
            for name, rule in self.library.rules.items()
        }

    @cached_property
    def _concerned(self) -> Concerned:
        return Concerned(self.network)


class Concerned:
    """The states that each subject concerns.

    A flow concerns the states of its sender and receiver, and an element on its path those of the flow. Any other
    entity concerns the states in its own fields and those of its places and of the organisations that it names.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._of: dict[str, frozenset[str]] = {}

    def of(self, subject: str) -> frozenset[str]:
        """Return the codes of the states that a subject concerns; none if no state is declared."""
        id = subject.partition(ON_PATH)[0]
        if id not in self._of:
            entity = self._network.entities.get(id)
            self._of[id] = frozenset() if entity is None else frozenset(self._states(entity))
        return self._of[id]

    def _states(self, entity: Entity) -> Iterable[str]:
        if entity.kind == FLOW:
            for end in (*entity.values("from"), *entity.values("to")):
                yield from self.of(end)
            return
        for field in KINDS[entity.kind].fields:
            if field.type in (Type.STATE, Type.STATES):
                yield from entity.values(field.name)
            elif field.kinds and set(field.kinds) <= {ORGANISATION, FACILITY}:
                named = (self._network.entities.get(id) for id in entity.values(field.name))
                yield from (state for each in named if each is not None for state in each.values("state"))


def ask(
    network: Network,
    library: Library,
    at: date,
    steps: Sequence[Step],
    *,
    before: Report | None = None,
    lists: Sequence[MemberList] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Answer:
    """Judge a network with and without the steps.

    `before` is its report without them, if that exists already. `lists` replace the shipped lists of members of their
    profiles. UsageError for an unknown state, profile, list or party, for a profile that is no pledge or not in effect,
    for two steps that contradict each other, and without any step.
    """
    if not steps:
        raise UsageError("nothing is assumed", hint="give --join, --leave, --list-add or --list-remove")
    _check_contradictions(steps)
    changed = _with_lists(library, [step for step in steps if step.kind in (LIST_ADD, LIST_REMOVE)], at)
    members = {each.profile: each for each in (*memberships.load_all(), *lists)}
    bindings = _bindings(network, library, at, members, [step for step in steps if step.kind in (JOIN, LEAVE)])
    first = Judge(network, library, at).report(progress) if before is None else before
    after = first if changed is library else Judge(network, changed, at).report(progress)
    findings = after.findings
    if bindings:
        concerned = Concerned(network)
        findings = tuple(_bound(each, bindings.get(each.profile), concerned) for each in findings)
    answered = Report(network.digest, changed.digest, at, findings)
    return Answer(network, changed, tuple(steps), first, answered)


def parse_step(kind: str, text: str, option: str) -> Step:
    """Return the step that an option gives, as WHAT=OF. UsageError for another form."""
    what, equals, of = text.rpartition("=") if kind in (JOIN, LEAVE) else _reversed(text.partition("="))
    if not (equals and what and of):
        form = "STATE=PROFILE" if kind in (JOIN, LEAVE) else "LIST=PARTY"
        raise UsageError(f'{option} must be {form}; got "{text}"', hint=f"such as {option} {_EXAMPLES[kind]}")
    return Step(kind, what, of)


def _reversed(parts: tuple[str, str, str]) -> tuple[str, str, str]:
    of, equals, what = parts
    return what, equals, of


def _check_contradictions(steps: Sequence[Step]) -> None:
    for step in steps:
        other = Step(_OPPOSITES[step.kind], step.what, step.of)
        if other in steps:
            problem = f"two steps contradict each other: {step.sentence}, and {other.sentence}"
            raise UsageError(problem, hint="give one of the two")


def _bound(finding: Finding, binding: _Binding | None, concerned: Concerned) -> Finding:
    """Return a finding with the force that the assumptions give its pledge. Force decides no verdict, only stops."""
    if binding is None or finding.force is Force.NONE:
        return finding
    force = Force.ENFORCED if binding.binds(concerned.of(finding.subject)) else Force.ADVISED
    return finding if force is finding.force else finding._replace(force=force)


def _bindings(
    network: Network, library: Library, at: date, members: Mapping[str, MemberList], steps: Sequence[Step]
) -> dict[str, _Binding]:
    profiles = {each.id: each for each in library.profiles}
    bindings: dict[str, _Binding] = {}
    for name in dict.fromkeys(step.of for step in steps):
        if name not in profiles:
            hint = typos.hint(name, profiles, f"profiles used: {', '.join(profiles)}; name it with --profile")
            raise UsageError(f"the profile {name} is not used", hint=hint)
        force = _force(profiles[name], network, at)
        of_profile = [step for step in steps if step.of == name]
        joined = _states([step.what for step in of_profile if step.kind == JOIN], name, members, at)
        left = _states([step.what for step in of_profile if step.kind == LEAVE], name, members, at)
        if force is Force.ADVISED and all(step.kind == LEAVE for step in of_profile):
            problem = f"{name} binds no state on {at}: there is nothing to leave"
            raise UsageError(problem, hint=f"let states join first, such as --join members={name}")
        bindings[name] = _Binding(force is Force.ENFORCED, joined, left)
    return bindings


def _force(profile: Profile, network: Network, at: date) -> Force:
    if profile.status != "pledge":
        problem = f"{profile.id} is a {profile.status}: its own conditions say whom it binds"
        raise UsageError(problem, hint="change a copy of it, and compare with sycee compliance diff")
    force = profile.force(at, network.adoptions)
    if force is Force.NONE:
        raise UsageError(f"{profile.id} is not in effect on {at}", hint="ask about another day with --at")
    return force


def _states(words: Sequence[str], profile: str, members: Mapping[str, MemberList], at: date) -> frozenset[str] | None:
    """Return the states of some words; None for all states."""
    if ALL in words:
        return None
    states: set[str] = set()
    for word in words:
        if word in (MEMBERS, SUPPORTERS):
            states |= _members(profile, members).states_on(at, taking_part=word == MEMBERS)
        elif word in territories.codes():
            states.add(word)
        else:
            near = territories.nearest(word) or typos.nearest(word, GROUPS)
            otherwise = f"two capital letters, or one of {', '.join(GROUPS)}"
            hint = f'did you mean "{near}"?' if near else otherwise
            raise UsageError(f"{word} is not the code of a state", hint=hint)
    return frozenset(states)


def _members(profile: str, members: Mapping[str, MemberList]) -> MemberList:
    if profile not in members:
        problem = f"no list of members of {profile} is known"
        raise UsageError(problem, hint=f"name states by their codes; there are lists of: {', '.join(members)}")
    return members[profile]


def _with_lists(library: Library, steps: Sequence[Step], at: date) -> Library:
    """Return the library with the rows of the steps added and removed; the same library without steps."""
    lists = dict(library.lists)
    for step in steps:
        listed = lists.get(step.of)
        if listed is None:
            hint = typos.hint(step.of, lists, f"lists used: {', '.join(lists) or 'none'}")
            raise UsageError(f"the list {step.of} is not used", hint=hint)
        lists[step.of] = _added(listed, step.what) if step.kind == LIST_ADD else _removed(listed, step.what, at)
    return replace(library, lists=lists) if steps else library


def _added(listed: List, party: str) -> List:
    return replace(listed, rows=(*listed.rows, Row(party, (), "listed", (), (), None, None, _SOURCE)))


def _removed(listed: List, party: str, at: date) -> List:
    named = [name for row in listed.rows if _is_named(row, (party,)) for name in row.names]
    if not named:
        known = [row.party for row in listed.rows if row.in_force(at)]
        hint = typos.hint(party, known, f"on it: {', '.join(known) or 'nobody'}")
        raise UsageError(f"{party} is not on the list {listed.id}", hint=hint)
    return replace(listed, rows=tuple(row for row in listed.rows if not _is_named(row, named)))


def _is_named(row: Row, parties: Sequence[str]) -> bool:
    """Return whether a row has one of these names."""
    return any(names.are_equal(name, party) for name in row.names for party in parties)
