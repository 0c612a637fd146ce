"""The state machine around the kernels: frames in, answers out, and reading.

Pure: no file, no thread, no clock, no randomness, so that a replay gives the same state anywhere. Where tables lie, and
what is done beside the frames, is up to the `Storage` that a state is given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import blake3
import numpy as np

from sycee.core import limits
from sycee.core.arrays import Array
from sycee.core.result_codes import Result
from sycee.ledger import digest, invariants, kernels, layout, snapshot_tables
from sycee.ledger.administration import HANDLERS, OFFICERS_MIN, activate_rule_set, count_officers, rule_set_record
from sycee.ledger.batch import PreparedBatch, as_batch
from sycee.ledger.layout import Kind, PostFlag
from sycee.ledger.state_tables import StateTables
from sycee.ledger.storage import Section, Storage

Dates = Sequence[tuple[int, int, int, int]]  # currency, day, month, year

DIGESTED_BESIDE_BYTES: Final = 1 << 17  # of movements; to hand less to a thread takes as long as to digest it

_POST: Final = int(Kind.POST)  # looking a member up takes longer than looking through a small frame
_NO_HASHES: Final = np.zeros((0, 4), np.uint64)


class LedgerState(StateTables):
    """The state machine of one ledger, in memory. For one thread, as `StateTables` is."""

    def __init__(self, storage: Storage | None = None) -> None:
        """`storage`: where tables lie and what is done beside the frames; `InMemory` unless given."""
        super().__init__(storage)
        self._dates: Dates = ()
        self._marks = np.zeros(6, np.int64)

    # --- frames ---

    def resolve(self, operations: Array) -> tuple[Array, int]:
        """Answer what needs no judgement: malformed operations, known ids, broken chains: (answers, how many pend).

        operations: (n,) layout.OPERATION. A pending operation has code kernels.PENDING in its answer.
        """
        answers = np.zeros(operations.size, layout.ANSWER)
        pending = kernels.resolve(self.tables, kernels.seen(operations), _words(operations), kernels.seen(answers))
        return answers, int(pending)

    def look_again(self, operations: Array, answers: Array) -> None:
        """Answer an operation of a broken chain EXISTS where one before it in the same submission bound its id.

        operations: (n,) layout.OPERATION, as they were submitted; answers: (n,) layout.ANSWER, of all of them, after
        the frame that was made of them. `resolve` could not know: it looks at chains before the frame is applied.
        """
        broken = answers["code"] == Result.CHAIN_BROKEN
        if not broken.any():
            return
        again, _ = self.resolve(operations)
        places_before = np.concatenate(([np.uint64(0)], np.maximum.accumulate(answers["place"])[:-1]))
        known = broken & (again["place"] > 0) & (again["place"] <= places_before)
        answers[known] = again[known]

    def is_new(self, operations: Array) -> bool:
        """Return whether the first id, which is ordered by time, is greater than any that may be bound. O(1).

        If so, every operation of a batch that is `in_order` is new, and `resolve` need not look at it.
        """
        low, high = int(operations["id_low"][0]), int(operations["id_high"][0])
        tops = self.tables.tops.tolist()
        newest = max((tops[at], tops[at + 1]) for at in (kernels.RECENT_TOP, kernels.OLDER_TOP, kernels.RUNS_TOP))
        return (high, low) > newest and high > tops[kernels.STRAY_TOP]

    def apply(self, sequence: int, now_ns: int, batch: PreparedBatch | Array, calendar: Dates = ()) -> Array:
        """Apply one frame, in order; return its answers, (n,) layout.ANSWER. `reserve` must have taken the batch first.

        `batch`: a PreparedBatch, or (n,) layout.OPERATION of which nothing is known. `calendar`: (currency, day,
        month, year) of each currency that was defined before. Time passes before the first operation.
        """
        batch = as_batch(batch)
        operations, all_new = batch.operations, batch.all_new
        self.pass_time(now_ns, calendar, sequence=sequence)
        answers = np.zeros(operations.size, layout.ANSWER)
        words, hashes = _words(operations), _hashes(operations, batch.kinds)
        seen, seen_answers = kernels.seen(operations), kernels.seen(answers)
        moved = int(self.tables.counters[kernels.MOVEMENTS])
        at = 0
        while True:
            at = int(
                kernels.apply(
                    self.tables, seen, words, hashes, self._marks, at, sequence, now_ns, seen_answers, all_new
                )
            )
            if at == operations.size:
                break
            result = HANDLERS[Kind(int(operations["kind"][at]))](self, operations, at, now_ns)
            kernels.bind_one(self.tables, seen, words, at, sequence, int(result))
            answers["code"][at] = result
            at += 1
        if operations.size:
            made = blake3.blake3(self.movement_digest + sequence.to_bytes(8, "little") + answers["code"].tobytes())
            movements = self.movements[moved:].view(np.uint8).data
            if movements.nbytes < DIGESTED_BESIDE_BYTES:
                self.movement_digest = made.update(movements).digest()
            else:
                # Nobody needs it before the next frame is written, which is resolved meanwhile.
                self._movement_digest = self.storage.begin(lambda: made.update(movements).digest())
        return answers

    def pass_time(self, now_ns: int, calendar: Dates = (), *, sequence: int = 0) -> None:
        """What a frame does before its first operation: rule sets take effect, holds end. All of a frame without any.

        sequence: of the frame, if it has one.
        """
        if sequence:
            self.sequence, self.now_ns = sequence, now_ns
            self.grow("frame_times", sequence + 1)
            self.tables.frame_times[sequence] = now_ns
        if calendar != self._dates:
            self._dates = tuple(calendar)
            self.tables.calendar.view(np.ndarray)[:] = np.zeros(1, layout.CALENDAR)
            for currency, *date in calendar:
                self.tables.calendar[currency] = tuple(date)
        if self.coming:
            for number, definition in sorted(self.coming.items()):
                if int(rule_set_record(definition)["effective_ns"]) <= now_ns:
                    activate_rule_set(self, number, definition)
        if self.grants and not self.authority_on:
            self.authority_on = count_officers(self, now_ns) >= OFFICERS_MIN
        if self.tables.counters[kernels.TIME_OUTS]:
            kernels.pass_time(self.tables, now_ns)

    def next_due_ns(self) -> int | None:
        """When something falls due next by itself: a hold's end, a rule set's coming version. None for nothing."""
        due = [int(rule_set_record(definition)["effective_ns"]) for definition in self.coming.values()]
        kernels.pass_time(self.tables, -limits.I64_MAX)  # ends nothing, but drops stale entries from the top
        if self.tables.counters[kernels.TIME_OUTS]:
            due.append(int(self.tables.time_outs["until_ns"][0]))
        return min(due, default=None)

    def digest(self) -> bytes:
        """The 32-byte state digest, docs/reference/ledger.md section 12."""
        return digest.state_digest(self)

    def check(self) -> None:
        """Recompute what must always hold, from the tables and from the movements. Raises IntegrityError."""
        invariants.check(self)

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """All of it, for a snapshot: arrays by name, and small values that JSON can hold."""
        return snapshot_tables.save(self)

    @classmethod
    def load(
        cls, sections: Mapping[str, Section], small: Mapping[str, Any], storage: Storage | None = None
    ) -> LedgerState:
        """The state that was saved. Raises IntegrityError where it cannot be."""
        return snapshot_tables.load(lambda: cls(storage), sections, small)


def _words(operations: Array) -> Array:
    return operations.view(np.uint64).reshape(operations.size, limits.RECORD_BYTES // 8)


def _hashes(operations: Array, kinds: int) -> Array:
    """SHA-256 of the secrets that POST operations show, (n, 4) u64; (0, 4) where none shows one."""
    if kinds and not kinds >> _POST & 1:
        return _NO_HASHES
    posts = operations["kind"] == _POST
    if not posts.any():
        return _NO_HASHES
    showing = posts & (operations["flags"] & PostFlag.PREIMAGE != 0)
    if not showing.any():
        return _NO_HASHES
    hashes = np.zeros((operations.size, 4), np.uint64)
    for at in np.flatnonzero(showing).tolist():
        secret = operations[at : at + 1].view(np.uint8)[80:112].tobytes()
        hashes[at] = np.frombuffer(hashlib.sha256(secret).digest(), "<u8")
    return hashes
