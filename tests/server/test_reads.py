"""No handler reads all accounts of the ledger, which takes time in proportion to their number."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "sycee" / "server"
SCANS = {"accounts", "digest", "state_digest", "check_invariants"}


@pytest.mark.fast
def test_no_handler_scans_the_accounts_of_the_ledger() -> None:
    found = [
        f"{path.name}:{node.lineno} {ast.unparse(node)}"
        for path in sorted(SOURCE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in SCANS
        and ast.unparse(node.value).rpartition(".")[2] in ("ledger", "state", "sequencer")
    ]
    assert found == []
