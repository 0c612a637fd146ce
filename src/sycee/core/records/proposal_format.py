"""Bytes, digests and files of proposals and of their signatures. docs/reference/proposals.md is exact.

A proposal contains the complete records, with their ids, and an effect: the changes of SQL, as canonical JSON. Each
signer makes two signatures with one key: the ledger's envelope over all records, and an approval over the proposal's
digest, which also covers the effect. A proposal without records has approvals only.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from blake3 import blake3

from sycee.core import canonical_json, ids, json_documents, limits
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.input_files import read_bytes
from sycee.core.keys import SIGNATURE_BYTES, PublicKey, SigningKey
from sycee.core.output_files import write_file
from sycee.core.records import envelopes as sealed
from sycee.core.records.layout import OPERATION

FORMAT: Final = "sycee.proposal.v1"
SIGNATURE_FORMAT: Final = "sycee.signature.v1"
APPROVAL: Final = "sycee.approval.v1"
RECORDS_MAX: Final = 8_000  # one frame, with room for the envelopes of its signers
FILE_BYTES_MAX: Final = 4 << 20  # 8,000 records in base64 and an effect
ACTION_BYTES_MAX: Final = 32
EFFECT_BYTES_MAX: Final = 1 << 20
HOUR_NS: Final = 3_600 * 10**9
PROPOSAL_VALIDITY_NS: Final = 8 * HOUR_NS
PROPOSAL_VALIDITY_NS_MAX: Final = 72 * HOUR_NS

# format, ledger id, proposal id, maker, action, valid until, number of records, digests of records and effect
_MESSAGE: Final = struct.Struct(f"<32s16s16s16s{ACTION_BYTES_MAX}sqI32s32s")
_MEMBERS: Final = {
    "action",
    "digest",
    "effect",
    "format",
    "id",
    "ledger",
    "maker",
    "records",
    "signers",
    "valid_until_ns",
}
_SIGNATURE_MEMBERS: Final = {"approval", "digest", "envelope", "format", "key", "proposal", "signer"}
assert _MESSAGE.size == 188


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """Records and an effect that several persons sign. `valid_until_ns`: the first nanosecond at which it is invalid.

    `signers`: persons who may sign, by the text of their public key. They are a help for a machine without the bank's
    database, and not signed. Raises UsageError for values that do not fit.
    """

    id: int
    ledger_id: bytes
    action: str
    maker: int
    records: Array  # (n,) layout.OPERATION, n ≤ RECORDS_MAX
    effect: Mapping[str, Any]
    valid_until_ns: int
    signers: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sealed.check_ledger_id(self.ledger_id)
        name = self.action
        if not name.isascii() or not name.isprintable() or not 0 < len(name) <= ACTION_BYTES_MAX:
            raise UsageError(f"the name of an action must have 1 to {ACTION_BYTES_MAX} ASCII characters; got {name!a}")
        if self.records.dtype != OPERATION or self.records.ndim != 1 or self.records.size > RECORDS_MAX:
            raise UsageError(
                f"a proposal has at most {RECORDS_MAX:,} records; got {self.records.size:,}",
                hint="divide the work into several proposals",
            )
        if len(self.effect_text) > EFFECT_BYTES_MAX:
            raise UsageError(f"the effect of a proposal has at most {EFFECT_BYTES_MAX:,} bytes")
        if not 0 < self.valid_until_ns < 1 << 63 or not 0 < self.id < 1 << 128 or not 0 <= self.maker < 1 << 128:
            raise UsageError("the id, the maker or the end of a proposal does not fit its field")

    @property
    def effect_text(self) -> bytes:
        """Return the effect as canonical JSON, ASCII."""
        return canonical_json.canonical(self.effect)

    @property
    def message(self) -> bytes:
        """Return the 188 bytes that the digest is computed from."""
        return _MESSAGE.pack(
            FORMAT.encode(),
            self.ledger_id,
            self.id.to_bytes(16, "little"),
            self.maker.to_bytes(16, "little"),
            self.action.encode("ascii"),
            self.valid_until_ns,
            self.records.size,
            sealed.records_digest(self.records),
            blake3(self.effect_text).digest(),
        )

    @property
    def digest(self) -> bytes:
        """Return the 32 bytes that every signer approves: BLAKE3 of `message`."""
        return blake3(self.message).digest()

    def text(self) -> str:
        """Return the content of the proposal's file: one JSON object, sorted keys, ASCII."""
        document = {
            "action": self.action,
            "digest": self.digest.hex(),
            "effect": json.loads(self.effect_text),
            "format": FORMAT,
            "id": ids.format(self.id),
            "ledger": self.ledger_id.hex(),
            "maker": ids.format(self.maker),
            "records": base64.b64encode(self.records.tobytes()).decode("ascii"),
            "signers": {key: ids.format(person) for key, person in self.signers.items()},
            "valid_until_ns": str(self.valid_until_ns),
        }
        return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=True) + "\n"

    def save(self, path: str | Path) -> None:
        """Write the file atomically. Raises UnavailableError if the disk refuses."""
        write_file(Path(path), self.text().encode("ascii"))

    @classmethod
    def load(cls, path: str | Path) -> Proposal:
        """Read a proposal file. Raises as `input_files.read_bytes` and `parse` do."""
        return cls.parse(read_bytes(Path(path), FILE_BYTES_MAX, "proposal file"), str(path))

    @classmethod
    def parse(cls, content: str | bytes, file: str = "proposal") -> Proposal:
        """Parse the content of a proposal file, and compare its digest with its content. Raises UsageError."""
        document = _object(content, file, FORMAT, _MEMBERS)
        try:
            signers = _mapping(document, "signers")
            proposal = cls(
                id=_id(document, "id"),
                ledger_id=_hex(document, "ledger", sealed.LEDGER_ID_BYTES),
                action=_text(document, "action"),
                maker=_id(document, "maker"),
                records=records_of(_base64(document, "records")),
                effect=_mapping(document, "effect"),
                valid_until_ns=_number(document, "valid_until_ns"),
                signers={key: _id(signers, key) for key in signers},
            )
            stated = _hex(document, "digest", 32)
        except UsageError as error:
            raise _invalid(file, error) from error
        if proposal.digest != stated:
            raise UsageError(
                f"{file}: the content has digest {proposal.digest.hex()}, and the file states {stated.hex()}",
                hint="the file was changed after its export: ask for a new one, and sign nothing",
            )
        return proposal


