"""The command line in this process, and the folder of a finished pilot."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.cli.calling import PILOT, CommandResult, start

from sycee import cli


@pytest.fixture
def sycee(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*words: object) -> CommandResult:
        code = cli.main([str(word) for word in words])
        return CommandResult(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished pilot. Tests write to `copy` instead."""
    folder = tmp_path_factory.mktemp("pilot") / "undisturbed"
    process = start(*PILOT, "--data", str(folder))
    _, err = process.communicate()
    assert process.returncode == 0, err
    return folder


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "copy")
