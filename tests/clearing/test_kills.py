"""The house is killed between any two steps of a payment: SQL and ledger agree, and each payment is booked once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bank.killing import check_kills
from tests.clearing.world import CNY, EAST_BANK, HKD, NORTH_BANK, PREFUNDED, SOUTH_BANK, Place, Sent, cleared_bank

from sycee.bank.bank import Bank

PREFUNDING = 71


def book(bank: Bank) -> None:
    """Prefund, deliver three payments and both sides of a pair, and book what is covered."""
    place = Place(bank)
    place.prefund(NORTH_BANK, 5_00, id=PREFUNDING)
    place.send(NORTH_BANK, Sent(1, SOUTH_BANK, 30_00), Sent(2, EAST_BANK, 500_00), Sent(3, 99, 1))
    place.send(SOUTH_BANK, Sent(4, EAST_BANK, 120_00))
    place.send(EAST_BANK, Sent(5, NORTH_BANK, 10_00, back=(HKD, 5)))
    place.send(NORTH_BANK, Sent(5, EAST_BANK, 5, currency=HKD, back=(CNY, 10_00)), business_id="BACK")
    place.release()
    place.bank.clearing.payments.mark_answered([each.number for each in bank.clearing.payments.unanswered()])


def booked(bank: Bank) -> None:
    place = Place(bank)
    assert place.states(1, 2, 3, 4, 5) == ["booked", "queued", "refused", "booked", "queued"]
    left = [place.funds(each).minor for each in (NORTH_BANK, SOUTH_BANK, EAST_BANK)]
    assert left == [PREFUNDED + 5_00 - 30_00, PREFUNDED + 30_00 - 120_00, PREFUNDED + 120_00]
    assert bank.clearing.payments.unanswered() == []
    assert len(bank.clearing.payments.page()) == 5


def test_killed_bookings(tmp_path: Path) -> None:
    assert check_kills("", tmp_path, cleared_bank(), book, expect=booked) >= 20


@pytest.mark.soak
def test_bookings_killed_at_every_boundary(tmp_path: Path) -> None:
    assert check_kills("", tmp_path, cleared_bank(), book, expect=booked, every=True) >= 20
