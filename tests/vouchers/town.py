"""The bank of a dropped programme whose tea house joined, with a group of vouchers that two officers approved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.bank.world import Copies
from tests.programmes import world
from tests.programmes.shops_town import NAME, let_join, open_shop, shop_town
from tests.programmes.world import ANN, BOB, NORTH, funder, moment, person

from sycee.bank.bank import Bank
from sycee.vouchers.service import Redemption, RowResult

GROUP = "school-2026"
BUDGET = 300_00
LEFT = 840_00  # of the funder, after the drop
UNTIL_NS = moment(14)
ID = "CHILD-0001"


@cache
def voucher_town() -> Copies:
    folder = world.world.temporary_folder()
    with world.opened(folder, shop_town().copy(folder)) as bank:
        bank.set_clock(moment(7, 9))
        let_join(bank, open_shop(bank, "Tea house"))
        propose(bank, GROUP)
    return Copies(folder, "")


def propose(bank: Bank, group: str, budget: int = BUDGET, until_ns: int = UNTIL_NS) -> None:
    made = bank.vouchers.groups.propose(group, NAME, budget_minor=budget, until_ns=until_ns, maker=person(bank, ANN))
    assert bank.proposals.sign(made.id, ANN, BOB).needs == ()


@dataclass(frozen=True)
class Town:
    """The open bank, and what the operator's person does with vouchers."""

    bank: Bank
    group: str = GROUP

    @property
    def north(self) -> int:
        return person(self.bank, NORTH)

    @property
    def tea(self) -> int:
        return open_shop(self.bank, "Tea house")

    @property
    def cafe(self) -> int:
        return open_shop(self.bank, "Cafe")

    @property
    def funder(self) -> int:
        return funder(self.bank)

    @property
    def signing(self) -> dict:
        return {"signers": self.bank.signers(NORTH), "who": self.north}

    def balance(self, account: int) -> int:
        return self.bank.stores.ledger.balance(account)

    def reserve(self, *amounts: int, id: int = 0) -> Sequence[RowResult]:
        return self.bank.vouchers.reserve(self.group, amounts, id=id, **self.signing)

    def activate(self, *serials: int, text: str = ID, id: int = 0) -> list[str]:
        rows = [(serial, text) for serial in serials]
        return [each.code for each in self.bank.vouchers.activate(self.group, rows, who=self.north, id=id)]

    def number(self, serial: int) -> str:
        batch = self.bank.vouchers.get(serial).batch
        return self.bank.vouchers.numbers(batch, who=self.north)[serial]

    def ready(self, *amounts: int) -> list[tuple[int, str]]:
        """New activated vouchers: serials and numbers."""
        serials = [each.serial for each in self.reserve(*amounts)]
        assert self.activate(*serials) == [""] * len(serials)
        return [(each, self.number(each)) for each in serials]

    def redeem(self, number: str, minor: int, *, shop: int = 0, **named: object) -> Redemption:
        return self.bank.vouchers.redeem(number, shop or self.tea, minor, **self.signing, **named)  # type: ignore[arg-type]

    def cancel(self, *serials: int, id: int = 0) -> list[str]:
        found = self.bank.vouchers.cancel(self.group, serials, id=id, **self.signing)
        return [each.code for each in found]


@contextmanager
def town(folder: Path) -> Iterator[Town]:
    with world.opened(folder, voucher_town().copy(folder)) as bank:
        yield Town(bank)
