"""Sealed registrations: documents, phones, salts and wallets, encrypted under a key of the list.

The key is derived from a secret in the key file, which also has the secrets of persons. Deleting the secret makes every
row of the list unreadable, in every copy of the database.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import sqlalchemy
from blake3 import blake3
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from sycee.core import sha256
from sycee.core.arrays import Array, Bytes
from sycee.core.errors import UsageError, require
from sycee.database.bulk import any_of, insert_columns
from sycee.personal import sealing
from sycee.programmes import draw_rule
from sycee.programmes.duplicates import BY_DOCUMENT, BY_PHONE
from sycee.programmes.registration_rows import Rows
from sycee.programmes.registration_tables import ENTRIES, KEYS, LISTS, PARTS

# One entry as it is sealed: 74 bytes.
ENTRY: Final = np.dtype(
    [
        ("salt", "u1", 32),
        ("document", "<u8"),
        ("phone", "<u8"),
        ("registered_ns", "<i8"),
        ("bank", "u1"),
        ("stratum", "u1"),
        ("wallet", "u1", 16),
    ]
)
HASH_BYTES: Final = 16
# A row of registration_tables.KEYS.
HASHED: Final = np.dtype([("hash", "u1", HASH_BYTES), ("kind", "u1"), ("entry", "<i4")])
READ_ENTRIES: Final = 262_144  # that are read and hashed together
CODE_DIGITS: Final = 6

_PLACE: Final = "registrations"
_KEPT_PLACE: Final = "kept registrations"
_INDEX_CONTEXT: Final = "sycee 2026-11-27 programmes: key of hashes of a list"
_CODE_CONTEXT: Final = "sycee 2026-11-27 programmes: key of codes of a list"
_CODE_TAG: Final = b"sycee.registration.code.v1"
_BLOCK: Final = 64  # of SHA-256


@dataclass(frozen=True, slots=True)
class ListRow:
    """The registrations of one occurrence, as a row. See `registration_tables.LISTS`."""

    list: int
    programme: str
    occurrence: int
    secret: int
    kept_secret: int
    following: int
    indexed: int
    screened_ns: int | None
    shredded_ns: int | None

    @property
    def title(self) -> str:
        """Return the list as errors name it."""
        return f"the registrations of occurrence {self.occurrence} of {self.programme}"


def list_in(connection: Connection, programme: str, occurrence: int) -> ListRow | None:
    """Return the list of an occurrence as a transaction sees it, None before the first registration."""
    chosen = (LISTS.c.programme == programme) & (LISTS.c.occurrence == occurrence)
    row = connection.execute(sqlalchemy.select(LISTS).where(chosen)).one_or_none()
    return None if row is None else ListRow(**row._mapping)


def fresh_entries(rows: Rows, salts: Bytes | None = None) -> Array:
    """Return rows with salts from the operating system, or with those of their rows of a file: (n,) ENTRY."""
    made = np.zeros(len(rows), ENTRY)
    if salts is None:
        made["salt"] = np.frombuffer(os.urandom(32 * len(rows)), np.uint8).reshape(-1, 32)
    else:
        made["salt"] = salts[rows.rows - 1]
    made["document"], made["phone"] = rows.documents, rows.phones
    made["registered_ns"], made["bank"], made["stratum"] = rows.registered_ns, rows.banks, rows.strata
    made["wallet"] = rows.wallets
    return made


def commitments(entries: Array) -> Bytes:
    """Return the commitment of each entry: uint8 [n, 32]."""
    return draw_rule.commitments(entries["document"], entries["phone"], np.ascontiguousarray(entries["salt"]))


class Vault:
    """Seals and unseals the entries of one list. `key`: of the list's secret."""

    def __init__(self, row: ListRow, key: bytes) -> None:
        self._row, self._key = row, key
        self._index_key = blake3(key, derive_key_context=_INDEX_CONTEXT).digest()
        self._code_key = blake3(key, derive_key_context=_CODE_CONTEXT).digest()

    # --- entries ---

    def seal(self, first: int, entries: Array) -> bytes:
        """Return the entries from number `first` on, sealed together."""
        return sealing.seal(self._key, self._row.secret, _PLACE, first, entries.tobytes())

    def unseal(self, first: int, size: int, sealed: bytes) -> Array:
        """Return `size` entries, read-only. Raises IntegrityError for changed bytes."""
        found = np.frombuffer(sealing.unseal(self._key, self._row.secret, _PLACE, first, sealed), ENTRY)
        require(len(found) == size, f"{self._row.title}: part {first} has {len(found)} entries, not {size}")
        return found

    def some(self, connection: Connection, first: int, end: int) -> Array:
        """Return the entries from number `first` to before `end`, in order: (n,) ENTRY, 74 bytes each."""
        made = np.zeros(end - first, ENTRY)
        chosen = (PARTS.c.list == self._row.list) & (PARTS.c.first < end) & (PARTS.c.first + PARTS.c.size > first)
        query = sqlalchemy.select(PARTS.c.first, PARTS.c.size, PARTS.c.sealed).where(chosen).order_by(PARTS.c.first)
        count = 0
        with connection.execute(query, execution_options={"yield_per": 64}) as found:
            for part in found:
                entries = self.unseal(part.first, part.size, part.sealed)
                kept = entries[max(first - part.first, 0) : end - part.first]
                at = max(part.first - first, 0)
                made[at : at + len(kept)] = kept
                count += len(kept)
        require(count == len(made), f"{self._row.title}: {count} of {len(made)} entries are stored")
        return made

    def one(self, connection: Connection, entry: int) -> Array:
        """Return one entry: (1,) ENTRY. Raises UsageError for an unknown number."""
        chosen = (PARTS.c.list == self._row.list) & (PARTS.c.first <= entry)
        query = sqlalchemy.select(PARTS).where(chosen).order_by(PARTS.c.first.desc()).limit(1)
        part = connection.execute(query).one_or_none()
        if part is None or entry >= part.first + part.size:
            raise UsageError(f"{self._row.title} have no entry {entry}", hint="the receipt has the number of the entry")
        return self.unseal(part.first, part.size, part.sealed)[entry - part.first :][:1]

    # --- texts ---

    def seal_text(self, place: str, text: str) -> bytes:
        """Return a text sealed for one place of this list."""
        return sealing.seal(self._key, self._row.secret, place, 0, text.encode())

    def unseal_text(self, place: str, sealed: bytes) -> str:
        """Return a text that `seal_text` sealed."""
        return sealing.unseal(self._key, self._row.secret, place, 0, sealed).decode()

    # --- keyed hashes and codes ---

    def hashes(self, kind: int, numbers: NDArray[np.uint64]) -> Bytes:
        """Return HMAC-SHA-256 of each document or phone under a key of the list, 16 bytes: uint8 [n, 16]."""
        content = numbers.astype(">u8").view(np.uint8).reshape(-1, 8)
        return hmacs(self._index_key, (bytes([kind]), content))[:, :HASH_BYTES]

    def codes(self, entries: NDArray[np.int64], checked_ns: NDArray[np.int64]) -> list[str]:
        """Return the code of each entry, of six digits. A second check gives another code. Nothing of it is stored."""
        numbers = np.stack([entries, checked_ns], axis=1).astype(">u8").view(np.uint8).reshape(-1, 16)
        words = np.ascontiguousarray(hmacs(self._code_key, (_CODE_TAG, numbers))[:, :8]).view(">u8")[:, 0]
        return [f"{code:0{CODE_DIGITS}}" for code in (words % 10**CODE_DIGITS).tolist()]

    def hashed(self, connection: Connection, first: int, end: int) -> Array:
        """Return the hashes of the entries from number `first` to before `end`, sorted: (n,) HASHED."""
        starts = range(first, end, READ_ENTRIES)
        parts = [self.hashes_of(at, self.some(connection, at, min(at + READ_ENTRIES, end))) for at in starts]
        return _sorted(parts)

    def hashes_of(self, first: int, entries: Array) -> Array:
        """Return the hashes of the documents and phones of entries whose first has the number `first`: (n,) HASHED."""
        parts = []
        for kind, name in ((BY_DOCUMENT, "document"), (BY_PHONE, "phone")):
            numbers = np.flatnonzero(entries[name])
            made = np.zeros(len(numbers), HASHED)
            made["hash"], made["kind"], made["entry"] = self.hashes(kind, entries[name][numbers]), kind, first + numbers
            parts.append(made)
        return np.concatenate(parts)

    def insert_hashes(self, connection: Connection, hashed: Array, *, may_exist: bool = False) -> None:
        """Insert hashes, (n,) HASHED; sorted ones faster. `may_exist`: some may be stored already."""
        columns = {name: np.ascontiguousarray(hashed[name]) for name in ("hash", "kind", "entry")}
        insert_columns(connection, KEYS, {"list": self._row.list, **columns}, may_exist=may_exist)

    def having(self, connection: Connection, kind: int, numbers: NDArray[np.uint64]) -> list[int]:
        """Return the entries, in order, that have one of these documents or phones."""
        if not len(numbers):
            return []
        condition, parameters = any_of(connection, "hash", np.ascontiguousarray(self.hashes(kind, numbers)))
        mark = "?" if connection.dialect.name == "sqlite" else "%s"
        query = f"SELECT entry FROM programmes_entry_keys WHERE list = {mark} AND kind = {mark} AND {condition}"  # noqa: S608 - places only
        rows = connection.exec_driver_sql(query, (self._row.list, kind, *parameters))
        return sorted({int(row[0]) for row in rows})


