"""What is asked before a payment crosses a border: a flow that was declared, as it would be for this payment.

Only facts that some rule looks at tell flows apart. Payments that differ in nothing else, such as in an amount that no
profile asks for, are of one class and have one answer.

A payment that says of such a fact anything else than the flow that was declared is a flow of its own: what was waived
or attested of the declared one is not said of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from sycee.compliance import canonical, declarations, fact_paths
from sycee.compliance.enforcement import decisions
from sycee.compliance.facts import Element, Entity, Fact, Network
from sycee.compliance.profiles import Condition, Library
from sycee.compliance.verdicts import ON_PATH
from sycee.compliance.vocabulary import FLOW, KINDS, PARTICIPANT, Field, Type
from sycee.core import documents, typos
from sycee.core.errors import UsageError

UNDECLARED_FLOW: Final = "asked"  # what a flow is called that was not declared so

# Routes start, end and lead by these, whatever the rules look at.
_ALWAYS: Final = ("from", "to", "via")
_DAY_OR_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?")
_FIELDS: Final = {field.name: field for field in KINDS[FLOW].fields}


@dataclass(frozen=True, slots=True)
class FlowClass:
    """One class of flows. `id` is of the flow that was declared, or empty; `facts` are what the payment adds to it.

    `digest` names the class: it is of `id` and those of the `facts` that count. `entity` is what is judged; it has the
    declared flow's id only where no fact of it is otherwise.
    """

    id: str
    facts: Mapping[str, Any]
    digest: str
    entity: Entity


def flow_class(network: Network, library: Library, day: date, id: str, facts: Mapping[str, Any]) -> FlowClass:
    """The question whether this flow may go, with further facts of this payment, or others in place of those declared.

    `facts` have the names and forms of a declaration's [[flows]]; days and moments may be texts. UsageError for a flow
    or a party that was not declared, with the nearest that was, and for an id of what cannot stand there; DocumentError
    for a fact that cannot be.
    """
    base = Entity(FLOW, UNDECLARED_FLOW, UNDECLARED_FLOW, {})
    if id:
        entity = network.entities.get(id)
        if entity is None or entity.kind != FLOW:
            flows = [each.id for each in network.of_kind(FLOW)]
            hint = typos.hint(id, flows, "name a flow of the declarations, or give all facts")
            raise UsageError(f"{id} is no flow that was declared", hint=hint)
        base = entity
    waived = {name for each in network.waivers for name in each.subject.split(ON_PATH)}
    if UNDECLARED_FLOW in network.entities or UNDECLARED_FLOW in network.attested or UNDECLARED_FLOW in waived:
        raise UsageError(
            f'"{UNDECLARED_FLOW}" is declared: it is what flows are called that are only asked about', hint="rename"
        )
    given = _read(facts, day) if facts else {}
    if "via" in given:
        hint = "leave out via; the answer has the route"
        raise UsageError("a payment cannot say its way: it is chosen here", hint=hint)
    _check_references(network, KINDS[FLOW].fields, given)
    counts = fields_read(library)
    kept = {name: each for name, each in facts.items() if name in counts}
    said = {**base.facts, **{name: replace(given[name], source="the payment") for name in kept}}
    for name in ("from", "to"):
        if name not in said:
            raise UsageError(f'the flow does not say "{name}"', hint="name a flow that was declared, or both parties")
    digest = canonical.digest({"id": id, "facts": {name: given[name].value for name in kept}})
    # Lists of tables are never the same: they come from elsewhere.
    as_declared = all(given[name].value == base.value_on(name, day) for name in kept)
    name = base.id if as_declared else UNDECLARED_FLOW
    return FlowClass(id, canonical.plain(kept), digest, Entity(FLOW, name, name, said))


def fields_read(library: Library) -> frozenset[str]:
    """The fields of flows that rules and regimes look at, and those that routes do."""
    found = set(_ALWAYS)
    for profile in library.profiles:
        for touch in profile.touches:
            found.update(_fields([touch.condition], fact_paths.Roots(touch.level)))
        for rule in profile.rules:
            roots = fact_paths.Roots(rule.level)
            found.update(_fields(rule.flow, fact_paths.Roots(FLOW)))
            found.update(_fields([*rule.when, *rule.unless], roots))
            if rule.each:
                found.update(_field(rule.each, roots))
                roots = fact_paths.Roots(rule.level, rule.each)
            found.update(_fields([*rule.where, *rule.require], roots))
            if rule.basis:
                found.update(_field(rule.basis, roots))
    return frozenset(found)


def _fields(conditions: Iterable[Condition], roots: fact_paths.Roots) -> Iterator[str]:
    for condition in conditions:
        for path in (condition.fact, condition.facts, condition.parts, condition.purposes, condition.of):
            if path:
                yield from _field(path, roots)
        yield from _fields(condition.any_of, roots)


def _field(path: str, roots: fact_paths.Roots) -> Iterator[str]:
    """The field of a flow that a path starts with, if it starts at a flow."""
    start, steps = fact_paths.split(path, roots)
    if start == "flow" or (start == "subject" and roots.level == FLOW):
        yield steps[0]


def _read(facts: Mapping[str, Any], day: date) -> Mapping[str, Fact]:
    """Facts as a declaration would give them: written as one, and read by the same reader."""
    if not isinstance(facts, Mapping):
        raise UsageError(f"{facts!r} are no facts", hint="give a mapping of the names of facts to their values")
    for name in facts:
        if name not in _FIELDS:
            hint = typos.hint(str(name), _FIELDS, f"known: {', '.join(_FIELDS)}")
            raise UsageError(f"a flow has no {documents.found(name)}", hint=hint)
    head = f'network = {{ id = "{UNDECLARED_FLOW}", title = "{UNDECLARED_FLOW}", as_of = {day.isoformat()} }}\n'
    try:
        body = "".join(f"{name} = {_written(each)}\n" for name, each in facts.items())
        network = declarations.parse(f'{head}[[flows]]\nid = "{UNDECLARED_FLOW}"\n{body}', "the payment")
    except RecursionError as error:
        raise UsageError("the facts are too deep", hint="no fact has more than two lists, one in the other") from error
    return network.entities[UNDECLARED_FLOW].facts


def _check_references(network: Network, fields: Iterable[Field], facts: Mapping[str, Fact]) -> None:
    """UsageError for an id of what cannot stand there, as declarations have it. Parties have to be declared."""
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
        return  # nobody knows what it stands for
    if entity is None or entity.kind not in field.kinds:
        declared = [each.id for kind in field.kinds for each in network.of_kind(kind)]
        hint = typos.hint(id, declared, f"{field.name}: {field.meaning}")
        raise UsageError(f"{id} is no {' or '.join(field.kinds)} that was declared", hint=hint)


def _written(value: Any) -> str:
    """A value in TOML. A text that is a day or a moment is one: JSON has no other form for it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        decisions.storable_text("a fact", value)
        return value if _DAY_OR_MOMENT.fullmatch(value) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{json.dumps(str(name))} = {_written(each)}' for name, each in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_written(each) for each in value)}]"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int | float):
        return str(value)
    raise UsageError(f"{value!r} is no fact", hint="texts, numbers, true, false, days, lists and mappings are")
