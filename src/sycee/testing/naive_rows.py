"""What the naive twin keeps: accounts, purses, rule sets, holds, transits, bound ids and movements, in plain ints.

Rows name each other by id and never hold one another, and what they hold is immutable: so a shallow copy of a row
is a whole copy of it, and a chain is undone by putting the copies back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from sycee.core.limits import I64_MAX
from sycee.core.result_codes import Result
from sycee.ledger.layout import PURSE_BIT, AccountKind, HoldState, Kind, Purpose, PurseState, TransitState

# ("account", id) or ("purse", programme, member)
Row: TypeAlias = tuple[str, int] | tuple[str, int, int]
PurseKey: TypeAlias = tuple[int, int]  # programme, member
Three: TypeAlias = tuple[int, int, int]  # of the day, of the month, of the year
Legs: TypeAlias = tuple[tuple[PurseKey | None, int], ...]  # where money comes from, and how much; None is own money


@dataclass
class Account:
    """What stands in one account. Debits and credits only grow."""

    id: int
    number: int  # its place in the order of opening, from 0
    currency: int
    kind: int
    operator: int
    rule_set: int
    suspense: int  # id of the account that takes what this one cannot
    link: int = 0
    debit_reasons: int = 0  # bit r - 1 is set for reason r
    credit_reasons: int = 0
    closed: int = 0  # the reason, 0 while it is open
    debits_posted: int = 0
    credits_posted: int = 0
    debits_pending: int = 0
    credits_pending: int = 0
    used: Three = (0, 0, 0)
    periods: Three = (0, 0, 0)  # the numbers of the day, month and year in which that was used
    key: bytes = bytes(32)
    key_flags: int = 0
    key_epoch: int = 0

    @property
    def row(self) -> Row:
        """The name of this row in movements and messages."""
        return "account", self.id

    @property
    def row_number(self) -> int:
        """The number of this row in the bytes of a movement."""
        return self.number

    @property
    def balance(self) -> int:
        """Credits less debits, as posted."""
        return self.credits_posted - self.debits_posted

    @property
    def available(self) -> int:
        """What may still be given away."""
        return self.balance - self.debits_pending

    def has(self, amount: int) -> bool:
        """True if `amount` may be taken; issuance is unbounded below."""
        return self.kind == AccountKind.ISSUANCE or self.available >= amount

    def overflows_debits(self, amount: int) -> bool:
        """True if debits would pass what 64 bits hold."""
        return self.debits_posted + self.debits_pending + amount > I64_MAX

    def overflows_credits(self, amount: int) -> bool:
        """True if credits would pass what 64 bits hold."""
        return self.credits_posted + self.credits_pending + amount > I64_MAX

    def give(self, amount: int, purpose: Purpose) -> None:
        """Be debited."""
        self.debits_posted += amount

    def receive(self, amount: int, purpose: Purpose) -> None:
        """Be credited."""
        self.credits_posted += amount


@dataclass
class Purse:
    """What one member holds of one programme."""

    programme: int
    member: int
    number: int  # its place in the order of opening, from 0
    member_id: int = 0
    wallet: int = 0  # id of the account it was claimed for, 0 for none
    state: PurseState = PurseState.EMPTY
    dropped: int = 0
    spent: int = 0
    refunded: int = 0
    returned: int = 0
    pending: int = 0  # what open holds keep of it

    @property
    def key(self) -> PurseKey:
        """What it is found under."""
        return self.programme, self.member

    @property
    def row(self) -> Row:
        """The name of this row in movements and messages."""
        return "purse", self.programme, self.member

    @property
    def row_number(self) -> int:
        """The number of this row in the bytes of a movement."""
        return PURSE_BIT | self.number

    @property
    def posted(self) -> int:
        """What came in less what went out, held or not."""
        return self.dropped - self.spent + self.refunded - self.returned

    @property
    def left(self) -> int:
        """What may still be spent of it."""
        return self.posted - self.pending

    @property
    def balance(self) -> int:
        """A purse's balance in movements is what is left of it."""
        return self.left

    def overflows_debits(self, amount: int) -> bool:
        """True if what was spent would pass what 64 bits hold."""
        return self.spent + self.pending + amount > I64_MAX

    def overflows_credits(self, amount: int) -> bool:
        """True if what was refunded would pass what 64 bits hold."""
        return self.refunded + amount > I64_MAX

    def give(self, amount: int, purpose: Purpose) -> None:
        """Be debited: what does not return was spent."""
        if purpose in (Purpose.RETURN, Purpose.RETURN_SUSPENSE):
            self.returned += amount
        else:
            self.spent += amount

    def receive(self, amount: int, purpose: Purpose) -> None:
        """Be credited: what is not dropped is refunded."""
        if purpose is Purpose.DROP:
            self.dropped += amount
        else:
            self.refunded += amount


