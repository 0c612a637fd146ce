"""The central bank on a ledger: two tiers, and digital money only against reserves.

Reserves are claims on the central bank outside the digital currency, so they are kept in a book of their own: a ledger
currency whose number ISO 4217 does not use. Issuing moves reserves into `converted` and the same amount of digital
money out of the issuance account, as one chain: both or neither. At any moment the supply equals what stands in
`converted`.

Once a ledger has named officers, what they and the parties submit is signed: every method takes the ledger, or
`signing.SigningLedger` before it, and says who must sign. The limits are rule sets like any other, so that they are
journaled, dated, and changed by two officers alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import Refused, UsageError, require
from sycee.core.limits import I64_MAX, RULE_SETS_MAX
from sycee.core.result_codes import Result
from sycee.issuance.signing import Submitter
from sycee.ledger import operations
from sycee.ledger.layout import AccountKind
from sycee.sequencer.embedded import Ledger

RESERVE_BOOK: Final = 1  # ISO 4217's numeric codes begin at 8
# Rule sets of the bank's own limits are numbered from here on, out of the way of wallets' and programmes'.
MINTING_RULE_SET: Final = 60_000
QUOTA_RULE_SET_FIRST: Final = MINTING_RULE_SET + 1  # the first operator's; each has one of its own

_NOT_THE_REASON: Final = (Result.CHAIN_BROKEN, Result.LINKED_FAILED, Result.EXISTS)
_OF_SIGNATURES: Final = (
    Result.SIGNATURE_INVALID,
    Result.SIGNATURE_EXPIRED,
    Result.SIGNER_NOT_FOUND,
    Result.KEY_EPOCH_DIFFERS,
    Result.NOT_AUTHORISED,
    Result.TWO_PERSONS_MUST_SIGN,
)


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

    def credit_reserves(self, ledger: Submitter, operation_id: int, party: Party, amount: int) -> None:
        """Record reserves, in minor units, that a party brings from the settlement system. Two officers sign.

        Raises Refused.
        """
        record = operations.transfer(operation_id, debit=self.reserve_issuance, credit=party.reserve, amount=amount)
        _submit(ledger, record, "reserves not recorded")

    def issue(self, ledger: Submitter, operation_ids: Array, party: Party, amount: int) -> None:
        """Issue `amount` minor units of digital money to a party against its reserves. operation_ids: (2,) ID.

        Two officers and the party's operator sign. Both transfers are one chain, so that there is never money without
        reserves, nor reserves taken without money. Raises Refused; asking again with the same ids does nothing again.
        """
        reserve_id, money_id = (ids.to_int(identifier) for identifier in operation_ids)
        chain = operations.chain(
            operations.transfer(reserve_id, debit=party.reserve, credit=self.converted, amount=amount),
            operations.transfer(money_id, debit=self.issuance, credit=party.money, amount=amount),
        )
        _submit(ledger, chain, "nothing issued: reserves not taken", "nothing issued: money not made")

    def redeem(self, ledger: Submitter, operation_ids: Array, party: Party, amount: int) -> None:
        """Take back `amount` minor units of digital money from a party and give it its reserves again.

        operation_ids: (2,) ID. The party's operator signs, and the operator of the bank's own accounts, number 0.
        One chain, as in `issue`. Raises Refused.
        """
        money_id, reserve_id = (ids.to_int(identifier) for identifier in operation_ids)
        chain = operations.chain(
            operations.transfer(money_id, debit=party.money, credit=self.issuance, amount=amount),
            operations.transfer(reserve_id, debit=self.converted, credit=party.reserve, amount=amount),
        )
        _submit(ledger, chain, "nothing redeemed: money not taken", "nothing redeemed: reserves not given")

    def cap_minting(self, ledger: Submitter, operation_ids: Array, day_max: int) -> None:
        """Let at most `day_max` minor units be issued on one local day, from now on. operation_ids: (2,) ID.

        Two officers sign. For a cap that is there already see `change_cap`. Raises Refused, UsageError for no amount.
        """
        self._limit(ledger, operation_ids, MINTING_RULE_SET, self.issuance, "minting not capped", day_max=day_max)

    def change_cap(self, ledger: Submitter, operation_id: int, day_max: int, *, effective_ns: int) -> None:
        """Another daily cap, in minor units, from a time to come on. Two officers sign. Raises Refused, UsageError."""
        _define(ledger, operation_id, MINTING_RULE_SET, "cap not changed", effective_ns=effective_ns, day_max=day_max)

    def set_quota(self, ledger: Submitter, operation_ids: Array, operator: int, balance_max: int) -> None:
        """Let the vault of operator number `operator` hold at most `balance_max` minor units, from now on.

        operation_ids: (2,) ID; operators are numbered from 1. Two officers sign. For a quota that is there already
        see `change_quota`. Raises Refused, UsageError for no amount or no such operator.
        """
        rule_set, vault = self._quota_rule_set(operator), self.operators[operator - 1].money
        self._limit(ledger, operation_ids, rule_set, vault, "quota not set", balance_max=balance_max)

    def change_quota(
        self, ledger: Submitter, operation_id: int, operator: int, balance_max: int, *, effective_ns: int
    ) -> None:
        """Another quota, in minor units, from a time to come on. Two officers sign. Raises Refused, UsageError.

        A vault that then holds more keeps it, and receives nothing until it fits.
        """
        rule_set = self._quota_rule_set(operator)
        _define(ledger, operation_id, rule_set, "quota not changed", effective_ns=effective_ns, balance_max=balance_max)

    def _quota_rule_set(self, operator: int) -> int:
        if not 1 <= operator <= min(len(self.operators), RULE_SETS_MAX - QUOTA_RULE_SET_FIRST + 1):
            raise UsageError(f"there is no operator {operator}", hint=f"there are 1 to {len(self.operators)}")
        return QUOTA_RULE_SET_FIRST + operator - 1

    def _limit(
        self, ledger: Submitter, operation_ids: Array, rule_set: int, account: int, refused: str, **maximum: Any
    ) -> None:
        """Define a rule set and let an account live under it."""
        define_id, set_id = (ids.to_int(identifier) for identifier in operation_ids)
        _define(ledger, define_id, rule_set, refused, **maximum)
        _submit(ledger, operations.set_rule_set(set_id, account=account, rule_set=rule_set), refused)

    def check(self, ledger: Ledger) -> None:
        """Supply equals converted reserves, to the cent. Raises IntegrityError."""
        with ledger.sequencer.reading() as state:
            supply = state.supply(self.currency)
            converted = state.account(self.converted)
        backing = converted.balance if converted else 0
        require(supply == backing, f"{supply} minor units are in circulation against reserves of {backing}")


def _define(
    ledger: Submitter, operation_id: int, rule_set: int, refused: str, *, effective_ns: int = 0, **maximum: Any
) -> None:
    if min(maximum.values()) <= 0:
        raise UsageError(f"{refused}: a limit is at least 1 minor unit", hint="block an account that may do nothing")
    record = operations.define_rule_set(
        operation_id, rule_set=rule_set, from_ns=0, until_ns=I64_MAX, effective_ns=effective_ns, **maximum
    )
    _submit(ledger, record, refused)


def _submit(ledger: Submitter, records: Array, *refused: str) -> None:
    """Submit what must succeed, now or in an earlier call; `refused`: what to say of each record. Raises Refused."""
    answers = ledger.submit(records)
    codes = np.where(answers["code"] == Result.EXISTS, answers["first_code"], answers["code"])
    wrong = np.flatnonzero(codes != Result.CREATED)
    if not wrong.size:
        return
    # Of a chain one operation has the reason, and the others say only that they went with it.
    reasons = wrong[~np.isin(codes[wrong], _NOT_THE_REASON)]
    at = int(reasons[0]) if reasons.size else int(wrong[0])
    result = Result(int(codes[at]))
    hint = "the method says who must sign; each with a key that the ledger knows" if result in _OF_SIGNATURES else None
    raise Refused(refused[at], result, hint=hint)
