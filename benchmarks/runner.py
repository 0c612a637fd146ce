"""One process per row: rows share no memory and no caches."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks import catalogue
from benchmarks.measure import Benchmark, Row, Setting, Timing, peak_bytes
from sycee.core.errors import IntegrityError, SyceeError, UnavailableError, require

Say = Callable[[str], None]


def measured(
    benchmark: Benchmark, folder: Path, operations: int, repeats: int, *, say: Say, repeated: Callable[[], None]
) -> dict[str, Any]:
    """Return one row as values for JSON. `say` receives the current step, `repeated` is called after each repeat.

    Raises IntegrityError if the row fails a check, UnavailableError if this machine cannot run it.
    """
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(
        target=_child, args=(benchmark.work, folder, operations, repeats, theirs)
    )
    process.start()
    theirs.close()
    try:
        while True:
            what, told = ours.recv()
            if what == "say":
                say(told)
            elif what == "repeated":
                repeated()
            elif what == "row":
                return dict(told)
            else:
                kind, message, hint = told
                raise kind(message, hint=hint)
    except EOFError:
        process.join()
        raise _ended(process.exitcode or 0) from None
    finally:
        if process.is_alive():
            process.join(timeout=10)
        if process.is_alive():
            process.kill()
        process.join()


def _ended(code: int) -> SyceeError:
    """Return the error for a process that ended without a row."""
    if code == -signal.SIGKILL:
        return UnavailableError("the system ended its process", hint="most likely for want of memory")
    return IntegrityError(f"its process ended with {code}: a defect of the benchmark, or of what it measures")


def _child(work: str, folder: Path, operations: int, repeats: int, parent: Connection) -> None:
    benchmark = catalogue.named(work)  # by its name: the benchmark itself need not be pickled
    timings: list[tuple[Timing, ...]] = []
    try:
        setting = Setting(folder, operations, repeats, lambda doing: parent.send(("say", doing)))
        for repeat in benchmark.measure(setting):
            timings.append(repeat)
            parent.send(("repeated", None))
        require(len(timings) == repeats, f"{benchmark.work} measured {len(timings)} repeats of {repeats}")
        parent.send(("row", asdict(Row.of(benchmark, timings, size=operations, peak_bytes=peak_bytes()))))
    except MemoryError as error:
        parent.send(("failed", (UnavailableError, f"no memory: {error}", None)))
    except SyceeError as error:
        kind = UnavailableError if isinstance(error, UnavailableError) else IntegrityError
        parent.send(("failed", (kind, error.message, error.hint)))
