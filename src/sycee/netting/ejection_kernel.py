"""Compiled search by ejection chains.

`legs` are the arrays first_legs, senders, receivers and amounts: those of payment p are first_legs[p] to
first_legs[p + 1]. The payments with a leg that node n sends are by_sender[starts[n]:starts[n + 1]], the largest weight
first, and those with one that it receives by_receiver[ends[n]:ends[n + 1]]. `slack` [nodes] is what a node may still
pay out net.
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
def _flip(payment: Any, legs: Any, slack: Any, chosen: Any, log: Any, size: Any) -> Any:
    """Take or leave a payment, and note it in the log; return the size of the log."""
    first_legs, senders, receivers, amounts = legs
    sign = np.int64(1) - 2 * np.int64(chosen[payment])
    chosen[payment] = 1 - chosen[payment]
    for leg in range(first_legs[payment], first_legs[payment + 1]):
        slack[senders[leg]] -= sign * amounts[leg]
        slack[receivers[leg]] += sign * amounts[leg]
    log[size] = payment
    return size + 1


@_plain
def _fits(payment: Any, legs: Any, slack: Any) -> Any:
    """Return whether the slack covers a payment."""
    first_legs, senders, receivers, amounts = legs
    begin, end = first_legs[payment], first_legs[payment + 1]
    if end - begin == 1:
        return amounts[begin] <= slack[senders[begin]]
    for leg in range(begin, end):
        left = slack[senders[leg]]
        for other in range(begin, end):
            if senders[other] == senders[leg]:
                left -= amounts[other]
            if receivers[other] == senders[leg]:
                left += amounts[other]
        if left < 0:
            return False
    return True


@_plain
def _cost(payment: Any, node: Any, sign: Any, legs: Any, weights: Any, prices: Any, slack: Any) -> Any:
    """Return what dropping a payment (sign 1) or taking it (-1) costs at the prices, and what that brings the node.

    The costs are what the payment gains or loses at the prices, a little for the size of a dropped one, what it brings
    above the need, and what other nodes lack after it.
    """
    first_legs, senders, receivers, amounts = legs
    first, end = first_legs[payment], first_legs[payment + 1]
    weight = np.float64(weights[payment])
    surplus, brings = sign * weight, np.int64(0)
    for leg in range(first, end):
        surplus -= sign * (prices[senders[leg]] - prices[receivers[leg]]) * amounts[leg]
    cost = max(0.0, surplus)
    for leg in range(first, end):
        amount = amounts[leg]
        # A unit of the first leg is a unit of weight. One of another leg may be of another currency.
        unit = 1.0 if leg == first else weight / amount
        giver, taker = senders[leg], receivers[leg]
        if sign > 0:
            giver, taker = taker, giver
            cost += SIZE * unit * amount
        if taker == node:
            brings += amount
        if giver == node:
            brings -= amount
            continue
        lacks = amount - max(np.int64(0), slack[giver])
        if lacks > 0:
            cost += lacks * (LACK * unit + prices[giver])
    excess = brings + slack[node]
    cost += excess * prices[node] if excess > 0 else -excess * (LACK + prices[node])
    return cost, brings


@_plain
def _cover(
    legs: Any, weights: Any, prices: Any, starts: Any, by_sender: Any, ends: Any, by_receiver: Any, slack: Any,
    chosen: Any, flipped: Any, stamp: Any, takes: Any, noise: Any, state: Any, log: Any, size: Any, most: Any,
    waiting: Any, is_waiting: Any,
) -> Any:  # fmt: skip
    """Flip payments until no slack is below zero, or the log has `most`.

    Return the size of the log, the change of weight, and whether no slack is below zero.
    A node that lacks money drops a payment that it sends, or, if `takes`, takes one that it receives: what costs least,
    times 1 to 1 + noise. No payment is flipped twice, so that it ends.
    """
    first_legs, senders, receivers, _ = legs
    count, gain = 0, np.int64(0)
    for node in range(slack.shape[0]):
        is_waiting[node] = 0
        if slack[node] < 0:
            waiting[count], is_waiting[node] = node, 1
            count += 1
    while count:
        count -= 1
        node = waiting[count]
        is_waiting[node] = 0
        while slack[node] < 0:
            best, least = np.int64(-1), 1e300
            for place in range(starts[node], starts[node + 1]):
                payment = by_sender[place]
                if chosen[payment] == 0 or flipped[payment] == stamp:
                    continue
                cost, brings = _cost(payment, node, 1.0, legs, weights, prices, slack)
                if noise > 0.0:
                    cost *= 1.0 + noise * (_random(state) & 1023) / 1024.0
                if cost < least and brings > 0:
                    best, least = payment, cost
            if takes:
                for place in range(ends[node], ends[node + 1]):
                    payment = by_receiver[place]
                    if chosen[payment] == 1 or flipped[payment] == stamp:
                        continue
                    cost, brings = _cost(payment, node, -1.0, legs, weights, prices, slack)
                    if noise > 0.0:
                        cost *= 1.0 + noise * (_random(state) & 1023) / 1024.0
                    if cost < least and brings > 0:
                        best, least = payment, cost
            if best < 0 or size >= most:
                return size, gain, False
            is_dropped = chosen[best] == 1
            gain += -weights[best] if is_dropped else weights[best]
            flipped[best] = stamp
            size = _flip(best, legs, slack, chosen, log, size)
            for leg in range(first_legs[best], first_legs[best + 1]):
                below = receivers[leg] if is_dropped else senders[leg]
                if slack[below] < 0 and below != node and not is_waiting[below]:
                    waiting[count], is_waiting[below] = below, 1
                    count += 1
    return size, gain, True


@_plain
def _fill(
    legs: Any, weights: Any, starts: Any, by_sender: Any, slack: Any, chosen: Any, log: Any, size: Any, waiting: Any,
    is_waiting: Any, everywhere: Any,
) -> Any:  # fmt: skip
    """Take what fits, at the nodes whose slack the log has raised or at all; return the size and the weight gained."""
    first_legs, senders, receivers, _ = legs
    gained, count = np.int64(0), 0
    is_waiting[:] = 0
    for node in range(slack.shape[0]):
        if everywhere:
            waiting[count], is_waiting[node] = node, 1
            count += 1
    for place in range(size):
        payment = log[place]
        for leg in range(first_legs[payment], first_legs[payment + 1]):
            node = receivers[leg] if chosen[payment] else senders[leg]
            if not is_waiting[node]:
                waiting[count], is_waiting[node] = node, 1
                count += 1
    while count:
        count -= 1
        node = waiting[count]
        is_waiting[node] = 0
        for place in range(starts[node], starts[node + 1]):
            payment = by_sender[place]
            if chosen[payment] == 0 and _fits(payment, legs, slack):
                if size >= log.shape[0] - 1:
                    return size, gained
                size = _flip(payment, legs, slack, chosen, log, size)
                gained += weights[payment]
                for leg in range(first_legs[payment], first_legs[payment + 1]):
                    receiver = receivers[leg]
                    if not is_waiting[receiver]:
                        waiting[count], is_waiting[receiver] = receiver, 1
                        count += 1
    return size, gained


@jit.entry(
    types.void(
        int64[::1], int32[::1], int32[::1], int64[::1], int64[::1], float64[::1], int64[::1], int64[::1], int64[::1],
        int64[::1], int64[::1], uint8[::1], int64, int64, float64, float64, float64, int64,
    ),
    error_model="numpy",
)  # fmt: skip
def search(
    first_legs: Any, senders: Any, receivers: Any, amounts: Any, weights: Any, prices: Any, starts: Any,
    by_sender: Any, ends: Any, by_receiver: Any, slack: Any, chosen: Any, chains: Any, length: Any, hot: Any,
    noise: Any, rings: Any, seed: Any,
) -> None:  # fmt: skip
    """Change `chosen`, feasible or not, into the best feasible set of the search. `slack` is that of the empty set."""
    legs = (first_legs, senders, receivers, amounts)
    count, nodes = weights.shape[0], slack.shape[0]
    state = np.empty(1, np.uint64)
    state[0] = uint64(seed) * uint64(0x9E3779B97F4A7C15) + uint64(0xD1B54A32D192ED03)
    flipped = np.zeros(count, np.int64)  # the chain that flipped each payment last
    log = np.empty(4 * count + 8, np.int64)
    waiting, is_waiting = np.empty(nodes, np.int64), np.zeros(nodes, np.uint8)
    value = np.int64(0)
    for payment in range(count):
        if chosen[payment]:
            for leg in range(first_legs[payment], first_legs[payment + 1]):
                slack[senders[leg]] -= amounts[leg]
                slack[receivers[leg]] += amounts[leg]
            value += weights[payment]
    _, lost, _ = _cover(
        legs, weights, prices, starts, by_sender, ends, by_receiver, slack, chosen, flipped, 1, False, 0.0, state, log,
        0, count, waiting, is_waiting,
    )  # fmt: skip
    _, gained = _fill(legs, weights, starts, by_sender, slack, chosen, log, 0, waiting, is_waiting, True)
    value += gained + lost
    best, kept = value, chosen.copy()
    for chain in range(chains):
        temperature = hot * (1.0 - chain / chains)
        stamp, size, begun, gain = chain + 2, 0, 0, np.int64(0)
        most = 1 + _random(state) % FORCED
        for _ in range(TRIES):
            payment = _random(state) % count
            if chosen[payment] == 0 and flipped[payment] != stamp:
                flipped[payment] = stamp
                size = _flip(payment, legs, slack, chosen, log, size)
                gain += weights[payment]
                begun += 1
                if begun == most:
                    break
        if begun == 0:
            continue
        takes = rings > 0.0 and (_random(state) & 0xFFFF) < rings * 65536.0
        size, change, is_taken = _cover(
            legs, weights, prices, starts, by_sender, ends, by_receiver, slack, chosen, flipped, stamp, takes, noise,
            state, log, size, length, waiting, is_waiting,
        )  # fmt: skip
        if is_taken:
            size, gained = _fill(legs, weights, starts, by_sender, slack, chosen, log, size, waiting, is_waiting, False)
            gain += gained + change
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
                payment = log[size - 1]
                size = _flip(payment, legs, slack, chosen, log, size - 1) - 1
    chosen[:] = kept
