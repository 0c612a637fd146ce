"""The page of events names every type, with its kind of operation."""

from __future__ import annotations

from pathlib import Path

from sycee.core.records.layout import Kind
from sycee.server.events.kinds import NAMES, TYPES

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "events.md"


def test_the_page_has_every_type() -> None:
    rows = [line.split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    types = [row[0].removeprefix("| ").strip("`") for row in rows]
    assert {name for name in types if "." in name and "`" not in name and " " not in name} == set(NAMES)
    kinds = {row[0].removeprefix("| ").strip("`"): row[1] for row in rows}
    for kind in Kind:
        assert kinds[TYPES[kind].name] == kind.name
