"""Batches of operations, facts already known about them, and the places where they may be divided into frames.

A *unit* must be in one frame: a chain, the range of an envelope, and all operations that share an operation with
either. Any other operation is a separate unit. A unit is journaled atomically.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

import numpy as np

from sycee.core.arrays import Array
from sycee.core.buffers import BufferPool, FrameBuffer
from sycee.core.errors import UsageError
from sycee.core.ids import Ids
from sycee.core.limits import (
    ENVELOPE_BYTES,
    FRAME_BYTES_MAX,
    FRAME_HEADER_BYTES,
    FRAME_RECORDS_MAX,
    FRAME_TRAILER_BYTES,
    RECORD_BYTES,
)
from sycee.core.records import layout
from sycee.core.records.envelopes import ENVELOPE, Envelope, as_array
from sycee.core.result_codes import Result
from sycee.ledger import kernels
from sycee.ledger.signatures import CHECK, FEW

# Records and envelopes of one frame together.
BODY_BYTES_MAX: Final = FRAME_BYTES_MAX - FRAME_HEADER_BYTES - FRAME_TRAILER_BYTES
BUFFERED_RECORDS_MIN: Final = 512  # a second copy of fewer records costs nothing measurable

# One layout.ANSWER as plain integers: code, first_code, reserved, place.
AnswerTuple: TypeAlias = tuple[int, int, int, int]

_RESULTS: Final = np.array(
    [Result(code) if code in Result.__members__.values() else None for code in range(max(Result) + 1)], object
)
# In a refused chain one operation has the reason. The others get these results, which follow from it.
CONSEQUENCES: Final = (Result.CHAIN_BROKEN, Result.LINKED_FAILED, Result.EXISTS)

# Most batches carry no envelope: they share these empty arrays.
_NO_ENVELOPES: Final = np.zeros(0, ENVELOPE)
_NO_PLACES: Final = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedBatch:
    """Operations in order with their envelopes, and facts that earlier stages computed about them.

    The default of each fact means "unknown"; a later stage then computes the fact again.
    """

    operations: Array  # (n,) layout.OPERATION
    envelopes: Array = field(default_factory=lambda: _NO_ENVELOPES)  # (m,), in any order
    firsts: Array = field(default_factory=lambda: _NO_PLACES)  # (m,) first operation of each envelope's range
    ends: Array = field(default_factory=lambda: _NO_PLACES)  # (m,) end of each range, exclusive
    same_unit: Array | None = None  # (n,) bool: in one unit with the operation before; None: every unit has one
    checks: Array | None = None  # (m,) signatures.CHECK of the envelopes; None: not verified yet
    buffer: FrameBuffer | None = None  # holds exactly these operations, with space for a frame around them
    kinds: int = 0  # bit k: an operation of kind k is present, and no operation is linked; 0: unknown
    in_order: bool = False  # no operation is malformed, and the ids, ordered by time, ascend
    all_new: bool = False  # no operation is malformed and no id is bound or repeated: `resolve` is not needed

    @property
    def size(self) -> int:
        """Return the number of operations."""
        return self.operations.size

    @property
    def body_bytes(self) -> int:
        """Return the number of bytes that the batch needs in a frame's body."""
        return self.operations.size * RECORD_BYTES + self.envelopes.size * ENVELOPE_BYTES

    def with_all_new(self) -> PreparedBatch:
        """Return the same batch with `all_new` set."""
        return replace(self, all_new=True)

    def slice(self, start: int, end: int) -> PreparedBatch:
        """Return the operations in [start, end). Both must be bounds of units."""
        if start == 0 and end == self.operations.size:
            return self
        chosen = (self.firsts >= start) & (self.firsts < end)
        return self._part(slice(start, end), chosen, self.firsts[chosen] - start)

    def select(self, selected: Array) -> PreparedBatch:
        """Return the operations where `selected`, (n,) bool, is true. They must be whole units."""
        if selected.all():
            return self
        chosen = selected[self.firsts]
        return self._part(selected, chosen, (np.cumsum(selected) - 1)[self.firsts[chosen]])

    def _part(self, at: builtins.slice | Array, chosen: Array, firsts: Array) -> PreparedBatch:
        """Return the operations `at` with the envelopes `chosen`, whose ranges now begin at `firsts`."""
        return PreparedBatch(
            self.operations[at],
            self.envelopes[chosen],
            firsts,
            firsts + (self.ends - self.firsts)[chosen],
            None if self.same_unit is None else self.same_unit[at],
            None if self.checks is None else self.checks[chosen],
        )

    def drop_answered_envelopes(self, fresh: Array) -> PreparedBatch:
        """Return the batch without envelopes whose range has no `fresh` operation, (n,) bool.

        Such an envelope signs only operations that have results already, so it must not join others to their unit.
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
        """Return the envelopes for a frame: (m,) envelopes.ENVELOPE with ranges within this batch."""
        if not self.envelopes.size:
            return self.envelopes
        written = self.envelopes.copy()
        written["first"], written["count"] = self.firsts, self.ends - self.firsts
        return written

    def unit_starts(self) -> Array:
        """Return the index of each unit's first operation: int64, ascending."""
        return np.arange(self.operations.size) if self.same_unit is None else np.flatnonzero(~self.same_unit)

    def expand_to_units(self, selected: Array) -> Array:
        """Return all operations of the units in which any is `selected`: (n,) bool to (n,) bool."""
        if self.same_unit is None:
            return selected
        any_selected = np.logical_or.reduceat(selected, self.unit_starts())
        whole: Array = any_selected[np.cumsum(~self.same_unit) - 1]
        return whole

    def split_into_frames(self, reserved_bytes: int = 0) -> Iterator[PreparedBatch]:
        """Yield parts that each fit a frame, divided between units, each as large as possible.

        `reserved_bytes` of each frame stay free, for envelopes that are added later. Raise UsageError for a unit that
        is larger than a frame.
        """
        bytes_max = BODY_BYTES_MAX - reserved_bytes
        if 0 < self.operations.size <= FRAME_RECORDS_MAX and self.body_bytes <= bytes_max:
            yield self
            return
        bounds = np.append(self.unit_starts(), self.operations.size)
        # Bytes of all units before each bound.
        bytes_before = bounds * RECORD_BYTES + np.searchsorted(np.sort(self.firsts), bounds) * ENVELOPE_BYTES
        at = 0
        while at < bounds.size - 1:
            by_records = np.searchsorted(bounds, bounds[at] + FRAME_RECORDS_MAX, "right") - 1
            by_bytes = np.searchsorted(bytes_before, bytes_before[at] + bytes_max, "right") - 1
            end = min(int(by_records), int(by_bytes))
            if end <= at:
                start, unit = int(bounds[at]), self.slice(int(bounds[at]), int(bounds[at + 1]))
                raise UsageError(
                    f"from operation {start} on, {unit.size:,} operations and {unit.envelopes.size:,} envelopes must "
                    f"be in one frame; a frame holds {FRAME_RECORDS_MAX:,} operations, and {bytes_max:,} bytes of both",
                    hint="make the chain shorter, or let each envelope cover fewer operations",
                )
            yield self.slice(int(bounds[at]), int(bounds[end]))
            at = end


