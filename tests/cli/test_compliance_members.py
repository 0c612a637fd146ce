"""`sycee compliance members` and `what-if` on the example of two regimes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

EXAMPLE: Final = Path(__file__).resolve().parents[2] / "examples" / "two-regimes"
CLEAN: Final = "clean-network-2020"
LIMITED: Final = ("--profile", CLEAN)


def test_members_are_listed_by_day_state_and_relation(sycee: Any) -> None:
    result = sycee("compliance", "members", "--at", "2020-06-24", "--json")
    assert result.code == 0
    rows = [row["party"] for each in result.json()["lists"] for row in each["rows"]]
    assert rows[0] == "United States"
    assert len(rows) == 9
    text = " ".join(sycee("compliance", "members", CLEAN, "--state", "EE").out.split())
    assert "2 rows" not in text
    assert "Estonia (EE): member from 2020-06-25" in text
    assert "Estonia (EE): signed from 2020-09-23" in text
    assert "Data Security" not in text
    assert len(sycee("compliance", "members", "--relation", "initiator", "--json").json()["lists"][0]["rows"]) == 1


def test_the_page_shows_what_the_example_would_gain(sycee: Any, tmp_path: Path) -> None:
    path = tmp_path / "members.html"
    result = sycee("compliance", "members", "--network", EXAMPLE, "--format", "html", "--output", path)
    assert (result.code, result.out) == (0, "")
    assert f"Written to {path}" in result.err
    html = path.read_text(encoding="utf-8")
    assert html.count("its adoption ends") == 2
    assert "League of Arab States" in html
    assert len(html) < 250_000


def test_what_if_shows_what_changes_and_exits_with_one(sycee: Any) -> None:
    result = sycee("compliance", "what-if", EXAMPLE, "--leave", f"all={CLEAN}", *LIMITED)
    assert result.code == 0
    assert "every state leaves clean-network-2020" in result.out
    made = sycee("compliance", "what-if", EXAMPLE, "--leave", f"all={CLEAN}", *LIMITED, "--json").json()
    assert made["stops_now"] == []
    assert len(made["goes_now"]) > 3
    added = ("--list-add", "clean-network-2020-carriers=loon-carrier")
    listed = sycee("compliance", "what-if", EXAMPLE, *added, *LIMITED)
    assert listed.code in (0, 1)
    assert "loon-carrier is added to clean-network-2020-carriers" in listed.out


def test_what_if_writes_a_page(sycee: Any, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    words = ("--leave", f"all={CLEAN}", *LIMITED, "--format", "html", "--output", path)
    assert sycee("compliance", "what-if", EXAMPLE, *words).code == 0
    assert "What would change if every state leaves clean-network-2020" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["members", "--format", "html"], "--format html and --output belong together"),
        (["members", "--json", "--format", "text"], "--json and --format text are two formats"),
        (["members", "--network", str(EXAMPLE)], "--network is for the page"),
        (["members", "--state", "USA"], "USA is not the code of a state"),
        (["members", "--relation", "membr"], "there is no relation membr"),
        (["members", "clean-netwrk-2020"], 'there is no list of members "clean-netwrk-2020"'),
        (["what-if", str(EXAMPLE), *LIMITED], "nothing is assumed"),
        (["what-if", str(EXAMPLE), "--join", CLEAN, *LIMITED], "--join must be STATE=PROFILE"),
    ],
)
def test_mistaken_words_are_explained(sycee: Any, words: list[str], says: str) -> None:
    result = sycee("compliance", *words)
    assert result.code == 2
    assert says in " ".join(result.err.split())
