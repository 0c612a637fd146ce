"""Programmes with purses, and a town of wallets with limits and two purses each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from benchmarks.town import FOREVER_NS, Purpose, Town, amounts_of, chunks, ids_of, random_of
from sycee.core.arrays import Array
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind
from sycee.wallets import tiers

MERCHANTS: Final = 3_389  # as many as in the Luohu pilot
PACKET_MINOR: Final = 20_000
PRESET: Final = "ecny-2021"
CLASS: Final = "class-4"  # the lowest limits: 2,000.00 per payment, 5,000.00 a day, 50,000.00 a year
TIERED_MINOR: Final = 900_000  # own money; the class allows 1,000,000
FIRST_CLASS: Final = 11  # number of the first rule set of a class; programmes have lower ones


class Programme:
    """One programme of a town: members are numbers, and member n's id is that of wallet n."""

    def __init__(
        self,
        town: Town,
        number: int,
        members: int,
        *,
        amount: int,
        groups: tuple[int, ...] = (),
        until_ns: int = FOREVER_NS,
    ) -> None:
        self.number, self.members, self.amount = number, members, amount
        self.total = members * amount
        self.funder = town.next_id()
        self._town = town
        self._groups = groups
        self._until_ns = until_ns
        self._seal = town.next_id()

    def opening(self) -> Iterator[Array]:
        """Yield the records that fund and open the programme and seal its cohort."""
        town = self._town
        yield town.opened(town.next_id(), self.funder, AccountKind.FUNDER)
        yield operations.transfer(town.next_id(), debit=town.issuance, credit=self.funder, amount=self.total)
        yield operations.define_rule_set(
            town.next_id(),
            rule_set=self.number,
            groups=self._groups,
            from_ns=0,
            until_ns=self._until_ns,
            return_account=self.funder,
        )
        yield operations.open_programme(
            town.next_id(),
            programme=self.number,
            funder=self.funder,
            rule_set=self.number,
            members=self.members,
            claim_from_ns=0,
            claim_until_ns=self._until_ns,
        )
        members = ids_of(Purpose.WALLET, np.arange(self.members))
        made = ids_of(Purpose.MEMBERS, np.arange(operations.add_members_records(self.members)), series=self.number)
        yield operations.add_members(made, programme=self.number, members=members)
        yield operations.seal_cohort(self._seal, programme=self.number, digest=operations.cohort_digest(members))

    def drop(self) -> Array:
        return operations.drop(
            self._town.next_id(),
            programme=self.number,
            first=0,
            count=self.members,
            amount=self.amount,
            seal=self._seal,
        )

    def claims(self) -> Iterator[Array]:
        for each in chunks(self.members):
            wallets = ids_of(Purpose.WALLET, each)
            made = ids_of(Purpose.CLAIM, each, series=self.number)
            yield operations.claim(made, programme=self.number, member=each, member_id=wallets, wallet=wallets)

    def expire(self) -> Array:
        return operations.expire(self._town.next_id(), programme=self.number, first=0, count=self.members)


class TieredTown(Town):
    """Town under the limits of a class, where every wallet has a packet of each of two programmes.

    One third of the merchants accept purses of the first programme, one third of the second, the rest own money only.
    """

    def __init__(self, accounts: int, paying: int) -> None:
        super().__init__(accounts, paying, own_minor=TIERED_MINOR)
        self._preset = tiers.load(PRESET)
        self.rule_set = tiers.rule_set_numbers(self._preset, first_rule_set=FIRST_CLASS)[CLASS]
        self._programmes = [
            Programme(self, number, accounts, amount=PACKET_MINOR, groups=(number,)) for number in (1, 2)
        ]
        self.minted += sum(each.total for each in self._programmes)

    def _before_wallets(self) -> Iterator[Array]:
        yield tiers.tier_records(
            self._preset,
            first_rule_set=FIRST_CLASS,
            from_ns=0,
            until_ns=FOREVER_NS,
            ids=[self.next_id() for _ in self._preset.tiers],
        )
        numbers = np.arange(MERCHANTS)
        merchants = ids_of(Purpose.MERCHANT, numbers)
        yield self.opened(ids_of(Purpose.OPEN_MERCHANT, numbers), merchants, AccountKind.MERCHANT)
        for programme in self._programmes:
            third = numbers[numbers % 3 == programme.number]
            yield operations.define_group(self.next_id(), group=programme.number)
            yield operations.join_group(ids_of(Purpose.JOIN, third), group=programme.number, account=merchants[third])

    def _after_wallets(self) -> Iterator[Array]:
        for programme in self._programmes:
            yield from programme.opening()
            yield programme.drop()
            yield from programme.claims()

    def pays(self) -> Iterator[Array]:
        """Yield pays of random wallets at random merchants; each checks both purses and uses one or none."""
        for each in chunks(self.paying):
            yield operations.pay(
                ids_of(Purpose.WORK, each),
                payer=ids_of(Purpose.WALLET, self._payers(each)),
                payee=ids_of(Purpose.MERCHANT, random_of(each, salt=2) % np.uint64(MERCHANTS)),
                amount=amounts_of(each),
            )
