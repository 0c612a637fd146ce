"""Effects of places, links and flows on regimes as bit masks, for the search of routes.

The judge is asked once about everything that depends on the network alone: for each place and link, whether it touches
a profile, and the verdict of each rule about elements on a path. Places and links with equal results are of one class,
and a network has few classes. Results that depend on the flow are computed for each flow, by class.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sycee.compliance import fact_paths
from sycee.compliance.canonical import digest
from sycee.compliance.facts import Waiver
from sycee.compliance.judging.effective_facts import Node
from sycee.compliance.judging.judge import Judge
from sycee.compliance.judging.logic import Truth
from sycee.compliance.recent import Recent
from sycee.compliance.routing.path_search import COST, REGIMES_MAX, Graph, Masks, MaskTable, Numbers
from sycee.compliance.verdicts import ON_PATH, Force, Verdict
from sycee.compliance.vocabulary import FACILITY, FLOW, LEVELS
from sycee.core.errors import UsageError

# Results are cached by the facts of a flow that rules about elements read: without a cache, every element would be
# judged again for each flow.
CACHED_MAX: Final = 64

_MET, _LACKS, _FAILS = 0, 1, 2  # codes of verdicts
_TRUTHS: Final = {None: 1, False: 0, True: 2}  # codes of truths

Codes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Classes:
    """The classes of places and links, and the codes of each class for profiles and rules."""

    of_places: Numbers  # [places]
    of_links: Numbers  # [links]
    touches: Codes  # [classes, profiles], of truths
    rules: Codes  # [classes, rules], of verdicts
    no_cost: Codes  # [classes]

    def with_class(self, like: int, rules: Codes) -> _Classes:
        """Add a class that differs from another by its rules."""
        return replace(
            self,
            touches=np.vstack((self.touches, self.touches[like])),
            rules=np.vstack((self.rules, rules)),
            no_cost=np.append(self.no_cost, self.no_cost[like]),
        )


class MaskBuilder:
    """Builds masks for a judge's network on a graph. `profiles` are those in effect; `bits` has the bit of each."""

    def __init__(self, judge: Judge, graph: Graph, waivers: Iterable[Waiver] = ()) -> None:
        library, at = judge.library, judge.at
        forces = {each.id: each.force(at, judge.network.adoptions) for each in library.profiles}
        self.judge, self.graph = judge, graph
        self.profiles = tuple(each for each in library.profiles if forces[each.id] is not Force.NONE)
        if len(self.profiles) > REGIMES_MAX:
            problem = f"{len(self.profiles)} profiles are in effect; routes can consider at most {REGIMES_MAX}"
            raise UsageError(problem, hint="ask for fewer profiles at once")
        self.bits = {profile.id: 1 << index for index, profile in enumerate(self.profiles)}
        self.enforced = sum(bit for name, bit in self.bits.items() if forces[name] is Force.ENFORCED)
        self.rules = judge.path_rules()
        of_flows = (rule for each in self.profiles for rule in each.rules if rule.level == FLOW)
        self.flow_rules = tuple(rule for rule in of_flows if rule.in_force(at))
        self._rule_names = [rule.id for rule in self.rules]
        self._rule_bits = np.array([self.bits[rule.profile] for rule in self.rules], np.uint64)
        self._unknown_fails = np.array([rule.unknown_fails for rule in self.rules], np.bool_)
        self._waivers = _FlowWaivers(each for each in (*judge.network.waivers, *waivers) if each.in_force(at))
        paths = [[path for touch in each.touches for path in touch.paths()] for each in self.profiles]
        fields = [fact_paths.fields_of_flow(each) for each in (*paths, *(rule.paths() for rule in self.rules))]
        self._reads_flow = np.array([bool(names) for names in fields] + [False], np.bool_)
        self._fields_of_flow = tuple(sorted(set().union(*fields)))
        self._names = [*graph.places, *(link.id for link in graph.links)]
        entities = judge.network.entities
        self._kinds = [entities[name].kind if name in entities else FACILITY for name in self._names]
        self._fixed = self._codes(None)
        self._classes: Recent[str, _Classes] = Recent(CACHED_MAX)
        self._tables: Recent[tuple[str, tuple[Truth, ...]], MaskTable] = Recent(CACHED_MAX)

    def of(self, flow: Node) -> tuple[MaskTable, Masks]:
        """Return the masks of places and links for a flow, and those of the flow itself on any path."""
        facts = {name: flow.facts.get(name) for name in self._fields_of_flow}
        key = digest(facts) if facts else ""
        classes = self._classes.get(key, lambda: self._classify(flow if facts else None))
        waived = self._waivers.rules(flow.id)
        covers = tuple([False if rule.id in waived else self.judge.covers_flow(rule, flow) for rule in self.rules])
        own = self._waivers.applied(classes, flow.id, self._names, self._rule_names)
        if own is not classes:
            return self._table(own, covers), self._of_flow(flow)
        return self._tables.get((key, covers), lambda: self._table(classes, covers)), self._of_flow(flow)

    def _table(self, classes: _Classes, covers: tuple[Truth, ...]) -> MaskTable:
        """Return the masks of classes. `covers` has for each rule whether it is about the flow."""
        surely, perhaps = (np.array([each is truth for each in covers], np.bool_) for truth in (True, None))
        stops, fails = classes.rules != _MET, classes.rules == _FAILS
        bits = np.array(list(self.bits.values()), np.uint64)
        masks = [
            _bits(classes.touches == _TRUTHS[True], bits),
            _bits(classes.touches != _TRUTHS[False], bits),
            _bits((fails & surely) | (stops & perhaps & self._unknown_fails), self._rule_bits),
            _bits(stops & (surely | perhaps), self._rule_bits) | classes.no_cost * np.uint64(COST),
        ]
        return MaskTable(classes.of_places, classes.of_links, np.stack(masks, axis=1))

    def _of_flow(self, flow: Node) -> Masks:
        touched = may_touch = COST  # a missing cost counts under every regime
        failed = may_fail = 0
        for name, bit in self.bits.items():
            truth = self.judge.touched_by_flow(name, flow)
            touched |= bit if truth else 0
            may_touch |= bit if truth is not False else 0
        for rule in self.flow_rules:
            code, bit = _code(self.judge.element_verdict(rule, flow)), self.bits[rule.profile]
            failed |= bit if code == _FAILS else 0
            may_fail |= bit if code != _MET else 0
        return Masks(touched, may_touch, failed, may_fail)

    def _classify(self, flow: Node | None) -> _Classes:
        codes = self._fixed if flow is None else np.where(self._reads_flow, self._codes(flow), self._fixed)
        rows, class_of_each = np.unique(codes, axis=0, return_inverse=True)
        numbers = np.asarray(class_of_each, np.int32).reshape(-1)
        places, profiles = len(self.graph.places), len(self.profiles)
        return _Classes(numbers[:places], numbers[places:], rows[:, :profiles], rows[:, profiles:-1], rows[:, -1])

    def _codes(self, flow: Node | None) -> Codes:
        """Return a row for each place and link: codes of profiles, codes of rules, and whether the cost is missing.

        With a flow, only the columns that read it are filled; without one, only the others.
        """
        judge = self.judge
        codes = np.zeros((len(self._names), len(self._reads_flow)), np.uint8)
        for column, reads_flow in enumerate(self._reads_flow[:-1].tolist()):
            if reads_flow != (flow is not None):
                continue
            if column < len(self.profiles):
                profile = self.profiles[column].id
                codes[:, column] = [_TRUTHS[judge.touched_by_element(profile, name, flow)] for name in self._names]
            else:
                rule = self.rules[column - len(self.profiles)]
                codes[:, column] = [
                    _code(judge.element_verdict(rule, name, flow)) if kind in LEVELS[rule.level] else _MET
                    for name, kind in zip(self._names, self._kinds, strict=True)
                ]
        codes[len(self.graph.places) :, -1] = [link.cost is None for link in self.graph.links]
        return codes


