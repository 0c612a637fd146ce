"""Institutions: entered, verified by two persons, with owners, outlets, tills and a settlement account."""

from __future__ import annotations

from typing import Any

import pytest
from tests.bank.killing import EMPTY_POSTGRESQL_IN_SOAK
from tests.identity.world import ANN, BOB, CARL, CLEO, EVE, KEYS, NORTH, SOUTH, STRANGER, World

from sycee.core.errors import UsageError
from sycee.identity.institutions import SettlementAccount

OWNER = 700
ACCOUNT = SettlementAccount(b"sealed", bytes(16))


def shop(bank: World, **others: Any) -> int:
    given: dict[str, Any] = {"by": CARL, "operator": 2, "owners": {OWNER: 1_000_000}, "settlement": ACCOUNT}
    return bank.institutions.add("merchant", "Tea house", **(given | others))


def decide(bank: World, institution: int, kind: str, outcome: str = "passed") -> None:
    one = bank.institutions.decide(institution, kind, outcome, maker=CLEO)
    signer = NORTH if bank.institutions.get(institution).kind == "merchant" else ANN
    answer = bank.proposals.sign(one.id, KEYS[CLEO], KEYS[signer])
    assert answer.outcome is not None, answer


def test_due_diligence_of_a_merchant(bank: World) -> None:
    tea = shop(bank)
    assert bank.institutions.get(tea).state == "applied"
    with pytest.raises(UsageError, match=r"Tea house is applied; not passed: owners, papers, settlement"):
        bank.institutions.require_approved(tea)
    for kind in ("papers", "owners"):
        decide(bank, tea, kind)
        assert bank.institutions.get(tea).state == "applied"
    settlement = bank.institutions.settlement_of(tea)
    assert settlement is not None
    assert settlement.state == "stated"
    decide(bank, tea, "settlement")
    assert bank.institutions.require_approved(tea).state == "approved"
    settlement = bank.institutions.settlement_of(tea)
    assert settlement is not None
    assert settlement.state == "verified"
    assert bank.institutions.require_settlement(tea) == settlement
    assert bank.institutions.checks_of(tea) == {"owners": "passed", "papers": "passed", "settlement": "passed"}
    # A new settlement account must be verified anew.
    bank.institutions.state_settlement(tea, SettlementAccount(b"other", b"1" * 16), by=CARL)
    settlement = bank.institutions.settlement_of(tea)
    assert settlement is not None
    assert settlement.state == "stated"
    assert bank.institutions.same_settlement(b"1" * 16) == [tea]
    with pytest.raises(UsageError, match=r"the settlement account of Tea house is not verified"):
        bank.institutions.require_settlement(tea)
    with pytest.raises(UsageError, match=r"the settlement account of North Bank is not stated"):
        bank.institutions.require_settlement(1_002)
    assert bank.check() == []


def test_a_failed_check_refuses_and_a_later_one_approves(small: World) -> None:
    tea = shop(small)
    decide(small, tea, "papers", "failed")
    assert small.institutions.get(tea).state == "refused"
    with pytest.raises(UsageError, match=r"is refused"):
        small.institutions.require_approved(tea)
    for kind in ("papers", "owners", "settlement"):
        decide(small, tea, kind)
    assert small.institutions.get(tea).state == "approved"


def test_an_operator_has_no_settlement_check(small: World) -> None:
    bank = small.institutions.add("operator", "West Bank", by=ANN, owners={OWNER: 600_000}, participant="west")
    with pytest.raises(UsageError, match=r"an operator has no check 'settlement'"):
        small.institutions.decide(bank, "settlement", "passed", maker=CLEO)
    decide(small, bank, "papers")
    decide(small, bank, "owners")
    found = small.institutions.require_approved(bank)
    assert (found.operator, found.participant) == (None, "west")
    assert small.institutions.find("operator", "West Bank") == found
    assert small.institutions.find("operator", "2").name == "North Bank"
    north = small.institutions.of_operator(2)
    assert north is not None
    assert north.name == "North Bank"


def test_an_owner_does_not_decide(small: World) -> None:
    """Cleo owns a part of the shop: she may neither propose nor sign its due diligence."""
    tea = shop(small, owners={CLEO: 100_000, OWNER: 900_000})
    with pytest.raises(UsageError, match=r"an owner of Tea house may not decide"):
        small.institutions.decide(tea, "papers", "passed", maker=CLEO)
    one = small.institutions.decide(tea, "papers", "passed", maker=NORTH)
    with pytest.raises(UsageError, match=r"is a party to proposal"):
        small.proposals.sign(one.id, KEYS[CLEO])


