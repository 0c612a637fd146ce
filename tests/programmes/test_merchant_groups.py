from __future__ import annotations

import pytest

from sycee import data
from sycee.core import documents
from sycee.core.documents import DocumentError
from sycee.programmes import definition
from sycee.programmes.merchant_groups import MerchantGroup

pytestmark = pytest.mark.fast

LUOHU = data.content("pilots", "luohu-2020").decode()


def group(keys: str) -> MerchantGroup:
    shipped = 'zones = ["luohu"] # of the city file shenzhen'
    assert LUOHU.count(shipped) == 1
    text = LUOHU.replace(shipped, keys)
    return definition.define(documents.parse(text, "luohu.toml")).merchants[0]


def rules(keys: str) -> definition.Rules:
    text = LUOHU.replace("[rules]\n", f"[rules]\n{keys}\n")
    return definition.define(documents.parse(text, "luohu.toml")).rules


def test_a_group_without_conditions_has_all_shops() -> None:
    found = group("")
    assert not found.has_conditions
    assert (found.sectors, found.turnover_max_minor, found.online) == ((), 0, True)


def test_the_shops_of_luohu_are_in_luohu() -> None:
    assert definition.load("luohu-2020").merchants[0].zones == ("luohu",)


def test_conditions_are_read() -> None:
    found = group('sectors = ["food-shops"]\nzones = ["luohu"]\nturnover_max = "2000000.00"\nchains = false')
    assert found.has_conditions
    assert (found.sectors, found.zones, found.turnover_max_minor) == (("food-shops",), ("luohu",), 200_000_000)
    assert (found.online, found.chains) == (True, False)


@pytest.mark.parametrize(
    ("keys", "problem", "hint"),
    [
        ('sector = ["food-shops"]', "unknown key", 'did you mean "sectors"?'),
        ('turnover_min = "2.00"\nturnover_max = "2.00"', "is not above turnover_min", "a larger amount"),
        ('turnover_max = "0.00"', r"found 0\.00", "an amount above zero"),
    ],
)
def test_wrong_conditions_are_errors(keys: str, problem: str, hint: str) -> None:
    with pytest.raises(DocumentError, match=problem) as caught:
        group(keys)
    assert hint in (caught.value.hint or "")


def test_limits_of_a_payment_are_read() -> None:
    found = rules('per_payment_max = "50.00"\npayment_min = "100.00"')
    assert (found.per_payment_max_minor, found.payment_min_minor) == (5_000, 10_000)
    assert rules("") == definition.load("luohu-2020").rules


def test_a_least_payment_that_no_packet_can_pay_alone_is_an_error() -> None:
    keys = 'per_payment_max = "50.00"\npayment_min = "60.00"'
    text = LUOHU.replace("[rules]\n", f"[rules]\n{keys}\n").replace("own_money = true", "own_money = false", 1)
    with pytest.raises(DocumentError, match=r"a packet gives at most 50\.00 to one payment"):
        definition.define(documents.parse(text, "luohu.toml"))


def test_a_mistyped_limit_is_an_error_with_the_nearest_key() -> None:
    with pytest.raises(DocumentError) as caught:
        rules('payment_mim = "60.00"')
    assert caught.value.hint == 'did you mean "payment_min"?'
