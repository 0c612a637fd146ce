"""A checkpoint detects a changed history."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from tests.ledger import signers

from sycee.core.errors import IntegrityError, UsageError
from sycee.core.keys import ALGORITHMS, SigningKey
from sycee.core.records.layout import Role
from sycee.journal import Anchor
from sycee.sequencer import checkpoint as checkpoints
from sycee.sequencer.checkpoint import Checkpoint, Position

KEY = SigningKey.derive(bytes(32))
OTHER_KEY = SigningKey.derive(bytes([201]) * 32)
WITNESS = 0x0102030405060708090A0B0C0D0E0F10
POSITION = Position(
    ledger_id=bytes(range(16)),
    epoch=3,
    sequence=7,
    time_ns=1_602_461_400_000_000_000,
    frame_digest=b"\x01" * 32,
    movement_digest=b"\x02" * 32,
    state_digest=b"\x03" * 32,
    supply={36: -1, 156: 2**62},
)


def test_the_signed_message_is_as_documented() -> None:
    message = (
        b"sycee.checkpoint.v1" + bytes(13) + bytes(range(16)) + b"\x03\0\0\0" + b"\x07" + bytes(7)
        + (1_602_461_400_000_000_000).to_bytes(8, "little") + b"\x01" * 32 + b"\x02" * 32 + b"\x03" * 32
        + WITNESS.to_bytes(16, "little") + b"\x02\0" + b"\x24\0" + b"\xff" * 8 + b"\x9c\0" + bytes(7) + b"\x40"
    )  # fmt: skip
    assert checkpoints.signing_message(POSITION, WITNESS) == blake3(message).digest()
    backwards = replace(POSITION, supply=dict(reversed(POSITION.supply.items())))
    assert checkpoints.signing_message(backwards, WITNESS) == blake3(message).digest()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_checkpoint_is_saved_read_back_and_verified(tmp_path: Path, algorithm: str) -> None:
    key = SigningKey.generate(algorithm)
    made = checkpoints.sign(POSITION, WITNESS, key)
    made.save(tmp_path / "checkpoint.json")
    content = (tmp_path / "checkpoint.json").read_bytes()
    assert content.isascii()
    assert list(json.loads(content)) == sorted(json.loads(content))
    read = Checkpoint.load(tmp_path / "checkpoint.json")
    assert read == made
    checkpoints.verify(read, key.public)
    checkpoints.check_agreement(read, POSITION)


CHANGES: list[dict[str, Any]] = [
    {"ledger_id": bytes(16)},
    {"epoch": 4},
    {"sequence": 8},
    {"time_ns": 1},
    {"frame_digest": bytes(32)},
    {"movement_digest": bytes(32)},
    {"state_digest": bytes(32)},
    {"supply": {36: -1}},
    {"supply": {36: -1, 156: 5}},
    {"supply": {36: -1, 157: 2**62}},
]


@pytest.mark.parametrize("change", CHANGES, ids=[f"{name}-{n}" for n, c in enumerate(CHANGES) for name in c])
def test_any_difference_is_named_and_breaks_the_signature(change: dict[str, Any]) -> None:
    made = checkpoints.sign(POSITION, WITNESS, KEY)
    other = replace(POSITION, **change)
    (name,) = change
    with pytest.raises(IntegrityError, match=f"frame 7 differs from the signed one: its {name} is"):
        checkpoints.check_agreement(made, other)
    with pytest.raises(IntegrityError, match="is not signed by the key"):
        checkpoints.verify(replace(made, position=other), KEY.public)


def test_every_field_of_a_position_is_compared() -> None:
    assert {name for change in CHANGES for name in change} == set(Position.__dataclass_fields__)


def test_signer_algorithm_signature_and_key_must_be_the_ones() -> None:
    made = checkpoints.sign(POSITION, WITNESS, KEY)
    for wrong in (
        replace(made, signer=WITNESS + 1),
        replace(made, algorithm="p256"),
        replace(made, signature=bytes(64)),
        checkpoints.sign(POSITION, WITNESS, OTHER_KEY),
    ):
        with pytest.raises(IntegrityError, match=f"is not signed by the key {KEY.public}") as caught:
            checkpoints.verify(wrong, KEY.public)
        assert caught.value.hint


def changed(**members: Any) -> str:
    document = json.loads(checkpoints.sign(POSITION, WITNESS, KEY).text())
    return json.dumps({name: value for name, value in {**document, **members}.items() if value is not None})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "checkpoint:1: not JSON"),
        (b"\xff\xff", "checkpoint:1: byte 0xff is not UTF-8"),
        ("[" * 4_500 + "]" * 4_500, "checkpoint:1: more than 64 levels of arrays and objects"),
        (changed(sequence=7).replace("{", '{"epoch": 1, ', 1), "the key 'epoch' is twice in one object"),
        ("[]", "its format is not sycee.checkpoint.v1"),
        (" " * 17_000, "longer than 16,384 bytes"),
        (changed(format="sycee.checkpoint.v2"), "its format is not"),
        (changed(signer=None), "signer is missing"),
        (changed(more=1), "more is missing or unknown"),
        (changed(ledger="00"), "ledger is not 32 hexadecimal digits"),
        (changed(state_digest="zz" * 32), "state_digest is not 64 hexadecimal digits"),
        (changed(signature=5), "signature is not 128 hexadecimal digits"),
        (changed(sequence="0"), "sequence is not a whole number from 1"),
        (changed(sequence="1.5"), "sequence is not a whole number"),
        (changed(sequence="²"), "sequence is not a whole number"),
        (changed(epoch=True), "epoch is not a whole number"),
        (changed(epoch=2**32), "epoch is not a whole number"),
        (changed(time_ns="9" * 30), "time_ns is not a whole number"),
        (changed(algorithm="rsa"), "algorithm is neither"),
        (changed(signer=5), "signer: '5' is not an id"),
        (changed(signer="5"), "signer: '5' is not an id"),
        (changed(supply=[]), "supply is not an object"),
        (changed(supply={"1000": "1"}), "a currency in supply is not a whole number"),
        (changed(supply={"156": "x"}), "supply of 156 is not a whole number"),
        (changed(supply={"156": "1", "0156": "1"}), "names a currency twice"),
    ],
)
def test_an_invalid_checkpoint_file_is_refused(tmp_path: Path, content: str | bytes, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Checkpoint.parse(content)
    path = tmp_path / "file"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match=str(path)) as caught:
        Checkpoint.load(path)
    assert caught.value.hint


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.json cannot be read"):
        Checkpoint.load(tmp_path / "none.json")


def test_numbers_may_be_json_numbers() -> None:
    assert Checkpoint.parse(changed(sequence=7, supply={"36": -1, "156": 2**62})).position == POSITION


@pytest.mark.parametrize(
    "change", [{"ledger_id": b""}, {"state_digest": b""}, {"epoch": -1}, {"supply": {1: 2**63}}, {"supply": {-1: 1}}]
)
def test_a_position_that_cannot_be_signed_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="a checkpoint"):
        checkpoints.sign(replace(POSITION, **change), WITNESS, KEY)


def test_a_ledgers_own_position_and_its_witness() -> None:
    world = signers.make_world()
    anchor = Anchor(2, 20, b"\x05" * 32)
    position = Position.of(world.state, ledger_id=signers.LEDGER_ID, epoch=1, anchor=anchor)
    assert position.supply == {signers.CURRENCY: world.state.supply(signers.CURRENCY)}
    assert (position.sequence, position.time_ns, position.frame_digest) == anchor
    made = checkpoints.sign(position, signers.WILL, signers.KEYS[signers.WILL])
    (key,) = checkpoints.witness_keys(world.state, made)
    checkpoints.verify(made, key)
    checkpoints.check_agreement(made, Position.of(world.state, ledger_id=signers.LEDGER_ID, epoch=1, anchor=anchor))
    # Officers are not witnesses, and a grant that was not valid at the checkpoint's time gives no key.
    assert checkpoints.witness_keys(world.state, replace(made, signer=signers.ANNA)) == ()
    later = replace(made, position=replace(position, time_ns=signers.UNTIL_NS))
    assert checkpoints.witness_keys(world.state, later) == ()
    world.frame(30, signers.granting(401, signers.OTTO, Role.WITNESS, OTHER_KEY))
    moved = Position.of(world.state, ledger_id=signers.LEDGER_ID, epoch=1, anchor=anchor)
    with pytest.raises(IntegrityError, match=r"its state_digest is|its movement_digest is"):
        checkpoints.check_agreement(made, moved)
