from __future__ import annotations

import mmap
import struct

import numpy as np
import pytest
import xxhash
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from tests.journal.history import CALENDAR, FIRST, LEDGER_ID, append, create, envelopes, movement_digest

from sycee.core.errors import UnavailableError
from sycee.core.limits import (
    ENVELOPE_BYTES,
    FRAME_ALIGNMENT_BYTES,
    FRAME_BYTES_MAX,
    FRAME_RECORDS_MAX,
    I64_MAX,
    SEGMENT_BYTES,
)
from sycee.journal import CalendarEntry, FrameKind
from sycee.journal import frame as frames
from sycee.journal.frame import Flaw, Header, HeaderUnreadable
from sycee.testing.disk import FakeDisk

pytestmark = pytest.mark.fast

U16 = st.integers(0, 2**16 - 1)
U64 = st.integers(0, 2**64 - 1)
I32 = st.integers(-(2**31), 2**31 - 1)
DIGESTS = st.binary(min_size=32, max_size=32)
CALENDARS = st.lists(st.builds(CalendarEntry, U16, I32, I32, I32), max_size=16).map(tuple)


def encode(header: Header, content: bytes, signed: bytes = b"") -> tuple[memoryview, int]:
    # A reused buffer has other bytes, which must not remain in the frame.
    buffer = memoryview(mmap.mmap(-1, FRAME_BYTES_MAX))
    buffer[:] = b"\xa5" * FRAME_BYTES_MAX
    return buffer, frames.encode_into(buffer, header, memoryview(content), signed)


@pytest.mark.parametrize("count", [1, 29, 30, 31, 8_064])
def test_a_body_checksum_that_is_known_gives_the_same_frame(count: int) -> None:
    content = np.random.default_rng(count).bytes(count * 128)
    expected, size = encode(header_of(count), content)
    checksum = frames.body_checksum_of(memoryview(content))
    buffer = memoryview(bytearray(FRAME_BYTES_MAX))
    assert frames.encode_into(buffer, header_of(count), memoryview(content), body_checksum=checksum) == size
    assert buffer[:size] == expected[:size]
    assert frames.decode_header(buffer).body_checksum == checksum


def header_of(count: int, **changes: object) -> Header:
    kind = FrameKind.OPERATIONS if count else FrameKind.EMPTY
    return Header(7, kind, 1_000, 6, 1, bytes(32), CALENDAR, count)._replace(**changes)


@given(
    count=st.integers(0, 70),
    envelope_count=st.integers(0, 60),
    seed=st.integers(0, 9),
    sequence=U64,
    time_ns=st.integers(1, I64_MAX),
    acknowledged=U64,
    epoch=st.integers(0, 2**32 - 1),
    previous=DIGESTS,
    state=DIGESTS,
    calendar=CALENDARS,
)
def test_an_encoded_frame_is_decoded_to_the_same_values(
    count: int,
    envelope_count: int,
    seed: int,
    sequence: int,
    time_ns: int,
    acknowledged: int,
    epoch: int,
    previous: bytes,
    state: bytes,
    calendar: tuple[CalendarEntry, ...],
) -> None:
    kind = FrameKind.OPERATIONS if count else FrameKind.CLOSE
    content = np.random.default_rng(seed).bytes(count * 128)
    signed = np.random.default_rng(seed).bytes(envelope_count * 104) if count else b""
    header = Header(sequence, kind, time_ns, acknowledged, epoch, previous, calendar, count, movement_digest=state)
    buffer, frame_bytes = encode(header, content, signed)
    frame = buffer[:frame_bytes]

    decoded = frames.decode_header(frame)

    assert decoded == header._replace(
        frame_bytes=frame_bytes, body_checksum=decoded.body_checksum, envelope_bytes=len(signed)
    )
    assert frames.body_holds(decoded, frame)
    assert frames.trailer_holds(decoded, frame)
    assert frames.trailer_sequence(frame[-64:]) == sequence
    assert frames.records_of(decoded, np.frombuffer(frame, np.uint8)).tobytes() == content
    assert frames.envelopes_of(decoded, np.frombuffer(frame, np.uint8)) == signed
    assert frame_bytes == frames.padded_bytes(count, len(signed))
    assert frame_bytes % FRAME_ALIGNMENT_BYTES == 0
    assert not any(frame[512 + len(content) + len(signed) : frame_bytes - 64])
    assert frames.hidden_content(decoded, frame) == ""


