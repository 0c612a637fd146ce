"""The linear programme: payments may settle in part. Its prices prove how much no set of whole payments can exceed.

Payments between the same two nodes with the same value per unit of money are one column, so the size of the programme
follows from the number of pairs and not of payments. HiGHS solves it in floating point. Its prices are rounded to
integers, and the bound follows from any prices (weak duality), so nothing about the bound depends on the solver::

    bound = sum over nodes  price * limit  +  sum over payments  max(0, weight - sum over legs (price of the sender
            - price of the receiver) * amount)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sycee.core.errors import require
from sycee.core.extras import extra
from sycee.netting import kernels
from sycee.netting.kernels import PRICE_UNIT
from sycee.netting.queue import Indexes, Integers, Queue
from sycee.netting.solver import quiet_solver

with extra("clearing"):
    import highspy

PRICE_MAX: Final = (1 << 26) - 1
CODES_PER_PAYMENT: Final = 4  # up to which a table of all codes is faster than sorting them
CLASSES_PER_OCTAVE: Final = 8  # classes of value per unit of money


@dataclass(frozen=True)
class Relaxation:
    """The solved linear programme.

    Attributes
    ----------
    shares : float64 [payments]
        Which share of each payment settles, from 0 to 1; equal for all payments of a column.
    columns : int32 [payments]
        The column of each payment.
    column_shares : float64 [columns]
        Which share of the column's sum settles.
    prices : int64 [nodes]
        Price of one minor unit of each node's liquidity, times `PRICE_UNIT`.
    bound : int
        The weight that no set exceeds.

    """

    shares: NDArray[np.float64]
    columns: Indexes
    column_shares: NDArray[np.float64]
    prices: Integers
    bound: int


def relax(queue: Queue) -> Relaxation:
    """Solve the relaxation of a queue with at least one payment."""
    columns, first = _columns(queue)
    count = len(first)
    sums = np.zeros(count)
    worth = np.zeros(count)
    np.add.at(sums, columns, queue.amounts[queue.first_legs].astype(float))
    np.add.at(worth, columns, queue.weights.astype(float))
    # A column is measured in the money of its first leg, scaled so that the solver sees numbers near 1.
    scale = max(float(sums.mean()), 1.0)
    legs_first = queue.first_legs
    legs_end = np.append(legs_first[1:], len(queue.amounts))
    starts, index, value = matrix(queue, legs_first[first], legs_end[first])
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = count, queue.nodes
    lp.sense_ = highspy.ObjSense.kMaximize
    lp.col_cost_ = worth / sums
    lp.col_lower_ = np.zeros(count)
    lp.col_upper_ = sums / scale
    lp.row_lower_ = np.full(queue.nodes, -highspy.kHighsInf)
    lp.row_upper_ = queue.limits / scale
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = starts, index, value
    solver = quiet_solver()
    solver.passModel(lp)
    solver.run()
    found = solver.getSolution()
    require(len(found.col_value) == count, "the solver gave no answer to a linear programme that always has one")
    shares = np.clip(np.asarray(found.col_value) * scale / sums, 0.0, 1.0)
    prices = np.rint(np.abs(np.asarray(found.row_dual)) * PRICE_UNIT).astype(np.int64).clip(0, PRICE_MAX)
    return Relaxation(shares[columns], columns, shares, prices, bound(queue, prices))


def bound(queue: Queue, prices: Integers) -> int:
    """Return the weight that no set of payments exceeds, from prices at least 0 [nodes], exactly.

    Integers only: anybody can compute it again from the prices, without a solver.
    """
    parts = np.zeros(3, np.int64)
    if queue.count:
        first = np.append(queue.first_legs, len(queue.amounts))
        kernels.gains(first, queue.senders, queue.receivers, queue.amounts, queue.weights, prices, parts)
    gains = (int(parts[0]) << 64) + (int(parts[1]) << 32) + int(parts[2])
    liquidity = sum(int(price) * int(limit) for price, limit in zip(prices, queue.limits, strict=True))
    return (gains + liquidity) // PRICE_UNIT


def _columns(queue: Queue) -> tuple[Indexes, NDArray[np.int64]]:
    """Return each payment's column, and a payment of each column.

    One column takes all payments with the same senders and receivers, one amount in all legs, and the same class of
    value. A payment with several amounts is its own column.
    """
    first = queue.first_legs
    counts = np.diff(np.append(first, len(queue.amounts)))
    value = np.rint(np.log2(queue.weights / queue.amounts[first]) * CLASSES_PER_OCTAVE).astype(np.int64)
    differs = np.zeros(queue.count, np.int64)
    several = queue.payments[queue.amounts != np.repeat(queue.amounts[first], counts)]
    differs[several] = 1 + several
    keys = [value - value.min(), differs]
    for place in range(int(counts.max())):
        has = counts > place
        for nodes in (queue.senders, queue.receivers):
            key = np.zeros(queue.count, np.int64)
            key[has] = nodes[first[has] + place] + 1
            keys.append(key)
    codes, size = np.zeros(queue.count, np.int64), 1
    for key in keys:
        width = int(key.max()) + 1
        if size * width >= 1 << 62:
            codes = np.unique(codes, return_inverse=True)[1]
            size = int(codes.max()) + 1
        codes, size = codes * width + key, size * width
    if size > CODES_PER_PAYMENT * queue.count:
        _, example, columns = np.unique(codes, return_index=True, return_inverse=True)
        return columns.astype(np.int32), example
    first_of = np.full(size, queue.count)
    first_of[codes[::-1]] = np.arange(queue.count)[::-1]  # the last one that is written counts: the first payment
    occurs = first_of < queue.count
    return (np.cumsum(occurs) - 1)[codes].astype(np.int32), first_of[occurs]


def matrix(
    queue: Queue, begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int32], Indexes, NDArray[np.float64]]:
    """Return the columns of the programme: each leg takes from its sender and gives to its receiver.

    Legs that meet at one node are summed, since the solver takes no entry twice.
    """
    counts = ends - begins
    column = np.repeat(np.arange(len(begins)), counts)
    legs = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(begins, counts)
    share = queue.amounts[legs] / np.repeat(queue.amounts[begins].astype(float), counts)
    keys = np.concatenate([column * queue.nodes + queue.senders[legs], column * queue.nodes + queue.receivers[legs]])
    entries, places = np.unique(keys, return_inverse=True)
    value = np.bincount(places, np.concatenate([share, -share]), len(entries)).astype(np.float64)
    starts = np.searchsorted(entries // queue.nodes, np.arange(len(begins) + 1))
    return starts.astype(np.int32), (entries % queue.nodes).astype(np.int32), value
