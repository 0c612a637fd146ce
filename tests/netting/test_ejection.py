"""The search by ejection chains: feasible, repeatable, and the best set of a small queue."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sycee.core.errors import UsageError
from sycee.netting import ejection
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


def test_payments_with_several_legs_are_refused() -> None:
    queue = Queue(
        np.array([0, 1], np.int32), np.array([1, 0], np.int32), np.array([3, 4]), np.array([9, 9]),
        np.array([0, 0], np.int32),
    )  # fmt: skip
    with pytest.raises(UsageError, match="one leg each"):
        ejection.chains(queue, np.ones(1, np.bool_), np.zeros(2, np.int64), count=1)
