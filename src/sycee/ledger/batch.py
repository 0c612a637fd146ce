"""Batches of operations, what is known about them, and where they may be cut into frames.

A *unit* must stand in one frame: a chain, the range of an envelope, and whatever shares an operation with either. Any
other operation is a unit by itself. A unit is journaled whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.buffers import BufferPool, FrameBuffer
from sycee.core.errors import UsageError
from sycee.core.limits import (
    ENVELOPE_BYTES,
    FRAME_BYTES_MAX,
    FRAME_HEADER_BYTES,
    FRAME_RECORDS_MAX,
    FRAME_TRAILER_BYTES,
    RECORD_BYTES,
)
from sycee.core.result_codes import Result
from sycee.ledger import kernels, layout
from sycee.ledger.envelopes import ENVELOPE, Envelope, as_array
from sycee.ledger.signatures import CHECK

# Records and envelopes of one frame together.
BODY_BYTES_MAX: Final = FRAME_BYTES_MAX - FRAME_HEADER_BYTES - FRAME_TRAILER_BYTES
BUFFERED_RECORDS_MIN: Final = 512  # copying fewer records once more costs nothing that shows

_RESULTS: Final = np.array(
    [Result(code) if code in Result.__members__.values() else None for code in range(max(Result) + 1)], object
)
# Most batches carry no envelope: they share these empty arrays.
_NO_ENVELOPES: Final = np.zeros(0, ENVELOPE)
_NO_PLACES: Final = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedBatch:
    """Operations in order with their envelopes, and what was learned about them on the way to the kernels.

    The defaults of the facts mean "unknown": each later stage then finds out by itself.
    """

    operations: Array  # (n,) layout.OPERATION
    envelopes: Array = field(default_factory=lambda: _NO_ENVELOPES)  # (m,), in any order
    firsts: Array = field(default_factory=lambda: _NO_PLACES)  # (m,) first operation of each envelope's range
    ends: Array = field(default_factory=lambda: _NO_PLACES)  # (m,) end of each range, exclusive
    same_unit: Array | None = None  # (n,) bool: in one unit with the operation before; None: each is a unit by itself
    checks: Array | None = None  # (m,) signatures.CHECK: what was verified of the envelopes; None: nothing yet
    buffer: FrameBuffer | None = None  # holds exactly these operations, with room for a frame around them
    kinds: int = 0  # bit k is set if an operation of kind k is there and none is linked; 0: unknown
    in_order: bool = False  # no operation is malformed, and the ids, ordered by time, ascend
    all_new: bool = False  # no operation is malformed and no id is bound or repeated: `resolve` would find nothing

    @property
    def size(self) -> int:
        """Number of operations."""
        return self.operations.size

    @property
    def body_bytes(self) -> int:
        """Bytes that the batch takes of a frame's body."""
        return self.operations.size * RECORD_BYTES + self.envelopes.size * ENVELOPE_BYTES

    def with_all_new(self) -> PreparedBatch:
        """Return the same batch, with `all_new` set."""
        return replace(self, all_new=True)

    def slice(self, start: int, end: int) -> PreparedBatch:
        """Return the operations in [start, end); both must be bounds of units."""
        if start == 0 and end == self.operations.size:
            return self
        chosen = (self.firsts >= start) & (self.firsts < end)
        return PreparedBatch(
            self.operations[start:end],
            self.envelopes[chosen],
            self.firsts[chosen] - start,
            self.ends[chosen] - start,
            None if self.same_unit is None else self.same_unit[start:end],
            None if self.checks is None else self.checks[chosen],
        )

    def select(self, kept: Array) -> PreparedBatch:
        """Return the operations that are `kept`, (n,) bool, which must be whole units."""
        if kept.all():
            return self
        places = np.cumsum(kept) - 1
        chosen = kept[self.firsts]
        firsts = places[self.firsts[chosen]]
        return PreparedBatch(
            self.operations[kept],
            self.envelopes[chosen],
            firsts,
            firsts + (self.ends - self.firsts)[chosen],
            None if self.same_unit is None else self.same_unit[kept],
            None if self.checks is None else self.checks[chosen],
        )

    def drop_answered_envelopes(self, fresh: Array) -> PreparedBatch:
        """Return the batch without envelopes whose range holds no `fresh` operation, (n,) bool.

        Such an envelope signs only operations that are answered already, so it must not tie others to them.
        """
        if not self.envelopes.size:
            return self
        before = np.concatenate([[0], np.cumsum(fresh)])
        chosen = before[self.ends] > before[self.firsts]
        firsts, ends = self.firsts[chosen], self.ends[chosen]
        return replace(
            self,
            envelopes=self.envelopes[chosen],
            firsts=firsts,
            ends=ends,
            same_unit=_same_unit(self.operations, firsts, ends),
            checks=None if self.checks is None else self.checks[chosen],
        )

    def frame_envelopes(self) -> Array:
        """Return the envelopes as a frame keeps them: (m,) envelopes.ENVELOPE with ranges within this batch."""
        if not self.envelopes.size:
            return self.envelopes
        written = self.envelopes.copy()
        written["first"], written["count"] = self.firsts, self.ends - self.firsts
        return written

    def unit_starts(self) -> Array:
        """Return the index of each unit's first operation: int64, ascending."""
        return np.arange(self.operations.size) if self.same_unit is None else np.flatnonzero(~self.same_unit)

    def expand_to_units(self, wanted: Array) -> Array:
        """Return all operations of the units in which any is `wanted`: (n,) bool to (n,) bool."""
        if self.same_unit is None:
            return wanted
        any_wanted = np.logical_or.reduceat(wanted, self.unit_starts())
        whole: Array = any_wanted[np.cumsum(~self.same_unit) - 1]
        return whole

    def split_into_frames(self) -> Iterator[PreparedBatch]:
        """Yield parts that fit a frame each, cut between units, each as large as possible.

        Raises UsageError for a unit that is larger than a frame.
        """
        if 0 < self.operations.size <= FRAME_RECORDS_MAX and self.body_bytes <= BODY_BYTES_MAX:
            yield self
            return
        bounds = np.append(self.unit_starts(), self.operations.size)
        # Bytes of all units before each bound.
        bytes_before = bounds * RECORD_BYTES + np.searchsorted(np.sort(self.firsts), bounds) * ENVELOPE_BYTES
        at = 0
        while at < bounds.size - 1:
            by_records = np.searchsorted(bounds, bounds[at] + FRAME_RECORDS_MAX, "right") - 1
            by_bytes = np.searchsorted(bytes_before, bytes_before[at] + BODY_BYTES_MAX, "right") - 1
            end = min(int(by_records), int(by_bytes))
            if end <= at:
                raise UsageError(_too_long(self.slice(int(bounds[at]), int(bounds[at + 1]))))
            yield self.slice(int(bounds[at]), int(bounds[end]))
            at = end


