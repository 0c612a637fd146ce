"""Large queues by levels: near the bound, feasible, and the same set for the same input."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks import clearing_queues
from tests.netting.test_netting import queue

from sycee.netting import exact, fifo, levels, relaxation, repair
from sycee.netting.optimise import optimise
from sycee.netting.queue import Queue, ascending

LONG = 600.0  # seconds: no test waits for it


def synthetic(count: int, nodes: int, deviation: float, seed: int) -> Queue:
    rng = np.random.default_rng(seed)
    senders = rng.integers(0, nodes, count)
    receivers = (senders + rng.integers(1, nodes, count)) % nodes
    amounts = np.maximum(1, np.exp(rng.normal(12, deviation, count)).astype(np.int64))
    return Queue(senders, receivers, amounts, np.bincount(senders, amounts, nodes).astype(np.int64) // 500)


def test_branch_and_bound_changes_only_what_is_free() -> None:
    of = queue([(0, 1, 6), (0, 1, 5), (0, 1, 4)], [10, 0])
    start = np.array([False, True, False])
    answer = exact.solve(of, start, np.array([2]))
    assert answer.chosen is not None
    assert (answer.chosen.tolist(), answer.is_proven) == ([False, True, True], True)
    assert answer.bound == pytest.approx(9)


def test_branch_and_bound_settles_the_smaller_payments_in_part() -> None:
    of = queue([(0, 1, 8), (0, 1, 5), (0, 1, 4)], [10, 0])
    columns = np.array([0, 1, 1], np.int32)
    answer = exact.solve(of, np.ones(3, np.bool_), np.array([0]), partial=np.array([1, 2]), columns=columns)
    assert answer.chosen is not None
    assert not answer.chosen[1:].any()
    settled = 8 * answer.chosen[0] + 9 * answer.shares[1]
    assert settled == pytest.approx(10) == answer.bound


def test_levels_come_near_the_bound_and_repeat() -> None:
    of = synthetic(1_500, 8, 1.5, 3)
    outcome = optimise(of, seconds=0.5, deadline=LONG)
    assert outcome.method in ("levels", "annealing")
    assert outcome.is_repeatable
    assert outcome.claim is not None
    assert 0.99 * outcome.claim < outcome.value <= outcome.claim <= outcome.bound
    assert of.value(fifo.largest_in_order(of)) < outcome.value
    assert np.array_equal(optimise(of, seconds=0.5, deadline=LONG).chosen, outcome.chosen)


def test_few_large_payments_get_a_lower_bound_from_more_of_them_and_the_same_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of = synthetic(200, 20, 2.0, 7)
    for name, value in (("FIRST", 20), ("PROVED", 80), ("TREE_MAX", 1), ("WEAK", 0.0)):
        monkeypatch.setattr(levels, name, value)
    relaxed = relaxation.relax(of)
    found = levels.decide(of, relaxed, gap=1e-4, seconds=LONG, seed=0)
    monkeypatch.setattr(levels, "WEAK", 1.0)  # never: as without a proof
    first = levels.decide(of, relaxed, gap=1e-4, seconds=LONG, seed=0)
    assert of.value(found.chosen) <= found.bound < 0.99 * first.bound < relaxed.bound
    assert np.array_equal(found.chosen, first.chosen)
    assert not found.is_stopped


@pytest.mark.parametrize("seed", range(6))
def test_a_bound_without_a_search_is_above_the_best_set(seed: int) -> None:
    of = synthetic(24, 4, 1.5, seed)
    best = of.value(exact.solve(of, np.zeros(24, np.bool_), np.arange(24)).chosen)  # type: ignore[arg-type]
    answer = exact.solve(
        of, np.zeros(24, np.bool_), np.arange(12), partial=np.arange(12, 24), columns=relaxation.relax(of).columns,
        is_search=False,
    )  # fmt: skip
    assert best <= answer.bound * (1 + 1e-9)
    assert answer.bound <= relaxation.relax(of).bound * (1 + 1e-9)


def test_levels_end_without_a_set_that_exceeds_a_limit() -> None:
    # Few small amounts: what parts of payments fill, whole payments may not fill.
    of = synthetic(320, 10, 2.5, 1)
    found = levels.decide(of, relaxation.relax(of), gap=1e-3, seconds=LONG, seed=0)
    of.require_feasible(found.chosen)
    assert 0 < of.value(found.chosen) <= found.bound


def test_a_small_excess_is_passed_on_and_drops_no_large_payment() -> None:
    # Node 0 pays 3 above its limit, and node 3 has 5 to spare: payments of 4 and 5 lead there by node 2.
    of = queue([(0, 1, 1000), (1, 0, 997), (0, 2, 4), (2, 3, 5)], [4, 0, 1, 0])
    every = np.ones(4, np.bool_)
    assert (of.outflows(every) - of.limits).tolist() == [3, -3, 0, -5]
    assert repair.repaired(of, every).tolist() == [True, True, False, False]


def test_an_excess_of_payments_against_payment_is_passed_on_too() -> None:
    # Nodes 0 to 3 are of one currency, 4 and 5 of another. The first payment has a leg in each.
    of = Queue(
        *(np.array(each) for each in zip(*[(0, 1, 1000), (5, 4, 70), (1, 0, 997), (0, 2, 4), (2, 3, 5)], strict=True)),
        np.array([4, 0, 1, 0, 0, 70]),
        payments=np.array([0, 0, 1, 2, 3]),
    )
    every = np.ones(4, np.bool_)
    assert (of.outflows(every) - of.limits).tolist() == [3, -3, 0, -5, -70, 0]
    assert repair.repaired(of, every).tolist() == [True, True, False, False]


def test_without_liquidity_two_payments_are_dropped_that_differ_by_the_excess() -> None:
    of = queue([(0, 1, 1000), (0, 1, 53), (0, 1, 70), (1, 0, 50), (1, 0, 1020), (1, 0, 50)], [0, 0])
    every = np.ones(6, np.bool_)
    assert (of.outflows(every) - of.limits).tolist() == [3, -3]
    assert repair.repaired(of, every).tolist() == [True, False, True, False, True, True]


def test_many_payments_of_a_pair_are_rounded() -> None:
    of = synthetic(6_000, 3, 1.2, 5)
    outcome = optimise(of, seconds=0.1, deadline=LONG)
    assert outcome.method in ("rounding", "annealing")
    assert 0.9999 * outcome.bound < outcome.value <= outcome.bound


def test_without_time_for_the_first_level_the_linear_programme_is_rounded() -> None:
    of = synthetic(1_500, 8, 1.5, 3)
    found = levels.decide(of, relaxation.relax(of), gap=1e-3, seconds=0.0, seed=0)
    of.require_feasible(found.chosen)
    assert found.is_stopped
    assert of.value(found.chosen) > 0.9 * found.bound


def test_with_a_penalty_a_set_exceeds_limits_where_none_keeps_them() -> None:
    # Payment 0 is decided, and its sender lacks 10. Only payment 1 of 8 comes back.
    of = queue([(0, 1, 20), (1, 0, 8)], [10, 0])
    start = np.array([True, False])
    assert exact.solve(of, start, np.array([1])).chosen is None
    answer = exact.solve(of, start, np.array([1]), penalty=2.0)
    assert answer.chosen is not None
    assert answer.chosen.tolist() == [True, True]
    assert answer.value == pytest.approx(28 - 2 * 2)


def test_payments_that_settle_in_part_by_more_than_half_are_rounded_up() -> None:
    of = queue([(0, 1, 8), (0, 1, 5)], [11, 0])
    answer = exact.solve(of, np.zeros(2, np.bool_), np.arange(2), is_whole=False)
    assert answer.chosen is not None
    assert answer.value == pytest.approx(11) == answer.bound
    assert answer.chosen.sum() >= 1


def test_a_deadline_stops_the_solver_and_the_outcome_says_so() -> None:
    of = synthetic(1_500, 8, 2.0, 4)
    outcome = optimise(of, seconds=0.05, deadline=0.0)
    assert not outcome.is_repeatable
    of.require_feasible(outcome.chosen)


@pytest.mark.parametrize(
    ("payments", "nodes", "deviation", "seed"), [(12_000, 8, 1.2, 6), (20_000, 10, 1.2, 26), (20_000, 10, 2.0, 21)]
)
def test_without_liquidity_no_unit_is_left_open(payments: int, nodes: int, deviation: float, seed: int) -> None:
    """One missing unit would make all payments impossible: each leads to another node's lack."""
    of = clearing_queues.synthetic(payments, nodes, 0.0, deviation, seed)
    outcome = optimise(of, seconds=0.1, deadline=LONG)
    assert outcome.method == "rounding"
    assert outcome.value > 0.99 * outcome.bound


