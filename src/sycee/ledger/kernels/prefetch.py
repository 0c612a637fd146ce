"""Fetching ahead: ask for the cache lines of the next operations at once, instead of waiting for each in turn.

Five random lines an operation, each a miss in a large ledger, would be waited for one after the other. Asked for
together they arrive together. It changes no state and is no promise: an operation that moves a row or meets a
collision finds its lines all the same, only later.
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
from sycee.ledger.kernels.lookup import first_slot, guess, hash_id, is_above, looks_ordered

CHUNK: Final = 16  # operations that are looked ahead for at once
AHEAD_MASK: Final = 127  # `ahead` is a ring of more than four chunks
LINE_BYTES: Final = 64
LINES_MAX: Final = 4  # of a row
TAKEN_AHEAD: Final = 16  # records of a caller
ROOM_AHEAD: Final = 8  # and where they are copied to


def _ask(builder: Any, place: Any, row_bytes: int, lines_max: int, *, to_write: bool) -> None:
    """Say that so many cache lines at most from `place` on will be needed."""
    byte, word = ir.IntType(8), ir.IntType(32)
    prefetch = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(ir.VoidType(), [byte.as_pointer(), word, word, word]),
        "llvm.prefetch.p0i8",
    )
    base = builder.bitcast(place, byte.as_pointer())
    for offset in range(0, max(row_bytes, 1), LINE_BYTES)[:lines_max]:
        line = builder.gep(base, [ir.Constant(ir.IntType(64), offset)])
        builder.call(prefetch, [line, word(int(to_write)), word(3), word(1)])  # keep close, data


def _of_rows(array: Any, index: Any, lines_max: int) -> Any:
    """What numba is told of a fetch of array[index]; any address is allowed, also one outside the array."""
    signature = types.void(array, index)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        value = arrayobj.make_array(kind)(context, builder, arguments[0])
        place = cgutils.get_item_pointer(
            context, builder, kind, value, [arguments[1]], wraparound=False, boundscheck=False
        )
        _ask(builder, place, kind.dtype.bitwidth // 8, lines_max, to_write=True)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _prefetch(typing_context: Any, array: Any, index: Any) -> Any:
    """Ask for every cache line of array[index], for writing."""
    return _of_rows(array, index, LINES_MAX)


@intrinsic
def _prefetch_first(typing_context: Any, array: Any, index: Any) -> Any:
    """Ask for the first cache line alone."""
    return _of_rows(array, index, 1)


def _of_records(words: Any, index: Any, *, to_write: bool) -> Any:
    """The same for a record, words[index] of (n, 16) u64."""
    signature = types.void(words, index)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        value = arrayobj.make_array(kind)(context, builder, arguments[0])
        first = [arguments[1], context.get_constant(types.intp, 0)]
        place = cgutils.get_item_pointer(context, builder, kind, value, first, wraparound=False, boundscheck=False)
        _ask(builder, place, limits.RECORD_BYTES, LINES_MAX, to_write=to_write)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _prefetch_record(typing_context: Any, words: Any, index: Any) -> Any:
    """Ask for a record that is read."""
    return _of_records(words, index, to_write=False)


@intrinsic
def _prefetch_room(typing_context: Any, words: Any, index: Any) -> Any:
    """Ask for where a record is written."""
    return _of_records(words, index, to_write=True)


def _nothing(*_: Any) -> None:
    """Interpreted, there is nothing to fetch ahead for."""


_fetch = _nothing if numba.config.DISABLE_JIT else _prefetch
_fetch_first = _nothing if numba.config.DISABLE_JIT else _prefetch_first
fetch_record = _nothing if numba.config.DISABLE_JIT else _prefetch_record
fetch_room = _nothing if numba.config.DISABLE_JIT else _prefetch_room


@njit(forceinline=True)
def warm_ids(tables, operations, start, stop):
    """Fetch where the ids of operations[start:stop] are bound, or will be."""
    for i in range(start, stop):
        operation = operations[i]
        slots = tables.recent_slots
        if not looks_ordered(operation.id_low, operation.id_high):
            slots = tables.bound_slots
        elif is_above(tables.tops, c.RECENT_TOP, operation.id_low, operation.id_high):
            continue  # such an id is not looked up there
        _fetch(slots, first_slot(slots, hash_id(slots, operation.id_low, operation.id_high)))


@njit(forceinline=True)
def warm_rows(slots, rows, start, stop):
    """Fetch where the ids of rows[start:stop] will be noted."""
    for row in range(start, stop):
        _fetch(slots, first_slot(slots, hash_id(slots, rows[row].id_low, rows[row].id_high)))


@njit(forceinline=True)
def warm(tables, operations, i, slots_until, rows_until):
    """Fetch what the operations from `i` on will touch, farther ahead what is looked at first.

    Returns up to where slots and rows are fetched now: what to give next time, `i` at least. Then
    tables.ahead[j & AHEAD_MASK] holds, for j from `i` to `i` + CHUNK, the debit and credit account's row + 1 in all
    likelihood, 0 where none is known.
    """
    slots = tables.account_slots
    ahead = tables.ahead
    for j in range(slots_until, min(i + 4 * CHUNK, operations.size)):
        operation = operations[j]
        debit = hash_id(slots, operation.debit_low, operation.debit_high)
        credit = hash_id(slots, operation.credit_low, operation.credit_high)
        ahead[j & AHEAD_MASK, 0] = debit
        ahead[j & AHEAD_MASK, 1] = credit
        _fetch(slots, first_slot(slots, debit))
        _fetch(slots, first_slot(slots, credit))
    for j in range(rows_until, min(i + 3 * CHUNK, operations.size)):
        for side in range(2):
            row = guess(slots, ahead[j & AHEAD_MASK, side])
            ahead[j & AHEAD_MASK, side] = np.uint64(row + 1)
            if row < 0:
                continue
            if operations[j].kind == c.KIND_TRANSFER:
                _fetch_first(tables.accounts, row)
            else:
                _fetch(tables.accounts, row)
    _warm_rest(tables, operations, i)
    return min(i + 4 * CHUNK, operations.size), min(i + 3 * CHUNK, operations.size)


@njit(forceinline=True)
def _warm_rest(tables, operations, i):
    """Fetch what the rows that are there by now say will be needed too.

    From `i` + CHUNK on the second lines of accounts that make transfers under a rule set, and the first purses of
    payers; from `i` on their second purses.
    """
    for j in range(i, min(i + 2 * CHUNK, operations.size)):
        kind = operations[j].kind
        if kind == c.KIND_TRANSFER:
            if j >= i + CHUNK:
                for side in range(2):
                    row = np.int64(tables.ahead[j & AHEAD_MASK, side]) - 1
                    if row >= 0 and tables.accounts[row].rule_set:
                        _fetch(tables.accounts, row)
        elif kind == c.KIND_PAY or kind == c.KIND_HOLD:
            payer = np.int64(tables.ahead[j & AHEAD_MASK, 0])
            first = np.int64(tables.accounts[payer - 1].first_purse) if payer else 0
            if first and j >= i + CHUNK:
                _fetch(tables.purses, first - 1)
            elif first:
                second = np.int64(tables.purses[first - 1].next_purse)
                if second:
                    _fetch(tables.purses, second - 1)
