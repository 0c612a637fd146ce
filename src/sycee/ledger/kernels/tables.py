"""The state's arrays, as the kernels see them."""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

import numba
import numpy as np

from sycee.core import limits
from sycee.ledger import layout
from sycee.ledger.kernels import constants as c

Array = np.ndarray[Any, Any]


class Tables(NamedTuple):
    """Every array of the state, as the kernels see it. Lengths are capacities; `counters` says what is in use."""

    accounts: Any  # (capacity,) layout.ACCOUNT
    purses: Any  # (capacity,) layout.PURSE
    movements: Any  # (capacity,) layout.MOVEMENT; number 1 stands at index 0
    bound: Any  # (capacity,) layout.BOUND
    refunds: Any  # (capacity,) layout.REFUND
    account_slots: Any  # (power of two + 1,) u64: hash << 32 | row + 1, 0 is free; last comes the hash's key
    bound_slots: Any  # ids that are not ordered by time, for ever; its key is that of the contents' hashes too
    stray_highs: Any  # (bound_slots.size,) u16: row // SLOT_ROWS of each slot of it; one of zero while all rows fit
    recent_slots: Any  # ids ordered by time: those bound last; its rows count from the generation's first
    older_slots: Any  # likewise the generation before it
    refund_slots: Any  # by bound row
    batch_slots: Any  # by number
    runs: Any  # (capacity,) layout.RUN: older ids, sorted
    run_ids: Any  # (capacity, 2) u64, low and high; each run begins at a whole block
    run_rows: Any  # (capacity,) u32: bound row less that of the run's first
    fences: Any  # (capacity, 2) u64: the first id of each block of run_ids
    tops: Any  # (TOPS,) u64: greatest ids, see constants
    generations: Any  # (GENERATIONS,) i64, see constants
    rule_sets: Any  # (numbers,) layout.RULE_SET
    programmes: Any  # (numbers,) layout.PROGRAMME
    group_rows: Any  # (GROUPS_MAX + 1,) u16 by number: row + 1 in group_bits, 0 undefined
    group_bits: Any  # (groups, words) u64: bit p of a row says that payee p belongs
    issuance: Any  # (1000,) i64 by currency: 0 undefined, -1 defined, else row + 1 of its issuance account
    calendar: Any  # (1000,) layout.CALENDAR by currency: the dates of the frame at hand
    holds: Any  # (capacity,) layout.HOLD, in order of making
    hold_legs: Any  # (capacity,) layout.HOLD_LEG
    time_outs: Any  # (capacity,) layout.TIME_OUT: a binary heap
    transits: Any  # (capacity,) layout.TRANSIT, in order of beginning
    batches: Any  # (capacity,) layout.BATCH
    staged: Any  # (capacity,) layout.STAGED
    gross: Any  # (capacity of accounts, 2) i64: what a settlement takes from and gives to each; zero between them
    keys: Any  # (capacity,) layout.KEY
    frame_times: Any  # (capacity,) i64 by sequence
    counters: Any  # (COUNTERS,) i64
    scratch: Any  # (2, PURSES_PER_WALLET_MAX) i64: purses and amounts of the pay at hand
    ahead: Any  # (128, 2) u64, a ring by operation: its accounts' hashes, then their rows + 1 in all likelihood
    undo_accounts: Any  # rows as they were before a chain wrote to them, and which rows they are
    undo_account_rows: Any
    undo_purses: Any
    undo_purse_rows: Any
    undo_holds: Any
    undo_hold_rows: Any
    undo_values: Any  # (capacity, 3) i64: which field, row, value
    copying: Any  # (COPIED_TABLES, COPY_COLUMNS) i64: how far each table is copied, and what `kept` holds of it
    kept: Any  # (capacity,) u64: rows as they were before the first write since the copying began


