"""The state's arrays, as the kernels see them."""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

import numpy as np

from sycee.core import limits
from sycee.ledger import layout


class Tables(NamedTuple):
    """Every array of the state, as the kernels see it. Lengths are capacities; `counters` says what is in use."""

    accounts: Any  # (capacity,) layout.ACCOUNT
    purses: Any  # (capacity,) layout.PURSE
    movements: Any  # (capacity,) layout.MOVEMENT; number 1 stands at index 0
    bound: Any  # (capacity,) layout.BOUND
    account_slots: Any  # (power of two + 1,) u64: fingerprint << 32 | row + 1, 0 is free; last comes the hash's key
    bound_slots: Any
    rule_sets: Any  # (numbers,) layout.RULE_SET
    programmes: Any  # (numbers,) layout.PROGRAMME
    group_rows: Any  # (GROUPS_MAX + 1,) u16 by number: row + 1 in group_bits, 0 undefined
    group_bits: Any  # (groups, words) u64: bit p of a row says that payee p belongs
    issuance: Any  # (1000,) i64 by currency: 0 undefined, -1 defined, else row + 1 of its issuance account
    counters: Any  # (8,) i64
    scratch: Any  # (2, PURSES_PER_WALLET_MAX) i64: purses and amounts of the pay at hand


def empty_slots(size: int) -> np.ndarray[Any, Any]:
    """An index with room for `size` slots, a power of two, and a fresh key behind them.

    The key decides where ids stand in this process' memory and nothing else: no answer, no digest, no byte on disk.
    """
    slots = np.zeros(size + 1, np.uint64)
    slots[size] = secrets.randbits(64)
    return slots


def empty_tables() -> Tables:
    """The smallest tables; the state grows them."""
    return Tables(
        accounts=np.zeros(1024, layout.ACCOUNT),
        purses=np.zeros(0, layout.PURSE),
        movements=np.zeros(4096, layout.MOVEMENT),
        bound=np.zeros(1024, layout.BOUND),
        account_slots=empty_slots(4096),
        bound_slots=empty_slots(4096),
        rule_sets=np.zeros(16, layout.RULE_SET),
        programmes=np.zeros(16, layout.PROGRAMME),
        group_rows=np.zeros(limits.GROUPS_MAX + 1, np.uint16),
        group_bits=np.zeros((1, 16), np.uint64),
        issuance=np.zeros(1000, np.int64),
        counters=np.zeros(8, np.int64),
        scratch=np.zeros((2, limits.PURSES_PER_WALLET_MAX), np.int64),
    )
