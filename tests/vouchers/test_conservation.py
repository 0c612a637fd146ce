"""Random actions: each has the outcome of a plain model, and money is reserved, redeemed or returned, never more."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.vouchers.town import Town, propose, town

from sycee.vouchers.refusals import Code, VoucherRefused

BUDGET = 600_00
STEPS, STEPS_LONG = 60, 1_500


@dataclass
class Expected:
    """A voucher as the model has it."""

    number: str
    minor: int
    redeemed: int = 0
    state: str = "preactivated"

    @property
    def rest(self) -> int:
        return self.minor - self.redeemed


class Model:
    """Vouchers in plain Python, and the same actions on the bank."""

    def __init__(self, place: Town, seed: int) -> None:
        self.place, self.random = place, random.Random(seed)
        self.vouchers: dict[int, Expected] = {}
        self.start = {name: place.balance(getattr(place, name)) for name in ("funder", "tea")}
        self.pending = place.bank.stores.ledger.account(place.funder).debits_pending

    def promised(self) -> int:
        return sum(each.redeemed if each.state == "cancelled" else each.minor for each in self.vouchers.values())

    def step(self) -> None:
        if not self.vouchers or self.random.random() < 0.15:
            self.reserve()
        else:
            self.random.choice((self.activate, self.activate, self.redeem, self.redeem, self.redeem, self.cancel))()

    def reserve(self) -> None:
        amounts = [self.random.randint(1, 30_00) for _ in range(self.random.randint(1, 3))]
        if self.promised() + sum(amounts) > BUDGET:
            with pytest.raises(VoucherRefused, match=Code.BUDGET_EXHAUSTED):
                self.place.reserve(*amounts)
            return
        rows = self.place.reserve(*amounts)
        assert [each.code for each in rows] == [""] * len(amounts)
        for each, minor in zip(rows, amounts, strict=True):
            self.vouchers[each.serial] = Expected(self.place.number(each.serial), minor)

    def activate(self) -> None:
        serial, found = self.choice()
        expected = {"redeemed": Code.VOUCHER_USED, "cancelled": Code.VOUCHER_CANCELLED}.get(found.state, "")
        assert self.place.activate(serial) == [expected]
        if not expected:
            found.state = "activated"

    def redeem(self) -> None:
        _, found = self.choice()
        minor = self.random.choice((1, found.rest or 1, found.rest + 1, self.random.randint(1, 30_00)))
        codes = {
            "preactivated": Code.VOUCHER_NOT_ACTIVATED, "redeemed": Code.VOUCHER_USED,
            "cancelled": Code.VOUCHER_CANCELLED,
        }  # fmt: skip
        code = codes.get(found.state, Code.EXCEEDS_VOUCHER if minor > found.rest else None)
        if code is not None:
            with pytest.raises(VoucherRefused, match=code):
                self.place.redeem(found.number, minor)
            return
        paid = self.place.redeem(found.number, minor)
        found.redeemed += minor
        found.state = "redeemed" if not found.rest else "activated"
        assert (paid.rest_minor, paid.state) == (found.rest, found.state)

    def cancel(self) -> None:
        serial, found = self.choice()
        expected = {"redeemed": Code.VOUCHER_USED, "cancelled": Code.VOUCHER_CANCELLED}.get(found.state, "")
        assert self.place.cancel(serial) == [expected]
        if not expected:
            found.state = "cancelled"

    def choice(self) -> tuple[int, Expected]:
        serial = self.random.choice(list(self.vouchers))
        return serial, self.vouchers[serial]

    def check(self) -> None:
        """Compare the bank with the model: every cent is redeemed, held or returned."""
        found = [self.place.bank.vouchers.get(serial) for serial in self.vouchers]
        for each, expected in zip(found, self.vouchers.values(), strict=True):
            assert (each.state, each.redeemed_minor) == (expected.state, expected.redeemed)
            assert each.minor == each.redeemed_minor + each.rest_minor + each.returned_minor
            assert min(each.rest_minor, each.returned_minor) >= 0
        redeemed = sum(each.redeemed_minor for each in found)
        funder = self.place.bank.stores.ledger.account(self.place.funder)
        assert funder.debits_pending - self.pending == sum(each.rest_minor for each in found)
        assert self.place.balance(self.place.funder) == self.start["funder"] - redeemed
        assert self.place.balance(self.place.tea) == self.start["tea"] + redeemed
        assert self.place.bank.check() == []


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("conservation")) as made:
        yield made


def run(place: Town, group: str, seed: int, steps: int) -> None:
    propose(place.bank, group, budget=BUDGET)
    model = Model(Town(place.bank, group), seed)
    for number in range(steps):
        model.step()
        if number % 20 == 19:
            model.check()
    assert {each.state for each in model.vouchers.values()} >= {"redeemed", "cancelled"}


def test_money_is_redeemed_held_or_returned(place: Town) -> None:
    run(place, "quick", 7, STEPS)


@pytest.mark.soak
def test_money_is_redeemed_held_or_returned_for_long(place: Town) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    run(place, "long", seed, STEPS_LONG)
