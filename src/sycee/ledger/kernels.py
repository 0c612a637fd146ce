"""The compiled heart of the ledger: `resolve` and `apply`, one pass each over a frame's records.

Arrays in, codes out, nothing allocated, no Python object touched, the GIL released. docs/reference/ledger.md says what
each operation does; the checks below stand in its order. The twin is `sycee.testing.naive`.

numba facts this file minds: int64 wraps silently, so every sum is compared before it is added; uint64 never meets
int64; an index out of range reads garbage, so rows come only from our own tables.

`apply` stops early, with a reason in `counters[STOP]`, when it meets an operation that Python handles (definitions and
seals, which are rare) or needs a larger table; the state then grows it and goes on at the same operation.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sycee.core import compiled, limits
from sycee.core.codes import Result
from sycee.ledger import layout
from sycee.ledger.layout import AccountKind, Block, Kind, PayFlag, Purpose, PurseState

import numba  # isort: skip  (after sycee.core.compiled, which chooses its cache folder)
import numpy as np
from numba import njit

assert compiled.CACHE_VARIABLE


class Tables(NamedTuple):
    """Every array of the state, as the kernels see it. Lengths are capacities; `counters` says what is in use."""

    accounts: Any  # (capacity,) layout.ACCOUNT
    purses: Any  # (capacity,) layout.PURSE
    movements: Any  # (capacity,) layout.MOVEMENT; number 1 stands at index 0
    bound: Any  # (capacity,) layout.BOUND
    account_slots: Any  # (power of two,) u64: fingerprint << 32 | row + 1; 0 is free
    bound_slots: Any
    rule_sets: Any  # (numbers,) layout.RULE_SET
    programmes: Any  # (numbers,) layout.PROGRAMME
    groups_defined: Any  # (GROUPS_MAX + 1,) u8
    group_bits: Any  # (groups, words) u64: bit p of a row says that payee p belongs
    issuance: Any  # (1000,) i64 by currency: 0 undefined, -1 defined, else row + 1 of its issuance account
    counters: Any  # (8,) i64
    scratch: Any  # (2, PURSES_PER_WALLET_MAX) i64: purses and amounts of the pay at hand


# Indices of counters.
ACCOUNTS: Final = 0
PURSES: Final = 1
MOVEMENTS: Final = 2
BOUND: Final = 3
PAYEES: Final = 4
STOP: Final = 5
NEED: Final = 6

# Reasons to stop.
DONE: Final = 0
ADMINISTRATIVE: Final = 1
GROW_MOVEMENTS: Final = 2
GROW_GROUPS: Final = 3

PENDING: Final = 65_535  # resolve's mark for an operation that the ledger does not know yet
KINDS: Final = 64
MOVEMENTS_OF_A_PAY_MAX: Final = 2 * limits.PURSES_PER_WALLET_MAX + 2

_MAX = limits.I64_MAX
_PURSE_BIT = layout.PURSE_BIT
_LOW32 = np.uint64(0xFFFFFFFF)
_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_MIX_3 = np.uint64(0x9E3779B97F4A7C15)
_S32 = np.uint64(32)
_S33 = np.uint64(33)
_S29 = np.uint64(29)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)

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


def _forbidden_bits() -> np.ndarray:
    table = np.zeros((KINDS, 16), dtype=np.uint64)
    for kind, uses in _USES.items():
        for word in range(3, 16):
            table[kind, word] = _ALL & ~uses.get(word, 0)
        table[kind, 0] = 1  # the kind is known
    return table


_FORBIDDEN = _forbidden_bits()
_FLAGS = np.zeros(KINDS, dtype=np.int64)
_FLAGS[Kind.BLOCK_ACCOUNT] = Block.DEBIT | Block.CREDIT
_FLAGS[Kind.PAY] = PayFlag.PURSES_ONLY | PayFlag.OWN_ONLY
_NUMBERS = np.zeros(KINDS, dtype=np.int64)  # the highest number a kind takes; 0: it takes none
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
_COUNTS = np.zeros(KINDS, dtype=np.int64)  # the highest count a kind takes; 0: it takes none
for _kind, _highest in (
    (Kind.OPEN_PROGRAMME, limits.COHORT_MEMBERS_MAX),
    (Kind.ADD_MEMBERS, limits.MEMBERS_PER_RECORD_MAX),
    (Kind.DROP, limits.COHORT_MEMBERS_MAX),
    (Kind.EXPIRE, limits.COHORT_MEMBERS_MAX),
):
    _COUNTS[_kind] = _highest
_MEMBER_WORDS = np.array(layout.MEMBER_WORDS, dtype=np.int64)

# Enum members as plain integers, so that the kernels see constants.
_K_DEFINE_CURRENCY, _K_DEFINE_GROUP, _K_JOIN_GROUP, _K_LEAVE_GROUP = 1, 2, 3, 4
_K_DEFINE_RULE_SET, _K_OPEN_ACCOUNT, _K_BLOCK_ACCOUNT, _K_CLOSE_ACCOUNT = 5, 10, 11, 12
_K_OPEN_PROGRAMME, _K_ADD_MEMBERS, _K_SEAL_COHORT, _K_DROP, _K_CLAIM, _K_EXPIRE = 20, 21, 22, 23, 24, 25
_K_TRANSFER, _K_PAY, _K_REFUND = 30, 31, 32
assert [int(k) for k in Kind] == [1, 2, 3, 4, 5, 10, 11, 12, 20, 21, 22, 23, 24, 25, 30, 31, 32]
_ISSUANCE, _SUSPENSE, _ACCOUNT_KIND_LAST = int(AccountKind.ISSUANCE), int(AccountKind.SUSPENSE), int(max(AccountKind))
_BLOCK_DEBIT, _BLOCK_CREDIT, _CLOSED = int(Block.DEBIT), int(Block.CREDIT), int(Block.CLOSED)
_PURSES_ONLY, _OWN_ONLY = int(PayFlag.PURSES_ONLY), int(PayFlag.OWN_ONLY)
_EMPTY, _DROPPED, _CLAIMED, _EXPIRED = (int(s) for s in PurseState)
_P_TRANSFER, _P_PAY_OWN, _P_PAY_PURSE, _P_DROP = 1, 2, 3, 4
_P_REFUND_OWN, _P_REFUND_PURSE, _P_RETURN, _P_REFUND_SUSPENSE, _P_RETURN_SUSPENSE = 5, 6, 7, 8, 9
assert [int(p) for p in Purpose] == list(range(1, 10))
_PURSES_PER_WALLET = limits.PURSES_PER_WALLET_MAX
_GROUPS_PER_RULE_SET = limits.GROUPS_PER_RULE_SET_MAX
_RULE_SETS_MAX, _GROUPS_MAX = limits.RULE_SETS_MAX, limits.GROUPS_MAX

R = {result.name: int(result) for result in Result}
CREATED = R["CREATED"]
EXISTS = R["EXISTS"]
EXISTS_WITH_DIFFERENT_CONTENT = R["EXISTS_WITH_DIFFERENT_CONTENT"]
ID_MUST_NOT_BE_ZERO = R["ID_MUST_NOT_BE_ZERO"]
KIND_UNKNOWN = R["KIND_UNKNOWN"]
FLAGS_UNKNOWN = R["FLAGS_UNKNOWN"]
FIELD_MUST_BE_ZERO = R["FIELD_MUST_BE_ZERO"]
AMOUNT_MUST_BE_POSITIVE = R["AMOUNT_MUST_BE_POSITIVE"]
ACCOUNT_ID_MUST_NOT_BE_ZERO = R["ACCOUNT_ID_MUST_NOT_BE_ZERO"]
ACCOUNTS_MUST_BE_DIFFERENT = R["ACCOUNTS_MUST_BE_DIFFERENT"]
NUMBER_OUT_OF_RANGE = R["NUMBER_OUT_OF_RANGE"]
COUNT_OUT_OF_RANGE = R["COUNT_OUT_OF_RANGE"]
ACCOUNT_KIND_UNKNOWN = R["ACCOUNT_KIND_UNKNOWN"]
WINDOW_MUST_END_AFTER_START = R["WINDOW_MUST_END_AFTER_START"]
ZONE_MUST_NOT_BE_EMPTY = R["ZONE_MUST_NOT_BE_EMPTY"]
CURRENCY_NOT_FOUND = R["CURRENCY_NOT_FOUND"]
GROUP_NOT_FOUND = R["GROUP_NOT_FOUND"]
RULE_SET_NOT_FOUND = R["RULE_SET_NOT_FOUND"]
PROGRAMME_NOT_FOUND = R["PROGRAMME_NOT_FOUND"]
ACCOUNT_EXISTS = R["ACCOUNT_EXISTS"]
ISSUANCE_EXISTS = R["ISSUANCE_EXISTS"]
SUSPENSE_NOT_FOUND = R["SUSPENSE_NOT_FOUND"]
ACCOUNT_NOT_FOUND = R["ACCOUNT_NOT_FOUND"]
DEBIT_ACCOUNT_NOT_FOUND = R["DEBIT_ACCOUNT_NOT_FOUND"]
CREDIT_ACCOUNT_NOT_FOUND = R["CREDIT_ACCOUNT_NOT_FOUND"]
ORIGINAL_NOT_FOUND = R["ORIGINAL_NOT_FOUND"]
ORIGINAL_IS_NOT_A_PAY = R["ORIGINAL_IS_NOT_A_PAY"]
ORIGINAL_WAS_REFUSED = R["ORIGINAL_WAS_REFUSED"]
COHORT_SEALED = R["COHORT_SEALED"]
COHORT_NOT_SEALED = R["COHORT_NOT_SEALED"]
SEAL_DIFFERS = R["SEAL_DIFFERS"]
MEMBER_NOT_FOUND = R["MEMBER_NOT_FOUND"]
MEMBERS_OUT_OF_ORDER = R["MEMBERS_OUT_OF_ORDER"]
MEMBER_DIFFERS = R["MEMBER_DIFFERS"]
CURRENCIES_MUST_MATCH = R["CURRENCIES_MUST_MATCH"]
ACCOUNT_MUST_STAY_OPEN = R["ACCOUNT_MUST_STAY_OPEN"]
ACCOUNT_CLOSED = R["ACCOUNT_CLOSED"]
DEBIT_ACCOUNT_CLOSED = R["DEBIT_ACCOUNT_CLOSED"]
CREDIT_ACCOUNT_CLOSED = R["CREDIT_ACCOUNT_CLOSED"]
DEBIT_ACCOUNT_BLOCKED = R["DEBIT_ACCOUNT_BLOCKED"]
CREDIT_ACCOUNT_BLOCKED = R["CREDIT_ACCOUNT_BLOCKED"]
PURSE_NOT_DROPPED = R["PURSE_NOT_DROPPED"]
PURSE_CLAIMED = R["PURSE_CLAIMED"]
PROGRAMME_EXPIRED = R["PROGRAMME_EXPIRED"]
PROGRAMME_NOT_EXPIRED = R["PROGRAMME_NOT_EXPIRED"]
CLAIM_WINDOW_NOT_OPEN = R["CLAIM_WINDOW_NOT_OPEN"]
CLAIM_WINDOW_CLOSED = R["CLAIM_WINDOW_CLOSED"]
TOO_MANY_PURSES = R["TOO_MANY_PURSES"]
ACCOUNT_NOT_EMPTY = R["ACCOUNT_NOT_EMPTY"]
EXCEEDS_REFUNDABLE = R["EXCEEDS_REFUNDABLE"]
OVERFLOWS_DEBITS = R["OVERFLOWS_DEBITS"]
OVERFLOWS_CREDITS = R["OVERFLOWS_CREDITS"]
EXCEEDS_BALANCE = R["EXCEEDS_BALANCE"]


# --- the shape of a record --------------------------------------------------------------------------------------


@njit
def _malformed(operations, words, i):  # type: ignore[no-untyped-def]
    """CREATED where the bytes of operation `i` alone give no reason to refuse it, else the first reason."""
    operation = operations[i]
    if operation.id_low == _ZERO and operation.id_high == _ZERO:
        return ID_MUST_NOT_BE_ZERO
    kind = np.int64(operation.kind)
    if kind >= KINDS or _FORBIDDEN[kind, 0] == _ZERO:
        return KIND_UNKNOWN
    flags = np.int64(operation.flags)
    if flags & ~_FLAGS[kind] or (kind == _K_PAY and flags == _PURSES_ONLY | _OWN_ONLY):
        return FLAGS_UNKNOWN
    stray = _ZERO
    for word in range(3, 16):
        stray |= words[i, word] & _FORBIDDEN[kind, word]
    if stray != _ZERO:
        return FIELD_MUST_BE_ZERO
    if kind >= _K_TRANSFER or kind == _K_DROP:
        if kind == _K_REFUND or kind == _K_DROP:
            if operation.amount <= 0:
                return AMOUNT_MUST_BE_POSITIVE
        else:
            if operation.amount <= 0:
                return AMOUNT_MUST_BE_POSITIVE
            if words[i, 4] | words[i, 5] == _ZERO or words[i, 6] | words[i, 7] == _ZERO:
                return ACCOUNT_ID_MUST_NOT_BE_ZERO
            if words[i, 4] == words[i, 6] and words[i, 5] == words[i, 7]:
                return ACCOUNTS_MUST_BE_DIFFERENT
            return CREATED
    return _malformed_rare(operation, words, i, kind)


@njit
def _malformed_rare(operation, words, i, kind):  # type: ignore[no-untyped-def]
    """The rest of `_malformed`, for kinds other than TRANSFER and PAY."""
    debit_zero = words[i, 4] | words[i, 5] == _ZERO
    credit_zero = words[i, 6] | words[i, 7] == _ZERO
    reference_zero = words[i, 8] | words[i, 9] == _ZERO
    count = np.int64(operation.count)
    number = np.int64(operation.number)
    if kind == _K_OPEN_ACCOUNT:
        if operation.first == _ISSUANCE or operation.first == _SUSPENSE:
            if not credit_zero:
                return FIELD_MUST_BE_ZERO
            if debit_zero:
                return ACCOUNT_ID_MUST_NOT_BE_ZERO
        else:
            if debit_zero or credit_zero:
                return ACCOUNT_ID_MUST_NOT_BE_ZERO
            if words[i, 4] == words[i, 6] and words[i, 5] == words[i, 7]:
                return ACCOUNTS_MUST_BE_DIFFERENT
        if operation.rule_set > _RULE_SETS_MAX:
            return NUMBER_OUT_OF_RANGE
    elif kind == _K_ADD_MEMBERS:
        if 1 <= count <= _MEMBER_WORDS.size:
            for member in range(count, _MEMBER_WORDS.size):
                word = _MEMBER_WORDS[member]
                if words[i, word] | words[i, word + 1] != _ZERO:
                    return FIELD_MUST_BE_ZERO
            for member in range(count):
                word = _MEMBER_WORDS[member]
                if words[i, word] | words[i, word + 1] == _ZERO:
                    return ACCOUNT_ID_MUST_NOT_BE_ZERO
    elif kind == _K_JOIN_GROUP or kind == _K_LEAVE_GROUP or kind == _K_BLOCK_ACCOUNT or kind == _K_CLOSE_ACCOUNT:
        if debit_zero:
            return ACCOUNT_ID_MUST_NOT_BE_ZERO
    elif kind == _K_OPEN_PROGRAMME:
        if debit_zero:
            return ACCOUNT_ID_MUST_NOT_BE_ZERO
        if operation.rule_set < 1 or operation.rule_set > _RULE_SETS_MAX:
            return NUMBER_OUT_OF_RANGE
    elif kind == _K_DROP or kind == _K_REFUND:
        if reference_zero:
            return ACCOUNT_ID_MUST_NOT_BE_ZERO
    elif kind == _K_CLAIM:
        if reference_zero or credit_zero:
            return ACCOUNT_ID_MUST_NOT_BE_ZERO
    elif kind == _K_DEFINE_RULE_SET:
        for word in range(4, 6):
            if words[i, word] & _LOW32 > np.uint64(_GROUPS_MAX) or words[i, word] >> _S32 > np.uint64(_GROUPS_MAX):
                return NUMBER_OUT_OF_RANGE
    if _NUMBERS[kind] and (number < 1 or number > _NUMBERS[kind]):
        return NUMBER_OUT_OF_RANGE
    if _COUNTS[kind] and (count < 1 or count > _COUNTS[kind]):
        return COUNT_OUT_OF_RANGE
    if kind == _K_OPEN_ACCOUNT and (operation.first < 1 or operation.first > _ACCOUNT_KIND_LAST):
        return ACCOUNT_KIND_UNKNOWN
    if (kind == _K_OPEN_PROGRAMME or kind == _K_DEFINE_RULE_SET) and operation.until_ns <= operation.from_ns:
        return WINDOW_MUST_END_AFTER_START
    if kind == _K_DEFINE_CURRENCY and words[i, 4] & np.uint64(0xFF) == _ZERO:
        return ZONE_MUST_NOT_BE_EMPTY
    return CREATED


# --- look-ups -----------------------------------------------------------------------------------------------------


@njit
def _hash(low, high):  # type: ignore[no-untyped-def]
    x = low ^ (high * _MIX_3)
    x ^= x >> _S33
    x *= _MIX_1
    x ^= x >> _S29
    x *= _MIX_2
    x ^= x >> _S32
    return x


@njit
def _content(words, i):  # type: ignore[no-untyped-def]
    """Hash of bytes 16 to 127. A collision would take two requests of one caller under one id; see the decision page."""
    x = _MIX_3
    for word in range(2, 16):
        x = (x ^ words[i, word]) * _MIX_1
        x ^= x >> _S29
    return _hash(x, words[i, 2])


@njit
def _find(slots, rows, low, high):  # type: ignore[no-untyped-def]
    """Row of the id in `rows`, or -1. Linear probing; a 32-bit fingerprint saves most misses."""
    mask = np.int64(slots.size - 1)
    hashed = _hash(low, high)
    fingerprint = hashed >> _S32
    at = np.int64(hashed & _LOW32) & mask
    while True:
        slot = slots[at]
        if slot == _ZERO:
            return np.int64(-1)
        if slot >> _S32 == fingerprint:
            row = np.int64(slot & _LOW32) - 1
            if rows[row].id_low == low and rows[row].id_high == high:
                return row
        at = (at + 1) & mask


@njit
def _insert(slots, low, high, row):  # type: ignore[no-untyped-def]
    mask = np.int64(slots.size - 1)
    hashed = _hash(low, high)
    at = np.int64(hashed & _LOW32) & mask
    while slots[at] != _ZERO:
        at = (at + 1) & mask
    slots[at] = ((hashed >> _S32) << _S32) | np.uint64(row + 1)


@njit
def _bind(tables, words, i, operation, place, result, first_movement):  # type: ignore[no-untyped-def]
    row = tables.counters[BOUND]
    bound = tables.bound[row]
    bound.id_low = operation.id_low
    bound.id_high = operation.id_high
    bound.content = _content(words, i)
    bound.place = place
    bound.amount = operation.amount
    bound.refunded = 0
    made = tables.counters[MOVEMENTS] - first_movement
    bound.first_movement = first_movement + 1 if made > 0 else 0
    bound.movements = made
    bound.kind = operation.kind
    bound.result = result
    _insert(tables.bound_slots, operation.id_low, operation.id_high, row)
    tables.counters[BOUND] = row + 1


# --- movements ----------------------------------------------------------------------------------------------------


@njit
def _available(account):  # type: ignore[no-untyped-def]
    return account.credits_posted - account.debits_posted - account.debits_pending


@njit
def _left(purse):  # type: ignore[no-untyped-def]
    return purse.dropped - purse.spent + purse.refunded - purse.returned - purse.pending


@njit
def _move(tables, place, purpose, leg, debit_row, credit_row, amount):  # type: ignore[no-untyped-def]
    """One movement between accounts. The caller has checked everything."""
    debit = tables.accounts[debit_row]
    credit = tables.accounts[credit_row]
    number = tables.counters[MOVEMENTS] + 1
    movement = tables.movements[number - 1]
    debit.debits_posted += amount
    credit.credits_posted += amount
    movement.debit_row = debit_row
    movement.credit_row = credit_row
    movement.amount = amount
    movement.debit_balance = debit.credits_posted - debit.debits_posted
    movement.credit_balance = credit.credits_posted - credit.debits_posted
    movement.debit_previous = debit.last_movement
    movement.credit_previous = credit.last_movement
    movement.place = place
    movement.purpose = purpose
    movement.leg = min(leg, 65_535)
    movement.reserved = 0
    debit.last_movement = number
    credit.last_movement = number
    tables.counters[MOVEMENTS] = number


@njit
def _move_to_purse(tables, place, purpose, leg, debit_row, purse_row, amount):  # type: ignore[no-untyped-def]
    """Account to purse: a drop, or a refund on its way back."""
    debit = tables.accounts[debit_row]
    purse = tables.purses[purse_row]
    number = tables.counters[MOVEMENTS] + 1
    movement = tables.movements[number - 1]
    debit.debits_posted += amount
    if purpose == _P_DROP:
        purse.dropped += amount
    else:
        purse.refunded += amount
    movement.debit_row = debit_row
    movement.credit_row = purse_row | _PURSE_BIT
    movement.amount = amount
    movement.debit_balance = debit.credits_posted - debit.debits_posted
    movement.credit_balance = _left(purse)
    movement.debit_previous = debit.last_movement
    movement.credit_previous = purse.last_movement
    movement.place = place
    movement.purpose = purpose
    movement.leg = min(leg, 65_535)
    movement.reserved = 0
    debit.last_movement = number
    purse.last_movement = number
    tables.counters[MOVEMENTS] = number


@njit
def _move_from_purse(tables, place, purpose, leg, purse_row, credit_row, amount):  # type: ignore[no-untyped-def]
    """Purse to account: a payment, or what is left going home."""
    purse = tables.purses[purse_row]
    credit = tables.accounts[credit_row]
    number = tables.counters[MOVEMENTS] + 1
    movement = tables.movements[number - 1]
    if purpose == _P_PAY_PURSE:
        purse.spent += amount
    else:
        purse.returned += amount
    credit.credits_posted += amount
    movement.debit_row = purse_row | _PURSE_BIT
    movement.credit_row = credit_row
    movement.amount = amount
    movement.debit_balance = _left(purse)
    movement.credit_balance = credit.credits_posted - credit.debits_posted
    movement.debit_previous = purse.last_movement
    movement.credit_previous = credit.last_movement
    movement.place = place
    movement.purpose = purpose
    movement.leg = min(leg, 65_535)
    movement.reserved = 0
    purse.last_movement = number
    credit.last_movement = number
    tables.counters[MOVEMENTS] = number


# --- money --------------------------------------------------------------------------------------------------------


@njit
def _pair(tables, operation):  # type: ignore[no-untyped-def]
    """Checks that TRANSFER and PAY share: (code, debit row, credit row)."""
    debit_row = _find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if debit_row < 0:
        return DEBIT_ACCOUNT_NOT_FOUND, debit_row, debit_row
    credit_row = _find(tables.account_slots, tables.accounts, operation.credit_low, operation.credit_high)
    if credit_row < 0:
        return CREDIT_ACCOUNT_NOT_FOUND, debit_row, credit_row
    debit = tables.accounts[debit_row]
    credit = tables.accounts[credit_row]
    if debit.currency != credit.currency:
        return CURRENCIES_MUST_MATCH, debit_row, credit_row
    if debit.blocks or credit.blocks:
        if debit.blocks & _CLOSED:
            return DEBIT_ACCOUNT_CLOSED, debit_row, credit_row
        if credit.blocks & _CLOSED:
            return CREDIT_ACCOUNT_CLOSED, debit_row, credit_row
        if debit.blocks & _BLOCK_DEBIT:
            return DEBIT_ACCOUNT_BLOCKED, debit_row, credit_row
        if credit.blocks & _BLOCK_CREDIT:
            return CREDIT_ACCOUNT_BLOCKED, debit_row, credit_row
    return CREATED, debit_row, credit_row


@njit
def _transfer(tables, operation, place):  # type: ignore[no-untyped-def]
    code, debit_row, credit_row = _pair(tables, operation)
    if code != CREATED:
        return code
    debit = tables.accounts[debit_row]
    amount = operation.amount
    if debit.debits_posted > _MAX - amount:
        return OVERFLOWS_DEBITS
    if tables.accounts[credit_row].credits_posted > _MAX - amount:
        return OVERFLOWS_CREDITS
    if _available(debit) < amount and debit.kind != _ISSUANCE:
        return EXCEEDS_BALANCE
    _move(tables, place, _P_TRANSFER, 0, debit_row, credit_row, amount)
    return CREATED


@njit
def _allows(tables, rule_set, payee):  # type: ignore[no-untyped-def]
    """May money under this rule set reach this account? No group named means every payee."""
    rules = tables.rule_sets[rule_set]
    named = False
    for k in range(_GROUPS_PER_RULE_SET):
        group = np.int64(rules.groups[k])
        if group:
            named = True
            bit = np.int64(payee)
            if bit and tables.group_bits[group, bit >> 6] >> np.uint64(bit & 63) & _ONE:
                return True
    return not named


@njit
def _pay(tables, operation, place, now_ns):  # type: ignore[no-untyped-def]
    code, debit_row, credit_row = _pair(tables, operation)
    if code != CREATED:
        return code
    debit = tables.accounts[debit_row]
    credit = tables.accounts[credit_row]
    amount = operation.amount
    flags = np.int64(operation.flags)
    overflows = debit.debits_posted > _MAX - amount
    remaining = amount
    legs = 0
    if not flags & _OWN_ONLY:
        link = np.int64(debit.first_purse)
        while link and remaining > 0:
            purse = tables.purses[link - 1]
            rule_set = np.int64(tables.programmes[purse.programme].rule_set)
            rules = tables.rule_sets[rule_set]
            left = _left(purse)
            if left > 0 and rules.from_ns <= now_ns < rules.until_ns and _allows(tables, rule_set, credit.payee):
                take = min(left, remaining)
                overflows = overflows or purse.spent > _MAX - amount
                tables.scratch[0, legs] = link - 1
                tables.scratch[1, legs] = take
                legs += 1
                remaining -= take
            link = np.int64(purse.next_purse)
    if overflows:
        return OVERFLOWS_DEBITS
    if credit.credits_posted > _MAX - amount:
        return OVERFLOWS_CREDITS
    if remaining > 0:
        if flags & _PURSES_ONLY:
            return EXCEEDS_BALANCE
        if _available(debit) < remaining and debit.kind != _ISSUANCE:
            return EXCEEDS_BALANCE
    for leg in range(legs):
        _move_from_purse(tables, place, _P_PAY_PURSE, leg, tables.scratch[0, leg], credit_row, tables.scratch[1, leg])
    if remaining > 0:
        _move(tables, place, _P_PAY_OWN, legs, debit_row, credit_row, remaining)
    return CREATED


@njit
def _takes_or_suspense(tables, row, purpose, suspense_purpose):  # type: ignore[no-untyped-def]
    """The account itself where it can be credited, else its operator's suspense account; and the purpose to write.

    An ISSUANCE account is its own suspense account: the purpose then still says that it could not be credited.
    """
    account = tables.accounts[row]
    if account.blocks & (_CLOSED | _BLOCK_CREDIT):
        return np.int64(account.suspense), suspense_purpose
    return np.int64(row), purpose


@njit
def _refund(tables, operation, place, now_ns):  # type: ignore[no-untyped-def]
    original_row = _find(tables.bound_slots, tables.bound, operation.reference_low, operation.reference_high)
    if original_row < 0:
        return ORIGINAL_NOT_FOUND
    original = tables.bound[original_row]
    if original.kind != _K_PAY:
        return ORIGINAL_IS_NOT_A_PAY
    if original.result != CREATED:
        return ORIGINAL_WAS_REFUSED
    amount = operation.amount
    oldest = np.int64(original.first_movement)
    newest = oldest + np.int64(original.movements) - 1
    payee_row = np.int64(tables.movements[oldest - 1].credit_row)
    payee = tables.accounts[payee_row]
    if payee.blocks & _CLOSED:
        return DEBIT_ACCOUNT_CLOSED
    if payee.blocks & _BLOCK_DEBIT:
        return DEBIT_ACCOUNT_BLOCKED
    if amount > original.amount - original.refunded:
        return EXCEEDS_REFUNDABLE
    if payee.debits_posted > _MAX - amount:
        return OVERFLOWS_DEBITS
    # The legs laid end to end, own money first and then the purses from the last to the first, are the pay's
    # movements read backwards; this refund is the slice [refunded, refunded + amount) of them.
    for doing in range(2):
        start = np.int64(0)
        leg = 0
        for number in range(newest, oldest - 1, -1):
            paid = tables.movements[number - 1]
            part = min(start + paid.amount, original.refunded + amount) - max(start, original.refunded)
            start += paid.amount
            if part <= 0:
                continue
            if paid.purpose == _P_PAY_OWN:
                payer_row = np.int64(paid.debit_row)
                target, purpose = _takes_or_suspense(tables, payer_row, _P_REFUND_OWN, _P_REFUND_SUSPENSE)
                if doing:
                    _move(tables, place, purpose, leg, payee_row, target, part)
                    leg += 1
                elif tables.accounts[target].credits_posted > _MAX - amount:
                    return OVERFLOWS_CREDITS
            else:
                purse_row = np.int64(paid.debit_row) & ~_PURSE_BIT
                purse = tables.purses[purse_row]
                rules = tables.rule_sets[tables.programmes[purse.programme].rule_set]
                home = purse.state == _EXPIRED or now_ns >= rules.until_ns
                target, purpose = _takes_or_suspense(tables, np.int64(rules.return_row), _P_RETURN, _P_RETURN_SUSPENSE)
                if doing:
                    _move_to_purse(tables, place, _P_REFUND_PURSE, leg, payee_row, purse_row, part)
                    leg += 1
                    if home:
                        _move_from_purse(tables, place, purpose, leg, purse_row, target, part)
                        leg += 1
                elif purse.refunded > _MAX - amount or (
                    home and tables.accounts[target].credits_posted > _MAX - amount
                ):
                    return OVERFLOWS_CREDITS
        if not doing and _available(payee) < amount and payee.kind != _ISSUANCE:
            return EXCEEDS_BALANCE
    original.refunded += amount
    return CREATED


# --- accounts -----------------------------------------------------------------------------------------------------


@njit
def _open_account(tables, operation):  # type: ignore[no-untyped-def]
    currency = np.int64(operation.number)
    kind = np.int64(operation.first)
    if tables.issuance[currency] == 0:
        return CURRENCY_NOT_FOUND
    if operation.rule_set and (
        operation.rule_set >= tables.rule_sets.size or not tables.rule_sets[operation.rule_set].defined
    ):
        return RULE_SET_NOT_FOUND
    if _find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high) >= 0:
        return ACCOUNT_EXISTS
    row = tables.counters[ACCOUNTS]
    suspense = row
    if kind == _ISSUANCE:
        if tables.issuance[currency] > 0:
            return ISSUANCE_EXISTS
        tables.issuance[currency] = row + 1
    elif kind != _SUSPENSE:
        suspense = _find(tables.account_slots, tables.accounts, operation.credit_low, operation.credit_high)
        if (
            suspense < 0
            or tables.accounts[suspense].kind != _SUSPENSE
            or tables.accounts[suspense].currency != currency
        ):
            return SUSPENSE_NOT_FOUND
    account = tables.accounts[row]
    account.id_low = operation.debit_low
    account.id_high = operation.debit_high
    account.currency = currency
    account.kind = kind
    account.operator = operation.count
    account.rule_set = operation.rule_set
    account.suspense = suspense
    _insert(tables.account_slots, operation.debit_low, operation.debit_high, row)
    tables.counters[ACCOUNTS] = row + 1
    return CREATED


@njit
def _block_account(tables, operation):  # type: ignore[no-untyped-def]
    row = _find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if row < 0:
        return ACCOUNT_NOT_FOUND
    account = tables.accounts[row]
    if account.kind == _SUSPENSE:
        return ACCOUNT_MUST_STAY_OPEN
    if account.blocks & _CLOSED:
        return ACCOUNT_CLOSED
    account.blocks = operation.flags
    return CREATED


@njit
def _close_account(tables, operation):  # type: ignore[no-untyped-def]
    row = _find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if row < 0:
        return ACCOUNT_NOT_FOUND
    account = tables.accounts[row]
    if account.kind == _SUSPENSE or account.kind == _ISSUANCE:
        return ACCOUNT_MUST_STAY_OPEN
    if account.blocks & _CLOSED:
        return ACCOUNT_CLOSED
    if account.credits_posted != account.debits_posted or account.debits_pending or account.credits_pending:
        return ACCOUNT_NOT_EMPTY
    account.blocks |= _CLOSED
    return CREATED


@njit
def _group_membership(tables, operation, joins):  # type: ignore[no-untyped-def]
    group = np.int64(operation.number)
    if not tables.groups_defined[group]:
        return GROUP_NOT_FOUND
    row = _find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if row < 0:
        return ACCOUNT_NOT_FOUND
    account = tables.accounts[row]
    if joins:
        if not account.payee:
            tables.counters[PAYEES] += 1
            account.payee = tables.counters[PAYEES]
        bit = np.int64(account.payee)
        tables.group_bits[group, bit >> 6] |= _ONE << np.uint64(bit & 63)
    elif account.payee:
        bit = np.int64(account.payee)
        tables.group_bits[group, bit >> 6] &= ~(_ONE << np.uint64(bit & 63))
    return CREATED


# --- programmes ---------------------------------------------------------------------------------------------------


@njit
def _has_programme(tables, number):  # type: ignore[no-untyped-def]
    return number < tables.programmes.size and tables.programmes[number].defined != 0


@njit
def _add_members(tables, operation, words, i):  # type: ignore[no-untyped-def]
    number = np.int64(operation.number)
    if not _has_programme(tables, number):
        return PROGRAMME_NOT_FOUND
    programme = tables.programmes[number]
    if programme.sealed:
        return COHORT_SEALED
    first = np.int64(operation.first)
    count = np.int64(operation.count)
    if first + count > np.int64(programme.count):
        return MEMBER_NOT_FOUND
    if first != np.int64(programme.filled):
        return MEMBERS_OUT_OF_ORDER
    for member in range(count):
        purse = tables.purses[programme.first_purse + first + member]
        purse.member_low = words[i, _MEMBER_WORDS[member]]
        purse.member_high = words[i, _MEMBER_WORDS[member] + 1]
    programme.filled += count
    return CREATED


@njit
def _drop(tables, operation, place, now_ns):  # type: ignore[no-untyped-def]
    number = np.int64(operation.number)
    if not _has_programme(tables, number):
        return PROGRAMME_NOT_FOUND
    programme = tables.programmes[number]
    if not programme.sealed:
        return COHORT_NOT_SEALED
    if programme.seal_low != operation.reference_low or programme.seal_high != operation.reference_high:
        return SEAL_DIFFERS
    first = np.int64(operation.first)
    count = np.int64(operation.count)
    if first + count > np.int64(programme.count):
        return MEMBER_NOT_FOUND
    funder_row = np.int64(programme.funder)
    funder = tables.accounts[funder_row]
    if funder.blocks & _CLOSED:
        return DEBIT_ACCOUNT_CLOSED
    if funder.blocks & _BLOCK_DEBIT:
        return DEBIT_ACCOUNT_BLOCKED
    if now_ns >= tables.rule_sets[programme.rule_set].until_ns:
        return PROGRAMME_EXPIRED
    amount = operation.amount
    to_fill = np.int64(0)
    for row in range(programme.first_purse + first, programme.first_purse + first + count):
        if tables.purses[row].state == _EMPTY:
            to_fill += 1
    if to_fill > 0:
        if amount > _MAX // to_fill or funder.debits_posted > _MAX - amount * to_fill:
            return OVERFLOWS_DEBITS
        if _available(funder) < amount * to_fill and funder.kind != _ISSUANCE:
            return EXCEEDS_BALANCE
    leg = 0
    for row in range(programme.first_purse + first, programme.first_purse + first + count):
        purse = tables.purses[row]
        if purse.state == _EMPTY:
            purse.state = _DROPPED
            _move_to_purse(tables, place, _P_DROP, leg, funder_row, row, amount)
            leg += 1
    return CREATED


@njit
def _comes_before(tables, purse_row, other_row):  # type: ignore[no-untyped-def]
    """Order of purses within a wallet: earliest end first, then lower programme, then lower member."""
    purse = tables.purses[purse_row]
    other = tables.purses[other_row]
    until_ns = tables.rule_sets[tables.programmes[purse.programme].rule_set].until_ns
    other_until_ns = tables.rule_sets[tables.programmes[other.programme].rule_set].until_ns
    if until_ns != other_until_ns:
        return until_ns < other_until_ns
    if purse.programme != other.programme:
        return purse.programme < other.programme
    return purse_row < other_row


@njit
def _claim(tables, operation, now_ns):  # type: ignore[no-untyped-def]
    number = np.int64(operation.number)
    if not _has_programme(tables, number):
        return PROGRAMME_NOT_FOUND
    programme = tables.programmes[number]
    wallet_row = _find(tables.account_slots, tables.accounts, operation.credit_low, operation.credit_high)
    if wallet_row < 0:
        return CREDIT_ACCOUNT_NOT_FOUND
    if not programme.sealed:
        return COHORT_NOT_SEALED
    member = np.int64(operation.first)
    if member >= np.int64(programme.count):
        return MEMBER_NOT_FOUND
    purse_row = programme.first_purse + member
    purse = tables.purses[purse_row]
    if purse.member_low != operation.reference_low or purse.member_high != operation.reference_high:
        return MEMBER_DIFFERS
    wallet = tables.accounts[wallet_row]
    if wallet.currency != programme.currency:
        return CURRENCIES_MUST_MATCH
    if wallet.blocks & _CLOSED:
        return CREDIT_ACCOUNT_CLOSED
    if wallet.blocks & _BLOCK_CREDIT:
        return CREDIT_ACCOUNT_BLOCKED
    if purse.state == _EMPTY:
        return PURSE_NOT_DROPPED
    if purse.wallet:
        return PURSE_CLAIMED
    if purse.state == _EXPIRED or now_ns >= tables.rule_sets[programme.rule_set].until_ns:
        return PROGRAMME_EXPIRED
    if now_ns < programme.claim_from_ns:
        return CLAIM_WINDOW_NOT_OPEN
    if now_ns >= programme.claim_until_ns:
        return CLAIM_WINDOW_CLOSED
    if wallet.purses >= _PURSES_PER_WALLET:
        return TOO_MANY_PURSES
    purse.wallet = wallet_row + 1
    purse.state = _CLAIMED
    wallet.purses += 1
    before = np.int64(-1)
    link = np.int64(wallet.first_purse)
    while link and _comes_before(tables, link - 1, purse_row):
        before = link - 1
        link = np.int64(tables.purses[before].next_purse)
    purse.next_purse = link
    if before < 0:
        wallet.first_purse = purse_row + 1
    else:
        tables.purses[before].next_purse = purse_row + 1
    return CREATED


@njit
def _unlink(tables, purse_row):  # type: ignore[no-untyped-def]
    """Take an expiring purse off its wallet's list."""
    wallet = tables.accounts[np.int64(tables.purses[purse_row].wallet) - 1]
    before = np.int64(-1)
    link = np.int64(wallet.first_purse)
    while link - 1 != purse_row:
        before = link - 1
        link = np.int64(tables.purses[before].next_purse)
    if before < 0:
        wallet.first_purse = tables.purses[purse_row].next_purse
    else:
        tables.purses[before].next_purse = tables.purses[purse_row].next_purse
    tables.purses[purse_row].next_purse = 0
    wallet.purses -= 1


