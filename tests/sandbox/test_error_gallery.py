"""Every entry of the page of errors prints what the page shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from tests.docs.pages import ROOT
from tests.each import case

from sycee import cli, data
from sycee.sandbox.city import files
from sycee.sandbox.city.model import tiny_town

PAGE = (ROOT / "docs/reference/sandbox-errors.md").read_text(encoding="utf-8")
SHIPPED = {
    "programme.toml": "pilots",
    "town.toml": "cities",
    "pilot.toml": "pilot-designs",
    "results.toml": "pilot-results",
}
INTRODUCTION = re.compile(
    r"Each entry is (?:a change of the shipped `(.+?)`, saved as|a file) `(.+?)`, and what `sycee (.+?)`"
)
ENTRY = re.compile(r"\*\*(.+?)\*\*\n\n```(?:diff|toml)\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)


def changed(text: str, diff: str) -> str:
    """Return a text with the lines of a diff replaced: each block of removed lines by the added ones after it."""
    for block in re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)*)", diff, re.MULTILINE):
        removed, added = ("\n".join(line[1:] for line in part.splitlines()) for part in block)
        assert removed in text, removed
        text = text.replace(removed, added, 1)
    return text


def sections() -> list[tuple[str, str, str, str]]:
    """Return title, base, file and the rest of each section with entries."""
    found = []
    for section in PAGE.split("\n## ")[1:]:
        title, _, content = section.partition("\n")
        if introduction := INTRODUCTION.search(content):
            found.append((title, *introduction.groups(default=""), content))
    return [(title, base, name, f"{command}\n{content}") for title, base, name, command, content in found]


@pytest.mark.parametrize(("title", "base", "name", "content"), sections(), ids=[each[0] for each in sections()])
def test_the_page_shows_what_is_printed(
    title: str, base: str, name: str, content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    command, _, rest = content.partition("\n")
    monkeypatch.chdir(tmp_path)
    files.write(tiny_town(300, 30), Path("town"))
    Path("pilot.toml").write_bytes(data.content("pilot-designs", "suzhou-2020"))
    before = sorted(Path().iterdir())
    entries = ENTRY.findall(rest)
    assert entries
    for what, body, message in entries:
        with case(what):
            text = changed(data.content(SHIPPED[name], base).decode(), body) if base else body
            Path(name).write_text(text, encoding="utf-8")
            assert cli.main(shlex.split(command)) == 2
            shown = capsys.readouterr()
            assert (shown.out, shown.err) == ("", message)
    assert sorted(Path().iterdir()) == sorted({*before, Path(name)})  # nothing else was written


def test_the_page_has_files_of_every_kind() -> None:
    assert {name for _, _, name, _ in sections()} >= {*SHIPPED, "variant.toml", "grid.toml"}
