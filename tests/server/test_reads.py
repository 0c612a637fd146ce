"""No handler calls `Ledger.accounts` and the like, which take time in proportion to the number of accounts."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "sycee" / "server"
SCANS = {"accounts", "state_digest", "check_invariants"}


@pytest.mark.fast
def test_no_handler_scans_the_accounts_of_the_ledger() -> None:
    found = [
        f"{path.name}:{node.lineno} {ast.unparse(node)}"
        for path in sorted(SOURCE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in SCANS
        and ast.unparse(node.func.value).rpartition(".")[2] == "ledger"
    ]
    assert found == []


@pytest.mark.fast
def test_few_services_read_all_accounts_of_the_ledger() -> None:
    """A ledger may have millions of accounts, and payments wait while they are read."""
    known = {
        "issuance/supply_page.py",  # for one caller at a time: `server.current_supply`
        "wallets/dormancy.py",  # in slices: one for each request
        "server/events/ledger_events.py",  # rows of one frame
    }
    found = {
        path.relative_to(SOURCE.parent).as_posix()
        for package in ("bank", "cases", "identity", "issuance", "life", "personal", "server", "wallets")
        for path in (SOURCE.parent / package).rglob("*.py")
        if "state.accounts" in path.read_text(encoding="utf-8")
    }
    assert found == known
