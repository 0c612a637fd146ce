"""Signed proofs: they are checked without a database, and every change of any of their members is found."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from tests.compliance.service.world import Desk

from sycee.compliance import canonical
from sycee.compliance.enforcement import decisions, proofs
from sycee.compliance.enforcement.proofs import ABSENT, OTHER, SAME
from sycee.core.errors import IntegrityError, SyceeError, UsageError
from sycee.core.keys import SigningKey

KEY: Final = SigningKey.derive(bytes(32))
OTHER_KEY: Final = SigningKey.derive(bytes([1]) * 32)


def proof(desk: Desk, flow: str = "retail", facts: dict[str, Any] | None = None) -> dict[str, Any]:
    for each in "ab":
        desk.compliance.admit(f"bank-{each}", by="desk")
    made = desk.compliance.screen(flow, facts, payment="payment-1", by="gateway")
    return desk.compliance.prove(made.digest, KEY)


def resigned(changed: dict[str, Any], key: SigningKey = KEY) -> dict[str, Any]:
    """Return a forged proof with right digests, signed by another key or wrongly by the same."""
    signed = {name: each for name, each in changed.items() if name != "signature"} | {"key": str(key.public)}
    return {**signed, "signature": key.sign(canonical.canonical(signed)).hex()}


def test_a_proof_says_what_was_judged_by_what_and_when(desk: Desk) -> None:
    made = proof(desk)
    found = proofs.verify(proofs.proof_text(made))
    assert found.outcome == "permitted"
    assert found.day.isoformat() == "2026-11-25"
    assert found.key == KEY.public
    assert found.record == desk.compliance.screenings("payment-1")[0].record
    network, library = desk.compliance.network(), desk.compliance.library()
    assert found.digests == (network.digest, library.digest)
    assert [(each.kind, each.id, each.version) for each in found.versions] == [
        ("network", "two-states", "2026-11-01"),
        ("profile", "first-law", "1"),
        ("profile", "first-pledge", "2"),
        ("list", "excluded", "2026-01-01"),
    ]
    parts = [*library.profiles, *library.lists.values()]
    assert set(found.compare(network, parts).values()) == {SAME}
    assert set(found.compare(None, []).values()) == {ABSENT}


def test_a_version_at_hand_that_differs_is_told(small: Desk) -> None:
    found = proofs.verify(proof(small))
    small.declare(("cost = 5", "cost = 6"))
    small.use(("PARTY", "owner-b"))
    network, library = small.compliance.network(), small.compliance.library()
    words = {
        each.id: word for each, word in found.compare(network, [*library.profiles, *library.lists.values()]).items()
    }
    assert words == {"two-states": OTHER, "first-law": SAME, "first-pledge": SAME, "excluded": OTHER}


def test_refusals_have_proofs_too(small: Desk) -> None:
    refused = proofs.verify(proof(small, "to-nowhere"))
    assert (refused.outcome, refused.record["reason_code"]) == ("refused", "AGNT")
    unreadable = proofs.verify(proof(small, "no-such-flow"))
    assert (unreadable.outcome, unreadable.record["reason_code"]) == ("refused", "CH16")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every member and element of JSON."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in items:
        yield (*path, name)
        yield from places(each, (*path, name))


def another(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return "x"
    if isinstance(value, str):
        return "ff" + value[2:] if value[:2] != "ff" else "00" + value[2:]
    return value + 1 if isinstance(value, int) else {**value, "x": 1} if isinstance(value, dict) else [*value, 1]


def test_every_changed_removed_or_added_member_is_found(small: Desk) -> None:
    made = proof(small)
    paths = list(places(made))
    assert len(paths) > 80
    for *way, last in paths:
        for change in ("change", "remove"):
            forged = copy.deepcopy(made)
            inner: Any = forged
            for name in way:
                inner = inner[name]
            if change == "change":
                inner[last] = another(inner[last])
            else:
                del inner[last]
            with pytest.raises((IntegrityError, UsageError)):
                proofs.verify(forged)
    with pytest.raises(UsageError, match="members"):
        proofs.verify({**made, "more": 1})


def test_a_forger_needs_the_key(small: Desk) -> None:
    """A record changed with its digest and signed by another key verifies, and names that key."""
    made = proof(small, "to-nowhere")
    record = {**made["record"], "outcome": "cleared", "reason_code": "", "messages": []}
    record["digest"] = decisions.record_digest(record)
    forged = {**made, "record": record}
    with pytest.raises(IntegrityError, match="was changed, or another key signed it"):
        proofs.verify(forged)
    found = proofs.verify(resigned(forged, OTHER_KEY))
    assert found.key == OTHER_KEY.public != KEY.public
    assert found.signers(small.compliance.network()) == []


def test_a_signer_is_an_organisation_that_declares_the_key(small: Desk) -> None:
    small.declare(('id = "owner-a"', f'id = "owner-a"\nkey = "{KEY.public.key.hex()}"'))
    assert proofs.verify(proof(small)).signers(small.compliance.network()) == ["owner-a"]


def test_a_signed_contradiction_is_refused(small: Desk) -> None:
    made = proof(small)
    versions = {**made["versions"], "library": "0" * 64}
    with pytest.raises(IntegrityError, match="names other digests"):
        proofs.verify(resigned({**made, "versions": versions}))
    record = {**made["record"], "outcome": "perhaps"}
    record["digest"] = decisions.record_digest(record)
    with pytest.raises(IntegrityError, match="'perhaps'"):
        proofs.verify(resigned({**made, "record": record}))


@pytest.mark.parametrize("name", ["inputs", "payment", "messages", "reason_code"])
@pytest.mark.parametrize("value", [None, 5, [5], {"network": []}])
def test_a_signed_proof_of_another_form_is_an_error(small: Desk, name: str, value: Any) -> None:
    made = proof(small)
    record = {**made["record"], name: value}
    record["digest"] = decisions.record_digest(record)
    with pytest.raises(SyceeError):
        proofs.verify(resigned({**made, "record": record}))


def test_a_key_of_small_order_proves_nothing(small: Desk) -> None:
    made = proof(small)
    identity = bytes([1]) + bytes(31)  # the neutral element, with which the signature (identity, 0) is always valid
    forged = {**made, "key": f"ed25519:{identity.hex()}", "signature": (identity + bytes(32)).hex()}
    with pytest.raises(IntegrityError):
        proofs.verify(forged)


@pytest.mark.fast
@pytest.mark.parametrize(
    "value",
    ["", "[]", "null", "{}", b"\xff", "[" * 100_000, '{"format": 5}', '{"format": ["a"]}', '{"a": 1, "a": 2}', None],
)
def test_values_that_are_no_proofs(value: Any) -> None:
    with pytest.raises(UsageError, match="no proof"):
        proofs.verify(value)


def test_a_record_without_signature_and_a_repeated_name_are_no_proofs(small: Desk) -> None:
    made = proof(small)
    with pytest.raises(UsageError, match="without a signature"):
        proofs.verify(made["record"])
    text = proofs.proof_text(made)
    with pytest.raises(UsageError, match="no proof"):
        proofs.verify(text.replace('{"format"', '{"key":"","format"', 1))
    assert json.loads(text) == made


def test_what_is_signed(small: Desk) -> None:
    made = proof(small)
    with pytest.raises(UsageError, match="Ed25519"):
        proofs.prove(
            made["record"], small.compliance.network(), small.compliance.library(), SigningKey.generate("p256")
        )
    network = small.compliance.network()
    small.declare(("cost = 5", "cost = 6"))
    with pytest.raises(IntegrityError, match="another network"):
        proofs.prove(made["record"], small.compliance.network(), small.compliance.library(), KEY)
    admission = small.compliance.admissions("bank-a")[0].record
    with pytest.raises(UsageError, match="no record"):
        proofs.prove(admission, network, small.compliance.library(), KEY)
