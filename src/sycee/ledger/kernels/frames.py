"""Kernels for a frame of operations: `copy_records`, `resolve`, `apply` and helpers.

They are compiled eagerly, with all functions that they call.
"""

from __future__ import annotations

from functools import partial

import numba
import numpy as np

from sycee.core import jit, kernel_build, limits
from sycee.core.records import layout
from sycee.ledger.kernels import accounts, holds, lookup, payments, prefetch, programmes, settlement, transits, undo
from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inline import njit
from sycee.ledger.kernels.tables import TABLES
from sycee.ledger.kernels.validation import LINKABLE, malformed


@njit(forceinline=True)
def _resolve_one(tables, operations, words, i, answer, is_well_formed):
    """Fill the answer to a malformed or already bound operation. Return its code, or PENDING for any other.

    is_well_formed: the caller has already checked that the operation is not malformed.
    """
    operation = operations[i]
    answer.first_code = c.CREATED
    answer.place = c.ZERO
    code = c.CREATED if is_well_formed else malformed(operations, words, i)
    if code == c.CREATED:
        code = c.PENDING
        row = lookup.find_bound(tables, operation.id_low, operation.id_high)
        if row >= 0:
            bound = tables.bound[row]
            answer.first_code = bound.result
            answer.place = bound.place
            is_same = bound.content == lookup.content_hash(tables.unordered_slots, words, i)
            code = c.EXISTS if is_same else c.EXISTS_WITH_DIFFERENT_CONTENT
    answer.code = code
    return code


@njit
def _chain_end(operations, i):
    """Return the index of the last operation of the chain that begins at `i`: the first without the flag LINKED."""
    while i < operations.size - 1 and operations[i]["flags"] & c.LINKED:
        i += 1
    return i


@njit
def _resolve_chain(tables, operations, words, start, end, answers):
    """Resolve a chain. Return True if all of it is PENDING; otherwise every operation has its answer."""
    is_pending = True
    for i in range(start, end + 1):
        code = _resolve_one(tables, operations, words, i, answers[i], False)
        if code == c.PENDING:
            if not LINKABLE[operations[i].kind]:
                code = c.CANNOT_BE_LINKED
            elif i == end and operations[i]["flags"] & c.LINKED:
                code = c.CHAIN_OPEN
            answers[i].code = code
        is_pending = is_pending and code == c.PENDING
    if not is_pending:
        for i in range(start, end + 1):
            if answers[i].code == c.PENDING:
                answers[i].code = c.CHAIN_BROKEN
    return is_pending


@njit
def _bind_undone_chain(tables, operations, words, start, end, sequence, answers, culprit, code):
    """Answer the operations of an undone chain. A refused chain is bound; one that repeats an id is not."""
    repeats = code == c.CHAIN_REPEATS_AN_ID
    for i in range(start, end + 1):
        place = np.uint64(sequence << limits.PLACE_INDEX_BITS | i)
        answers[i].first_code = c.CREATED
        answers[i].code = code if i == culprit else (c.CHAIN_BROKEN if repeats else c.LINKED_FAILED)
        answers[i].place = c.ZERO if repeats else place
        is_bound = lookup.find_bound(tables, operations[i].id_low, operations[i].id_high) >= 0
        if not repeats and not is_bound:
            # A repeated id remains bound to its first operation.
            result = np.int64(answers[i].code)
            lookup.bind(tables, words, i, operations[i], place, result, tables.counters[c.MOVEMENTS], np.int64(0))


def _copy_records(source, operations, words):
    """Copy records and inspect each. Return (kinds, whether any is LINKED, whether all are in order).

    source: (n, 16) u64; `operations` and `words` share the memory of the copy. kinds: bit k is set if kind k occurs,
    bit 0 for an unknown kind. Records are in order if all are well formed and their ids are UUIDv7 that ascend.
    """
    kinds = np.int64(0)
    flags = np.int64(0)
    ascend = True
    low = c.ZERO
    high = c.ZERO
    for i in range(operations.size):
        # Neither is likely to be in the cache: the caller wrote the records earlier, the disk read the buffer last.
        prefetch.source_record(source, i + prefetch.SOURCE_DISTANCE)
        prefetch.target_record(words, i + prefetch.TARGET_DISTANCE)
        for word in range(16):
            words[i, word] = source[i, word]
        # Inspect the copy: other threads of the caller may write to the original.
        operation = operations[i]
        kind = np.int64(operation.kind)
        kinds |= np.int64(1) << (kind if kind < c.KINDS - 1 else np.int64(0))  # bit 63 is the sign
        flags |= np.int64(operation["flags"])
        ascend = ascend and malformed(operations, words, i) == c.CREATED
        is_greater = operation.id_high > high or (operation.id_high == high and operation.id_low > low)
        ascend = ascend and is_greater and lookup.is_uuid7(operation.id_low, operation.id_high)
        low = operation.id_low
        high = operation.id_high
    return kinds, flags & c.LINKED != 0, ascend


