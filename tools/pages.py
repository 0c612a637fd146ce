"""Write the generated pages and schemas: python -m tools.pages. Tests fail until all are up to date.

The page of figures is made by `python -m benchmarks --report`, the page of seeded faults by `tools/seeded_faults.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sycee.core.records.operation_table import TABLE, reference_row
from tools import (
    command_tables,
    compliance_schemas,
    compliance_tables,
    message_tables,
    profile_pages,
    python_tables,
)

COMMAND: Final = "python -m tools.pages"
DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
REFERENCE: Final = DOCS / "reference"
PROFILES: Final = DOCS / "profiles"
KINDS_HEAD: Final = "| kind | no. |"


def made() -> dict[Path, str]:
    """Return the content of each generated file."""
    files = {REFERENCE / "schemas" / name: text for name, text in compliance_schemas.texts().items()}
    files |= {PROFILES / name: text for name, text in profile_pages.made().items()}
    files[REFERENCE / message_tables.PAGE] = message_tables.page(COMMAND)
    files[REFERENCE / "ledger.md"] = _with_kinds((REFERENCE / "ledger.md").read_text(encoding="utf-8"))
    for name, part, table in (*compliance_tables.tables(), *python_tables.tables(), *command_tables.tables()):
        path = REFERENCE / name
        begin, end = f"<!-- {part}: begin, made by `{COMMAND}` -->", f"<!-- {part}: end -->"
        before, rest = (files.get(path) or path.read_text(encoding="utf-8")).split(begin)
        files[path] = f"{before}{begin}\n\n{table}\n{end}{rest.split(end)[1]}"
    return files


def stale() -> list[str]:
    """Return the names of files in docs that differ from the generated ones, or are no longer generated."""
    files = made()
    differ = {path for path, text in files.items() if not path.is_file() or path.read_text(encoding="utf-8") != text}
    return sorted(path.relative_to(DOCS).as_posix() for path in differ | ({*PROFILES.glob("*.md")} - files.keys()))


def _with_kinds(text: str) -> str:
    """Return the reference of the ledger with the table of kinds from the operation table."""
    before, found, rest = text.partition(KINDS_HEAD)
    table, gap, after = rest.partition("\n\n")
    head = table.splitlines()[:2]
    return before + found + "\n".join([*head, *(reference_row(kind) for kind in TABLE)]) + gap + after


if __name__ == "__main__":
    files = made()
    for path in {*PROFILES.glob("*.md")} - files.keys():
        path.unlink()
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
