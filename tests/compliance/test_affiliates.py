"""Owners of listed parties, and what these owners own: chains, sums, circles, undeclared owners."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from tests.compliance.build import AT, Maker, listing, network, organisation, row
from tests.compliance.test_ownership import LEVELS, owned

from sycee.compliance.judging.control import ControlMatch
from sycee.compliance.judging.effective_facts import EffectiveNetwork
from sycee.compliance.judging.ownership import ListLookup
from sycee.compliance.profiles import Row, RowOwner

pytestmark = pytest.mark.fast

BAD = row("bad")


def match(*rows: Row, of: str = "firm", control_bp: int = 1001, **organisations: Maker) -> ControlMatch:
    declared = EffectiveNetwork(network(**organisations), AT)
    return ListLookup(listing(*rows), declared, control_bp, affiliates=True).match(of)


def held(*shares: tuple[str, int], **about: Any) -> Maker:
    """Return a maker of an organisation whose other holders are dispersed."""
    return owned(*shares, dispersed_bp=10_000 - sum(share for _, share in shares), **about)


@pytest.mark.parametrize(("share_bp", "truth"), [(1001, True), (1000, False)])
def test_an_owner_is_an_affiliate(share_bp: int, truth: bool) -> None:
    found = match(BAD, bad=held(("firm", share_bp)), firm=held())
    assert found.truth is truth
    if truth:
        assert found.chain == ("firm holds 1,001 of 10,000 basis points of bad",)
        assert found.row == "list: bad"


def test_an_owner_in_common_makes_an_affiliate() -> None:
    found = match(BAD, bad=held(("owner", 2000)), owner=held(), firm=held(("owner", 3000)))
    assert found.chain == (
        "owner holds 2,000 of 10,000 basis points of bad",
        "owner holds 3,000 of 10,000 basis points of firm",
    )


def test_a_parent_owns_the_whole_of_its_branch() -> None:
    bad = organisation(branch_of="firm", owners=None, dispersed_bp=None, state=None)
    assert match(BAD, bad=bad, firm=held()).truth is True


def test_holdings_through_several_organisations_add_up() -> None:
    both = {"one": held(("firm", 1001)), "two": held(("firm", 1001)), "firm": held()}
    assert match(BAD, bad=held(("one", 501), ("two", 500)), **both).truth is True
    assert match(BAD, bad=held(("one", 500), ("two", 500)), **both).truth is False


def test_an_owner_of_a_party_that_may_be_listed_is_unknown() -> None:
    unnamed = held(("firm", 5000), identifiers=None)
    found = match(BAD, unnamed=unnamed, firm=held())
    assert (found.truth, found.missing) == (None, ("unnamed.identifiers",))
    assert match(row("bad", status="pending"), bad=held(("firm", 5000)), firm=held()).truth is None


def open_bp(share_bp: int, *shares: tuple[str, int]) -> Maker:
    """Return a maker of an organisation of which so many shares are undeclared."""
    owners = [{"owner": owner, "share_bp": share} for owner, share in shares] or None
    return organisation(owners=owners, dispersed_bp=10_000 - share_bp - sum(share for _, share in shares))


def test_undeclared_owners_of_a_listed_party_could_be_anybody() -> None:
    found = match(BAD, bad=open_bp(1001), firm=held())
    assert (found.truth, found.missing) == (None, ("bad.owners",))
    assert match(BAD, bad=open_bp(1000), firm=held()).truth is False
    # Shares of the firm and undeclared ones together reach what neither does.
    assert match(BAD, bad=open_bp(401, ("firm", 600)), firm=held()).truth is None
    assert match(BAD, bad=open_bp(401, ("firm", 600)), firm=held(), other=held(), of="other").truth is False
    # An owner that is not declared has undeclared owners.
    assert match(BAD, bad=held(("nobody", 2000)), firm=held()).truth is None


@pytest.mark.parametrize("share_bp", [10_000, 1001])
def test_a_long_chain_of_owners_is_followed(share_bp: int) -> None:
    names = [f"level{number}" for number in range(LEVELS)]
    chain = {below: held((above, share_bp)) for below, above in pairwise(names)}
    owners = {**chain, names[-1]: held(), "bad": held((names[0], 1001))}
    assert match(BAD, of=names[-1], **owners).truth is True
    assert match(BAD, of="firm", firm=held((names[0], 1001)), **owners).truth is True


# --- owners that the list states ---

STATED = row("bad", owners=(RowOwner("Parent Works", "text"), RowOwner("The Republic", "text", state=True)))


def test_an_owner_that_the_list_states_is_an_affiliate_though_nobody_declares_the_listed_party() -> None:
    found = match(STATED, firm=held(identifiers=["Parent Works Ltd"]))
    assert (found.truth, found.row) == (True, "list: bad")
    assert found.chain == ("firm owns bad, as list list states",)
    assert match(STATED, firm=held(identifiers=["Other Works"])).truth is False


def test_who_has_an_owner_in_common_by_the_list_is_an_affiliate() -> None:
    owner = {"owner": held(("grand", 2000), identifiers=["Parent Works"]), "grand": held()}
    found = match(STATED, firm=held(("owner", 1001)), **owner)
    assert found.chain == (
        "owner owns bad, as list list states",
        "owner holds 1,001 of 10,000 basis points of firm",
    )
    assert match(STATED, firm=held(("owner", 1000)), **owner).truth is False
    assert match(STATED, of="grand", **owner).chain == (
        "owner owns bad, as list list states",
        "grand holds 2,000 of 10,000 basis points of owner",
    )


def test_a_state_as_owner_in_common_is_not_modelled() -> None:
    found = match(STATED, firm=held(("state", 6000)), state=held(identifiers=["The Republic"]))
    assert found.truth is None
    assert "is a state: whether parties that it owns are affiliates is not modelled" in found.facts[0].note


def test_without_stated_or_declared_owners_of_a_listed_party_anybody_could_own_it() -> None:
    found = match(BAD, firm=held())
    assert found.truth is None
    assert "neither the list nor the network states who owns bad" in found.facts[0].note
    assert match(row("bad", owners=()), firm=held()).truth is False
    assert match(BAD, bad=held(), firm=held()).truth is False
    assert match(row("bad", status="recommended"), firm=held()).truth is False
    limited = row("bad", parts=("storage",))
    lookup = ListLookup(listing(limited), EffectiveNetwork(network(firm=held()), AT), 1001, affiliates=True)
    assert lookup.match("firm", parts=(frozenset({"control"}), True)).truth is False
    assert lookup.match("firm", parts=(frozenset({"storage"}), True)).truth is None
