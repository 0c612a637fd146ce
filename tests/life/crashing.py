"""Life events in other processes, which are killed before a commit, a submission or the end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from tests.life.world import BY_OTTO, NEW_KEY, OTTO, WALLET, World, proof_of, world
from tests.processes import PROCESSES

from sycee.core.errors import SyceeError
from sycee.life.rules import RECOVERY_NS, LifeEventKind

EVENT = 0x0193_7000_0000_0000_8000_0000_0000_0077


def lose(bank: World) -> None:
    proof = proof_of(bank.ledger, WALLET, NEW_KEY, epoch=2)
    bank.life.phone_lost(WALLET, NEW_KEY.public, proof, evidence=BY_OTTO, signers=[OTTO], id=EVENT)


def restore(bank: World) -> None:
    bank.clock.advance(RECOVERY_NS)
    bank.stores.jobs.run_due()


def order(bank: World) -> None:
    bank.life.court_order(WALLET, evidence=BY_OTTO, signers=[OTTO], id=EVENT)


def release(bank: World) -> None:
    bank.life.release(WALLET, LifeEventKind.DORMANT, who=OTTO.id, signers=[OTTO], id=EVENT)


ACTS: dict[str, Callable[[World], None]] = {"lose": lose, "restore": restore, "order": order, "release": release}


def act_and_die(where: str, folder: Path, act: str, steps: int) -> None:
    """Run an act, and be killed before the step of this number."""
    with world(where, folder) as bank:
        left = steps

        def step(*_: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        submit = bank.ledger.sequencer.submit

        def submit_in_steps(*arguments: Any, **named: Any) -> Any:
            step()
            answers = submit(*arguments, **named)
            step()
            return answers

        bank.ledger.sequencer.submit = submit_in_steps  # type: ignore[method-assign]
        event.listen(Engine, "commit", step)
        try:
            ACTS[act](bank)
        except SyceeError:
            os._exit(9)
        step()
        left = 0


def killed(where: str, folder: Path, act: str, steps: int) -> bool:
    """Run an act in another process; return whether it was killed rather than finished."""
    process = PROCESSES.Process(target=act_and_die, args=(where, folder, act, steps))
    process.start()
    process.join(timeout=120)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0
