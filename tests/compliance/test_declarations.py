"""Declarations: values, unknown facts, and errors with their place."""

from __future__ import annotations

import os
import re
import tempfile
from datetime import date
from pathlib import Path
from string import ascii_uppercase

import pytest
from tests.compliance import declared
from tests.forked import MAY_FORK, in_child

from sycee.compliance import declarations, territories
from sycee.compliance.facts import Assurance, Element
from sycee.compliance.judging import cases
from sycee.compliance.vocabulary import KINDS, Type
from sycee.core import documents
from sycee.core.documents import DocumentError
from sycee.core.errors import SyceeError, UsageError
from tools import compliance_schemas

pytestmark = pytest.mark.fast

HEAD = '[network]\nid = "net"\ntitle = "A network"\nas_of = 2026-01-31\n'
NETWORK = (
    HEAD
    + """source = "a register"
synthetic = true

[[organisations]]
id = "holding"
state = "AA"
owners = []

[[organisations]]
id = "first-bank-company"
owners = [
  { owner = "holding", share_bp = 6_000, from = 2020-01-01 },
  { owner = "others", share_bp = 4_000, until = 2025-01-01 },
]

[[participants]]
id = "first-bank"
name = "First Bank"
source = "its own return"
as_of = 2026-01-15
synthetic = false
organisation = "first-bank-company"
state = "AA"
apps = []
licences = [{ state = "AA", authority = "An authority", until = 2027-01-01 }]
provenance = { licences = { source = "the licence", as_of = 2020-05-01, expires = 2027-01-01 } }

[[clouds]]
id = "a-cloud"

[[flows]]
id = "wages"
from = "first-bank"
to = "second-bank"
purpose = "payment"
classes = ["payment", "first-profile/wages"]

[[flows.stored]]
at = "a-cloud"
deleted_at = 2026-01-31T23:59:59.5+08:00
"""
)


def changed(old: str, new: str, text: str = NETWORK) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


# --- values ---


def test_every_field_of_the_vocabulary_can_be_declared() -> None:
    network = declarations.parse(declared.toml(declared.whole()), "whole.toml")
    for kind in KINDS.values():
        facts = {name: fact for each in network.of_kind(kind.name) for name, fact in each.facts.items()}
        assert f"first-{kind.name}" in {each.id for each in network.of_kind(kind.name)}
        assert facts.keys() == {field.name for field in kind.fields}
        for field in kind.fields:
            value = facts[field.name].value
            if field.type is Type.ELEMENTS:
                assert isinstance(value, tuple)
                (element,) = value
                assert isinstance(element, Element)
                assert list(element.facts) == [each.name for each in field.fields]
    assert len(network.attestations) == len(network.adoptions) == len(network.waivers) == 1


def test_no_field_has_the_name_of_a_common_key() -> None:
    entity = {"id", "name", "source", "as_of", "assurance", "expires", "synthetic", "provenance"}
    for kind in KINDS.values():
        assert {field.name for field in kind.fields} & entity == set()
        for field in kind.fields:
            assert {each.name for each in field.fields} & {"from", "until"} == set()
        assert all(kind.field(name) for name in kind.responsible)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"state": "AA", "organised_in": ["AA", "BB"]}, "state: excludes organised_in"),
        ({"branch_of": "holding", "owners": []}, "owners: excludes branch_of"),
        ({"branch_of": "holding", "headquarters": "AA"}, "headquarters: excludes branch_of"),
        ({"person": True, "state": "AA"}, "state: excludes person"),
        ({"person": True, "branch_of": "holding"}, "branch_of: excludes person"),
        ({"resides_in": "AA"}, "resides_in: is a fact of a natural person"),
        ({"person": False, "works_for": ["holding"]}, "works_for: is a fact of a natural person"),
        ({"person": True, "citizen_of": [], "resides_in": "AA", "works_for": ["holding"]}, ""),
        ({"person": False, "state": "AA", "headquarters": "BB", "owners": []}, ""),
    ],
)
def test_facts_of_firms_branches_and_persons_exclude_each_other(facts: declared.Document, says: str) -> None:
    text = declared.toml({"network": declared.HEAD, "organisations": [{"id": "somebody", **facts}, {"id": "holding"}]})
    if not says:
        assert declarations.parse(text, "net.toml").entities["somebody"].facts.keys() == facts.keys()
        return
    with pytest.raises(DocumentError) as raised:
        declarations.parse(text, "net.toml")
    assert says in raised.value.message
    assert raised.value.hint


