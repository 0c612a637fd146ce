"""The central bank on a ledger: two tiers, and digital money only against reserves.

Reserves are claims on the central bank outside the digital currency. They have a separate book: a ledger currency whose
number ISO 4217 does not use. To issue money is one chain of two transfers: reserves move into the account `converted`,
and the same amount of digital money leaves the issuance account. The supply always equals the balance of `converted`.

On a ledger with officers, submissions are signed: every method accepts a ledger or a `signing.SigningLedger`, and its
docstring names the signers. The bank's limits are rule sets: journaled, dated, and changed by two officers only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import Refused, UsageError, require
from sycee.core.limits import RULE_SETS_MAX
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind
from sycee.core.result_codes import SIGNATURE_CODES, Result
from sycee.issuance import records
from sycee.issuance.records import RESERVE_BOOK, Issuer, Party
from sycee.issuance.signing import Submitter
from sycee.ledger.batch import CONSEQUENCES, first_codes
from sycee.sequencer.embedded import Ledger

# Numbers of the bank's own rule sets, above those of wallets and programmes.
MINTING_RULE_SET: Final = 60_000
QUOTA_RULE_SET_FIRST: Final = MINTING_RULE_SET + 1  # the first operator's; one per operator


@dataclass(frozen=True, slots=True)
class CentralBank:
    """Account ids of a central bank and its parties, derived from a seed, so that a replay computes them again."""

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
        """Return the ids of a bank with this number of operators and one treasury."""
        made = [ids.to_int(id) for id in ids.derive(seed, "central bank", 5 + 3 * (operators + 1), time_ms=time_ms)]
        issuance, suspense, reserve_issuance, reserve_suspense, converted, *others = made
        *parties, treasury = (Party(*others[at : at + 3]) for at in range(0, len(others), 3))
        return cls(
            currency, zone, issuance, suspense, reserve_issuance, reserve_suspense, converted, tuple(parties), treasury
        )

    @property
    def issuer(self) -> Issuer:
        """Return the bank's own accounts."""
        return Issuer(
            self.currency,
            self.issuance,
            self.suspense,
            self.reserve_issuance,
            self.reserve_suspense,
            self.converted,
        )

    @property
    def opening_records(self) -> int:
        """Return the number of operations, and of their ids, in `opening`."""
        return 2 + 5 + 3 * (len(self.operators) + 1)

    def opening(self, operation_ids: Array) -> Array:
        """Return the records that define both books and open every account. operation_ids: (opening_records,) ID."""
        id = iter(ids.to_int(identifier) for identifier in operation_ids)
        book, kind = RESERVE_BOOK, AccountKind
        made = [
            operations.define_currency(next(id), currency=self.currency, zone=self.zone),
            operations.define_currency(next(id), currency=book, zone=self.zone),
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
            made.append(
                operations.open_account(
                    next(id),
                    account=account,
                    currency=currency,
                    kind=account_kind,
                    suspense=suspense,
                    operator=operator,
                )
            )
        return np.concatenate(made)

    def credit_reserves(self, ledger: Submitter, operation_id: int, party: Party, amount: int) -> None:
        """Record reserves, in minor units, that a party brings from the settlement system. Two officers sign.

        Raise Refused if the ledger refuses the operation.
        """
        _submit(ledger, records.credit_reserves(operation_id, self.issuer, party, amount), "reserves not recorded")

    def issue(self, ledger: Submitter, operation_ids: Array, party: Party, amount: int) -> None:
        """Issue `amount` minor units of digital money to a party against its reserves. operation_ids: (2,) ID.

        Two officers and the party's operator sign. Both transfers are one chain, so either both succeed or neither.
        Raise Refused if the ledger refuses the chain. A repeated call with the same ids has no further effect.
        """
        chain = records.issue(_pair(operation_ids), self.issuer, party, amount)
        _submit(ledger, chain, "nothing issued: debit of the reserves failed", "nothing issued: minting failed")

    def redeem(self, ledger: Submitter, operation_ids: Array, party: Party, amount: int) -> None:
        """Redeem `amount` minor units of a party's digital money and return its reserves. operation_ids: (2,) ID.

        The party's operator signs, and the operator of the bank's own accounts, number 0. The transfers are one chain,
        as in `issue`. Raise Refused if the ledger refuses the chain.
        """
        chain = records.redeem(_pair(operation_ids), self.issuer, party, amount)
        _submit(ledger, chain, "nothing redeemed: debit of the money failed", "nothing redeemed: credit failed")

    def cap_minting(self, ledger: Submitter, operation_ids: Array, day_max: int) -> None:
        """Set the first cap of the amount issued on one local day, in minor units. operation_ids: (2,) ID.

        Two officers sign; `change_cap` changes an existing cap. Raise Refused, or UsageError for an amount < 1.
        """
        self._limit(ledger, operation_ids, MINTING_RULE_SET, self.issuance, "minting not capped", day_max=day_max)

    def change_cap(self, ledger: Submitter, operation_id: int, day_max: int, *, effective_ns: int) -> None:
        """Change the daily cap, in minor units, at a future time. Two officers sign. Raise Refused, UsageError."""
        _define(ledger, operation_id, MINTING_RULE_SET, "cap not changed", effective_ns=effective_ns, day_max=day_max)

    def set_quota(self, ledger: Submitter, operation_ids: Array, operator: int, balance_max: int) -> None:
        """Set the first maximum balance of an operator's vault, in minor units. operation_ids: (2,) ID.

        Operators are numbered from 1. Two officers sign; `change_quota` changes an existing quota. Raise Refused, or
        UsageError for an amount < 1 and for an unknown operator.
        """
        rule_set, vault = self._quota_rule_set(operator), self.operators[operator - 1].money
        self._limit(ledger, operation_ids, rule_set, vault, "quota not set", balance_max=balance_max)

    def change_quota(
        self, ledger: Submitter, operation_id: int, operator: int, balance_max: int, *, effective_ns: int
    ) -> None:
        """Change a quota, in minor units, at a future time. Two officers sign. Raise Refused, UsageError.

        A vault above its new quota stays above it, and receives nothing until its balance fits.
        """
        rule_set = self._quota_rule_set(operator)
        _define(ledger, operation_id, rule_set, "quota not changed", effective_ns=effective_ns, balance_max=balance_max)

    def _quota_rule_set(self, operator: int) -> int:
        operators = min(len(self.operators), RULE_SETS_MAX - QUOTA_RULE_SET_FIRST + 1)
        if not 1 <= operator <= operators:
            raise UsageError(f"operator must be from 1 to {operators}; got {operator}")
        return QUOTA_RULE_SET_FIRST + operator - 1

    def _limit(
        self, ledger: Submitter, operation_ids: Array, rule_set: int, account: int, refused: str, **maximum: Any
    ) -> None:
        """Define a rule set and apply it to an account."""
        define_id, set_id = _pair(operation_ids)
        _define(ledger, define_id, rule_set, refused, **maximum)
        _submit(ledger, operations.set_rule_set(set_id, account=account, rule_set=rule_set), refused)

    def check(self, ledger: Ledger) -> None:
        """Raise IntegrityError unless the supply equals the converted reserves."""
        with ledger.sequencer.reading() as state:
            supply = state.supply(self.currency)
            converted = state.account(self.converted)
        backing = converted.balance if converted else 0
        require(supply == backing, f"{supply} minor units are in circulation against reserves of {backing}")


def _pair(operation_ids: Array) -> tuple[int, int]:
    first, second = (ids.to_int(identifier) for identifier in operation_ids)
    return first, second


def _define(
    ledger: Submitter, operation_id: int, rule_set: int, refused: str, *, effective_ns: int = 0, **maximum: Any
) -> None:
    record = records.limit(operation_id, rule_set, refused, effective_ns=effective_ns, **maximum)
    _submit(ledger, record, refused)


def _submit(ledger: Submitter, records: Array, *refused: str) -> None:
    """Submit records that must succeed, now or in an earlier call. Raise Refused with the failed record's message."""
    codes = first_codes(ledger.submit(records))
    wrong = np.flatnonzero(codes != Result.CREATED)
    if not wrong.size:
        return
    reasons = wrong[~np.isin(codes[wrong], CONSEQUENCES)]
    at = int(reasons[0]) if reasons.size else int(wrong[0])
    result = Result(int(codes[at]))
    is_about_signatures = result in SIGNATURE_CODES
    hint = "the docstring of the method names the signers; each needs a grant or a key on the ledger"
    raise Refused(refused[at], result, hint=hint if is_about_signatures else None)
