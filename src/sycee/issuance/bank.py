"""The central bank on a ledger: two tiers, and digital money only against reserves.

Reserves are claims on the central bank outside the digital currency, so they are kept in a book of their own: a ledger
currency whose number ISO 4217 does not use. Issuing moves reserves into `converted` and the same amount of digital
money out of the issuance account; at any moment the supply equals what stands in `converted`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sycee.core import ids
from sycee.core.codes import Result
from sycee.core.errors import Refused, require
from sycee.ledger import operations
from sycee.ledger.layout import AccountKind
from sycee.sequencer.embedded import Ledger

Array = np.ndarray[Any, Any]

RESERVE_BOOK: Final = 1  # ISO 4217's numeric codes begin at 8


@dataclass(frozen=True, slots=True)
class Party:
    """Whoever holds reserves at the central bank and may obtain digital money for them: an operator, a treasury."""

    suspense: int  # takes what its customers' accounts cannot
    money: int  # an operator's vault, a funder's account
    reserve: int  # in the reserve book


@dataclass(frozen=True, slots=True)
class CentralBank:
    """Account ids of a central bank and its parties, derived from a seed, so that a replay finds them again."""

    currency: int
    zone: str
    issuance: int
    suspense: int
    reserve_issuance: int
    reserve_suspense: int
    converted: int
    operators: tuple[Party, ...]
    treasury: Party

    @classmethod
    def derive(cls, seed: bytes, *, currency: int, zone: str, operators: int, time_ms: int) -> CentralBank:
        """Ids for a bank with this many operators and one treasury."""
        made = [ids.to_int(one) for one in ids.derive(seed, "central bank", 5 + 3 * (operators + 1), time_ms=time_ms)]
        issuance, suspense, reserve_issuance, reserve_suspense, converted = made[:5]
        *parties, treasury = (Party(*made[at : at + 3]) for at in range(5, len(made), 3))
        return cls(
            currency=currency,
            zone=zone,
            issuance=issuance,
            suspense=suspense,
            reserve_issuance=reserve_issuance,
            reserve_suspense=reserve_suspense,
            converted=converted,
            operators=tuple(parties),
            treasury=treasury,
        )

    @property
    def opening_records(self) -> int:
        """How many operations, and so ids, `opening` takes."""
        return 2 + 5 + 3 * (len(self.operators) + 1)

    def opening(self, operation_ids: Array) -> Array:
        """Define both books and open every account. operation_ids: (opening_records,) ID."""
        one = iter(ids.to_int(identifier) for identifier in operation_ids)
        book, kind = RESERVE_BOOK, AccountKind
        records = [
            operations.define_currency(next(one), currency=self.currency, zone=self.zone),
            operations.define_currency(next(one), currency=book, zone=self.zone),
        ]
        accounts = [
            (self.issuance, self.currency, kind.ISSUANCE, 0, 0),
            (self.suspense, self.currency, kind.SUSPENSE, 0, 0),
            (self.reserve_issuance, book, kind.ISSUANCE, 0, 0),
            (self.reserve_suspense, book, kind.SUSPENSE, 0, 0),
            (self.converted, book, kind.RESERVE, self.reserve_suspense, 0),
        ]
        for operator, party in enumerate((*self.operators, self.treasury), 1):
            is_treasury = party is self.treasury
            accounts += [
                (party.suspense, self.currency, kind.SUSPENSE, 0, operator),
                (party.money, self.currency, kind.FUNDER if is_treasury else kind.VAULT, party.suspense, operator),
                (party.reserve, book, kind.RESERVE, self.reserve_suspense, operator),
            ]
        for account, currency, account_kind, suspense, operator in accounts:
            records.append(
                operations.open_account(
                    next(one),
                    account=account,
                    currency=currency,
                    kind=account_kind,
                    suspense=suspense,
                    operator=operator,
                )
            )
        return np.concatenate(records)

    def credit_reserves(self, ledger: Ledger, operation_id: int, party: Party, amount: int) -> None:
        """Record reserves that a party brings from the settlement system. Raises Refused."""
        record = operations.transfer(operation_id, debit=self.reserve_issuance, credit=party.reserve, amount=amount)
        _submit(ledger, record, "reserves not recorded")

    def issue(self, ledger: Ledger, operation_ids: Array, party: Party, amount: int) -> None:
        """Issue `amount` minor units of digital money to a party against its reserves. operation_ids: (2,) ID.

        The reserves go first: without them nothing is issued. Raises Refused, and asking again with the same ids goes
        on where it stopped.
        """
        reserve_id, money_id = (ids.to_int(identifier) for identifier in operation_ids)
        taken = operations.transfer(reserve_id, debit=party.reserve, credit=self.converted, amount=amount)
        _submit(ledger, taken, "reserves not taken, nothing issued")
        issued = operations.transfer(money_id, debit=self.issuance, credit=party.money, amount=amount)
        _submit(ledger, issued, "reserves taken but money not issued")

    def check(self, ledger: Ledger) -> None:
        """Supply equals converted reserves, to the cent. Raises IntegrityError."""
        with ledger.sequencer.reading() as state:
            supply = state.supply(self.currency)
            converted = state.account(self.converted)
        backing = converted.balance if converted else 0
        require(supply == backing, f"{supply} minor units are in circulation against reserves of {backing}")


def _submit(ledger: Ledger, record: Array, message: str) -> None:
    answer = ledger.submit(record)[0]
    result = Result(int(answer["code"]))
    if result is Result.EXISTS:
        result = Result(int(answer["first_code"]))
    if result is not Result.CREATED:
        raise Refused(message, result)
