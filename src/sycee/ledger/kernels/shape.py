"""What can be said of a record by its bytes alone: malformed or not, docs/reference/ledger.md section 2."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from sycee.core import limits
from sycee.ledger import layout
from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inner import njit
from sycee.ledger.layout import Block, HoldFlag, KeyFlag, Kind, PayFlag, PostFlag, RuleFlag, SendFlag, SettleFlag

_ALL = 0xFFFFFFFFFFFFFFFF
_DEBIT = {4: _ALL, 5: _ALL}
_CREDIT = {6: _ALL, 7: _ALL}
_REFERENCE = {8: _ALL, 9: _ALL}
_NOTE = {14: _ALL, 15: _ALL}
_AMOUNT = {3: _ALL}
_NUMBER = {10: 0xFFFFFFFF}
_NUMBER_FIRST = {10: _ALL}
_FIRST = {10: _ALL & ~0xFFFFFFFF}
_RULE_SET = {11: _ALL & ~0xFFFFFFFF}
_UNTIL = {13: _ALL}
_HASH = {8: _ALL, 9: _ALL, 10: _ALL, 11: _ALL}
_SECRET = {10: _ALL, 11: _ALL, 12: _ALL, 13: _ALL}
_COUNT = {11: 0xFFFFFFFF}
_COUNT_RULE_SET = {11: _ALL}
_WINDOW = {12: _ALL, 13: _ALL}

# Per kind, the 64-bit words of the record it uses; a bit outside them must be zero.
_USES: Final[dict[int, dict[int, int]]] = {
    Kind.DEFINE_CURRENCY: {**_DEBIT, **_CREDIT, **_REFERENCE, **_NUMBER, **_NOTE},
    Kind.DEFINE_GROUP: {**_NUMBER, **_NOTE},
    Kind.JOIN_GROUP: {**_DEBIT, **_NUMBER, **_NOTE},
    Kind.LEAVE_GROUP: {**_DEBIT, **_NUMBER, **_NOTE},
    Kind.DEFINE_RULE_SET: dict.fromkeys(range(3, 16), _ALL),
    Kind.GRANT_ROLE: {**_DEBIT, **_CREDIT, **_REFERENCE, **_FIRST, **_COUNT, **_WINDOW, **_NOTE},
    Kind.REVOKE_ROLE: {**_REFERENCE, **_NOTE},
    Kind.UPGRADE: {**_DEBIT, **_CREDIT, **_NUMBER, **_NOTE},
    Kind.OPEN_ACCOUNT: {**_DEBIT, **_CREDIT, **_NUMBER_FIRST, **_COUNT_RULE_SET, **_NOTE},
    Kind.BLOCK_ACCOUNT: {**_DEBIT, **_FIRST, **_NOTE},
    Kind.CLOSE_ACCOUNT: {**_DEBIT, **_FIRST, **_NOTE},
    Kind.UNBLOCK_ACCOUNT: {**_DEBIT, **_FIRST, **_NOTE},
    Kind.SET_RULE_SET: {**_DEBIT, **_RULE_SET, **_NOTE},
    Kind.SET_KEY: {**_DEBIT, **_CREDIT, **_REFERENCE, **_NOTE},
    Kind.LINK_ACCOUNT: {**_DEBIT, **_CREDIT, **_NOTE},
    Kind.OPEN_PROGRAMME: {**_DEBIT, **_NUMBER, **_COUNT_RULE_SET, **_WINDOW, **_NOTE},
    Kind.ADD_MEMBERS: {**_DEBIT, **_CREDIT, **_REFERENCE, **_NUMBER_FIRST, **_COUNT, **_WINDOW, **_NOTE},
    Kind.SEAL_COHORT: {**_DEBIT, **_CREDIT, **_NUMBER, **_NOTE},
    Kind.DROP: {**_AMOUNT, **_REFERENCE, **_NUMBER_FIRST, **_COUNT, **_NOTE},
    Kind.CLAIM: {**_CREDIT, **_REFERENCE, **_NUMBER_FIRST, **_NOTE},
    Kind.EXPIRE: {**_NUMBER_FIRST, **_COUNT, **_NOTE},
    Kind.TRANSFER: {**_AMOUNT, **_DEBIT, **_CREDIT, **_NOTE},
    Kind.PAY: {**_AMOUNT, **_DEBIT, **_CREDIT, **_NOTE},
    Kind.REFUND: {**_AMOUNT, **_REFERENCE, **_NOTE},
    Kind.HOLD: {**_AMOUNT, **_DEBIT, **_CREDIT, **_HASH, **_UNTIL, **_NOTE},
    Kind.POST: {**_AMOUNT, **_DEBIT, **_REFERENCE, **_SECRET, **_NOTE},
    Kind.VOID: {**_DEBIT, **_REFERENCE, **_NOTE},
    Kind.EXTEND: {**_DEBIT, **_REFERENCE, **_UNTIL, **_NOTE},
    Kind.POST_HOLDS: {**_DEBIT, **_CREDIT, **_REFERENCE, **_NOTE},
    Kind.VOID_HOLDS: {**_DEBIT, **_CREDIT, **_REFERENCE, **_NOTE},
    Kind.REVERSE: {**_AMOUNT, **_REFERENCE, **_NOTE},
    Kind.SEND: {**_AMOUNT, **_DEBIT, **_CREDIT, **_REFERENCE, **_NOTE},
    Kind.CONFIRM: {**_REFERENCE, **_NOTE},
    Kind.REJECT: {**_REFERENCE, **_NOTE},
    Kind.STAGE: {**_AMOUNT, **_DEBIT, **_CREDIT, **_NUMBER, **_NOTE},
    Kind.SETTLE: {**_AMOUNT, **_NUMBER, **_COUNT, **_NOTE},
}
# Which of debit, credit and reference must name something, as bits 1, 2 and 4. OPEN_ACCOUNT is looked at apart.
_NAMED: Final[dict[int, int]] = {
    Kind.JOIN_GROUP: 1,
    Kind.LEAVE_GROUP: 1,
    Kind.GRANT_ROLE: 1,
    Kind.REVOKE_ROLE: 4,
    Kind.BLOCK_ACCOUNT: 1,
    Kind.CLOSE_ACCOUNT: 1,
    Kind.UNBLOCK_ACCOUNT: 1,
    Kind.SET_RULE_SET: 1,
    Kind.SET_KEY: 1,
    Kind.LINK_ACCOUNT: 1,
    Kind.OPEN_PROGRAMME: 1,
    Kind.DROP: 4,
    Kind.CLAIM: 6,
    Kind.TRANSFER: 3,
    Kind.PAY: 3,
    Kind.REFUND: 4,
    Kind.HOLD: 3,
    Kind.POST: 5,
    Kind.VOID: 5,
    Kind.EXTEND: 5,
    Kind.POST_HOLDS: 7,
    Kind.VOID_HOLDS: 7,
    Kind.REVERSE: 4,
    Kind.SEND: 7,
    Kind.CONFIRM: 4,
    Kind.REJECT: 4,
    Kind.STAGE: 3,
}
_DIFFERENT: Final = (Kind.LINK_ACCOUNT, Kind.TRANSFER, Kind.PAY, Kind.HOLD, Kind.SEND, Kind.STAGE)
_HAS_AMOUNT: Final = (
    Kind.DROP, Kind.TRANSFER, Kind.PAY, Kind.REFUND, Kind.HOLD, Kind.POST, Kind.REVERSE, Kind.SEND, Kind.STAGE,
    Kind.SETTLE,
)  # fmt: skip


def _forbidden_bits() -> np.ndarray[Any, Any]:
    table = np.zeros((c.KINDS, 16), dtype=np.uint64)
    for kind, uses in _USES.items():
        for word in range(3, 16):
            table[kind, word] = _ALL & ~uses.get(word, 0)
        table[kind, 0] = 1  # the kind is known
    return table


_FORBIDDEN = _forbidden_bits()
# `malformed` knows by heart what the kinds that come most often leave empty.
assert all(_FORBIDDEN[kind, 3:].tolist() == [0] * 5 + [_ALL] * 6 + [0] * 2 for kind in (Kind.TRANSFER, Kind.PAY))
_FLAGS = np.zeros(c.KINDS, dtype=np.int64)
for _kind, _known in (
    (Kind.GRANT_ROLE, KeyFlag.ED25519 | KeyFlag.P256 | KeyFlag.Y_ODD),
    (Kind.SET_KEY, KeyFlag.ED25519 | KeyFlag.P256 | KeyFlag.Y_ODD),
    (Kind.DEFINE_RULE_SET, RuleFlag.NO_PERSONS | RuleFlag.NO_CASH_OUT),
    (Kind.BLOCK_ACCOUNT, Block.DEBIT | Block.CREDIT),
    (Kind.UNBLOCK_ACCOUNT, Block.DEBIT | Block.CREDIT),
    (Kind.PAY, PayFlag.PURSES_ONLY | PayFlag.OWN_ONLY),
    (Kind.HOLD, HoldFlag.PURSES_ONLY | HoldFlag.OWN_ONLY | HoldFlag.THREE_PARTY | HoldFlag.HASH_LOCKED),
    (Kind.POST, PostFlag.LETS_GO | PostFlag.PREIMAGE),
    (Kind.SEND, SendFlag.UP_TO),
    (Kind.SETTLE, SettleFlag.DISCARD),
):
    _FLAGS[_kind] = int(_known)
LINKABLE = np.zeros(c.KINDS, dtype=np.bool_)
for _kind in layout.LINKABLE:
    _FLAGS[_kind] |= layout.LINKED
    LINKABLE[_kind] = True
_NAMES = np.zeros(c.KINDS, dtype=np.int64)
for _number, _sides in _NAMED.items():
    _NAMES[_number] = _sides
_TWO = np.zeros(c.KINDS, dtype=np.bool_)
_TWO[list(_DIFFERENT)] = True
_AMOUNTS = np.zeros(c.KINDS, dtype=np.bool_)
_AMOUNTS[list(_HAS_AMOUNT)] = True
_NUMBERS = np.zeros(c.KINDS, dtype=np.int64)  # the highest number a kind takes; 0: it takes none
for _kind, _highest in (
    (Kind.DEFINE_CURRENCY, 999),
    (Kind.OPEN_ACCOUNT, 999),
    (Kind.DEFINE_GROUP, limits.GROUPS_MAX),
    (Kind.JOIN_GROUP, limits.GROUPS_MAX),
    (Kind.LEAVE_GROUP, limits.GROUPS_MAX),
    (Kind.DEFINE_RULE_SET, limits.RULE_SETS_MAX),
    (Kind.UPGRADE, limits.RULES_MAX),
    (Kind.STAGE, limits.BATCHES_MAX),
    (Kind.SETTLE, limits.BATCHES_MAX),
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
    (Kind.SETTLE, limits.SETTLEMENT_PAYMENTS_MAX),
):
    _COUNTS[_kind] = _highest
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
    if kind >= c.KINDS or _FORBIDDEN[kind, 0] == c.ZERO:
        return c.KIND_UNKNOWN
    flags = np.int64(operation["flags"])
    if flags & ~_FLAGS[kind]:
        return c.FLAGS_UNKNOWN
    if (kind == c.KIND_TRANSFER or kind == c.KIND_PAY) and flags & 3 != 3:
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
    return _malformed_rare(operation, words, i, kind, flags)


@njit
def _flags_exclude(kind, flags):
    """Are these known flags, together or missing, ones that the kind does not take?"""
    both = c.PURSES_ONLY | c.OWN_ONLY
    if (kind == c.KIND_PAY or kind == c.KIND_HOLD) and flags & both == both:
        return True
    if kind == c.KIND_HOLD:
        return flags & (c.THREE_PARTY | c.HASH_LOCKED) == c.THREE_PARTY | c.HASH_LOCKED
    if kind == c.KIND_BLOCK_ACCOUNT or kind == c.KIND_UNBLOCK_ACCOUNT:
        return flags == 0
    if kind == c.KIND_SET_KEY or kind == c.KIND_GRANT_ROLE:
        if flags == 0:
            return kind == c.KIND_GRANT_ROLE
        return flags != c.KEY_ED25519 and flags != c.KEY_P256 and flags != c.KEY_P256_ODD
    return False


@njit
def _stray(operation, words, i, kind, flags):
    """Is a field that this operation does not use other than zero?"""
    stray = c.ZERO
    for word in range(3, 16):
        stray |= words[i, word] & _FORBIDDEN[kind, word]
    if kind == c.KIND_OPEN_ACCOUNT and (operation.first == c.ISSUANCE or operation.first == c.SUSPENSE):
        stray |= words[i, 6] | words[i, 7]
    elif kind == c.KIND_ADD_MEMBERS:
        count = np.int64(operation.count)
        if 1 <= count <= MEMBER_WORDS.size:
            for member in range(count, MEMBER_WORDS.size):
                word = MEMBER_WORDS[member]
                stray |= words[i, word] | words[i, word + 1]
    elif kind == c.KIND_SET_KEY:
        if flags == 0:
            stray |= words[i, 6] | words[i, 7] | words[i, 8] | words[i, 9]
    elif kind == c.KIND_GRANT_ROLE:
        if operation.first != c.ROLE_OPERATOR:
            stray |= words[i, 11]
    elif kind == c.KIND_HOLD:
        if not flags & c.HASH_LOCKED:
            stray |= words[i, 10] | words[i, 11]
            if not flags & c.THREE_PARTY:
                stray |= words[i, 8] | words[i, 9]
    elif kind == c.KIND_POST and not flags & c.PREIMAGE:
        stray |= words[i, 10] | words[i, 11] | words[i, 12] | words[i, 13]
    return stray != c.ZERO


@njit
def _same_ids(words, i, one, other):
    return words[i, one] == words[i, other] and words[i, one + 1] == words[i, other + 1]


@njit
def _names(words, i, kind, flags, operation):
    """Bits of the ids that the operation must name: 1 debit, 2 credit, 4 reference."""
    names = _NAMES[kind]
    if kind == c.KIND_HOLD and flags & c.THREE_PARTY:
        names |= 4
    if kind == c.KIND_OPEN_ACCOUNT:
        names = 1 if operation.first == c.ISSUANCE or operation.first == c.SUSPENSE else 3
    return names


@njit
def _malformed_rare(operation, words, i, kind, flags):
    """The rest of `malformed`, for kinds other than TRANSFER and PAY."""
    if _flags_exclude(kind, flags):
        return c.FLAGS_UNKNOWN
    if _stray(operation, words, i, kind, flags):
        return c.FIELD_MUST_BE_ZERO
    if _AMOUNTS[kind] and operation.amount <= 0:
        return c.AMOUNT_MUST_BE_POSITIVE
    if kind == c.KIND_DEFINE_RULE_SET:
        for k in range(_RULE_AMOUNTS.size):
            if np.int64(words[i, _RULE_AMOUNTS[k]]) < 0:
                return c.AMOUNT_MUST_BE_POSITIVE
    names = _names(words, i, kind, flags, operation)
    for k in range(3):
        if names & (1 << k) and words[i, 4 + 2 * k] | words[i, 5 + 2 * k] == c.ZERO:
            return c.ACCOUNT_ID_MUST_NOT_BE_ZERO
    count = np.int64(operation.count)
    if kind == c.KIND_ADD_MEMBERS and 1 <= count <= MEMBER_WORDS.size:
        for member in range(count):
            word = MEMBER_WORDS[member]
            if words[i, word] | words[i, word + 1] == c.ZERO:
                return c.ACCOUNT_ID_MUST_NOT_BE_ZERO
    if (_TWO[kind] or (kind == c.KIND_OPEN_ACCOUNT and names == 3)) and _same_ids(words, i, 4, 6):
        return c.ACCOUNTS_MUST_BE_DIFFERENT
    if kind == c.KIND_SEND and (_same_ids(words, i, 4, 8) or _same_ids(words, i, 6, 8)):
        return c.ACCOUNTS_MUST_BE_DIFFERENT
    return _out_of_range(operation, words, i, kind, flags)


@njit
def _out_of_range(operation, words, i, kind, flags):
    """The last of the malformed codes: numbers, counts, kinds, reasons, roles, windows, names, keys."""
    number = np.int64(operation.number)
    count = np.int64(operation.count)
    if _NUMBERS[kind] and (number < 1 or number > _NUMBERS[kind]):
        return c.NUMBER_OUT_OF_RANGE
    if (kind == c.KIND_OPEN_ACCOUNT or kind == c.KIND_SET_RULE_SET) and operation.rule_set > c.RULE_SETS_MAX:
        return c.NUMBER_OUT_OF_RANGE
    if kind == c.KIND_OPEN_PROGRAMME and (operation.rule_set < 1 or operation.rule_set > c.RULE_SETS_MAX):
        return c.NUMBER_OUT_OF_RANGE
    if kind == c.KIND_DEFINE_RULE_SET:
        for k in range(4):
            if words[i, 4] >> np.uint64(16 * k) & LOW16 > np.uint64(c.GROUPS_MAX):
                return c.NUMBER_OUT_OF_RANGE
    if _COUNTS[kind] and (count < 1 or count > _COUNTS[kind]):
        return c.COUNT_OUT_OF_RANGE
    first = np.int64(operation.first)
    if kind == c.KIND_OPEN_ACCOUNT and (first < 1 or first > c.ACCOUNT_KIND_LAST):
        return c.ACCOUNT_KIND_UNKNOWN
    has_reason = kind == c.KIND_BLOCK_ACCOUNT or kind == c.KIND_UNBLOCK_ACCOUNT or kind == c.KIND_CLOSE_ACCOUNT
    if has_reason and (first < 1 or first > c.REASON_LAST):
        return c.REASON_UNKNOWN
    if kind == c.KIND_GRANT_ROLE and (first < 1 or first > c.ROLE_LAST):
        return c.ROLE_UNKNOWN
    has_window = kind == c.KIND_OPEN_PROGRAMME or kind == c.KIND_DEFINE_RULE_SET or kind == c.KIND_GRANT_ROLE
    if has_window and operation.until_ns <= operation.from_ns:
        return c.WINDOW_MUST_END_AFTER_START
    if (kind == c.KIND_DEFINE_CURRENCY or kind == c.KIND_UPGRADE) and words[i, 4] & np.uint64(0xFF) == c.ZERO:
        return c.ZONE_MUST_NOT_BE_EMPTY
    no_key = words[i, 6] | words[i, 7] | words[i, 8] | words[i, 9] == c.ZERO
    if no_key and (kind == c.KIND_GRANT_ROLE or (kind == c.KIND_SET_KEY and flags)):
        return c.KEY_MUST_NOT_BE_ZERO
    return c.CREATED