class ReadyHashes:
    """Hashes of entries that were stored one group after the other, until the index takes them."""

    def __init__(self) -> None:
        self._first = self._end = 0
        self._parts: list[Array] = []

    @property
    def size(self) -> int:
        """Return the number of entries."""
        return self._end - self._first

    def add(self, first: int, size: int, hashed: Array) -> None:
        """Add the hashes of `size` entries from number `first` on. `hashed`: their numbers are from 0.

        Earlier ones are forgotten if other entries are between.
        """
        if first != self._end:
            self._first, self._parts = first, []
        self._end = first + size
        kept = hashed[hashed["entry"] < size]
        kept["entry"] += first
        self._parts.append(kept)

    def take(self, first: int, end: int) -> Array | None:
        """Return the hashes of exactly these entries, sorted, or None; forget all."""
        found = (self._first, self._end) == (first, end)
        parts, self._parts, self._first = self._parts, [], self._end
        return _sorted(parts) if found and parts else None


def _sorted(parts: Sequence[Array]) -> Array:
    """Return HASHED arrays as one, sorted by the first eight bytes of the hashes."""
    made = np.concatenate(parts)
    order = np.argsort(np.ascontiguousarray(made["hash"]).view(">u8")[:, 0].astype(np.uint64))
    return np.take(made, order)


