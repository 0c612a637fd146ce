"""What settling a payment is worth, and liquidity that waits for large payments.

An optimiser that counts value alone settles what is there now and leaves each sender without liquidity, so a payment
that is larger than the limit of its sender waits until the close. `weigh` makes urgent and old payments dearer;
`with_reserves` lets liquidity collect until a large payment can settle.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sycee.core.errors import UsageError
from sycee.netting.queue import WEIGHT_MAX, Chosen, Integers, Queue

SHARE_UNIT: Final = 1 << 10  # factors of weights are integers in this unit, so that weights are exact


def weigh(
    values: Integers,
    priorities: NDArray[np.int8],
    ages: NDArray[np.float64],
    *,
    urgent: float = 1.0,
    age: float = 1.0,
) -> Integers:
    """Return the weight of each payment: int64 [payments], its value times a factor of at least 1.

    Parameters
    ----------
    values
        Value of each payment in one common unit, at least 1: int64 [payments].
    priorities
        Lower is more urgent: int8 [payments].
    ages
        How long each payment has waited, from 0 (just arrived) to 1 (since the opening): float64 [payments].
    urgent, age
        What the most urgent priority and the age 1 add to the factor, at least 0.

    Raises
    ------
    UsageError
        If a number is out of range, or the weights could sum to more than 2**62.

    """
    if urgent < 0 or age < 0 or np.any((ages < 0) | (ages > 1)):
        raise UsageError("ages are from 0 to 1; urgent and age are at least 0")
    least, most = (int(priorities.min()), int(priorities.max())) if len(priorities) else (0, 0)
    urgency = (most - priorities.astype(np.int64)) / max(most - least, 1)
    factor = np.rint((1.0 + urgent * urgency + age * ages) * SHARE_UNIT).astype(np.int64)
    if float(values.astype(float) @ factor.astype(float)) > 0.99 * WEIGHT_MAX:
        raise UsageError("weights sum to more than 2**62", hint="state values in a larger unit")
    return values * factor


def stranded(queue: Queue, ages: NDArray[np.float64], *, after: float = 0.1, share: float = 0.5) -> Chosen:
    """Return the payments that deserve a reserve: bool [payments].

    They have waited at least `after`, and one of their legs is larger than `share` of its sender's limit.
    """
    is_large = np.zeros(queue.count, np.bool_)
    is_large[queue.payments[queue.amounts > share * queue.limits[queue.senders]]] = True
    return is_large & (ages >= after)


def with_reserves(queue: Queue, protected: Chosen) -> Queue:
    """Return the queue in which only the `protected` payments may use what their senders keep for them.

    A sender keeps its largest protected payment, but no more than its limit. Other payments of the sender settle from
    the rest of its limit and from what comes in. The nodes of the queue keep their numbers; payments and their order
    stay the same. Each node with a reserve gets a further node, which all but its protected payments leave.
    """
    if len(protected) != queue.count:
        raise UsageError(f"protected has {len(protected)} rows, and the queue {queue.count} payments")
    is_protected = protected[queue.payments]
    reserves = np.zeros(queue.nodes, np.int64)
    np.maximum.at(reserves, queue.senders[is_protected], queue.amounts[is_protected])
    reserves = np.minimum(reserves, queue.limits)
    with_reserve = np.flatnonzero(reserves)
    if not len(with_reserve):
        return queue
    free = queue.nodes + len(with_reserve)  # a node without a limit
    second = np.full(queue.nodes, free, np.int64)
    second[with_reserve] = queue.nodes + np.arange(len(with_reserve))
    senders = np.where(is_protected, free, second[queue.senders])
    receivers = second[queue.receivers]
    more = np.flatnonzero(senders != receivers)
    payments = np.concatenate([queue.payments, queue.payments[more]])
    order = np.argsort(payments, kind="stable")
    return Queue(
        np.concatenate([queue.senders, senders[more]])[order],
        np.concatenate([queue.receivers, receivers[more]])[order],
        np.concatenate([queue.amounts, queue.amounts[more]])[order],
        np.concatenate([queue.limits, (queue.limits - reserves)[with_reserve], [int(queue.amounts[more].sum())]]),
        payments[order],
        queue.weights,
        queue.priorities,
    )
