"""Signed envelopes: who vouches for which records of a frame, in 104 bytes.

Signatures stand beside the records and not in them, since most records of a bulk share one and a payment of a wallet
has one of its own. docs/reference/authority.md says what is signed, to the byte; `sycee.ledger.authority` judges it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from blake3 import blake3

from sycee.core import ids, limits
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.keys import SIGNATURE_BYTES, SigningKey

ENVELOPE: Final = np.dtype(
    [
        ("first", "<u2"),  # 0  index of the first record it covers: in its submission, later in its frame
        ("count", "<u2"),
        ("flags", "<u2"),  # 4  layout.KeyFlag of the key it was signed with
        ("currency", "<u2"),  # 6  of the account that signs; 0: a person signs
        ("key_epoch", "<u4"),  # 8  of the account that signs
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

assert ENVELOPE.itemsize == 104 and _FIXED.size == 112


@dataclass(frozen=True, slots=True)
class Envelope:
    """One signature and what it covers. `valid_until_ns` is the first nanosecond at which it is void.

    `currency` and `key_epoch` are those of the account that signs, 0 where a person signs. `flags` are layout.KeyFlag.
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
        """The 104 bytes. UsageError for what does not fit them."""
        return as_array((self,)).tobytes()


def as_array(envelopes: Array | Sequence[Envelope]) -> Array:
    """Envelopes in any form as a new (m,) ENVELOPE array. Raises UsageError for what does not fit the 104 bytes."""
    if isinstance(envelopes, np.ndarray):
        if envelopes.dtype != ENVELOPE or envelopes.ndim != 1:
            raise UsageError("envelopes are an array of ENVELOPE records", hint="use `decode` for bytes")
        return envelopes.copy()
    array = np.zeros(len(envelopes), ENVELOPE)
    for row, envelope in zip(array, envelopes, strict=True):
        if len(envelope.signature) != SIGNATURE_BYTES:
            raise UsageError(f"a signature has {SIGNATURE_BYTES} bytes, not {len(envelope.signature)}")
        if not 0 <= envelope.signer < 1 << 128:
            raise UsageError(f"signer {envelope.signer} does not fit the 128 bits of an id")
        try:
            for name in ("first", "count", "flags", "currency", "key_epoch", "valid_until_ns"):
                row[name] = getattr(envelope, name)
        except OverflowError as error:
            raise UsageError(f"an envelope's {name} = {getattr(envelope, name)} does not fit its field") from error
        row["signer_low"], row["signer_high"] = ids.split(envelope.signer)
        row["signature"] = np.frombuffer(envelope.signature, np.uint8)
    return array


def decode(data: bytes | memoryview | Array) -> Array:
    """Bytes of a request or a frame as a new (m,) ENVELOPE array. UsageError unless they are whole envelopes."""
    raw = bytes(data)
    if len(raw) % ENVELOPE.itemsize:
        raise UsageError(f"{len(raw)} bytes are not envelopes of {ENVELOPE.itemsize} bytes each")
    return np.frombuffer(raw, ENVELOPE).copy()


def from_row(row: np.void) -> Envelope:
    """One row of an ENVELOPE array as an Envelope."""
    return Envelope(
        first=int(row["first"]),
        count=int(row["count"]),
        flags=int(row["flags"]),
        currency=int(row["currency"]),
        key_epoch=int(row["key_epoch"]),
        signer=signer_of(row),
        valid_until_ns=int(row["valid_until_ns"]),
        signature=row["signature"].tobytes(),
    )


def signer_of(row: np.void) -> int:
    """The id of who signed."""
    return ids.of_record(row, "signer")


def records_digest(records: Array) -> bytes:
    """BLAKE3-256 over the bytes of the covered records, in order."""
    return blake3(np.ascontiguousarray(records).view(np.uint8).data).digest()


def signing_message(
    *,
    ledger_id: bytes,
    signer: int,
    valid_until_ns: int,
    key_epoch: int,
    currency: int,
    count: int,
    digest: bytes,
) -> bytes:
    """The 112 bytes that are signed. `digest` is `records_digest` of the `count` records covered.

    Where the records stand in their frame is not among them: who signs cannot know it. Raises UsageError for a ledger
    id that has not 16 bytes, or for numbers that do not fit their fields.
    """
    if len(ledger_id) != LEDGER_ID_BYTES:
        raise UsageError(f"a ledger's id has {LEDGER_ID_BYTES} bytes, not {len(ledger_id)}")
    try:
        signer_bytes = signer.to_bytes(16, "little")
        return _FIXED.pack(CONTEXT, ledger_id, signer_bytes, valid_until_ns, key_epoch, currency, count, digest)
    except (struct.error, OverflowError) as error:
        raise UsageError(f"an envelope cannot hold these numbers: {error}") from error


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
    """Vouch for `records`, (n,) layout.OPERATION, which stand in their submission from index `first` on.

    `signer_id`: the person's id; or the account's, and then `currency` and `key_epoch` are the account's too.
    Raises UsageError for no records, for more than one frame holds, or for what an envelope cannot hold.
    """
    if records.dtype.itemsize != limits.RECORD_BYTES or not 0 < records.size <= limits.FRAME_RECORDS_MAX:
        raise UsageError(
            f"an envelope covers 1 to {limits.FRAME_RECORDS_MAX:,} records, not {records.size:,}",
            hint="sign them in several parts, each under an envelope of its own",
        )
    message = signing_message(
        ledger_id=ledger_id,
        signer=signer_id,
        valid_until_ns=valid_until_ns,
        key_epoch=key_epoch,
        currency=currency,
        count=records.size,
        digest=records_digest(records),
    )
    return Envelope(
        first=first,
        count=records.size,
        flags=key.public.flags,
        currency=currency,
        key_epoch=key_epoch,
        signer=signer_id,
        valid_until_ns=valid_until_ns,
        signature=key.sign(message),
    )
