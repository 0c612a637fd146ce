"""Facts as bits: what every place, every link and a flow by itself do to each regime, for the search of routes.

What only hangs on the network is asked of the judge once: for each place and link, what it touches and what each rule
on the path comes to there. Those of which all that is the same are one class, and a network has few. What hangs on the
flow is asked for each question, and put together for classes only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from sycee.compliance import fact_paths
from sycee.compliance.canonical import digest
from sycee.compliance.facts import Waiver
from sycee.compliance.judging.effective_facts import Node
from sycee.compliance.judging.judge import Judge
from sycee.compliance.judging.logic import Truth
from sycee.compliance.profiles import Profile, Rule
from sycee.compliance.routing.path_search import COST, REGIMES_MAX, Graph, Masks, MaskTable, Numbers
from sycee.compliance.verdicts import ON_PATH, Force, Verdict
from sycee.compliance.vocabulary import FACILITY, FLOW, LEVELS
from sycee.core.errors import UsageError

# What is the same for flows of a kind is kept for so many kinds. It is worth most where rules on the path look at the
# flow itself: then every place is asked again for each kind.
KEPT_MAX: Final = 64

_MET, _LACKS, _FAILS = 0, 1, 2  # what a rule comes to
_CODES: Final = {None: 1, False: 0, True: 2}  # of what touches: not, perhaps, surely

Codes = NDArray[np.uint8]
Key = TypeVar("Key", bound=Hashable)
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class _Table:
    """The classes of places and links, and for each class what it touches and what rules come to, by their codes."""

    of_places: Numbers  # [places]
    of_links: Numbers  # [links]
    touches: Codes  # [classes, profiles]
    rules: Codes  # [classes, rules]
    no_cost: Codes  # [classes]

    def with_class(self, like: int, rules: Codes) -> _Table:
        """With one class more, which differs from another by its rules."""
        return replace(
            self,
            touches=np.vstack((self.touches, self.touches[like])),
            rules=np.vstack((self.rules, rules)),
            no_cost=np.append(self.no_cost, self.no_cost[like]),
        )


class MaskBuilder:
    """A judge's network as marks on a graph. `profiles` are those in effect; each has the bit of its place there."""

    def __init__(self, judge: Judge, graph: Graph, waivers: Iterable[Waiver] = ()) -> None:
        library, at = judge.library, judge.at
        forces = {each.id: each.force(at, judge.network.adoptions) for each in library.profiles}
        self.judge, self.graph = judge, graph
        self.profiles = tuple(each for each in library.profiles if forces[each.id] is not Force.NONE)
        if len(self.profiles) > REGIMES_MAX:
            raise UsageError(
                f"{len(self.profiles)} profiles are in effect, and routes can heed {REGIMES_MAX}",
                hint="ask for fewer profiles at once",
            )
        self.bits = {profile.id: 1 << place for place, profile in enumerate(self.profiles)}
        self.enforced = sum(bit for name, bit in self.bits.items() if forces[name] is Force.ENFORCED)
        self.rules = judge.path_rules()
        self.flow_rules = tuple(rule for each in self.profiles for rule in each.rules if rule.level == FLOW)
        self._rule_names = [rule.id for rule in self.rules]
        self._rule_bits = np.array([self.bits[_profile(rule)] for rule in self.rules], np.uint64)
        self._stern = np.array([rule.when_unknown == "fail" for rule in self.rules], np.bool_)
        self._waived = _Waived(each for each in (*judge.network.waivers, *waivers) if each.in_force(at))
        read = [_fields_of_flow(each) for each in self.profiles] + [_fields_of_flow(each) for each in self.rules]
        self._takes_flow = np.array([bool(names) for names in read] + [False], np.bool_)
        self._read = tuple(sorted(set().union(*read)))
        self._names = [*graph.places, *(link.id for link in graph.links)]
        entities = judge.network.entities
        self._kinds = [entities[name].kind if name in entities else FACILITY for name in self._names]
        self._fixed = self._columns(None)
        self._tables: OrderedDict[str, _Table] = OrderedDict()
        self._marks: OrderedDict[tuple[str, tuple[Truth, ...]], MaskTable] = OrderedDict()

    def of(self, flow: Node) -> tuple[MaskTable, Masks]:
        """The marks of places and links for a flow, and what it does by itself, wherever it goes."""
        key, table = self._table(flow)
        waived = self._waived.rules(flow.id)
        about = tuple([False if rule.id in waived else self.judge.covers_flow(rule, flow) for rule in self.rules])
        own = self._waived.applied(table, flow.id, self._names, self._rule_names)
        if own is not table:
            return self._folded(own, about), self._by_itself(flow)
        marks = _kept(self._marks, (key, about), lambda: self._folded(table, about))
        return marks, self._by_itself(flow)

    def _folded(self, table: _Table, about: tuple[Truth, ...]) -> MaskTable:
        """The marks of a table, where so much is true of what each rule says that the flow must be."""
        surely, perhaps = (np.array([each is truth for each in about], np.bool_) for truth in (True, None))
        stops, fails = table.rules != _MET, table.rules == _FAILS
        bits = np.array(list(self.bits.values()), np.uint64)
        masks = [
            _bits(table.touches == _CODES[True], bits),
            _bits(table.touches != _CODES[False], bits),
            _bits((fails & surely) | (stops & perhaps & self._stern), self._rule_bits),
            _bits(stops & (surely | perhaps), self._rule_bits) | table.no_cost * np.uint64(COST),
        ]
        return MaskTable(table.of_places, table.of_links, np.stack(masks, axis=1))

    def _by_itself(self, flow: Node) -> Masks:
        touched = reached = COST  # a cost that is missing is missed under whatever regime
        failed = dirty = 0
        for name, bit in self.bits.items():
            truth = self.judge.touched_by_flow(name, flow)
            touched |= bit if truth else 0
            reached |= bit if truth is not False else 0
        for rule in self.flow_rules:
            code, bit = _code(self.judge.element_verdict(rule, flow)), self.bits[_profile(rule)]
            failed |= bit if code == _FAILS else 0
            dirty |= bit if code != _MET else 0
        return Masks(touched, reached, failed, dirty)

    def _table(self, flow: Node) -> tuple[str, _Table]:
        """The table for a flow, by what it is kept under."""
        read = {name: flow.facts.get(name) for name in self._read}
        key = digest(read) if read else ""
        return key, _kept(self._tables, key, lambda: self._made(flow if read else None))

    def _made(self, flow: Node | None) -> _Table:
        rows = self._fixed if flow is None else np.where(self._takes_flow, self._columns(flow), self._fixed)
        classes, of_all = np.unique(rows, axis=0, return_inverse=True)
        numbers = np.asarray(of_all, np.int32).reshape(-1)
        places, profiles = len(self.graph.places), len(self.profiles)
        return _Table(
            numbers[:places], numbers[places:], classes[:, :profiles], classes[:, profiles:-1], classes[:, -1]
        )

    def _columns(self, flow: Node | None) -> Codes:
        """A row of codes for each place and link: profiles, rules, cost. With a flow only what takes it is asked."""
        judge = self.judge
        rows = np.zeros((len(self._names), len(self._takes_flow)), np.uint8)
        for column, takes_flow in enumerate(self._takes_flow[:-1].tolist()):
            if takes_flow != (flow is not None):
                continue
            if column < len(self.profiles):
                profile = self.profiles[column].id
                rows[:, column] = [_CODES[judge.touched_by_element(profile, name, flow)] for name in self._names]
            else:
                rule = self.rules[column - len(self.profiles)]
                rows[:, column] = [
                    _code(judge.element_verdict(rule, name, flow)) if kind in LEVELS[rule.level] else _MET
                    for name, kind in zip(self._names, self._kinds, strict=True)
                ]
        rows[len(self.graph.places) :, -1] = [link.cost is None for link in self.graph.links]
        return rows


