"""No participant is admitted, and no payment permitted, because a fact is not declared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.compliance import build, generate
from tests.compliance.build import AT
from tests.compliance.test_properties import hidden

from sycee.compliance.enforcement import admission, screening
from sycee.compliance.enforcement.judge_cache import JudgeCache
from sycee.compliance.enforcement.screening import AdmissionStatus
from sycee.compliance.facts import Fact, Network, Waiver
from sycee.compliance.judging import consistency
from sycee.compliance.judging.effective_facts import EffectiveNetwork
from sycee.compliance.profiles import Library, build_library
from sycee.core.documents import DocumentError
from sycee.core.errors import UsageError

pytestmark = pytest.mark.fast

worlds = st.integers(0, 2**32 - 1)
seldom = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PARTIES = ("participant-0", "participant-1")


def world(seed: int) -> tuple[Random, Network, Library]:
    """Return two participants joined by several routes, under one law with few rules, so that not all is refused."""
    random = Random(seed)
    network = generate.network(random)
    entities = dict(network.entities)
    for name, kind, facts in (
        ("facility-0", "facility", {}),
        ("facility-1", "facility", {}),
        ("span-0", "span", {"ends": ("facility-0", "facility-1"), "cost": 1}),
        ("span-1", "span", {"ends": ("facility-0", "facility-1"), "cost": 2}),
        ("participant-0", "participant", {"gateway": "facility-0"}),
        ("participant-1", "participant", {"gateway": "facility-1"}),
        ("flow-0", "flow", {"from": PARTIES[0], "to": PARTIES[1]}),
        ("flow-1", "flow", {"from": PARTIES[1], "to": PARTIES[0]}),
    ):
        entity = entities.get(name) or build.entity(kind)(name)
        entities[name] = replace(entity, facts={**entity.facts, **{key: Fact(each) for key, each in facts.items()}})
    rules = [
        replace(generate.rule(random, f"rule-{number}"), kind="checked") for number in range(random.choice((1, 2)))
    ]
    library = build_library([build.profile(*rules, id="one")], generate.lists(random))
    subjects = (*PARTIES, "flow-0", "flow-1", "span-0", "app-0", "organisation-0", "flow-0 @ facility-0")
    waivers = [
        Waiver(name, random.choice(subjects), "head", "so", AT, AT.replace(year=2030))
        for name in library.rules
        if random.random() < 0.4
    ]
    return random, replace(network, entities=entities, waivers=tuple(waivers)), library


def asked(random: Random) -> dict[str, Any]:
    """Return random facts of a payment."""
    places = [*generate.ids("cloud"), *generate.ids("facility"), "nowhere-at-all"]
    said = {
        "stored": [{"at": random.choice(places)}],
        "processed": [{"at": random.choice(places)}] * random.choice((0, 1)),
        "subject_states": [random.choice(generate.STATES)],
        "origin": random.choice(generate.STATES),
        "purpose": "support",
        "incidental": True,
        "accessors": [{"party": random.choice(generate.ids("organisation")), "state": "AA"}],
    }
    return {name: said[name] for name in random.sample(sorted(said), random.choice((0, 0, 1, 2)))}


def without(network: Network, id: str, names: Iterable[str]) -> Network:
    """Return the network without some facts of an entity."""
    entity = network.entities[id]
    facts = {name: fact for name, fact in entity.facts.items() if name not in names}
    return replace(network, entities={**network.entities, id: replace(entity, facts=facts)})


def without_contradictions(network: Network) -> Network:
    """Return the network without facts that contradict others: hiding one of them would end the contradiction."""
    for id in network.entities:
        network = without(network, id, ("sold", "accessible_to", "cross_border"))
    while found := consistency.contradictions(EffectiveNetwork(network, AT)):
        id, name = re.split(r"[.\[]", found[0].facts[0])[:2]
        network = without(network, id, (name,))
    return network


def outcomes(network: Network, library: Library, flow: str, facts: dict[str, Any]) -> tuple[list[str], str]:
    """Return the outcomes of both participants, and of a payment between them as if both were admitted."""
    prepared = JudgeCache(network, library, AT, ())
    of_parties = [prepared.admission(each).outcome if each in network.entities else "" for each in PARTIES]
    try:
        found = prepared.flow_result(prepared.flow_class(flow, facts))
    except (UsageError, DocumentError):
        return of_parties, screening.REFUSED
    stood = [AdmissionStatus(each, admission.ADMIT, "") for each in (found.sender, found.receiver)]
    return of_parties, screening.decide("", found, stood).outcome


@seldom
@given(seed=worlds)
def test_hiding_a_fact_admits_and_permits_nothing(seed: int) -> None:
    random, network, library = world(seed)
    flow, facts = random.choice(("flow-0", "flow-1")), asked(random)
    network = without_contradictions(without(network, flow, facts))
    before, permitted = outcomes(network, library, flow, facts)
    for _ in range(4):
        network = hidden(random, network)
        after, then = outcomes(network, library, flow, facts)
        for old, new in zip(before, after, strict=True):
            assert old in admission.ADMITTED or new not in admission.ADMITTED
        assert permitted == screening.PERMITTED or then != screening.PERMITTED
        before, permitted = after, then


@pytest.mark.parametrize("field", ["apps", "organisation"])
def test_hiding_apps_or_organisation_admits_no_participant(field: str) -> None:
    """Two cases of the property that once failed."""
    level = "app" if field == "apps" else "organisation"
    fact = "publisher.state" if field == "apps" else "state"
    regime = build.profile(build.rule(level, build.condition(fact, "none-in", values=["AA"])))
    network = build.network(
        firm=build.organisation(state="AA"),
        bank=build.participant(organisation="firm", apps=["purse"]),
        purse=build.app(publisher="firm"),
    )
    for declared in (network, build.without(network, "bank", field)):
        assert JudgeCache(declared, build.library(regime), AT, ()).admission("bank").outcome == admission.REFUSE


def test_the_worlds_of_the_property_are_of_both_kinds() -> None:
    found: Counter[str] = Counter()
    for seed in range(60):
        random, network, library = world(seed)
        flow, facts = random.choice(("flow-0", "flow-1")), asked(random)
        of_parties, permitted = outcomes(without_contradictions(without(network, flow, facts)), library, flow, facts)
        found.update([*of_parties, permitted])
    assert min(found[each] for each in (admission.ADMIT, admission.REFUSE, screening.PERMITTED, screening.REFUSED)) > 5
