"""Identities of a run, and independence of its figures from threads, chunks, observation and unit of money."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sandbox.random_designs import PROBABILITIES, designs

from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.behaviour import parameters, setting, variants
from sycee.sandbox.behaviour.decide import Decision, Purse, decide
from sycee.sandbox.behaviour.design import CASH, COUPON, NO_PROGRAMME, NONE, Design, Moved, Shops
from sycee.sandbox.behaviour.draws import Draws, person_key
from sycee.sandbox.city import files
from sycee.sandbox.city.model import City, tiny_town
from sycee.sandbox.engine.outcome import EFFECT_NAMES, RunOutcome
from sycee.sandbox.engine.run import Columns, Place, prepare, run

TOWN = tiny_town(2_000, 120)
CENTRAL = parameters.standard().central()
LOTTERY = Design(recipients=500, amount=20_000, claim_until=8, spend_until=9)
DESIGNS = {
    "lottery": LOTTERY,
    "universal": Design(how="universal", amount=10_000, channel="card_prepaid", spend_until=20),
    "first come": replace(LOTTERY, how="first_come", decay_week=100_000),
    "cash": Design(how="universal", kind=CASH, amount=30_000),
    "coupons": Design(
        how="universal", kind=COUPON, amount=8_000, pieces=4, payment_min=6_000, spend_until=12, moved=(Moved(5, 18),)
    ),
    "few shops": replace(LOTTERY, shops=Shops(share_ppm=100_000, online=False), own_money=False),
    "threshold": replace(LOTTERY, payment_min=5_000),
    "indivisible": replace(LOTTERY, divisible=False),
    "households": Design(how="universal", unit="household", amount_by_size=(9_000, 15_000, 20_000), spend_until=20),
}


@cache
def place(shops: Shops) -> Place:
    return prepare(TOWN, shops)


def tried(design: Design, **options: object) -> RunOutcome:
    arguments = {"seed": 4, "days": 25} | options
    return run(place(design.shops), design, CENTRAL, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", DESIGNS)
def test_money_is_conserved_and_gains_less_losses_are_new_purchases_and_leakage(name: str) -> None:
    outcome = tried(DESIGNS[name], with_purses=True)
    outcome.check()
    assert outcome.purses is not None
    issued, spent, returned = (outcome.total(each) for each in ("issued", "spent", "returned"))
    assert issued > 0
    assert spent > 0
    assert issued == spent + returned + outcome.outstanding()[-1]
    assert outcome.purses[:, c.SPENT].sum() == spent
    assert outcome.purses[:, c.RETURNED].sum() == returned
    assert outcome.purses[:, c.DEBT].sum() == outcome.open_forward()
    if DESIGNS[name].last_day < outcome.days:
        assert (outcome.outstanding()[DESIGNS[name].last_day :] == 0).all()
    for table in (outcome.by_zone(), outcome.by_sector(), outcome.by_size(), outcome.by_decile()):
        assert (table.sum(axis=1) == outcome.cell_effect.sum(axis=1)).all()
    parted = outcome.respend_by(outcome.base_by_zone())
    assert (parted.sum(axis=1) == outcome.respend.sum(axis=0)).all()


@settings(max_examples=25, deadline=None)
@given(designs(), PROBABILITIES, st.sampled_from(variants.SHIPPED), st.integers(0, 2**63 - 1))
def test_identities_hold_for_any_design(
    design: Design, probabilities: dict[str, float], variant: str, seed: int
) -> None:
    values = parameters.standard().at(probabilities)
    outcome = run(place(design.shops), design, values, variant, seed, 24, people=300, with_purses=True)
    outcome.check()
    assert outcome.purses is not None
    assert outcome.total("issued") == outcome.purses[:, c.GRANT].sum()
    assert (outcome.purses[:, [c.BALANCE, c.DEBT, c.SPENT, c.RETURNED]] >= 0).all()
    assert outcome.effect("moved").tolist() == [0] * 24
    assert (outcome.cell_effect[:, :, EFFECT_NAMES.index("new")] >= 0).all()
    without = run(place(design.shops), replace(design, how=NONE), values, variant, seed, 24, people=300)
    assert (without.cell_base == outcome.cell_base).all()


def test_without_a_programme_every_effect_is_zero_for_all() -> None:
    nothing, something = tried(NO_PROGRAMME), tried(LOTTERY)
    for figures in (nothing.cell_effect, nothing.group_effect, nothing.flows, nothing.shops_change, nothing.respend):
        assert not figures.any()
    assert nothing.cell_base.sum() > 0
    assert (nothing.cell_base == something.cell_base).all()  # the same draws
    assert (nothing.shops_base == something.shops_base).all()


def test_persons_without_a_grant_are_not_changed() -> None:
    grants = np.zeros(len(TOWN.persons), np.int64)
    assert not tried(LOTTERY, grants=grants).cell_effect.any()
    grants[7] = 20_000
    outcome = tried(LOTTERY, grants=grants, with_purses=True)
    assert outcome.purses is not None
    assert np.flatnonzero(outcome.purses[:, c.GRANT]).tolist() == [7]
    assert outcome.total("issued") == 20_000


@pytest.mark.parametrize(("threads", "chunk"), [(1, 16_384), (2, 100), (3, 7), (2, 1_999)])
def test_threads_and_chunks_do_not_change_the_digest(threads: int, chunk: int) -> None:
    outcome = tried(LOTTERY, threads=threads, chunk=chunk)
    assert outcome.digest() == tried(LOTTERY).digest()


def test_observation_does_not_change_figures() -> None:
    seen, unseen = tried(LOTTERY, with_purses=True), tried(LOTTERY, with_baseline=False)
    for name in EFFECT_NAMES:
        assert (seen.effect(name) == unseen.effect(name)).all()
    assert (seen.flows == unseen.flows).all()
    assert (seen.shops_change == unseen.shops_change).all()


def test_a_longer_run_begins_with_the_shorter_run() -> None:
    long, short = tried(LOTTERY, days=40), tried(LOTTERY, days=25)
    assert (long.cell_effect[:25] == short.cell_effect).all()
    assert (long.flows[:25] == short.flows).all()


def test_no_threshold_no_lift() -> None:
    assert tried(LOTTERY).total("lifted") == 0
    assert tried(DESIGNS["threshold"]).total("lifted") > 0


def test_a_threshold_out_of_reach_is_not_reached() -> None:
    outcome = tried(replace(LOTTERY, payment_min=10_000_000, own_money=False))
    assert outcome.total("payments") == 0
    assert outcome.total("returned") == outcome.total("issued")


@pytest.mark.parametrize("name", DESIGNS)
def test_twice_the_money_gives_the_same_real_result(name: str) -> None:
    design = DESIGNS[name]
    once = run(doubled(TOWN, 1), design, CENTRAL, seed=4, days=25)
    twice = run(doubled(TOWN, 2), with_money(design, 2), CENTRAL, seed=4, days=25)
    assert (twice.cell_base == 2 * once.cell_base).all()
    money = [EFFECT_NAMES.index(each) for each in EFFECT_NAMES if each != "payments"]
    assert (twice.cell_effect[:, :, money] == 2 * once.cell_effect[:, :, money]).all()
    assert (twice.effect("payments") == once.effect("payments")).all()
    assert (twice.shops_change == 2 * once.shops_change).all()


def test_twice_the_money_at_the_same_price_step_differs_by_rounding_alone() -> None:
    once = run(doubled(TOWN, 1), LOTTERY, CENTRAL, seed=4, days=25)
    twice = run(doubled(TOWN, 2), replace(with_money(LOTTERY, 2), price_step=1), CENTRAL, seed=4, days=25)
    for name in ("label", "own", "new", "substituted"):
        assert twice.total(name) == pytest.approx(2 * once.total(name), rel=1e-3)
    assert twice.total("payments") == pytest.approx(once.total("payments"), rel=2e-3)


def doubled(city: City, times: int) -> City:
    persons, merchants = city.persons, city.merchants
    return replace(
        city,
        persons=replace(persons, income_month=persons.income_month * times, liquid=persons.liquid * times),
        merchants=replace(merchants, turnover_year=merchants.turnover_year * times),
    )


def with_money(design: Design, times: int) -> Design:
    names = ("amount", "payment_min", "per_payment_max", "price", "price_step")
    return replace(
        design,
        amount_by_size=tuple(each * times for each in design.amount_by_size),
        **{name: getattr(design, name) * times for name in names},
    )


def test_a_lottery_has_exactly_its_recipients() -> None:
    outcome = tried(LOTTERY, with_purses=True)
    assert outcome.flow("recipients")[0] == min(500, outcome.flow("registered")[0])
    known = tried(replace(LOTTERY, registered=1_000, population=2_000))
    assert known.flow("recipients")[0] == 500
    assert known.flow("registered")[0] > 500
    tenth = tried(replace(LOTTERY, registered=10_000, recipients=5_000, population=20_000))
    assert tenth.flow("recipients")[0] == 500
    classes = tried(replace(LOTTERY, registered=1_000, population=2_000, classes=((100, 7_000), (300, 2_000))))
    assert classes.total("issued") == 100 * 7_000 + 300 * 2_000


def test_rows_of_a_city_repeat_with_other_draws() -> None:
    once = tried(LOTTERY, with_purses=True)
    more = tried(replace(LOTTERY, recipients=1_000), people=4_000, with_purses=True)
    assert more.cell_base.sum() == pytest.approx(2 * once.cell_base.sum(), rel=0.05)
    assert more.cell_base.sum() != 2 * once.cell_base.sum()
    assert (more.decile_people == 2 * once.decile_people).all()
    assert once.decile_people.sum() == len(TOWN.persons)


def plain_decisions(design: Design, days: int, seed: int, granted: Array) -> Iterator[tuple[int, int, Decision]]:
    prepared = place(design.shops)
    made = setting.make(design, CENTRAL, variants.LIQUID_WEALTH, prepared.market, days)
    columns = Columns.of(prepared.people, design)
    for number in range(granted.size):
        purse = Purse(c.MEMBER, grant=int(granted[number])) if granted[number] else Purse()
        for day in range(days):
            draws = Draws(person_key(seed, number), day)
            decision, purse = decide(columns.person(number, 1), day, purse, made, draws)
            yield day, number, decision


def test_totals_are_the_sums_of_plain_decisions() -> None:
    days, people = 9, 300
    grants = np.where(np.arange(people) % 3 == 0, 20_000, 0)
    outcome = tried(LOTTERY, days=days, people=people, grants=grants)
    market = place(LOTTERY.shops).market
    base, effect = np.zeros_like(outcome.cell_base), np.zeros_like(outcome.cell_effect)
    gains = np.zeros(len(TOWN.merchants), np.int64)
    paid = np.zeros((len(TOWN.merchants), 2), np.int64)
    for day, _, each in plain_decisions(LOTTERY, days, 4, grants):
        names = ("label", "own", "substituted", "forward", "new", "lifted")
        if each.ordinary_cell >= 0:
            base[day, each.ordinary_cell] += each.planned
            effect[day, each.ordinary_cell, EFFECT_NAMES.index("paid_back")] += each.paid_back
        if each.uses:
            effect[day, each.cell, : len(names)] += [getattr(each, name) for name in names]
            effect[day, each.cell, EFFECT_NAMES.index("payments")] += 1
            gains[market.merchant[each.shop]] += each.label + each.own
            paid[market.merchant[each.shop]] += (each.label, each.own)
            if each.substituted:
                effect[day, each.cell, EFFECT_NAMES.index("moved")] += each.substituted
                effect[day, each.ordinary_cell, EFFECT_NAMES.index("moved")] -= each.substituted
        if each.ordinary_shop >= 0:
            gains[market.merchant[each.ordinary_shop]] -= each.paid_back + each.substituted
    assert (outcome.cell_base == base).all()
    assert (outcome.cell_effect == effect).all()
    assert (outcome.shops_change == gains).all()
    assert (outcome.shops_paid == paid).all()


def test_a_town_without_shops_cannot_spend_a_label() -> None:
    empty = replace(TOWN, merchants=tiny_town(10, 0).merchants)
    outcome = run(empty, LOTTERY, CENTRAL, seed=4, days=12)
    outcome.check()
    assert outcome.total("payments") == 0
    assert outcome.cell_base[:, -1].sum() == outcome.cell_base.sum() > 0


@pytest.mark.parametrize("variant", variants.SHIPPED)
def test_each_variant_spends_and_gives_another_outcome(variant: str) -> None:
    outcome = run(place(LOTTERY.shops), LOTTERY, CENTRAL, variant, seed=4, days=25, with_baseline=False)
    outcome.check()
    others = [
        run(place(LOTTERY.shops), LOTTERY, CENTRAL, each, 4, 25, with_baseline=False) for each in variants.SHIPPED
    ]
    assert outcome.total("spent") > 0
    assert sum(each.total("new") == outcome.total("new") for each in others) == 1


def test_a_variant_of_ones_own_replaces_a_shipped_one_by_name() -> None:
    own = replace(variants.HABIT, name="nobody-spends-more", propensity=lambda *_: 0)
    variants.register(own)
    outcome = run(place(LOTTERY.shops), LOTTERY, CENTRAL, "nobody-spends-more", seed=4, days=25)
    assert outcome.total("new") == 0
    assert outcome.total("spent") > 0
    with pytest.raises(UsageError, match="already"):
        variants.register(own)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed -1"),
        ({"days": 0}, "0 days"),
        ({"chunk": 0}, "chunk of 0"),
        ({"people": -5}, "-5 persons"),
        ({"grants": np.zeros(3, np.int64)}, r"grants have the shape \(3,\)"),
        ({"variant": "incom"}, "no structure 'incom'"),
    ],
)
def test_impossible_arguments_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tried(LOTTERY, **options)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"how": "lotery"}, "how = 'lotery'"),
        ({"amount": 0}, "amount is 0"),
        ({"recipients": 0}, "recipients is 0"),
        ({"spend_until": 2, "spend_from": 3}, "ends before"),
        ({"moved": (Moved(10, 12),)}, "moved on day 10"),
        ({"amount_by_size": (1,)}, "needs households"),
        ({"kind": "coupon", "pieces": 3}, "not 3 equal pieces"),
        ({"delivered": ((3, 5), (1, 9))}, "delivered"),
        ({"decay_week": 2_000_000}, "decay_week"),
    ],
)
def test_impossible_designs_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(LOTTERY, **fields)  # type: ignore[arg-type]


def test_a_place_that_was_prepared_for_other_shops_is_refused() -> None:
    with pytest.raises(UsageError, match="prepared for"):
        run(place(Shops()), DESIGNS["few shops"], CENTRAL)


def test_unknown_sectors_and_zones_are_refused() -> None:
    with pytest.raises(UsageError) as error:
        prepare(TOWN, Shops(sectors=("foot",)))
    assert "food" in error.value.hint
    with pytest.raises(UsageError, match="no zone 9"):
        prepare(TOWN, Shops(zones=(9,)))


def test_a_city_whose_columns_cannot_be_written_is_run(tmp_path: Path) -> None:
    files.write(TOWN, tmp_path / "town")
    stored = run(files.read(tmp_path / "town"), LOTTERY, CENTRAL, seed=4, days=3)
    assert stored.digest() == run(TOWN, LOTTERY, CENTRAL, seed=4, days=3).digest()
