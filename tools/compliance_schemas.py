"""JSON Schemas (draft 2020-12) of declarations, profiles, lists and lists of members; `tools.pages` writes the files.

They are generated from the tables that the readers use. A schema sees one document as JSON, in which dates are texts.
It cannot check whether an id is declared, a path of facts exists or a signature verifies. So a document that is valid
by its schema may still be refused by the reader; a document that the schema refuses is always invalid.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from sycee.compliance import attestations, profiles, territories, vocabulary
from sycee.compliance.coverage import Coverage, Gap
from sycee.compliance.document_fields import keys
from sycee.compliance.facts import Adoption, Assurance, Attestation, Waiver
from sycee.compliance.memberships import MemberList, Membership
from sycee.compliance.profiles import Alias, Condition, List, Member, Profile, Row, RowOwner, Rule, Source
from sycee.compliance.verdicts import ON_PATH
from sycee.compliance.vocabulary import KINDS, LEVELS, TESTS, EntityKind, Field, Type

Schema = dict[str, Any]

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"

_LINE_MAX: Final = 100
_PATH: Final = "[a-z_0-9]+([.][a-z_0-9]+)*"
_MOMENT: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})"
_SETS: Final = ("set", "values", "facts")  # arguments of which a test has exactly one
_BOOLEAN: Final[Schema] = {"type": "boolean"}
_PATTERNS: Final = {vocabulary.NAME: "name", vocabulary.RULE_NAME: "rule_name", vocabulary.TOPIC: "topic"}
_BY_FIRST_LETTER: Final = groupby(sorted(territories.codes()), key=lambda code: code[0])
STATE_PATTERN: Final = "|".join(f"{first}[{''.join(code[1] for code in group)}]" for first, group in _BY_FIRST_LETTER)
_DEFINITIONS: Final[Mapping[str, Schema]] = {
    "text": {"type": "string", "pattern": r"\S"},
    "name": {"type": "string", "pattern": f"^{vocabulary.NAME}$"},
    "rule_name": {"type": "string", "pattern": f"^{vocabulary.RULE_NAME}$"},
    "topic": {"type": "string", "pattern": f"^{vocabulary.TOPIC}$"},
    "state": {"type": "string", "pattern": f"^({STATE_PATTERN})$"},
    "path": {"type": "string", "pattern": f"^{_PATH}$"},
    "date": {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
    "moment": {"type": "string", "format": "date-time", "pattern": f"^{_MOMENT}$"},
}


def texts() -> dict[str, str]:
    """Return the content of the published schema files, by name."""
    schemas = {"declarations": of_declarations(), "profile": of_profiles(), "list": of_lists(), "members": of_members()}
    return {f"{name}.schema.json": _json(schema) + "\n" for name, schema in schemas.items()}


def of_declarations() -> Schema:
    """Return the schema of one file of declarations."""
    lists = {kind.plural: _list(_ref(kind.name), kind.meaning) for kind in KINDS.values()}
    rest = {
        "attestations": "confirmations by organisations",
        "adoptions": "adoptions of profiles by authorities",
        "waivers": "exemptions of subjects from rules",
    }
    others = {name: _list(_ref(name.removesuffix("s")), meaning) for name, meaning in rest.items()}
    schema = _object({"network": _ref("network"), **lists, **others}, required=())
    definitions = {kind.name: _entity(kind) for kind in KINDS.values()}
    definitions |= {"network": _network(), "attestation": _attestation(), "waiver": _waiver()}
    definitions |= {"adoption": _table(Adoption), "provenance": _object(_provenance(), required=())}
    return _document("Declarations about a network", schema, definitions)


def of_profiles() -> Schema:
    """Return the schema of a profile."""
    own = {"id": _ref("name"), "sets": {"type": "object", "additionalProperties": _set_of("text", least=0)}}
    tables = ("sources", "members", "adoptions", "rules")
    lists = {name: _list(_ref(name.removesuffix("s")), least=1) for name in tables}
    lists["touches"] = _list(_ref("touch"), least=1)
    own["conditions"] = {"type": "object", "additionalProperties": _list(_ref("condition"), least=1)}
    own["coverage"] = _ref("coverage")
    optional = ("sets", "members", "conditions", "adoptions", "touches", "coverage")
    schema = _table(Profile, {**own, **lists}, optional=optional)
    definitions = {
        "source": _table(Source),
        "adoption": _table(Adoption, without=("profile",)),
        "member": _table(Member, {"set": _ref("text"), "source": _ref("name")}),
        "condition": _condition({}),
        "touch": _condition({"level": _enum(LEVELS)}),
        "coverage": _coverage(),
        "gap": _table(Gap),
        "rule": _rule(),
    }
    return _document("A profile: a regime as data", schema, definitions)


def of_lists() -> Schema:
    """Return the schema of a list of parties."""
    lists = {"sources": _list(_ref("source"), least=1), "rows": _list(_ref("row"), least=1)}
    of_row = {"source": _ref("name"), "aliases": _list(_ref("alias"), least=1), "owners": _list(_ref("owner"))}
    definitions = {
        "source": _table(Source),
        "owner": _table(RowOwner, {"source": _ref("name")}),
        "alias": _table(Alias, {"source": _ref("name")}),
        "row": _table(Row, of_row, optional=("aliases", "owners")),
    }
    return _document("A list of parties", _table(List, lists, optional=("rows",)), definitions)


def of_members() -> Schema:
    """Return the schema of a list of members of a regime."""
    lists = {"sources": _list(_ref("source"), least=1), "rows": _list(_ref("row"), least=1)}
    definitions = {"source": _table(Source), "row": _table(Membership, {"source": _ref("name")})}
    return _document("Members and supporters of a regime", _table(MemberList, lists), definitions)


def _json(value: Any, indent: str = "") -> str:
    """Return JSON with each value on one line if it fits there."""
    line = json.dumps(value)
    if len(indent) + len(line) <= _LINE_MAX or not isinstance(value, dict | list):
        return line
    inner = f"{indent} "
    if isinstance(value, list):
        return "[\n" + ",\n".join(f"{inner}{_json(each, inner)}" for each in value) + f"\n{indent}]"
    parts = (f"{inner}{json.dumps(key)}: {_json(each, inner)}" for key, each in value.items())
    return "{\n" + ",\n".join(parts) + f"\n{indent}}}"


def _document(title: str, schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Return a whole schema, with the shared definitions that it uses."""
    written = json.dumps([schema, dict(definitions)])
    used = {name: each for name, each in _DEFINITIONS.items() if f'"#/$defs/{name}"' in written}
    return {"$schema": DRAFT, "title": title, **schema, "$defs": {**used, **definitions}}


