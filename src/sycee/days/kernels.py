"""Compiled loops over the payments of a day: release from positions, and offset against the opposite queue.

Each participant has two queues, urgent payments in 2 * bank and all others in 2 * bank + 1, both in order of arrival:
queue q is slots[starts[q]:starts[q] + counts[q]]. `settled` [payments] is the second in which a payment settled, or -1;
payments with the same number in `sets` [payments] settled together.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import int64, njit, types, uint8

from sycee.core import jit, kernel_build

ORDERED: Final = 0  # a payment waits behind each earlier one of its sender and priority
FREE: Final = 1  # any payment that its sender's position covers
GATED: Final = 2  # the same, but only between pairs whose gate is open; urgent payments pass

kernel_build.ensure(__name__)
_plain: Any = njit(error_model="numpy")

_INTEGERS: Final = int64[::1]
_FLAGS: Final = uint8[::1]
_QUEUES: Final = (_INTEGERS, _INTEGERS, _INTEGERS)
_OUTCOME: Final = (_INTEGERS, _INTEGERS, _INTEGERS, _INTEGERS)


@_plain
def _compact(queue: Any, starts: Any, counts: Any, slots: Any, settled: Any) -> None:
    """Remove settled payments from a queue."""
    kept = starts[queue]
    for place in range(starts[queue], starts[queue] + counts[queue]):
        if settled[slots[place]] < 0:
            slots[kept] = slots[place]
            kept += 1
    counts[queue] = kept - starts[queue]


@_plain
def _cascade(
    first: Any, now: Any, receivers: Any, amounts: Any, rule: Any, gates: Any, starts: Any, counts: Any, slots: Any,
    positions: Any, settled: Any, sets: Any, number: Any,
) -> None:  # fmt: skip
    """Release what the position of a bank covers, then what the positions of those that it paid cover, and so on."""
    banks = positions.shape[0]
    waiting, is_waiting = np.empty(banks, np.int64), np.zeros(banks, np.uint8)
    waiting[0], is_waiting[first], count = first, 1, 1
    while count:
        count -= 1
        bank = waiting[count]
        is_waiting[bank] = 0
        stopped = False
        for queue in range(2 * bank, 2 * bank + 2):
            if stopped:
                break
            found = False
            for place in range(starts[queue], starts[queue] + counts[queue]):
                payment = slots[place]
                receiver = receivers[payment]
                is_open = rule != GATED or queue == 2 * bank or gates[bank * banks + receiver] != 0
                if amounts[payment] <= positions[bank] and is_open:
                    positions[bank] -= amounts[payment]
                    positions[receiver] += amounts[payment]
                    settled[payment], sets[payment], found = now, number[0], True
                    number[0] += 1
                    if not is_waiting[receiver]:
                        waiting[count], is_waiting[receiver] = receiver, 1
                        count += 1
                elif rule == ORDERED:
                    stopped = True
                    break
            if found:
                _compact(queue, starts, counts, slots, settled)


@_plain
def _offset(
    payment: Any, now: Any, senders: Any, receivers: Any, amounts: Any, starts: Any, counts: Any, slots: Any,
    positions: Any, settled: Any, sets: Any, number: Any,
) -> Any:  # fmt: skip
    """Settle a payment with queued ones of its receiver to its sender, the largest first, if that covers it."""
    bank, other = senders[payment], receivers[payment]
    needed, capacity = amounts[payment] - positions[bank], positions[other] + amounts[payment]
    total, taken = np.int64(0), np.int64(0)
    chosen = np.empty(counts[2 * other] + counts[2 * other + 1], np.int64)
    while total < needed:
        best = np.int64(-1)
        for queue in range(2 * other, 2 * other + 2):
            for place in range(starts[queue], starts[queue] + counts[queue]):
                back = slots[place]
                if receivers[back] != bank or settled[back] >= 0 or total + amounts[back] > capacity:
                    continue
                if best < 0 or amounts[back] > amounts[best]:
                    best = back
        if best < 0:
            break
        settled[best] = now
        total += amounts[best]
        chosen[taken] = best
        taken += 1
    if total < needed:
        for place in range(taken):
            settled[chosen[place]] = -1
        return False
    for place in range(taken):
        sets[chosen[place]] = number[0]
    settled[payment], sets[payment] = now, number[0]
    number[0] += 1
    positions[bank] += total - amounts[payment]
    positions[other] += amounts[payment] - total
    _compact(2 * other, starts, counts, slots, settled)
    _compact(2 * other + 1, starts, counts, slots, settled)
    return True


@jit.entry(
    types.void(
        int64, int64, _INTEGERS, _INTEGERS, _INTEGERS, _INTEGERS, _FLAGS, int64, int64, _FLAGS, *_QUEUES, *_OUTCOME
    ),
    error_model="numpy",
)
def arrive(
    begin: Any, end: Any, times: Any, senders: Any, receivers: Any, amounts: Any, urgent: Any, rule: Any, offsets: Any,
    gates: Any, starts: Any, counts: Any, slots: Any, positions: Any, settled: Any, sets: Any, number: Any,
) -> None:  # fmt: skip
    """Let the payments from `begin` to `end` arrive: settle or queue each, and release what its money covers."""
    for payment in range(begin, end):
        bank, now = senders[payment], times[payment]
        is_short = amounts[payment] > positions[bank]
        if offsets and is_short and _offset(
            payment, now, senders, receivers, amounts, starts, counts, slots, positions, settled, sets, number
        ):  # fmt: skip
            more = receivers[payment]
        else:
            queue = 2 * bank + 1 - urgent[payment]
            slots[starts[queue] + counts[queue]] = payment
            counts[queue] += 1
            more = bank
        _cascade(
            bank, now, receivers, amounts, rule, gates, starts, counts, slots, positions, settled, sets, number
        )  # fmt: skip
        if more != bank:
            _cascade(
                more, now, receivers, amounts, rule, gates, starts, counts, slots, positions, settled, sets, number
            )  # fmt: skip


@jit.entry(
    types.void(int64, _INTEGERS, _INTEGERS, int64, _FLAGS, *_QUEUES, *_OUTCOME),
    error_model="numpy",
)
def release(
    now: Any, receivers: Any, amounts: Any, rule: Any, gates: Any, starts: Any, counts: Any, slots: Any,
    positions: Any, settled: Any, sets: Any, number: Any,
) -> None:  # fmt: skip
    """Remove settled payments from all queues, and release what each position covers."""
    for queue in range(counts.shape[0]):
        _compact(queue, starts, counts, slots, settled)
    for bank in range(positions.shape[0]):
        _cascade(
            bank, now, receivers, amounts, rule, gates, starts, counts, slots, positions, settled, sets, number
        )  # fmt: skip
