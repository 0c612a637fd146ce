"""Every UsageError and UnavailableError that the sequencer raises has a hint with the next step."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import sycee.sequencer

pytestmark = pytest.mark.fast

NEED_A_HINT = ("UsageError", "UnavailableError", "Refused", "JournalDamaged", "SnapshotDamaged")
FOLDER = Path(sycee.sequencer.__file__).parent


def test_every_error_has_a_hint() -> None:
    without = [
        f"{path.name}:{node.lineno}"
        for path in sorted(FOLDER.glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", getattr(node.func, "attr", "")) in NEED_A_HINT
        and not any(keyword.arg == "hint" for keyword in node.keywords)
    ]
    assert without == []