def test_a_missing_field_is_unknown_and_an_empty_list_is_declared() -> None:
    facts = declarations.parse(NETWORK, "net.toml").entities["first-bank"].facts
    assert facts["apps"].value == ()
    assert "exclusions" not in facts


def test_values_have_their_types() -> None:
    network = declarations.parse(NETWORK, "net.toml")
    flow, company = network.entities["wages"].facts, network.entities["first-bank-company"].facts
    assert flow["classes"].value == ("payment", "first-profile/wages")
    (stored,) = flow["stored"].value
    assert stored.facts["at"].value == "a-cloud"
    assert stored.facts["deleted_at"].value == 1_769_875_199_500_000_000
    first, other = company["owners"].value
    assert (first.from_date, first.until_date) == (date(2020, 1, 1), None)
    assert other.in_force(date(2024, 12, 31))
    assert not other.in_force(date(2025, 1, 1))


def test_provenance_of_network_entity_and_field() -> None:
    network = declarations.parse(NETWORK, "net.toml")
    bank, holding = network.entities["first-bank"], network.entities["holding"]
    state, owner = bank.facts["state"], holding.facts["state"]
    assert (owner.source, owner.as_of, owner.assurance) == ("a register", date(2026, 1, 31), Assurance.DECLARED)
    assert (state.source, state.as_of, state.assurance) == ("its own return", date(2026, 1, 15), Assurance.DECLARED)
    assert owner.synthetic
    assert holding.synthetic
    assert not state.synthetic
    assert not bank.synthetic
    licences = bank.facts["licences"]
    (licence,) = licences.value
    for fact in (licences, licence.facts["authority"]):
        assert (fact.source, fact.as_of, fact.expires) == ("the licence", date(2020, 5, 1), date(2027, 1, 1))
        assert fact.assurance is Assurance.DECLARED
        assert not fact.synthetic
    assert (bank.name, holding.name) == ("First Bank", "holding")
    assert bank.place == state.place == f"net.toml:{NETWORK[: NETWORK.index('[[participants')].count(chr(10)) + 1}"


# --- files ---


def test_files_and_folders_form_one_network(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(HEAD + '[[clouds]]\nid = "a-cloud"\noperator = "somebody"\n')
    (tmp_path / "b.toml").write_text('[[organisations]]\nid = "somebody"\n')
    (tmp_path / "notes.md").write_text("nothing to read")
    network = declarations.load([tmp_path])
    assert list(network.entities) == ["a-cloud", "somebody"]
    same = declarations.load([tmp_path / "b.toml", tmp_path / "a.toml"])
    assert same.digest == network.digest
    assert declarations.read_files([tmp_path])[str(tmp_path / "b.toml")] == b'[[organisations]]\nid = "somebody"\n'


def test_ids_are_unique_in_all_files() -> None:
    files = {"a.toml": HEAD + '[[clouds]]\nid = "it"\n', "b.toml": '[[stores]]\nname = "It"\nid = "it"\n'}
    with pytest.raises(DocumentError) as raised:
        declarations.parse_files(files)
    assert (raised.value.file, raised.value.line) == ("b.toml", 3)
    assert '"it" is already in a.toml:6' in raised.value.message


def test_exactly_one_file_has_the_network() -> None:
    with pytest.raises(DocumentError, match=r"b\.toml:1: network: is already in a\.toml:1"):
        declarations.parse_files({"a.toml": HEAD, "b.toml": HEAD})
    with pytest.raises(DocumentError, match="no file has a \\[network\\]"):
        declarations.parse('[[clouds]]\nid = "it"\n', "a.toml")


def test_missing_files_are_reported(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="contains no TOML file"):
        declarations.load([tmp_path])
    with pytest.raises(UsageError, match="no declaration was named"):
        declarations.load([])
    with pytest.raises(UsageError, match=r"there is no file or folder .*none"):
        declarations.load([tmp_path / "none"])
    with pytest.raises(UsageError, match=r"there is no file or folder .*none\.toml"):
        declarations.load([tmp_path / "none.toml"])


@MAY_FORK
@pytest.mark.parametrize("behind", [False, True])
def test_a_folder_that_may_not_be_read_is_unavailable(behind: bool) -> None:
    """The folder may contain files, so it must not be reported as empty. `behind`: a folder above it is unreadable."""

    def refused() -> tuple[str, str]:
        if os.geteuid() == 0:
            os.setuid(65534)
        found = []
        for read in (lambda: declarations.load([folder]), lambda: cases.load_all([folder])):
            with pytest.raises(SyceeError) as raised:
                read()
            found.append((type(raised.value).__name__, raised.value.message))
        assert found[0] == found[1]
        return found[0]

    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o711)
        folder = Path(place) / "outer" / "network"
        folder.mkdir(parents=True)
        (folder / "a.toml").write_text(HEAD)
        hidden = folder.parent if behind else folder
        hidden.chmod(0)
        kind, message = in_child(refused)
        hidden.chmod(0o700)
    assert kind == "UnavailableError"
    assert message == f"{folder} cannot be read: Permission denied"


