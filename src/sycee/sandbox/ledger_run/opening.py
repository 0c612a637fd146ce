"""What a run does in bulk on its bank's ledger before the first day: accounts of shops, their groups, and wallets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.errors import IntegrityError
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind
from sycee.core.result_codes import Result
from sycee.programmes.stored import LedgerNumbers
from sycee.sandbox.ledger_run.live import LiveBank
from sycee.sandbox.ledger_run.sending import PART_MAX, Sender
from sycee.sequencer.embedded import Ledger


@dataclass(slots=True, eq=False)
class Books:
    """Accounts of a run on the ledger of its bank. All ids follow from the seed of the bank."""

    live: LiveBank
    numbers: LedgerNumbers
    shop: Array  # (m,) int64: row of each merchant with an account in the city
    shop_account: Array  # (m,) ID; one more for shops outside of the city, if ordinary purchases are paid
    wallet: Array  # (people,) ID
    person_operator: Array  # (people,) int64: index of the operator of each person
    shop_operator: Array  # (m,) int64: of each account of a shop
    wallets_are_open: bool  # otherwise each wallet is opened before its claim

    @property
    def suspense(self) -> Array:
        """The suspense account of each operator: (operators,) ID."""
        return ids.from_ints([each.accounts.suspense for each in self.live.operators])

    @property
    def vault(self) -> Array:
        """The vault of each operator: (operators,) ID."""
        return ids.from_ints([each.accounts.vault for each in self.live.operators])

    @property
    def ledger(self) -> Ledger:
        """The ledger of the bank."""
        return self.live.bank.stores.ledger

    @property
    def operators(self) -> int:
        """Number of operators."""
        return len(self.live.operators)

    def ids(self, purpose: str, count: int, times_ns: Array | int | None = None) -> Array:
        """Return ids of a purpose; `times_ns` ascending, or the start of the bank."""
        moment = self.live.start_ns if times_ns is None else times_ns
        return ids.derive(self.live.seed, purpose, count, time_ms=moment // 10**6)

    def sender(self) -> Sender:
        """Return a sender of records that operators sign."""
        return Sender(self.ledger, self.live.clock, self.live.signers)

    def send_all(self, records: Array, by: Array) -> None:
        """Submit records that must succeed. by: (n,) operators, of which equal ones are neighbours."""
        codes = np.zeros(records.size, np.int64)
        sender = self.sender()
        sender.send(records, by, read_ns(self.live.bank.stores.clock), codes)
        sender.finish()
        wrong = np.flatnonzero(codes != Result.CREATED)
        if wrong.size:
            at = int(wrong[0])
            raise IntegrityError(
                f"operation {ids.of_record(records[at], 'id'):#x} of the run was refused: "
                f"{Result(int(codes[at])).name}; {wrong.size} of {records.size} failed"
            )


def open_books(live: LiveBank, groups: Array, people: int, *, with_ordinary: bool) -> Books:
    """Open the accounts of shops. groups: (groups, merchants) bool of accepting shops.

    people: each has the id of a wallet. with_ordinary: open all wallets now, and accounts of all shops.
    """
    shop = np.arange(groups.shape[1]) if with_ordinary else np.flatnonzero(groups.any(axis=0))
    time_ms, operators = live.start_ns // 10**6, len(live.operators)
    shop_operator = np.arange(shop.size + with_ordinary) % operators
    shop_operator[: shop.size] = shop % operators
    books = Books(
        live=live,
        numbers=live.numbers,
        shop=shop,
        shop_account=ids.derive(live.seed, "merchants", shop.size + with_ordinary, time_ms=time_ms),
        wallet=ids.derive(live.seed, "wallets", people, time_ms=time_ms),
        person_operator=np.arange(people) % operators,
        shop_operator=shop_operator,
        wallets_are_open=with_ordinary,
    )
    _open_shops(books, groups)
    if with_ordinary:
        _open_wallets(books)
    return books


def _open_shops(books: Books, groups: Array) -> None:
    """Open the account of every shop at its operator, and add it to its groups."""
    group, member = np.nonzero(groups[:, books.shop])
    operator = books.shop_operator
    opening = _accounts(
        books, books.ids("merchants opened", operator.size), books.shop_account, operator, AccountKind.MERCHANT
    )
    joining = operations.join_group(
        books.ids("merchants joined", member.size),
        group=np.array(books.numbers.groups)[group],
        account=books.shop_account[member],
    )
    records = np.concatenate([opening, joining])
    by = np.concatenate([operator, operator[member]])
    order = np.argsort(by, kind="stable")
    books.send_all(records[order], by[order])


def _open_wallets(books: Books) -> None:
    """Open the wallet of every person at its operator."""
    operator = books.person_operator
    opened = books.ids("wallets opened", books.wallet.size)
    order = np.argsort(operator, kind="stable")
    for first in range(0, order.size, PART_MAX):
        person = order[first : first + PART_MAX]
        books.send_all(
            wallet_records(books, opened[first : first + PART_MAX], person, operator[person]), operator[person]
        )


def wallet_records(books: Books, operation_ids: Array, person: Array, operator: Array) -> Array:
    """Return the records that open wallets of persons at their operators: (n,) layout.OPERATION."""
    return _accounts(books, operation_ids, books.wallet[person], operator, AccountKind.WALLET)


def _accounts(books: Books, operation_ids: Array, account: Array, operator: Array, kind: AccountKind) -> Array:
    number = np.array([each.number for each in books.live.operators])
    return operations.open_account(
        operation_ids,
        account=account,
        currency=books.live.programme.currency.numeric,
        kind=kind,
        suspense=books.suspense[operator],
        operator=number[operator],
    )
