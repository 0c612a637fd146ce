"""A bank with a programme at each stage of its life, prepared once per process and copied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from tests.bank import world
from tests.bank.world import ANN, BOB, DESK, NORTH, SECOND_NS, SOUTH, START_NS, WITNESS

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.keys import SigningKey
from sycee.programmes import draw_rule
from sycee.programmes.draw import Entries
from sycee.programmes.occurrence_ids import member_ids
from sycee.wallets.directory import Wallet

__all__ = ["ANN", "BOB", "DESK", "NORTH", "SECOND_NS", "SOUTH", "START_NS", "WITNESS"]

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


PEOPLE: Final = 9  # registrants, of whom five win
BEACON_VALUE: Final = bytes(range(32))
ACCOUNTS: Final = ids.derive(b"a town", "wallets", PEOPLE, time_ms=START_NS // 1_000_000)
STAGES: Final = ("funded", "registering", "frozen", "drawn", "approved", "allotted", "dropped")


def person(bank: Bank, key: SigningKey) -> int:
    return bank.people.person_of_key(key.public)


def moment(day: int, hour: int = 0) -> int:
    """An hour of a day of November 2026 in Shanghai."""
    return START_NS + (day - 2) * world.DAY_NS + (hour - 8) * world.HOUR_NS


def entries() -> Entries:
    documents = np.arange(1, PEOPLE + 1, dtype=np.uint64) + 44_030_000_000_000_000
    phones = np.arange(1, PEOPLE + 1, dtype=np.uint64) + 8_613_900_000_000
    salts = np.frombuffer(b"".join(bytes([each]) * 32 for each in range(PEOPLE)), np.uint8).reshape(PEOPLE, 32)
    return Entries(documents, phones, salts)


class Register:
    """Registrations of nine people with wallets, the odd ones at South Bank."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self.entries = entries()
        found = draw_rule.commitments(self.entries.documents, self.entries.phones, self.entries.salts)
        self.rows = {ids.to_int(member): row for row, member in enumerate(member_ids(found))}

    def accepted(self, programme: str, occurrence: int) -> Entries:
        assert (programme, occurrence) == ("autumn-2026", 0)
        return self.entries

    def assign_packets(self, programme: str, occurrence: int) -> int:
        return 0

    def banks_of(self, programme: str, occurrence: int, members: Sequence[int]) -> list[str]:
        return [("north", "south")[self.rows[each] % 2] for each in members]

    def are_persons(
        self, programme: str, occurrence: int, members: Sequence[int], persons: Sequence[int]
    ) -> list[bool]:
        return [person == self.wallet_of(each).holder for each, person in zip(members, persons, strict=True)]

    def wallet_of(self, member: int) -> Wallet:
        return wallets(self._bank)[self.rows[member]]


def wallets(bank: Bank) -> list[Wallet]:
    """The wallets of the people, in the order of their entries."""
    return [bank.directory.get(ids.to_int(account)) for account in ACCOUNTS]


def opened(folder: Path, options: Mapping[str, str]) -> Bank:
    """The bank in a copied folder, with the registrations of its people."""
    bank = Bank.open(folder / "bank", options=options)
    bank.programmes.registered = Register(bank)
    return bank


def funder(bank: Bank) -> int:
    return bank.funders.find("City of Examples").account


def advance(bank: Bank, stage: str) -> None:
    """Lead the programme from the stage before to this one."""
    programmes, north, ann = bank.programmes, person(bank, NORTH), person(bank, ANN)
    signers = bank.signers(NORTH)
    if stage == "funded":
        made = bank.funders.open("City of Examples", operator=2, signers=signers, who=north)
        assert bank.funders.pay_in(made.account, 1_000_00, signers=signers, who=north).created
        for number in range(PEOPLE):
            operator, key = ((2, NORTH), (3, SOUTH))[number % 2]
            bank.wallets.open_person(
                {"name": f"Person {number}", "phone": f"+86 139 0000 {number:04}"},
                operator=operator, tier="class-4", signers=bank.signers(key), who=person(bank, key),
                account=ids.to_int(ACCOUNTS[number]),
            )  # fmt: skip
    elif stage == "registering":
        programmes.draft(FILE, funder=funder(bank), maker=north)
        bank.set_clock(moment(3, 9))
        programmes.open_registration("autumn-2026", who=north)
    elif stage == "frozen":
        bank.set_clock(moment(5))
        programmes.freeze("autumn-2026", who=north)
    elif stage == "drawn":
        programmes.publish("autumn-2026", who=north)
        bank.set_clock(moment(6, 13))
        programmes.bring_beacon("autumn-2026", value=BEACON_VALUE, who=north)
        programmes.bring_beacon("autumn-2026", value=BEACON_VALUE, who=ann)
        programmes.draw("autumn-2026", who=north)
    elif stage == "approved":
        proposal = programmes.propose_terms("autumn-2026", maker=ann)
        assert bank.proposals.sign(proposal.id, ANN, BOB).needs == ()
    elif stage == "allotted":
        programmes.allot("autumn-2026", signers=signers, who=north)
    else:
        programmes.drop("autumn-2026", signers=signers, who=north)


@cache
def at(stage: str, server: str = "") -> world.Copies:
    """A closed bank whose programme is at a stage: two operators, a funder, and the wallets of nine people."""
    folder = world.temporary_folder()
    before = world.two_tiers(server) if stage == STAGES[0] else at(STAGES[STAGES.index(stage) - 1], server)
    options = before.copy(folder)
    with opened(folder, options) as bank:
        advance(bank, stage)
    return world.Copies(folder, options.get("database", ""))
