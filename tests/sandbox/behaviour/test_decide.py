"""The compiled rule decides as the plain rule, for random persons, designs, parameters and variants."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sandbox.random_designs import DAYS, PROBABILITIES, designs

from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.behaviour import parameters, setting, variants
from sycee.sandbox.behaviour.decide import Decision, Person, Purse, decide
from sycee.sandbox.behaviour.design import Design, Shops
from sycee.sandbox.behaviour.draws import Draws, person_key
from sycee.sandbox.behaviour.parameters import Parameters
from sycee.sandbox.city.model import tiny_town
from sycee.sandbox.engine import kernel
from sycee.sandbox.engine.run import Columns, Place, arguments, prepare

TOWN = tiny_town()


@cache
def place(shops: Shops) -> Place:
    return prepare(TOWN, shops)


@settings(max_examples=30, deadline=None)
@given(
    designs(),
    PROBABILITIES,
    st.sampled_from(variants.SHIPPED),
    st.integers(0, 2**63 - 1),
    st.sampled_from([0, 3 * 10**5]),
)
def test_the_compiled_rule_is_the_plain_rule(
    design: Design, probabilities: dict[str, float], variant: str, seed: int, refund_ppm: int
) -> None:
    prepared = place(design.shops)
    values = parameters.standard().at(probabilities)
    values = Parameters({**values.values, "refund_share": refund_ppm})
    made = setting.make(design, values, variants.named(variant), prepared.market, DAYS)
    made.rules[c.R_SEED] = seed
    columns = Columns.of(prepared.people, design)
    some = range(0, len(TOWN.persons), 31)
    grant = design.amount // design.price_step
    purses = np.zeros((len(TOWN.persons), c.PURSE_FIELDS), np.int64)
    purses[::2, c.STAGE], purses[::2, c.GRANT], purses[::4, c.CLAIM_DAY] = c.MEMBER, grant, 3
    plain = {
        row: Purse(c.MEMBER, grant=grant, claim_day=3 * (row % 4 == 0)) if row % 2 == 0 else Purse() for row in some
    }
    decisions = np.zeros((len(TOWN.persons), c.DECISION_FIELDS), np.int64)
    for day in range(DAYS):
        kernel.decide_many(*arguments(made), *columns.arrays, 0, len(TOWN.persons), made.steps, day, purses, decisions)
        for row in some:
            person = columns.person(row, made.steps)
            decision, plain[row] = decide(person, day, plain[row], made, Draws(person_key(seed, row), day))
            assert fields_of(decision) == decisions[row].tolist()
            assert purse_of(plain[row]) == purses[row].tolist()


def fields_of(decision: Decision) -> list[int]:
    return [int(getattr(decision, name)) for name in Decision.__dataclass_fields__]


def purse_of(purse: Purse) -> list[int]:
    return [getattr(purse, name) for name in Purse.__dataclass_fields__]


def test_fields_are_in_the_order_of_the_layout() -> None:
    assert len(Decision.__dataclass_fields__) == c.DECISION_FIELDS
    assert len(Purse.__dataclass_fields__) == c.PURSE_FIELDS
    assert len(Person.__dataclass_fields__) == c.PERSON_COLUMNS
    assert list(Decision.__dataclass_fields__).index("label") == c.D_LABEL
    assert list(Decision.__dataclass_fields__)[-1] == "returned"
    assert c.D_RETURNED == c.DECISION_FIELDS - 1


@pytest.mark.parametrize("stream", [c.OUT, c.USE, c.SPECIAL])
def test_draws_are_uniform_and_independent_of_other_streams_days_and_persons(stream: int) -> None:
    one, other = [], []
    for person in range(4_000):
        key = person_key(7, person)
        one.append(Draws(key, 3).bits(stream) >> 60)
        other.append(
            (Draws(key, 3).bits(stream + 1) >> 60, Draws(key, 4).bits(stream) >> 60, Draws(key, 3).once(stream) >> 60)
        )
    counts = np.bincount(one, minlength=16)
    assert ((counts - 250) ** 2 / 250).sum() < 45  # χ² with 15 degrees of freedom: p > 0.0001
    for column in np.array(other).T:
        assert abs(np.corrcoef(one, column)[0, 1]) < 0.06
    assert abs(np.corrcoef(one[:-1], one[1:])[0, 1]) < 0.06  # neighbours
