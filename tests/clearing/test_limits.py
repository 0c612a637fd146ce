"""Limits of participants: bilateral, multilateral and reserved money, in single bookings and in sets."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.clearing.world import EAST_BANK, HKD, NORTH_BANK, SOUTH_BANK, Place, Sent, agree, place, uetr

from sycee.core.errors import UsageError
from sycee.identity.people import DutyMissing
from tools import clearing_checker

DAY_NS = 86_400 * 10**9


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("limits")) as made:
        yield made


@pytest.fixture
def town(shared: Place) -> Iterator[Place]:
    """Each test begins on a new day without limits and without a queue."""
    yield shared
    for each in shared.bank.clearing.limits.current():
        limit(shared, each.participant, each.kind, None, other=each.other)
    shared.bank.clearing.payments.cancel_waiting()
    shared.bank.set_clock(shared.bank.stores.clock.now_ns() + DAY_NS)
    assert shared.bank.check() == []


def limit(town: Place, participant: int, kind: str, minor: int | None, **named: int) -> int:
    who = town.person(participant)
    return town.bank.clearing.limits.set(participant, "CNY", kind, minor, who=who, **named)


@pytest.mark.parametrize("as_set", [False, True])
def test_a_bilateral_limit_counts_net_and_for_a_day(town: Place, as_set: bool) -> None:
    limit(town, NORTH_BANK, "bilateral", 10, other=SOUTH_BANK)
    first = 100 + 50 * as_set
    town.send(NORTH_BANK, Sent(first, SOUTH_BANK, 7), Sent(first + 1, SOUTH_BANK, 5), Sent(first + 2, EAST_BANK, 50))
    assert book(town, as_set) == 2
    assert town.states(first, first + 1) == ["booked", "queued"]
    town.send(SOUTH_BANK, Sent(first + 3, NORTH_BANK, 1))
    assert book(town, as_set) == 1
    town.send(SOUTH_BANK, Sent(first + 4, NORTH_BANK, 1))
    assert book(town, as_set) == 2
    assert town.states(first, first + 1) == ["booked"] * 2
    town.send(NORTH_BANK, Sent(first + 5, SOUTH_BANK, 1))
    assert book(town, as_set) == 0
    town.bank.set_clock(town.bank.stores.clock.now_ns() + DAY_NS)
    assert book(town, as_set) == 1


@pytest.mark.parametrize("as_set", [False, True])
def test_a_multilateral_limit_counts_all_others(town: Place, as_set: bool) -> None:
    limit(town, NORTH_BANK, "multilateral", 10)
    first = 200 + 50 * as_set
    town.send(NORTH_BANK, Sent(first, SOUTH_BANK, 9), Sent(first + 1, EAST_BANK, 2))
    assert (book(town, as_set), town.states(first)) == (1, ["booked"])
    town.send(EAST_BANK, Sent(first + 2, NORTH_BANK, 1))
    assert book(town, as_set) == 2
    found = {each.kind: each.minor for each in town.bank.clearing.limits.current()}
    assert found == {"multilateral": 10}


@pytest.mark.parametrize("as_set", [False, True])
def test_reserved_money_is_for_urgent_payments(town: Place, as_set: bool) -> None:
    own = town.balances()[0]
    limit(town, NORTH_BANK, "reservation", 60)
    first = 300 + 50 * as_set
    town.send(NORTH_BANK, Sent(first, SOUTH_BANK, own - 59), Sent(first + 1, SOUTH_BANK, own - 60))
    assert (book(town, as_set), town.states(first)) == (1, ["queued"])
    town.bank.clearing.payments.cancel(NORTH_BANK, [uetr(first)])
    town.send(NORTH_BANK, Sent(first + 2, EAST_BANK, 1), Sent(first + 3, EAST_BANK, 60, priority=0))
    assert (book(town, as_set), town.states(first + 2, first + 3)) == (1, ["queued", "booked"])
    assert town.balances()[0] == 0
    town.send(SOUTH_BANK, Sent(first + 4, NORTH_BANK, own))
    assert book(town, as_set) == 2


def test_a_limited_set_has_a_certificate_with_its_limits(town: Place) -> None:
    limit(town, NORTH_BANK, "bilateral", 10, other=SOUTH_BANK)
    limit(town, NORTH_BANK, "reservation", 20)
    town.send(NORTH_BANK, Sent(400, SOUTH_BANK, 8), Sent(401, SOUTH_BANK, 8), Sent(402, EAST_BANK, 8))
    settled = town.settle(seconds=0.05)
    assert settled.payments == 2
    header, rows = town.bank.clearing.sets.export(settled.set_id)
    made = json.loads(header.read_bytes())
    clearing_checker.check(made, rows.read_bytes())
    names = [each["name"].split()[0] for each in made["nodes"] if int(each["account"], 16) == 0]
    assert names == ["limits", "reservation", "bilateral", "bilateral"]


def test_the_largest_balance_of_a_position_is_kept_in_sets_and_single_bookings(town: Place) -> None:
    clock = town.bank.stores.clock
    held = town.balances()[2]
    made = town.bank.clearing.register.change_floor(
        EAST_BANK, "CNY", floor_minor=0, most_minor=held + 10, effective_ns=clock.now_ns() + 10**9, maker=town.maker
    )
    agree(town.bank, made)
    town.bank.set_clock(clock.now_ns() + 10**9)
    town.send(NORTH_BANK, Sent(500, EAST_BANK, 7), Sent(501, EAST_BANK, 6))
    assert (town.release()[0], town.funds(EAST_BANK).headroom_minor) == (1, 3)
    assert town.settle(seconds=0.05).payments == 0
    town.send(EAST_BANK, Sent(502, NORTH_BANK, 3))
    assert town.settle(seconds=0.05).payments == 2
    assert town.balances()[2] == held + 10


def test_limits_are_dated_and_a_participants_own(town: Place) -> None:
    limits, now_ns = town.bank.clearing.limits, town.bank.stores.clock.now_ns()
    id = limit(town, NORTH_BANK, "multilateral", 5, from_ns=now_ns + DAY_NS)
    assert limit(town, NORTH_BANK, "multilateral", 6, id=id) == id
    assert limits.current() == []
    town.bank.set_clock(now_ns + DAY_NS)
    (found,) = limits.current()
    assert (found.minor, found.from_ns) == (5, now_ns + DAY_NS)
    with pytest.raises(DutyMissing):
        limits.set(SOUTH_BANK, "CNY", "multilateral", 1, who=town.person(NORTH_BANK))
    for kind, minor, other in (("bilateral", 1, 0), ("multilateral", 1, SOUTH_BANK), ("reservation", -1, 0)):
        with pytest.raises(UsageError):
            limit(town, NORTH_BANK, kind, minor, other=other)
    with pytest.raises(UsageError, match="no limit bilaterl"):
        limit(town, NORTH_BANK, "bilaterl", 1, other=SOUTH_BANK)
    assert town.funds(NORTH_BANK, HKD).limit_minor == 0


def book(town: Place, as_set: bool) -> int:
    return town.settle(seconds=0.05).payments if as_set else town.release()[0]