def test_single_drops_end_where_they_would_empty_the_queue() -> None:
    """Without liquidity, and without an exchange that fits, every drop opens a lack elsewhere."""
    count, nodes = 4_000, 8
    of = clearing_queues.synthetic(count, nodes, 0.0, 1.2, 0)
    even = Queue(of.senders, of.receivers, of.amounts * 2, np.zeros(nodes, np.int64))
    odd = Queue(even.senders, even.receivers, even.amounts + (np.arange(count) == 0), even.limits)
    found = repair.repaired(odd, np.ones(count, np.bool_))
    odd.require_feasible(found)
    assert not found[0]


@pytest.mark.parametrize("most", [0, 1, 2**16 - 1, 2**16, 2**40, 2**62])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 255, 256, 1_000])
def test_places_in_ascending_order_are_those_of_a_stable_sort(most: int, count: int) -> None:
    random = np.random.default_rng([most, count])
    values = random.integers(0, most, count, endpoint=True)
    values[: count // 2] = values[count // 2 : count // 2 * 2]  # equal ones
    assert ascending(values).tolist() == np.argsort(values, kind="stable").tolist()


def test_columns_are_the_same_by_table_and_by_sorting(monkeypatch: pytest.MonkeyPatch) -> None:
    of = clearing_queues.synthetic(3_000, 12, 0.01, 1.2, 1)
    table = relaxation.relax(of)
    monkeypatch.setattr(relaxation, "CODES_PER_PAYMENT", 0)
    sort = relaxation.relax(of)
    assert np.array_equal(table.columns, sort.columns)
    assert np.array_equal(table.shares, sort.shares)
