"""The settings of the tests themselves."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as some
from tests.conftest import multiply_examples


def test_a_soak_draws_more_examples() -> None:
    drawn = []

    @settings(max_examples=5)
    @given(some.integers())
    def draw(number: int) -> None:
        drawn.append(number)

    multiply_examples(draw, 4)
    draw()
    assert len(drawn) == 20


def test_other_tests_stay_as_they_are() -> None:
    def test() -> None: ...

    multiply_examples(test, 4)
    assert vars(test) == {}
