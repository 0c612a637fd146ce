"""JSON Schemas (draft 2020-12) of declarations, profiles and lists, for editors and for programs that write them.

Made of the same tables that the readers go by. A schema sees one document, as JSON: dates are texts in it. What only
the readers can see (whether an id is declared, a path of facts can be, a signature verifies) is theirs to say, so a
document that a schema takes may still be wrong; one that it refuses is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sycee.compliance import attestations, profiles, territories, vocabulary
from sycee.compliance.verdicts import ON_PATH
from sycee.compliance.vocabulary import BASIS_POINTS, KINDS, LEVELS, TESTS, Field, Kind, Type

Schema = dict[str, Any]

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"

_LINE_MAX: Final = 100
_PATH: Final = "[a-z_0-9]+([.][a-z_0-9]+)*"
_MOMENT: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})"
_BOOLEAN: Final[Schema] = {"type": "boolean"}
_DEFINITIONS: Final[Mapping[str, Schema]] = {
    "text": {"type": "string", "pattern": r"\S"},
    "name": {"type": "string", "pattern": f"^{vocabulary.NAME}$"},
    "rule_name": {"type": "string", "pattern": f"^{vocabulary.RULE_NAME}$"},
    "topic": {"type": "string", "pattern": f"^{vocabulary.TOPIC}$"},
    "state": {"type": "string", "pattern": f"^({territories.pattern()})$"},
    "path": {"type": "string", "pattern": f"^{_PATH}$"},
    "date": {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
    "moment": {"type": "string", "format": "date-time", "pattern": f"^{_MOMENT}$"},
}


def texts() -> dict[str, str]:
    """The files of the schemas, by name, as they are published."""
    made = {"declarations": of_declarations(), "profile": of_profiles(), "list": of_lists()}
    return {f"{name}.schema.json": _written(schema) + "\n" for name, schema in made.items()}


def of_declarations() -> Schema:
    """The schema of one file of declarations."""
    lists = {kind.plural: _list(_ref(kind.name), kind.meaning) for kind in KINDS.values()}
    rest = {"attestations": "who vouches for what", "adoptions": "who made a profile binding", "waivers": "who let off"}
    others = {name: _list(_ref(name.removesuffix("s")), meaning) for name, meaning in rest.items()}
    schema = _object({"network": _ref("network"), **lists, **others}, required=())
    definitions = {kind.name: _entity(kind) for kind in KINDS.values()}
    definitions |= {"network": _network(), "attestation": _attestation(), "waiver": _waiver()}
    definitions |= {"adoption": _adoption(profile=True), "provenance": _object(_about(), required=())}
    return _document("Declarations about a network", schema, definitions)


def of_profiles() -> Schema:
    """The schema of a profile."""
    schema = _object(
        {
            "id": _ref("name"),
            "version": _integer(least=1),
            "title": _ref("text"),
            "status": _enum(profiles.STATUSES),
            "issuer": _ref("text"),
            "effective_from": _ref("date"),
            "effective_until": _ref("date"),
            "reviewed": _ref("date"),
            "summary": _ref("text"),
            "limits": _ref("text"),
            "sources": _list(_ref("source"), least=1),
            "sets": {"type": "object", "additionalProperties": _words_of("text", least=1)},
            "adoptions": _list(_ref("adoption"), least=1),
            "supporters": _list(_ref("supporter"), least=1),
            "touches": _list(_ref("touch"), least=1),
            "rules": _list(_ref("rule"), least=1),
        },
        optional=("effective_until", "sets", "adoptions", "supporters", "touches"),
    )
    definitions = {
        "source": _source(),
        "adoption": _adoption(profile=False),
        "supporter": _supporter(),
        "condition": _condition({}),
        "touch": _condition({"level": _enum(tuple(LEVELS))}),
        "rule": _rule(),
    }
    return _document("A profile: a regime as data", schema, definitions)


def of_lists() -> Schema:
    """The schema of a list of parties."""
    schema = _object(
        {
            "id": _ref("name"),
            "title": _ref("text"),
            "publisher": _ref("text"),
            "as_of": _ref("date"),
            "valid_until": _ref("date"),
            "complete": _BOOLEAN,
            "sources": _list(_ref("source"), least=1),
            "rows": _list(_ref("row"), least=1),
            "note": _ref("text"),
        },
        optional=("valid_until", "rows", "note"),
    )
    return _document("A list of parties", schema, {"source": _source(), "row": _row()})


def _written(value: Any, before: str = "") -> str:
    """JSON for people: whatever fits on a line is on one."""
    line = json.dumps(value)
    if len(before) + len(line) <= _LINE_MAX or not isinstance(value, dict | list):
        return line
    inner = f"{before} "
    if isinstance(value, list):
        return "[\n" + ",\n".join(f"{inner}{_written(each, inner)}" for each in value) + f"\n{before}]"
    parts = (f"{inner}{json.dumps(key)}: {_written(each, inner)}" for key, each in value.items())
    return "{\n" + ",\n".join(parts) + f"\n{before}}}"


def _document(title: str, schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """A whole schema, with those of the shared definitions that it uses."""
    written = json.dumps([schema, dict(definitions)])
    used = {name: each for name, each in _DEFINITIONS.items() if f'"#/$defs/{name}"' in written}
    return {"$schema": DRAFT, "title": title, **schema, "$defs": {**used, **definitions}}


def _entity(kind: Kind) -> Schema:
    fields = {field.name: _field(field) for field in kind.fields}
    provenance = _object({name: _ref("provenance") for name in fields}, required=())
    own: Schema = {"id": _ref("name"), "name": _ref("text"), **_about(), "provenance": provenance}
    return {"description": kind.meaning, **_object({**own, **fields}, required=("id",))}


def _about() -> dict[str, Schema]:
    return {
        "source": _ref("text"),
        "as_of": _ref("date"),
        "expires": _ref("date"),
        "synthetic": _BOOLEAN,
    }


def _field(field: Field) -> Schema:
    return {"description": field.meaning, **_value(field)}


def _value(field: Field) -> Schema:
    bounds = {"least": field.least, "most": field.most}
    if field.type is Type.ELEMENTS:
        fields = {each.name: _field(each) for each in field.fields}
        return _list(_object({**fields, "from": _ref("date"), "until": _ref("date")}, required=()))
    if field.type is Type.INTEGER:
        return _integer(**bounds)
    if field.type in (Type.REFERENCES, Type.STATES):
        return _words_of("state" if field.type is Type.STATES else "name", **bounds)
    if field.type is Type.WORDS:
        return {"type": "array", "items": _text(field), "uniqueItems": True}
    simple: Mapping[Type, Schema] = {
        Type.STATE: _ref("state"),
        Type.BOOLEAN: _BOOLEAN,
        Type.DATE: _ref("date"),
        Type.MOMENT: _ref("moment"),
        Type.REFERENCE: _ref("name"),
    }
    return simple.get(field.type) or _text(field)


def _text(field: Field) -> Schema:
    if field.words:
        return _word(field.words)
    return {"type": "string", "pattern": f"^({field.pattern})$"} if field.pattern else _ref("text")


def _word(words: Sequence[str]) -> Schema:
    return {"anyOf": [_enum(words), _ref("rule_name")]}


def _network() -> Schema:
    head = {"id": _ref("name"), "title": _ref("text"), "undeclared": _words_of("text"), **_about()}
    del head["expires"]
    return _object(head, required=("id", "title", "as_of"))


def _attestation() -> Schema:
    signed = [each.word for each in attestations.SIGNED]
    schema = _object(
        {
            "subject": _ref("name"),
            "topics": _words_of("topic", least=1),
            "facts": _words_of("text", least=1),
            "assurance": _enum(tuple(attestations.WORDS)),
            "by": _ref("name"),
            "as_of": _ref("date"),
            "expires": _ref("date"),
            "source": _ref("text"),
            "signature": {"type": "string", "pattern": f"^{attestations.SIGNATURE_PATTERN}$"},
        },
        required=("subject", "assurance", "by"),
    )
    return {
        **schema,
        "anyOf": [{"required": ["topics"]}, {"required": ["facts"]}],
        "if": {"properties": {"assurance": {"enum": signed}}, "required": ["assurance"]},
        "then": {"required": ["signature"]},
    }


def _waiver() -> Schema:
    subject = f"^{vocabulary.NAME}({ON_PATH}{vocabulary.NAME})?$"
    return _object(
        {
            "rule": _ref("rule_name"),
            "subject": {"type": "string", "pattern": subject},
            "role": _ref("text"),
            "reason": _ref("text"),
            "from": _ref("date"),
            "until": _ref("date"),
        }
    )


def _adoption(*, profile: bool) -> Schema:
    named: Schema = {"profile": _ref("name")} if profile else {}
    dated = {"from": _ref("date"), "until": _ref("date"), "source": _ref("text")}
    return _object({**named, "by": _ref("text"), "basis": _ref("text"), **dated}, optional=("until", "source"))


def _supporter() -> Schema:
    dated = {"from": _ref("date"), "until": _ref("date"), "source": _ref("name")}
    return _object({"by": _ref("text"), "relation": _ref("text"), **dated}, optional=("until",))


def _source() -> Schema:
    return _object(
        {
            "id": _ref("name"),
            "title": _ref("text"),
            "publisher": _ref("text"),
            "date": _ref("date"),
            "at_hand": _BOOLEAN,
        }
    )


def _row() -> Schema:
    return _object(
        {
            "party": _ref("text"),
            "also": _words_of("text", least=1),
            "status": _enum(profiles.ROW_STATUSES),
            "parts": {"type": "array", "items": _word(vocabulary.PARTS), "uniqueItems": True, "minItems": 1},
            "purposes": {"type": "array", "items": _word(vocabulary.PURPOSES), "uniqueItems": True, "minItems": 1},
            "from": _ref("date"),
            "until": _ref("date"),
            "source": _ref("name"),
            "note": _ref("text"),
        },
        required=("party", "source"),
    )


def _rule() -> Schema:
    conditions = _list(_ref("condition"), least=1)
    texts = {name: _ref("text") for name in ("title", "clause", "remedy", "interpretation", "complete")}
    schema = _object(
        {
            "id": _ref("name"),
            **texts,
            "source": _ref("name"),
            "level": _enum(tuple(LEVELS)),
            "addressee": _enum(profiles.ADDRESSEES),
            "kind": _enum(profiles.RULE_KINDS),
            "when_unknown": _enum(("unknown", "fail")),
            "each": _ref("path"),
            "basis": _ref("path"),
            "flow": conditions,
            "when": conditions,
            "unless": conditions,
            "where": conditions,
            "require": conditions,
        },
        required=("id", "title", "level", "addressee", "kind", "source", "remedy", "require"),
    )
    on_a_path = {"properties": {"level": {"enum": list(vocabulary.PATH_LEVELS)}}}
    return {**schema, "dependentSchemas": {"flow": on_a_path}, "dependentRequired": {"where": ["each"]}}


def _condition(more: Mapping[str, Schema]) -> Schema:
    """One test of one fact, or several of which one must hold; `more` is what stands beside."""
    any_of = _object({**more, "any": _list(_ref("condition"), least=1)})
    return {"oneOf": [any_of, *(_tests(names, arguments, more) for names, arguments in _arguments())]}


def _tests(names: Sequence[str], arguments: Mapping[str, Schema], more: Mapping[str, Schema]) -> Schema:
    """The tests that take these arguments, and no others."""
    fact = {} if vocabulary.ATTESTED in names else {"fact": _ref("path")}
    test = {"oneOf": [{"const": name, "description": TESTS[name]} for name in names]}
    needed = {"limit", "topic", "list", "hours", "business_days", "zone"} & arguments.keys()
    known = {**more, **fact, "test": test, "negate": _BOOLEAN, **arguments}
    schema = _object(known, required=(*more, *fact, "test", *sorted(needed)))
    if names == vocabulary.SETS:
        schema["oneOf"] = [{"required": [each]} for each in arguments]
    return schema


def _arguments() -> list[tuple[Sequence[str], dict[str, Schema]]]:
    """What tests take: each group of tests with its arguments."""
    values = {"set": _ref("text"), "values": _words_of("text", least=1), "facts": _ref("path")}
    listed = {
        "list": _ref("text"),
        "parts": _ref("path"),
        "purposes": _ref("path"),
        "control_bp": _integer(least=1, most=BASIS_POINTS),
    }
    attested = {"topic": _ref("text"), "at_least": _enum(profiles.ASSURANCES), "of": _ref("path")}
    in_time = {
        "hours": _integer(least=1),
        "business_days": _integer(least=0),
        "zone": _ref("text"),
        "holidays": _ref("text"),
        "weekend": {"type": "array", "items": _enum(profiles.DAYS), "uniqueItems": True, "minItems": 1},
    }
    groups: list[tuple[Sequence[str], dict[str, Schema]]] = [
        (vocabulary.SETS, values),
        (vocabulary.LISTED, listed),
        ((vocabulary.AT_MOST, vocabulary.AT_LEAST), {"limit": _integer()}),
        ((vocabulary.ATTESTED,), attested),
        ((vocabulary.RETURNED_IN_TIME,), in_time),
    ]
    grouped = [name for names, _ in groups for name in names]
    return [*groups, ([name for name in TESTS if name not in grouped], {})]


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _enum(words: Sequence[str]) -> Schema:
    return {"enum": list(words)}


def _integer(least: int | None = None, most: int | None = None) -> Schema:
    bounds = {"minimum": least, "maximum": most}
    return {"type": "integer", **{name: bound for name, bound in bounds.items() if bound is not None}}


def _words_of(name: str, least: int | None = None, most: int | None = None) -> Schema:
    bounds = {"minItems": least, "maxItems": most}
    bounded = {key: bound for key, bound in bounds.items() if bound is not None}
    return {"type": "array", "items": _ref(name), "uniqueItems": True, **bounded}


def _list(items: Schema, meaning: str = "", least: int = 0) -> Schema:
    described = {"description": meaning} if meaning else {}
    bounded = {"minItems": least} if least else {}
    return {**described, "type": "array", "items": items, **bounded}


def _object(
    properties: Mapping[str, Schema], *, required: Sequence[str] | None = None, optional: Sequence[str] = ()
) -> Schema:
    """A table that has these keys and no others: all of them, but for those that are optional; or those required."""
    needed = [name for name in properties if name not in optional] if required is None else list(required)
    return {
        "type": "object",
        "properties": dict(properties),
        **({"required": needed} if needed else {}),
        "additionalProperties": False,
    }
