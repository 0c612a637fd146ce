"""Officers of one currency at the house: they issue its money and fill its lines, and do nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bank.world import ANN, BOB, DAY_NS, START_NS
from tests.clearing.world import CNY, EAST_BANK, HKD, Place, place

from sycee.bank.bank import Bank
from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey
from sycee.identity.duties import Duty
from sycee.sequencer.frame_records import FrameRecords
from sycee.server.auth.caller import Caller, CallerKind
from sycee.server.events.feed import Feed
from sycee.server.events.scopes import scope_of

HONG_KONG, CHINA = (SigningKey.derive(bytes([number]) * 32) for number in (181, 182))


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Place]:
    with place(tmp_path) as made:
        yield made
        assert made.bank.check() == []


def appoint(bank: Bank, key: SigningKey, currency: int) -> int:
    """Appoint an officer of one currency."""
    maker = bank.people.person_of_key(ANN.public)
    made = bank.appointments.appoint(
        Duty.CURRENCY_OFFICER, key.public, until_ns=START_NS + DAY_NS, maker=maker, currency=currency
    )
    assert bank.proposals.sign(made.id, ANN, BOB).needs == ()
    return bank.people.person_of_key(key.public)


def test_an_officer_of_one_currency_issues_it_and_no_other(town: Place) -> None:
    bank, register = town.bank, town.bank.clearing.register
    yuan, dollars = appoint(bank, CHINA, CNY), appoint(bank, HONG_KONG, HKD)
    made = register.issue(EAST_BANK, "HKD", 7_00, maker=dollars)
    assert bank.proposals.sign(made.id, HONG_KONG).needs == ("a second officer of the board or of HKD",)
    with pytest.raises(
        UsageError, match=r"may not sign clearing.issue: .*this person's duties: currency-officer of CNY"
    ):
        bank.proposals.sign(made.id, CHINA)
    assert bank.proposals.sign(made.id, BOB).needs == ()
    assert town.balances(HKD) == [0, 0, 7_00]
    with pytest.raises(UsageError, match=r"may not request clearing.issue in HKD"):
        register.issue(EAST_BANK, "HKD", 7_00, maker=yuan)
    filled = register.fill(EAST_BANK, "HKD", 3_00, maker=dollars)
    assert bank.proposals.sign(filled.id, HONG_KONG, ANN).needs == ()
    for request in (
        lambda: register.add_currency("MOP", zone="Asia/Macau", maker=dollars),
        lambda: register.admit(4, "X", key=CHINA.public, currencies=["HKD"], maker=dollars),
        lambda: bank.appointments.appoint(Duty.CLOSER, SigningKey.derive(bytes(32)).public,
                                          until_ns=START_NS + DAY_NS, maker=dollars),
    ):  # fmt: skip
        with pytest.raises(UsageError, match="this person has: currency-officer of HKD"):
            request()


def test_a_currency_belongs_to_the_duty_of_its_officer(town: Place) -> None:
    bank, maker = town.bank, town.maker
    dollars = appoint(bank, HONG_KONG, HKD)
    appointing = bank.appointments.appoint
    for duty, currency, words in (
        (Duty.CURRENCY_OFFICER, 0, "the duty currency-officer is of one currency"),
        (Duty.OFFICER, HKD, "the duty officer is not of one currency"),
        (Duty.CLOSER, HKD, "the duty closer is not of one currency"),
    ):
        with pytest.raises(UsageError, match=words):
            appointing(duty, CHINA.public, until_ns=START_NS + DAY_NS, maker=maker, currency=currency)
    appoint(bank, HONG_KONG, CNY)  # a second currency of the same person
    held = bank.people.duties_of(dollars)
    assert [str(each) for each in held] == ["currency-officer of CNY", "currency-officer of HKD"]
    ended = bank.appointments.dismiss(held[0].id, maker=maker)
    assert bank.proposals.sign(ended.id, ANN, BOB).needs == ()
    assert [str(each) for each in bank.people.duties_of(dollars)] == ["currency-officer of HKD"]


def test_an_officer_of_one_currency_gets_the_events_of_its_proposals_alone(town: Place) -> None:
    bank, register = town.bank, town.bank.clearing.register
    yuan, dollars = appoint(bank, CHINA, CNY), appoint(bank, HONG_KONG, HKD)
    feed = Feed(bank.stores, FrameRecords(bank.folder.path))
    before = feed.newest()
    bank.proposals.withdraw(register.issue(EAST_BANK, "HKD", 7_00, maker=town.maker).id, by=town.maker)
    page = feed.page(before)
    assert page.event(0)["data"] == {"action": "clearing.issue", "currencies": ["HKD"]}

    def seen_by(who: int) -> list[str]:
        scope = scope_of(bank, Caller(CallerKind.PERSON, "", who))
        return [page.type_of(at) for at in scope.visible(page, scope.seen(page))]

    assert seen_by(dollars) == ["proposal.waiting", "proposal.ended"]
    assert seen_by(yuan) == []
