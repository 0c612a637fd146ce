"""Weights of urgent and old payments, and liquidity that waits for large ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.netting.test_netting import EFFORT, queue, queues, sets

from sycee.core.errors import UsageError
from sycee.netting import priorities
from sycee.netting.optimise import optimise
from sycee.netting.queue import Queue


def test_urgent_and_old_payments_weigh_more() -> None:
    values, urgency = np.array([100, 100, 100]), np.array([0, 5, 5], np.int8)
    weights = priorities.weigh(values, urgency, np.array([0.0, 0.5, 0.0]), urgent=2.0, age=1.0)
    assert weights.tolist() == [300 << 10, 150 << 10, 100 << 10]
    with pytest.raises(UsageError, match="ages are from 0 to 1"):
        priorities.weigh(values, urgency, np.array([0.0, 1.5, 0.0]))
    with pytest.raises(UsageError, match="more than"):
        priorities.weigh(np.array([1 << 52] * 3), urgency, np.zeros(3))


def test_liquidity_is_kept_for_a_large_payment() -> None:
    # Payment 0 is larger than the limit of node 0. Payment 1 would spend the limit.
    of = queue([(0, 1, 100), (0, 1, 60), (2, 0, 30)], [60, 0, 30])
    assert priorities.stranded(of, np.array([0.5, 0.0, 0.5])).tolist() == [True, False, True]
    assert optimise(of, seconds=EFFORT).chosen.tolist() == [False, True, True]
    only_first = np.array([True, False, False])
    assert optimise(priorities.with_reserves(of, only_first), seconds=EFFORT).chosen.tolist() == [False, False, True]
    # Later, 40 more have come in.
    later = queue([(0, 1, 100), (0, 1, 60)], [100, 0])
    kept = priorities.with_reserves(later, np.array([True, False]))
    assert optimise(kept, seconds=EFFORT).chosen.tolist() == [True, False]
    assert priorities.with_reserves(of, np.zeros(3, np.bool_)) is of
    with pytest.raises(UsageError, match="3 payments"):
        priorities.with_reserves(of, np.zeros(2, np.bool_))


@settings(max_examples=40, deadline=None)
@given(queues(most=7), st.data())
def test_reserves_hold_in_the_best_set(of: Queue, data: st.DataObject) -> None:
    protected = np.array(data.draw(st.lists(st.booleans(), min_size=of.count, max_size=of.count)))
    is_protected = protected[of.payments]
    reserves = np.zeros(of.nodes, np.int64)
    np.maximum.at(reserves, of.senders[is_protected], of.amounts[is_protected])
    reserves = np.minimum(reserves, of.limits)

    def holds(chosen: np.ndarray) -> bool:
        spent = np.zeros(of.nodes, np.int64)
        for leg in np.flatnonzero(chosen[of.payments]):
            spent[of.senders[leg]] += 0 if is_protected[leg] else of.amounts[leg]
            spent[of.receivers[leg]] -= of.amounts[leg]
        return bool(np.all((spent <= of.limits - reserves) | (reserves == 0)))

    within = [each for each in sets(of) if holds(each)]
    outcome = optimise(priorities.with_reserves(of, protected), seconds=EFFORT)
    assert outcome.value == max(of.value(each) for each in within)
    assert any(np.array_equal(outcome.chosen, each) for each in within)
