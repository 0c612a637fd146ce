"""The house, its participants and their positions: who signs, what the ledger enforces, what is repeated once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.bank import world as bank_world
from tests.bank.world import ANN, BOB, DESK, NORTH
from tests.clearing.world import (
    CNY,
    EAST,
    EAST_BANK,
    HKD,
    HOUSE,
    HOUSE_OPERATOR,
    NORTH_BANK,
    PREFUNDED,
    SOUTH_BANK,
    Place,
    agree,
    message_key,
    place,
)

from sycee.clearing import house
from sycee.core.errors import NotFound, UsageError
from sycee.core.records import operations
from sycee.core.records.layout import Reason
from sycee.core.result_codes import Result
from sycee.identity.people import DutyMissing


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("house")) as made:
        yield made


def test_positions_hold_what_was_prefunded(town: Place) -> None:
    for number in (NORTH_BANK, SOUTH_BANK, EAST_BANK):
        found = town.funds(number)
        assert (found.minor, found.limit_minor, found.drawn_minor) == (PREFUNDED, PREFUNDED, 0)
        assert town.vault(number) == bank_world.MINTED - PREFUNDED
        assert town.funds(number, HKD).minor == 0
    assert town.bank.check() == []


def test_a_prefunding_is_done_once_under_its_id(town: Place) -> None:
    id = town.bank.stores.new_id()
    before = town.funds(NORTH_BANK).minor
    assert [town.prefund(NORTH_BANK, 50_00, id=id), town.prefund(NORTH_BANK, 50_00, id=id)] == ["CREATED"] * 2
    assert town.funds(NORTH_BANK).minor == before + 50_00


def test_the_house_pays_out_on_a_message(town: Place) -> None:
    before, vault = town.funds(NORTH_BANK).minor, town.vault(NORTH_BANK)
    outcome = town.bank.clearing.positions.pay_out(NORTH_BANK, "CNY", 20_00, **town.signing)
    assert outcome.created
    assert (town.funds(NORTH_BANK).minor, town.vault(NORTH_BANK)) == (before - 20_00, vault + 20_00)
    with pytest.raises(DutyMissing):
        town.bank.clearing.positions.pay_out(
            NORTH_BANK, "CNY", 1, signers=town.bank.signers(NORTH), who=town.person(NORTH_BANK)
        )


def test_prefunding_is_final(town: Place) -> None:
    id = town.bank.stores.new_id()
    vault = town.bank.registry.operator(NORTH_BANK).accounts.vault
    account = town.funds(NORTH_BANK).position.account
    made = operations.transfer(id, debit=vault, credit=account, amount=1)
    ledger = town.bank.stores.ledger
    assert town.submitted(made, NORTH) == Result.CREATED
    reversal = operations.reverse(town.bank.stores.new_id(), original=id, amount=1)
    assert town.submitted(reversal, ANN, BOB) == Result.ORIGINAL_NOT_REVERSIBLE
    assert ledger.account(account).key == b""


def test_a_stolen_key_of_the_house_reaches_members_alone(town: Place) -> None:
    position, house = town.funds(NORTH_BANK).position, town.bank.registry.operator(HOUSE_OPERATOR).accounts
    made = operations.transfer(town.bank.stores.new_id(), debit=position.account, credit=house.vault, amount=1)
    assert town.submitted(made, HOUSE) == Result.PAYEE_NOT_ALLOWED
    line = operations.transfer(
        town.bank.stores.new_id(), debit=position.account, credit=town.funds(SOUTH_BANK).position.line, amount=1
    )
    assert town.submitted(line, HOUSE) == Result.CREATED  # not to a stranger


def test_a_line_is_filled_against_reserves_and_given_back(town: Place) -> None:
    bank, register = town.bank, town.bank.clearing.register
    agree(bank, bank.issuance.credit_reserves(EAST_BANK, 70_00, maker=town.maker))
    reserve, vault = town.reserve(EAST_BANK), town.vault(EAST_BANK)
    proposal = register.pledge(EAST_BANK, 70_00, maker=town.maker)
    agree(bank, proposal, EAST)
    found = town.funds(EAST_BANK)
    assert (found.line_minor, found.granted_minor, found.limit_minor - found.minor) == (70_00, 70_00, 70_00)
    assert (town.reserve(EAST_BANK), town.vault(EAST_BANK)) == (reserve - 70_00, vault)
    back = register.unpledge(EAST_BANK, 30_00, maker=town.person(HOUSE_OPERATOR))
    assert bank.proposals.sign(back.id, HOUSE, DESK).needs == ()
    found = town.funds(EAST_BANK)
    assert (found.line_minor, found.granted_minor, town.reserve(EAST_BANK)) == (40_00, 40_00, reserve - 40_00)
    assert bank.check() == []


def test_officers_issue_another_currency_and_the_house_pays_it_out(town: Place) -> None:
    agree(town.bank, town.bank.clearing.register.issue(SOUTH_BANK, "HKD", 5_000_00, maker=town.maker))
    assert town.funds(SOUTH_BANK, HKD).minor == 5_000_00
    assert town.bank.clearing.positions.pay_out(SOUTH_BANK, "HKD", 1_000_00, **town.signing).created
    assert town.funds(SOUTH_BANK, HKD).minor == 4_000_00
    with town.bank.stores.ledger.sequencer.reading() as state:
        assert state.supply(HKD) == 4_000_00
    with pytest.raises(UsageError, match="comes from the operator's vault"):
        town.bank.clearing.register.issue(SOUTH_BANK, "CNY", 1, maker=town.maker)


def test_a_floor_stays_on_the_position(town: Place) -> None:
    clock = town.bank.stores.clock
    agree(
        town.bank,
        town.bank.clearing.register.change_floor(
            SOUTH_BANK, "CNY", floor_minor=60_00, most_minor=0, effective_ns=clock.now_ns() + 10**9, maker=town.maker
        ),
    )
    town.bank.set_clock(clock.now_ns() + 10**9)
    found = town.funds(SOUTH_BANK)
    assert (found.floor_minor, found.own_minor) == (60_00, found.minor - 60_00)
    outcome = town.bank.clearing.positions.pay_out(SOUTH_BANK, "CNY", found.own_minor + 1, **town.signing)
    assert outcome.refusal is Result.RESERVED_FOR_REFUNDS


def test_a_participant_that_fails_is_blocked_and_still_receives(town: Place) -> None:
    positions = town.bank.clearing.positions
    assert positions.block(EAST_BANK, reason=Reason.OPERATOR, **town.signing).created
    found = town.funds(EAST_BANK)
    assert (found.can_pay, found.can_receive, found.limit_minor) == (False, True, 0)
    assert positions.pay_out(EAST_BANK, "CNY", 1, **town.signing).refusal is Result.DEBIT_ACCOUNT_BLOCKED


def test_messages_are_signed_with_the_newest_key(town: Place) -> None:
    register = town.bank.clearing.register
    assert register.message_key(NORTH_BANK) == message_key(NORTH_BANK).public
    new = message_key(99).public
    register.set_key(NORTH_BANK, new, who=town.person(NORTH_BANK))
    assert register.message_key(NORTH_BANK) == new
    with pytest.raises(DutyMissing):
        register.set_key(SOUTH_BANK, new, who=town.person(NORTH_BANK))


@pytest.mark.parametrize("step_ns", [0, -(10**9)], ids=["in one nanosecond", "the clock steps back"])
def test_a_replaced_key_never_counts_again(town: Place, monkeypatch: pytest.MonkeyPatch, step_ns: int) -> None:
    register, who = town.bank.clearing.register, town.person(NORTH_BANK)
    old, new = message_key(97).public, message_key(98).public
    now_ns = town.bank.stores.clock.now_ns() + 10**12
    for key, time_ns in ((old, now_ns), (new, now_ns + step_ns)):
        monkeypatch.setattr(house, "read_ns", lambda _, time_ns=time_ns: time_ns)
        register.set_key(NORTH_BANK, key, who=who)
        assert register.message_key(NORTH_BANK) == key
    for later_ns in (-(10**10), 10**10):
        monkeypatch.setattr(house, "read_ns", lambda _, time_ns=now_ns + later_ns: time_ns)
        assert register.message_key(NORTH_BANK) == new


def test_a_second_house_and_a_second_position_are_refused(town: Place) -> None:
    register = town.bank.clearing.register
    with pytest.raises(UsageError, match="has a clearing house"):
        register.found(NORTH_BANK, maker=town.maker)
    with pytest.raises(UsageError, match="belongs to a participant already"):
        register.admit(NORTH_BANK, "OTHER", key=message_key(1).public, currencies=("CNY",), maker=town.maker)
    with pytest.raises(UsageError, match="has a position in CNY already"):
        register.add_position(NORTH_BANK, "CNY", maker=town.maker)
    with pytest.raises(UsageError, match="does not clear MOP"):
        register.add_position(NORTH_BANK, "MOP", maker=town.maker)
    with pytest.raises(NotFound, match="no participant"):
        register.participant(HOUSE_OPERATOR)
    assert next(each.code for each in register.participants("open")) == "NORTCNB1XXX"
    assert {each.currency for each in register.positions("open")} == {CNY, HKD}
