"""Sets of payments against enumeration of all sets: limits, order, bound, and the same set for the same input."""

from __future__ import annotations

import tracemalloc
from itertools import product

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sycee.core.errors import IntegrityError, UsageError
from sycee.netting import bilateral, enumeration, exact, fifo, local_search, relaxation, release, repair, rounding
from sycee.netting.optimise import optimise
from sycee.netting.pair_limits import with_pair_limits
from sycee.netting.queue import Queue

EFFORT = 0.01  # seconds


def queue(legs: list[tuple[int, int, int]], limits: list[int], payments: list[int] | None = None) -> Queue:
    senders, receivers, amounts = (np.array(each) for each in zip(*legs, strict=True))
    return Queue(senders, receivers, amounts, np.array(limits), np.array(payments or range(len(legs))))


@st.composite
def queues(draw: st.DrawFn, *, most: int = 9) -> Queue:
    """Payments of one or two legs between three or four nodes, with equal and different amounts."""
    nodes = draw(st.integers(3, 4))
    legs, payments = [], []
    for payment in range(draw(st.integers(1, most))):
        for _ in range(draw(st.sampled_from([1, 1, 1, 2]))):
            sender = draw(st.integers(0, nodes - 1))
            receiver = (sender + draw(st.integers(1, nodes - 1))) % nodes
            legs.append((sender, receiver, draw(st.sampled_from([1, 2, 3, 5, 10, 10, 99, 10**7]))))
            payments.append(payment)
    limits = [draw(st.sampled_from([0, 0, 1, 5, 10, 100])) for _ in range(nodes)]
    return queue(legs, limits, payments)


def sets(of: Queue) -> list[np.ndarray]:
    """Return all feasible sets."""
    every = (np.array(bits, np.bool_) for bits in product([False, True], repeat=of.count))
    return [each for each in every if np.all(of.outflows(each) <= of.limits)]


def keeps_order(of: Queue, chosen: np.ndarray) -> bool:
    """Return whether no chosen payment was sent after one of the same sender that was not."""
    for one in range(len(of.amounts)):
        for other in range(one):
            earlier, later = of.payments[other], of.payments[one]
            if of.senders[one] == of.senders[other] and chosen[later] and not chosen[earlier]:
                return False
    return True


@settings(max_examples=80, deadline=None)
@given(queues())
def test_every_method_against_all_sets(of: Queue) -> None:
    every = sets(of)
    best = max(of.value(each) for each in every)
    outcome = optimise(of, seconds=EFFORT)
    # All sets of a queue as small as this are compared; branch and bound finds one that is as good.
    assert of.value(outcome.chosen) == outcome.value == outcome.claim == best <= outcome.bound
    assert outcome.is_best
    answer = exact.solve(of, np.zeros(of.count, np.bool_), np.arange(of.count))
    assert answer.chosen is not None
    assert of.value(repair.repaired(of, answer.chosen)) == best
    assert outcome.bound == relaxation.bound(of, outcome.prices)
    assert np.array_equal(optimise(of, seconds=EFFORT).chosen, outcome.chosen)
    # In order: feasible, and it contains every other feasible set that keeps the order.
    ordered = fifo.largest_in_order(of)
    assert any(np.array_equal(ordered, each) for each in every)
    assert keeps_order(of, ordered)
    assert all(not np.any(each & ~ordered) for each in every if keeps_order(of, each))
    # One by one, and by search alone.
    for found in (
        release.release(of),
        release.release(of, keeps_order=False),
        local_search.anneal(of, ordered, outcome.prices, moves=500, seed=1),
        repair.repaired(of, np.ones(of.count, np.bool_)),
    ):
        assert any(np.array_equal(found, each) for each in every)
    assert keeps_order(of, release.release(of))


