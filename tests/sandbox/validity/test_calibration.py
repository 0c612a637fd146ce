"""Predictions and fits are calibrated against the model itself: synthetic pilots of the prior."""

from __future__ import annotations

import numpy as np
import pytest

from sycee import data
from sycee.sandbox.inference import fitting
from sycee.sandbox.inference.fitting import FITTED
from sycee.sandbox.inference.posterior import Numbers
from sycee.sandbox.pilots import description, town
from sycee.sandbox.validity import calibration
from sycee.sandbox.validity.calibration import Coverage

LUOHU = description.load("luohu-2020")


def test_synthetic_pilots_are_in_their_bands_as_often_as_the_bands_say() -> None:
    found = Coverage.of(calibration.of_prior([LUOHU], draws=100, synthetic=80, seed=3, people=400))
    assert found.results == 80 * len(LUOHU.ask.outcomes)
    assert 0.85 <= found.in_90 / found.results <= 0.95
    assert 0.4 <= found.in_50 / found.results <= 0.6
    assert sum(found.histogram(10)) == found.results


@pytest.mark.soak
def test_synthetic_pilots_of_every_design_are_in_their_bands() -> None:
    pilots = [description.load(name) for name in data.names(description.FOLDER)]
    scores = calibration.of_prior(pilots, draws=200, synthetic=150, seed=3)
    together = Coverage.of(scores)
    assert 0.85 <= together.in_90 / together.results <= 0.95
    assert 0.45 <= together.in_50 / together.results <= 0.55
    for name in {each.result.outcome for each in scores}:
        found = Coverage.of(each for each in scores if each.result.outcome == name)
        assert abs(found.in_90 / found.results - 0.9) <= calibration.margin(found.results), name


def test_ranks_of_few_particles_are_uniform_in_fifths() -> None:
    particles = np.arange(20.0)[:, None]
    within = (np.arange(100) + 0.5) / 100
    found = [
        calibration.ranks(particles, np.array([true - 0.5]), [each], np.ones(20))[0]
        for true in range(21)
        for each in within
    ]
    assert np.histogram(found, bins=5, range=(0, 1))[0].tolist() == [420] * 5
    assert np.mean([0.05 <= each <= 0.95 for each in found]) == pytest.approx(0.9, abs=0.001)
    weights = np.arange(1.0, 21.0)  # of 210, 10 are below the fifth particle
    assert calibration.ranks(particles, np.array([3.5]), [0.5], weights)[0] == pytest.approx((20 * 10 / 210 + 0.5) / 21)


def test_drawn_parameters_are_not_the_facts_of_a_town() -> None:
    for at in range(fitting.TOWNS):
        facts = {Numbers(1).of(at, place) for place in range(town.width())}
        assert facts.isdisjoint(calibration.drawn_parameters(1, at).values())


def test_ranks_of_drawn_parameters_follow_from_their_arguments() -> None:
    cases = fitting.cases(["luohu-2020", "suzhou-2020"], (), 3)
    few = {"particles": 10, "people": 200, "seed": 3}
    found = calibration.of_fit(cases, "habit", fits=range(2), **few)
    assert found.shape == (2, len(FITTED))
    assert ((found > 0) & (found < 1)).all()
    assert np.array_equal(found[1:], calibration.of_fit(cases, "habit", fits=[1], **few))


@pytest.mark.soak
def test_fits_find_the_parameters_that_made_their_results() -> None:
    fits = 30
    cases = fitting.cases(["jersey-2020", "luohu-2020", "malta-2021"], (), 4)
    found = calibration.of_fit(cases, "liquid-wealth", fits=range(fits), particles=200, people=400, seed=4)
    counts = np.array([np.histogram(found[:, at], bins=5, range=(0, 1))[0] for at in range(len(FITTED))])
    assert (counts.sum(axis=1) == fits).all()
    # Each fifth has a fifth of all ranks, within four standard deviations of a binomial count.
    expected = counts.sum() / 5
    assert (np.abs(counts.sum(axis=0) - expected) < 4 * np.sqrt(expected * 0.8) + 0.2 * expected).all()
    assert ((found >= 0.05) & (found <= 0.95)).mean() > 0.8
