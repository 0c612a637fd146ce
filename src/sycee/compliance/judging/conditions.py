"""Conditions over facts, in three values: true, false, or unknown (None) where a fact is missing.

A condition is made ready once, as a function of what it starts at; what it gives for a place, a carrier or a
participant is kept there. No answer turns from true to false, or back, by knowing less: it can only become unknown.
Missing facts are named by who must declare them, ENTITY.FIELD, however many rules and flows came to need them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sycee.compliance import fact_paths
from sycee.compliance.fact_paths import Roots
from sycee.compliance.facts import Assurance
from sycee.compliance.judging.deadlines import Deadline
from sycee.compliance.judging.effective_facts import (
    NO_FACTS,
    EffectiveFact,
    EffectiveNetwork,
    FactPath,
    Node,
    ResolvedPath,
)
from sycee.compliance.judging.ownership import Limit, ListLookup, Truth
from sycee.compliance.profiles import Condition, List
from sycee.compliance.verdicts import Evidence
from sycee.compliance.vocabulary import (
    ALL_IN,
    ANY_IN,
    AT_LEAST,
    AT_MOST,
    ATTESTED,
    DECLARED,
    IS_FALSE,
    IS_TRUE,
    LISTED,
    NONE_LISTED,
    PATH_LEVELS,
    RETURNED_IN_TIME,
    SETS,
)

MOMENTS: Final = ("taken_at", "returned_at", "deleted_at")  # of what is taken abroad and comes back
MAKES_IT_APPLY: Final = "makes it apply"  # the note of a fact that a rule does not ask for, but is about
DOES_NOT_DECIDE: Final = "does not decide"  # the note of a fact that would have given another answer, or none
_EVIDENCE: Final = tuple.__new__  # takes a third of the time that a call with seven arguments does
_NO_LIMITS: Final[tuple[Limit, Limit]] = (None, None)
_STARTS: Final = {"subject": 0, "element": 1, "flow": 2}  # places in a frame

# What a condition can start at: the subject, the element at hand (the subject where a rule has no `each`), the flow.
Scope = tuple[Node, Node, Node | None]


@dataclass(slots=True)
class ConditionResult:
    """What a condition came to, and what it rests on."""

    truth: Truth
    evidence: tuple[Evidence, ...] = ()
    missing: tuple[str, ...] = ()
    vouched: bool = False  # somebody's word decided, and nothing that could be checked
    chain: tuple[str, ...] = ()
    row: str = ""
    way: int = 0  # so many of the evidence, from the first, only led to the facts
    _applying: tuple[Evidence, ...] | None = None

    @property
    def applying(self) -> tuple[Evidence, ...]:
        """The evidence, where it tells why a rule applies: marked so, since the rule may ask for the opposite."""
        if self._applying is None:
            self._applying = tuple(
                [
                    each if each.note or each.holds is None else _EVIDENCE(Evidence, (*each[:-1], MAKES_IT_APPLY))
                    for each in self.evidence
                ]
            )
        return self._applying

    @property
    def deciding(self) -> tuple[Evidence, ...]:
        """The facts that made it true; all that was looked at, where there are none."""
        return tuple([each for each in self.evidence[self.way :] if each.holds and not each.note]) or self.evidence


Evaluator = Callable[[Scope], ConditionResult]
PathResolver = Callable[[Scope], ResolvedPath]


def negation(truth: Truth) -> Truth:
    """Negation: of what is unknown, nothing is known."""
    return None if truth is None else not truth


def conjunction(truths: Iterable[Truth]) -> Truth:
    """Whether all are true; one that is false decides, whatever is unknown."""
    all_true: Truth = True
    for truth in truths:
        if truth is False:
            return False
        if truth is None:
            all_true = None
    return all_true


def disjunction(truths: Iterable[Truth]) -> Truth:
    """Whether one is true; one that is true decides, whatever is unknown."""
    return negation(conjunction([negation(truth) for truth in truths]))


class ConditionCompiler:
    """Makes conditions ready, for one network on one day and one set of lists. Equal ones are made once."""

    def __init__(self, knowledge: EffectiveNetwork, lists: Mapping[str, List]) -> None:
        self._knowledge = knowledge
        self._lists = lists
        self._registers: dict[tuple[str, int], ListLookup] = {}
        self._made: dict[tuple[Condition, bool, bool], Evaluator] = {}

    def ready(self, condition: Condition, roots: Roots) -> Evaluator:
        """The condition as a function of a frame."""
        key = (_bare(condition), bool(roots.each), roots.level in PATH_LEVELS)
        if key not in self._made:
            self._made[key] = self._make(key[0], roots)
        return self._made[key]

    def go(self, path: str, roots: Roots) -> PathResolver:
        """A path as a function of a frame."""
        name, steps = fact_paths.split(path, roots)
        start, way = _STARTS[name], FactPath.of(tuple(steps))

        def go(frame: Scope) -> ResolvedPath:
            node = frame[start]
            return ResolvedPath((), (), (path,)) if node is None else node.walk(way)

        return go

    def _make(self, condition: Condition, roots: Roots) -> Evaluator:
        if condition.any_of:
            test = _any_of([self.ready(each, roots) for each in condition.any_of])
        elif condition.test in SETS:
            test = self._set(condition, roots)
        elif condition.test in LISTED:
            test = self._listed(condition, roots)
        elif condition.test == ATTESTED:
            test = self._attested(condition, roots)
        elif condition.test == RETURNED_IN_TIME:
            test = self._returned(condition, roots)
        else:
            test = self._plain(condition, roots)
        starts = start_points(condition, roots)
        return _kept(test, _STARTS[next(iter(starts))]) if len(starts) == 1 else test

    def _plain(self, condition: Condition, roots: Roots) -> Evaluator:
        """Tests of each value by itself."""
        go, negate, limit = self.go(condition.fact, roots), condition.negate, condition.limit
        holds: dict[str, Callable[[EffectiveFact], bool]] = {
            DECLARED: lambda leaf: bool(leaf.values),
            IS_TRUE: lambda leaf: leaf.value is True,
            IS_FALSE: lambda leaf: leaf.value is False,
            AT_MOST: lambda leaf: leaf.values[0] <= limit,
            AT_LEAST: lambda leaf: leaf.values[0] >= limit,
        }
        test = holds[condition.test]
        over_none = condition.test in (AT_MOST, AT_LEAST)

        def answer(frame: Scope) -> ConditionResult:
            walk = go(frame)
            truths = [test(leaf) for leaf in walk.leaves]
            if walk.missing:
                truth: Truth = None if all(truths) else False
            else:
                truth = all(truths) if truths else over_none
            return _outcome(walk, truths, truth, negate=negate)

        return answer

    def _set(self, condition: Condition, roots: Roots) -> Evaluator:
        go, test, negate = self.go(condition.fact, roots), condition.test, condition.negate
        if not condition.facts:
            values = condition.values
            return lambda frame: _in_set(go(frame), values, test, negate=negate)
        go_set = self.go(condition.facts, roots)

        def answer(frame: Scope) -> ConditionResult:
            """The set is declared too, and may itself lack values."""
            walk, inside = go(frame), go_set(frame)
            values = frozenset([value for leaf in inside.leaves for value in leaf.values])
            weigh = _in_part_of_set if inside.missing else _in_set
            outcome = weigh(walk, values, test, negate=negate)
            truth = outcome.truth
            if truth is None:
                evidence = tuple([known.told(None) for known in (*inside.way, *inside.leaves)])
            else:
                evidence = inside.told(truth)
            missing = outcome.missing + inside.missing if truth is None else ()
            return ConditionResult(truth, outcome.evidence + evidence, missing, way=outcome.way)

        return answer

    def _listed(self, condition: Condition, roots: Roots) -> Evaluator:
        register = self._register(condition)
        go = self.go(condition.fact, roots)
        go_parts = self.go(condition.parts, roots) if condition.parts and register.limited else None
        go_purposes = self.go(condition.purposes, roots) if condition.purposes and register.limited else None
        turned = (condition.test == NONE_LISTED) != condition.negate

        def answer(frame: Scope) -> ConditionResult:
            walk = go(frame)
            parts = None if go_parts is None else go_parts(frame)
            purposes = None if go_purposes is None else go_purposes(frame)
            limits = (_limit(parts), _limit(purposes)) if register.limited else _NO_LIMITS
            standings = [[register.standing(party, *limits) for party in leaf.values] for leaf in walk.leaves]
            truths = [disjunction([standing.truth for standing in found]) for found in standings]
            gaps: list[Truth] = [None] if walk.missing else []
            truth = disjunction(truths + gaps)
            outcome = _outcome(walk, truths, truth, negate=turned)
            evidence, missing = list(outcome.evidence), list(outcome.missing)
            for looked in (parts, purposes):
                if looked is not None:
                    evidence += [known.told(outcome.truth) for known in (*looked.way, *looked.leaves)]
                    missing += looked.missing if truth is None else ()
            decided = [
                standing for found in standings for standing in found if standing.truth is truth or truth is None
            ]
            for standing in decided:
                holds = negation(standing.truth) if turned else standing.truth
                evidence += standing.told(holds)
                missing += standing.missing
            outcome.evidence, outcome.missing = tuple(evidence), tuple(missing)
            outcome.chain = tuple([link for standing in decided for link in standing.chain])
            outcome.row = "; ".join(dict.fromkeys(standing.row for standing in decided if standing.row))
            return outcome

        return answer

    def _register(self, condition: Condition) -> ListLookup:
        key = (condition.list, condition.control_bp)
        if key not in self._registers:
            self._registers[key] = ListLookup(self._lists[condition.list], self._knowledge, condition.control_bp)
        return self._registers[key]

    def _attested(self, condition: Condition, roots: Roots) -> Evaluator:
        go = self.go(condition.of, roots) if condition.of else None
        topic, least, negate = condition.topic, condition.at_least, condition.negate

        def answer(frame: Scope) -> ConditionResult:
            walk = NO_FACTS if go is None else go(frame)
            subjects = [frame[0].owner] if go is None else [subject for leaf in walk.leaves for subject in leaf.values]
            missing = list(walk.missing)
            words = [self.word(subject, topic, least) for subject in subjects]
            for subject, word in zip(subjects, words, strict=True):
                if word is None:
                    missing.append(f"{subject}.attested.{topic}")
            # That nobody was found to vouch for it does not show that nobody would.
            truth: Truth = None if missing else True
            told = negation(truth) if negate else truth
            evidence = [known.told(told) for known in (*walk.way, *walk.leaves)]
            evidence += [word.told(not negate) for word in words if word is not None]
            return ConditionResult(told, tuple(evidence), tuple(missing), vouched=truth is True and bool(subjects))

        return answer

    def word(self, subject: str, topic: str, least: Assurance = Assurance.DECLARED) -> EffectiveFact | None:
        """The surest attestation in force of a topic of a subject, if one is sure enough."""
        best: EffectiveFact | None = None
        for each in self._knowledge.network.attested.get(subject, ()):
            assurance = each.assurance if each.signed else Assurance.DECLARED
            if topic not in each.topics or not each.in_force(self._knowledge.at) or assurance < least:
                continue
            if best is None or best.assurance < assurance:
                path = f"{subject}.attested.{topic}"
                best = EffectiveFact(
                    path, each.by, (each.by,), source=each.source, as_of=each.as_of, assurance=assurance
                )
        return best

    def _returned(self, condition: Condition, roots: Roots) -> Evaluator:
        """The fact is the list of what was taken, or a moment of what is in it: then of all in it that is meant."""
        negate, deadline = condition.negate, Deadline(condition)
        whole, _, last = condition.fact.rpartition(".")
        path = whole if last in MOMENTS else condition.fact
        go = self.go(path, roots) if path else None
        start = _STARTS[fact_paths.split(condition.fact, roots)[0]]

        def answer(frame: Scope) -> ConditionResult:
            here = frame[start]
            if go is None and here is not None:
                return _in_time(here, deadline, negate=negate)
            walk = NO_FACTS if go is None else go(frame)
            outcomes = [_in_time(node, deadline, negate=negate) for leaf in walk.leaves for node in leaf.nodes]
            gaps: list[Truth] = [None] if walk.missing else []
            answers = [outcome.truth for outcome in outcomes]
            truth = disjunction(answers + gaps) if negate else conjunction(answers + gaps)
            evidence = [known.told(truth) for known in walk.way]
            evidence += [leaf.told(truth) for leaf in walk.leaves if not leaf.nodes]
            evidence += [each for outcome in outcomes for each in outcome.evidence]
            missing = [*walk.missing, *(gap for outcome in outcomes for gap in outcome.missing)]
            return ConditionResult(truth, tuple(evidence), tuple(missing) if truth is None else ())

        return answer


def start_points(condition: Condition, roots: Roots) -> set[str]:
    """What a condition starts at: `subject`, `element`, `flow`."""
    starts = {fact_paths.split(path, roots)[0] for path in _paths(condition) if path}
    if condition.test == ATTESTED and not condition.of:
        starts.add("subject")
    for each in condition.any_of:
        starts |= start_points(each, roots)
    return starts


def _paths(condition: Condition) -> tuple[str, ...]:
    return (condition.fact, condition.facts, condition.parts, condition.purposes, condition.of)


def _bare(condition: Condition) -> Condition:
    """Without where it stands, so that the same condition twice is one."""
    return replace(condition, place="", any_of=tuple(_bare(each) for each in condition.any_of))


def _kept(test: Evaluator, start: int) -> Evaluator:
    """A test whose paths all start at one node keeps its answer there."""

    def kept(frame: Scope) -> ConditionResult:
        node = frame[start]
        if node is None:
            return test(frame)
        outcome: ConditionResult | None = node.outcomes.get(test)
        if outcome is None:
            outcome = node.outcomes[test] = test(frame)
        return outcome

    return kept


def _any_of(tests: list[Evaluator]) -> Evaluator:
    def answer(frame: Scope) -> ConditionResult:
        outcomes: list[ConditionResult] = []
        word: ConditionResult | None = None
        for test in tests:
            outcome = test(frame)
            if outcome.truth and not outcome.vouched:
                return outcome
            if outcome.truth:  # what could be checked comes before what somebody only vouches for
                word = word or outcome
            outcomes.append(outcome)
        if word is not None:
            return word
        unknown = [outcome for outcome in outcomes if outcome.truth is None]
        return ConditionResult(
            None if unknown else False,
            tuple([evidence for outcome in outcomes for evidence in outcome.evidence]),
            tuple([gap for outcome in unknown for gap in outcome.missing]),
            chain=tuple([link for outcome in outcomes for link in outcome.chain]),
            row="; ".join(outcome.row for outcome in outcomes if outcome.row),
        )

    return answer


def _in_set(walk: ResolvedPath, values: frozenset[Any], test: str, *, negate: bool) -> ConditionResult:
    """One of the tests of sets, where all of the set is known."""
    leaves = walk.leaves
    if test == ANY_IN:
        truths = [not values.isdisjoint(leaf.values) for leaf in leaves]
        truth: Truth = True if True in truths else None if walk.missing else False
    else:
        met = values.issuperset if test == ALL_IN else values.isdisjoint
        truths = [met(leaf.values) for leaf in leaves]
        truth = False if False in truths else None if walk.missing else True
    return _outcome(walk, truths, truth, negate=negate)


def _in_part_of_set(walk: ResolvedPath, values: frozenset[Any], test: str, *, negate: bool) -> ConditionResult:
    """The same where the set may have further values: whether any other is in it is unknown."""
    truths: list[Truth] = []
    for leaf in walk.leaves:
        found: list[Truth] = [value in values or None for value in leaf.values]
        truths.append(
            disjunction(found)
            if test == ANY_IN
            else conjunction(found if test == ALL_IN else [negation(one) for one in found])
        )
    gaps: list[Truth] = [None] if walk.missing else []
    truth = disjunction(truths + gaps) if test == ANY_IN else conjunction(truths + gaps)
    return _outcome(walk, truths, truth, negate=negate)


def _outcome(walk: ResolvedPath, truths: Sequence[Truth], truth: Truth, *, negate: bool) -> ConditionResult:
    """Of a path that was walked, the answers for its leaves, and the answer for all.

    Once the whole is decided each fact tells the answer of the whole: nobody is to read that a rule is met and that it
    is not. One whose own answer was another did not decide it, and says so.
    """
    if negate:
        truth = negation(truth)
        truths = [negation(each) for each in truths]
    if truth is not None and truths.count(truth) == len(truths):
        return ConditionResult(truth, walk.told(truth), way=len(walk.way))
    evidence = [known.told(truth) for known in walk.way]
    for leaf, own in zip(walk.leaves, truths, strict=True):
        if truth is None:
            evidence.append(leaf.told(own))
        else:
            evidence.append(leaf.told(truth) if own is truth else leaf.told(truth)._replace(note=DOES_NOT_DECIDE))
    return ConditionResult(truth, tuple(evidence), walk.missing if truth is None else (), way=len(walk.way))


def _limit(walk: ResolvedPath | None) -> Limit:
    if walk is None:
        return None
    return frozenset(value for leaf in walk.leaves for value in leaf.values), not walk.missing


def _in_time(node: Node, deadline: Deadline, *, negate: bool) -> ConditionResult:
    """Whether what one element tells of came back and was deleted by its deadline."""
    known = [node.get(name) for name in MOMENTS]
    taken = known[0]
    truth: Truth = None
    if taken is not None:
        taken_ns = taken.values[0]
        last_ns = deadline.of(taken_ns)
        truth = conjunction(
            [None if moment is None else taken_ns <= moment.values[0] <= last_ns for moment in known[1:]]
        )
    told = negation(truth) if negate else truth
    evidence = tuple([moment.told(told) for moment in known if moment is not None])
    missing = tuple([f"{node.id}.{name}" for name, moment in zip(MOMENTS, known, strict=True) if moment is None])
    return ConditionResult(told, evidence, missing if truth is None else ())