@njit
def _expire(tables, operation, place, now_ns):  # type: ignore[no-untyped-def]
    number = np.int64(operation.number)
    if not _has_programme(tables, number):
        return PROGRAMME_NOT_FOUND
    programme = tables.programmes[number]
    if not programme.sealed:
        return COHORT_NOT_SEALED
    first = np.int64(operation.first)
    count = np.int64(operation.count)
    if first + count > np.int64(programme.count):
        return MEMBER_NOT_FOUND
    rules = tables.rule_sets[programme.rule_set]
    if now_ns < rules.until_ns:
        return PROGRAMME_NOT_EXPIRED
    target, purpose = _takes_or_suspense(tables, np.int64(rules.return_row), _P_RETURN, _P_RETURN_SUSPENSE)
    room = _MAX - tables.accounts[target].credits_posted
    for row in range(programme.first_purse + first, programme.first_purse + first + count):
        if tables.purses[row].state != _EXPIRED:
            left = _left(tables.purses[row])
            if left > room:
                return OVERFLOWS_CREDITS
            room -= left
    leg = 0
    for row in range(programme.first_purse + first, programme.first_purse + first + count):
        purse = tables.purses[row]
        if purse.state == _EXPIRED:
            continue
        if purse.state == _CLAIMED:
            _unlink(tables, row)
        purse.state = _EXPIRED
        left = _left(purse)
        if left > 0:
            _move_from_purse(tables, place, purpose, leg, row, target, left)
            leg += 1
    return CREATED