def heavy(seed: int, count: int) -> Queue:
    """Payments of one currency with heavy tails: from cents to billions."""
    random, nodes = np.random.default_rng(seed), 4
    senders = random.integers(0, nodes, count)
    receivers = (senders + random.integers(1, nodes, count)) % nodes
    amounts = np.maximum(1, np.exp(random.normal(13, 4, count))).astype(np.int64)
    limits = np.bincount(senders, amounts, nodes).astype(np.int64) // random.choice([5, 50, 10**9])
    return Queue(senders, receivers, amounts, limits)


@pytest.mark.parametrize("count", [5, 10, enumeration.COUNT_MAX])
@pytest.mark.parametrize("seed", range(4))
def test_amounts_of_all_sizes_settle_best_in_a_small_queue(seed: int, count: int) -> None:
    of = heavy(seed, count)
    outcome = optimise(of, seconds=EFFORT)
    every = np.array(list(product([0, 1], repeat=count)), np.int64)
    flows = every @ (
        of.amounts[:, None] * (np.eye(4, dtype=np.int64)[of.senders] - np.eye(4, dtype=np.int64)[of.receivers])
    )
    best = int((every @ of.weights)[np.all(flows <= of.limits, axis=1)].max())
    assert (outcome.value, outcome.claim, outcome.is_best) == (best, best, True)


def test_payments_of_many_legs_are_compared_in_little_memory() -> None:
    """Payment p sends 2**p over each of 400 legs, so that set k sends k over each; the last leg's limit decides."""
    count, legs = enumeration.COUNT_MAX, 400
    senders, amounts = np.tile(np.arange(legs), count), np.repeat(1 << np.arange(count), legs)
    limits = np.full(2 * legs, 20_000)
    limits[legs - 1] = 12_345
    of = Queue(senders, senders + legs, amounts, limits, np.repeat(np.arange(count), legs))
    tracemalloc.start()
    chosen = enumeration.best_set(of)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert int(chosen @ (1 << np.arange(count))) == 12_345
    assert peak_bytes < 64 << 20


@pytest.mark.parametrize("seed", range(8))
def test_a_queue_above_enumeration_is_settled_best_or_states_the_gap(seed: int) -> None:
    of = heavy(seed, enumeration.COUNT_MAX + 1 + seed % 3)
    outcome, best = optimise(of, seconds=EFFORT), of.value(enumeration.best_set(of))
    neglected = 1e-6 * float(of.weights.mean())
    assert outcome.claim is not None
    assert outcome.value <= best <= min(outcome.bound, outcome.claim + neglected)
    assert best <= outcome.value + neglected or not outcome.is_best


@settings(max_examples=100, deadline=None)
@given(queues(), st.lists(st.integers(0, (1 << 26) - 1), min_size=4, max_size=4))
def test_any_prices_give_a_bound(of: Queue, prices: list[int]) -> None:
    chosen = np.array(prices[: of.nodes])
    bound = relaxation.bound(of, chosen)
    assert bound >= max(of.value(each) for each in sets(of))
    # The same in Python's integers.
    gains = 0
    for payment in range(of.count):
        cost = 0
        for leg in np.flatnonzero(of.payments == payment):
            cost += (prices[of.senders[leg]] - prices[of.receivers[leg]]) * int(of.amounts[leg])
        gains += max(0, int(of.weights[payment]) * relaxation.PRICE_UNIT - cost)
    liquidity = sum(int(price) * int(limit) for price, limit in zip(chosen, of.limits, strict=True))
    assert bound == (gains + liquidity) // relaxation.PRICE_UNIT


def test_a_ring_without_money_settles_and_a_position_is_spent_once() -> None:
    ring = queue([(0, 1, 7), (1, 2, 7), (2, 0, 7)], [0, 0, 0])
    assert optimise(ring, seconds=EFFORT).chosen.all()
    assert fifo.largest_in_order(ring).all()
    assert not release.release(ring).any()
    three = queue([(0, 1, 10)] * 3, [10, 0])
    for found in (optimise(three, seconds=EFFORT).chosen, fifo.largest_in_order(three), release.release(three)):
        assert found.sum() == 1


