"""Operations and reads of many coroutines of one event loop, on their way into the queue and back.

    coroutine ─> submit ─> pending ─> flush, once per iteration of the loop ─┬─> queue ─> writer
                                              signed ─> signature workers ───┘              │
    coroutine <─ deliver, one call_soon_threadsafe per frame <──────────────────────────────┘

There is no timer. While one frame is on its way to the disk, operations for the next one collect in the queue: a single
caller waits for one fdatasync, and ten thousand callers share one.

A caller that is cancelled is withdrawn if its operation is not yet taken, by the signature workers or by the writer;
then nothing is written. An operation that was taken goes on, and its result is found by its id. A caller cannot tell
from outside which was the case: it must look the id up, or send the operation again under the same id.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from threading import get_ident
from typing import Any, Final

from sycee.core.arrays import Array
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.fork_guard import Owner
from sycee.core.limits import ENVELOPE_BYTES, RECORD_BYTES
from sycee.core.result_codes import Result
from sycee.ledger import batch as batches
from sycee.ledger import queries
from sycee.ledger.batch import PreparedBatch
from sycee.ledger.envelopes import Envelope
from sycee.sequencer.admission import Admission
from sycee.sequencer.submission_queue import Entry, PendingVerification, copy_error, size_of
from sycee.sequencer.views import Read

# Single signed records that are verified together: few enough for workers to share, so that verifying and writing
# overlap; enough for the Python work of a group, some 100 µs, to be little for each.
GROUP_RECORDS_MAX: Final = 64


class GroupToken:
    """The token of several coroutines whose operations, or reads, travel together."""

    __slots__ = ("futures",)

    def __init__(self, futures: Sequence[asyncio.Future[Any]]) -> None:
        self.futures = futures

    def cancelled(self) -> bool:
        """Return False: once together, the operations stay together."""
        return False


class DeferredToken:
    """The token of a read that waits for a frame."""

    __slots__ = ("future",)

    def __init__(self, future: asyncio.Future[Any]) -> None:
        self.future = future

    def cancelled(self) -> bool:
        """Return whether the caller gave up."""
        return self.future.cancelled()


class LoopSubmitter:
    """Puts operations and reads of one event loop's coroutines into the queue. For that loop's thread alone."""

    def __init__(self, admission: Admission) -> None:
        """Belong to the running event loop. Raises UsageError where none runs."""
        self._admission = admission
        self._queue = admission.queue
        self._owner = Owner()
        try:
            self._loop, self._thread = asyncio.get_running_loop(), get_ident()
        except RuntimeError as error:
            raise UsageError("no event loop runs here", hint="call it inside a coroutine") from error
        self._pending: list[Entry] = []  # for the next flush
        self._pending_operations = self._pending_bytes = 0
        self._pending_signed: list[tuple[asyncio.Future[Any], bytes, bytes]] = []  # records, and one envelope of each
        self._pending_reads: list[Read] = []
        self._pending_balances: list[tuple[asyncio.Future[Any], int]] = []  # account of each
        self._will_flush = False
        self._unanswered = 0  # futures of this loop, pending ones included
        # Callers that wait for space in the queue, with the operations and bytes of each.
        self._waiters: deque[tuple[asyncio.Future[None], int, int]] = deque()
        self._admitted = 0  # how many of them were let in and have not put their entry yet
        self._admitted_operations = self._admitted_bytes = 0
        self._deferred = 0  # reads that wait for a frame that may be long in coming
        self._is_closed = False
        self._idle: asyncio.Future[None] | None = None  # set when nothing is unanswered any more

    # --- the loop's side ---

    def prepare(self, operations: Array, envelopes: Array | Sequence[Envelope] = ()) -> PreparedBatch:
        """Copy and check a batch. Raises UsageError as `Admission.prepare` does."""
        return self._admission.prepare(operations, envelopes)

    async def submit(self, batch: PreparedBatch) -> Any:
        """Return a batch's answers once it is durable; wait for space, in order of arrival, while the queue is full."""
        self._owner.check("the ledger")
        if self._must_wait():
            await self._wait_for_space(*size_of(batch))
        elif self._is_closed:
            raise _closed()
        return await self._add_pending(batch)

    async def submit_single(self, record: bytes) -> Result:
        """Submit one TRANSFER or PAY, RECORD_BYTES linked to nothing; return its Result once it is durable."""
        self._owner.check("the ledger")
        if self._must_wait():
            await self._wait_for_space(1, RECORD_BYTES)
        elif self._is_closed:
            raise _closed()
        future = self._future()
        self._pending_operations += 1
        self._pending_bytes += RECORD_BYTES
        self._pending.append((self, future, record, None))
        result: Result = await future
        return result

    def submit_nowait(self, batch: PreparedBatch) -> asyncio.Future[Any]:
        """Return the future of a batch's answers. Raises UnavailableError while the queue is full."""
        self._owner.check("the ledger")
        if self._is_closed:
            raise _closed()
        if self._must_wait():
            waiting = self._queue.operations + self._pending_operations, self._queue.bytes + self._pending_bytes
            raise UnavailableError(
                f"the ledger is busy: {waiting[0]:,} operations of {waiting[1]:,} bytes wait for the disk",
                hint="nothing was written: send it again in a moment, or use `submit`, which waits for space",
            )
        return self._add_pending(batch)

    def _must_wait(self) -> bool:
        # A new caller goes behind those that wait, and behind those that were let in and have not put their entry yet.
        if self._waiters or self._admitted:
            return True
        return not self._queue.has_space(self._pending_operations, self._pending_bytes)

    async def submit_signed(self, record: bytes, envelope: bytes) -> Result:
        """Submit one record with one envelope, which covers it alone; return its Result once it is durable.

        The short path of signed payments: no array is made for a single one. Neither is looked at here: `record` must
        be RECORD_BYTES long, linked to nothing and no definition, `envelope` ENVELOPE_BYTES.
        """
        self._owner.check("the ledger")
        if self._must_wait():
            await self._wait_for_space(1, RECORD_BYTES + ENVELOPE_BYTES)
        elif self._is_closed:
            raise _closed()
        future = self._future()
        self._pending_operations += 1
        self._pending_bytes += RECORD_BYTES + ENVELOPE_BYTES
        self._pending_signed.append((future, record, envelope))
        result: Result = await future
        return result

    def read(self, requests: Array, *, at_least: int = 0) -> asyncio.Future[Any]:
        """Return the future of the Answers to requests, (n,) reading.READ. Raises UnavailableError once closed."""
        future = self._read_future()
        if not at_least:
            self._pending_reads.append((self, future, requests, 0))
            return future
        # Counted apart: a caller may give up a read whose frame does not come, and `aclose` must not wait for it.
        self._unanswered -= 1
        self._deferred += 1
        future.add_done_callback(self._end_deferred_read)
        self._pending_reads.append((self, DeferredToken(future), requests, at_least))
        return future

    def balance(self, account: int) -> asyncio.Future[Any]:
        """Return the future of an account's balance in minor units, or of None. Raises UnavailableError once closed.

        Balances that one iteration of the loop asks for are one request.
        """
        future = self._read_future()
        self._pending_balances.append((future, account))
        return future

    def _end_deferred_read(self, _: asyncio.Future[Any]) -> None:
        self._deferred -= 1
        self._set_if_idle()

    def _read_future(self) -> asyncio.Future[Any]:
        self._owner.check("the ledger")
        if self._is_closed:
            raise _closed()
        return self._future()

    def _add_pending(self, batch: PreparedBatch) -> asyncio.Future[Any]:
        future = self._future()
        operations, size = size_of(batch)
        self._pending_operations += operations
        self._pending_bytes += size
        self._pending.append((self, future, b"", batch))
        return future

    def _future(self) -> asyncio.Future[Any]:
        """Return the future of an outcome, and see that what is pending is flushed."""
        # Asking which loop runs takes a system call; a thread runs one of its loops at a time, so this says as much.
        if get_ident() != self._thread or self._loop.is_closed():
            raise UsageError("this belongs to another event loop", hint="each event loop makes one of its own")
        if not self._will_flush:
            # After everything that is ready has run: its operations go into the same frame.
            self._will_flush = True
            self._loop.call_soon(self._flush)
        self._unanswered += 1
        return self._loop.create_future()

    def _flush(self) -> None:
        """Put what is pending into the queue, or have it verified first."""
        self._will_flush = False
        entries, signed = self._pending, self._pending_signed
        reads, balances = self._pending_reads, self._pending_balances
        self._pending, self._pending_signed, self._pending_reads, self._pending_balances = [], [], [], []
        self._pending_operations = self._pending_bytes = 0
        if balances:
            reads += self._balance_reads(balances)
        if reads:
            self._put(self._queue.put_reads, reads)
        if signed:
            entries += self._group_signed(signed)
        if entries:
            if self._admission.has_workers:
                entries = [self._start_verification(entry) for entry in entries]
            self._put(self._queue.put, entries)
        self._set_if_idle()

    def _put(self, put: Callable[[Any], None], entries: Sequence[Any]) -> None:
        """Put entries or reads, or answer all of them with an error if the queue is closed."""
        try:
            put(entries)
        except UnavailableError as error:
            self._deliver_outcomes([(entry[1], copy_error(error)) for entry in entries])

    def _balance_reads(self, balances: list[tuple[asyncio.Future[Any], int]]) -> list[Read]:
        """Return balances as reads of as many accounts as one pass answers."""
        reads: list[Read] = []
        for start in range(0, len(balances), queries.READS_MAX):
            futures, accounts = zip(*balances[start : start + queries.READS_MAX], strict=True)
            reads.append((self, GroupToken(futures), queries.accounts(accounts), 0))
        return reads

    def _group_signed(self, signed: list[tuple[asyncio.Future[Any], bytes, bytes]]) -> list[Entry]:
        """Return single signed records as batches of many."""
        made: list[Entry] = []
        rest = iter([each for each in signed if not each[0].cancelled()])
        while some := list(islice(rest, GROUP_RECORDS_MAX)):
            futures, records, envelopes = zip(*some, strict=True)
            made.append((self, GroupToken(futures), b"", batches.prepare_signed(records, envelopes)))
        self._unanswered -= sum(each[0].cancelled() for each in signed)
        return made

    def _start_verification(self, entry: Entry) -> Entry:
        """Have an entry's signatures verified, if it has some, while it waits in the queue."""
        receiver, token, record, batch = entry
        if not isinstance(batch, PreparedBatch) or not batch.envelopes.size:
            return entry
        verifying = PendingVerification(batch)
        self._admission.verify(batch, partial(self._store_verification, verifying))
        return receiver, token, record, verifying

    def _store_verification(self, verifying: PendingVerification, outcome: PreparedBatch | BaseException) -> None:
        """Set the outcome of a verification. On the verifier's thread."""
        verifying.outcome = outcome
        self._queue.notify_verified()

    async def _wait_for_space(self, operations: int, size: int) -> None:
        """Wait for space, in order of arrival. Raises UnavailableError once this is closed."""
        if self._is_closed:
            raise _closed()
        waiter = self._loop.create_future()
        self._waiters.append((waiter, operations, size))
        self._admit()
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self._leave_admission(operations, size)  # let in and cancelled in the same moment
            else:
                self._loop.call_soon(self._admit)
            raise
        self._leave_admission(operations, size)

    def _leave_admission(self, operations: int, size: int) -> None:
        self._admitted -= 1
        self._admitted_operations -= operations
        self._admitted_bytes -= size
        if not self._admitted:
            self._loop.call_soon(self._admit)

    def _admit(self) -> None:
        """Let waiters in, in order, while the bound is not reached; the last of them may exceed it."""
        while self._waiters:
            waiter, operations, size = self._waiters[0]
            if not waiter.done():
                if not self._queue.has_space(
                    self._pending_operations + self._admitted_operations, self._pending_bytes + self._admitted_bytes
                ):
                    break
                self._admitted += 1
                self._admitted_operations += operations
                self._admitted_bytes += size
                waiter.set_result(None)
            self._waiters.popleft()
        if self._waiters and not self._admitted and not self._pending and not self._queue.watch_space(self):
            self._loop.call_soon(self._admit)  # space was freed just now
        self._set_if_idle()

    def _deliver_outcomes(self, outcomes: list[tuple[Any, Any]]) -> None:
        """Hand outcomes to callers; an exception is raised in its caller."""
        self._unanswered -= len(outcomes)
        for token, outcome in outcomes:
            if type(outcome) is Result:  # one payment's, as most are
                if not token.done():
                    token.set_result(outcome)
            elif isinstance(token, GroupToken):
                self._unanswered -= len(token.futures) - 1
                for future, each in zip(token.futures, _group_outcomes(token, outcome), strict=True):
                    _set(future, each)
            elif isinstance(token, DeferredToken):
                self._unanswered += 1  # it was not counted
                _set(token.future, outcome)
            else:
                _set(token, outcome)
        if self._waiters or self._idle:
            self._admit()

    def check_open(self) -> None:
        """Raise UnavailableError once this or the ledger is closed, or the ledger has stopped."""
        if self._is_closed:
            raise _closed()
        self._queue.check_running()

    async def aclose(self) -> None:
        """Accept nothing more; return when everything that was submitted before is answered."""
        self._is_closed = True
        if not self._owner.is_here:
            return  # the callers are the parent's
        while self._is_busy():
            if self._idle is None:
                self._idle = self._loop.create_future()
            await asyncio.shield(self._idle)

    def _set_if_idle(self) -> None:
        if self._idle and not self._is_busy():
            self._idle.set_result(None)
            self._idle = None

    def _is_busy(self) -> bool:
        return bool(self._unanswered or self._deferred or self._waiters or self._admitted)

    # --- the writer's side ---

    def deliver(self, outcomes: list[tuple[Any, Any]]) -> None:
        """Have the loop answer its callers. Called by the writer."""
        self._call(self._deliver_outcomes, outcomes)

    def space_freed(self) -> None:
        """Have the loop let waiters in. Called by the writer."""
        self._call(self._admit)

    def _call(self, function: Any, *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop was closed: none of its callers is there to be answered
            self._loop.call_soon_threadsafe(function, *arguments)


def _group_outcomes(group: GroupToken, outcome: Any) -> list[Any]:
    """Return the outcome of each coroutine of a group."""
    if isinstance(outcome, BaseException) and not isinstance(outcome, Exception):
        return [outcome for _ in group.futures]
    if isinstance(outcome, Exception):
        return [copy_error(outcome) for _ in group.futures]
    if isinstance(outcome, queries.Answers):
        return outcome.balances()
    return batches.results_of(outcome)


def _set(future: asyncio.Future[Any], outcome: Any) -> None:
    if future.done():
        return
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _closed() -> UnavailableError:
    return UnavailableError(
        "this way into the ledger is closed", hint="ledger.asynchronous() makes another while the ledger is open"
    )
