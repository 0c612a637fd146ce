"""The state machine around the kernels: frames in, answers out, and reading.

Pure: no file, no clock, no randomness, so that a replay gives the same state anywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import blake3
import numpy as np

from sycee.core import limits
from sycee.core.worker import Coming, Worker
from sycee.ledger import digest, kernels, layout, proofs, saving
from sycee.ledger.batch import PreparedBatch, as_batch
from sycee.ledger.definitions import HANDLERS, OFFICERS_MIN, officers, put_in_force, rules_of
from sycee.ledger.growth import Growth
from sycee.ledger.layout import KeyFlag, Kind, PostFlag
from sycee.ledger.values import Account, Grant, Hold, Purse, Transit
from sycee.storage.history import History

Array = np.ndarray[Any, Any]
Dates = Sequence[tuple[int, int, int, int]]  # currency, day, month, year

DIGESTED_BESIDE_BYTES: Final = 1 << 17  # of movements; to hand less to a thread takes as long as to digest it
_BESIDE: Final = Worker("sycee-digest")

_POST: Final = int(Kind.POST)  # looking a member up takes longer than looking through a small frame
_NO_HASHES: Final = np.zeros((0, 4), np.uint64)


class LedgerState(Growth):
    """All of one ledger, in memory. For one thread: the sequencer lets one frame or reader in at a time."""

    def __init__(self, history: History | None = None) -> None:
        super().__init__(history)
        self.zones: dict[int, str] = {}  # currency number -> time zone name, in order of definition
        self.rule_sets: dict[int, bytes] = {}  # number -> the record that defined it
        self.coming: dict[int, bytes] = {}  # number -> the record of the version that takes effect later
        self.grants: dict[int, Grant] = {}  # by the id of their GRANT_ROLE
        self.authority_on = False  # two officers were there once: from then on signatures are needed
        self.rules = 0  # version of the rules, of the last UPGRADE
        self.release = ""  # that named it
        self.sequence = 0  # of the newest frame
        self._movement_digest: bytes | Coming[bytes] = bytes(32)
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
                self._movement_digest = _BESIDE.begin(lambda: made.update(movements).digest())
        return answers

    @property
    def movement_digest(self) -> bytes:
        """The running digest of all movements, 32 bytes: docs/reference/ledger.md section 13."""
        if not isinstance(self._movement_digest, bytes):
            self._movement_digest = self._movement_digest.result()
        return self._movement_digest

    @movement_digest.setter
    def movement_digest(self, digest: bytes) -> None:
        self._movement_digest = digest

    @property
    def coming_digest(self) -> bytes | Coming[bytes]:
        """The same, or who works it out."""
        return self._movement_digest

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
                if int(rules_of(definition)["effective_ns"]) <= now_ns:
                    put_in_force(self, number, definition)
        if self.grants and not self.authority_on:
            self.authority_on = officers(self, now_ns) >= OFFICERS_MIN
        if self.tables.counters[kernels.TIME_OUTS]:
            kernels.pass_time(self.tables, now_ns)

    def next_due_ns(self) -> int | None:
        """When something falls due next by itself: a hold's end, a rule set's coming version. None for nothing."""
        due = [int(rules_of(definition)["effective_ns"]) for definition in self.coming.values()]
        kernels.pass_time(self.tables, -limits.I64_MAX)  # ends nothing, but drops stale entries from the top
        if self.tables.counters[kernels.TIME_OUTS]:
            due.append(int(self.tables.time_outs["until_ns"][0]))
        return min(due, default=None)

    def digest(self) -> bytes:
        """The 32-byte state digest, docs/reference/ledger.md section 12."""
        return digest.state_digest(self)

    def check(self) -> None:
        """Recompute what must always hold, from the tables and from the movements. Raises IntegrityError."""
        proofs.check(self)

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """All of it, for a snapshot: arrays by name, and small values that JSON can hold."""
        return saving.save(self)

    @classmethod
    def load(
        cls, sections: Mapping[str, saving.Section], small: Mapping[str, Any], history: History | None = None
    ) -> LedgerState:
        """The state that was saved. Raises IntegrityError where it cannot be."""
        return saving.load(lambda: cls(history), sections, small)

    # --- reading ---

    def row(self, account_id: int) -> int:
        """Row of an account, -1 where there is none."""
        return int(self.rows(np.array([split(account_id)], dtype=[("low", "<u8"), ("high", "<u8")]))[0])

    def rows(self, ids: Array) -> Array:
        """Account rows of many ids: (n,) records with `low` and `high` to (n,) int64, -1 where there is none."""
        rows = np.empty(ids.size, np.int64)
        low, high = np.ascontiguousarray(ids["low"]), np.ascontiguousarray(ids["high"])
        tables = self.tables
        kernels.rows_of(tables.account_slots, tables.accounts, low, high, rows)
        return rows

    def account(self, account_id: int) -> Account | None:
        """The account with this id, or None."""
        row = self.row(account_id)
        if row < 0:
            return None
        record = self.accounts[row]
        flags, key = self.key(row)
        return Account.of(
            record,
            suspense=self.account_id(int(record["suspense"])),
            link=self.account_id(int(record["link"]) - 1) if record["link"] else 0,
            key_flags=flags,
            key=key,
        )

    def account_id(self, row: int) -> int:
        """Id of the account in a row."""
        record = self.accounts[row]
        return join(record["id_low"], record["id_high"])

    def key(self, row: int) -> tuple[KeyFlag, bytes]:
        """What an account's payments are signed with: flags and 32 bytes, or 0 and none."""
        number = int(self.accounts["key"][row])
        if not number:
            return KeyFlag(0), b""
        record = self._rows("keys", kernels.KEYS)[number - 1]
        return KeyFlag(int(record["flags"])), record["key"].tobytes()

    def bound_row(self, operation_id: int) -> int:
        """Row of an operation's id among the bound ones, -1 where it is not bound. O(1)."""
        low, high = (np.array([half], np.uint64) for half in split(operation_id))
        rows = np.empty(1, np.int64)
        kernels.bound_rows_of(self.tables, low, high, rows)
        return int(rows[0])

    def bound_of(self, operation_id: int) -> Any | None:
        """What is remembered of an operation, as layout.BOUND, or None."""
        row = self.bound_row(operation_id)
        return None if row < 0 else self.bound[row]

    def hold(self, operation_id: int) -> Hold | None:
        """The hold that this operation made, or None."""
        row = self._made_by(operation_id, self.holds)
        if row < 0:
            return None
        record = self.holds[row]
        return Hold.of(
            record,
            id=operation_id,
            payer=self.account_id(int(record["payer"])),
            payee=self.account_id(int(record["payee"])),
            third=self.account_id(int(record["third"]) - 1) if record["third"] else 0,
        )

    def transit_of(self, operation_id: int) -> Transit | None:
        """The money that this operation sent on its way, or None."""
        row = self._made_by(operation_id, self.transits)
        if row < 0:
            return None
        record = self.transits[row]
        return Transit(
            id=operation_id,
            source=self.account_id(int(record["source"])),
            through=self.account_id(int(record["through"])),
            destination=self.account_id(int(record["destination"])),
            amount=int(record["amount"]),
            state=layout.TransitState(int(record["state"])),
        )

    def _made_by(self, operation_id: int, made: Array) -> int:
        """Row in `made`, holds or transits, of what an operation made, or -1. They stand in its order."""
        bound = self.bound_row(operation_id)
        if bound < 0:
            return -1
        row = int(np.searchsorted(made["bound"], bound))
        return row if row < made.size and int(made["bound"][row]) == bound else -1

    def has_programme(self, number: int) -> bool:
        """Whether a programme of this number was opened."""
        programmes = self.tables.programmes
        return bool(0 < number < programmes.size and programmes["defined"][number])

    def programme_funder(self, number: int) -> int:
        """Row of a programme's funder, -1 where there is no such programme."""
        return int(self.tables.programmes["funder"][number]) if self.has_programme(number) else -1

    def purse(self, programme: int, member: int) -> Purse | None:
        """The purse of a member of a programme, or None."""
        if not self.has_programme(programme) or not 0 <= member < self.tables.programmes["count"][programme]:
            return None
        record = self.purses(programme)[member]
        wallet = self.account_id(int(record["wallet"]) - 1) if record["wallet"] else 0
        return Purse.of(record, programme=programme, member=member, wallet=wallet)

    def purses(self, programme: int) -> Array:
        """A programme's block, in cohort order: (count,) layout.PURSE, a view that must not be written."""
        first = int(self.tables.programmes["first_purse"][programme])
        return self.all_purses[first : first + int(self.tables.programmes["count"][programme])]

    @property
    def all_purses(self) -> Array:
        """All purses of all programmes, in order of opening: a view that must not be written."""
        return self._rows("purses", kernels.PURSES)

    @property
    def accounts(self) -> Array:
        """All accounts in order of opening: a view that must not be written."""
        return self._rows("accounts", kernels.ACCOUNTS)

    @property
    def movements(self) -> Array:
        """All movements; number n stands at index n - 1: a view that must not be written."""
        return self._rows("movements", kernels.MOVEMENTS)

    @property
    def bound(self) -> Array:
        """All bound operations in order of place: a view that must not be written."""
        return self._rows("bound", kernels.BOUND)

    @property
    def refunds(self) -> Array:
        """What came back so far of each bound operation of which anything did: a view that must not be written."""
        return self._rows("refunds", kernels.REFUNDS)

    @property
    def holds(self) -> Array:
        """All holds in order of making: a view that must not be written."""
        return self._rows("holds", kernels.HOLDS)

    @property
    def hold_legs(self) -> Array:
        """What holds keep of purses: a view that must not be written."""
        return self._rows("hold_legs", kernels.HOLD_LEGS)

    @property
    def transits(self) -> Array:
        """All money that was ever on its way, in order of beginning: a view that must not be written."""
        return self._rows("transits", kernels.TRANSITS)

    @property
    def staged(self) -> Array:
        """All payments that wait in batches, and rows that are free: a view that must not be written."""
        return self._rows("staged", kernels.STAGED)

    @property
    def batches(self) -> Array:
        """All open batches, and rows that are free, whose number is 0: a view that must not be written."""
        return self._rows("batches", kernels.BATCHES)

    @property
    def frame_times(self) -> Array:
        """Times of all frames by sequence, from 0, which is none: a view that must not be written."""
        times: Array = self.tables.frame_times[: self.sequence + 1]
        return times

    def _rows(self, name: str, counter: int) -> Array:
        rows: Array = getattr(self.tables, name)[: self.tables.counters[counter]]
        return rows.view(np.ndarray)

    def movement_numbers(self, row: int, *, newest: int | None = None) -> list[int]:
        """Numbers of an account's movements, newest first, along its chain: O(k)."""
        movements = self.movements
        number = int(self.accounts["last_movement"][row])
        numbers: list[int] = []
        while number and (newest is None or len(numbers) < newest):
            numbers.append(number)
            movement = movements[number - 1]
            number = int(
                movement["debit_previous"] if int(movement["debit_row"]) == row else movement["credit_previous"]
            )
        return numbers

    def supply(self, currency: int) -> int:
        """Money in circulation: the debit balance of the currency's issuance account, in minor units."""
        row = int(self.tables.issuance[currency]) - 1
        if row < 0:
            return 0
        account = self.accounts[row]
        return int(account["debits_posted"]) - int(account["credits_posted"])

    def cohort_digest(self, programme: int) -> bytes:
        """BLAKE3-256 over the member ids that came so far, in order."""
        purses = self.purses(programme)[: int(self.tables.programmes["filled"][programme])]
        members = np.empty((purses.size, 2), np.uint64)
        members[:, 0], members[:, 1] = purses["member_low"], purses["member_high"]
        return blake3.blake3(members.tobytes()).digest()


def split(identifier: int) -> tuple[int, int]:
    """An id as (low, high) 64-bit halves."""
    return identifier & 0xFFFFFFFFFFFFFFFF, identifier >> 64


def join(low: Any, high: Any) -> int:
    """An id from its 64-bit halves."""
    return int(high) << 64 | int(low)


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
