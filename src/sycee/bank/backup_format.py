"""The file of a backup: a readable header, then sections encrypted in chunks (docs/reference/backup.md).

Each chunk is sealed by AES-256-GCM under a key of this file alone. Its nonce contains the number of the chunk and a
flag for the last one; its associated data is the digest of the header. So changed, removed, repeated and moved chunks,
a file that ends early, and another header are refused.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Final

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sycee.core.canonical_json import canonical
from sycee.core.errors import IntegrityError, UsageError

MAGIC: Final = b"SYCEEBAK"
VERSION: Final = 1
CHUNK_BYTES: Final = 1 << 20
TAG_BYTES: Final = 16
SALT_BYTES: Final = 32
HEADER_BYTES_MAX: Final = 1 << 20
NAME_BYTES_MAX: Final = 1_000
BLOCK_BYTES_MAX: Final = 1 << 24

_START: Final = struct.Struct("<8sHHI")  # magic, version, 0, bytes of the header
_NONCE: Final = struct.Struct(">7sIB")
_LENGTH: Final = struct.Struct("<I")
_KEY_CONTEXT: Final = "sycee 2026-11-27 backup: key of one file"
_HINT: Final = "use another backup: nothing was restored"


class Writer:
    """Writes sections to a file. `finish` writes the last chunk. `progress` is called after each chunk."""

    def __init__(
        self, file: BinaryIO, key: bytes, header: Mapping[str, Any], progress: Callable[[int], None] = lambda _: None
    ) -> None:
        salt = os.urandom(SALT_BYTES)
        text = canonical({**header, "salt": salt.hex()})
        self._file = file
        self._cipher = AESGCM(_key_of(key, salt))
        self._header = _START.pack(MAGIC, VERSION, 0, len(text)) + text
        self._digest = blake3(self._header).digest()
        self._pending = bytearray()
        self._chunks = 0
        self._progress = progress
        file.write(self._header)

    def section(self, name: str, blocks: Iterable[bytes]) -> None:
        """Write one section. `name` is not empty; an empty block is omitted."""
        encoded = name.encode()
        if not 0 < len(encoded) <= NAME_BYTES_MAX:
            raise UsageError(f"a section's name has {len(encoded)} bytes")
        self._add(_LENGTH.pack(len(encoded)) + encoded)
        for block in blocks:
            for start in range(0, len(block), BLOCK_BYTES_MAX):
                part = block[start : start + BLOCK_BYTES_MAX]
                self._add(_LENGTH.pack(len(part)))
                self._add(part)
        self._add(_LENGTH.pack(0))

    def finish(self) -> None:
        """Write the end of the sections and the last chunk."""
        self._add(_LENGTH.pack(0))
        self._seal(bytes(self._pending), is_last=True)

    def _add(self, content: bytes) -> None:
        self._pending += content
        while len(self._pending) > CHUNK_BYTES:
            self._seal(bytes(self._pending[:CHUNK_BYTES]), is_last=False)
            del self._pending[:CHUNK_BYTES]

    def _seal(self, content: bytes, *, is_last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._chunks, is_last), content, self._digest))
        self._chunks += 1
        self._progress(self._file.tell())


class Reader:
    """Reads a backup. `header` is readable without the key, and proved once a chunk was opened."""

    def __init__(self, file: BinaryIO) -> None:
        """Read the header. Raises UsageError for a file that is no backup, IntegrityError for a damaged header."""
        self._file = file
        start = file.read(_START.size)
        if len(start) < _START.size or start[:8] != MAGIC:
            raise UsageError("the file is no backup of a bank", hint="name a file that `sycee backup` wrote")
        _, version, zero, size = _START.unpack(start)
        if version > VERSION:
            raise UsageError(f"a newer release wrote this backup: version {version}", hint="install that release")
        if zero or size > HEADER_BYTES_MAX:
            raise IntegrityError("the header of the backup is damaged", hint=_HINT)
        text = file.read(size)
        try:
            self.header: dict[str, Any] = json.loads(text)
            self._salt = bytes.fromhex(self.header["salt"])
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError("the header of the backup is damaged", hint=_HINT) from error
        self._digest = blake3(start + text).digest()

    def sections(self, key: bytes) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Yield each section's name and blocks. Consume the blocks of a section before the next one.

        A section is proved to be complete only when the last section has ended. Raises IntegrityError for another
        key, for a changed file, and for one that ends early.
        """
        stream = _Stream(self._chunks(key))
        while size := stream.length(NAME_BYTES_MAX):
            name = stream.take(size).decode()
            yield name, stream.blocks()
        stream.require_end()

    def _chunks(self, key: bytes) -> Iterator[bytes]:
        cipher = AESGCM(_key_of(key, self._salt))
        number = 0
        sealed = self._file.read(CHUNK_BYTES + TAG_BYTES)
        while True:
            following = self._file.read(CHUNK_BYTES + TAG_BYTES)
            try:
                yield cipher.decrypt(_nonce(number, not following), sealed, self._digest)
            except InvalidTag as error:
                what = "another key made the backup, or its header was changed" if not number else "it was changed"
                ends = " or ends too early" if not following else ""
                raise IntegrityError(
                    f"chunk {number} of the backup cannot be opened: {what}{ends}", hint=_HINT
                ) from error
            if not following:
                return
            number, sealed = number + 1, following


class _Stream:
    """The decrypted bytes of all chunks, in order."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = bytearray()

    def take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise IntegrityError("the backup ends within a section", hint=_HINT)
            self._buffer += chunk
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def length(self, most: int) -> int:
        (size,) = _LENGTH.unpack(self.take(_LENGTH.size))
        if size > most:
            raise IntegrityError(f"a section of the backup has a part of {size:,} bytes", hint=_HINT)
        return int(size)

    def blocks(self) -> Iterator[bytes]:
        while size := self.length(BLOCK_BYTES_MAX):
            yield self.take(size)

    def require_end(self) -> None:
        if self._buffer or next(self._chunks, b""):
            raise IntegrityError("the backup has bytes behind its last section", hint=_HINT)


def _key_of(key: bytes, salt: bytes) -> bytes:
    return blake3(key + salt, derive_key_context=_KEY_CONTEXT).digest()


def _nonce(number: int, is_last: bool) -> bytes:
    return _NONCE.pack(bytes(7), number, is_last)
