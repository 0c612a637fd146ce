"""Ctrl-C ends a command with exit code 130, and a pilot continues where it was interrupted."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.cli.calling import PILOT, start
from tests.each import case

from sycee import cli
from sycee.cli.pilot import _Bars

CONTINUES = "interrupted: the journal is whole; the same command continues from here\n"


def test_ctrl_c_while_reading_reports_that_nothing_was_changed(sycee: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", stop)
    result = sycee("verify", "x")
    assert (result.code, result.err) == (130, "\ninterrupted; nothing was changed\n")


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (
            ("drop", "try", "luohu-2020", "people.csv"),
            ": the trial is not complete; delete its folder before the next one",
        ),
        (("drop", "allot", "bank", "spring"), ": a part of the members may be added; the same command continues"),
        (
            ("sandbox", "run", "luohu-2020", "--city", "town", "--ledger=folder"),
            ": the ledger is whole; the same command continues from the last whole day",
        ),
        (("sandbox", "run", "luohu-2020", "--city", "town"), "; nothing was changed"),
    ],
)
def test_ctrl_c_in_a_long_step_names_what_it_left(
    words: tuple[str, ...], left: str, sycee: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", stop)
    result = sycee(*words)
    assert (result.code, result.err) == (130, f"\ninterrupted{left}\n")


def interrupting(end: Callable[[_Bars], None], phase: str) -> Callable[[_Bars], None]:
    """Return a method that ends a phase and sends this process Ctrl-C at the end of one phase."""

    def ended(bars: _Bars) -> None:
        end(bars)
        if bars._title == phase:
            os.kill(os.getpid(), signal.SIGINT)

    return ended


def interrupt_after(phase: str) -> None:
    """Let this process send itself Ctrl-C at the end of a phase."""
    _Bars.end = interrupting(_Bars.end, phase)  # type: ignore[method-assign]


def test_ctrl_c_after_a_phase_leaves_a_whole_journal(
    sycee: Any, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal comes at the end of an early and of a late phase, and the same command continues."""
    digest = sycee("verify", finished, "--json").json()["digest"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for number, phase in enumerate(("opening the ledger", "issue to operators")):
            words = (*PILOT, "--data", tmp_path / str(number))
            with monkeypatch.context() as patch, case(phase):
                patch.setattr(_Bars, "end", interrupting(_Bars.end, phase))
                result = sycee(*words)
                assert (result.code, result.out) == (130, "")
                assert result.err.endswith(CONTINUES)
            with case(phase):
                continues(sycee, words, digest)
    finally:
        signal.signal(signal.SIGINT, before)


def continues(sycee: Any, words: tuple[object, ...], digest: str) -> None:
    """Check what an interrupted replay left, and continue it."""
    broken_off = sycee("verify", words[-1], "--json")
    assert broken_off.code == 0
    found = sycee(*words, "--json").json()
    assert found["operations"] > broken_off.json()["operations"]
    assert found["digest"] == digest
    assert found["agrees"]


@pytest.mark.parametrize(
    "phase",
    [
        pytest.param("opening the ledger", marks=pytest.mark.soak),
        pytest.param("freeze and draw", marks=pytest.mark.soak),
        "accounts and cohort",
        pytest.param("issue to operators", marks=pytest.mark.soak),
    ],
)
def test_ctrl_c_leaves_a_whole_journal_and_the_same_command_continues(
    sycee: Any, finished: Path, tmp_path: Path, phase: str
) -> None:
    words = (*PILOT, "--data", str(tmp_path / "data"))
    process = start(*words, before=partial(interrupt_after, phase))
    out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert err.endswith(CONTINUES)
    assert "Traceback" not in err
    continues(sycee, words, sycee("verify", finished, "--json").json()["digest"])


def test_ctrl_c_without_data_reports_that_nothing_was_kept() -> None:
    process = start(*PILOT, before=partial(interrupt_after, "accounts and cohort"))
    out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert err.endswith("interrupted: the journal was whole; give --data to keep it and continue from there\n")
