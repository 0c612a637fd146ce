"""Tables and plots of docs/reference/performance.md, made from the newest results.

The text between the markers is generated, and a test compares it with the results.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from benchmarks import catalogue, charts
from benchmarks.tables import cell, figure
from sycee.core.errors import UsageError

ROOT: Final = Path(__file__).resolve().parent.parent
RESULTS: Final = ROOT / "benchmarks" / "results"
PAGE: Final = ROOT / "docs" / "reference" / "performance.md"
IMAGES: Final = ROOT / "docs" / "images"
LIMITS_IMAGE: Final = "performance-limits.svg"
MILLIONS_IMAGE: Final = "performance-millions.svg"
BEGIN: Final = "<!-- figures: begin, made by `python -m benchmarks --report` -->"
END: Final = "<!-- figures: end -->"
VERSIONS: Final = {"Python": "python", "NumPy": "numpy", "numba": "numba"}
BUSY: Final = 1.0  # a higher load average before a run means that other work was running
_OF_A_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d\.json")


def save(found: dict[str, Any]) -> Path:
    """Save rows in the day's file, replacing rows of the same name; return its path.

    Rows are stored in the order of the catalogue; rows that it no longer lists are dropped.
    """
    path = RESULTS / f"{found['machine']['date'][:10]}.json"
    rows = {row["work"]: row for row in _read(path)["rows"]} if path.exists() else {}
    rows |= {row["work"]: row for row in found["rows"]}
    order = [one.work for one in catalogue.BENCHMARKS]
    ordered = [rows[work] for work in order if work in rows]
    RESULTS.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in ordered)  # one per line, for readable diffs
    machine = json.dumps(found["machine"], ensure_ascii=False)
    path.write_text(f'{{"machine": {machine},\n"rows": [\n{lines}\n]}}\n', encoding="utf-8")
    return path


def newest() -> list[tuple[Path, dict[str, Any]]]:
    """Return the files of days and their contents, the newest first, with the newest result of each row only.

    A row that was not run shows only if it has no older result. Rows that the catalogue no longer lists, and files
    without rows, are omitted. Raises UsageError if there is no file.
    """
    paths = sorted((path for path in RESULTS.glob("*.json") if _OF_A_DAY.fullmatch(path.name)), reverse=True)
    if not paths:
        raise UsageError("there are no results", hint="python -m benchmarks --save makes some")
    days = [(path, _read(path)) for path in paths]
    listed = {one.work for one in catalogue.BENCHMARKS}
    measured = {row["work"] for _, found in days for row in found["rows"] if "not_run" not in row}
    seen = set[str]()
    for _, found in days:
        found["rows"] = [
            row
            for row in found["rows"]
            if row["work"] in listed - seen and not ("not_run" in row and row["work"] in measured)
        ]
        seen |= {row["work"] for row in found["rows"]}
    return [(path, found) for path, found in days if found["rows"]]


def write() -> list[Path]:
    """Write page and plots; return their paths."""
    days = newest()
    written = {IMAGES / name: text for name, text in images(days).items()}
    written[PAGE] = with_block(PAGE.read_text(encoding="utf-8"), block(days))
    for target, text in written.items():
        target.write_text(text, encoding="utf-8")
    return list(written)


def with_block(page: str, text: str) -> str:
    """Return the page with this text between its markers. Raises UsageError without markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UsageError(f"{PAGE.name} has no markers", hint=f"the lines {BEGIN} and {END}")
    return f"{before}{begin}\n{text}\n{end}{after}"


def images(days: list[tuple[Path, dict[str, Any]]]) -> dict[str, str]:
    """Return the plots of the rows of all days."""
    rows = [row for _, found in days for row in found["rows"]]
    return {
        LIMITS_IMAGE: charts.limits([row for row in rows if row.get("ratio") is not None]),
        MILLIONS_IMAGE: charts.millions([row for row in rows if len(row.get("millions", ())) > 1]),
    }


def block(days: list[tuple[Path, dict[str, Any]]]) -> str:
    """Return the text between the markers: machine and tables of each day, then the plots."""
    parts = [part for path, found in days for part in _of_day(path.name, found)]
    parts.append(f"![Share of its limit that each row reaches](../images/{LIMITS_IMAGE})")
    if any(len(row.get("millions", ())) > 1 for _, found in days for row in found["rows"]):
        parts.append(f"![Rate of each million operations](../images/{MILLIONS_IMAGE})")
    return "\n" + "\n\n".join(parts) + "\n"


def _of_day(name: str, found: dict[str, Any]) -> list[str]:
    machine = found["machine"]
    rows = [row for row in found["rows"] if "not_run" not in row]
    absent = [row for row in found["rows"] if "not_run" in row]
    versions = ", ".join(f"{name} {machine[key]}" for name, key in VERSIONS.items())
    facts = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB; {machine['system']}, {versions}"
    load = machine["load_average_1min"]
    busy = " Other work was running: compare within the table only." if load > BUSY else ""
    when = f"{machine['date'][:10]}, load average {load} when the run began"
    if (late_ms := machine.get("late_ms")) is not None:
        when += f"; of sums that need half of a core, 99 % ended at most {late_ms} ms late"
    parts = [
        f"Machine: {facts}. Date: {when}. File: [{name}](../../benchmarks/results/{name}).{busy}",
        _figures(rows),
        _details(rows),
    ]
    if absent:
        parts.append("Not run:\n\n" + "\n".join(f"- `{row['work']}`: {row['not_run']}" for row in absent))
    return parts


def _figures(rows: list[dict[str, Any]]) -> str:
    head = ("work", "accounts", "operations", "median", "lowest to highest", "limit", "share", "goal", "met")
    return _table(
        head,
        [
            (
                f"`{row['work']}`",
                cell(row["accounts"]),
                cell(row["operations"]),
                figure(row["median"], row["unit"]),
                f"{cell(row['lowest'])} to {cell(row['highest'])} ({row['repeats']})",
                _limit(row),
                cell(row["ratio"]),
                row["goal"] or "–",
                "at another size" if row["goal"] and row["met"] is None else cell(row["met"]),
            )
            for row in rows
        ],
    )


def _limit(row: dict[str, Any]) -> str:
    if row["limit_value"] is None:
        return "–"
    return f"{figure(row['limit_value'], row['unit'])} {row['limit_by']}".strip()


def _details(rows: list[dict[str, Any]]) -> str:
    head = ("work", "first million", "last million", "p50 ms", "p99 ms", "longest ms", "peak MiB", "command, note")
    return _table(
        head,
        [
            (
                f"`{row['work']}`",
                cell(row["millions"][0] if row["millions"] else None),
                cell(row["millions"][-1] if row["millions"] else None),
                *(cell(row[name]) for name in ("p50_ms", "p99_ms", "longest_ms", "peak_mib")),
                ". ".join(filter(None, (f"`{row['command']}`", row["note"]))),
            )
            for row in rows
        ],
    )


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def flame_of(found: dict[str, Any]) -> str:
    machine = found["machine"]
    return charts.icicle(found["rows"], note=f"{machine['cpu']}, {machine['cores']} cores, {machine['date'][:10]}")


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
