"""A frame as bytes: header, records, envelopes, padding, trailer. Pure functions of bytes.

docs/reference/journal.md has the tables of these structs.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NamedTuple

from blake3 import blake3
from xxhash import xxh3_64_digest, xxh3_128, xxh3_128_digest

from sycee.core.arrays import Bytes
from sycee.core.errors import UnavailableError
from sycee.core.limits import (
    CALENDAR_ENTRIES_MAX,
    ENVELOPE_BYTES,
    FRAME_ALIGNMENT_BYTES,
    FRAME_BYTES_MAX,
    FRAME_HEADER_BYTES,
    FRAME_RECORDS_MAX,
    FRAME_TRAILER_BYTES,
    I64_MAX,
    RECORD_BYTES,
)
from sycee.core.worker_thread import Deferred

FORMAT_VERSION: Final = 1
FRAME_MAGIC: Final = b"SYCEEFRM"
TRAILER_MAGIC: Final = b"SYCEEEND"
DIGEST_BYTES: Final = 32
NO_DIGEST: Final = bytes(DIGEST_BYTES)

# magic, version, kind, frame bytes, sequence, time, acknowledged, records, envelope bytes, epoch, calendar entries,
# reserved, previous digest, movement digest, body checksum
_HEADER: Final = struct.Struct("<8sHHIQqQIIIHH32s32s16s")
_CALENDAR_ENTRY: Final = struct.Struct("<HHiii")
_CALENDAR_AT: Final = _HEADER.size
_CALENDAR_END: Final = _CALENDAR_AT + CALENDAR_ENTRIES_MAX * _CALENDAR_ENTRY.size
_HEADER_CHECKSUM_AT: Final = FRAME_HEADER_BYTES - 8
# magic, sequence, frame bytes, reserved, body checksum, reserved; then its own checksum
_TRAILER: Final = struct.Struct("<8sQI4x16s16x")
_TRAILER_CHECKSUM_AT: Final = FRAME_TRAILER_BYTES - 8
_NO_CHECKSUM: Final = bytes(8)

assert _HEADER.size == 136 and _CALENDAR_ENTRY.size == 16 and _CALENDAR_END <= _HEADER_CHECKSUM_AT
assert _TRAILER.size == _TRAILER_CHECKSUM_AT

Buffer = bytes | memoryview
Digest = bytes | Deferred[bytes]  # Deferred while a worker thread computes it


class FrameKind(IntEnum):
    """Kinds of frames. The numbers are permanent, because journals contain them."""

    OPERATIONS = 1
    EMPTY = 2  # advances the ledger's time when something is due without a call
    CLOSE = 3  # the last frame of a run that ended cleanly: everything before it was acknowledged


class CalendarEntry(NamedTuple):
    """The local date of one currency at the frame's time, as numbers computed by the sequencer."""

    currency: int
    day: int
    month: int
    year: int


class Anchor(NamedTuple):
    """Identification of a durable frame, after which a reader can continue. Sequence 0 is before the first frame."""

    sequence: int
    time_ns: int
    digest: bytes  # BLAKE3 of the frame, which the next frame contains


class Location(NamedTuple):
    """Position of a frame on disk, for messages."""

    file: str
    offset: int

    def __str__(self) -> str:
        return f"{self.file} at byte {self.offset}"


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame that was read: `records` is a read-only (count, 128) view of the bytes on disk.

    `envelopes` are concatenated envelopes of ENVELOPE_BYTES, described in docs/reference/authority.md.
    `movement_digest` is the writer's digest of all movements before this frame; `digest` is BLAKE3 of the frame.
    """

    sequence: int
    kind: FrameKind
    time_ns: int
    acknowledged: int  # newest sequence that was acknowledged before this frame was written
    calendar: tuple[CalendarEntry, ...]
    records: Bytes
    location: Location
    envelopes: bytes = b""
    movement_digest: bytes = NO_DIGEST
    epoch: int = 1
    digest: bytes = NO_DIGEST


class Header(NamedTuple):
    """The fields of a frame's header."""

    sequence: int
    kind: FrameKind
    time_ns: int
    acknowledged: int
    epoch: int
    previous_digest: bytes
    calendar: tuple[CalendarEntry, ...]
    record_count: int
    envelope_bytes: int = 0
    frame_bytes: int = 0
    body_checksum: bytes = b""
    movement_digest: bytes = NO_DIGEST


