"""The types of events: one for each kind of operation, and those of registers. docs/reference/events.md repeats it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from sycee.core.records.layout import Kind
from sycee.database.events import EventKind


class Amount(Enum):
    """Source of the amount of an event."""

    NONE = "none"
    RECORD = "record"
    MOVEMENTS = "movements"


class Accounts(Enum):
    """Source of the accounts of an event."""

    NONE = "none"
    MOVEMENTS = "movements"
    HOLD = "hold"  # of the operation itself
    NAMED_HOLD = "named hold"  # the record's reference
    DEBIT = "debit"  # a field of the record
    CREDIT = "credit"
    BOTH = "both"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class EventType:
    """The event of one kind of operation.

    - `about`: the record's `reference` is an operation that the event names.
    - `is_bulk`: the operation may concern very many accounts, so each caller sees those that the caller may see.
    """

    name: str
    accounts: Accounts = Accounts.NONE
    amount: Amount = Amount.NONE
    about: bool = False
    is_bulk: bool = False

    @property
    def needs_record(self) -> bool:
        """Whether the state alone is not enough."""
        return self.about or self.accounts not in (Accounts.NONE, Accounts.MOVEMENTS, Accounts.HOLD)


MINTED: Final = "money.minted"  # a TRANSFER from an ISSUANCE account
REDEEMED: Final = "money.redeemed"  # a TRANSFER to one
DISCARDED: Final = "batch.discarded"  # a SETTLE without movements

_T, _A, _M = EventType, Accounts, Amount
TYPES: Final[Mapping[Kind, EventType]] = {
    Kind.DEFINE_CURRENCY: _T("currency.defined"),
    Kind.DEFINE_GROUP: _T("group.defined"),
    Kind.JOIN_GROUP: _T("group.joined", _A.DEBIT),
    Kind.LEAVE_GROUP: _T("group.left", _A.DEBIT),
    Kind.DEFINE_RULE_SET: _T("rule_set.defined"),
    Kind.GRANT_ROLE: _T("role.granted"),
    Kind.REVOKE_ROLE: _T("role.revoked", about=True),
    Kind.UPGRADE: _T("rules.upgraded"),
    Kind.OPEN_ACCOUNT: _T("account.opened", _A.DEBIT),
    Kind.BLOCK_ACCOUNT: _T("account.blocked", _A.DEBIT),
    Kind.CLOSE_ACCOUNT: _T("account.closed", _A.DEBIT),
    Kind.UNBLOCK_ACCOUNT: _T("account.unblocked", _A.DEBIT),
    Kind.SET_RULE_SET: _T("limits.set", _A.DEBIT),
    Kind.SET_KEY: _T("key.set", _A.DEBIT),
    Kind.LINK_ACCOUNT: _T("account.linked", _A.DEBIT),
    Kind.OPEN_PROGRAMME: _T("programme.opened", _A.DEBIT),
    Kind.ADD_MEMBERS: _T("members.added"),
    Kind.SEAL_COHORT: _T("cohort.sealed"),
    Kind.DROP: _T("drop.made", _A.MOVEMENTS, _M.MOVEMENTS, is_bulk=True),
    Kind.CLAIM: _T("packet.claimed", _A.CREDIT),
    Kind.EXPIRE: _T("packets.expired", _A.MOVEMENTS, _M.MOVEMENTS, is_bulk=True),
    Kind.TRANSFER: _T("transfer.made", _A.MOVEMENTS, _M.RECORD),
    Kind.PAY: _T("payment.made", _A.MOVEMENTS, _M.RECORD),
    Kind.REFUND: _T("payment.refunded", _A.MOVEMENTS, _M.RECORD, about=True),
    Kind.HOLD: _T("hold.made", _A.HOLD, _M.RECORD),
    Kind.POST: _T("hold.posted", _A.MOVEMENTS, _M.RECORD, about=True),
    Kind.VOID: _T("hold.voided", _A.NAMED_HOLD, about=True),
    Kind.EXTEND: _T("hold.extended", _A.NAMED_HOLD, about=True),
    Kind.POST_HOLDS: _T("holds.posted", _A.MOVEMENTS, _M.MOVEMENTS, is_bulk=True),
    Kind.VOID_HOLDS: _T("holds.voided", _A.REFERENCE),
    Kind.REVERSE: _T("payment.reversed", _A.MOVEMENTS, _M.MOVEMENTS, about=True),
    Kind.SEND: _T("transit.sent", _A.MOVEMENTS, _M.MOVEMENTS),
    Kind.CONFIRM: _T("transit.confirmed", _A.MOVEMENTS, _M.MOVEMENTS, about=True),
    Kind.REJECT: _T("transit.rejected", _A.MOVEMENTS, _M.MOVEMENTS, about=True),
    Kind.STAGE: _T("payment.staged", _A.BOTH, _M.RECORD),
    Kind.SETTLE: _T("batch.settled", _A.MOVEMENTS, _M.MOVEMENTS, is_bulk=True),
}
assert set(TYPES) == set(Kind)

NAMES: Final = tuple(dict.fromkeys([*(each.name for each in TYPES.values()), MINTED, REDEEMED, DISCARDED, *EventKind]))
