"""Write the table of kinds in docs/reference/ledger.md from the operation table: python -m tools.kinds_table."""

from __future__ import annotations

from pathlib import Path

from sycee.ledger.operation_table import TABLE, reference_row

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "ledger.md"
HEAD = "| kind | no. |"


def made(text: str) -> str:
    """Return the page with the table as it should be."""
    before, found, rest = text.partition(HEAD)
    table, gap, after = rest.partition("\n\n")
    head = table.splitlines()[:2]
    return before + found + "\n".join([*head, *(reference_row(kind) for kind in TABLE)]) + gap + after


def main() -> None:
    """Write the page."""
    PAGE.write_text(made(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
