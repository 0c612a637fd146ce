"""Tables of the reference pages about declarations and profiles, from the vocabulary; `tools.pages` writes them."""

from __future__ import annotations

from typing import Any, Final

from sycee.compliance.vocabulary import KINDS, TESTS, EntityKind, Field, Type
from tools import compliance_schemas

_TYPES: Final = {
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


def tables() -> list[tuple[str, str, str]]:
    """Return (page, name of the table, table)."""
    kinds = "\n".join(_kind(kind) for kind in KINDS.values())
    return [("declarations.md", "kinds", kinds), ("profiles.md", "tests", _tests())]


def _tests() -> str:
    """Return the table of the tests of conditions, with their arguments from the schema."""
    by_test: dict[str, Any] = {}
    for each in compliance_schemas.of_profiles()["$defs"]["condition"]["oneOf"]:
        for test in each["properties"].get("test", {}).get("oneOf", ()):
            by_test[test["const"]] = each
    rows = [f"| `{test}` | {' | '.join(_arguments(by_test[test]))} | {_cell(TESTS[test])} |" for test in TESTS]
    return "\n".join(["| test | requires | optional | true if |", "|---|---|---|---|", *rows, ""])


def _arguments(test: dict[str, Any]) -> tuple[str, str]:
    """Return the required and the optional arguments of a test; every test accepts the same marks."""
    required = [name for name in test["properties"] if name in test["required"] and name != "test"]
    one_of = [name for each in test.get("oneOf", ()) for name in each["required"]]
    marks = ("test", "negate", "self_declared")
    others = [name for name in test["properties"] if name not in (*required, *one_of, *marks)]
    choice = [f"one of {_names(one_of)}"] if one_of else []
    return "; ".join([_names(required), *choice]), _names(others)


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _kind(kind: EntityKind) -> str:
    responsible = " or ".join(f"`{name}`" for name in kind.responsible)
    return "\n".join(
        [
            f"### `[[{kind.plural}]]`",
            "",
            f"{kind.meaning[0].upper()}{kind.meaning[1:]}.",
            "",
            "| field | type | meaning |",
            "|---|---|---|",
            *(row for field in kind.fields for row in _rows(field, "")),
            f"\nResponsible: {responsible}.\n" if responsible else "",
        ]
    )


def _rows(field: Field, prefix: str) -> list[str]:
    name = f"{prefix}{field.name}"
    row = f"| `{name}` | {_type(field)} | {_cell(field.meaning)} |"
    return [row, *(row for each in field.fields for row in _rows(each, f"{name}."))]


def _type(field: Field) -> str:
    if field.type is Type.REFERENCE:
        return f"id of {_kinds(field)}"
    if field.type is Type.REFERENCES:
        many = f"{field.least} " if field.least and field.least == field.most else ""
        return f"{many}ids of {_kinds(field)}"
    if field.words:
        words = ", ".join(f"`{word}`" for word in field.words)
        return f"{'some' if field.type is Type.WORDS else 'one'} of {words}"
    if field.most is not None:
        return f"{_TYPES[field.type]}, {field.least or 0:,} to {field.most:,}"
    return _TYPES[field.type]


def _kinds(field: Field) -> str:
    return " or ".join(f"[{KINDS[kind].plural}](#{KINDS[kind].plural})" for kind in field.kinds)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
