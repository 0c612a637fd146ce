"""Libraries of shipped profiles and lists, by name, and of a user's own, by path."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from tests.compliance import build, declared, test_schema

from sycee import data
from sycee.compliance import declarations, library, profile_reader, profiles
from sycee.compliance.judging import cases
from sycee.compliance.judging.judge import Judge
from sycee.compliance.verdicts import Verdict
from sycee.core import documents
from sycee.core.documents import DocumentError
from sycee.core.errors import UsageError

pytestmark = pytest.mark.fast


def written(folder: Path, **lists: object) -> Path:
    """Write a profile and lists, each `first-list` with the given changes; return the profile's path."""
    (folder / "own.toml").write_text(declared.toml(test_schema.profile()))
    for name, change in lists.items():
        (folder / f"{name}.toml").write_text(declared.toml({**test_schema.listing(), **dict(change)}))  # type: ignore[call-overload]
    return folder / "own.toml"


@pytest.mark.parametrize("folder", ["profiles", "lists"])
def test_shipped_files_are_named_after_their_ids(folder: str) -> None:
    names = data.names(folder)
    assert names
    for name in names:
        assert documents.parse(data.content(folder, name), name).text("id") == name


def test_a_shipped_profile_finds_its_lists_and_no_others() -> None:
    for name in data.names("profiles"):
        loaded = library.load([name])
        assert [each.id for each in loaded.profiles] == [name]
        named = {each for each in data.names("lists") if f'list = "{each}"' in data.content("profiles", name).decode()}
        assert set(loaded.lists) == named


def test_own_profiles_and_lists(tmp_path: Path) -> None:
    path = written(tmp_path, first={})
    loaded = library.load([path, data.names("profiles")[0]], [tmp_path / "first.toml"])
    assert [each.id for each in loaded.profiles] == ["first-profile", data.names("profiles")[0]]
    assert loaded.lists["first-list"].title == "A list"
    assert library.load([str(path)], [tmp_path / "first.toml"]).profiles == loaded.profiles[:1]


def test_a_profile_whose_file_was_changed_is_read_again(tmp_path: Path) -> None:
    path = written(tmp_path, first={})
    before = library.load([path], [tmp_path / "first.toml"]).profiles[0]
    path.write_text(declared.toml({**test_schema.profile(), "title": "Changed"}))
    after = library.load([path], [tmp_path / "first.toml"]).profiles[0]
    assert (after.title, after.id) == ("Changed", before.id)
    assert before.title != "Changed"


def test_an_own_list_replaces_a_shipped_one(tmp_path: Path) -> None:
    shipped = library.load(data.names("profiles"))
    name = min(shipped.lists)
    written(tmp_path, mine={"id": name, "title": "Another"})
    loaded = library.load(data.names("profiles"), [tmp_path / "mine.toml"])
    assert loaded.lists[name].title == "Another"
    assert loaded.lists.keys() == shipped.lists.keys()
    assert loaded.digest != shipped.digest


def test_an_unused_list_changes_no_digest(tmp_path: Path) -> None:
    read = [profiles.read_list(tmp_path / "a.toml")] if written(tmp_path, a={}) else []
    other = [profile_reader.parse_profile(documents.parse(data.content("profiles", "gdpr-transfers"), "it.toml"))]
    assert profiles.build_library(other, read).digest == profiles.build_library(other, []).digest


