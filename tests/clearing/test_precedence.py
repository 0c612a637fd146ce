"""Priority and age in decisions of the house, and money that waits for a large payment."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
from tests.clearing.test_house_days import MINUTE, TODAY, Clocked
from tests.clearing.world import EAST_BANK, HOUSE_OPERATOR, NORTH_BANK, SOUTH_BANK, Place, Sent, place

from sycee.clearing import precedence
from sycee.clearing.waiting import Waiting
from tools import clearing_checker

pytest.importorskip("highspy")
HOUR = 60 * MINUTE
SHORT = {"seconds": 0.05}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("precedence")) as made:
        yield made


@pytest.fixture
def town(shared: Place) -> Iterator[Place]:
    """Each test begins without a queue."""
    yield shared
    shared.bank.clearing.payments.cancel_waiting()
    assert shared.bank.check() == []


def later(town: Place, wait_ns: int) -> None:
    town.bank.set_clock(town.bank.stores.clock.now_ns() + wait_ns)


def header_of(town: Place, set_id: int) -> dict:
    header, rows = town.bank.clearing.sets.export(set_id)
    made = json.loads(header.read_bytes())
    clearing_checker.check(made, rows.read_bytes())
    return made


def test_a_set_prefers_urgent_and_old_payments_to_a_little_more_value(town: Place) -> None:
    own = town.balances()[0]
    town.send(NORTH_BANK, Sent(1, SOUTH_BANK, own), Sent(2, SOUTH_BANK, own - 10, priority=0))
    made = header_of(town, town.settle(**SHORT).set_id)
    assert (town.states(1, 2), made["weight"]) == (
        ["queued", "booked"], "minor units of the first leg, times 1 to 3 by priority and age",
    )  # fmt: skip
    town.send(SOUTH_BANK, Sent(3, NORTH_BANK, own - 10))
    town.bank.clearing.payments.cancel_waiting(NORTH_BANK)
    assert town.release()[0] == 1
    town.send(NORTH_BANK, Sent(4, SOUTH_BANK, own - 10))
    later(town, 2 * HOUR)
    town.send(NORTH_BANK, Sent(5, SOUTH_BANK, own))
    assert town.settle(**SHORT).payments == 1
    assert town.states(4, 5) == ["booked", "queued"]
    town.send(SOUTH_BANK, Sent(6, NORTH_BANK, own - 10))
    assert town.release()[0] == 2  # payment 5 after it
    town.send(SOUTH_BANK, Sent(7, NORTH_BANK, own))
    assert (town.release()[0], town.balances()[0]) == (1, own)


@pytest.mark.parametrize("as_set", [False, True])
def test_money_is_kept_for_a_payment_above_it(town: Place, as_set: bool) -> None:
    own, first = town.balances()[0], 100 + 50 * as_set
    town.send(NORTH_BANK, Sent(first, EAST_BANK, 7))
    town.send(NORTH_BANK, Sent(first + 1, SOUTH_BANK, own + 50))
    later(town, HOUR)
    town.send(NORTH_BANK, Sent(first + 2, EAST_BANK, own - 20), Sent(first + 3, EAST_BANK, 5, priority=0))
    # What came before the large payment, or is more urgent, is booked; what came after it waits.
    assert book(town, as_set) == 2
    assert town.states(*range(first, first + 4)) == ["booked", "queued", "queued", "booked"]
    town.send(SOUTH_BANK, Sent(first + 4, NORTH_BANK, 70))
    assert town.release()[0] == 2
    assert town.states(first + 1, first + 2) == ["booked", "queued"]
    town.send(SOUTH_BANK, Sent(first + 5, NORTH_BANK, own + 50))
    town.send(EAST_BANK, Sent(first + 6, NORTH_BANK, 12))
    town.bank.clearing.payments.cancel_waiting(NORTH_BANK)
    assert town.release()[0] == 2
    town.send(NORTH_BANK, Sent(first + 7, SOUTH_BANK, 70))
    assert (town.release()[0], town.balances()[0]) == (1, own)


def test_payments_after_a_large_one_settle_from_what_comes_in(town: Place) -> None:
    own = town.balances()[0]
    town.send(NORTH_BANK, Sent(200, SOUTH_BANK, own + 50))
    later(town, HOUR)
    town.send(NORTH_BANK, Sent(201, EAST_BANK, 30))
    town.send(EAST_BANK, Sent(202, NORTH_BANK, 30))
    settled = town.settle(**SHORT)
    assert (settled.payments, town.states(200)) == (2, ["queued"])
    names = [each["name"].split()[0] for each in header_of(town, settled.set_id)["nodes"]]
    assert names[-2:] == ["limits", "large"]


def test_nothing_is_kept_for_a_payment_above_all_money(town: Place) -> None:
    own = town.balances()[0]
    town.send(NORTH_BANK, Sent(300, SOUTH_BANK, 10**9))
    later(town, HOUR)
    town.send(NORTH_BANK, Sent(301, SOUTH_BANK, own))
    assert town.release()[0] == 1
    town.send(SOUTH_BANK, Sent(302, NORTH_BANK, own))
    assert town.release()[0] == 1


def test_a_large_payment_is_booked_before_the_close(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Small payments of North would use up its money in each round of the day."""
    with place(tmp_path_factory.mktemp("large")) as made:
        town = Clocked(made.bank)
        start, own = town.start(), town.balances()[0]
        times = [start + hour * HOUR for hour in (1, 2, 3, 4, 5, 6)]
        town.bank.clearing.house_days.open(
            TODAY, rounds_ns=times[:4], close_ns=times[4], funding_ns=times[5], who=town.person(HOUSE_OPERATOR)
        )
        town.send(NORTH_BANK, Sent(1, SOUTH_BANK, own + 50_00))
        for number, at_ns in enumerate(times[:4], 10):
            town.send(NORTH_BANK, Sent(number, EAST_BANK, 20_00))
            town.send(SOUTH_BANK, Sent(number + 10, NORTH_BANK, 20_00))
            assert town.run(at_ns) == "open"
        assert town.states(1) == ["booked"]
        assert (town.run(times[4]), town.run(times[5])) == ("called", "ended")
        assert town.bank.check() == []


