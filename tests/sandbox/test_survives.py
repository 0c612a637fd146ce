"""A pilot that is killed at any moment and started again on the same folder ends with the same digest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.processes import PROCESSES
from tests.sandbox.kill_driver import kill_many


def survive(folder: Path, *, kills: int, scale: float, seed: int) -> dict[str, Any]:
    driver = PROCESSES.Process(target=kill_many, args=(kills, scale, seed, folder))
    driver.start()
    driver.join()
    assert driver.exitcode == 0
    found: dict[str, Any] = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    digest, agrees = found["undisturbed"]
    assert len(bytes.fromhex(digest)) == 32
    assert agrees is True
    assert found["wrong"] == []
    assert found["kills"] == kills
    assert found["completed"] >= 1
    return found


def test_three_kills(tmp_path: Path) -> None:
    found = survive(tmp_path, kills=3, scale=0.002, seed=2)
    # The kills are at different moments of the replay, not all before its start.
    assert len(set(found["frames_at_kills"])) >= 2


@pytest.mark.soak
def test_three_hundred_kills(tmp_path: Path) -> None:
    found = survive(tmp_path, kills=300, scale=0.01, seed=20201018)
    print(f"\n300 kills of a replay of {found['frames_of_a_run']} frames, {found['completed']} completed: same digest")
    assert len(set(found["frames_at_kills"])) >= 60


@pytest.mark.soak
def test_kills_at_full_size(tmp_path: Path) -> None:
    found = survive(tmp_path, kills=8, scale=1.0, seed=1_913_847)
    print(f"\n8 kills at full size, at frames {found['frames_at_kills']}: same digest {found['undisturbed'][0]}")
