"""Pilots differ around what they share: draws of the prior stay draws of the prior."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from sycee.sandbox.behaviour import parameters
from sycee.sandbox.behaviour.parameters import BASKET_SPREAD, PILOT_SPREAD, VARIATION
from sycee.sandbox.inference import fitting, variation
from sycee.sandbox.pilots import description, town

STANDARD = parameters.standard()
LUOHU = description.load("luohu-2020")


@pytest.mark.parametrize("name", [*fitting.FITTED, "salience_days"])
def test_a_probability_is_the_inverse_of_a_quantile(name: str) -> None:
    prior = STANDARD[name].prior
    for probability in (0.001, 0.2, 0.5, 0.97):
        assert prior.probability(prior.quantile(probability)) == pytest.approx(probability, abs=1e-9)
    assert (prior.probability(prior.low), prior.probability(prior.high)) == (0.0, 1.0)


def test_a_share_of_the_variance_is_the_pilots_own() -> None:
    random = np.random.default_rng(4)
    common, own = random.random(4_000), random.random(4_000)
    found = [variation.of_pilot(one, 0.36, other) for one, other in zip(common, own, strict=True)]
    probit = np.array([NormalDist().inv_cdf(each) for each in found])
    assert abs(probit.mean()) < 0.05
    assert probit.std() == pytest.approx(1, abs=0.03)
    shared = np.corrcoef(probit, [NormalDist().inv_cdf(each) for each in common])[0, 1]
    assert shared == pytest.approx(0.8, abs=0.02)  # √(1 - 0.36)
    assert variation.of_pilot(0.3, 0.0, 0.9) == pytest.approx(0.3)
    assert variation.moved(STANDARD["mpc_cash"].prior, 0.25, 1.0, 0.5) == pytest.approx(
        STANDARD["mpc_cash"].prior.quantile(0.5)
    )


def test_baskets_differ_between_places_and_keep_their_sum() -> None:
    base = town.neutral()
    numbers = [0.5] * 4 + [0.7] + [0.9, *[0.5] * (len(base.sectors) - 1)] + [0.5]
    assert len(numbers) == town.width()
    known = town.facts(LUOHU, numbers)
    changed = town.place(LUOHU, known).city.sectors
    assert sum(each.basket_ppm for each in changed) == sum(each.basket_ppm for each in base.sectors)
    assert [each.name for each in changed] == [each.name for each in base.sectors]
    assert known.basket[0] > 1.0
    assert set(known.basket[1:]) == {1.0}
    assert changed[0].basket_ppm > base.sectors[0].basket_ppm
    assert changed[1].basket_ppm < base.sectors[1].basket_ppm
    assert town.place(LUOHU, town.facts(LUOHU, [0.5] * town.width())).city.sectors == base.sectors


def test_online_shops_accept_apart_where_only_a_number_of_merchants_is_known() -> None:
    suzhou, shops = description.load("suzhou-2020"), town.neutral().merchants
    numbers = [0.5] * (town.width() - 1)
    for number, share in ((1e-9, 0.2), (1 - 1e-9, 1.0)):
        place = town.place(suzhou, town.facts(suzhou, [*numbers, number]))
        online = np.isin(place.market.merchant, np.flatnonzero(shops.online))
        assert place.market.accepting[online].mean() == pytest.approx(share, abs=0.05)
        assert 0.01 < place.market.accepting[~online].mean() < 0.06
    assert town.facts(LUOHU, [0.5] * town.width()).online_ppm is None


def test_variation_is_read_with_its_sources() -> None:
    assert [each.name for each in STANDARD.variation] == list(VARIATION)
    for name in (BASKET_SPREAD, PILOT_SPREAD):
        assert STANDARD.varies(name).source
    assert STANDARD.digest() == parameters.load("standard").digest()
