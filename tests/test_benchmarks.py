"""The benchmarks run and report in the form that was promised. What they measure is no matter of tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = ["work", "accounts", "operations", "rate_per_s", "p50_ms", "p99_ms", "limit", "limit_rate_per_s", "ratio"]
MACHINE = {"cpu", "cores", "memory_gib", "python", "numpy", "numba", "date"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_list_names_every_row() -> None:
    done = run("--list")
    assert (done.returncode, done.stderr) == (0, "")
    for work in ("kernel-transfer-10k", "durable-transfer-1m", "durable-pay-1m", "single-", "replay-", "ids-", "draw"):
        assert work in done.stdout


def test_a_durable_row_as_json(tmp_path: Path) -> None:
    done = run(
        "--only", "durable-transfer-10k", "--operations", "300", "--repeats", "2", "--json", "--folder", str(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert set(report["machine"]) >= MACHINE
    [row] = report["rows"]
    assert list(row) == COLUMNS
    assert (row["work"], row["accounts"], row["operations"]) == ("durable-transfer-10k", 10_000, 300)
    assert all(row[name] > 0 for name in ("rate_per_s", "p50_ms", "p99_ms", "limit_rate_per_s", "ratio"))
    assert isinstance(row["limit"], str)
    assert len(report["repeats"]["durable-transfer-10k"]["rates_per_s"]) == 2
    assert list(tmp_path.iterdir()) == []  # the folder is removed


def test_an_unknown_row_is_an_error() -> None:
    done = run("--only", "nothing")
    assert (done.returncode, done.stdout) == (2, "")
    assert "hint:" in done.stderr
