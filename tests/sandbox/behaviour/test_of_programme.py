"""The design of a programme file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sycee.core.errors import UsageError
from sycee.core.limits import COHORT_MEMBERS_MAX
from sycee.programmes.definition import ALL_RULE, EQUAL, EVERYBODY, DrawRule, Stratum, load
from sycee.sandbox.behaviour import of_programme
from sycee.sandbox.behaviour.design import FIRST_COME, LOTTERY, Design

pytestmark = pytest.mark.fast
LUOHU = load("luohu-2020")


def test_a_lottery_of_packets() -> None:
    assert of_programme.design(LUOHU, population=17_560_061) == Design(
        how=LOTTERY,
        classes=((50_000, 20_000),),
        population=17_560_061,
        claim_until=6,
        spend_until=6,  # to 24:00 on the seventh day
        first_weekday=0,
    )


def test_rules_of_payments_are_taken_over() -> None:
    rules = replace(LUOHU.rules, per_payment_max_minor=5_000, payment_min_minor=4_000, own_money=False, divisible=False)
    design = of_programme.design(replace(LUOHU, rules=rules))
    assert (design.per_payment_max, design.payment_min) == (5_000, 4_000)
    assert not design.own_money
    assert not design.divisible


def test_equal_shares_need_the_number_of_recipients() -> None:
    draw = DrawRule(ALL_RULE, (Stratum(EVERYBODY, COHORT_MEMBERS_MAX),))
    equal = replace(LUOHU, mode=EQUAL, packets=(), draw=draw)
    with pytest.raises(UsageError, match="luohu-2020"):
        of_programme.design(equal)
    design = of_programme.design(equal, recipients=1_000)
    assert (design.how, design.classes) == (FIRST_COME, ((1_000, 1_000_000),))  # among those who register
    with pytest.raises(UsageError, match="cannot share the budget"):
        of_programme.design(equal, recipients=10**10)
