"""Authority over facts: signed files, roles by key, and what does not count without them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.compliance import build
from tests.compliance.service import world
from tests.compliance.service.world import NEXT_YEAR, Desk

from sycee.compliance import attestations, declarations, signature_log
from sycee.compliance import authority as authorities
from sycee.compliance.authority import Authority
from sycee.compliance.enforcement.screening import ComplianceRecord, UnreadableFlow
from sycee.compliance.facts import Assurance, Network
from sycee.compliance.judging.judge import Judge
from sycee.compliance.reports.summary import JudgedNetwork
from sycee.compliance.signature_log import SignatureLog
from sycee.compliance.verdicts import Verdict
from sycee.core import documents
from sycee.core.documents import DocumentError
from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey

BANK, OFFICE, AUDITOR, STRANGER = (SigningKey.derive(each.ljust(32)) for each in (b"bank", b"office", b"audit", b"no"))

NET = "net"
SIGNED_NS = world.NOON
NETWORK = f"""
[network]
id = "net"
title = "A network"
as_of = 2026-01-31
source = "a register"

[[organisations]]
id = "auditor"
key = "{AUDITOR.public.key.hex()}"
"""
DECLARED = """
[[participants]]
id = "bank"
state = "AA"
exit_terms = true
"""
WAIVER = """
[[waivers]]
rule = "law/rule"
subject = "bank"
role = "head"
reason = "moves in January"
from = 2026-01-01
until = UNTIL
"""
ADOPTION = """
[[adoptions]]
profile = "pledge"
by = "an authority"
basis = "an act"
from = 2026-01-01
"""
GRANTS = f"""
network = "net"
title = "Who may do what"
MODE

[[grants]]
holder = "the bank"
key = "{BANK.public.key.hex()}"
roles = ["declare"]
subjects = ["bank", "bank-*"]

[[grants]]
holder = "the office"
key = "{OFFICE.public.key.hex()}"
roles = ["declare", "waive", "adopt"]
subjects = ["*"]

