"""Results in Python code: what they are compared with, and why they are not booleans."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sycee.core.result_codes import PRECEDENCE, Result

pytestmark = pytest.mark.fast


@pytest.mark.parametrize("result", [Result.CREATED, Result.EXISTS, Result.EXCEEDS_BALANCE])
def test_a_result_is_neither_true_nor_false(result: Result) -> None:
    for use in (bool, lambda each: not each, lambda each: each or 1, lambda each: any([each])):
        with pytest.raises(TypeError, match=f"the result {result.name} is neither true nor false") as caught:
            use(result)
        assert "`if result.ok`" in caught.value.__notes__[0]


def test_created_alone_is_ok() -> None:
    assert [result for result in Result if result.ok] == [Result.CREATED]


def test_a_result_equals_its_number_in_tables_and_files() -> None:
    assert Result.CREATED == 0
    assert Result(1) is Result.EXISTS
    assert Result.EXISTS in {1, 2}
    assert np.array([Result.CREATED, Result.EXISTS], np.uint16).tolist() == [0, 1]
    assert (np.array([0, 1]) == Result.CREATED).tolist() == [True, False]
    assert json.dumps([Result.EXISTS]) == "[1]"
    assert f"{Result.EXISTS}" == "EXISTS"


def test_a_result_binds_its_id_from_the_first_refusal_by_the_state_on() -> None:
    binding = [result for result in PRECEDENCE if result.binds]
    assert binding[0] is Result.CURRENCY_EXISTS
    assert binding[-1] is Result.CREATED
    assert not Result.EXISTS.binds