@given(count=st.integers(1, 40), position=st.integers(0, 2**16), xor=st.integers(1, 255))
def test_every_changed_byte_is_found(count: int, position: int, xor: int) -> None:
    buffer, frame_bytes = encode(header_of(count), np.random.default_rng(count).bytes(count * 128))
    position %= frame_bytes
    buffer[position] ^= xor
    try:
        header = frames.decode_header(buffer[:frame_bytes])
    except HeaderUnreadable:
        assert position < 512
        return
    assert frames.body_holds(header, buffer) == (not 512 <= position < frame_bytes - 64)
    assert frames.trailer_holds(header, buffer) == (position < frame_bytes - 64)


def test_the_largest_frame_fits_one_message() -> None:
    buffer, frame_bytes = encode(header_of(FRAME_RECORDS_MAX), bytes([1]) * FRAME_RECORDS_MAX * 128)
    assert frame_bytes <= FRAME_BYTES_MAX
    assert frames.decode_header(buffer).record_count == FRAME_RECORDS_MAX


@pytest.mark.parametrize("count", [1, 2, 4_517, FRAME_RECORDS_MAX])
def test_more_envelopes_than_fit_are_refused(count: int) -> None:
    room = frames.envelopes_max(count)
    content = bytes([1]) * count * 128
    buffer, frame_bytes = encode(header_of(count), content, bytes([2]) * room * ENVELOPE_BYTES)
    assert frame_bytes == FRAME_BYTES_MAX <= SEGMENT_BYTES
    header = frames.decode_header(buffer)
    assert (header.record_count, header.envelope_bytes) == (count, room * ENVELOPE_BYTES)
    assert frames.body_holds(header, buffer)
    with pytest.raises(
        ValueError, match=f"{room + 1} envelopes do not fit a frame with {count} records, .* space for {room}"
    ):
        encode(header_of(count), content, bytes((room + 1) * ENVELOPE_BYTES))


