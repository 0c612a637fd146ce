"""One typing error in a name is found; names that differ by intent are not typing errors."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sycee.core import typos
from sycee.core.errors import UsageError

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("word", "words", "found"),
    [
        ("rad", ["red", "blue"], "red"),
        ("RED", ["red", "blue"], "red"),
        ("red", ["Red", "RED"], "RED"),  # of words that differ in case alone, the first in order
        ("x", ["red", "blue"], None),
        ("red", [], None),
    ],
)
def test_the_nearest_word_is_suggested_whatever_its_case(word: str, words: list[str], found: str | None) -> None:
    assert typos.nearest(word, words) == found
    assert typos.hint(word, words, "name a colour") == (f'did you mean "{found}"?' if found else "name a colour")


@pytest.mark.parametrize(
    ("named", "declared_id"),
    [
        ("bank-0041", "bank-0042"),
        ("carrier-a", "carrier-b"),
        ("gateway-aa-1", "gateway-ab-1"),
        ("east-gateway", "west-gateway"),
        ("bank-1-1", "bank-11"),
        ("ann", "anna"),
        ("first-bank", "first-bank-company"),
    ],
)
def test_ids_that_differ_by_intent_are_no_typing_errors(named: str, declared_id: str) -> None:
    assert typos.corrected(named, {declared_id}) is None
    assert typos.corrected(declared_id, {named}) is None


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_every_typing_error_in_a_word_is_found(data: st.DataObject) -> None:
    words = data.draw(st.lists(st.text("abcdefg", min_size=5, max_size=8), min_size=1, max_size=3))
    place = data.draw(st.integers(0, len(words) - 1))
    word = words[place]
    letter = data.draw(st.integers(0, len(word) - 2))
    typed = data.draw(
        st.sampled_from(
            [
                word[:letter] + word[letter + 1 :],
                word[:letter] + "z" + word[letter:],
                word[:letter] + "z" + word[letter + 1 :],
                word[:letter] + word[letter + 1] + word[letter] + word[letter + 2 :],
            ]
        )
    )
    right = "-".join(words)
    wrong = "-".join((*words[:place], typed, *words[place + 1 :]))
    if wrong != right:
        assert typos.corrected(wrong, {right}) == right


class Counting(set[str]):
    """A set that counts its lookups."""

    lookups = 0

    def __contains__(self, name: object) -> bool:
        self.lookups += 1
        return super().__contains__(name)


def test_the_cost_does_not_grow_with_the_names_that_are_declared() -> None:
    small, large = Counting(), Counting(f"bank-{number:06}" for number in range(100_000))
    assert typos.corrected("first-bank", small) is None
    assert typos.corrected("first-bank", large) is None
    assert small.lookups == large.lookups < 1_000


def test_a_required_name_is_one_of_the_words() -> None:
    typos.require("route", ["route", "split"], "there is no route", "name a command")
    with pytest.raises(UsageError, match="there is no rout") as raised:
        typos.require("rout", ["route", "split"], "there is no rout", "name a command")
    assert raised.value.hint == 'did you mean "route"?'
    with pytest.raises(UsageError) as raised:
        typos.require("zzz", ["route"], "there is no zzz", "name a command")
    assert raised.value.hint == "name a command"
