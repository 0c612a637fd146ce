"""Submissions, and where they may be cut into frames.

A *unit* is what must stand in one frame: a chain, the range of an envelope, and whatever these share an operation
with; any other operation is a unit by itself. A unit is journaled whole or not at all.
"""

from __future__ import annotations

import mmap
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from sycee.core.codes import Result
from sycee.core.errors import UsageError
from sycee.core.limits import (
    ENVELOPE_BYTES,
    FRAME_BYTES_MAX,
    FRAME_HEADER_BYTES,
    FRAME_RECORDS_MAX,
    FRAME_TRAILER_BYTES,
    RECORD_BYTES,
)
from sycee.ledger import kernels, layout
from sycee.ledger.envelopes import ENVELOPE, Envelope, as_array
from sycee.ledger.signatures import CHECK

Array = np.ndarray[Any, Any]

# What records and envelopes of one frame may take together.
BODY_BYTES_MAX: Final = FRAME_BYTES_MAX - FRAME_HEADER_BYTES - FRAME_TRAILER_BYTES

# Most submissions carry no envelope: these stand for that, and nobody writes to what is empty.
_NO_ENVELOPES: Final = np.zeros(0, ENVELOPE)
_NO_PLACES: Final = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Submission:
    """Operations in order with the envelopes that lie on them."""

    operations: Array  # (n,) layout.OPERATION
    envelopes: Array = field(default_factory=lambda: _NO_ENVELOPES)  # (m,), in any order
    firsts: Array = field(default_factory=lambda: _NO_PLACES)  # (m,) where the range of each begins,
    ends: Array = field(default_factory=lambda: _NO_PLACES)  # (m,) and where it has ended
    glued: Array | None = None  # (n,) bool: in one unit with the operation before; None where no operation is
    checks: Array | None = None  # (m,) signatures.CHECK: what was learned of the envelopes; None: nothing
    room: memoryview | None = None  # in which all the operations stand, and a frame of them can be put around them
    kinds: int = 0  # as `kernels.take` saw them, where none is linked; 0: nobody looked
    is_in_order: bool = False  # no operation is malformed, and the ids, ordered by time, ascend; False: nobody looked

    @property
    def body_bytes(self) -> int:
        """What it takes of a frame."""
        return self.operations.size * RECORD_BYTES + self.envelopes.size * ENVELOPE_BYTES

    def slice(self, start: int, end: int) -> Submission:
        """The operations from `start` to before `end`, which must be ends of units."""
        if start == 0 and end == self.operations.size:
            return self
        chosen = (self.firsts >= start) & (self.firsts < end)
        return Submission(
            self.operations[start:end],
            self.envelopes[chosen],
            self.firsts[chosen] - start,
            self.ends[chosen] - start,
            None if self.glued is None else self.glued[start:end],
            None if self.checks is None else self.checks[chosen],
        )

    def only(self, kept: Array) -> Submission:
        """The operations that are `kept`, (n,) bool, which must be whole units."""
        if kept.all():
            return self
        places = np.cumsum(kept) - 1
        chosen = kept[self.firsts]
        firsts = places[self.firsts[chosen]]
        return Submission(
            self.operations[kept],
            self.envelopes[chosen],
            firsts,
            firsts + (self.ends - self.firsts)[chosen],
            None if self.glued is None else self.glued[kept],
            None if self.checks is None else self.checks[chosen],
        )

    def vouched_for(self, fresh: Array) -> Submission:
        """The same without the envelopes in whose range no operation is `fresh`, (n,) bool: they hold nothing up."""
        if not self.envelopes.size:
            return self
        before = np.concatenate([[0], np.cumsum(fresh)])
        chosen = before[self.ends] > before[self.firsts]
        firsts, ends = self.firsts[chosen], self.ends[chosen]
        glued = _glued(self.operations, firsts, ends)
        checks = None if self.checks is None else self.checks[chosen]
        return Submission(self.operations, self.envelopes[chosen], firsts, ends, glued, checks)

    def written_envelopes(self) -> Array:
        """The envelopes as a frame keeps them: (m,) envelopes.ENVELOPE with their ranges."""
        if not self.envelopes.size:
            return self.envelopes
        written = self.envelopes.copy()
        written["first"], written["count"] = self.firsts, self.ends - self.firsts
        return written

    def units(self) -> Array:
        """Where each unit begins: int64, ascending."""
        return np.arange(self.operations.size) if self.glued is None else np.flatnonzero(~self.glued)

    def whole_units(self, wanted: Array) -> Array:
        """All operations of the units in which any is `wanted`: (n,) bool to (n,) bool."""
        if self.glued is None:
            return wanted
        any_wanted = np.logical_or.reduceat(wanted, self.units())
        whole: Array = any_wanted[np.cumsum(~self.glued) - 1]
        return whole

    def pieces(self) -> Iterator[Submission]:
        """Parts that fit a frame each, cut between units, each as large as may be."""
        if 0 < self.operations.size <= FRAME_RECORDS_MAX and self.body_bytes <= BODY_BYTES_MAX:
            yield self
            return
        bounds = np.append(self.units(), self.operations.size)
        # How much the units before each bound take.
        taken = bounds * RECORD_BYTES + np.searchsorted(np.sort(self.firsts), bounds) * ENVELOPE_BYTES
        at = 0
        while at < bounds.size - 1:
            by_records = np.searchsorted(bounds, bounds[at] + FRAME_RECORDS_MAX, "right") - 1
            by_bytes = np.searchsorted(taken, taken[at] + BODY_BYTES_MAX, "right") - 1
            end = min(int(by_records), int(by_bytes))
            if end <= at:
                raise UsageError(_too_long(self.slice(int(bounds[at]), int(bounds[at + 1]))))
            yield self.slice(int(bounds[at]), int(bounds[end]))
            at = end


