"""`python -m benchmarks`: measure, and print a table or one JSON object to stdout; progress goes to stderr."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import draw, identifiers, ledger, machine, stages
from benchmarks.measure import REPEATS, Benchmark, Row, Setting, Timing
from sycee.core.errors import SyceeError, UsageError, require

BENCHMARKS = (*ledger.BENCHMARKS, *identifiers.BENCHMARKS, *draw.BENCHMARKS)
STAGES_ACCOUNTS = (10_000, 1_000_000)
TABLE_WIDTH = 200  # where nobody looks, so that no cell is cut

app = App(name="python -m benchmarks", help="Measure Sycee, beside what this machine can do at all.")


@app.default
def run(
    *,
    list_: Annotated[bool, Parameter("--list", negative="")] = False,
    only: tuple[str, ...] = (),
    as_json: Annotated[bool, Parameter("--json", negative="")] = False,
    stages_: Annotated[bool, Parameter("--stages", negative="")] = False,
    folder: Path = Path(),
    operations: int | None = None,
    repeats: int = REPEATS,
) -> None:
    """Measure every row, or those asked for.

    Parameters
    ----------
    list_
        Say what there is, and measure nothing.
    only
        Only the rows whose name begins so. May be given several times.
    as_json
        Print one JSON object instead of a table.
    stages_
        Say instead where the time of a durable frame of 8,064 transfers goes.
    folder
        Where to make the temporary folder for ledgers: it decides which disk is measured. It is removed afterwards.
    operations
        So many operations in each repeat, instead of each row's own number.
    repeats
        So many repeats of each row.

    """
    chosen = [one for one in BENCHMARKS if not only or one.work.startswith(only)]
    if not chosen:
        raise UsageError(f"no row begins with {' or '.join(only)}", hint="python -m benchmarks --list names them")
    if repeats < 1 or (operations is not None and operations < 1):
        raise UsageError("there is nothing to measure", hint="give at least one repeat and one operation")
    if list_:
        rows: list[Any] = [_listed(one) for one in chosen]
        _print({"rows": rows}, rows, as_json=as_json)
        return
    report: dict[str, Any] = {"machine": machine.facts(), "arguments": sys.argv[1:]}
    with tempfile.TemporaryDirectory(dir=folder, prefix=".benchmarks-") as name:
        if stages_:
            rows = _stages(Path(name), operations or ledger.OPERATIONS)
        else:
            rows, every = _measured(chosen, Path(name), operations, repeats)
            report["repeats"] = every
    _print({**report, "rows": rows}, rows, as_json=as_json)


def _measured(
    chosen: Sequence[Benchmark], folder: Path, operations: int | None, repeats: int
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """All rows, and for each the rates of its repeats, from which one sees how noisy the machine was."""
    rows, every = [], {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    talk = Console(stderr=True, highlight=False)
    with Progress(*columns, TextColumn("{task.fields[doing]}"), console=talk, transient=True) as progress:
        for one in chosen:
            task = progress.add_task(one.work, total=repeats, doing="")
            own = folder / one.work
            own.mkdir()
            say = partial(_say, progress, task)
            setting = Setting(own, operations or one.operations, repeats, say)
            timings: list[tuple[Timing, Timing]] = []
            for pair in one.measure(setting):
                timings.append(pair)
                progress.advance(task)
            require(len(timings) == repeats, f"{one.work} measured {len(timings)} repeats of {repeats}")
            row = Row.of(one, timings)
            progress.remove_task(task)
            talk.print(f"{one.work}: {row.rate_per_s:,.0f}/s, {row.ratio:.2f} of its limit")
            rows.append(asdict(row))
            every[one.work] = {
                "rates_per_s": [round(work.rate_per_s, 1) for work, _ in timings],
                "limit_rates_per_s": [round(limit.rate_per_s, 1) for _, limit in timings],
                "max_ms": round(1000 * max(max(work.batches_s) for work, _ in timings), 3),
            }
    return rows, every


def _say(progress: Progress, task: TaskID, doing: str) -> None:
    progress.update(task, doing=doing)


def _stages(folder: Path, operations: int) -> list[dict[str, Any]]:
    talk = Console(stderr=True, highlight=False)
    rows = []
    for accounts in STAGES_ACCOUNTS:
        with talk.status(f"stages of a frame, {accounts:,} accounts"):
            rows += [asdict(row) for row in stages.measure(folder, accounts=accounts, operations=operations)]
    return rows


def _listed(one: Benchmark) -> dict[str, Any]:
    return {
        "work": one.work,
        "accounts": one.accounts,
        "operations": one.operations,
        "description": one.description,
        "limit": one.limit,
    }


def _print(report: dict[str, Any], rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(report, indent=2))
        return
    out = Console(width=None if sys.stdout.isatty() else TABLE_WIDTH, highlight=False)
    table = Table(box=box.MARKDOWN)
    for name, value in rows[0].items():
        is_text = isinstance(value, str)
        table.add_column(name, justify="left" if is_text else "right", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(name, value) for name, value in row.items()))
    out.print(table)
    if "machine" in report:
        out.print("; ".join(f"{name} {value}" for name, value in report["machine"].items()), soft_wrap=True)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if name.endswith("rate_per_s") or isinstance(value, int):
        return f"{value:,.0f}"
    return f"{value:.2f}" if name in ("ratio", "share") else f"{value:.3f}"


def main() -> int:
    """Run, and give the exit code: 0 done, 2 usage, 3 integrity, 4 unavailable, 130 interrupted."""
    try:
        app(result_action="return_value")
    except SyceeError as error:
        sys.stderr.write(f"error: {error.message}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