@dataclass(frozen=True)
class Rules:
    """One version of a rule set. A maximum, reserve or window of 0 is none, and so is a group."""

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
    """What is in effect under a number, and what will be."""

    current: Rules
    coming: Rules | None = None


@dataclass
class Programme:
    """A cohort, under one rule set. Its purses are with all others."""

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
    """What is remembered of an operation whose id is bound."""

    content: bytes  # bytes 16 to 127 of the record
    kind: Kind
    result: Result


@dataclass(frozen=True)
class Pay:
    """What refunds and reversals need to know of a TRANSFER, PAY or POST, or of a HOLD that POST_HOLDS posted."""

    payer: int
    payee: int
    amount: int
    legs: Legs  # as they were paid
    paid_ns: int
    final: bool = False  # a TRANSFER that cannot be reversed


@dataclass
class Hold:
    """Money kept ready. `legs` is what it still holds, purses first, in the order in which it is taken."""

    id: int
    payer: int
    payee: int
    third: int  # id of the account that releases it, 0 for none
    hash: bytes  # SHA-256 of the secret, zero unless it is hash-locked
    hash_locked: bool
    end_ns: int
    legs: Legs
    state: HoldState = HoldState.OPEN
    counted: bool = False
    periods: Three = (0, 0, 0)  # the payer's, as they were when it was held, if it was counted

    @property
    def held(self) -> int:
        """What it still holds, of purses and of own money."""
        return sum(part for _, part in self.legs)

    @property
    def own(self) -> int:
        """What it still holds of own money."""
        return sum(part for purse, part in self.legs if purse is None)

    @property
    def purse_legs(self) -> list[tuple[PurseKey, int]]:
        """Which purses it was laid on, and what it still holds of each."""
        return [(purse, part) for purse, part in self.legs if purse is not None]


@dataclass
class Transit:
    """Money on its way through an IN_TRANSIT account."""

    id: int
    source: int
    through: int
    destination: int
    amount: int
    counted: bool = False
    periods: Three = (0, 0, 0)  # the giver's, as they were then, if it was counted
    state: TransitState = TransitState.OPEN


@dataclass
class Batch:
    """Payments of one operator that wait to be settled together: debit, credit, amount."""

    operator: int
    payments: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Their control sum, over all currencies."""
        return sum(amount for *_, amount in self.payments)


@dataclass
class Grant:
    """A role that a person's key has for a while."""

    id: int
    person: int
    role: int
    flags: int
    key: bytes
    operator: int
    currency: int  # of an officer, 0 for all
    from_ns: int
    until_ns: int
    revoked: bool = False

    def counts(self, now_ns: int) -> bool:
        """True if the person has the role at that time."""
        return not self.revoked and self.from_ns <= now_ns < self.until_ns


@dataclass(frozen=True)
class Movement:
    """What one leg of one operation did to two rows."""

    debit: Row
    credit: Row
    amount: int
    purpose: Purpose
    debit_balance: int
    credit_balance: int
    place: int
    leg: int


Plan: TypeAlias = list[tuple[Account | Purse, Account | Purse, int, Purpose]]  # debit, credit, amount, purpose
