"""The published schemas are up to date, accept all shipped files, and agree with the readers."""

from __future__ import annotations

import copy
import json
import random
import tomllib
from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.compliance import declared
from tests.compliance.declared import Document

from sycee import data
from sycee.compliance import declarations, memberships, profile_reader, profiles
from sycee.compliance.canonical import plain
from sycee.compliance.vocabulary import CONTROLLED_BY, KINDS, LISTED, SETS, TESTS
from sycee.core import documents
from sycee.core.errors import UsageError
from tools import compliance_schemas, pages

Way = tuple[str | int, ...]

ROOT = Path(__file__).resolve().parents[2]
DAY = date(2026, 1, 1)


# --- documents with every key ---


def profile() -> Document:
    """Return a profile with every key, and a rule with a condition of every test."""
    personal = {"fact": "classes", "test": "any-in", "values": ["personal"]}
    keeper = {"fact": "stored.at.operator", "test": "controlled-by", "set": "home"}
    conditions: list[Document] = [
        {"fact": "from.state", "test": "any-in", "set": "home", "negate": True},
        {"fact": "subject_states", "test": "all-in", "values": ["AA"]},
        {"fact": "stored.at.state", "test": "none-in", "facts": "subject_states"},
        {"fact": "from.organisation", "test": "any-listed", "list": "first-list", "purposes": "purpose"},
        {"fact": "to.organisation", "test": "none-listed", "list": "first-list", "parts": "via.equipment.part"},
        {"fact": "stored", "test": "declared"},
        {"fact": "incidental", "test": "is-true", "self_declared": True},
        {"fact": "cross_border", "test": "is-false"},
        {"fact": "persons_12m", "test": "at-most", "limit": 10_000},
        {"fact": "amount_minor", "test": "at-least", "limit": 1},
        {"fact": "persons_12m", "test": "sum-at-most", "limit": 10_000, "among": [dict(personal)], "through": [keeper]},
        {"some": "stored", "having": [{"fact": "at.state", "test": "any-in", "set": "home"}], "negate": True},
        {"fact": "to.organisation", "test": "controlled-by", "set": "home", "home": "home", "outside": True},
        {"test": "attested", "topic": "no-backdoors", "at_least": "third-party", "of": "from.organisation"},
        {"any": [{"fact": "purpose", "test": "any-in", "values": ["payment"]}, {"fact": "via", "test": "declared"}]},
    ]
    conditions[4] |= {"control_bp": 2_500, "affiliates": True}
    states = next(each for each in conditions if each.get("test") == "controlled-by")
    states |= {"contracts": True, "control_bp": 2_500, "chain": "multiply", "ties": ["organised", "citizen"]}
    in_time: Document = {"fact": "at", "test": "returned-in-time", "hours": 24, "business_days": 1}
    in_time |= {"zone": "Asia/Shanghai", "weekend": ["sunday"], "holidays": "holidays"}
    rule: Document = {
        "id": "first-rule",
        "title": "A rule",
        "level": "flow",
        "addressee": "company",
        "kind": "checked",
        "source": "text",
        "clause": "1",
        "remedy": "another operator",
        "interpretation": "ours",
        "when_unknown": "fail",
        "when": conditions,
        "unless": [{"fact": "incidental", "test": "is-true"}, {"named": "abroad"}],
        "each": "processed",
        "where": [{"fact": "at.state", "test": "none-in", "set": "home"}],
        "require": [in_time],
        "complete": "inventory-complete",
        "from": DAY,
        "until": date(2030, 1, 1),
    }
    keeping: Document = {key: rule[key] for key in ("title", "addressee", "kind", "source", "remedy")}
    keeping |= {"id": "second-rule", "level": "participant", "each": "exclusions", "basis": "basis"}
    on_path: Document = {key: rule[key] for key in ("title", "addressee", "kind", "source", "remedy")}
    on_path |= {"id": "third-rule", "level": "edge"}
    return {
        "id": "first-profile",
        "version": 1,
        "title": "A profile",
        "status": "pledge",
        "issuer": "somebody",
        "effective_from": DAY,
        "effective_until": date(2030, 1, 1),
        "reviewed": DAY,
        "summary": "what it is",
        "limits": "what it is not",
        "sources": [{"id": "text", "title": "The text", "publisher": "somebody", "date": DAY, "at_hand": True}],
        "sets": {"home": ["AA"], "holidays": ["2026-01-01"]},
        "conditions": {"abroad": [{"fact": "to.state", "test": "none-in", "set": "home"}]},
        "members": [{"set": "home", "value": "BB", "from": DAY, "until": date(2030, 1, 1), "source": "text"}],
        "adoptions": [
            {"by": "an authority", "basis": "a law", "from": DAY, "until": date(2030, 1, 1), "source": "a gazette"}
        ],
        "touches": [{"level": "flow", "fact": "to.state", "test": "any-in", "set": "home"}],
        "rules": [
            rule,
            {**keeping, "require": [{"fact": "evidence", "test": "declared"}]},
            {
                **on_path,
                "flow": [{"fact": "purpose", "test": "any-in", "values": ["diplomatic"]}],
                "require": [{"fact": "operator", "test": "none-listed", "list": "first-list"}],
            },
        ],
        "coverage": {
            "source": "text",
            "transactions": "all",
            "parties": "all",
            "exemptions": "none",
            "classes": ["payment"],
            "outside_classes": ["valuable-ip"],
            "purposes": ["payment"],
            "outside_purposes": ["diplomatic"],
            "outside": "section 1",
            "when": [{"named": "abroad"}],
            "not_modelled": [{"what": "time", "clause": "2"}],
        },
    }  # fmt: skip


