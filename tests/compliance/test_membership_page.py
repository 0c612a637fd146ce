"""Lists of members as text, JSON and a picture."""

from __future__ import annotations

from datetime import date
from xml.etree import ElementTree as ET

import pytest
from tests.compliance.test_memberships import parse

from sycee.compliance import memberships
from sycee.compliance.reports import membership_page
from sycee.report import chart

pytestmark = pytest.mark.fast


def test_the_text_has_the_rows_and_says_that_nobody_is_bound() -> None:
    text = " ".join(membership_page.render_text(memberships.selected([parse()])).split())
    assert "The river: members (river), as of 2026-01-01: 4 rows" in text
    assert "Lower bank (XB): signed from 2021-01-01 until 2023-01-01, said by itself" in text
    assert "League: welcomed from 2022-01-01, said by a paper, read second-hand. in passing" in text
    assert text.endswith(membership_page.NOBODY_IS_BOUND)


def test_json_has_every_row_with_its_source() -> None:
    made = membership_page.members(memberships.selected([parse()]), date(2022, 1, 1))
    (listed,) = made["lists"]
    assert [row["party"] for row in listed["rows"]] == ["Upper bank", "Lower bank", "League", "Ferry"]
    assert listed["rows"][1]["until"] == "2023-01-01"
    assert [row["takes_part"] for row in listed["rows"]] == [True, True, False, False]
    assert {row["source"] for row in listed["rows"]} == {source["id"] for source in listed["sources"]}


def test_the_picture_has_a_line_for_each_list_and_one_for_those_that_take_part() -> None:
    drawn = chart.svg(membership_page.over_time([parse()]), name="memberships", width=900, height=340)
    words = [element.text for element in ET.fromstring(drawn).iter() if element.tag.endswith("text")]  # noqa: S314 - our own
    assert {"river", "river, taking part", "states"} <= set(words)
