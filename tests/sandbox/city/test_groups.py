from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sycee.core.errors import UsageError
from sycee.programmes import definition
from sycee.programmes.merchant_groups import MerchantGroup
from sycee.sandbox.city.groups import members
from sycee.sandbox.city.model import tiny_town

LUOHU = definition.load("luohu-2020")
TOWN = tiny_town()


def chosen(*groups: MerchantGroup, one_in: int = 1) -> np.ndarray:
    return members(replace(TOWN, one_in=one_in), replace(LUOHU, merchants=groups))


def test_a_group_without_conditions_has_all_shops_up_to_its_count() -> None:
    assert chosen(MerchantGroup("all", 100, "town")).all()
    few = chosen(MerchantGroup("few", 5, "town"))[0]
    assert few.sum() == 5
    assert TOWN.merchants.weight[few].min() >= TOWN.merchants.weight[~few].max()
    assert chosen(MerchantGroup("few", 50, "town"), one_in=10).sum() == 5


def test_conditions_select_by_sector_zone_size_and_kind() -> None:
    shops = TOWN.merchants
    group = MerchantGroup("small", 100, "town", ("food", "goods"), ("zone-2",), 0, 600_000_000, False, False)
    expected = np.isin(shops.sector, [0, 2]) & (shops.zone == 2) & (shops.turnover_year < 600_000_000)
    expected &= ~shops.online & ~shops.chain
    assert expected.any()
    assert np.array_equal(chosen(group)[0], expected)


def test_a_shop_is_in_one_group() -> None:
    first, second = chosen(MerchantGroup("a", 7, "town"), MerchantGroup("b", 100, "town"))
    assert first.sum() == 7
    assert np.array_equal(second, ~first)


@pytest.mark.parametrize(
    ("group", "hint"),
    [
        (MerchantGroup("a", 1, "town", sectors=("foods",)), 'did you mean "food"?'),
        (MerchantGroup("a", 1, "town", zones=("harbour",)), "its zones: zone-0, zone-1, zone-2"),
    ],
)
def test_a_name_that_the_city_lacks_is_an_error(group: MerchantGroup, hint: str) -> None:
    with pytest.raises(UsageError, match="which tiny-town does not have") as caught:
        chosen(group)
    assert caught.value.hint == hint
