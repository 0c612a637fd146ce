"""What can be said of a record by its bytes alone: malformed or not, docs/reference/ledger.md section 2."""

from __future__ import annotations

from typing import Final

import numpy as np

from sycee.core import limits
from sycee.ledger import layout, operation_table
from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inline import njit
from sycee.ledger.operation_table import TABLE

_ALL: Final = 0xFFFFFFFFFFFFFFFF
_WORDS: Final = limits.RECORD_BYTES // 8
_FLAG_VALUES: Final = 16  # `flags` is below it, LINKED apart
_IDS: Final = ("debit", "credit", "reference")

# By kind, from its row in the operation table. A maximum of 0: the kind does not use the field, or takes any value.
KNOWN = np.zeros(c.KINDS, dtype=np.bool_)
LINKABLE = np.zeros(c.KINDS, dtype=np.bool_)
_AMOUNTS = np.zeros(c.KINDS, dtype=np.bool_)
_WINDOWS = np.zeros(c.KINDS, dtype=np.bool_)
_TEXTS = np.zeros(c.KINDS, dtype=np.bool_)  # a name begins at byte 32
_KEYS = np.zeros(c.KINDS, dtype=np.bool_)
_DIFFERENT = np.zeros(c.KINDS, dtype=np.int64)  # bits of `_IDS` that differ from each other
_NUMBERS = np.zeros((c.KINDS, 2), dtype=np.int64)  # least and most
_COUNTS = np.zeros(c.KINDS, dtype=np.int64)
_FIRSTS = np.zeros(c.KINDS, dtype=np.int64)
_RULE_SETS = np.zeros((c.KINDS, 2), dtype=np.int64)  # likewise
# By kind and value of `flags`: a row of the two tables below; 0 where the kind does not take them.
_SHAPES = np.zeros((c.KINDS, _FLAG_VALUES), dtype=np.int64)
_FORBIDDEN = np.zeros((1 + sum(len(row.flags) for row in TABLE.values()), _WORDS), dtype=np.uint64)
_NAMES = np.zeros(len(_FORBIDDEN), dtype=np.int64)  # bits of `_IDS` that must not be zero


def _fill() -> None:
    shape = 0
    for kind, row in TABLE.items():
        fields = {each.name: each for each in row.fields}
        KNOWN[kind] = True
        LINKABLE[kind] = row.linkable
        _AMOUNTS[kind] = "amount" in fields
        _WINDOWS[kind] = {"from_ns", "until_ns"} <= set(fields)
        _TEXTS[kind] = bool({"zone", "release"} & set(fields))
        _KEYS[kind] = "key" in fields
        _DIFFERENT[kind] = sum(1 << _IDS.index(name) for name in row.different)
        for name, most in (("count", _COUNTS), ("first", _FIRSTS)):
            most[kind] = fields[name].high if name in fields else 0
            assert name not in fields or fields[name].low == min(1, most[kind])
        for name, bounds in (("number", _NUMBERS), ("rule_set", _RULE_SETS)):
            if name in fields:
                bounds[kind] = fields[name].low, fields[name].high
        for flags in row.flags:
            shape += 1
            _SHAPES[kind, flags] = shape
            forbidden = np.full(limits.RECORD_BYTES, 0xFF, np.uint8)
            forbidden[: 3 * 8] = 0
            used = [each for each in (*row.fields, operation_table.NOTE) if not each.flag or flags & each.flag]
            for each in used:
                forbidden[operation_table.bytes_of(each.name)] = 0
            _FORBIDDEN[shape] = forbidden.view(np.uint64)
            named = {each.name for each in used if not each.may_be_zero} & set(_IDS)
            _NAMES[shape] = sum(1 << _IDS.index(name) for name in named)


_fill()
# `malformed` knows without these tables what the kinds that come most often leave empty.
assert all(
    _FORBIDDEN[shape, 3:].tolist() == [0] * 5 + [_ALL] * 6 + [0] * 2
    for shape in _SHAPES[[c.KIND_TRANSFER, c.KIND_PAY]].ravel()
    if shape
)
LOW16 = np.uint64(0xFFFF)
MEMBER_WORDS = np.array(layout.MEMBER_WORDS, dtype=np.int64)
# The words of DEFINE_RULE_SET that are maxima or the refund reserve.
_RULE_AMOUNTS = np.array([5, 8, 9, 11, 14, 15], dtype=np.int64)


@njit(forceinline=True)
def malformed(operations, words, i):
    """CREATED where the bytes of operation `i` alone give no reason to refuse it, else the first reason."""
    operation = operations[i]
    if operation.id_low == c.ZERO and operation.id_high == c.ZERO:
        return c.ID_MUST_NOT_BE_ZERO
    kind = np.int64(operation.kind)
    if kind >= c.KINDS or not KNOWN[kind]:
        return c.KIND_UNKNOWN
    flags = np.int64(operation["flags"])
    values = flags & ~c.LINKED
    shape = _SHAPES[kind, values & (_FLAG_VALUES - 1)]
    if shape == 0 or values >= _FLAG_VALUES or (flags != values and not LINKABLE[kind]):
        return c.FLAGS_UNKNOWN
    if kind == c.KIND_TRANSFER or kind == c.KIND_PAY:
        stray = words[i, 8] | words[i, 9] | words[i, 10] | words[i, 11] | words[i, 12] | words[i, 13]
        if stray != c.ZERO:
            return c.FIELD_MUST_BE_ZERO
        if operation.amount <= 0:
            return c.AMOUNT_MUST_BE_POSITIVE
        if words[i, 4] | words[i, 5] == c.ZERO or words[i, 6] | words[i, 7] == c.ZERO:
            return c.ACCOUNT_ID_MUST_NOT_BE_ZERO
        if words[i, 4] == words[i, 6] and words[i, 5] == words[i, 7]:
            return c.ACCOUNTS_MUST_BE_DIFFERENT
        return c.CREATED
    return _malformed_rare(operation, words, i, kind, shape)


