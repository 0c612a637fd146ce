"""Ctrl-C ends a command with exit code 130, and a pilot continues where it was interrupted."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.cli.calling import PILOT, start
from tests.each import case

from sycee import cli
from sycee.cli.pilot import _Bars
from sycee.programmes.definition import load
from sycee.sandbox import pilot

CONTINUES = "interrupted: the journal is whole; the same command continues from here\n"


def test_ctrl_c_while_reading_reports_that_nothing_was_changed(sycee: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", stop)
    result = sycee("verify", "x")
    assert (result.code, result.err) == (130, "\ninterrupted; nothing was changed\n")


@cache
def undisturbed(scale: str) -> str:
    """Return the digest of a run without interruption."""
    with tempfile.TemporaryDirectory() as folder:
        return pilot.run(load("luohu-2020"), Path(folder) / "data", seed=2020, scale=float(scale)).digest


def interrupted(*words: str, after: str) -> tuple[int, str, str]:
    """Start a command, send it Ctrl-C once the phase `after` is done, and wait for its end."""
    process = start(*words)
    assert process.stderr
    result = ""
    for line in process.stderr:
        result += line
        if line.startswith(after):
            process.send_signal(signal.SIGINT)
            break
    out, rest = process.communicate()
    return process.returncode, out, result + rest


PHASES = ("opening the ledger", "freeze and draw", "accounts and cohort", "issue to operators")


def test_ctrl_c_after_any_phase_leaves_a_whole_journal(
    sycee: Any, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal comes at the end of each phase in turn, and the same command continues."""
    digest = sycee("verify", finished, "--json").json()["digest"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for number, phase in enumerate(PHASES):
            words = (*PILOT, "--data", tmp_path / str(number))
            with monkeypatch.context() as patch, case(phase):
                patch.setattr(_Bars, "end", interrupting(_Bars.end, phase))
                result = sycee(*words)
                assert (result.code, result.out) == (130, "")
                assert result.err.endswith(CONTINUES)
            with case(phase):
                broken_off = sycee("verify", tmp_path / str(number), "--json").json()
                found = sycee(*words, "--json").json()
                assert found["operations"] > broken_off["operations"]
                assert found["digest"] == digest
    finally:
        signal.signal(signal.SIGINT, before)


def interrupting(end: Callable[[_Bars], None], phase: str) -> Callable[[_Bars], None]:
    """Return a method that ends a phase and sends this process Ctrl-C at the end of one phase."""

    def ended(bars: _Bars) -> None:
        end(bars)
        if bars._title == phase:
            os.kill(os.getpid(), signal.SIGINT)

    return ended


# The last phases are short, so these replays are larger: the signal must arrive before the end, even on a busy machine.
@pytest.mark.parametrize(
    ("after", "scale"),
    [
        pytest.param("opening the ledger", "0.02", marks=pytest.mark.soak),
        pytest.param("freeze and draw", "0.02", marks=pytest.mark.soak),
        ("accounts and cohort", "0.05"),
        pytest.param("issue to operators", "0.3", marks=pytest.mark.soak),
    ],
)
def test_ctrl_c_leaves_a_whole_journal_and_the_same_command_continues(
    sycee: Any, tmp_path: Path, after: str, scale: str
) -> None:
    words = ("pilot", "luohu", "--scale", scale, "--data", str(tmp_path / "data"))
    code, out, err = interrupted(*words, after=after)
    assert (code, out) == (130, "")
    assert err.endswith(CONTINUES)
    assert "Traceback" not in err
    broken_off = sycee("verify", tmp_path / "data", "--json")
    assert broken_off.code == 0
    found = sycee(*words, "--json").json()
    assert found["operations"] > broken_off.json()["operations"]
    assert found["digest"] == undisturbed(scale)
    assert found["agrees"]


def test_ctrl_c_without_data_reports_that_nothing_was_kept() -> None:
    code, out, err = interrupted("pilot", "luohu", "--scale", "0.02", after="accounts and cohort")
    assert (code, out) == (130, "")
    assert err.endswith("interrupted: the journal was whole; give --data to keep it and continue from there\n")
