"""`sycee pilot`: replay a historic pilot on a durable ledger."""

from __future__ import annotations

import resource
import tempfile
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from sycee.cli.parameters import AsJson, Between
from sycee.cli.terminal import console, note, print_table, show, show_json, table
from sycee.core import money
from sycee.core.extras import extra
from sycee.core.output_files import refuse_inside, require_place

if TYPE_CHECKING:
    from rich.table import Table

    from sycee.sandbox.outcome import Comparison, PilotOutcome
    from sycee.sandbox.pilot import Watcher

app = App(name="pilot", help="Replay a historic pilot, end to end, on a durable ledger.")

SEED_MAX = 2**63 - 1


@app.command
def luohu(
    *,
    data: Annotated[Path | None, Parameter(help="Store ledger and draw in this folder, or continue there.")] = None,
    seed: Annotated[
        int, Parameter(help="Seed of all synthetic data.", validator=Between("--seed", 0, SEED_MAX, 2020))
    ] = 2020,
    scale: Annotated[
        float, Parameter(help="Size; 1 is the published size.", validator=Between("--scale", 0.001, 1, 0.01))
    ] = 1.0,
    report: Annotated[Path | None, Parameter(help="Write the page with plots to this file.")] = None,
    cut_tail: Annotated[
        bool,
        Parameter(negative="", help="Drop a last frame of --data that is in doubt, and submit its operations again."),
    ] = False,
    json_: AsJson = False,
) -> int:
    """Replay Shenzhen's Luohu pilot of October 2020: draw, mint, drop, claims, payments, expiry, return.

    Ends with a table of the published figures and the ledger's, to the cent. Exit code 3 if they differ.
    """
    from sycee.programmes.definition import load
    from sycee.sandbox import pilot

    programme = load("luohu-2020")
    if report is not None:
        _check_report(report, data)
    place = tempfile.TemporaryDirectory(prefix="sycee-pilot-") if data is None else nullcontext(str(data))
    with place as folder, _Bars() as bars:
        outcome = pilot.run(programme, Path(folder), seed=seed, scale=scale, cut_tail=cut_tail, watcher=bars)
        if report is not None:
            from sycee.sandbox.report import write_report

            bars.begin("writing the report", None, "")
            write_report(outcome, report)
            bars.end()
    if json_:
        show_json(_as_json(outcome))
    else:
        size = "" if outcome.scale == 1 else f", scale {outcome.scale:g}"
        title = f"{outcome.programme.title}: published against ledger (seed {outcome.seed}{size})"
        show(title, style="bold")
        print_table(_table(outcome))
        show(f"state digest {outcome.digest}")
    note(f"signatures verified: {_signatures(outcome)}")
    note(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
    if data is not None:
        ledger, drawn = quote(str(data)), quote(str(data / pilot.DRAW_FOLDER))
        note(f"ledger stored in {data}", f"check it: sycee verify {ledger} --authority; sycee draw verify {drawn}")
    if report is not None:
        note(f"report written to {report}")
    return 0 if outcome.agrees else 3


def _check_report(path: Path, data: Path | None) -> None:
    """Raise UsageError or UnavailableError before the replay if the report cannot be written after it."""
    with extra("pilot"):
        import matplotlib as mpl  # noqa: F401
    if data is not None:
        refuse_inside(path, data, "--report")
    require_place(path)


class _Bars:
    """Progress on stderr: a bar with rates per phase on a terminal, else a line per phase."""

    def __init__(self) -> None:
        from sycee.core import progress_bar

        self._terminal = console(stderr=True)
        self._progress = progress_bar.new(self._terminal)

    def __enter__(self) -> _Bars:
        self._progress.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._progress.__exit__(*error)

    def begin(self, title: str, total: int | None, unit: str) -> None:
        """Begin a phase; `total` is None if its length is unknown."""
        self._title, self._total, self._unit, self._begin = title, total, unit, time.perf_counter()
        self._task = self._progress.add_task(title, total=total, unit=unit)

    def advance(self, done: float) -> None:
        """Set how much of the phase's total is done."""
        self._progress.update(self._task, completed=done)

    def end(self) -> None:
        """End the phase."""
        self._progress.update(self._task, completed=self._total)
        self._progress.stop_task(self._task)
        if not self._terminal.is_terminal:
            seconds, done = time.perf_counter() - self._begin, self._total
            rate = f"{done:,} {self._unit}, {done / max(seconds, 1e-9):,.0f}/s" if done and self._unit else ""
            self._terminal.print(f"{self._title:<26} {rate or f'{seconds:.2f} s'}")

    def note(self, finding: str) -> None:
        """Print something unusual that lost nothing."""
        self._terminal.print(f"note: {finding}", soft_wrap=True, markup=False)


def _table(outcome: PilotOutcome) -> Table:
    """Return the closing table: at most 80 columns at full size, without vertical lines, so that it can be copied."""
    from rich.text import Text

    made = table("figure", "published", "", "ledger", "", "role", numbers=("published", "ledger"))
    for row in outcome.comparisons:
        mark = Text() if row.expected is None else Text(*(("equal", "green") if row.agrees else ("DIFFERS", "red")))
        expected = "–" if row.expected is None else _shown(outcome, row, row.expected)
        derived = "derived" if row.is_derived else ""
        made.add_row(row.title, expected, derived, _shown(outcome, row, row.ledger), mark, row.role.value)
    return made


def _shown(outcome: PilotOutcome, row: Comparison, value: int) -> str:
    return money.format(value, outcome.programme.currency) if row.is_money else f"{value:,}"


def _signatures(outcome: PilotOutcome) -> str:
    totals: dict[str, int] = {}
    for row in outcome.signers:
        totals[row.role] = totals.get(row.role, 0) + row.signatures
    return ", ".join(f"{count:,} by {role}s" for role, count in totals.items()) or "none"


def _as_json(outcome: PilotOutcome) -> dict[str, Any]:
    values: dict[str, Any] = {
        (f"{row.name}_minor" if row.is_money else row.name): row.ledger for row in outcome.comparisons
    }
    values |= {
        "pilot": outcome.programme.name,
        "seed": outcome.seed,
        "scale": outcome.scale,
        "agrees": outcome.agrees,
        "duplicates": outcome.duplicates,
        "operations": outcome.operations,
        "movements": outcome.movements,
        "signatures": [asdict(row) for row in outcome.signers],
        "draw_root": outcome.draw_root,
        "digest": outcome.digest,
        "seconds": round(sum(phase.seconds for phase in outcome.phases), 3),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    return values


if TYPE_CHECKING:
    _: type[Watcher] = _Bars
