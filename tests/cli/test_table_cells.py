"""Cells of tables are plain text, whoever wrote it."""

from __future__ import annotations

import pytest

from sycee.cli.terminal import print_table, table

HOSTILE = (
    "[/x]",
    "[red]paid[/]",
    "[link=https://evil.example]shop[/link]",
    "\x1b]0;evil\x07\x1b[2J",
    "a\nb",
    "\u202egnp",
)


def test_markup_and_control_characters_of_cells_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    made = table("text", "number")
    for text in HOSTILE:
        made.add_row(text, "1")
    print_table(made)
    lines = capsys.readouterr().out.splitlines()[2:]
    assert [line.rsplit(maxsplit=1)[0] for line in lines] == [
        "[/x]", "[red]paid[/]", "[link=https://evil.example]shop[/link]", r"\x1b]0;evil\x07\x1b[2J",
        r"a\nb", r"\u202egnp",
    ]  # fmt: skip
