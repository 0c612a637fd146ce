"""Progress bars fit the terminal: nothing is cut, and both times have a label."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from tests.cli.calling import forked

from sycee.core import progress_bar

PARTS = {
    "title": "claims and payments",
    "count": "1,913,847",
    "unit": "operations",
    "rate": "1.2M/s",
    "elapsed": "1:02:03 elapsed",
    "left": "0:03 left",
}


def line(width: int, **parts: str) -> str:
    before, bar, behind = progress_bar.fit(width, **(PARTS | parts))
    return before + f"  {'#' * bar}" * bool(bar) + f"  {behind}" * bool(behind)


@pytest.mark.fast
def test_no_line_is_wider_than_the_terminal() -> None:
    for width in range(1, 200):
        for absent in ((), ("rate",), ("count", "left", "rate", "unit"), ("title",)):
            assert len(line(width, **dict.fromkeys(absent, ""))) <= max(
                width, len(PARTS["title"]) * ("title" in absent)
            )


@pytest.mark.fast
@pytest.mark.parametrize(
    ("width", "lost"),
    [
        (120, []),
        (80, ["unit"]),
        (60, ["unit", "rate", "elapsed"]),
        (40, ["unit", "rate", "elapsed", "count"]),
        (32, ["unit", "rate", "elapsed", "count", "bar"]),
        (20, ["unit", "rate", "elapsed", "count", "bar", "left"]),
    ],
)
def test_narrow_terminals_drop_the_least_important_parts_first(width: int, lost: list[str]) -> None:
    text = line(width)
    for name, part in {**PARTS, "bar": "######"}.items():
        assert (part in text) is (name not in lost), text


@pytest.mark.fast
@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.9, "0:07"), (61, "1:01"), (3_600, "1:00:00"), (90_061, "25:01:01")]
)
def test_durations_in_minutes_and_hours(seconds: float, text: str) -> None:
    assert progress_bar.duration(seconds) == text


def shown_on_a_terminal(columns: int, *words: str) -> list[str]:
    """Every line that a command draws on a terminal of that width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    with Connection(theirs) as terminal:
        process = forked(words, environment | {"TERM": "xterm", "NO_COLOR": "1"}, terminal, terminal)
    drawn = b""
    while part := read(ours):
        drawn += part
    os.close(ours)
    process.join()
    assert process.exitcode == 0
    return re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn.decode()))


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # the other end is closed
        return b""


@pytest.mark.parametrize("columns", [80, *(pytest.param(each, marks=pytest.mark.soak) for each in (60, 120))])
def test_the_bars_of_a_pilot_show_labelled_times(columns: int) -> None:
    lines = [each for each in shown_on_a_terminal(columns, "pilot", "luohu", "--scale", "0.1") if "freeze and" in each]
    assert lines
    assert max(map(len, lines)) <= columns
    assert all("…" not in each for each in lines)
    under_way = next(each for each in reversed(lines) if " left" in each)
    assert re.search(r" [0-9][0-9,]* .*(-:--|[0-9]+:[0-9]{2}) left$", under_way.rstrip()), under_way
    if columns >= 80:
        assert re.search(r"  [0-9]+:[0-9]{2} elapsed  ", under_way), under_way


def test_an_export_shows_labelled_times(finished: Path, tmp_path: Path) -> None:
    lines = shown_on_a_terminal(80, "export", str(finished), "--to", str(tmp_path / "archive"))
    assert any(each.startswith("exporting") and "rows" not in each and " elapsed" in each for each in lines)
