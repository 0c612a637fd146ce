"""Modules import each other in one direction. The order of the rooms is checked by `lint-imports`."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "sycee"
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists())


def modules_of(room: str) -> dict[str, Path]:
    """Modules by dotted name; a package stands for its __init__."""
    found = {}
    for path in (PACKAGE / room).rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(path: Path, modules: dict[str, Path]) -> set[str]:
    """What a file imports of these modules, inside functions and for type checkers too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module in modules:
            names = {f"{node.module}.{name.name}" for name in node.names}
            found |= names & modules.keys() or {node.module}
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_no_cycle_within_a_room(room: str) -> None:
    modules = modules_of(room)
    graph = {name: imports_of(path, modules) - {name} for name, path in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))
