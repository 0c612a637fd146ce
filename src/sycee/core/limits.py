"""Every maximum in one place, with its reason; the relations between them are checked when this is imported."""

from __future__ import annotations

from typing import Final

I64_MAX: Final = 2**63 - 1

RECORD_BYTES: Final = 128  # one operation in the journal: two cache lines
ENVELOPE_BYTES: Final = 104  # one signature over records of its frame, see docs/reference/authority.md
FRAME_BYTES_MAX: Final = 1 << 20  # one frame is one message of at most 1 MiB on a replicated log
FRAME_HEADER_BYTES: Final = 512  # fixed part and calendar, see docs/reference/journal.md
FRAME_TRAILER_BYTES: Final = 64
FRAME_ALIGNMENT_BYTES: Final = 4096  # a frame never shares a disk block with an acknowledged one
FRAME_RECORDS_MAX: Final = 8_064  # what fits beside header, trailer and room for signed envelopes
PLACE_INDEX_BITS: Final = 13  # a place is frame sequence << 13 | index in the frame
CALENDAR_ENTRIES_MAX: Final = 16  # currencies of one ledger: each brings its own local day into the frame
SEGMENT_BYTES: Final = 16 << 20  # a segment gets its space when it is made; small enough for that to take a blink

CURRENCIES_MAX: Final = CALENDAR_ENTRIES_MAX
ZONE_BYTES_MAX: Final = 48  # the longest name in the time-zone database has 32 characters
GROUPS_MAX: Final = 4_096  # payee groups, numbered 1 to GROUPS_MAX
GROUPS_PER_RULE_SET_MAX: Final = 4  # what fits the record; groups may overlap, so unions need no more
RULE_SETS_MAX: Final = 65_535
PROGRAMMES_MAX: Final = 65_535
MEMBERS_PER_RECORD_MAX: Final = 5  # 16-byte ids in one ADD_MEMBERS record
COHORT_MEMBERS_MAX: Final = (
    1 << 30
)  # one country at a stroke; what memory cannot hold is refused before it is journaled
PURSES_PER_WALLET_MAX: Final = 16  # one pay looks at every purse of its wallet
BATCHES_MAX: Final = (1 << 32) - 1  # settlement batches of a ledger's life: what a record's number holds
SETTLEMENT_PAYMENTS_MAX: Final = 1 << 30
RULES_MAX: Final = 65_535  # versions of the rules that UPGRADE can name
RELEASE_BYTES_MAX: Final = 32
KEY_BYTES: Final = 32
HOLDS_MAX: Final = (1 << 31) - 1
HOLD_LEGS_MAX: Final = (1 << 32) - 1
STAGED_MAX: Final = (1 << 32) - 2  # payments that wait at once: a link to one is its row + 1 in 32 bits
ACCOUNTS_MAX: Final = (1 << 31) - 1  # rows are 31 bits; the 32nd says that a row is a purse
PURSES_MAX: Final = (1 << 31) - 1
SLOT_ROWS_MAX: Final = (1 << 32) - 1  # an index slot keeps row + 1 in 32 bits, and 0 stands for a free one
REFUNDS_MAX: Final = SLOT_ROWS_MAX  # operations of which something came back: they stay in memory
BOUND_MAX: Final = SLOT_ROWS_MAX << 16  # beside a slot stand 16 bits more; 7,000 years of a country's payments
FRAME_TIME_NS_MAX: Final = 7_258_118_400 * 10**9  # 2200-01-01: a clock that says more is wrong
CLOCK_AHEAD_NS_MAX: Final = 3_660 * 86_400 * 10**9  # ten years beyond the frame before: likewise

assert FRAME_RECORDS_MAX * RECORD_BYTES + FRAME_HEADER_BYTES + FRAME_TRAILER_BYTES <= FRAME_BYTES_MAX
assert FRAME_RECORDS_MAX <= 1 << PLACE_INDEX_BITS
assert FRAME_BYTES_MAX % FRAME_ALIGNMENT_BYTES == 0
assert SEGMENT_BYTES >= 2 * FRAME_BYTES_MAX
