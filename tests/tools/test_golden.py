"""Golden journals: the independent checker, a replay, and a new run give the stored digests and bytes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from tests.golden import make

from sycee.core.records.layout import Kind, Purpose
from sycee.core.result_codes import Result
from sycee.journal import FrameKind, Journal
from sycee.ledger.state import LedgerState
from sycee.sequencer.applier import Applier
from sycee.sequencer.folders import journal_disk
from sycee.sequencer.verify import verify

CHECKER = Path(__file__).resolve().parents[2] / "tools" / "checker.py"


def replayed(folder: Path) -> tuple[LedgerState, list[str], list[FrameKind]]:
    """Replay a journal; return the state, a line for each frame as in frames.txt, and the kinds of the frames."""
    state, lines, kinds = LedgerState(), [], []
    journal = Journal.open(journal_disk(folder), read_only=True)
    for frame in journal.recover():
        Applier(state).replay(frame)
        lines.append(f"{frame.sequence} {state.movement_digest.hex()} {state.digest().hex()}")
        kinds.append(frame.kind)
    journal.close()
    return state, lines, kinds


Golden = Callable[[str], tuple[Path, list[str]]]


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Golden:
    """Return the folder of a stored journal, unpacked once, and the lines of its frames.txt, by name."""

    @cache
    def unpacked(name: str) -> tuple[Path, list[str]]:
        folder = tmp_path_factory.mktemp(name)
        return folder, make.unpack(name, folder)

    return unpacked


@pytest.mark.parametrize("name", make.LEDGERS)
def test_the_checker_agrees_frame_by_frame(golden: Golden, name: str, tmp_path: Path) -> None:
    folder, lines = golden(name)
    command = [sys.executable, str(CHECKER), str(folder), "--per-frame"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines()[: len(lines) + 1] == [*lines, f"frames                  {len(lines)}"]


@pytest.mark.parametrize("name", make.LEDGERS)
def test_a_replay_agrees_frame_by_frame(golden: Golden, name: str) -> None:
    folder, lines = golden(name)
    state, found, _ = replayed(folder)
    assert found == lines
    state.check()


@pytest.mark.parametrize("name", make.LEDGERS)
def test_every_signature_is_valid(golden: Golden, name: str) -> None:
    folder, lines = golden(name)
    verified = verify(folder, authority=True)
    assert verified.digest == lines[-1].split()[2]
    assert not verified.findings


@pytest.mark.parametrize("name", make.LEDGERS)
def test_making_it_again_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    made, kept = make.make(name, tmp_path), make.kept(name)
    assert made["frames.txt"].decode() == kept["frames.txt"].decode()
    assert made.keys() == kept.keys()
    assert [path for path, content in made.items() if content != kept[path]] == []


def test_every_kind_of_operation_is_done_in_one_of_them(golden: Golden) -> None:
    state, _, _ = replayed(golden("kinds")[0])
    done = state.bound[state.bound["result"] == Result.CREATED]
    assert {Kind(int(kind)) for kind in done["kind"]} == set(Kind)


def test_every_purpose_of_a_movement_is_in_one_of_them(golden: Golden) -> None:
    made = {int(purpose) for name in make.LEDGERS for purpose in replayed(golden(name)[0])[0].movements["purpose"]}
    assert made == set(Purpose)


def test_time_passes_in_frames_without_operations(golden: Golden) -> None:
    folder, lines = golden("holds")
    _, _, kinds = replayed(folder)
    states = [line.split()[2] for line in lines]
    waited = [at for at, kind in enumerate(kinds) if kind is FrameKind.EMPTY]
    assert [states[at] != states[at - 1] for at in waited] == [False, True, True]  # one is a second too early


def test_no_other_journal_is_stored() -> None:
    assert {path.parent.name for path in make.HERE.glob("*/journal")} == {*make.LEDGERS}
