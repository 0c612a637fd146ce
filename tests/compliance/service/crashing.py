"""Functions that other processes run: a call that is killed, and concurrent calls.

A fork server has imported all modules, so a process starts fast.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from tests.compliance.service.world import LIST, NETWORK, NEXT_YEAR, NOON, TODAY, changed
from tests.database.places import opened
from tests.processes import PROCESSES

from sycee.compliance.enforcement.service import Compliance
from sycee.core.clock import SimulatedClock
from sycee.core.errors import UsageError


def run(work: Callable[..., None], *arguments: object) -> multiprocessing.process.BaseProcess:
    """Start a process."""
    process = PROCESSES.Process(target=work, args=arguments)
    process.start()
    return process


# --- a killed process ---


def _declare(compliance: Compliance, folder: Path) -> None:
    text = changed(NETWORK, ("exit_terms = false", "exit_terms = true"))
    files = {"network.toml": text.encode(), "more.toml": b'[[organisations]]\nid = "another"\n'}
    compliance.declare(files, by="desk")


def _use(compliance: Compliance, folder: Path) -> None:
    (folder / "other.toml").write_text(changed(LIST, ("PARTY", "owner-b")))
    compliance.use([folder / "law.toml"], [folder / "other.toml"], by="officer")


def _admit(compliance: Compliance, folder: Path) -> None:
    compliance.admit("bank-b", by="desk")


def _rejudge(compliance: Compliance, folder: Path) -> None:
    compliance.rejudge(by="night")


def _waive(compliance: Compliance, folder: Path) -> None:
    compliance.waive("first-law/exit", "bank-c", role="head", reason="soon", until=NEXT_YEAR, by="eve")


def _answer(compliance: Compliance, folder: Path) -> None:
    until = TODAY + timedelta(days=30)
    compliance.decide_appeal(1, granted=True, role="board", reason="a month", until=until, by="eve")


def _screen(compliance: Compliance, folder: Path) -> None:
    compliance.screen("retail", payment="payment-1", by="gateway")


ACTS = {
    "declare": _declare,
    "use": _use,
    "admit": _admit,
    "rejudge": _rejudge,
    "waive": _waive,
    "answer": _answer,
    "screen": _screen,
}


def act_and_die(where: str, folder: Path, act: str, steps: int) -> None:
    """Run an act, and be killed before the step of this number: a statement or a commit; 0: the commit that stores."""
    with opened(where) as engine:
        compliance = Compliance(engine, SimulatedClock(NOON))
        _die_at(engine, steps)
        ACTS[act](compliance, folder)


def _die_at(engine: Engine, steps: int) -> None:
    left, has_inserted = steps, False

    def step(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        nonlocal has_inserted
        has_inserted |= statement.startswith("INSERT")

    def commit(*_: Any) -> None:
        if not steps and has_inserted:
            os.kill(os.getpid(), signal.SIGKILL)

    for name, function in (("before_cursor_execute", step), ("commit", step), ("before_cursor_execute", note)):
        event.listen(engine, name, function)
    event.listen(engine, "commit", commit)


# --- concurrent processes ---


def act_many_times(where: str, folder: Path, name: str, times: int) -> None:
    """Declare, waive, admit, screen and rejudge many times."""
    with opened(where) as engine:
        compliance = Compliance(engine, SimulatedClock(NOON))
        for number in range(times):
            text = changed(NETWORK, ("vulnerability_notice_days = 90", f"vulnerability_notice_days = {number}"))
            compliance.declare({f"{name}.toml": text.encode()}, by=name)
            compliance.waive("first-law/exit", "bank-c", role=name, reason=str(number), until=NEXT_YEAR, by=name)
            for bank in "abc":
                compliance.admit(f"bank-{bank}", by=name)
            compliance.screen("retail", payment=f"{name}-{number}", by=name)
            compliance.rejudge(by=name)


def decide_appeal_at_once(where: str, results: Any) -> None:
    """Decide the first appeal; put the result into the queue."""
    with opened(where) as engine:
        compliance = Compliance(engine, SimulatedClock(NOON))
        try:
            compliance.decide_appeal(1, granted=True, role="board", reason="a", until=NEXT_YEAR, by="eve")
            results.put("answered")
        except UsageError as error:
            results.put(error.message)


def queue() -> Any:
    """Return a queue for the results of processes."""
    return PROCESSES.Queue()


def wait(processes: Sequence[multiprocessing.process.BaseProcess]) -> list[int | None]:
    """Return the exit codes of processes."""
    for each in processes:
        each.join(timeout=300)
    return [each.exitcode for each in processes]
