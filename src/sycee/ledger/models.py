"""Immutable values that readers receive: one account, purse, hold, transit or grant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sycee.core import ids
from sycee.core.records.layout import AccountKind, Block, HoldState, KeyFlag, PurseState, Reason, Role, TransitState

_ACCOUNT_NUMBERS: Final = (
    "currency", "operator", "rule_set", "debits_posted", "credits_posted", "debits_pending", "credits_pending",
    "day_used", "month_used", "year_used", "day", "month", "year", "key_epoch",
)  # fmt: skip
_PURSE_AMOUNTS: Final = ("dropped", "spent", "refunded", "returned", "pending")


@dataclass(frozen=True, slots=True)
class Account:
    """One account. Amounts in minor units."""

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
    day_used: int  # debits that count against the limits of the local day, month and year numbered below
    month_used: int
    year_used: int
    day: int
    month: int
    year: int
    key_epoch: int
    key_flags: KeyFlag
    key: bytes  # 32 bytes, or empty

    @classmethod
    def of(cls, record: Any, *, suspense: int, link: int, key_flags: int, key: bytes) -> Account:
        """Return the account of a layout.ACCOUNT record. `suspense`, `link`: ids of the accounts in these rows."""
        return cls(
            id=ids.of_record(record, "id"),
            kind=AccountKind(int(record["kind"])),
            blocks=Block(int(record["blocks"])),
            debit_reasons=_reasons(record["debit_reasons"]),
            credit_reasons=_reasons(record["credit_reasons"]),
            close_reason=Reason(int(record["close_reason"])) if record["close_reason"] else None,
            suspense=suspense,
            link=link,
            key_flags=KeyFlag(key_flags),
            key=key,
            **{name: int(record[name]) for name in _ACCOUNT_NUMBERS},
        )

    @property
    def balance(self) -> int:
        """Return posted credits minus posted debits."""
        return self.credits_posted - self.debits_posted

    @property
    def available(self) -> int:
        """Return the balance minus pending debits."""
        return self.balance - self.debits_pending


@dataclass(frozen=True, slots=True)
class Purse:
    """One member's money of one programme. Amounts in minor units; `wallet` is 0 until a CLAIM."""

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

    @classmethod
    def of(cls, record: Any, *, programme: int, member: int, wallet: int) -> Purse:
        """Return the purse of a layout.PURSE record. `wallet`: id of the account in that row."""
        return cls(
            programme=programme,
            member=member,
            member_id=ids.of_record(record, "member"),
            wallet=wallet,
            state=PurseState(int(record["state"])),
            **{name: int(record[name]) for name in _PURSE_AMOUNTS},
        )

    @property
    def left(self) -> int:
        """Return the amount that can still be spent or returned."""
        return self.dropped - self.spent + self.refunded - self.returned - self.pending


@dataclass(frozen=True, slots=True)
class Hold:
    """Money reserved for a payee. Amounts in minor units; `third` is 0 unless it is three-party."""

    id: int
    payer: int
    payee: int
    third: int
    hash_lock: bytes  # 32 bytes, or empty
    until_ns: int
    held: int
    own_held: int
    state: HoldState

    @classmethod
    def of(cls, record: Any, *, id: int, payer: int, payee: int, third: int) -> Hold:
        """Return the hold of a layout.HOLD record. `payer`, `payee`, `third`: ids of the accounts in these rows."""
        return cls(
            id=id,
            payer=payer,
            payee=payee,
            third=third,
            hash_lock=record["hash"].tobytes() if record["hash_locked"] else b"",
            until_ns=int(record["until_ns"]),
            held=int(record["held"]),
            own_held=int(record["own_held"]),
            state=HoldState(int(record["state"])),
        )


@dataclass(frozen=True, slots=True)
class Transit:
    """Money in an IN_TRANSIT account until it is confirmed or rejected. Amount in minor units."""

    id: int
    source: int
    through: int
    destination: int
    amount: int
    state: TransitState


@dataclass(frozen=True, slots=True)
class Grant:
    """A role of a person's key, with its validity."""

    id: int
    person: int
    role: Role
    flags: KeyFlag
    key: bytes  # 32 bytes
    operator: int
    from_ns: int
    until_ns: int
    revoked: bool = False
    currency: int = 0  # of an officer: the only currency that the officer signs for, 0 for the board

    @property
    def is_board(self) -> bool:
        """Return whether the grant makes an officer of the board, who signs for every currency."""
        return self.role is Role.OFFICER and not self.currency

    def counts(self, now_ns: int) -> bool:
        """Return whether the grant is valid at this time."""
        return not self.revoked and self.from_ns <= now_ns < self.until_ns


def _reasons(bits: Any) -> frozenset[Reason]:
    return frozenset(reason for reason in Reason if int(bits) >> (reason - 1) & 1)