ROOM_RECORDS_MIN: Final = 512  # fewer are no trouble


class _Rooms:
    """Memory for copies of records, used again: a new megabyte for every frame takes longer than the copying.

    They stand where they would in a frame, so that the journal need not copy them once more.
    """

    KEPT_MAX: Final = 8

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """In a forked child: the memory is the parent's, which shares it with the child and writes frames from it.

        Direct writes during a fork need shared memory: see open(2), O_DIRECT.
        """
        self._lock = threading.Lock()
        self._kept: list[Array] = []

    def of(self, operations: Array) -> tuple[Array, memoryview]:
        """Memory for so many records that nobody else has, and the room that it stands in.

        Both are used again once nothing refers to them any more.
        """
        with self._lock:
            room = self._free()
        return room[FRAME_HEADER_BYTES : FRAME_HEADER_BYTES + operations.nbytes].view(layout.OPERATION), room.data

    def _free(self) -> Array:
        for at in range(len(self._kept)):
            if sys.getrefcount(self._kept[at]) == _UNUSED:
                return self._kept[at]
        made = np.frombuffer(mmap.mmap(-1, FRAME_BYTES_MAX), np.uint8)  # whole pages, as direct writes need
        if len(self._kept) < self.KEPT_MAX:
            self._kept.append(made)
        return made


_UNUSED: Final = sys.getrefcount([object()][0]) + 1  # the list's and the call's own
_rooms: Final = _Rooms()
os.register_at_fork(after_in_child=_rooms.forget)


def submission(operations: Array, envelopes: Array | Sequence[Envelope] = ()) -> Submission:
    """What a caller asks for, as a copy of its own.

    `operations`: (n,) layout.OPERATION. `envelopes`: (m,) envelopes.ENVELOPE or Envelope objects; their ranges count
    from the submission's first operation. Raises UsageError for what can stand in no frame: a chain that does not
    end, an envelope on operations that are not there, a unit that is longer than a frame.
    """
    if not _is_flat(operations) or operations.dtype != layout.OPERATION:
        raise UsageError(
            "submit takes a one-dimensional array of operations", hint="the functions of ledger.operations make them"
        )
    if not isinstance(envelopes, (tuple, list)) and not _is_flat(envelopes):
        raise UsageError("envelopes are a list of Envelope, or an array", hint="ledger.envelopes.sign makes one")
    # A copy: resolve, apply and the journal's writer read it one after the other, and must read the same, whatever the
    # caller's other threads do to their array meanwhile.
    if ROOM_RECORDS_MIN <= operations.size <= FRAME_RECORDS_MAX:
        taken, room = _rooms.of(operations)
        kinds, links, is_in_order = kernels.take(_words(operations), kernels.seen(taken), _words(taken))
        if not links and not len(envelopes):
            return Submission(taken, room=room, kinds=kinds, is_in_order=is_in_order)
        operations = taken
    else:
        operations = operations.copy()
        if not len(envelopes) and not _links(operations):
            return Submission(operations)
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
    asked = Submission(operations, encoded, firsts, ends, _glued(operations, firsts, ends))
    if asked.glued is not None or encoded.size:
        for _ in asked.pieces():  # raises for a unit that is too long, before anything is written
            pass
    return asked