# The tables that grow with use, their row type and their first length.
GROWING: dict[str, tuple[Any, int]] = {
    "accounts": (layout.ACCOUNT, 1024),
    "purses": (layout.PURSE, 0),
    "movements": (layout.MOVEMENT, 4096),
    "bound": (layout.BOUND, 1024),
    "refunds": (layout.REFUND, 0),
    "runs": (layout.RUN, 0),
    "run_ids": (np.dtype(("<u8", 2)), 0),
    "run_rows": (np.dtype("<u4"), 0),
    "fences": (np.dtype(("<u8", 2)), 0),
    "rule_sets": (layout.RULE_SET, 16),
    "programmes": (layout.PROGRAMME, 16),
    "holds": (layout.HOLD, 0),
    "hold_legs": (layout.HOLD_LEG, 0),
    "time_outs": (layout.TIME_OUT, 0),
    "transits": (layout.TRANSIT, 0),
    "batches": (layout.BATCH, 0),
    "staged": (layout.STAGED, 0),
    "gross": (np.dtype(("<i8", 2)), 1024),
    "keys": (layout.KEY, 0),
    "frame_times": (np.dtype("<i8"), 1024),
    "undo_accounts": (layout.ACCOUNT, 0),
    "undo_account_rows": (np.dtype("<i8"), 0),
    "undo_purses": (layout.PURSE, 0),
    "undo_purse_rows": (np.dtype("<i8"), 0),
    "undo_holds": (layout.HOLD, 0),
    "undo_hold_rows": (np.dtype("<i8"), 0),
    "undo_values": (np.dtype(("<i8", 3)), 0),
}

# A generation of ids is full at half as many: some seconds of a country's payments, so that clients whose clocks differ
# by that much find their ids among the newest two. Tests lower it.
GENERATION_SLOTS = 1 << 21
GENERATION_ROWS = limits.SLOT_ROWS_MAX  # the most rows that it spans, strays among them


def generation_slots() -> int:
    """How many slots the index of a generation has once it turns; it begins small."""
    return GENERATION_SLOTS


def generation_rows() -> int:
    """How many rows a generation spans at most."""
    return GENERATION_ROWS


def seen(array: Array) -> Array:
    """An array as the kernels may be given it. Interpreted, they need rows whose fields are attributes."""
    return array.view(np.recarray) if numba.config.DISABLE_JIT and array.dtype.names else array


def empty_slots(size: int) -> Array:
    """An index with room for `size` slots, a power of two, and a fresh key behind them.

    The key decides where ids stand in this process' memory and nothing else: no answer, no digest, no byte on disk.
    """
    slots = np.zeros(size + 1, np.uint64)
    slots[size] = secrets.randbits(64)
    return slots


def empty_tables() -> Tables:
    """The smallest tables; the state grows them."""
    return Tables(
        **{name: seen(np.zeros(length, dtype)) for name, (dtype, length) in GROWING.items()},
        account_slots=empty_slots(4096),
        bound_slots=empty_slots(4096),
        stray_highs=np.zeros(1, np.uint16),
        recent_slots=empty_slots(64),
        older_slots=empty_slots(64),
        refund_slots=empty_slots(64),
        batch_slots=empty_slots(64),
        group_rows=np.zeros(limits.GROUPS_MAX + 1, np.uint16),
        group_bits=np.zeros((1, 16), np.uint64),
        issuance=np.zeros(1000, np.int64),
        calendar=seen(np.zeros(1000, layout.CALENDAR)),
        tops=np.zeros(c.TOPS, np.uint64),
        generations=np.zeros(c.GENERATIONS, np.int64),
        counters=np.zeros(c.COUNTERS, np.int64),
        ahead=np.zeros((128, 2), np.uint64),
        scratch=np.zeros((2, limits.PURSES_PER_WALLET_MAX), np.int64),
        copying=np.zeros((c.COPIED_TABLES, c.COPY_COLUMNS), np.int64),
        kept=np.zeros(1, np.uint64),
    )
