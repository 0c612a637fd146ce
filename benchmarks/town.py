"""Town: wallets with money, and uniform random operations between them.

Everything except the times in operations' ids follows from numbers, so every repeat does the same on a new ledger.
Records are made a million at a time, untimed, and not stored, so that a town of a hundred million wallets needs no
memory. No operation is refused: every balance exceeds the total that the run can debit. programmes.py adds purses.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from enum import IntEnum
from itertools import count
from typing import Final

import numpy as np

from benchmarks.measure import BATCH, MILLION
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import require
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind

CURRENCY: Final = 156
ZONE: Final = "Asia/Shanghai"
MOMENT_MS: Final = 1_602_518_400_000  # time in every account's id; operations have the time of their first use
FOREVER_NS: Final = 1 << 62
WALLET_MINOR: Final = 100_000_000  # own money of each paying wallet
AMOUNT_MAX: Final = 10_000

# 2⁶⁴ divided by the golden ratio: multiplication by it spreads neighbours.
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


class Purpose(IntEnum):
    """Purpose of an id; each purpose has separate milliseconds, so that no id is made twice."""

    WALLET = 0
    MERCHANT = 1
    OPEN = 2
    OPEN_MERCHANT = 3
    JOIN = 4
    FUND = 5
    MEMBERS = 6
    CLAIM = 7
    BANK = 8
    WORK = 9
    POST = 10


_ACCOUNTS: Final = (Purpose.WALLET, Purpose.MERCHANT)
_moments_ms: dict[tuple[Purpose, int, int], int] = {}  # by purpose, series and frame


def ids_of(purpose: Purpose, numbers: Array | int, *, series: int = 0) -> Array:
    """Return the ids with these numbers, (n,) ids.ID, in the form of `ids.generate`: time, counter, 32 random bits.

    `series` separates things of one purpose, such as programmes. An operation's id contains the time at which its
    frame's ids were first requested in this process, as a client's would.
    """
    counter = np.atleast_1d(np.asarray(numbers)).astype(np.uint64)
    made = np.empty(counter.size, ids.ID)
    if purpose in _ACCOUNTS:
        moments_ms = np.full(counter.size, MOMENT_MS + 1000 * int(purpose) + series, np.uint64)
    else:
        frames = counter // np.uint64(BATCH)
        least, most = (int(frames.min()), int(frames.max())) if frames.size else (0, -1)
        known = [_moment_ms(purpose, series, frame) for frame in range(least, most + 1)]
        moments_ms = np.array(known, np.uint64)[frames - np.uint64(least)]
    made["high"] = moments_ms << np.uint64(16) | np.uint64(0x7000) | counter >> np.uint64(30)
    made["low"] = (
        np.uint64(0b10 << 62)
        | (counter & np.uint64(2**30 - 1)) << np.uint64(ids.RANDOM_BITS)
        | (counter + np.uint64(1)) * _GOLDEN >> np.uint64(64 - ids.RANDOM_BITS)
    )
    return made


def _moment_ms(purpose: Purpose, series: int, frame: int) -> int:
    """Return the time of the first request for a frame's ids: a millisecond that no other frame has."""
    key = purpose, series, frame
    if key not in _moments_ms:
        newest = next(reversed(_moments_ms.values()), 0)
        _moments_ms[key] = max(time.time_ns() // 10**6, newest + 1)
    return _moments_ms[key]


def forget_moments() -> None:
    """Forget the times of operations: otherwise a town's payments are older than its wallets if a smaller town paid
    before.
    """
    _moments_ms.clear()


def chunks(total: int, size: int = MILLION) -> Iterator[Array]:
    """Yield the numbers from 0 to `total` − 1 in chunks."""
    for start in range(0, total, size):
        yield np.arange(start, min(start + size, total))


class Town:
    """Records that open a town of `accounts` wallets, and records that move its money.

    `paying` payments will be made: the wallets that pay have `own_minor` each, the others nothing.
    """

    rule_set = 0  # of all wallets

    def __init__(self, accounts: int, paying: int, *, own_minor: int = WALLET_MINOR) -> None:
        require(accounts > 1, "a town needs two wallets")
        self.accounts = accounts
        self.paying = paying
        self._own_minor = own_minor
        self._bank_numbers = count()
        self.issuance, self.suspense = self.next_id(), self.next_id()
        drawn = (self._payers(each) for each in chunks(paying))
        self._funded = np.unique(np.concatenate([np.empty(0, np.int32), *drawn]))
        self.minted = int(self._funded.size) * own_minor

    # --- before the timing starts ---

    def opening(self) -> Iterator[Array]:
        """Yield all records that precede the work, up to a million at a time."""
        yield from self.bank()
        yield from self._before_wallets()
        yield from self.wallets()
        for each in chunks(self._funded.size):
            wallets = ids_of(Purpose.WALLET, self._funded[each])
            yield operations.transfer(
                ids_of(Purpose.FUND, each), debit=self.issuance, credit=wallets, amount=self._own_minor
            )
        yield from self._after_wallets()

    def bank(self) -> Iterator[Array]:
        yield operations.define_currency(self.next_id(), currency=CURRENCY, zone=ZONE)
        for account, kind in ((self.issuance, AccountKind.ISSUANCE), (self.suspense, AccountKind.SUSPENSE)):
            yield operations.open_account(self.next_id(), account=account, currency=CURRENCY, kind=kind)

    def wallets(self) -> Iterator[Array]:
        for each in chunks(self.accounts):
            wallets = ids_of(Purpose.WALLET, each)
            yield self.opened(ids_of(Purpose.OPEN, each), wallets, AccountKind.WALLET, self.rule_set)

    def _before_wallets(self) -> Iterator[Array]:
        yield from ()

    def _after_wallets(self) -> Iterator[Array]:
        yield from ()

    # --- the work ---

    def transfers(self) -> Iterator[Array]:
        """Transfers: both wallets uniform random and different, amounts from 1 to AMOUNT_MAX."""
        for each in chunks(self.paying):
            payer, payee, amount = self._payments(each)
            yield operations.transfer(ids_of(Purpose.WORK, each), debit=payer, credit=payee, amount=amount)

    def holds_and_posts(self) -> Iterator[Array]:
        """Yield frames of holds and frames of their full posts, requested by the payees: two operations per payment."""
        for each in chunks(self.paying, BATCH):
            payer, payee, amount = self._payments(each)
            made = ids_of(Purpose.WORK, each)
            yield operations.hold(made, payer=payer, payee=payee, amount=amount, until_ns=FOREVER_NS)
            yield operations.post(ids_of(Purpose.POST, each), hold=made, by=payee, amount=amount)

    # --- what they are made of ---

    def next_id(self) -> int:
        """Return a fresh id for an account or a single operation of the central bank."""
        return ids.to_int(ids_of(Purpose.BANK, next(self._bank_numbers))[0])

    def opened(self, made: Array | int, accounts: Array | int, kind: AccountKind, rule_set: int = 0) -> Array:
        """Return OPEN_ACCOUNT of each of `accounts`, under the operations' ids `made`."""
        return operations.open_account(
            made, account=accounts, currency=CURRENCY, kind=kind, suspense=self.suspense, rule_set=rule_set
        )

    def _payers(self, numbers: Array) -> Array:
        """Return the paying wallet of each of these payments: (n,) int32."""
        return (random_of(numbers, salt=1) % np.uint64(self.accounts)).astype(np.int32)

    def _payments(self, numbers: Array) -> tuple[Array, Array, Array]:
        payer = self._payers(numbers).astype(np.uint64)
        step = random_of(numbers, salt=2) % np.uint64(self.accounts - 1) + np.uint64(1)
        payee = (payer + step) % np.uint64(self.accounts)
        return ids_of(Purpose.WALLET, payer), ids_of(Purpose.WALLET, payee), amounts_of(numbers)


def random_of(numbers: Array, *, salt: int) -> Array:
    """Return random 63-bit integers from the numbers and the salt: the finalizer of MurmurHash3 for 64 bits."""
    mixed = (numbers.astype(np.uint64) + np.uint64(salt << 48)) * _GOLDEN
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        mixed = (mixed ^ mixed >> np.uint64(33)) * np.uint64(factor)
    shuffled: Array = (mixed ^ mixed >> np.uint64(33)) >> np.uint64(1)
    return shuffled


def amounts_of(numbers: Array) -> Array:
    return (random_of(numbers, salt=3) % np.uint64(AMOUNT_MAX)).astype(np.int64) + 1
