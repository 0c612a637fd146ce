"""Bilateral limits: the most that one node may pay another net. They need no rule of their own.

A limited pair becomes two further nodes, one for each direction, and each payment between the pair gets a leg from the
one to the other. What the leg's sender may pay out net is then the limit of the pair.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sycee.core.errors import UsageError
from sycee.netting.queue import Queue


def with_pair_limits(queue: Queue, limits: Mapping[tuple[int, int], int]) -> Queue:
    """Return the queue with a limit for some pairs of sender and receiver, in minor units.

    The nodes of the queue keep their numbers; payments and their order stay the same. Raises UsageError for a pair of
    equal or unknown nodes, and for a limit below zero.
    """
    if not limits:
        return queue
    for (sender, receiver), limit in limits.items():
        if sender == receiver or not (0 <= sender < queue.nodes and 0 <= receiver < queue.nodes) or limit < 0:
            raise UsageError(f"a limit of {limit} from node {sender} to node {receiver} is none")
    pairs = sorted({(min(pair), max(pair)) for pair in limits})
    free = int(queue.amounts.sum())  # a direction without a limit
    rows = {}
    more: list[int] = []
    for one, other in pairs:
        for pair in ((one, other), (other, one)):
            rows[pair] = queue.nodes + len(more)
            more.append(min(limits.get(pair, free), free))
    row_of = np.full(queue.nodes * queue.nodes, -1, np.int64)
    for (sender, receiver), row in rows.items():
        row_of[sender * queue.nodes + receiver] = row
    out = row_of[queue.senders.astype(np.int64) * queue.nodes + queue.receivers]
    back = row_of[queue.receivers.astype(np.int64) * queue.nodes + queue.senders]
    limited = np.flatnonzero(out >= 0)
    payments = np.concatenate([queue.payments, queue.payments[limited]])
    order = np.argsort(payments, kind="stable")
    return Queue(
        np.concatenate([queue.senders, out[limited]])[order],
        np.concatenate([queue.receivers, back[limited]])[order],
        np.concatenate([queue.amounts, queue.amounts[limited]])[order],
        np.concatenate([queue.limits, np.array(more)]),
        payments[order],
        queue.weights,
        queue.priorities,
    )
