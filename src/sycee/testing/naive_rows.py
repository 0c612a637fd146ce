"""Rows of the naive twin: accounts, purses, rule sets, holds, transits, bound ids and movements, in plain ints.

Rows refer to each other by id, and their values are immutable. A shallow copy of a row is therefore a full copy, and a
chain is undone by restoring the copies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from sycee.core.limits import I64_MAX
from sycee.core.records.layout import AccountKind, HoldState, Kind, Purpose, PurseState, TransitState
from sycee.core.result_codes import Result

# ("account", id) or ("purse", programme, member)
Row: TypeAlias = tuple[str, int] | tuple[str, int, int]
PurseKey: TypeAlias = tuple[int, int]  # programme, member
Three: TypeAlias = tuple[int, int, int]  # values of the day, the month and the year
Legs: TypeAlias = tuple[tuple[PurseKey | None, int], ...]  # source of money and its amount; None is own money


@dataclass
class Account:
    """One account. Debits and credits only grow."""

    id: int
    row_number: int  # position in the order of opening, from 0; in the bytes of a movement
    currency: int
    kind: int
    operator: int
    rule_set: int
    suspense: int  # id of the suspense account
    link: int = 0
    debit_reasons: int = 0  # bit r - 1 is set for reason r
    credit_reasons: int = 0
    closed: int = 0  # the reason, 0 while the account is open
    debits_posted: int = 0
    credits_posted: int = 0
    debits_pending: int = 0
    credits_pending: int = 0
    used: Three = (0, 0, 0)
    periods: Three = (0, 0, 0)  # the numbers of the day, month and year of `used`
    key: bytes = bytes(32)
    key_flags: int = 0
    key_epoch: int = 0

    @property
    def row(self) -> Row:
        return "account", self.id

    @property
    def balance(self) -> int:
        return self.credits_posted - self.debits_posted

    @property
    def available(self) -> int:
        return self.balance - self.debits_pending

    def has(self, amount: int) -> bool:
        return self.kind == AccountKind.ISSUANCE or self.available >= amount

    def overflows_debits(self, amount: int) -> bool:
        return self.debits_posted + self.debits_pending + amount > I64_MAX

    def overflows_credits(self, amount: int) -> bool:
        return self.credits_posted + self.credits_pending + amount > I64_MAX

    def debit(self, amount: int, purpose: Purpose) -> None:
        """Debit this account."""
        self.debits_posted += amount

    def credit(self, amount: int, purpose: Purpose) -> None:
        """Credit this account."""
        self.credits_posted += amount


@dataclass
class Purse:
    """Money of one member in one programme."""

    programme: int
    member: int
    row_number: int  # PURSE_BIT and the position in the order of opening, from 0; in the bytes of a movement
    member_id: int = 0
    wallet: int = 0  # id of the wallet that claimed it, 0 for none
    state: PurseState = PurseState.EMPTY
    dropped: int = 0
    spent: int = 0
    refunded: int = 0
    returned: int = 0
    pending: int = 0  # amount reserved by open holds

    @property
    def key(self) -> PurseKey:
        return self.programme, self.member

    @property
    def row(self) -> Row:
        return "purse", self.programme, self.member

    @property
    def posted(self) -> int:
        """Return incoming less outgoing money, whether reserved or not."""
        return self.dropped - self.spent + self.refunded - self.returned

    @property
    def left(self) -> int:
        """Return the amount that may still be spent."""
        return self.posted - self.pending

    balance = left  # in movements

    def overflows_debits(self, amount: int) -> bool:
        return self.spent + self.pending + amount > I64_MAX

    def overflows_credits(self, amount: int) -> bool:
        return self.refunded + amount > I64_MAX

    def debit(self, amount: int, purpose: Purpose) -> None:
        """Debit this purse: returned for a RETURN, spent otherwise."""
        if purpose in (Purpose.RETURN, Purpose.RETURN_SUSPENSE):
            self.returned += amount
        else:
            self.spent += amount

    def credit(self, amount: int, purpose: Purpose) -> None:
        """Credit this purse: dropped for a DROP, refunded otherwise."""
        if purpose is Purpose.DROP:
            self.dropped += amount
        else:
            self.refunded += amount


@dataclass(frozen=True)
class Rules:
    """One version of a rule set. A maximum, reserve, window or group of 0 is absent."""

    flags: int
    groups: tuple[int, ...]
    return_account: int  # id, 0 for none
    from_ns: int
    until_ns: int
    balance_max: int
    single_max: int
    period_max: Three
    refund_reserve: int
    payment_min: int
    effective_ns: int
    refund_window_s: int


@dataclass
class RuleSet:
    """The version in effect of a rule set, and the scheduled one."""

    current: Rules
    scheduled: Rules | None = None


@dataclass
class Programme:
    """A cohort under one rule set. Its purses are in `Book.purses`."""

    rule_set: int
    funder: int
    currency: int
    claim_from_ns: int
    claim_until_ns: int
    count: int
    filled: int = 0
    sealed: bool = False
    seal: int = 0


@dataclass(frozen=True)
class Bound:
    """The stored result of an operation whose id is bound."""

    content: bytes  # bytes 16 to 127 of the record
    kind: Kind
    result: Result


@dataclass(frozen=True)
class Pay:
    """Data for refunds and reversals of a TRANSFER, PAY or POST, or of a HOLD that POST_HOLDS posted."""

    payer: int
    payee: int
    amount: int
    legs: Legs  # in the order of payment
    paid_ns: int
    final: bool = False  # a TRANSFER that cannot be reversed


@dataclass
class Hold:
    """Money reserved for a payee. `legs` is the amount still reserved: purses first, in the order of payment."""

    id: int
    payer: int
    payee: int
    third: int  # id of the account that may release the hold, 0 for none
    hash: bytes  # SHA-256 of the secret, zero without a hash lock
    hash_locked: bool
    end_ns: int
    legs: Legs
    state: HoldState = HoldState.OPEN
    counted: bool = False
    periods: Three = (0, 0, 0)  # the payer's periods when the hold was made, if it was counted

    @property
    def held(self) -> int:
        return sum(part for _, part in self.legs)

    @property
    def own(self) -> int:
        return sum(part for purse, part in self.legs if purse is None)

    @property
    def purse_legs(self) -> list[tuple[PurseKey, int]]:
        """Return the purses of the hold and the amount still reserved in each."""
        return [(purse, part) for purse, part in self.legs if purse is not None]


@dataclass
class Transit:
    """Money in an IN_TRANSIT account."""

    id: int
    source: int
    through: int
    destination: int
    amount: int
    counted: bool = False
    periods: Three = (0, 0, 0)  # the giver's periods at that time, if the amount was counted
    state: TransitState = TransitState.OPEN


@dataclass
class Batch:
    """Payments of one operator that will be settled together: debit, credit, amount."""

    operator: int
    payments: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(amount for *_, amount in self.payments)


@dataclass
class Grant:
    """A role granted to a person's key for a period."""

    id: int
    person: int
    role: int
    flags: int
    key: bytes
    operator: int
    currency: int  # of an officer, 0 for all currencies
    from_ns: int
    until_ns: int
    revoked: bool = False

    def counts(self, now_ns: int) -> bool:
        return not self.revoked and self.from_ns <= now_ns < self.until_ns


@dataclass(frozen=True)
class Movement:
    """One movement: one leg of one operation on two rows."""

    debit: Row
    credit: Row
    amount: int
    purpose: Purpose
    debit_balance: int
    credit_balance: int
    place: int
    leg: int


Plan: TypeAlias = list[tuple[Account | Purse, Account | Purse, int, Purpose]]  # debit, credit, amount, purpose
