"""Properties of every network and profile: hiding facts lets nothing pass."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from random import Random
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.compliance import build, generate
from tests.compliance.build import AT
from tests.compliance.naive import Naive

from sycee.compliance.canonical import plain
from sycee.compliance.fact_paths import Roots
from sycee.compliance.facts import Element, Network
from sycee.compliance.judging.judge import Judge
from sycee.compliance.judging.logic import conjunction
from sycee.compliance.profiles import COVERAGE, Library, Rule, build_library
from sycee.compliance.verdicts import Finding, Verdict
from sycee.compliance.vocabulary import ATTESTED, LEVELS, LISTED

pytestmark = pytest.mark.fast

T = TypeVar("T")
MET = (Verdict.PASS, Verdict.ATTESTED)
worlds = st.integers(0, 2**32 - 1)
seldom = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def world(seed: int) -> tuple[Random, Network, Library]:
    random = Random(seed)
    network = generate.network(random)
    return random, network, build_library(generate.profiles(random), generate.lists(random))


def found(network: Network, library: Library) -> dict[tuple[str, str], Finding]:
    findings = Judge(network, library, AT).report().findings
    by_name = {(each.rule, each.subject): each for each in findings}
    assert len(by_name) == len(findings)
    return by_name


@seldom
@given(seed=worlds)
def test_the_judge_agrees_with_its_plain_twin(seed: int) -> None:
    _, network, library = world(seed)
    plainly = Naive(network, library, AT).verdicts()
    judged = found(network, library)
    assert judged.keys() == plainly.keys()
    for name, finding in judged.items():
        verdict = finding.verdict
        if verdict is plainly[name] or (verdict is Verdict.PASS and plainly[name] is Verdict.ATTESTED):
            continue  # the twin does not know which of several conditions decided
        assert verdict is Verdict.CONFLICT, (name, finding, plainly[name])
        assert finding.conflicts_with


@seldom
@given(seed=worlds)
def test_hiding_a_fact_lets_nothing_pass(seed: int) -> None:
    """A hidden fact makes no rule inapplicable and no verdict a failure: fewer facts decide less."""
    random, network, library = world(seed)
    before = found(network, library)
    after = found(hidden(random, network), library)
    for name, finding in before.items():
        if finding.verdict in (Verdict.FAIL, Verdict.UNKNOWN):
            later = after.get(name) or of_the_whole_path(after, name)
            assert later.verdict.stops, (finding, later)
    for name, finding in after.items():
        earlier = before.get(name)
        if earlier is None:  # unknown elements of a path are judged for the flow
            assert finding.verdict not in MET
            continue
        if finding.verdict is Verdict.NOT_APPLICABLE:
            assert earlier.verdict is Verdict.NOT_APPLICABLE
        if finding.verdict is Verdict.PASS and not (
            earlier.verdict is Verdict.ATTESTED and applies_by_word(library, name[0])
        ):
            assert earlier.verdict in (Verdict.PASS, Verdict.NOT_APPLICABLE, Verdict.CONFLICT)
        if finding.verdict is Verdict.FAIL and library.rules[finding.rule].when_unknown != "fail":
            assert earlier.verdict in (Verdict.FAIL, Verdict.CONFLICT)


def applies_by_word(library: Library, name: str) -> bool:
    """Return whether a statement of a party may make a rule apply, or exempt from it.

    Without the statement, a rule of which the requirements hold is met.
    """
    rule = library.rules[name]
    touches = [touch.condition for each in library.profiles if each.id == rule.profile for touch in each.touches]
    deciding = (*touches, *rule.flow, *rule.when, *rule.unless, *rule.where)
    leaves = [leaf for each in deciding for leaf in each.leaves()]
    return any(leaf.self_declared or leaf.test == ATTESTED for leaf in leaves)


def of_the_whole_path(findings: dict[tuple[str, str], Finding], name: tuple[str, str]) -> Finding:
    rule, subject = name
    return findings[rule, subject.partition(" @ ")[0]]


def hidden(random: Random, network: Network) -> Network:
    """Return the network without one fact of an entity or element.

    A model of equipment is never hidden. It is the only optional fact: without it, less is compared with a list.
    """
    entity = random.choice([each for each in network.entities.values() if each.facts])
    name = random.choice(sorted(entity.facts))
    value = entity.facts[name].value
    facts = dict(entity.facts)
    inside = [each for each in value if isinstance(each, Element) and each.facts] if isinstance(value, tuple) else []
    if inside and random.random() < 0.7:
        element = random.choice(inside)
        field = random.choice(sorted(element.facts.keys() - {"model"} or element.facts.keys()))
        less = replace(element, facts={key: fact for key, fact in element.facts.items() if key != field})
        facts[name] = replace(facts[name], value=tuple(less if each is element else each for each in value))
    else:
        del facts[name]
    return replace(network, entities={**network.entities, entity.id: replace(entity, facts=facts)})


@seldom
@given(seed=worlds)
def test_an_expired_declaration_counts_as_missing(seed: int) -> None:
    random, network, library = world(seed)
    entity = random.choice([each for each in network.entities.values() if each.facts])
    name = random.choice(sorted(entity.facts))
    old = replace(entity, facts={**entity.facts, name: replace(entity.facts[name], expires=AT)})
    expired = replace(network, entities={**network.entities, entity.id: old})
    none = build.without(network, entity.id, name)
    assert verdicts(found(expired, library)) == verdicts(found(none, library))


def verdicts(findings: dict[tuple[str, str], Finding]) -> dict[tuple[str, str], Verdict]:
    return {name: each.verdict for name, each in findings.items()}


@seldom
@given(seed=worlds)
def test_states_are_treated_equally(seed: int) -> None:
    """Exchanging two states in declarations and profiles changes no verdict, since no code names a state."""
    _, network, library = world(seed)
    other = found(swapped(network), swapped(library))
    assert verdicts(found(network, library)) == verdicts(other)


def swapped(value: T) -> T:
    """Return the value with AA and BB exchanged."""
    names = {"AA": "BB", "BB": "AA"}

    def swap(value: object) -> object:
        if isinstance(value, str):
            return names.get(value, value)
        if isinstance(value, tuple):
            return tuple(swap(each) for each in value)
        if isinstance(value, frozenset):
            return frozenset(swap(each) for each in value)
        if isinstance(value, dict):
            return {key: swap(each) for key, each in value.items()}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            given = {each.name: swap(getattr(value, each.name)) for each in dataclasses.fields(value) if each.init}
            return type(value)(**given)
        return value

    return swap(value)  # type: ignore[return-value]


@seldom
@given(seed=worlds)
def test_an_expired_list_makes_rules_unknown(seed: int) -> None:
    random, network, _ = world(seed)
    level = random.choice(("flow", "segment", "cloud", "app"))
    while True:
        condition = generate.condition(random, Roots(level), deep=False)
        if condition.test in LISTED:
            break
    regime = build.profile(build.rule(level, condition))
    old = [replace(each, valid_until=AT) for each in generate.lists(random)]
    fresh = [build.listing(id=id) for id in generate.LISTS]
    after = found(network, build_library([regime], old))
    for name, finding in found(network, build_library([regime], fresh)).items():
        named = any(each.path.startswith("list ") for each in after[name].evidence)
        assert after[name].verdict is (Verdict.UNKNOWN if named else finding.verdict)


@seldom
@given(seed=worlds)
def test_a_longer_path_loses_no_regime(seed: int) -> None:
    """Except unknown elements of a path that did not reach the other gateway."""
    random, network, library = world(seed)
    edges = [*generate.ids("span"), *generate.ids("segment")]
    judge, plainly = Judge(network, library, AT), Naive(network, library, AT)
    for flow in network.of_kind("flow"):
        via = [random.choice(edges) for _ in range(random.randrange(3))]
        shorter = judge.regimes(flow.id, via)
        further = [*via, random.choice(edges)]
        longer = judge.regimes(flow.id, further)
        arrives = plainly.path(flow, via)[1] - plainly.path(flow, further)[1]
        for profile, applies in shorter.items():
            assert longer[profile] or longer[profile] is applies or applies is False or (arrives and applies is None)


@seldom
@given(seed=worlds)
def test_the_parts_of_a_question_give_the_verdict(seed: int) -> None:
    """The results that a router computes in advance, by element and flow, give the verdicts about the path."""
    _, network, library = world(seed)
    judge = Judge(network, library, AT)
    rules = {rule.id: rule for rule in judge.path_rules()}
    for flow in network.of_kind("flow"):
        whole = [each for each in judge.flow(flow.id) if " @ " in each.subject and each.rule in rules]
        regimes = judge.regimes(flow.id)
        for finding in whole:
            rule, place = rules[finding.rule], finding.subject.partition(" @ ")[2]
            alone = judge.element_verdict(rule, place)
            if alone is None or finding.verdict is Verdict.CONFLICT:
                continue
            applies = conjunction([regimes[finding.profile], judge.covers_flow(rule, flow.id)])
            of_flow = Verdict.ATTESTED if finding.verdict is Verdict.ATTESTED and alone is Verdict.PASS else alone
            assert finding.verdict is expected(applies, of_flow, rule)  # the kind of flow may be attested


def expected(applies: bool | None, alone: Verdict, rule: Rule) -> Verdict:
    if applies is False:
        return Verdict.NOT_APPLICABLE
    if applies or not alone.stops:
        return alone
    fails = rule.when_unknown == "fail" and rule.kind != "coverage"
    return Verdict.FAIL if fails else Verdict.UNKNOWN


@seldom
@given(seed=worlds)
def test_a_regime_applies_if_any_part_touches_it(seed: int) -> None:
    _, network, library = world(seed)
    judge = Judge(network, library, AT)
    for flow in network.of_kind("flow"):
        told = [(each.level, each.subject.partition(" @ ")[2]) for each in judge.flow(flow.id)]
        named = network.entities  # a place instead of an edge touches nothing
        places = {place for level, place in told if place in named and named[place].kind in LEVELS[level]}
        for profile, applies in judge.regimes(flow.id).items():
            touched = [
                judge.touched_by_flow(profile, flow.id),
                *(judge.touched_by_element(profile, p, flow.id) for p in places),
            ]
            if True in touched:
                assert applies
            if applies is False:
                assert set(touched) == {False}


@seldom
@given(seed=worlds)
def test_a_question_is_judged_like_a_declared_flow(seed: int) -> None:
    _, network, library = world(seed)
    judge = Judge(network, library, AT)
    for flow in network.of_kind("flow"):
        assert judge.flow(flow) == judge.flow(flow.id)
        assert judge.flow(flow) == Judge(network, library, AT).flow(flow)


@seldom
@given(seed=worlds)
def test_every_verdict_has_evidence_or_missing_facts(seed: int) -> None:
    _, network, library = world(seed)
    for finding in Judge(network, library, AT).report().findings:
        assert finding.message.endswith(".")
        assert plain(finding)
        if finding.verdict in (Verdict.FAIL, Verdict.PASS, Verdict.CONFLICT) and finding.evidence:
            assert finding.assurance is min(each.assurance for each in finding.evidence)
        for each in finding.evidence:
            owner = each.path.partition(".")[0]
            assert owner in network.entities or each.path.startswith(("list ", "states "))
        if finding.verdict is Verdict.UNKNOWN and library.rules[finding.rule].kind != COVERAGE:
            assert finding.missing or any(each.holds is None and each.note for each in finding.evidence)