def listing() -> Document:
    """Return a list with every key."""
    return {
        "id": "first-list",
        "title": "A list",
        "publisher": "somebody",
        "as_of": DAY,
        "valid_until": date(2030, 1, 1),
        "covers_from": date(2025, 1, 1),
        "complete": True,
        "note": "re-typed",
        "sources": profile()["sources"],
        "rows": [
            {
                "party": "somebody else",
                "also": ["lei:1"],
                "aliases": [{"name": "somebody, in another script", "source": "text", "note": "a note"}],
                "owners": [{"name": "an owner", "source": "text", "note": "a note", "state": True}],
                "status": "pending",
                "parts": ["transmission"],
                "purposes": ["payment", "first-profile/wages"],
                "from": DAY,
                "until": date(2030, 1, 1),
                "source": "text",
                "note": "as published",
            }
        ],
    }


def members() -> Document:
    """Return a list of members with every key."""
    return {
        "profile": "first-profile",
        "title": "Members",
        "as_of": DAY,
        "note": "those found",
        "sources": profile()["sources"],
        "rows": [
            {
                "party": "somebody",
                "kind": "organisation",
                "states": ["AA", "BB"],
                "relation": "signed",
                "from": DAY,
                "until": date(2030, 1, 1),
                "said_by": "somebody else",
                "source": "text",
                "note": "as published",
            }
        ],
    }


WHOLE: dict[str, Callable[[], Document]] = {
    "declarations": declared.whole,
    "profile": profile,
    "list": listing,
    "members": members,
}
READ: dict[str, Callable[[str], object]] = {
    "declarations": lambda text: declarations.parse(text, "it.toml"),
    "profile": lambda text: profile_reader.parse_profile(documents.parse(text, "it.toml")),
    "list": lambda text: profiles.parse_list(documents.parse(text, "it.toml")),
    "members": lambda text: memberships.parse(documents.parse(text, "it.toml")),
}


@cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(compliance_schemas.texts()[f"{name}.schema.json"]))


def wrong(name: str, document: Document) -> str:
    """Return the error of the schema; empty if the document is valid."""
    error = jsonschema.exceptions.best_match(validator(name).iter_errors(plain(document)))
    return error.message if error else ""


