"""Synthetic days: in integers, the same from the same seed, and near the figures they are made for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.days.worlds import CHIPS_LIKE, SMALL, small

from sycee import data
from sycee.core.documents import DocumentError
from sycee.days import assumptions, synthetic


def digest(day: synthetic.Day) -> str:
    arrays = (day.times, day.senders, day.receivers, day.amounts, day.urgent, day.weights)
    return blake3(b"".join(each.tobytes() for each in arrays)).hexdigest()[:16]


def test_a_seed_gives_the_same_day_on_every_machine() -> None:
    assert [digest(small(seed)) for seed in (0, 1, 2**62)] == DIGESTS


@settings(max_examples=15)
@given(seed=st.integers(0, synthetic.SEED_MAX))
def test_a_day_is_possible(seed: int) -> None:
    day = small(seed)
    assert day.count == SMALL.payments
    assert np.all(np.diff(day.times) >= 0)
    assert day.times[0] >= 0
    assert day.times[-1] < day.seconds
    assert np.all(day.senders != day.receivers)
    assert set(day.senders.tolist()) | set(day.receivers.tolist()) <= set(range(SMALL.count))
    assert SMALL.quantiles[0][1] <= day.amounts.min()
    assert day.amounts.max() <= SMALL.quantiles[-1][1]
    assert day.net_outflows().sum() == 0


def test_the_shipped_day_is_near_the_published_figures() -> None:
    days = [synthetic.make(CHIPS_LIKE, seed) for seed in range(6)]
    mean = np.median([day.value / day.count for day in days])
    assert 0.9 < mean / 318_000_000 < 1.1  # 3.18 million dollars
    funding = np.median([day.value / np.maximum(day.net_outflows(), 0).sum() for day in days])
    assert 24 < funding < 34  # 29 dollars for each dollar of funding
    assert 0.04 < np.mean([day.urgent.mean() for day in days]) < 0.06


def test_balancing_reduces_net_positions() -> None:
    for seed in range(2):
        nets = [
            np.abs(synthetic.make(replace(CHIPS_LIKE, balancing=part), seed).net_outflows()).sum() for part in (0, 900)
        ]
        assert nets[1] < nets[0]


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("arrivals = [6, ", "arrivals = [", r"arrivals: has 20 weights"),
        ("below = 100_000,", "below = 400_000,", r"quantiles: do not ascend"),
        ('amount = "25000.00"', 'amount = "25.00"', r"quantiles: an amount is below the one before"),
        ("count = 40 ", "count = 1 ", r"count"),
        ("core = 12 ", "core = 41 ", r"core"),
        ("head = 3 ", "heads = 3 ", r"head"),
    ],
)
def test_a_wrong_document_is_refused_with_its_place(tmp_path: Path, old: str, new: str, error: str) -> None:
    text = data.content("clearing-days", "chips-like").decode()
    assert old in text
    file = tmp_path / "day.toml"
    file.write_text(text.replace(old, new))
    with pytest.raises(DocumentError, match=error):
        assumptions.load(file)


DIGESTS = ["3290d844d8ac6c95", "580e821c8985d919", "beb70edaad6f7f5b"]