@dataclass(frozen=True, slots=True)
class ProposalSignature:
    """One person's signatures of one proposal: an approval of 64 bytes, and an envelope of 104 bytes or b"" ."""

    proposal: int
    digest: bytes
    signer: int
    public_key: PublicKey
    envelope: bytes
    approval: bytes

    def text(self) -> str:
        """Return the content of the signature's file: one JSON object, sorted keys, ASCII."""
        document = {
            "approval": self.approval.hex(),
            "digest": self.digest.hex(),
            "envelope": self.envelope.hex(),
            "format": SIGNATURE_FORMAT,
            "key": str(self.public_key),
            "proposal": ids.format(self.proposal),
            "signer": ids.format(self.signer),
        }
        return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=True) + "\n"

    def save(self, path: str | Path) -> None:
        """Write the file atomically. Raises UnavailableError if the disk refuses."""
        write_file(Path(path), self.text().encode("ascii"))

    @classmethod
    def load(cls, path: str | Path) -> ProposalSignature:
        """Read a signature file. Raises as `input_files.read_bytes` and `parse` do."""
        return cls.parse(read_bytes(Path(path), 64 << 10, "signature file"), str(path))

    @classmethod
    def parse(cls, content: str | bytes, file: str = "signature") -> ProposalSignature:
        """Parse the content of a signature file. Raises UsageError that names `file` and the invalid member."""
        document = _object(content, file, SIGNATURE_FORMAT, _SIGNATURE_MEMBERS)
        try:
            envelope = _text(document, "envelope")
            return cls(
                proposal=_id(document, "proposal"),
                digest=_hex(document, "digest", 32),
                signer=_id(document, "signer"),
                public_key=PublicKey.parse(_text(document, "key")),
                envelope=_hex(document, "envelope", sealed.ENVELOPE.itemsize) if envelope else b"",
                approval=_hex(document, "approval", SIGNATURE_BYTES),
            )
        except UsageError as error:
            raise _invalid(file, error) from error