def refused(name: str, document: Document) -> str:
    """Return the error of the reader; empty if the document is valid."""
    try:
        READ[name](declared.toml(document))
    except UsageError as error:
        return error.message
    return ""


# --- published files ---


def test_published_files_are_up_to_date() -> None:
    assert pages.stale() == [], f"run {pages.COMMAND}"


@pytest.mark.parametrize("name", WHOLE)
def test_schemas_are_schemas(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(validator(name).schema)


@pytest.mark.parametrize("name", data.names("profiles"))
def test_shipped_profiles_are_valid(name: str) -> None:
    assert wrong("profile", tomllib.loads(data.content("profiles", name).decode())) == ""


@pytest.mark.parametrize("name", data.names("lists"))
def test_shipped_lists_are_valid(name: str) -> None:
    assert wrong("list", tomllib.loads(data.content("lists", name).decode())) == ""


@pytest.mark.parametrize("name", memberships.shipped())
def test_shipped_lists_of_members_are_valid(name: str) -> None:
    assert wrong("members", tomllib.loads(data.content("memberships", name).decode())) == ""


def test_shipped_and_documented_declarations_are_valid() -> None:
    files = [*ROOT.glob("src/sycee/data/cases/*.toml"), *ROOT.glob("examples/**/*.toml")]
    said = ("network", "attestations", "adoptions", "waivers", *(kind.plural for kind in KINDS.values()))
    found = {}
    for file in files:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        # A golden case has a network and expectations; a profile has rules, and a list has rows.
        if not {"rules", "rows"} & document.keys():
            found[file.name] = wrong("declarations", {key: document[key] for key in said if key in document})
    assert {name: problem for name, problem in found.items() if problem} == {}


# --- schema and reader agree ---


@pytest.mark.parametrize("name", WHOLE)
def test_a_document_with_every_key_is_valid_for_both(name: str) -> None:
    assert wrong(name, WHOLE[name]()) == ""
    assert refused(name, WHOLE[name]()) == ""


def test_the_profile_with_every_key_has_every_test() -> None:
    tests = {each for each in TESTS if f'"test": "{each}"' in json.dumps(plain(profile()))}
    assert tests == set(TESTS)


@pytest.mark.parametrize("name", WHOLE)
def test_the_document_has_every_key_of_its_schema(name: str) -> None:
    """The comparison below must not omit a key."""
    said = {path[-1] for path in declared.places(WHOLE[name]())}
    keys = {key for each in objects(validator(name).schema) for key in each["properties"]}
    assert keys - said <= {"signature"}  # tested separately


def objects(of: Any) -> list[Any]:
    inner = of.values() if isinstance(of, dict) else of if isinstance(of, list) else ()
    found = [each for part in inner for each in objects(part)]
    return [*found, of] if isinstance(of, dict) and isinstance(of.get("additionalProperties"), bool) else found


OTHER_TYPES = (-7, True, "Some text", [], {}, "")


def changes(document: Document, under: Way, types: int) -> list[tuple[str, Document]]:
    """Return the document with each key left out, mistyped, and with values of other types."""
    made: list[tuple[str, Document]] = []
    for path in declared.places(document):
        if path[: len(under)] != under:
            continue
        *way, last = path
        where = documents.dotted(path)
        if isinstance(last, str):
            for what, name in (("left out", None), ("mistyped", f"{last}_")):
                other = copy.deepcopy(document)
                table = within(other, way)
                kept = table.pop(last)
                if name:
                    table[name] = kept
                made.append((f"{where} {what}", other))
        for value in random.Random(where).sample(OTHER_TYPES, types):
            other = copy.deepcopy(document)
            table = within(other, way)
            if value != table[last]:
                table[last] = value
                made.append((f"{where} = {value!r}", other))
    return made


def within(document: Any, way: list[str | int]) -> Any:
    for key in way:
        document = document[key]
    return document


# Checked by the reader alone: existing ids, sets and sources, valid paths, and some maxima.
READER_ONLY = (
    "network left out", "sets", ".set =", "holidays =", "zone =", "values[1] =", "values =", "is not declared",
    "does not declare", "is an organisation", "is a participant", "is there twice", "is not a list of tables", "has no",
    "excludes", "a fact of a natural person", "home =", "no shares of an employer",
    "named =", "conditions left out", "conditions mistyped", "conditions =", "abroad left out", "abroad mistyped",
    "members[1].value",
)  # fmt: skip


def parts(name: str) -> list[tuple[Document, Way]]:
    """Return small documents that together have every key, and in each the path where it is changed."""
    document = WHOLE[name]()
    if name == "declarations":
        return [({"network": document["network"], key: document[key]}, ()) for key in document if key != "network"]
    if name == "profile":
        conditions = document["rules"][0].pop("when")
        rule = {**document["rules"][0], "when": conditions}
        small = {key: document[key] for key in document if key not in ("adoptions", "touches", "rules", "coverage")}
        way = ("rules", 0, "when", 0)
        return [(document, ()), *(({**small, "rules": [{**rule, "when": [each]}]}, way) for each in conditions)]
    return [(document, ())]


each_part = pytest.mark.parametrize(
    ("name", "part"), [(name, part) for name in WHOLE for part in range(len(parts(name)))]
)


@each_part
def test_schema_and_reader_refuse_the_same_documents(name: str, part: int) -> None:
    require_agreement(name, part, 1)


@pytest.mark.soak
@each_part
def test_schema_and_reader_agree_about_every_type(name: str, part: int) -> None:
    require_agreement(name, part, len(OTHER_TYPES))


def require_agreement(name: str, part: int, types: int) -> None:
    only_schema, only_reader, both = [], [], 0
    for what, other in changes(*parts(name)[part], types):
        taken, message = validator(name).is_valid(plain(other)), refused(name, other)
        both += bool(message) and not taken
        if not taken and not message:
            only_schema.append(what)
        if taken and message and not any(reason in f"{what}: {message}" for reason in READER_ONLY):
            only_reader.append((what, message.splitlines()[0]))
    assert only_schema == []
    assert only_reader == []
    assert both > 3 * types


def test_only_listed_words_and_words_of_profiles_are_valid() -> None:
    for value, right in (("payment", True), ("paymnt", False), ("first-profile/wages", True), ("First/wages", False)):
        document = declared.whole()
        document["flows"][0]["purpose"] = value
        assert (wrong("declarations", document) == "") is right
        assert (refused("declarations", document) == "") is right


@pytest.mark.parametrize(("code", "right"), [("AA", True), ("XK", True), ("USA", False), ("U1", False), ("QL", False)])
def test_a_state_is_a_code_in_every_field(code: str, right: bool) -> None:
    """A mistyped state would be one that no rule covers."""
    document = declared.whole()
    document["facilities"][0]["state"] = code
    assert (wrong("declarations", document) == "") is right
    assert (refused("declarations", document) == "") is right
    for place in ("sets", "rules"):
        regime = profile()
        if place == "sets":
            regime["sets"]["home"] = [code]
        else:
            regime["rules"][0]["when"][1]["values"] = [code]
        assert (refused("profile", regime) == "") is right


def test_a_signed_assurance_needs_a_signature() -> None:
    document = declared.whole()
    document["attestations"][0]["assurance"] = "third-party"
    assert "'signature' is a required property" in wrong("declarations", document)
    document["attestations"][0]["signature"] = "00" * 64
    assert wrong("declarations", document) == ""


@pytest.mark.parametrize("test", TESTS)
def test_a_test_accepts_no_arguments_of_another(test: str) -> None:
    document = profile()
    (condition,) = [each for each in document["rules"][0]["when"] if each.get("test") == test] or document["rules"][0][
        "require"
    ]
    condition["limit" if test in (*SETS, *LISTED, CONTROLLED_BY, "attested") else "set"] = 1
    assert wrong("profile", document)
    assert refused("profile", document)
