"""The search by ejection chains: feasible, repeatable, and the best set of a small queue."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.netting.test_netting import queues as legged

from sycee.netting import ejection
from sycee.netting.pair_limits import with_pair_limits
from sycee.netting.queue import Queue
from sycee.netting.relaxation import relax


@st.composite
def queues(draw: st.DrawFn, count: int = 10) -> Queue:
    nodes = draw(st.integers(2, 4))
    rows = draw(
        st.lists(
            st.tuples(st.integers(0, nodes - 1), st.integers(1, nodes - 1), st.integers(1, 60)),
            min_size=1,
            max_size=count,
        )
    )
    senders = np.array([row[0] for row in rows], np.int32)
    receivers = np.array([(row[0] + row[1]) % nodes for row in rows], np.int32)
    limits = np.array(draw(st.lists(st.integers(0, 40), min_size=nodes, max_size=nodes)), np.int64)
    return Queue(senders, receivers, np.array([row[2] for row in rows], np.int64), limits)


def best(queue: Queue) -> int:
    """Return the value of the best set, by trying all."""
    sets = (np.array(each, np.bool_) for each in product((False, True), repeat=queue.count))
    return max(queue.value(each) for each in sets if np.all(queue.outflows(each) <= queue.limits))


@settings(max_examples=20)
@given(queue=queues(), seed=st.integers(0, 3))
def test_a_set_is_feasible_repeatable_and_no_worse_than_a_feasible_start(queue: Queue, seed: int) -> None:
    prices, nothing = relax(queue).prices, np.zeros(queue.count, np.bool_)
    one = ejection.chains(queue, nothing, prices, count=20, seed=seed)
    queue.require_feasible(one)
    assert np.array_equal(one, ejection.chains(queue, nothing, prices, count=20, seed=seed))
    other = ejection.chains(queue, one, prices, count=5, seed=seed + 1)
    assert queue.value(other) >= queue.value(one)


def test_small_queues_are_nearly_always_settled_best() -> None:
    random = np.random.default_rng(1)
    shares = []
    for _ in range(20):
        senders = random.integers(0, 4, 10)
        receivers = (senders + random.integers(1, 4, 10)) % 4
        queue = Queue(senders, receivers, random.integers(1, 60, 10), random.integers(0, 40, 4))
        found = ejection.chains(queue, np.ones(10, np.bool_), relax(queue).prices, count=300)
        queue.require_feasible(found)
        shares.append(queue.value(found) / max(1, best(queue)))
    assert max(shares) <= 1
    assert np.mean(shares) >= 0.95, shares


def test_ten_times_three_from_ten_settle_one_after_the_limit() -> None:
    queue = Queue(np.zeros(3, np.int32), np.ones(3, np.int32), np.full(3, 10), np.array([10, 0]))
    assert ejection.chains(queue, np.ones(3, np.bool_), relax(queue).prices, count=10).sum() == 1


def test_an_empty_queue_has_an_empty_set() -> None:
    nothing = np.empty(0, np.int32)
    queue = Queue(nothing, nothing, np.empty(0, np.int64), np.array([5, 5]))
    assert not len(ejection.chains(queue, np.empty(0, np.bool_), np.zeros(2, np.int64), count=10))


@settings(max_examples=20)
@given(of=legged(), seed=st.integers(0, 3))
def test_payments_of_several_legs_settle_whole(of: Queue, seed: int) -> None:
    prices, every = relax(of).prices, np.ones(of.count, np.bool_)
    found = ejection.chains(of, every, prices, count=100, seed=seed)
    of.require_feasible(found)
    assert np.array_equal(found, ejection.chains(of, every, prices, count=100, seed=seed))
    # Nothing that is left fits beside the set.
    for payment in np.flatnonzero(~found):
        more = found.copy()
        more[payment] = True
        assert np.any(of.outflows(more) > of.limits)


def test_small_queues_with_limits_of_pairs_are_nearly_always_settled_best() -> None:
    random = np.random.default_rng(2)
    shares = []
    for _ in range(20):
        senders = random.integers(0, 3, 10)
        receivers = (senders + random.integers(1, 3, 10)) % 3
        of = Queue(senders, receivers, random.integers(1, 60, 10), random.integers(0, 40, 3))
        of = with_pair_limits(of, {(0, 1): int(random.integers(0, 30)), (2, 1): int(random.integers(0, 30))})
        found = ejection.chains(of, np.ones(10, np.bool_), relax(of).prices, count=300)
        of.require_feasible(found)
        shares.append(of.value(found) / max(1, best(of)))
    assert max(shares) <= 1
    assert np.mean(shares) >= 0.95, shares


def test_a_ring_closes_without_liquidity() -> None:
    """Two rings of three and two payments between four nodes, beside payments that nothing covers."""
    legs = [(0, 1, 700), (1, 2, 700), (2, 0, 700), (2, 3, 90), (3, 2, 90), (0, 3, 10**6), (1, 0, 10**5)]
    senders, receivers, amounts = (np.array(each) for each in zip(*legs, strict=True))
    of, nothing = Queue(senders, receivers, amounts, np.zeros(4, np.int64)), np.zeros(7, np.bool_)
    prices = relax(of).prices
    found = ejection.chains(of, nothing, prices, count=100, rings=1.0)
    assert found.tolist() == [True] * 5 + [False] * 2
    assert not ejection.chains(of, nothing, prices, count=1, rings=0.0).any()


def test_few_payments_near_zero_liquidity_settle_by_rings() -> None:
    random = np.random.default_rng(4)
    senders = random.integers(0, 8, 120)
    receivers = (senders + random.integers(1, 8, 120)) % 8
    amounts = np.exp(random.normal(13, 1.2, 120)).astype(np.int64)
    of = Queue(senders, receivers, amounts, np.bincount(senders, amounts, 8).astype(np.int64) // 500)
    relaxation, nothing = relax(of), np.zeros(120, np.bool_)
    without = of.value(ejection.chains(of, nothing, relaxation.prices, count=1_000))
    found = ejection.chains(of, nothing, relaxation.prices, count=1_000, rings=1.0)
    of.require_feasible(found)
    assert of.value(found) > max(0.3 * relaxation.bound, 2 * without)
