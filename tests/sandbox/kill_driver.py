"""Kill a replay at random moments and start it again on the same folder.

A moment is a number of calls of Python functions that the replay has made, so that it depends on no clock.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from sycee.core.errors import UsageError
from sycee.programmes.definition import load
from sycee.sandbox import pilot
from sycee.sequencer.verify import verify

PILOT_SEED = 7
NEVER = 1 << 62
# Parts of a run's calls: nearly all frames are written in the first, at any scale.
JOURNALS = (0.1, 0.4)
ANYWHERE = (0.0, 1.05)


def child(folder: Path, scale: float, calls_max: int, written: int) -> None:
    """Run the replay and write its digest and its number of calls into a pipe; be killed at the call `calls_max`."""
    calls = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        if event != "call":
            return
        calls += 1
        if calls == calls_max:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.setprofile(count)
        outcome = pilot.run(load("luohu-2020"), folder, seed=PILOT_SEED, scale=scale)
        sys.setprofile(None)
        os.write(written, json.dumps([[outcome.digest, outcome.agrees], calls]).encode())
    except BaseException as error:
        sys.setprofile(None)
        os.write(written, json.dumps([["", f"{type(error).__name__}: {error}"], calls]).encode())
    os._exit(0)


def run_until(folder: Path, scale: float, calls_max: int) -> tuple[object, int] | None:
    """Run the replay up to a call; return digest and agreement, and its number of calls, or None if it was killed."""
    read, written = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(read)
        child(folder, scale, calls_max, written)
    os.close(written)
    with os.fdopen(read) as file:
        said = file.read()
    os.waitpid(process, 0)
    if not said:
        return None
    ended, calls = json.loads(said)
    return ended, calls


def frames_after_kill(folder: Path, operations_max: int, wrong: list[str]) -> int:
    """Verify the journal as the kill left it, and return its number of frames."""
    try:
        found = verify(folder)  # raises IntegrityError if a cent is missing or a frame is damaged
    except UsageError:
        return 0  # killed before the journal was made
    if found.operations > operations_max:
        wrong.append(f"{found.operations} operations where an undisturbed run has {operations_max}")
    return found.frames


def kill_many(kills_wanted: int, scale: float, seed: int, folder: Path) -> None:
    """Write FOLDER/found.json: the numbers of killed and completed runs, the frames at each kill, every digest."""
    choice = random.Random(seed)
    run_until(folder / "warm-up", scale, NEVER)
    undisturbed = run_until(folder / "undisturbed", scale, NEVER)
    assert undisturbed is not None
    digest, calls_of_a_run = undisturbed
    reference = verify(folder / "undisturbed")
    kills, completed, frames, wrong, at = 0, 0, [], [], folder / "killed"
    while kills < kills_wanted:
        part = choice.uniform(*choice.choice((JOURNALS, ANYWHERE)))
        ended = run_until(at, scale, max(1, round(part * calls_of_a_run)))
        frames_found = frames_after_kill(at, reference.operations, wrong)
        if ended is None:
            kills += 1
            frames.append(frames_found)
            # Half of the killed runs are killed again, and half go on to the end: the next begins in a new folder.
            if kills < kills_wanted and choice.random() < 0.5:
                continue
            ended = run_until(at, scale, NEVER)
            assert ended is not None
        completed += 1
        if ended[0] != digest:
            wrong.append(str(ended[0]))
        if verify(at).digest != reference.digest:
            wrong.append("verify gives another digest")
        shutil.rmtree(at)
    found = {
        "kills": kills,
        "completed": completed,
        "undisturbed": digest,
        "calls_of_a_run": calls_of_a_run,
        "frames_of_a_run": reference.frames,
        "frames_at_kills": frames,
        "wrong": wrong,
    }
    (folder / "found.json").write_text(json.dumps(found), encoding="utf-8")
