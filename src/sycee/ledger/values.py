"""What the ledger's tables say, one thing at a time, as plain values for readers."""

from __future__ import annotations

from dataclasses import dataclass

from sycee.ledger.layout import AccountKind, Block, HoldState, KeyFlag, PurseState, Reason, Role, TransitState


@dataclass(frozen=True, slots=True)
class Account:
    """One account as it stands. Amounts in minor units."""

    id: int
    currency: int
    kind: AccountKind
    blocks: Block
    debit_reasons: frozenset[Reason]
    credit_reasons: frozenset[Reason]
    close_reason: Reason | None
    operator: int
    suspense: int
    rule_set: int
    link: int  # id of the account it is linked to, 0 for none
    debits_posted: int
    credits_posted: int
    debits_pending: int
    credits_pending: int
    day_used: int  # what it gave in the local day, month and year of these numbers
    month_used: int
    year_used: int
    day: int
    month: int
    year: int
    key_epoch: int
    key_flags: KeyFlag
    key: bytes  # 32 bytes, or none

    @property
    def balance(self) -> int:
        """Credits less debits, posted."""
        return self.credits_posted - self.debits_posted

    @property
    def available(self) -> int:
        """What may be taken."""
        return self.balance - self.debits_pending


@dataclass(frozen=True, slots=True)
class Purse:
    """What one member holds of one programme. Amounts in minor units; `wallet` is 0 until it is claimed."""

    programme: int
    member: int
    member_id: int
    wallet: int
    state: PurseState
    dropped: int
    spent: int
    refunded: int
    returned: int
    pending: int

    @property
    def left(self) -> int:
        """What may still be spent or returned."""
        return self.dropped - self.spent + self.refunded - self.returned - self.pending


@dataclass(frozen=True, slots=True)
class Hold:
    """Money kept ready for a payee. Amounts in minor units; `third` is 0 unless it is three-party."""

    id: int
    payer: int
    payee: int
    third: int
    hash_lock: bytes  # 32 bytes, or none
    until_ns: int
    held: int
    own_held: int
    state: HoldState


@dataclass(frozen=True, slots=True)
class Transit:
    """Money on its way through an IN_TRANSIT account. Amount in minor units."""

    id: int
    source: int
    through: int
    destination: int
    amount: int
    state: TransitState


@dataclass(frozen=True, slots=True)
class Grant:
    """What a person's key may sign for, and when."""

    id: int
    person: int
    role: Role
    flags: KeyFlag
    key: bytes  # 32 bytes
    operator: int
    from_ns: int
    until_ns: int
    revoked: bool = False

    def counts(self, now_ns: int) -> bool:
        """Whether it may be relied on at this time."""
        return not self.revoked and self.from_ns <= now_ns < self.until_ns
