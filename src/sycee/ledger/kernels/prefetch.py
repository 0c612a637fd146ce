"""Prefetching: request the cache lines of the next operations together, instead of waiting for each in turn.

In a large ledger each operation reads five random cache lines, and each one misses. Requested together, they arrive
together. A prefetch changes no state and need not be right: an operation that moves a row, or whose id collides with
another, reads its lines later without it.
"""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import arrayobj

from sycee.core import limits
from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inline import njit
from sycee.ledger.kernels.lookup import exceeds_all, first_slot, hash_id, is_uuid7, probable_row

CHUNK: Final = 16  # operations that are prefetched together
RING_MASK: Final = 127  # `prefetch_ring` holds more than four chunks
LINE_BYTES: Final = 64
LINES_MAX: Final = 4  # per row
SOURCE_DISTANCE: Final = 16  # records ahead in the caller's array
TARGET_DISTANCE: Final = 8  # records ahead in the array that they are copied to


def _emit_prefetches(builder: Any, pointer: Any, row_bytes: int, lines_max: int, *, to_write: bool) -> None:
    """Emit a prefetch for each cache line of a row at `pointer`, at most `lines_max`."""
    byte, word = ir.IntType(8), ir.IntType(32)
    prefetch = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(ir.VoidType(), [byte.as_pointer(), word, word, word]),
        "llvm.prefetch.p0i8",
    )
    base = builder.bitcast(pointer, byte.as_pointer())
    for offset in range(0, max(row_bytes, 1), LINE_BYTES)[:lines_max]:
        line = builder.gep(base, [ir.Constant(ir.IntType(64), offset)])
        builder.call(prefetch, [line, word(int(to_write)), word(3), word(1)])  # highest locality, data cache


def _prefetcher(lines_max: int = LINES_MAX, *, record: bool = False, to_write: bool = True) -> Any:
    """Return a function that prefetches cache lines of array[index], at most `lines_max`. Any address is allowed.

    record: the array is (n, 16) u64, and a row is a record. Interpreted kernels do not prefetch.
    """
    if numba.config.DISABLE_JIT:
        return lambda array, index: None

    @intrinsic
    def prefetch(typing_context: Any, array: Any, index: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kind = signature.args[0]
            value = arrayobj.make_array(kind)(context, builder, arguments[0])
            place = [arguments[1]] + ([context.get_constant(types.intp, 0)] if record else [])
            pointer = cgutils.get_item_pointer(
                context, builder, kind, value, place, wraparound=False, boundscheck=False
            )
            row_bytes = limits.RECORD_BYTES if record else kind.dtype.bitwidth // 8
            _emit_prefetches(builder, pointer, row_bytes, lines_max, to_write=to_write)
            return context.get_dummy_value()

        return types.void(array, index), generate

    return prefetch


_prefetch_row = _prefetcher()
_prefetch_row_start = _prefetcher(1)
_read_row = _prefetcher(to_write=False)
source_record = _prefetcher(record=True, to_write=False)
target_record = _prefetcher(record=True)


@njit(forceinline=True)
def id_slots(tables, operations, start, stop):
    """Prefetch the index slots of the ids of operations[start:stop]."""
    for i in range(start, stop):
        operation = operations[i]
        slots = tables.recent_slots
        if not is_uuid7(operation.id_low, operation.id_high):
            slots = tables.unordered_slots
        elif exceeds_all(tables.greatest_ids, c.RECENT_GREATEST, operation.id_low, operation.id_high):
            continue  # such an id is not looked up there
        _prefetch_row(slots, first_slot(slots, hash_id(slots, operation.id_low, operation.id_high)))


@njit(forceinline=True)
def row_slots(slots, rows, start, stop):
    """Prefetch the index slots of the ids of rows[start:stop]."""
    for row in range(start, stop):
        _prefetch_row(slots, first_slot(slots, hash_id(slots, rows[row].id_low, rows[row].id_high)))


@njit(forceinline=True)
def operation_rows(tables, operations, i, slots_until, rows_until):
    """Prefetch account slots and rows for the operations from `i` on; slots farther ahead, as they are read first.

    Also prefetch the rows that these operations will write at the ends of `movements` and `bound`.

    Returns the ends of the prefetched slots and rows: pass them to the next call, `i` at least. For j from `i` to
    `i` + CHUNK, tables.prefetch_ring[j & RING_MASK] then holds the probable row + 1 of the debit and of the credit
    account, 0 if none was found.
    """
    slots = tables.account_slots
    ring = tables.prefetch_ring
    for j in range(slots_until, min(i + 4 * CHUNK, operations.size)):
        operation = operations[j]
        debit = hash_id(slots, operation.debit_low, operation.debit_high)
        credit = hash_id(slots, operation.credit_low, operation.credit_high)
        ring[j & RING_MASK, 0] = debit
        ring[j & RING_MASK, 1] = credit
        _prefetch_row(slots, first_slot(slots, debit))
        _prefetch_row(slots, first_slot(slots, credit))
    for j in range(rows_until, min(i + 3 * CHUNK, operations.size)):
        for side in range(2):
            row = probable_row(slots, ring[j & RING_MASK, side])
            ring[j & RING_MASK, side] = np.uint64(row + 1)
            if row < 0:
                continue
            if operations[j].kind == c.KIND_TRANSFER:
                _prefetch_row_start(tables.accounts, row)
            else:
                _prefetch_row(tables.accounts, row)
    _prefetch_dependents(tables, operations, i)
    for ahead in range(CHUNK, 2 * CHUNK):
        _prefetch_row(tables.movements, tables.counters[c.MOVEMENTS] + ahead)
        _prefetch_row(tables.bound, tables.counters[c.BOUND] + ahead)
    for j in range(i + 4 * CHUNK, min(i + 5 * CHUNK, operations.size)):
        _read_row(operations, j)
    return min(i + 4 * CHUNK, operations.size), min(i + 3 * CHUNK, operations.size)


@njit(forceinline=True)
def _prefetch_dependents(tables, operations, i):
    """Prefetch the lines that rows already in the cache refer to.

    From `i` + CHUNK on: the second lines of accounts that make transfers under a rule set, and the first purses of
    payers. From `i` on: their second purses.
    """
    for j in range(i, min(i + 2 * CHUNK, operations.size)):
        kind = operations[j].kind
        if kind == c.KIND_TRANSFER:
            if j >= i + CHUNK:
                for side in range(2):
                    row = np.int64(tables.prefetch_ring[j & RING_MASK, side]) - 1
                    if row >= 0 and tables.accounts[row].rule_set:
                        _prefetch_row(tables.accounts, row)
        elif kind == c.KIND_PAY or kind == c.KIND_HOLD:
            payer = np.int64(tables.prefetch_ring[j & RING_MASK, 0])
            first = np.int64(tables.accounts[payer - 1].first_purse) if payer else 0
            if first and j >= i + CHUNK:
                _prefetch_row(tables.purses, first - 1)
            elif first:
                second = np.int64(tables.purses[first - 1].next_purse)
                if second:
                    _prefetch_row(tables.purses, second - 1)