def prepare(
    operations: Array, envelopes: Array | Sequence[Envelope] = (), *, buffers: BufferPool | None = None
) -> PreparedBatch:
    """Copy and check what a caller submits.

    `operations`: (n,) layout.OPERATION. `envelopes`: (m,) envelopes.ENVELOPE or Envelope objects; their ranges count
    from the first operation. `buffers`: where copies of large batches come from; whoever prepares with it releases
    the batch's `buffer` later. Raises UsageError for what no frame can hold: a chain that does not end, an envelope
    over operations that are not there, a unit that is longer than a frame.
    """
    if not _is_flat(operations) or operations.dtype != layout.OPERATION:
        raise UsageError(
            "submit takes a one-dimensional array of operations", hint="the functions of ledger.operations make them"
        )
    if not isinstance(envelopes, (tuple, list)) and not _is_flat(envelopes):
        raise UsageError("envelopes are a list of Envelope, or an array", hint="ledger.envelopes.sign makes one")
    # The copy keeps later stages, which read the records one after another, from seeing changes by the caller.
    buffer, kinds, in_order = None, 0, False
    if buffers is not None and BUFFERED_RECORDS_MIN <= operations.size <= FRAME_RECORDS_MAX:
        buffer = buffers.acquire()
        copied = buffer.records(operations.nbytes).view(layout.OPERATION)
        kinds, links, in_order = kernels.take(_words(operations), kernels.seen(copied), _words(copied))
        if not links and not len(envelopes):
            return PreparedBatch(copied, buffer=buffer, kinds=kinds, in_order=in_order)
        operations, kinds = copied, 0 if links else kinds
        in_order = in_order and not links
    else:
        operations = operations.copy()
        if not len(envelopes) and not _links(operations):
            return PreparedBatch(operations)
    encoded = as_array(envelopes)
    firsts = encoded["first"].astype(np.int64)
    ends = firsts + encoded["count"]
    wrong = np.flatnonzero((ends > operations.size) | (ends == firsts))
    if wrong.size:
        at = int(wrong[0])
        raise UsageError(
            f"envelope {at} covers {ends[at] - firsts[at]} operations from number {firsts[at]} on, of "
            f"{operations.size} that were submitted",
            hint="an envelope covers operations of its own submission, at least one; they count from 0",
        )
    if operations.size and operations["flags"][-1] & layout.LINKED:
        raise UsageError(
            "the last operation says that it is linked to the next, and there is none",
            hint="the last operation of a chain has no LINKED flag",
        )
    same_unit = _same_unit(operations, firsts, ends)
    batch = PreparedBatch(operations, encoded, firsts, ends, same_unit, None, buffer, kinds, in_order)
    if same_unit is not None or batch.body_bytes > BODY_BYTES_MAX:
        for _ in batch.split_into_frames():  # raises for a unit that is too long, before anything is written
            pass
    return batch


