"""Control: chains, circles, sums of shares, and undeclared shares."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from tests.compliance.build import (
    AT,
    Maker,
    cloud,
    condition,
    entity,
    fact,
    library,
    listing,
    network,
    organisation,
    participant,
    profile,
    row,
    rule,
    segment,
    without,
)
from tests.compliance.naive import Naive

from sycee.compliance.fact_paths import Roots
from sycee.compliance.facts import Network
from sycee.compliance.judging.control import ControlMatch
from sycee.compliance.judging.effective_facts import EffectiveNetwork
from sycee.compliance.judging.ownership import ListLookup
from sycee.compliance.profiles import Row

pytestmark = pytest.mark.fast


def owned(*shares: tuple[str, int], dispersed_bp: int | None = None, **about: Any) -> Maker:
    """Return a maker of an organisation with these owners; other shares are undeclared unless dispersed."""
    owners = [{"owner": owner, "share_bp": share} for owner, share in shares]
    return organisation(owners=owners, dispersed_bp=dispersed_bp, **about)


def match_of_firm(*rows: Row, control_bp: int = 5000, at: date = AT, **organisations: Maker) -> ControlMatch:
    """Return the match of the organisation `firm`."""
    declared = network(**organisations)
    return ListLookup(listing(*rows), EffectiveNetwork(declared, at), control_bp).match("firm")


BAD = row("bad")


@pytest.mark.parametrize(
    ("share_bp", "control_bp", "truth"),
    [(1200, 5000, False), (4999, 5000, False), (5000, 5000, True), (1200, 1200, True), (6000, 7500, False)],
)
def test_shares_below_the_threshold_are_no_control(share_bp: int, control_bp: int, truth: bool) -> None:
    firm = owned(("bad", share_bp), dispersed_bp=10_000 - share_bp)
    assert match_of_firm(BAD, control_bp=control_bp, bad=organisation(), firm=firm).truth is truth


def test_control_goes_down_a_chain() -> None:
    found = match_of_firm(
        BAD,
        bad=organisation(),
        middle=owned(("bad", 5100), dispersed_bp=4900),
        firm=owned(("middle", 5100), dispersed_bp=4900),
    )
    assert found.truth is True
    assert found.chain == (
        "bad holds 5,100 of 10,000 basis points of middle",
        "middle holds 5,100 of 10,000 basis points of firm",
    )
    assert found.row == "list: bad"
    assert "firm.owners[1].share_bp" in {each.path for each in found.facts}


def test_a_broken_chain_is_no_control() -> None:
    middle = owned(("bad", 4900), dispersed_bp=5100)
    firm = owned(("middle", 10_000))
    assert match_of_firm(BAD, bad=organisation(), middle=middle, firm=firm).truth is False


def test_listed_holders_add_up() -> None:
    firm = owned(("bad", 3000), ("worse", 2500), dispersed_bp=4500)
    both = {"bad": organisation(), "worse": organisation(), "firm": firm}
    assert match_of_firm(BAD, **both).truth is False
    found = match_of_firm(BAD, row("worse"), **both)
    assert found.truth is True
    assert found.chain == ("bad and worse together hold 5,500 of 10,000 basis points of firm",)
    assert found.row == "list: bad; list: worse"


def test_direct_and_indirect_shares_add_up() -> None:
    found = match_of_firm(
        BAD,
        bad=organisation(),
        middle=owned(("bad", 6000), dispersed_bp=4000),
        firm=owned(("bad", 2000), ("bad", 1000), ("middle", 2500), dispersed_bp=4500),
    )
    assert found.truth is True
    assert found.chain[-1] == "bad and middle together hold 5,500 of 10,000 basis points of firm"


@pytest.mark.parametrize(
    ("firm", "truth", "missing"),
    [
        (owned(("good", 5001)), False, ()),
        (owned(("good", 5000)), None, ("firm.owners",)),
        (owned(("bad", 1000), ("good", 5000)), None, ("firm.owners",)),
        (owned(("bad", 1000), ("good", 5000), dispersed_bp=4000), False, ()),
        (organisation(owners=None, dispersed_bp=5001), False, ()),
        (organisation(owners=None, dispersed_bp=5000), None, ("firm.owners",)),
        (organisation(owners=None, dispersed_bp=None), None, ("firm.owners",)),
        (organisation(owners=[]), False, ()),  # no owner
        (organisation(owners=[{"owner": "bad"}], dispersed_bp=6000), False, ()),  # too little in any case
        (organisation(owners=[{"owner": "bad"}], dispersed_bp=5000), None, ("firm.owners",)),
        (organisation(owners=[{"share_bp": 6000}], dispersed_bp=4000), None, ("firm.owners",)),
        (owned(("nobody", 10_000)), None, ("nobody.identifiers", "nobody.owners")),
    ],
)
def test_undeclared_shares_could_belong_to_anybody(firm: Maker, truth: bool | None, missing: tuple[str, ...]) -> None:
    found = match_of_firm(BAD, bad=organisation(), good=organisation(), firm=firm)
    assert found.truth is truth
    assert found.missing == missing


def test_a_possibly_listed_owner_may_control() -> None:
    firm = owned(("maybe", 10_000))
    found = match_of_firm(row("maybe", status="pending"), maybe=organisation(), firm=firm)
    assert found.truth is None
    assert "maybe" in found.row
    nameless = match_of_firm(BAD, maybe=organisation(identifiers=None), firm=firm)
    assert nameless.missing == ("maybe.identifiers",)
    # Control needs more than its share.
    small = owned(("maybe", 1200), dispersed_bp=8800)
    assert match_of_firm(row("maybe", status="pending"), maybe=organisation(), firm=small).truth is False


def test_circles_of_owners_are_followed_to_their_end() -> None:
    ring = {"firm": owned(("other", 10_000)), "other": owned(("firm", 6000), ("bad", 4000))}
    assert match_of_firm(BAD, bad=organisation(), **ring).truth is None  # the only outside owner is listed
    ring["other"] = owned(("firm", 5000), ("bad", 5000))
    found = match_of_firm(BAD, bad=organisation(), **ring)
    assert found.truth is True
    assert found.chain[0].startswith("bad holds")
    own = match_of_firm(BAD, bad=organisation(), firm=owned(("firm", 10_000)))
    assert (own.truth, own.missing) == (None, ())
    assert own.facts[0].note == "its owners hold each other, and nobody outside is shown to control them"


@pytest.mark.parametrize(
    ("firm", "other", "truth"),
    [
        ((("firm", 6000), ("bad", 4000)), (), None),  # its controller votes its own shares
        ((("firm", 3500), ("bad", 3500), ("good", 3000)), (), None),  # 35 of the 65 that others own
        ((("firm", 2000), ("bad", 2000), ("good", 6000)), (), False),
        ((("firm", 3000),), (), False),  # too little for control
        ((("other", 5100), ("bad", 4900)), (("firm", 5100), ("bad", 4900)), None),
        ((("other", 5100), ("good", 4900)), (("firm", 4900), ("good", 5100)), False),  # controlled from outside
        ((("other", 5100), ("bad", 4900)), (("firm", 4900), ("good", 5100)), False),
    ],
)
def test_a_circle_of_owners_does_not_clear_itself(firm: Any, other: Any, truth: bool | None) -> None:
    def whole(shares: tuple[tuple[str, int], ...]) -> Maker:
        return owned(*shares, dispersed_bp=10_000 - sum(share for _, share in shares))

    parties = {"bad": organisation(), "good": organisation(), "firm": whole(firm), "other": whole(other)}
    assert match_of_firm(BAD, **parties).truth is truth


@pytest.mark.parametrize(
    "name", ["Bad  Firm Ltd", " bad firm ltd ", "BAD-FIRM, Limited", "\uff22ad\u00a0Firm", "B\u0430d Fi\u200brm GmbH"]
)
def test_names_are_compared_normalized(name: str) -> None:
    listed = row("another", "Bad Firm Ltd")
    assert match_of_firm(listed, firm=organisation(identifiers=(name,))).truth is True
    assert match_of_firm(row(name), firm=organisation(identifiers=("Bad Firm Ltd",))).truth is True
    assert match_of_firm(listed, firm=organisation(identifiers=("Good Firm Ltd",))).truth is False


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("Bad Tradign", "is spelled nearly as"),
        ("Trading Bad", "has, in another order, the words of"),
        ("The Bad Trading", "contains"),
        ("The Bad Tradin", "nearly contains"),
    ],
)
def test_a_similar_name_is_a_possible_match(name: str, how: str) -> None:
    firm = organisation(identifiers=(name,))
    found = match_of_firm(row("Bad Trading Ltd"), firm=firm)
    assert (found.truth, found.missing, found.row) == (None, (), "list: possible match with Bad Trading Ltd")
    why = f'"{name}" (firm.identifiers) {how} "Bad Trading Ltd"'
    assert found.facts[0].note == f"possible match with Bad Trading Ltd: {why}"
    held = match_of_firm(row("Bad Trading Ltd"), holding=firm, firm=owned(("holding", 6_000), dispersed_bp=4_000))
    assert (held.truth, held.row) == (None, "list: possible match with Bad Trading Ltd")
    small = match_of_firm(row("Bad Trading Ltd"), holding=firm, firm=owned(("holding", 4_000), dispersed_bp=6_000))
    assert (small.truth, small.row) == (False, "")
    assert match_of_firm(row("Bad Trading Ltd", status="recommended"), firm=firm).truth is False
    assert match_of_firm(row("Bad Trading Ltd", until_date=AT), firm=firm).truth is False


LEI = "529900T8BM49AURSDO55"  # with valid check digits


@pytest.mark.parametrize("code", [f"lei:{LEI}", "register:HRB 12345"])
def test_two_organisations_with_one_code_are_possible_matches(code: str) -> None:
    one = organisation(identifiers=(code.lower(),))
    two = organisation(identifiers=("Bad Firm", code))
    found = match_of_firm(row("Bad Firm"), firm=one, two=two)
    assert (found.truth, found.row) == (None, "list: possible match with Bad Firm")
    assert "two, which may be the party of the row, declares" in found.facts[0].note
    unlisted = match_of_firm(row("Worse Firm"), firm=one, two=two)
    assert (unlisted.truth, unlisted.row) == (None, "")
    assert unlisted.facts[0].note.startswith("two declares ")
    assert match_of_firm(row("Worse Firm"), firm=one, two=organisation(identifiers=(code[:-1],))).truth is False


@pytest.mark.parametrize("name", ["...", "\u202egniniM daB", "\u15efeir"])
def test_a_name_that_cannot_be_compared_may_be_listed(name: str) -> None:
    match = match_of_firm(row("Bad Mining"), firm=organisation(identifiers=("Good", name)))
    assert match.truth is None
    assert f"{name!a} (firm.identifiers) cannot be compared" in match.facts[0].note


def test_a_row_is_found_by_its_code() -> None:
    firm = organisation(identifiers=(LEI.lower(),))
    assert match_of_firm(row("Bad Firm", f"LEI {LEI}"), firm=firm).truth is True


def test_a_party_is_found_by_its_name() -> None:
    made = network(firm=organisation(), holding=owned(("firm", 10_000)))
    called = replace(made, entities={**made.entities, "firm": replace(made.entities["firm"], name="Bad Firm Ltd")})
    register = ListLookup(listing(row("Bad  firm ltd")), EffectiveNetwork(called, AT), 5000)
    assert register.match("firm").truth is True
    assert ("firm.name", "Bad Firm Ltd") in {(each.path, each.value) for each in register.match("firm").facts}
    assert register.match("holding").truth is True


def test_only_an_organisation_is_matched_by_its_facts() -> None:
    """An entity of another kind counts as undeclared: all its facts are missing."""
    made = network(firm=segment(owners=()), vault=cloud(), pay=participant())
    register = ListLookup(listing(BAD), EffectiveNetwork(made, AT), 5000)
    for wrong in made.entities:
        assert (register.match(wrong).truth, register.match(wrong).missing) == (
            None,
            (f"{wrong}.identifiers", f"{wrong}.owners"),
        )


def test_shares_count_between_two_days() -> None:
    share = {"owner": "bad", "share_bp": 10_000, "until": AT}
    later = {"owner": "good", "share_bp": 10_000, "since": AT}
    firm = organisation(owners=[share, later])
    parties = {"bad": organisation(), "good": organisation(), "firm": firm}
    assert match_of_firm(BAD, **parties).truth is False
    assert match_of_firm(BAD, at=date(2026, 11, 24), **parties).truth is True


def test_the_shares_of_a_former_owner_are_undeclared() -> None:
    firm = organisation(owners=[{"owner": "good", "share_bp": 10_000, "until": AT}])
    assert match_of_firm(BAD, good=organisation(), firm=firm).missing == ("firm.owners",)


def test_matches_are_cached() -> None:
    register = ListLookup(listing(BAD), EffectiveNetwork(network(firm=organisation()), AT), 5000)
    limit = (frozenset({"storage"}), True)
    assert register.match("firm") is register.match("firm", limit, None)
    limited = ListLookup(
        listing(row("firm", parts=("storage",))), EffectiveNetwork(network(firm=organisation()), AT), 5000
    )
    assert limited.match("firm", limit, None).truth is True
    assert limited.match("firm", (frozenset(), True), None).truth is False


@pytest.mark.parametrize(
    ("at", "covers_from", "truth"),
    [
        (date(2025, 12, 31), None, None),
        (date(2026, 1, 1), None, True),
        (date(2020, 1, 1), date(2020, 1, 2), None),
        (date(2020, 1, 2), date(2020, 1, 2), False),  # the row begins later
        (date(2021, 6, 1), date(2020, 1, 2), True),
    ],
)
def test_a_list_with_dated_rows_answers_for_earlier_days(
    at: date, covers_from: date | None, truth: bool | None
) -> None:
    since = row("firm", from_date=date(2021, 6, 1))
    lists = listing(since, covers_from=covers_from)
    declared = network(firm=owned(dispersed_bp=10_000))
    assert ListLookup(lists, EffectiveNetwork(declared, at), 5000).match("firm").truth is truth


LEVELS = 2_000  # more than Python has frames


@pytest.mark.parametrize(("top", "truth"), [("bad", True), ("good", False)])
def test_a_chain_of_two_thousand_levels_is_answered(top: str, truth: bool) -> None:
    names = ["firm", *(f"level{number}" for number in range(1, LEVELS)), top]
    chain: dict[str, Maker] = {name: owned((owner, 10_000)) for name, owner in pairwise(names)}
    found = match_of_firm(BAD, **chain, **{top: owned(dispersed_bp=10_000)})
    assert found.truth is truth
    assert len(found.chain) == (LEVELS if truth else 0)
    if truth:
        assert found.chain[0] == f"bad holds 10,000 of 10,000 basis points of level{LEVELS - 1}"
        assert found.chain[-1] == "level1 holds 10,000 of 10,000 basis points of firm"


def test_a_circle_of_two_thousand_owners_is_answered() -> None:
    names = ["firm", *(f"level{number}" for number in range(1, LEVELS))]
    circle = {name: owned((owner, 10_000)) for name, owner in pairwise([*names, "firm"])}
    assert match_of_firm(BAD, **circle).truth is None


# --- changes that must not clear ---


def covered() -> dict[str, Maker]:
    """Return a firm that a listed party controls over a chain, an aggregate and a branch of an owner."""
    return {
        "bad": organisation(),
        "middle": owned(("bad", 5100), ("good", 4900)),
        "office": entity("organisation", identifiers=(), branch_of="middle"),
        "good": organisation(),
        "firm": owned(("middle", 2000), ("office", 1000), ("bad", 2000), ("good", 5000)),
    }


def truth_of(made: Network, party: str) -> bool | None:
    return ListLookup(listing(BAD), EffectiveNetwork(made, AT), 5000).match(party).truth


@pytest.mark.parametrize("party", ["bad", "middle", "office", "firm"])
def test_dropping_a_field_or_putting_a_firm_between_clears_nobody(party: str) -> None:
    made = network(**covered())
    assert truth_of(made, party) is True
    for id, each in made.entities.items():
        for field in each.facts:
            assert truth_of(without(made, id, field), party) is not False, (id, field)
        owners = each.values("owners")
        for number, owner in enumerate(owners):
            through = replace(owner, facts={**owner.facts, "owner": fact("between")})
            held = fact((*owners[:number], through, *owners[number + 1 :]))
            changed = {id: replace(each, facts={**each.facts, "owners": held})}
            changed["between"] = owned((owner.values("owner")[0], 10_000))("between")
            assert truth_of(replace(made, entities={**made.entities, **changed}), party) is True, (id, number)


def test_a_branch_is_a_part_of_its_parent_and_a_person_has_no_owners() -> None:
    found = match_of_firm(BAD, bad=organisation(), firm=entity("organisation", identifiers=(), branch_of="bad"))
    assert (found.truth, found.chain) == (True, ("firm is a branch of bad",))
    assert match_of_firm(BAD, firm=entity("organisation", identifiers=(), branch_of="nobody")).truth is None
    assert match_of_firm(BAD, firm=entity("organisation", identifiers=(), person=True)).truth is False
    assert match_of_firm(BAD, firm=entity("organisation", person=True)).missing == ("firm.identifiers",)


@pytest.mark.parametrize("owners", [(), (("good", 10_000),)])
def test_a_branch_that_is_out_of_date_could_be_anybodys(owners: tuple[tuple[str, int], ...]) -> None:
    firm = owned(*owners, branch_of=fact("bad", expires=AT))
    makers = {"bad": organisation(), "good": organisation(), "firm": firm}
    found = match_of_firm(BAD, **makers)
    assert (found.truth, found.missing) == (None, ("firm.branch_of",))
    tested = condition("id", "none-listed", list="list", control_bp=5000)
    plain = Naive(network(**makers), library(profile(rule("organisation", tested)), listing(BAD)), AT)
    assert plain.listed("firm", tested, Roots("organisation"), {}, []) is None


@pytest.mark.parametrize(("share_bp", "truth"), [(0, None), (10_000, True)])
def test_controllers_that_are_out_of_date_could_be_anybody(share_bp: int, truth: bool | None) -> None:
    former = fact(("good",), expires=AT)
    firm = owned(("bad", share_bp), ("good", 10_000 - share_bp), controllers=former)
    makers = {"bad": organisation(), "good": organisation(), "firm": firm}
    found = match_of_firm(BAD, **makers)
    assert (found.truth, found.missing) == (truth, () if truth else ("firm.controllers",))
    tested = condition("id", "none-listed", list="list", control_bp=5000)
    plain = Naive(network(**makers), library(profile(rule("organisation", tested)), listing(BAD)), AT)
    assert plain.listed("firm", tested, Roots("organisation"), {}, []) is truth


def test_the_controllers_of_a_chain_are_named_once() -> None:
    makers = {"bad": organisation(), "worse": organisation()}
    firm = owned(("bad", 6000), ("good", 4000), controllers=("bad",))
    found = match_of_firm(BAD, **makers, good=organisation(), firm=firm)
    assert found.chain == ("bad controls firm other than by shares",)
    firm = owned(("good", 10_000), controllers=("bad", "worse"))
    found = match_of_firm(BAD, row("worse"), **makers, good=organisation(), firm=firm)
    assert found.chain == ("bad and worse together control firm other than by shares",)