@pytest.mark.parametrize(
    ("count", "signed", "says"),
    [
        (1, bytes(103), "103 bytes are not whole envelopes of 104"),
        (0, bytes(104), "1 envelopes have no record to sign"),
    ],
)
def test_partial_envelopes_and_envelopes_without_records_are_refused(count: int, signed: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        encode(header_of(count), bytes(count * 128), signed)


def test_a_movement_digest_must_have_32_bytes() -> None:
    with pytest.raises(ValueError, match="a movement digest has 32 bytes, not 31"):
        encode(header_of(0, movement_digest=bytes(31)), b"")


@pytest.mark.parametrize(
    ("content", "changes", "says"),
    [
        (bytes(127), {}, "127 bytes are not"),
        (bytes((FRAME_RECORDS_MAX + 1) * 128), {"kind": FrameKind.OPERATIONS}, "are not 0 to 8064 records"),
        (b"", {"kind": FrameKind.OPERATIONS}, "OPERATIONS cannot hold 0 records"),
        (bytes(128), {"kind": FrameKind.CLOSE}, "CLOSE cannot hold 1 records"),
        (b"", {"calendar": CALENDAR * 9}, "18 calendar entries"),
        (b"", {"time_ns": 0}, "not a positive"),
        (b"", {"time_ns": I64_MAX + 1}, "not a positive"),
    ],
)
def test_content_that_no_frame_can_have_is_refused(content: bytes, changes: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        encode(header_of(0, **changes), content)


def rewritten(position: int, form: str, value: int) -> memoryview:
    """Return a header with one field changed and a valid checksum."""
    buffer, frame_bytes = encode(header_of(2), bytes([1]) * 256)
    struct.pack_into(form, buffer, position, value)
    buffer[504:512] = bytes(8)
    buffer[504:512] = xxhash.xxh3_64_digest(buffer[:512])
    return buffer[:frame_bytes]


@pytest.mark.parametrize(("position", "value"), [(8, 2), (10, 4), (10, 0)])
def test_a_newer_version_is_unavailable_and_not_damaged(position: int, value: int) -> None:
    with pytest.raises(UnavailableError, match="newer version of Sycee"):
        frames.decode_header(rewritten(position, "<H", value))


@pytest.mark.parametrize(
    ("position", "form", "value", "says"),
    [
        (12, "<I", 8192, "8192 bytes for 2 records"),
        (40, "<I", 8065, "8065 records"),
        (44, "<I", 8192, "8192 bytes more"),
        (44, "<I", 103, "103 bytes of envelopes with 2 records"),
        (52, "<H", 17, "17 calendar entries"),
        (10, "<H", 2, "EMPTY with 2 records"),
    ],
)
def test_a_valid_header_with_impossible_fields_is_a_flaw(position: int, form: str, value: int, says: str) -> None:
    with pytest.raises(Flaw, match=says):
        frames.decode_header(rewritten(position, form, value))


def test_a_valid_header_with_envelopes_and_no_record_is_a_flaw() -> None:
    buffer, frame_bytes = encode(header_of(0), b"")
    struct.pack_into("<I", buffer, 44, 104)
    buffer[504:512] = bytes(8)
    buffer[504:512] = xxhash.xxh3_64_digest(buffer[:512])
    with pytest.raises(Flaw, match="104 bytes of envelopes with 0 records"):
        frames.decode_header(buffer[:frame_bytes])


def test_the_bytes_agree_with_the_reference() -> None:
    """Read a frame with the numbers of docs/reference/journal.md only, without the code of the journal."""
    disk = FakeDisk()
    journal = create(disk)
    append(journal, 1)
    _, _, time_ns, content = append(journal, 28)
    signed = envelopes(2, 28)
    assert len(signed) == 104
    segment = disk.content(FIRST)

    assert struct.unpack_from("<8sHHI16sQIIQ32s", segment) == (
        b"SYCEESEG", 1, 0, len(segment), LEDGER_ID, 1, 1, 0, 1, blake3(LEDGER_ID).digest()
    )  # fmt: skip
    assert xxhash.xxh3_64_digest(segment[:4088] + bytes(8)) == segment[4088:4096]

    frame = segment[8192:16384]
    body = xxhash.xxh3_128_digest(frame[512:8128])
    before = blake3(segment[4096:8192]).digest()
    assert struct.unpack_from("<8sHHIQqQIIIHH32s32s16s", frame) == (
        b"SYCEEFRM", 1, 1, 8192, 2, time_ns, 1, 28, 104, 1, 2, 0, before, movement_digest(2), body
    )  # fmt: skip
    entries = [struct.unpack_from("<HHiii", frame, 136 + 16 * index) for index in range(3)]
    assert entries == [*[(one.currency, 0, one.day, one.month, one.year) for one in CALENDAR], (0, 0, 0, 0, 0)]
    assert not any(frame[136 + 32 : 504])
    assert xxhash.xxh3_64_digest(frame[:504] + bytes(8)) == frame[504:512]
    assert frame[512 : 512 + 28 * 128] == content
    assert frame[512 + 28 * 128 : 512 + 28 * 128 + 104] == signed
    assert not any(frame[512 + 28 * 128 + 104 : 8128])
    assert struct.unpack_from("<8sQI4s16s16s", frame, 8128) == (b"SYCEEEND", 2, 8192, bytes(4), body, bytes(16))
    assert xxhash.xxh3_64_digest(frame[8128:8184] + bytes(8)) == frame[8184:8192]


def test_the_format_has_not_changed() -> None:
    """If this fails, the format version must rise, and the old version must still be readable."""
    disk = FakeDisk()
    journal = create(disk)
    journal.append(kind=FrameKind.OPERATIONS, time_ns=10, records=bytes(range(128)) * 28, calendar=CALENDAR)
    journal.append(kind=FrameKind.EMPTY, time_ns=20, calendar=CALENDAR)
    journal.close(time_ns=30)
    assert blake3(disk.content(FIRST)).hexdigest() == "b414d141f6167577988f2b11b70ca52ca1f66cc5d2a5161da1b2a8e9040a7e3d"


def test_hidden_content_is_found() -> None:
    buffer, length = encode(header_of(3), bytes(range(128)) * 3)
    header = frames.decode_header(buffer[:length])
    assert frames.hidden_content(header, buffer[:length]) == ""
    buffer[length - 100] = 1  # between the records and the trailer
    assert frames.hidden_content(header, buffer[:length]) == "its padding is not zero"
