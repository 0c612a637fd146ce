"""Write what is published about declarations, out of the vocabulary: the tables of their page, and the JSON Schemas.

    python -m tools.compliance_pages

Run it from the repository's folder after a change of what can be declared. A test fails until it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sycee.compliance import schema
from sycee.compliance.vocabulary import KINDS, Field, Kind, Type

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "reference" / "declarations.md"
SCHEMAS: Final = ROOT / "docs" / "reference" / "schemas"
COMMAND: Final = "python -m tools.compliance_pages"
BEGIN: Final = f"<!-- kinds: begin, made by `{COMMAND}` -->"
END: Final = "<!-- kinds: end -->"

_HOLDS: Final = {
    Type.TEXT: "text",
    Type.WORDS: "texts",
    Type.STATE: "state",
    Type.STATES: "states",
    Type.BOOLEAN: "true or false",
    Type.INTEGER: "integer",
    Type.DATE: "date",
    Type.MOMENT: "moment",
    Type.ELEMENTS: "tables",
}


def made() -> dict[Path, str]:
    """What each file has to hold."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    tables = "\n".join(_table(kind) for kind in KINDS.values())
    files = {SCHEMAS / name: text for name, text in schema.texts().items()}
    return {PAGE: f"{before}{BEGIN}\n\n{tables}\n{END}{after}", **files}


def _table(kind: Kind) -> str:
    rows = [row for field in kind.fields for row in _rows(field, "")]
    answers = " or ".join(f"`{name}`" for name in kind.answering)
    who = f"\nWho answers for it: {answers}.\n" if answers else ""
    return "\n".join(
        [
            f"### `[[{kind.plural}]]`",
            "",
            f"{kind.meaning[0].upper()}{kind.meaning[1:]}.",
            "",
            "| field | holds | meaning |",
            "|---|---|---|",
            *rows,
            who,
        ]
    )


def _rows(field: Field, before: str) -> list[str]:
    name = f"{before}{field.name}"
    row = f"| `{name}` | {_holds(field)} | {_cell(field.meaning)} |"
    return [row, *(row for each in field.fields for row in _rows(each, f"{name}."))]


def _holds(field: Field) -> str:
    if field.type is Type.REFERENCE:
        return f"id of {_kinds(field)}"
    if field.type is Type.REFERENCES:
        many = f"{field.least} " if field.least and field.least == field.most else ""
        return f"{many}ids of {_kinds(field)}"
    if field.words:
        words = ", ".join(f"`{word}`" for word in field.words)
        return f"{'some' if field.type is Type.WORDS else 'one'} of {words}"
    if field.most is not None:
        return f"{_HOLDS[field.type]}, {field.least or 0:,} to {field.most:,}"
    return _HOLDS[field.type]


def _kinds(field: Field) -> str:
    return " or ".join(f"[{KINDS[kind].plural}](#{KINDS[kind].plural})" for kind in field.kinds)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    SCHEMAS.mkdir(exist_ok=True)
    for path, text in made().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