def prepare(
    operations: Array, envelopes: Array | Sequence[Envelope] = (), *, buffers: BufferPool | None = None
) -> PreparedBatch:
    """Copy and check a caller's submission.

    `operations`: (n,) layout.OPERATION. `envelopes`: (m,) envelopes.ENVELOPE or Envelope objects; their ranges count
    from the first operation. `buffers`: pool for copies of large batches; the caller of this function releases the
    batch's `buffer` later. Raise UsageError for a submission that no frame can hold: a chain without an end, an
    envelope over operations that do not exist, a unit larger than a frame.
    """
    check_types(operations, envelopes)
    # Later stages read the records one after another: the copy hides changes that the caller makes meanwhile.
    buffer, kinds, in_order = None, 0, False
    if buffers is not None and BUFFERED_RECORDS_MIN <= operations.size <= FRAME_RECORDS_MAX:
        buffer = buffers.acquire()
        place = buffer.records(operations.nbytes)
        copied = place.view(layout.OPERATION)
        kinds, links, in_order = kernels.copy_records(_words(operations), kernels.kernel_view(copied), _words(copied))
        if not links and not len(envelopes):
            buffers.compute_checksum(buffer, place)
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
            f"envelope {at} covers {ends[at] - firsts[at]} operations from index {firsts[at]} on; the submission has "
            f"{operations.size}",
            hint="an envelope covers at least one operation of its own submission; indexes count from 0",
        )
    if operations.size and operations["flags"][-1] & layout.LINKED:
        raise UsageError(
            "the last operation has the flag LINKED, but no operation follows",
            hint="clear LINKED in the last operation of a chain",
        )
    same_unit = _same_unit(operations, firsts, ends)
    batch = PreparedBatch(operations, encoded, firsts, ends, same_unit, None, buffer, kinds, in_order)
    if same_unit is not None or batch.body_bytes > BODY_BYTES_MAX:
        for _ in batch.split_into_frames():  # raises for a unit that is too large, before anything is written
            pass
    return batch


