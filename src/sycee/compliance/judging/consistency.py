"""Contradictions between declared facts: found over a whole network, before any rule is judged.

A contradiction is no verdict of a regime. While one exists, no report says that a network meets a profile; a payment
whose flow, parties or path it concerns, and a participant that it concerns, are refused as unknown. Each check names
kinds and words of the vocabulary alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Final

from sycee.compliance import territories
from sycee.compliance.facts import Element, Entity, Fact, Network
from sycee.compliance.verdicts import Contradiction
from sycee.compliance.vocabulary import (
    BASIS_POINTS,
    CLAIMS,
    FLOW,
    KINDS,
    ORGANISATION,
    PARTICIPANT,
    PAYMENT,
    READERS,
    Field,
    Type,
)

Check = Callable[[Network, Entity, date], Iterator[Contradiction]]

_SERVICES: Final = ("payment", "payment-processing", "fraud-detection", "support")
_SENT_ABROAD: Final = ("persons_sent_abroad", "sensitive_persons_sent_abroad")
# Legal bases, by their word after the profile, whose transfers counts of persons sent abroad omit.
_NOT_COUNTED: Final = ("contract-with-person", "staff-management", "emergency", "free-trade-zone")


def contradictions(network: Network, at: date) -> tuple[Contradiction, ...]:
    """Return all contradictions in a network on a day, in the order of the declarations."""
    found = [each for entity in network.entities.values() for each in of_entity(network, entity, at)]
    return (*found, *_shared_bics(network, at), *_unknown_states(network, at))


def of_entity(network: Network, entity: Entity, at: date) -> tuple[Contradiction, ...]:
    """Return the contradictions that the facts of one entity show, which need not be in the network."""
    return tuple(each for check in _CHECKS.get(entity.kind, ()) for each in check(network, entity, at))


def _claims(network: Network, flow: Entity, at: date) -> Iterator[Contradiction]:
    """Find claims of a flow that its own facts deny, such as a payment without data of a payment."""
    for claim in CLAIMS:
        value, support = flow.value_on(claim.field, at), flow.value_on(claim.support, at)
        if claim.denied_by and claim.is_made(value) and claim.is_denied(flow.value_on(claim.denied_by, at)):
            facts = (f"{flow.id}.{claim.field}", f"{flow.id}.{claim.denied_by}")
            yield Contradiction(claim.name, flow.id, f"{flow.id} {claim.problem}", facts)
        elif support is not None and claim.is_made(value) and not claim.is_supported(support):
            facts = (f"{flow.id}.{claim.field}", f"{flow.id}.{claim.support}")
            yield Contradiction(claim.name, flow.id, f"{flow.id} {claim.problem}", facts)


def _sales(network: Network, flow: Entity, at: date) -> Iterator[Contradiction]:
    """Find a sale that is labelled as a service, or as incidental to one."""
    if flow.value_on("sold", at) is not True:
        return
    purpose = flow.value_on("purpose", at)
    labels = [f"{flow.id}.purpose"] if purpose in _SERVICES else []
    labels += [f"{flow.id}.incidental"] if flow.value_on("incidental", at) is True else []
    if labels:
        label = f"has the purpose {purpose}" if len(labels) > 1 or labels[0].endswith("purpose") else "is incidental"
        text = f"{flow.id} is sold, and is declared as a service: it {label}"
        yield Contradiction("sale", flow.id, text, (f"{flow.id}.sold", *labels))


def _foreign_legs(network: Network, flow: Entity, at: date) -> Iterator[Contradiction]:
    """Find a payment between participants in two states that is declared as one without a foreign leg."""
    if flow.value_on("purpose", at) != PAYMENT or flow.value_on("cross_border", at) is not False:
        return
    parties = [network.entities.get(str(flow.value_on(end, at))) for end in ("from", "to")]
    states = [None if each is None else each.value_on("state", at) for each in parties]
    if None not in states and states[0] != states[1]:
        text = f"{flow.id} is a payment from {states[0]} to {states[1]}, and is declared as without a foreign leg"
        facts = (f"{flow.id}.cross_border", *(f"{each.id}.state" for each in parties if each is not None))
        yield Contradiction("foreign-leg", flow.id, text, facts)


def _persons_abroad(network: Network, flow: Entity, at: date) -> Iterator[Contradiction]:
    """Find a flow to another state with more persons than its sender counts in all that it sent abroad.

    A flow with a legal basis that the law in force excludes from the count is not compared.
    """
    persons = flow.value_on("persons_12m", at)
    sender, receiver = (network.entities.get(str(flow.value_on(end, at))) for end in ("from", "to"))
    if not isinstance(persons, int) or sender is None or receiver is None:
        return
    states = sender.value_on("state", at), receiver.value_on("state", at)
    bases = {each.rpartition("/")[2] for each in _within(flow, "legal_bases", "basis", at)}
    if None in states or states[0] == states[1] or bases.intersection(_NOT_COUNTED):
        return
    if states[0] != (flow.value_on("origin", at) or states[0]):
        return
    counts = [sender.value_on(name, at) for name in _SENT_ABROAD]
    total = sum(each for each in counts if isinstance(each, int))
    if counts[0] is not None and persons > total:
        text = f"{flow.id} is about {persons:,} persons, and {sender.id} counts {total:,} whose data it sent abroad"
        facts = (f"{flow.id}.persons_12m", *(f"{sender.id}.{name}" for name in _SENT_ABROAD))
        yield Contradiction("persons-abroad", flow.id, text, facts)


def _readers(network: Network, flow: Entity, at: date) -> Iterator[Contradiction]:
    """Find a cloud that others can read, under a flow whose declared readers leave these out."""
    readers = flow.value_on("accessors", at)
    if readers is None:
        return
    named = {*_within(flow, "accessors", "party", at), *_organisations(network, flow, at)}
    kept = {place: verb for verb in ("processed", "stored") for place in _within(flow, verb, "at", at)}
    for place, verb in kept.items():
        cloud = network.entities.get(place)
        if cloud is None:
            continue
        own = {*named, cloud.value_on("operator", at)}
        can_read = {each: name for name in READERS for each in _values(cloud, name, at) if each not in own}
        if can_read:
            text = f"{flow.id} is {verb} at {place}, which {', '.join(map(str, can_read))} can read, and omits them"
            fields = [f"{place}.{name}" for name in dict.fromkeys(can_read.values())]
            yield Contradiction("readers", flow.id, text, (f"{flow.id}.accessors", *fields))


def _shares(network: Network, organisation: Entity, at: date) -> Iterator[Contradiction]:
    """Find holders with more than all shares on the day."""
    shares = [share for each in _elements(organisation, "owners", at) for share in each.values("share_bp")]
    total = sum([*organisation.values("dispersed_bp"), *shares])
    if total > BASIS_POINTS:
        text = f"the holders of {organisation.id} have {total:,} of {BASIS_POINTS:,} basis points"
        yield Contradiction("shares", organisation.id, text, (f"{organisation.id}.owners",))


_CHECKS: Final[Mapping[str, tuple[Check, ...]]] = {
    FLOW: (_claims, _sales, _foreign_legs, _persons_abroad, _readers),
    ORGANISATION: (_shares,),
}


def _shared_bics(network: Network, at: date) -> Iterator[Contradiction]:
    """Find two participants of different organisations with one ISO 9362 code."""
    first: dict[object, Entity] = {}
    for each in network.of_kind(PARTICIPANT):
        bic, organisation = each.value_on("bic", at), each.value_on("organisation", at)
        if bic is None or organisation is None:
            continue
        other = first.setdefault(bic, each)
        if other.value_on("organisation", at) != organisation:
            text = f"{other.id} and {each.id} have the code {bic}, and belong to different organisations"
            yield Contradiction("shared-code", each.id, text, (f"{other.id}.bic", f"{each.id}.bic"))


def _unknown_states(network: Network, at: date) -> Iterator[Contradiction]:
    """Find codes of an unknown state on facts that are not synthetic: such a fact is declared, and says nothing."""
    for entity in network.entities.values():
        for path, code in () if entity.synthetic else _codes(entity, at):
            if code in territories.unknown():
                text = f"{path} is {code}, the code of an unknown state: no regime of a state can be known to apply"
                yield Contradiction("unknown-state", entity.id, text, (path,))


def _codes(entity: Entity, at: date) -> Iterator[tuple[str, str]]:
    return _codes_in(entity.facts, KINDS[entity.kind].fields, entity.id, at)


def _codes_in(facts: Mapping[str, Fact], fields: tuple[Field, ...], path: str, at: date) -> Iterator[tuple[str, str]]:
    for field in fields:
        fact = facts.get(field.name)
        if fact is None or fact.synthetic or (fact.expires is not None and at >= fact.expires):
            continue
        values = fact.value if isinstance(fact.value, tuple) else (fact.value,)
        if field.type in (Type.STATE, Type.STATES):
            yield from ((f"{path}.{field.name}", str(each)) for each in values)
        elif field.type is Type.ELEMENTS:
            for number, each in enumerate(values, 1):
                if isinstance(each, Element) and each.in_force(at):
                    yield from _codes_in(each.facts, field.fields, f"{path}.{field.name}[{number}]", at)


def _elements(entity: Entity, name: str, at: date) -> list[Element]:
    value = entity.value_on(name, at)
    elements = value if isinstance(value, tuple) else ()
    return [each for each in elements if isinstance(each, Element) and each.in_force(at)]


def _values(entity: Entity, name: str, at: date) -> tuple[object, ...]:
    value = entity.value_on(name, at)
    return value if isinstance(value, tuple) else () if value is None else (value,)


def _within(entity: Entity, name: str, field: str, at: date) -> list[str]:
    """Return the values of a field of the elements of a list, in order and once each."""
    values = (str(value) for each in _elements(entity, name, at) for value in each.values(field))
    return list(dict.fromkeys(values))


def _organisations(network: Network, flow: Entity, at: date) -> Iterator[object]:
    for end in ("from", "to"):
        party = network.entities.get(str(flow.value_on(end, at)))
        if party is not None and (organisation := party.value_on("organisation", at)) is not None:
            yield organisation
