"""Constants of the kernels, as plain integers: positions in arrays, and the numbers of enums and result codes.

numba treats an attribute of a module as a constant, so kernels read `c.EXCEEDS_BALANCE` and compile a number.
Numbers of enums and result codes are taken from their definitions: a new one is here without a change.
"""

from __future__ import annotations

import re
from enum import EnumType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sycee.core import limits
from sycee.core.records import layout
from sycee.core.result_codes import Result

# Positions in `counters`: rows in use, and the state of a chain.
ACCOUNTS, PURSES, MOVEMENTS, BOUND, PAYEES, HOLDS, HOLD_LEGS, TRANSITS, STAGED, KEYS, TIME_OUTS = range(11)
LINKS: Final = 11  # LINK_ACCOUNT operations so far; 0: no waterfall is possible
PREIMAGE_MODE: Final = 12  # bits CHAIN and COPY: why pre-images are saved; 0: none are
UNDO_ACCOUNTS, UNDO_PURSES, UNDO_HOLDS, UNDO_VALUES, REFUNDS, BATCHES = range(13, 19)
FREE_BATCH: Final = 19  # row + 1 of the first free batch, 0 for none
FREE_STAGED: Final = 20  # row + 1 of the first free staged payment, 0 for none
NEWEST_BATCH: Final = 21  # number of the newest batch, open or not
COUNTERS: Final = 24
CHAIN: Final = 1  # a chain is being applied and may be undone
COPY: Final = 2  # a snapshot copy of the state is in progress

# The counter of each table that a snapshot contains.
SAVED_TABLES: Final = {
    "accounts": ACCOUNTS, "purses": PURSES, "movements": MOVEMENTS, "bound": BOUND, "refunds": REFUNDS, "holds": HOLDS,
    "hold_legs": HOLD_LEGS, "transits": TRANSITS, "batches": BATCHES, "staged": STAGED, "keys": KEYS,
}  # fmt: skip

# Positions in `generations`, the extent of each part of the index of bound ids. A snapshot does not contain them.
RECENT: Final = 0  # ids in the recent generation
UNORDERED: Final = 1  # ids in unordered_slots
RUNS: Final = 2  # rows in use of `runs`
RUN_IDS: Final = 3  # sorted ids, including the gaps between runs
RECENT_FIRST: Final = 4  # first bound row of the recent generation
OLDER_FIRST: Final = 5  # first bound row of the older generation
OLDER: Final = 6  # ids in the older generation
RECENT_INDEXED: Final = 7  # bound rows before this one are in recent_slots
OLDER_INDEXED: Final = 8  # bound rows before this one are in older_slots
GENERATIONS: Final = 9
# Positions in `greatest_ids`: the greatest id in each part of the index, two words each, high first. For the unordered
# ids, only the high word of the greatest one that has the form of a UUIDv7.
RECENT_GREATEST: Final = 0
OLDER_GREATEST: Final = 2
RUNS_GREATEST: Final = 4
UNORDERED_GREATEST: Final = 6
GREATEST_WORDS: Final = 8
SLOT_ROWS: Final = limits.SLOT_ROWS_MAX
SLOTS_BY_HASH: Final = (1 << 32) - 1  # slots that 32 bits of a hash can address, less one
BLOCK_BITS: Final = 8  # one fence per 256 sorted ids: 4,096 bytes, one page

# Fields that `undo_values` can restore.
VALUE_REFUNDED, VALUE_HOLD_LEG, VALUE_TRANSIT = range(3)
# Rows of `copying`: the large tables whose rows change, in the order in which they are copied.
COPIED_ACCOUNTS, COPIED_PURSES, COPIED_HOLDS, COPIED_HOLD_LEGS, COPIED_TRANSITS = range(5)
COPIED_STAGED, COPIED_BATCHES, COPIED_GROUP_BITS, COPIED_REFUNDS = range(5, 9)
COPIED_TABLES: Final = 9
# Columns of `copying`.
COPY_DONE: Final = 0  # rows before this one are copied
COPY_END: Final = 1  # rows from this one on were added after the copy began
COPY_PREIMAGES: Final = 2  # number of pre-images saved
COPY_BITMAP: Final = 3  # position in `preimages` of the bitmap: one bit per row, set if the row has a pre-image
COPY_ROWS: Final = 4  # position of the row numbers
COPY_IMAGES: Final = 5  # position of the rows' words
COPY_WORDS: Final = 6  # 64-bit words per row
COPY_COLUMNS: Final = 7

PENDING: Final = 65_535  # code of an operation that `resolve` did not answer
FOR_PYTHON: Final = -1  # returned for an operation that Python handles
KINDS: Final = 64

I64_MAX: Final = limits.I64_MAX
PURSE_BIT: Final = layout.PURSE_BIT
LINKED: Final = layout.LINKED
PURSES_PER_WALLET: Final = limits.PURSES_PER_WALLET_MAX
GROUPS_PER_RULE_SET: Final = limits.GROUPS_PER_RULE_SET_MAX
GROUPS_MAX: Final = limits.GROUPS_MAX
SETTLEMENT_PAYMENTS_MAX: Final = limits.SETTLEMENT_PAYMENTS_MAX
KEY_WORD: Final = layout.KEY_WORD

# uint64 meets only uint64: with an int64 numba would make it signed.
LOW16: Final = np.uint64(0xFFFF)
LOW32: Final = np.uint64(0xFFFFFFFF)
MIX_1: Final = np.uint64(0xFF51AFD7ED558CCD)
MIX_2: Final = np.uint64(0xC4CEB9FE1A85EC53)
MIX_3: Final = np.uint64(0x9E3779B97F4A7C15)
PLACE_SHIFT: Final = np.uint64(limits.PLACE_INDEX_BITS)
S12, S16, S29, S32, S33, S62, S64 = (np.uint64(bits) for bits in (12, 16, 29, 32, 33, 62, 64))
ZERO: Final = np.uint64(0)
ONE: Final = np.uint64(1)

# UUIDv7: the version is in bits 12 to 15 of the high half, the variant in the two highest bits of the low half.
VERSION_BITS: Final = np.uint64(0xF000)
VERSION_7: Final = np.uint64(0x7000)
VARIANT_BITS: Final = np.uint64(0xC000_0000_0000_0000)
VARIANT_10: Final = np.uint64(0x8000_0000_0000_0000)
# How far an id's time may differ from the time of the frame that binds it; docs/decisions/0014 has the reasons.
EARLY_MS_MAX: Final = 10_000  # the id's time is later than the frame's
LATE_MS_MAX: Final = 300_000
NS_PER_MS: Final = 1_000_000


def _enum_constants() -> dict[str, int]:
    """Return every member of the enums as `KIND_PAY`, `ACCOUNT_KIND_VAULT` and so on, and every result code by name."""
    constants = {code.name: int(code) for code in Result}
    enums: list[Any] = [each for each in vars(layout).values() if isinstance(each, EnumType)]
    for enum in enums:
        if enum.__module__ == layout.__name__:
            prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", enum.__name__).upper()
            members = {f"{prefix}_{member.name}": int(member) for member in enum}
            assert not members.keys() & constants.keys()
            constants |= members
    return constants


# numba and the interpreter look these up in the module; a name that does not exist fails when kernels are compiled.
globals().update(_enum_constants())
if TYPE_CHECKING:

    def __getattr__(name: str) -> int: ...