class _FlowWaivers:
    """Waivers for flows: of a rule on the whole path, or at one element. Waivers of elements are left to the judge."""

    def __init__(self, waivers: Iterable[Waiver]) -> None:
        self._rules: dict[str, set[str]] = {}
        self._elements: dict[str, list[tuple[str, str]]] = {}
        for each in waivers:
            flow, _, element = each.subject.partition(ON_PATH)
            if element:
                self._elements.setdefault(flow, []).append((element, each.rule))
            else:
                self._rules.setdefault(flow, set()).add(each.rule)

    def rules(self, flow: str) -> frozenset[str]:
        """Return the rules that are waived for a flow on the whole path."""
        return frozenset(self._rules.get(flow, ()))

    def applied(self, classes: _Classes, flow: str, names: Sequence[str], rules: Sequence[str]) -> _Classes:
        """Return the classes for a flow: each element with a waived rule has a separate class."""
        pairs = self._elements.get(flow)
        if not pairs:
            return classes
        numbers = np.concatenate((classes.of_places, classes.of_links))
        for element, rule in pairs:
            if element in names and rule in rules:
                index = names.index(element)
                codes = classes.rules[numbers[index]].copy()
                codes[rules.index(rule)] = _MET
                numbers[index], classes = len(classes.rules), classes.with_class(numbers[index], codes)
        places = len(classes.of_places)
        return replace(classes, of_places=numbers[:places], of_links=numbers[places:])


def _code(verdict: Verdict | None) -> int:
    if verdict is None or not verdict.stops:
        return _MET
    return _LACKS if verdict is Verdict.UNKNOWN else _FAILS


def _bits(true: NDArray[np.bool_], bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return for each row the bits of the columns that are true."""
    combined: NDArray[np.uint64] = np.bitwise_or.reduce(true * bits, axis=1)
    return combined
