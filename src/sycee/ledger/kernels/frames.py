"""One pass over a frame: `resolve` and `apply`, compiled eagerly with everything they call."""

from __future__ import annotations

from functools import partial

import numba
import numpy as np

from sycee.core import jit, kernel_build, limits
from sycee.ledger import layout
from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.accounts import (
    block_account,
    close_account,
    group_membership,
    link_account,
    open_account,
    set_key,
    set_rule_set,
)
from sycee.ledger.kernels.holds import extend, let_time_pass, make_hold, many_holds, post, push_time_out, void
from sycee.ledger.kernels.inline import njit
from sycee.ledger.kernels.lookup import (
    bind,
    content,
    find_bound,
    first_slot,
    hash_id,
    insert,
    insert_stray,
    is_ordered,
    looks_ordered,
)
from sycee.ledger.kernels.payments import pay, refund, reverse, transfer
from sycee.ledger.kernels.prefetch import (
    CHUNK,
    ROOM_AHEAD,
    TAKEN_AHEAD,
    fetch_record,
    fetch_room,
    warm,
    warm_ids,
    warm_rows,
)
from sycee.ledger.kernels.preimages import put_over
from sycee.ledger.kernels.programmes import add_members, claim, drop, expire
from sycee.ledger.kernels.settlement import index_batches, settle, stage
from sycee.ledger.kernels.tables import empty_tables
from sycee.ledger.kernels.transits import arrive, send
from sycee.ledger.kernels.undo import begin_chain, end_chain, undo_chain
from sycee.ledger.kernels.validation import LINKABLE, malformed


@njit(forceinline=True)
def _known(tables, words, i, answer, row):
    bound = tables.bound[row]
    answer.first_code = bound.result
    answer.place = bound.place
    return c.EXISTS if bound.content == content(tables.bound_slots, words, i) else c.EXISTS_WITH_DIFFERENT_CONTENT


@njit(forceinline=True)
def _glance(tables, operations, words, i, answer, is_well_formed):
    """Malformed or known? Else PENDING. Sets all of the answer. `is_well_formed`: that it is not malformed is known."""
    operation = operations[i]
    answer.first_code = c.CREATED
    answer.place = c.ZERO
    code = c.CREATED if is_well_formed else malformed(operations, words, i)
    if code == c.CREATED:
        row = find_bound(tables, operation.id_low, operation.id_high)
        code = c.PENDING if row < 0 else _known(tables, words, i, answer, row)
    answer.code = code
    return code


@njit
def _chain_end(operations, i):
    """Index of the last operation of the chain that begins at `i`: the first without the flag, or the last of all."""
    while i < operations.size - 1 and operations[i]["flags"] & c.LINKED:
        i += 1
    return i


@njit
def _judge_chain(tables, operations, words, start, end, answers):
    """Look at a chain before it is done: True where all of it is PENDING, else every operation has its answer."""
    whole = True
    for i in range(start, end + 1):
        code = _glance(tables, operations, words, i, answers[i], False)
        if code == c.PENDING:
            if not LINKABLE[operations[i].kind]:
                code = c.CANNOT_BE_LINKED
            elif i == end and operations[i]["flags"] & c.LINKED:
                code = c.CHAIN_OPEN
            answers[i].code = code
        whole = whole and code == c.PENDING
    if not whole:
        for i in range(start, end + 1):
            if answers[i].code == c.PENDING:
                answers[i].code = c.CHAIN_BROKEN
    return whole


@njit
def _answer_chain(tables, operations, words, start, end, sequence, answers, culprit, code):
    """A chain was undone. Refused, all of it is bound; broken by an id given twice, nothing is."""
    repeats = code == c.CHAIN_REPEATS_AN_ID
    for i in range(start, end + 1):
        place = np.uint64(sequence << limits.PLACE_INDEX_BITS | i)
        answers[i].first_code = c.CREATED
        answers[i].code = code if i == culprit else (c.CHAIN_BROKEN if repeats else c.LINKED_FAILED)
        answers[i].place = c.ZERO if repeats else place
        is_bound = find_bound(tables, operations[i].id_low, operations[i].id_high) >= 0
        if not repeats and not is_bound:
            # An id that comes twice stays bound to where it came first.
            nothing = np.int64(0)
            bind(
                tables, words, i, operations[i], place, np.int64(answers[i].code), tables.counters[c.MOVEMENTS], nothing
            )


