"""Amounts that an operation paid, and how much of them was refunded. Refunds have a table: bound rows never change."""

from __future__ import annotations

import numpy as np

from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inline import njit
from sycee.ledger.kernels.lookup import find_number, insert
from sycee.ledger.kernels.undo import touch_value


@njit
def paid_by(tables, bound_row):
    """Return (first movement, number of movements, amount). Of a HOLD: as posted by POST_HOLDS, 0 if it was not."""
    bound = tables.bound[bound_row]
    if bound.kind != c.KIND_HOLD:
        return bound.first_movement, np.int64(bound.movements), bound.amount
    if bound.result != c.CREATED:
        return np.int64(0), np.int64(0), np.int64(0)
    hold = tables.holds[bound.detail]
    return hold.first_movement, np.int64(hold.movements), hold.posted


@njit
def refund_row(tables, bound_row):
    """Return the operation's row in `refunds`, or -1 if nothing was refunded."""
    return find_number(tables.refund_slots, tables.refunds["bound"], bound_row)


@njit
def refunded_of(tables, bound_row):
    """Return how much of a bound operation was refunded so far."""
    row = refund_row(tables, bound_row)
    return tables.refunds[row].refunded if row >= 0 else np.int64(0)


@njit
def note_refund(tables, bound_row, amount):
    """Add to the refunded amount of a bound operation."""
    row = refund_row(tables, bound_row)
    if row < 0:
        row = tables.counters[c.REFUNDS]
        tables.refunds[row].bound = bound_row
        tables.refunds[row].refunded = 0
        insert(tables.refund_slots, np.uint64(bound_row), c.ZERO, row)
        tables.counters[c.REFUNDS] = row + 1
    touch_value(tables, c.VALUE_REFUNDED, row, tables.refunds[row].refunded)
    tables.refunds[row].refunded += amount
