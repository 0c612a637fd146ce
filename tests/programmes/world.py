"""A bank with two operators and a funder's account, prepared once per process and copied."""

from __future__ import annotations

from functools import cache
from typing import Final

from tests.bank import world
from tests.bank.world import ANN, BOB, DESK, NORTH, SECOND_NS, SOUTH, START_NS, WITNESS

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.keys import SigningKey
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind
from sycee.core.result_codes import Result

__all__ = ["ANN", "BOB", "DESK", "NORTH", "SECOND_NS", "SOUTH", "START_NS", "WITNESS"]

FUNDER: Final = ids.new(START_NS // 1_000_000 - 1)

# The clock of the bank is at 2026-11-02 08:00 in Shanghai.
FILE: Final = """\
name = "autumn-2026"
title = "Autumn packets"
currency = "CNY"
zone = "Asia/Shanghai"

[funder]
name = "City of Examples"

[budget]
amount = "160.00"

[[packets]]
name = "large"
count = 2
amount = "50.00"

[[packets]]
name = "small"
count = 3
amount = "20.00"

[registration]
from = 2026-11-03T08:00:00
until = "2026-11-04 24:00"
identity = ["document", "phone"]

[draw]
rule = "sycee.draw.v1"
beacon = { source = "a public source", round = 7, due = 2026-11-06T12:00:00 }

[[draw.strata]]
name = "everybody"
winners = 5

[claim]
from = 2026-11-07T08:00:00
until = "2026-11-12 24:00"

[spending]
from = 2026-11-07T08:00:00
until = "2026-11-14 24:00"

[expiry]
at = "2026-11-14 24:00"
rest_to = "funder"

[rules]
divisible = true
own_money = true
person_to_person = false
cash_out = false
refund_order = "own-money-first"

[[merchants]]
name = "city-shops"
count = 2
district = "Old town"

[[operators]]
name = "north"
title = "North Bank"

[[operators]]
name = "south"
title = "South Bank"
"""


def person(bank: Bank, key: SigningKey) -> int:
    return bank.people.person_of_key(key.public)


@cache
def funded(server: str) -> world.Copies:
    """A closed bank with the operators 2 and 3, and a funder's account of operator 2."""
    folder = world.temporary_folder()
    options = world.two_tiers(server).copy(folder)
    with Bank.open(folder / "bank", options=options) as bank:
        suspense = bank.registry.operator(2).accounts.suspense
        record = operations.open_account(
            bank.stores.ledger.new_id(), account=FUNDER, currency=156, kind=AccountKind.FUNDER, suspense=suspense,
            operator=2,
        )  # fmt: skip
        signed = bank.stores.ledger.signed_by(*bank.signers(NORTH))
        assert signed.submit(record)["code"].tolist() == [Result.CREATED]
    return world.Copies(folder, options.get("database", ""))
