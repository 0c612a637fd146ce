"""Compiled loops over the payments of a queue.

Legs of payment p are first_legs[p] to first_legs[p + 1]. `slack` [nodes] is what a node may still pay out net.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import float64, int32, int64, njit, uint8, uint64, void

from sycee.core import jit, kernel_build

PRICE_UNIT: Final = 1 << 20  # an integer price p is worth p / PRICE_UNIT of a weight for each minor unit
SCAN: Final = 1_000  # payments of a node that `mend` looks at, from the smallest that is large enough
COOLING_OCTAVES: Final = 16.0  # the temperature is halved so often

kernel_build.ensure(__name__)
_inline: Any = njit(inline="always", error_model="numpy")
_plain: Any = njit(error_model="numpy")


@jit.entry(
    void(
        int64[::1],
        int64[::1],
        int64[::1],
        int64[::1],
        int32[::1],
        int32[::1],
        int32[::1],
        int64[::1],
        int64[::1],
        uint8[::1],
    ),
    error_model="numpy",
)
def drop_last(
    starts: Any,
    order: Any,
    places: Any,
    first_legs: Any,
    payments: Any,
    senders: Any,
    receivers: Any,
    amounts: Any,
    slack: Any,
    chosen: Any,
) -> None:
    """Drop payments from `chosen` until no `slack` [nodes] is below zero.

    Node n's legs are order[starts[n]:starts[n + 1]], and those before its cut are still in.
    """
    nodes = starts.shape[0] - 1
    cuts = starts[1:].copy()  # what each node keeps
    done = starts[1:].copy()  # where its legs have been dropped
    waiting = np.empty(nodes, np.int64)
    is_waiting = np.zeros(nodes, np.uint8)
    count = 0
    for node in range(nodes):
        if slack[node] < 0:
            waiting[count], is_waiting[node] = node, 1
            count += 1
    while count:
        count -= 1
        node = waiting[count]
        is_waiting[node] = 0
        while (slack[node] < 0 or done[node] > cuts[node]) and done[node] > starts[node]:
            done[node] -= 1
            cuts[node] = min(cuts[node], done[node])
            payment = payments[order[done[node]]]
            if not chosen[payment]:
                continue
            chosen[payment] = 0
            for leg in range(first_legs[payment], first_legs[payment + 1]):
                sender, receiver = senders[leg], receivers[leg]
                slack[sender] += amounts[leg]
                slack[receiver] -= amounts[leg]
                cuts[sender] = min(cuts[sender], places[leg])
                if (slack[receiver] < 0) and receiver != node and not is_waiting[receiver]:
                    waiting[count], is_waiting[receiver] = receiver, 1
                    count += 1
                if done[sender] > cuts[sender] and sender != node and not is_waiting[sender]:
                    waiting[count], is_waiting[sender] = sender, 1
                    count += 1


@_plain
def _move(payment: Any, first_legs: Any, senders: Any, receivers: Any, amounts: Any, slack: Any, sign: Any) -> Any:
    """Pay the legs of a payment, or take them back; return whether no node of it is below zero then."""
    for leg in range(first_legs[payment], first_legs[payment + 1]):
        slack[senders[leg]] -= sign * amounts[leg]
        slack[receivers[leg]] += sign * amounts[leg]
    for leg in range(first_legs[payment], first_legs[payment + 1]):
        if slack[senders[leg]] < 0 or slack[receivers[leg]] < 0:
            return False
    return True


@jit.entry(
    void(int64[::1], int64[::1], int64[::1], int32[::1], int32[::1], int32[::1], int64[::1], int64[::1], uint8[::1]),
    error_model="numpy",
)
def release_in_order(
    starts: Any,
    order: Any,
    first_legs: Any,
    payments: Any,
    senders: Any,
    receivers: Any,
    amounts: Any,
    slack: Any,
    chosen: Any,
) -> None:
    """Mark in `chosen` what the slack covers while each node pays in its order, and change the slack accordingly.

    Node n's legs are order[starts[n]:starts[n + 1]]. Whatever settles covers more of the rest, never less, so every
    sequence of tries ends with the same set.
    """
    nodes = slack.shape[0]
    heads = starts.copy()
    waiting, is_waiting, count = np.arange(nodes), np.ones(nodes, np.uint8), nodes
    while count:
        count -= 1
        node = waiting[count]
        is_waiting[node] = 0
        while heads[node] < starts[node + 1]:
            payment = payments[order[heads[node]]]
            if chosen[payment]:
                heads[node] += 1
                continue
            is_first = True
            for leg in range(first_legs[payment], first_legs[payment + 1]):
                sender = senders[leg]
                while heads[sender] < starts[sender + 1] and chosen[payments[order[heads[sender]]]]:
                    heads[sender] += 1
                if payments[order[heads[sender]]] != payment:
                    is_first = False
            if not is_first or not _move(payment, first_legs, senders, receivers, amounts, slack, 1):
                if is_first:
                    _move(payment, first_legs, senders, receivers, amounts, slack, -1)
                break
            chosen[payment] = 1
            for leg in range(first_legs[payment], first_legs[payment + 1]):
                for other in (senders[leg], receivers[leg]):
                    if other != node and not is_waiting[other]:
                        waiting[count], is_waiting[other] = other, 1
                        count += 1


@jit.entry(
    void(int64[::1], int64[::1], int32[::1], int32[::1], int64[::1], int64[::1], uint8[::1]), error_model="numpy"
)
def release_all(
    order: Any, first_legs: Any, senders: Any, receivers: Any, amounts: Any, slack: Any, chosen: Any
) -> None:
    """Mark in `chosen` what the slack covers, trying the payments again until nothing more settles."""
    found = True
    while found:
        found = False
        for payment in order:
            if chosen[payment]:
                continue
            if _move(payment, first_legs, senders, receivers, amounts, slack, 1):
                chosen[payment], found = 1, True
            else:
                _move(payment, first_legs, senders, receivers, amounts, slack, -1)


@jit.entry(
    void(int64[::1], int32[::1], int32[::1], int64[::1], int64[::1], int64[::1], int64[::1]), error_model="numpy"
)
def gains(first_legs: Any, senders: Any, receivers: Any, amounts: Any, weights: Any, prices: Any, parts: Any) -> None:
    """Add up the gains above zero, in `parts` of 2**64, 2**32 and 1: a gain may need 90 bits."""
    mask = (1 << 32) - 1
    for payment in range(weights.shape[0]):
        high, low = (weights[payment] >> 32) * PRICE_UNIT, (weights[payment] & mask) * PRICE_UNIT
        for leg in range(first_legs[payment], first_legs[payment + 1]):
            price = prices[senders[leg]] - prices[receivers[leg]]
            high -= price * (amounts[leg] >> 32)
            low -= price * (amounts[leg] & mask)
        high += low >> 32
        low &= mask
        if high >= 0:
            parts[2] += low
            parts[1] += high & mask
            parts[0] += high >> 32


@jit.entry(void(int64[::1], int64[::1], int64, uint8[::1]), error_model="numpy")
def fill(order: Any, amounts: Any, capacity: Any, taken: Any) -> None:
    """Take each amount that the remaining capacity covers, in order."""
    for place in order:
        if amounts[place] <= capacity:
            capacity -= amounts[place]
            taken[place] = 1


@_inline
def _random(state: Any) -> Any:
    """Return the next 64 bits of xorshift64*."""
    value = state[0]
    value ^= value >> uint64(12)
    value ^= value << uint64(25)
    value ^= value >> uint64(27)
    state[0] = value
    return value * uint64(2685821657736338717)


@_plain
def _flip(
    payment: Any, first_legs: Any, senders: Any, receivers: Any, amounts: Any, weights: Any, slack: Any, chosen: Any
) -> Any:
    """Take or leave a payment; return the change of the value and of the units above limits."""
    sign = np.int64(1) - 2 * np.int64(chosen[payment])
    chosen[payment] = 1 - chosen[payment]
    over = np.int64(0)
    for leg in range(first_legs[payment], first_legs[payment + 1]):
        sender, receiver, amount = senders[leg], receivers[leg], sign * amounts[leg]
        over += min(slack[sender], 0) + min(slack[receiver], 0)
        slack[sender] -= amount
        slack[receiver] += amount
        over -= min(slack[sender], 0) + min(slack[receiver], 0)
    return sign * weights[payment], over


@_plain
def _mark(payment: Any, marks: Any, touched: Any, count: Any) -> Any:
    """Note that a payment differs from the best set, or does no longer: bit 1 listed, bit 2 differs."""
    if marks[payment] == 0:
        touched[count] = payment
        count += 1
    marks[payment] = (marks[payment] ^ 2) | 1
    return count


@jit.entry(
    int64(
        int64[::1],
        int32[::1],
        int32[::1],
        int64[::1],
        int64[::1],
        int64[::1],
        int64[::1],
        int64[::1],
        uint8[::1],
        int64,
        float64,
        float64,
        int64,
    ),
    error_model="numpy",
)
def anneal(
    first_legs: Any,
    senders: Any,
    receivers: Any,
    amounts: Any,
    weights: Any,
    slack: Any,
    free: Any,
    starts: Any,
    chosen: Any,
    moves: Any,
    hot: Any,
    penalty: Any,
    seed: Any,
) -> Any:
    """Change `chosen` into the best feasible set of the search, or if there was none into its last set; return which.

    `free` are the payments that may change, by sender: node n's are free[starts[n]:starts[n + 1]].
    """
    state = np.empty(1, np.uint64)
    state[0] = uint64(seed) * uint64(0x9E3779B97F4A7C15) + uint64(0xD1B54A32D192ED03)
    count = uint64(free.shape[0])
    marks, touched, listed = np.zeros(chosen.shape[0], np.uint8), np.empty(chosen.shape[0], np.int64), 0
    value, best, over = np.int64(0), np.int64(-1), np.int64(0)
    for payment in range(chosen.shape[0]):
        if chosen[payment]:
            value += weights[payment]
    for node in range(slack.shape[0]):
        over -= min(slack[node], 0)
    temperature = hot
    steps = max(1, moves >> 10)
    cooling = 0.5 ** (COOLING_OCTAVES / steps)
    scale = 1.0 / 9007199254740992.0
    for move in range(moves):
        if move & 1023 == 1023:
            temperature *= cooling
        bits = _random(state)
        one = free[(bits >> uint64(32)) % count]
        gain, excess = _flip(one, first_legs, senders, receivers, amounts, weights, slack, chosen)
        other = np.int64(-1)
        if bits & uint64(1):  # exchange it with another payment of its sender
            node = senders[first_legs[one]]
            place = starts[node] + np.int64(_random(state) >> uint64(33)) % (starts[node + 1] - starts[node])
            if free[place] != one:
                other = free[place]
                more, above = _flip(other, first_legs, senders, receivers, amounts, weights, slack, chosen)
                gain, excess = gain + more, excess + above
        worse = penalty * excess - gain
        if worse > 0.0 and np.float64(_random(state) >> uint64(11)) * scale >= np.exp(-worse / temperature):
            if other >= 0:
                _flip(other, first_legs, senders, receivers, amounts, weights, slack, chosen)
            _flip(one, first_legs, senders, receivers, amounts, weights, slack, chosen)
            continue
        value, over = value + gain, over + excess
        listed = _mark(one, marks, touched, listed)
        if other >= 0:
            listed = _mark(other, marks, touched, listed)
        if over == 0 and value > best:
            best = value
            for place in range(listed):
                marks[touched[place]] = 0
            listed = 0
    for place in range(listed):
        if marks[touched[place]] & 2 and best >= 0:
            chosen[touched[place]] = 1 - chosen[touched[place]]
    return np.int64(best >= 0)


@jit.entry(
    void(int64[::1], int64[::1], int32[::1], int32[::1], int64[::1], int64[::1], uint8[::1]), error_model="numpy"
)
def mend(starts: Any, near: Any, senders: Any, receivers: Any, amounts: Any, slack: Any, chosen: Any) -> None:
    """Flip payments along paths, so that fewer slacks are below zero.

    `near` are payments with one leg by node, the smallest amount first: node n's are near[starts[n]:starts[n + 1]], as
    sender or receiver. A path leads from a node below zero to nodes that can spare the money. Each of its steps drops a
    payment to the next node, or takes one from it, which is at least as large as what the node needs then.
    """
    nodes = slack.shape[0]
    needs, via, before = np.empty(nodes, np.int64), np.empty(nodes, np.int64), np.empty(nodes, np.int64)
    state = np.empty(nodes, np.uint8)  # 0 unknown, 1 reached, 2 done
    for start in range(nodes):
        part = -slack[start]
        while slack[start] < 0 and part > 0:
            part = min(part, -slack[start])
            state[:] = 0
            state[start], needs[start] = 1, part
            end = -1
            while end < 0:
                node = -1
                for each in range(nodes):
                    if state[each] == 1 and (node < 0 or needs[each] < needs[node]):
                        node = each
                if node < 0:
                    break
                if needs[node] <= 0:
                    end = node
                    break
                state[node] = 2
                low, high = starts[node], starts[node + 1]
                while low < high:
                    middle = (low + high) // 2
                    if amounts[near[middle]] < needs[node]:
                        low = middle + 1
                    else:
                        high = middle
                for place in range(low, min(low + SCAN, starts[node + 1])):
                    leg = near[place]
                    if (senders[leg] == node) != (chosen[leg] == 1):
                        continue
                    other = receivers[leg] if senders[leg] == node else senders[leg]
                    need = amounts[leg] - slack[other]
                    if state[other] == 0 or (state[other] == 1 and need < needs[other]):
                        state[other], needs[other], via[other], before[other] = 1, need, leg, node
            if end < 0:
                part //= 2
                continue
            while end != start:
                leg = via[end]
                sign = np.int64(1) if chosen[leg] else np.int64(-1)
                chosen[leg] = 1 - chosen[leg]
                slack[senders[leg]] += sign * amounts[leg]
                slack[receivers[leg]] -= sign * amounts[leg]
                end = before[end]


@jit.entry(
    int64(int64[::1], int64[::1], int32[::1], int32[::1], int64[::1], int64[::1], uint8[::1], int64),
    error_model="numpy",
)
def repair(
    order: Any, first_legs: Any, senders: Any, receivers: Any, amounts: Any, slack: Any, chosen: Any, drops_max: Any
) -> Any:
    """Drop payments until no slack is below zero; return 1 if `drops_max` are too few. `order`: smallest weight first.

    A payment is dropped where it helps: the smallest that covers what its sender lacks and leaves its receivers above
    zero; else the smallest that covers it; else the sender's largest.
    """
    drops = 0
    lacking = True
    while lacking:
        lacking = False
        for node in range(slack.shape[0]):
            while slack[node] < 0:
                if drops == drops_max:
                    return 1
                lacking = True
                best, rank = -1, -1
                for payment in order:
                    if not chosen[payment]:
                        continue
                    gives, harms = np.int64(0), False
                    for leg in range(first_legs[payment], first_legs[payment + 1]):
                        if senders[leg] == node:
                            gives += amounts[leg]
                        elif receivers[leg] == node:
                            gives -= amounts[leg]
                        if receivers[leg] != node and slack[receivers[leg]] < amounts[leg]:
                            harms = True
                    covers = gives >= -slack[node]
                    if covers and not harms:
                        best = payment
                        break
                    if covers and rank < 1:
                        best, rank = payment, 1
                    elif gives > 0 and rank < 1:
                        best, rank = payment, 0
                chosen[best] = 0
                drops += 1
                _move(best, first_legs, senders, receivers, amounts, slack, -1)
    return 0


@jit.entry(
    void(int64[::1], int64[::1], int32[::1], int32[::1], int64[::1], int64[::1], uint8[::1]), error_model="numpy"
)
def take_what_fits(
    order: Any, first_legs: Any, senders: Any, receivers: Any, amounts: Any, slack: Any, chosen: Any
) -> None:
    """Take each payment that the slack covers, the largest weight first. `order`: the smallest weight first."""
    for place in range(order.shape[0] - 1, -1, -1):
        payment = order[place]
        if not chosen[payment]:
            if _move(payment, first_legs, senders, receivers, amounts, slack, 1):
                chosen[payment] = 1
            else:
                _move(payment, first_legs, senders, receivers, amounts, slack, -1)
