"""Neutral: no code names a state or territory, or a party of any list. They are data, and data alone."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from sycee import data
from sycee.compliance import library

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "sycee"
LOADED = re.compile(
    r"\b(?:adversar(?:y|ies)|untrusted|malign|hostile|rogue|enem(?:y|ies)|regime change|friendly)\b", re.IGNORECASE
)


@cache
def states() -> dict[str, list[str]]:
    """The names of each state, by its code."""
    content = (Path(__file__).parent / "states.toml").read_text(encoding="utf-8")
    names: dict[str, list[str]] = tomllib.loads(content)["names"]
    return names


@cache
def parties() -> frozenset[str]:
    """Every party of every list that is shipped, by all its names, and the first word of each that tells it apart."""
    lists = library.load(data.names("profiles")).lists.values()
    whole = {name for each in lists for row in each.rows for name in (row.party, *row.also)}
    nations = {name for names in states().values() for name in names}
    first = {name.split()[0] for name in whole if len(name.split()[0]) > 3}
    return frozenset(whole | (first - nations - {"Pacific", "Executive"}))


def sources() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def found(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in sources()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def words(names: Iterator[str]) -> re.Pattern[str]:
    """Any of them as words; a slash behind one makes it the name of a time zone."""
    return re.compile(
        r"(?<![\w-])(?:" + "|".join(sorted(map(re.escape, names), key=len, reverse=True)) + r")(?![\w/-])"
    )


def test_there_is_something_to_look_for() -> None:
    assert {"Huawei", "Lockheed Martin", "Tencent", "ZTE"} <= parties()
    assert len(states()) > 150
    assert len(sources()) > 100


def test_no_code_names_a_party_of_a_list() -> None:
    assert found(words(iter(parties()))) == []


def test_no_code_names_a_state() -> None:
    assert found(words(name for names in states().values() for name in names)) == []


def test_no_code_holds_the_code_of_a_state() -> None:
    """As a text of its own: codes of two letters are also words, such as IN and NO."""
    named = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and node.value in states():
                named.append(f"{path.relative_to(ROOT)}:{node.lineno}: {node.value}")
    assert named == []


@pytest.mark.parametrize("folder", ["profiles", "lists", "cases"])
def test_words_are_neutral(folder: str) -> None:
    """Of what the data say in words of their own; quoted titles are their authors'."""
    loaded = []
    for path in sorted((SOURCE / "data" / folder).glob("*.toml")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if LOADED.search(line) and not line.startswith("title = "):
                loaded.append(f"{path.name}:{number}: {line[:100]}")
    assert loaded == []


def test_code_is_neutral() -> None:
    assert [each for each in found(LOADED) if "/compliance/" in each] == []
