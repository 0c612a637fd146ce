"""Later rounds of spending."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sycee.sandbox.behaviour import parameters
from sycee.sandbox.engine import respending

STANDARD = parameters.standard()


def test_each_round_spends_its_share_of_the_round_before() -> None:
    receipts = np.zeros(400, np.int64)
    receipts[0] = 1_000_000_000
    rounds = respending.rounds(receipts, STANDARD.of({"respend_share": 0.3, "respend_speed": 0.1}))
    for number, row in enumerate(rounds, start=1):
        assert abs(int(row.sum()) - 0.3**number * 1_000_000_000) < 500
    assert rounds[0, 0] == 0  # money is spent from the day after
    assert rounds[0, 1] == 30_000_000


def test_lost_receipts_are_the_mirror_of_gained_ones() -> None:
    receipts = np.array([7_001, 0, 90_003, 5, 0, 0])
    values = STANDARD.central()
    assert (respending.rounds(-receipts, values) == -respending.rounds(receipts, values)).all()


@given(
    st.lists(st.integers(-(2**50), 2**50), min_size=1, max_size=5),
    st.lists(st.integers(0, 2**40), min_size=1, max_size=9),
)
def test_parts_add_up_exactly(totals: list[int], base: list[int]) -> None:
    parts = respending.by_group(np.array(totals), np.array(base))
    assert parts.sum(axis=1).tolist() == totals
    for row, total in zip(parts.tolist(), totals, strict=True):
        for part, weight in zip(row, base, strict=True):
            if sum(base):
                assert abs(part - total * weight / sum(base)) <= 1 + abs(total) * 1e-12