def test_payment_against_payment_settles_both_legs_or_none() -> None:
    # Nodes 0 and 1 are a bank and its partner in one currency, 2 and 3 in the other.
    legs = [(0, 1, 100), (3, 2, 700)]
    assert optimise(queue(legs, [100, 0, 0, 700], [0, 0]), seconds=EFFORT).chosen.all()
    assert not optimise(queue(legs, [100, 0, 0, 699], [0, 0]), seconds=EFFORT).chosen.any()


@st.composite
def pairs(draw: st.DrawFn, *, least: int, most: int) -> Queue:
    """Payments between nodes 0 and 1; some bring back another currency, in nodes 2 and 3; some use a limit, node 4."""
    legs, payments = [], []
    for payment in range(draw(st.integers(least, most))):
        sender = draw(st.integers(0, 1))
        legs.append((sender, 1 - sender, draw(st.integers(1, 30) | st.sampled_from([100, 10**6]))))
        more = draw(st.sampled_from(["", "", "", "back", "limited"]))
        if more == "back":
            legs.append((3 - sender, 2 + sender, draw(st.integers(1, 30))))
        elif more == "limited":
            legs.append((4, 5, legs[-1][2]))
        payments += [payment] * (1 + bool(more))
    of = queue(legs, [draw(st.integers(0, 40)) for _ in range(5)] + [0], payments)
    urgent = draw(st.lists(st.integers(0, 1), min_size=of.count, max_size=of.count))
    return Queue(of.senders, of.receivers, of.amounts, of.limits, of.payments, priorities=np.array(urgent))


@settings(max_examples=100, deadline=None)
@given(pairs(least=1, most=9))
def test_opposite_payments_settle_the_best_of_all_sets(of: Queue) -> None:
    chosen = bilateral.offset(of)
    assert np.all(of.outflows(chosen) <= of.limits)
    assert of.value(chosen) == max(of.value(each) for each in sets(of))


@settings(max_examples=60, deadline=None)
@given(pairs(least=enumeration.COUNT_MAX + 1, most=60))
def test_many_opposite_payments_contain_the_largest_set_in_order_and_leave_nothing_that_fits(of: Queue) -> None:
    chosen = bilateral.offset(of)
    of.require_feasible(chosen)
    assert np.array_equal(bilateral.offset(of), chosen)
    assert not np.any(fifo.largest_in_order(of) & ~chosen)
    assert not release.release(of.rest(chosen), keeps_order=False).any()


def test_a_large_payment_at_the_head_of_a_long_queue_stops_no_offset() -> None:
    of = queue([(0, 1, 10**6), *[(0, 1, 10)] * 20, *[(1, 0, 10)] * 20], [1, 1])
    assert not fifo.largest_in_order(of).any()
    assert np.flatnonzero(~bilateral.offset(of)).tolist() == [0]


def test_a_part_of_a_queue_has_its_payments_and_the_rest_what_they_leave() -> None:
    of = queue([(0, 1, 5), (1, 0, 7), (2, 3, 8), (0, 1, 3)], [5, 2, 8, 0], [0, 1, 1, 2])
    part = of.part(np.array([1, 2]))
    assert (part.senders.tolist(), part.payments.tolist(), part.weights.tolist()) == ([1, 2, 0], [0, 0, 1], [7, 3])
    rest = of.rest(np.array([True, False, False]))
    assert (rest.limits.tolist(), rest.amounts.tolist(), rest.payments.tolist()) == ([0, 7, 8, 0], [7, 8, 3], [0, 0, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"amounts": np.array([0, 1])}, "below 1"),
        ({"amounts": np.array([1.0, 2.0])}, "no array of integers"),
        ({"senders": np.array([0, 9])}, "is not a node"),
        ({"receivers": np.array([0, 2])}, "to itself"),
        ({"limits": np.array([-1, 0, 0])}, "below zero"),
        ({"amounts": np.array([1 << 61, 1 << 61])}, "more than"),
        ({"payments": np.array([0, 2])}, "without gaps"),
        ({"weights": np.array([1])}, "one for each payment"),
        ({"senders": np.array([0])}, "different lengths"),
    ],
)
def test_a_wrong_queue_is_refused(change: dict[str, np.ndarray], message: str) -> None:
    arrays = {
        "senders": np.array([0, 1]),
        "receivers": np.array([1, 2]),
        "amounts": np.array([5, 5]),
        "limits": np.array([5, 5, 5]),
    }
    with pytest.raises(UsageError, match=message):
        Queue(**{**arrays, **change})


