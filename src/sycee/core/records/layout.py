"""NumPy record types of all tables of the ledger, and the closed lists of kinds and flags.

All integers are little-endian. An id is 128 bits in two 64-bit halves, `low` first. Amounts are signed 64-bit
integers of minor units (fen, cents), times are signed 64-bit nanoseconds since 1970-01-01T00:00Z.
docs/reference/ledger.md has the same layout; a test compares the two.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final

import numpy as np

from sycee.core import limits


class Kind(IntEnum):
    """Kind of an operation. Numbers never change, since journals contain them."""

    DEFINE_CURRENCY = 1
    DEFINE_GROUP = 2
    JOIN_GROUP = 3
    LEAVE_GROUP = 4
    DEFINE_RULE_SET = 5
    GRANT_ROLE = 6
    REVOKE_ROLE = 7
    UPGRADE = 8
    OPEN_ACCOUNT = 10
    BLOCK_ACCOUNT = 11
    CLOSE_ACCOUNT = 12
    UNBLOCK_ACCOUNT = 13
    SET_RULE_SET = 14
    SET_KEY = 15
    LINK_ACCOUNT = 16
    OPEN_PROGRAMME = 20
    ADD_MEMBERS = 21
    SEAL_COHORT = 22
    DROP = 23
    CLAIM = 24
    EXPIRE = 25
    TRANSFER = 30
    PAY = 31
    REFUND = 32
    HOLD = 33
    POST = 34
    VOID = 35
    EXTEND = 36
    POST_HOLDS = 37
    VOID_HOLDS = 38
    REVERSE = 39
    SEND = 40
    CONFIRM = 41
    REJECT = 42
    STAGE = 43
    SETTLE = 44


LINKED: Final = 0x8000  # flag of an operation that is in a chain with the next one


class AccountKind(IntEnum):
    """Kind of an account. ISSUANCE, SUSPENSE and IN_TRANSIT have special rules; rule sets can exclude WALLET, VAULT and
    RESERVE as payees.
    """

    ISSUANCE = 1  # its debit balance is the money in circulation; one per currency; may be negative
    SUSPENSE = 2  # receives what no other account can; it can be neither blocked nor closed
    RESERVE = 3
    VAULT = 4
    FUNDER = 5
    WALLET = 6
    MERCHANT = 7
    IN_TRANSIT = 8  # money in transit to or from a bank; moved only by SEND, CONFIRM, REJECT and waterfalls


class Block(IntFlag):
    """Blocks of an account: the sides of BLOCK_ACCOUNT, and CLOSED, set by CLOSE_ACCOUNT only."""

    DEBIT = 1
    CREDIT = 2
    CLOSED = 4


class Reason(IntEnum):
    """Reason of a block or a closure. A side is blocked while it has at least one reason."""

    REQUEST = 1  # by the holder
    COURT_ORDER = 2
    DECEASED = 3
    DORMANT = 4
    RECOVERY = 5
    SANCTIONS = 6
    OPERATOR = 7


class Role(IntEnum):
    """Role in which a person's key signs."""

    OFFICER = 1  # of the issuer: minting, roles, rule sets, reversals
    OPERATOR = 2  # of the second tier: bulk records, and the accounts with its operator number
    WITNESS = 3  # checkpoints


class KeyFlag(IntFlag):
    """Type of a key of 32 bytes."""

    ED25519 = 1
    P256 = 2  # the x of a point, big-endian
    Y_ODD = 4  # with P256: the point's y is odd


class RuleFlag(IntFlag):
    """Restrictions of a rule set, and the meaning of bytes 40 to 47 of its record."""

    NO_PERSONS = 1  # no payment to a WALLET
    NO_CASH_OUT = 2  # no payment to a VAULT or RESERVE
    FINAL = 4  # a TRANSFER to an account under the rule set cannot be reversed
    PAYMENT_MIN = 8  # bytes 40 to 47 are `payment_min`, not `refund_reserve`


class PayFlag(IntFlag):
    """Source of a payment. Without a flag: purses first, then the wallet's own money."""

    PURSES_ONLY = 1
    OWN_ONLY = 2