def _entity(kind: EntityKind) -> Schema:
    fields = {field.name: _field(field) for field in kind.fields}
    provenance = _object(_refs("provenance", *fields), required=())
    own: Schema = {"id": _ref("name"), "name": _ref("text"), **_provenance(), "provenance": provenance}
    return {"description": kind.meaning, **_object({**own, **fields}, required=("id",))}


def _provenance() -> dict[str, Schema]:
    reported = _enum([Assurance.REPORTED.word])
    return {"source": _ref("text"), **_refs("date", "as_of", "expires"), "synthetic": _BOOLEAN, "assurance": reported}


def _field(field: Field) -> Schema:
    return {"description": field.meaning, **_value(field)}


def _value(field: Field) -> Schema:
    bounds = {"least": field.least, "most": field.most}
    if field.type is Type.ELEMENTS:
        fields = {each.name: _field(each) for each in field.fields}
        return _list(_object({**fields, **_refs("date", "from", "until")}, required=()))
    if field.type is Type.INTEGER:
        return _integer(**bounds)
    if field.type in (Type.REFERENCES, Type.STATES):
        return _set_of("state" if field.type is Type.STATES else "name", **bounds)
    if field.type is Type.WORDS:
        return {"type": "array", "items": _text(field), "uniqueItems": True, **_bounds(minItems=field.least)}
    if field.type is Type.CHOICE:
        return _enum(field.words)
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
        return {"anyOf": [_enum(field.words), _ref("rule_name")]}
    if field.pattern in _PATTERNS:
        return _ref(_PATTERNS[field.pattern])
    return {"type": "string", "pattern": f"^({field.pattern})$"} if field.pattern else _ref("text")


def _table(
    kind: type, own: Mapping[str, Schema] | None = None, *, optional: Sequence[str] = (), without: Sequence[str] = ()
) -> Schema:
    """Return the schema of a data class, with `own` for keys that its annotations do not describe completely."""
    fields = {field.name: field for name, field in keys(kind).items() if name not in without}
    properties = {**{name: _value(field) for name, field in fields.items()}, **(own or {})}
    needed = [name for name in properties if (name not in fields or fields[name].required) and name not in optional]
    return _object(properties, required=needed)


def _network() -> Schema:
    head = {"id": _ref("name"), "title": _ref("text"), "undeclared": _set_of("text"), **_provenance()}
    del head["expires"]
    return _object(head, required=("id", "title", "as_of"))


def _attestation() -> Schema:
    signed = [each.word for each in attestations.SIGNED]
    allowed = [each.word for each in attestations.ATTESTED]
    own = {
        "assurance": _enum(allowed),
        "signature": {"type": "string", "pattern": f"^{attestations.SIGNATURE_PATTERN}$"},
    }
    return {
        **_table(Attestation, own, optional=("as_of", "signature"), without=("signed",)),
        "anyOf": [{"required": ["topics"]}, {"required": ["facts"]}],
        "if": {"properties": {"assurance": {"enum": signed}}, "required": ["assurance"]},
        "then": {"required": ["signature"]},
    }


def _waiver() -> Schema:
    pattern = f"^{vocabulary.NAME}({ON_PATH}{vocabulary.NAME})?$"
    return _table(Waiver, {"subject": {"type": "string", "pattern": pattern}})