def _take(source, operations, words):
    """Copy records and look at each: (kinds, is one linked to the next, are all well formed under ids that ascend).

    source: (n, 16) u64; `operations` and `words` are one memory for as many. kinds: bit k where kind k is among them,
    and bit 0 for all that are not known. Ids ascend where each is ordered by time and greater than the one before.
    """
    kinds = np.int64(0)
    flags = np.int64(0)
    ascend = True
    low = c.ZERO
    high = c.ZERO
    for i in range(operations.size):
        # The caller's records were made a while ago, and the room for them was last read by the disk.
        fetch_record(source, i + TAKEN_AHEAD)
        fetch_room(words, i + ROOM_AHEAD)
        for word in range(16):
            words[i, word] = source[i, word]
        # The copy is looked at: the caller's other threads may write to the original.
        operation = operations[i]
        kind = np.int64(operation.kind)
        kinds |= np.int64(1) << (kind if kind < c.KINDS - 1 else np.int64(0))  # the sign is no kind
        flags |= np.int64(operation["flags"])
        ascend = ascend and malformed(operations, words, i) == c.CREATED
        is_greater = operation.id_high > high or (operation.id_high == high and operation.id_low > low)
        ascend = ascend and is_greater and looks_ordered(operation.id_low, operation.id_high)
        low = operation.id_low
        high = operation.id_high
    return kinds, flags & c.LINKED != 0, ascend


def _resolve(tables, operations, words, answers):
    """Answer what needs no judgement: malformed operations, known ids, broken chains. The rest is marked PENDING.

    Returns how many are PENDING. Changes no state.
    """
    pending = 0
    warmed = np.int64(0)
    i = np.int64(0)  # not a literal, for which numba would compile all functions below once more
    while i < operations.size:
        if i >= warmed:
            warmed = min(i + 4 * CHUNK, operations.size)
            warm_ids(tables, operations, i, warmed)
        if operations[i]["flags"] & c.LINKED:
            end = _chain_end(operations, i)
            if _judge_chain(tables, operations, words, i, end, answers):
                pending += end + 1 - i
            i = end + 1
        else:
            if _glance(tables, operations, words, i, answers[i], False) == c.PENDING:
                pending += 1
            i += 1
    return pending


@jit.part
def _judge_rare(tables, operation, words, i, kind, place, now_ns):
    """Resolve one operation of a rare kind; return FOR_PYTHON where Python code resolves the kind."""
    if kind == c.KIND_REFUND:
        return refund(tables, operation, place, now_ns)
    if kind == c.KIND_CLAIM:
        return claim(tables, operation, now_ns)
    if kind == c.KIND_VOID:
        return void(tables, operation)
    if kind == c.KIND_EXTEND:
        return extend(tables, operation)
    if kind == c.KIND_POST_HOLDS or kind == c.KIND_VOID_HOLDS:
        return many_holds(tables, operation, place, kind == c.KIND_POST_HOLDS)
    if kind == c.KIND_SEND:
        return send(tables, operation, place, now_ns)
    if kind == c.KIND_CONFIRM or kind == c.KIND_REJECT:
        return arrive(tables, operation, place, kind == c.KIND_CONFIRM)
    if kind == c.KIND_STAGE:
        return stage(tables, operation)
    if kind == c.KIND_SETTLE:
        return settle(tables, operation, place, now_ns)
    if kind == c.KIND_OPEN_ACCOUNT:
        return open_account(tables, operation)
    if kind == c.KIND_ADD_MEMBERS:
        return add_members(tables, operation, words, i)
    if kind == c.KIND_JOIN_GROUP or kind == c.KIND_LEAVE_GROUP:
        return group_membership(tables, operation, kind == c.KIND_JOIN_GROUP)
    if kind == c.KIND_BLOCK_ACCOUNT or kind == c.KIND_UNBLOCK_ACCOUNT:
        return block_account(tables, operation, kind == c.KIND_BLOCK_ACCOUNT)
    if kind == c.KIND_CLOSE_ACCOUNT:
        return close_account(tables, operation)
    if kind == c.KIND_SET_RULE_SET:
        return set_rule_set(tables, operation)
    if kind == c.KIND_SET_KEY:
        return set_key(tables, operation, words, i)
    if kind == c.KIND_LINK_ACCOUNT:
        return link_account(tables, operation)
    if kind == c.KIND_DROP:
        return drop(tables, operation, place, now_ns)
    if kind == c.KIND_EXPIRE:
        return expire(tables, operation, place, now_ns)
    return c.FOR_PYTHON


