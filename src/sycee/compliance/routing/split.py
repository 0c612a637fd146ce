"""A network in two blocs: which payments are possible, at which cost, under each regime and under both.

For each participant, a payment with itself at its own gateway shows its bloc: the regimes that this payment touches.
Then a standard payment between each two participants is routed four times: under no regime, under each of the two
alone, and under both. A regime binds only the payments that it applies to. Costs are results of the search; for one
payment with evidence, use `routes`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Final

from sycee.compliance.facts import Element, Entity, Fact, Value
from sycee.compliance.routing.routes import Router
from sycee.compliance.vocabulary import FLOW, PARTICIPANT
from sycee.core.errors import UsageError

# Facts of a standard payment. The places where it is stored and processed follow from its participants.
PURPOSE: Final = "payment"
CLASSES: Final = ("payment", "personal")
SOURCE: Final = "a standard payment, assumed for this question"


class Bloc(Enum):
    """The bloc of a participant."""

    FIRST = "first"
    SECOND = "second"
    BOTH = "both"  # both regimes apply to its own payments
    BETWEEN = "between"  # neither does, as far as declared


@dataclass(frozen=True, slots=True)
class Payment:
    """Costs of a standard payment on its best route; None without a route."""

    source: str
    target: str
    free: int | None  # under no regime
    first: int | None
    second: int | None
    together: int | None


@dataclass(frozen=True, slots=True)
class Effect:
    """Effect of a regime on pairs that have a route without it: how many lose it, and how many pay more."""

    lost: int
    dearer: int
    extra: int  # the sum of what these pay more


@dataclass(frozen=True, slots=True)
class Summary:
    """Payments from one bloc to another, as ordered pairs of participants. None stands for all participants."""

    source: Bloc | None
    target: Bloc | None
    pairs: int
    connected: int  # under no regime
    first: Effect
    second: Effect
    together: Effect


@dataclass(frozen=True)
class Split:
    """A network in two blocs. `payments` are by source and target, in the order of the participants."""

    first: str  # profiles
    second: str
    at: date
    network: str  # digests
    library: str
    blocs: Mapping[str, Bloc]
    payments: Mapping[tuple[str, str], Payment]

    def members(self, bloc: Bloc) -> tuple[str, ...]:
        """Return the participants of a bloc."""
        return tuple(name for name, of in self.blocs.items() if of is bloc)

    @property
    def summaries(self) -> tuple[Summary, ...]:
        """The summaries between all blocs with members."""
        blocs = [bloc for bloc in Bloc if self.members(bloc)]
        summaries = [self.summary(source, target) for source in blocs for target in blocs]
        return tuple(each for each in summaries if each.pairs)

    def summary(self, source: Bloc | None = None, target: Bloc | None = None) -> Summary:
        """Return the summary of payments from one bloc to another; without a bloc, from or to all."""
        payments = [
            each
            for each in self.payments.values()
            if source in (None, self.blocs[each.source]) and target in (None, self.blocs[each.target])
        ]
        connected = [(each, each.free) for each in payments if each.free is not None]
        return Summary(
            source,
            target,
            len(payments),
            len(connected),
            _effect((free, each.first) for each, free in connected),
            _effect((free, each.second) for each, free in connected),
            _effect((free, each.together) for each, free in connected),
        )


def split(
    router: Router,
    first: str,
    second: str,
    *,
    states: Mapping[str, Collection[str]] | None = None,
    facts: Mapping[str, Fact] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Split:
    """Split the network of a router into the blocs of two of its profiles, each as if it were enforced.

    A profile that applies to everybody shows no bloc: with `states`, its bloc are the participants in these states, or
    with an organisation there. `facts` replace or complete those of the standard payment. `progress(done, total)` is
    called after each participant. UsageError for a profile that is not in effect, or for twice the same.
    """
    if first == second:
        raise UsageError(f"both blocs have the profile {first}: it was given twice", hint="name two profiles")
    router.bits((first, second))
    network = router.judge.network
    participants = [each.id for each in network.of_kind(PARTICIPANT)]
    sides = ((), (first,), (second,), (first, second))
    blocs = {name: _bloc(router, name, (first, second), states or {}, facts) for name in participants}
    payments = {}
    for done, source in enumerate(participants, 1):
        for target in participants:
            if target != source:
                costs = router.costs(payment(router, source, target, facts), sides)
                payments[source, target] = Payment(source, target, *costs)
        if progress is not None:
            progress(done, len(participants))
    return Split(first, second, router.judge.at, network.digest, router.judge.library.digest, blocs, payments)


def payment(router: Router, source: str, target: str, facts: Mapping[str, Fact] | None = None) -> Entity:
    """Return a standard payment between two participants, with further or replaced facts.

    It is about persons in both states and arose in the first. Each participant stores and processes it at its own
    gateway, under contracts in both states, and nobody else reads it or asks for it. Facts that depend on
    undeclared ones are unknown.
    """
    entities, at = router.judge.network.entities, router.judge.at
    states = [entities[each].value_on("state", at) for each in (source, target)]
    gateways = [entities[each].value_on("gateway", at) for each in (source, target)]
    values: dict[str, Value] = {
        "from": source,
        "to": target,
        "purpose": PURPOSE,
        "incidental": True,
        "classes": CLASSES,
        "accessors": (),
        "requests": (),
    }
    if states[0] is not None:
        values["origin"] = states[0]
    if None not in states:
        distinct = tuple(dict.fromkeys(map(str, states)))
        values["subject_states"] = distinct
        values["cross_border"] = states[0] != states[1]
        values["legal_bases"] = tuple(_element(state=state, basis="contract") for state in distinct)
    if None not in gateways:
        places = tuple(dict.fromkeys(map(str, gateways)))
        values["stored"] = tuple(_element(at=each, reason="business", copy=each != places[0]) for each in places)
        values["processed"] = tuple(_element(at=each) for each in places)
    own = {name: Fact(value, SOURCE, at, synthetic=True) for name, value in values.items()}
    name = f"payment from {source} to {target}"
    return Entity(FLOW, name, name, {**own, **(facts or {})}, synthetic=True)


def _element(**facts: Value) -> Element:
    return Element({name: Fact(value, SOURCE, synthetic=True) for name, value in facts.items()})


def _bloc(
    router: Router,
    participant: str,
    profiles: tuple[str, str],
    states: Mapping[str, Collection[str]],
    facts: Mapping[str, Fact] | None,
) -> Bloc:
    applies = router.judge.regimes(payment(router, participant, participant, facts), ())
    first, second = (
        not _states(router, participant).isdisjoint(states[each]) if each in states else bool(applies[each])
        for each in profiles
    )
    if first and second:
        return Bloc.BOTH
    return Bloc.FIRST if first else Bloc.SECOND if second else Bloc.BETWEEN


def _states(router: Router, participant: str) -> set[str]:
    """Return the declared states of a participant and of its organisation."""
    entities, at = router.judge.network.entities, router.judge.at
    organisation = entities.get(str(entities[participant].value_on("organisation", at)))
    states = [each.value_on("state", at) for each in (entities[participant], organisation) if each is not None]
    return {str(state) for state in states if state is not None}


def _effect(costs: Iterable[tuple[int, int | None]]) -> Effect:
    """Return the effect from costs without and with a regime."""
    pairs = list(costs)
    extra = [cost - free for free, cost in pairs if cost is not None and cost > free]
    return Effect(sum(cost is None for _, cost in pairs), len(extra), sum(extra))
