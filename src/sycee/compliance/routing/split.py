"""The network in two blocs: who can still pay whom, and at what cost, under the regime of one, of the other, of both.

Each participant is asked about a payment with itself, at its own gateway: a regime that this touches is that of its
bloc. Then a standard payment from every participant to every other one is routed four times: under no regime, under
each of the two alone, and under both. A regime binds only the payments that it touches. The routes are those that the
search finds; for a single payment, with evidence, ask `routes`.
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

# What a payment is where nobody says otherwise. Where it is kept and worked on follows from its two participants.
PURPOSE: Final = "payment"
CLASSES: Final = ("payment", "personal")
SOURCE: Final = "a standard payment, made up to ask"


class Bloc(Enum):
    """On whose side a participant stands."""

    FIRST = "first"
    SECOND = "second"
    BOTH = "both"  # both regimes touch what it does by itself
    BETWEEN = "between"  # neither does, as far as is known


_BLOCS: Final = {
    (True, False): Bloc.FIRST,
    (False, True): Bloc.SECOND,
    (True, True): Bloc.BOTH,
    (False, False): Bloc.BETWEEN,
}


@dataclass(frozen=True, slots=True)
class Payment:
    """What a standard payment costs on its best route; None where it has none."""

    source: str
    target: str
    free: int | None  # under no regime
    first: int | None
    second: int | None
    together: int | None


@dataclass(frozen=True, slots=True)
class Effect:
    """What a regime does to pairs that can pay without it: so many no longer can, and so many pay more."""

    lost: int
    dearer: int
    extra: int  # what those that pay more pay more in all


@dataclass(frozen=True, slots=True)
class Summary:
    """Payments from one bloc to another, of so many ordered pairs; None is all participants."""

    source: Bloc | None
    target: Bloc | None
    pairs: int
    connected: int  # under no regime
    first: Effect
    second: Effect
    together: Effect


@dataclass(frozen=True)
class Split:
    """The network in two blocs. `payments` are in the order of the participants, by source and target."""

    first: str  # profiles
    second: str
    at: date
    network: str  # digests
    library: str
    blocs: Mapping[str, Bloc]
    payments: Mapping[tuple[str, str], Payment]

    def members(self, bloc: Bloc) -> tuple[str, ...]:
        """The participants of a bloc."""
        return tuple(name for name, of in self.blocs.items() if of is bloc)

    @property
    def summaries(self) -> tuple[Summary, ...]:
        """From each bloc that has members to each."""
        held = [bloc for bloc in Bloc if self.members(bloc)]
        found = [self.summary(source, target) for source in held for target in held]
        return tuple(each for each in found if each.pairs)

    def summary(self, source: Bloc | None = None, target: Bloc | None = None) -> Summary:
        """Of the payments from one bloc to another; without a bloc, of all."""
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
    """The network of a router in the blocs of two of its profiles, each as if it were enforced.

    A profile that touches everybody tells no bloc: `states` says for a profile whose participants are its bloc, by the
    state in which they take part or that of their organisation. `facts` are of the payments, beside those of a standard
    one or in their place. `progress(done, total)` is told of participants. UsageError for a profile that is not in
    effect, or the same one twice.
    """
    if first == second:
        raise UsageError(f"{first} cannot be both blocs", hint="name two profiles")
    router.bits((first, second))
    network = router.judge.network
    participants = [each.id for each in network.of_kind(PARTICIPANT)]
    sides = ((), (first,), (second,), (first, second))
    told = states or {}
    blocs = {}
    for name in participants:
        touched = router.judge.regimes(payment(router, name, name, facts), ())
        held = [
            not _states(router, name).isdisjoint(told[profile]) if profile in told else bool(touched[profile])
            for profile in (first, second)
        ]
        blocs[name] = _BLOCS[held[0], held[1]]
    payments = {}
    for done, source in enumerate(participants):
        for target in participants:
            if target != source:
                costs = router.costs(payment(router, source, target, facts), sides)
                payments[source, target] = Payment(source, target, *costs)
        if progress is not None:
            progress(done + 1, len(participants))
    return Split(first, second, router.judge.at, network.digest, router.judge.library.digest, blocs, payments)


def payment(router: Router, source: str, target: str, facts: Mapping[str, Fact] | None = None) -> Entity:
    """A standard payment between two participants, with further facts or others in place of its own.

    It is about people in both states and arose in the first; each side keeps it and works on it at its own gateway,
    under contracts in both states, and nobody else reads it. What of this is not declared is unknown of the payment.
    """
    entities, at = router.judge.network.entities, router.judge.at
    states = [entities[each].value_on("state", at) for each in (source, target)]
    gateways = [entities[each].value_on("gateway", at) for each in (source, target)]
    made: dict[str, Value] = {
        "from": source,
        "to": target,
        "purpose": PURPOSE,
        "incidental": True,
        "classes": CLASSES,
        "accessors": (),
    }
    if states[0] is not None:
        made["origin"] = states[0]
    if states[0] is not None and states[1] is not None:
        made["subject_states"] = tuple(dict.fromkeys(map(str, states)))
        made["cross_border"] = states[0] != states[1]
        made["legal_bases"] = tuple(
            _element(state=state, basis="contract") for state in dict.fromkeys(map(str, states))
        )
    if gateways[0] is not None and gateways[1] is not None:
        places = tuple(dict.fromkeys(map(str, gateways)))
        made["stored"] = tuple(_element(at=each, reason="business", copy=each != places[0]) for each in places)
        made["processed"] = tuple(_element(at=each) for each in places)
    own = {name: Fact(value, SOURCE, at, synthetic=True) for name, value in made.items()}
    name = f"payment from {source} to {target}"
    return Entity(FLOW, name, name, {**own, **(facts or {})}, synthetic=True)


def _element(**facts: Value) -> Element:
    return Element({name: Fact(value, SOURCE, synthetic=True) for name, value in facts.items()})


def _states(router: Router, participant: str) -> set[str]:
    """Where a participant takes part, and where its organisation is at home, as far as that is declared."""
    entities, at = router.judge.network.entities, router.judge.at
    organisation = entities.get(str(entities[participant].value_on("organisation", at)))
    homes = [each.value_on("state", at) for each in (entities[participant], organisation) if each is not None]
    return {str(home) for home in homes if home is not None}


def _effect(costs: Iterable[tuple[int, int | None]]) -> Effect:
    """Of the costs without a regime and with it."""
    told = list(costs)
    extra = [cost - free for free, cost in told if cost is not None and cost > free]
    return Effect(sum(cost is None for _, cost in told), len(extra), sum(extra))
