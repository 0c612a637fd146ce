"""What can be said of a record by its bytes alone: malformed or not, docs/reference/ledger.md section 2."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from sycee.core import limits
from sycee.ledger import layout
from sycee.ledger.kernels import constants as c
from sycee.ledger.layout import Block, Kind, PayFlag

_ALL = 0xFFFFFFFFFFFFFFFF
_DEBIT = {4: _ALL, 5: _ALL}
_CREDIT = {6: _ALL, 7: _ALL}
_REFERENCE = {8: _ALL, 9: _ALL}
_NOTE = {14: _ALL, 15: _ALL}
_AMOUNT = {3: _ALL}
_NUMBER = {10: 0xFFFFFFFF}
_NUMBER_FIRST = {10: _ALL}
_COUNT = {11: 0xFFFFFFFF}
_COUNT_RULE_SET = {11: _ALL}
_WINDOW = {12: _ALL, 13: _ALL}

# Per kind, the 64-bit words of the record it uses; a bit outside them must be zero.
_USES: Final[dict[int, dict[int, int]]] = {
    Kind.DEFINE_CURRENCY: {**_DEBIT, **_CREDIT, **_REFERENCE, **_NUMBER, **_NOTE},
    Kind.DEFINE_GROUP: {**_NUMBER, **_NOTE},
    Kind.JOIN_GROUP: {**_DEBIT, **_NUMBER, **_NOTE},
    Kind.LEAVE_GROUP: {**_DEBIT, **_NUMBER, **_NOTE},
    Kind.DEFINE_RULE_SET: {**_DEBIT, **_CREDIT, **_NUMBER, **_WINDOW},
    Kind.OPEN_ACCOUNT: {**_DEBIT, **_CREDIT, **_NUMBER_FIRST, **_COUNT_RULE_SET, **_NOTE},
    Kind.BLOCK_ACCOUNT: {**_DEBIT, **_NOTE},
    Kind.CLOSE_ACCOUNT: {**_DEBIT, **_NOTE},
    Kind.OPEN_PROGRAMME: {**_DEBIT, **_NUMBER, **_COUNT_RULE_SET, **_WINDOW, **_NOTE},
    Kind.ADD_MEMBERS: {**_DEBIT, **_CREDIT, **_REFERENCE, **_NUMBER_FIRST, **_COUNT, **_WINDOW, **_NOTE},
    Kind.SEAL_COHORT: {**_DEBIT, **_CREDIT, **_NUMBER, **_NOTE},
    Kind.DROP: {**_AMOUNT, **_REFERENCE, **_NUMBER_FIRST, **_COUNT, **_NOTE},
    Kind.CLAIM: {**_CREDIT, **_REFERENCE, **_NUMBER_FIRST, **_NOTE},
    Kind.EXPIRE: {**_NUMBER_FIRST, **_COUNT, **_NOTE},
    Kind.TRANSFER: {**_AMOUNT, **_DEBIT, **_CREDIT, **_NOTE},
    Kind.PAY: {**_AMOUNT, **_DEBIT, **_CREDIT, **_NOTE},
    Kind.REFUND: {**_AMOUNT, **_REFERENCE, **_NOTE},
}


def _forbidden_bits() -> np.ndarray[Any, Any]:
    table = np.zeros((c.KINDS, 16), dtype=np.uint64)
    for kind, uses in _USES.items():
        for word in range(3, 16):
            table[kind, word] = _ALL & ~uses.get(word, 0)
        table[kind, 0] = 1  # the kind is known
    return table


_FORBIDDEN = _forbidden_bits()
_FLAGS = np.zeros(c.KINDS, dtype=np.int64)
_FLAGS[Kind.BLOCK_ACCOUNT] = Block.DEBIT | Block.CREDIT
_FLAGS[Kind.PAY] = PayFlag.PURSES_ONLY | PayFlag.OWN_ONLY
_NUMBERS = np.zeros(c.KINDS, dtype=np.int64)  # the highest number a kind takes; 0: it takes none
for _kind, _highest in (
    (Kind.DEFINE_CURRENCY, 999),
    (Kind.OPEN_ACCOUNT, 999),
    (Kind.DEFINE_GROUP, limits.GROUPS_MAX),
    (Kind.JOIN_GROUP, limits.GROUPS_MAX),
    (Kind.LEAVE_GROUP, limits.GROUPS_MAX),
    (Kind.DEFINE_RULE_SET, limits.RULE_SETS_MAX),
    (Kind.OPEN_PROGRAMME, limits.PROGRAMMES_MAX),
    (Kind.ADD_MEMBERS, limits.PROGRAMMES_MAX),
    (Kind.SEAL_COHORT, limits.PROGRAMMES_MAX),
    (Kind.DROP, limits.PROGRAMMES_MAX),
    (Kind.CLAIM, limits.PROGRAMMES_MAX),
    (Kind.EXPIRE, limits.PROGRAMMES_MAX),
):
    _NUMBERS[_kind] = _highest
_COUNTS = np.zeros(c.KINDS, dtype=np.int64)  # the highest count a kind takes; 0: it takes none
for _kind, _highest in (
    (Kind.OPEN_PROGRAMME, limits.COHORT_MEMBERS_MAX),
    (Kind.ADD_MEMBERS, limits.MEMBERS_PER_RECORD_MAX),
    (Kind.DROP, limits.COHORT_MEMBERS_MAX),
    (Kind.EXPIRE, limits.COHORT_MEMBERS_MAX),
):
    _COUNTS[_kind] = _highest
MEMBER_WORDS = np.array(layout.MEMBER_WORDS, dtype=np.int64)


@njit(forceinline=True)
def malformed(operations, words, i):
    """CREATED where the bytes of operation `i` alone give no reason to refuse it, else the first reason."""
    operation = operations[i]
    if operation.id_low == c.ZERO and operation.id_high == c.ZERO:
        return c.ID_MUST_NOT_BE_ZERO
    kind = np.int64(operation.kind)
    if kind >= c.KINDS or _FORBIDDEN[kind, 0] == c.ZERO:
        return c.KIND_UNKNOWN
    flags = np.int64(operation.flags)
    if flags & ~_FLAGS[kind] or (kind == c.KIND_PAY and flags == c.PURSES_ONLY | c.OWN_ONLY):
        return c.FLAGS_UNKNOWN
    stray = c.ZERO
    for word in range(3, 16):
        stray |= words[i, word] & _FORBIDDEN[kind, word]
    if stray != c.ZERO:
        return c.FIELD_MUST_BE_ZERO
    if kind >= c.KIND_TRANSFER or kind == c.KIND_DROP:
        if operation.amount <= 0:
            return c.AMOUNT_MUST_BE_POSITIVE
        if kind == c.KIND_TRANSFER or kind == c.KIND_PAY:
            if words[i, 4] | words[i, 5] == c.ZERO or words[i, 6] | words[i, 7] == c.ZERO:
                return c.ACCOUNT_ID_MUST_NOT_BE_ZERO
            if words[i, 4] == words[i, 6] and words[i, 5] == words[i, 7]:
                return c.ACCOUNTS_MUST_BE_DIFFERENT
            return c.CREATED
    return _malformed_rare(operation, words, i, kind)


@njit
def _malformed_rare(operation, words, i, kind):
    """The rest of `malformed`, for kinds other than TRANSFER and PAY."""
    debit_zero = words[i, 4] | words[i, 5] == c.ZERO
    credit_zero = words[i, 6] | words[i, 7] == c.ZERO
    reference_zero = words[i, 8] | words[i, 9] == c.ZERO
    count = np.int64(operation.count)
    number = np.int64(operation.number)
    if kind == c.KIND_OPEN_ACCOUNT:
        if operation.first == c.ISSUANCE or operation.first == c.SUSPENSE:
            if not credit_zero:
                return c.FIELD_MUST_BE_ZERO
            if debit_zero:
                return c.ACCOUNT_ID_MUST_NOT_BE_ZERO
        else:
            if debit_zero or credit_zero:
                return c.ACCOUNT_ID_MUST_NOT_BE_ZERO
            if words[i, 4] == words[i, 6] and words[i, 5] == words[i, 7]:
                return c.ACCOUNTS_MUST_BE_DIFFERENT
        if operation.rule_set > c.RULE_SETS_MAX:
            return c.NUMBER_OUT_OF_RANGE
    elif kind == c.KIND_ADD_MEMBERS:
        if 1 <= count <= MEMBER_WORDS.size:
            for member in range(count, MEMBER_WORDS.size):
                word = MEMBER_WORDS[member]
                if words[i, word] | words[i, word + 1] != c.ZERO:
                    return c.FIELD_MUST_BE_ZERO
            for member in range(count):
                word = MEMBER_WORDS[member]
                if words[i, word] | words[i, word + 1] == c.ZERO:
                    return c.ACCOUNT_ID_MUST_NOT_BE_ZERO
    elif (
        kind == c.KIND_JOIN_GROUP
        or kind == c.KIND_LEAVE_GROUP
        or kind == c.KIND_BLOCK_ACCOUNT
        or kind == c.KIND_CLOSE_ACCOUNT
    ):
        if debit_zero:
            return c.ACCOUNT_ID_MUST_NOT_BE_ZERO
    elif kind == c.KIND_OPEN_PROGRAMME:
        if debit_zero:
            return c.ACCOUNT_ID_MUST_NOT_BE_ZERO
        if operation.rule_set < 1 or operation.rule_set > c.RULE_SETS_MAX:
            return c.NUMBER_OUT_OF_RANGE
    elif kind == c.KIND_DROP or kind == c.KIND_REFUND:
        if reference_zero:
            return c.ACCOUNT_ID_MUST_NOT_BE_ZERO
    elif kind == c.KIND_CLAIM:
        if reference_zero or credit_zero:
            return c.ACCOUNT_ID_MUST_NOT_BE_ZERO
    elif kind == c.KIND_DEFINE_RULE_SET:
        for word in range(4, 6):
            if words[i, word] & c.LOW32 > np.uint64(c.GROUPS_MAX) or words[i, word] >> c.S32 > np.uint64(c.GROUPS_MAX):
                return c.NUMBER_OUT_OF_RANGE
    if _NUMBERS[kind] and (number < 1 or number > _NUMBERS[kind]):
        return c.NUMBER_OUT_OF_RANGE
    if _COUNTS[kind] and (count < 1 or count > _COUNTS[kind]):
        return c.COUNT_OUT_OF_RANGE
    if kind == c.KIND_OPEN_ACCOUNT and (operation.first < 1 or operation.first > c.ACCOUNT_KIND_LAST):
        return c.ACCOUNT_KIND_UNKNOWN
    if (kind == c.KIND_OPEN_PROGRAMME or kind == c.KIND_DEFINE_RULE_SET) and operation.until_ns <= operation.from_ns:
        return c.WINDOW_MUST_END_AFTER_START
    if kind == c.KIND_DEFINE_CURRENCY and words[i, 4] & np.uint64(0xFF) == c.ZERO:
        return c.ZONE_MUST_NOT_BE_EMPTY
    return c.CREATED