def test_a_network_within_another_document() -> None:
    table = documents.parse('title = "A case"\n' + NETWORK, "case.toml")
    assert declarations.parse_embedded(table).digest == declarations.parse(NETWORK, "net.toml").digest
    assert table.text("title") == "A case"
    table.finish()


# --- digests ---


def test_the_digest_is_of_the_content_not_of_the_text() -> None:
    network = declarations.parse(NETWORK, "net.toml")
    assert declarations.parse(f"# a comment\n{NETWORK}", "other.toml").digest == network.digest
    assert declarations.text_digest(NETWORK.encode()) != declarations.text_digest(f"# a comment\n{NETWORK}".encode())
    document = declared.whole()
    again = {key: document[key] for key in reversed(document)}
    assert (
        declarations.parse(declared.toml(document), "a").digest == declarations.parse(declared.toml(again), "a").digest
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name = "First Bank"', 'name = "Second Bank"'),
        ("share_bp = 6_000", "share_bp = 5_999"),
        ("from = 2020-01-01 }", "from = 2020-01-02 }"),
        ("apps = []\n", ""),
        ('source = "the licence"', 'source = "another"'),
        ('id = "net"', 'id = "other-net"'),
    ],
)
def test_every_change_of_content_changes_the_digest(old: str, new: str) -> None:
    assert declarations.parse(changed(old, new), "net.toml").digest != declarations.parse(NETWORK, "net.toml").digest


def test_the_order_of_attestations_adoptions_and_waivers_does_not_matter() -> None:
    rest = [
        '[[adoptions]]\nprofile = "one"\nby = "A"\nbasis = "B"\nfrom = 2026-01-01\n',
        '[[adoptions]]\nprofile = "two"\nby = "A"\nbasis = "B"\nfrom = 2026-01-01\n',
    ]
    one, other = (declarations.parse(NETWORK + "".join(each), "net.toml") for each in (rest, rest[::-1]))
    assert one.digest == other.digest


# --- errors ---


