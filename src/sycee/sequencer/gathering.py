"""Single operations of many asyncio callers, gathered into frames.

    caller ─> submit: wait for a turn while too much waits ─> the loop's list ─┐   event loop, one thread
                                                                              │
    callers <─ one call_soon_threadsafe a frame <─ Sequencer: write, apply <──┘   the gatherer's worker

There is no timer. The first operation after a rest starts the worker as soon as the loop has run what is ready, and
while one frame is on its way to the disk, all that comes gathers for the next. So one caller alone waits for one
fdatasync, and ten thousand share one.

A caller that is cancelled is withdrawn if the worker has not taken its operation yet; then nothing is written. One that
was taken goes on, and its answer is found by its id: nobody can tell from outside which it was, so ask, or send it
again under the same id.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from threading import Lock, get_ident
from typing import Any, Final, TypeAlias

import numpy as np

from sycee.core.codes import Result
from sycee.core.errors import SyceeError, UnavailableError, UsageError
from sycee.core.forking import Owner
from sycee.core.limits import FRAME_RECORDS_MAX, RECORD_BYTES
from sycee.ledger import layout
from sycee.sequencer import units
from sycee.sequencer.sequencer import Interrupted, Sequencer
from sycee.sequencer.units import BODY_BYTES_MAX, Submission

Array = np.ndarray[Any, Any]

# What may wait, the frame at hand included: some frames' worth, so that the disk never waits for callers, and little
# enough for the last in the row to be answered within a fraction of a second.
OPERATIONS_MAX: Final = 8 * FRAME_RECORDS_MAX
BYTES_MAX: Final = 16 << 20
# A worker that comes back from the disk or a kernel waits so long at most for a loop that is busy, several times a
# frame. Python's own 5 ms each are ten times what the frame takes.
SWITCH_S: Final = 0.001

_RESULTS: Final = np.array(
    [Result(code) if code in Result.__members__.values() else None for code in range(max(Result) + 1)], object
)
_ONE: Final = 1, RECORD_BYTES

# What one call asks for, and whom to tell: the record of a TRANSFER or PAY, whose caller is told a Result, or anything
# as a submission, whose caller is told its answers. A plain tuple: one is made for each call.
_Item: TypeAlias = tuple["asyncio.Future[Any]", bytes, Submission | None]


class _Switching:
    """Has the interpreter's threads change over after SWITCH_S while anybody gathers, and as before afterwards."""

    def __init__(self) -> None:
        self._lock, self._users, self._before_s = Lock(), 0, 0.0

    def end_all(self) -> None:
        """In a forked child, where nobody gathers."""
        if self._users:
            sys.setswitchinterval(self._before_s)
        self._lock, self._users = Lock(), 0

    def begin(self) -> None:
        with self._lock:
            if not self._users:
                self._before_s = sys.getswitchinterval()
                sys.setswitchinterval(min(self._before_s, SWITCH_S))
            self._users += 1

    def end(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                sys.setswitchinterval(self._before_s)


_switching: Final = _Switching()
os.register_at_fork(after_in_child=_switching.end_all)


class Gatherer:
    """Gathers operations of one event loop's callers into frames. For that loop's thread alone.

    Several loops, each with its own, and threads that call `Sequencer.submit` share frames all the same.
    """

    def __init__(self, sequencer: Sequencer, operations_max: int, bytes_max: int) -> None:
        """Of the event loop that runs; a call waits while so many operations, or bytes of them, do before it."""
        sequencer.check_process()
        self._owner = Owner()
        self._sequencer = sequencer
        try:
            self._loop, self._thread = asyncio.get_running_loop(), get_ident()
        except RuntimeError as error:
            raise UsageError("no event loop runs here", hint="call it inside a coroutine") from error
        self._operations_max, self._bytes_max = operations_max, bytes_max
        self._operations = self._bytes = 0  # that were taken and are not answered
        # Appended to by the loop and emptied by the worker: a deque's own operations are atomic, so no lock is needed.
        self._waiting: deque[_Item] = deque()
        self._works = False  # whether the worker is at work, or was told to be
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="sycee-gatherer")
        self._turns: deque[asyncio.Future[None]] = deque()  # of callers for whom there was no room
        self._called = 0  # how many of them have been called and have not come in yet
        self._closed = False
        self._idle: asyncio.Future[None] | None = None  # somebody waits until all is answered
        self._switches = True  # until it is closed
        _switching.begin()

    # --- the loop's side ---

    async def submit(self, record: bytes, asked: Submission | None) -> Any:
        """What became of it, once it is durable; waits for its turn while too much waits."""
        self._owner.check("the ledger")
        if self._is_full():
            await self._turn()
        elif self._closed:
            raise _closed()
        return await self._enter(record, asked)

    def submit_nowait(self, record: bytes, asked: Submission | None) -> asyncio.Future[Any]:
        """The future of what becomes of it. Raises UnavailableError where too much waits."""
        self._owner.check("the ledger")
        if self._closed:
            raise _closed()
        if self._is_full():
            raise UnavailableError(
                f"the ledger is busy: {self._operations:,} operations of {self._bytes:,} bytes wait for the disk",
                hint="nothing was taken: send it again in a moment, or use what waits for its turn",
            )
        return self._enter(record, asked)

    def _is_full(self) -> bool:
        # Who comes now goes behind those who wait for their turn, or were just called.
        return bool(
            self._operations >= self._operations_max or self._bytes >= self._bytes_max or self._turns or self._called
        )

    def _enter(self, record: bytes, asked: Submission | None) -> asyncio.Future[Any]:
        # Asking which loop runs takes a system call. Of one thread's loops one runs at a time, so this says as much.
        if get_ident() != self._thread or self._loop.is_closed():
            raise UsageError("this belongs to another event loop", hint="each event loop makes one of its own")
        future = self._loop.create_future()
        more, more_bytes = _ONE if asked is None else _size(asked)
        self._operations += more
        self._bytes += more_bytes
        self._waiting.append((future, record, asked))
        if not self._works:
            self._works = True
            # After all that is ready to run has run: what that asks for goes into the same frame.
            self._loop.call_soon(self._worker.submit, self._work)
        return future

    async def _turn(self) -> None:
        """Wait until there is room, in order of coming. Raises UnavailableError once it is closed."""
        if self._closed:
            raise _closed()
        turn = self._loop.create_future()
        self._turns.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._come_in()  # it was called and cancelled in the same moment: the room is the next one's
            elif turn in self._turns:
                self._turns.remove(turn)
            raise
        self._come_in()

    def _come_in(self) -> None:
        self._called -= 1
        if not self._called:
            self._loop.call_soon(self._call)

    def _call(self) -> None:
        """Call as many as there is room for if each asks for one operation; who asks for more is taken as well."""
        while (
            self._turns
            and self._operations + self._called < self._operations_max
            and self._bytes + self._called * RECORD_BYTES < self._bytes_max
        ):
            turn = self._turns.popleft()
            if not turn.done():
                self._called += 1
                turn.set_result(None)
        self._tell_if_idle()

    def _answer(self, answered: list[tuple[asyncio.Future[Any], Any]], operations: int, size: int) -> None:
        """Tell the callers of a frame; an exception is raised in its caller."""
        self._operations -= operations
        self._bytes -= size
        for future, value in answered:
            if not future.done():
                if isinstance(value, Exception):
                    future.set_exception(value)
                else:
                    future.set_result(value)
        self._call()

    async def aclose(self) -> None:
        """Take nothing more; returns when all that was asked for before is answered."""
        self._closed = True
        if not self._owner.is_here:
            return  # the worker and the callers are the parent's
        while self._operations or self._turns or self._called:
            if self._idle is None:
                self._idle = self._loop.create_future()
            await asyncio.shield(self._idle)
        self._worker.shutdown(wait=False)  # it has nothing left to do
        if self._switches:
            self._switches = False
            _switching.end()

    def _tell_if_idle(self) -> None:
        if self._idle and not (self._operations or self._turns or self._called):
            self._idle.set_result(None)
            self._idle = None

    # --- the worker's side ---

    def _work(self) -> None:
        """Write frames until nothing waits."""
        while True:
            while self._waiting:
                self._work_off()
            # In this order: what came before it saw us gone is seen here, and what came after starts a worker.
            self._works = False
            if not self._waiting:
                return
            self._works = True

    def _taken(self) -> tuple[list[_Item], int, int]:
        """What waits and fits a frame, or one item that may be larger; and the operations and bytes that leave."""
        waiting = self._waiting
        taken: list[_Item] = []
        operations = size = withdrawn = withdrawn_size = 0
        while waiting:
            item = waiting[0]
            future, _, asked = item
            more, more_size = _ONE if asked is None else _size(asked)
            if future.cancelled():
                withdrawn += more
                withdrawn_size += more_size
            elif taken and (operations + more > FRAME_RECORDS_MAX or size + more_size > BODY_BYTES_MAX):
                break
            else:
                taken.append(item)
                operations += more
                size += more_size
            waiting.popleft()
        return taken, operations + withdrawn, size + withdrawn_size

    def _work_off(self) -> None:
        """Write one frame and have its callers told."""
        taken, operations, size = self._taken()
        answered = list(zip([future for future, _, _ in taken], self._outcomes(taken), strict=True))
        try:
            self._loop.call_soon_threadsafe(self._answer, answered, operations, size)
        except RuntimeError:
            # The loop was closed over its callers: nobody is there to be told, and nobody asks for the rest any more.
            self._waiting.clear()

    def _outcomes(self, taken: list[_Item]) -> list[Any]:
        """For each item a Result, its answers, or the exception that its caller is to be told."""
        if not taken:
            return []
        try:
            answers = self._sequencer.submit_checked(_joined(taken))
        except BaseException as error:
            if len(taken) == 1:
                return [_told(error)]
            if isinstance(error, Interrupted) or not isinstance(error, Exception):
                return [_told(_interrupted()) for _ in taken]
            # Nothing was written, since one of them asked for more than there is, or the ledger stopped. By itself each
            # is told what became of its own.
            return [self._outcomes([item])[0] for item in taken]
        results = _RESULTS[answers["code"]].tolist()
        outcomes, end = [], 0
        for _, _, asked in taken:
            start, end = end, end + (1 if asked is None else asked.operations.size)
            outcomes.append(results[start] if asked is None else answers[start:end])
        return outcomes


