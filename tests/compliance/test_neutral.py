"""Neutrality: no code names a state, a territory or a party of a list. These are data."""

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
    """Return the names of each state by its code."""
    content = (Path(__file__).parent / "states.toml").read_text(encoding="utf-8")
    names: dict[str, list[str]] = tomllib.loads(content)["names"]
    return names


@cache
def parties() -> frozenset[str]:
    """Return all names of all parties of the shipped lists, and the first distinctive word of each."""
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
    """Return a pattern of these words; a name before a slash is a time zone."""
    return re.compile(
        r"(?<![\w-])(?:" + "|".join(sorted(map(re.escape, names), key=len, reverse=True)) + r")(?![\w/-])"
    )


def test_names_of_states_and_parties_are_found() -> None:
    assert {"Huawei", "Lockheed Martin", "Tencent", "ZTE"} <= parties()
    assert len(states()) > 150
    assert len(sources()) > 100


def test_no_code_names_a_party_of_a_list() -> None:
    assert found(words(iter(parties()))) == []


def test_no_code_names_a_state() -> None:
    assert found(words(name for names in states().values() for name in names)) == []


# Texts that happen to be the code of a state: the type of a JSON Web Key (RFC 7518), and the prefix of a reference.
OTHER_MEANINGS = {("client/tokens.py", "EC"), ("server/auth/jwks.py", "EC"), ("wallets/shortfalls.py", "RW")}


def test_no_code_holds_the_code_of_a_state() -> None:
    """Only whole texts count, since codes such as IN and NO are also words."""
    named = []
    quoted = re.compile(rf"""["'](?:{"|".join(states())})["']""")
    for path in sources():
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if quoted.search(text) else ():
            if not isinstance(node, ast.Constant) or node.value not in states():
                continue
            if (path.relative_to(SOURCE).as_posix(), node.value) not in OTHER_MEANINGS:
                named.append(f"{path.relative_to(ROOT)}:{node.lineno}: {node.value}")
    assert named == []


@pytest.mark.parametrize("folder", ["profiles", "lists", "memberships", "cases"])
def test_words_are_neutral(folder: str) -> None:
    """Check the wording of the data; quoted titles are excluded."""
    loaded = []
    for path in sorted((SOURCE / "data" / folder).glob("*.toml")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if LOADED.search(line) and not line.startswith("title = "):
                loaded.append(f"{path.name}:{number}: {line[:100]}")
    assert loaded == []


def test_code_is_neutral() -> None:
    assert [each for each in found(LOADED) if "/compliance/" in each] == []
