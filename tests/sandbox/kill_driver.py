"""Kill a replay at random moments and start it again on the same folder, KILLS times.

Run as a script, so that forked children need no imports: `python kill_driver.py KILLS SCALE SEED FOLDER`. Prints one
JSON object: the numbers of killed and completed runs, the frames of the journal at each kill, every digest.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from sycee.core.errors import UsageError
from sycee.programmes.definition import load
from sycee.sandbox import pilot
from sycee.sequencer.verify import verify

PILOT_SEED = 7


def child(folder: Path, scale: float, written: int) -> None:
    """Run the replay and write its digest into a pipe."""
    try:
        outcome = pilot.run(load("luohu-2020"), folder, seed=PILOT_SEED, scale=scale)
        os.write(written, json.dumps([outcome.digest, outcome.agrees]).encode())
        os._exit(0)
    except BaseException as error:
        os.write(written, json.dumps(["", f"{type(error).__name__}: {error}"]).encode())
        os._exit(1)


def run_for(folder: Path, scale: float, seconds: float) -> tuple[str, object] | None:
    """Start the replay and kill it after `seconds`; return digest and agreement, or None if it was killed."""
    read, written = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(read)
        child(folder, scale, written)
    os.close(written)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if os.waitpid(process, os.WNOHANG)[0]:
            break
        time.sleep(0.001)
    else:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    said = os.read(read, 65_536)
    os.close(read)
    if not said:
        return None
    digest, agrees = json.loads(said)
    return digest, agrees


def frames_after_kill(folder: Path, operations_max: int, wrong: list[str]) -> int:
    """Verify the journal as the kill left it, and return its number of frames."""
    try:
        found = verify(folder)  # raises IntegrityError if a cent is missing or a frame is damaged
    except UsageError:
        return 0  # killed before the journal was made
    if found.operations > operations_max:
        wrong.append(f"{found.operations} operations where an undisturbed run has {operations_max}")
    return found.frames


def main() -> None:
    kills_wanted, scale, seed, folder = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    choice = random.Random(seed)
    run_for(folder / "warm-up", scale, 600)
    begin = time.monotonic()
    undisturbed = run_for(folder / "undisturbed", scale, 600)
    whole = time.monotonic() - begin
    reference = verify(folder / "undisturbed")
    kills, completed, frames, wrong, at = 0, 0, [], [], folder / "killed"
    while kills < kills_wanted:
        # Half of the kills are late, because registration and draw are most of a run at full size.
        ended = run_for(at, scale, choice.uniform(choice.choice((0.0, 0.6)), 1.1) * whole)
        frames_found = frames_after_kill(at, reference.operations, wrong)
        if ended is None:
            kills += 1
            frames.append(frames_found)
            if kills < kills_wanted:
                continue
            ended = run_for(at, scale, 600)
        completed += 1
        if ended != undisturbed:
            wrong.append(str(ended))
        if verify(at).digest != reference.digest:
            wrong.append("verify gives another digest")
        shutil.rmtree(at)
    print(
        json.dumps(
            {
                "kills": kills,
                "completed": completed,
                "undisturbed": undisturbed,
                "seconds_of_a_run": round(whole, 3),
                "frames_of_a_run": reference.frames,
                "frames_at_kills": frames,
                "wrong": wrong,
            }
        )
    )


if __name__ == "__main__":
    main()