def _apply(tables, operations, words, hashes, marks, start, sequence, now_ns, answers, are_well_formed):
    """Apply operations[start:] of one frame in order; returns where it stopped: at the end, or at one for Python.

    hashes: (n, 4) u64, SHA-256 of the secrets of POST operations; (0, 4) where there are none. marks: (6,) i64, room.
    are_well_formed: these very bytes were resolved, and every one of them was PENDING.
    """
    counters = tables.counters
    chain_start = np.int64(-1)
    chain_end = np.int64(-1)
    warmed = start
    slots_until = start
    rows_until = start
    ids_until = start
    i = start
    while i < operations.size:
        if i >= warmed:
            if i >= ids_until:
                ids_until = min(i + 4 * CHUNK, operations.size)
                warm_ids(tables, operations, i, ids_until)
            slots_until, rows_until = warm(tables, operations, i, max(slots_until, i), max(rows_until, i))
            warmed = i + CHUNK
        operation = operations[i]
        answer = answers[i]
        place = np.uint64(sequence << limits.PLACE_INDEX_BITS | i)
        if i > chain_end and operation["flags"] & c.LINKED:
            end = _chain_end(operations, i)
            if not _judge_chain(tables, operations, words, i, end, answers):
                i = end + 1
                continue
            chain_start = i
            chain_end = end
            begin_chain(tables, marks)
        if i > chain_end:
            if _glance(tables, operations, words, i, answer, are_well_formed) != c.PENDING:
                i += 1
                continue
        elif find_bound(tables, operation.id_low, operation.id_high) >= 0:
            undo_chain(tables, marks)
            _answer_chain(
                tables, operations, words, chain_start, chain_end, sequence, answers, i, c.CHAIN_REPEATS_AN_ID
            )
            i = chain_end + 1
            continue
        kind = np.int64(operation.kind)
        first_movement = counters[c.MOVEMENTS]
        detail = np.int64(0)
        if kind == c.KIND_TRANSFER:
            code, detail = transfer(tables, operation, i, place, now_ns)
        elif kind == c.KIND_PAY:
            code = pay(tables, operation, i, place, now_ns)
        elif kind == c.KIND_REVERSE:
            code, detail = reverse(tables, operation, place, now_ns)
        elif kind == c.KIND_HOLD:
            detail = counters[c.HOLDS]
            code = make_hold(tables, operation, words, i, now_ns)
            if code != c.CREATED:
                detail = np.int64(0)
        elif kind == c.KIND_POST:
            code = post(tables, operation, hashes, i, place, now_ns)
        else:
            code = _judge_rare(tables, operation, words, i, kind, place, now_ns)
            if code == c.FOR_PYTHON:
                answer.place = place
                return i
        if i <= chain_end and code != c.CREATED:
            undo_chain(tables, marks)
            _answer_chain(tables, operations, words, chain_start, chain_end, sequence, answers, i, code)
            i = chain_end + 1
            continue
        bind(tables, words, i, operation, place, code, first_movement, detail)
        answer.code = code
        answer.place = place
        if i == chain_end:
            end_chain(tables)
        i += 1
    return operations.size


def _bind_one(tables, operations, words, i, sequence, result):
    """Bind operation `i`, which Python handled, to `result`. It made no movement."""
    place = np.uint64(sequence << limits.PLACE_INDEX_BITS | i)
    bind(tables, words, i, operations[i], place, result, tables.counters[c.MOVEMENTS], np.int64(0))