def _rule() -> Schema:
    conditions = _list(_ref("condition"), least=1)
    own = {"level": _enum(LEVELS), **_refs("name", "id", "source"), **_refs("path", "each", "basis")}
    own |= dict.fromkeys(("flow", "when", "unless", "where", "require"), conditions)
    schema = _table(Rule, own, optional=("each", "basis", "flow", "when", "unless", "where"))
    on_a_path = {"properties": {"level": {"enum": list(vocabulary.PATH_LEVELS)}}}
    return {**schema, "dependentSchemas": {"flow": on_a_path}, "dependentRequired": {"where": ["each"]}}


def _coverage() -> Schema:
    conditions, gaps = _list(_ref("condition"), least=1), _list(_ref("gap"), least=1)
    own = {"source": _ref("name"), "when": conditions, "not_modelled": gaps}
    outside = {key: ["outside"] for key in ("outside_classes", "outside_purposes")}
    return {**_table(Coverage, own, optional=("when", "not_modelled")), "dependentRequired": outside}


def _condition(more: Mapping[str, Schema]) -> Schema:
    """Return the schema of one test of one fact, or of several conditions; all have the properties `more` too."""
    conditions = _list(_ref("condition"), least=1)
    any_of = _object({**more, "any": conditions}, required=(*more, "any"))
    keys_of_some = {**more, "some": _ref("path"), "having": conditions, "negate": _BOOLEAN}
    some = _object(keys_of_some, required=(*more, "some", "having"))
    named = _object({**more, "named": _ref("text")}, required=(*more, "named"))
    return {"oneOf": [any_of, some, named, *(_tests(names, arguments, more) for names, arguments in _arguments())]}


def _tests(names: Sequence[str], arguments: Mapping[str, Schema], more: Mapping[str, Schema]) -> Schema:
    """Return the schema of the tests that have these arguments and no others."""
    fact = {} if vocabulary.ATTESTED in names else {"fact": _ref("path")}
    test = {"oneOf": [{"const": name, "description": TESTS[name]} for name in names]}
    described = keys(Condition)
    needed = sorted(name for name in arguments if name == "zone" or (name in described and described[name].required))
    marks = dict.fromkeys(("negate", "self_declared"), _BOOLEAN)
    properties = {**more, **fact, "test": test, **marks, **arguments}
    schema = _object(properties, required=(*more, *fact, "test", *needed))
    sets = [each for each in _SETS if each in arguments]
    if "values" in sets:
        schema["oneOf"] = [{"required": [each]} for each in sets]
    return schema


def _arguments() -> list[tuple[Sequence[str], dict[str, Schema]]]:
    """Return groups of tests, each with its arguments."""
    described = {name: _value(key) for name, key in keys(Condition).items()} | _refs("path", "parts", "purposes", "of")
    described |= {key: _list(_ref("condition"), least=1) for key in ("among", "through")}
    sets = {"set": _ref("text"), "values": _set_of("text", least=1), "facts": _ref("path")}
    weekend = {"type": "array", "items": _enum(profiles.DAYS), "uniqueItems": True, "minItems": 1}
    ties = {"type": "array", "items": _enum(vocabulary.TIES), "uniqueItems": True, "minItems": 1}
    states = {"set": _ref("text"), "values": _set_of("state", least=1), "home": _ref("text"), "ties": ties}
    further = {
        vocabulary.RETURNED_IN_TIME: {**_refs("text", "zone", "holidays"), "weekend": weekend},
        vocabulary.CONTROLLED_BY: states,
    }
    groups: dict[tuple[str, ...], list[str]] = {}
    for test in TESTS:
        if test not in vocabulary.SETS:
            groups.setdefault(profiles.ARGUMENTS.get(test, ()), []).append(test)
    arguments = {names: {name: described[name] for name in names} for names in groups}
    of_groups = [(tests, arguments[names] | further.get(tests[0], {})) for names, tests in groups.items()]
    return [(vocabulary.SETS, sets), *of_groups]


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _refs(name: str, *properties: str) -> dict[str, Schema]:
    return {each: _ref(name) for each in properties}


def _enum(words: Iterable[str]) -> Schema:
    return {"enum": list(words)}


def _bounds(**bounds: int | None) -> Schema:
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _integer(least: int | None = None, most: int | None = None) -> Schema:
    return {"type": "integer", **_bounds(minimum=least, maximum=most)}


def _set_of(name: str, least: int | None = None, most: int | None = None) -> Schema:
    return {"type": "array", "items": _ref(name), "uniqueItems": True, **_bounds(minItems=least, maxItems=most)}


def _list(items: Schema, meaning: str = "", least: int | None = None) -> Schema:
    description = {"description": meaning} if meaning else {}
    return {**description, "type": "array", "items": items, **_bounds(minItems=least)}


def _object(properties: Mapping[str, Schema], *, required: Sequence[str]) -> Schema:
    """Return the schema of a table with these keys and no others."""
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "properties": dict(properties), **needed, "additionalProperties": False}
