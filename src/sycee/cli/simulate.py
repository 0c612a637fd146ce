"""`sycee simulate`: run random histories against a fake disk and a fake clock with faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sycee.cli.parameters import AsJson
from sycee.cli.terminal import console, show, show_json
from sycee.core.words import quantity

if TYPE_CHECKING:
    from sycee.testing.simulator import Report


def simulate(
    *,
    seed: Annotated[int, Parameter(help="Seed of the first history; the next ones use the following seeds.")] = 1,
    seconds: Annotated[
        float | None, Parameter(help="Begin no history after this time; 60 unless --histories is given.")
    ] = None,
    histories: Annotated[int | None, Parameter(help="Run at most this number of histories.")] = None,
    json_: AsJson = False,
) -> int:
    """Simulate ledgers with power cuts, damaged disks and wrong clocks, and compare each with the naive twin.

    A seed gives the same history on every machine. The first history that fails is shortened and printed, and the exit
    code is 3.
    """
    from sycee.testing.simulator import simulate as run

    if seconds is None and histories is None:
        seconds = 60.0
    with console(stderr=True).status("simulating: the first history takes longest") as status:

        def progress(report: Report) -> None:
            status.update(
                f"{report.histories:,} histories, {report.counts['frames']:,} frames, "
                f"{report.operations.total():,} operations, {report.counts['power cuts']:,} power cuts"
            )

        report = run(seed, seconds=seconds, histories=histories, progress=progress)
    if json_:
        show_json(report.as_json())
    else:
        _show(report)
    return 0 if report.failure is None else 3


def _show(report: Report) -> None:
    for title, numbers in (
        ("operations by kind", report.operations),
        ("results by code", report.answers),
        ("events", report.counts),
        ("faults of the disk", report.faults),
    ):
        if numbers:
            show(f"{title}:", style="bold")
        show(*(f"{count:>12,}  {name}" for name, count in sorted(numbers.items())))
    if report.failure is not None:
        show(*report.failure.text().splitlines(), style="red")
        return
    last = report.seed + max(0, report.histories - 1)
    seeds = f"seeds {report.seed} to {last}" if report.histories > 1 else f"seed {report.seed}"
    count = quantity(report.histories, "history", "histories")
    show(f"{count}, {seeds}: every frame and every start agreed with the twin.", style="bold")
