"""The main job at full size: the published figures, to the cent, from the command people run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PUBLISHED = {
    "registered": 1_913_847,
    "winners": 50_000,
    "claimed": 47_573,
    "payments": 62_788,
    "merchants": 3_389,
    "budget_minor": 1_000_000_000,
    "minted_minor": 1_090_100_000,
    "mint_officers": 2,
    "spent_from_packets_minor": 876_400_000,
    "spent_own_minor": 90_100_000,
    "returned_minor": 123_600_000,
}


def sycee(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import sys; from sycee.cli import main; sys.exit(main())", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "100"},
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    folder = tmp_path_factory.mktemp("luohu")
    first = sycee("pilot", "luohu", "--data", folder / "data", "--report", folder / "report.html")
    assert first.returncode == 0, first.stderr
    again = sycee("pilot", "luohu", "--data", folder / "data", "--json")
    assert again.returncode == 0, again.stderr
    found: dict[str, Any] = json.loads(again.stdout)
    return folder, found, first.stdout


def test_the_published_figures_come_out(run: tuple[Path, dict[str, Any], str]) -> None:
    _, found, _ = run
    assert {name: found[name] for name in PUBLISHED} == PUBLISHED
    assert found["agrees"] is True
    assert found["peak_memory_bytes"] < 2 << 30


def test_going_on_after_the_end_changes_nothing(run: tuple[Path, dict[str, Any], str]) -> None:
    folder, found, said = run
    assert said.splitlines()[-1] == f"state digest {found['digest']}"
    verified = sycee("verify", folder / "data", "--authority", "--json")
    assert verified.returncode == 0
    proof = json.loads(verified.stdout)
    assert proof["ok"] is True
    assert proof["digest"] == found["digest"]
    assert proof["operations"] == found["operations"]
    assert proof["supply"]["CNY"] == PUBLISHED["minted_minor"]
    signatures = [row["signatures"] for row in found["signatures"]]
    assert len(signatures) == 7
    assert f"{sum(signatures):,} signatures are valid, from 7 signers" in "\n".join(proof["proved"])


def test_the_split_of_the_packets_closes(run: tuple[Path, dict[str, Any], str]) -> None:
    from sycee import Ledger
    from sycee.sandbox.measurements import left_of_packets

    folder, _, _ = run
    with Ledger.open(folder / "data") as ledger:
        left = left_of_packets(ledger, 1)
    assert ((left == 0).sum(), ((left > 0) & (left < 20_000)).sum(), (left == 20_000).sum()) == (40_000, 6_073, 1_500)
    assert left.sum() + (50_000 - 47_573) * 20_000 == PUBLISHED["returned_minor"]


def test_the_draw_can_be_checked_from_its_files_alone(run: tuple[Path, dict[str, Any], str]) -> None:
    folder, _, _ = run
    checked = sycee("draw", "verify", folder / "data" / "draw", "--json")
    assert checked.returncode == 0
    assert json.loads(checked.stdout)["ok"] is True


def test_the_readme_shows_lines_that_the_command_prints(run: tuple[Path, dict[str, Any], str]) -> None:
    _, _, said = run
    printed = [line.rstrip() for line in said.splitlines()]
    readme = (ROOT / "README.md").read_text()
    shown = readme[readme.index(printed[0]) :].partition("\n```")[0].splitlines()
    assert len(shown) > 5
    places = [printed.index(line) for line in shown]
    assert places == sorted(places)
