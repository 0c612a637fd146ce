"""One pass over a frame: `resolve` and `apply`, compiled eagerly with everything they call."""

from __future__ import annotations

import numba
import numpy as np
from numba import njit

from sycee.core import limits
from sycee.ledger import layout
from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.accounts import block_account, close_account, group_membership, open_account
from sycee.ledger.kernels.lookup import bind, content, find, insert
from sycee.ledger.kernels.money import pay, refund, transfer
from sycee.ledger.kernels.prefetch import CHUNK, warm, warm_ids
from sycee.ledger.kernels.programmes import add_members, claim, drop, expire
from sycee.ledger.kernels.shape import malformed
from sycee.ledger.kernels.tables import empty_tables


def _resolve(tables, operations, words, answers):
    """Answer what needs no judgement: malformed operations and known ids. The rest is marked PENDING.

    Returns how many are PENDING. Changes no state.
    """
    pending = 0
    for i in range(operations.size):
        if i % CHUNK == 0:
            warm_ids(tables, operations, i, min(i + CHUNK, operations.size))
        operation = operations[i]
        answer = answers[i]
        answer.first_code = c.CREATED
        answer.place = c.ZERO
        code = malformed(operations, words, i)
        if code == c.CREATED:
            row = find(tables.bound_slots, tables.bound, operation.id_low, operation.id_high)
            if row < 0:
                code = c.PENDING
                pending += 1
            else:
                code = _known(tables, words, i, answer, row)
        answer.code = code
    return pending


@njit(forceinline=True)
def _known(tables, words, i, answer, row):
    bound = tables.bound[row]
    answer.first_code = bound.result
    answer.place = bound.place
    return c.EXISTS if bound.content == content(tables.bound_slots, words, i) else c.EXISTS_WITH_DIFFERENT_CONTENT


def _apply(tables, operations, words, start, sequence, now_ns, answers):
    """Apply operations[start:] of one frame in order; returns where it stopped: at the end, or at one for Python."""
    counters = tables.counters
    for i in range(start, operations.size):
        if (i - start) % CHUNK == 0:
            warm(tables, operations, i, min(i + CHUNK, operations.size))
        operation = operations[i]
        answer = answers[i]
        place = np.uint64(sequence << limits.PLACE_INDEX_BITS | i)
        answer.first_code = c.CREATED
        answer.place = place
        code = malformed(operations, words, i)
        if code != c.CREATED:
            answer.place = c.ZERO
            answer.code = code
            continue
        row = find(tables.bound_slots, tables.bound, operation.id_low, operation.id_high)
        if row >= 0:
            answer.code = _known(tables, words, i, answer, row)
            continue
        kind = np.int64(operation.kind)
        first_movement = counters[c.MOVEMENTS]
        if kind == c.KIND_TRANSFER:
            code = transfer(tables, operation, place)
        elif kind == c.KIND_PAY:
            code = pay(tables, operation, place, now_ns)
        elif kind == c.KIND_REFUND:
            code = refund(tables, operation, place, now_ns)
        elif kind == c.KIND_CLAIM:
            code = claim(tables, operation, now_ns)
        elif kind == c.KIND_OPEN_ACCOUNT:
            code = open_account(tables, operation)
        elif kind == c.KIND_ADD_MEMBERS:
            code = add_members(tables, operation, words, i)
        elif kind == c.KIND_JOIN_GROUP:
            code = group_membership(tables, operation, True)
        elif kind == c.KIND_LEAVE_GROUP:
            code = group_membership(tables, operation, False)
        elif kind == c.KIND_BLOCK_ACCOUNT:
            code = block_account(tables, operation)
        elif kind == c.KIND_CLOSE_ACCOUNT:
            code = close_account(tables, operation)
        elif kind == c.KIND_DROP:
            code = drop(tables, operation, place, now_ns)
        elif kind == c.KIND_EXPIRE:
            code = expire(tables, operation, place, now_ns)
        else:
            return i  # Python's to handle
        bind(tables, words, i, operation, place, code, first_movement)
        answer.code = code
    return operations.size


def _bind_one(tables, operations, words, i, sequence, result):
    """Bind operation `i`, which Python handled, to `result`. It made no movement."""
    place = np.uint64(sequence << limits.PLACE_INDEX_BITS | i)
    bind(tables, words, i, operations[i], place, result, tables.counters[c.MOVEMENTS])


def _rehash(slots, rows, count):
    """Fill empty `slots` with the ids of rows[:count]."""
    for row in range(count):
        insert(slots, rows[row].id_low, rows[row].id_high, row)


def _rows_of(tables, low, high, rows):
    """Account rows of many ids, -1 where there is none."""
    for i in range(low.size):
        rows[i] = find(tables.account_slots, tables.accounts, low[i], high[i])


# Eager: compiled, or loaded from the cache, when this module is imported, so that no caller waits for it later.
_tables_type = numba.typeof(empty_tables())
_operations_type = numba.from_dtype(layout.OPERATION)[::1]
_words_type = numba.uint64[:, ::1]
_answers_type = numba.from_dtype(layout.ANSWER)[::1]
_i64 = numba.int64
_eager = {"cache": True, "nogil": True}

resolve = njit(_i64(_tables_type, _operations_type, _words_type, _answers_type), **_eager)(_resolve)
apply = njit(_i64(_tables_type, _operations_type, _words_type, _i64, _i64, _i64, _answers_type), **_eager)(_apply)
bind_one = njit(numba.void(_tables_type, _operations_type, _words_type, _i64, _i64, _i64), **_eager)(_bind_one)
rehash_accounts = njit(numba.void(numba.uint64[::1], numba.from_dtype(layout.ACCOUNT)[::1], _i64), **_eager)(_rehash)
rehash_bound = njit(numba.void(numba.uint64[::1], numba.from_dtype(layout.BOUND)[::1], _i64), **_eager)(_rehash)
rows_of = njit(numba.void(_tables_type, numba.uint64[::1], numba.uint64[::1], _i64[::1]), **_eager)(_rows_of)
