"""What the kernels see as constants: codes, kinds, purposes, states and bounds as plain integers.

numba takes an attribute of a module for a constant, so kernels read `c.EXCEEDS_BALANCE` and compile a number.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sycee.core import limits
from sycee.core.codes import Result
from sycee.ledger import layout
from sycee.ledger.layout import (
    AccountKind,
    BatchState,
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

KIND_DEFINE_CURRENCY: Final = int(Kind.DEFINE_CURRENCY)
KIND_JOIN_GROUP: Final = int(Kind.JOIN_GROUP)
KIND_LEAVE_GROUP: Final = int(Kind.LEAVE_GROUP)
KIND_DEFINE_RULE_SET: Final = int(Kind.DEFINE_RULE_SET)
KIND_GRANT_ROLE: Final = int(Kind.GRANT_ROLE)
KIND_REVOKE_ROLE: Final = int(Kind.REVOKE_ROLE)
KIND_UPGRADE: Final = int(Kind.UPGRADE)
KIND_OPEN_ACCOUNT: Final = int(Kind.OPEN_ACCOUNT)
KIND_BLOCK_ACCOUNT: Final = int(Kind.BLOCK_ACCOUNT)
KIND_CLOSE_ACCOUNT: Final = int(Kind.CLOSE_ACCOUNT)
KIND_UNBLOCK_ACCOUNT: Final = int(Kind.UNBLOCK_ACCOUNT)
KIND_SET_RULE_SET: Final = int(Kind.SET_RULE_SET)
KIND_SET_KEY: Final = int(Kind.SET_KEY)
KIND_LINK_ACCOUNT: Final = int(Kind.LINK_ACCOUNT)
KIND_OPEN_PROGRAMME: Final = int(Kind.OPEN_PROGRAMME)
KIND_ADD_MEMBERS: Final = int(Kind.ADD_MEMBERS)
KIND_DROP: Final = int(Kind.DROP)
KIND_CLAIM: Final = int(Kind.CLAIM)
KIND_EXPIRE: Final = int(Kind.EXPIRE)
KIND_TRANSFER: Final = int(Kind.TRANSFER)
KIND_PAY: Final = int(Kind.PAY)
KIND_REFUND: Final = int(Kind.REFUND)
KIND_HOLD: Final = int(Kind.HOLD)
KIND_POST: Final = int(Kind.POST)
KIND_VOID: Final = int(Kind.VOID)
KIND_EXTEND: Final = int(Kind.EXTEND)
KIND_POST_HOLDS: Final = int(Kind.POST_HOLDS)
KIND_VOID_HOLDS: Final = int(Kind.VOID_HOLDS)
KIND_REVERSE: Final = int(Kind.REVERSE)
KIND_SEND: Final = int(Kind.SEND)
KIND_CONFIRM: Final = int(Kind.CONFIRM)
KIND_REJECT: Final = int(Kind.REJECT)
KIND_STAGE: Final = int(Kind.STAGE)
KIND_SETTLE: Final = int(Kind.SETTLE)
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
BATCH_OPEN: Final = int(BatchState.OPEN)
BATCH_SETTLED: Final = int(BatchState.SETTLED)
BATCH_DISCARDED: Final = int(BatchState.DISCARDED)

PURPOSE_TRANSFER: Final = int(Purpose.TRANSFER)
PURPOSE_PAY_OWN: Final = int(Purpose.PAY_OWN)
PURPOSE_PAY_PURSE: Final = int(Purpose.PAY_PURSE)
PURPOSE_DROP: Final = int(Purpose.DROP)
PURPOSE_REFUND_OWN: Final = int(Purpose.REFUND_OWN)
PURPOSE_REFUND_PURSE: Final = int(Purpose.REFUND_PURSE)
PURPOSE_RETURN: Final = int(Purpose.RETURN)
PURPOSE_REFUND_SUSPENSE: Final = int(Purpose.REFUND_SUSPENSE)
PURPOSE_RETURN_SUSPENSE: Final = int(Purpose.RETURN_SUSPENSE)
PURPOSE_REVERSAL_OWN: Final = int(Purpose.REVERSAL_OWN)
PURPOSE_REVERSAL_PURSE: Final = int(Purpose.REVERSAL_PURSE)
PURPOSE_REVERSAL_SUSPENSE: Final = int(Purpose.REVERSAL_SUSPENSE)
PURPOSE_SEND: Final = int(Purpose.SEND)
PURPOSE_CONFIRM: Final = int(Purpose.CONFIRM)
PURPOSE_CONFIRM_SUSPENSE: Final = int(Purpose.CONFIRM_SUSPENSE)
PURPOSE_REJECT: Final = int(Purpose.REJECT)
PURPOSE_REJECT_SUSPENSE: Final = int(Purpose.REJECT_SUSPENSE)
PURPOSE_WATERFALL: Final = int(Purpose.WATERFALL)
PURPOSE_SETTLEMENT: Final = int(Purpose.SETTLEMENT)

CREATED: Final = int(Result.CREATED)
EXISTS: Final = int(Result.EXISTS)
EXISTS_WITH_DIFFERENT_CONTENT: Final = int(Result.EXISTS_WITH_DIFFERENT_CONTENT)
ID_MUST_NOT_BE_ZERO: Final = int(Result.ID_MUST_NOT_BE_ZERO)
KIND_UNKNOWN: Final = int(Result.KIND_UNKNOWN)
FLAGS_UNKNOWN: Final = int(Result.FLAGS_UNKNOWN)
FIELD_MUST_BE_ZERO: Final = int(Result.FIELD_MUST_BE_ZERO)
AMOUNT_MUST_BE_POSITIVE: Final = int(Result.AMOUNT_MUST_BE_POSITIVE)
ACCOUNT_ID_MUST_NOT_BE_ZERO: Final = int(Result.ACCOUNT_ID_MUST_NOT_BE_ZERO)
ACCOUNTS_MUST_BE_DIFFERENT: Final = int(Result.ACCOUNTS_MUST_BE_DIFFERENT)
NUMBER_OUT_OF_RANGE: Final = int(Result.NUMBER_OUT_OF_RANGE)
COUNT_OUT_OF_RANGE: Final = int(Result.COUNT_OUT_OF_RANGE)
ACCOUNT_KIND_UNKNOWN: Final = int(Result.ACCOUNT_KIND_UNKNOWN)
WINDOW_MUST_END_AFTER_START: Final = int(Result.WINDOW_MUST_END_AFTER_START)
ZONE_MUST_NOT_BE_EMPTY: Final = int(Result.ZONE_MUST_NOT_BE_EMPTY)
CURRENCY_NOT_FOUND: Final = int(Result.CURRENCY_NOT_FOUND)
GROUP_NOT_FOUND: Final = int(Result.GROUP_NOT_FOUND)
RULE_SET_NOT_FOUND: Final = int(Result.RULE_SET_NOT_FOUND)
PROGRAMME_NOT_FOUND: Final = int(Result.PROGRAMME_NOT_FOUND)
ACCOUNT_EXISTS: Final = int(Result.ACCOUNT_EXISTS)
ISSUANCE_EXISTS: Final = int(Result.ISSUANCE_EXISTS)
SUSPENSE_NOT_FOUND: Final = int(Result.SUSPENSE_NOT_FOUND)
ACCOUNT_NOT_FOUND: Final = int(Result.ACCOUNT_NOT_FOUND)
DEBIT_ACCOUNT_NOT_FOUND: Final = int(Result.DEBIT_ACCOUNT_NOT_FOUND)
CREDIT_ACCOUNT_NOT_FOUND: Final = int(Result.CREDIT_ACCOUNT_NOT_FOUND)
ORIGINAL_NOT_FOUND: Final = int(Result.ORIGINAL_NOT_FOUND)
ORIGINAL_IS_NOT_A_PAY: Final = int(Result.ORIGINAL_IS_NOT_A_PAY)
ORIGINAL_WAS_REFUSED: Final = int(Result.ORIGINAL_WAS_REFUSED)
COHORT_SEALED: Final = int(Result.COHORT_SEALED)
COHORT_NOT_SEALED: Final = int(Result.COHORT_NOT_SEALED)
SEAL_DIFFERS: Final = int(Result.SEAL_DIFFERS)
MEMBER_NOT_FOUND: Final = int(Result.MEMBER_NOT_FOUND)
MEMBERS_OUT_OF_ORDER: Final = int(Result.MEMBERS_OUT_OF_ORDER)
MEMBER_DIFFERS: Final = int(Result.MEMBER_DIFFERS)
CURRENCIES_MUST_MATCH: Final = int(Result.CURRENCIES_MUST_MATCH)
ACCOUNT_MUST_STAY_OPEN: Final = int(Result.ACCOUNT_MUST_STAY_OPEN)
ACCOUNT_CLOSED: Final = int(Result.ACCOUNT_CLOSED)
DEBIT_ACCOUNT_CLOSED: Final = int(Result.DEBIT_ACCOUNT_CLOSED)
CREDIT_ACCOUNT_CLOSED: Final = int(Result.CREDIT_ACCOUNT_CLOSED)
DEBIT_ACCOUNT_BLOCKED: Final = int(Result.DEBIT_ACCOUNT_BLOCKED)
CREDIT_ACCOUNT_BLOCKED: Final = int(Result.CREDIT_ACCOUNT_BLOCKED)
PURSE_NOT_DROPPED: Final = int(Result.PURSE_NOT_DROPPED)
PURSE_CLAIMED: Final = int(Result.PURSE_CLAIMED)
PROGRAMME_EXPIRED: Final = int(Result.PROGRAMME_EXPIRED)
PROGRAMME_NOT_EXPIRED: Final = int(Result.PROGRAMME_NOT_EXPIRED)
CLAIM_WINDOW_NOT_OPEN: Final = int(Result.CLAIM_WINDOW_NOT_OPEN)
CLAIM_WINDOW_CLOSED: Final = int(Result.CLAIM_WINDOW_CLOSED)
TOO_MANY_PURSES: Final = int(Result.TOO_MANY_PURSES)
ACCOUNT_NOT_EMPTY: Final = int(Result.ACCOUNT_NOT_EMPTY)
EXCEEDS_REFUNDABLE: Final = int(Result.EXCEEDS_REFUNDABLE)
OVERFLOWS_DEBITS: Final = int(Result.OVERFLOWS_DEBITS)
OVERFLOWS_CREDITS: Final = int(Result.OVERFLOWS_CREDITS)
EXCEEDS_BALANCE: Final = int(Result.EXCEEDS_BALANCE)
KEY_MUST_NOT_BE_ZERO: Final = int(Result.KEY_MUST_NOT_BE_ZERO)
REASON_UNKNOWN: Final = int(Result.REASON_UNKNOWN)
ROLE_UNKNOWN: Final = int(Result.ROLE_UNKNOWN)
CANNOT_BE_LINKED: Final = int(Result.CANNOT_BE_LINKED)
CHAIN_OPEN: Final = int(Result.CHAIN_OPEN)
CHAIN_REPEATS_AN_ID: Final = int(Result.CHAIN_REPEATS_AN_ID)
CHAIN_BROKEN: Final = int(Result.CHAIN_BROKEN)
TRANSIT_ACCOUNT_NOT_FOUND: Final = int(Result.TRANSIT_ACCOUNT_NOT_FOUND)
RELEASER_NOT_FOUND: Final = int(Result.RELEASER_NOT_FOUND)
ORIGINAL_NOT_REVERSIBLE: Final = int(Result.ORIGINAL_NOT_REVERSIBLE)
HOLD_NOT_FOUND: Final = int(Result.HOLD_NOT_FOUND)
HOLDS_OUT_OF_ORDER: Final = int(Result.HOLDS_OUT_OF_ORDER)
NOT_A_PARTY_TO_HOLD: Final = int(Result.NOT_A_PARTY_TO_HOLD)
PREIMAGE_DIFFERS: Final = int(Result.PREIMAGE_DIFFERS)
HOLD_DONE: Final = int(Result.HOLD_DONE)
HOLD_TIMED_OUT: Final = int(Result.HOLD_TIMED_OUT)
HOLD_MUST_END_LATER: Final = int(Result.HOLD_MUST_END_LATER)
TRANSIT_NOT_FOUND: Final = int(Result.TRANSIT_NOT_FOUND)
TRANSIT_DONE: Final = int(Result.TRANSIT_DONE)
BATCH_NOT_FOUND: Final = int(Result.BATCH_NOT_FOUND)
BATCH_DONE: Final = int(Result.BATCH_DONE)
BATCH_DIFFERS: Final = int(Result.BATCH_DIFFERS)
ACCOUNT_IS_IN_TRANSIT: Final = int(Result.ACCOUNT_IS_IN_TRANSIT)
LINK_KIND_WRONG: Final = int(Result.LINK_KIND_WRONG)
RULE_SET_NOT_IN_FORCE: Final = int(Result.RULE_SET_NOT_IN_FORCE)
PAYEE_NOT_ALLOWED: Final = int(Result.PAYEE_NOT_ALLOWED)
PERSONS_NOT_ALLOWED: Final = int(Result.PERSONS_NOT_ALLOWED)
CASH_OUT_NOT_ALLOWED: Final = int(Result.CASH_OUT_NOT_ALLOWED)
REFUND_WINDOW_CLOSED: Final = int(Result.REFUND_WINDOW_CLOSED)
EXCEEDS_HELD: Final = int(Result.EXCEEDS_HELD)
RESERVED_FOR_REFUNDS: Final = int(Result.RESERVED_FOR_REFUNDS)
EXCEEDS_SINGLE_LIMIT: Final = int(Result.EXCEEDS_SINGLE_LIMIT)
EXCEEDS_DAY_LIMIT: Final = int(Result.EXCEEDS_DAY_LIMIT)
EXCEEDS_MONTH_LIMIT: Final = int(Result.EXCEEDS_MONTH_LIMIT)
EXCEEDS_YEAR_LIMIT: Final = int(Result.EXCEEDS_YEAR_LIMIT)
EXCEEDS_BALANCE_LIMIT: Final = int(Result.EXCEEDS_BALANCE_LIMIT)
LINKED_FAILED: Final = int(Result.LINKED_FAILED)
