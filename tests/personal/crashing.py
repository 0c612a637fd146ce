"""Calls that other processes make and are killed in, before a commit or after the last one.

A fork server has imported all modules, so a process starts fast.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine, make_url
from tests.database.places import new_database
from tests.personal.world import ACCESS, ANN, BOB, PRIVACY, World, world
from tests.processes import PROCESSES

_NUMBERS = itertools.count(1)

SHOWN = "shown.txt"  # what a reader would have seen


def _store(bank: World, folder: Path) -> None:
    bank.store(BOB, {"name": "Bob", "phone": "13900139000"})


def _read(bank: World, folder: Path) -> None:
    (folder / SHOWN).write_text(bank.register.read(ANN, ["name"], access=ACCESS)["name"])


def _change(bank: World, folder: Path) -> None:
    bank.register.change(ANN, {"name": "Wang Mei"}, access=ACCESS)


def _shred(bank: World, folder: Path) -> None:
    bank.register.shred(ANN, who=PRIVACY, basis="relation-ended")


@contextmanager
def fresh(where: str, folder: Path) -> Iterator[str]:
    """Yield the location of a new database of the same kind: a file in the folder, or one on the same server."""
    if "://" not in where:
        yield str(folder / "kept.db")
        return
    host = make_url(where).query["host"]
    assert isinstance(host, str)
    with new_database(Path(host), f"steps_{next(_NUMBERS)}") as url:
        yield url


ACTS: dict[str, Callable[[World, Path], None]] = {"store": _store, "read": _read, "change": _change, "shred": _shred}


def act_and_die(where: str, folder: Path, act: str, steps: int) -> None:
    """Run an act, and be killed before the step of this number: a commit of any database."""
    with world(where, folder) as bank:
        left = steps

        def step(*_: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(Engine, "commit", step)
        ACTS[act](bank, folder)
        step()  # the end of the act is a step too
        left = 0


def killed(where: str, folder: Path, act: str, steps: int) -> bool:
    """Run an act in another process; return whether it was killed rather than finished."""
    process = PROCESSES.Process(target=act_and_die, args=(where, folder, act, steps))
    process.start()
    process.join(timeout=120)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0
