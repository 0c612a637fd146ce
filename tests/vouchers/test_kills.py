"""Steps of vouchers that are killed: SQL and ledger agree at the next start, and the same request is done once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bank.killing import check_kills
from tests.vouchers.town import LEFT, Town, voucher_town

from sycee.bank.bank import Bank
from sycee.vouchers import numbers

BATCH, ACTIVATION, PAYMENT, CANCELLATION = 71, 72, 73, 74


def act(bank: Bank) -> None:
    """Reserve two vouchers, activate them, redeem a part of the first, and cancel it."""
    place = Town(bank)
    first, second = (each.serial for each in place.reserve(10_00, 3_00, id=BATCH))
    place.activate(first, second, id=ACTIVATION)
    secret = numbers.secret_of(bank.personal_keys.hash_key, first, bank.vouchers.get(first).hold)
    place.redeem(numbers.number_text(first, secret), 4_00, operation=PAYMENT)
    place.cancel(first, id=CANCELLATION)


def expect(bank: Bank) -> None:
    place = Town(bank)
    first, second = (bank.vouchers.get(each.serial) for each in bank.vouchers.batch(BATCH))
    assert (first.state, first.redeemed_minor, first.returned_minor) == ("cancelled", 4_00, 6_00)
    assert (second.state, second.rest_minor) == ("activated", 3_00)
    assert (place.balance(place.tea), place.balance(place.funder)) == (4_00, LEFT - 4_00)
    assert bank.stores.ledger.account(place.funder).debits_pending == 3_00


def test_killed_steps(tmp_path: Path) -> None:
    assert check_kills("", tmp_path, voucher_town(), act, expect=expect) >= 20


@pytest.mark.soak
def test_steps_killed_at_every_boundary(tmp_path: Path) -> None:
    assert check_kills("", tmp_path, voucher_town(), act, expect=expect, every=True) >= 20