def _pass_time(tables, now_ns):
    """Let go of the holds whose end has come."""
    let_time_pass(tables, now_ns)


def _note_time_outs(tables):
    """Fill the empty heap with the ends of all open holds, after they were read from a snapshot."""
    for hold_row in range(tables.counters[c.HOLDS]):
        if tables.holds[hold_row].state == c.HOLD_IS_OPEN:
            push_time_out(tables, hold_row)


def _rehash(slots, old, highs, old_highs):
    """Fill empty `slots` with all of an index with the same key: a slot itself says where its search begins.

    highs, old_highs: what is kept beside the slots, as `stray_highs`; one alone where nothing is.
    """
    mask = np.int64(slots.size - 2)
    for one in range(old.size - 1):
        if old[one] != c.ZERO:
            at = first_slot(slots, old[one] >> c.S32)
            while slots[at] != c.ZERO:
                at = (at + 1) & mask
            slots[at] = old[one]
            if old_highs.size > 1:
                highs[at] = old_highs[one]


def _index_accounts(tables, count):
    """Fill the empty index with the ids of the first `count` accounts."""
    warmed = 0
    for row in range(count):
        if row >= warmed:
            warmed = min(row + CHUNK, count)
            warm_rows(tables.account_slots, tables.accounts, row, warmed)
        insert(tables.account_slots, tables.accounts[row].id_low, tables.accounts[row].id_high, row)


def _index_rest(tables):
    """Fill the empty indices of refunds and of open batches."""
    for row in range(tables.counters[c.REFUNDS]):
        insert(tables.refund_slots, np.uint64(tables.refunds[row].bound), c.ZERO, row)
    index_batches(tables)


def _index_strays(tables, count):
    """Fill the empty index with those of the first `count` bound ids that are not ordered by time."""
    for row in range(count):
        bound = tables.bound[row]
        if not is_ordered(bound.id_low, bound.id_high, tables.frame_times[np.int64(bound.place >> c.PLACE_SHIFT)]):
            insert_stray(tables, bound.id_low, bound.id_high, row)


def _gather(bound, frame_times, first, end, ids, rows, all_are):
    """The ids ordered by time of bound[first:end] into `ids`, and their rows less `first`; how many.

    ids: (n, 2) u64, low and high; rows: (n,) u32; no more than n are there. all_are: every one of them is.
    """
    count = np.int64(0)
    for row in range(first, end):
        one = bound[row]
        if all_are or is_ordered(one.id_low, one.id_high, frame_times[np.int64(one.place >> c.PLACE_SHIFT)]):
            ids[count, 0] = one.id_low
            ids[count, 1] = one.id_high
            rows[count] = row - first
            count += 1
    return count


def _sort_keys(ids, keys):
    """What ids ordered by time are to be sorted by, into `keys`; True where they are in order already.

    The first 64 bits that two of them can differ in: their milliseconds, less the least of all, and what follows.
    """
    is_ascending = True
    least = ids[0, 1] >> c.S16
    most = least
    for at in range(1, ids.shape[0]):
        is_less = ids[at - 1, 1] < ids[at, 1] or (ids[at - 1, 1] == ids[at, 1] and ids[at - 1, 0] < ids[at, 0])
        is_ascending = is_ascending and is_less
        least = min(least, ids[at, 1] >> c.S16)
        most = max(most, ids[at, 1] >> c.S16)
    if is_ascending:
        return True
    spare_bits = c.S64 - c.S12
    while (most - least) >> (c.S64 - c.S12 - spare_bits) != c.ZERO:
        spare_bits -= c.ONE
    for at in range(ids.shape[0]):
        keys[at] = (
            ((ids[at, 1] >> c.S16) - least) << (spare_bits + c.S12)
            | (ids[at, 1] & ~c.VERSION_BITS & c.LOW16) << spare_bits
            | (ids[at, 0] & ~c.VARIANT_BITS) >> (c.S62 - spare_bits)
        )
    return False


