"""Records of the central bank's operations: pure builders, for callers that sign and submit them.

Digital money exists only against reserves. Each function that makes or destroys money returns one chain of two
transfers, one in each book, so that either both succeed or neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.limits import I64_MAX
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind, Reason

TECHNICAL_OPERATOR: Final = 0
JOIN_IDS: Final = 8
CLOSE_IDS: Final = 4
RESERVE_BOOK: Final = 1  # a currency number for reserves: ISO 4217's numeric codes begin at 8


@dataclass(frozen=True, slots=True)
class Party:
    """Account ids of an operator or a treasury, which hold reserves and obtain digital money for them."""

    suspense: int  # receives money that an account of the party's customers cannot receive
    money: int  # an operator's vault, a funder's account
    reserve: int  # in the reserve book


@dataclass(frozen=True, slots=True)
class Issuer:
    """Account ids of the central bank itself. `currency`: ISO 4217 number of the digital money."""

    currency: int
    issuance: int
    suspense: int
    reserve_issuance: int
    reserve_suspense: int
    converted: int


def credit_reserves(id: int, issuer: Issuer, party: Party, amount: int) -> Array:
    """Return the record of reserves, in minor units, that a party brings from the settlement system."""
    return operations.transfer(id, debit=issuer.reserve_issuance, credit=party.reserve, amount=amount)


def pay_out_reserves(id: int, issuer: Issuer, party: Party, amount: int) -> Array:
    """Return the record of reserves, in minor units, that a party takes back to the settlement system."""
    return operations.transfer(id, debit=party.reserve, credit=issuer.reserve_issuance, amount=amount)


def issue(ids: tuple[int, int], issuer: Issuer, party: Party, amount: int) -> Array:
    """Return the chain that converts `amount` minor units of a party's reserves into digital money."""
    return operations.chain(
        operations.transfer(ids[0], debit=party.reserve, credit=issuer.converted, amount=amount),
        operations.transfer(ids[1], debit=issuer.issuance, credit=party.money, amount=amount),
    )


def redeem(ids: tuple[int, int], issuer: Issuer, party: Party, amount: int) -> Array:
    """Return the chain that takes `amount` minor units of digital money back and returns the reserves."""
    return operations.chain(
        operations.transfer(ids[0], debit=party.money, credit=issuer.issuance, amount=amount),
        operations.transfer(ids[1], debit=issuer.converted, credit=party.reserve, amount=amount),
    )


def limit(id: int, rule_set: int, refused: str, *, effective_ns: int = 0, **maximum: Any) -> Array:
    """Return the record of a limit of the bank: a rule set with one maximum, such as `balance_max`, in minor units.

    `effective_ns`: 0 for a new rule set, a future time for a change. Raise UsageError that begins with `refused` for a
    maximum below 1.
    """
    if min(maximum.values()) <= 0:
        raise UsageError(f"{refused}: a limit is at least 1 minor unit", hint="block the account to stop all payments")
    return operations.define_rule_set(
        id, rule_set=rule_set, from_ns=0, until_ns=I64_MAX, effective_ns=effective_ns, **maximum
    )


@dataclass(frozen=True, slots=True)
class OperatorAccounts:
    """Account ids of an operator of a live bank.

    Money on its way to or from the operator's customers waits in `transit`. That account belongs to operator 0, whose
    key alone is on a server: the server can confirm and reject, and move no other money.
    """

    suspense: int
    reserve_suspense: int
    transit_suspense: int  # never receives money: the ledger requires one of the same operator as `transit`
    vault: int
    reserve: int
    transit: int

    @property
    def party(self) -> Party:
        """Return the accounts that participate in issuance."""
        return Party(self.suspense, self.vault, self.reserve)


def join(
    ids: Sequence[int],
    issuer: Issuer,
    accounts: OperatorAccounts,
    *,
    operator: int,
    quota_rule_set: int,
    quota_minor: int,
    grant: Array,
) -> Array:
    """Return the records that open an operator's accounts under a quota, and `grant`, the first person's role.

    ids: JOIN_IDS ids of operations. Two officers sign all records. Raise UsageError for a quota below 1.
    """
    money, book, kind = issuer.currency, RESERVE_BOOK, AccountKind
    opened = (
        (accounts.suspense, money, kind.SUSPENSE, 0, operator, 0),
        (accounts.reserve_suspense, book, kind.SUSPENSE, 0, operator, 0),
        (accounts.transit_suspense, money, kind.SUSPENSE, 0, TECHNICAL_OPERATOR, 0),
        (accounts.vault, money, kind.VAULT, accounts.suspense, operator, quota_rule_set),
        (accounts.reserve, book, kind.RESERVE, accounts.reserve_suspense, operator, 0),
        (accounts.transit, money, kind.IN_TRANSIT, accounts.transit_suspense, TECHNICAL_OPERATOR, 0),
    )
    quota_id, *open_ids, link_id = ids
    made = [limit(quota_id, quota_rule_set, "the operator cannot join", balance_max=quota_minor)]
    for id, (account, currency, account_kind, suspense, number, rule_set) in zip(open_ids, opened, strict=True):
        made.append(
            operations.open_account(
                id,
                account=account,
                currency=currency,
                kind=account_kind,
                suspense=suspense,
                operator=number,
                rule_set=rule_set,
            )
        )
    made.append(operations.link_account(link_id, account=accounts.transit, to=accounts.vault))
    return np.concatenate([*made, grant])


def close(ids: Sequence[int], issuer: Issuer, accounts: OperatorAccounts, reserves_minor: int) -> Array:
    """Return the records that pay out an operator's reserves, if it has any, and close its accounts.

    ids: CLOSE_IDS ids of operations. Its suspense accounts stay open: the ledger closes none. Two officers and the
    operator sign.
    """
    made = [pay_out_reserves(ids[0], issuer, accounts.party, reserves_minor)] if reserves_minor else []
    closed = (accounts.vault, accounts.reserve, accounts.transit)
    made += [
        operations.close_account(id, account=account, reason=Reason.OPERATOR)
        for id, account in zip(ids[1:], closed, strict=True)
    ]
    return np.concatenate(made)
