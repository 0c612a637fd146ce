"""Parties of states: ties, control by shares, branches, employees, and the exception for the home state."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.compliance import generate
from tests.compliance.build import AT, Maker, condition, entity, network, organisation, without
from tests.compliance.naive import Naive

from sycee.compliance.facts import Entity, Fact, Network
from sycee.compliance.judging.control import ControlMatch
from sycee.compliance.judging.effective_facts import EffectiveNetwork
from sycee.compliance.judging.logic import Truth
from sycee.compliance.judging.state_control import StateLookup
from sycee.compliance.profiles import Condition, build_library
from sycee.compliance.vocabulary import EMPLOYED, TIES, USUAL_TIES

pytestmark = pytest.mark.fast

HOME = frozenset({"HH"})


def controlled(*states: str, **about: Any) -> Condition:
    given = {"values": states or ("CC",), "ties": USUAL_TIES, "home": HOME} | about
    return condition("to.organisation", "controlled-by", **given)


def match(made: Network, of: Condition, party: str = "firm") -> ControlMatch:
    found = StateLookup(of, EffectiveNetwork(made, AT)).match(party)
    assert Naive(made, build_library([], []), AT).controlled(party, of) is found.truth
    return found


def truth_of(of: Condition, party: str = "firm", **organisations: Maker) -> Truth:
    return match(network(**organisations), of, party).truth


def firm(*shares: tuple[str, int], state: str | None = "AA", headquarters: str | None = "AA", **about: Any) -> Maker:
    """Return a maker of a firm of AA with these owners; the other shares are dispersed."""
    owners = [{"owner": owner, "share_bp": share} for owner, share in shares]
    given = {"state": state, "headquarters": headquarters, "owners": owners} | about
    given.setdefault("dispersed_bp", 10_000 - sum(share for _, share in shares))
    return organisation(**{name: value for name, value in given.items() if value is not None})


def whole(*shares: tuple[str, int], **about: Any) -> Maker:
    """Return a maker of a firm of AA whose other shares a firm of AA holds, `rest`."""
    return firm(*shares, ("rest", 10_000 - sum(share for _, share in shares)), **about)


def person(resides_in: str | None = "AA", citizen_of: Any = ("AA",), works_for: Any = ()) -> Maker:
    facts = {"person": True, "resides_in": resides_in, "citizen_of": citizen_of, "works_for": works_for}
    return entity("organisation", **{name: value for name, value in facts.items() if value is not None})


def branch(of: str) -> Maker:
    return entity("organisation", branch_of=of)


# --- ties of a party itself ---


@pytest.mark.parametrize(
    ("party", "truth", "missing"),
    [
        (firm(), False, ()),
        (firm(state="CC"), True, ()),
        (firm(headquarters="CC"), True, ()),
        (firm(state="HH", headquarters="CC"), False, ()),  # organised under the laws of home alone
        (firm(state=None, organised_in=("HH", "LL"), headquarters="CC"), True, ()),
        (firm(state=None, organised_in=("HH", "CC")), True, ()),
        (firm(headquarters=None), None, ("firm.headquarters",)),
        (firm(state=None), None, ("firm.state",)),
        (firm(state="HH", headquarters=None), False, ()),
        (firm(state="CC", headquarters=None), True, ()),
        (person(), False, ()),
        (person(resides_in="CC"), True, ()),
        (person(resides_in="CC", citizen_of=("CC", "HH")), False, ()),  # a citizen of home lives there
        (person(resides_in="HH", citizen_of=("CC",)), False, ()),
        (person(resides_in="AA", citizen_of=("CC",)), False, ()),  # citizenship is none of the ties
        (person(resides_in=None), None, ("firm.resides_in",)),
        (person(resides_in="CC", citizen_of=None), None, ("firm.citizen_of",)),
        (person(resides_in="CC", citizen_of=()), True, ()),
    ],
)
def test_a_party_is_of_a_state_by_its_ties(party: Maker, truth: Truth, missing: tuple[str, ...]) -> None:
    found = match(network(firm=party), controlled())
    assert found.truth is truth
    assert found.missing == missing


def test_only_the_ties_of_the_condition_count() -> None:
    parties = {
        "organised": firm(state="CC"),
        "headquarters": firm(headquarters="CC"),
        "resident": person(resides_in="CC"),
        "citizen": person(citizen_of=("CC",)),
        "employed": person(works_for=("organised",)),
    }
    made = network(**parties)
    for tie in TIES:
        found = {name for name in parties if match(made, controlled(ties=(tie,), home=frozenset()), name).truth}
        assert found == ({tie} if tie != EMPLOYED else set())  # nobody is an employer by employment alone
    assert match(made, controlled(ties=("organised", "employed")), "employed").truth is True


def test_states_outside_a_set() -> None:
    of = controlled("AA", outside=True, home=frozenset(), ties=("organised", "citizen"), control_bp=1)
    assert truth_of(of, firm=firm()) is False
    assert truth_of(of, firm=firm(state="BB")) is True
    assert truth_of(of, firm=person(citizen_of=("AA", "BB"))) is True
    assert truth_of(of, other=firm(state="BB"), firm=firm(("other", 1))) is True
    assert truth_of(of, other=firm(), firm=firm(("other", 10_000))) is False


# --- shares ---


@pytest.mark.parametrize(
    ("shares", "control_bp", "truth"),
    [
        ((("bad", 4999),), 5000, False),
        ((("bad", 5000),), 5000, True),
        ((("bad", 2500), ("worse", 2500)), 5000, True),
        ((("bad", 2500), ("worse", 2499)), 5000, False),
        ((("bad", 1000),), 1000, True),
        ((("bad", 2500), ("lives-there", 2500)), 5000, True),
        ((("lives-there", 5000),), 5000, True),
        ((("emigrant", 10_000),), 5000, False),  # a citizen of home who lives there
    ],
)
def test_holders_of_states_add_up(shares: tuple[tuple[str, int], ...], control_bp: int, truth: Truth) -> None:
    others = {
        "bad": firm(state="CC"),
        "worse": firm(headquarters="CC"),
        "lives_there": person(resides_in="CC"),
        "emigrant": person(resides_in="CC", citizen_of=("HH",)),
    }
    assert truth_of(controlled(control_bp=control_bp), firm=firm(*shares), **others) is truth


def test_control_is_attributed_or_multiplied() -> None:
    """Half of half is a quarter if shares are multiplied, and the whole if control passes whole."""
    rest = firm(owners=[], dispersed_bp=0)
    parties = {"bad": firm(state="CC"), "rest": rest, "middle": whole(("bad", 5000)), "firm": whole(("middle", 5000))}
    assert truth_of(controlled(), **parties) is True
    ties = ("organised",)
    assert truth_of(controlled(chain="multiply", ties=ties), **parties) is False
    assert truth_of(controlled(chain="multiply", ties=ties, control_bp=2500), **parties) is True
    assert truth_of(controlled(chain="multiply", ties=ties, control_bp=2501), **parties) is False
    # 45 % of the owner of 70 %, and 30 % directly: 61.5 % in all, but the middle is not controlled.
    both = {"bad": firm(state="CC"), "middle": whole(("bad", 4500)), "firm": firm(("bad", 3000), ("middle", 7000))}
    both["rest"] = rest
    assert truth_of(controlled(), **both) is False
    found = match(network(**both), controlled(chain="multiply", ties=ties, control_bp=6150))
    assert found.truth is True
    assert found.chain == (
        "bad.state is CC",
        "bad holds 4,500 of 10,000 basis points of middle",
        "bad and middle together hold 10,000 of 10,000 basis points of firm",
        "multiplied along all chains, that is 6,150 basis points of firm",
    )
    assert truth_of(controlled(chain="multiply", ties=ties, control_bp=6151), **both) is False


def test_shares_pass_through_a_firm_of_the_home_state_that_is_excepted_itself() -> None:
    parties = {"bad": firm(state="CC"), "middle": firm(("bad", 10_000), state="HH"), "firm": firm(("middle", 10_000))}
    assert truth_of(controlled(), party="middle", **parties) is False
    assert truth_of(controlled(), **parties) is True


@pytest.mark.parametrize("chain", ["attribute", "multiply"])
def test_undeclared_shares_could_belong_to_anybody(chain: str) -> None:
    of = controlled(chain=chain, ties=("organised",))
    bad = firm(state="CC")
    found = match(network(bad=bad, firm=firm(("bad", 2000), dispersed_bp=3000)), of)
    assert (found.truth, found.missing) == (None, ("firm.owners",))
    # Dispersed holders are too small to control, but any of their shares may count where shares are multiplied.
    spread = truth_of(of, bad=bad, firm=firm(("bad", 2000), dispersed_bp=5001))
    assert spread is (False if chain == "attribute" else None)
    nobody = match(network(firm=firm(("nobody", 10_000))), of)
    assert (nobody.truth, nobody.missing) == (None, ("nobody.state", "nobody.owners"))


@pytest.mark.parametrize(
    ("shares", "least_bp"),
    [
        ((("firm", 2000), ("bad", 4000)), 5000),  # 40 of the 80 that others hold
        ((("firm", 6000), ("bad", 4000)), 10_000),
        ((("firm", 3500), ("bad", 3500)), 5384),  # 35 of 65
    ],
)
def test_a_circle_of_multiplied_shares_is_solved(shares: tuple[tuple[str, int], ...], least_bp: int) -> None:
    made = network(bad=firm(state="CC"), firm=whole(*shares), rest=firm(owners=[], dispersed_bp=0))
    for control_bp, truth in ((least_bp, True), (least_bp + 1, False)):
        if control_bp <= 10_000:
            of = controlled(chain="multiply", ties=("organised",), control_bp=control_bp)
            assert match(made, of).truth is truth


def test_a_circle_without_an_outside_owner_is_unknown() -> None:
    ring = {"firm": firm(("other", 10_000)), "other": firm(("firm", 10_000))}
    for chain in ("attribute", "multiply"):
        found = match(network(**ring), controlled(chain=chain, ties=("organised",)))
        assert (found.truth, found.missing) == (None, ())
        assert "hold each other" in found.facts[0].note


def test_a_large_circle_of_multiplied_shares_is_approximated_soundly() -> None:
    names = [f"firm{number}" for number in range(40)]
    ring = {name: whole((owner, 5000), ("bad", 3000)) for name, owner in pairwise([*names, names[0]])}
    made = network(bad=firm(state="CC"), rest=firm(owners=[], dispersed_bp=0), **ring)
    for control_bp, truth in ((5999, True), (6001, False)):  # x = x / 2 + 3 / 10
        of = controlled(chain="multiply", ties=("organised",), control_bp=control_bp)
        assert match(made, of, "firm0").truth is truth


@pytest.mark.parametrize("chain", ["attribute", "multiply"])
@pytest.mark.parametrize(("top", "truth"), [("CC", True), ("AA", False)])
def test_a_chain_of_two_thousand_levels_is_answered(chain: str, top: str, truth: bool) -> None:
    names = [f"level{number}" for number in range(2_000)]
    levels: dict[str, Maker] = {name: firm((owner, 10_000)) for name, owner in pairwise([*names, "top"])}
    made = EffectiveNetwork(network(top=firm(state=top, owners=[], dispersed_bp=0), **levels), AT)
    assert StateLookup(controlled(chain=chain, ties=("organised",)), made).match("level0").truth is truth


# --- branches and employees ---


@pytest.mark.parametrize(
    ("parent", "truth"),
    [(firm(state="CC"), True), (firm(state="HH", headquarters="CC"), False), (firm(), False)],
)
def test_a_branch_is_a_part_of_its_parent(parent: Maker, truth: Truth) -> None:
    parties = {"parent": parent, "office": branch("parent"), "desk": branch("office")}
    assert truth_of(controlled(), party="office", **parties) is truth
    assert truth_of(controlled(), party="desk", **parties) is truth
    found = match(network(**parties), controlled(), "desk")
    assert found.chain[1:] == (("office is a branch of parent", "desk is a branch of office") if truth else ())


def test_branches_of_each_other_are_unknown() -> None:
    assert truth_of(controlled(), party="one", one=branch("two"), two=branch("one")) is None
    assert truth_of(controlled(), party="one", one=branch("two")) is None


@pytest.mark.parametrize(
    ("worker", "truth", "missing"),
    [
        (person(works_for=("bad",)), True, ()),
        (person(works_for=("good", "bad")), True, ()),
        (person(works_for=("held",)), True, ()),
        (person(works_for=("office",)), True, ()),
        (person(works_for=("good",)), False, ()),
        (person(works_for=("daughter",)), False, ()),  # an organisation of the home state, though it is held
        (person(works_for=("bad",), citizen_of=("HH",)), False, ()),
        (person(works_for=("bad",), resides_in="HH"), False, ()),
        (person(works_for=None), None, ("worker.works_for",)),
        (person(works_for=("bad",), citizen_of=None), None, ("worker.citizen_of",)),
        (person(works_for=("somebody",)), None, ("somebody.state",)),
    ],
)
def test_an_employee_of_a_covered_organisation_counts(worker: Maker, truth: Truth, missing: tuple[str, ...]) -> None:
    parties = {
        "bad": firm(state="CC"),
        "good": firm(),
        "held": firm(("bad", 5000)),
        "office": branch("bad"),
        "daughter": firm(("bad", 10_000), state="HH"),
        "somebody": firm(("bad", 10_000), state=None),
    }
    found = match(network(worker=worker, **parties), controlled(), "worker")
    assert found.truth is truth
    assert found.missing == missing


def test_an_employee_counts_as_an_owner() -> None:
    parties = {"bad": firm(state="CC"), "worker": person(works_for=("bad",)), "firm": firm(("worker", 5000))}
    found = match(network(**parties), controlled())
    assert found.truth is True
    assert found.chain == (
        "bad.state is CC",
        "worker works for bad",
        "worker holds 5,000 of 10,000 basis points of firm",
    )


# --- changes that must not clear ---


def case() -> Network:
    """Return a firm that is controlled over a chain, a branch, an employee and a firm of home."""
    return network(
        government=firm(state="CC", headquarters="CC", owners=[], dispersed_bp=None),
        holding=firm(("government", 6000), ("somebody", 4000)),
        somebody=person(),
        abroad=firm(("holding", 5000), ("lives-there", 5000), state="HH"),
        lives_there=person(resides_in="CC"),
        office=branch("holding"),
        worker=person(works_for=("office",)),
        firm=firm(("abroad", 3000), ("worker", 2000), ("somebody", 5000)),
    )


COVERED = ("government", "holding", "lives-there", "office", "worker", "firm")


@pytest.mark.parametrize("party", COVERED)
def test_dropping_any_field_clears_nobody(party: str) -> None:
    made = case()
    assert match(made, controlled(), party).truth is True
    for id, each in made.entities.items():
        for field in each.facts:
            assert match(without(made, id, field), controlled(), party).truth is not False, (id, field)


@pytest.mark.parametrize("party", COVERED)
@pytest.mark.parametrize("state", ["HH", "AA", None])
def test_an_organisation_between_two_others_clears_nobody(party: str, state: str | None) -> None:
    made = case()
    for id, each in made.entities.items():
        owners = each.values("owners")
        for number, owner in enumerate(owners):
            (holder,) = owner.values("owner")
            facts = dict(firm((holder, 10_000), state=state, headquarters=state)("between").facts)
            through = replace(owner, facts={**owner.facts, "owner": Fact("between")})
            held = Fact((*owners[:number], through, *owners[number + 1 :]))
            changed = replace(each, facts={**each.facts, "owners": held})
            more = {**made.entities, id: changed, "between": Entity("organisation", "between", "between", facts)}
            longer = replace(made, entities=more)
            assert match(longer, controlled(), party).truth is True, (id, holder)


def test_renaming_clears_nobody() -> None:
    made = case()

    def renamed(value: Any) -> Any:
        if isinstance(value, str):
            return f"new-{value}" if value in made.entities else value
        if isinstance(value, tuple):
            return tuple(renamed(each) for each in value)
        if hasattr(value, "facts"):
            return replace(value, facts={name: replace(f, value=renamed(f.value)) for name, f in value.facts.items()})
        return value

    entities = {f"new-{id}": replace(renamed(each), id=f"new-{id}", name="x") for id, each in made.entities.items()}
    for party in COVERED:
        assert match(replace(made, entities=entities), controlled(), f"new-{party}").truth is True


def test_results_are_cached_and_shares_have_days() -> None:
    made = network(bad=firm(state="CC"), firm=organisation(owners=[{"owner": "bad", "share_bp": 9000, "until": AT}]))
    lookup = StateLookup(controlled(), EffectiveNetwork(made, AT))
    assert lookup.match("firm") is lookup.match("firm")
    assert lookup.match("firm").missing == ("firm.state", "firm.headquarters", "firm.owners")


# --- random networks ---

seldom = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@seldom
@given(seed=st.integers(0, 2**32 - 1))
def test_lookups_agree_with_their_plain_twin(seed: int) -> None:
    random = Random(seed)
    made = generate.network(random)
    for _ in range(3):
        of = controlled(**generate.of_states(random))
        for party in [*generate.ids("organisation"), "no-organisation", "flow-0"]:
            match(made, of, party)


@seldom
@given(seed=st.integers(0, 2**32 - 1))
def test_an_organisation_between_two_others_clears_nobody_in_any_network(seed: int) -> None:
    random = Random(seed)
    made = generate.network(random)
    of = controlled(**generate.of_states(random))
    before = StateLookup(of, EffectiveNetwork(made, AT))
    held = [each for each in made.of_kind("organisation") for owner in each.values("owners") if owner.values("owner")]
    if not held:
        return
    each = random.choice(held)
    owners = each.values("owners")
    number = random.choice([at for at, owner in enumerate(owners) if owner.values("owner")])
    (holder,) = owners[number].values("owner")
    facts = {**generate.of_firms(random), "owners": firm((holder, 10_000))("between").facts["owners"]}
    named = replace(owners[number].facts["owner"], value="between")
    through = replace(owners[number], facts={**owners[number].facts, "owner": named})
    changed = Fact((*owners[:number], through, *owners[number + 1 :]), expires=each.facts["owners"].expires)
    entities = {**made.entities, each.id: replace(each, facts={**each.facts, "owners": changed})}
    entities["between"] = Entity("organisation", "between", "between", facts)
    after = StateLookup(of, EffectiveNetwork(replace(made, entities=entities), AT))
    for party in generate.ids("organisation"):
        assert before.match(party).truth is False or after.match(party).truth is not False
