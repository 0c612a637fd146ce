"""A snapshot as bytes: header, sections, table, digest. Pure functions of bytes.

docs/reference/journal.md has the tables of these structs.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from blake3 import blake3

from sycee.core.arrays import Array
from sycee.core.limits import FRAME_ALIGNMENT_BYTES
from sycee.journal.frame import DIGEST_BYTES, Anchor, Flaw, checksum_holds, checksummed
from sycee.journal.segments import LEDGER_ID_BYTES

SNAPSHOT_VERSION: Final = 3
SNAPSHOT_MAGIC: Final = b"SYCEESNP"
HEADER_BYTES: Final = FRAME_ALIGNMENT_BYTES  # every part begins at a block

# magic, version, reserved, table bytes, ledger id, epoch, rules, sequence, time, digest of the frame, movement digest,
# file bytes
_HEADER: Final = struct.Struct("<8sHHI16sIIQq32s32sQ")

assert _HEADER.size == 128


class OtherVersion(Exception):
    """A valid header of another version. Internal: `open_good` converts it to an error with a path."""


@dataclass(frozen=True, slots=True)
class SnapshotHeader:
    """The first block of a snapshot. The last two fields are computed when it is encoded."""

    ledger_id: bytes
    epoch: int
    rules: int
    anchor: Anchor
    movement_digest: bytes
    table_bytes: int = 0  # without padding
    file_bytes: int = 0

    @property
    def table_offset(self) -> int:
        """The offset of the table, which follows the sections because it contains their digests."""
        return self.file_bytes - DIGEST_BYTES - padded(self.table_bytes)


@dataclass(frozen=True, slots=True)
class SectionEntry:
    """Name, type, shape, offset and digest of one array."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int  # from the beginning of the file
    size_bytes: int
    digest: bytes  # BLAKE3


@dataclass(frozen=True, slots=True)
class Table:
    """Description of the sections, and small values that the table itself contains."""

    sections: tuple[SectionEntry, ...]
    small: dict[str, Any]


