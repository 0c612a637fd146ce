"""Checkpoints: small files in which a witness signs the position of a ledger after one frame.

A journal proves that it is consistent, but not that it is unchanged since yesterday: a person with access to the folder
can write another history. A checkpoint that someone else stores reveals this, because a changed history has other
digests. docs/reference/authority.md describes the file and the signed message byte by byte.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from blake3 import blake3

from sycee.core import ids, json_documents
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.input_files import read_bytes
from sycee.core.keys import ED25519, SIGNATURE_BYTES, PublicKey, SigningKey
from sycee.core.output_files import write_file
from sycee.core.records.layout import Role
from sycee.journal import Anchor
from sycee.ledger.digest import state_digest
from sycee.ledger.state import LedgerState
from sycee.ledger.state_tables import StateTables

FORMAT: Final = "sycee.checkpoint.v1"
FILE_BYTES_MAX: Final = 16 << 10  # far more than 16 currencies need
LEDGER_ID_BYTES: Final = 16
DIGEST_BYTES: Final = 32

# format, ledger id, epoch, sequence, time, frame's digest, movements' digest, state's digest, signer, currencies
_FIXED: Final = struct.Struct("<32s16sIQq32s32s32s16sH")
_SUPPLY: Final = struct.Struct("<Hq")
_HEX_FIELDS: Final = {
    "ledger": LEDGER_ID_BYTES,
    "frame_digest": DIGEST_BYTES,
    "movement_digest": DIGEST_BYTES,
    "state_digest": DIGEST_BYTES,
    "signature": SIGNATURE_BYTES,
}
_FIELDS: Final = {*_HEX_FIELDS, "algorithm", "epoch", "format", "sequence", "signer", "supply", "time_ns"}


@dataclass(frozen=True, slots=True)
class Position:
    """State of a ledger after frame `sequence`. `supply`: minor units in circulation by currency number."""

    ledger_id: bytes
    epoch: int  # of the frame
    sequence: int
    time_ns: int  # of the frame
    frame_digest: bytes  # of the whole frame
    movement_digest: bytes  # cumulative, after the frame
    state_digest: bytes
    supply: Mapping[int, int]

    @classmethod
    def of(cls, state: StateTables, *, ledger_id: bytes, epoch: int, anchor: Anchor) -> Position:
        """Return the position of a state after the frame at `anchor`, whose epoch is `epoch`."""
        return cls(
            ledger_id=ledger_id,
            epoch=epoch,
            sequence=anchor.sequence,
            time_ns=anchor.time_ns,
            frame_digest=anchor.digest,
            movement_digest=state.movement_digest,
            state_digest=state_digest(state),
            supply={number: state.supply(number) for number in sorted(state.zones)},
        )


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed position. `algorithm`: ed25519 or p256; `signature`: 64 bytes."""

    position: Position
    signer: int
    algorithm: str
    signature: bytes

    def text(self) -> str:
        """Return the file's content: one JSON object, sorted keys, ASCII.

        64-bit numbers are strings, since some JSON parsers have 53 bits of precision.
        """
        position = self.position
        document = {
            "algorithm": self.algorithm,
            "epoch": position.epoch,
            "format": FORMAT,
            "frame_digest": position.frame_digest.hex(),
            "ledger": position.ledger_id.hex(),
            "movement_digest": position.movement_digest.hex(),
            "sequence": str(position.sequence),
            "signature": self.signature.hex(),
            "signer": ids.format(self.signer),
            "state_digest": position.state_digest.hex(),
            "supply": {f"{number:03d}": str(amount) for number, amount in position.supply.items()},
            "time_ns": str(position.time_ns),
        }
        return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=True) + "\n"

    def save(self, path: str | Path) -> None:
        """Write the file atomically. Raises UnavailableError if the disk refuses."""
        write_file(Path(path), self.text().encode("ascii"))

    @classmethod
    def load(cls, path: str | Path) -> Checkpoint:
        """Read a checkpoint file. Raises as `input_files.read_bytes` and `parse` do."""
        return cls.parse(read_bytes(Path(path), FILE_BYTES_MAX, "checkpoint"), str(path))

    @classmethod
    def parse(cls, content: str | bytes, file: str = "checkpoint") -> Checkpoint:
        """Parse the content of a checkpoint file. Raises UsageError that names `file` and the invalid field."""
        if len(content) > FILE_BYTES_MAX:
            raise _invalid(file, f"it is longer than {FILE_BYTES_MAX:,} bytes")
        document = json_documents.parse(content, file)
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise _invalid(file, f"its format is not {FORMAT}")
        if wrong := _FIELDS.symmetric_difference(document):
            raise _invalid(file, f"{', '.join(sorted(wrong))} is missing or unknown")
        try:
            raw = {name: _hex(document[name], name, size) for name, size in _HEX_FIELDS.items()}
            position = Position(
                ledger_id=raw["ledger"],
                epoch=_number(document["epoch"], "epoch", 0, 2**32 - 1),
                sequence=_number(document["sequence"], "sequence", 1, 2**64 - 1),
                time_ns=_number(document["time_ns"], "time_ns", 1, 2**63 - 1),
                frame_digest=raw["frame_digest"],
                movement_digest=raw["movement_digest"],
                state_digest=raw["state_digest"],
                supply=_supply(document["supply"]),
            )
            if document["algorithm"] not in ("ed25519", "p256"):
                raise ValueError("algorithm is neither ed25519 nor p256")
            return cls(position, ids.parse(str(document["signer"])), document["algorithm"], raw["signature"])
        except ValueError as error:
            raise _invalid(file, str(error)) from error
        except UsageError as error:
            raise _invalid(file, f"signer: {error.message}") from error


