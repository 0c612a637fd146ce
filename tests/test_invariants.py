"""INVARIANTS.md names tests that exist, for thirteen invariants, and says aloud what is missing."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from tests.each import case

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "INVARIANTS.md").read_text(encoding="utf-8")
SECTIONS = re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)


@cache
def functions_of(path: Path) -> set[str]:
    """Names of the test functions of a file, read without importing it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_there_are_thirteen() -> None:
    assert [section.split(".")[0] for section in SECTIONS] == [str(number) for number in range(1, 14)]


def test_every_test_named_exists() -> None:
    for file, name in sorted(set(NAMED)):
        with case(file, name):
            assert (ROOT / file).is_file(), f"INVARIANTS.md names {file}, which is not there"
            assert name in functions_of(ROOT / file), f"INVARIANTS.md names {name}, which is not in {file}"


@pytest.mark.parametrize("section", SECTIONS, ids=[section.split("\n")[0] for section in SECTIONS])
def test_each_invariant_is_tested_or_says_what_is_missing(section: str) -> None:
    assert re.search(r"`tests/[\w/]+\.py::\w+`", section) or "Not yet: " in section


def test_nothing_that_looks_like_a_test_goes_unread() -> None:
    listed = [line for line in TEXT.splitlines() if line.startswith("- ")]
    assert len(listed) == len(NAMED)
