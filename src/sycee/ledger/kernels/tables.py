"""The arrays of a state, as the kernels receive them."""

from __future__ import annotations

import secrets
from copy import copy
from dataclasses import dataclass, fields
from typing import Any, Final

import numba
import numpy as np

from sycee.core import limits
from sycee.core.arrays import Array
from sycee.core.records import layout
from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.tables_type import WORDS, TablesType


@dataclass(frozen=True, eq=False)
class Tables:
    """Every array of the state. Lengths are capacities; `counters` has the number of rows in use.

    An index is (power of two + 1,) u64. Each slot is `hash << 32 | row + 1`, 0 if free; the last word is the hash key.
    """

    accounts: Any  # (capacity,) layout.ACCOUNT
    purses: Any  # (capacity,) layout.PURSE
    movements: Any  # (capacity,) layout.MOVEMENT; number 1 is at index 0
    bound: Any  # (capacity,) layout.BOUND
    refunds: Any  # (capacity,) layout.REFUND
    account_slots: Any  # index of accounts by id
    unordered_slots: Any  # index of bound ids that are not ordered by time; its key is also the content hash's key
    unordered_row_highs: Any  # (unordered_slots.size,) u16: row // SLOT_ROWS per slot; (1,) while all rows fit a slot
    recent_slots: Any  # index of the newest ids ordered by time; rows count from the generation's first
    older_slots: Any  # index of the generation before it; likewise
    refund_slots: Any  # index of refunds by bound row
    batch_slots: Any  # index of open batches by number
    runs: Any  # (capacity,) layout.RUN: older ids, sorted
    run_ids: Any  # (capacity, 2) u64, low and high; each run begins at a block boundary
    run_rows: Any  # (capacity,) u32: bound row minus the run's first row
    fences: Any  # (capacity, 2) u64: the first id of each block of run_ids
    greatest_ids: Any  # (GREATEST_WORDS,) u64, see constants
    generations: Any  # (GENERATIONS,) i64, see constants
    rule_sets: Any  # (numbers,) layout.RULE_SET
    programmes: Any  # (numbers,) layout.PROGRAMME
    undropped: Any  # (numbers,) i64 by programme: members who have no packet yet
    group_rows: Any  # (GROUPS_MAX + 1,) u16 by number: row + 1 in group_bits, 0 undefined
    group_bits: Any  # (groups, words) u64: bit p is set if payee p belongs to the group
    issuance: Any  # (1000,) i64 by currency: 0 undefined, -1 defined, else row + 1 of its issuance account
    calendar: Any  # (1000,) layout.CALENDAR by currency: the dates of the current frame
    holds: Any  # (capacity,) layout.HOLD, in the order of creation
    hold_legs: Any  # (capacity,) layout.HOLD_LEG
    time_outs: Any  # (capacity,) layout.TIME_OUT: a binary heap
    transits: Any  # (capacity,) layout.TRANSIT, in the order of creation
    batches: Any  # (capacity,) layout.BATCH
    staged: Any  # (capacity,) layout.STAGED
    gross: Any  # (capacity of accounts, 2) i64: sums per account within one SETTLE; zero outside it
    keys: Any  # (capacity,) layout.KEY
    frame_times: Any  # (capacity,) i64 by sequence
    counters: Any  # (COUNTERS,) i64, see constants
    scratch: Any  # (2, PURSES_PER_WALLET_MAX) i64: purse rows and amounts of the current PAY or HOLD
    prefetch_ring: Any  # (128, 2) u64 by operation: the hashes of both accounts, later their probable rows + 1
    undo_accounts: Any  # rows before a chain wrote to them, and their row numbers
    undo_account_rows: Any
    undo_purses: Any
    undo_purse_rows: Any
    undo_holds: Any
    undo_hold_rows: Any
    undo_values: Any  # (capacity, 3) i64: field, row, value
    copying: Any  # (COPIED_TABLES, COPY_COLUMNS) i64: progress of a snapshot copy per table, see constants
    preimages: Any  # (capacity,) u64: rows before their first write since the snapshot copy began
    memory: Any  # (arrays, WORDS) u64: where each array above is, see `tables_type`
    address: int  # of `memory`: all that compiled kernels receive

    def replaced(self, **arrays: Array) -> Tables:
        """Return tables with these arrays in place of those of the same names. Raise TypeError for another type."""
        tables = copy(self)
        memory = self.memory.copy()
        for name, array in arrays.items():
            old = getattr(self, name)
            if array.dtype != old.dtype or array.ndim != old.ndim or not array.flags.c_contiguous:
                raise TypeError(f"{name} must be a contiguous array of {old.dtype} with {old.ndim} dimensions")
            position = ARRAYS.index(name)
            memory[position, 0] = _address(array)
            memory[position, 1 : 1 + array.ndim] = array.shape
        tables.__dict__.update(arrays, memory=memory, address=_address(memory))
        return tables


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


# The tables that grow with use: row type and initial length.
GROWING_TABLES: dict[str, tuple[Any, int]] = {
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
    "undropped": (np.dtype("<i8"), 16),
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


def kernel_view(array: Array) -> Array:
    """Return the array as kernels accept it. Interpreted kernels need records whose fields are attributes."""
    return array.view(np.recarray) if numba.config.DISABLE_JIT and array.dtype.names else array


def empty_slots(size: int, key: int | None = None) -> Array:
    """Return an empty index of `size` slots, a power of two, with this hash key, or a random one.

    The key decides only where an id is in this process' memory. No result, digest or file depends on it.
    """
    slots = np.zeros(size + 1, np.uint64)
    slots[size] = secrets.randbits(64) if key is None else key
    return slots


def empty_tables() -> Tables:
    """Return the smallest tables; the state grows them."""
    arrays = {
        **{name: kernel_view(np.zeros(length, dtype)) for name, (dtype, length) in GROWING_TABLES.items()},
        "account_slots": empty_slots(4096),
        "unordered_slots": empty_slots(4096),
        "unordered_row_highs": np.zeros(1, np.uint16),
        "recent_slots": empty_slots(64),
        "older_slots": empty_slots(64),
        "refund_slots": empty_slots(64),
        "batch_slots": empty_slots(64),
        "group_rows": np.zeros(limits.GROUPS_MAX + 1, np.uint16),
        "group_bits": np.zeros((1, 16), np.uint64),
        "issuance": np.zeros(1000, np.int64),
        "calendar": kernel_view(np.zeros(1000, layout.CALENDAR)),
        "greatest_ids": np.zeros(c.GREATEST_WORDS, np.uint64),
        "generations": np.zeros(c.GENERATIONS, np.int64),
        "counters": np.zeros(c.COUNTERS, np.int64),
        "prefetch_ring": np.zeros((128, 2), np.uint64),
        "scratch": np.zeros((2, limits.PURSES_PER_WALLET_MAX), np.int64),
        "copying": np.zeros((c.COPIED_TABLES, c.COPY_COLUMNS), np.int64),
        "preimages": np.zeros(1, np.uint64),
    }
    nowhere = np.zeros((len(ARRAYS), WORDS), np.uint64)
    return Tables(**arrays, memory=nowhere, address=0).replaced(**arrays)


ARRAYS: Final = tuple(each.name for each in fields(Tables))[:-2]
TABLES: Final = TablesType({name: numba.typeof(getattr(empty_tables(), name)) for name in ARRAYS})
Tables._numba_type_ = TABLES  # type: ignore[attr-defined]  # numba looks for this attribute of a value
