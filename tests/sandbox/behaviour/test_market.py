"""Tables of a market draw shops with the probabilities of gravity and weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sycee.core.errors import UsageError
from sycee.sandbox.behaviour import kernel, market, people
from sycee.sandbox.behaviour.decide import pick
from sycee.sandbox.behaviour.design import Design, Shops
from sycee.sandbox.behaviour.layout import ELIGIBLE
from sycee.sandbox.city.model import tiny_town

TOWN = tiny_town(600, 60)


def probabilities(table: list[int]) -> list[float]:
    """Return the probability of each index of an alias table."""
    found = [0.0] * len(table)
    for index, entry in enumerate(table):
        own = min((entry >> 32) + (entry >> 32 == 2**32 - 1), 2**32) / 2**32
        found[index] += own / len(table)
        found[entry & 0xFFFFFFFF] += (1 - own) / len(table)
    return found


@given(st.lists(st.integers(0, 2**20), min_size=1, max_size=40).filter(any))
def test_an_alias_table_has_the_probabilities_of_its_weights(weights: list[int]) -> None:
    entries = np.zeros((1, len(weights)), np.uint64)
    kernel.alias_rows(np.array([weights], np.int64), entries)
    expected = [weight / sum(weights) for weight in weights]
    assert probabilities(entries[0].tolist()) == pytest.approx(expected, abs=1e-8)


def test_a_table_is_read_by_32_bits() -> None:
    table = [2**31 << 32 | 1, (2**32 - 1) << 32 | 1]  # of the weights 1 and 3
    drawn = [pick(table, half << 16) for half in range(1 << 16)]
    assert drawn.count(0) == pytest.approx(2**14, abs=2)


def test_zones_have_the_weight_of_their_shops_over_the_square_of_the_distance() -> None:
    made = market.of_city(TOWN)
    origin, sector, usual = 1, 2, TOWN.sectors[2].distance_m
    found = probabilities(made.zone_table(origin, sector, is_open=False))
    expected = []
    for zone in range(made.zones + 1):
        online = zone == made.zones
        shops = (TOWN.merchants.sector == sector) & (TOWN.merchants.online if online else ~TOWN.merchants.online)
        shops &= np.bool_(online) | (TOWN.merchants.zone == zone)
        zones = TOWN.zones
        x, y = (int(column[min(zone, 2)]) - int(column[origin]) for column in (zones.x_m, zones.y_m))
        distance = 0.0 if online else (x**2 + y**2) ** 0.5 if zone != origin else int(zones.area_m2[zone]) ** 0.5 / 2
        expected.append(int(TOWN.merchants.weight[shops].sum()) * (usual / (usual + distance)) ** 2)
    assert found == pytest.approx([each / sum(expected) for each in expected], abs=1e-3)


def test_shops_of_a_cell_have_their_weights_and_those_that_accept_only_are_drawn_for_purses() -> None:
    rule = Shops(share_ppm=500_000, online=False)
    made = market.of_city(TOWN, rule)
    accepting = market.accepting(TOWN, rule)
    assert accepting.sum() == -(-int((~TOWN.merchants.online).sum()) // 2)
    assert not accepting[TOWN.merchants.online].any()
    assert (made.accepting == accepting[made.merchant]).all()
    for cell in range(made.outside_cell):
        for is_open in (False, True):
            first, table = made.shop_table(cell, is_open=is_open)
            rows = made.merchant[first : first + len(table)]
            place = np.where(TOWN.merchants.online, made.zones, TOWN.merchants.zone)
            members = (place * made.sectors + TOWN.merchants.sector == cell) & (accepting | (not is_open))
            assert sorted(rows.tolist()) == np.flatnonzero(members).tolist()
            if table:
                weights = TOWN.merchants.weight[rows].astype(float)
                assert probabilities(table) == pytest.approx((weights / weights.sum()).tolist(), abs=1e-5)


def test_a_mask_of_accepting_shops_replaces_a_rule() -> None:
    rule = Shops(sectors=("food",))
    by_mask = market.of_city(TOWN, market.accepting(TOWN, rule))
    assert (by_mask.entries == market.of_city(TOWN, rule).entries).all()
    with pytest.raises(UsageError, match="accepting shops"):
        market.of_city(TOWN, np.ones(3, np.bool_))


def test_equal_incomes_are_in_one_decile_and_deciles_are_even() -> None:
    assert people.deciles(np.array([5, 5, 5, 5])).tolist() == [5, 5, 5, 5]
    assert np.bincount(people.deciles(np.arange(1_000))).tolist() == [100] * 10
    assert people.deciles(np.zeros(0, np.int64)).size == 0


def test_a_household_shares_its_income_and_one_member_is_eligible_for_all() -> None:
    made = people.of_city(TOWN)
    flags = made.flags(Design(how="universal", unit="household", amount=1, channel="paper"))
    eligible = flags & ELIGIBLE != 0
    assert eligible.sum() == np.unique(TOWN.persons.household).size
    for household in (0, 1, 7):
        members = household == TOWN.persons.household
        assert np.unique(made.month[members]).size == 1
        assert eligible[members].sum() == 1
    by_app = made.flags(Design(how="universal", amount=1))
    assert ((by_app & ELIGIBLE != 0) == (TOWN.persons.wallet != 0)).all()


def test_a_town_without_shops_buys_outside() -> None:
    empty = replace(TOWN, merchants=tiny_town(10, 0).merchants)
    made = market.of_city(empty)
    assert made.has_shops == (False,) * 4
    assert made.merchant.size == 0
