"""Markdown pages taken apart: fenced blocks, headings, links; and the run of a page's blocks."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[\w-]*)(?P<rest>.*)$")
_NOT_RUN = re.compile(r"^\s*<!-- not run: \S.*-->\s*$")
_LINK = re.compile(r"(?<!\\)\[(?:[^\[\]]|\[[^\]]*\])*\]\((?P<target>[^()\s]+(?:\([^()]*\))?)\)")
_HEADING = re.compile(r"^#{1,6} +(?P<text>.+?)\s*$")
_CODE = re.compile(r"`[^`]*`")


@dataclass(frozen=True)
class Block:
    """A fenced block. `line` is that of its first line of content, from 1."""

    language: str
    info: str
    content: str
    line: int
    not_run: bool  # a comment above gives the reason
    follows: int  # index of the block right before it, with nothing but empty lines between; -1 for none


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    def blocks(self) -> list[Block]:
        found: list[Block] = []
        lines = self.text.splitlines()
        at, ended, above = 0, -1, ""
        while at < len(lines):
            match = _FENCE.match(lines[at])
            if match is None:
                if lines[at].strip():
                    above, ended = lines[at], -1
                at += 1
                continue
            end = next(row for row in range(at + 1, len(lines)) if lines[row].strip() == "```")
            content = textwrap.dedent("\n".join(lines[at + 1 : end])) + "\n"
            not_run = bool(_NOT_RUN.match(above))
            found.append(Block(match["language"], match["rest"].strip(), content, at + 2, not_run, ended))
            at, ended, above = end + 1, len(found) - 1, ""
        return found

    def prose(self) -> str:
        """The text without fenced blocks; as many lines as the page."""
        kept, inside = [], False
        for line in self.text.splitlines():
            fence = line.strip().startswith("```")
            kept.append("" if inside or fence else line)
            inside = inside != fence
        return "\n".join(kept)

    def links(self) -> list[tuple[int, str]]:
        """(line, target) of every link."""
        rows = enumerate(self.prose().splitlines(), 1)
        return [(row, match["target"]) for row, line in rows for match in _LINK.finditer(_CODE.sub("", line))]

    def anchors(self) -> set[str]:
        """What headings are called in links, as GitHub makes it."""
        made: set[str] = set()
        for line in self.prose().splitlines():
            if match := _HEADING.match(line):
                text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match["text"]).replace("`", "").lower()
                slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
                number = next(n for n in range(len(made) + 1) if (f"{slug}-{n}" if n else slug) not in made)
                made.add(f"{slug}-{number}" if number else slug)
        return made


@cache
def page(name: str) -> Page:
    """The page at a path from the repository's root."""
    path = ROOT / name
    return Page(path, path.read_text(encoding="utf-8"))


def commands(content: str) -> list[tuple[str, str]]:
    """A console block as (command, output shown). `$ ` begins a command, `> ` goes on with it."""
    found: list[tuple[str, str]] = []
    for line in content.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif not found:
            raise AssertionError(f"a console block begins with a command, not with {line!r}")
        elif line.startswith("> ") and not found[-1][1]:
            found[-1] = (f"{found[-1][0]}\n{line[2:]}", "")
        else:
            found[-1] = (found[-1][0], f"{found[-1][1]}{line}\n")
    return found


def shows(expected: str, found: str) -> bool:
    """Whether `found` is what `expected` shows.

    A line `...` stands for any number of lines, `...` in a line for any characters. Blanks at a line's end and empty
    lines do not count.
    """
    pattern = ""
    for line in _lines(expected):
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*?".join(re.escape(part) for part in line.split("...")) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _lines(found))) is not None


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()]