class Flaw(Exception):
    """Bytes that break a rule of the format. Internal: recovery converts it to an error with a location."""


class HeaderUnreadable(Flaw):
    """The header has no valid magic or checksum, so none of its fields can be used."""


def padded_bytes(record_count: int, envelope_bytes: int = 0) -> int:
    """Return the size of a frame: header, body and trailer, rounded up to whole disk blocks.

    A frame may have at most FRAME_BYTES_MAX bytes, and must fit its segment.
    """
    content = FRAME_HEADER_BYTES + record_count * RECORD_BYTES + envelope_bytes + FRAME_TRAILER_BYTES
    return -(-content // FRAME_ALIGNMENT_BYTES) * FRAME_ALIGNMENT_BYTES


def envelopes_max(record_count: int) -> int:
    """Return how many envelopes fit a frame with `record_count` records. FRAME_BYTES_MAX is the only limit."""
    used_bytes = FRAME_HEADER_BYTES + record_count * RECORD_BYTES + FRAME_TRAILER_BYTES
    return (FRAME_BYTES_MAX - used_bytes) // ENVELOPE_BYTES


def resolve_digest(digest: Digest) -> bytes:
    """Return a digest; wait for the worker thread that computes it."""
    return digest if isinstance(digest, bytes) else digest.result()


def digest_of(frame: memoryview) -> bytes:
    """Return BLAKE3-256 of a whole padded frame, which the next frame contains as its previous digest."""
    return blake3(frame).digest()


def genesis_digest(ledger_id: bytes) -> bytes:
    """Return the previous digest of a ledger's first frame, which makes the chain specific to the ledger."""
    return blake3(ledger_id).digest()


def require_possible(header: Header, record_bytes: int, envelope_bytes: int) -> None:
    """Raise ValueError for content that no frame can have. Lengths in bytes."""
    record_count, rest = divmod(record_bytes, RECORD_BYTES)
    if rest or record_count > FRAME_RECORDS_MAX:
        raise ValueError(f"{record_bytes} bytes are not 0 to {FRAME_RECORDS_MAX} records of {RECORD_BYTES} bytes")
    if (header.kind == FrameKind.OPERATIONS) != (record_count > 0):
        raise ValueError(f"a frame of kind {header.kind.name} cannot hold {record_count} records")
    envelope_count, rest = divmod(envelope_bytes, ENVELOPE_BYTES)
    if rest:
        raise ValueError(f"{envelope_bytes} bytes are not whole envelopes of {ENVELOPE_BYTES} bytes")
    if envelope_count and not record_count:
        raise ValueError(f"{envelope_count} envelopes have no record to sign in a frame of kind {header.kind.name}")
    if envelope_count > envelopes_max(record_count):
        raise ValueError(
            f"{envelope_count} envelopes do not fit a frame with {record_count} records, which has space for "
            f"{envelopes_max(record_count)}"
        )
    if len(header.movement_digest) != DIGEST_BYTES:
        raise ValueError(f"a movement digest has {DIGEST_BYTES} bytes, not {len(header.movement_digest)}")
    if len(header.calendar) > CALENDAR_ENTRIES_MAX:
        raise ValueError(f"{len(header.calendar)} calendar entries are more than {CALENDAR_ENTRIES_MAX}")
    if not 0 < header.time_ns <= I64_MAX:
        raise ValueError(f"time {header.time_ns} ns is not a positive signed 64-bit number")


def body_checksum_of(records: memoryview) -> bytes:
    """Return the body checksum of a frame with these records and without envelopes."""
    frame_bytes = padded_bytes(len(records) // RECORD_BYTES)
    hasher = xxh3_128(records)
    hasher.update(bytes(frame_bytes - FRAME_HEADER_BYTES - len(records) - FRAME_TRAILER_BYTES))
    return hasher.digest()


def encode_into(
    buffer: memoryview,
    header: Header,
    records: memoryview,
    envelopes: Buffer = b"",
    *,
    in_place: bool = False,
    body_checksum: bytes | None = None,
) -> int:
    """Write the frame into `buffer` (at least FRAME_BYTES_MAX, writable) and return its length in bytes.

    `in_place`: the buffer already contains the records. `body_checksum`: None to compute it. `frame_bytes`,
    `record_count`, `envelope_bytes` and `body_checksum` of `header` are ignored. Raises ValueError for content that no
    frame can have.
    """
    require_possible(header, len(records), len(envelopes))
    record_count = len(records) // RECORD_BYTES
    frame_bytes = padded_bytes(record_count, len(envelopes))
    records_end = FRAME_HEADER_BYTES + len(records)
    body_end = records_end + len(envelopes)
    trailer_at = frame_bytes - FRAME_TRAILER_BYTES
    if not in_place:
        buffer[FRAME_HEADER_BYTES:records_end] = records
    buffer[records_end:body_end] = envelopes
    buffer[body_end:trailer_at] = bytes(trailer_at - body_end)
    if body_checksum is None:
        body_checksum = xxh3_128_digest(buffer[FRAME_HEADER_BYTES:trailer_at])
    _HEADER.pack_into(
        buffer,
        0,
        FRAME_MAGIC,
        FORMAT_VERSION,
        header.kind,
        frame_bytes,
        header.sequence,
        header.time_ns,
        header.acknowledged,
        record_count,
        len(envelopes),
        header.epoch,
        len(header.calendar),
        0,
        header.previous_digest,
        header.movement_digest,
        body_checksum,
    )
    buffer[_CALENDAR_AT:FRAME_HEADER_BYTES] = bytes(FRAME_HEADER_BYTES - _CALENDAR_AT)
    for index, entry in enumerate(header.calendar):
        at = _CALENDAR_AT + index * _CALENDAR_ENTRY.size
        _CALENDAR_ENTRY.pack_into(buffer, at, entry.currency, 0, entry.day, entry.month, entry.year)
    buffer[_HEADER_CHECKSUM_AT:FRAME_HEADER_BYTES] = xxh3_64_digest(buffer[:FRAME_HEADER_BYTES])
    buffer[trailer_at:frame_bytes] = trailer(header.sequence, frame_bytes, body_checksum)
    return frame_bytes


def trailer(sequence: int, frame_bytes: int, body_checksum: bytes) -> bytes:
    """Return the last 64 bytes of a frame, which recovery can restore from its header."""
    fixed = _TRAILER.pack(TRAILER_MAGIC, sequence, frame_bytes, body_checksum)
    return fixed + xxh3_64_digest(fixed + _NO_CHECKSUM)


def decode_header(block: memoryview) -> Header:
    """Return the header at the start of `block`.

    Raises HeaderUnreadable without a valid magic and checksum, UnavailableError if a newer version wrote it, Flaw if
    its fields contradict each other.
    """
    if len(block) < FRAME_HEADER_BYTES or bytes(block[: len(FRAME_MAGIC)]) != FRAME_MAGIC:
        raise HeaderUnreadable("its header has no magic number")
    if not _checksum_holds(block[:FRAME_HEADER_BYTES], _HEADER_CHECKSUM_AT):
        raise HeaderUnreadable("its header does not match the header's checksum")
    fields: tuple[Any, ...] = _HEADER.unpack_from(block)
    (_, version, kind, frame_bytes, sequence, time_ns, acknowledged, record_count, envelope_bytes, epoch) = fields[:10]
    (calendar_count, _, previous_digest, movement_digest, body_checksum) = fields[10:]
    if version > FORMAT_VERSION or kind not in FrameKind.__members__.values():
        raise newer(f"frame {sequence} has format version {version} and kind {kind}")
    if calendar_count > CALENDAR_ENTRIES_MAX:
        raise Flaw(f"its header has {calendar_count} calendar entries")
    if (
        record_count > FRAME_RECORDS_MAX
        or frame_bytes > FRAME_BYTES_MAX
        or frame_bytes != padded_bytes(record_count, envelope_bytes)
    ):
        raise Flaw(f"its header has {frame_bytes} bytes for {record_count} records and {envelope_bytes} bytes more")
    if (kind == FrameKind.OPERATIONS) != (record_count > 0):
        raise Flaw(f"its header has kind {FrameKind(kind).name} with {record_count} records")
    if envelope_bytes % ENVELOPE_BYTES or (envelope_bytes and not record_count):
        raise Flaw(f"its header has {envelope_bytes} bytes of envelopes with {record_count} records")
    return Header(
        sequence=sequence,
        kind=FrameKind(kind),
        time_ns=time_ns,
        acknowledged=acknowledged,
        epoch=epoch,
        previous_digest=previous_digest,
        calendar=_decode_calendar(block, calendar_count),
        record_count=record_count,
        envelope_bytes=envelope_bytes,
        frame_bytes=frame_bytes,
        body_checksum=body_checksum,
        movement_digest=movement_digest,
    )


def body_holds(header: Header, frame: memoryview) -> bool:
    """Return whether records, envelopes and padding match the header's checksum."""
    body = frame[FRAME_HEADER_BYTES : header.frame_bytes - FRAME_TRAILER_BYTES]
    return bool(xxh3_128_digest(body) == header.body_checksum)


def hidden_content(header: Header, frame: memoryview) -> str:
    """Return a description of bytes without a meaning in a valid frame; "" if there are none."""
    content_end = FRAME_HEADER_BYTES + header.record_count * RECORD_BYTES + header.envelope_bytes
    padding = frame[content_end : header.frame_bytes - FRAME_TRAILER_BYTES]
    return "its padding is not zero" if bytes(padding).strip(b"\0") else ""


def trailer_holds(header: Header, frame: memoryview) -> bool:
    """Return whether the trailer is exactly the one that the header determines."""
    expected = trailer(header.sequence, header.frame_bytes, header.body_checksum)
    return frame[header.frame_bytes - FRAME_TRAILER_BYTES : header.frame_bytes] == expected


def trailer_sequence(block_end: memoryview) -> int | None:
    """Return the sequence in a valid trailer of 64 bytes; -1 if only its magic is right, None if not even that."""
    if bytes(block_end[: len(TRAILER_MAGIC)]) != TRAILER_MAGIC:
        return None
    if not _checksum_holds(block_end, _TRAILER_CHECKSUM_AT):
        return -1
    return int(_TRAILER.unpack_from(block_end)[1])


def records_of(header: Header, frame: Bytes) -> Bytes:
    """Return the records of a frame as a (count, 128) view."""
    end = FRAME_HEADER_BYTES + header.record_count * RECORD_BYTES
    return frame[FRAME_HEADER_BYTES:end].reshape(header.record_count, RECORD_BYTES)


def envelopes_of(header: Header, frame: Bytes) -> bytes:
    """Return the concatenated envelopes of a frame."""
    start = FRAME_HEADER_BYTES + header.record_count * RECORD_BYTES
    return frame[start : start + header.envelope_bytes].tobytes()


def as_calendar(entries: Sequence[tuple[int, int, int, int]]) -> tuple[CalendarEntry, ...]:
    """Return calendar entries for a sequence of (currency, day, month, year)."""
    return tuple(CalendarEntry(*entry) for entry in entries)


def newer(what: str) -> UnavailableError:
    """Return the error for a valid header of a newer version."""
    return UnavailableError(
        f"this journal was written by a newer version of Sycee: {what}",
        hint="Use the release that wrote it, or a newer one. Nothing was changed or lost.",
    )


def checksummed(fixed: bytes, size_bytes: int) -> bytes:
    """Return `fixed` padded to `size_bytes` with zeros, and with XXH3-64 of that block in its last eight bytes."""
    block = fixed + bytes(size_bytes - len(fixed))
    return block[:-8] + xxh3_64_digest(block)


def checksum_holds(block: memoryview) -> bool:
    """Return whether the last eight bytes of `block` are XXH3-64 of the block with them zero."""
    return _checksum_holds(block, len(block) - 8)


def _checksum_holds(block: memoryview, at: int) -> bool:
    return bool(xxh3_64_digest(bytes(block[:at]) + _NO_CHECKSUM) == block[at : at + 8])


def _decode_calendar(block: memoryview, count: int) -> tuple[CalendarEntry, ...]:
    entries = []
    for index in range(count):
        currency, _, day, month, year = _CALENDAR_ENTRY.unpack_from(block, _CALENDAR_AT + index * _CALENDAR_ENTRY.size)
        entries.append(CalendarEntry(currency, day, month, year))
    return tuple(entries)