# --- frames -------------------------------------------------------------------------------------------------------


def _resolve(tables, operations, words, answers):  # type: ignore[no-untyped-def]
    """Answer what needs no judgement: malformed operations and known ids. The rest is marked PENDING.

    Returns how many are PENDING. Changes no state.
    """
    pending = 0
    for i in range(operations.size):
        operation = operations[i]
        answer = answers[i]
        answer.first_code = CREATED
        answer.place = _ZERO
        code = _malformed(operations, words, i)
        if code == CREATED:
            row = _find(tables.bound_slots, tables.bound, operation.id_low, operation.id_high)
            if row < 0:
                code = PENDING
                pending += 1
            else:
                code = _known(tables, words, i, answer, row)
        answer.code = code
    return pending


@njit
def _known(tables, words, i, answer, row):  # type: ignore[no-untyped-def]
    bound = tables.bound[row]
    answer.first_code = bound.result
    answer.place = bound.place
    return EXISTS if bound.content == _content(words, i) else EXISTS_WITH_DIFFERENT_CONTENT


def _apply(tables, operations, words, start, sequence, now_ns, answers):  # type: ignore[no-untyped-def]
    """Apply operations[start:] of one frame in order; returns the index at which it stopped (see the top)."""
    counters = tables.counters
    counters[STOP] = DONE
    for i in range(start, operations.size):
        operation = operations[i]
        answer = answers[i]
        place = np.uint64(sequence << limits.PLACE_INDEX_BITS | i)
        answer.first_code = CREATED
        answer.place = place
        code = _malformed(operations, words, i)
        if code != CREATED:
            answer.place = _ZERO
            answer.code = code
            continue
        row = _find(tables.bound_slots, tables.bound, operation.id_low, operation.id_high)
        if row >= 0:
            answer.code = _known(tables, words, i, answer, row)
            continue
        kind = np.int64(operation.kind)
        need = MOVEMENTS_OF_A_PAY_MAX
        if kind == _K_DROP or kind == _K_EXPIRE:
            need = np.int64(operation.count)
            # A range that the programme does not have moves nothing, so it must not grow the table either.
            if not _has_programme(tables, operation.number) or need > tables.programmes[operation.number].count:
                need = 0
        if counters[MOVEMENTS] + need > tables.movements.size:
            counters[STOP] = GROW_MOVEMENTS
            counters[NEED] = need
            return i
        first_movement = counters[MOVEMENTS]
        if kind == _K_TRANSFER:
            code = _transfer(tables, operation, place)
        elif kind == _K_PAY:
            code = _pay(tables, operation, place, now_ns)
        elif kind == _K_REFUND:
            code = _refund(tables, operation, place, now_ns)
        elif kind == _K_CLAIM:
            code = _claim(tables, operation, now_ns)
        elif kind == _K_OPEN_ACCOUNT:
            code = _open_account(tables, operation)
        elif kind == _K_ADD_MEMBERS:
            code = _add_members(tables, operation, words, i)
        elif kind == _K_JOIN_GROUP:
            if (counters[PAYEES] + 1) >> 6 >= tables.group_bits.shape[1]:
                counters[STOP] = GROW_GROUPS
                return i
            code = _group_membership(tables, operation, True)
        elif kind == _K_LEAVE_GROUP:
            code = _group_membership(tables, operation, False)
        elif kind == _K_BLOCK_ACCOUNT:
            code = _block_account(tables, operation)
        elif kind == _K_CLOSE_ACCOUNT:
            code = _close_account(tables, operation)
        elif kind == _K_DROP:
            code = _drop(tables, operation, place, now_ns)
        elif kind == _K_EXPIRE:
            code = _expire(tables, operation, place, now_ns)
        else:
            counters[STOP] = ADMINISTRATIVE
            return i
        _bind(tables, words, i, operation, place, code, first_movement)
        answer.code = code
    return operations.size


