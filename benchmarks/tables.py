"""Rows for people: terminal tables, progress sentences, cells of a page."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

TABLE_WIDTH: Final = 240  # for output to a file, so that no cell is cut
# Only in JSON.
HIDDEN: Final = {"description", "limit", "millions", "limits", "goal_value", "took_s", "date", "command", "note"} | {
    "machine",
    "commit",
    "label",
}


def show(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found, indent=2))
        return
    rows = found["rows"]
    out = Console(width=None if sys.stdout.isatty() else TABLE_WIDTH, highlight=False)
    table = Table(box=box.MARKDOWN)
    is_list = "in the subset" in rows[0] or "stage" in rows[0]
    names = [name for name in {name: None for row in rows for name in row} if is_list or name not in HIDDEN]
    for name in names:
        is_text = all(isinstance(row.get(name, ""), str) for row in rows)
        table.add_column(name, justify="left" if is_text else "right", overflow="fold")
    for row in rows:
        table.add_row(*(cell(row.get(name)) for name in names))
    out.print(table)
    if "machine" in found:
        out.print("; ".join(f"{name} {value}" for name, value in found["machine"].items()), soft_wrap=True)


def sentence(row: dict[str, Any]) -> str:
    if "not_run" in row:
        return f"{row['work']}: NOT RUN: {row['not_run']}"
    parts = [f"{row['work']}: {figure(row['median'], row['unit'])}"]
    if row["ratio"] is not None:
        parts.append(f"{row['ratio']:.2f} of its limit")
    if row["met"] is not None:
        parts.append(f"goal {row['goal']} {'met' if row['met'] else 'not met'}")
    return ", ".join(parts)


def name_of(row: dict[str, Any]) -> str:
    """Return the name of a row, with its label if it has one."""
    return f"{row['work']} ({row['label']})" if row.get("label") else str(row["work"])


def figure(value: float, unit: str) -> str:
    return f"{cell(value)}{unit}" if unit == "/s" else f"{cell(value)} {unit}"


def cell(value: Any) -> str:
    """Return any value as one cell. Figures get their significant digits."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}" if value >= 10 else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
