"""The page on profiles, lists and golden cases names every key and word of theirs; `test_docs` runs its blocks."""

from __future__ import annotations

import re
from dataclasses import fields
from functools import cache
from typing import Any

import pytest
from tests.docs.pages import ROOT, page
from tests.docs.test_docs import keys_asked_for

from sycee.compliance import document_fields, memberships, profiles, vocabulary
from sycee.compliance.facts import CONTROL_BP, Assurance
from sycee.compliance.judging import cases
from sycee.compliance.memberships import MemberList, Membership
from sycee.compliance.verdicts import Force, Verdict
from tools import compliance_schemas

TEXT = page("docs/reference/profiles.md").text


@cache
def documented(part: str) -> set[str]:
    """What stands in the first column of the tables of a part of the page."""
    section = TEXT.split(f"\n## {part}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([\w-]+)`", row)}


def keys(of: Any) -> set[str]:
    """The keys of all tables of a schema."""
    if isinstance(of, list):
        return set().union(*(keys(each) for each in of))
    if not isinstance(of, dict):
        return set()
    own = set(of["properties"]) if isinstance(of.get("additionalProperties"), bool) else set()
    return own.union(*(keys(each) for each in of.values()))


def test_every_key_of_a_profile_is_documented() -> None:
    found = keys(compliance_schemas.of_profiles())
    assert {"when_unknown", "control_bp", "holidays", "at_hand"} <= found
    assert found - documented("Profiles") == {"any", "fact", "test", "negate"}  # what every condition has, in prose
    assert all(f"`{each}`" in TEXT or f"`{each} = " in TEXT for each in ("fact", "test", "negate = true"))


def test_every_key_of_a_list_is_documented() -> None:
    sources = set(compliance_schemas.of_profiles()["$defs"]["source"]["properties"])
    assert keys(compliance_schemas.of_lists()) - sources - documented("Lists") == set()


def test_every_key_of_a_golden_case_is_documented() -> None:
    expected = {each.name for each in fields(cases.Expectation)} - {"place"}
    head = {each.name for each in document_fields.keys(cases.Case).values()} | keys_asked_for(cases, {})
    assert {"missing", "says"} <= expected
    assert expected | head | {"at_hand", "list_files", "lists", "expect", "network"} <= documented("Golden cases")


@pytest.mark.parametrize(
    "words",
    [
        vocabulary.LEVELS,
        vocabulary.PARTS,
        vocabulary.PURPOSES,
        profiles.STATUSES,
        profiles.ADDRESSEES,
        profiles.RULE_KINDS,
        profiles.ROW_STATUSES,
        [each.word for each in Assurance],
        [each.word for each in Verdict],
        [each.word for each in Force],
    ],
)
def test_every_word_is_documented(words: list[str]) -> None:
    assert [word for word in words if f"`{word}`" not in TEXT] == []


def test_what_is_half_is_control() -> None:
    assert f"{CONTROL_BP:,} (half) where it is omitted" in TEXT
    assert f"business days from 0 to {profiles.BUSINESS_DAYS_MAX}" in TEXT


def test_every_key_and_word_of_a_list_of_members_is_documented() -> None:
    found = {key.name for kind in (MemberList, Membership) for key in document_fields.keys(kind).values()}
    assert {"party", "said_by", "until"} <= found
    assert found | {"rows", "sources"} <= documented("Lists of members")
    assert [word for word in (*memberships.RELATIONS, *memberships.KINDS) if f"`{word}`" not in TEXT] == []


def test_pages_of_profiles_write_a_reversed_condition_in_words() -> None:
    texts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "profiles").glob("*.md"))
    assert "**not** every value of" in texts
    assert "it is **not** true that" in texts
    assert re.findall(r"\bnot: .*", texts) == []
