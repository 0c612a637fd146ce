"""Blocks that open, stack and meet: folds, bars of parts, matrices, drawings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.report.browser import opened
from tests.report.test_page import ATTACK, HOSTILE, made

from sycee.core.errors import IntegrityError
from sycee.report import chart, page
from sycee.report.page import Cell, Chip, Fold, Matrix, Paragraph, Picture, Stack, Stacks

GOOD, BAD = Chip("✓", "good", "third"), Chip("✗", "bad", "warning", link="why")


def test_text_is_escaped_in_these_too() -> None:
    chip = Chip(HOSTILE, HOSTILE, "first", link="there")
    html = page.render(
        made(
            Stacks(HOSTILE, (Stack(HOSTILE, HOSTILE, ((chip, 1),)),)),
            Matrix(HOSTILE, (HOSTILE,), ((HOSTILE, HOSTILE, (Cell(chip, (chip,)),)),)),
            Fold(HOSTILE, (Paragraph(HOSTILE),), "there", HOSTILE, (chip,)),
            Picture("<svg></svg>", HOSTILE, 100),
        )
    )
    assert not ATTACK.search(html)
    assert "<script" not in html


def test_a_part_of_nothing_is_not_shown() -> None:
    html = page.render(made(Stacks("all", (Stack("one", "", ((GOOD, 3), (BAD, 0))),))))
    assert "flex-grow:3" in html
    assert "flex-grow:0" not in html
    assert ">bad<" not in html


def test_a_row_of_a_matrix_has_a_cell_for_each_column() -> None:
    with pytest.raises(IntegrityError, match="2 cells"):
        Matrix("who", ("one",), (("a", "", (Cell(GOOD), Cell(BAD))),))


def test_plots_within_a_fold_are_found() -> None:
    plot = page.Plot("line", "A line", "From 1 to 2.", chart.nothing)
    assert page.plots_in(made(Fold("more", (Fold("still more", (plot,)),)))) == [plot]


def test_short_words_are_never_broken() -> None:
    columns = page.columns("text", ">figure", "=short")
    assert [(each.title, each.is_figure, each.is_short) for each in columns] == [
        ("text", False, False),
        ("figure", True, False),
        ("short", False, True),
    ]
    html = page.render(made(page.Table("a", columns, (("a", "1", "2020-01-01"),), stacked=True)))
    assert re.search(r'data-title="short" class="short">2020-01-01<', html)


def test_a_page_without_plots_has_no_script_and_opens_what_a_link_leads_to(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    matrix = Matrix("who", ("one",), (("a", "", (Cell(BAD, (BAD,)),)),))
    page.write(made(matrix, Fold("because", (Paragraph("This is why."),), "why", chips=(BAD,))), path)
    with opened(path) as seen:
        assert seen.page.locator("script").count() == 0
        assert not seen.page.get_by_text("This is why.").is_visible()
        seen.page.locator(".matrix summary").click()
        seen.page.locator(".matrix li a").click()
        seen.page.get_by_text("This is why.").wait_for(state="visible")
        assert seen.complaints == []