def _resolve(tables, operations, words, answers):
    """Answer malformed operations, ids that are already bound, and broken chains; mark all others PENDING.

    Returns the number of PENDING operations. Changes no state.
    """
    pending = 0
    prefetched = np.int64(0)
    i = np.int64(0)  # not a literal: numba would compile the functions below twice
    while i < operations.size:
        if i >= prefetched:
            prefetched = min(i + 4 * prefetch.CHUNK, operations.size)
            prefetch.id_slots(tables, operations, i, prefetched)
        if operations[i]["flags"] & c.LINKED:
            end = _chain_end(operations, i)
            if _resolve_chain(tables, operations, words, i, end, answers):
                pending += end + 1 - i
            i = end + 1
        else:
            if _resolve_one(tables, operations, words, i, answers[i], False) == c.PENDING:
                pending += 1
            i += 1
    return pending


@njit
def _code_of_rare(tables, operation, words, i, kind, place, now_ns):
    """Apply one operation of a rare kind other than REVERSE. Return its code."""
    if kind == c.KIND_REFUND:
        return payments.refund(tables, operation, place, now_ns)
    if kind == c.KIND_CLAIM:
        return programmes.claim(tables, operation, now_ns)
    if kind == c.KIND_VOID:
        return holds.void(tables, operation)
    if kind == c.KIND_EXTEND:
        return holds.extend(tables, operation)
    if kind == c.KIND_POST_HOLDS or kind == c.KIND_VOID_HOLDS:
        return holds.post_or_void_range(tables, operation, place, kind == c.KIND_POST_HOLDS)
    if kind == c.KIND_SEND:
        return transits.send(tables, operation, place, now_ns)
    if kind == c.KIND_CONFIRM or kind == c.KIND_REJECT:
        return transits.confirm_or_reject(tables, operation, place, kind == c.KIND_CONFIRM)
    if kind == c.KIND_STAGE:
        return settlement.stage(tables, operation)
    if kind == c.KIND_SETTLE:
        return settlement.settle(tables, operation, place, now_ns)
    if kind == c.KIND_OPEN_ACCOUNT:
        return accounts.open_account(tables, operation)
    if kind == c.KIND_ADD_MEMBERS:
        return programmes.add_members(tables, operation, words, i)
    if kind == c.KIND_JOIN_GROUP or kind == c.KIND_LEAVE_GROUP:
        return accounts.group_membership(tables, operation, kind == c.KIND_JOIN_GROUP)
    if kind == c.KIND_BLOCK_ACCOUNT or kind == c.KIND_UNBLOCK_ACCOUNT:
        return accounts.block_account(tables, operation, kind == c.KIND_BLOCK_ACCOUNT)
    if kind == c.KIND_CLOSE_ACCOUNT:
        return accounts.close_account(tables, operation)
    if kind == c.KIND_SET_RULE_SET:
        return accounts.set_rule_set(tables, operation)
    if kind == c.KIND_SET_KEY:
        return accounts.set_key(tables, operation, words, i)
    if kind == c.KIND_LINK_ACCOUNT:
        return accounts.link_account(tables, operation)
    if kind == c.KIND_DROP:
        return programmes.drop(tables, operation, place, now_ns)
    if kind == c.KIND_EXPIRE:
        return programmes.expire(tables, operation, place, now_ns)
    return c.FOR_PYTHON


def _apply_rare(tables, operation, words, i, kind, place, now_ns):
    """Apply one operation of a rare kind. Return (code, detail); code is FOR_PYTHON if Python code handles the kind.

    detail: the amount that was missing in a REVERSE, else 0.
    """
    if kind == c.KIND_REVERSE:
        return payments.reverse(tables, operation, place, now_ns)
    return _code_of_rare(tables, operation, words, i, kind, place, now_ns), np.int64(0)


