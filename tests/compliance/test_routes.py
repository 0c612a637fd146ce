"""Routes compared with brute force: every simple path of networkx, judged by the plain judge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from random import Random
from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.compliance.build import (
    AT,
    app,
    condition,
    facility,
    flow,
    library,
    listing,
    network,
    organisation,
    participant,
    profile,
    row,
    rule,
    segment,
    span,
    touch,
)

from sycee.compliance.facts import Adoption, Entity, Network, Waiver
from sycee.compliance.profiles import Library, Rule
from sycee.compliance.routing.routes import NearestMiss, Route, Router, RouteResult
from sycee.compliance.verdicts import Force, Verdict
from sycee.compliance.vocabulary import PATH_LEVELS
from sycee.core.errors import IntegrityError, UsageError

STATES = ("AA", "BB", "CC")
FIRMS = ("firm-d", "firm-e", "firm-a", "firm-b", "firm-c", "firm-d")
SUBJECTS = (("AA",), ("AA", "CC"), ("AA", "BB"))
REGIMES = ("one", "two", "three")
LISTED = listing(row("firm-a"), row("firm-b", status="pending"))
SINCE, UNTIL = date(2020, 1, 1), date(2030, 1, 1)


def some(random: Random, **facts: Any) -> dict[str, Any]:
    """Return facts, a few of which are left out."""
    return {name: value for name, value in facts.items() if random.random() > 0.04}


def made(random: Random) -> Network:
    """Return a network with a payer and a payee, mostly at two places that several paths join."""
    owned = [{"owner": "firm-a", "share_bp": random.choice((1200, 6000))}]
    entities: dict[str, Any] = {
        "firm_a": organisation(state="AA"),
        "firm_b": organisation(state="BB"),
        "firm_c": organisation(state="CC", owners=owned),
        "firm_d": organisation(state="AA"),
        "firm_e": organisation(state="BB"),
    }
    places = random.randint(3, 5)
    for place in range(places - random.randint(0, 1)):  # the last may be undeclared
        state = random.choice(STATES if place > 1 else STATES[:2])
        entities[f"place_{place}"] = facility(**some(random, state=state, operator=random.choice(FIRMS)))
    joined = [(0, 2), (2, 1), (0, 1), (0, places - 1), (1, places - 1)]
    joined += [tuple(random.sample(range(places), 2)) for _ in range(5)]
    random.shuffle(joined)
    for edge, pair in enumerate(joined[: random.randint(4, 10)]):
        ends = [f"place-{end}" for end in pair]
        facts = some(random, operator=random.choice(FIRMS), ends=ends, cost=random.randint(0, 3))
        entities[f"edge_{edge}"] = random.choice((span, segment))(**facts)
    for name, usual in (("payer", 0), ("payee", 1)):
        place = usual if random.random() < 0.9 else random.randrange(places)
        facts = some(random, state=random.choice(STATES), forced_upgrades=random.random() < 0.1)
        entities[name] = participant(**facts, gateway=f"place-{place}")
    facts = some(random, purpose=random.choice(("payment", "support")), subject_states=random.choice(SUBJECTS))
    entities["payment"] = flow(from_="payer", to="payee", classes=("payment",), **facts)
    adoptions = [Adoption(each, "authority", "act", SINCE, UNTIL) for each in REGIMES if random.random() < 0.5]
    subjects = ("payment", "place-0", "edge-0", "payment @ place-1", "payment @ edge-1", "payee")
    named = f"{random.choice(REGIMES)}/rule-{random.randint(0, 2)}"
    waiver = Waiver(named, random.choice(subjects), "officer", "so", AT, UNTIL)
    return network(**entities, adoptions=adoptions, waivers=[waiver] if random.random() < 0.4 else [])


def networks() -> st.SearchStrategy[Network]:
    """Return a network from a seed; networks that hypothesis draws are too similar to have different paths."""
    return st.integers(0, 1 << 32).map(lambda seed: made(Random(seed)))


TOUCHES = (
    touch("flow", "from.state", "any-in", values=["AA"]),
    touch("flow", "to.state", "any-in", values=["BB"]),
    touch("facility", "state", "any-in", values=["BB"]),
    touch("edge", "operator.state", "any-in", values=["CC"]),
    touch("segment", "flow.purpose", "any-in", values=["support"]),
)
RULES = (
    rule("facility", condition("state", "none-in", values=["CC"])),
    rule("facility", condition("operator", "none-listed", list="list")),
    rule(
        "edge",
        condition("operator", "none-listed", list="list"),
        flow=(condition("purpose", "any-in", values=["payment"]),),
    ),
    rule(
        "edge",
        condition("operator", "none-listed", list="list"),
        flow=(condition("subject_states", "any-in", values=["BB"]),),
        when_unknown="fail",
    ),
    rule("span", condition("operator.state", "none-in", values=["BB"])),
    rule("segment", condition("operator", "declared"), unless=(condition("operator.state", "any-in", values=["AA"]),)),
    rule("facility", condition("state", "all-in", facts="flow.subject_states")),
    rule("edge", condition("operator.state", "none-in", facts="flow.subject_states"), when_unknown="fail"),
    rule("flow", condition("subject_states", "none-in", values=["BB"])),
    rule("flow", condition("purpose", "any-in", values=["payment"]), when_unknown="fail"),
    rule("participant", condition("forced_upgrades", "is-false")),
    rule("participant", condition("state", "none-in", values=["CC"]), kind="attested"),
)


def libraries(rules: tuple[Rule, ...] = RULES) -> st.SearchStrategy[Library]:
    """Draw one to three profiles, mostly with rules about elements on a path."""
    on_path = [each for each in rules if each.level in PATH_LEVELS]

    def made(random: Random) -> Library:
        profiles = []
        for name in REGIMES[: random.choice((1, 2, 3, 3))]:
            drawn = random.sample(on_path, 2) + random.sample(rules, random.randint(0, 1))
            named = [replace(each, id=f"rule-{number}") for number, each in enumerate(drawn)]
            touches = random.sample(TOUCHES, random.choice((0, 1, 1, 2)))
            profiles.append(profile(*named, id=name, touches=touches, status=random.choice(("law", "law", "pledge"))))
        return library(*profiles, LISTED)

    return st.integers(0, 1 << 32).map(lambda seed: made(Random(seed)))


def every_way(declared: Network) -> Iterator[tuple[str, ...]]:
    """Yield the edges of all simple paths between the two gateways."""
    drawn = nx.MultiGraph()
    ends = []
    for entity in declared.entities.values():
        if entity.kind == "participant":
            ends.append(entity.facts["gateway"].value)
        if "ends" in entity.facts:
            drawn.add_edge(*entity.facts["ends"].value, key=entity.id)
    drawn.add_nodes_from(ends)
    if ends[0] == ends[1]:
        yield ()
        return
    for way in nx.all_simple_edge_paths(drawn, *ends):
        yield tuple(key for *_, key in way)


def broken_and_lacking(router: Router, via: tuple[str, ...], under: set[str]) -> tuple[set[str], set[str]]:
    """Return the profiles that a path breaks and those that lack a fact, by the judge alone."""
    judge = router.judge
    applies = judge.regimes("payment", via)
    broken, lacking = set(), set()
    for party in ("payer", "payee"):
        for each in judge.findings(party):
            if each.verdict.stops and each.profile in under:
                (lacking if each.verdict is Verdict.UNKNOWN else broken).add(each.profile)
    for each in judge.flow("payment", via):
        if each.verdict.stops and each.profile in under:
            (broken if each.verdict > Verdict.UNKNOWN and applies[each.profile] else lacking).add(each.profile)
    return broken, lacking - broken


def order(router: Router, via: tuple[str, ...], under: set[str]) -> tuple[Any, ...]:
    broken, lacking = broken_and_lacking(router, via, under)
    costs = [router.judge.network.entities[edge].facts.get("cost") for edge in via]
    no_cost = any(cost is None for cost in costs)
    return len(broken), len(lacking) + no_cost, sum(cost.value for cost in costs if cost), len(via), via


def agrees(router: Router, answer: RouteResult, under: set[str]) -> None:
    """Check that the result is the first of all paths and agrees with the judge."""
    possible = [order(router, via, under) for via in every_way(router.judge.network)]
    if not possible:
        assert isinstance(answer, NearestMiss)
        assert not answer.joined
        return
    broken, lacking, cost, _, via = min(possible)
    assert answer.edges == via
    assert answer.cost == cost
    assert isinstance(answer, Route) == (broken == lacking == 0)
    if isinstance(answer, NearestMiss):
        assert (set(answer.broken), set(answer.lacking)) == broken_and_lacking(router, via, under)
        assert {each.profile for each in answer.stops} == {*answer.broken, *answer.lacking}


@given(declared=networks(), judging=libraries())
@settings(max_examples=60)
def test_the_result_is_the_first_of_all_paths(declared: Network, judging: Library) -> None:
    router = Router(declared, judging, AT)
    forces = {each.id: each.force(AT, declared.adoptions) for each in judging.profiles}
    enforced = {name for name, force in forces.items() if force is Force.ENFORCED}
    compared = router.compare("payment", as_if_enforced=forces)
    agrees(router, router.best("payment"), enforced)
    agrees(router, compared.together, set(forces))
    agrees(router, compared.free, set())
    answers = (compared.free, *compared.alone.values(), compared.together)
    found = tuple(each.cost if isinstance(each, Route) else None for each in answers)
    assert router.costs("payment", [(), *([name] for name in compared.alone), forces]) == found
    for name, answer in compared.alone.items():
        agrees(router, answer, {name})
        assert answer == router.under("payment", [name])


@given(declared=networks(), judging=libraries())
@settings(max_examples=40)
def test_a_further_profile_never_improves_a_route(declared: Network, judging: Library) -> None:
    more = Router(declared, judging, AT).best("payment")
    for left_out in judging.profiles:
        fewer = library(*(each for each in judging.profiles if each is not left_out), LISTED)
        less = Router(declared, fewer, AT).best("payment")
        assert isinstance(less, Route) or isinstance(more, NearestMiss)
        if isinstance(more, Route):
            assert less.cost <= more.cost


@given(declared=networks(), judging=libraries())
@settings(max_examples=40)
def test_no_route_loses_a_regime(declared: Network, judging: Library) -> None:
    router = Router(declared, judging, AT)
    answer = router.best("payment")
    applies = {each.profile: each.applies for each in answer.regimes}
    last = router.judge.regimes("payment", answer.edges)
    regimes = {name: truth for name, truth in last.items() if truth is not False}
    if isinstance(answer, NearestMiss) and not answer.joined:  # the judge does not know the elements between them
        regimes = {name: truth for name, truth in regimes.items() if truth or name in applies}
    assert applies == regimes
    before = router.judge.regimes("payment", ())
    for length in range(len(answer.edges) + 1):
        now = router.judge.regimes("payment", answer.edges[:length])
        # A regime that is unknown only because the first links do not reach the target may not apply after all.
        assert all(now[name] for name, applies in before.items() if applies)
        before = now


CLASHING = (
    *RULES[:3],
    rule("facility", condition("state", "all-in", values=["AA", "BB"])),
    rule("facility", condition("state", "all-in", values=["CC"])),
    rule("flow", condition("subject_states", "all-in", values=["AA"])),
    rule("flow", condition("subject_states", "all-in", values=["BB"])),
    rule("participant", condition("state", "all-in", values=["AA", "BB"])),
    rule("participant", condition("state", "all-in", values=["CC"])),
)


@given(declared=networks(), judging=libraries(CLASHING))
@settings(max_examples=40)
def test_where_regimes_conflict_there_is_a_route_only_if_nothing_stops_it(declared: Network, judging: Library) -> None:
    router = Router(declared, judging, AT)
    answer = router.best("payment")
    enforced = {each.id for each in judging.profiles if each.force(AT, declared.adoptions) is Force.ENFORCED}
    free = [via for via in every_way(declared) if order(router, via, enforced)[:2] == (0, 0)]
    assert isinstance(answer, Route) == bool(free)
    if free:
        assert answer.edges == min(free, key=lambda via: order(router, via, enforced))
    router.compare("payment", as_if_enforced=[each.id for each in judging.profiles])  # judge and search agree


UNLISTED = rule("edge", condition("operator", "none-listed", list="list"), remedy="take another carrier")
HOME = touch("facility", "state", "any-in", values=["BB"])
AT_HOME = {"state": "AA", "operator": "firm-d"}


def crossing(**more: Any) -> Network:
    """Return a network from AA by `long`, or by `landing` and `short` of a listed carrier; BB is behind `landing`."""
    return network(
        firm_a=organisation(),
        firm_d=organisation(),
        one=facility(**AT_HOME),
        middle=facility(**AT_HOME),
        other=facility(**AT_HOME | {"state": "BB"}),
        short=span(ends=["one", "middle"], operator="firm-a", cost=1),
        long=span(ends=["one", "middle"], operator="firm-d", cost=5),
        landing=segment(ends=["middle", "other"], operator="firm-d", cost=1),
        here=participant(gateway="one"),
        near=participant(gateway="middle"),
        there=participant(gateway="other"),
        **more,
    )


def paying(to: str, **facts: Any) -> Entity:
    return flow(**{"from_": "here", "to": to} | facts)("asked")


def test_a_regime_touched_late_applies_to_the_whole_path() -> None:
    router = Router(crossing(), library(profile(UNLISTED, touches=[HOME]), listing(row("firm-a"))), AT)
    near, there = router.best(paying("near")), router.best(paying("there"))
    assert isinstance(near, Route)
    assert (near.edges, near.cost, near.regimes) == (("short",), 1, ())
    assert isinstance(there, Route)
    assert (there.edges, there.cost, there.places) == (("long", "landing"), 6, ("one", "middle", "other"))
    assert [(each.profile, each.applies, each.touched_by) for each in there.regimes] == [("regime", True, "other")]
    assert {each.verdict for each in there.findings} <= {Verdict.PASS, Verdict.NOT_APPLICABLE}


def test_a_router_distinguishes_flows_that_rules_read() -> None:
    inside = rule("facility", condition("state", "all-in", facts="flow.subject_states"))
    router = Router(crossing(), library(profile(inside), listing()), AT)
    assert isinstance(router.best(paying("there", subject_states=["AA", "BB"])), Route)
    assert isinstance(router.best(paying("there", subject_states=["AA"])), NearestMiss)
    assert isinstance(router.best(paying("there", subject_states=["BB", "AA"])), Route)


def test_rules_may_read_elements_of_the_flow_at_every_place() -> None:
    asked = rule("facility", condition("reason", "any-in", values=["law"]), each="flow.stored")
    router = Router(crossing(), library(profile(asked), listing()), AT)
    assert isinstance(router.best(paying("there", stored=[{"at": "one", "reason": "law"}])), Route)
    assert isinstance(router.best(paying("there", stored=[{"at": "one", "reason": "business"}])), NearestMiss)


def test_two_regimes_each_have_a_route_and_both_have_none() -> None:
    other_list = listing(row("firm-d"), id="other-list")
    also = rule("edge", condition("operator", "none-listed", list="other-list"), remedy="lay another cable")
    one, two = profile(UNLISTED, id="one"), profile(also, id="two")
    router = Router(crossing(), library(one, two, listing(row("firm-a")), other_list), AT)
    compared = router.compare(paying("near"))
    assert compared.free.edges == ("short",)
    assert isinstance(compared.alone["one"], Route)
    assert compared.alone["one"].edges == ("long",)
    assert isinstance(compared.alone["two"], Route)
    assert compared.alone["two"].edges == ("short",)
    miss = compared.together
    assert isinstance(miss, NearestMiss)
    assert (miss.edges, miss.broken, miss.lacking, miss.under) == (("short",), ("one",), (), ("one", "two"))
    assert [(each.rule, each.subject) for each in miss.stops] == [("one/rule", "asked @ short")]
    assert miss.remedies == ("take another carrier",)
    assert miss.missing == ()


def test_both_rules_of_a_conflict_are_reported() -> None:
    east = profile(rule("facility", condition("state", "all-in", values=["AA"])), id="one")
    west = profile(rule("facility", condition("state", "all-in", values=["BB"])), id="two")
    router = Router(crossing(), library(east, west), AT)
    compared = router.compare(paying("near"))
    assert isinstance(compared.alone["one"], Route)
    miss = compared.together
    assert isinstance(miss, NearestMiss)
    assert (miss.broken, miss.lacking) == (("two",), ())  # this rule is met; only the other fails
    assert {(each.rule, each.verdict) for each in miss.stops} == {
        ("one/rule", Verdict.CONFLICT),
        ("two/rule", Verdict.CONFLICT),
    }


def test_a_nearest_miss_names_its_missing_facts() -> None:
    declared = network(
        firm_d=organisation(),
        one=facility(**AT_HOME),
        two=facility(**AT_HOME),
        link=span(ends=["one", "two"]),
        here=participant(gateway="one"),
        there=participant(gateway="two"),
    )
    miss = Router(declared, library(profile(UNLISTED), listing(row("firm-a"))), AT).best(paying("there"))
    assert isinstance(miss, NearestMiss)
    assert (miss.joined, miss.broken, miss.lacking) == (True, (), ("regime",))
    assert miss.missing == ("link.operator", "link.cost")


@pytest.mark.parametrize(
    ("says", "kind", "broken"),
    [("fail", "checked", True), ("unknown", "checked", False), ("fail", "coverage", False)],
)
def test_a_rule_can_count_unknown_as_broken_unless_it_states_what_is_modelled(
    says: str, kind: str, broken: bool
) -> None:
    only = (condition("purpose", "any-in", values=["payment"]),)
    strict = replace(UNLISTED, flow=only, when_unknown=says, kind=kind)
    everyone = listing(row("firm-a"), row("firm-d"))
    miss = Router(crossing(), library(profile(strict), everyone), AT).best(paying("near"))
    assert isinstance(miss, NearestMiss)
    assert (miss.broken, miss.lacking) == ((("regime",), ()) if broken else ((), ("regime",)))
    assert miss.edges == ("short",)


@pytest.mark.parametrize("lost", ["gateway", "ends"])
def test_gateways_without_a_path_are_reported(lost: str) -> None:
    facts: dict[str, Any] = {"gateway": "two", "ends": ["one", "two"]}
    declared = network(
        one=facility(**AT_HOME),
        two=facility(**AT_HOME),
        link=span(cost=1, **({} if lost == "ends" else {"ends": facts["ends"]})),
        here=participant(gateway="one"),
        there=participant(**({} if lost == "gateway" else {"gateway": facts["gateway"]})),
    )
    miss = Router(declared, library(profile(UNLISTED), listing(row("firm-a"))), AT).best(paying("there"))
    assert isinstance(miss, NearestMiss)
    assert not miss.joined
    assert miss.edges == ()
    assert f"{'there' if lost == 'gateway' else 'link'}.{lost}" in miss.missing


def test_a_pledge_without_adoption_advises_and_can_be_considered() -> None:
    router = Router(crossing(), library(profile(UNLISTED, status="pledge"), listing(row("firm-a"))), AT)
    advised = router.best(paying("near"))
    assert isinstance(advised, Route)
    assert advised.edges == ("short",)
    assert [(each.force, each.applies) for each in advised.regimes] == [(Force.ADVISED, True)]
    assert any(each.verdict is Verdict.FAIL and each.subject == "asked @ short" for each in advised.findings)
    assert router.best(paying("near"), as_if_enforced=["regime"]).edges == ("long",)
    assert router.compare(paying("near")).alone["regime"].edges == ("long",)
    with pytest.raises(UsageError, match="no profile regimen is in effect") as unknown:
        router.best(paying("near"), as_if_enforced=["regimen"])
    assert unknown.value.hint == 'did you mean "regime"?'


def test_a_rule_that_a_participant_breaks_refuses_every_path() -> None:
    asked = rule("participant", condition("exit_terms", "is-true"), remedy="give terms")
    router = Router(crossing(), library(profile(asked), listing()), AT)
    miss = router.best(paying("near"))
    assert isinstance(miss, NearestMiss)
    assert (miss.lacking, miss.edges) == (("regime",), ("short",))
    assert miss.missing == ("here.exit_terms", "near.exit_terms")
    assert miss.remedies == ("give terms",)


@pytest.mark.parametrize(
    ("facts", "stops"),
    [
        ({"organisation": "firm-d", "apps": []}, []),
        ({"organisation": "firm-a", "apps": []}, ["firm-a"]),
        ({"organisation": "firm-d", "apps": ["purse"]}, ["purse"]),
        ({"organisation": "firm-d"}, ["near.apps"]),
        ({"apps": []}, ["near.organisation"]),
        ({"organisation": "firm-x", "apps": ["app-x"]}, ["firm-x", "app-x"]),
    ],
)
def test_the_organisation_and_the_apps_of_a_participant_count(facts: dict[str, Any], stops: list[str]) -> None:
    """Undeclared ones count too, as in an admission."""
    made = crossing(purse=app(publisher="firm-a"))
    here = participant(gateway="one", organisation="firm-d", apps=[])("here")
    near = participant(gateway="middle", **facts)("near")
    made = replace(made, entities={**made.entities, "here": here, "near": near})
    regime = profile(
        rule("organisation", condition("state", "none-in", values=["ZZ"]), id="state"),
        rule("app", condition("publisher", "none-listed", list="list"), id="publisher"),
    )
    states = {"firm-a": "ZZ", "firm-d": "AA"}
    declared = {id: organisation(state=state)(id) for id, state in states.items()}
    router = Router(replace(made, entities={**made.entities, **declared}), library(regime, listing(row("firm-a"))), AT)
    answer = router.best(paying("near"))
    assert isinstance(answer, NearestMiss) == bool(stops)
    assert [each.subject for each in getattr(answer, "stops", ())] == stops
    assert router.costs(paying("near"), [["regime"], []]) == (None if stops else 1, 1)


def test_a_disagreement_of_judge_and_search_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    router = Router(crossing(), library(profile(UNLISTED), listing(row("firm-a"))), AT)
    judged = router.judge.flow(paying("near"), ["short"])
    monkeypatch.setattr(router.judge, "flow", lambda *_: judged)
    with pytest.raises(IntegrityError, match="judge and search disagree on the route of asked by long"):
        router.best(paying("near"))


def test_a_flow_that_is_not_declared_is_refused() -> None:
    router = Router(crossing(), library(profile(UNLISTED), listing(row("firm-a"))), AT)
    with pytest.raises(UsageError, match="nowhere"):
        router.best("nowhere")
