"""`sycee simulate`: run random histories against a fake disk, a fake clock and everything that can go wrong."""

from __future__ import annotations

import json
from typing import Annotated

from cyclopts import Parameter

from sycee.cli import console


def simulate(
    *,
    seed: Annotated[int, Parameter(help="The first history; the next ones follow.")] = 1,
    seconds: Annotated[float | None, Parameter(help="For how long; 60 unless --histories is given.")] = None,
    histories: Annotated[int | None, Parameter(help="How many histories at most.")] = None,
    json_: Annotated[bool, Parameter(name="--json", negative=(), help="One JSON object to stdout.")] = False,
) -> int:
    """Simulate whole ledgers with power cuts, damaged disks and wild clocks, and compare each with the naive twin.

    One seed is one history, the same on every machine. The first that fails ends it, exit code 3, and is printed as
    short as it can be made.
    """
    from sycee.testing.simulator import Report
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
        print(json.dumps(report.as_json()))
    else:
        _show(report)
    return 0 if report.failure is None else 3


def _show(report: object) -> None:
    from sycee.testing.simulator import Report

    assert isinstance(report, Report)
    terminal = console()
    for title, numbers in (
        ("operations by kind", report.operations),
        ("answers by code", report.answers),
        ("what happened", report.counts),
        ("what the disk did", report.faults),
    ):
        if numbers:
            terminal.print(f"{title}:", style="bold")
        for name, count in sorted(numbers.items()):
            terminal.print(f"{count:>12,}  {name}", markup=False, soft_wrap=True)
    if report.failure is not None:
        terminal.print(report.failure.text(), style="red", markup=False, soft_wrap=True)
        return
    last = report.seed + max(0, report.histories - 1)
    seeds = f"seeds {report.seed} to {last}" if report.histories > 1 else f"seed {report.seed}"
    word = "history" if report.histories == 1 else "histories"
    terminal.print(
        f"{report.histories:,} {word}, {seeds}: every frame and every start agreed with the twin.",
        style="bold",
        soft_wrap=True,
    )
