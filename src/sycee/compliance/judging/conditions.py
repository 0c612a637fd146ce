"""Conditions over facts, compiled to functions that return true, false or unknown, with evidence.

A condition is compiled once and evaluated in a scope: the subject, the element and the flow that its paths start at.
The result for a place, a carrier or a participant is cached at its node. Missing facts are named after the entity that
must declare them, ENTITY.FIELD, however many rules and flows need them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

from sycee.compliance import fact_paths, vocabulary
from sycee.compliance.fact_paths import Roots
from sycee.compliance.facts import Assurance
from sycee.compliance.judging.condition_results import (
    ConditionResult,
    agreed,
    none_met,
    of_path,
    of_some,
    over_leaves,
)
from sycee.compliance.judging.control import BRANCH_OF, named_facts
from sycee.compliance.judging.deadlines import Deadline
from sycee.compliance.judging.effective_facts import NO_FACTS, EffectiveFact, EffectiveNetwork, Node, ResolvedPath
from sycee.compliance.judging.logic import Truth, conjunction, disjunction, negation
from sycee.compliance.judging.ownership import Limit, ListLookup
from sycee.compliance.judging.party_names import PartyName, names_in, of_models, owner_of
from sycee.compliance.judging.state_control import StateLookup
from sycee.compliance.judging.sums import SHOWN_MAX, FlowPairs, SharedParties, Sum
from sycee.compliance.profiles import Condition, List

MOMENTS: Final = ("taken_at", "returned_at", "deleted_at")  # of data that is processed abroad and returned
_NO_LIMITS: Final[tuple[Limit, Limit]] = (None, None)
_NO_GAPS: Final[Mapping[Any, str]] = {}
_CLAIMED: Final = frozenset(each.field for each in vocabulary.CLAIMS)
_SCOPE_INDEX: Final = {"subject": 0, "element": 1, "flow": 2}

# How the values of one fact are tested against the set of a condition, or its limit.
_VALUE_TESTS: Final[Mapping[str, Callable[[frozenset[Any], int], Callable[[tuple[Any, ...]], bool]]]] = {
    vocabulary.ANY_IN: lambda inside, limit: lambda values: not inside.isdisjoint(values),
    vocabulary.ALL_IN: lambda inside, limit: inside.issuperset,
    vocabulary.NONE_IN: lambda inside, limit: inside.isdisjoint,
    vocabulary.DECLARED: lambda inside, limit: bool,
    vocabulary.IS_TRUE: lambda inside, limit: lambda values: len(values) == 1 and values[0] is True,
    vocabulary.IS_FALSE: lambda inside, limit: lambda values: len(values) == 1 and values[0] is False,
    vocabulary.AT_MOST: lambda inside, limit: lambda values: values[0] <= limit,
    vocabulary.AT_LEAST: lambda inside, limit: lambda values: values[0] >= limit,
}
_FALSE_WITHOUT_VALUES: Final = (vocabulary.ANY_IN, vocabulary.DECLARED, vocabulary.IS_TRUE, vocabulary.IS_FALSE)

# Subject, element (the subject itself if the rule has no `each`) and flow.
Scope = tuple[Node, Node, Node | None]


class _Wholes(NamedTuple):
    """The values of a fact; gaps by the values of which the whole is unknown; facts that name a whole."""

    values: tuple[Any, ...]
    gaps: Mapping[Any, str]
    branches: tuple[EffectiveFact, ...]


Evaluator = Callable[[Scope], ConditionResult]
PathResolver = Callable[[Scope], ResolvedPath]
ProductNames = Callable[[Scope, ResolvedPath], Mapping[str, tuple[PartyName, ...]]]  # by the owners of facts


class ConditionCompiler:
    """Compiles conditions for one network on one day and one set of lists. Equal conditions are compiled once."""

    def __init__(self, network: EffectiveNetwork, lists: Mapping[str, List]) -> None:
        self._network = network
        self._lists = lists
        self._lookups: dict[tuple[str, int, bool] | Condition, ListLookup | StateLookup] = {}
        self._pairs = FlowPairs(network)
        self._shared: dict[tuple[Condition, ...], SharedParties] = {}  # equal ones share their results
        self._compiled: dict[tuple[Condition, tuple[bool, bool, bool]], Evaluator] = {}
        self._exempting = False  # whether the condition that is being compiled exempts from a rule

    def compile(self, condition: Condition, roots: Roots) -> Evaluator:
        """Return the condition as a function of a scope."""
        exempting = self._exempting and _names_a_claim(condition)
        key = (_without_place(condition), (bool(roots.each), roots.level in vocabulary.PATH_LEVELS, exempting))
        if key not in self._compiled:
            self._compiled[key] = self._compile(key[0], roots, exempting=exempting)
        return self._compiled[key]

    def compile_exemption(self, condition: Condition, roots: Roots) -> Evaluator:
        """Return a condition that exempts from a rule: claims of a flow that no other fact supports are unknown."""
        outer, self._exempting = self._exempting, True
        try:
            return self.compile(condition, roots)
        finally:
            self._exempting = outer

    def compile_path(self, path: str, roots: Roots) -> PathResolver:
        """Return a path of facts as a function of a scope."""
        start, steps = fact_paths.split(path, roots)
        index, fact_path, exempting = _SCOPE_INDEX[start], tuple(steps), self._exempting

        def resolve(scope: Scope) -> ResolvedPath:
            node = scope[index]
            if node is None:
                return ResolvedPath(missing=(path,))
            return node.resolve_exempting(fact_path)

        def resolve_plainly(scope: Scope) -> ResolvedPath:
            node = scope[index]
            if node is None:
                return ResolvedPath(missing=(path,))
            return node.resolved.get(fact_path) or node.resolve(fact_path)

        return resolve if exempting else resolve_plainly

    def _compile(self, condition: Condition, roots: Roots, *, exempting: bool) -> Evaluator:
        if condition.any_of:
            evaluate = _any_of([self.compile(each, roots) for each in condition.any_of])
        elif condition.some:
            evaluate = self._some_test(condition, roots)
        elif condition.test in (*vocabulary.LISTED, vocabulary.CONTROLLED_BY):
            evaluate = self._control_test(condition, roots)
        elif condition.test == vocabulary.ATTESTED:
            evaluate = self._attestation_test(condition, roots)
        elif condition.test == vocabulary.SUM_AT_MOST:
            evaluate = self._sum_test(condition, roots)
        elif condition.test == vocabulary.RETURNED_IN_TIME:
            evaluate = self._deadline_test(condition, roots)
        else:
            evaluate = (self._comparison if condition.facts else self._value_test)(condition, roots)
        if condition.self_declared:
            evaluate = _self_declared(evaluate)
        starts = start_points(condition, roots)
        if len(starts) > 1:
            return evaluate
        if condition.test not in _VALUE_TESTS or condition.facts or condition.self_declared or exempting:
            return _cached(evaluate, _SCOPE_INDEX[next(iter(starts))])
        return self._fact_test(condition, roots, evaluate)

    def _fact_test(self, condition: Condition, roots: Roots, evaluate: Evaluator) -> Evaluator:
        """Return a test of values with a fast path for facts that agree, as most do.

        Tests with one outcome share the result, which is cached at the path.
        """
        start, steps = fact_paths.split(condition.fact, roots)
        index, fact_path = _SCOPE_INDEX[start], tuple(steps)
        name, negate = condition.test, condition.negate
        if name == vocabulary.ANY_IN:  # of facts that agree, the opposite of none, which needs no function of Python
            name, negate = vocabulary.NONE_IN, not negate
        test = _VALUE_TESTS[name](condition.values_on(self._network.at), condition.limit)
        evaluate_others = _cached(evaluate, index)

        def evaluate_fact(scope: Scope) -> ConditionResult:
            node = scope[index]
            if node is None:
                return evaluate(scope)
            path = node.resolved.get(fact_path) or node.resolve(fact_path)
            leaves = path.leaves
            if path.missing or not leaves:
                return evaluate_others(scope)
            met = test(leaves[0].values)
            for leaf in leaves[1:]:
                if test(leaf.values) is not met:
                    return evaluate_others(scope)
            return (path.of_unmet if met is negate else path.of_met) or agreed(path, met is not negate)

        return evaluate_fact

    def _value_test(self, condition: Condition, roots: Roots) -> Evaluator:
        """Compile a test of values against a set of the condition, or a limit."""
        resolve = self.compile_path(condition.fact, roots)
        is_any, without_values = condition.test == vocabulary.ANY_IN, condition.test not in _FALSE_WITHOUT_VALUES
        values, negate = condition.values_on(self._network.at), condition.negate
        test = _VALUE_TESTS[condition.test](values, condition.limit)

        def evaluate(scope: Scope) -> ConditionResult:
            path = resolve(scope)
            truths: list[Truth] = [test(leaf.values) for leaf in path.leaves]
            truth = over_leaves(path, truths, any_leaf=is_any) if truths or path.missing else without_values
            return of_path(path, truths, truth, negate=negate)

        return evaluate

    def _comparison(self, condition: Condition, roots: Roots) -> Evaluator:
        """Compile a test of values against a set that is itself declared.

        A branch is compared as the organisation that it is a part of. If that is unknown, so is any value that differs.
        """
        resolve, resolve_set = self.compile_path(condition.fact, roots), self.compile_path(condition.facts, roots)
        any_leaf, negate, branches = condition.test == vocabulary.ANY_IN, condition.negate, self._network.branches
        test = _VALUE_TESTS[condition.test]

        def evaluate(scope: Scope) -> ConditionResult:
            path, declared = resolve(scope), resolve_set(scope)
            if declared.missing or (branches and _name_one(branches, (*path.leaves, *declared.leaves))):
                return self._compare_wholes(condition, path, declared)
            is_met = test(frozenset([value for leaf in declared.leaves for value in leaf.values]), 0)
            truths: list[Truth] = [is_met(leaf.values) for leaf in path.leaves]
            result = of_path(path, truths, over_leaves(path, truths, any_leaf=any_leaf), negate=negate)
            result.evidence += declared.evidence(result.truth)
            return result

        return evaluate

    def _compare_wholes(self, condition: Condition, path: ResolvedPath, declared: ResolvedPath) -> ConditionResult:
        """Return the result of a comparison with a branch, or with a set that is not known completely."""
        of_all, is_none = condition.test == vocabulary.ALL_IN, condition.test == vocabulary.NONE_IN
        wholes = [self._wholes(leaf) for leaf in path.leaves]
        allowed = [self._wholes(leaf) for leaf in declared.leaves]
        inside = frozenset([each for of in allowed for each in of.values])
        gaps = (*declared.missing, *(gap for of in allowed for gap in of.gaps.values()))
        truths: list[Truth] = []
        for of in wholes:
            found: list[Truth] = [each in inside or (None if gaps or each in of.gaps else False) for each in of.values]
            truth = conjunction(found) if of_all else disjunction(found)
            truths.append(negation(truth) if is_none else truth)
        truth = over_leaves(path, truths, any_leaf=condition.test == vocabulary.ANY_IN)
        result = of_path(path, truths, truth, negate=condition.negate)
        result.evidence += declared.evidence(result.truth)
        branches = dict.fromkeys([fact for of in (*wholes, *allowed) for fact in of.branches])
        result.evidence += tuple([fact.evidence(result.truth) for fact in branches])
        if result.truth is None:
            result.missing += (*gaps, *(gap for of in wholes for gap in of.gaps.values()))
        return result

    def _wholes(self, leaf: EffectiveFact) -> _Wholes:
        """Return the values of a fact, with the organisation of a branch in place of that branch."""
        branches = self._network.branches
        if not leaf.is_reference or branches.isdisjoint(leaf.values):
            return _Wholes(leaf.values, _NO_GAPS, ())
        values, gaps, facts = [], {}, []
        for id in leaf.values:
            facts += named_facts(self._network.node_of_kind(id, (vocabulary.ORGANISATION,)), (BRANCH_OF,))
            whole = self._network.whole(id)
            values.append(id if whole is None else whole.id)
            if whole is None:
                gaps[id] = f"{id}.{BRANCH_OF}"
        return _Wholes(tuple(values), gaps, tuple(facts))

    def _some_test(self, condition: Condition, roots: Roots) -> Evaluator:
        """Compile `some`: whether one element of a list, or one entity, meets all conditions of `having`."""
        resolve, negate = self.compile_path(condition.some, roots), condition.negate
        below = fact_paths.below(condition.some, roots)
        having = [self.compile(each, below) for each in condition.having]

        def evaluate(scope: Scope) -> ConditionResult:
            path = resolve(scope)
            subject, _, flow = scope
            of_nodes: list[list[ConditionResult]] = []
            truths: list[Truth] = []
            for leaf in path.leaves:
                for node in leaf.nodes:
                    at_node = (subject, node, flow)
                    results = [each(at_node) for each in having]
                    of_nodes.append(results)
                    truths.append(conjunction([result.truth for result in results]))
            truth = disjunction([*truths, None] if path.missing else truths)
            if truth:
                of_nodes = [of_nodes[truths.index(True)]]
            elif truth is None:
                of_nodes = [results for results, own in zip(of_nodes, truths, strict=True) if own is None]
            return of_some(path, [each for results in of_nodes for each in results], truth, negate=negate)

        return evaluate

    def _lookup(self, condition: Condition) -> ListLookup | StateLookup:
        """Return the lookup of a condition. Conditions that differ only in the party share one, and its results."""
        if condition.test == vocabulary.CONTROLLED_BY:
            states = replace(condition, fact="", negate=False)
            if states not in self._lookups:
                self._lookups[states] = StateLookup(states, self._network)
            return self._lookups[states]
        key = (condition.list, condition.control_bp, condition.affiliates)
        if key not in self._lookups:
            listed, threshold = self._lists[condition.list], condition.control_bp
            self._lookups[key] = ListLookup(listed, self._network, threshold, affiliates=condition.affiliates)
        return self._lookups[key]

    def _control_test(self, condition: Condition, roots: Roots) -> Evaluator:
        lookup = self._lookup(condition)
        resolve = self.compile_path(condition.fact, roots)
        limits = [
            self.compile_path(path, roots) if path and lookup.limited else None
            for path in (condition.parts, condition.purposes)
        ]
        negate = (condition.test == vocabulary.NONE_LISTED) != condition.negate
        products_of = self._product_names(condition, roots)

        def evaluate(scope: Scope) -> ConditionResult:
            path = resolve(scope)
            products = {} if products_of is None else products_of(scope, path)
            limit_paths = [None if resolve_limit is None else resolve_limit(scope) for resolve_limit in limits]
            parts, purposes = [_limit(each) for each in limit_paths] if lookup.limited else _NO_LIMITS
            if products:
                of_leaves = [(leaf, products.get(owner_of(leaf.path), ())) for leaf in path.leaves]
                matches = [[lookup.match(each, parts, purposes, of) for each in leaf.values] for leaf, of in of_leaves]
            else:
                matches = [[lookup.match(party, parts, purposes) for party in leaf.values] for leaf in path.leaves]
            truths = [disjunction([match.truth for match in of_leaf]) for of_leaf in matches]
            truth = over_leaves(path, truths, any_leaf=True)
            result = of_path(path, truths, truth, negate=negate)
            evidence, missing = list(result.evidence), list(result.missing)
            for limit_path in limit_paths:
                if limit_path is not None:
                    evidence += limit_path.evidence(result.truth)
                    missing += limit_path.missing if truth is None else ()
            decided = [match for of_leaf in matches for match in of_leaf if truth is None or match.truth is truth]
            for match in decided:
                evidence += match.evidence(negation(match.truth) if negate else match.truth)
                missing += match.missing
            result.evidence, result.missing = tuple(evidence), tuple(missing)
            result.chain = tuple([link for match in decided for link in match.chain])
            result.row = "; ".join(dict.fromkeys(match.row for match in decided if match.row))
            return result

        return evaluate

    def _product_names(self, condition: Condition, roots: Roots) -> ProductNames | None:
        """Return how to find the names of the products that a fact names the makers of; None for another fact."""
        whole, _, last = condition.fact.rpartition(".")
        if condition.test not in vocabulary.LISTED:
            return None
        if last == vocabulary.PUBLISHER:
            names = names_in(self._network)
            return lambda scope, path: names.of_apps(path)
        if last == vocabulary.VENDOR:
            resolve = self.compile_path(".".join(filter(None, (whole, vocabulary.MODEL))), roots)
            return lambda scope, path: of_models(resolve(scope))
        return None

    def _attestation_test(self, condition: Condition, roots: Roots) -> Evaluator:
        resolve = self.compile_path(condition.of, roots) if condition.of else None
        topic, negate = condition.topic, condition.negate

        def evaluate(scope: Scope) -> ConditionResult:
            path, subjects = NO_FACTS, [scope[0].entity_id]
            if resolve is not None:
                path = resolve(scope)
                subjects = [subject for leaf in path.leaves for subject in leaf.values]
            found = [(subject, self.attestation(subject, topic, condition.at_least)) for subject in subjects]
            missing = [*path.missing, *(f"{subject}.attested.{topic}" for subject, fact in found if fact is None)]
            # A missing attestation does not show that nobody would attest the topic: never false.
            truth: Truth = None if missing else not negate
            evidence = path.evidence(truth)
            evidence += tuple([fact.evidence(not negate) for _, fact in found if fact is not None])
            return ConditionResult(truth, evidence, tuple(missing), by_attestation=bool(subjects) and not missing)

        return evaluate

    def attestation(self, subject: str, topic: str, at_least: Assurance = Assurance.DECLARED) -> EffectiveFact | None:
        """Return the strongest attestation in force of a topic of a subject; None below the assurance `at_least`."""
        in_force = [
            (each.assurance if each.signed else Assurance.DECLARED, each)
            for each in self._network.network.attested.get(subject, ())
            if topic in each.topics and each.in_force(self._network.at)
        ]
        assurance, best = max(in_force, key=lambda each: each[0], default=(Assurance.DECLARED, None))
        if best is None or assurance < at_least:
            return None
        return EffectiveFact(f"{subject}.attested.{topic}", best.by, (best.by,), best.source, best.as_of, assurance)

    def _sum_test(self, condition: Condition, roots: Roots) -> Evaluator:
        """Compile `sum-at-most`. A flow that may count, or a missing number, leaves the sum open towards more."""
        start, (name,) = fact_paths.split(condition.fact, roots)
        index, limit, negate = _SCOPE_INDEX[start], condition.limit, condition.negate
        # A false label must not take a flow out of a sum.
        among = [self.compile_exemption(each, Roots(vocabulary.FLOW)) for each in condition.among]
        shared = self._shared_parties(condition)

        def evaluate(scope: Scope) -> ConditionResult:
            flow = scope[index]
            if flow is None:
                return ConditionResult(None, missing=(condition.fact,))
            total = Sum()
            total.add(flow.get(name), f"{flow.id}.{name}", surely=True)
            pairs = self._pairs
            others = pairs.of_sender(flow) if shared else [(each, same, False) for each, same in pairs.others(flow)]
            for other, same, same_sender in others:
                meets = [each((other, other, other)) for each in among]
                truths = [each.truth for each in meets]
                gaps: tuple[str, ...] = ()
                if shared is not None and same is not True and same_sender is not False and False not in truths:
                    takes_part, gaps = shared.are_shared(flow, other)
                    same = disjunction([same, conjunction([same_sender, takes_part])])
                counts = conjunction([same, *truths])
                if counts is not False:
                    total.add(other.get(name), f"{other.id}.{name}", surely=bool(counts))
                if counts is None:
                    total.missing += [*gaps, *(gap for each in meets for gap in each.missing)]
            truth: Truth = total.most is not None and total.most <= limit
            if not truth and total.least <= limit:
                truth = None
            truth = negation(truth) if negate else truth
            evidence = tuple([each.evidence(truth) for each in total.counted[: SHOWN_MAX + 1]])
            return ConditionResult(truth, evidence, tuple(dict.fromkeys(total.missing)) if truth is None else ())

        return evaluate

    def _shared_parties(self, condition: Condition) -> SharedParties | None:
        """Return the parties of `through` by whom flows of one sender count together; None without any."""
        roots = Roots(vocabulary.FLOW)
        leaves = [leaf for each in condition.through for leaf in each.leaves()]
        if not leaves:
            return None
        found = [(self.compile_path(leaf.fact, roots), partial(_truth_of, self._lookup(leaf))) for leaf in leaves]
        key = tuple(_without_place(leaf) for leaf in leaves)
        return self._shared.setdefault(key, SharedParties(self._network, found))

    def _deadline_test(self, condition: Condition, roots: Roots) -> Evaluator:
        """Compile `returned-in-time`. The fact is the list of transfers, or a moment of the elements of such a list."""
        negate, deadline = condition.negate, Deadline(condition)
        whole, _, last = condition.fact.rpartition(".")
        path_text = whole if last in MOMENTS else condition.fact
        resolve = self.compile_path(path_text, roots) if path_text else None
        start = _SCOPE_INDEX[fact_paths.split(condition.fact, roots)[0]]

        def evaluate(scope: Scope) -> ConditionResult:
            node = scope[start]
            if resolve is None and node is not None:
                return _returned_in_time(node, deadline, negate=negate)
            path = NO_FACTS if resolve is None else resolve(scope)
            results = [_returned_in_time(node, deadline, negate=negate) for leaf in path.leaves for node in leaf.nodes]
            truth = over_leaves(path, [result.truth for result in results], any_leaf=negate)
            evidence = [fact.evidence(truth) for fact in path.followed]
            evidence += [leaf.evidence(truth) for leaf in path.leaves if not leaf.nodes]
            evidence += [each for result in results for each in result.evidence]
            missing = [*path.missing, *(gap for result in results for gap in result.missing)]
            return ConditionResult(truth, tuple(evidence), tuple(missing) if truth is None else ())

        return evaluate


def _name_one(branches: frozenset[str], facts: Iterable[EffectiveFact]) -> bool:
    return any(not branches.isdisjoint(fact.values) for fact in facts)


def _truth_of(lookup: ListLookup | StateLookup, party: str) -> Truth:
    return lookup.match(party).truth


def start_points(condition: Condition, roots: Roots) -> set[str]:
    """Return the parts of the scope that a condition reads: `subject`, `element`, `flow`."""
    starts = {fact_paths.split(path, roots)[0] for path in condition.paths()}
    of_subject = any(leaf.test == vocabulary.ATTESTED and not leaf.of for leaf in condition.leaves())
    return starts | {"subject"} if of_subject else starts


def _names_a_claim(condition: Condition) -> bool:
    """Return whether a path of a condition has a field that is a claim, so that it may differ where it exempts."""
    parts = (condition, *condition.leaves(), *condition.sums_over())
    return not _CLAIMED.isdisjoint([step for each in parts for path in each.paths() for step in path.split(".")])


def _without_place(condition: Condition) -> Condition:
    """Return the condition without its file and line, so that equal conditions compare equal."""
    any_of, having, among, through = [
        tuple(_without_place(each) for each in part)
        for part in (condition.any_of, condition.having, condition.among, condition.through)
    ]
    return replace(condition, place="", any_of=any_of, having=having, among=among, through=through)


def _cached(evaluate: Evaluator, index: int) -> Evaluator:
    """Cache results at the node, for a condition whose paths all start at the same part of the scope."""

    def cached(scope: Scope) -> ConditionResult:
        node = scope[index]
        if node is None:
            return evaluate(scope)
        result: ConditionResult | None = node.results.get(evaluate)
        if result is None:
            result = node.results[evaluate] = evaluate(scope)
        return result

    return cached


def _self_declared(evaluate: Evaluator) -> Evaluator:
    """Count what a party declares in its own favour as an attestation."""

    def evaluate_declaration(scope: Scope) -> ConditionResult:
        result = evaluate(scope)
        return replace(result, by_attestation=True) if result.truth else result

    return evaluate_declaration


def _any_of(evaluators: list[Evaluator]) -> Evaluator:
    def evaluate(scope: Scope) -> ConditionResult:
        results: list[ConditionResult] = []
        attested: ConditionResult | None = None
        for each in evaluators:
            result = each(scope)
            if result.truth and not result.by_attestation:
                return result
            if result.truth:  # only if no fact that can be checked decides
                attested = attested or result
            results.append(result)
        if attested is not None:
            return attested
        return none_met(results)

    return evaluate


def _limit(path: ResolvedPath | None) -> Limit:
    if path is None:
        return None
    return frozenset(value for leaf in path.leaves for value in leaf.values), not path.missing


def _returned_in_time(node: Node, deadline: Deadline, *, negate: bool) -> ConditionResult:
    """Evaluate whether the data of one element was returned, and deleted abroad, by its deadline."""
    moments = [node.get(name) for name in MOMENTS]
    taken = moments[0]
    truth: Truth = None
    if taken is not None:
        taken_ns = taken.values[0]
        last_ns = deadline.of(taken_ns)
        truth = conjunction([None if each is None else taken_ns <= each.values[0] <= last_ns for each in moments[1:]])
    if negate:
        truth = negation(truth)
    evidence = tuple([moment.evidence(truth) for moment in moments if moment is not None])
    missing = tuple([f"{node.id}.{name}" for name, moment in zip(MOMENTS, moments, strict=True) if moment is None])
    return ConditionResult(truth, evidence, missing if truth is None else ())
