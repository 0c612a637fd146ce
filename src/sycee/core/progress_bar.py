"""Progress bars that fit the width of a terminal."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task
from rich.text import Text

TITLE_WIDTH: Final = 19  # of the longest title of a pilot's phases, so that its bars are aligned
BAR_WIDTH_MIN, BAR_WIDTH_MAX = 6, 28


def new(terminal: Console, *, transient: bool = False) -> Progress:
    """Return a display of progress bars on `terminal`, which shows nothing if that is not a terminal.

    Add tasks with `add_task(title, total=…, unit=…)`. The unit names what is counted, or is empty. `transient` removes
    the bars at the end.
    """
    return Progress(_Fitted(terminal), console=terminal, transient=transient, disable=not terminal.is_terminal)


def fit(width: int, *, title: str, count: str, unit: str, rate: str, elapsed: str, left: str) -> tuple[str, int, str]:
    """Return the text before the bar, the bar's width and the text behind it, together at most `width` columns.

    If they do not all fit, parts are dropped in this order: unit, rate, elapsed time, count, bar, time left. A part
    that is empty is absent.
    """
    parts = {"count": f"{count} {unit}" if count else "", "rate": rate, "elapsed": elapsed, "left": left}
    bar = BAR_WIDTH_MIN if count else 0
    for dropped in ("", "unit", "rate", "elapsed", "count", "bar", "left"):
        if dropped == "unit":
            parts["count"] = count
        elif dropped == "bar":
            bar = 0
        else:
            parts.pop(dropped, None)
        behind = "  ".join(part for part in parts.values() if part)
        padded = title.ljust(TITLE_WIDTH) if bar or behind else title
        space = width - len(padded) - 2 * bool(behind) - len(behind) - 2 * bool(bar)
        if space >= bar:
            return padded, min(space, BAR_WIDTH_MAX) if bar else 0, behind
    return title[:width], 0, ""


def duration(seconds: float) -> str:
    """Return a duration as 0:07, or 1:02:03 from one hour on."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


class _Fitted(ProgressColumn):
    """The only column of a display: title, bar, numbers and labelled times, fitted to the terminal."""

    def __init__(self, terminal: Console) -> None:
        super().__init__()
        self._terminal = terminal

    def render(self, task: Task) -> Text:
        """Return one line for a task."""
        seconds, total = task.elapsed or 0.0, task.total
        remaining = "-:--" if task.time_remaining is None else duration(task.time_remaining)
        before, bar, behind = fit(
            self._terminal.width,
            title=task.description,
            count=f"{task.completed:>9,.0f}" if total else "",
            unit=f"{task.fields.get('unit', ''):<10}",
            rate=f"{_rate(task.completed / seconds) if seconds >= 0.1 else '':>6}" if total else "",
            elapsed=f"{duration(seconds)} elapsed",
            left=f"{'' if task.finished else f'{remaining} left':9}" if total else "",
        )
        text = Text(before, no_wrap=True, overflow="crop", end="")
        if bar:
            done = round(bar * min(task.completed / total, 1.0)) if total else 0
            full, rest = ("━", "─") if self._terminal.encoding.startswith("utf") else ("#", "-")
            text.append("  ").append(full * done, "bar.finished" if task.finished else "bar.complete")
            text.append(rest * (bar - done), "bar.back")
        return text.append("  " if behind else "").append(behind)


def _rate(per_second: float) -> str:
    for divisor, unit in ((1e6, "M"), (1e3, "k")):
        if per_second >= 10 * divisor:
            return f"{per_second / divisor:.0f}{unit}/s"
        if per_second >= divisor:
            return f"{per_second / divisor:.1f}{unit}/s"
    return f"{per_second:.0f}/s"
