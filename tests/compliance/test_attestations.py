"""Attestations: the signed message, the permitted signers, and changes after signing."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from tests.compliance import declared

from sycee.compliance import attestations, declarations
from sycee.compliance.facts import Assurance, Attestation, Network
from sycee.compliance.vocabulary import KINDS
from sycee.core.documents import DocumentError
from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey

pytestmark = pytest.mark.fast

BANK, AUDITOR = SigningKey.derive(b"bank".ljust(32)), SigningKey.derive(b"auditor".ljust(32))
DAY = date(2026, 1, 15)
NETWORK = f"""
[network]
id = "net"
title = "A network"
as_of = 2026-01-31

[[organisations]]
id = "bank-company"
key = "{BANK.public.key.hex()}"

[[organisations]]
id = "auditor"
key = "{AUDITOR.public.key.hex()}"

[[organisations]]
id = "silent"

[[participants]]
id = "bank"
organisation = "bank-company"
operates_in = ["AA", "BB"]
licences = [{{ state = "AA", authority = "An authority", from = 2020-01-01 }}]

[[participants]]
id = "open"
"""


def network(more: str = "", text: str = NETWORK) -> Network:
    return declarations.parse(text + more, "net.toml")


def signed(assurance: Assurance = Assurance.SELF_SIGNED, **other: Any) -> str:
    arguments: dict[str, Any] = {
        "subject": "bank",
        "topics": ["no-forced-upgrades"],
        "facts": ["operates_in", "licences"],
        "assurance": assurance,
        "by": "bank-company" if assurance is Assurance.SELF_SIGNED else "auditor",
        "as_of": DAY,
        "expires": date(2027, 1, 15),
        "private_key": BANK if assurance is Assurance.SELF_SIGNED else AUDITOR,
        **other,
    }
    return attestations.sign(network(), **arguments)


# --- signing and reading ---


@pytest.mark.parametrize("assurance", attestations.SIGNED)
def test_a_signed_attestation_is_read_back(assurance: Assurance) -> None:
    (attestation,) = network(signed(assurance)).attestations
    assert attestation.signed
    assert attestation.assurance is assurance
    assert (attestation.subject, attestation.topics) == ("bank", ("no-forced-upgrades",))
    assert attestation.facts == ("operates_in", "licences")
    assert (attestation.as_of, attestation.expires) == (DAY, date(2027, 1, 15))


def test_an_attestation_without_end_or_facts_is_read_back() -> None:
    (attestation,) = network(signed(facts=[], expires=None)).attestations
    assert attestation.signed
    assert (attestation.facts, attestation.expires) == ((), None)


def test_the_signed_message_is_documented_json() -> None:
    text = signed()
    (attestation,) = network(text).attestations
    message = {
        "form": "sycee.compliance.attestation.v1",
        "network": "net",
        "subject": "bank",
        "topics": ["no-forced-upgrades"],
        "facts": {
            "operates_in": ["AA", "BB"],
            "licences": [
                {"facts": {"state": "AA", "authority": "An authority"}, "from": "2020-01-01", "until": None},
            ],
        },
        "assurance": "self-signed",
        "by": "bank-company",
        "as_of": "2026-01-15",
        "expires": "2027-01-15",
    }
    expected = json.dumps(message, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert attestations.message(network(), attestation) == expected
    signature = bytes.fromhex(text.split('signature = "')[1].split('"')[0])
    Ed25519PublicKey.from_public_bytes(BANK.public.key).verify(signature, expected)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('operates_in = ["AA", "BB"]', 'operates_in = ["AA"]'),
        ('authority = "An authority"', 'authority = "Another"'),
        ("from = 2020-01-01", "from = 2020-01-02"),
        (BANK.public.key.hex(), SigningKey.derive(bytes(32)).public.key.hex()),
        ('topics = ["no-forced-upgrades"]', 'topics = ["no-backdoors"]'),
        ('facts = ["operates_in", "licences"]', 'facts = ["operates_in"]'),
        ("as_of = 2026-01-15", "as_of = 2026-01-16"),
        ("expires = 2027-01-15", "expires = 2028-01-15"),
        ("expires = 2027-01-15\n", ""),
        ('id = "net"', 'id = "another-net"'),
        ('signature = "', 'signature = "00'),
    ],
)
def test_a_change_after_signing_is_detected(old: str, new: str) -> None:
    text = NETWORK + signed()
    assert text.count(old) == 1
    text = text.replace(old, new)
    if old.startswith("signature"):
        text = text[:-4] + '"\n'
    with pytest.raises(DocumentError) as raised:
        network(text=text)
    assert "attestations[1].signature: does not verify" in raised.value.message
    assert raised.value.line == text[: text.index("signature =")].count("\n") + 1


def test_the_place_of_a_fact_is_not_signed() -> None:
    text = NETWORK.replace("operates_in =", 'source = "elsewhere"\nname = "Bank"\noperates_in =')
    assert network(signed(), text).attestations[0].signed


# --- permitted signers ---

OWN = "bank-company itself is responsible for bank"
UNSIGNED = """
[[attestations]]
subject = "bank"
topics = ["inventory-complete"]
"""


def test_the_assurance_declared_needs_no_signature() -> None:
    text = f'{UNSIGNED}assurance = "declared"\nby = "silent"\n'
    (attestation,) = network(text).attestations
    assert not attestation.signed
    assert attestation.as_of == date(2026, 1, 31)


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ('assurance = "third-party"\nby = "auditor"', "attestations[1]: is third-party and has no signature"),
        ('assurance = "self-signed"\nby = "bank-company"', "attestations[1]: is self-signed and has no signature"),
        ('assurance = "self-signed"\nby = "auditor"', "attestations[1].by: auditor is not responsible for bank"),
        ('assurance = "third-party"\nby = "bank-company"', f"attestations[1].by: {OWN}"),
        ('assurance = "observed"\nby = "auditor"', "attestations[1]: is observed and has no signature"),
        ('assurance = "observed"\nby = "bank-company"', f"attestations[1].by: {OWN}"),
        ('assurance = "observed"\nby = "bank"', 'attestations[1].by: "bank" is a participant'),
        ('assurance = "observed"\nby = "auditr"', 'attestations[1].by: found "auditr", which is not declared'),
        ('assurance = "sworn"\nby = "auditor"', 'attestations[1].assurance: found "sworn"'),
        ('assurance = "declared"\nby = "silent"\nfacts = ["apps"]', 'facts: bank does not declare "apps"'),
        ('assurance = "observed"\nby = "silent"\nsignature = "00"', 'signature: found "00"'),
        (
            f'assurance = "third-party"\nby = "silent"\nsignature = "{"00" * 64}"',
            "by: signed by silent, which declares no key",
        ),
        ('assurance = "observed"\nby = "silent"\nexpires = 2026-01-31', "expires: found 2026-01-31"),
    ],
)
def test_a_signer_that_may_not_give_the_assurance_is_refused(rest: str, says: str) -> None:
    with pytest.raises(DocumentError) as raised:
        network(f"{UNSIGNED}{rest}\n")
    assert says in raised.value.message
    assert raised.value.line > NETWORK.count("\n")


def test_an_attestation_needs_topics_or_facts() -> None:
    with pytest.raises(DocumentError, match="has neither topics nor facts"):
        network('[[attestations]]\nsubject = "bank"\nassurance = "observed"\nby = "silent"\n')


def test_an_optional_signature_is_verified_too() -> None:
    rest = f'assurance = "declared"\nby = "auditor"\nsignature = "{"00" * 64}"\n'
    with pytest.raises(DocumentError, match="does not verify"):
        network(UNSIGNED + rest)


def test_every_kind_has_responsible_organisations() -> None:
    whole = declared.whole()
    for kind in KINDS.values():
        for name in kind.responsible:
            if kind.field(name).kinds == ("organisation",):  # type: ignore[union-attr]
                whole[kind.plural][0][name] = ["owner-a"] if name == "owners" else f"{name.replace('_', '-')}-a"
    read = declarations.parse(declared.toml(whole), "net.toml")
    responsible = {
        kind: sorted(attestations.responsible_organisations(read, read.entities[f"first-{kind}"])) for kind in KINDS
    }
    assert responsible == {
        "organisation": ["first-organisation"],
        "facility": ["operator-a", "owner-a"],
        "span": ["operator-a", "owner-a"],
        "segment": ["operator-a", "owner-a"],
        "cloud": ["operator-a", "operator-of-record-a"],
        "store": ["operator-a"],
        "app": ["publisher-a"],
        "participant": ["organisation-a"],
        "flow": ["organisation-a"],
    }


# --- refused requests to sign ---


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"subject": "bnak"}, 'the network declares no "bnak"'),
        ({"topics": [], "facts": []}, "an attestation needs topics or facts"),
        ({"topics": ["No Upgrades"]}, '"No Upgrades" is not a topic'),
        ({"facts": ["operates"]}, 'bank does not declare "operates"'),
        ({"assurance": Assurance.DECLARED}, "the assurance declared is never signed"),
        ({"assurance": Assurance.OBSERVED}, OWN),
        ({"expires": DAY}, "must expire after"),
        ({"by": "auditor"}, "auditor is not responsible for bank"),
        ({"subject": "open", "facts": []}, "bank-company is not responsible for open"),
        ({"assurance": Assurance.THIRD_PARTY}, OWN),
        ({"private_key": AUDITOR}, "does not declare this key as the key of bank-company"),
        ({"private_key": SigningKey.derive(bytes(32), "p256")}, "does not declare this key"),
        ({"assurance": Assurance.THIRD_PARTY, "by": "silent"}, "does not declare this key as the key of silent"),
    ],
)
def test_a_refused_signature_has_a_reason(other: dict[str, Any], says: str) -> None:
    arguments: dict[str, Any] = {
        "subject": "bank",
        "topics": ["no-backdoors"],
        "facts": ["operates_in"],
        "assurance": Assurance.SELF_SIGNED,
        "by": "bank-company",
        "as_of": DAY,
        "expires": None,
        "private_key": BANK,
        **other,
    }
    with pytest.raises(UsageError, match=says):
        attestations.sign(network(), **arguments)


def test_the_order_of_topics_does_not_matter() -> None:
    one, other = (
        Attestation("bank", topics, (), Assurance.OBSERVED, "silent", DAY, None, True)
        for topics in (("a", "b"), ("b", "a"))
    )
    assert attestations.message(network(), one) == attestations.message(network(), other)


# --- one group ---


def owned(owner: str, owned: str, more: str = "share_bp = 5000") -> tuple[str, str]:
    """Return the change of the network by which an organisation is owned by another one."""
    return f'id = "{owned}"\n', f'id = "{owned}"\nowners = [{{ owner = "{owner}", {more} }}]\n'


@pytest.mark.parametrize(
    ("changes", "one_group"),
    [
        ([owned("auditor", "bank-company")], True),
        ([owned("bank-company", "auditor")], True),
        ([owned("silent", "auditor"), owned("silent", "bank-company")], True),
        ([owned("silent", "auditor"), owned("bank-company", "silent")], True),
        ([owned("auditor", "bank-company", "share_bp = 6000, from = 2026-03-01")], True),
        ([('id = "auditor"\n', 'id = "auditor"\nbranch_of = "bank-company"\n')], True),
        ([owned("auditor", "bank-company", "share_bp = 4999")], False),
        ([owned("auditor", "bank-company", "share_bp = 6000, until = 2026-01-15")], False),
    ],
)
@pytest.mark.parametrize("assurance", [Assurance.THIRD_PARTY, Assurance.OBSERVED])
def test_an_organisation_of_the_same_group_is_no_third_party(
    changes: list[tuple[str, str]], one_group: bool, assurance: Assurance
) -> None:
    text = NETWORK + signed(assurance)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    if not one_group:
        assert network(text=text).attestations[0].signed
        return
    with pytest.raises(DocumentError, match="are of one group, so it is no third party for bank") as caught:
        network(text=text)
    assert "outside of the group" in str(caught.value.hint)
