"""Random queues in a house of four banks and two currencies: what must be true whatever is sent and booked."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.clearing.world import BANKS, CNY, EAST_BANK, HKD, NORTH_BANK, SOUTH_BANK, Place, Sent, agree, place, uetr

from sycee.clearing.payments import Payment

NUMBERS = count(1)
BANK_NUMBERS = sorted(BANKS)
ENDS = some.sampled_from([(one, other) for one in BANK_NUMBERS for other in BANK_NUMBERS if one != other])
AMOUNTS = some.one_of(some.integers(1, 60_00), some.integers(1, 400_00))
PAYMENT = some.tuples(ENDS, AMOUNTS, some.sampled_from([CNY, CNY, HKD]), some.integers(0, 40_00), some.integers(0, 5))
STEPS = some.lists(some.sampled_from(["gross", "set", "order", "pairs"]), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("random")) as made:
        for number in (NORTH_BANK, SOUTH_BANK, EAST_BANK):
            agree(made.bank, made.bank.clearing.register.issue(number, "HKD", 50_00, maker=made.maker))
        floor = {"floor_minor": 20_00, "most_minor": 0, "effective_ns": made.bank.stores.clock.now_ns() + 10**9}
        agree(made.bank, made.bank.clearing.register.change_floor(EAST_BANK, "CNY", maker=made.maker, **floor))
        made.bank.set_clock(made.bank.stores.clock.now_ns() + 10**9)
        assert made.funds(EAST_BANK).floor_minor == 20_00
        yield made


def send(town: Place, sent: tuple) -> int:
    (sender, receiver), minor, currency, back, priority = sent
    number = next(NUMBERS)
    if not back:
        town.send(sender, Sent(number, receiver, minor, currency=currency, priority=priority))
        return number
    other = CNY if currency == HKD else HKD
    town.send(sender, Sent(number, receiver, minor, currency=currency, back=(other, back), priority=priority))
    town.send(receiver, Sent(number, sender, back, currency=other, back=(currency, minor)), business_id=f"B{number}")
    return number


def held(town: Place) -> dict[tuple[int, int], int]:
    """What is on each position."""
    funds = town.bank.clearing.positions.funds()
    return {(each.position.participant, each.position.currency): each.minor for each in funds}


def moved(payments: list[Payment]) -> dict[tuple[int, int], int]:
    """What booked payments change on each position, added up one by one."""
    found: dict[tuple[int, int], int] = {}
    for each in payments:
        for giver, taker, currency, minor in (
            (each.sender, each.receiver, each.currency, each.minor),
            (each.receiver, each.sender, each.back_currency, each.back_minor),
        ):
            found[giver, currency] = found.get((giver, currency), 0) - minor
            found[taker, currency] = found.get((taker, currency), 0) + minor
    return found


@settings(max_examples=8, deadline=None)
@given(sent=some.lists(PAYMENT, min_size=1, max_size=12), steps=STEPS)
def test_money_is_conserved_and_floors_are_kept(town: Place, sent: list, steps: list[str]) -> None:
    check(town, sent, steps)


@pytest.mark.soak
@settings(max_examples=200, deadline=None)
@given(sent=some.lists(PAYMENT, min_size=1, max_size=30), steps=STEPS)
def test_money_is_conserved_in_many_queues(town: Place, sent: list, steps: list[str]) -> None:
    check(town, sent, steps)


def check(town: Place, sent: list, steps: list[str]) -> None:
    town.bank.clearing.payments.cancel_waiting()  # of an example that failed
    before = held(town)
    numbers = [send(town, each) for each in sent]
    sets = town.bank.clearing.sets
    for step in steps:
        if step == "gross":
            town.release()
        elif step == "pairs":
            town.bank.clearing.arrivals.offset(**town.signing)  # type: ignore[arg-type]
        else:
            id = (town.settle(seconds=0.02) if step == "set" else sets.settle_in_order(**town.signing)).set_id
            assert not id or sets.verify(id)["chosen"] > 0
    payments = [town.bank.clearing.payments.get(uetr(each)) for each in numbers]
    assert {each.state for each in payments} <= {"booked", "queued"}
    changes = moved([each for each in payments if each.state == "booked"])
    for key, minor in held(town).items():
        assert minor == before[key] + changes.get(key, 0)  # so both legs of a pair were booked, or none
        assert minor >= min(20_00 if key == (EAST_BANK, CNY) else 0, before[key])
    if steps[-1] == "set":
        assert town.release() == (0, 0, 0)  # the best set leaves nothing that is covered
    assert town.bank.check() == []
    town.bank.clearing.payments.cancel_waiting()
