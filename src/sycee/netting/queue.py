"""The queue: payments between nodes, and what each node may pay out net. All amounts are integers."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sycee.core.errors import IntegrityError, UsageError

Integers = NDArray[np.int64]
Indexes = NDArray[np.int32]
Chosen = NDArray[np.bool_]

TOTAL_MAX: Final = 1 << 62  # the sum of all amounts and limits, so that no sum of a part overflows 64 bits
WEIGHT_MAX: Final = 1 << 62  # the sum of all weights


@dataclass(frozen=True)
class Queue:
    """Payments that wait, in order of arrival.

    A payment has one leg, or several that settle together: payment against payment has one in each currency. A node is
    a participant in one currency.

    Attributes
    ----------
    senders, receivers : int32 [legs]
        Nodes of each leg.
    amounts : int64 [legs]
        Minor units of the leg's currency, at least 1.
    limits : int64 [nodes]
        The most that each node may pay out net: its position and its line, at least 0.
    payments : int32 [legs]
        The payment of each leg, ascending from 0 without gaps. Omitted: each leg is a payment.
    weights : int64 [payments]
        Value of settling each payment, at least 1, in one common unit. Omitted: the amount of its first leg.
    priorities : int8 [payments]
        Lower is more urgent; only `fifo` and `release` read it. Omitted: all equal.

    Raises
    ------
    UsageError
        If an array has a wrong shape, an index or amount is out of range, or a sum could exceed 2**62.

    """

    senders: Indexes
    receivers: Indexes
    amounts: Integers
    limits: Integers
    payments: Indexes = field(default_factory=lambda: np.empty(0, np.int32))
    weights: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    priorities: NDArray[np.int8] = field(default_factory=lambda: np.empty(0, np.int8))

    def __post_init__(self) -> None:
        legs = len(self.amounts)
        for name, kind in (("senders", np.int32), ("receivers", np.int32), ("amounts", np.int64), ("limits", np.int64)):
            object.__setattr__(self, name, _integers(getattr(self, name), kind, name))
        if not len(self.payments):
            object.__setattr__(self, "payments", np.arange(legs, dtype=np.int32))
        object.__setattr__(self, "payments", _integers(self.payments, np.int32, "payments"))
        if not len(self.senders) == len(self.receivers) == len(self.payments) == legs:
            raise UsageError("senders, receivers, amounts and payments have different lengths")
        self._check_legs(legs)
        count = self.count
        if not len(self.weights):
            object.__setattr__(self, "weights", self.amounts[self.first_legs])
        if not len(self.priorities):
            object.__setattr__(self, "priorities", np.zeros(count, np.int8))
        object.__setattr__(self, "weights", _integers(self.weights, np.int64, "weights"))
        object.__setattr__(self, "priorities", _integers(self.priorities, np.int8, "priorities"))
        if not len(self.weights) == len(self.priorities) == count:
            raise UsageError(f"weights and priorities need {count} rows, one for each payment")
        if count and (self.weights.min() < 1 or _sum(self.weights) > WEIGHT_MAX):
            raise UsageError("weights are at least 1, and their sum is at most 2**62")

    def _check_legs(self, legs: int) -> None:
        if len(self.limits) and self.limits.min() < 0:
            raise UsageError("a limit is below zero", hint="a node's limit is its position plus its line")
        if _sum(self.amounts) + _sum(self.limits) > TOTAL_MAX:
            raise UsageError("amounts and limits sum to more than 2**62", hint="settle the queue in parts")
        if not legs:
            return
        for name, nodes in (("sender", self.senders), ("receiver", self.receivers)):
            if nodes.min() < 0 or nodes.max() >= self.nodes:
                raise UsageError(f"a {name} is not a node: nodes are 0 to {self.nodes - 1}")
        if self.amounts.min() < 1:
            raise UsageError("an amount is below 1")
        if np.any(self.senders == self.receivers):
            raise UsageError("a leg pays from a node to itself")
        steps = np.diff(self.payments)
        if self.payments[0] != 0 or np.any((steps != 0) & (steps != 1)):
            raise UsageError("payments of legs ascend from 0 without gaps")

    @property
    def nodes(self) -> int:
        """Return the number of nodes."""
        return len(self.limits)

    @property
    def count(self) -> int:
        """Return the number of payments."""
        return int(self.payments[-1]) + 1 if len(self.payments) else 0

    @property
    def is_single(self) -> bool:
        """Return whether each payment has one leg."""
        return self.count == len(self.amounts)

    @cached_property
    def first_legs(self) -> NDArray[np.int64]:
        """Return the first leg of each payment: int64 [payments]."""
        return np.flatnonzero(np.diff(self.payments, prepend=-1))

    def outflows(self, chosen: Chosen) -> Integers:
        """Return what each node pays out net if the `chosen` [payments] settle: int64 [nodes]."""
        legs = chosen[self.payments]
        net = np.zeros(self.nodes, np.int64)
        np.add.at(net, self.senders[legs], self.amounts[legs])
        np.subtract.at(net, self.receivers[legs], self.amounts[legs])
        return net

    def value(self, chosen: Chosen) -> int:
        """Return the sum of the weights of the `chosen` [payments]."""
        return int(self.weights[chosen].sum())

    def part(self, rows: NDArray[np.integer[Any]], limits: Integers | None = None) -> Queue:
        """Return the queue of the payments in these rows, ascending; with other limits if they are given."""
        is_in = np.zeros(self.count, np.bool_)
        is_in[rows] = True
        legs = is_in[self.payments]
        return Queue(
            self.senders[legs],
            self.receivers[legs],
            self.amounts[legs],
            self.limits if limits is None else limits,
            (np.cumsum(is_in) - 1)[self.payments[legs]],
            self.weights[is_in],
            self.priorities[is_in],
        )

    def rest(self, chosen: Chosen) -> Queue:
        """Return the queue of the payments that are not `chosen` [payments], with what these leave of the limits."""
        return self.part(np.flatnonzero(~chosen), self.limits - self.outflows(chosen))

    def require_feasible(self, chosen: Chosen) -> None:
        """Check in integers that no node pays out more than its limit.

        Raises
        ------
        IntegrityError
            If one does: the method that chose the set has a defect, and nothing may be booked.

        """
        excess = self.outflows(chosen) - self.limits
        if np.any(excess > 0):
            node = int(excess.argmax())
            raise IntegrityError(f"node {node} would pay out {int(excess[node])} more than its limit")


def ascending(values: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return the places of values from 0 on in ascending order, equal ones as they come: int64 [values].

    The same as a stable argsort, several times as fast where the values are small enough.
    """
    most, bits = int(values.max(initial=0)), len(values).bit_length()
    if most < 1 << 16:
        return np.argsort(values.astype(np.uint16), kind="stable")  # numpy sorts 16 bits by digits
    if most >= 1 << (63 - bits):
        return np.argsort(values, kind="stable")
    keys = (values.astype(np.int64) << bits) | np.arange(len(values))  # all differ, so that any sort is stable
    keys.sort()
    return keys & ((1 << bits) - 1)


def _integers(values: NDArray[np.generic], kind: type, name: str) -> NDArray[np.generic]:
    array = np.ascontiguousarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise UsageError(f"{name} is no array of integers with one dimension")
    if array.size and (int(array.min()) < np.iinfo(kind).min or int(array.max()) > np.iinfo(kind).max):
        raise UsageError(f"a value in {name} does not fit {np.dtype(kind).name}")
    return array.astype(kind, copy=False)


def _sum(values: Integers) -> int:
    """Return an exact sum of numbers below 2**63, for any count below 2**31."""
    return (int((values >> 31).sum()) << 31) + int((values & 0x7FFF_FFFF).sum())
