"""Decode the body of a payment, and check what can be checked without the ledger and before the signature."""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Final, NamedTuple

from sycee.core import json_documents
from sycee.core.errors import UsageError
from sycee.core.limits import ENVELOPE_BYTES, RECORD_BYTES
from sycee.core.records.layout import LINKED, KeyFlag, Kind
from sycee.core.records.operation_table import TABLE

PAYMENT_TYPE: Final = b"application/vnd.sycee.payment"
JSON_TYPE: Final = b"application/json"
PAYMENT_BYTES: Final = RECORD_BYTES + ENVELOPE_BYTES
JSON_BYTES_MAX: Final = 1_024  # the members have 172 and 140 characters; the rest is for spaces

# Operations that a wallet's own key signs alone.
KINDS: Final = (Kind.PAY, Kind.TRANSFER, Kind.HOLD, Kind.POST, Kind.VOID, Kind.EXTEND, Kind.REFUND)
_FLAGS: Final = {int(kind): frozenset(TABLE[kind].flags) for kind in KINDS}
_KEY_FLAGS: Final = frozenset((int(KeyFlag.ED25519), int(KeyFlag.P256), int(KeyFlag.P256 | KeyFlag.Y_ODD)))

_KIND_AND_FLAGS: Final = struct.Struct("<HH")  # of layout.OPERATION, at byte 16
_SIGNER: Final = struct.Struct("<HHHHII")  # of an envelope: first, count, flags, currency, key_epoch, reserved


class Payment(NamedTuple):
    """One record and the envelope over it."""

    record: bytes
    envelope: bytes


class BodyError(Exception):
    """A body is no payment that this path accepts. `name`: of the problem."""

    def __init__(self, name: str, detail: str, hint: str) -> None:
        super().__init__(detail)
        self.name, self.detail, self.hint = name, detail, hint


def decode(body: bytes, content_type: bytes) -> Payment:
    """Return the payment in a body. Raises BodyError for a body that must be refused before its signature is read."""
    if content_type != PAYMENT_TYPE:  # the usual type without parameters is compared first
        content_type = content_type.partition(b";")[0].strip().lower()
    if content_type == PAYMENT_TYPE:
        payment = _split(body)
    elif content_type == JSON_TYPE:
        payment = _from_json(body)
    else:
        raise BodyError(
            "unsupported-media-type",
            f"content-type {content_type[:80].decode('latin-1')!r} is none that payments have",
            f"send {PAYMENT_TYPE.decode()} with {PAYMENT_BYTES} bytes, or {JSON_TYPE.decode()}",
        )
    check(payment)
    return payment


def _split(body: bytes) -> Payment:
    if len(body) != PAYMENT_BYTES:
        raise BodyError(
            "invalid-request",
            f"the body has {len(body):,} bytes",
            f"send {PAYMENT_BYTES} bytes: a record of {RECORD_BYTES} and an envelope of {ENVELOPE_BYTES}",
        )
    return Payment(body[:RECORD_BYTES], body[RECORD_BYTES:])


def _from_json(body: bytes) -> Payment:
    try:
        members = json_documents.parse(body, "body")
    except UsageError as error:
        raise _not_members(error.message) from None
    if not isinstance(members, dict) or set(members) != {"record", "envelope"}:
        raise _not_members("the body is not an object with the members record and envelope alone")
    parts = []
    for name, size in (("record", RECORD_BYTES), ("envelope", ENVELOPE_BYTES)):
        try:
            part = base64.b64decode(members[name], validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise _not_members(f"{name} is not base64") from None
        if len(part) != size:
            raise _not_members(f"{name} has {len(part):,} bytes, not {size}")
        parts.append(part)
    return Payment(*parts)


def _not_members(detail: str) -> BodyError:
    return BodyError(
        "invalid-request",
        detail,
        f'send {{"record": base64 of {RECORD_BYTES} bytes, "envelope": base64 of {ENVELOPE_BYTES} bytes}}',
    )


def check(payment: Payment) -> None:
    """Raise BodyError for a record or envelope that no signature can make acceptable here."""
    kind, flags = _KIND_AND_FLAGS.unpack_from(payment.record, 16)
    first, count, key_flags, currency, _, reserved = _SIGNER.unpack_from(payment.envelope)
    allowed = _FLAGS.get(kind)
    if allowed is None:
        raise BodyError(
            "invalid-request",
            f"kind {kind} is not accepted on this path",
            f"send one of {', '.join(f'{each.name} ({each.value})' for each in KINDS)}",
        )
    if flags not in allowed:
        linked = "the record is linked to another" if flags & LINKED else f"flags {flags} are unknown for kind {kind}"
        raise BodyError("invalid-request", linked, "send one record alone, with the flags of its kind")
    if (first, count) != (0, 1):
        raise BodyError(
            "invalid-request",
            f"the envelope covers {count} records from index {first} on",
            "sign the one record: first 0, count 1",
        )
    if not currency or key_flags not in _KEY_FLAGS or reserved:
        raise BodyError(
            "invalid-request",
            "the envelope is not of an account's own key",
            "set the account's currency, key epoch and key flags; a person's envelope is not accepted here",
        )
