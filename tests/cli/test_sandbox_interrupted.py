"""Ctrl-C in a command of the sandbox: exit code 130, no traceback, and no file that was not there before."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sycee import cli
from sycee.core import progress_bar
from sycee.sandbox.city import files
from sycee.sandbox.city.model import tiny_town

FEW = ("--draws", "50", "--people", "300")
# Command and the title of the bar during which Ctrl-C comes.
COMMANDS = {
    "city": ("market-town --out new --one-in 100", "building"),
    "compare": (f"base.toml threshold.toml --city town --out c.json --page c.html {' '.join(FEW)}", "comparing"),
    "sobol": (f"base.toml threshold.toml --city town --out c.json --sobol 16 {' '.join(FEW)}", "comparing"),
    "predict": (f"suzhou-2020 --out p.json --page p.html {' '.join(FEW)}", "predicting"),
    "fit": ("suzhou-2020 --out posterior.parquet --people 200 --particles 10", "fitting"),
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a city and two designs, in which Ctrl-C reaches this process."""
    from sycee import data

    text = data.content("pilots", "luohu-2020").decode().split("[published.registered]")[0]
    text = text.replace("50_000", "400").replace('"10000000.00"', '"80000.00"').replace('zones = ["luohu"]', "")
    (tmp_path / "base.toml").write_text(text.replace("3_389", "60"))
    (tmp_path / "threshold.toml").write_text('rules.payment_min = "60.00"\n')
    files.write(tiny_town(2_000, 60), tmp_path / "town")
    monkeypatch.chdir(tmp_path)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield tmp_path
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("name", COMMANDS)
def test_ctrl_c_leaves_no_file_and_no_traceback(
    name: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words, title = COMMANDS[name]
    before = sorted(place.rglob("*"))
    new = progress_bar.new

    def interrupting(console: object, **options: bool) -> object:
        """Return a display that sends Ctrl-C to this process with the second report of one bar."""
        bar = new(console, **options)  # type: ignore[arg-type]
        add, update, seen = bar.add_task, bar.update, []

        def added(description: str, **fields: object) -> object:
            seen.append(description)
            return add(description, **fields)  # type: ignore[arg-type]

        def updated(task: object, **fields: object) -> None:
            update(task, **fields)  # type: ignore[arg-type]
            if seen[-1].startswith(title) and int(str(fields["completed"])) > 0:
                os.kill(os.getpid(), signal.SIGINT)

        bar.add_task, bar.update = added, updated  # type: ignore[method-assign, assignment]
        return bar

    monkeypatch.setattr(progress_bar, "new", interrupting)
    command = "compare" if name == "sobol" else name
    assert cli.main(["sandbox", command, *words.split()]) == 130
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "\ninterrupted; nothing was changed\n"
    assert sorted(place.rglob("*")) == before
