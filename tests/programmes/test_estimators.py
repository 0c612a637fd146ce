"""Effects of winning: the values of pyfixest, computed by hand where it is short, and intervals that cover."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sycee.core.errors import UsageError
from sycee.programmes.estimators import by_stratum, difference_in_means, lin

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("estimators.json").read_text("utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES)
def test_the_values_of_pyfixest(case: dict[str, Any]) -> None:
    outcome, won, covariates = (np.array(case[key]) for key in ("outcome", "won", "covariates"))
    plain, adjusted = difference_in_means(outcome, won), lin(outcome, won, covariates)
    assert (plain.effect, plain.standard_error) == pytest.approx(tuple(case["difference"]), rel=1e-9)
    assert (adjusted.effect, adjusted.standard_error) == pytest.approx(tuple(case["lin"]), rel=1e-9)
    assert (adjusted.winners, adjusted.others) == (int(won.sum()), int((~won).sum()))
    assert adjusted.high - adjusted.effect == pytest.approx(1.959963984540054 * adjusted.standard_error)


def test_strata_with_different_chances() -> None:
    outcome = np.array([10.0, 12, 4, 6, 110, 90, 100, 100, 100, 100])
    won = np.array([1, 1, 0, 0, 1, 1, 0, 0, 0, 0], np.bool_)
    stratum = np.array([0] * 4 + [1] * 6)
    found = by_stratum(outcome, won, stratum)
    assert found.effect == pytest.approx(0.4 * (11 - 5) + 0.6 * 0)
    # Neyman's variance of each stratum: 2/2 + 2/2 of the first, 200/2 + 0/4 of the second.
    assert found.standard_error**2 == pytest.approx(0.4**2 * 2 + 0.6**2 * 100)


def test_intervals_cover_the_effect_as_often_as_they_say() -> None:
    chance = np.random.default_rng(11)
    covered = dict.fromkeys(("plain", "lin"), 0)
    for _ in range(400):
        known = chance.normal(0, 1, 120)
        won = chance.permutation(np.arange(120) < 40)
        outcome = 3.0 * won + 2 * known + chance.normal(0, 1, 120) * (1 + won)
        for name, found in (("plain", difference_in_means(outcome, won)), ("lin", lin(outcome, won, known))):
            covered[name] += found.low <= 3.0 <= found.high
    assert all(0.92 <= each / 400 <= 0.98 for each in covered.values()), covered


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([1.0, 2, 3], [True, False, False]), "1 winners and 2 others"),
        (([1.0, 2, float("nan"), 4], [True, True, False, False]), "an outcome is not finite"),
        (([1.0, 2], [True, True, False]), "outcomes of shape"),
    ],
)
def test_what_cannot_be_compared(arguments: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        difference_in_means(*map(np.array, arguments))


def test_covariates_that_cannot_be_told_apart() -> None:
    outcome, won = np.arange(8.0), np.arange(8) < 4
    with pytest.raises(UsageError, match="1 covariates of 8 persons cannot be told apart"):
        lin(outcome, won, np.ones(8))
