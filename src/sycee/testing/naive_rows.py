"""What the naive twin keeps: accounts, purses, rule sets, programmes, bound ids and movements, in plain Python ints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from sycee.core.codes import Result
from sycee.core.limits import I64_MAX
from sycee.ledger.layout import AccountKind, Block, Kind, Purpose, PurseState
from sycee.testing.naive_record import Operation

# ("account", id) or ("purse", programme, member)
Row: TypeAlias = tuple[str, int] | tuple[str, int, int]


@dataclass
class Account:
    """What stands in one account. Debits and credits only grow."""

    id: int
    currency: int
    kind: int
    operator: int
    rule_set: int
    suspense: int  # id of the account that takes what this one cannot
    blocks: int = 0
    debits_posted: int = 0
    credits_posted: int = 0

    @property
    def row(self) -> Row:
        """The name of this row in movements and messages."""
        return "account", self.id

    @property
    def balance(self) -> int:
        """What may be given away: nothing is pending yet."""
        return self.credits_posted - self.debits_posted

    @property
    def is_closed(self) -> bool:
        """True after CLOSE_ACCOUNT, for ever."""
        return bool(self.blocks & Block.CLOSED)

    def has(self, amount: int) -> bool:
        """True if `amount` may be taken; issuance is unbounded below."""
        return self.kind == AccountKind.ISSUANCE or self.balance >= amount

    def overflows_debits(self, amount: int) -> bool:
        """True if debits would pass what 64 bits hold."""
        return self.debits_posted + amount > I64_MAX

    def overflows_credits(self, amount: int) -> bool:
        """True if credits would pass what 64 bits hold."""
        return self.credits_posted + amount > I64_MAX

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
    member_id: int = 0
    wallet: int = 0  # id of the account it was claimed for, 0 for none
    state: PurseState = PurseState.EMPTY
    dropped: int = 0
    spent: int = 0
    refunded: int = 0
    returned: int = 0

    @property
    def row(self) -> Row:
        """The name of this row in movements and messages."""
        return "purse", self.programme, self.member

    @property
    def left(self) -> int:
        """What is still in it: nothing is pending yet."""
        return self.dropped - self.spent + self.refunded - self.returned

    @property
    def balance(self) -> int:
        """A purse's balance in movements is what is left of it."""
        return self.left

    def overflows_debits(self, amount: int) -> bool:
        """True if what was spent would pass what 64 bits hold."""
        return self.spent + amount > I64_MAX

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
class RuleSet:
    """Where and when money under it may be spent, and where the rest returns."""

    groups: tuple[int, ...]
    return_account: int  # id, 0 for none
    from_ns: int
    until_ns: int


@dataclass
class Programme:
    """A cohort and its purses, under one rule set."""

    rule_set: int
    funder: int
    currency: int
    claim_from_ns: int
    claim_until_ns: int
    purses: list[Purse]
    filled: int = 0
    sealed: bool = False
    seal: int = 0

    def range(self, operation: Operation) -> list[Purse]:
        """The purses that an operation names by `first` and `count`."""
        return self.purses[operation.first : operation.first + operation.count]


@dataclass(frozen=True)
class Bound:
    """What is remembered of an operation whose id is bound."""

    content: bytes  # bytes 16 to 127 of the record
    kind: Kind
    result: Result


@dataclass
class Pay:
    """What refunds need to know of a pay."""

    payer: int
    payee: int
    amount: int
    legs: list[tuple[Purse | None, int]]  # as they were paid; None is the payer's own money
    refunded: int = 0


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