def test_an_urgent_payment_settles_in_order_before_the_set(tmp_path_factory: pytest.TempPathFactory) -> None:
    with place(tmp_path_factory.mktemp("urgent")) as made:
        town = Clocked(made.bank)
        town.open(town.start())
        own = town.balances()[0]
        town.send(NORTH_BANK, Sent(1, SOUTH_BANK, own + 1, priority=0), Sent(2, EAST_BANK, 10 * own))
        town.send(SOUTH_BANK, Sent(3, NORTH_BANK, own + 1, priority=0))
        town.send(EAST_BANK, Sent(4, NORTH_BANK, 9 * own + 1))
        assert town.run(town.start() + 5 * MINUTE) == "open"
        assert town.states(1, 3) == ["booked"] * 2


def test_weights_have_a_quarter_for_each_step() -> None:
    def waiting(priorities: list[int], hours: list[int], amounts: list[int]) -> Waiting:
        count = len(amounts)
        of = [np.zeros(count, np.int64) for _ in range(7)]
        arrived = np.array([-hour * HOUR for hour in hours], np.int64)
        uetrs = np.zeros((count, 16), np.uint8)
        return Waiting(*of[:4], np.array(amounts), *of[5:], np.array(priorities), arrived, uetrs)

    def weighed(priorities: list[int], hours: list[int], amounts: list[int]) -> list[int]:
        found = waiting(priorities, hours, amounts)
        return precedence.with_precedence(found, found.amounts, 0)[0].tolist()

    assert weighed([4, 2, 0, 9], [0] * 4, [100] * 4) == [100, 150, 200, 100]
    assert weighed([4] * 4, [0, 1, 2, 30], [101] * 4) == [101, 101, 126, 202]
    assert weighed([0] * 2, [9] * 2, [7, 8]) == [7, 8]
    assert weighed([4, 0], [0, 0], [1 << 57, 1 << 57]) == [1 << 57] * 2


def book(town: Place, as_set: bool) -> int:
    return town.settle(**SHORT).payments if as_set else town.release()[0]
