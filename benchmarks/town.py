"""A town to do payments in: wallets with money or purses, and uniform random operations between them.

Everything follows from one seed, so every repeat does the same to a new ledger. No operation is refused: balances and
packets are larger than what the run can take from any of them.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from benchmarks.measure import SEED
from sycee.core import ids
from sycee.core.errors import require
from sycee.ledger import operations
from sycee.ledger.layout import AccountKind, PayFlag

Array = np.ndarray[Any, Any]

CURRENCY: Final = 156
ZONE: Final = "Asia/Shanghai"
MOMENT_MS: Final = 1_602_518_400_000  # of every id; a ledger's own clock is the machine's
FOREVER_NS: Final = 1 << 62
WALLET_MINOR: Final = 100_000_000  # own money of each wallet, or what is in each packet
AMOUNT_MAX: Final = 10_000
MERCHANTS: Final = 3_389  # as many as took part in Luohu
PROGRAMME: Final = 1
GROUP: Final = 1
RULE_SET: Final = 1


class Town:
    """Records that open a town of `accounts` wallets, and records that move its money.

    With `purses` every wallet holds one packet of a programme that may be spent at merchants only, and no own money.
    """

    def __init__(self, accounts: int, *, purses: bool = False) -> None:
        require(accounts > 1, "a town needs two wallets")
        self.purses = purses
        self.wallets = _ids("wallets", accounts)
        self.merchants = _ids("merchants", MERCHANTS if purses else 0)
        self.minted = accounts * WALLET_MINOR
        self._issuance, self._suspense, self._funder = (ids.to_int(one) for one in _ids("bank", 3))
        records = [self._bank(), self._open(self.wallets, AccountKind.WALLET, "open wallets")]
        records += self._programme() if purses else [self._fund()]
        self.opening = np.concatenate(records)

    def transfers(self, count: int) -> Array:
        """(count,) transfers: both wallets uniform random and different, amounts from 1 to AMOUNT_MAX."""
        random = np.random.default_rng(1)
        payer = random.integers(self.wallets.size, size=count)
        payee = (payer + random.integers(1, self.wallets.size, size=count)) % self.wallets.size
        return operations.transfer(
            _ids("transfers", count),
            debit=self.wallets[payer],
            credit=self.wallets[payee],
            amount=random.integers(1, AMOUNT_MAX + 1, size=count),
        )

    def pays(self, count: int) -> Array:
        """(count,) pays out of one purse each: wallet and merchant uniform random."""
        random = np.random.default_rng(2)
        return operations.pay(
            _ids("pays", count),
            payer=self.wallets[random.integers(self.wallets.size, size=count)],
            payee=self.merchants[random.integers(self.merchants.size, size=count)],
            amount=random.integers(1, AMOUNT_MAX + 1, size=count),
            flags=int(PayFlag.PURSES_ONLY),
        )

    def _bank(self) -> Array:
        one = (ids.to_int(identifier) for identifier in _ids("bank operations", 3))
        return np.concatenate(
            [
                operations.define_currency(next(one), currency=CURRENCY, zone=ZONE),
                operations.open_account(
                    next(one), account=self._issuance, currency=CURRENCY, kind=AccountKind.ISSUANCE
                ),
                operations.open_account(
                    next(one), account=self._suspense, currency=CURRENCY, kind=AccountKind.SUSPENSE
                ),
            ]
        )

    def _open(self, accounts: Array, kind: AccountKind, purpose: str) -> Array:
        return operations.open_account(
            _ids(purpose, accounts.size), account=accounts, currency=CURRENCY, kind=kind, suspense=self._suspense
        )

    def _fund(self) -> Array:
        return operations.transfer(
            _ids("fund", self.wallets.size), debit=self._issuance, credit=self.wallets, amount=WALLET_MINOR
        )

    def _programme(self) -> list[Array]:
        one = (ids.to_int(identifier) for identifier in _ids("programme operations", 7))
        members = self.wallets  # a member's id may be any; here it is that of the wallet
        seal = next(one)
        return [
            self._open(self.merchants, AccountKind.MERCHANT, "open merchants"),
            operations.open_account(
                next(one),
                account=self._funder,
                currency=CURRENCY,
                kind=AccountKind.FUNDER,
                suspense=self._suspense,
            ),
            operations.transfer(next(one), debit=self._issuance, credit=self._funder, amount=self.minted),
            operations.define_group(next(one), group=GROUP),
            operations.join_group(_ids("join", self.merchants.size), group=GROUP, account=self.merchants),
            operations.define_rule_set(
                next(one),
                rule_set=RULE_SET,
                groups=(GROUP,),
                from_ns=0,
                until_ns=FOREVER_NS,
                return_account=self._funder,
            ),
            operations.open_programme(
                next(one),
                programme=PROGRAMME,
                funder=self._funder,
                rule_set=RULE_SET,
                members=members.size,
                claim_from_ns=0,
                claim_until_ns=FOREVER_NS,
            ),
            operations.add_members(
                _ids("members", operations.add_members_records(members.size)), programme=PROGRAMME, members=members
            ),
            operations.seal_cohort(seal, programme=PROGRAMME, digest=operations.cohort_digest(members)),
            operations.drop(
                next(one), programme=PROGRAMME, first=0, count=members.size, amount=WALLET_MINOR, seal=seal
            ),
            operations.claim(
                _ids("claims", members.size),
                programme=PROGRAMME,
                member=np.arange(members.size),
                member_id=members,
                wallet=self.wallets,
            ),
        ]


def _ids(purpose: str, count: int) -> Array:
    return ids.derive(SEED, purpose, count, time_ms=MOMENT_MS)