def test_names_that_cannot_be_loaded_are_reported(tmp_path: Path) -> None:
    path = written(tmp_path, first={}, second={}, third={"id": "frist-list"})
    first, second, third = (tmp_path / f"{name}.toml" for name in ("first", "second", "third"))
    with pytest.raises(UsageError, match='there is no profile "gdpr-transfer"') as raised:
        library.load(["gdpr-transfer"])
    assert raised.value.hint == 'did you mean "gdpr-transfers"?'
    with pytest.raises(UsageError, match="no profile was named"):
        library.load([])
    with pytest.raises(UsageError, match="first-profile was given twice"):
        library.load([path, path], [first])
    with pytest.raises(UsageError, match='the list "first-list" was given twice'):
        library.load([path], [first, second])
    with pytest.raises(UsageError, match="names the list first-list, which was not found"):
        library.load([path])
    with pytest.raises(UsageError, match='no loaded profile uses the list "frist-list"') as raised:
        library.load([path], [first, third])
    assert raised.value.hint == 'did you mean "first-list"?'
    with pytest.raises(UsageError, match=r"the TOML file .*none\.toml cannot be read: there is no such file"):
        library.load([tmp_path / "none.toml"])


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"set" = "home"', '"values" = ["aa"]', 'values: found "aa"'),
        ('"values" = ["payment"]', '"values" = ["paymnt"]', 'values: found "paymnt"'),
        ('home = ["AA"]', 'home = ["Aland"]', 'set: found "Aland"'),
        ('value = "BB"', 'value = "Bland"', 'set: found "Bland"'),
        ('value = "BB"', 'value = "AA"', 'value: "AA" is always in the set home'),
        ('set = "home"\nvalue', 'set = "hme"\nvalue', 'set: found "hme"'),
        ("until = 2030-01-01\nsource", "until = 2025-01-01\nsource", "until: found 2025-01-01"),
        ('holidays = ["2026-01-01"]', "holidays = []", "holidays: the set is empty"),
        ("effective_until = 2030-01-01", "effective_until = 2026-01-01", "effective_until: found 2026-01-01"),
        ('holidays = ["2026-01-01"]', 'holidays = ["01.01.2026"]', 'holidays: found "01.01.2026"'),
        ('holidays = ["2026-01-01"]', 'holidays = ["2026-02-30"]', 'holidays: found "2026-02-30"'),
        ('holidays = ["2026-01-01"]', 'holidays = ["20260101"]', 'holidays: found "20260101"'),
        ('"weekend" = ["sunday"]', f'"weekend" = {json.dumps(profiles.DAYS)}', "weekend: found every day of the week"),
        ('"business_days" = 1', '"business_days" = 1000000', "business_days: found 1000000"),
    ],
)
def test_values_that_a_profile_can_never_find_are_refused(old: str, new: str, says: str) -> None:
    text = declared.toml(test_schema.profile())
    assert old in text
    with pytest.raises(DocumentError) as raised:
        profile_reader.parse_profile(documents.parse(text.replace(old, new), "own.toml"))
    assert says in raised.value.message


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ({"fact": "to.state", "set": "home"}, "fact: names no organisation"),
        ({"values": ["aa"]}, 'values: found "aa"'),
        ({"set": "holidays"}, 'set: found "2026-01-01"'),
        ({"set": "home", "home": "holidays"}, 'home: found "2026-01-01"'),
        ({"set": "home", "home": "hme"}, 'home: found "hme"'),
        ({"set": "home", "values": ["AA"]}, "has set and values"),
        ({}, "has no values"),
        ({"set": "home", "ties": ["residence"]}, 'ties: found "residence"'),
        ({"set": "home", "chain": "multiply"}, "ties: a person has no shares of an employer to multiply"),
        ({"set": "home", "control_bp": 0}, "control_bp: found 0"),
    ],
)
def test_conditions_about_states_are_checked(condition: declared.Document, says: str) -> None:
    document = test_schema.profile()
    document["rules"][0]["when"] = [{"fact": "to.organisation", "test": "controlled-by", **condition}]
    with pytest.raises(DocumentError) as raised:
        profile_reader.parse_profile(documents.parse(declared.toml(document), "own.toml"))
    assert says in raised.value.message
    assert raised.value.hint


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ({"some": "purpose", "having": [{"fact": "state", "test": "declared"}]}, "is not a list of tables"),
        ({"some": "stored", "having": [{"fact": "stored.at", "test": "declared"}]}, 'has no "stored"'),
        ({"some": "stored"}, "having: missing"),
        ({"fact": "currency", "test": "at-most", "limit": 5}, 'fact: "currency" is no number'),
        ({"fact": "stored.at.state", "test": "at-least", "limit": 5}, 'fact: "stored.at.state" is no number'),
        ({"fact": "purpose", "test": "is-true"}, 'fact: "purpose" is no fact that is true or false'),
        ({"fact": "persons_12m", "test": "is-false"}, 'fact: "persons_12m" is no fact that is true or false'),
    ],
)
def test_conditions_that_can_never_hold_are_refused(condition: declared.Document, says: str) -> None:
    document = test_schema.profile()
    document["rules"][0]["when"] = [condition]
    with pytest.raises(DocumentError) as raised:
        profile_reader.parse_profile(documents.parse(declared.toml(document), "own.toml"))
    assert says in raised.value.message


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('parts = ["transmission"]', 'parts = ["transmision"]', 'parts: found "transmision"'),
        ("valid_until = 2030-01-01", "valid_until = 2025-01-01", "valid_until: found 2025-01-01"),
        ("covers_from = 2025-01-01", "covers_from = 2026-01-02", "covers_from: is after as_of, 2026-01-01"),
    ],
)
def test_invalid_lists_are_refused(old: str, new: str, says: str) -> None:
    text = declared.toml(test_schema.listing())
    assert old in text
    with pytest.raises(DocumentError) as raised:
        profiles.parse_list(documents.parse(text.replace(old, new), "own.toml"))
    assert says in raised.value.message


def test_a_complete_list_without_rows_is_refused() -> None:
    listing = test_schema.listing()
    del listing["rows"]
    with pytest.raises(DocumentError, match="complete: the list is complete and has no rows"):
        profiles.parse_list(documents.parse(declared.toml(listing), "own.toml"))
    assert not profiles.parse_list(documents.parse(declared.toml({**listing, "complete": False}), "own.toml")).rows


@pytest.mark.parametrize("levels", [100, 100_000])
def test_deeply_nested_files_are_refused(levels: int, tmp_path: Path) -> None:
    deep = tmp_path / "deep.toml"
    deep.write_text(f"{'any = ' if levels == 100 else 'sources = '}{'[' * levels}{']' * levels}")
    readers = (
        lambda: library.load([deep]),
        lambda: library.load(["gdpr-transfers"], [deep]),
        lambda: declarations.load([deep]),
        lambda: cases.load(deep),
    )
    for read in readers:
        with pytest.raises(DocumentError, match=r"deep\.toml:1: more than \d+ levels of lists and tables"):
            read()


def test_the_deepest_condition_that_is_read_can_be_judged() -> None:
    condition: dict[str, object] = {"fact": "exit_terms", "test": "is-true"}
    for _ in range(29):  # each adds a table and a list
        condition = {"any": [condition]}
    document = test_schema.profile()
    (rule,) = [each for each in document["rules"] if each["id"] == "second-rule"]
    del rule["each"], rule["basis"]
    document |= {"rules": [{**rule, "require": [condition]}]}
    del document["touches"]
    read = profile_reader.parse_profile(documents.parse(declared.toml(document), "own.toml"))
    made = build.network(bank=build.participant(exit_terms=True))
    (finding,) = Judge(made, profiles.build_library([read], []), date(2027, 1, 1)).findings("bank")
    assert finding.verdict is Verdict.PASS
