"""Compliance under six regimes in seeded networks: flows, and all participants after a list changed."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from string import ascii_uppercase
from time import perf_counter
from typing import Any, Final

import numpy as np

from benchmarks.measure import TOTAL_MS, Benchmark, Goal, Setting, Timing
from sycee.cli import GARBAGE_THRESHOLDS
from sycee.compliance import library, territories
from sycee.compliance.enforcement import admission
from sycee.compliance.facts import Element, Entity, Fact, Network
from sycee.compliance.judging.judge import Judge
from sycee.compliance.profiles import Library, Row
from sycee.compliance.verdicts import Finding, Verdict
from sycee.compliance.vocabulary import CLASSES, PARTS, PURPOSES
from sycee.core.errors import require

AT: Final = date(2026, 11, 25)
SEED: Final = 20_200_908
PROFILES: Final = (
    "clean-network-2020",
    "data-security-initiative-2020",
    "gdpr-transfers",
    "pboc-7-2018",
    "rbi-payment-data-2018",
    "us-28-cfr-202",
)
STATES: Final = 12  # states named in the profiles, and as many unnamed ones
ORGANISATIONS: Final = 1_000
FACILITIES: Final = 300
EDGES: Final = 900
CLOUDS: Final = 100
PARTICIPANTS: Final = 10_000
FLOWS: Final = 15_000  # half a million verdicts; further verdicts repeat the flows with a new judge
EDGES_OF_FLOW: Final = 3
UNDECLARED_SHARE: Final = 0.01
LISTED: Final = 50  # organisations listed under one of their names
LIMIT: Final = "creating as many findings with a sentence each, without judging"


class Synthetic:
    """Network in states that the profiles name and in others, with organisations on their lists."""

    def __init__(self, participants: int, flows: int, regimes: Library) -> None:
        self._random = np.random.default_rng(SEED)
        self._entities: dict[str, Entity] = {}
        values = {value for each in regimes.profiles for known in each.sets.values() for value in known}
        spoken = sorted(values & territories.codes())
        self._states = [
            *self._random.choice(spoken, STATES).tolist(),
            *(f"X{letter}" for letter in ascii_uppercase[:STATES]),  # user-assigned codes
        ]
        self._listed = sorted({row.party for each in regimes.lists.values() for row in each.rows})
        self._organisations()
        self._ends: dict[int, tuple[str, str]] = {}  # ends of spans, by their numbers
        self._places()
        self._gateways: list[str] = []  # gateways of participants, by their numbers
        self._participants(participants)
        self._leading: dict[str, list[int]] = {}  # the spans at each place
        for number, ends in self._ends.items():
            for place in ends:
                self._leading.setdefault(place, []).append(number)
        self._behind: dict[str, list[int]] = {}  # the participants at each gateway
        for number, gateway in enumerate(self._gateways):
            self._behind.setdefault(gateway, []).append(number)
        self.flows = [self._flow(number, participants) for number in range(flows)]
        self.network = Network("synthetic", "made from a seed", AT, self._entities)

    def _add(self, kind: str, name: str, facts: dict[str, Any]) -> str:
        hidden = (self._random.random(len(facts)) < UNDECLARED_SHARE).tolist()
        known = {key: Fact(value) for (key, value), hide in zip(facts.items(), hidden, strict=True) if not hide}
        self._entities[name] = Entity(kind, name, name, known)
        return name

    def _one(self, kind: str, count: int) -> str:
        return f"{kind}-{int(self._random.integers(count))}"

    def _organisation(self) -> str:
        return self._one("organisation", ORGANISATIONS)

    def _word(self, words: tuple[str, ...] | list[str]) -> str:
        return words[int(self._random.integers(len(words)))]

    def _organisations(self) -> None:
        for number in range(ORGANISATIONS):
            owned = number > LISTED and number % 3 == 0
            owners = (_element(owner=self._one("organisation", number), share_bp=6_000),) if owned else ()
            names = (self._word(self._listed),) if number < LISTED else ()
            state = self._word(self._states)
            facts = {"state": state, "headquarters": state, "identifiers": names}
            self._add("organisation", f"organisation-{number}", facts | {"owners": owners, "dispersed_bp": 4_000})

    def _places(self) -> None:
        for number in range(FACILITIES):
            equipment = tuple(_element(vendor=self._organisation(), part=self._word(PARTS)) for _ in range(2))
            facts = {"state": self._word(self._states), "operator": self._organisation(), "equipment": equipment}
            self._add("facility", f"facility-{number}", facts)
        for number in range(EDGES):
            one, other = self._random.choice(FACILITIES, 2, replace=False).tolist()
            self._ends[number] = ends = f"facility-{one}", f"facility-{other}"
            self._add("span", f"span-{number}", {"ends": ends, "operator": self._organisation(), "equipment": ()})
        for number in range(CLOUDS):
            run = {name: self._organisation() for name in ("operator", "operator_of_record", "key_custody")}
            facts = {"state": self._word(self._states), "facility": self._one("facility", FACILITIES)}
            self._add("cloud", f"cloud-{number}", facts | run | {"accessible_to": ()})

    def _participants(self, count: int) -> None:
        for number in range(count):
            state, host = self._word(self._states), self._word(self._states)
            self._gateways.append(self._one("facility", FACILITIES))
            excluded = _element(excludes=self._organisation(), basis="own-decision", evidence=("audit",))
            facts = {
                "organisation": self._organisation(),
                "state": state,
                "gateway": self._gateways[-1],
                "apps": (),
                "operates_in": (state, host),
                "licences": (_element(state=state), _element(state=host)),
                "exclusions": (excluded,) * (number % 2),
                "exit_terms": True,
                "forced_upgrades": False,
                "vulnerability_notice_days": number % 60,
                "storage_required_by": (),
            }
            self._add("participant", f"participant-{number}", facts)

    def _way(self, participants: int) -> tuple[int, tuple[str, ...], int]:
        """Return a participant, connected spans from its gateway, and a participant at the gateway where they end.

        If there is no such participant or no span, the receiver is random and the path is undeclared.
        """
        sender = int(self._random.integers(participants))
        place, via = self._gateways[sender], []
        for _ in range(EDGES_OF_FLOW if place in self._leading else 0):
            number = self._random.choice(self._leading[place]).item()
            one, other = self._ends[number]
            place = other if place == one else one
            via.append(f"span-{number}")
        receivers = self._behind.get(place) or range(participants)
        return sender, tuple(via), receivers[int(self._random.integers(len(receivers)))]

    def _flow(self, number: int, participants: int) -> str:
        state = self._word(self._states)
        sender, via, receiver = self._way(participants)
        facts = {
            "from": f"participant-{sender}",
            "to": f"participant-{receiver}",
            "purpose": self._word(PURPOSES),
            "incidental": True,
            "sold": False,
            "classes": (self._word(CLASSES), self._word(CLASSES)),
            "subject_states": (state,),
            "origin": state,
            "cross_border": True,
            "persons_12m": int(self._random.integers(200_000)),
            "stored": tuple(_element(at=self._one("cloud", CLOUDS), reason="business", copy=False) for _ in range(2)),
            "processed": (_element(at=self._one("cloud", CLOUDS), taken_at=0, returned_at=1, deleted_at=1),),
            "accessors": (_element(party=self._organisation(), state=state, permissions=()),),
            "legal_bases": (_element(state=state, basis="contract"),),
            "via": via,
        }
        return self._add("flow", f"flow-{number}", facts)


def _element(**facts: Any) -> Element:
    return Element({name: Fact(value) for name, value in facts.items()})


@contextmanager
def _as_a_command() -> Iterator[None]:
    """Collect cycles as rarely as every command and the server do: a judge makes many objects and no cycles."""
    before = gc.get_threshold()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def verdicts(setting: Setting) -> Iterator[tuple[Timing, Timing]]:
    """Judge every rule on flows and everything on their paths, with evidence, including the judge's preparation."""
    setting.say("declaring")
    regimes = library.load(PROFILES)
    made = Synthetic(min(PARTICIPANTS, setting.operations), min(FLOWS, setting.operations), regimes)
    first: Counter[Verdict] = Counter()
    for _ in range(setting.repeats):
        setting.say("judging")
        timing, counted = Timing(), Counter[Verdict]()
        told: tuple[Finding, ...] = ()
        while timing.operations < setting.operations:
            start = perf_counter()
            with _as_a_command():
                judge = Judge(made.network, regimes, AT)
                for flow in made.flows:
                    told = judge.flow(flow)
                    timing.operations += len(told)
                    counted.update([each.verdict for each in told])
                    if timing.operations >= setting.operations:
                        break
            timing.total_s += perf_counter() - start
        require(not first or counted == first, "the same flows had other verdicts the second time")
        first = counted
        shares = [f"{100 * count / timing.operations:.0f} % {each.word}" for each, count in sorted(counted.items())]
        timing.note = ", ".join(shares)
        yield timing, _written(told, timing.operations)


