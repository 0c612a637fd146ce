"""Contradictions between declared facts: found over a whole network, before any rule is judged.

A contradiction is no verdict of a regime. While one exists, no report says that a network meets a profile; a payment
whose flow, parties or path it concerns, and a participant that it concerns, are refused as unknown. Each check names
kinds and words of the vocabulary alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date
from typing import Final

from sycee.compliance import territories
from sycee.compliance.facts import Element, Entity, Fact
from sycee.compliance.judging.deadlines import start_ns
from sycee.compliance.judging.effective_facts import EffectiveNetwork
from sycee.compliance.verdicts import Contradiction
from sycee.compliance.vocabulary import (
    ACCESSORS,
    BASIS_POINTS,
    CLAIMS,
    CLOUD,
    FLOW,
    IMPERSONAL,
    KINDS,
    OF_SOMEBODY,
    ORGANISATION,
    PARTICIPANT,
    PAYMENT,
    Field,
    Type,
)

Check = Callable[[EffectiveNetwork, Entity], Iterator[Contradiction]]

_SERVICES: Final = ("payment", "payment-processing", "fraud-detection", "support")
_SENT_ABROAD: Final = ("persons_sent_abroad", "sensitive_persons_sent_abroad")
_REACHED: Final = (("to", "state"), ("stored", "at", "state"), ("processed", "at", "state"), (ACCESSORS, "state"))
# Legal bases, by their word after the profile, whose transfers counts of persons sent abroad omit.
_NOT_COUNTED: Final = ("contract-with-person", "staff-management", "emergency", "free-trade-zone")


def contradictions(network: EffectiveNetwork) -> tuple[Contradiction, ...]:
    """Return all contradictions in a network on its day, in the order of the declarations."""
    found = [each for entity in network.network.entities.values() for each in of_entity(network, entity)]
    return (*found, *_shared_bics(network), *_unknown_states(network))


def of_entity(network: EffectiveNetwork, entity: Entity) -> tuple[Contradiction, ...]:
    """Return the contradictions that the facts of one entity show, which need not be in the network."""
    return tuple(each for check in _CHECKS.get(entity.kind, ()) for each in check(network, entity))


def _claims(network: EffectiveNetwork, flow: Entity) -> Iterator[Contradiction]:
    """Find claims of a flow that its own facts deny, such as a payment without data of a payment."""
    for claim in CLAIMS:
        value, support = flow.value_on(claim.field, network.at), flow.value_on(claim.support, network.at)
        if claim.denied_by and claim.is_made(value) and claim.is_denied(flow.value_on(claim.denied_by, network.at)):
            facts = (f"{flow.id}.{claim.field}", f"{flow.id}.{claim.denied_by}")
            yield Contradiction(claim.name, flow.id, f"{flow.id} {claim.problem}", facts)
        elif support is not None and claim.is_made(value) and not claim.is_supported(support):
            facts = (f"{flow.id}.{claim.field}", f"{flow.id}.{claim.support}")
            yield Contradiction(claim.name, flow.id, f"{flow.id} {claim.problem}", facts)


def _impersonal(network: EffectiveNetwork, flow: Entity) -> Iterator[Contradiction]:
    """Find a flow about persons that declares only classes of data that relates to no person, or no class."""
    classes, persons = flow.value_on("classes", network.at), flow.value_on("persons_12m", network.at)
    if not isinstance(classes, tuple) or not set(classes).issubset(IMPERSONAL):
        return
    facts = [f"{flow.id}.subject_states"] if flow.value_on("subject_states", network.at) else []
    facts += [f"{flow.id}.persons_12m"] if isinstance(persons, int) and persons > 0 else []
    if facts:
        text = f"{flow.id} is about persons, and none of its classes is data about persons"
        yield Contradiction("impersonal", flow.id, text, (f"{flow.id}.classes", *facts))


def _sales(network: EffectiveNetwork, flow: Entity) -> Iterator[Contradiction]:
    """Find a sale that is labelled as a service, or as incidental to one."""
    if flow.value_on("sold", network.at) is not True:
        return
    purpose = flow.value_on("purpose", network.at)
    labels = [f"{flow.id}.purpose"] if purpose in _SERVICES else []
    labels += [f"{flow.id}.incidental"] if flow.value_on("incidental", network.at) is True else []
    if labels:
        label = f"has the purpose {purpose}" if len(labels) > 1 or labels[0].endswith("purpose") else "is incidental"
        text = f"{flow.id} is sold, and is declared as a service: it {label}"
        yield Contradiction("sale", flow.id, text, (f"{flow.id}.sold", *labels))


def _foreign_legs(network: EffectiveNetwork, flow: Entity) -> Iterator[Contradiction]:
    """Find a payment between participants in two states that is declared as one without a foreign leg."""
    if flow.value_on("purpose", network.at) != PAYMENT or flow.value_on("cross_border", network.at) is not False:
        return
    parties = [network.network.entities.get(str(flow.value_on(end, network.at))) for end in ("from", "to")]
    states = [None if each is None else each.value_on("state", network.at) for each in parties]
    if None not in states and states[0] != states[1]:
        text = f"{flow.id} is a payment from {states[0]} to {states[1]}, and is declared as without a foreign leg"
        facts = (f"{flow.id}.cross_border", *(f"{each.id}.state" for each in parties if each is not None))
        yield Contradiction("foreign-leg", flow.id, text, facts)


def _zero_persons(network: EffectiveNetwork, flow: Entity) -> Iterator[Contradiction]:
    """Find a count of no persons, of a flow or of its parties, although the flow is about persons."""
    classes = flow.value_on("classes", network.at)
    personal = set(classes if isinstance(classes, tuple) else ()).intersection(OF_SOMEBODY)
    facts = [f"{flow.id}.classes"] if personal else []
    facts += [f"{flow.id}.subject_states"] if flow.value_on("subject_states", network.at) else []
    if facts and flow.value_on("persons_12m", network.at) == 0:
        text = f"{flow.id} is about persons, and declares 0 persons in twelve months"
        yield Contradiction("zero-persons", flow.id, text, (f"{flow.id}.persons_12m", *facts))
    if not personal:
        return
    for end in ("from", "to"):
        party = network.network.entities.get(str(flow.value_on(end, network.at)))
        if party is not None and party.value_on("persons_handled", network.at) == 0:
            text = f"{flow.id} is about persons, and {party.id} declares that it handles data of 0 persons"
            paths = (f"{party.id}.persons_handled", f"{flow.id}.classes")
            yield Contradiction("zero-persons", flow.id, text, paths)
    sender, abroad = _sent_abroad(network, flow)
    if sender is None or not abroad:
        return
    of_any, of_sensitive = [sender.value_on(name, network.at) for name in _SENT_ABROAD]
    zero = _SENT_ABROAD[1] if "sensitive-personal" in personal and of_sensitive == 0 else ""
    zero = _SENT_ABROAD[0] if not zero and of_any == 0 and not of_sensitive else zero
    if zero:
        text = f"{flow.id} is about persons and goes abroad by {abroad[0]}, and {sender.id} declares {zero} 0"
        yield Contradiction("zero-persons", flow.id, text, (f"{sender.id}.{zero}", f"{flow.id}.classes", *abroad))


def _persons_abroad(network: EffectiveNetwork, flow: Entity) -> Iterator[Contradiction]:
    """Find a flow to another state with more persons than its sender counts in all that it sent abroad."""
    persons = flow.value_on("persons_12m", network.at)
    sender, abroad = _sent_abroad(network, flow)
    if not isinstance(persons, int) or sender is None or not abroad:
        return
    counts = [sender.value_on(name, network.at) for name in _SENT_ABROAD]
    total = sum(each for each in counts if isinstance(each, int))
    if counts[0] is not None and persons > total:
        text = (
            f"{flow.id} is about {persons:,} persons and goes abroad by {abroad[0]}, "
            f"and {sender.id} counts {total:,} whose data it sent abroad"
        )
        facts = (f"{flow.id}.persons_12m", *(f"{sender.id}.{name}" for name in _SENT_ABROAD), *abroad)
        yield Contradiction("persons-abroad", flow.id, text, facts)


def _sent_abroad(network: EffectiveNetwork, flow: Entity) -> tuple[Entity | None, list[str]]:
    """Return the sender of a flow, and the facts that show that its data goes abroad, if counts include the flow.

    A flow goes to the states of its receiver, and to those in which its data is stored, processed or read. The law in
    force excludes data from abroad and some legal bases from the count.
    """
    sender = network.network.entities.get(str(flow.value_on("from", network.at)))
    home = None if sender is None else sender.value_on("state", network.at)
    bases = {each.rpartition("/")[2] for each in _within(flow, "legal_bases", "basis", network.at)}
    if home is None or bases.intersection(_NOT_COUNTED) or home != (flow.value_on("origin", network.at) or home):
        return sender, []
    node = network.uncached_node(flow)
    reached = (fact for path in _REACHED for fact in node.resolve(path).leaves)
    return sender, list(dict.fromkeys(fact.path for fact in reached if any(value != home for value in fact.values)))


def _deleted(network: EffectiveNetwork, flow: Entity) -> Iterator[Contradiction]:
    """Find a place at which data is stored, and from which it was deleted before the day."""
    stored = flow.value_on("stored", network.at)
    for number, each in enumerate(stored if isinstance(stored, tuple) else (), 1):
        if not isinstance(each, Element) or not each.in_force(network.at):
            continue
        deleted = each.facts.get("deleted_at")
        if deleted is not None and isinstance(deleted.value, int) and deleted.value < start_ns(network.at, UTC):
            text = f"{flow.id} is stored at {', '.join(map(str, each.values('at')))}, and was deleted there before"
            fields = [f"{flow.id}.stored[{number}].{name}" for name in ("at", "deleted_at")]
            yield Contradiction("deleted", flow.id, text, tuple(fields))


def _readers(network: EffectiveNetwork, flow: Entity) -> Iterator[Contradiction]:
    """Find a cloud that others can read, under a flow whose declared readers leave these out."""
    if flow.value_on(ACCESSORS, network.at) is None:
        return
    for verb, place, readers in network.uncached_node(flow).unnamed_readers():
        text = f"{flow.id} is {verb} at {place.id}, which {', '.join(map(str, readers))} can read, and omits them"
        fields = [f"{place.id}.{name}" for name in dict.fromkeys(readers.values())]
        yield Contradiction("readers", flow.id, text, (f"{flow.id}.{ACCESSORS}", *fields))


def _shares(network: EffectiveNetwork, organisation: Entity) -> Iterator[Contradiction]:
    """Find holders with more than all shares on the day."""
    shares = [share for each in _elements(organisation, "owners", network.at) for share in each.values("share_bp")]
    total = sum([*organisation.values("dispersed_bp"), *shares])
    if total > BASIS_POINTS:
        text = f"the holders of {organisation.id} have {total:,} of {BASIS_POINTS:,} basis points"
        yield Contradiction("shares", organisation.id, text, (f"{organisation.id}.owners",))


def _places(network: EffectiveNetwork, cloud: Entity) -> Iterator[Contradiction]:
    """Find a cloud in one state whose machines are at a place in another."""
    place = network.network.entities.get(str(cloud.value_on("facility", network.at)))
    states = [None if each is None else each.value_on("state", network.at) for each in (cloud, place)]
    if place is not None and None not in states and states[0] != states[1]:
        text = f"{cloud.id} is in {states[0]}, and its place {place.id} is in {states[1]}"
        yield Contradiction("cloud-place", cloud.id, text, (f"{cloud.id}.state", f"{place.id}.state"))


_CHECKS: Final[Mapping[str, tuple[Check, ...]]] = {
    FLOW: (_claims, _impersonal, _sales, _foreign_legs, _zero_persons, _persons_abroad, _deleted, _readers),
    ORGANISATION: (_shares,),
    CLOUD: (_places,),
}


def _shared_bics(network: EffectiveNetwork) -> Iterator[Contradiction]:
    """Find two participants of different organisations with one ISO 9362 code."""
    first: dict[object, Entity] = {}
    for each in network.network.of_kind(PARTICIPANT):
        bic, organisation = each.value_on("bic", network.at), each.value_on("organisation", network.at)
        if bic is None or organisation is None:
            continue
        other = first.setdefault(bic, each)
        if other.value_on("organisation", network.at) != organisation:
            text = f"{other.id} and {each.id} have the code {bic}, and belong to different organisations"
            yield Contradiction("shared-code", each.id, text, (f"{other.id}.bic", f"{each.id}.bic"))


def _unknown_states(network: EffectiveNetwork) -> Iterator[Contradiction]:
    """Find codes of an unknown state on facts that are not synthetic: such a fact is declared, and says nothing."""
    for entity in network.network.entities.values():
        for path, code in () if entity.synthetic else _codes(entity, network.at):
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


def _within(entity: Entity, name: str, field: str, at: date) -> list[str]:
    """Return the values of a field of the elements of a list, in order and once each."""
    values = (str(value) for each in _elements(entity, name, at) for value in each.values(field))
    return list(dict.fromkeys(values))
