"""Random networks, lists and rules over the whole vocabulary, for property tests.

There are few ids, so that references meet. About 20 % of all facts are missing, a few have expired, and some references
name undeclared ids.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any

from tests.compliance import build
from tests.compliance.build import AT

from sycee.compliance.fact_paths import Roots, below, split
from sycee.compliance.facts import Assurance, Attestation, Element, Entity, Fact, Network, Value
from sycee.compliance.profiles import Condition, List, Profile, Row, RowOwner, Rule, Touch
from sycee.compliance.vocabulary import (
    AT_LEAST,
    AT_MOST,
    ATTESTED,
    BASIS_POINTS,
    CHAINS,
    CONTROLLED_BY,
    DECLARED,
    EMPLOYED,
    EXCLUDED,
    IS_FALSE,
    IS_TRUE,
    KINDS,
    LEVELS,
    LISTED,
    MULTIPLY,
    OF_PERSONS,
    ORGANISATION,
    PATH_LEVELS,
    PURPOSES,
    RETURNED_IN_TIME,
    SETS,
    SUM_AT_MOST,
    TIES,
    Field,
    Type,
)

STATES = ("AA", "BB", "CC")
WORDS = ("audit", "consent", "payment", "storage", "one/rule", "two/rule")
# Names of two firms, one as lists write it, in forms that are equal, similar and of others.
NAMES = (
    "Storage Works Ltd",
    "STORAGE-WORKS GmbH",
    "Stor\u0430ge W\u043erks",  # with Cyrillic letters
    "Storage Wroks",
    "Works, Storage",
    "New Storage Works",
    "Storage",
    "\u5317\u4eac\u8d26\u672c\u6709\u9650\u516c\u53f8",
    "Bei Jing Zhang Ben",
    "Paper Trade",
)
TOPICS = ("inventory", "no-backdoors")
LISTS = ("list", "other")
HOUR_NS = 3600 * 10**9
REFERENCES = (Type.REFERENCE, Type.REFERENCES)
COUNTS = {"organisation": 4, "facility": 3, "span": 2, "segment": 2, "participant": 2, "flow": 2, "cloud": 2}


def ids(kind: str) -> list[str]:
    return [f"{kind}-{number}" for number in range(COUNTS.get(kind, 1))]


def network(random: Random) -> Network:
    entities = {}
    for kind in KINDS.values():
        for id in ids(kind.name):
            if random.random() < 0.95:
                name = random.choice((*WORDS, *NAMES)) if random.random() < 0.2 else id
                facts = _facts(random, kind.fields)
                facts = _of_one_form(random, facts) if kind.name == ORGANISATION else facts
                entities[id] = Entity(kind.name, id, name, facts)
    for id in ids("flow"):
        if id in entities and random.random() < 0.6:
            entities[id] = _on_its_way(random, entities[id], entities)
    attestations = [_attestation(random, random.choice(list(entities))) for _ in range(random.randrange(12))]
    return Network("random", "at random", AT, entities, tuple(attestations))


def _of_one_form(random: Random, facts: dict[str, Fact]) -> dict[str, Fact]:
    """Return the facts of a firm, a branch or a person, as the reader of declarations allows them."""
    form = random.choice(("", "", "organised_in", "branch_of", "person"))
    without = {*EXCLUDED.get(form, ())}
    if form == "person":
        facts["person"] = Fact(True)
    else:
        facts.pop("person", None)
        without |= {*OF_PERSONS, "organised_in", "branch_of"} - {form}
    facts = {name: fact for name, fact in facts.items() if name not in without}
    if "owners" in facts:
        facts["owners"] = replace(facts["owners"], value=_within_the_whole(facts))
    return facts


def _within_the_whole(facts: dict[str, Fact]) -> tuple[Element, ...]:
    """Return the first owners of which the shares, with the dispersed ones, are at most all."""
    dispersed = facts.get("dispersed_bp")
    left: Any = BASIS_POINTS - (dispersed.value if dispersed else 0)  # type: ignore[operator]
    owners: list[Element] = []
    for each in facts["owners"].value:  # type: ignore[union-attr]
        assert isinstance(each, Element)
        left -= sum(each.values("share_bp"))
        if left >= 0:
            owners.append(each)
    return tuple(owners)


def _on_its_way(random: Random, flow: Entity, entities: dict[str, Entity]) -> Entity:
    """Return the flow with a path of spans and segments from its first gateway, sometimes to the other one."""

    def said(of: str, name: str) -> Any:
        fact = entities[of].facts.get(name) if of in entities else None
        return fact.value if fact else ()

    here = said(str(said(flow.id, "from")), "gateway")
    via: list[str] = []
    for _ in range(random.randrange(4)):
        leading = [each for kind in ("span", "segment") for each in ids(kind) if here in said(each, "ends")]
        if not leading:
            break
        via.append(random.choice(leading))
        ends = said(via[-1], "ends")
        here = ends[-1] if ends[0] == here else ends[0]
    return replace(flow, facts={**flow.facts, "via": Fact(tuple(via))})


def _facts(random: Random, fields: tuple[Field, ...]) -> dict[str, Fact]:
    facts = {}
    for field in fields:
        if random.random() < 0.8:
            expires = AT + timedelta(days=random.choice((0, 1))) if random.random() < 0.05 else None
            assurance = random.choice(list(Assurance))
            facts[field.name] = Fact(_value(random, field), assurance=assurance, expires=expires)
    return facts


def _value(random: Random, field: Field) -> Value:
    several = random.choice((0, 1, 1, 2)) if field.least is None else field.least
    kind = field.type
    if kind in REFERENCES:
        of = random.choice(field.kinds if random.random() < 0.97 else list(KINDS))
        known = [*ids(of), f"no-{of}"]
        one: Any = random.choice(known)
        return one if kind is Type.REFERENCE else tuple(random.choice(known) for _ in range(several))
    if kind is Type.ELEMENTS:
        return tuple(_element(random, field) for _ in range(several))
    words = field.words + WORDS + (NAMES if field.name == "identifiers" else ())
    plain: dict[Type, Any] = {
        Type.TEXT: lambda: random.choice(field.words + WORDS),
        Type.WORDS: lambda: tuple(random.choice(words) for _ in range(several)),
        Type.STATE: lambda: random.choice(STATES),
        Type.STATES: lambda: tuple(random.choice(STATES) for _ in range(several)),
        Type.BOOLEAN: lambda: random.random() < 0.5,
        Type.INTEGER: lambda: random.choice((0, 1000, 4000, 5000, 6000, 10_000)),
        Type.DATE: lambda: AT,
        Type.MOMENT: lambda: random.randrange(200) * HOUR_NS // 2 + 1_790_000_000 * 10**9,
    }
    return plain[kind]()  # type: ignore[no-any-return]


def _element(random: Random, field: Field) -> Element:
    since = AT + timedelta(days=random.choice((0, 1))) if random.random() < 0.1 else None
    until = AT + timedelta(days=random.choice((0, 1))) if random.random() < 0.1 else None
    return Element(_facts(random, field.fields), since, until)


def _attestation(random: Random, subject: str) -> Attestation:
    return build.attestation(
        subject,
        random.choice(TOPICS),
        assurance=random.choice(list(Assurance)),
        as_of=AT - timedelta(days=random.randrange(-1, 3)),
        expires=random.choice((None, AT, AT + timedelta(days=1))),
        signed=random.random() < 0.8,
    )


def lists(random: Random) -> list[List]:
    return [_list(random, id) for id in LISTS]


def _list(random: Random, id: str) -> List:
    rows = [
        Row(
            party=random.choice([*ids(ORGANISATION), *WORDS, *(f" {word.upper()}" for word in WORDS), *NAMES]),
            also=random.choice(((), (), NAMES[:1])),
            status=random.choice(("listed", "listed", "pending", "recommended")),
            parts=random.choice(((), (), (), ("storage",))),
            purposes=random.choice(((), (), (), (PURPOSES[0],))),
            from_date=AT + timedelta(days=1) if random.random() < 0.1 else None,
            until_date=AT if random.random() < 0.1 else None,
            source="text",
            owners=_owners(random),
        )
        for _ in range(random.randrange(3))
    ]
    expired = random.random() < 0.1
    return build.listing(
        *rows, id=id, complete=random.random() < 0.8, valid_until=AT if expired else AT + timedelta(days=1)
    )


def _owners(random: Random) -> tuple[RowOwner, ...] | None:
    if random.random() < 0.2:
        return None
    named = [random.choice([*ids(ORGANISATION), *NAMES]) for _ in range(random.randrange(3))]
    return tuple(RowOwner(name, "text", state=random.random() < 0.2) for name in dict.fromkeys(named))


def profiles(random: Random) -> list[Profile]:
    return [profile(random, id) for id in ("one", "two")]


def profile(random: Random, id: str) -> Profile:
    rules = [rule(random, "rule" if number == 0 else f"rule-{number}") for number in range(3)]
    touches = [_touch(random) for _ in range(random.choice((0, 0, 1, 2)))]
    status = random.choice(("law", "pledge"))
    until = date(2020, 1, 1) if random.random() < 0.05 else None
    return build.profile(*rules, id=id, touches=touches, status=status, effective_until=until)


def _touch(random: Random) -> Touch:
    level = random.choice(("flow", "edge", "facility", "participant"))
    return Touch(level, condition(random, Roots(level)))


def rule(random: Random, id: str) -> Rule:
    level = random.choice(("flow", "flow", "participant", "edge", "segment", "facility", "organisation", "app"))
    subject = Roots(level)
    each = ""
    if random.random() < 0.5:
        each, _ = path(random, subject, (Type.ELEMENTS, *REFERENCES))
    element = Roots(level, each)
    basis = "basis" if each == "exclusions" else ""

    def some(roots: Roots, most: int) -> tuple[Condition, ...]:
        return tuple(condition(random, roots) for _ in range(random.randrange(most + 1)))

    return build.rule(
        level,
        condition(random, element),
        *some(element, 1),
        id=id,
        flow=some(Roots("flow"), 1) if level in PATH_LEVELS else (),
        when=some(subject, 1),
        unless=some(subject, 1),
        each=each,
        where=some(element, 1) if each else (),
        complete=random.choice(("", "", TOPICS[0])),
        kind=random.choice(("checked", "checked", "attested", "coverage")),
        when_unknown=random.choice(("unknown", "unknown", "fail")),
        basis=basis,
        from_date=AT + timedelta(days=random.choice((0, 1))) if random.random() < 0.1 else None,
        until_date=AT + timedelta(days=1) if random.random() < 0.1 else None,
    )


def condition(random: Random, roots: Roots, *, deep: bool = True) -> Condition:
    if deep and random.random() < 0.15:
        return Condition(any_of=tuple(condition(random, roots, deep=False) for _ in range(2)))
    negate = random.random() < 0.2
    if deep and random.random() < 0.1:
        some = path(random, roots, (Type.ELEMENTS, *REFERENCES))[0]
        having = tuple(condition(random, below(some, roots), deep=False) for _ in range(2))
        return Condition(some=some, having=having, negate=negate)
    if random.random() < 0.1:
        of = path(random, roots, REFERENCES)[0] if random.random() < 0.5 else ""
        least = random.choice(list(Assurance))
        return Condition(test=ATTESTED, topic=random.choice(TOPICS), at_least=least, of=of, negate=negate)
    fact, field = path(random, roots)
    if _is_number_of_flow(fact, field, roots) and random.random() < 0.6:
        among = () if random.random() < 0.4 else (_among(random),)
        limit = random.choice((4000, 12_000))
        through = (_through(random),) if random.random() < 0.4 else ()
        return Condition(fact=fact, test=SUM_AT_MOST, negate=negate, limit=limit, among=among, through=through)
    test, arguments = _test(random, roots, field)
    return Condition(fact=fact, test=test, negate=negate, self_declared=random.random() < 0.1, **arguments)


def _is_number_of_flow(fact: str, field: Field, roots: Roots) -> bool:
    start, steps = split(fact, roots)
    of_flow = start == "flow" or (start == "subject" and roots.level == "flow")
    return of_flow and len(steps) == 1 and field.type is Type.INTEGER


def _among(random: Random) -> Condition:
    """Return a condition on one flow, without a sum."""
    while True:
        made = condition(random, Roots("flow"), deep=False)
        if made.test != SUM_AT_MOST:
            return made


def _through(random: Random) -> Condition:
    """Return a test of parties of a flow."""
    fact = random.choice(("to.organisation", "stored.at.operator", "stored.at.owner", "accessors.party"))
    return Condition(fact=fact, test=CONTROLLED_BY, **of_states(random))


def _test(random: Random, roots: Roots, field: Field) -> tuple[str, dict[str, Any]]:
    if random.random() < 0.1:
        return DECLARED, {}
    if field.type is Type.ELEMENTS and field.name != "processed":
        return DECLARED, {}
    if field.type in (Type.ELEMENTS, Type.MOMENT):
        days = random.choice((0, 1))
        return RETURNED_IN_TIME, {"hours": 24, "business_days": days, "zone": "UTC", "weekend": ("sunday",)}
    if field.type is Type.BOOLEAN:
        return random.choice((IS_TRUE, IS_FALSE)), {}
    if field.type is Type.INTEGER:
        return random.choice((AT_MOST, AT_LEAST)), {"limit": 4000}
    if field.kinds == (ORGANISATION,) and random.random() < 0.4:
        return CONTROLLED_BY, of_states(random)
    if field.kinds == (ORGANISATION,) and random.random() < 0.7:
        limits = {name: path(random, roots)[0] for name in ("parts", "purposes") if random.random() < 0.3}
        affiliates = random.random() < 0.3
        return random.choice(LISTED), {"list": random.choice(LISTS), "affiliates": affiliates, **limits}
    if random.random() < 0.2:
        return random.choice(SETS), {"facts": path(random, roots)[0]}
    known = STATES if field.type in (Type.STATE, Type.STATES) else (*field.words, *WORDS, *ids("organisation"))
    return random.choice(SETS), {"values": frozenset(random.sample(known, 2))}


def of_firms(random: Random) -> dict[str, Fact]:
    """Return random facts of a firm without owners."""
    fields = [each for each in KINDS[ORGANISATION].fields if each.name in ("state", "headquarters", "identifiers")]
    return _facts(random, tuple(fields))


def of_states(random: Random) -> dict[str, Any]:
    """Return the arguments of `controlled-by`."""
    chain = random.choice(CHAINS)
    allowed = [each for each in TIES if chain != MULTIPLY or each != EMPLOYED]
    return {
        "values": frozenset(random.sample(STATES, random.choice((1, 1, 2)))),
        "outside": random.random() < 0.3,
        "contracts": random.random() < 0.3,
        "home": frozenset(random.sample(STATES, random.choice((0, 1, 1)))),
        "control_bp": random.choice((1, 4000, 5000, 5000)),
        "chain": chain,
        "ties": tuple(each for each in allowed if random.random() < 0.7),
    }


def path(random: Random, roots: Roots, types: tuple[Type, ...] = tuple(Type)) -> tuple[str, Field]:
    """Return a valid path and the field at its end, of one of these types."""
    while True:
        starts = [""] + (["subject."] if roots.each else []) + (["flow."] if roots.level in PATH_LEVELS else [])
        start = random.choices(starts, weights=[6] + [1] * (len(starts) - 1))[0]
        fields = _fields_at(start, roots)
        steps: list[str] = []
        found = None
        for _ in range(random.choice((1, 2, 2, 3, 4))):
            if not fields:
                break
            found = random.choice(fields)
            steps.append(found.name)
            fields = _below(found)
        if found is not None and found.type in types:
            name = start + ".".join(steps)
            # A level of two kinds: a field of the same name has the same type in both.
            assert split(name, roots)
            return name, found


def _fields_at(start: str, roots: Roots) -> list[Field]:
    if start == "flow.":
        return list(KINDS["flow"].fields)
    if roots.each and not start:
        return _below(_last(roots))
    return [field for kind in LEVELS[roots.level] for field in KINDS[kind].fields]


def _last(roots: Roots) -> Field:
    """Return the field at the end of `each`."""
    start, steps = split(roots.each, Roots(roots.level))
    fields = _fields_at("flow." if start == "flow" else "", Roots(roots.level))
    found = None
    for step in steps:
        found = next(field for field in fields if field.name == step)
        fields = [below for field in fields if field.name == step for below in _below(field)]
    assert found is not None
    return found


def _below(field: Field) -> list[Field]:
    if field.type is Type.ELEMENTS:
        return list(field.fields)
    return [below for kind in field.kinds for below in KINDS[kind].fields]