def check_types(operations: object, envelopes: object) -> None:
    """Raise UsageError unless these are an array of operations and an array or list of envelopes."""
    if not _is_flat(operations) or getattr(operations, "dtype", None) != layout.OPERATION:
        raise UsageError(
            "submit needs a one-dimensional array of operations", hint="the functions of ledger.operations return it"
        )
    is_list = isinstance(envelopes, Sequence) and all(isinstance(each, Envelope) for each in envelopes)
    if not is_list and not _is_flat(envelopes):
        raise UsageError("envelopes must be a list of Envelope, or an array", hint="ledger.envelopes.sign returns one")


def prepare_singles(records: Sequence[bytes], need_ids: Sequence[bool], new_ids: Callable[[int], Ids]) -> PreparedBatch:
    """Return TRANSFER and PAY records of many callers, RECORD_BYTES each and not linked, as one batch, unchecked.

    `need_ids`: of each record, whether it gets an id here; `new_ids(n)` returns n fresh ids.
    """
    operations = np.frombuffer(bytearray().join(records), layout.OPERATION)
    if True in need_ids:
        rows = np.flatnonzero(need_ids)
        fresh = new_ids(rows.size)
        operations["id_low"][rows], operations["id_high"][rows] = fresh["low"], fresh["high"]
    kinds = operations["kind"]
    return PreparedBatch(operations, kinds=1 << int(kinds.min()) | 1 << int(kinds.max()))


def prepare_signed(records: Sequence[bytes], envelopes: Sequence[bytes]) -> PreparedBatch:
    """Return records that each have one envelope, in order, as one batch.

    The fast path for payments of many callers: it creates no array per payment. `records`: 128 bytes each, not linked;
    `envelopes`: 104 bytes each, over one record. Raise UsageError for anything else.
    """
    hint = "submit a chain, or an envelope over several records, as arrays"
    has_sizes = {RECORD_BYTES}.issuperset(map(len, records)) and {ENVELOPE_BYTES}.issuperset(map(len, envelopes))
    if not has_sizes or len(records) != len(envelopes):
        raise UsageError(
            f"{len(records)} records and {len(envelopes)} envelopes must be equal in number, of {RECORD_BYTES} and "
            f"{ENVELOPE_BYTES} bytes each",
            hint=hint,
        )
    operations = np.frombuffer(bytearray().join(records), layout.OPERATION)
    encoded = np.frombuffer(b"".join(envelopes), ENVELOPE)
    if ((encoded["count"] != 1) | (encoded["first"] != 0)).any() or _links(operations):
        raise UsageError(
            "a single signed record must not be linked, and its envelope must cover that record alone", hint=hint
        )
    firsts = np.arange(operations.size)
    return PreparedBatch(operations, encoded, firsts, firsts + 1)


def as_batch(batch: PreparedBatch | Array) -> PreparedBatch:
    """Return a PreparedBatch unchanged, and an array of operations as a batch with unknown facts."""
    return batch if isinstance(batch, PreparedBatch) else PreparedBatch(batch)


