"""A programme on a real ledger: launch, drop, claims, payments, and return of the rest at the deadline."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.programmes.test_draw import drawn

from sycee.core import ids
from sycee.core.clock import SimulatedClock
from sycee.core.errors import IntegrityError
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind, PurseState
from sycee.core.result_codes import Result
from sycee.programmes.definition import PacketClass, Programme, Stratum, load
from sycee.programmes.occurrence_ids import member_ids
from sycee.programmes.records import LiveProgramme, check_cohort
from sycee.sequencer.embedded import Ledger

LUOHU = load("luohu-2020")
SEED = b"a programme"
NUMBER, RULE_SET, GROUP = 1, 1, 1
CLASSES = (PacketClass("large", 2, 20_000), PacketClass("small", 5, 5_000))
BUDGET = 65_000  # 2 x 200.00 + 5 x 50.00


class Town:
    """A funder with the budget, a shop in the group, one outside it, and a wallet for each winner."""

    def __init__(self, ledger: Ledger, clock: SimulatedClock, winners: int, classes: tuple[PacketClass, ...]) -> None:
        self.ledger, self.clock = ledger, clock
        ledger.define_currency("CNY", zone="Asia/Shanghai")
        self.issuance = ledger.open_account("CNY", AccountKind.ISSUANCE)
        self.funder = ledger.open_account("CNY", AccountKind.FUNDER)
        self.shop = ledger.open_account("CNY", AccountKind.MERCHANT)
        self.friend = ledger.open_account("CNY", AccountKind.WALLET)
        self.wallets = [ledger.open_account("CNY", AccountKind.WALLET) for _ in range(winners)]
        ledger.transfer(self.issuance, self.funder, BUDGET)
        self.winners = ids.derive(SEED, "winners", winners, time_ms=0)
        programme: Programme = dataclasses.replace(LUOHU, packets=classes)
        self.live = LiveProgramme(programme, NUMBER, RULE_SET, (GROUP,), self.funder, self.winners)

    def launch(self) -> int:
        records, seal = self.live.launch(ids.derive(SEED, "launched", self.live.records, time_ms=0))
        assert records.size == self.live.records
        assert set(self.codes(records)) == {Result.CREATED}
        joined = operations.join_group(self.ledger.new_id(), group=GROUP, account=self.shop)
        assert self.codes(joined) == [Result.CREATED]
        return seal

    def drop(self, seal: int, purpose: str = "dropped") -> list[Result]:
        return self.codes(self.live.drop(ids.derive(SEED, purpose, len(self.live.programme.packets), time_ms=0), seal))

    def claim(self, member: int) -> Result:
        (code,) = self.codes(
            operations.claim(
                self.ledger.new_id(),
                programme=NUMBER,
                member=member,
                member_id=ids.to_int(self.winners[member]),
                wallet=self.wallets[member],
            )
        )
        return code

    def expire(self) -> Result:
        (code,) = self.codes(self.live.expire(self.ledger.new_id()))
        return code

    def codes(self, records: np.ndarray) -> list[Result]:
        return [Result(code) for code in self.ledger.submit(records)["code"].tolist()]

    def purse_amounts(self) -> list[int]:
        with self.ledger.sequencer.reading() as state:
            return state.purses(NUMBER)["dropped"].tolist()

    def at(self, time_ns: int) -> None:
        self.clock.set(time_ns)


def towns(folder: Path, winners: int, classes: tuple[PacketClass, ...] = CLASSES) -> Iterator[Town]:
    clock = SimulatedClock(LUOHU.draw.beacon_due_ns)
    with Ledger.open(folder, clock=clock) as ledger:
        town = Town(ledger, clock, winners, classes)
        yield town
        ledger.check()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    yield from towns(tmp_path, winners=7)


@pytest.fixture
def small_town(tmp_path: Path) -> Iterator[Town]:
    yield from towns(tmp_path, winners=3)


def test_each_class_is_dropped_to_its_range_of_the_draw(town: Town) -> None:
    assert town.drop(town.launch()) == [Result.CREATED, Result.CREATED]
    assert town.purse_amounts() == [20_000] * 2 + [5_000] * 5
    assert town.ledger.balance(town.funder) == 0


def test_fewer_winners_than_packets_fill_the_first_classes(small_town: Town) -> None:
    small_town.drop(small_town.launch())
    assert small_town.purse_amounts() == [20_000, 20_000, 5_000]
    assert small_town.ledger.balance(small_town.funder) == BUDGET - 45_000


def test_a_class_without_remaining_winners_is_not_dropped(tmp_path: Path) -> None:
    for town in towns(tmp_path, winners=2):
        assert town.drop(town.launch()) == [Result.CREATED]
        assert town.purse_amounts() == [20_000, 20_000]


def test_a_second_drop_pays_no_member_twice(town: Town) -> None:
    seal = town.launch()
    town.drop(seal)
    town.ledger.transfer(town.issuance, town.funder, BUDGET)
    assert town.drop(seal, "dropped again under new ids") == [Result.CREATED, Result.CREATED]
    assert town.purse_amounts() == [20_000] * 2 + [5_000] * 5
    assert town.ledger.balance(town.funder) == BUDGET


def test_a_drop_is_all_or_nothing_per_class(town: Town) -> None:
    seal = town.launch()
    town.ledger.transfer(town.funder, town.friend, 1)
    # The large packets fit; the small ones exceed the balance by one cent.
    assert town.drop(seal) == [Result.CREATED, Result.EXCEEDS_BALANCE]
    assert town.purse_amounts() == [20_000] * 2 + [0] * 5


def test_the_rule_set_is_the_definition(town: Town) -> None:
    town.drop(town.launch())
    with town.ledger.sequencer.reading() as state:
        rules = state.tables.rule_sets[RULE_SET]
        assert (int(rules["from_ns"]), int(rules["until_ns"])) == (LUOHU.spending.from_ns, LUOHU.spending.until_ns)
        assert rules["groups"].tolist() == [GROUP, 0, 0, 0]
        assert state.account_id(int(rules["return_row"])) == town.funder
        programme = state.tables.programmes[NUMBER]
        assert (int(programme["claim_from_ns"]), int(programme["claim_until_ns"])) == (
            LUOHU.claim.from_ns,
            LUOHU.claim.until_ns,
        )


def test_the_claim_window_is_exact(town: Town) -> None:
    town.drop(town.launch())
    town.at(LUOHU.claim.from_ns - 1)
    assert town.claim(0) is Result.CLAIM_WINDOW_NOT_OPEN
    town.at(LUOHU.claim.from_ns)
    assert town.claim(0) is Result.CREATED
    town.at(LUOHU.claim.until_ns - 1)
    assert town.claim(1) is Result.CREATED
    town.at(LUOHU.claim.until_ns)
    # The claim window of Luohu ends at expiry, whose code has precedence.
    assert town.claim(2) is Result.PROGRAMME_EXPIRED


def test_only_the_winner_claims(town: Town) -> None:
    town.drop(town.launch())
    town.at(LUOHU.claim.from_ns)
    forged = operations.claim(
        town.ledger.new_id(), programme=NUMBER, member=0, member_id=ids.to_int(town.winners[1]), wallet=town.wallets[1]
    )
    assert town.codes(forged) == [Result.MEMBER_DIFFERS]


def test_packet_money_reaches_the_group_alone(town: Town) -> None:
    town.drop(town.launch())
    town.at(LUOHU.spending.from_ns)
    town.claim(0)
    assert town.ledger.pay(town.wallets[0], town.friend, 1) is Result.EXCEEDS_BALANCE
    assert town.ledger.pay(town.wallets[0], town.shop, 20_001) is Result.EXCEEDS_BALANCE
    assert town.ledger.pay(town.wallets[0], town.shop, 20_000) is Result.CREATED
    assert town.ledger.balance(town.shop) == 20_000


def test_a_packet_gives_a_limited_amount_to_one_payment_and_nothing_to_a_small_one(town: Town) -> None:
    rules = dataclasses.replace(LUOHU.rules, per_payment_max_minor=3_000, payment_min_minor=4_000)
    town.live = dataclasses.replace(town.live, programme=dataclasses.replace(town.live.programme, rules=rules))
    town.drop(town.launch())
    town.at(LUOHU.spending.from_ns)
    town.claim(0)
    wallet = town.wallets[0]
    assert town.ledger.pay(wallet, town.shop, 3_999) is Result.EXCEEDS_BALANCE
    assert town.ledger.pay(wallet, town.shop, 4_000) is Result.EXCEEDS_BALANCE  # the packet gives 30.00 of it
    town.ledger.transfer(town.issuance, wallet, 6_000)
    assert town.ledger.pay(wallet, town.shop, 3_999) is Result.CREATED  # own money alone
    assert town.ledger.balance(wallet) == 2_001
    assert town.ledger.pay(wallet, town.shop, 4_000) is Result.CREATED
    assert town.ledger.balance(wallet) == 1_001
    with town.ledger.sequencer.reading() as state:
        assert state.purses(NUMBER)["spent"].tolist()[0] == 3_000


def test_expiry_is_exactly_at_the_deadline(town: Town) -> None:
    town.drop(town.launch())
    town.at(LUOHU.spending.from_ns)
    town.claim(0)
    town.ledger.pay(town.wallets[0], town.shop, 12_345)
    town.at(LUOHU.expires_ns - 1)
    assert town.expire() is Result.PROGRAMME_NOT_EXPIRED
    assert town.ledger.balance(town.funder) == 0
    town.at(LUOHU.expires_ns)
    assert town.expire() is Result.CREATED
    assert town.ledger.balance(town.funder) == BUDGET - 12_345
    with town.ledger.sequencer.reading() as state:
        assert set(state.purses(NUMBER)["state"].tolist()) == {PurseState.EXPIRED}


def test_the_last_nanosecond_still_pays(town: Town) -> None:
    town.drop(town.launch())
    town.at(LUOHU.spending.from_ns)
    town.claim(0)
    town.claim(1)
    town.at(LUOHU.expires_ns - 1)
    assert town.ledger.pay(town.wallets[0], town.shop, 100) is Result.CREATED
    # The next frame is one nanosecond later, whatever the clock reads: at the deadline.
    assert town.ledger.pay(town.wallets[1], town.shop, 100) is Result.EXCEEDS_BALANCE


def test_expiring_twice_returns_once(town: Town) -> None:
    town.drop(town.launch())
    town.at(LUOHU.expires_ns)
    assert [town.expire(), town.expire()] == [Result.CREATED, Result.CREATED]
    assert town.ledger.balance(town.funder) == BUDGET


def test_launching_again_is_answered_and_changes_nothing(town: Town) -> None:
    town.launch()
    digest = town.ledger.digest()
    records, _ = town.live.launch(ids.derive(SEED, "launched", town.live.records, time_ms=0))
    assert set(town.codes(records)) == {Result.EXISTS}
    assert town.ledger.digest() == digest


def test_nothing_is_spent_between_the_end_of_spending_and_expiry(tmp_path: Path) -> None:
    # A rule set once ended with expiry instead.
    spending = dataclasses.replace(LUOHU.spending, until_ns=LUOHU.expires_ns - 86_400 * 10**9)
    for town in towns(tmp_path, winners=2):
        programme = dataclasses.replace(town.live.programme, spending=spending)
        town.live = dataclasses.replace(town.live, programme=programme)
        town.drop(town.launch())
        town.at(spending.until_ns - 10)
        town.claim(0)
        assert town.ledger.pay(town.wallets[0], town.shop, 1) is Result.CREATED
        town.at(spending.until_ns)
        assert town.ledger.pay(town.wallets[0], town.shop, 1) is Result.EXCEEDS_BALANCE


@pytest.mark.parametrize("in_packet_order", [True, False])
def test_the_cohort_of_several_strata_is_in_packet_order(tmp_path: Path, in_packet_order: bool) -> None:
    folder = tmp_path / "draw"
    _, frozen, winners = drawn(folder, 60, (Stratum("young", 4), Stratum("old", 3)))
    order = winners.packet_order(frozen.commitments, len(CLASSES)) if in_packet_order else np.arange(7)
    members = member_ids(frozen.commitments[winners.index[order]])
    for town in towns(tmp_path / "ledger", winners=7):
        town.live = dataclasses.replace(town.live, winners=members)
        seal = town.launch()
        with town.ledger.sequencer.reading() as state:
            found = check_cohort(state, NUMBER, folder)
        assert found.endswith(f"in order of {'packet ticket' if in_packet_order else 'rank'}")
        town.drop(seal)
        with town.ledger.sequencer.reading() as state:
            if in_packet_order:
                assert check_cohort(state, NUMBER, folder) == found
            else:  # with packets of two amounts, the first stratum would have all the large ones
                with pytest.raises(IntegrityError, match="is not the winner of packet ticket"):
                    check_cohort(state, NUMBER, folder)