def test_an_operator_of_another_bank_does_not_decide(small: World) -> None:
    tea = shop(small)
    with pytest.raises(UsageError, match=r"may not request merchant.verify for operator 2"):
        small.institutions.decide(tea, "papers", "passed", maker=SOUTH)
    one = small.institutions.decide(tea, "papers", "passed", maker=CLEO)
    with pytest.raises(UsageError, match=r"may not sign merchant.verify"):
        small.proposals.sign(one.id, KEYS[SOUTH])
    with pytest.raises(UsageError, match=r"may not request institution.apply for operator 3"):
        shop(small, operator=3)


@pytest.mark.parametrize(
    ("kind", "name", "others", "message"),
    [
        ("bank", "X", {}, "'bank' is not a kind of institution"),
        ("merchant", " X", {}, "1 to 120 printable characters"),
        ("merchant", "", {}, "1 to 120 printable characters"),
        ("merchant", "X\n", {}, "1 to 120 printable characters"),
        ("merchant", "X", {"operator": None}, "a merchant needs an operator"),
        ("merchant", "X", {"owners": {1: 0}}, "above 0 and at most 100 %"),
        ("merchant", "X", {"owners": {1: 600_000, 2: 600_000}}, "above 0 and at most 100 %"),
        ("merchant", "X", {"by": EVE + 100}, "may not request institution.apply"),
    ],
)
def test_what_cannot_be_entered(small: World, kind: str, name: str, others: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"by": CARL, "operator": 2}
    with pytest.raises(UsageError, match=message):
        small.institutions.add(kind, name, **(given | others))


def test_a_name_is_used_once(small: World) -> None:
    tea = shop(small)
    with pytest.raises(UsageError, match=r"there is a merchant named 'Tea house' already"):
        shop(small)
    assert shop(small, id=tea) == tea
    assert [each.name for each in small.institutions.list("merchant")] == ["Tea house"]
    with pytest.raises(UsageError, match=r"there is no merchant 'Tee house'") as caught:
        small.institutions.find("merchant", "Tee house")
    assert caught.value.hint == 'did you mean "Tea house"?'
    with pytest.raises(UsageError, match=r"there is no institution"):
        small.institutions.get(5)


def test_wrong_checks(small: World) -> None:
    tea = shop(small, settlement=None, owners={})
    for kind, outcome, message in (
        ("colour", "passed", "has no check 'colour'"),
        ("papers", "fine", "'fine' is not the outcome of a check"),
        ("settlement", "passed", "has no settlement account"),
        ("owners", "passed", "has no owners"),
    ):
        with pytest.raises(UsageError, match=message):
            small.institutions.decide(tea, kind, outcome, maker=CLEO)


@EMPTY_POSTGRESQL_IN_SOAK
def test_outlets_and_tills(bank: World) -> None:
    institutions = bank.institutions
    tea = shop(bank)
    west, east = (institutions.add_outlet(tea, code, by=CARL) for code in ("west", "east"))
    assert institutions.add_outlet(tea, "west", by=CARL) == west
    one = institutions.add_till(west, "T1", by=CARL, key=STRANGER.public)
    two = institutions.add_till(east, "T1", by=CARL)
    institutions.add_till(east, "T2", by=NORTH)
    assert institutions.outlets_of(tea) == {"east": east, "west": west}
    assert [(each.outlet_code, each.code) for each in institutions.tills_of(tea)] == [
        ("east", "T1"), ("east", "T2"), ("west", "T1"),
    ]  # fmt: skip
    assert institutions.till(one).public_key == STRANGER.public
    assert institutions.find_till(tea, "west/T1").id == one
    with pytest.raises(UsageError, match=r"several tills have the code 'T1'"):
        institutions.find_till(tea, "T1")
    institutions.close_outlet(west, by=NORTH)
    assert institutions.find_till(tea, "T1").id == two
    with pytest.raises(UsageError, match=r"there is no open till"):
        institutions.till(one)
    institutions.close_till(two, by=CARL)
    with pytest.raises(UsageError, match=r"there is no open till 'T1'") as caught:
        institutions.find_till(tea, "T1")
    assert "east/T2" in str(caught.value.hint)
    assert institutions.add_till(east, "T1", by=CARL) == two
    for code in ("", "a b", "x" * 17, "é"):
        with pytest.raises(UsageError, match=r"is not a code"):
            institutions.add_till(east, code, by=CARL)
    with pytest.raises(UsageError, match=r"there is no outlet"):
        institutions.add_till(5, "T1", by=CARL)
    with pytest.raises(UsageError, match=r"may not request merchant.outlet for operator 2"):
        institutions.add_outlet(tea, "north", by=SOUTH)
    with pytest.raises(UsageError, match=r"North Bank is an operator, not a merchant"):
        institutions.add_outlet(1_002, "x", by=BOB)