@pytest.mark.parametrize(
    ("old", "new", "says", "hint"),
    [
        ("[[participants]]", "[[participant]]", "participant: unknown key", 'did you mean "participants"?'),
        ("apps = []", "app = []", "participants[1].app: unknown key", 'did you mean "apps"?'),
        ("share_bp = 6_000", "share = 6_000", "organisations[2].owners[1].share: unknown key", '"share_bp"'),
        ('purpose = "payment"', 'purpose = "paymnt"', 'flows[1].purpose: found "paymnt"', 'did you mean "payment"?'),
        ('["payment", "f', '["Payment", "f', 'flows[1].classes: found "Payment"', 'did you mean "payment"?'),
        ("first-profile/wages", "first-profile/", 'flows[1].classes: found "first-profile/"', "PROFILE/WORD"),
        ('state = "AA"\nowners', 'state = "aa"\nowners', 'organisations[1].state: found "aa"', 'mean "AA"?'),
        (
            'state = "AA"\nowners',
            'state = "USA"\nowners',
            'found "USA", which is not the code of a state',
            'mean "US"?',
        ),
        (
            'state = "AA"\nowners',
            'state = "U1"\nowners',
            'found "U1", which is not the code of a state',
            "user-assigned",
        ),
        ('state = "AA"\nowners', 'state = "QA1"\nowners', 'organisations[1].state: found "QA1"', "upper-case"),
        ('id = "wages"', 'id = "Wages"', 'flows[1].id: found "Wages"', "small letters"),
        ("share_bp = 6_000", "share_bp = 10_001", "owners[1].share_bp: found 10001", "from 0 to 10000"),
        ("share_bp = 6_000", "share_bp = 0.6", "owners[1].share_bp: found 0.6", "a whole number"),
        ("apps = []", 'apps = "none"', 'participants[1].apps: found "none"', "a list of texts"),
        ("59.5+08:00", "59", "stored[1].deleted_at: found 2026-01-31T23:59:59", "a moment with its offset"),
        (
            ".5+08:00\n",
            ".5+08:00\nfrom = 2026-01-01\nuntil = 2026-01-01\n",
            "until: found 2026-01-01",
            "after 2026-01-01",
        ),
        (
            'to = "second-bank"',
            'to = "holding"',
            '"holding" is an organisation, at net.toml:8',
            "the id of a participant",
        ),
        ('at = "a-cloud"', 'at = "first-bank"', 'stored[1].at: "first-bank" is a participant', "a cloud or a facility"),
        (
            'source = "its own return"',
            'assurance = "observed"',
            "participants[1].assurance: a declared fact always",
            "signs an attestation",
        ),
        (
            "expires = 2027",
            'assurance = "observed", expires = 2027',
            "licences.assurance: a declared",
            "attestation",
        ),
        (
            "synthetic = true\n\n",
            'synthetic = true\nassurance = "observed"\n\n',
            "network.assurance: a declared",
            "sign",
        ),
        ("{ licences = {", "{ bic = {", "provenance.bic: is not declared here", "declare bic"),
        ("{ licences = {", "{ licenses = {", "provenance.licenses: unknown key", 'did you mean "licences"?'),
        ("expires = 2027", "expires = 2020-05-01, x = 2027", "licences.expires: found 2020-05-01", "after 2020-05-01"),
        (
            'owner = "holding"',
            'owner = "holdng"',
            'owners[1].owner: found "holdng", which is not declared',
            '"holding"?',
        ),
        ('to = "second-bank"', 'to = "firstbank"', 'flows[1].to: found "firstbank"', 'did you mean "first-bank"?'),
    ],
)
def test_invalid_values_are_reported_with_their_place(old: str, new: str, says: str, hint: str) -> None:
    text = changed(old, new)
    with pytest.raises(DocumentError) as raised:
        declarations.parse(text, "net.toml")
    assert says in raised.value.message
    assert hint in (raised.value.hint or "")
    first, last = (text[: text.index(new) + more].count("\n") + 1 for more in (0, len(new.rstrip())))
    assert first <= raised.value.line <= last


def test_codes_have_their_form() -> None:
    for kind, field, wrong in (
        ("organisation", "key", "ab" * 31),
        ("participant", "bic", "AAAABB"),
        ("flow", "currency", "yuan"),
        ("span", "ends", ["first-facility"]),
        ("segment", "ends", ["first-facility", "second-facility", "third-facility"]),
    ):
        document = declared.whole()
        document[KINDS[kind].plural][0][field] = wrong
        with pytest.raises(DocumentError, match=f"{field}: found"):
            declarations.parse(declared.toml(document), "net.toml")


def test_states_have_standard_or_user_assigned_codes() -> None:
    codes = territories.codes()
    assert len(codes) == 249 + 42
    assert {"AA", "QM", "QZ", "XA", "XK", "XZ", "ZZ"} <= codes
    assert codes.isdisjoint({"QL", "UK", "EU", "SU", "U1", "USA", "us", ""})
    two = {first + second for first in ascii_uppercase for second in ascii_uppercase}
    assert {code for code in two if re.fullmatch(compliance_schemas.STATE_PATTERN, code)} == codes
    for code in codes:
        assert territories.nearest(code.lower()) == code
    text = declared.toml({"network": declared.HEAD, "participants": [{"id": "a-bank", "operates_in": sorted(codes)}]})
    assert len(declarations.parse(text, "net.toml").entities["a-bank"].facts["operates_in"].value) == len(codes)


@pytest.mark.parametrize(
    "y",
    [
        "00" * 32,
        "01" + "00" * 31,
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 31,
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    ],
)
def test_a_key_of_small_order_is_refused(y: str) -> None:
    """Points of small order, in every encoding: a signature of zeros is valid for many messages."""
    with pytest.raises(DocumentError, match=r"organisations\[1\]\.key: is a point of small order") as raised:
        declarations.parse(changed("owners = []\n", f'owners = []\nkey = "{y}"\n'), "net.toml")
    assert raised.value.hint