def judged_again(setting: Setting) -> Iterator[tuple[Timing, Timing]]:
    """Add a party to a list and judge all participants again, with the outcome for each."""
    setting.say("declaring")
    before = library.load(PROFILES)
    network = Synthetic(setting.operations, 0, before).network
    party = next(str(each.facts["organisation"].value) for each in network.of_kind("participant"))
    name, listed = next(iter(before.lists.items()))
    row = Row(party, (), "listed", (), (), None, None, listed.sources[0].id)
    after = Library(before.profiles, {**before.lists, name: replace(listed, rows=(*listed.rows, row))})
    participants = [each.id for each in network.of_kind("participant")]
    for _ in range(setting.repeats):
        setting.say("judging")
        start = perf_counter()
        judge = Judge(network, after, AT)
        outcomes, found = Counter[str](), 0
        told: tuple[Finding, ...] = ()
        for participant in participants:
            told = admission.findings_of(judge, participant)
            outcomes[admission.outcome_of(told)] += 1
            found += len(told)
        timing = Timing(len(participants), perf_counter() - start)
        require(sum(outcomes.values()) == len(participants), "a participant was left out")
        timing.note = (
            f"{found:,} findings that apply; {', '.join(f'{n:,} {word}' for word, n in sorted(outcomes.items()))}"
        )
        yield timing, _written(told, found)


def _written(like: tuple[Finding, ...], count: int) -> Timing:
    """Create as many findings, each with a sentence."""
    start = perf_counter()
    for number in range(count):
        one = like[number % len(like)]
        Finding(
            one.profile,
            one.version,
            one.rule,
            one.title,
            one.level,
            one.subject,
            one.verdict,
            one.force,
            f"{one.subject} meets {one.rule}",
            one.evidence,
        )
    return Timing(count, perf_counter() - start)


BENCHMARKS: Final = (
    Benchmark(
        "compliance-verdicts",
        "verdicts on flows and their paths under six regimes, with evidence",
        None,
        500_000,
        LIMIT,
        verdicts,
        goal=Goal(100_000),
        quick=500_000,
    ),
    Benchmark(
        "compliance-rejudge",
        "10,000 participants judged again after a list changed",
        None,
        PARTICIPANTS,
        LIMIT,
        judged_again,
        TOTAL_MS,
        goal=Goal(10_000),
        quick=PARTICIPANTS,
    ),
)
