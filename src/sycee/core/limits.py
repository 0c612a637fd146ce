"""Every maximum of journal and ledger, with its reason. The relations between them are checked at import."""

from __future__ import annotations

from typing import Final

I64_MAX: Final = 2**63 - 1

# --- frames and segments of the journal, docs/reference/journal.md ---

RECORD_BYTES: Final = 128  # one operation: two cache lines
ENVELOPE_BYTES: Final = 104  # one signature over records of its frame, docs/reference/authority.md
FRAME_BYTES_MAX: Final = 1 << 20  # one frame is one message of ≤ 1 MiB on a replicated log
FRAME_HEADER_BYTES: Final = 512  # fixed part and calendar
FRAME_TRAILER_BYTES: Final = 64
FRAME_ALIGNMENT_BYTES: Final = 4096  # a frame never shares a disk block with an acknowledged one
FRAME_RECORDS_MAX: Final = 8_064  # leaves space for header, trailer and signed envelopes
PLACE_INDEX_BITS: Final = 13  # a place is frame sequence << 13 | index in the frame
CALENDAR_ENTRIES_MAX: Final = 16  # currencies of one ledger: each adds its local day to the frame
SEGMENT_BYTES: Final = 16 << 20  # allocated when a segment is created: small enough for that to be fast
FRAME_TIME_NS_MAX: Final = 7_258_118_400 * 10**9  # 2200-01-01: a later clock is wrong
CLOCK_AHEAD_NS_MAX: Final = 3_660 * 86_400 * 10**9  # ten years after the previous frame: a later clock is wrong

# --- definitions ---

CURRENCIES_MAX: Final = CALENDAR_ENTRIES_MAX
ZONE_BYTES_MAX: Final = 48  # the longest name in the time-zone database has 32 characters
GROUPS_MAX: Final = 4_096  # payee groups, numbered 1 to GROUPS_MAX
GROUPS_PER_RULE_SET_MAX: Final = 4  # the record's size; groups may overlap, so a union needs no more
RULE_SETS_MAX: Final = 65_535
PROGRAMMES_MAX: Final = 65_535
RULES_MAX: Final = 65_535  # versions of the rules, named by UPGRADE
RELEASE_BYTES_MAX: Final = 32
KEY_BYTES: Final = 32
MEMBERS_PER_RECORD_MAX: Final = 5  # 16-byte ids in one ADD_MEMBERS record
COHORT_MEMBERS_MAX: Final = 1 << 30  # a whole country; a cohort that exceeds memory is refused before it is journaled
PURSES_PER_WALLET_MAX: Final = 16  # a pay reads every purse of its wallet

# --- rows ---

ACCOUNTS_MAX: Final = (1 << 31) - 1  # a row number has 31 bits; the 32nd marks a purse
PURSES_MAX: Final = (1 << 31) - 1
HOLDS_MAX: Final = (1 << 31) - 1  # a hold has no maximum life, docs/reference/ledger.md, section 7
HOLD_LEGS_MAX: Final = (1 << 32) - 1
STAGED_MAX: Final = (1 << 32) - 2  # staged payments at one time: a link to one is its row + 1 in 32 bits
BATCHES_MAX: Final = (1 << 32) - 1  # settlement batches over a ledger's life: the number is 32 bits of a record
SETTLEMENT_PAYMENTS_MAX: Final = 1 << 30  # payments of one batch: SETTLE names their number in `count`
SLOT_ROWS_MAX: Final = (1 << 32) - 1  # an index slot has row + 1 in 32 bits, and 0 when it is free
REFUNDS_MAX: Final = SLOT_ROWS_MAX  # refunded operations, which stay in memory
BOUND_MAX: Final = SLOT_ROWS_MAX << 16  # a slot has 16 more bits; enough for 7,000 years of a country's payments
OPENINGS_MAX: Final = 1_000  # wallets that one request opens: with keys, proofs and envelopes a body of 0.5 MB

assert FRAME_RECORDS_MAX * RECORD_BYTES + FRAME_HEADER_BYTES + FRAME_TRAILER_BYTES <= FRAME_BYTES_MAX
assert FRAME_RECORDS_MAX <= 1 << PLACE_INDEX_BITS
assert FRAME_BYTES_MAX % FRAME_ALIGNMENT_BYTES == 0
assert SEGMENT_BYTES >= 2 * FRAME_BYTES_MAX
