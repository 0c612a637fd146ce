"""Events for participants: what was booked, what was cancelled, each once and with the sums of the set."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.clearing.world import EAST_BANK, NORTH_BANK, SOUTH_BANK, Place, Sent, place, uetr

from sycee.core import ids
from sycee.database.events import EventKind, RegisterEvent, events_after, newest_event


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("events")) as made:
        yield made


def since(town: Place, number: int) -> list[tuple[EventKind, int | None, dict[str, object]]]:
    found = events_after(town.bank.stores.engine, number, most=100)
    return [(each.kind, each.operator, dict(each.data)) for each in found if each.kind.value.startswith("clearing.")]


def newest(town: Place) -> int:
    return newest_event(town.bank.stores.engine)


def sums(paid: int, received: int) -> dict[str, object]:
    return {"CNY": {"paid": str(paid), "received": str(received)}}


def test_each_participant_of_a_booking_gets_its_sums(town: Place) -> None:
    town.send(NORTH_BANK, Sent(1, SOUTH_BANK, 5_00), Sent(2, SOUTH_BANK, 1_00), Sent(3, EAST_BANK, 2_00))
    before = newest(town)
    town.release()
    assert since(town, before) == [
        (EventKind.CLEARING_SETTLED, NORTH_BANK, sums(8_00, 0)),
        (EventKind.CLEARING_SETTLED, SOUTH_BANK, sums(0, 6_00)),
        (EventKind.CLEARING_SETTLED, EAST_BANK, sums(0, 2_00)),
    ]


def test_a_set_has_one_event_for_each_participant(town: Place) -> None:
    for at, (sender, receiver) in enumerate(((NORTH_BANK, SOUTH_BANK), (SOUTH_BANK, NORTH_BANK)), 10):
        town.send(sender, Sent(at, receiver, 900_00))
    before = newest(town)
    settled = town.settle(seconds=0.05)
    assert since(town, before) == [
        (EventKind.CLEARING_SETTLED, each, sums(900_00, 900_00)) for each in (NORTH_BANK, SOUTH_BANK)
    ]
    event: RegisterEvent = events_after(town.bank.stores.engine, before, most=1)[0]
    assert event.subject == ids.format(settled.set_id)


def test_payments_that_end_without_a_booking_are_counted_by_reason(town: Place) -> None:
    town.send(NORTH_BANK, Sent(20, SOUTH_BANK, 10**6), Sent(21, SOUTH_BANK, 10**6))
    before = newest(town)
    town.bank.clearing.payments.cancel(NORTH_BANK, [uetr(20), uetr(21), uetr(1)])  # the last one is booked
    assert since(town, before) == [(EventKind.CLEARING_CANCELLED, NORTH_BANK, {"payments": 2, "reason": "DS02"})]
    town.bank.clearing.payments.cancel(NORTH_BANK, [uetr(20)])
    assert len(since(town, before)) == 1
