"""Claims of flows that their other facts do not support, for the plain judge."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from tests.compliance.naive_logic import Truth

from sycee.compliance.fact_paths import Roots
from sycee.compliance.facts import Element, Entity, Network
from sycee.compliance.profiles import Condition
from sycee.compliance.vocabulary import EXCLUDED

if TYPE_CHECKING:
    from tests.compliance.naive import Naive


def exempts(judge: Naive, condition: Condition, roots: Roots, frame: dict[str, Entity | Element | str | None]) -> Truth:
    """Return the truth of a condition that takes a flow out of a rule or a sum."""
    outer, judge.exempting = judge.exempting, True
    try:
        return judge.condition(condition, roots, frame)
    finally:
        judge.exempting = outer


def is_denied(entity: Entity, name: str, at: date, *, exempting: bool) -> bool:
    """Return whether a claim of a flow counts as unknown, because its declared classes do not support it."""
    value, classes = entity.value_on(name, at), entity.value_on("classes", at)
    of = set(classes) if isinstance(classes, tuple) else set()
    if exempting and entity.kind == "flow" and name == "purpose" and value in ("payment", "payment-processing"):
        return classes is None or not of & {"payment", "financial", "account"}
    if name == "subject_states" and value == ():
        persons = entity.value_on("persons_12m", at)
        about = {"personal", "sensitive-personal", "identifiers", "health", "biometric", "genetic", "geolocation"}
        return classes is None or bool(of & about) or persons != 0
    return False


def names_every_reader(network: Network, flow: Entity, at: date) -> bool:
    """Return whether everybody who can read where a flow is kept is a party, an accessor or the operator there."""

    def inside(name: str, field: str) -> list[str]:
        value = flow.value_on(name, at)
        tables = value if isinstance(value, tuple) else ()
        facts = [each.facts.get(field) for each in tables if isinstance(each, Element) and each.in_force(at)]
        return [str(each.value) for each in facts if each is not None and (each.expires is None or at < each.expires)]

    def of(id: object, name: str) -> tuple[object, ...]:
        entity = network.entities.get(str(id))
        value = None if entity is None else entity.value_on(name, at)
        return value if isinstance(value, tuple) else () if value is None else (value,)

    for name in ("stored", "processed"):
        tables = flow.value_on(name, at)
        if not isinstance(tables, tuple) or len(inside(name, "at")) < len(
            [each for each in tables if isinstance(each, Element) and each.in_force(at)]
        ):
            return False
    named = {*inside("accessors", "party")}
    for end in ("from", "to"):
        named |= {str(each) for each in of(flow.value_on(end, at), "organisation")}
    for place in inside("stored", "at") + inside("processed", "at"):
        entity = network.entities.get(place)
        if entity is None or entity.kind not in ("cloud", "facility"):
            return False
        if entity.kind == "cloud" and None in [entity.value_on(each, at) for each in ("accessible_to", "key_custody")]:
            return False
        if {*of(place, "accessible_to"), *of(place, "key_custody")} - named - {*of(place, "operator")}:
            return False
    return True


def names_every_request(network: Network, flow: Entity, at: date) -> bool:
    """Return whether a flow for law enforcement, or to a court or the police, names the request that it answers."""
    value = flow.value_on("requests", at)
    tables = [each for each in value if isinstance(each, Element) and each.in_force(at)] if type(value) is tuple else []

    def inside(table: Element, name: str) -> object:
        fact = table.facts.get(name)
        return None if fact is None or (fact.expires is not None and at >= fact.expires) else fact.value

    named = {(inside(each, "body"), inside(each, "state")) for each in tables}
    receiver = network.entities.get(str(flow.value_on("to", at)))
    firm = None if receiver is None else network.entities.get(str(receiver.value_on("organisation", at)))
    found, known = ([], False) if firm is None else authorities(network, firm, at)
    if flow.value_on("purpose", at) in ("law-enforcement", None) and not tables:
        return False
    bodies = [each for each in found if each in ("judicial", "law-enforcement")]
    whole = firm if firm is None else network.entities.get(str(firm.value_on("branch_of", at)), firm)
    state = None if whole is None else whole.value_on("state", at)
    return known and all(state is not None and (each, state) in named for each in bodies)


def authorities(network: Network, firm: Entity, at: date) -> tuple[list[object], bool]:
    """Return the kinds of authority of an organisation, also by the whole of a branch; and whether all are known."""
    own = firm.value_on("authority", at)
    found: list[object] = [] if own is None else [own]
    if "branch_of" not in firm.facts:
        return found, own is not None and not firm.facts.keys().isdisjoint(("person", *EXCLUDED["branch_of"]))
    whole = network.entities.get(str(firm.value_on("branch_of", at)))
    if firm.value_on("branch_of", at) is None or (whole is not None and "branch_of" in whole.facts):
        return [], False
    above = None if whole is None or whole.kind != "organisation" else whole.value_on("authority", at)
    return found if above is None else [*found, above], above is not None


def names_all(network: Network, entity: Entity, field: str, at: date) -> bool:
    """Return whether a list of a flow names everybody and everything that other facts show."""
    if entity.kind != "flow":
        return True
    if field == "accessors":
        return names_every_reader(network, entity, at)
    return field != "requests" or names_every_request(network, entity, at)
