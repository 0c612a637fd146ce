"""One value has one text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sycee.core.canonical_json import canonical, digest
from sycee.core.errors import UsageError

pytestmark = pytest.mark.fast

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_the_text_is_exact() -> None:
    assert canonical({"b": [1, True, None], "a": "é"}) == b'{"a":"\\u00e9","b":[1,true,null]}'
    assert (
        digest({}).hex() == "6e46dd10defc9b56c29a6ec56b508c21f54c08192194e4df25bf36f0c9c3c279"
    )  # BLAKE3 of the two bytes {}


@given(VALUES)
def test_it_reads_back(value: object) -> None:
    text = canonical(value)
    assert text.isascii()
    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text


@given(st.dictionaries(st.text(), st.integers(), max_size=6))
def test_the_order_of_keys_makes_no_difference(value: dict[str, int]) -> None:
    assert digest(value) == digest(dict(reversed(value.items())))


@pytest.mark.parametrize("value", [1.5, b"bytes", {1: "a"}, {"a": [0, {"b": 0.1}]}, {1, 2}])
def test_what_has_no_single_text_is_refused(value: object) -> None:
    with pytest.raises(UsageError, match="is of type"):
        canonical(value)


def test_the_error_names_the_place_and_not_the_value() -> None:
    with pytest.raises(UsageError, match=r"the value\['a'\]\[1\] is of type bytes") as caught:
        canonical({"a": [0, b"secret"]})
    assert "secret" not in str(caught.value)
