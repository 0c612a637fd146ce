"""Rows of a bulk payment: their digest, their ids, and the records of 128 bytes that they become.

Client and server build the same records from the same rows, so that rows alone are sent and the payer's envelope still
covers every byte. docs/reference/bulk.md defines both steps. No function here has a loop over rows.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

import numpy as np
from blake3 import blake3

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.ids import Ids
from sycee.core.limits import FRAME_RECORDS_MAX, I64_MAX, SETTLEMENT_PAYMENTS_MAX
from sycee.core.records.layout import OPERATION, Kind
from sycee.core.result_codes import Result

BATCH_ROWS: Final = 8_000  # one frame, with space for envelopes
BATCHES_MAX: Final = 1 << 14  # of one file: the list of their digests is one request of 1 MiB
ROWS_MAX: Final = BATCHES_MAX * BATCH_ROWS
ENVELOPES_MAX: Final = 4  # over one batch: a STAGE needs the account's and the operator's
FRESH_ID_HINT: Final = "declare each file under a fresh id: `sycee bulk pay` makes one once FILE.id is removed"

_ROWS_CONTEXT: Final = "sycee 2026-11-27 bulk: rows of a batch"
_FILE_CONTEXT: Final = "sycee 2026-11-27 bulk: a file"
_IDS_CONTEXT: Final = "sycee 2026-11-27 bulk: ids of rows"
_TAG_BITS: Final = 42  # of an id: between its version, its variant and the number of the row
_HAS_REFERENCES: Final = 1
_HAS_FLAGS: Final = 2
_KIND_WORD: Final = 2  # words of 64 bits in layout.OPERATION
_AMOUNT_WORD: Final = 3
_DEBIT_WORD: Final = 4
_CREDIT_WORD: Final = 6
_NUMBER_WORD: Final = 10
_NOTE_WORD: Final = 14

assert BATCH_ROWS <= FRAME_RECORDS_MAX and ROWS_MAX <= SETTLEMENT_PAYMENTS_MAX


class Mode(StrEnum):
    """Whether each row is paid separately, or all rows are paid or none."""

    EACH = "each"
    ALL = "all"


class RowCode(IntEnum):
    """Codes of rows besides the ledger's result codes. Numbers are permanent."""

    PAYEE_CANNOT_RECEIVE = 1_000  # stands for every refusal by the payee's account
    PAYEE_NOT_PAYABLE = 1_001  # the payee is an account of the issuer, an operator or a funder
    BATCH_NOT_TAKEN = 1_002  # nothing of the batch was paid, because of other rows
    NOT_PAID_YET = 1_003  # the ledger has no result under the row's id
    STAGED = 1_004  # of a file that is paid as a whole and is not settled: nothing is paid
    DISCARDED = 1_005  # the row was staged, and its file was discarded: nothing was paid


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of one batch.

    - `payees`: (n, 16) u1, the bytes of each UUID, big-endian. `amounts`: (n,) i8, minor units.
    - `references`: as `payees`, or None. `flags`: (n,) u2 of layout.PayFlag, or None: then each row is a transfer.
    """

    payees: Array
    amounts: Array
    references: Array | None = None
    flags: Array | None = None

    @property
    def size(self) -> int:
        """Return the number of rows."""
        return int(self.amounts.size)

    def part(self, start: int, end: int) -> Rows:
        """Return the rows from `start` to `end` (exclusive)."""
        return Rows(
            self.payees[start:end],
            self.amounts[start:end],
            None if self.references is None else self.references[start:end],
            None if self.flags is None else self.flags[start:end],
        )

    def digest(self) -> bytes:
        """Return BLAKE3-256 over the number of rows, the columns present and their bytes."""
        present = (self.references is not None) * _HAS_REFERENCES | (self.flags is not None) * _HAS_FLAGS
        made = blake3(struct.pack("<IB", self.size, present), derive_key_context=_ROWS_CONTEXT)
        columns = (self.payees, self.amounts.astype("<i8", copy=False), self.references, self.flags)
        for column in columns:
            if column is not None:
                made.update(np.ascontiguousarray(column).view(np.uint8).reshape(-1).data)
        return made.digest()

    def sum_minor(self) -> int:
        """Return the sum of the positive amounts."""
        if int(self.amounts.max(initial=0)) <= I64_MAX // max(self.size, 1):
            return int(np.maximum(self.amounts, 0).sum())
        positive = np.where(self.amounts > 0, self.amounts, 0)
        high, low = positive >> 32, positive & 0xFFFF_FFFF
        return (int(high.sum()) << 32) + int(low.sum())


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a file, as its payer declares it before the first row.

    - `batches`: 40 bytes for each batch of BATCH_ROWS rows, the last one may be smaller: digest of the rows, and i64
      sum of their amounts.
    """

    payer: int
    mode: Mode
    rows: int
    sum_minor: int
    batches: bytes

    def __post_init__(self) -> None:
        count = -(-self.rows // BATCH_ROWS)
        if not 0 < self.rows <= ROWS_MAX:
            raise UsageError(f"a file has 1 to {ROWS_MAX:,} rows; got {self.rows:,}", hint="divide it into several")
        if len(self.batches) != BATCH_BYTES * count:
            raise UsageError(
                f"{self.rows:,} rows are {count:,} batches of {BATCH_ROWS:,}; {len(self.batches):,} bytes describe "
                f"{len(self.batches) / BATCH_BYTES:g}",
                hint=f"each batch is described by {BATCH_BYTES} bytes: the digest of its rows and the sum",
            )
        total = sum(self.sum_of(number) for number in range(count))
        if total != self.sum_minor or not 0 <= total <= I64_MAX:
            raise UsageError(f"the sums of the batches make {total}, not {self.sum_minor}", hint="correct the sum")

    @classmethod
    def of(cls, payer: int, mode: Mode, rows: int, batches: Iterable[bytes]) -> Content:
        """Return the content of a file with these batches, each of `describe`; its sum is theirs."""
        described = list(batches)
        total = sum(int.from_bytes(each[32:], "little", signed=True) for each in described)
        return cls(payer, mode, rows, total, b"".join(described))

    @property
    def count(self) -> int:
        """Return the number of batches."""
        return len(self.batches) // BATCH_BYTES

    @property
    def digest(self) -> bytes:
        """Return BLAKE3-256 over payer, mode, number of rows, sum, and the digests and sums of the batches."""
        head = self.payer.to_bytes(16, "big") + self.mode.value.encode().ljust(8, b"\0")
        head += struct.pack("<qq", self.rows, self.sum_minor)
        return blake3(head + self.batches, derive_key_context=_FILE_CONTEXT).digest()

    def digest_of(self, number: int) -> bytes:
        """Return the digest of a batch's rows."""
        return self.batches[number * BATCH_BYTES : number * BATCH_BYTES + 32]

    def sum_of(self, number: int) -> int:
        """Return the sum of a batch."""
        at = number * BATCH_BYTES + 32
        return int.from_bytes(self.batches[at : at + 8], "little", signed=True)

    def rows_of(self, number: int) -> int:
        """Return the number of rows of a batch."""
        return min(BATCH_ROWS, self.rows - number * BATCH_ROWS)


BATCH_BYTES: Final = 40


def describe(rows: Rows) -> bytes:
    """Return the 40 bytes of `Content.batches` for one batch. Raise UsageError for a sum beyond 2^63 - 1."""
    total = rows.sum_minor()
    if total > I64_MAX:
        raise UsageError("the amounts of a batch exceed 2^63 - 1 together", hint="check the amounts")
    return rows.digest() + total.to_bytes(8, "little", signed=True)


@dataclass(frozen=True, slots=True)
class FileIds:
    """The ids of a file's records, which follow from the file's id, the payer and the row's number.

    An id has the file's time, so that the ids of one file ascend and the ledger finds them by their time.
    """

    file: int
    payer: int

    def of_rows(self, first: int, count: int) -> Ids:
        """Return the ids of rows: (count,) of dtype ids.ID."""
        high, low = self._halves()
        made = np.empty(count, ids.ID)
        made["high"] = high
        made["low"] = np.arange(low + first, low + first + count, dtype=np.uint64)
        return made

    def _halves(self) -> tuple[int, int]:
        material = self.file.to_bytes(16, "big") + self.payer.to_bytes(16, "big")
        drawn = int.from_bytes(blake3(material, derive_key_context=_IDS_CONTEXT).digest(8), "little")
        tag = drawn & (1 << _TAG_BITS) - 1
        return (self.file >> 80) << 16 | 0x7000 | tag >> 30, 0b10 << 62 | (tag & (1 << 30) - 1) << 32


def records(rows: Rows, file: FileIds, first: int, *, batch: int = 0) -> Array:
    """Return the records of rows whose first has the number `first`: (n,) layout.OPERATION.

    A row is a TRANSFER, with flags a PAY, and with `batch`, the number of a settlement batch, a STAGE. Raise UsageError
    for flags together with `batch`.
    """
    if batch and rows.flags is not None:
        raise UsageError("a file that is paid as a whole has no flags: it pays own money", hint="drop the column flags")
    row_ids = file.of_rows(first, rows.size)
    # Every row begins as a copy of one record: that is faster than column by column.
    common = np.zeros(1, OPERATION).view("<u8")
    common[_KIND_WORD] = Kind.STAGE if batch else Kind.TRANSFER if rows.flags is None else Kind.PAY
    common[_DEBIT_WORD], common[_DEBIT_WORD + 1] = ids.split(file.payer)
    common[_NUMBER_WORD] = batch
    words = np.empty((rows.size, len(common)), common.dtype)
    words[:] = common
    words[:, 0], words[:, 1] = row_ids["low"], row_ids["high"]
    if rows.flags is not None:
        words[:, _KIND_WORD] |= rows.flags.astype(np.uint64) << np.uint64(16)
    words[:, _AMOUNT_WORD] = rows.amounts.view(np.uint64)
    _set_ids(words, _CREDIT_WORD, rows.payees)
    if rows.references is not None:
        _set_ids(words, _NOTE_WORD, rows.references)
    return words.view(OPERATION).reshape(rows.size)


def _set_ids(words: Array, at: int, column: Array) -> None:
    """Write UUIDs, (n, 16) u1 big-endian, to the two words of each record that begin at `at`."""
    words[:, at : at + 2] = np.ascontiguousarray(column).view(">u8")[:, ::-1]


def any_of(rows: Rows, accounts: Collection[int]) -> Array:
    """Return which rows pay one of a few accounts: (n,) bool."""
    halves = np.ascontiguousarray(rows.payees).view(">u8")
    found = np.zeros(rows.size, np.bool_)
    pairs = sorted(ids.split(account) for account in accounts)
    if not pairs:
        return found
    # Few rows have the low half of an account: one search finds them, and only these are compared in full.
    wanted, lows = np.array([low for low, _ in pairs], np.uint64), halves[:, 1].astype(np.uint64)
    at = np.searchsorted(wanted[:-1], lows)
    for row in np.flatnonzero(wanted[at] == lows).tolist():
        found[row] = (int(lows[row]), int(halves[row, 0])) in pairs
    return found


def code_name(code: int) -> str:
    """Return the name of a row's code."""
    return RowCode(code).name if code >= min(RowCode) else Result(code).name
