"""Validation of a record by its bytes alone. Ledger reference, section 2."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from sycee.core import limits
from sycee.core.records import layout, operation_table
from sycee.core.records.operation_table import TABLE
from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inline import njit

_ALL: Final = 0xFFFFFFFFFFFFFFFF
_WORDS: Final = limits.RECORD_BYTES // 8
_FLAG_VALUES: Final = 16  # `flags` without LINKED is below it
_IDS: Final = ("debit", "credit", "reference")


_FIELDS: Final[dict[int, dict[str, Any]]] = {
    kind: {field.name: field for field in row.fields} for kind, row in TABLE.items()
}


def _using(*names: str) -> Any:
    """Return whether each kind uses any of these fields, (KINDS,) bool."""
    return np.array([not _FIELDS.get(kind, {}).keys().isdisjoint(names) for kind in range(c.KINDS)])


def _bounds(name: str) -> Any:
    """Return the least and greatest value of a field, (KINDS, 2); (0, 0): the kind does not use it, or accepts any."""
    fields = [_FIELDS.get(kind, {}).get(name) for kind in range(c.KINDS)]
    return np.array([(field.low, field.high) if field else (0, 0) for field in fields], np.int64)


KNOWN = np.array([kind in _FIELDS for kind in range(c.KINDS)])
LINKABLE = np.zeros(c.KINDS, np.bool_)
_AMOUNTS, _KEYS = _using("amount"), _using("key")
_WINDOWS, _TEXTS = _using("from_ns"), _using("zone", "release")  # a text begins at byte 32
_NUMBERS, _RULE_SETS, _COUNTS, _FIRSTS = (_bounds(name) for name in ("number", "rule_set", "count", "first"))
_DIFFERENT = np.zeros(c.KINDS, np.int64)  # bits of the ids, in the order of `_IDS`, that must differ from each other
# By kind and value of `flags`: a row of the two tables below; 0 if the kind does not accept the flags.
_SHAPES = np.zeros((c.KINDS, _FLAG_VALUES), dtype=np.int64)
_FORBIDDEN = np.zeros((1 + sum(len(row.flags) for row in TABLE.values()), _WORDS), dtype=np.uint64)
_NAMES = np.zeros(len(_FORBIDDEN), dtype=np.int64)  # bits of the ids that must not be zero


def _fill() -> None:
    shape = 0
    for kind, row in TABLE.items():
        LINKABLE[kind] = row.linkable
        _DIFFERENT[kind] = sum(1 << _IDS.index(name) for name in row.different)
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
# `malformed` checks the most frequent kinds without these tables.
assert all(
    _FORBIDDEN[shape, 3:].tolist() == [0] * 5 + [_ALL] * 6 + [0] * 2
    for shape in _SHAPES[[c.KIND_TRANSFER, c.KIND_PAY]].ravel()
    if shape
)
MEMBER_WORDS = np.array(layout.MEMBER_WORDS, dtype=np.int64)
# The words of DEFINE_RULE_SET that must not be negative: maxima, and refund reserve or least payment.
_RULE_AMOUNTS = np.array([5, 8, 9, 11, 14, 15], dtype=np.int64)


@njit(forceinline=True)
def malformed(operations, words, i):
    """Return CREATED if the bytes of operation `i` are well formed, else the first code that applies."""
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
        unused = words[i, 8] | words[i, 9] | words[i, 10] | words[i, 11] | words[i, 12] | words[i, 13]
        if unused != c.ZERO:
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
def _needs_suspense(operation):
    """Return whether an OPEN_ACCOUNT of this account kind must name a suspense account in `credit`."""
    return operation.first != c.ACCOUNT_KIND_ISSUANCE and operation.first != c.ACCOUNT_KIND_SUSPENSE


@njit
def _has_unused_field(operation, words, i, kind, shape):
    """Return whether a field that this operation does not use is other than zero."""
    unused = c.ZERO
    for word in range(3, _WORDS):
        unused |= words[i, word] & _FORBIDDEN[shape, word]
    if kind == c.KIND_OPEN_ACCOUNT and not _needs_suspense(operation):
        unused |= words[i, 6] | words[i, 7]
    elif kind == c.KIND_ADD_MEMBERS:
        count = np.int64(operation.count)
        if 1 <= count <= MEMBER_WORDS.size:
            for member in range(count, MEMBER_WORDS.size):
                word = MEMBER_WORDS[member]
                unused |= words[i, word] | words[i, word + 1]
    elif kind == c.KIND_GRANT_ROLE:
        if operation.first != c.ROLE_OPERATOR:
            unused |= words[i, 11]
        if operation.first != c.ROLE_OFFICER:
            unused |= words[i, 10] & c.LOW32  # `number`; the other half is `first`
    return unused != c.ZERO


@njit
def _same_ids(words, i, one, other):
    return words[i, one] == words[i, other] and words[i, one + 1] == words[i, other + 1]


@njit
def _malformed_rare(operation, words, i, kind, shape):
    """Return the result of `malformed` for kinds other than TRANSFER and PAY."""
    if _has_unused_field(operation, words, i, kind, shape):
        return c.FIELD_MUST_BE_ZERO
    if _AMOUNTS[kind] and operation.amount <= 0:
        return c.AMOUNT_MUST_BE_POSITIVE
    if kind == c.KIND_DEFINE_RULE_SET:
        for k in range(_RULE_AMOUNTS.size):
            if np.int64(words[i, _RULE_AMOUNTS[k]]) < 0:
                return c.AMOUNT_MUST_BE_POSITIVE
    names = _NAMES[shape]
    if kind == c.KIND_OPEN_ACCOUNT and _needs_suspense(operation):
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
    """Return the last of the malformed codes: numbers, counts, kinds, reasons, roles, windows, texts, keys."""
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
            if words[i, 4] >> np.uint64(16 * k) & c.LOW16 > np.uint64(c.GROUPS_MAX):
                return c.NUMBER_OUT_OF_RANGE
    if _COUNTS[kind, 1] and (count < _COUNTS[kind, 0] or count > _COUNTS[kind, 1]):
        return c.COUNT_OUT_OF_RANGE
    if _FIRSTS[kind, 1] and (first < _FIRSTS[kind, 0] or first > _FIRSTS[kind, 1]):
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
