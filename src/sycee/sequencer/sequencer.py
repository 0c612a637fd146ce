"""One order of frames for one ledger.

    submit ─> gather what waits ─> resolve ─> judge ─> reserve ─┬─> log: write, fdatasync ─┬─> publish: answers
                                                                └─> ledger: apply          ┘

A known id and a malformed operation are answered from memory and never journaled again, unless a signature covers them
together with something new; so is what is not signed well enough. The rest becomes one frame of at most
FRAME_RECORDS_MAX operations with one time. Disk and kernel run side by side; an answer leaves only when both are done,
so whoever reads it finds its operation after a power cut. If the write fails the ledger stops: what is in memory may
then be ahead of the disk, so nothing is read from it any more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np

from sycee.core import limits
from sycee.core.clock import Clock, RealClock, read_ns
from sycee.core.codes import Result
from sycee.core.errors import SyceeError, UnavailableError, UsageError
from sycee.core.forking import Owner
from sycee.core.memory import available_bytes
from sycee.journal.disk import Disk
from sycee.journal.frame import CalendarEntry, FrameKind
from sycee.ledger import authority, kernels, layout
from sycee.ledger.envelopes import Envelope
from sycee.ledger.history import History
from sycee.ledger.layout import Kind
from sycee.ledger.state import LedgerState
from sycee.sequencer import rules, snapshots, units
from sycee.sequencer.checkpoint import Position
from sycee.sequencer.frame_time import next_time_ns
from sycee.sequencer.log import Log
from sycee.sequencer.replaying import journal_disk, replay
from sycee.sequencer.side_by_side import SideBySide
from sycee.sequencer.ticker import Ticker
from sycee.sequencer.units import Submission
from sycee.sequencer.zones import calendar_entry, calendar_of, check_zones, zone_of

__all__ = ["SNAPSHOT_FRAMES_MIN", "Sequencer", "calendar_entry", "journal_disk", "replay", "zone_of"]

Array = np.ndarray[Any, Any]

# Below it the hand-over to the writer's thread costs more than the kernel takes.
SIDE_BY_SIDE_RECORDS_MIN: Final = 256
# 64 frames, half a million operations at most, are replayed in a second or two. For fewer, a file that may be as large
# as all the ledger's memory is not worth writing.
SNAPSHOT_FRAMES_MIN: Final = 64
PIECE_PAUSE_S_MAX: Final = 0.1
# Ctrl-C may hit a leader at the one moment when it hands the lead on. Whoever was waiting then looks after itself.
LEADER_LOST_S: Final = 1.0
NS_PER_S: Final = 10**9
_NOTHING: Final = Submission(np.zeros(0, layout.OPERATION))


class Interrupted(UnavailableError):
    """Ctrl-C came to the thread that had a caller's request in hand: it may have been taken, in part or in whole."""


@dataclass(slots=True, eq=False)
class _Ticket:
    asked: Submission
    answers: Array | None = None
    error: BaseException | None = None
    done: bool = False
    wake: threading.Event = field(default_factory=threading.Event)  # set when done, or when it is this thread's to lead


