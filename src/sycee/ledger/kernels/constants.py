"""What the kernels see as constants: codes, kinds, purposes, states and bounds as plain integers.

numba takes an attribute of a module for a constant, so kernels read `c.EXCEEDS_BALANCE` and compile a number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sycee.core import limits
from sycee.core.result_codes import Result
from sycee.ledger import layout
from sycee.ledger.layout import (
    AccountKind,
    Block,
    HoldFlag,
    HoldState,
    KeyFlag,
    Kind,
    PayFlag,
    PostFlag,
    Purpose,
    PurseState,
    Reason,
    Role,
    RuleFlag,
    SendFlag,
    SettleFlag,
    TransitState,
)

# Indices of counters: rows in use, and what a chain needs.
ACCOUNTS: Final = 0
PURSES: Final = 1
MOVEMENTS: Final = 2
BOUND: Final = 3
PAYEES: Final = 4
HOLDS: Final = 5
HOLD_LEGS: Final = 6
TRANSITS: Final = 7
STAGED: Final = 8
KEYS: Final = 9
TIME_OUTS: Final = 10
LINKS: Final = 11  # how often an account was linked: without any there is no waterfall
KEEPING: Final = 12  # what pre-images are kept for: CHAIN, COPY, both or neither
UNDO_ACCOUNTS: Final = 13
UNDO_PURSES: Final = 14
UNDO_HOLDS: Final = 15
UNDO_VALUES: Final = 16
REFUNDS: Final = 17
BATCHES: Final = 18
FREE_BATCH: Final = 19  # row + 1 of the first batch, and of the first staged payment, that is free; 0 for none
FREE_STAGED: Final = 20
NEWEST_BATCH: Final = 21  # number of the newest batch, open or not
COUNTERS: Final = 24
CHAIN: Final = 1  # the operations of a chain are done, and may be undone
COPY: Final = 2  # the state is being copied, as it was when that began
# Indices of `generations`: where bound ids are to be found. Unlike the counters they are no part of a snapshot.
RECENT: Final = 0  # ids of the recent generation
STRAYS: Final = 1  # ids in bound_slots
RUNS: Final = 2  # rows of `runs`
RUN_IDS: Final = 3  # sorted ids, with the gaps between runs
RECENT_FIRST: Final = 4  # first bound row of the recent generation
OLDER_FIRST: Final = 5  # and of the one before it
OLDER: Final = 6  # ids of that one
RECENT_INDEXED: Final = 7  # the bound rows before it are in recent_slots
OLDER_INDEXED: Final = 8  # and in older_slots
GENERATIONS: Final = 9
# Places in `tops`: no id in these parts of the index is greater; two words, high and low, each. STRAY_TOP: of those
# strays that look ordered by time; one word, high.
RECENT_TOP: Final = 0
OLDER_TOP: Final = 2
RUNS_TOP: Final = 4
STRAY_TOP: Final = 6
TOPS: Final = 8
SLOT_ROWS: Final = limits.SLOT_ROWS_MAX
SLOTS_BY_HASH: Final = (1 << 32) - 1  # as many slots as 32 bits of a hash tell apart, less one
BLOCK_BITS: Final = 8  # a fence stands before every 256 sorted ids: 4,096 bytes, one page

# Which field a kept value belongs to.
VALUE_REFUNDED: Final = 0
VALUE_HOLD_LEG: Final = 1
VALUE_TRANSIT: Final = 2
# Rows of `copying`: the large tables whose rows are written to more than once, in the order in which they are copied.
COPIED_ACCOUNTS: Final = 0
COPIED_PURSES: Final = 1
COPIED_HOLDS: Final = 2
COPIED_HOLD_LEGS: Final = 3
COPIED_TRANSITS: Final = 4
COPIED_STAGED: Final = 5
COPIED_BATCHES: Final = 6
COPIED_GROUP_BITS: Final = 7
COPIED_REFUNDS: Final = 8
COPIED_TABLES: Final = 9
# Its columns.
COPY_DONE: Final = 0  # rows before this one are copied
COPY_END: Final = 1  # rows from this one on were not there when it began
COPY_KEPT: Final = 2  # how many pre-images are kept
COPY_MARKS: Final = 3  # where in `kept`: a bit for each row that has a pre-image
COPY_ROWS: Final = 4  # the rows' numbers
COPY_IMAGES: Final = 5  # their words
COPY_WORDS: Final = 6  # 64-bit words of a row
COPY_COLUMNS: Final = 7

PENDING: Final = 65_535  # resolve's mark for an operation that the ledger does not know yet
FOR_PYTHON: Final = -1  # apply's mark for an operation that Python handles
KINDS: Final = 64

I64_MAX: Final = limits.I64_MAX
PURSE_BIT: Final = layout.PURSE_BIT
PURSES_PER_WALLET: Final = limits.PURSES_PER_WALLET_MAX
GROUPS_PER_RULE_SET: Final = limits.GROUPS_PER_RULE_SET_MAX
RULE_SETS_MAX: Final = limits.RULE_SETS_MAX
GROUPS_MAX: Final = limits.GROUPS_MAX

# uint64 meets only uint64: with an int64 numba would make it signed.
LOW16: Final = np.uint64(0xFFFF)
LOW32: Final = np.uint64(0xFFFFFFFF)
MIX_1: Final = np.uint64(0xFF51AFD7ED558CCD)
MIX_2: Final = np.uint64(0xC4CEB9FE1A85EC53)
MIX_3: Final = np.uint64(0x9E3779B97F4A7C15)
PLACE_SHIFT: Final = np.uint64(limits.PLACE_INDEX_BITS)
S12: Final = np.uint64(12)
S16: Final = np.uint64(16)
S29: Final = np.uint64(29)
S32: Final = np.uint64(32)
S33: Final = np.uint64(33)
S62: Final = np.uint64(62)
S64: Final = np.uint64(64)
ZERO: Final = np.uint64(0)
ONE: Final = np.uint64(1)

# A UUIDv7: its version in bits 12 to 15 of the high half, its variant in the two highest of the low half.
VERSION_BITS: Final = np.uint64(0xF000)
VERSION_7: Final = np.uint64(0x7000)
VARIANT_BITS: Final = np.uint64(0xC000_0000_0000_0000)
VARIANT_10: Final = np.uint64(0x8000_0000_0000_0000)
# How far an id's time may lie from that of the frame which binds it; docs/decisions/0014 says why so far.
EARLY_MS_MAX: Final = 10_000  # the id says a later time than the frame
LATE_MS_MAX: Final = 300_000
NS_PER_MS: Final = 1_000_000

LINKED: Final = layout.LINKED

ISSUANCE: Final = int(AccountKind.ISSUANCE)
SUSPENSE: Final = int(AccountKind.SUSPENSE)
RESERVE: Final = int(AccountKind.RESERVE)
VAULT: Final = int(AccountKind.VAULT)
WALLET: Final = int(AccountKind.WALLET)
IN_TRANSIT: Final = int(AccountKind.IN_TRANSIT)
ACCOUNT_KIND_LAST: Final = int(max(AccountKind))
REASON_LAST: Final = int(max(Reason))
ROLE_LAST: Final = int(max(Role))
ROLE_OFFICER: Final = int(Role.OFFICER)
ROLE_OPERATOR: Final = int(Role.OPERATOR)
BLOCK_DEBIT: Final = int(Block.DEBIT)
BLOCK_CREDIT: Final = int(Block.CREDIT)
BLOCK_CLOSED: Final = int(Block.CLOSED)
PURSES_ONLY: Final = int(PayFlag.PURSES_ONLY)
OWN_ONLY: Final = int(PayFlag.OWN_ONLY)
THREE_PARTY: Final = int(HoldFlag.THREE_PARTY)
HASH_LOCKED: Final = int(HoldFlag.HASH_LOCKED)
LETS_GO: Final = int(PostFlag.LETS_GO)
PREIMAGE: Final = int(PostFlag.PREIMAGE)
UP_TO: Final = int(SendFlag.UP_TO)
DISCARD: Final = int(SettleFlag.DISCARD)
NO_PERSONS: Final = int(RuleFlag.NO_PERSONS)
NO_CASH_OUT: Final = int(RuleFlag.NO_CASH_OUT)
FINAL: Final = int(RuleFlag.FINAL)
KEY_ED25519: Final = int(KeyFlag.ED25519)
KEY_P256: Final = int(KeyFlag.P256)
KEY_P256_ODD: Final = int(KeyFlag.P256 | KeyFlag.Y_ODD)
EMPTY: Final = int(PurseState.EMPTY)
DROPPED: Final = int(PurseState.DROPPED)
CLAIMED: Final = int(PurseState.CLAIMED)
EXPIRED: Final = int(PurseState.EXPIRED)
HOLD_IS_OPEN: Final = int(HoldState.OPEN)
HOLD_IS_POSTED: Final = int(HoldState.POSTED)
HOLD_IS_VOIDED: Final = int(HoldState.VOIDED)
HOLD_IS_TIMED_OUT: Final = int(HoldState.TIMED_OUT)
TRANSIT_OPEN: Final = int(TransitState.OPEN)
TRANSIT_CONFIRMED: Final = int(TransitState.CONFIRMED)
TRANSIT_REJECTED: Final = int(TransitState.REJECTED)

# Of every kind `KIND_…`, of every purpose `PURPOSE_…`, of every result code its name. numba and the interpreter look
# them up in the module, and a name that is not there fails when the kernels are compiled.
globals().update({f"KIND_{kind.name}": int(kind) for kind in Kind})
globals().update({f"PURPOSE_{purpose.name}": int(purpose) for purpose in Purpose})
globals().update({code.name: int(code) for code in Result})
if TYPE_CHECKING:

    def __getattr__(name: str) -> int: ...
