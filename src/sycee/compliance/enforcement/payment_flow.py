"""The flow that a payment is screened as: a declared flow, with the facts of this payment.

Only facts that some rule reads distinguish flows. Payments that differ in other facts only, such as an amount that no
rule reads, form one class and have one result. A payment with a fact that differs from its declared flow is a flow of
its own: waivers and attestations of the declared flow do not apply to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from sycee.compliance import canonical, declarations, fact_paths
from sycee.compliance.enforcement import decisions
from sycee.compliance.facts import Element, Entity, Fact, Network, Value, says_something
from sycee.compliance.profiles import Library
from sycee.compliance.verdicts import ON_PATH
from sycee.compliance.vocabulary import CLAIMS, FLOW, KINDS, PARTICIPANT, SHOWN_BY, Field, Type
from sycee.core import documents, typos
from sycee.core.errors import UnavailableError, UsageError

UNDECLARED_FLOW: Final = "asked"  # id of every flow that is not as declared; records contain it

_ROUTE_FIELDS: Final = ("from", "to", "via")  # routes depend on these whatever the rules read
_DAY_OR_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?")
_FIELDS: Final = {each.name: each for each in KINDS[FLOW].fields}
_OF_ONE_PAYMENT: Final = ("amount_minor",)
_EXEMPTING: Final = ("legal_bases",)


@dataclass(frozen=True, slots=True)
class FlowClass:
    """A class of flows with equal results.

    `id` is the declared flow's, or empty; `facts` are the payment's, as far as rules read them. `digest` covers both.
    `entity` is the flow to judge; it has the declared id only if no fact differs from the declaration. `narrowed` has
    the role and the reason of the person who let the payment narrow its declared flow; it is empty otherwise.
    """

    id: str
    facts: Mapping[str, Any]
    digest: str
    entity: Entity
    narrowed: Mapping[str, str]


def flow_class(
    network: Network,
    library: Library,
    day: date,
    id: str,
    facts: Mapping[str, Any],
    *,
    role: str = "",
    reason: str = "",
) -> FlowClass:
    """Return the class of a payment of the declared flow `id`, or of none where `id` is empty.

    `facts` add to the declared facts, and have the names and forms of a declaration's [[flows]]; days and moments may
    be texts. Facts that narrow the declared flow need the `role` of a person and a `reason`, which are stored; so do
    those of a payment that names no flow, if they narrow every flow of its purpose and currency between its parties.

    Raise UsageError without these, for an undeclared flow or party and for an id of the wrong kind, DocumentError for a
    fact that is not valid, UnavailableError if the network declares the reserved id.
    """
    base = Entity(FLOW, UNDECLARED_FLOW, UNDECLARED_FLOW, {})
    if network.signed_only and not id:
        problem = "only signed facts count, and the payment names no declared flow"
        raise UsageError(problem, hint="name the declared flow of the payment")
    if id:
        base = _declared_flow(network, id)
    waived = {name for each in network.waivers for name in each.subject.split(ON_PATH)}
    if UNDECLARED_FLOW in network.entities or UNDECLARED_FLOW in network.attested or UNDECLARED_FLOW in waived:
        problem = f'"{UNDECLARED_FLOW}" is declared: the id is reserved for payments that differ from their flow'
        raise UnavailableError(problem, hint="give the declared entity another id")
    given = _parse(facts, day) if facts else {}
    if "via" in given:
        raise UsageError("a payment cannot give its route: screening chooses it", hint="leave out via")
    _check_references(network, KINDS[FLOW].fields, given)
    read = fields_read(library)
    own = {name: each for name, each in facts.items() if name in read}
    merged = {**base.facts, **{name: replace(given[name], source="the payment") for name in own}}
    for name in ("from", "to"):
        if name not in merged:
            raise UsageError(f'the flow has no "{name}"', hint="name a declared flow, or give both parties")
    of_own = {name: given[name].value for name in own}
    if id:
        narrowed = _narrowed(id, _narrowing(base, of_own, day, signed_only=network.signed_only), role, reason)
    else:
        narrowed = _narrowed(*_nearest(network, merged, of_own, day), role, reason)
    content = {"id": id, "facts": {name: given[name].value for name in own}}
    digest = canonical.digest({**content, "narrowed": narrowed} if narrowed else content)
    # Lists of tables are never equal: their elements have another place.
    as_declared = all(given[name].value == base.value_on(name, day) for name in own)
    name = base.id if as_declared else UNDECLARED_FLOW
    entity = Entity(FLOW, name, name, merged, replaces=id)
    return FlowClass(id, canonical.plain(own), digest, entity, narrowed)


def fields_read(library: Library) -> frozenset[str]:
    """Return the fields of flows that rules, regimes or routes read, and those on which the truth of these depends."""
    paths = (each for profile in library.profiles for each in profile.paths())
    read = {*fact_paths.fields_of_flow(paths, as_subject=True), *_ROUTE_FIELDS}
    read |= {shown for name in SHOWN_BY if name in read for shown in SHOWN_BY[name]}
    read |= {name for claim in CLAIMS if claim.field in read for name in (claim.support, claim.denied_by) if name}
    return frozenset(read)


def _narrowing(flow: Entity, given: Mapping[str, Value], day: date, *, signed_only: bool) -> list[str]:
    """Return the facts of a payment that narrow a declared flow."""
    found = ((name, flow.value_on(name, day)) for name in given)
    return [name for name, own in found if _narrows(_FIELDS[name], own, given[name], day, signed_only=signed_only)]


def _nearest(
    network: Network, merged: Mapping[str, Fact], given: Mapping[str, Value], day: date
) -> tuple[str, list[str]]:
    """Return the declared flow that a payment which names none narrows least, and the facts that narrow it.

    It is one between the same parties with the same purpose and currency, as far as both state them: a payment has no
    better facts because it does not name its flow. Its numbers add to those of the flow. Without such a flow nothing is
    narrowed.
    """
    stated = {name: each for name, each in given.items() if _FIELDS[name].type is not Type.INTEGER}
    kept = [
        each
        for each in network.of_kind(FLOW)
        if all(each.value_on(name, day) == merged[name].value for name in ("from", "to"))
        if all(
            name not in merged or each.value_on(name, day) in (None, merged[name].value)
            for name in ("purpose", "currency")
        )
    ]
    found = [(each.id, _narrowing(each, stated, day, signed_only=False)) for each in kept]
    return min(found, key=lambda each: len(each[1]), default=("", []))


def _narrows(field: Field, declared: Value | None, given: Value, day: date, *, signed_only: bool) -> bool:
    """Return whether a value of a payment omits, reduces or replaces what its declared flow has.

    An amount is each payment's own. A legal basis can exempt a flow, so even a further one narrows it. Where only
    signed facts count, so does a fact that the flow does not declare.
    """
    if declared is None:
        return signed_only and field.name not in _OF_ONE_PAYMENT
    if field.name in _OF_ONE_PAYMENT or declared == given:
        return False
    if field.type is Type.ELEMENTS:
        kept, new = (_contents(each, day) for each in (declared, given))
        return kept != new if field.name in _EXEMPTING else not kept <= new
    if isinstance(declared, tuple) and isinstance(given, tuple):
        return not set(declared) <= set(given)
    if field.type is Type.INTEGER and isinstance(declared, int) and isinstance(given, int):
        return given < declared
    return True


def _contents(elements: Value, day: date) -> set[str]:
    """Return the digests of the elements in force, without where their facts are from."""
    found = elements if isinstance(elements, tuple) else ()
    return {canonical.digest(_content(each)) for each in found if isinstance(each, Element) and each.in_force(day)}


def _content(value: Any) -> Any:
    if isinstance(value, Element):
        facts = {name: _content(fact.value) for name, fact in value.facts.items()}
        return {"facts": facts, "from": value.from_date, "until": value.until_date}
    return [_content(each) for each in value] if isinstance(value, tuple) else value


def _narrowed(id: str, narrowing: Sequence[str], role: str, reason: str) -> dict[str, str]:
    """Return role and reason if a payment narrows its flow. Raise UsageError if either of them is empty."""
    if not narrowing:
        return {}
    role, reason = (decisions.storable_text(*each).strip() for each in (("role", role), ("reason", reason)))
    if not says_something(role) or not says_something(reason):
        problem = f"a payment may only add to its declared flow {id}, and this one narrows its {', '.join(narrowing)}"
        hint = "give all that the flow declares, and more if it is so; or the role of a person and a reason"
        raise UsageError(problem, hint=hint)
    return {"role": role, "reason": reason}


def _declared_flow(network: Network, id: str) -> Entity:
    entity = network.entities.get(decisions.storable_text("flow", id))
    if entity is None or entity.kind != FLOW:
        flows = [each.id for each in network.of_kind(FLOW)]
        hint = typos.hint(id, flows, "name a flow of the declarations, or give all facts")
        raise UsageError(f"{id} is not a declared flow", hint=hint)
    return entity


def _parse(facts: Mapping[str, Any], day: date) -> Mapping[str, Fact]:
    """Return facts as a declaration gives them: write them as TOML and parse that."""
    if not isinstance(facts, Mapping):
        raise UsageError(f"facts must be a mapping; got {facts!r}", hint="give a mapping from fact names to values")
    for name in facts:
        fields = f"fields of a flow: {', '.join(_FIELDS)}"
        typos.require(str(name), _FIELDS, f"a flow has no {documents.found(name)}", fields)
    head = f'network = {{ id = "{UNDECLARED_FLOW}", title = "{UNDECLARED_FLOW}", as_of = {day.isoformat()} }}\n'
    try:
        body = "".join(f"{name} = {_toml(each)}\n" for name, each in facts.items())
        network = declarations.parse(f'{head}[[flows]]\nid = "{UNDECLARED_FLOW}"\n{body}', "the payment")
    except RecursionError as error:
        raise UsageError("the facts are nested too deeply", hint="a fact has at most two levels of lists") from error
    except ValueError as error:  # Python refuses to write an integer of more than 4,300 digits
        raise UsageError(f"a fact is too long: {error}", hint="give integers of at most 19 digits") from error
    return network.entities[UNDECLARED_FLOW].facts


def _check_references(network: Network, fields: Iterable[Field], facts: Mapping[str, Fact]) -> None:
    """Raise UsageError for an id of the wrong kind, and for a party that is not declared."""
    for field in fields:
        fact = facts.get(field.name)
        if fact is None:
            continue
        for each in fact.value if isinstance(fact.value, tuple) else (fact.value,):
            if isinstance(each, Element):
                _check_references(network, field.fields, each.facts)
            elif field.type in (Type.REFERENCE, Type.REFERENCES):
                _check_reference(network, field, str(each))


def _check_reference(network: Network, field: Field, id: str) -> None:
    entity = network.entities.get(id)
    if entity is None and PARTICIPANT not in field.kinds and not typos.corrected(id, network.entities):
        return  # an undeclared id is allowed, and its facts are unknown
    if entity is None or entity.kind not in field.kinds:
        declared = [each.id for kind in field.kinds for each in network.of_kind(kind)]
        hint = typos.hint(id, declared, f"{field.name}: {field.meaning}")
        raise UsageError(f"{id} is not a declared {' or '.join(field.kinds)}", hint=hint)


def _toml(value: Any) -> str:
    """Return a value as TOML. A text that reads as a day or a moment becomes one, because JSON has no type for them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        decisions.storable_text("a fact", value)
        return value if _DAY_OR_MOMENT.fullmatch(value) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{json.dumps(str(name))} = {_toml(each)}' for name, each in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(each) for each in value)}]"
    if isinstance(value, date | int | float):
        return str(value)
    raise UsageError(f"a fact cannot be {value!r}", hint="give a text, number, bool, date, list or mapping")
