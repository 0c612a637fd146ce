"""The state machine around the kernels: it applies frames and returns their answers.

It uses no file, thread, clock or randomness, so a replay gives the same state on every machine. A `Storage` stores the
tables and runs background work.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import blake3
import numpy as np

from sycee.core import limits
from sycee.core.arrays import Array
from sycee.core.records import layout
from sycee.core.records.layout import Kind, PostFlag
from sycee.core.result_codes import Result
from sycee.ledger import digest, invariants, kernels, snapshot_tables
from sycee.ledger.administration import HANDLERS, OFFICERS_MIN, activate_rule_set, count_officers, rule_set_record
from sycee.ledger.batch import PreparedBatch, as_batch
from sycee.ledger.kernels import constants
from sycee.ledger.state_tables import StateTables
from sycee.ledger.storage import Section, Storage

Dates = Sequence[tuple[int, int, int, int]]  # currency, day, month, year

BACKGROUND_DIGEST_BYTES: Final = 1 << 17  # of movements; fewer are digested faster than background work starts

HASHED_RECORDS_MIN: Final = 512  # of a frame whose members are hashed at once; others wait for more, or for the seal

_ADD_MEMBERS: Final = int(Kind.ADD_MEMBERS)
_POST: Final = int(Kind.POST)  # an attribute lookup on an enum is slower than a search of a small frame
_NO_HASHES: Final = np.zeros((0, 4), np.uint64)


class LedgerState(StateTables):
    """The state machine of one ledger. Not thread-safe, as `StateTables`."""

    def __init__(self, storage: Storage | None = None) -> None:
        """Create an empty ledger. `storage`: memory of the tables and background work; process memory by default."""
        super().__init__(storage)
        self._dates: Dates = ()
        self._savepoint = np.zeros(constants.COUNTERS, np.int64)

    def resolve(self, operations: Array) -> tuple[Array, int]:
        """Return (answers, number of pending operations), answering what the state need not be changed for.

        These are malformed operations, ids that are already bound, and broken chains. Others have code
        constants.PENDING. operations: (n,) layout.OPERATION.
        """
        answers = np.zeros(operations.size, layout.ANSWER)
        pending = kernels.resolve(
            self.tables, kernels.kernel_view(operations), _words(operations), kernels.kernel_view(answers)
        )
        return answers, int(pending)

    def resolve_broken_chains(self, operations: Array, answers: Array) -> None:
        """Answer EXISTS to operations of broken chains whose id an earlier operation of the submission bound.

        `resolve` cannot do this: it answers broken chains before the frame is applied. operations: (n,)
        layout.OPERATION, as submitted; answers: (n,) layout.ANSWER of all of them, after their frame; changed in place.
        """
        broken = answers["code"] == Result.CHAIN_BROKEN
        if not broken.any():
            return
        again, _ = self.resolve(operations)
        places_before = np.concatenate(([np.uint64(0)], np.maximum.accumulate(answers["place"])[:-1]))
        is_bound = broken & (again["place"] > 0) & (again["place"] <= places_before)
        answers[is_bound] = again[is_bound]

    def is_all_new(self, operations: Array) -> bool:
        """Return whether the first id, a UUIDv7, is greater than all bound ids that it could equal. O(1).

        If so, all ids of a batch that is `in_order` are new, and the batch needs no `resolve`.
        """
        low, high = int(operations["id_low"][0]), int(operations["id_high"][0])
        greatest_ids = self.tables.greatest_ids.tolist()
        newest = max(
            (greatest_ids[at], greatest_ids[at + 1])
            for at in (constants.RECENT_GREATEST, constants.OLDER_GREATEST, constants.RUNS_GREATEST)
        )
        return (high, low) > newest and high > greatest_ids[constants.UNORDERED_GREATEST]

    def apply(self, sequence: int, now_ns: int, batch: PreparedBatch | Array, calendar: Dates = ()) -> Array:
        """Apply one frame and return its answers, (n,) layout.ANSWER. Call `reserve` for the batch first.

        `batch`: a PreparedBatch, or (n,) layout.OPERATION that was not inspected. `calendar`: (currency, day, month,
        year) of each currency defined before the frame. `pass_time` runs before the first operation.
        """
        batch = as_batch(batch)
        operations, all_new = batch.operations, batch.all_new
        self.pass_time(now_ns, calendar, sequence=sequence)
        answers = np.zeros(operations.size, layout.ANSWER)
        words, hashes = _words(operations), _hashes(operations, batch.kinds)
        records, results = kernels.kernel_view(operations), kernels.kernel_view(answers)
        moved = int(self.tables.counters[constants.MOVEMENTS])
        at = 0
        while True:
            stopped = kernels.apply(
                self.tables, records, words, hashes, self._savepoint, at, sequence, now_ns, results, all_new
            )
            at = int(stopped)
            if at == operations.size:
                break
            result = HANDLERS[Kind(int(operations["kind"][at]))](self, operations, at, now_ns)
            kernels.bind_operation(self.tables, records, words, at, sequence, int(result))
            answers["code"][at] = result
            at += 1
        if operations.size >= HASHED_RECORDS_MIN:
            self._hash_cohorts(operations, batch.kinds)
        if operations.size:
            prefix = self.movement_digest + sequence.to_bytes(8, "little") + answers["code"].tobytes()
            movements = self.movements[moved:]
            digest = partial(_movement_digest, prefix, movements)
            if movements.nbytes < BACKGROUND_DIGEST_BYTES:
                self.movement_digest = digest()
            else:
                # The digest is needed only when the next frame is written.
                self._movement_digest = self.storage.begin(digest)
        return answers

    def _hash_cohorts(self, operations: Array, kinds: int) -> None:
        """Hash the members that a large frame added. `kinds`: as of the batch."""
        if kinds and not kinds >> _ADD_MEMBERS & 1:
            return
        added = operations["kind"] == _ADD_MEMBERS
        for number in np.unique(operations["number"][added]).tolist():
            if self.has_programme(number) and not self.tables.programmes["sealed"][number]:
                self.hash_members(number)

    def pass_time(self, now_ns: int, calendar: Dates = (), *, sequence: int = 0) -> None:
        """Do what a frame does before its first operation: put due rule sets in force and end due holds.

        sequence: of the frame; 0 if no frame begins.
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
        if self.scheduled_rule_sets:
            for number, definition in sorted(self.scheduled_rule_sets.items()):
                if int(rule_set_record(definition)["effective_ns"]) <= now_ns:
                    activate_rule_set(self, number, definition)
        if self.grants and not self.authority_on:
            self.authority_on = count_officers(self, now_ns) >= OFFICERS_MIN
        if self.tables.counters[constants.TIME_OUTS]:
            kernels.end_due_holds(self.tables, now_ns)

    def next_due_ns(self) -> int | None:
        """Return the next time at which a hold ends or a scheduled rule set takes effect, or None."""
        due = [int(rule_set_record(definition)["effective_ns"]) for definition in self.scheduled_rule_sets.values()]
        if self.tables.counters[constants.TIME_OUTS]:
            kernels.end_due_holds(self.tables, -limits.I64_MAX)  # ends no hold, but drops stale entries from the top
        if self.tables.counters[constants.TIME_OUTS]:
            due.append(int(self.tables.time_outs["until_ns"][0]))
        return min(due, default=None)

    def digest(self) -> bytes:
        """Return the state digest, 32 bytes; docs/reference/ledger.md section 12."""
        return digest.state_digest(self)

    def check(self) -> None:
        """Recompute all invariants from the tables and from the movements. Raise IntegrityError if one is violated."""
        invariants.check(self)

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return the contents of a snapshot: arrays by name, and small values that JSON can hold."""
        return snapshot_tables.save(self)

    @classmethod
    def load(
        cls, sections: Mapping[str, Section], small: Mapping[str, Any], storage: Storage | None = None
    ) -> LedgerState:
        """Return a saved state. Raise IntegrityError if the sections are incomplete."""
        return snapshot_tables.load(lambda: cls(storage), sections, small)


def _movement_digest(prefix: bytes, movements: Array) -> bytes:
    """Return the digest after a frame. `prefix`: the digest before it, its sequence and its results."""
    return blake3.blake3(prefix).update(movements.view(np.uint8).data).digest()


def _words(operations: Array) -> Array:
    return operations.view(np.uint64).reshape(operations.size, limits.RECORD_BYTES // 8)


def _hashes(operations: Array, kinds: int) -> Array:
    """Return SHA-256 of the secrets of POST operations, (n, 4) u64; (0, 4) if there is none."""
    if kinds and not kinds >> _POST & 1:
        return _NO_HASHES
    posts = operations["kind"] == _POST
    if not posts.any():
        return _NO_HASHES
    has_secret = posts & (operations["flags"] & PostFlag.PREIMAGE != 0)
    if not has_secret.any():
        return _NO_HASHES
    hashes = np.zeros((operations.size, 4), np.uint64)
    for at in np.flatnonzero(has_secret).tolist():
        secret = operations[at : at + 1].view(np.uint8)[80:112].tobytes()
        hashes[at] = np.frombuffer(hashlib.sha256(secret).digest(), "<u8")
    return hashes