def prepare_signed(records: Sequence[bytes], envelopes: Sequence[bytes]) -> PreparedBatch:
    """Return records of which each carries one envelope of its own, in order, as one batch.

    The short path for payments of many callers: no array is made for a single one. `records`: 128 bytes each, none
    linked to the next; `envelopes`: 104 bytes each, over one record. Raises UsageError for anything else.
    """
    is_whole = {RECORD_BYTES}.issuperset(map(len, records)) and {ENVELOPE_BYTES}.issuperset(map(len, envelopes))
    if not is_whole or len(records) != len(envelopes):
        raise UsageError(
            f"{len(records)} records and {len(envelopes)} envelopes are not as many of {RECORD_BYTES} and "
            f"{ENVELOPE_BYTES} bytes each",
            hint="submit what covers several records, or a chain, as arrays",
        )
    operations = np.frombuffer(bytearray().join(records), layout.OPERATION)
    encoded = np.frombuffer(b"".join(envelopes), ENVELOPE)
    if ((encoded["count"] != 1) | (encoded["first"] != 0)).any() or _links(operations):
        raise UsageError(
            "a single signed record must not be linked, and its envelope must cover that record alone",
            hint="submit what covers several records, or a chain, as arrays",
        )
    firsts = np.arange(operations.size)
    return PreparedBatch(operations, encoded, firsts, firsts + 1)


def as_batch(batch: PreparedBatch | Array) -> PreparedBatch:
    """Return a PreparedBatch as it is, and an array of operations as a batch of which nothing is known."""
    return batch if isinstance(batch, PreparedBatch) else PreparedBatch(batch)


def from_frame(records: Array) -> PreparedBatch:
    """Prepare the records of a frame that was read back: (n, RECORD_BYTES) uint8, which may be read-only."""
    # The copy costs less than hashing: kernels are compiled for arrays that may be written to.
    operations = np.empty(len(records), layout.OPERATION)
    kinds, links, in_order = kernels.take(records.view(np.uint64), kernels.seen(operations), _words(operations))
    return PreparedBatch(operations, kinds=0 if links else kinds, in_order=in_order and not links)


