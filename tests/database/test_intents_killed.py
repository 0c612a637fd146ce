"""Intents are killed at the begins and commits of SQL and around the submission: afterwards both stores agree."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.bank.killing import Steps, sampled
from tests.database.places import copied_database, drop_database
from tests.database.town import SIGNER, Town, town
from tests.processes import PROCESSES

from sycee.database.intents import Resumed

PAID = {1000: "paid", 1001: "EXCEEDS_BALANCE"}


def perform(made: Town) -> None:
    made.intents.perform(made.draft(1000, [10, 5_000], id=9))


def perform_many(made: Town) -> None:
    made.intents.perform_many([made.draft(1000, [10, 5_000], id=9), made.draft(2000, [20], id=10)])


def resume(made: Town) -> None:
    """Finish the intent that `leave_pending` left."""
    made.intents.resume()


def renew(made: Town) -> None:
    stored = made.intents.find(9)
    if stored is None or stored.state == "lapsed":
        made.intents.renew(9, signers=[SIGNER])


def nothing(made: Town) -> None:
    """Prepare nothing."""


def leave_pending(made: Town) -> None:
    made.ledger.sequencer.submit = stop  # type: ignore[assignment]
    with pytest.raises(InterruptedError):
        perform(made)


def leave_lapsed(made: Town) -> None:
    outcome = made.intents.perform(made.draft(1000, [10, 5_000], id=9, signers=()))
    assert outcome.state == "lapsed"


def stop(*_: object) -> None:
    raise InterruptedError


CALLS = {perform: nothing, perform_many: nothing, resume: leave_pending, renew: leave_lapsed}


def run(folder: Path, where: str, act: Callable[[Town], None], kill_at: int) -> None:
    with town(folder, where) as made:
        steps = Steps(kill_at)
        steps.watch()
        act(made)
        (folder / "steps").write_text(str(steps.count))


def run_in_a_process(folder: Path, where: str, act: Callable[[Town], None], kill_at: int) -> int | None:
    process = PROCESSES.Process(target=run, args=(folder, where, act, kill_at))
    process.start()
    process.join(timeout=120)
    return process.exitcode


def kill(where: str, tmp_path: Path, act: Callable[[Town], None], *, every: bool) -> None:
    is_postgresql = "://" in where
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    with town(prepared, where if is_postgresql else str(prepared / "kept.db")) as made:
        CALLS[act](made)

    def copy(name: str) -> tuple[Path, str]:
        folder = shutil.copytree(prepared, tmp_path / name)
        return folder, copied_database(where) if is_postgresql else str(folder / "kept.db")

    folder, place = copy("counted")
    assert run_in_a_process(folder, place, act, 0) == 0
    count = int((folder / "steps").read_text())
    assert count >= 6
    for number in range(1, count + 1) if every else sampled(count, is_postgresql):
        folder, place = copy(f"killed-{number}")
        assert run_in_a_process(folder, place, act, number) == -signal.SIGKILL
        with town(folder, place) as made:
            made.intents.resume()
            assert made.intents.pending() == 0
            act(made)
            assert made.intents.resume() == Resumed(0, 0)
            more = {2000: "paid"} if act is perform_many else {}
            assert made.states() == PAID | more, f"killed at boundary {number} of {count}"
            assert made.shop() == 10 + 20 * len(more)
        drop_database(place)


SAMPLE = [*(("sqlite", act) for act in CALLS), ("postgresql", perform_many)]


@pytest.mark.parametrize(("where", "act"), SAMPLE, indirect=["where"], ids=lambda each: getattr(each, "__name__", each))
def test_a_killed_call(where: str, tmp_path: Path, act: Callable[[Town], None]) -> None:
    kill(where, tmp_path, act, every=False)


@pytest.mark.soak
@pytest.mark.parametrize("act", list(CALLS), ids=lambda act: act.__name__)
def test_a_call_killed_at_every_boundary(where: str, tmp_path: Path, act: Callable[[Town], None]) -> None:
    kill(where, tmp_path, act, every=True)
