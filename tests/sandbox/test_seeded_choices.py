"""Choices of a replay: the same on every machine, and sums exact to the unit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sycee.sandbox.seeded_choices import Stream, split_evenly

pytestmark = pytest.mark.fast

SEEDS = st.integers(0, 2**63 - 1)
AMOUNT_MAX = 10**8  # a million in cents: more than any part of a replay


def array(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


# --- one seed, one stream ---


def test_the_stream_is_written_down() -> None:
    # These values must never change: the digest of every replay depends on them.
    stream = Stream(2020)
    assert stream.bits("a purpose", 2).tolist() == [753354691555635810, 12580826342413181749]
    assert stream.below("a purpose", 4, 100).tolist() == [4, 68, 94, 49]
    assert stream.order("a purpose", 6).tolist() == [0, 5, 4, 3, 1, 2]
    assert stream.choose("a purpose", 6, array([1, 2, 7])).tolist() == [0, 2, 2, 2, 2, 2]
    assert stream.parts("a purpose", 100, array([1, 1, 1]), array([90, 90, 90])).tolist() == [27, 52, 21]


@given(seed=SEEDS, count=st.integers(0, 200), more=st.integers(0, 200))
def test_a_longer_stream_begins_with_the_shorter_one(seed: int, count: int, more: int) -> None:
    stream = Stream(seed)
    assert np.array_equal(stream.bits("people", count), stream.bits("people", count + more)[:count])


def test_seed_and_purpose_both_matter() -> None:
    streams = [Stream(seed).bits(purpose, 4).tolist() for seed in (1, 2) for purpose in ("a", "b", "ab")]
    assert len({tuple(each) for each in streams}) == len(streams)


# --- shapes of choices ---


@given(seed=SEEDS, count=st.integers(0, 300), end=st.integers(1, 2**32))
def test_below_stays_below(seed: int, count: int, end: int) -> None:
    chosen = Stream(seed).below("numbers", count, end)
    assert (chosen.size, chosen.dtype) == (count, np.int64)
    assert all(0 <= each < end for each in chosen.tolist())


@pytest.mark.parametrize("end", [0, -1, 2**32 + 1])
def test_below_refuses_what_would_wrap(end: int) -> None:
    with pytest.raises(ValueError, match=r"is not from 1 to 2\*\*32"):
        Stream(1).below("numbers", 1, end)


def test_below_is_even() -> None:
    counts = np.bincount(Stream(1).below("numbers", 100_000, 10), minlength=10)
    assert counts.min() > 9_700
    assert counts.max() < 10_300


@given(seed=SEEDS, count=st.integers(0, 300))
def test_order_is_a_permutation(seed: int, count: int) -> None:
    assert sorted(Stream(seed).order("people", count).tolist()) == list(range(count))


@given(seed=SEEDS, weights=st.lists(st.integers(0, 1_000), min_size=1, max_size=20).filter(any))
def test_choose_selects_only_positive_weights(seed: int, weights: list[int]) -> None:
    chosen = Stream(seed).choose("hours", 200, array(weights))
    assert all(weights[each] > 0 for each in chosen.tolist())


def test_choose_follows_the_weights() -> None:
    counts = np.bincount(Stream(1).choose("hours", 100_000, array([1, 0, 9])), minlength=3)
    assert counts[1] == 0
    assert 9_500 < counts[0] < 10_500


# --- parts: bounds and sum, exactly ---


@st.composite
def bounded_totals(draw: st.DrawFn) -> tuple[int, list[int], list[int]]:
    low = draw(st.lists(st.integers(0, AMOUNT_MAX), max_size=40))
    high = [draw(st.integers(each, AMOUNT_MAX)) for each in low]
    return draw(st.integers(sum(low), sum(high))), low, high


@given(seed=SEEDS, case=bounded_totals(), draws=st.integers(1, 3))
def test_parts_add_up_within_their_bounds(seed: int, case: tuple[int, list[int], list[int]], draws: int) -> None:
    total, low, high = case
    parts = Stream(seed).parts("money", total, array(low), array(high), draws=draws).tolist()
    assert sum(parts) == total
    assert all(least <= part <= most for least, part, most in zip(low, parts, high, strict=True))


@given(seed=SEEDS, case=bounded_totals(), off=st.integers(1, 10))
def test_parts_refuse_what_cannot_be(seed: int, case: tuple[int, list[int], list[int]], off: int) -> None:
    _, low, high = case
    for total in (sum(low) - off, sum(high) + off):
        with pytest.raises(ValueError, match="is outside"):
            Stream(seed).parts("money", total, array(low), array(high))


def test_parts_begin_as_the_largest_of_their_draws() -> None:
    low, high = np.full(50, 3), np.full(50, 102)
    drawn = (Stream(1).bits("money", 100) >> np.uint64(1)).astype(np.int64).reshape(2, 50) % 100 + 3
    largest = drawn.max(axis=0)
    # If they already have the sum, nothing is moved.
    assert Stream(1).parts("money", int(largest.sum()), low, high, draws=2).tolist() == largest.tolist()
    assert Stream(1).parts("money", int(drawn[0].sum()), low, high).tolist() == drawn[0].tolist()


def test_parts_at_their_limits() -> None:
    low, high = array([3, 0, 5]), array([3, 9, 6])
    assert Stream(1).parts("money", 8, low, high).tolist() == low.tolist()
    assert Stream(1).parts("money", 18, low, high).tolist() == high.tolist()


# --- split_evenly: every group exact ---


@st.composite
def totals_to_split(draw: st.DrawFn) -> tuple[list[int], list[int], list[int], int]:
    low = draw(st.integers(0, 1_000))
    counts = draw(st.lists(st.integers(1, 8), max_size=12))
    totals = [low * count + draw(st.integers(0, AMOUNT_MAX)) for count in counts]
    weights = draw(st.lists(st.integers(1, 1_000), min_size=sum(counts), max_size=sum(counts)))
    return totals, counts, weights, low


@given(case=totals_to_split())
def test_split_is_exact_in_every_group(case: tuple[list[int], list[int], list[int], int]) -> None:
    totals, counts, weights, low = case
    parts = split_evenly(array(totals), array(counts), array(weights), low).tolist()
    assert len(parts) == sum(counts)
    assert all(part >= low for part in parts)
    for total, count in zip(totals, counts, strict=True):
        group, parts = parts[:count], parts[count:]
        assert sum(group) == total


@given(case=totals_to_split())
def test_split_is_in_proportion(case: tuple[list[int], list[int], list[int], int]) -> None:
    totals, counts, weights, low = case
    parts = split_evenly(array(totals), array(counts), array(weights), low).tolist()
    start = 0
    for total, count in zip(totals, counts, strict=True):
        share = weights[start : start + count]
        for place in range(count):
            exact = low + (total - low * count) * share[place] // sum(share)
            # The remainder of the division, less than one unit per part, is added to the first part of the group.
            assert exact <= parts[start + place] < exact + (count if place == 0 else 1)
        start += count


def test_split_refuses_a_total_below_its_parts() -> None:
    with pytest.raises(ValueError, match="too small for its parts of at least 100"):
        split_evenly(array([299]), array([3]), array([1, 1, 1]), 100)


def test_what_would_wrap_is_refused() -> None:
    large = 2**62
    with pytest.raises(ValueError, match="does not fit 64 bits"):
        Stream(1).parts("money", large, array([0]), array([large]))
    with pytest.raises(ValueError, match="does not fit 64 bits"):
        split_evenly(array([large]), array([2]), array([1, 9]), 0)