def sign(proposal: Proposal, signer: int, key: SigningKey) -> ProposalSignature:
    """Sign a proposal as the person `signer`: the approval, and the envelope over all records if there are any."""
    envelope = b""
    if proposal.records.size:
        envelope = sealed.sign(proposal.records, proposal.ledger_id, signer, key, proposal.valid_until_ns).encode()
    approval = key.sign(approval_message(proposal.digest, signer))
    return ProposalSignature(proposal.id, proposal.digest, signer, key.public, envelope, approval)


def approval_message(digest: bytes, signer: int) -> bytes:
    """Return the 32 bytes that an approval signs: BLAKE3 of format, the proposal's digest and the signer's id."""
    return blake3(APPROVAL.encode().ljust(32, b"\0") + digest + signer.to_bytes(16, "little")).digest()


def envelope_message(proposal: Proposal, envelope: sealed.Envelope) -> bytes:
    """Return the 112 bytes that an envelope over all records of a proposal signs."""
    return sealed.signing_message(envelope, proposal.ledger_id, sealed.records_digest(proposal.records))


def envelope_of(signature: ProposalSignature) -> sealed.Envelope:
    """Return a signature's envelope. Raises UsageError if it has none."""
    rows = sealed.decode(signature.envelope)
    if rows.size != 1:
        raise UsageError(
            "the signature has no envelope, and the proposal has records",
            hint="sign the exported file again with `sycee proposal sign`",
        )
    row = rows[0]
    numbers = {name: int(row[name]) for name in ("first", "count", "flags", "currency", "key_epoch", "valid_until_ns")}
    return sealed.Envelope(signer=sealed.signer_of(row), signature=row["signature"].tobytes(), **numbers)


def records_of(data: bytes) -> Array:
    """Return records, (n,) layout.OPERATION, from their bytes. Raises UsageError for a partial record."""
    if len(data) % limits.RECORD_BYTES:
        raise UsageError(f"{len(data):,} bytes are not records of {limits.RECORD_BYTES} bytes each")
    records: Array = np.frombuffer(data, OPERATION).copy()
    return records


def _object(content: str | bytes, file: str, form: str, members: set[str]) -> dict[str, Any]:
    if len(content) > FILE_BYTES_MAX:
        raise UsageError(f"{file} is longer than {FILE_BYTES_MAX:,} bytes", hint="name the exported file")
    document = json_documents.parse(content, file)
    if not isinstance(document, dict) or document.get("format") != form:
        raise UsageError(f"{file}: its format is not {form}", hint="name a file that `sycee proposal` wrote")
    if wrong := members.symmetric_difference(document):
        raise UsageError(f"{file}: {', '.join(sorted(wrong))} is missing or unknown", hint="export the file again")
    return document


def _invalid(file: str, error: UsageError) -> UsageError:
    return UsageError(f"{file}: {error.message}", hint=error.hint or "export the file again")


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document[name]
    if not isinstance(value, str):
        raise UsageError(f"{name} must be a text")
    return value


def _id(document: Mapping[str, Any], name: str) -> int:
    try:
        return ids.parse(_text(document, name))
    except UsageError as error:
        raise UsageError(f"{name}: {error.message}", hint=error.hint) from error


def _hex(document: Mapping[str, Any], name: str, size: int) -> bytes:
    try:
        value = bytes.fromhex(_text(document, name))
    except ValueError:
        value = b""
    if len(value) != size:
        raise UsageError(f"{name} must have {2 * size} hexadecimal digits")
    return value


def _base64(document: Mapping[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(_text(document, name), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UsageError(f"{name} must be base64") from error


def _number(document: Mapping[str, Any], name: str) -> int:
    text = _text(document, name)
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise UsageError(f"{name} must be a decimal text")
    return int(text)


def _mapping(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document[name]
    if not isinstance(value, dict):
        raise UsageError(f"{name} must be an object")
    return value
