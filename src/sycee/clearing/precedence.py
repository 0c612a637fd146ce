"""Priority and age in decisions: what payments weigh, and money that their senders earmark for a large payment.

A search that counts value alone, and single bookings of what is covered, let small payments use up each unit of money,
so a payment above its sender's money waits until the close. Its sender therefore earmarks its money for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sycee.clearing.instructions import NORMAL
from sycee.clearing.waiting import TOTAL_MAX, Legs, Nodes, Waiting
from sycee.core.arrays import Array

AGE_NS: Final = 2 * 3_600 * 10**9  # of waiting, which adds a quarter to a weight
AGES_MAX: Final = 4  # quarters that waiting adds at most
EARMARKED_AFTER_NS: Final = 1_800 * 10**9  # of waiting, after which money is earmarked for a large payment
WORDS: Final = "times 1 to 3 by priority and age"


@dataclass(frozen=True, slots=True, eq=False)
class Earmarks:
    """Money that senders earmark for a large payment.

    - `payments`: by node, the row of the payment that the money is earmarked for. `amounts`: by node, its amount.
    - `is_held`: (legs,) whether a leg comes after that payment, so that it uses none of the money.
    """

    payments: dict[int, int]
    amounts: dict[int, int]
    is_held: Array


def with_precedence(found: Waiting, weights: Array, now_ns: int) -> tuple[Array, str]:
    """Return weights with priority and age, (n,), and words for the certificate, "" if nothing differs.

    A quarter is added for each step of priority above NORMAL, and for each AGE_NS of waiting, up to AGES_MAX. Steps
    that all payments have do not count. Fractions are rounded down. Sums that are too large leave the weights as they
    are.
    """
    urgency = np.maximum(NORMAL - found.priorities, 0)
    age = np.clip((now_ns - found.arrived) // AGE_NS, 0, AGES_MAX)
    steps = urgency - urgency.min() + age - age.min()
    if not steps.any() or float(weights.astype(np.float64).sum()) * 3 > TOTAL_MAX:
        return weights, ""
    return weights * (4 + steps) // 4, f", {WORDS}"


def earmarks_for_large(found: Waiting, legs: Legs, nodes: Nodes, limits: Array, now_ns: int) -> Earmarks:
    """Return what senders earmark. `limits`: (nodes,) what each may pay out.

    A sender earmarks all its money for the most urgent, then oldest payment that has waited for EARMARKED_AFTER_NS and
    is above its money. Nothing is earmarked for a payment that is above all money in its currency: it settles against
    others.
    """
    currencies = np.array([each.position.currency for each in nodes.funds], np.int64)
    totals = {each: int(limits[currencies == each].sum()) for each in set(currencies.tolist())}
    all_money = np.array([totals[each] for each in currencies.tolist()], np.int64)
    is_large = (legs.amounts > limits[legs.senders]) & (legs.amounts <= all_money[legs.senders])
    rows = np.flatnonzero(is_large & (found.arrived[legs.payments] <= now_ns - EARMARKED_AFTER_NS))
    if not rows.size:
        return no_earmarks(legs)
    rows = rows[np.lexsort((legs.payments[rows], found.priorities[legs.payments[rows]]))][::-1]
    senders = legs.senders[rows].tolist()
    payments = dict(zip(senders, legs.payments[rows].tolist(), strict=True))
    amounts = dict(zip(senders, legs.amounts[rows].tolist(), strict=True))
    first = np.full(len(nodes.funds), found.size, np.int64)
    first[list(payments)] = list(payments.values())
    first = first[legs.senders]
    has = first < found.size
    of = np.where(has, first, 0)
    later = np.lexsort((np.arange(found.size), found.priorities)).argsort()
    return Earmarks(payments, amounts, has & (later[legs.payments] > later[of]))


def no_earmarks(legs: Legs) -> Earmarks:
    """Return that no money is earmarked, as at the close of a day."""
    return Earmarks({}, {}, np.zeros(legs.payments.size, bool))