class Sequencer:
    """Owns one log and one state. Safe for many threads; each call of `submit` blocks until its answers are durable."""

    def __init__(
        self,
        log: Log,
        *,
        clock: Clock | None = None,
        side_by_side: bool = True,
        snapshot_disk: Disk | None = None,
        snapshot_frames: int | None = SNAPSHOT_FRAMES_MIN,
        snapshot_every: int | None = None,
        trust_snapshots: bool = True,
        ticks: bool = False,
        history: History | None = None,
    ) -> None:
        """Recover `log`: the newest good snapshot on `snapshot_disk`, if there is one, and the frames after it.

        `snapshot_frames`: `close` writes a snapshot when at least so many frames came since the last; None for never.
        `snapshot_every`: after so many frames a thread writes one while the ledger goes on; None for never.
        `trust_snapshots=False` replays everything, and removes what is beyond the log's end. `ticks` starts a thread
        that moves time on when something falls due. Old rows of the state go to `history`, which is closed with it.
        Raises IntegrityError where the log does not prove itself, UnavailableError where a newer release wrote it.
        """
        self._owner = Owner()
        self._log = log
        self._clock = clock or RealClock()
        self._snapshot_disk = snapshot_disk
        self._snapshot_frames = snapshot_frames
        self._snapshot_every = snapshot_every
        self._order = threading.Lock()
        self._turn = threading.Lock()  # held by whoever copies the state and waits for `_order`: nobody overtakes it
        self._snapshotting = threading.Lock()  # one snapshot at a time; whoever needs `_order` too takes this first
        self._writing: snapshots.Writing | None = None  # the snapshot that was begun last
        self._gate = threading.Lock()
        self._waiting: list[_Ticket] = []
        self._led = False  # whether a thread works off what waits, or was told to
        self._stopped: str | None = None  # why nothing more is taken or read
        self._in_step = True  # whether the state is known to be at the log's end
        self._closed = False
        self._reader = 0  # the thread that is inside `reading`, if any
        self._calendar_key: tuple[int, dict[int, str]] = (-1, {})  # the second and the zones of the dates below
        self._calendar: tuple[CalendarEntry, ...] = ()
        try:
            start = snapshots.start(log, snapshot_disk, trusted=trust_snapshots, history=history)
        except BaseException:
            if history:
                history.close()
            log.close(clean=False, movement_digest=bytes(32))  # the folder is free for whoever comes next
            raise
        self.state = start.state
        self._findings = start.findings
        self._snapshot_sequence = start.snapshot_sequence
        self._behind_from = start.snapshot_sequence  # the frame from which on `snapshot_every` is counted
        self._durable = log.last_sequence
        self._side_by_side = SideBySide("sycee-beside") if side_by_side else None
        self._ticker: Ticker | None = None  # its thread begins at once, and may write a frame before it is known here
        self._ticker = Ticker(self, self._clock) if ticks else None

    @property
    def durable_sequence(self) -> int:
        """The newest frame that answers and reads may rest on."""
        self._owner.check("the ledger")
        return self._durable

    @property
    def frame_times(self) -> Array:
        """Times of frames by sequence: (durable_sequence + 1,) int64, nanoseconds; there is no frame 0."""
        self._owner.check("the ledger")
        return self.state.frame_times

    @property
    def ledger_id(self) -> bytes:
        """The ledger's 16 bytes, which every signature names."""
        return self._log.ledger_id

    @property
    def findings(self) -> tuple[str, ...]:
        """What was cut, repaired or passed over when the log was opened, and since, one sentence each."""
        refused = self.state.history.refused if self.state.history else ""
        return (*self._findings, refused) if refused else tuple(self._findings)

    def submit(self, operations: Array, envelopes: Array | Sequence[Envelope] = ()) -> Array:
        """Ask for operations, in order; (n,) layout.OPERATION to (n,) layout.ANSWER, durable when it returns.

        `envelopes`: who signed which of them; their ranges count from the first operation of this call. Operations of
        one call keep their order; calls of several threads are gathered into common frames, and a long one is cut into
        several, but never within a chain or within what an envelope covers. Raises UsageError where that cannot be, or
        where a currency's time zone does not exist: nothing is written then; UnavailableError where memory or the
        disk cannot hold it. After a failed write the ledger takes nothing more, and the next start says what became
        of it.
        """
        return self.submit_checked(checked(operations, envelopes))

    def submit_checked(self, asked: Submission) -> Array:
        """The same for what `checked` let pass, which nobody may write to any more."""
        self._check_not_reading("submit")
        ticket = _Ticket(asked)
        # One thread leads: it works off everything that waits, wakes whom it served and hands the lead to somebody who
        # came meanwhile. Nobody queues for the lock only to learn that all is done: that would keep new requests from
        # gathering, and each would get a frame and an fdatasync of its own.
        leads = False
        try:
            with self._gate:
                self._waiting.append(ticket)
                if not self._led:
                    leads = self._led = True
            if not leads:
                ticket.wake.wait(LEADER_LOST_S)
            if not ticket.done:
                leads = True
                with self._turn:
                    pass
                with self._order:
                    self._work_off(ticket)
        finally:
            self._leave(ticket, leads=leads)
        if ticket.error is not None:
            raise ticket.error
        if ticket.answers is None:
            raise UnavailableError("the ledger lost a request; this is a defect of Sycee")
        return ticket.answers

    def tick(self) -> bool:
        """Move time on, with a frame of its own, if something has fallen due; returns whether it had.

        A hold ends and a rule set changes with the first frame whose time has come. Where nobody calls, that is this.
        Raises UnavailableError as `submit` does.
        """
        self._check_not_reading("tick")
        with self._order:
            self._check_running()
            due_ns = self.state.next_due_ns()
            if due_ns is None or due_ns > read_ns(self._clock):
                return False
            self._follow_rules()
            self._write(FrameKind.EMPTY, next_time_ns(self._clock, self._log.last_time_ns), _NOTHING)
            return True

    def next_due_ns(self) -> int | None:
        """When something falls due next, nanoseconds; None for never. Raises UnavailableError once it has stopped."""
        self._check_not_reading("next_due_ns")
        with self._order:
            self._check_running()
            return self.state.next_due_ns()

    def snapshot(self) -> str:
        """Write the state as of the newest frame to disk, so that the next start need not replay it; its file's name.

        Other threads' frames and reads go on meanwhile. Raises UnavailableError where the disk refuses (the ledger is
        unharmed), UsageError where it has no folder for snapshots or no frame yet.
        """
        self._check_not_reading("snapshot")
        with self._snapshotting:
            writing, seen = self.begin_snapshot(), self._durable
            try:
                began = time.monotonic()
                while writing.step():
                    if self._durable != seen:
                        # Frames come in: leave them machine and disk for as long as the piece took.
                        seen = self._durable
                        time.sleep(min(time.monotonic() - began, PIECE_PAUSE_S_MAX))
                    began = time.monotonic()
            finally:
                writing.abandon()  # Ctrl-C may come in the pause
            self._note_snapshot()
            return writing.name

    def begin_snapshot(self, *, piece_bytes: int = snapshots.PIECE_BYTES) -> snapshots.Writing:
        """A snapshot of the state as of the newest frame, to be written by its steps, with frames between them.

        Raises UsageError where one is being written, else as `snapshot` does. Closing gives one up that is not done.
        """
        self._check_not_reading("begin_snapshot")
        with self._between_frames():
            return self._begin_snapshot(self._between_frames, piece_bytes)

    def position(self) -> Position:
        """Where the ledger stands after its newest frame, for a witness to sign. Raises UsageError before the first."""
        self._check_not_reading("position")
        with self._order:
            self._check_running()
            if not self._durable:
                raise UsageError("a ledger without a frame stands nowhere", hint="submit something first")
            return Position.of(self.state, ledger_id=self.ledger_id, epoch=self._log.epoch, mark=self._log.mark)

    @contextmanager
    def reading(self) -> Iterator[LedgerState]:
        """The state between two frames: what is read there is durable."""
        self._check_not_reading("reading")
        with self._order:
            self._check_running()
            self._reader = threading.get_ident()
            try:
                yield self.state
            finally:
                self._reader = 0

    def close(self) -> None:
        """Say in the log that all is well and let the folder go, with a snapshot if many frames came since the last.

        A second call does nothing. A snapshot that the disk refuses is one of the findings, and nothing is lost. Does
        nothing in a forked child.
        """
        if not self._owner.is_here:
            return
        self._check_not_reading("close")
        if self._ticker:
            self._ticker.stop()
        # A snapshot that is being written behind is waited for: it is the one that the next start will begin with.
        with self._snapshotting:
            if self._writing is not None:
                self._note_snapshot()
                self._writing.abandon()
            self._close()

    def _close(self) -> None:
        with self._order:
            if self._closed:
                return
            self._closed = True
            try:
                if self._stopped is None:
                    self._snapshot_at_close()
            finally:
                self._stopped = self._stopped or "the ledger is closed"
                if self._side_by_side:
                    self._side_by_side.close()
                if self.state.history:
                    self.state.history.close()
                # Where the state stopped elsewhere than the log, no CLOSE frame would agree with a replay.
                self._log.close(clean=self._in_step, movement_digest=self.state.movement_digest)

    def _snapshot_at_close(self) -> None:
        if self._snapshot_disk is None or self._snapshot_frames is None:
            return
        if self._durable - self._snapshot_sequence < max(1, self._snapshot_frames):
            return
        try:
            self._begin_snapshot(nullcontext).run()
        except UnavailableError as error:
            self._findings.append(f"no snapshot was written: {error.message}")

    def _begin_snapshot(
        self,
        between_frames: Callable[[], AbstractContextManager[None]],
        piece_bytes: int = snapshots.PIECE_BYTES,
    ) -> snapshots.Writing:
        """`_order` is ours."""
        if self._snapshot_disk is None or not self._durable:
            raise UsageError(
                "there is nothing to keep a snapshot of" if self._snapshot_disk else "it has no folder for snapshots",
                hint="a ledger of a folder keeps snapshots once it has a frame",
            )
        if self._writing is not None and self._writing.goes_on:
            raise UsageError("a snapshot is being written", hint="wait until it is done")
        self._note_snapshot()
        self._writing = snapshots.Writing(
            self._snapshot_disk, self._log, self.state, between_frames, piece_bytes=piece_bytes
        )
        return self._writing

    def _note_snapshot(self) -> None:
        """Know of the snapshot that was written last."""
        if self._writing is not None and self._writing.name:
            self._snapshot_sequence = max(self._snapshot_sequence, self._writing.sequence)

    @contextmanager
    def _between_frames(self) -> Iterator[None]:
        """No frame is applied meanwhile, and none begins first of those that come later than this call."""
        self._owner.check("the ledger")
        with self._turn, self._order:
            self._check_running()
            yield

    def _snapshot_behind(self) -> None:
        """What the thread of `snapshot_every` does: nobody waits for it, so what goes wrong is a finding."""
        try:
            self.snapshot()
        except SyceeError as error:
            if not self._closed:
                self._findings.append(f"no snapshot was written: {error.message}")

    def check_process(self) -> None:
        """Raise UnavailableError in a forked child, before any lock: another thread may have held it at the fork."""
        self._owner.check("the ledger")

    def _check_not_reading(self, what: str) -> None:
        self._owner.check("the ledger")
        if self._reader == threading.get_ident():
            raise UsageError(f"{what} inside `with reading()` would wait for itself", hint="leave the block first")

    def _check_running(self) -> None:
        if self._stopped is not None:
            raise UnavailableError(self._stopped, hint="open the ledger again")

    def _leave(self, ticket: _Ticket, *, leads: bool) -> None:
        """Done, or interrupted by Ctrl-C: take the ticket away, and hand on the lead if it was ours."""
        with self._gate:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            if leads or (ticket.wake.is_set() and not ticket.done):
                self._led = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].wake.set()

    def _work_off(self, own: _Ticket) -> None:
        """Answer everything that waits, and `own` whatever became of it; `_order` is ours."""
        tickets: list[_Ticket] = []
        try:
            with self._gate:
                if not own.done and own not in self._waiting:
                    self._waiting.append(own)
                tickets, self._waiting = self._waiting, []
            for batch in _gathered(tickets):
                self._answer(batch)
        finally:
            # Ctrl-C may have ended this thread's work early; whoever leads next takes over what is left.
            with self._gate:
                self._waiting[:0] = [ticket for ticket in tickets if not ticket.done]

    def _answer(self, batch: list[_Ticket]) -> None:
        """Work off tickets that fit one frame, or one that may be larger."""
        asked = units.joined([ticket.asked for ticket in batch])
        answers = np.zeros(asked.operations.size, layout.ANSWER)
        error: BaseException | None = None
        start = 0
        try:
            self._check_running()
            for piece in asked.pieces():
                if piece is asked:
                    answers = self._frame(piece)
                else:
                    answers[start : start + piece.operations.size] = self._frame(piece)
                start += piece.operations.size
        except UnavailableError as caught:
            error = caught
            if start:
                error = UnavailableError(
                    f"the first {start:,} of {answers.size:,} operations were taken, then: {caught.message}",
                    hint=f"what was taken is answered EXISTS when it is sent again. {caught.hint or ''}".rstrip(),
                )
        except BaseException as caught:
            error = caught
        if isinstance(error, Exception) and self._stopped is None and len(batch) > 1:
            # Nothing was written. One of them asked for more than this machine can hold: the others need not suffer.
            for ticket in batch:
                self._answer([ticket])
            return
        end = 0
        for ticket in batch:
            first, end = end, end + ticket.asked.operations.size
            ticket.answers = answers[first:end]
            ticket.error = error
            if error is not None and not isinstance(error, Exception):
                ticket.error = None if end <= start else self._interrupted(max(0, start - first), end - first)
            ticket.done = True
            ticket.wake.set()
        if error is not None and not isinstance(error, Exception):
            raise error  # Ctrl-C belongs to this thread, whoever's tickets it held

    def _interrupted(self, taken: int, asked: int) -> Interrupted:
        """What a caller is told whose request of `asked` operations another thread held when Ctrl-C came."""
        why = self._stopped or "the ledger was interrupted"
        return Interrupted(
            f"the first {taken:,} of {asked:,} operations were taken, then: {why}"
            if taken
            else f"{why}: it may have taken this request",
            hint="send it again under the same ids: what was taken is answered EXISTS",
        )

    def _frame(self, asked: Submission) -> Array:
        """Answer what fits one frame; what is new in it becomes one."""
        if asked.is_in_order and not self.state.grants and self.state.is_new(asked.operations):
            return self._all_of(asked)
        answers, pending = self.state.resolve(asked.operations)
        if pending == 0:
            return answers
        if pending == answers.size and not asked.envelopes.size and not self.state.grants:
            return self._all_of(asked)
        self._follow_rules()
        now_ns = next_time_ns(self._clock, self._log.last_time_ns)
        pends = answers["code"] == kernels.PENDING
        asked = asked.vouched_for(pends)
        kept = asked.whole_units(pends)
        if asked.envelopes.size or self.state.grants:
            kept = self._authorised(asked, answers, kept, now_ns)
            if not kept.any():
                return answers
        fresh = asked.only(kept)
        movements = self.state.reserve(fresh.operations, available_bytes=available_bytes)
        answers[kept] = self._write(FrameKind.OPERATIONS, now_ns, fresh, movements)
        return answers

    def _all_of(self, asked: Submission) -> Array:
        """Answer what is new, all of it, and needs no signature."""
        self._follow_rules()
        now_ns = next_time_ns(self._clock, self._log.last_time_ns)
        movements = self.state.reserve(asked.operations, kinds=asked.kinds, available_bytes=available_bytes)
        return self._write(FrameKind.OPERATIONS, now_ns, asked, movements, all_pend=True)

    def _authorised(self, asked: Submission, answers: Array, kept: Array, now_ns: int) -> Array:
        """Which of the `kept` operations stay, (n,) bool; `answers` says what was refused to the others."""
        part = asked.only(kept)
        fresh = answers["code"][kept] == kernels.PENDING
        judge = partial(authority.judge, checks=part.checks, fresh=fresh)
        codes = judge(self.state, self.ledger_id, now_ns, part.operations, part.written_envelopes())
        codes = units.refusals(part, fresh, codes)
        refused = codes != Result.CREATED
        if not refused.any():
            return kept
        places = np.flatnonzero(kept)
        at = places[refused]
        answers[at] = 0
        answers["code"][at] = codes[refused]
        stays = kept.copy()
        stays[places[part.whole_units(refused)]] = False
        return stays

    def _follow_rules(self) -> None:
        """Say in a frame of its own that from here on this release's rules hold, if older ones did so far."""
        if self.state.rules < rules.RULES_VERSION:
            record = Submission(rules.upgrade_record(self.state))
            self.state.reserve(record.operations, available_bytes=available_bytes)
            self._write(FrameKind.OPERATIONS, next_time_ns(self._clock, self._log.last_time_ns), record)

    def _write(
        self, kind: FrameKind, now_ns: int, fresh: Submission, movements: int = 0, *, all_pend: bool = False
    ) -> Array:
        """Write one frame, apply it, and return its answers once it is durable and applied.

        So many `movements` may come of it, at most: a single record that fills purses is work enough for a thread.
        `all_pend`: as for `LedgerState.apply`.
        """
        calendar = self._calendar_at(now_ns)
        sequence = self._log.last_sequence + 1
        append = partial(
            self._log.append,
            kind=kind,
            time_ns=now_ns,
            records=fresh.operations,
            calendar=calendar,
            envelopes=fresh.written_envelopes(),
            movement_digest=self.state.coming_digest,
            room=fresh.room,
        )
        apply = partial(self._apply, kind, sequence, now_ns, fresh, calendar, all_pend=all_pend)
        answers: Array
        # From here on memory and disk must both get there: anything that comes between stops the ledger.
        self._in_step = False
        try:
            # A pay may make seventeen movements and makes one or two.
            is_much = max(fresh.operations.size, movements // 16) >= SIDE_BY_SIDE_RECORDS_MIN
            if self._side_by_side and is_much:
                _, answers = self._side_by_side.both(append, apply)
            else:
                append()
                answers = apply()
            self._durable = sequence
        except BaseException as error:
            self._stopped = f"the ledger stopped at frame {sequence}: {str(error) or type(error).__name__}"
            if isinstance(error, SyceeError) or not isinstance(error, Exception):
                raise
            raise UnavailableError(self._stopped, hint="open the ledger again") from error
        self._in_step = True
        if self._ticker:
            self._ticker.due(self.state.next_due_ns())
        if self._snapshot_every and sequence - self._behind_from >= self._snapshot_every:
            self._behind_from = sequence
            threading.Thread(target=self._snapshot_behind, name="sycee-snapshot", daemon=True).start()
        return answers

    def _apply(
        self,
        kind: FrameKind,
        sequence: int,
        now_ns: int,
        fresh: Submission,
        calendar: tuple[CalendarEntry, ...],
        *,
        all_pend: bool,
    ) -> Array:
        """Have the state take a frame; its answers."""
        if kind is FrameKind.OPERATIONS:
            return self.state.apply(sequence, now_ns, fresh.operations, calendar, kinds=fresh.kinds, all_pend=all_pend)
        self.state.pass_time(now_ns, calendar, sequence=sequence)
        return np.zeros(0, layout.ANSWER)

    def _calendar_at(self, now_ns: int) -> tuple[CalendarEntry, ...]:
        """The local dates at a moment. Zones change their offsets at whole seconds: one look a second will do."""
        key = now_ns // NS_PER_S, dict(self.state.zones)
        if key != self._calendar_key:
            self._calendar_key, self._calendar = key, calendar_of(self.state.zones, now_ns)
        return self._calendar


def checked(operations: Array, envelopes: Array | Sequence[Envelope] = ()) -> Submission:
    """What a caller may submit, as a copy of its own. Raises UsageError as `Sequencer.submit` does."""
    asked = units.submission(operations, envelopes)
    kinds = asked.operations["kind"]
    if asked.kinds:
        defines = asked.kinds & (2 << Kind.UPGRADE) - 1
    else:
        defines = kinds.size and (kinds.item() if kinds.size == 1 else int(kinds.min())) <= Kind.UPGRADE
    if defines:
        check_zones(asked.operations)
        rules.check_upgrades(asked.operations)
    return asked


def _gathered(tickets: list[_Ticket]) -> Iterator[list[_Ticket]]:
    """Tickets in order, in batches that fill a frame; a larger ticket is a batch of its own."""
    batch: list[_Ticket] = []
    records = body_bytes = 0
    for ticket in tickets:
        records += ticket.asked.operations.size
        body_bytes += ticket.asked.body_bytes
        if batch and (records > limits.FRAME_RECORDS_MAX or body_bytes > units.BODY_BYTES_MAX):
            yield batch
            batch = []
            records, body_bytes = ticket.asked.operations.size, ticket.asked.body_bytes
        batch.append(ticket)
    if batch:
        yield batch