def _bind_one(tables, operations, words, i, sequence, result):  # type: ignore[no-untyped-def]
    """Bind operation `i`, which Python handled, to `result`. It made no movement."""
    place = np.uint64(sequence << limits.PLACE_INDEX_BITS | i)
    _bind(tables, words, i, operations[i], place, result, tables.counters[MOVEMENTS])


def _rehash(slots, rows, count):  # type: ignore[no-untyped-def]
    """Fill empty `slots` with the ids of rows[:count]."""
    for row in range(count):
        _insert(slots, rows[row].id_low, rows[row].id_high, row)


def _rows_of(tables, low, high, rows):  # type: ignore[no-untyped-def]
    """Account rows of many ids, -1 where there is none."""
    for i in range(low.size):
        rows[i] = _find(tables.account_slots, tables.accounts, low[i], high[i])


def empty_tables() -> Tables:
    """The smallest tables; the state grows them."""
    return Tables(
        accounts=np.zeros(1024, layout.ACCOUNT),
        purses=np.zeros(0, layout.PURSE),
        movements=np.zeros(4096, layout.MOVEMENT),
        bound=np.zeros(1024, layout.BOUND),
        account_slots=np.zeros(4096, np.uint64),
        bound_slots=np.zeros(4096, np.uint64),
        rule_sets=np.zeros(16, layout.RULE_SET),
        programmes=np.zeros(16, layout.PROGRAMME),
        groups_defined=np.zeros(limits.GROUPS_MAX + 1, np.uint8),
        group_bits=np.zeros((1, 16), np.uint64),
        issuance=np.zeros(1000, np.int64),
        counters=np.zeros(8, np.int64),
        scratch=np.zeros((2, limits.PURSES_PER_WALLET_MAX), np.int64),
    )


_tables_type = numba.typeof(empty_tables())
_operations_type = numba.from_dtype(layout.OPERATION)[::1]
_words_type = numba.uint64[:, ::1]
_answers_type = numba.from_dtype(layout.ANSWER)[::1]
_i64 = numba.int64
_eager = {"cache": True, "nogil": True}

resolve = njit(_i64(_tables_type, _operations_type, _words_type, _answers_type), **_eager)(_resolve)
apply = njit(_i64(_tables_type, _operations_type, _words_type, _i64, _i64, _i64, _answers_type), **_eager)(_apply)
bind = njit(numba.void(_tables_type, _operations_type, _words_type, _i64, _i64, _i64), **_eager)(_bind_one)
rehash_accounts = njit(numba.void(numba.uint64[::1], numba.from_dtype(layout.ACCOUNT)[::1], _i64), **_eager)(_rehash)
rehash_bound = njit(numba.void(numba.uint64[::1], numba.from_dtype(layout.BOUND)[::1], _i64), **_eager)(_rehash)
rows_of = njit(numba.void(_tables_type, numba.uint64[::1], numba.uint64[::1], _i64[::1]), **_eager)(_rows_of)
