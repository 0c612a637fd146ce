"""Routes under six regimes in seeded networks: duration of one question, everything included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from time import perf_counter
from typing import Any, Final

import numpy as np

from benchmarks.measure import Benchmark, Goal, Setting, Timing, Unit
from sycee.compliance.facts import Element, Entity, Fact, Network
from sycee.compliance.profiles import Condition, Library, List, Profile, Row, Rule, Source, Touch, build_library
from sycee.compliance.routing.routes import Route, Router
from sycee.core.errors import require

AT: Final = date(2026, 11, 25)
SEED: Final = 20_200_805
STATES: Final = tuple(f"{letter}{letter}" for letter in "ABCDEFGHIJKL")
REGIMES: Final = 6
ORGANISATIONS: Final = 240
PARTICIPANTS: Final = 60
NEAR: Final = 8  # most links connect one of the nearest places, like cables
FAR_SHARE: Final = 0.1
LISTED_SHARE: Final = 0.03  # of the organisations, by each regime
UNDECLARED_SHARE: Final = 0.005  # of the facts used by rules on the path
COST_MAX: Final = 100
LIMIT: Final = "the cheapest path by cost alone, without regimes and verdicts"
MEDIAN_MS: Final = Unit("ms", more_is_better=False, of=lambda timing: 1000 * float(np.median(timing.batches_s)))


class Synthetic:
    """Network of places in a plane divided into states, and six regimes that bind two states each."""

    def __init__(self, places: int, links: int, seed: int = SEED) -> None:
        self._random = np.random.default_rng(seed)
        self._points = self._random.random((places, 2))
        self._entities: dict[str, Entity] = {}
        self._state_of = [STATES[int(x * 4) * 3 + int(y * 3)] for x, y in self._points]
        self._organisations()
        self._facilities()
        self._links(links)
        self._participants()
        self.network = Network("synthetic", "made from a seed", AT, self._entities)
        self.library = self._library()

    def flows(self, count: int) -> list[Entity]:
        flows = []
        for number in range(count):
            one, other = self._random.choice(PARTICIPANTS, 2, replace=False).tolist()
            flows.append(
                _entity(
                    "flow",
                    f"flow-{number}",
                    {"from": f"participant-{one}", "to": f"participant-{other}", "purpose": "payment"}
                    | {"classes": ("payment", "personal"), "subject_states": (), "stored": (), "accessors": ()},
                )
            )
        return flows

    def _add(self, kind: str, name: str, facts: dict[str, Any]) -> None:
        hidden = self._random.random(len(facts)) < UNDECLARED_SHARE
        kept = {
            key: value
            for (key, value), hide in zip(facts.items(), hidden.tolist(), strict=True)
            if not hide or key in ("ends", "cost", "gateway", "state")
        }
        self._entities[name] = _entity(kind, name, kept)

    def _organisations(self) -> None:
        for number in range(ORGANISATIONS):
            owners: tuple[Element, ...] = ()
            if number and number % 3 == 0:
                owner = f"organisation-{int(self._random.integers(number))}"
                owners = (Element({"owner": Fact(owner), "share_bp": Fact(6_000)}),)
            facts = {"identifiers": (), "owners": owners, "dispersed_bp": 4_000 if owners else 10_000}
            self._entities[f"organisation-{number}"] = _entity("organisation", f"organisation-{number}", facts)

    def _organisation(self) -> str:
        return f"organisation-{int(self._random.integers(ORGANISATIONS))}"

    def _equipment(self) -> tuple[Element, ...]:
        parts = ("transmission", "control")
        return tuple(Element({"vendor": Fact(self._organisation()), "part": Fact(part)}) for part in parts)

    def _facilities(self) -> None:
        for number, state in enumerate(self._state_of):
            facts = {"state": state, "operator": self._organisation(), "equipment": self._equipment()}
            self._add("facility", f"place-{number}", facts)

    def _links(self, count: int) -> None:
        found: set[tuple[int, int]] = set()
        while len(found) < count:
            one = int(self._random.integers(len(self._points)))
            near = np.argsort(((self._points - self._points[one]) ** 2).sum(axis=1))
            within = len(near) if self._random.random() < FAR_SHARE else NEAR
            other = int(near[1 + int(self._random.integers(within - 1))])
            found.add((min(one, other), max(one, other)))
        for number, (one, other) in enumerate(sorted(found)):
            facts: dict[str, Any] = {"ends": (f"place-{one}", f"place-{other}"), "operator": self._organisation()}
            facts["cost"] = int(self._random.integers(1, COST_MAX))
            if number % 4:
                self._add("span", f"span-{number}", facts | {"equipment": self._equipment()})
            else:
                facts |= {"supplier": self._organisation(), "owners": (self._organisation(), self._organisation())}
                self._add("segment", f"segment-{number}", facts)

    def _participants(self) -> None:
        for number in range(PARTICIPANTS):
            place = int(self._random.integers(len(self._points)))
            facts = {"state": self._state_of[place], "gateway": f"place-{place}", "exclusions": ()}
            self._entities[f"participant-{number}"] = _entity("participant", f"participant-{number}", facts)

    def _library(self) -> Library:
        profiles, lists = [], []
        for number in range(REGIMES):
            home = frozenset(STATES[2 * number : 2 * number + 2])
            listed = np.flatnonzero(self._random.random(ORGANISATIONS) < LISTED_SHARE).tolist()
            rows = tuple(Row(f"organisation-{each}", (), "listed", (), (), None, None, "text") for each in listed)
            lists.append(List(f"list-{number}", "", "", AT, None, True, (_SOURCE,), rows))
            profiles.append(_profile(f"regime-{number}", home, f"list-{number}"))
        return build_library(profiles, lists)


_SOURCE: Final = Source("text", "made up", "nobody", AT, True)


def _entity(kind: str, name: str, facts: dict[str, Any]) -> Entity:
    return Entity(kind, name, name, {key: Fact(value) for key, value in facts.items()}, synthetic=True)


def _profile(name: str, home: frozenset[str], listed: str) -> Profile:
    def rule(id: str, level: str, require: Condition, **more: Any) -> Rule:
        given: dict[str, Any] = {"addressee": "company", "kind": "checked", "source": "text", "clause": ""}
        return Rule(f"{name}/{id}", id, level, remedy="take another", require=(require,), **given, **more)

    def at_home(fact: str) -> Condition:
        return Condition(fact=fact, test="any-in", values=home)

    def unlisted(fact: str) -> Condition:
        return Condition(fact=fact, test="none-listed", list=listed)

    payment = (Condition(fact="purpose", test="any-in", values=frozenset({"payment"})),)
    return Profile(
        id=name,
        version=1,
        title=name,
        status="law",
        issuer="nobody",
        effective_from=date(2000, 1, 1),
        effective_until=None,
        reviewed=AT,
        summary="made up",
        limits="made up",
        sources=(_SOURCE,),
        sets={},
        adoptions=(),
        touches=(
            Touch("flow", at_home("from.state")),
            Touch("flow", at_home("to.state")),
            Touch("facility", at_home("state")),
        ),
        rules=(
            rule("operator", "facility", unlisted("operator"), flow=payment),
            rule("equipment", "facility", unlisted("vendor"), each="equipment"),
            rule("carrier", "edge", unlisted("operator"), flow=payment),
            rule("line", "span", unlisted("vendor"), each="equipment"),
            rule("cable", "segment", unlisted("supplier")),
            rule("cable-owners", "segment", unlisted("owners")),
            rule("stored", "flow", Condition(fact="at.state", test="all-in", values=home), each="stored"),
            rule("read", "flow", Condition(fact="permission", test="declared"), each="accessors"),
            rule("evidence", "participant", Condition(fact="evidence", test="declared"), each="exclusions"),
        ),
    )


def routes(places: int, links: int) -> Callable[[Setting], Iterator[tuple[Timing, ...]]]:
    """Find a route for as many different flows as there are operations."""

    def measure(setting: Setting) -> Iterator[tuple[Timing, ...]]:
        made = Synthetic(places, links)
        flows = made.flows(setting.operations)
        for _ in range(setting.repeats):
            setting.say("preparing the network")
            start = perf_counter()
            router = Router(made.network, made.library, AT)
            router.best(flows[0])
            ready_s = perf_counter() - start
            timing, free = Timing(len(flows)), Timing(len(flows), name="no regime")
            found = 0
            for flow in flows:
                start = perf_counter()
                answer = router.best(flow)
                timing.batches_s.append(perf_counter() - start)
                found += isinstance(answer, Route)
                require(answer.places, f"{flow.id} has no gateway")
            for flow in flows:
                start = perf_counter()
                router.costs(flow, [()])
                free.batches_s.append(perf_counter() - start)
            timing.total_s, free.total_s = sum(timing.batches_s), sum(free.batches_s)
            timing.note = (
                f"preparation once per network: {ready_s:.1f} s; {found:,} of {len(flows):,} flows have a route,"
                " the others a nearest miss"
            )
            yield timing, free

    return measure


def _row(work: str, places: int, links: int, at_most_ms: float) -> Benchmark:
    description = f"one route among {places:,} places and {links:,} links under {REGIMES} regimes, judged again"
    return Benchmark(work, description, None, 300, LIMIT, routes(places, links), MEDIAN_MS, Goal(at_most_ms), quick=300)


BENCHMARKS: Final = (_row("compliance-routes-200", 200, 800, 2), _row("compliance-routes-2000", 2_000, 8_000, 30))