def concatenate(batches: Sequence[PreparedBatch]) -> PreparedBatch:
    """Return several batches as one, in order."""
    if len(batches) == 1:
        return batches[0]
    operations = np.concatenate([batch.operations for batch in batches])
    has_units = any(batch.same_unit is not None for batch in batches)
    kinds = 0
    for batch in batches:
        if not batch.kinds:
            kinds = 0
            break
        kinds |= batch.kinds
    if not has_units and not any(batch.envelopes.size for batch in batches):
        return PreparedBatch(operations, kinds=kinds)
    starts = np.cumsum([0, *(batch.size for batch in batches[:-1])])
    shifts = np.repeat(starts, [batch.envelopes.size for batch in batches])
    same_unit = [np.zeros(batch.size, np.bool_) if batch.same_unit is None else batch.same_unit for batch in batches]
    checks = [np.zeros(batch.envelopes.size, CHECK) if batch.checks is None else batch.checks for batch in batches]
    return PreparedBatch(
        operations,
        np.concatenate([batch.envelopes for batch in batches]),
        np.concatenate([batch.firsts for batch in batches]) + shifts,
        np.concatenate([batch.ends for batch in batches]) + shifts,
        np.concatenate(same_unit) if has_units else None,
        np.concatenate(checks) if any(batch.checks is not None for batch in batches) else None,
    )


def spread_refusals(batch: PreparedBatch, fresh: Array, codes: Array) -> Array:
    """Extend refusals of single operations to their units: (n,) uint16, CREATED where nothing is refused.

    `fresh`: (n,) bool, the operations that are neither malformed nor known; `codes`: (n,) the result of the authority
    check for each. A unit with a refused operation is refused whole. Its other operations are answered CHAIN_BROKEN
    where they share a chain with a refused one, else as the first refused one: a signature over all of them cannot be
    kept for a part.
    """
    answers = np.full(fresh.size, Result.CREATED, np.uint16)
    refused = fresh & (codes != Result.CREATED)
    if not refused.any():
        return answers
    answers[refused] = codes[refused]
    if batch.same_unit is None:
        return answers
    unit = np.cumsum(~batch.same_unit) - 1
    fallen, first = np.unique(unit[refused], return_index=True)
    code_of_unit = np.zeros(int(unit[-1]) + 1, np.uint16)
    code_of_unit[fallen] = codes[np.flatnonzero(refused)[first]]
    begins_chain = np.ones(fresh.size, np.bool_)
    begins_chain[1:] = (batch.operations["flags"][:-1] & layout.LINKED) == 0
    chain_is_broken = np.logical_or.reduceat(refused, np.flatnonzero(begins_chain))[np.cumsum(begins_chain) - 1]
    good = fresh & ~refused & np.isin(unit, fallen)
    answers[good] = np.where(chain_is_broken, np.uint16(Result.CHAIN_BROKEN), code_of_unit[unit])[good]
    return answers


def results_of(answers: Array) -> list[Result]:
    """Return the results of answers, (n,) layout.ANSWER, without a call for each."""
    results: list[Result] = _RESULTS[answers["code"]].tolist()
    return results


def _is_flat(value: object) -> bool:
    """Return whether this is an array of one dimension."""
    return isinstance(value, np.ndarray) and value.ndim == 1


def _words(operations: Array) -> Array:
    """Return records as numbers, (n, 16) u64; the same memory if the records are contiguous."""
    return np.ascontiguousarray(operations).view(np.uint64).reshape(operations.size, RECORD_BYTES // 8)


def _same_unit(operations: Array, firsts: Array, ends: Array) -> Array | None:
    """Return which operations are in one unit with the one before, (n,) bool; None where none is."""
    if not _links(operations) and not (ends - firsts > 1).any():
        return None
    same_unit = np.zeros(operations.size, np.bool_)
    same_unit[1:] = (operations["flags"][:-1] & layout.LINKED) != 0
    # All but the first of each range.
    steps = np.zeros(operations.size + 1, np.int64)
    np.add.at(steps, firsts + 1, 1)
    np.add.at(steps, ends, -1)
    same_unit |= np.cumsum(steps)[:-1] > 0
    return same_unit


def _links(operations: Array) -> bool:
    """Return whether any operation is linked to the next. A single record, the usual case, is read as a number."""
    flags = operations["flags"]
    if flags.size == 1:
        return bool(flags.item() & layout.LINKED)
    return bool((flags & layout.LINKED).any())


def _too_long(unit: PreparedBatch) -> str:
    what = f"{unit.size:,} operations and {unit.envelopes.size:,} envelopes that must stand in one frame"
    return (
        f"a submission has {what} (a chain, or what one envelope covers); a frame holds at most "
        f"{FRAME_RECORDS_MAX:,} operations, and {BODY_BYTES_MAX:,} bytes of both"
    )
