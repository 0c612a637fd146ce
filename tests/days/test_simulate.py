"""Policies on small days: nothing is created, no position is below zero, orders hold, bounds hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.days.worlds import before, naive, positions_after, small

from sycee.core.errors import UsageError
from sycee.days import kernels, simulate
from sycee.days.bounds import bounds
from sycee.days.measures import measure
from sycee.days.policies import POLICIES, Gates, Policy, Rule, named
from sycee.days.simulate import Run, prefund, run

SEEDS = st.integers(0, 10_000)
RATIOS = st.sampled_from([3, 10, 60, 10_000_000_000_000])
ALL = (
    *POLICIES,
    replace(named("sycee"), name="offsets", offsets=True, gates=Gates.PAIR),
    Policy("gross-offsets", "", "", offsets=True),
)


def settled(seed: int, policy: Policy, ratio: int) -> Run:
    day = small(seed)
    rare = tuple((share, 3 * every) for share, every in policy.early)
    return run(day, replace(policy, chains=20, every=3 * policy.every, early=rare), prefund(day, ratio))


@settings(max_examples=12)
@given(seed=SEEDS, policy=st.sampled_from(ALL), ratio=RATIOS)
def test_money_is_conserved_and_no_position_is_below_zero_at_any_moment(seed: int, policy: Policy, ratio: int) -> None:
    found = settled(seed, policy, ratio)
    for positions in positions_after(found):
        assert positions.min() >= 0
        assert positions.sum() == found.prefund.sum()


@settings(max_examples=12)
@given(seed=SEEDS, policy=st.sampled_from(ALL), ratio=RATIOS)
def test_a_payment_settles_once_at_or_after_its_arrival_and_with_its_set(seed: int, policy: Policy, ratio: int) -> None:
    found = settled(seed, policy, ratio)
    assert np.array_equal(found.settled >= 0, found.sets >= 0)
    done = np.flatnonzero(found.is_settled)
    assert np.all(found.settled[done] >= found.day.times[done])
    assert np.all(found.settled[done] <= found.day.seconds)
    order = done[np.argsort(found.sets[done], kind="stable")]
    assert np.all(np.diff(found.settled[order]) >= 0)  # sets are numbered in the order of settlement
    for number in np.unique(found.sets[done]):
        assert len(np.unique(found.settled[found.sets == number])) == 1


@settings(max_examples=8)
@given(seed=SEEDS, ratio=RATIOS, rule=st.sampled_from(["gross", "fifo"]))
def test_the_compiled_rules_equal_a_slow_simulation(seed: int, ratio: int, rule: str) -> None:
    found = settled(seed, named(rule), ratio)
    expected = naive(found.day, named(rule).rule, found.prefund)
    assert {int(each): int(found.settled[each]) for each in np.flatnonzero(found.is_settled)} == expected


@settings(max_examples=8)
@given(seed=SEEDS, ratio=RATIOS, name=st.sampled_from(["fifo", "bech-soramaki"]))
def test_no_payment_passes_an_earlier_one_of_its_sender(seed: int, ratio: int, name: str) -> None:
    found = settled(seed, named(name), ratio)
    day = found.day
    for one in range(day.count):
        for other in range(day.count):
            if before(day, one, other) and day.times[one] <= day.times[other] and found.is_settled[other]:
                assert found.is_settled[one]
                assert found.sets[one] <= found.sets[other]


@pytest.mark.parametrize("policy", ALL, ids=[policy.name for policy in ALL])
def test_the_same_day_gives_the_same_run(policy: Policy) -> None:
    one, other = settled(5, policy, 10), settled(5, policy, 10)
    assert np.array_equal(one.settled, other.settled)
    assert np.array_equal(one.sets, other.sets)


@settings(max_examples=8)
@given(seed=SEEDS, policy=st.sampled_from(ALL), ratio=RATIOS)
def test_no_run_exceeds_the_bounds(seed: int, policy: Policy, ratio: int) -> None:
    found = settled(seed, policy, ratio)
    limits = bounds(found.day, found.prefund, moments=20)
    measures = measure(found)
    assert int(found.day.amounts[found.is_settled].sum()) <= limits.value_most
    assert measures.delay * found.day.value * found.day.seconds >= limits.delay_least * (1 - 1e-12)


@settings(max_examples=5)
@given(seed=SEEDS, ratio=st.sampled_from([3, 10, 60]))
def test_the_funding_ratio_is_the_same_for_every_policy(seed: int, ratio: int) -> None:
    ratios = {measure(settled(seed, named(name), ratio)).funding_ratio for name in ("gross", "fifo", "bech-soramaki")}
    assert len(ratios) == 1


@pytest.mark.parametrize(("times", "rule"), [(10**6, Rule.ORDERED), (-1, Rule.GATED)])
def test_a_policy_has_another_rule_while_liquidity_is_not_scarce(
    monkeypatch: pytest.MonkeyPatch, times: int, rule: Rule
) -> None:
    """A million times all positions never waits, and more than nothing always."""
    monkeypatch.setattr(simulate, "PLENTY", times)
    policy = replace(named("sycee"), aging=0)
    assert (policy.rule, policy.plenty) == (Rule.GATED, Rule.ORDERED)
    runs = [settled(7, each, 10).settled for each in (policy, replace(policy, rule=rule, plenty=None))]
    assert np.array_equal(*runs)
    other = replace(policy, rule=Rule.ORDERED if rule is Rule.GATED else Rule.GATED, plenty=None)
    assert not np.array_equal(runs[0], settled(7, other, 10).settled)


def test_with_the_liquidity_of_gross_settlement_nothing_waits() -> None:
    day = small(3)
    limits = bounds(day, prefund(day, 10), moments=2)
    enough = np.full(day.banks, day.value)
    found = measure(run(day, named("fifo"), enough))
    assert (found.value_share, found.delay) == (1.0, 0.0)
    assert limits.liquidity_least <= limits.liquidity_gross <= day.value


def test_without_money_only_sets_settle() -> None:
    day = replace(small(4), amounts=np.full(small(4).count, 500, np.int64))  # so that rings sum to zero
    nothing = np.zeros(day.banks, np.int64)
    assert not run(day, named("gross"), nothing).is_settled.any()
    found = run(day, replace(named("value"), chains=400), nothing)
    assert found.is_settled.any()
    assert all(np.count_nonzero(found.sets == number) > 1 for number in np.unique(found.sets[found.is_settled]))


@pytest.mark.parametrize("seed", range(4))
def test_before_the_close_only_urgent_payments_pass(seed: int) -> None:
    day = small(seed)
    policy = replace(named("sycee"), chains=20, every=day.seconds // 10, early=(), holds=day.seconds // 10 + 10)
    found = run(day, policy, prefund(day, 3))
    begin = next(each for each in policy.round_times(day.seconds) if day.seconds - each <= policy.holds)
    within = found.is_settled & (found.settled > begin) & (found.settled < day.seconds)
    assert not np.any(within & ~day.urgent)
    free = run(day, replace(policy, holds=0), prefund(day, 3))
    assert np.any((free.settled > begin) & (free.settled < day.seconds) & ~day.urgent)


def test_rounds_are_more_frequent_early_in_the_day() -> None:
    policy = Policy("", "", "", every=1_800)
    assert policy.round_times(5_400) == [1_800, 3_600, 5_400]
    assert policy.round_times(1_000) == [1_000]
    policy = replace(policy, early=((40, 600), (80, 900)))
    assert policy.round_times(4_000) == [600, 1_200, 2_100, 3_000, 4_000]
    # The first round of the next part follows the last one of the part before.
    assert policy.round_times(6_200) == [600, 1_200, 1_800, 2_400, 3_300, 4_200, 6_000, 6_200]
    assert replace(policy, every=600).round_times(300) == [300]


def test_gates_hold_payments_back_but_no_urgent_one() -> None:
    day = small(6)
    enough = np.full(day.banks, day.value)
    closed = np.zeros(day.banks * day.banks, np.uint8)
    queues = 2 * day.senders.astype(np.int64) + 1 - day.urgent
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(queues, minlength=2 * day.banks))])
    settled_at = np.full(day.count, -1, np.int64)
    kernels.arrive(
        0, day.count, day.times, day.senders.astype(np.int64), day.receivers.astype(np.int64), day.amounts,
        day.urgent.astype(np.uint8), kernels.GATED, 0, closed, starts, np.zeros(2 * day.banks, np.int64),
        np.zeros(day.count, np.int64), enough, settled_at, settled_at.copy(), np.zeros(1, np.int64),
    )  # fmt: skip
    assert np.array_equal(settled_at >= 0, day.urgent)


def test_errors_name_what_to_do() -> None:
    with pytest.raises(UsageError, match="is no prefund"):
        prefund(small(1), 0)
    with pytest.raises(UsageError, match='there is no policy "fifoo"') as caught:
        named("fifoo")
    assert "fifo" in str(caught.value.hint)