class KeptVault:
    """Seals and unseals the entries of the persons with a packet, one by one. `key`: outlives that of the list."""

    def __init__(self, row: ListRow, key: bytes) -> None:
        self._row, self._key = row, key

    def seal(self, numbers: NDArray[np.int64], entries: Array) -> list[bytes]:
        """Return n entries sealed."""
        of = self._row.kept_secret
        return [
            sealing.seal(self._key, of, _KEPT_PLACE, number, entry.tobytes())
            for number, entry in zip(numbers.tolist(), entries, strict=True)
        ]

    def unseal(self, number: int, sealed: bytes) -> Array:
        """Return an entry: (1,) ENTRY."""
        return np.frombuffer(sealing.unseal(self._key, self._row.kept_secret, _KEPT_PLACE, number, sealed), ENTRY)


def hmacs(key: bytes, parts: Sequence[bytes | Bytes]) -> Bytes:
    """Return HMAC-SHA-256 (RFC 2104) of n messages, each the parts in their order. `key`: up to 64 bytes."""
    padded = key.ljust(_BLOCK, b"\0")
    inner, outer = (bytes(each ^ pad for each in padded) for pad in (0x36, 0x5C))
    return sha256.digests((outer, sha256.digests((inner, *parts))))


def numbers_of(connection: Connection, list_: int, *conditions: sqlalchemy.ColumnElement[bool]) -> NDArray[np.int64]:
    """Return the numbers of the entries of a list that meet conditions, in order."""
    query = sqlalchemy.select(ENTRIES.c.entry).where(ENTRIES.c.list == list_, *conditions).order_by(ENTRIES.c.entry)
    with connection.execute(query, execution_options={"yield_per": 65_536}) as found:
        return np.fromiter((row[0] for row in found), np.int64)
