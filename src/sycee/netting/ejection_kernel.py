"""Compiled search by ejection chains, over payments with one leg each.

Node n's payments are by_sender[starts[n]:starts[n + 1]], the largest weight first. `slack` [nodes] is what a node may
still pay out net.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import float64, int32, int64, njit, types, uint8, uint64

from sycee.core import jit, kernel_build

TRIES: Final = 20  # payments that are drawn for one that is omitted
FORCED: Final = 2  # the most payments that begin a chain
SIZE: Final = 0.05  # of the costs of dropping a payment: for each unit of it
LACK: Final = 0.5  # and for each unit that a node lacks after it, besides the price

kernel_build.ensure(__name__)
_plain: Any = njit(error_model="numpy")


@_plain
def _random(state: Any) -> Any:
    """Return the next 63 bits of xorshift64*."""
    value = state[0]
    value ^= value >> uint64(12)
    value ^= value << uint64(25)
    value ^= value >> uint64(27)
    state[0] = value
    return np.int64((value * uint64(2685821657736338717)) >> uint64(1))


@_plain
def _flip(
    payment: Any, senders: Any, receivers: Any, amounts: Any, slack: Any, chosen: Any, log: Any, size: Any
) -> Any:
    """Take or leave a payment, and note it in the log; return the size of the log."""
    amount = amounts[payment]
    if chosen[payment]:
        amount = -amount
    chosen[payment] = 1 - chosen[payment]
    slack[senders[payment]] -= amount
    slack[receivers[payment]] += amount
    log[size] = payment
    return size + 1


@_plain
def _drop(
    senders: Any, receivers: Any, amounts: Any, weights: Any, prices: Any, starts: Any, by_sender: Any, slack: Any,
    chosen: Any, forced: Any, stamp: Any, noise: Any, state: Any, log: Any, size: Any, waiting: Any, is_waiting: Any,
) -> Any:  # fmt: skip
    """Drop payments until no slack is below zero; return the size of the log and the weight lost, -1 if that fails.

    A node drops the payment that costs least at the prices: what its weight exceeds them by, a little for its size,
    what it frees above the need, and what sender and receiver lack after it; times 1 to 1 + noise.
    """
    count = 0
    for node in range(slack.shape[0]):
        is_waiting[node] = 0
        if slack[node] < 0:
            waiting[count], is_waiting[node] = node, 1
            count += 1
    lost = np.int64(0)
    while count:
        count -= 1
        node = waiting[count]
        is_waiting[node] = 0
        while slack[node] < 0:
            best, least = np.int64(-1), 1e300
            for place in range(starts[node], starts[node + 1]):
                payment = by_sender[place]
                if chosen[payment] == 0 or forced[payment] == stamp:
                    continue
                amount = amounts[payment]
                receiver = receivers[payment]
                lacks, excess = amount - max(np.int64(0), slack[receiver]), amount + slack[node]
                cost = max(0.0, weights[payment] - (prices[node] - prices[receiver]) * amount) + SIZE * amount
                if lacks > 0:
                    cost += lacks * (LACK + prices[receiver])
                cost += excess * prices[node] if excess > 0 else -excess * (LACK + prices[node])
                if noise > 0.0:
                    cost *= 1.0 + noise * (_random(state) & 1023) / 1024.0
                if cost < least:
                    best, least = payment, cost
            if best < 0 or size >= log.shape[0] - 1:
                return size, np.int64(-1)
            lost += weights[best]
            size = _flip(best, senders, receivers, amounts, slack, chosen, log, size)
            below = receivers[best]
            if slack[below] < 0 and not is_waiting[below]:
                waiting[count], is_waiting[below] = below, 1
                count += 1
    return size, lost


@_plain
def _fill(
    senders: Any, receivers: Any, amounts: Any, weights: Any, starts: Any, by_sender: Any, slack: Any, chosen: Any,
    log: Any, size: Any, waiting: Any, is_waiting: Any, everywhere: Any,
) -> Any:  # fmt: skip
    """Take what fits, at the nodes whose slack the log has raised or at all; return the size and the weight gained."""
    gained, count = np.int64(0), 0
    is_waiting[:] = 0
    for node in range(slack.shape[0]):
        if everywhere:
            waiting[count], is_waiting[node] = node, 1
            count += 1
    for place in range(size):
        payment = log[place]
        node = receivers[payment] if chosen[payment] else senders[payment]
        if not is_waiting[node]:
            waiting[count], is_waiting[node] = node, 1
            count += 1
    while count:
        count -= 1
        node = waiting[count]
        is_waiting[node] = 0
        for place in range(starts[node], starts[node + 1]):
            payment = by_sender[place]
            if chosen[payment] == 0 and amounts[payment] <= slack[node]:
                if size >= log.shape[0] - 1:
                    return size, gained
                size = _flip(payment, senders, receivers, amounts, slack, chosen, log, size)
                gained += weights[payment]
                receiver = receivers[payment]
                if not is_waiting[receiver]:
                    waiting[count], is_waiting[receiver] = receiver, 1
                    count += 1
    return size, gained


@jit.entry(
    types.void(
        int32[::1], int32[::1], int64[::1], int64[::1], float64[::1], int64[::1], int64[::1], int64[::1], uint8[::1],
        int64, float64, float64, int64,
    ),
    error_model="numpy",
)  # fmt: skip
def search(
    senders: Any, receivers: Any, amounts: Any, weights: Any, prices: Any, starts: Any, by_sender: Any, slack: Any,
    chosen: Any, chains: Any, hot: Any, noise: Any, seed: Any,
) -> None:  # fmt: skip
    """Change `chosen`, feasible or not, into the best feasible set of the search. `slack` is that of the empty set."""
    count, nodes = amounts.shape[0], slack.shape[0]
    state = np.empty(1, np.uint64)
    state[0] = uint64(seed) * uint64(0x9E3779B97F4A7C15) + uint64(0xD1B54A32D192ED03)
    forced = np.zeros(count, np.int64)
    log = np.empty(4 * count + 8, np.int64)
    waiting, is_waiting = np.empty(nodes, np.int64), np.zeros(nodes, np.uint8)
    value = np.int64(0)
    for payment in range(count):
        if chosen[payment]:
            slack[senders[payment]] -= amounts[payment]
            slack[receivers[payment]] += amounts[payment]
            value += weights[payment]
    _, lost = _drop(
        senders, receivers, amounts, weights, prices, starts, by_sender, slack, chosen, forced, 1, 0.0, state, log, 0,
        waiting, is_waiting,
    )  # fmt: skip
    _, gained = _fill(
        senders, receivers, amounts, weights, starts, by_sender, slack, chosen, log, 0, waiting, is_waiting, True
    )
    value += gained - lost
    best, kept = value, chosen.copy()
    for chain in range(chains):
        temperature = hot * (1.0 - chain / chains)
        stamp, size, begun, gain = chain + 2, 0, 0, np.int64(0)
        most = 1 + _random(state) % FORCED
        for _ in range(TRIES):
            payment = _random(state) % count
            if chosen[payment] == 0 and forced[payment] != stamp:
                forced[payment] = stamp
                size = _flip(payment, senders, receivers, amounts, slack, chosen, log, size)
                gain += weights[payment]
                begun += 1
                if begun == most:
                    break
        if begun == 0:
            continue
        size, lost = _drop(
            senders, receivers, amounts, weights, prices, starts, by_sender, slack, chosen, forced, stamp, noise, state,
            log, size, waiting, is_waiting,
        )  # fmt: skip
        is_taken = lost >= 0
        if is_taken:
            size, gained = _fill(
                senders, receivers, amounts, weights, starts, by_sender, slack, chosen, log, size, waiting, is_waiting,
                False,
            )  # fmt: skip
            gain += gained - lost
            if gain < 0:
                odds = (_random(state) & 0xFFFFF) / 1048576.0
                is_taken = temperature > 0.0 and odds < np.exp(gain / temperature)
        if is_taken:
            value += gain
            if value > best:
                best = value
                kept[:] = chosen
        else:
            while size:
                size = _flip(log[size - 1], senders, receivers, amounts, slack, chosen, log, size - 1) - 1
    chosen[:] = kept
