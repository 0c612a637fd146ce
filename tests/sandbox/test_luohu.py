"""The main job at full size: the published figures, to the cent, from the command people run."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from tests.processes import PROCESSES

from sycee import cli
from sycee.cli import pilot
from sycee.sandbox.measurements import left_of_packets
from sycee.sequencer.embedded import Ledger

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


def replay(folder: Path) -> None:
    """Run the command; store its table and the figures that `--json` would show, which saves a second run."""
    table = pilot._table

    def store(outcome: Any) -> Any:
        (folder / "figures.json").write_text(json.dumps(pilot._as_json(outcome)), encoding="utf-8")
        return table(outcome)

    pilot._table = store
    words = ["pilot", "luohu", "--data", str(folder / "data"), "--report", str(folder / "report.html")]
    with (folder / "table.txt").open("w", encoding="utf-8") as file, redirect_stdout(file):
        code = cli.main(words)
    raise SystemExit(code)


def run(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Replay in a process of its own, whose peak of memory is no other test's; return the figures and the table."""
    process = PROCESSES.Process(target=replay, args=(folder,))
    process.start()
    process.join()
    assert process.exitcode == 0
    figures = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
    return figures, [line.rstrip() for line in (folder / "table.txt").read_text(encoding="utf-8").splitlines()]


def sycee(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    """Call the command line and return its JSON."""
    assert cli.main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_published_figures_come_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One test, because workers that share the tests of a module would each replay the pilot."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    found, printed = run(tmp_path)
    assert {name: found[name] for name in PUBLISHED} == PUBLISHED
    assert found["agrees"] is True
    assert found["peak_memory_bytes"] < 2 << 30
    assert printed[-1] == f"state digest {found['digest']}"
    the_readme_shows(printed)
    the_ledger_agrees(sycee(capsys, "verify", tmp_path / "data", "--authority"), found)
    the_split_of_the_packets_closes(tmp_path / "data")
    # The draw can be checked from its files alone.
    assert sycee(capsys, "draw", "verify", tmp_path / "data" / "draw")["ok"] is True


def the_readme_shows(printed: list[str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme[readme.index(printed[0]) :].partition("\n```")[0].splitlines()
    assert len(shown) > 5
    places = [printed.index(line) for line in shown]
    assert places == sorted(places)


def the_ledger_agrees(proof: dict[str, Any], found: dict[str, Any]) -> None:
    assert proof["ok"] is True
    assert proof["digest"] == found["digest"]
    assert proof["operations"] == found["operations"]
    assert proof["supply"]["CNY"] == PUBLISHED["minted_minor"]
    signatures = [row["signatures"] for row in found["signatures"]]
    assert len(signatures) == 7
    assert f"{sum(signatures):,} signatures are valid, from 7 signers" in "\n".join(proof["proved"])


def the_split_of_the_packets_closes(folder: Path) -> None:
    with Ledger.open(folder) as ledger:
        left = left_of_packets(ledger, 1)
    assert ((left == 0).sum(), ((left > 0) & (left < 20_000)).sum(), (left == 20_000).sum()) == (40_000, 6_073, 1_500)
    assert left.sum() + (50_000 - 47_573) * 20_000 == PUBLISHED["returned_minor"]


@pytest.mark.soak
def test_going_on_after_the_end_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found, _ = run(tmp_path)
    again = sycee(capsys, "pilot", "luohu", "--data", tmp_path / "data")
    assert (again["digest"], again["operations"]) == (found["digest"], found["operations"])
