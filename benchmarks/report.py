"""Tables and plots of docs/reference/performance.md, made from the newest results.

The text between the markers is generated, and a test compares it with the results.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
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
BUSY: Final = 1.0  # a higher load average before a run means that other work was running
SAME_MACHINE: Final = ("cpu", "cores", "memory_gib", "system", "python", "numpy", "numba")
_OF_A_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d\.json")


def save(row: dict[str, Any]) -> Path:
    """Save a row in its day's file, replacing the row of the same name and label; return the file's path.

    Rows are stored in the order of the catalogue; rows that it no longer lists are dropped. A row that was not run
    replaces none that was.
    """
    path = RESULTS / f"{row['machine']['date'][:10]}.json"
    rows = {_key(each): each for each in (_read(path) if path.exists() else [])}
    if "not_run" not in row or "not_run" in rows.get(_key(row), row):
        rows[_key(row)] = row
    RESULTS.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(each, ensure_ascii=False) for each in _in_order(rows.values()))  # for readable diffs
    path.write_text(f'{{"rows": [\n{lines}\n]}}\n', encoding="utf-8")
    return path


def newest() -> list[dict[str, Any]]:
    """Return the newest result of each row and label, in the order of the catalogue.

    A row that was not run shows only if it has no older result. Raises UsageError if there is no file.
    """
    paths = sorted(path for path in RESULTS.glob("*.json") if _OF_A_DAY.fullmatch(path.name))
    if not paths:
        raise UsageError("there are no results", hint="python -m benchmarks --save makes some")
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for path in paths:
        for row in _read(path):
            if "not_run" not in row or "not_run" in found.get(_key(row), row):
                found[_key(row)] = row
    return _in_order(found.values())


def missing(rows: list[dict[str, Any]]) -> list[str]:
    """Return the names of the catalogue's rows that have no result; one with a label is beside another."""
    measured = {row["work"] for row in rows if "not_run" not in row and not row["label"]}
    return [one.work for one in catalogue.BENCHMARKS if one.work not in measured]


def _key(row: dict[str, Any]) -> tuple[str, str]:
    return row["work"], row["label"]


def _in_order(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows that the catalogue lists, in its order, each followed by those with its labels."""
    order = {one.work: at for at, one in enumerate(catalogue.BENCHMARKS)}
    return sorted((row for row in rows if row["work"] in order), key=lambda row: (order[row["work"]], row["label"]))


def write() -> list[Path]:
    """Write page and plots; return their paths."""
    rows = newest()
    written = {IMAGES / name: text for name, text in images(rows).items()}
    written[PAGE] = with_block(PAGE.read_text(encoding="utf-8"), block(rows))
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


def images(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Return the plots of rows."""
    return {
        LIMITS_IMAGE: charts.limits([row for row in rows if row.get("ratio") is not None]),
        MILLIONS_IMAGE: charts.millions([row for row in rows if len(row.get("millions", ())) > 1]),
    }


def block(rows: list[dict[str, Any]]) -> str:
    """Return the text between the markers: goals met and missed, machines, tables, rows without a result, plots."""
    measured = [row for row in rows if "not_run" not in row]
    machines = _machines(measured)
    parts = [_goals(measured), _list_of(machines), _figures(measured, machines), _details(measured)]
    absent = [f"- `{row['work']}`: {row['not_run']}" for row in rows if "not_run" in row]
    recorded = {row["work"] for row in rows if "not_run" in row}
    absent += [f"- `{work}`: not recorded yet" for work in missing(rows) if work not in recorded]
    if absent:
        parts.append("Without a result:\n\n" + "\n".join(absent))
    parts.append(f"![Share of its limit that each row reaches](../images/{LIMITS_IMAGE})")
    if any(len(row.get("millions", ())) > 1 for row in rows):
        parts.append(f"![Rate of each million operations](../images/{MILLIONS_IMAGE})")
    return "\n" + "\n\n".join(parts) + "\n"


def _goals(rows: list[dict[str, Any]]) -> str:
    """Return how many goals are met, and the names of the rows whose goal is missed."""
    met = sum(1 for row in rows if row["met"])
    missed = [_name(row) for row in rows if row["met"] is False]
    return f"Goals met: {met}. Goals missed: {len(missed)}" + (f": {', '.join(missed)}." if missed else ".")


def _machines(rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], str]:
    """Return a letter for each machine with its versions, that of the newest row first."""
    found = [_machine_of(row) for row in sorted(rows, key=lambda row: str(row["date"]), reverse=True)]
    return {each: chr(ord("A") + at) for at, each in enumerate(dict.fromkeys(found))}


def _machine_of(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row["machine"][name] for name in SAME_MACHINE)


def _list_of(machines: dict[tuple[Any, ...], str]) -> str:
    return "Machines:\n\n" + "\n".join(
        f"- {letter}: {cpu}, {cores} cores, {memory} GiB; {system}, Python {python}, NumPy {numpy}, numba {numba}"
        for (cpu, cores, memory, system, python, numpy, numba), letter in machines.items()
    )


def _measured(row: dict[str, Any], machines: dict[tuple[Any, ...], str]) -> str:
    """Return machine, day and commit of a row, and whether other work was running."""
    commit = f"`{row['commit']}`" if row["commit"] else "commit unknown"
    busy = ", busy" if row["machine"]["load_average_1min"] > BUSY else ""
    return f"{machines[_machine_of(row)]}, {row['date'][:10]}, {commit}{busy}"


def _met(row: dict[str, Any]) -> str:
    if not row["goal"]:
        return "–"
    return {None: "at another size", True: "met", False: "**missed**"}[row["met"]]


def _figures(rows: list[dict[str, Any]], machines: dict[tuple[Any, ...], str]) -> str:
    head = ("work", "accounts", "operations", "median", "lowest to highest", "limit", "share", "goal", "goal met")
    head += ("machine, date, commit",)
    return _table(
        head,
        [
            (
                _name(row),
                cell(row["accounts"]),
                cell(row["operations"]),
                figure(row["median"], row["unit"]),
                f"{cell(row['lowest'])} to {cell(row['highest'])} ({row['repeats']})",
                _limit(row),
                cell(row["ratio"]),
                row["goal"] or "–",
                _met(row),
                _measured(row, machines),
            )
            for row in rows
        ],
    )


def _limit(row: dict[str, Any]) -> str:
    if row["limit_value"] is None:
        return "–"
    return f"{figure(row['limit_value'], row['unit'])} {row['limit_by']}".strip()


def _details(rows: list[dict[str, Any]]) -> str:
    head = ("work", "first million", "last million", "p50 ms", "p99 ms", "longest ms", "others' p99", "late ms")
    head += ("peak MiB", "command, note")
    return _table(
        head,
        [
            (
                _name(row),
                cell(row["millions"][0] if row["millions"] else None),
                cell(row["millions"][-1] if row["millions"] else None),
                *(cell(row[name]) for name in ("p50_ms", "p99_ms", "longest_ms")),
                f"{row['beside']:.2f} times" if row.get("beside") else "–",
                cell(row["machine"].get("late_ms")),
                cell(row["peak_mib"]),
                ". ".join(filter(None, (f"`{row['command']}`", row["note"]))),
            )
            for row in rows
        ],
    )


def _name(row: dict[str, Any]) -> str:
    return f"`{row['work']}` ({row['label']})" if row["label"] else f"`{row['work']}`"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def flame_of(found: dict[str, Any]) -> str:
    machine = found["machine"]
    return charts.icicle(found["rows"], note=f"{machine['cpu']}, {machine['cores']} cores, {machine['date'][:10]}")


def _read(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return rows