class HoldFlag(IntFlag):
    """Source of a hold, as of a payment, and the condition of its release."""

    PURSES_ONLY = 1
    OWN_ONLY = 2
    THREE_PARTY = 4
    HASH_LOCKED = 8


class PostFlag(IntFlag):
    """Options of a POST."""

    RELEASE_REST = 1  # release the amount that is still held
    PREIMAGE = 2  # bytes 80 to 111 are the secret


class SendFlag(IntFlag):
    """Options of a SEND."""

    UP_TO = 1  # send the available money, at most the amount


class SettleFlag(IntFlag):
    """Options of a SETTLE."""

    DISCARD = 1


class HoldState(IntEnum):
    """State of a hold."""

    OPEN = 0
    POSTED = 1
    VOIDED = 2
    TIMED_OUT = 3


class TransitState(IntEnum):
    """State of a transit."""

    OPEN = 0
    CONFIRMED = 1
    REJECTED = 2


class PurseState(IntEnum):
    """State of a purse."""

    EMPTY = 0
    DROPPED = 1
    CLAIMED = 2
    EXPIRED = 3


class Purpose(IntEnum):
    """Purpose of a movement."""

    TRANSFER = 1
    PAY_OWN = 2
    PAY_PURSE = 3
    DROP = 4
    REFUND_OWN = 5
    REFUND_PURSE = 6
    RETURN = 7
    REFUND_SUSPENSE = 8  # the payer could not be credited
    RETURN_SUSPENSE = 9  # the return account could not be credited
    REVERSAL_OWN = 10
    REVERSAL_PURSE = 11
    REVERSAL_SUSPENSE = 12
    SEND = 13
    CONFIRM = 14
    CONFIRM_SUSPENSE = 15
    REJECT = 16
    REJECT_SUSPENSE = 17
    WATERFALL = 18  # the excess over a `balance_max` is sent to a bank
    SETTLEMENT = 19


# Set in the row number of a purse, not in that of an account.
PURSE_BIT: Final = 1 << 31

# One record of the journal. The reference lists the fields that each kind uses; the others are zero.
OPERATION: Final = np.dtype(
    [
        ("id_low", "<u8"),  # 0
        ("id_high", "<u8"),  # 8
        ("kind", "<u2"),  # 16
        ("flags", "<u2"),  # 18
        ("code", "<u4"),  # 20  the caller's, opaque
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
        ("note_low", "<u8"),  # 112  the caller's, opaque
        ("note_high", "<u8"),
    ]
)

# The same 128 bytes in a DEFINE_RULE_SET. A maximum of zero means none.
RULE_SET_OPERATION: Final = np.dtype(
    {
        "names": [
            "id_low", "id_high", "kind", "flags", "code", "effective_ns", "groups", "refund_reserve",
            "return_low", "return_high", "balance_max", "single_max", "number", "refund_window_s", "day_max",
            "from_ns", "until_ns", "month_max", "year_max",
        ],
        "formats": [
            "<u8", "<u8", "<u2", "<u2", "<u4", "<i8", ("<u2", limits.GROUPS_PER_RULE_SET_MAX), "<i8",
            "<u8", "<u8", "<i8", "<i8", "<u4", "<u4", "<i8", "<i8", "<i8", "<i8", "<i8",
        ],
        "offsets": [0, 8, 16, 18, 20, 24, 32, 40, 48, 56, 64, 72, 80, 84, 88, 96, 104, 112, 120],
        "itemsize": limits.RECORD_BYTES,
    }
)  # fmt: skip

# Words (64 bits) of the record where the ids of ADD_MEMBERS begin: three before `number`, two after `rule_set`.
MEMBER_WORDS: Final = (4, 6, 8, 12, 14)

# First of four words of the record: the key of SET_KEY and GRANT_ROLE, the hash of HOLD, the secret of POST.
KEY_WORD: Final = 6
HASH_WORD: Final = 8
SECRET_WORD: Final = 10