@njit
def _stray(operation, words, i, kind, shape):
    """Is a field that this operation does not use other than zero?"""
    stray = c.ZERO
    for word in range(3, _WORDS):
        stray |= words[i, word] & _FORBIDDEN[shape, word]
    if kind == c.KIND_OPEN_ACCOUNT and (operation.first == c.ISSUANCE or operation.first == c.SUSPENSE):
        stray |= words[i, 6] | words[i, 7]
    elif kind == c.KIND_ADD_MEMBERS:
        count = np.int64(operation.count)
        if 1 <= count <= MEMBER_WORDS.size:
            for member in range(count, MEMBER_WORDS.size):
                word = MEMBER_WORDS[member]
                stray |= words[i, word] | words[i, word + 1]
    elif kind == c.KIND_GRANT_ROLE:
        if operation.first != c.ROLE_OPERATOR:
            stray |= words[i, 11]
        if operation.first != c.ROLE_OFFICER:
            stray |= words[i, 10] & c.LOW32  # `number`; the other half is `first`
    return stray != c.ZERO


@njit
def _same_ids(words, i, one, other):
    return words[i, one] == words[i, other] and words[i, one + 1] == words[i, other + 1]


@njit
def _malformed_rare(operation, words, i, kind, shape):
    """The rest of `malformed`, for kinds other than TRANSFER and PAY."""
    if _stray(operation, words, i, kind, shape):
        return c.FIELD_MUST_BE_ZERO
    if _AMOUNTS[kind] and operation.amount <= 0:
        return c.AMOUNT_MUST_BE_POSITIVE
    if kind == c.KIND_DEFINE_RULE_SET:
        for k in range(_RULE_AMOUNTS.size):
            if np.int64(words[i, _RULE_AMOUNTS[k]]) < 0:
                return c.AMOUNT_MUST_BE_POSITIVE
    names = _NAMES[shape]
    if kind == c.KIND_OPEN_ACCOUNT and operation.first != c.ISSUANCE and operation.first != c.SUSPENSE:
        names |= 2
    for k in range(3):
        if names & (1 << k) and words[i, 4 + 2 * k] | words[i, 5 + 2 * k] == c.ZERO:
            return c.ACCOUNT_ID_MUST_NOT_BE_ZERO
    count = np.int64(operation.count)
    if kind == c.KIND_ADD_MEMBERS and 1 <= count <= MEMBER_WORDS.size:
        for member in range(count):
            word = MEMBER_WORDS[member]
            if words[i, word] | words[i, word + 1] == c.ZERO:
                return c.ACCOUNT_ID_MUST_NOT_BE_ZERO
    different = _DIFFERENT[kind]
    if different & 3 == 3 and _same_ids(words, i, 4, 6):
        return c.ACCOUNTS_MUST_BE_DIFFERENT
    if different & 4 and (_same_ids(words, i, 4, 8) or _same_ids(words, i, 6, 8)):
        return c.ACCOUNTS_MUST_BE_DIFFERENT
    return _out_of_range(operation, words, i, kind)


@njit
def _out_of_range(operation, words, i, kind):
    """The last of the malformed codes: numbers, counts, kinds, reasons, roles, windows, names, keys."""
    number = np.int64(operation.number)
    count = np.int64(operation.count)
    first = np.int64(operation.first)
    rule_set = np.int64(operation.rule_set)
    if _NUMBERS[kind, 1] and (number < _NUMBERS[kind, 0] or number > _NUMBERS[kind, 1]):
        return c.NUMBER_OUT_OF_RANGE
    if _RULE_SETS[kind, 1] and (rule_set < _RULE_SETS[kind, 0] or rule_set > _RULE_SETS[kind, 1]):
        return c.NUMBER_OUT_OF_RANGE
    if kind == c.KIND_DEFINE_RULE_SET:
        for k in range(4):
            if words[i, 4] >> np.uint64(16 * k) & LOW16 > np.uint64(c.GROUPS_MAX):
                return c.NUMBER_OUT_OF_RANGE
    if _COUNTS[kind] and (count < 1 or count > _COUNTS[kind]):
        return c.COUNT_OUT_OF_RANGE
    if _FIRSTS[kind] and (first < 1 or first > _FIRSTS[kind]):
        if kind == c.KIND_OPEN_ACCOUNT:
            return c.ACCOUNT_KIND_UNKNOWN
        return c.ROLE_UNKNOWN if kind == c.KIND_GRANT_ROLE else c.REASON_UNKNOWN
    if _WINDOWS[kind] and operation.until_ns <= operation.from_ns:
        return c.WINDOW_MUST_END_AFTER_START
    if _TEXTS[kind] and words[i, 4] & np.uint64(0xFF) == c.ZERO:
        return c.ZONE_MUST_NOT_BE_EMPTY
    no_key = words[i, 6] | words[i, 7] | words[i, 8] | words[i, 9] == c.ZERO
    if no_key and _KEYS[kind] and np.int64(operation["flags"]) & ~c.LINKED:
        return c.KEY_MUST_NOT_BE_ZERO
    return c.CREATED