def _rows_of(slots, accounts, low, high, rows):
    """Account rows of many ids, -1 where there is none.

    Safe beside a thread that opens accounts: a row beyond `accounts`, which that thread has made longer meanwhile, is
    not read.
    """
    mask = np.int64(slots.size - 2)
    for i in range(low.size):
        hashed = hash_id(slots, low[i], high[i])
        fingerprint = hashed & c.LOW32
        at = first_slot(slots, hashed)
        rows[i] = -1
        slot = slots[at]
        while slot != c.ZERO:
            row = np.int64(slot & c.LOW32) - 1
            is_like = slot >> c.S32 == fingerprint and row < accounts.size
            if is_like and accounts[row].id_low == low[i] and accounts[row].id_high == high[i]:
                rows[i] = row
                break
            at = (at + 1) & mask
            slot = slots[at]


def _bound_rows_of(tables, low, high, rows):
    """Rows of many operations' ids among the bound ones, -1 where there is none."""
    for i in range(low.size):
        rows[i] = find_bound(tables, low[i], high[i])


# Eager: compiled, or loaded from the cache, when this module is imported, so that no caller waits for it later.
_tables_type = numba.typeof(empty_tables())
_operations_type = numba.from_dtype(layout.OPERATION)[::1]
_words_type = numba.uint64[:, ::1]
_answers_type = numba.from_dtype(layout.ANSWER)[::1]
_i64 = numba.int64
# Without numba's counting of references: nothing is allocated here, the caller keeps every array alive, and counting
# all of `Tables` up and down at each inner call would cost twenty times what a transfer does.
_entry = partial(jit.entry, _nrt=False)

kernel_build.ensure(__name__)

_source_type = numba.types.Array(numba.uint64, 2, "C", readonly=True)  # or not
jit.compile_part(_judge_rare, (_tables_type, _operations_type.dtype, _words_type, _i64, _i64, numba.uint64, _i64))
take = _entry(numba.types.Tuple((_i64, numba.boolean, numba.boolean))(_source_type, _operations_type, _words_type))(
    _take
)
resolve = _entry(_i64(_tables_type, _operations_type, _words_type, _answers_type))(_resolve)
apply = _entry(
    _i64(
        _tables_type,
        _operations_type,
        _words_type,
        _words_type,
        _i64[::1],
        _i64,
        _i64,
        _i64,
        _answers_type,
        numba.boolean,
    )
)(_apply)
bind_one = _entry(numba.void(_tables_type, _operations_type, _words_type, _i64, _i64, _i64))(_bind_one)
pass_time = _entry(numba.void(_tables_type, _i64))(_pass_time)
note_time_outs = _entry(numba.void(_tables_type))(_note_time_outs)
rehash = _entry(numba.void(numba.uint64[::1], numba.uint64[::1], numba.uint16[::1], numba.uint16[::1]))(_rehash)
index_accounts = _entry(numba.void(_tables_type, _i64))(_index_accounts)
index_rest = _entry(numba.void(_tables_type))(_index_rest)
index_strays = _entry(numba.void(_tables_type, _i64))(_index_strays)
_ids_type = numba.uint64[:, ::1]
gather = _entry(
    _i64(
        numba.from_dtype(layout.BOUND)[::1],
        _i64[::1],
        _i64,
        _i64,
        _ids_type,
        numba.uint32[::1],
        numba.boolean,
    )
)(_gather)
sort_keys = _entry(numba.boolean(_ids_type, numba.uint64[::1]))(_sort_keys)
rows_of = _entry(
    numba.void(
        numba.uint64[::1], numba.from_dtype(layout.ACCOUNT)[::1], numba.uint64[::1], numba.uint64[::1], _i64[::1]
    )
)(_rows_of)
bound_rows_of = _entry(numba.void(_tables_type, numba.uint64[::1], numba.uint64[::1], _i64[::1]))(_bound_rows_of)
overlay = _entry(numba.void(_i64[:, ::1], numba.uint64[::1], _i64, _i64, _i64, _i64, numba.uint64[:, ::1]))(put_over)
