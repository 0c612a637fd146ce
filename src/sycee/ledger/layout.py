"""Bytes of everything the ledger keeps, as NumPy record types, and the closed lists of kinds and flags.

All integers are little-endian. An id is 128 bits in two 64-bit halves, `low` first. Amounts are signed 64-bit
integers of minor units (fen, cents), times are signed 64-bit nanoseconds since 1970-01-01T00:00Z.
docs/reference/ledger.md says the same in prose; a test compares the two.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final

import numpy as np

from sycee.core import limits


class Kind(IntEnum):
    """What an operation asks for. Numbers are for ever: they stand in journals."""

    DEFINE_CURRENCY = 1
    DEFINE_GROUP = 2
    JOIN_GROUP = 3
    LEAVE_GROUP = 4
    DEFINE_RULE_SET = 5
    OPEN_ACCOUNT = 10
    BLOCK_ACCOUNT = 11
    CLOSE_ACCOUNT = 12
    OPEN_PROGRAMME = 20
    ADD_MEMBERS = 21
    SEAL_COHORT = 22
    DROP = 23
    CLAIM = 24
    EXPIRE = 25
    TRANSFER = 30
    PAY = 31
    REFUND = 32


class AccountKind(IntEnum):
    """What an account is for. Only ISSUANCE and SUSPENSE differ in rules; the others tell readers apart."""

    ISSUANCE = 1  # money in circulation is its debit balance; one per currency; unbounded below
    SUSPENSE = 2  # takes what could be credited nowhere else, so it can be neither blocked nor closed
    RESERVE = 3
    VAULT = 4
    FUNDER = 5
    WALLET = 6
    MERCHANT = 7


class Block(IntFlag):
    """What an account may not do. CLOSED is set by CLOSE_ACCOUNT alone, the others by BLOCK_ACCOUNT."""

    DEBIT = 1
    CREDIT = 2
    CLOSED = 4


class PayFlag(IntFlag):
    """How a pay may be met; without a flag from the purses first and the wallet's own money after."""

    PURSES_ONLY = 1
    OWN_ONLY = 2


class PurseState(IntEnum):
    """Where a purse is in its life."""

    EMPTY = 0
    DROPPED = 1
    CLAIMED = 2
    EXPIRED = 3


class Purpose(IntEnum):
    """Why a movement was made."""

    TRANSFER = 1
    PAY_OWN = 2
    PAY_PURSE = 3
    DROP = 4
    REFUND_OWN = 5
    REFUND_PURSE = 6
    RETURN = 7
    REFUND_SUSPENSE = 8  # the payer could not be credited
    RETURN_SUSPENSE = 9  # the return account could not be credited


# A row number with this bit is a purse's, without it an account's.
PURSE_BIT: Final = 1 << 31

# One record of the journal. Which fields a kind uses, and that the others are zero, is in the reference.
OPERATION: Final = np.dtype(
    [
        ("id_low", "<u8"),  # 0
        ("id_high", "<u8"),  # 8
        ("kind", "<u2"),  # 16
        ("flags", "<u2"),  # 18
        ("code", "<u4"),  # 20  the caller's reason, opaque
        ("amount", "<i8"),  # 24
        ("debit_low", "<u8"),  # 32
        ("debit_high", "<u8"),
        ("credit_low", "<u8"),  # 48
        ("credit_high", "<u8"),
        ("reference_low", "<u8"),  # 64
        ("reference_high", "<u8"),
        ("number", "<u4"),  # 80
        ("first", "<u4"),  # 84
        ("count", "<u4"),  # 88
        ("rule_set", "<u4"),  # 92
        ("from_ns", "<i8"),  # 96
        ("until_ns", "<i8"),  # 104
        ("note_low", "<u8"),  # 112  the caller's 128 bits, opaque
        ("note_high", "<u8"),
    ]
)

# The same 128 bytes as DEFINE_RULE_SET reads them. A maximum of zero means none.
RULE_SET_OPERATION: Final = np.dtype(
    {
        "names": [
            "id_low", "id_high", "kind", "flags", "code", "effective_ns", "groups", "return_low", "return_high",
            "balance_max", "single_max", "number", "reserved", "day_max",
            "from_ns", "until_ns", "month_max", "year_max",
        ],
        "formats": [
            "<u8", "<u8", "<u2", "<u2", "<u4", "<i8", ("<u4", limits.GROUPS_PER_RULE_SET_MAX), "<u8", "<u8",
            "<i8", "<i8", "<u4", "<u4", "<i8", "<i8", "<i8", "<i8", "<i8",
        ],
        "offsets": [0, 8, 16, 18, 20, 24, 32, 48, 56, 64, 72, 80, 84, 88, 96, 104, 112, 120],
        "itemsize": limits.RECORD_BYTES,
    }
)  # fmt: skip

