"""Documents with every field of the vocabulary, and TOML from plain values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from sycee.compliance.vocabulary import EXCLUDED, KINDS, ORGANISATION, EntityKind, Field, Type

Document = dict[str, Any]

HEAD: Document = {"id": "net", "title": "A network", "as_of": date(2026, 1, 31)}


def toml(document: Mapping[str, Any]) -> str:
    """Return a document as TOML: lists of tables with headings, everything inside them inline."""
    lines: list[str] = []
    for key, value in document.items():
        if not isinstance(value, dict) and not _tables(value):
            lines.append(f"{key} = {_inline(value)}")
    for key, value in document.items():
        if isinstance(value, dict):
            lines += [f"[{key}]", *(f"{name} = {_inline(each)}" for name, each in value.items())]
        elif _tables(value):
            for table in value:
                lines += [f"[[{key}]]", *(f"{name} = {_inline(each)}" for name, each in table.items())]
    return "\n".join(lines) + "\n"


def whole() -> Document:
    """Return a network with entities of each kind, all their fields, attestations, adoptions and waivers."""
    document: Document = {"network": {**HEAD, "source": "a register", "synthetic": True}}
    document["network"]["undeclared"] = ["nobody"]
    for kind in KINDS.values():
        document[kind.plural] = [entity(kind)]
    document["organisations"] = organisations()
    document["facilities"].append({"id": second("facility")})
    document["attestations"] = [
        {
            "subject": "first-flow",
            "topics": ["inventory-complete"],
            "facts": ["stored"],
            "assurance": "declared",
            "by": "first-organisation",
            "as_of": date(2026, 1, 1),
            "expires": date(2027, 1, 1),
            "source": "a visit",
        }
    ]
    document["adoptions"] = [
        {
            "profile": "first-profile",
            "by": "an authority",
            "basis": "a law",
            "from": date(2026, 1, 1),
            "until": date(2027, 1, 1),
            "source": "a gazette",
        }
    ]
    document["waivers"] = [
        {
            "rule": "first-profile/first-rule",
            "subject": "first-flow @ first-segment",
            "role": "head of compliance",
            "reason": "being replaced",
            "from": date(2026, 1, 1),
            "until": date(2026, 6, 1),
        }
    ]
    return document


def entity(kind: EntityKind) -> Document:
    """Return an entity with all fields of its kind."""
    about = {"source": "another register", "as_of": date(2025, 12, 1)}
    about |= {"expires": date(2027, 1, 1), "synthetic": True}
    return {
        "id": f"first-{kind.name}",
        "name": f"The first {kind.name}",
        **about,
        "provenance": {kind.fields[0].name: dict(about)},
        **{field.name: value(field) for field in kind.fields},
    }


def organisations() -> list[Document]:
    """Return a firm, a branch, a person and a firm of two states: together they have all fields of an organisation."""
    whole = entity(KINDS[ORGANISATION])
    forms = {"first": "state", "second": "branch_of", "third": "person", "fourth": "organised_in"}
    made = []
    for place, (number, form) in enumerate(forms.items()):
        without = {*EXCLUDED.get(form, ()), *({*EXCLUDED} - {form} if form != "person" else {"organised_in"})}
        fields = {name: each for name, each in whole.items() if name not in without}
        about = whole["provenance"]["state"]
        key = f"{0xAB + place:02x}" * 32  # one key belongs to one organisation
        made.append({**fields, "id": f"{number}-organisation", "key": key, "provenance": {form: about}})
    return made


def value(field: Field) -> Any:
    """Return a valid value of a field."""
    if field.type is Type.ELEMENTS:
        inner = {each.name: value(each) for each in field.fields}
        return [{**inner, "from": date(2020, 1, 1), "until": date(2030, 1, 1)}]
    if field.type is Type.REFERENCES:
        return [f"first-{field.kinds[0]}", second(field.kinds[0])][: field.least or 1]
    text = _text(field)
    simple = {
        Type.TEXT: text,
        Type.WORDS: [text],
        Type.STATE: "AA",
        Type.STATES: ["AA", "BB"],
        Type.BOOLEAN: True,
        Type.INTEGER: field.least or 0,
        Type.DATE: date(2026, 1, 1),
        Type.MOMENT: datetime(2026, 1, 1, 12, tzinfo=UTC),
        Type.REFERENCE: f"first-{field.kinds[0] if field.kinds else ''}",
    }
    return simple[field.type]


def second(kind: str) -> str:
    return f"second-{kind}"


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every key and every item of a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield (*path, key)
        yield from places(each, (*path, key))


def _text(field: Field) -> str:
    patterns = {"[0-9a-f]{64}": "ab" * 32, "[A-Z]{3}": "CNY"}
    if field.words:
        return field.words[0]
    return patterns.get(field.pattern, "AAAABBCC" if field.pattern else "some text")


def _tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(str(key))} = {_inline(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_inline(each) for each in value) + "]"
    return value.isoformat() if isinstance(value, date) else json.dumps(value, ensure_ascii=False)