def signing_message(position: Position, signer: int) -> bytes:
    """Return the 32 signed bytes: BLAKE3-256 of the canonical message. Raises UsageError if a value does not fit."""
    digests = (position.frame_digest, position.movement_digest, position.state_digest)
    if len(position.ledger_id) != LEDGER_ID_BYTES or any(len(digest) != DIGEST_BYTES for digest in digests):
        raise UsageError(
            f"a checkpoint needs a ledger id of {LEDGER_ID_BYTES} bytes and digests of {DIGEST_BYTES} bytes",
            hint="use the position that Sequencer.position returns",
        )
    try:
        message = _FIXED.pack(
            FORMAT.encode(),
            position.ledger_id,
            position.epoch,
            position.sequence,
            position.time_ns,
            *digests,
            signer.to_bytes(16, "little"),
            len(position.supply),
        ) + b"".join(_SUPPLY.pack(number, amount) for number, amount in sorted(position.supply.items()))
    except (struct.error, OverflowError) as error:
        raise UsageError(
            f"a checkpoint cannot store these numbers: {error}",
            hint="use the position that Sequencer.position returns, and a signer's id of 128 bits",
        ) from error
    return blake3(message).digest()


def sign(position: Position, signer: int, key: SigningKey) -> Checkpoint:
    """Sign a position. `signer`: id of the person whom the ledger lists as a witness with this key."""
    return Checkpoint(position, signer, _algorithm(key.public), key.sign(signing_message(position, signer)))


def is_signed_by(checkpoint: Checkpoint, public_key: PublicKey) -> bool:
    """Return whether `public_key` signed this checkpoint."""
    message = signing_message(checkpoint.position, checkpoint.signer)
    return checkpoint.algorithm == _algorithm(public_key) and public_key.verifies(checkpoint.signature, message)


def verify(checkpoint: Checkpoint, public_key: PublicKey) -> None:
    """Raise IntegrityError unless `public_key` signed this checkpoint."""
    if not is_signed_by(checkpoint, public_key):
        raise IntegrityError(
            f"the checkpoint at frame {checkpoint.position.sequence} is not signed by the key {public_key}",
            hint="ask the witness for the checkpoint and the key again, over a different channel",
        )


def witness_keys(state: LedgerState, checkpoint: Checkpoint) -> tuple[PublicKey, ...]:
    """Return the keys that the ledger granted to the checkpoint's signer as a witness at the checkpoint's time.

    `state`: at or after the checkpoint. If the ledger is not trusted, use a key from the witness instead.
    """
    grants = (grant for grant in state.grants.values() if grant.role == Role.WITNESS)
    return tuple(
        PublicKey(grant.flags, grant.key)
        for grant in grants
        if grant.person == checkpoint.signer and grant.counts(checkpoint.position.time_ns)
    )


def check_agreement(checkpoint: Checkpoint, replayed: Position) -> None:
    """Raise IntegrityError unless `replayed`, a replay's position after the same frame, equals the signed position.

    The message names the first field that differs, and both values.
    """
    for field in fields(Position):
        signed, found = getattr(checkpoint.position, field.name), getattr(replayed, field.name)
        if signed != found:
            raise IntegrityError(
                f"frame {checkpoint.position.sequence} differs from the signed one: its {field.name} is "
                f"{_shown(found)}, the checkpoint's is {_shown(signed)}",
                hint="store both the folder and the checkpoint: one of them was changed, or belongs to another ledger",
            )


def _algorithm(public: PublicKey) -> str:
    return "ed25519" if public.flags == ED25519 else "p256"


def _shown(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _invalid(file: str, problem: str) -> UsageError:
    return UsageError(f"{file} is no checkpoint: {problem}", hint="fetch the published file again")


def _hex(text: Any, name: str, size: int) -> bytes:
    if not isinstance(text, str) or not re.fullmatch(f"[0-9A-Fa-f]{{{2 * size}}}", text):
        raise ValueError(f"{name} is not {2 * size} hexadecimal digits")
    return bytes.fromhex(text)


def _number(value: Any, name: str, least: int, most: int) -> int:
    """Return an integer from a JSON number or a decimal string."""
    if isinstance(value, str) and re.fullmatch("-?[0-9]{1,20}", value):
        value = int(value)
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} is not a whole number from {least} to {most}")
    return value


def _supply(value: Any) -> dict[int, int]:
    if not isinstance(value, dict):
        raise ValueError("supply is not an object of currency numbers and amounts")
    supply = {
        _number(number, "a currency in supply", 1, 999): _number(amount, f"supply of {number}", -(2**63), 2**63 - 1)
        for number, amount in value.items()
    }
    if len(supply) != len(value):
        raise ValueError("supply names a currency twice")
    return supply