# A transfer uses only the first half, one cache line: in a ledger larger than the cache, each line costs a miss.
ACCOUNT: Final = np.dtype(
    [
        ("id_low", "<u8"),  # 0
        ("id_high", "<u8"),
        ("debits_posted", "<i8"),  # 16
        ("credits_posted", "<i8"),
        ("debits_pending", "<i8"),  # 32
        ("credits_pending", "<i8"),
        ("last_movement", "<i8"),  # 48  number of the newest movement, 0 for none
        ("currency", "<u2"),  # 56
        ("kind", "<u1"),
        ("blocks", "<u1"),  # Block, derived from the reasons below
        ("rule_set", "<u2"),
        ("purses", "<u1"),  # number of purses in the list that begins at first_purse
        ("close_reason", "<u1"),
        ("day_used", "<i8"),  # 64  usage that counts against the rule set's limits, in the periods below
        ("month_used", "<i8"),
        ("year_used", "<i8"),
        ("day", "<i4"),  # 88
        ("month", "<i2"),
        ("year", "<i2"),
        ("suspense", "<u4"),  # 96  row of its suspense account; its own row if it needs none
        ("operator", "<u4"),
        ("first_purse", "<u4"),  # purse number + 1, 0 for none
        ("payee", "<u4"),  # consecutive number assigned by the first JOIN_GROUP, 0 for none
        ("link", "<u4"),  # 112  row + 1 of the account it is linked to, 0 for none
        ("key_epoch", "<u4"),
        ("key", "<u4"),  # number + 1 of its key, 0 for none
        ("debit_reasons", "<u1"),  # bit r - 1 for reason r
        ("credit_reasons", "<u1"),
        ("reserved", "<u2"),
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
        ("pending", "<i8"),  # 48  amount of open holds
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
        ("groups", "<u2", limits.GROUPS_PER_RULE_SET_MAX),
        ("refund_window_s", "<u4"),
        ("reserved", "<u4"),
        ("from_ns", "<i8"),
        ("until_ns", "<i8"),
        ("balance_max", "<i8"),
        ("single_max", "<i8"),
        ("day_max", "<i8"),
        ("month_max", "<i8"),
        ("year_max", "<i8"),
        ("refund_reserve", "<i8"),
        ("payment_min", "<i8"),  # smaller payments do not use the purse
    ]
)

PROGRAMME: Final = np.dtype(
    [
        ("defined", "<u2"),
        ("sealed", "<u2"),
        ("rule_set", "<u4"),
        ("funder", "<u4"),  # row
        ("count", "<u4"),  # members, as opened
        ("filled", "<u4"),  # members added so far
        ("currency", "<u4"),
        ("first_purse", "<i8"),  # number of member 0's purse
        ("claim_from_ns", "<i8"),
        ("claim_until_ns", "<i8"),
        ("seal_low", "<u8"),
        ("seal_high", "<u8"),
    ]
)

# An operation whose id is bound. A row never changes: refunds and postings of holds are stored in other tables.
BOUND: Final = np.dtype(
    [
        ("id_low", "<u8"),
        ("id_high", "<u8"),
        ("content", "<u8"),  # hash of bytes 16 to 127 of the record
        ("place", "<u8"),  # frame sequence << 13 | index in the frame
        ("amount", "<i8"),
        # REVERSE: the amount that was missing. HOLD: its row in `holds`. TRANSFER: 1 if final.
        ("detail", "<i8"),
        ("first_movement", "<i8"),  # number of its first movement, 0 for none
        ("movements", "<u4"),
        ("kind", "<u2"),
        ("result", "<u2"),
    ]
)

# Amount refunded so far of a bound operation. Rows are in the order of the first refund.
REFUND: Final = np.dtype([("bound", "<i8"), ("refunded", "<i8")])

# A run of sorted ids: those of one contiguous range of bound operations, see kernels/sorted_runs.py.
RUN: Final = np.dtype(
    [
        ("first", "<i8"),  # position of its first id among the sorted ids
        ("first_row", "<i8"),  # bound row that its offsets count from
        ("count", "<u4"),
        ("reserved", "<u4"),
        ("min_high", "<u8"),  # of the run
        ("max_high", "<u8"),
        ("reach_min", "<u8"),  # minimum over this run and all later ones
        ("reach_max", "<u8"),  # maximum over this run and all earlier ones
    ]
)

