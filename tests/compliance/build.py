"""Short constructors of networks, profiles and lists.

    network(bank=participant(state="AA", gateway="hub"), hub=facility(operator="acme"))

Underscores in names of entities become dashes in ids. Fields that are left out are undeclared. A list of tables is a
list of dictionaries; `since` and `until` are the first day of an element and the first day after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

from sycee.compliance.facts import (
    Adoption,
    Assurance,
    Attestation,
    Element,
    Entity,
    Fact,
    Network,
    Waiver,
)
from sycee.compliance.profiles import Condition, Library, List, Profile, Row, Rule, Source, Touch, build_library
from sycee.compliance.vocabulary import KINDS

AT = date(2026, 11, 25)
SOURCE = Source("text", "a text", "somebody", date(2020, 1, 1), True)

Maker = Callable[[str], Entity]


def entity(kind: str, **facts: Any) -> Maker:
    """Return a maker of an entity of a kind; `network` gives its id."""
    for field in facts:
        assert KINDS[kind].field(_field(field)) is not None, f"{kind} has no {field}"

    def make(id: str) -> Entity:
        return Entity(kind, id, id, {_field(name): fact(value) for name, value in facts.items()})

    return make


def organisation(**facts: Any) -> Maker:
    """Return a maker of an organisation without identifiers, with dispersed shares by default."""
    facts.setdefault("identifiers", ())
    if "owners" not in facts:
        facts.setdefault("dispersed_bp", 10_000)
    return entity("organisation", **{name: value for name, value in facts.items() if value is not None})


def facility(**facts: Any) -> Maker:
    return entity("facility", **facts)


def span(**facts: Any) -> Maker:
    return entity("span", **facts)


def segment(**facts: Any) -> Maker:
    return entity("segment", **facts)


def cloud(**facts: Any) -> Maker:
    return entity("cloud", **facts)


def app(**facts: Any) -> Maker:
    return entity("app", **facts)


def participant(**facts: Any) -> Maker:
    return entity("participant", **facts)


def flow(**facts: Any) -> Maker:
    """Return a maker of a flow; `from_` is the field `from`."""
    return entity("flow", **facts)


def fact(value: Any, **about: Any) -> Fact:
    """Return a fact with a plain value, or the fact itself."""
    if isinstance(value, Fact):
        return value
    if isinstance(value, list | tuple):
        value = tuple(element(**each) if isinstance(each, dict) else each for each in value)
    return Fact(value, source="declared", as_of=date(2026, 1, 1), **about)


def element(since: date | None = None, until: date | None = None, **facts: Any) -> Element:
    return Element({_field(name): fact(value) for name, value in facts.items()}, since, until)


def network(
    *,
    attestations: Iterable[Attestation] = (),
    adoptions: Iterable[Adoption] = (),
    waivers: Iterable[Waiver] = (),
    **entities: Maker,
) -> Network:
    made = {name.replace("_", "-"): make(name.replace("_", "-")) for name, make in entities.items()}
    return Network("test", "a network", AT, made, tuple(attestations), tuple(adoptions), tuple(waivers))


def attestation(subject: str, *topics: str, facts: Iterable[str] = (), **about: Any) -> Attestation:
    """Return an attestation, by default signed by a third party and long in force."""
    given = {
        "assurance": Assurance.THIRD_PARTY,
        "by": "auditor",
        "as_of": date(2026, 1, 1),
        "expires": date(2030, 1, 1),
        "signed": True,
    } | about
    return Attestation(subject, topics, tuple(facts), **given)


def condition(fact: str = "", test: str = "", **arguments: Any) -> Condition:
    if "values" in arguments:
        arguments["values"] = frozenset(arguments["values"])
    return Condition(fact=fact, test=test, **arguments)


def either(*conditions: Condition) -> Condition:
    return Condition(any_of=conditions)


def rule(level: str, *require: Condition, id: str = "rule", **about: Any) -> Rule:
    """Return a checked rule for companies. `profile` adds its id before that of the rule."""
    given = {"addressee": "company", "kind": "checked", "source": "text", "clause": "", "remedy": "do otherwise"}
    return Rule(id=id, title=id, level=level, require=require, **(given | about))


def profile(*rules: Rule, id: str = "regime", touches: Iterable[Touch] = (), **about: Any) -> Profile:
    """Return a law in effect since 2000."""
    from dataclasses import replace

    given: dict[str, Any] = {
        "version": 1,
        "title": id,
        "status": "law",
        "issuer": "somebody",
        "effective_from": date(2000, 1, 1),
        "effective_until": None,
        "reviewed": date(2026, 11, 25),
        "summary": "",
        "limits": "",
        "sources": (SOURCE,),
        "sets": {},
        "members": (),
        "adoptions": (),
    }
    named = tuple(replace(each, id=f"{id}/{each.id.rpartition('/')[2]}") for each in rules)
    return Profile(id=id, rules=named, touches=tuple(touches), **(given | about))


def touch(level: str, fact: str, test: str, **arguments: Any) -> Touch:
    return Touch(level, condition(fact, test, **arguments))


def row(party: str, *also: str, status: str = "listed", **about: Any) -> Row:
    given: dict[str, Any] = {"parts": (), "purposes": (), "from_date": None, "until_date": None, "source": "text"}
    return Row(party=party, also=also, status=status, **(given | about))


def listing(*rows: Row, id: str = "list", **about: Any) -> List:
    """Return a complete list of 2026."""
    given: dict[str, Any] = {
        "title": id,
        "publisher": "somebody",
        "as_of": date(2026, 1, 1),
        "valid_until": date(2027, 1, 1),
        "covers_from": None,
        "complete": True,
        "sources": (SOURCE,),
    }
    return List(id=id, rows=rows, **(given | about))


def library(*parts: Profile | List) -> Library:
    return build_library(
        [each for each in parts if isinstance(each, Profile)], [each for each in parts if isinstance(each, List)]
    )


def without(declared: Network, entity_id: str, field: str) -> Network:
    """Return the network without one fact."""
    from dataclasses import replace

    entity = declared.entities[entity_id]
    left: Mapping[str, Fact] = {name: fact for name, fact in entity.facts.items() if name != field}
    return replace(declared, entities={**declared.entities, entity_id: replace(entity, facts=left)})


def _field(name: str) -> str:
    """Return `from` for `from_`, since `from` is a keyword of Python."""
    return name.rstrip("_")