def signed_alone(records: Sequence[bytes], envelopes: Sequence[bytes]) -> Submission:
    """Return records of which each carries an envelope of its own, in order, as one submission.

    The short way for payments of many callers: no array is made for a single one. records: 128 bytes each, none linked
    to the next; envelopes: 104 bytes each, over one record. Raises UsageError for what is neither.
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
    wrong = np.flatnonzero((encoded["count"] != 1) | (encoded["first"] != 0))
    if wrong.size or _links(operations):
        raise UsageError(
            "a record that stands alone is not linked, and its envelope covers it and nothing else",
            hint="submit what covers several records, or a chain, as arrays",
        )
    firsts = np.arange(operations.size)
    return Submission(operations, encoded, firsts, firsts + 1)


def _is_flat(value: object) -> bool:
    """Whether it is an array of one dimension."""
    return isinstance(value, np.ndarray) and value.ndim == 1


def _words(operations: Array) -> Array:
    """Records as numbers, (n, 16) u64: the same memory, where they stand one after another."""
    return np.ascontiguousarray(operations).view(np.uint64).reshape(operations.size, RECORD_BYTES // 8)


def joined(parts: Sequence[Submission]) -> Submission:
    """Several submissions as one."""
    if len(parts) == 1:
        return parts[0]
    operations = np.concatenate([part.operations for part in parts])
    is_glued = any(part.glued is not None for part in parts)
    if not is_glued and not any(part.envelopes.size for part in parts):
        return Submission(operations)
    sizes = [part.operations.size for part in parts]
    shifts = np.repeat(np.cumsum([0, *sizes[:-1]]), [part.envelopes.size for part in parts])
    glued = [np.zeros(part.operations.size, np.bool_) if part.glued is None else part.glued for part in parts]
    checks = [np.zeros(part.envelopes.size, CHECK) if part.checks is None else part.checks for part in parts]
    return Submission(
        operations,
        np.concatenate([part.envelopes for part in parts]),
        np.concatenate([part.firsts for part in parts]) + shifts,
        np.concatenate([part.ends for part in parts]) + shifts,
        np.concatenate(glued) if is_glued else None,
        np.concatenate(checks) if any(part.checks is not None for part in parts) else None,
    )


def _glued(operations: Array, firsts: Array, ends: Array) -> Array | None:
    """Which operations stand in one unit with the one before, (n,) bool; None where none does."""
    if not _links(operations) and not (firsts.size and (ends - firsts > 1).any()):
        return None
    linked = (operations["flags"] & layout.LINKED) != 0
    glued = np.zeros(operations.size, np.bool_)
    glued[1:] = linked[:-1]
    # All but the first of each range.
    steps = np.zeros(operations.size + 1, np.int64)
    np.add.at(steps, firsts + 1, 1)
    np.add.at(steps, ends, -1)
    glued |= np.cumsum(steps)[:-1] > 0
    return glued


def _links(operations: Array) -> bool:
    """Whether any operation is linked to the next. One alone is looked at as a number: it is asked most often."""
    flags = operations["flags"]
    if flags.size == 1:
        return bool(flags.item() & layout.LINKED)
    return bool((flags & layout.LINKED).any())


def refusals(asked: Submission, fresh: Array, codes: Array) -> Array:
    """What authority's answers come to for whole units: (n,) uint16, CREATED where nothing speaks against it.

    `fresh`: (n,) bool, the operations that are neither malformed nor known; `codes`: (n,) what authority says to each.
    A unit with a refused operation falls whole. Its other operations are answered CHAIN_BROKEN where they share a
    chain with a refused one, and else as the first refused one: the signature over all of them cannot be kept.
    """
    answers = np.full(fresh.size, Result.CREATED, np.uint16)
    refused = fresh & (codes != Result.CREATED)
    if not refused.any():
        return answers
    answers[refused] = codes[refused]
    if asked.glued is None:
        return answers
    unit = np.cumsum(~asked.glued) - 1
    fallen, first = np.unique(unit[refused], return_index=True)
    code_of_unit = np.zeros(int(unit[-1]) + 1, np.uint16)
    code_of_unit[fallen] = codes[np.flatnonzero(refused)[first]]
    begins_chain = np.ones(fresh.size, np.bool_)
    begins_chain[1:] = (asked.operations["flags"][:-1] & layout.LINKED) == 0
    chain_is_broken = np.logical_or.reduceat(refused, np.flatnonzero(begins_chain))[np.cumsum(begins_chain) - 1]
    good = fresh & ~refused & np.isin(unit, fallen)
    answers[good] = np.where(chain_is_broken, np.uint16(Result.CHAIN_BROKEN), code_of_unit[unit])[good]
    return answers


def _too_long(unit: Submission) -> str:
    what = f"{unit.operations.size:,} operations and {unit.envelopes.size:,} envelopes that must stand in one frame"
    return (
        f"a submission has {what} (a chain, or what one envelope covers); a frame holds at most "
        f"{FRAME_RECORDS_MAX:,} operations, and {BODY_BYTES_MAX:,} bytes of both"
    )