def _size(asked: Submission) -> tuple[int, int]:
    """Operations and bytes that a submission counts for. None at all counts for one: its caller waits as well."""
    return max(asked.operations.size, 1), asked.body_bytes


def _joined(taken: list[_Item]) -> Submission:
    """Items as one submission, in order."""
    parts: list[Submission] = []
    records: list[bytes] = []
    for _, record, asked in taken:
        if asked is None:
            records.append(record)
            continue
        if records:
            parts.append(_plain(records))
            records = []
        parts.append(asked)
    if records:
        parts.append(_plain(records))
    return units.joined(parts)


def _plain(records: list[bytes]) -> Submission:
    return Submission(np.frombuffer(bytearray().join(records), layout.OPERATION))


def _told(error: BaseException) -> Exception:
    """An error of its own for each caller: each raises it, and none must find another's traceback in it."""
    if isinstance(error, SyceeError):
        told: Exception = copy(error)
    else:
        told = UnavailableError(f"the ledger could not take this: {str(error) or type(error).__name__}")
    told.__cause__ = error
    return told


def _interrupted() -> UnavailableError:
    return UnavailableError(
        "the ledger was interrupted: it may have taken this request",
        hint="send it again under the same id: what was taken is answered EXISTS",
    )


def _closed() -> UnavailableError:
    return UnavailableError(
        "this way into the ledger is closed", hint="ledger.asynchronous() makes another while the ledger is open"
    )