class _Waived:
    """Waivers for flows: of a rule wherever the flow goes, or at one place. Those for a place alone the judge knows."""

    def __init__(self, waivers: Iterable[Waiver]) -> None:
        self._rules: dict[str, set[str]] = {}
        self._places: dict[str, list[tuple[str, str]]] = {}
        for each in waivers:
            flow, _, place = each.subject.partition(ON_PATH)
            if place:
                self._places.setdefault(flow, []).append((place, each.rule))
            else:
                self._rules.setdefault(flow, set()).add(each.rule)

    def rules(self, flow: str) -> frozenset[str]:
        """Those that a flow is let off everywhere."""
        return frozenset(self._rules.get(flow, ()))

    def applied(self, table: _Table, flow: str, names: Sequence[str], rules: Sequence[str]) -> _Table:
        """The table for a flow: every place at which it is let off a rule becomes a class of its own."""
        pairs = self._places.get(flow)
        if not pairs:
            return table
        of_all = np.concatenate((table.of_places, table.of_links))
        for place, rule in pairs:
            if place in names and rule in rules:
                at = names.index(place)
                row = table.rules[of_all[at]].copy()
                row[rules.index(rule)] = _MET
                of_all[at], table = len(table.rules), table.with_class(of_all[at], row)
        places = len(table.of_places)
        return replace(table, of_places=of_all[:places], of_links=of_all[places:])


def _kept(kept: OrderedDict[Key, Made], key: Key, make: Callable[[], Made]) -> Made:
    """What is kept under a key, made if it is not; what was not asked for longest is dropped."""
    if key not in kept:
        kept[key] = make()
        if len(kept) > KEPT_MAX:
            kept.popitem(last=False)
    kept.move_to_end(key)
    return kept[key]


def _code(verdict: Verdict | None) -> int:
    if verdict is None or not verdict.stops:
        return _MET
    return _LACKS if verdict is Verdict.UNKNOWN else _FAILS


def _profile(rule: Rule) -> str:
    return rule.id.partition("/")[0]


def _bits(true: NDArray[np.bool_], bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The bits of the columns that are true, for each row."""
    folded: NDArray[np.uint64] = np.bitwise_or.reduce(true * bits, axis=1)
    return folded


def _fields_of_flow(source: Profile | Rule) -> set[str]:
    """Return the fields of the flow that a profile's touches, or a rule, read at elements on its path."""
    if isinstance(source, Profile):
        paths = [path for touch in source.touches for path in touch.paths()]
    else:
        paths = list(source.paths())
    starts = [fact_paths.split(path, roots) for path, roots in paths]
    return {steps[0] for start, steps in starts if start == "flow"}
