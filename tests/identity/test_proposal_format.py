"""Files and digests of proposals and signatures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey
from sycee.core.records import operations, proposal_format
from sycee.core.records.layout import OPERATION
from sycee.core.records.proposal_format import Proposal, ProposalSignature, sign

pytestmark = pytest.mark.fast

LEDGER = bytes(range(16))
KEYS = {name: SigningKey.derive(bytes(32), name) for name in ("ed25519", "p256")}


def proposal(**changed: Any) -> Proposal:
    values: dict[str, Any] = {
        "id": 7, "ledger_id": LEDGER, "action": "mint", "maker": 5, "valid_until_ns": 1_000,
        "records": operations.transfer(1, debit=2, credit=3, amount=100), "effect": {"operator": 2},
    }  # fmt: skip
    return Proposal(**values | changed)


def test_a_proposal_survives_its_file(tmp_path: Path) -> None:
    one = proposal()
    one.save(tmp_path / "one.json")
    again = Proposal.load(tmp_path / "one.json")
    assert again.digest == one.digest
    assert again.records.tobytes() == one.records.tobytes()
    assert (again.id, again.action, again.maker, again.effect) == (7, "mint", 5, {"operator": 2})
    assert one.text().isascii()


def test_a_proposal_without_records(tmp_path: Path) -> None:
    one = proposal(records=np.zeros(0, OPERATION))
    one.save(tmp_path / "one.json")
    assert Proposal.load(tmp_path / "one.json").digest == one.digest
    assert sign(one, 5, KEYS["ed25519"]).envelope == b""


CHANGES: dict[str, Any] = {
    "id": 8, "ledger_id": bytes(16), "action": "redeem", "maker": 6, "valid_until_ns": 1_001,
    "records": operations.transfer(1, debit=2, credit=3, amount=101), "effect": {"operator": 3},
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_every_field_changes_the_digest(name: str) -> None:
    assert proposal(**{name: CHANGES[name]}).digest != proposal().digest


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ledger_id": b""}, "16 bytes"),
        ({"action": ""}, "1 to 32 ASCII"),
        ({"action": "é"}, "1 to 32 ASCII"),
        ({"action": "x" * 33}, "1 to 32 ASCII"),
        ({"records": np.zeros(8_001, OPERATION)}, "at most 8,000 records"),
        ({"records": np.zeros(2, np.int64)}, "at most 8,000 records"),
        ({"effect": {"share": 0.5}}, "float"),
        ({"effect": {"x": "y" * (1 << 20)}}, "at most 1,048,576 bytes"),
        ({"valid_until_ns": 0}, "does not fit"),
        ({"id": 0}, "does not fit"),
        ({"maker": 1 << 128}, "does not fit"),
    ],
)
def test_values_that_do_not_fit(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        proposal(**changed)


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_signature_survives_its_file(algorithm: str, tmp_path: Path) -> None:
    one = proposal()
    signature = sign(one, 9, KEYS[algorithm])
    signature.save(tmp_path / "one.json")
    assert ProposalSignature.load(tmp_path / "one.json") == signature
    key = KEYS[algorithm].public
    assert key.verifies(signature.approval, proposal_format.approval_message(one.digest, 9))
    envelope = proposal_format.envelope_of(signature)
    assert key.verifies(envelope.signature, proposal_format.envelope_message(one, envelope))
    assert (envelope.signer, envelope.count, envelope.valid_until_ns) == (9, 1, 1_000)
    assert not key.verifies(signature.approval, proposal_format.approval_message(one.digest, 8))


def edited(text: str, change: Callable[[dict[str, Any]], None]) -> str:
    document = json.loads(text)
    change(document)
    return json.dumps(document)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("format", "sycee.proposal.v2", "its format is not sycee.proposal.v1"),
        ("digest", "00" * 32, "the file states 0000"),
        ("digest", "00", "digest must have 64 hexadecimal digits"),
        ("digest", "zz" * 32, "digest must have 64 hexadecimal digits"),
        ("effect", {"operator": 3}, "the file states"),
        ("effect", [], "effect must be an object"),
        ("records", "AAAA", "3 bytes are not records of 128 bytes"),
        ("records", "!", "records must be base64"),
        ("records", 1, "records must be a text"),
        ("action", "redeem", "the file states"),
        ("maker", "nobody", "maker: 'nobody' is not an id"),
        ("valid_until_ns", "-1", "valid_until_ns must be a decimal text"),
        ("valid_until_ns", "٣", "valid_until_ns must be a decimal text"),
        ("comment", "please sign", "comment is missing or unknown"),
    ],
)
def test_a_changed_file(name: str, value: Any, message: str) -> None:
    text = edited(proposal().text(), lambda document: document.update({name: value}))
    with pytest.raises(UsageError, match=message) as caught:
        Proposal.parse(text, "join.json")
    assert caught.value.message.startswith("join.json: ")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("approval", "00", "approval must have 128 hexadecimal digits"),
        ("envelope", "00", "envelope must have 208 hexadecimal digits"),
        ("key", "ed25519:00", "is not a public key"),
        ("signer", None, "signer must be a text"),
    ],
)
def test_a_changed_signature_file(name: str, value: Any, message: str) -> None:
    text = edited(sign(proposal(), 9, KEYS["p256"]).text(), lambda document: document.update({name: value}))
    with pytest.raises(UsageError, match=message):
        ProposalSignature.parse(text, "signed.json")
    missing = edited(text, lambda document: document.pop("key"))
    with pytest.raises(UsageError, match=r"key is missing or unknown"):
        ProposalSignature.parse(missing, "signed.json")


def test_an_envelope_is_required_for_records() -> None:
    with pytest.raises(UsageError, match=r"no envelope"):
        proposal_format.envelope_of(replace(sign(proposal(), 9, KEYS["p256"]), envelope=b""))