[[grants]]
holder = "the auditor"
key = "{AUDITOR.public.key.hex()}"
roles = ["attest"]
subjects = ["bank"]
"""


def grants(mode: str = "open", more: str = "") -> Authority:
    text = GRANTS.replace("MODE", f'mode = "{mode}"\n{more}')
    return authorities.parse(documents.parse(text, "authority.toml"))


def signed(files: Mapping[str, str], **keys: SigningKey) -> dict[str, bytes | str]:
    """Return the files with the signatures of some: `bank=KEY` signs bank.toml."""
    made: dict[str, bytes | str] = dict(files)
    for name, key in keys.items():
        made[f"{name}.toml.sig"] = signature(files[f"{name}.toml"], key, f"{name}.toml")
    return made


def signature(text: str, key: SigningKey, name: str = "bank.toml", network: str = NET, at_ns: int = SIGNED_NS) -> str:
    return authorities.sign(text.encode(), key, network, name, at_ns)


def read(mode: str = "open", *, of_net: str = NETWORK, more: str = "", **keys: SigningKey) -> Network:
    return declarations.parse_files(signed({"net.toml": of_net, "bank.toml": DECLARED}, **keys), grants(mode, more))


# --- signatures ---


def test_a_signature_of_a_file_is_verified_with_or_without_an_authority_file(tmp_path: Path) -> None:
    for name, text in (("net.toml", NETWORK), ("bank.toml", DECLARED)):
        (tmp_path / name).write_text(text)
    (tmp_path / "bank.toml.sig").write_text(signature(DECLARED, BANK))
    network = declarations.load([tmp_path])
    assert network.notes == ()
    assert network.digest == declarations.parse(NETWORK + DECLARED, "net.toml").digest
    (tmp_path / "bank.toml").write_text(DECLARED.replace("AA", "BB"))
    with pytest.raises(DocumentError, match="signature: does not verify") as caught:
        declarations.load([tmp_path])
    assert "sycee compliance sign" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('key = "', 'key = "ab', "key: found"),
        ('signature = "', 'signature = "zz', "signature: found"),
        ("signature =", "signatur =", "signature: missing"),
        (f'network = "{NET}"', 'network = "another"', "does not verify"),
        ("signed_at = 2026", "signed_at = 2025", "does not verify"),
        (
            'file = "bank.toml"',
            'file = "shop.toml"',
            r'file: the signature is of "shop\.toml", and given for bank\.toml',
        ),
        (BANK.public.key.hex(), STRANGER.public.key.hex(), "does not verify"),
        (BANK.public.key.hex(), "00" * 32, "does not verify"),
    ],
)
def test_signatures_that_are_none(old: str, new: str, message: str) -> None:
    text = signature(DECLARED, BANK)
    assert old in text
    with pytest.raises(DocumentError, match=message):
        authorities.split({"bank.toml": DECLARED, "bank.toml.sig": text.replace(old, new)})


def test_a_file_that_was_signed_for_another_network_does_not_count() -> None:
    files: dict[str, bytes | str] = {"net.toml": NETWORK, "bank.toml": DECLARED}
    files["bank.toml.sig"] = signature(DECLARED, BANK, network="another")
    for authority in (grants(), None):
        with pytest.raises(DocumentError, match="network: the file was signed for") as caught:
            declarations.parse_files(files, authority)
        assert f"have it signed for {NET}" in str(caught.value.hint)


def test_a_signature_needs_its_file_and_an_ed25519_key() -> None:
    with pytest.raises(UsageError, match=r"bank\.toml\.sig is the signature of a file that is not there") as caught:
        authorities.split({"bank.toml.sig": signature("", BANK)})
    assert caught.value.hint
    with pytest.raises(UsageError, match="signed with Ed25519"):
        signature("", SigningKey.derive(bytes(32), "p256"))


# --- the authority file ---


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('network = "net"', 'network = "Net"', "network: found"),
        ('mode = "open"', 'mode = "closed"', "mode: found"),
        ('mode = "open"', 'mode = "open"\nwaiver_days_max = 367', "waiver_days_max: found 367"),
        ('roles = ["attest"]', 'roles = ["audit"]', r"grants\[3\]\.roles: found"),
        ('subjects = ["bank"]', "subjects = []", r"grants\[3\]\.subjects"),
        (BANK.public.key.hex(), "00" * 32, r"grants\[1\]\.key: is a point of small order"),
        (BANK.public.key.hex(), "ab", r"grants\[1\]\.key: found"),
        (AUDITOR.public.key.hex(), OFFICE.public.key.hex(), r"grants\[3\]\.key: is the key of the office too"),
        ('holder = "the bank"', 'holder = "the bank"\nrole = "x"', "role: unknown key"),
    ],
)
def test_authority_files_that_are_invalid(old: str, new: str, message: str) -> None:
    text = GRANTS.replace("MODE", 'mode = "open"')
    assert old in text
    text = text.replace(old, new)
    if "small order" not in message and "too" in message:
        text = text.replace('holder = "the auditor"', 'holder = "another"')
    with pytest.raises(DocumentError, match=message) as caught:
        authorities.parse(documents.parse(text, "authority.toml"))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("key", "role", "subject", "may"),
    [
        (BANK, "declare", "bank", True),
        (BANK, "declare", "bank-flow", True),
        (BANK, "declare", "shop", False),
        (BANK, "waive", "bank", False),
        (OFFICE, "waive", "flow @ link", True),
        (OFFICE, "attest", "bank", False),
        (AUDITOR, "attest", "bank", True),
        (STRANGER, "declare", "bank", False),
    ],
)
def test_a_grant_is_for_a_key_a_role_and_subjects(key: SigningKey, role: str, subject: str, may: bool) -> None:
    assert grants().may(key.public.key.hex(), role, subject) is may


def test_an_authority_file_is_for_one_network() -> None:
    with pytest.raises(DocumentError, match=r'network\.id: found "other"'):
        read(of_net=NETWORK.replace('id = "net"', 'id = "other"'))


# --- declaring ---


@pytest.mark.parametrize(
    ("mode", "keys", "facts", "notes"),
    [
        ("open", {}, True, 0),
        ("open", {"bank": BANK}, True, 0),
        ("signed-only", {"bank": BANK, "net": OFFICE}, True, 0),
        ("signed-only", {"bank": OFFICE, "net": OFFICE}, True, 0),
        ("signed-only", {"net": OFFICE}, False, 1),
        ("signed-only", {"bank": BANK}, True, 1),
    ],
)
def test_facts_of_a_file_without_signature_count_only_in_the_open_mode(
    mode: str, keys: dict[str, SigningKey], facts: bool, notes: int
) -> None:
    network = read(mode, **keys)
    assert bool(network.entities["bank"].facts) is facts
    assert len(network.notes) == notes
    assert network.signed_only is (mode == "signed-only")


@pytest.mark.parametrize("mode", ["open", "signed-only"])
@pytest.mark.parametrize(
    ("bank", "key", "message"),
    [
        (DECLARED.replace('"bank"', '"shop"'), BANK, "the bank has no authority to declare here"),
        (DECLARED, STRANGER, r"the key that signed bank\.toml has no authority to declare here"),
        (DECLARED, AUDITOR, "the auditor has no authority to declare here"),
        (DECLARED + WAIVER.replace("UNTIL", "2026-06-01"), BANK, "the bank has no authority to waive here"),
        (DECLARED + ADOPTION, BANK, "the bank has no authority to adopt here"),
    ],
)
def test_a_key_does_nothing_without_authority(mode: str, bank: str, key: SigningKey, message: str) -> None:
    files = signed({"net.toml": NETWORK, "bank.toml": bank}, bank=key, net=OFFICE)
    with pytest.raises(DocumentError, match=message) as caught:
        declarations.parse_files(files, grants(mode))
    assert "sycee compliance sign" in str(caught.value.hint)


@pytest.mark.parametrize("decision", [WAIVER.replace("UNTIL", "2026-06-01"), ADOPTION])
def test_waivers_and_adoptions_need_a_signature_under_an_authority_file(decision: str) -> None:
    files = {"net.toml": NETWORK + decision, "bank.toml": DECLARED}
    with pytest.raises(DocumentError, match=r"net\.toml is not signed"):
        declarations.parse_files(files, grants())
    network = declarations.parse_files(signed(files, net=OFFICE), grants())
    assert len(network.waivers) + len(network.adoptions) == 1
    apart = {"net.toml": NETWORK, "bank.toml": DECLARED, "office.toml": decision}
    assert declarations.parse_files(signed(apart, office=OFFICE), grants()).digest == network.digest


def test_an_authority_file_may_set_a_shorter_life_of_waivers() -> None:
    files = {"net.toml": NETWORK + WAIVER.replace("UNTIL", "2026-04-02"), "bank.toml": DECLARED}
    assert declarations.parse_files(signed(files, net=OFFICE), grants()).waivers
    with pytest.raises(DocumentError, match="has 91 days") as caught:
        declarations.parse_files(signed(files, net=OFFICE), grants(more="waiver_days_max = 90"))
    assert "at most 90 days: 2026-04-01" in str(caught.value.hint)


@pytest.mark.parametrize("text", ["\u200b", "\u2060 \u200b", "–"])
@pytest.mark.parametrize(("key", "words"), [("role", "head"), ("reason", "moves in January")])
def test_a_waiver_and_a_narrowing_need_words_that_can_be_read(small: Desk, key: str, words: str, text: str) -> None:
    waiver = WAIVER.replace("UNTIL", "2026-06-01").replace(words, text)
    with pytest.raises(DocumentError, match=rf"waivers\[1\]\.{key}: found"):
        declarations.parse(NETWORK + DECLARED + waiver, "net.toml")
    given = {"role": "head", "reason": "soon", key: text}
    with pytest.raises(UsageError, match=f"{key} is empty"):
        small.compliance.waive("first-law/exit", "bank-c", until=NEXT_YEAR, by="eve", **given)
    narrowed = small.compliance.screen("retail", {"stored": [{"at": "hub-b"}]}, payment="1", by="gateway", **given)
    assert isinstance(narrowed, UnreadableFlow)
    assert "narrows its stored" in narrowed.messages[0]


# --- attesting ---


def attestation(assurance: Assurance = Assurance.THIRD_PARTY, by: str = "auditor", key: SigningKey = AUDITOR) -> str:
    declared = declarations.parse(NETWORK + DECLARED, "net.toml")
    day = date(2026, 1, 15)
    return "\n" + attestations.sign(declared, "bank", ["exit"], ["state"], assurance, by, day, None, key)


UNSIGNED = '\n[[attestations]]\nsubject = "bank"\ntopics = ["exit"]\nassurance = "declared"\nby = "BY"\n'


@pytest.mark.parametrize(
    ("mode", "table", "counts", "note"),
    [
        ("none", UNSIGNED.replace("BY", "auditor"), 1, ""),
        ("none", UNSIGNED.replace("BY", "somebody"), 0, "it is not signed, and somebody is not declared"),
        ("none", UNSIGNED.replace("BY", "bank-a"), 0, "it is not signed, and bank-a is not declared"),
        ("open", UNSIGNED.replace("BY", "auditor"), 0, "it is not signed"),
        ("signed-only", UNSIGNED.replace("BY", "auditor"), 0, "it is not signed"),
        ("open", attestation(), 1, ""),
        ("signed-only", attestation(), 1, ""),
    ],
)
def test_which_attestations_count(mode: str, table: str, counts: int, note: str) -> None:
    files = {"net.toml": NETWORK + table, "bank.toml": DECLARED}
    keys = {} if mode == "none" else {"net": OFFICE, "bank": BANK}
    network = declarations.parse_files(signed(files, **keys), None if mode == "none" else grants(mode))
    assert len(network.attestations) == counts
    assert [each for each in network.notes if each.endswith(note)] == list(network.notes)
    assert bool(network.notes) == bool(note)


def test_an_attestation_by_a_key_without_the_role_does_not_count() -> None:
    text = GRANTS.replace("MODE", "").replace('roles = ["attest"]', 'roles = ["declare"]')
    authority = authorities.parse(documents.parse(text, "authority.toml"))
    network = declarations.parse_files({"net.toml": NETWORK + attestation(), "bank.toml": DECLARED}, authority)
    assert network.attestations == ()
    assert "no authority to attest" in network.notes[0]


def test_nobody_audits_what_its_own_key_declared() -> None:
    files = signed({"net.toml": NETWORK + attestation(), "bank.toml": DECLARED}, bank=AUDITOR)
    with pytest.raises(DocumentError, match="the key of auditor signed the declaration of bank too") as caught:
        declarations.parse_files(files)
    assert caught.value.hint


def test_nobody_audits_what_another_key_of_its_holder_declared() -> None:
    text = GRANTS.replace("MODE", "").replace('holder = "the auditor"', 'holder = "the bank"')
    authority = authorities.parse(documents.parse(text, "authority.toml"))
    files = {"net.toml": NETWORK + attestation(), "bank.toml": DECLARED}
    assert len(declarations.parse_files(signed(files, bank=BANK), grants()).attestations) == 1
    with pytest.raises(DocumentError, match="the bank holds this key, and the one that signed the declaration of bank"):
        declarations.parse_files(signed(files, bank=BANK), authority)


def test_a_signed_file_with_the_role_vouches_for_an_unsigned_attestation() -> None:
    text = GRANTS.replace("MODE", "").replace('"waive", "adopt"]', '"attest"]')
    authority = authorities.parse(documents.parse(text, "authority.toml"))
    files = {"net.toml": NETWORK + UNSIGNED.replace("BY", "auditor"), "bank.toml": DECLARED}
    assert len(declarations.parse_files(signed(files, net=OFFICE), authority).attestations) == 1
    assert declarations.parse_files(files, authority).attestations == ()


def test_one_key_belongs_to_one_organisation() -> None:
    twice = NETWORK + f'\n[[organisations]]\nid = "other"\nkey = "{AUDITOR.public.key.hex()}"\n'
    with pytest.raises(DocumentError, match=r"organisations\[2\]\.key: is the key of auditor too") as caught:
        declarations.parse(twice, "net.toml")
    assert caught.value.hint


def test_in_the_signed_only_mode_an_attestation_of_unsigned_facts_does_not_count() -> None:
    network = read("signed-only", of_net=NETWORK + attestation())
    assert network.attestations == ()
    assert len(network.notes) == 3


# --- reports in the press ---


def test_what_rests_on_a_report_in_the_press_is_not_called_declared() -> None:
    declared = declarations.parse(
        """
        network = { id = "net", title = "A network", as_of = 2026-11-25, source = "a newspaper" }
        participants = [{ id = "bank", state = "AA", assurance = "reported" }]
        """,
        "net.toml",
    )
    regimes = build.library(build.profile(build.rule("participant", build.condition("state", "declared"))))
    judged = JudgedNetwork(declared, regimes, Judge(declared, regimes, date(2026, 11, 25)).report())
    (found,), (summary,) = judged.report.findings, judged.profiles
    assert (found.verdict, found.assurance) == (Verdict.PASS, Assurance.REPORTED)
    assert found.message.endswith("on declared and reported facts as of 2026-11-25.")
    assert summary.sentence == "meets profile regime version 1 on declared and reported facts as of 2026-11-25"


# --- the service ---

SERVICE = GRANTS.replace('network = "net"', 'network = "two-states"')


def trusted(mode: str) -> str:
    return SERVICE.replace("MODE", f'mode = "{mode}"')


def test_the_service_reads_declarations_under_the_authority_file(small: Desk) -> None:
    version = small.compliance.trust(trusted("open"), by="board")
    assert small.compliance.trust(trusted("open"), by="board") == version
    small.declare(("cost = 1", "cost = 2"))  # the authority file stays
    with pytest.raises(DocumentError, match="is not signed"):
        small.declare(
            (
                '[[flows]]\nid = "retail"',
                WAIVER.replace("UNTIL", "2026-06-01").replace('"bank"', '"bank-a"') + '\n[[flows]]\nid = "retail"',
            )
        )
    assert small.again().network().digest == small.compliance.network().digest
    small.compliance.trust(trusted("signed-only"), by="board")
    assert small.compliance.network().entities["bank-a"].facts == {}
    assert small.again().network().notes
    small.compliance.trust(None, by="board")
    assert small.compliance.network().entities["bank-a"].facts


def test_the_service_in_the_signed_only_mode(small: Desk) -> None:
    small.compliance.trust(trusted("signed-only"), by="board")
    files: dict[str, bytes | str] = {"network.toml": world.NETWORK}
    files["network.toml.sig"] = signature(world.NETWORK, OFFICE, "network.toml", "two-states")
    small.compliance.declare(files, by="declarations desk")
    for each in "ab":
        small.compliance.admit(f"bank-{each}", by="desk")
    made = small.compliance.screen("retail", {"amount_minor": 5}, payment="1", by="gateway")
    assert isinstance(made, ComplianceRecord)
    assert small.again().replay(made.digest).record == made.record
    facts: dict[str, Any] = {"from": "bank-a", "to": "bank-b", "stored": [{"at": "hub-a"}]}
    asked = small.compliance.screen("", facts, payment="2", by="gateway")
    assert isinstance(asked, UnreadableFlow)
    assert "only signed facts count" in asked.messages[0]
    with pytest.raises(UsageError, match='only waivers that a key with the role "waive" signed') as caught:
        small.compliance.waive("first-law/exit", "bank-c", role="head", reason="soon", until=NEXT_YEAR, by="eve")
    assert caught.value.hint


def test_a_granted_waiver_does_not_outlive_the_open_mode(small: Desk) -> None:
    small.compliance.waive("first-law/exit", "bank-c", role="head", reason="soon", until=NEXT_YEAR, by="eve")
    assert len(small.compliance.network().waivers) == 1
    small.compliance.trust(trusted("signed-only"), by="board")
    assert small.compliance.network().waivers == ()


# --- an older signed file ---

HOUR_NS = 3_600 * 10**9


def of_service(text: str, at_ns: int, name: str = "network.toml", key: SigningKey = OFFICE) -> dict[str, bytes | str]:
    return {name: text, f"{name}.sig": signature(text, key, name, "two-states", at_ns)}


def test_an_older_signed_file_does_not_replace_a_newer_one(small: Desk) -> None:
    old, new = world.NETWORK, world.NETWORK.replace("cost = 5", "cost = 6")
    small.compliance.declare(of_service(old, SIGNED_NS - HOUR_NS), by="desk")
    newer = small.compliance.declare(of_service(new, SIGNED_NS), by="desk")
    assert small.compliance.declare(of_service(new, SIGNED_NS), by="desk") == newer
    small.compliance.trust(trusted("open"), by="board")  # neither an authority file nor a waiver ends the memory
    small.compliance.waive("first-law/exit", "bank-c", role="head", reason="soon", until=NEXT_YEAR, by="eve")
    for name in ("network.toml", "network-of-last-year.toml"):
        with pytest.raises(DocumentError, match=r"signed_at: .* is older than the signature of \S+ seen on") as caught:
            small.again().declare(of_service(old, SIGNED_NS - HOUR_NS, name), by="mallory")
        assert "sign the older one again" in str(caught.value.hint)
    assert small.again().network().entities["long-way"].facts["cost"].value == 6
    again = small.compliance.declare(of_service(old, SIGNED_NS + HOUR_NS), by="desk")
    assert again.number > newer.number


def test_a_file_of_waivers_alone_is_remembered_by_its_name_and_key(small: Desk) -> None:
    small.compliance.trust(trusted("open"), by="board")
    waiver = WAIVER.replace("UNTIL", "2026-12-31").replace('"bank"', '"bank-c"').replace("law/rule", "first-law/exit")
    ended = waiver.replace("2026-12-31", "2026-02-01")
    for text, at_ns in ((waiver, SIGNED_NS - HOUR_NS), (ended, SIGNED_NS)):
        files = {"network.toml": world.NETWORK, **of_service(text, at_ns, "office.toml")}
        small.compliance.declare(files, by="desk")
    files = {"network.toml": world.NETWORK, **of_service(waiver, SIGNED_NS - HOUR_NS, "office.toml")}
    with pytest.raises(DocumentError, match=r"older than the signature of office\.toml"):
        small.compliance.declare(files, by="mallory")


def test_a_signature_of_the_future_would_make_all_later_files_old(small: Desk) -> None:
    with pytest.raises(DocumentError, match=r"signed_at: .* is in the future") as caught:
        small.compliance.declare(of_service(world.NETWORK, SIGNED_NS + 2 * HOUR_NS), by="desk")
    assert "clock is right" in str(caught.value.hint)


def test_files_alone_do_not_show_that_there_is_a_newer_one() -> None:
    """The limit that the page states: without a log, an old signed file counts."""
    files = signed({"net.toml": NETWORK, "bank.toml": DECLARED}, bank=BANK)
    assert declarations.parse_files(files, grants()).entities["bank"].facts


def test_a_log_of_signatures_is_a_file_that_is_read_again(tmp_path: Path) -> None:
    files = signed({"net.toml": NETWORK, "bank.toml": DECLARED}, bank=BANK)
    network, (_, signatures) = declarations.parse_files(files), authorities.split(files)
    assert signature_log.load(tmp_path / "seen.toml") == SignatureLog()
    log = SignatureLog().updated(network, signatures, SIGNED_NS)
    assert [key[-1] for key in (*log.files, *log.entities)] == ["bank.toml", "bank"]
    (tmp_path / "seen.toml").write_text(log.text())
    assert signature_log.load(tmp_path / "seen.toml") == log == log.updated(network, signatures, SIGNED_NS + HOUR_NS)
    elsewhere = replace(network, id="another")
    assert len(log.updated(elsewhere, signatures, SIGNED_NS).entities) == 2
    with pytest.raises(DocumentError, match=r"seen_on: missing"):
        signature_log.parse(documents.parse(log.text().replace("seen_on", "seen_at"), "seen.toml"))
