"""Returns and cancellations: a booked payment is paid back once, by a payment of its receiver; a waiting one is
cancelled by its sender.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.clearing.world import EAST_BANK, NORTH_BANK, SOUTH_BANK, Place, Sent, message_key, place, uetr

from sycee.clearing import instructions
from sycee.core.errors import NotFound


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("returns")) as made:
        yield made
        assert made.bank.check() == []


def reason(town: Place, number: int) -> tuple[str, str]:
    found = town.bank.clearing.payments.get(uetr(number))
    return found.state, found.reason


@pytest.mark.parametrize("as_set", [False, True])
def test_a_payment_is_returned_once(town: Place, as_set: bool) -> None:
    first, before = 100 * (1 + as_set), town.balances()
    paid = int(town.send(NORTH_BANK, Sent(first, SOUTH_BANK, 40_00)).numbers[0])
    town.send(SOUTH_BANK, Sent(first + 1, NORTH_BANK, 40_00, original=paid))
    assert reason(town, first + 1) == ("refused", "ARDT")  # not booked yet
    book(town, as_set)
    for number, sender, receiver, minor in (
        (first + 2, EAST_BANK, NORTH_BANK, 1),
        (first + 3, SOUTH_BANK, EAST_BANK, 1),
        (first + 4, SOUTH_BANK, NORTH_BANK, 40_01),
    ):
        town.send(sender, Sent(number, receiver, minor, original=paid))
        assert reason(town, number) == ("refused", "ARDT")
    both = [Sent(first + each, NORTH_BANK, 40_00, original=paid) for each in (5, 6)]
    town.send(SOUTH_BANK, *both)
    assert [reason(town, first + each) for each in (5, 6)] == [("queued", ""), ("refused", "ARDT")]
    town.send(SOUTH_BANK, Sent(first + 7, NORTH_BANK, 1, original=paid))
    assert reason(town, first + 7) == ("refused", "ARDT")
    book(town, as_set)
    assert (town.states(first, first + 5), town.balances()) == (["returned", "booked"], before)


def test_a_cancelled_return_can_be_sent_again(town: Place) -> None:
    paid = int(town.send(NORTH_BANK, Sent(300, EAST_BANK, 5)).numbers[0])
    book(town, as_set=False)
    town.send(EAST_BANK, Sent(301, NORTH_BANK, 5, original=paid))
    assert town.bank.clearing.payments.cancel(EAST_BANK, [uetr(301)])[0].reason == "DS02"
    town.send(EAST_BANK, Sent(302, NORTH_BANK, 4, original=paid))
    book(town, as_set=False)
    assert town.states(300, 301, 302) == ["returned", "cancelled", "booked"]


def test_only_the_sender_cancels(town: Place) -> None:
    town.send(NORTH_BANK, Sent(310, EAST_BANK, 10**12))
    for participant in (EAST_BANK, SOUTH_BANK):
        with pytest.raises(NotFound, match="sent no payment"):
            town.bank.clearing.payments.cancel(participant, [uetr(310)])
    (found,) = town.bank.clearing.payments.cancel(NORTH_BANK, [uetr(310)])
    assert (found.state, found.reason) == ("cancelled", "DS02")
    with pytest.raises(NotFound):
        town.bank.clearing.payments.get(uetr(999))


def test_a_message_without_payments_is_kept_and_answered_once(town: Place) -> None:
    receiving, ledger_id = town.bank.clearing.receiving, town.bank.stores.ledger.ledger_id
    content = b"<camt.056/>"
    signature = instructions.sign(content, message_key(NORTH_BANK), ledger_id=ledger_id, participant=NORTH_BANK)
    delivery = receiving.verified(NORTH_BANK, content, signature, who=town.person(NORTH_BANK))
    number, answer = receiving.keep(delivery, "CXL-1", kind="camt.056")
    assert answer is None
    assert receiving.answer(number, b"<camt.029/>") == b"<camt.029/>"
    assert receiving.answer(number, b"<other/>") == b"<camt.029/>"
    assert receiving.keep(delivery, "CXL-1", kind="camt.056") == (number, b"<camt.029/>")


def book(town: Place, as_set: bool) -> None:
    if as_set:
        town.settle(seconds=0.05)
    else:
        town.release()
