"""Texts for registrants: shipped, of a publisher, and what a file may not have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.programmes import world
from tests.programmes.test_modes import programme
from tests.programmes.world import FILE, NORTH, SOUTH, person

from sycee.bank.bank import Bank
from sycee.core.documents import DocumentError
from sycee.core.errors import NotFound, UsageError
from sycee.identity.people import DutyMissing
from sycee.programmes import registrant_texts
from sycee.programmes.registrant_texts import STATES

NAME = "autumn-2026"
OWN = """languages = ["en", "fr"]
[en]
drawn = "You won with {entry}: come to {bank}."
[fr]
""" + "".join(f'{state} = "{{title}} : {state}"\n' for state in STATES)


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    with world.opened(tmp_path, world.at("registering").copy(tmp_path)) as made:
        yield made


def test_the_shipped_texts_have_every_state_in_two_languages_with_the_same_placeholders() -> None:
    assert set(registrant_texts.standard()) == {"en", "zh"}
    made = {language: registrant_texts.filled({}, programme(FILE), language) for language in ("en", "zh")}
    assert [each.state for each in made["en"]] == list(STATES) == [each.state for each in made["zh"]]
    assert [set(each.open) for each in made["en"]] == [set(each.open) for each in made["zh"]]
    (wait,) = [each for each in made["en"] if each.state == "to-be-claimed"]
    assert wait.text == ("Autumn packets: your packet of {amount} waits. Claim it at {bank} until 2026-11-13 00:00.")
    assert wait.open == ("amount", "bank")
    (checked,) = [each for each in made["zh"] if each.state == "registered"]
    assert checked.text == "Autumn packets：您的登记 {entry} 已保存，将在 120 分钟内核验。"


def test_a_publisher_replaces_texts(bank: Bank) -> None:
    north = person(bank, NORTH)
    assert bank.messages.replace(NAME, OWN, who=north) == ("en", "fr")
    own = {each.state: each.text for each in bank.messages.of(NAME)}
    assert own["drawn"] == "You won with {entry}: come to {bank}."
    assert own["cancelled"] == "Autumn packets was cancelled. Nobody gets a packet."
    assert bank.messages.of(NAME, language="fr")[0].text == "Autumn packets : registered"
    with pytest.raises(UsageError, match="there are no texts in 'xx'"):
        bank.messages.of(NAME, language="xx")
    with pytest.raises(DutyMissing):
        bank.messages.replace(NAME, OWN, who=person(bank, SOUTH))
    with pytest.raises(NotFound):
        bank.messages.replace("none", OWN, who=north)
    assert bank.messages.replace(NAME, "", who=north) == ()
    assert bank.messages.of(NAME)[-1].text == "Autumn packets was cancelled. Nobody gets a packet."


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{entry}", "{phone}", r"there is no placeholder \{phone\}"),
        ("{bank}", "{bank", "a brace is not closed"),
        ("come to", "call +86 138 0000 0001 at", "has a long number"),
        ("come", "come " * 101, "the text has [0-9]+ characters"),
        ('drawn = "You', 'won = "You', "unknown key"),
        ('expired = "{title} : expired"\n', "", "fr.expired"),
        ('"fr"]', '"fr", "English"]', "is no language"),
    ],
)
def test_a_file_with_an_error_is_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(DocumentError, match=said):
        registrant_texts.read(OWN.replace(old, new, 1), "own.toml")
