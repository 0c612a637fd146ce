"""From shares to whole payments: each column of the relaxation takes payments up to the sum that it settles.

The solver's answer is a vertex, so at most one column for each node is partial, and the partial columns form a forest.
From its leaves inwards, each leaf has one partial column left, whose sum follows exactly from the leaf's limit. Among
some dozens of payments there is nearly always a subset with exactly that sum.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sycee.netting import kernels
from sycee.netting.queue import Chosen, Integers, Queue, ascending
from sycee.netting.relaxation import Relaxation

WHOLE: Final = 1e-9  # a share this near to 0 or 1 counts as none or all
HALF: Final = 15  # payments in each half of the exact search: 2**15 sums
TRIES: Final = 4  # other payments in the halves


def round_columns(queue: Queue, relaxation: Relaxation, *, seed: int = 0) -> Chosen:
    """Return whole payments for the shares of a relaxation: bool [payments].

    The set may exceed a limit where a column has too few payments for the sum it should have.
    """
    chosen = relaxation.shares >= 1 - WHOLE
    partial = np.flatnonzero((relaxation.shares > WHOLE) & ~chosen)
    if not len(partial):
        return chosen
    order = partial[np.argsort(relaxation.columns[partial], kind="stable")]
    starts = np.flatnonzero(np.diff(relaxation.columns[order], prepend=-1))
    columns = dict(enumerate(np.split(order, starts[1:])))
    amounts = queue.amounts[queue.first_legs]
    slack = queue.limits - queue.outflows(chosen)
    random = np.random.default_rng(seed)
    tight = _tight(queue, relaxation)
    for column, leaf in _leaves_first(queue, columns, tight):
        payments = columns[column]
        leg = queue.first_legs[payments[0]]
        sender, receiver = int(queue.senders[leg]), int(queue.receivers[leg])
        settles = float(relaxation.column_shares[relaxation.columns[payments[0]]]) * float(amounts[payments].sum())
        if leaf == sender and tight[leaf]:
            target, is_least = int(slack[sender]), False
        elif leaf == receiver and tight[leaf]:
            target, is_least = -int(slack[receiver]), True
        else:
            target, is_least = int(settles), False
        taken = payments[subset(amounts[payments], target, random, is_least=is_least)]
        chosen[taken] = True
        total = int(amounts[taken].sum())
        several = np.zeros(queue.count, np.bool_)
        several[taken] = True
        if queue.is_single:
            slack[sender] -= total
            slack[receiver] += total
        else:
            slack -= queue.outflows(several)
    return chosen


def partial_payments(relaxation: Relaxation) -> NDArray[np.int64]:
    """Return the payments of the columns that settle in part: int64."""
    return np.flatnonzero((relaxation.shares > WHOLE) & (relaxation.shares < 1 - WHOLE))


def subset(amounts: Integers, target: int, random: np.random.Generator, *, is_least: bool = False) -> NDArray[np.int64]:
    """Return the places of amounts whose sum is at most `target`, and as near to it as the search finds.

    With `is_least` the sum is at least the target, if all amounts together reach it: what is omitted then has at most
    the rest.
    """
    count = len(amounts)
    if is_least:
        left_out = np.ones(count, np.bool_)
        left_out[subset(amounts, int(amounts.sum()) - target, random)] = False
        return np.flatnonzero(left_out)
    if target <= 0:
        return np.empty(0, np.int64)
    fitting = np.flatnonzero(amounts <= target)
    if int(amounts[fitting].sum()) <= target:
        return fitting
    best = greedy(amounts, target)
    missing = target - int(amounts[best].sum())
    for _ in range(TRIES):
        if not missing:
            break
        found = _exact(amounts, fitting, target, random)
        if target - int(amounts[found].sum()) < missing:
            best, missing = found, target - int(amounts[found].sum())
    return best


def greedy(amounts: Integers, target: int) -> NDArray[np.int64]:
    """Return the places that are taken if the largest amount that still fits is taken again and again."""
    taken = np.zeros(len(amounts), np.uint8)
    kernels.fill(ascending(amounts)[::-1].copy(), amounts, target, taken)
    return np.flatnonzero(taken)


def _exact(amounts: Integers, places: NDArray[np.int64], target: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Take large amounts until the smaller ones can fill the rest, then try all subsets of 2 * HALF of them."""
    smallest = places[np.argsort(amounts[places], kind="stable")][: 4 * HALF]
    core = np.sort(random.permutation(smallest)[: 2 * HALF])
    others = np.setdiff1d(places, core, assume_unique=True)
    middle = int(amounts[core].sum()) // 2
    base = others[greedy(amounts[others], max(target - middle, 0))]
    rest = target - int(amounts[base].sum())
    one, other = core[: len(core) // 2], core[len(core) // 2 :]
    sums_one, sums_other = sums(amounts[one]), sums(amounts[other])
    order_one, order_other = ascending(sums_one), ascending(sums_other)
    # The numbers that are looked for ascend as well, which finds them several times as fast.
    fit = np.searchsorted(sums_other[order_other], rest - sums_one[order_one[::-1]], side="right")[::-1] - 1
    usable = fit >= 0
    if not np.any(usable):
        return base
    total = np.where(usable, sums_one[order_one] + sums_other[order_other[np.maximum(fit, 0)]], -1)
    best = int(total.argmax())
    bits_one, bits_other = int(order_one[best]), int(order_other[fit[best]])
    more = [place for at, place in enumerate(one) if bits_one >> at & 1]
    more += [place for at, place in enumerate(other) if bits_other >> at & 1]
    return np.concatenate([base, np.array(more, np.int64)])


def sums(amounts: Integers) -> Integers:
    """Return the sums of all subsets of amounts, or of rows: bit i of the place says whether amount i is in."""
    sums = np.zeros((1, *amounts.shape[1:]), np.int64)
    for amount in amounts:
        sums = np.concatenate([sums, sums + amount])
    return sums


def _tight(queue: Queue, relaxation: Relaxation) -> NDArray[np.bool_]:
    """Return the nodes whose liquidity the relaxation uses up: bool [nodes]."""
    legs = queue.payments
    share = relaxation.shares[legs] * queue.amounts
    out = np.bincount(queue.senders, share, queue.nodes) - np.bincount(queue.receivers, share, queue.nodes)
    total = np.bincount(queue.senders, share, queue.nodes) + 1.0
    return queue.limits - out <= 1e-7 * total


def _leaves_first(
    queue: Queue, columns: dict[int, NDArray[np.int64]], tight: NDArray[np.bool_]
) -> list[tuple[int, int]]:
    """Return the columns with the node from which each is decided: leaves first, nodes that are not tight last."""
    ends = {}
    at: dict[int, set[int]] = {}
    for column, payments in columns.items():
        leg = queue.first_legs[payments[0]]
        ends[column] = (int(queue.senders[leg]), int(queue.receivers[leg]))
        for node in ends[column]:
            at.setdefault(node, set()).add(column)
    order = []
    while ends:
        leaves = [node for node in at if len(at[node]) == 1]
        choice = [node for node in leaves if tight[node]] or leaves or list(at)  # a circle has no leaf
        # Columns with few payments first: what they miss, those with many make good.
        node = min(choice, key=lambda each: (min(len(columns[column]) for column in at[each]), each))
        column = min(at[node])
        for end in ends.pop(column):
            at[end].discard(column)
            if not at[end]:
                del at[end]
        order.append((column, node))
    return order