def _apply(rare, tables, operations, words, hashes, savepoint, start, sequence, now_ns, answers, are_well_formed):
    """Apply operations[start:] of one frame, in order. Return the index of the first for Python, or the frame's size.

    rare: the address of `_apply_rare`.
    hashes: (n, 4) u64, SHA-256 of the secrets of POST operations; (0, 4) if no POST has one.
    savepoint: (COUNTERS,) i64, scratch memory.
    are_well_formed: the caller has checked that no operation is malformed.
    """
    counters = tables.counters
    chain_start = np.int64(-1)
    chain_end = np.int64(-1)
    prefetched = start
    slots_until = start
    rows_until = start
    ids_until = start
    i = start
    while i < operations.size:
        if i >= prefetched:
            if i >= ids_until:
                ids_until = min(i + 4 * prefetch.CHUNK, operations.size)
                prefetch.id_slots(tables, operations, i, ids_until)
            slots_until, rows_until = prefetch.operation_rows(
                tables, operations, i, max(slots_until, i), max(rows_until, i)
            )
            prefetched = i + prefetch.CHUNK
        operation = operations[i]
        answer = answers[i]
        place = np.uint64(sequence << limits.PLACE_INDEX_BITS | i)
        if i > chain_end and operation["flags"] & c.LINKED:
            end = _chain_end(operations, i)
            if not _resolve_chain(tables, operations, words, i, end, answers):
                i = end + 1
                continue
            chain_start = i
            chain_end = end
            undo.begin_chain(tables, savepoint)
        if i > chain_end:
            if _resolve_one(tables, operations, words, i, answer, are_well_formed) != c.PENDING:
                i += 1
                continue
        elif lookup.find_bound(tables, operation.id_low, operation.id_high) >= 0:
            undo.undo_chain(tables, savepoint)
            _bind_undone_chain(
                tables, operations, words, chain_start, chain_end, sequence, answers, i, c.CHAIN_REPEATS_AN_ID
            )
            i = chain_end + 1
            continue
        kind = np.int64(operation.kind)
        first_movement = counters[c.MOVEMENTS]
        detail = np.int64(0)
        if kind == c.KIND_TRANSFER:
            code, detail = payments.transfer(tables, operation, i, place, now_ns)
        elif kind == c.KIND_PAY:
            code = payments.pay(tables, operation, i, place, now_ns)
        elif kind == c.KIND_HOLD:
            detail = counters[c.HOLDS]
            code = holds.create_hold(tables, operation, words, i, now_ns)
            if code != c.CREATED:
                detail = np.int64(0)
        elif kind == c.KIND_POST:
            code = holds.post(tables, operation, hashes, i, place, now_ns)
        else:
            code, detail = _call_rare(rare, (tables, operation, words, i, kind, place, now_ns))
            if code == c.FOR_PYTHON:
                answer.place = place
                return i
        if i <= chain_end and code != c.CREATED:
            undo.undo_chain(tables, savepoint)
            _bind_undone_chain(tables, operations, words, chain_start, chain_end, sequence, answers, i, code)
            i = chain_end + 1
            continue
        lookup.bind(tables, words, i, operation, place, code, first_movement, detail)
        answer.code = code
        answer.place = place
        if i == chain_end:
            undo.end_chain(tables)
        i += 1
    return operations.size


def _bind_operation(tables, operations, words, i, sequence, result):
    """Bind operation `i`, which Python handled and which made no movement, to `result`."""
    place = np.uint64(sequence << limits.PLACE_INDEX_BITS | i)
    lookup.bind(tables, words, i, operations[i], place, result, tables.counters[c.MOVEMENTS], np.int64(0))


def _end_due_holds(tables, now_ns):
    """Release the holds whose end is due."""
    holds.release_due_holds(tables, now_ns)


# Compiled, or loaded from the cache, when this module is imported: no later call waits for a compilation.
_tables, _i64, _u64, _bool = TABLES, numba.int64, numba.uint64, numba.boolean
_operations, _answers, _bound, _accounts = (
    numba.from_dtype(dtype)[::1] for dtype in (layout.OPERATION, layout.ANSWER, layout.BOUND, layout.ACCOUNT)
)
_i64s, _u64s, _u32s, _u16s = (number[::1] for number in (_i64, _u64, numba.uint32, numba.uint16))
_words = _u64[:, ::1]  # of records, (n, 16), or of ids, (n, 2)
_source = numba.types.Array(_u64, 2, "C", readonly=True)  # accepts writable arrays too
# _nrt=False: no reference counting. Nothing is allocated here and the caller keeps every array alive. Counting all of
# `Tables` at each inner call would take twenty times as long as a transfer.
_entry = partial(jit.entry, _nrt=False)

kernel_build.ensure(__name__)

_rare_type = numba.types.Tuple((_i64, _i64))(_tables, _operations.dtype, _words, _i64, _i64, _u64, _i64)
_call_rare = jit.caller(_apply_rare, _rare_type)
copy_records = _entry(numba.types.Tuple((_i64, _bool, _bool))(_source, _operations, _words))(_copy_records)
resolve = _entry(_i64(_tables, _operations, _words, _answers))(_resolve)
_apply_type = _i64(_i64, _tables, _operations, _words, _words, _i64s, _i64, _i64, _i64, _answers, _bool)
_compiled_apply = _entry(_apply_type)(_apply)
bind_operation = _entry(numba.void(_tables, _operations, _words, _i64, _i64, _i64))(_bind_operation)
end_due_holds = _entry(numba.void(_tables, _i64))(_end_due_holds)
apply = partial(_compiled_apply, jit.part(_rare_type, _nrt=False)(_apply_rare))