# Where ADD_MEMBERS keeps its ids, in 64-bit words of the record: three before `number`, two after `rule_set`.
MEMBER_WORDS: Final = (4, 6, 8, 12, 14)

ACCOUNT: Final = np.dtype(
    [
        ("id_low", "<u8"),  # 0
        ("id_high", "<u8"),
        ("debits_posted", "<i8"),  # 16
        ("credits_posted", "<i8"),
        ("debits_pending", "<i8"),  # 32  holds, to come
        ("credits_pending", "<i8"),
        ("day_used", "<i8"),  # 48  what counts against limits, to come
        ("month_used", "<i8"),
        ("year_used", "<i8"),
        ("day", "<i4"),  # 72
        ("month", "<i2"),
        ("year", "<i2"),
        ("last_movement", "<i8"),  # 80  number of the newest movement, 0 for none
        ("currency", "<u2"),  # 88
        ("kind", "<u2"),
        ("blocks", "<u2"),
        ("purses", "<u2"),  # how many purses hang on first_purse
        ("suspense", "<u4"),  # 96  row of the operator's suspense account; its own row where it needs none
        ("operator", "<u4"),
        ("rule_set", "<u4"),
        ("first_purse", "<u4"),  # purse number + 1, 0 for none
        ("payee", "<u4"),  # 112  dense number given at the first JOIN_GROUP, 0 for none
        ("key_epoch", "<u4"),
        ("liability_holder", "<u4"),
        ("reserved", "<u4"),
    ]
)

PURSE: Final = np.dtype(
    [
        ("member_low", "<u8"),  # 0
        ("member_high", "<u8"),
        ("dropped", "<i8"),  # 16
        ("spent", "<i8"),
        ("refunded", "<i8"),
        ("returned", "<i8"),
        ("pending", "<i8"),  # 48  holds, to come
        ("last_movement", "<i8"),  # 56
        ("programme", "<u4"),  # 64
        ("wallet", "<u4"),  # row + 1 of the wallet that claimed it, 0 for none
        ("next_purse", "<u4"),  # purse number + 1, 0 for none: earliest expiry first
        ("state", "<u2"),
        ("reserved", "<u2"),
    ]
)

RULE_SET: Final = np.dtype(
    [
        ("defined", "<u2"),
        ("flags", "<u2"),
        ("return_row", "<u4"),
        ("groups", "<u4", limits.GROUPS_PER_RULE_SET_MAX),
        ("from_ns", "<i8"),
        ("until_ns", "<i8"),
        ("balance_max", "<i8"),
        ("single_max", "<i8"),
        ("day_max", "<i8"),
        ("month_max", "<i8"),
        ("year_max", "<i8"),
    ]
)

PROGRAMME: Final = np.dtype(
    [
        ("defined", "<u2"),
        ("sealed", "<u2"),
        ("rule_set", "<u4"),
        ("funder", "<u4"),  # row
        ("count", "<u4"),  # members, as opened
        ("filled", "<u4"),  # members arrived so far
        ("currency", "<u4"),
        ("first_purse", "<i8"),  # number of member 0's purse
        ("claim_from_ns", "<i8"),
        ("claim_until_ns", "<i8"),
        ("seal_low", "<u8"),
        ("seal_high", "<u8"),
    ]
)

# What the ledger remembers of an operation whose id is bound.
BOUND: Final = np.dtype(
    [
        ("id_low", "<u8"),
        ("id_high", "<u8"),
        ("content", "<u8"),  # hash of bytes 16 to 127 of the record
        ("place", "<u8"),  # frame sequence << 13 | index in the frame
        ("amount", "<i8"),
        ("refunded", "<i8"),  # of a pay: how much of it came back so far
        ("first_movement", "<i8"),  # number of its first movement, 0 for none
        ("movements", "<u4"),
        ("kind", "<u2"),
        ("result", "<u2"),
    ]
)

MOVEMENT: Final = np.dtype(
    [
        ("debit_row", "<u4"),
        ("credit_row", "<u4"),
        ("amount", "<i8"),
        ("debit_balance", "<i8"),  # both balances after it
        ("credit_balance", "<i8"),
        ("debit_previous", "<i8"),  # both rows' newest movement before it
        ("credit_previous", "<i8"),
        ("place", "<u8"),
        ("purpose", "<u2"),
        ("leg", "<u2"),
        ("reserved", "<u4"),
    ]
)

# What submit answers, per operation.
ANSWER: Final = np.dtype([("code", "<u2"), ("first_code", "<u2"), ("reserved", "<u4"), ("place", "<u8")])

assert OPERATION.itemsize == RULE_SET_OPERATION.itemsize == limits.RECORD_BYTES
assert ACCOUNT.itemsize == 128 and PURSE.itemsize == 80 and BOUND.itemsize == MOVEMENT.itemsize == 64