def from_frame(records: Array) -> PreparedBatch:
    """Return the records of a frame, (n, RECORD_BYTES) uint8, as a batch. The array may be read-only."""
    # Kernels are compiled for writable arrays, so the records are copied, which is cheaper than hashing them.
    operations = np.empty(len(records), layout.OPERATION)
    kinds, links, in_order = kernels.copy_records(
        records.view(np.uint64), kernels.kernel_view(operations), _words(operations)
    )
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

    `fresh`: (n,) bool, the operations that are neither malformed nor bound; `codes`: (n,) the authority check's result
    for each. A unit with a refused operation is refused completely, because a signature over all of its operations
    cannot count for a part. Its other operations get CHAIN_BROKEN if they share a chain with a refused operation,
    otherwise the code of the unit's first refused operation.
    """
    answers = np.full(fresh.size, Result.CREATED, np.uint16)
    refused = fresh & (codes != Result.CREATED)
    if not refused.any():
        return answers
    answers[refused] = codes[refused]
    if batch.same_unit is None:
        return answers
    unit = np.cumsum(~batch.same_unit) - 1
    refused_units, first = np.unique(unit[refused], return_index=True)
    code_of_unit = np.zeros(int(unit[-1]) + 1, np.uint16)
    code_of_unit[refused_units] = codes[np.flatnonzero(refused)[first]]
    begins_chain = np.ones(fresh.size, np.bool_)
    begins_chain[1:] = (batch.operations["flags"][:-1] & layout.LINKED) == 0
    chain_is_broken = np.logical_or.reduceat(refused, np.flatnonzero(begins_chain))[np.cumsum(begins_chain) - 1]
    others = fresh & ~refused & np.isin(unit, refused_units)
    answers[others] = np.where(chain_is_broken, np.uint16(Result.CHAIN_BROKEN), code_of_unit[unit])[others]
    return answers


def results_of(answers: Array) -> list[Result]:
    """Return the results of answers, (n,) layout.ANSWER, without a Python call per answer."""
    results: list[Result] = _RESULTS[answers["code"]].tolist()
    return results


def tuples_of(answers: Array) -> list[AnswerTuple]:
    """Return answers, (n,) layout.ANSWER, as tuples."""
    tuples: list[AnswerTuple] = answers.tolist()
    return tuples


def result_of(answer: AnswerTuple) -> Result:
    """Return the result of one answer."""
    result: Result = _RESULTS[answer[0]]
    return result


def first_result(answer: AnswerTuple) -> Result:
    """Return the result that one operation got when it was first submitted."""
    result: Result = _RESULTS[answer[1] if answer[0] == Result.EXISTS else answer[0]]
    return result


def first_codes(answers: Array) -> Array:
    """Return the code that each operation got when it was first submitted: (n,) u2 for (n,) layout.ANSWER."""
    codes: Array = np.where(answers["code"] == Result.EXISTS, answers["first_code"], answers["code"])
    return codes


def _is_flat(value: object) -> bool:
    """Return whether a value is an array of one dimension."""
    return isinstance(value, np.ndarray) and value.ndim == 1


def _words(operations: Array) -> Array:
    """Return records as (n, 16) u64; contiguous records share their memory with the result."""
    return np.ascontiguousarray(operations).view(np.uint64).reshape(operations.size, RECORD_BYTES // 8)


def _same_unit(operations: Array, firsts: Array, ends: Array) -> Array | None:
    """Return which operations are in one unit with the operation before, (n,) bool; None if there is none."""
    links = _links(operations)
    if not links and not (ends - firsts > 1).any():
        return None
    same_unit = np.zeros(operations.size, np.bool_)
    if links:
        same_unit[1:] = (operations["flags"][:-1] & layout.LINKED) != 0
    # All but the first of each range.
    if firsts.size <= FEW:
        for first, end in zip(firsts.tolist(), ends.tolist(), strict=True):
            same_unit[first + 1 : end] = True
        return same_unit
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
