from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sycee.core.errors import UsageError
from sycee.sandbox.city import quantiles
from sycee.sandbox.city.fitting import ipf, tilted
from sycee.sandbox.city.households import size_counts
from sycee.sandbox.city.rounding import largest_remainder

positive = st.integers(1, 1_000)


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=30), st.integers(0, 2**50))
def test_largest_remainder_keeps_the_sum_and_rounds_each_share_down_or_up(weights: list[int], total: int) -> None:
    assume(sum(weights))
    parts = largest_remainder(np.array(weights), total)
    assert int(parts.sum()) == total
    for weight, part in zip(weights, parts.tolist(), strict=True):
        assert part - total * weight // sum(weights) in (0, 1)
        assert weight or not part


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30), st.integers(0, 10**9))
def test_largest_remainder_of_floats_keeps_the_sum(weights: list[float], total: int) -> None:
    assume(max(weights) > 1e-3)
    assert int(largest_remainder(np.array(weights), total).sum()) == total


def test_largest_remainder_prefers_the_first_of_equal_remainders() -> None:
    assert largest_remainder(np.array([1, 1, 1]), 4).tolist() == [2, 1, 1]
    assert largest_remainder(np.zeros((2, 2)), 0).tolist() == [[0, 0], [0, 0]]
    with pytest.raises(ValueError, match="all zero"):
        largest_remainder(np.zeros(3), 1)


@settings(max_examples=40)
@given(st.data())
def test_a_fitted_table_has_the_sums_and_keeps_the_odds_of_the_seed(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(2, 4)), data.draw(st.integers(2, 4))
    seed = np.array(data.draw(st.lists(positive, min_size=rows * columns, max_size=rows * columns)), float)
    seed = seed.reshape(rows, columns)
    by_row = np.array(data.draw(st.lists(positive, min_size=rows, max_size=rows)), float)
    by_column = np.array(data.draw(st.lists(positive, min_size=columns, max_size=columns)), float)
    fitted = ipf(seed, [((0,), by_row), ((1,), by_column)], "table")
    assert np.allclose(fitted.sum(axis=1), by_row, rtol=1e-6)
    assert np.allclose(fitted.sum(axis=0), by_column * by_row.sum() / by_column.sum(), rtol=1e-5)
    odds = fitted[0, 0] * fitted[1, 1] / (fitted[0, 1] * fitted[1, 0])
    assert odds == pytest.approx(seed[0, 0] * seed[1, 1] / (seed[0, 1] * seed[1, 0]), rel=1e-6)


def test_a_sum_of_zero_empties_its_cells() -> None:
    fitted = ipf(np.ones((2, 2)), [((0,), np.array([0.0, 8.0])), ((1,), np.array([1.0, 3.0]))], "table")
    assert fitted == pytest.approx(np.array([[0, 0], [2, 6]]))


def test_sums_that_no_table_has_are_refused() -> None:
    seed = np.array([[1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(UsageError, match="ages and sex: no table has these sums"):
        ipf(seed, [((0,), np.array([3.0, 1.0])), ((1,), np.array([1.0, 3.0]))], "ages and sex")


@given(st.lists(positive, min_size=3, max_size=8), st.floats(1.2, 2.7))
def test_a_tilted_distribution_has_the_mean(shares: list[int], mean: float) -> None:
    made = tilted(np.array(shares, float), mean, "sizes")
    assert made @ np.arange(1, len(shares) + 1) == pytest.approx(mean, rel=1e-6)
    assert made.sum() == pytest.approx(1)


def test_a_mean_outside_of_the_sizes_is_refused() -> None:
    with pytest.raises(UsageError, match=r"has the mean 3\.500"):
        tilted(np.array([1.0, 1.0, 1.0]), 3.5, "household sizes")


@given(st.integers(0, 5_000), st.lists(positive, min_size=1, max_size=8))
def test_households_hold_exactly_the_persons(persons: int, shares: list[int]) -> None:
    counts = size_counts(persons, np.array(shares, float))
    assert int(counts @ np.arange(1, len(shares) + 1)) == persons
    assert counts.min() >= 0


def test_quantiles_have_the_means_of_the_fifths() -> None:
    means = [15_598, 27_501, 39_278, 54_910, 96_062]
    table = quantiles.table(means, 540_650)
    assert int(table.sum()) == 540_650 * quantiles.POINTS
    assert np.all(np.diff(table) >= 0)
    found = table.reshape(5, -1).mean(axis=1)
    assert found == pytest.approx(np.array(means) * 540_650 * 5 / sum(means), rel=1e-3)