def test_a_set_above_a_limit_is_never_passed_on() -> None:
    of = queue([(0, 1, 10)], [9, 0])
    with pytest.raises(IntegrityError, match="1 more than its limit"):
        of.require_feasible(np.array([True]))


def test_an_empty_queue_settles_nothing() -> None:
    empty = np.empty(0, np.int64)
    outcome = optimise(Queue(empty, empty, empty, np.array([5])))
    assert (outcome.value, outcome.bound, outcome.method) == (0, 0, "none")


@settings(max_examples=30, deadline=None)
@given(queues(most=7), st.data())
def test_a_limit_of_a_pair_holds_in_every_method(of: Queue, data: st.DataObject) -> None:
    pair = data.draw(
        st.tuples(st.integers(0, of.nodes - 1), st.integers(0, of.nodes - 1)).filter(lambda p: p[0] != p[1])
    )
    limit = data.draw(st.sampled_from([0, 1, 10, 99]))
    limited = with_pair_limits(of, {pair: limit})

    def net(chosen: np.ndarray) -> int:
        legs = chosen[of.payments]
        out = legs & (of.senders == pair[0]) & (of.receivers == pair[1])
        back = legs & (of.senders == pair[1]) & (of.receivers == pair[0])
        return int(of.amounts[out].sum()) - int(of.amounts[back].sum())

    within = [each for each in sets(of) if net(each) <= limit]
    outcome = optimise(limited, seconds=EFFORT)
    assert outcome.value == max(of.value(each) for each in within) <= outcome.bound
    for found in (outcome.chosen, fifo.largest_in_order(limited), release.release(limited)):
        assert any(np.array_equal(found, each) for each in within)


def test_a_limit_of_a_pair_that_is_none_is_refused() -> None:
    of = queue([(0, 1, 6)], [10, 0])
    assert with_pair_limits(of, {}) is of
    for pair, limit in (((0, 0), 1), ((0, 2), 1), ((0, 1), -1)):
        with pytest.raises(UsageError, match="is none"):
            with_pair_limits(of, {pair: limit})


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.integers(-3, 200), st.booleans())
def test_a_subset_is_on_the_right_side_of_its_target(amounts: list[int], target: int, is_least: bool) -> None:
    values = np.array(amounts)
    sums = {int(values[np.array(bits, np.bool_)].sum()) for bits in product([False, True], repeat=len(values))}
    places = rounding.subset(values, target, np.random.default_rng(1), is_least=is_least)
    found = int(values[places].sum())
    assert len(set(places.tolist())) == len(places)
    if is_least:
        assert found == min((each for each in sums if each >= target), default=max(sums))
    else:
        assert found == max((each for each in sums if each <= target), default=0)


@settings(max_examples=40, deadline=None)
@given(queues(most=30))
def test_the_relaxation_of_one_currency_is_a_flow(of: Queue) -> None:
    first = of.first_legs
    of = Queue(of.senders[first], of.receivers[first], of.amounts[first], of.limits)
    network = nx.MultiDiGraph()
    for node in range(of.nodes):
        network.add_edge("liquidity", node, capacity=int(of.limits[node]), weight=0)
        network.add_edge(node, "liquidity", weight=0)
    for sender, receiver, amount in zip(of.senders, of.receivers, of.amounts, strict=True):
        network.add_edge(int(sender), int(receiver), capacity=int(amount), weight=-1)
    cost, _ = nx.network_simplex(network)
    assert relaxation.relax(of).bound == -cost