MOVEMENT: Final = np.dtype(
    [
        ("debit_row", "<u4"),
        ("credit_row", "<u4"),
        ("amount", "<i8"),
        ("debit_balance", "<i8"),  # both balances after it
        ("credit_balance", "<i8"),
        ("debit_previous", "<i8"),  # number of the previous movement of each row
        ("credit_previous", "<i8"),
        ("place", "<u8"),
        ("purpose", "<u2"),
        ("leg", "<u2"),
        ("reserved", "<u4"),
    ]
)

# Money reserved for a payee. The legs of purse money are contiguous rows of `hold_legs`.
HOLD: Final = np.dtype(
    [
        ("bound", "<i8"),  # bound row of the HOLD; holds are in this order
        ("payer", "<u4"),  # rows
        ("payee", "<u4"),
        ("hash", "<u8", 4),  # 16  SHA-256 of the secret
        ("until_ns", "<i8"),  # 48
        ("own_held", "<i8"),
        ("first_leg", "<u4"),  # 64
        ("third", "<u4"),  # row + 1 of the third account, which may post it, 0 for none
        ("day", "<i4"),  # 72  the payer's periods in which own money was counted
        ("month", "<i2"),
        ("year", "<i2"),
        ("legs", "<u2"),  # 80
        ("state", "<u1"),
        ("hash_locked", "<u1"),
        ("counted", "<u1"),
        ("movements", "<u1"),  # by POST_HOLDS, one per leg; their first and their sum below; else 0
        ("reserved", "<u2"),
        ("held", "<i8"),  # 88  sum of all legs
        ("first_movement", "<i8"),
        ("posted", "<i8"),
    ]
)
HOLD_LEG: Final = np.dtype([("held", "<i8"), ("purse", "<u4"), ("reserved", "<u4")])

# Money in an IN_TRANSIT account until it is confirmed or rejected.
TRANSIT: Final = np.dtype(
    [
        ("bound", "<i8"),  # bound row of its operation; transits are in this order
        ("amount", "<i8"),
        ("source", "<u4"),  # 16  rows
        ("through", "<u4"),
        ("destination", "<u4"),
        ("day", "<i4"),
        ("month", "<i2"),  # 32
        ("year", "<i2"),
        ("state", "<u1"),
        ("counted", "<u1"),
        ("reserved", "<u2"),
    ]
)

# An open settlement batch, and its payments. Free rows are reused: a free batch has number 0, and its `last` is the
# row + 1 of the next free batch; a free payment's `next` is the row + 1 of the next free payment.
BATCH: Final = np.dtype(
    [
        ("total", "<i8"),
        ("number", "<u4"),
        ("operator", "<u4"),  # its owner
        ("count", "<u4"),
        ("first", "<u4"),  # row + 1 of its first staged payment
        ("last", "<u4"),
        ("reserved", "<u4"),
    ]
)
STAGED: Final = np.dtype([("amount", "<i8"), ("debit", "<u4"), ("credit", "<u4"), ("next", "<u4"), ("reserved", "<u4")])

KEY: Final = np.dtype([("key", "<u8", 4), ("flags", "<u4"), ("reserved", "<u4")])

# Local date of the frame, by currency number.
CALENDAR: Final = np.dtype([("day", "<i4"), ("month", "<i4"), ("year", "<i4")])

# End of a hold, in a binary heap. An entry is stale if its hold is not open or has another end.
TIME_OUT: Final = np.dtype([("until_ns", "<i8"), ("hold", "<u4"), ("reserved", "<u4")])

# Answer to one operation. For an id that was already bound, first_code is its first result.
ANSWER: Final = np.dtype([("code", "<u2"), ("first_code", "<u2"), ("reserved", "<u4"), ("place", "<u8")])

assert OPERATION.itemsize == RULE_SET_OPERATION.itemsize == limits.RECORD_BYTES
assert ACCOUNT.itemsize == 128 and PURSE.itemsize == 80 and BOUND.itemsize == MOVEMENT.itemsize == 64
assert ACCOUNT.fields is not None and ACCOUNT.fields["day_used"][1] == 64  # the second line of the cache
assert HOLD.itemsize == 112 and REFUND.itemsize == 16 and RUN.itemsize == 56
assert TRANSIT.itemsize == 40 and STAGED.itemsize == 24 and BATCH.itemsize == 32
