"""`python -m benchmarks`: measure, and print a table or one JSON object to stdout; progress goes to stderr."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from benchmarks import catalogue, machine, report, runner, stages, tables
from benchmarks.measure import REPEATS, Benchmark
from sycee.core.errors import IntegrityError, SyceeError, UnavailableError, UsageError

app = App(name="python -m benchmarks", help="Measure Sycee, and the limits of this machine.")
Flag = Parameter(negative="")


@app.default
def run(
    *,
    list_: Annotated[bool, Parameter("--list", negative="")] = False,
    only: Annotated[tuple[str, ...], Flag] = (),
    full: Annotated[bool, Flag] = False,
    as_json: Annotated[bool, Parameter("--json", negative="")] = False,
    save: Annotated[bool, Flag] = False,
    label: str = "",
    report_: Annotated[bool, Parameter("--report", negative="")] = False,
    stages_: Annotated[bool, Parameter("--stages", negative="")] = False,
    flame: Path | None = None,
    folder: Path = Path(),
    operations: int | None = None,
    repeats: int = REPEATS,
) -> None:
    """Measure the quick rows, all rows, or selected rows.

    Parameters
    ----------
    list_
        List the rows and measure nothing.
    only
        Measure the rows whose name begins with this, quick or not. May be given several times.
    full
        Measure every row at the size of its goal. Needs about an hour, 24 GiB of memory and 60 GB of disk.
    as_json
        Print one JSON object instead of a table.
    save
        Save each row once it is measured, in the day's file in benchmarks/results/, replacing rows of the same name
        and label.
    label
        Save the rows beside those without this label, such as "shared cores": the page shows both.
    report_
        Measure nothing: write tables and plots of docs/reference/performance.md from the newest results.
    stages_
        Measure the stages of a durable frame of 8,064 transfers instead.
    flame
        Measure the stages with 1,000,000 accounts and draw them into this SVG file.
    folder
        Parent of the temporary folder for ledgers, which decides the disk that is measured.
    operations
        Number of operations in each repeat, instead of the row's own number.
    repeats
        Number of repeats of each row.

    """
    if label and not save:
        raise UsageError("--label names rows that are saved, and --save is missing", hint="add --save")
    if repeats < 1 or (operations is not None and operations < 1):
        raise UsageError("there is nothing to measure", hint="give at least one repeat and one operation")
    rows = catalogue.chosen(only, full=full)
    if list_:
        tables.show({"rows": [_listed(one) for one in rows]}, as_json=as_json)
    elif report_:
        for path in report.write():
            print(path)
    elif stages_ or flame:
        tables.show(_stages(folder, flame, operations), as_json=as_json)
    else:
        _measure(
            rows, folder, full=full, as_json=as_json, save=save, label=label, operations=operations, repeats=repeats
        )


def _measure(
    chosen: list[Benchmark],
    folder: Path,
    *,
    full: bool,
    as_json: bool,
    save: bool,
    label: str,
    operations: int | None,
    repeats: int,
) -> None:
    """Measure and print. A row that fails a check does not stop the others; the exit code reports it.

    Each row is saved at once: an interrupted run leaves those that it measured.
    """
    facts, commit = machine.facts(), machine.commit()
    rows: list[dict[str, Any]] = []
    failed: list[str] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    talk = Console(stderr=True, highlight=False)
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".benchmarks-") as name,
        Progress(*columns, TextColumn("{task.fields[doing]}"), console=talk, transient=True) as progress,
    ):
        for one in chosen:
            count = operations or (one.operations if full or one.quick is None else one.quick)
            task = progress.add_task(one.work, total=repeats, doing="")
            own = Path(name) / one.work
            own.mkdir()
            began = perf_counter()
            say, repeated = partial(_say, progress, task), partial(progress.advance, task)
            try:
                row = runner.measured(one, own, count, repeats, say=say, repeated=repeated)
            except (IntegrityError, UnavailableError) as error:
                row = _not_run(one, error)
                failed += [f"{one.work}: {error.message}"] if isinstance(error, IntegrityError) else []
            row |= {
                "took_s": round(perf_counter() - began, 1),
                "date": machine.now(),
                "command": _command(one, full, operations, repeats),
                "machine": facts,
                "commit": commit,
                "label": label,
            }
            progress.remove_task(task)
            talk.print(tables.sentence(row))
            rows.append(row)
            if save:
                talk.print(f"saved in {report.save(row)}")
    tables.show({"machine": facts, "arguments": sys.argv[1:], "rows": rows}, as_json=as_json)
    if failed:
        raise IntegrityError("; ".join(failed), hint="the row failed its own check, so it has no figures")


def _say(progress: Progress, task: TaskID, doing: str) -> None:
    progress.update(task, doing=doing)


def _not_run(one: Benchmark, error: SyceeError) -> dict[str, Any]:
    hint = f" ({error.hint})" if error.hint else ""
    return {"work": one.work, "description": one.description, "not_run": f"{error.message}{hint}"}


def _command(one: Benchmark, full: bool, operations: int | None, repeats: int) -> str:
    """Return the command that measures this row again at this size."""
    words = ["python -m benchmarks --only", one.work]
    words += ["--full"] if full and one.quick not in (None, one.operations) and not operations else []
    words += [f"--operations {operations}"] if operations else []
    words += [f"--repeats {repeats}"] if repeats != REPEATS else []
    return " ".join(words)


def _stages(folder: Path, flame: Path | None, operations: int | None) -> dict[str, Any]:
    """Measure the stages of a frame; with `flame`, for 1,000,000 accounts, and draw them."""
    found: dict[str, Any] = {"machine": machine.facts(), "arguments": sys.argv[1:], "rows": []}
    talk = Console(stderr=True, highlight=False)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".benchmarks-") as name:
        for accounts in (1_000_000,) if flame else stages.ACCOUNTS:
            with talk.status(f"stages of a frame, {accounts:,} accounts"):
                found["rows"] += stages.measure(Path(name), accounts=accounts, operations=operations)
    if flame:
        flame.write_text(report.flame_of(found), encoding="utf-8")
    return found


def _listed(one: Benchmark) -> dict[str, Any]:
    return {
        "work": one.work,
        "accounts": one.accounts,
        "operations": one.operations,
        "in the subset": one.quick,
        "goal": one.goal.text(one.unit) if one.goal else "",
        "description": one.description,
        "limit": one.limit,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and return the exit code: 0 done, 2 usage, 3 integrity, 4 unavailable, 130 interrupted."""
    try:
        app(arguments, result_action="return_value")
    except SyceeError as error:
        sys.stderr.write(f"error: {error.message}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
