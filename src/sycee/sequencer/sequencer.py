"""One order of frames for one ledger.

    submit ─> gather what waits ─> resolve ─> reserve ─┬─> journal: write, fdatasync ─┬─> publish: answers
                                                       └─> ledger: apply              ┘

A known id and a malformed operation are answered from memory and never journaled again. The rest becomes one frame of
at most FRAME_RECORDS_MAX operations with one time. Disk and kernel run side by side; an answer leaves only when both
are done, so whoever reads it finds its operation after a power cut. If the write fails the ledger stops: what is in
memory may then be ahead of the disk, so nothing is read from it any more.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from sycee.core import limits
from sycee.core.clock import Clock, RealClock
from sycee.core.errors import SyceeError, UnavailableError, UsageError
from sycee.core.memory import available_bytes
from sycee.journal.disk import RealDisk
from sycee.journal.frame import CalendarEntry, Frame, FrameKind
from sycee.ledger import kernels, layout
from sycee.ledger.layout import Kind
from sycee.ledger.state import LedgerState
from sycee.sequencer.log import Log

Array = np.ndarray[Any, Any]

# Below it the hand-over to the writer's thread costs more than the kernel takes.
SIDE_BY_SIDE_RECORDS_MIN: Final = 256
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True, eq=False)
class _Ticket:
    operations: Array
    answers: Array | None = None
    error: BaseException | None = None
    done: bool = False
    wake: threading.Event = field(default_factory=threading.Event)  # set when done, or when it is this thread's to lead


class Sequencer:
    """Owns one log and one state. Safe for many threads; each call of `submit` blocks until its answers are durable."""

    def __init__(self, log: Log, *, clock: Clock | None = None, side_by_side: bool = True) -> None:
        """Recover `log` into a fresh state. Raises IntegrityError where the log does not prove itself."""
        self.state = LedgerState()
        self.frame_times: list[int] = [0]  # by sequence; there is no frame 0
        self._log = log
        self._clock = clock or RealClock()
        self._order = threading.Lock()
        self._gate = threading.Lock()
        self._waiting: list[_Ticket] = []
        self._led = False  # whether a thread works off what waits, or was told to
        self._stopped: str | None = None  # why nothing more is taken or read
        self._closed = False
        self._reader = 0  # the thread that is inside `reading`, if any
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sycee-writer") if side_by_side else None
        try:
            for frame in log.recover():
                replay(self.state, frame)
                self.frame_times.append(frame.time_ns)
        except BaseException:
            log.close()  # so that the folder is free for whoever comes next
            raise

    @property
    def durable_sequence(self) -> int:
        """The newest frame that answers and reads may rest on."""
        return len(self.frame_times) - 1

    @property
    def findings(self) -> tuple[str, ...]:
        """What recovery cut or repaired when the log was opened, one sentence each."""
        return tuple(self._log.findings)

    def submit(self, operations: Array) -> Array:
        """Ask for operations, in order; (n,) layout.OPERATION to (n,) layout.ANSWER, durable when it returns.

        Operations of one call keep their order; calls of several threads are gathered into common frames.
        Raises UsageError for what the ledger could never hold, UnavailableError when it is stopped.
        """
        if operations.dtype != layout.OPERATION or operations.ndim != 1:
            raise UsageError(f"submit takes a one-dimensional array of operations, not {operations.dtype}")
        self._check_not_reading("submit")
        self._check_zones(operations)
        # A copy: resolve, apply and the journal's writer read it one after the other, and must read the same, whatever
        # the caller's other threads do to their array meanwhile.
        ticket = _Ticket(operations.copy())
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
                ticket.wake.wait()
            if not ticket.done:
                leads = True
                with self._order:
                    self._work_off()
        finally:
            self._leave(ticket, leads=leads)
        if ticket.error is not None:
            raise ticket.error
        if ticket.answers is None:
            raise UnavailableError("the ledger lost a request; this is a defect of Sycee")
        return ticket.answers

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
        """Say in the journal that all is well and let the folder go. A second call does nothing."""
        self._check_not_reading("close")
        with self._order:
            if self._closed:
                return
            self._closed = True
            self._stopped = self._stopped or "the ledger is closed"
            if self._writer:
                self._writer.shutdown()  # waits for the write at hand
            self._log.close()

    def _check_not_reading(self, what: str) -> None:
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

    def _work_off(self) -> None:
        with self._gate:
            tickets, self._waiting = self._waiting, []
        try:
            for batch in _gathered(tickets):
                self._answer(batch)
        finally:
            # Ctrl-C may have ended this thread's work early; whoever leads next takes over what is left.
            with self._gate:
                self._waiting[:0] = [ticket for ticket in tickets if not ticket.done]

    def _answer(self, batch: list[_Ticket]) -> None:
        """Work off tickets that fit one frame, or one that may be larger."""
        operations = batch[0].operations if len(batch) == 1 else np.concatenate([t.operations for t in batch])
        answers = np.zeros(operations.size, layout.ANSWER)
        error: BaseException | None = None
        start = 0
        try:
            self._check_running()
            for start in range(0, operations.size, limits.FRAME_RECORDS_MAX):
                part = slice(start, start + limits.FRAME_RECORDS_MAX)
                answers[part] = self._frame(operations[part])
        except UnavailableError as caught:
            error = caught
            if start:
                error = UnavailableError(
                    f"the first {start:,} of {operations.size:,} operations were taken, then: {caught.message}",
                    hint=f"what was taken is answered EXISTS when it is sent again. {caught.hint or ''}".rstrip(),
                )
        except BaseException as caught:
            error = caught
        if isinstance(error, Exception) and self._stopped is None and len(batch) > 1:
            # Nothing was written. One of them asked for more than this machine can hold: the others need not suffer.
            for ticket in batch:
                self._answer([ticket])
            return
        start = 0
        for ticket in batch:
            ticket.answers = answers[start : start + ticket.operations.size]
            ticket.error = error
            if error is not None and not isinstance(error, Exception):
                ticket.error = UnavailableError(
                    self._stopped or "the ledger was interrupted before it took this request", hint="send it again"
                )
            ticket.done = True
            ticket.wake.set()
            start += ticket.operations.size
        if error is not None and not isinstance(error, Exception):
            raise error  # Ctrl-C belongs to this thread, whoever's tickets it held

    def _frame(self, operations: Array) -> Array:
        answers, pending = self.state.resolve(operations)
        if pending == 0:
            return answers
        fresh_at = np.flatnonzero(answers["code"] == kernels.PENDING)
        fresh = operations if pending == operations.size else operations[fresh_at]
        self.state.reserve(fresh, available_bytes=available_bytes)
        now_ns = self._now_ns()
        calendar = self._calendar(now_ns)
        sequence = self._log.last_sequence + 1
        # From here on memory and disk must both get there: anything that comes between stops the ledger.
        try:
            if self._writer and fresh.size >= SIDE_BY_SIDE_RECORDS_MIN:
                written = self._writer.submit(self._append, now_ns, fresh, calendar)
                applied = self.state.apply(sequence, now_ns, fresh)
                written.result()
            else:
                self._append(now_ns, fresh, calendar)
                applied = self.state.apply(sequence, now_ns, fresh)
            self.frame_times.append(now_ns)
        except BaseException as error:
            self._stopped = f"the ledger stopped at frame {sequence}: {str(error) or type(error).__name__}"
            if isinstance(error, SyceeError) or not isinstance(error, Exception):
                raise
            raise UnavailableError(self._stopped, hint="open the ledger again") from error
        answers[fresh_at] = applied
        return answers

    def _now_ns(self) -> int:
        """The next frame's time. A clock gone wild is refused: no later frame could ever have an earlier time."""
        clock_ns, last_ns = self._clock.now_ns(), self._log.last_time_ns
        ahead_max = last_ns + limits.CLOCK_AHEAD_NS_MAX if last_ns else limits.FRAME_TIME_NS_MAX
        if clock_ns > min(ahead_max, limits.FRAME_TIME_NS_MAX):
            raise UnavailableError(
                f"the clock says {_EPOCH + timedelta(microseconds=clock_ns // 1000):%F}, years ahead of the ledger",
                hint="set the machine's clock; nothing was written",
            )
        return max(clock_ns, last_ns + 1)

    def _append(self, now_ns: int, fresh: Array, calendar: Sequence[CalendarEntry]) -> int:
        return self._log.append(kind=FrameKind.OPERATIONS, time_ns=now_ns, records=fresh, calendar=calendar)

    def _calendar(self, now_ns: int) -> tuple[CalendarEntry, ...]:
        """Each currency's local date, so that a replay needs no time-zone database."""
        return tuple(calendar_entry(currency, zone, now_ns) for currency, zone in self.state.zones.items())

    def _check_zones(self, operations: Array) -> None:
        kinds = operations["kind"]
        if not kinds.size or int(kinds.min()) > Kind.DEFINE_CURRENCY:
            return
        for at in np.flatnonzero(kinds == Kind.DEFINE_CURRENCY):
            text = operations[at : at + 1].view(np.uint8)[32 : 32 + limits.ZONE_BYTES_MAX].tobytes().rstrip(b"\0")
            if text and text[0]:  # without a name the ledger itself says so
                zone_of(text.decode("latin-1"))


