"""Signed envelopes: one signature over a range of a frame's records, in 104 bytes.

Signatures are stored next to the records, not in them: most records of a bulk share one signature, while each payment
of a wallet has its own. docs/reference/authority.md defines every byte; `sycee.ledger.authority` checks the envelopes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from blake3 import blake3

from sycee.core import ids, limits
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.keys import SIGNATURE_BYTES, SigningKey

ENVELOPE: Final = np.dtype(
    [
        ("first", "<u2"),  # 0  index of the first covered record: in the submission, later in the frame
        ("count", "<u2"),
        ("flags", "<u2"),  # 4  layout.KeyFlag of the signing key
        ("currency", "<u2"),  # 6  of the signing account; 0: a person signs
        ("key_epoch", "<u4"),  # 8  of the signing account
        ("reserved", "<u4"),
        ("signer_low", "<u8"),  # 16
        ("signer_high", "<u8"),
        ("valid_until_ns", "<i8"),  # 32
        ("signature", "u1", SIGNATURE_BYTES),  # 40
    ]
)

CONTEXT: Final = b"sycee.envelope.v1".ljust(32, b"\0")
LEDGER_ID_BYTES: Final = 16
_FIXED: Final = struct.Struct("<32s16s16sqIHH32s")
_ENVELOPE: Final = struct.Struct("<HHHHII16sq64s")
_NUMBERS: Final = ("first", "count", "flags", "currency", "key_epoch", "valid_until_ns")

assert ENVELOPE.itemsize == _ENVELOPE.size == 104 and _FIXED.size == 112


@dataclass(frozen=True, slots=True)
class Envelope:
    """One signature and the range it covers. `valid_until_ns` is the first nanosecond at which it is invalid.

    `currency` and `key_epoch` are those of the signing account, 0 where a person signs. `flags` are layout.KeyFlag.
    """

    first: int
    count: int
    flags: int
    currency: int
    key_epoch: int
    signer: int
    valid_until_ns: int
    signature: bytes

    def encode(self) -> bytes:
        """Return the 104 bytes. Raise UsageError for values that do not fit."""
        return as_array((self,)).tobytes()


def as_array(envelopes: Array | Sequence[Envelope]) -> Array:
    """Return envelopes as a new (m,) ENVELOPE array. Raise UsageError for values that do not fit the 104 bytes."""
    if isinstance(envelopes, np.ndarray):
        if envelopes.dtype != ENVELOPE or envelopes.ndim != 1:
            raise UsageError(
                f"envelopes must be a one-dimensional array of ENVELOPE records; got {envelopes.dtype}",
                hint="decode reads them from bytes",
            )
        return envelopes.copy()
    return decode(b"".join(map(_packed, envelopes)))


def _packed(envelope: Envelope) -> bytes:
    """Return the 104 bytes of an envelope. Raise UsageError for values that do not fit."""
    if len(envelope.signature) != SIGNATURE_BYTES:
        raise UsageError(f"a signature must have {SIGNATURE_BYTES} bytes, not {len(envelope.signature)}")
    if not 0 <= envelope.signer < 1 << 128:
        raise UsageError(f"signer {envelope.signer} does not fit the 128 bits of an id")
    values = envelope.first, envelope.count, envelope.flags, envelope.currency, envelope.key_epoch
    signer = envelope.signer.to_bytes(16, "little")
    try:
        return _ENVELOPE.pack(*values, 0, signer, envelope.valid_until_ns, envelope.signature)
    except struct.error as error:
        names = zip("HHHHIq", _NUMBERS, strict=True)
        name = next(name for code, name in names if not _fits(code, getattr(envelope, name)))
        raise UsageError(f"an envelope's {name} = {getattr(envelope, name)} does not fit its field") from error


def _fits(code: str, number: int) -> bool:
    """Return whether a number fits a field of this code of `struct`."""
    try:
        struct.pack(f"<{code}", number)
    except struct.error:
        return False
    return True


def decode(data: bytes | memoryview | Array) -> Array:
    """Return the envelopes in `data`, (m,) ENVELOPE, as a new array. Raise UsageError for a partial envelope."""
    raw = bytes(data)
    if len(raw) % ENVELOPE.itemsize:
        raise UsageError(f"{len(raw)} bytes are not envelopes of {ENVELOPE.itemsize} bytes each")
    return np.frombuffer(raw, ENVELOPE).copy()


def signer_of(row: np.void) -> int:
    """Return the id of the signer."""
    return ids.of_record(row, "signer")


def records_digest(records: Array) -> bytes:
    """Return BLAKE3-256 over the bytes of the covered records, in order."""
    return blake3(np.ascontiguousarray(records).view(np.uint8).data).digest()


def check_ledger_id(ledger_id: bytes) -> None:
    """Raise UsageError unless a ledger id has 16 bytes."""
    if len(ledger_id) != LEDGER_ID_BYTES:
        raise UsageError(f"a ledger id must have {LEDGER_ID_BYTES} bytes, not {len(ledger_id)}")


def signing_message(envelope: Envelope, ledger_id: bytes, digest: bytes) -> bytes:
    """Return the 112 bytes that an envelope signs. `digest` is `records_digest` of the covered records.

    The position of the records in their frame is not included: it is unknown at the time of signing. Raise UsageError
    for a ledger id that has not 16 bytes, and for numbers that do not fit their fields.
    """
    check_ledger_id(ledger_id)
    try:
        signer = envelope.signer.to_bytes(16, "little")
        numbers = envelope.valid_until_ns, envelope.key_epoch, envelope.currency, envelope.count
        return _FIXED.pack(CONTEXT, ledger_id, signer, *numbers, digest)
    except (struct.error, OverflowError) as error:
        raise UsageError(f"a number does not fit its field in an envelope: {error}") from error


def sign(
    records: Array,
    ledger_id: bytes,
    signer_id: int,
    key: SigningKey,
    valid_until_ns: int,
    *,
    first: int = 0,
    currency: int = 0,
    key_epoch: int = 0,
) -> Envelope:
    """Sign `records`, (n,) layout.OPERATION, which begin at index `first` of their submission.

    `signer_id` is a person's id, or an account's id together with the account's `currency` and `key_epoch`. Raise
    UsageError for 0 records, for more records than a frame holds, and for numbers that do not fit an envelope.
    """
    if records.dtype.itemsize != limits.RECORD_BYTES or not 0 < records.size <= limits.FRAME_RECORDS_MAX:
        raise UsageError(
            f"an envelope covers 1 to {limits.FRAME_RECORDS_MAX:,} records, not {records.size:,}",
            hint="divide the records and sign each part with its own envelope",
        )
    unsigned = Envelope(
        first, records.size, key.public.flags, currency, key_epoch, signer_id, valid_until_ns, signature=b""
    )
    return replace(unsigned, signature=key.sign(signing_message(unsigned, ledger_id, records_digest(records))))


def sign_record(record: bytes, unsigned: Envelope, ledger_id: bytes, key: SigningKey) -> bytes:
    """Return the 104 bytes of `unsigned` with the key's signature over one record of 128 bytes; no array is created."""
    message = signing_message(unsigned, ledger_id, blake3(record).digest())
    signer = unsigned.signer.to_bytes(16, "little")
    return _ENVELOPE.pack(
        unsigned.first, unsigned.count, unsigned.flags, unsigned.currency, unsigned.key_epoch, 0, signer,
        unsigned.valid_until_ns, key.sign(message),
    )  # fmt: skip
