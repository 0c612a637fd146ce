"""Find the rows of accounts by id."""

from __future__ import annotations

from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.ledger import kernels
from sycee.ledger.kernels import indexes

FEW: Final = 256  # ids that are found in less time than it takes to get the interpreter's lock back from a busy thread


def account_rows(tables: kernels.Tables, low: Array, high: Array) -> Array:
    """Return the rows of accounts, (n,) i64, -1 if there is none. `low`, `high`: the halves of their ids, (n,) u64."""
    rows = np.empty(low.size, np.int64)
    find = indexes.rows_of_few if low.size <= FEW else indexes.rows_of
    find(tables.account_slots, tables.accounts, low, high, rows)
    return rows