def padded(size_bytes: int) -> int:
    """Return `size_bytes` rounded up to whole blocks."""
    return -(-size_bytes // FRAME_ALIGNMENT_BYTES) * FRAME_ALIGNMENT_BYTES


def flat(array: Array) -> memoryview:
    """Return the bytes of a contiguous array as a view."""
    return array.reshape(-1).view(np.uint8).data


class Plan:
    """Layout of a snapshot, computed from types and shapes before the sections have their content."""

    def __init__(self, header: SnapshotHeader, arrays: Mapping[str, Array], small: Mapping[str, Any]) -> None:
        """`arrays`, C-contiguous, have the names, types and shapes of the sections, in order.

        Raises ValueError for values that no snapshot can have.
        """
        if len(header.ledger_id) != LEDGER_ID_BYTES or {len(header.anchor.digest), len(header.movement_digest)} != {
            DIGEST_BYTES
        }:
            raise ValueError(f"a ledger id has {LEDGER_ID_BYTES} bytes, a digest {DIGEST_BYTES}")
        self._small = dict(small)
        self._entries = [_describe(name, array) for name, array in arrays.items()]
        offset = HEADER_BYTES
        for entry, array in zip(self._entries, arrays.values(), strict=True):
            entry["offset"] = offset
            offset += padded(array.nbytes)
        table_bytes = len(self.table([bytes(DIGEST_BYTES)] * len(self._entries)))
        self.header = replace(header, table_bytes=table_bytes, file_bytes=offset + padded(table_bytes) + DIGEST_BYTES)
        self.offsets: list[int] = [entry["offset"] for entry in self._entries]
        self.sizes = [array.nbytes for array in arrays.values()]

    def table(self, digests: Sequence[bytes]) -> bytes:
        """Return the table with the sections' digests, without padding."""
        sections = [{**entry, "blake3": digest.hex()} for entry, digest in zip(self._entries, digests, strict=True)]
        return json.dumps({"sections": sections, "small": self._small}, sort_keys=True, allow_nan=False).encode("ascii")

    def ends(self, digests: Sequence[bytes]) -> tuple[bytes, bytes]:
        """Return the header, and the table with its padding and the file's digest."""
        table = self.table(digests)
        header = _encode_header(self.header)
        table += bytes(padded(len(table)) - len(table))
        return header, table + digest_of(memoryview(header), memoryview(table))


def digest_of(header: memoryview, table: memoryview) -> bytes:
    """Return the file's digest. It covers the sections too, because the table contains their digests."""
    return blake3(header).update(table).digest()


def _describe(name: str, array: Array) -> dict[str, Any]:
    if array.dtype.hasobject:
        raise ValueError(f"section {name} contains Python objects, which are not bytes")
    return {"name": name, "type": np.lib.format.dtype_to_descr(array.dtype), "shape": list(array.shape)}


def _encode_header(header: SnapshotHeader) -> bytes:
    fixed = _HEADER.pack(
        SNAPSHOT_MAGIC,
        SNAPSHOT_VERSION,
        0,
        header.table_bytes,
        header.ledger_id,
        header.epoch,
        header.rules,
        header.anchor.sequence,
        header.anchor.time_ns,
        header.anchor.digest,
        header.movement_digest,
        header.file_bytes,
    )
    return bytes(checksummed(fixed, HEADER_BYTES))


def decode_header(block: memoryview) -> SnapshotHeader:
    """Return the header in the first block. Raises Flaw if it is invalid, OtherVersion if another version wrote it."""
    if len(block) < HEADER_BYTES:
        raise Flaw(f"the file ends after {len(block)} bytes, within its header")
    if bytes(block[: len(SNAPSHOT_MAGIC)]) != SNAPSHOT_MAGIC:
        raise Flaw("its header has no magic number")
    if not checksum_holds(block):
        raise Flaw("its header does not match the header's checksum")
    fields: tuple[Any, ...] = _HEADER.unpack_from(block)
    (_, version, _, table_bytes, ledger_id, epoch, rules, sequence, time_ns, digest, movement_digest, file_bytes) = (
        fields
    )
    if version != SNAPSHOT_VERSION:
        raise OtherVersion(f"it has format version {version}")
    if HEADER_BYTES + padded(table_bytes) + DIGEST_BYTES > file_bytes:
        raise Flaw(f"its header has {table_bytes} bytes of table in a file of {file_bytes}")
    return SnapshotHeader(
        ledger_id, epoch, rules, Anchor(sequence, time_ns, digest), movement_digest, table_bytes, file_bytes
    )


def decode_table(text: memoryview, header: SnapshotHeader) -> Table:
    """Return the table. Raises Flaw if the file cannot have the sections of the table."""
    try:
        table = json.loads(bytes(text))
        small = table["small"]
        entries = tuple(_entry(fields) for fields in table["sections"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Flaw(f"its table cannot be read: {error}") from error
    end = HEADER_BYTES
    for entry in entries:
        if entry.offset != end:
            raise Flaw(f"section {entry.name} begins at byte {entry.offset} in its table, not at {end}")
        end += padded(entry.size_bytes)
    if end != header.table_offset:
        raise Flaw(f"its sections end at byte {end}, and its table begins at {header.table_offset}")
    return Table(entries, small)


def _entry(fields: dict[str, Any]) -> SectionEntry:
    dtype = _dtype(fields["type"])
    shape = tuple(int(length) for length in fields["shape"])
    if dtype.hasobject or any(length < 0 for length in shape):
        raise ValueError(f"section {fields['name']} has a type or shape that no snapshot can have")
    return SectionEntry(
        name=str(fields["name"]),
        dtype=dtype,
        shape=shape,
        offset=int(fields["offset"]),
        size_bytes=math.prod(shape) * dtype.itemsize,
        digest=bytes.fromhex(fields["blake3"]),
    )


def _dtype(described: Any) -> np.dtype[Any]:
    """Return the type that `dtype_to_descr` described; JSON has converted its tuples to lists."""
    return np.lib.format.descr_to_dtype(_with_tuples(described))


def _with_tuples(described: Any) -> Any:
    if not isinstance(described, list):
        return described
    fields = []
    for name, kind, *shape in described:
        fields.append((name, _with_tuples(kind), *(tuple(lengths) for lengths in shape)))
    return fields
