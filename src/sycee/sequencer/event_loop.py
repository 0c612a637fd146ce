"""Operations of many coroutines of one event loop, on their way into the queue and back.

    coroutine ─> submit ─> pending ─> flush, once per iteration of the loop ─> queue ─> writer
    coroutine <─ deliver, one call_soon_threadsafe per frame <──────────────────────────┘

There is no timer. While one frame is on its way to the disk, operations for the next one collect in the queue: a single
caller waits for one fdatasync, and ten thousand callers share one.

A caller that is cancelled is withdrawn if the writer has not taken its operation yet; then nothing is written. An
operation that was taken goes on, and its result is found by its id. A caller cannot tell from outside which was the
case: it must look the id up, or send the operation again under the same id.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from threading import get_ident
from typing import Any

from sycee.core.errors import UnavailableError, UsageError
from sycee.core.forking import Owner
from sycee.ledger.batch import PreparedBatch
from sycee.sequencer.submission_queue import Entry, SubmissionQueue, size_of


class LoopSubmitter:
    """Puts operations of one event loop's coroutines into the queue. For that loop's thread alone."""

    def __init__(self, queue: SubmissionQueue) -> None:
        """Belong to the running event loop. Raises UsageError where none runs."""
        self._queue = queue
        self._owner = Owner()
        try:
            self._loop, self._thread = asyncio.get_running_loop(), get_ident()
        except RuntimeError as error:
            raise UsageError("no event loop runs here", hint="call it inside a coroutine") from error
        self._pending: list[Entry] = []  # for the next flush
        self._pending_operations = self._pending_bytes = 0
        self._unanswered = 0  # entries of this loop, pending ones included
        self._waiters: deque[asyncio.Future[None]] = deque()  # callers that wait for space in the queue
        self._admitted = 0  # how many of them were let in and have not put their entry yet
        self._is_closed = False
        self._idle: asyncio.Future[None] | None = None  # set when nothing is unanswered any more

    # --- the loop's side ---

    async def submit(self, record: bytes, batch: PreparedBatch | None) -> Any:
        """Return the outcome once it is durable; wait for space, in order of arrival, while the queue is full."""
        self._owner.check("the ledger")
        if self._must_wait():
            await self._wait_for_space()
        elif self._is_closed:
            raise _closed()
        return await self._enter(record, batch)

    def submit_nowait(self, record: bytes, batch: PreparedBatch | None) -> asyncio.Future[Any]:
        """Return the future of the outcome. Raises UnavailableError while the queue is full."""
        self._owner.check("the ledger")
        if self._is_closed:
            raise _closed()
        if self._must_wait():
            waiting = self._queue.operations + self._pending_operations, self._queue.bytes + self._pending_bytes
            raise UnavailableError(
                f"the ledger is busy: {waiting[0]:,} operations of {waiting[1]:,} bytes wait for the disk",
                hint="nothing was written: send it again in a moment, or use `submit`, which waits for space",
            )
        return self._enter(record, batch)

    def _must_wait(self) -> bool:
        # A new caller goes behind those that wait, and behind those that were let in and have not put their entry yet.
        return bool(self._waiters or self._admitted) or not self._queue.has_space(
            self._pending_operations, self._pending_bytes
        )

    def _enter(self, record: bytes, batch: PreparedBatch | None) -> asyncio.Future[Any]:
        # Asking which loop runs takes a system call; a thread runs one of its loops at a time, so this says as much.
        if get_ident() != self._thread or self._loop.is_closed():
            raise UsageError("this belongs to another event loop", hint="each event loop makes one of its own")
        future = self._loop.create_future()
        operations, size = size_of(batch)
        if not self._pending:
            # After everything that is ready has run: its operations go into the same frame.
            self._loop.call_soon(self._flush)
        self._pending_operations += operations
        self._pending_bytes += size
        self._unanswered += 1
        self._pending.append((self, future, record, batch))
        return future

    def _flush(self) -> None:
        """Put what is pending into the queue."""
        pending = self._pending
        self._pending, self._pending_operations, self._pending_bytes = [], 0, 0
        try:
            self._queue.put(pending)
        except UnavailableError as error:
            self._answered([(future, UnavailableError(error.message, hint=error.hint)) for _, future, _, _ in pending])

    async def _wait_for_space(self) -> None:
        """Wait for space, in order of arrival. Raises UnavailableError once this is closed."""
        if self._is_closed:
            raise _closed()
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        self._admit()
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self._enter_admitted()  # let in and cancelled in the same moment: the space is the next caller's
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise
        self._enter_admitted()

    def _enter_admitted(self) -> None:
        self._admitted -= 1
        if not self._admitted:
            self._loop.call_soon(self._admit)

    def _admit(self) -> None:
        """Let in as many waiters as there is space for if each puts one operation; a larger batch is let in as well."""
        while self._waiters and self._queue.has_space(self._pending_operations + self._admitted, self._pending_bytes):
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._admitted += 1
                waiter.set_result(None)
        if self._waiters and not self._admitted and not self._pending and not self._queue.watch_space(self):
            self._loop.call_soon(self._admit)  # space was freed just now
        self._set_if_idle()

    def _answered(self, outcomes: list[tuple[asyncio.Future[Any], Any]]) -> None:
        """Hand outcomes to callers; an exception is raised in its caller."""
        self._unanswered -= len(outcomes)
        for future, outcome in outcomes:
            if not future.done():
                if isinstance(outcome, BaseException):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)
        self._admit()

    async def aclose(self) -> None:
        """Accept nothing more; return when everything that was submitted before is answered."""
        self._is_closed = True
        if not self._owner.is_here:
            return  # the callers are the parent's
        while self._unanswered or self._waiters or self._admitted:
            if self._idle is None:
                self._idle = self._loop.create_future()
            await asyncio.shield(self._idle)

    def _set_if_idle(self) -> None:
        if self._idle and not (self._unanswered or self._waiters or self._admitted):
            self._idle.set_result(None)
            self._idle = None

    # --- the writer's side ---

    def deliver(self, outcomes: list[tuple[Any, Any]]) -> None:
        """Have the loop answer its callers. Called by the writer."""
        self._call(self._answered, outcomes)

    def space_freed(self) -> None:
        """Have the loop let waiters in. Called by the writer."""
        self._call(self._admit)

    def _call(self, function: Any, *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop was closed: none of its callers is there to be answered
            self._loop.call_soon_threadsafe(function, *arguments)


def _closed() -> UnavailableError:
    return UnavailableError(
        "this way into the ledger is closed", hint="ledger.asynchronous() makes another while the ledger is open"
    )