def test_a_waiver_needs_rule_subject_and_end() -> None:
    for key, wrong, says in (
        ("rule", "first-rule", "waivers[1].rule: found"),
        ("subject", "first-flow @ Segment", "waivers[1].subject: found"),
        ("subject", "first-flow @ first-segmet", "waivers[1].subject: found"),
        ("until", date(2026, 1, 1), "waivers[1].until: found"),
        ("until", None, "waivers[1].until: missing"),
        ("until", date(2027, 1, 3), "waivers[1].until: a waiver from 2026-01-01 to 2027-01-03 has 367 days"),
    ):
        document = declared.whole()
        document["waivers"][0][key] = wrong
        if wrong is None:
            del document["waivers"][0][key]
        with pytest.raises(DocumentError) as raised:
            declarations.parse(declared.toml(document), "net.toml")
        assert says in raised.value.message


@pytest.mark.parametrize("key", ["waivers", "adoptions"])
def test_a_file_of_declarations_alone_decides_nothing(key: str) -> None:
    """A participant's file has no [network]: it can neither exempt the participant nor make a profile binding."""
    whole = declared.whole()
    own = declared.toml({key: whole.pop(key)})
    files = {"network.toml": declared.toml(whole), "bank.toml": own}
    with pytest.raises(DocumentError, match=rf"bank\.toml:1: {key}\[1\]: is in a file of declarations alone") as raised:
        declarations.parse_files(files)
    assert "network.toml" in str(raised.value.hint)
    files["network.toml"] += own
    assert declarations.parse_files({"network.toml": files["network.toml"], "bank.toml": f"{key} = []\n"})


# --- undeclared ids ---


def test_an_undeclared_id_may_be_named() -> None:
    network = declarations.parse(NETWORK, "net.toml")
    assert network.entities["wages"].facts["to"].value == "second-bank"
    assert "second-bank" not in network.entities


def test_an_id_similar_to_a_declared_one_must_be_listed() -> None:
    text = changed('owner = "others"', 'owner = "holdings"')
    with pytest.raises(DocumentError, match='found "holdings", which is not declared'):
        declarations.parse(text, "net.toml")
    declarations.parse(changed("synthetic = true", 'synthetic = true\nundeclared = ["holdings"]', text), "net.toml")


# --- shares ---


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("until = 2025-01-01", "until = 2026-01-01", ""),
        (
            "share_bp = 4_000, until = 2025-01-01",
            "share_bp = 4_001",
            "from 2020-01-01 on, with dispersed_bp, sum to 10,001",
        ),
        ("share_bp = 4_000", "share_bp = 4_001", "from 2020-01-01 on, with dispersed_bp, sum to 10,001"),
        ("2020-01-01 }", "2025-01-01 }", ""),
        ("6_000, from = 2020-01-01", "10_000, from = 2025-01-01", ""),
        (
            "owners = [\n",
            "dispersed_bp = 1\nowners = [\n",
            "from 2020-01-01 on, with dispersed_bp, sum to 10,001",
        ),
        ("share_bp = 4_000", "from = 2024-01-01", ""),
    ],
)
def test_shares_of_one_day_are_at_most_the_whole(old: str, new: str, says: str) -> None:
    text = changed(old, new)
    if not says:
        declarations.parse(text, "net.toml")
        return
    with pytest.raises(DocumentError, match=says):
        declarations.parse(text, "net.toml")


# --- facts from the press ---


def test_a_reported_fact_is_the_weakest() -> None:
    reported = 'source = "a newspaper"\nassurance = "reported"'
    facts = declarations.parse(changed('source = "its own return"', reported), "net.toml").entities["first-bank"].facts
    assert {facts["state"].assurance, facts["apps"].assurance} == {Assurance.REPORTED}
    assert min(Assurance) is Assurance.REPORTED
    of_one = '{ licences = { assurance = "reported", '
    facts = declarations.parse(changed("{ licences = { ", of_one), "net.toml").entities["first-bank"].facts
    assert (facts["licences"].assurance, facts["state"].assurance) == (Assurance.REPORTED, Assurance.DECLARED)


def test_a_reported_fact_has_a_source() -> None:
    document = {"network": dict(declared.HEAD), "organisations": [{"id": "firm", "assurance": "reported"}]}
    with pytest.raises(DocumentError, match=r"organisations\[1\]: is reported, and has no source") as raised:
        declarations.parse(declared.toml(document), "net.toml")
    assert raised.value.hint


def test_a_report_in_the_press_is_no_attestation() -> None:
    document = declared.whole()
    document["attestations"][0]["assurance"] = "reported"
    with pytest.raises(DocumentError, match=r"attestations\[1\]\.assurance: a report in the press is no attestation"):
        declarations.parse(declared.toml(document), "net.toml")
