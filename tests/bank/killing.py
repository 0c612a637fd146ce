"""Kill an action at its boundaries: the next start finishes it, and the same call again changes nothing further.

Boundaries are the begins and commits of all databases, each submission to the ledger, and each rename. The action runs
in another process, which kills itself; the bank is then opened, compared with its ledger, and the action is called
again with the same ids.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from tests.bank import world
from tests.database.places import drop_database
from tests.processes import PROCESSES

from sycee.bank.bank import Bank
from sycee.sequencer.sequencer import Sequencer

Act = Callable[[Bank], None]

# The actions of a package run the same code around their own SQL: `make test` runs one of a file on PostgreSQL.
_BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.soak)]
POSTGRESQL_IN_SOAK = pytest.mark.parametrize("server", _BOTH, indirect=True)
EMPTY_POSTGRESQL_IN_SOAK = pytest.mark.parametrize("where", _BOTH, indirect=True)


class Steps:
    """Counts boundaries, and kills the process at the one of number `kill_at`; 0: never."""

    def __init__(self, kill_at: int = 0, *, statements: bool = False) -> None:
        self.count = 0
        self._kill_at = kill_at
        self._statements = statements

    def step(self, *_: Any) -> None:
        self.count += 1
        if self.count == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """Count the boundaries of this process from now on. With `statements`, each SQL statement is one, too."""
        for name in ("begin", "commit", "before_cursor_execute") if self._statements else ("begin", "commit"):
            event.listen(Engine, name, self.step)
        Sequencer.submit = self._around(Sequencer.submit)  # type: ignore[method-assign]
        for function in ("replace", "link"):
            setattr(os, function, self._around(getattr(os, function)))

    def _around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def stepping(*arguments: Any, **named: Any) -> Any:
            self.step()
            result = function(*arguments, **named)
            self.step()
            return result

        return stepping


def check_kills(
    where: str,
    folder: Path,
    prepare: Act | world.Copies,
    act: Act,
    *,
    expect: Act,
    every: bool = False,
    statements: bool = False,
    chosen: Callable[[int], Sequence[int]] | None = None,
) -> int:
    """Kill `act` at a sampled boundary or at `every` one; return the number of boundaries.

    `chosen`: returns the boundaries to try, from 1 to the given number, instead.

    The functions are at the top of a module, so that another process finds them. `prepare` is a bank that is prepared
    already, or prepares a founded one. `act` uses fixed ids, so that a second call repeats the first. `expect` asserts
    what is true after it, however often it was called.
    """
    prepared = prepare if isinstance(prepare, world.Copies) else _prepared(where, folder / "prepared", prepare)
    count = _count(prepared, folder / "counted", act, expect, statements)
    assert count >= 4, f"the action has {count} boundaries: nothing was watched"
    numbers = chosen(count) if chosen is not None else sampled(count, "://" in where)
    for number in range(1, count + 1) if every else numbers:
        place = folder / f"killed-{number}"
        options = prepared.copy(place)
        arguments = (place / "bank", options, act, number, statements)
        process = PROCESSES.Process(target=_killed, args=arguments)
        process.start()
        process.join(timeout=120)
        assert process.exitcode in (0, -signal.SIGKILL), f"boundary {number}: exit code {process.exitcode}"
        with Bank.open(place / "bank", options=options) as bank:
            assert bank.check() == [], f"after a kill at boundary {number} of {count}"
            act(bank)
            expect(bank)
            assert bank.check() == [], f"after the second call, killed at boundary {number} of {count}"
        drop_database(options.get("database", ""))
    return count


def _prepared(where: str, folder: Path, prepare: Act) -> world.Copies:
    with world.bank(where, folder) as bank:
        prepare(bank)
        database = bank.config.database
    return world.Copies(folder, database if "://" in database else "")


def sampled(count: int, is_postgresql: bool) -> Sequence[int]:
    """Boundary to try: in the middle on PostgreSQL; on SQLite in the first half or, of an even count, at the end."""
    return [count // 2 + 1 if is_postgresql else count // 3 + 1 if count % 2 else count - 1]


def _count(prepared: world.Copies, place: Path, act: Act, expect: Act, statements: bool) -> int:
    options = prepared.copy(place)
    process_steps = PROCESSES.Queue()
    process = PROCESSES.Process(target=_counted, args=(place / "bank", options, act, process_steps, statements))
    process.start()
    count: int = process_steps.get(timeout=120)
    process.join(timeout=120)
    assert process.exitcode == 0
    with Bank.open(place / "bank", options=options) as bank:
        expect(bank)
        assert bank.check() == []
        act(bank)
        expect(bank)
    drop_database(options.get("database", ""))
    return count


def _counted(folder: Path, options: Mapping[str, str], act: Act, counts: Any, statements: bool) -> None:
    steps = Steps(statements=statements)
    with Bank.open(folder, options=options) as bank:
        steps.watch()
        act(bank)
        counts.put(steps.count)


def _killed(folder: Path, options: Mapping[str, str], act: Act, number: int, statements: bool) -> None:
    with Bank.open(folder, options=options) as bank:
        Steps(number, statements=statements).watch()
        act(bank)
