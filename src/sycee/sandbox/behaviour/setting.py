"""A setting: parameters, a design and a variant as the arrays of integers that decisions read.

Everything that depends on the day, on time since the claim or on deciles is computed here once, so that a decision is
a few lookups and comparisons, and a variant needs no compiled code.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.sandbox.behaviour import kernel
from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.behaviour.design import (
    APP,
    CARD_OWN,
    CARD_PREPAID,
    CASH,
    COUPON,
    DAYS_MAX,
    FIRST_COME,
    LOTTERY,
    NEVER,
    NONE,
    PAPER,
    Design,
)
from sycee.sandbox.behaviour.layout import PPM
from sycee.sandbox.behaviour.market import Market
from sycee.sandbox.behaviour.parameters import Parameters
from sycee.sandbox.behaviour.variants import Variant

FRIDAY: Final = 4
SATURDAY: Final = 5
MONTH_DAYS: Final = 30
# Baskets have a Lomax distribution: P(size > x) = (1 + x / 1.5) ** -2.5, of mean 1 (Mizuno and others: tail -2.5).
_ROOT: Final = 5
_SCALE_BITS: Final = 60


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """Arrays for decisions, and what they were made from."""

    design: Design
    parameters: Parameters
    variant: Variant
    market: Market
    rules: list[int]  # R_*
    days_table: Array  # [days, DAY_*]
    start: Array  # [days + 1]
    propensity: Array  # [100]
    baskets: Array  # [BASKETS]
    sectors: Array  # alias table of sectors and OUTSIDE
    open_sectors: Array  # alias table of sectors with accepting shops, then a flag for each; empty without any
    steps: int  # minor units of an amount 1

    @property
    def days(self) -> int:
        """Number of days."""
        return int(self.days_table.shape[0])

    def day(self, day: int) -> list[int]:
        """Return the row of a day."""
        row: list[int] = self.days_table[day].tolist()
        return row


def make(design: Design, parameters: Parameters, variant: Variant, market: Market, days: int) -> Setting:
    """Return the setting of a run over `days` days. Raises UsageError for an impossible number of days."""
    if not 0 < days <= DAYS_MAX:
        raise UsageError(f"{days} days are impossible", hint=f"from 1 to {DAYS_MAX}")
    step = design.price_step
    claim, speed = _claiming(design, parameters)
    is_cash, is_coupon = design.kind == CASH, design.kind == COUPON
    is_automatic = design.automatic or is_cash
    rules = [0] * c.RULES
    rules[c.R_ZONES], rules[c.R_SECTORS], rules[c.R_DAYS] = market.zones, market.sectors, days
    rules[c.R_FROM_WORK] = parameters["from_work_share"]
    rules[c.R_MUST_REGISTER] = int(design.how in (LOTTERY, FIRST_COME))
    rules[c.R_REGISTER] = _registering(design, parameters)
    rules[c.R_REGISTER_OLD] = parameters["register_old_ratio"]
    rules[c.R_CLAIM] = claim
    rules[c.R_CLAIM_OLD] = parameters["claim_old_ratio"] if claim < PPM else PPM
    rules[c.R_NEVER] = 0 if is_automatic else parameters["never_share"]
    rules[c.R_AUTOMATIC] = int(is_automatic)
    rules[c.R_ANYWHERE] = int(is_cash)
    rules[c.R_HABIT] = variant.habit(parameters)
    rules[c.R_CLEAR] = parameters["clear_share"]
    rules[c.R_BESIDE] = parameters["beside_app" if design.channel == APP else "beside_other"]
    rules[c.R_BESIDE_SIZE] = parameters["beside_size"]
    rules[c.R_OWN_MONEY] = int(design.own_money or is_cash)
    rules[c.R_SPREAD] = parameters["mpc_spread"]
    rules[c.R_FORWARD] = parameters["forward_share"]
    rules[c.R_PAYBACK] = parameters["payback_share"]
    rules[c.R_LIFT] = parameters["lift_share"]
    rules[c.R_LIFT_REACH] = max(parameters["lift_reach"], 1)
    rules[c.R_LIFT_NEW] = parameters["lift_new_share"]
    rules[c.R_PAYMENT_MIN] = -(-design.payment_min // step)
    rules[c.R_PAYMENT_MAX] = -(-design.per_payment_max // step)
    rules[c.R_PIECE] = design.amount_largest // design.pieces // step if is_coupon else 0
    rules[c.R_DIVISIBLE] = int(design.divisible or is_coupon or is_cash)
    rules[c.R_STACKING] = int(design.stacking)
    rules[c.R_DECAY_WEEK] = design.decay_week
    rules[c.R_REFUND] = parameters["refund_share"]
    return Setting(
        design=design,
        parameters=parameters,
        variant=variant,
        market=market,
        rules=rules,
        days_table=_days(design, parameters, variant, days, speed),
        start=np.array([min(variant.start(parameters, design, each), PPM) for each in range(days + 1)], np.int64),
        propensity=np.array(
            [
                variant.propensity(parameters, design, income, liquid)
                for income in range(c.DECILES)
                for liquid in range(c.DECILES)
            ],
            np.int64,
        ),
        baskets=_baskets(parameters["outing_share"]),
        sectors=_sectors(market, parameters["outside_share"]),
        open_sectors=_open_sectors(market),
        steps=step,
    )


def _registering(design: Design, parameters: Parameters) -> int:
    """Return the share who register: known from the design, or the parameter."""
    if design.registered and design.population:
        return min(design.registered * PPM // design.population, PPM)
    return parameters["register_share"]


def _claiming(design: Design, parameters: Parameters) -> tuple[int, int]:
    """Return the share of recipients who ever claim, and the share of recipients without a claim who claim on a day."""
    if not design.activation or design.kind == CASH:
        return PPM, PPM
    ever = {APP: "claim_app", CARD_PREPAID: "claim_card", CARD_OWN: "claim_app", PAPER: "claim_paper"}
    speed = "claim_speed_app" if design.channel in (APP, CARD_OWN) else "claim_speed_card"
    return parameters[ever[design.channel]], parameters[speed]


def _days(design: Design, parameters: Parameters, variant: Variant, days: int, speed: int) -> Array:
    """Return the row of each day: how many go out, and what the programme allows."""
    table = np.zeros((days, c.DAY_COLUMNS), np.int64)
    ratio, share = parameters["weekend_ratio"], parameters["outing_share"]
    # Three days of a week have `ratio` times the outings of the other four; the mean over a week is `share`.
    end = [min(variant.end(parameters, design, each), PPM) for each in range(days + 1)]
    planned = [min(variant.planned(parameters, design, each), PPM) for each in range(days + 1)]
    far = min(variant.end(parameters, design, NEVER), PPM), min(variant.planned(parameters, design, NEVER), PPM)
    workday = share * 7 * PPM // (4 * PPM + 3 * ratio)
    last = design.last_day
    is_none = design.how == NONE
    for day in range(days):
        weekday = (design.first_weekday + day) % c.DAYS_OF_A_WEEK
        row = table[day]
        row[c.DAY_OUT] = min(workday * ratio // PPM if weekday >= FRIDAY else workday, PPM)
        row[c.DAY_WORKS] = int(weekday < SATURDAY)
        if is_none:
            continue
        row[c.DAY_CLAIMS] = int(design.claim_from <= day <= min(design.claim_until, last))
        row[c.DAY_DELIVERED] = _delivered(design, day)
        known = design.deadline(day)
        is_open = design.spend_from <= day <= known
        row[c.DAY_OPEN] = int(is_open)
        if is_open:
            row[c.DAY_HAZARD], row[c.DAY_USE] = (end[known - day], planned[known - day]) if known - day <= days else far
        claims_end = min(known, design.claim_until)
        # Claims increase as the deadline nears, as payments do.
        rush = end[claims_end - day] if 0 <= claims_end - day <= days else 0
        row[c.DAY_CLAIM_HAZARD] = min(speed + rush, PPM)
        row[c.DAY_ENDS] = int(day == last)
    return table


def _delivered(design: Design, day: int) -> int:
    """Return the share of packets that people have by the end of a day."""
    if not design.delivered:
        return PPM
    return max((share for at, share in design.delivered if at <= day), default=0)


def _baskets(outing_share: int) -> Array:
    """Return equally likely sizes of a purchase, as multiples of a month's purchases × 2 ** BASKET_BITS."""
    sizes = _lomax(c.BASKETS)
    mean = sum(sizes) // len(sizes)
    outings = MONTH_DAYS * max(outing_share, 1)
    return np.array([(size * PPM << c.BASKET_BITS) // (mean * outings) for size in sizes], np.int64)


@cache
def _lomax(count: int) -> tuple[int, ...]:
    """Return `count` quantiles of a Lomax distribution of exponent 2.5, by integer roots: equal on every machine.

    The quantile at u = (k + 1/2) / count is proportional to (1 - u) ** (-2 / 5) - 1.
    """
    sizes = []
    for index in range(count):
        left = 2 * (count - index) - 1  # 1 - u = left / (2 count)
        power = ((2 * count) ** 2 << _ROOT * _SCALE_BITS) // left**2
        sizes.append(_root(power, _ROOT) - (1 << _SCALE_BITS))
    return tuple(sizes)


def _root(value: int, degree: int) -> int:
    """Return the integer part of a root, by Newton's method."""
    guess = 1 << -(-value.bit_length() // degree)
    while True:
        better = ((degree - 1) * guess + value // guess ** (degree - 1)) // degree
        if better >= guess:
            return guess
        guess = better


def _sectors(market: Market, outside_share: int) -> Array:
    """Return the alias table of the sectors and, last, of purchases outside: also those of sectors without a shop."""
    inside = [
        share * (PPM - outside_share) // PPM if full else 0
        for share, full in zip(market.basket_ppm, market.has_shops, strict=True)
    ]
    outside = sum(market.basket_ppm) - sum(inside)
    return _alias([*inside, outside if any(inside) else 1])


def _open_sectors(market: Market) -> Array:
    """Return the alias table of the sectors with accepting shops, and a flag for each sector."""
    if not any(market.open_sectors):
        return np.zeros(0, np.uint64)
    weights = [
        max(share, 1) if is_open else 0 for share, is_open in zip(market.basket_ppm, market.open_sectors, strict=True)
    ]
    return np.concatenate([_alias(weights), np.array(market.open_sectors, np.uint64)])


def _alias(weights: list[int]) -> Array:
    entries = np.zeros((1, len(weights)), np.uint64)
    kernel.alias_rows(np.array([weights], np.int64), entries)
    return entries.ravel()
