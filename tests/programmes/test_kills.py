"""A programme whose process is killed goes on: nobody is paid twice, nobody is left out, and the supply holds."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.bank.killing import check_kills
from tests.programmes import world
from tests.programmes.world import ANN, BEACON_VALUE, BOB, NORTH, SOUTH, Register, funder, moment, person

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.records import parts
from sycee.core.records.layout import PurseState
from sycee.database.events import events_after
from sycee.programmes import states
from sycee.programmes.dropping import PacketClaim

NAME = "autumn-2026"
EVENTS = [
    "drafted",
    "registering",
    "frozen",
    "published",
    "drawn",
    "approved",
    "allotted",
    "dropped",
    "expired",
    "closed",
]


def live(bank: Bank) -> None:
    """Take the steps that are left, as the persons of the programme do after each start."""
    bank.programmes.registered = Register(bank)
    while (found := bank.programmes.occurrence(NAME)).state != states.CLOSED:
        take(bank, found.state)


def take(bank: Bank, state: str) -> None:
    programmes, north, ann = bank.programmes, person(bank, NORTH), person(bank, ANN)
    signers = bank.signers(NORTH)
    if state == states.REGISTRATION:
        wait(bank, moment(5))
        programmes.freeze(NAME, who=north)
    elif state == states.FROZEN:
        programmes.publish(NAME, who=north)
        wait(bank, moment(6, 13))
        for who in (north, ann):
            programmes.bring_beacon(NAME, value=BEACON_VALUE, who=who)
        programmes.draw(NAME, who=north)
    elif state == states.DRAWN:
        proposal = programmes.propose_terms(NAME, maker=ann)
        signed = bank.proposals.get(proposal.id).signers
        bank.proposals.sign(proposal.id, *(key for key in (ANN, BOB) if person(bank, key) not in signed))
        if bank.proposals.missing(proposal.id).needs == ():
            bank.proposals.submit(proposal.id)
    elif state == states.APPROVED:
        programmes.allot(NAME, signers=signers, who=north)
    elif state == states.ALLOTTED:
        programmes.drop(NAME, signers=signers, who=north)
    elif state == states.DROPPED:
        wait(bank, moment(7, 9))
        claim(bank)
        wait(bank, moment(15))
        if programmes.occurrence(NAME).state == states.DROPPED:
            programmes.expire(NAME)
    else:
        programmes.close(NAME, who=north)


def claim(bank: Bank) -> None:
    """Claim the packets that nobody has."""
    register, found = Register(bank), bank.programmes.occurrence(NAME)
    with bank.stores.ledger.sequencer.reading() as state:
        purses = state.purses(found.number or 0)
        open_ = [ids.of_record(each, "member") for each in purses if each["state"] == PurseState.DROPPED]
    for operator, key in ((2, NORTH), (3, SOUTH)):
        claims = [PacketClaim(each, register.wallet_of(each).account) for each in open_]
        own = [each for each in claims if bank.directory.get(each.wallet).operator == operator]
        if own and bank.stores.clock.now_ns() < moment(13):
            bank.programmes.claim_many(NAME, 0, own, signers=bank.signers(key), who=person(bank, key))


def wait(bank: Bank, ns: int) -> None:
    if bank.stores.clock.now_ns() < ns:
        bank.set_clock(ns)


def ended(bank: Bank) -> None:
    found = bank.programmes.occurrence(NAME)
    assert found.state == states.CLOSED
    assert bank.programmes.get(NAME).state == states.CLOSED
    with bank.stores.ledger.sequencer.reading() as state:
        purses = state.purses(found.number or 0)
        assert purses["dropped"].tolist() == [50_00, 50_00, 20_00, 20_00, 20_00]
        assert purses["returned"].tolist() == purses["dropped"].tolist()
        assert (purses["wallet"] > 0).all()
        assert len({ids.of_record(each, "member") for each in purses}) == 5
    assert bank.stores.ledger.balance(funder(bank)) == 1_000_00
    assert bank.stores.ledger.supply("CNY") == 2_000_000_00
    kinds = [each.kind.value for each in events_after(bank.stores.engine, 0, most=10_000) if each.subject == NAME]
    assert kinds == [f"programme.{each}" for each in EVENTS]


def drop_in_parts(bank: Bank) -> None:
    """Fill the five packets of a sealed cohort by five records, each in a frame of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "PURSES_MAX", 1)
        bank.programmes.drop(NAME, signers=bank.signers(NORTH), who=person(bank, NORTH))


def is_dropped(bank: Bank) -> None:
    found = bank.programmes.occurrence(NAME)
    assert found.state == states.DROPPED
    with bank.stores.ledger.sequencer.reading() as state:
        assert state.purses(found.number or 0)["dropped"].tolist() == [50_00, 50_00, 20_00, 20_00, 20_00]
    assert bank.stores.ledger.balance(funder(bank)) == 840_00
    assert bank.stores.ledger.supply("CNY") == 2_000_000_00
    kinds = [each.kind.value for each in events_after(bank.stores.engine, 0, most=10_000)]
    assert kinds.count("programme.dropped") == 1


def test_a_drop_that_is_killed_between_two_parts_goes_on(tmp_path: Path) -> None:
    def middle(count: int) -> list[int]:
        return [count // 2]

    assert check_kills("", tmp_path, world.at("allotted"), drop_in_parts, expect=is_dropped, chosen=middle) >= 14


@pytest.mark.soak
def test_a_drop_that_is_killed_anywhere_goes_on(tmp_path: Path) -> None:
    check_kills("", tmp_path, world.at("allotted"), drop_in_parts, expect=is_dropped, every=True)


def test_a_killed_life_goes_on(tmp_path: Path) -> None:
    def middle(count: int) -> list[int]:
        return [count // 2]

    assert check_kills("", tmp_path, world.at("registering"), live, expect=ended, chosen=middle) >= 60


@pytest.mark.soak
def test_a_life_goes_on_a_hundred_times(tmp_path: Path) -> None:
    def chosen(count: int) -> list[int]:
        return sorted(random.Random(0).sample(range(1, count + 1), 100))

    assert check_kills("", tmp_path, world.at("registering"), live, expect=ended, chosen=chosen) >= 100