def zone_of(name: str) -> ZoneInfo:
    """The time zone with this name in the time-zone database. Raises UsageError where there is none.

    A name that only this machine knows, such as "localtime", is none: a ledger may move.
    """
    if name not in _zone_names():
        raise UsageError(f"no time zone is called {name!r}", hint='names look like "Asia/Shanghai" or "Europe/Paris"')
    return ZoneInfo(name)


@cache
def _zone_names() -> frozenset[str]:
    return frozenset((resources.files("tzdata") / "zones").read_text().split())


def calendar_entry(currency: int, zone: str, now_ns: int) -> CalendarEntry:
    """Local day (since 1970-01-01), month (since January 1970) and year of a moment."""
    local = (_EPOCH + timedelta(microseconds=now_ns // 1000)).astimezone(zone_of(zone))
    month = (local.year - 1970) * 12 + local.month - 1
    return CalendarEntry(currency=currency, day=local.toordinal() - _EPOCH.toordinal(), month=month, year=local.year)


def journal_disk(folder: str | Path) -> RealDisk:
    """The disk that holds the journal of the ledger in `folder`."""
    return RealDisk(Path(folder) / "journal")


def replay(state: LedgerState, frame: Frame) -> None:
    """Apply a frame that was read back."""
    if frame.kind is FrameKind.OPERATIONS:
        # A copy, since the kernels are compiled for arrays that may be written; it costs less than their hashing.
        operations = frame.records.reshape(-1).view(layout.OPERATION).copy()
        # Without asking how much memory there is: it was journaled, so it must be held.
        state.reserve(operations)
        state.apply(frame.sequence, frame.time_ns, operations)


def _gathered(tickets: list[_Ticket]) -> Iterator[list[_Ticket]]:
    """Tickets in order, in batches that fill a frame; a larger ticket is a batch of its own."""
    batch: list[_Ticket] = []
    size = 0
    for ticket in tickets:
        if batch and size + ticket.operations.size > limits.FRAME_RECORDS_MAX:
            yield batch
            batch, size = [], 0
        batch.append(ticket)
        size += ticket.operations.size
    if batch:
        yield batch
