"""Path of operations and reads from the coroutines of one event loop into the queue and back.

    coroutine ─> submit ─> pending ─> flush, once per iteration of the loop ─┬─> queue ─> writer
                                              signed ─> signature workers ───┘              │
    coroutine <─ deliver, one call_soon_threadsafe per frame <──────────────────────────────┘

There is no timer. While one frame is being written, operations for the next one collect in the queue. So one caller
waits for one fdatasync, and 10,000 callers share one.

A cancelled operation is withdrawn if neither the signature workers nor the writer have popped it. Otherwise it is
written. The caller does not learn which: look the id up, or send the operation again under the same id.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from threading import get_ident
from typing import Any, Final, TypeVar

from sycee.core.arrays import Array
from sycee.core.errors import BusyError, UnavailableError, UsageError
from sycee.core.fork_guard import Owner
from sycee.core.ids import Ids
from sycee.core.limits import ENVELOPE_BYTES, RECORD_BYTES
from sycee.core.records.envelopes import Envelope
from sycee.core.result_codes import Result
from sycee.ledger import batch as batches
from sycee.ledger import queries
from sycee.ledger.batch import AnswerTuple, PreparedBatch
from sycee.sequencer.admission import Admission
from sycee.sequencer.submission_queue import (
    Entry,
    GroupToken,
    PendingVerification,
    SinglesToken,
    copy_error,
    size_of,
)
from sycee.sequencer.views import WaitingRead

# Single signed records that are verified together: few enough to spread over the workers and to overlap with writing;
# enough to share the Python work of a group, some 100 µs.
GROUP_RECORDS_MAX: Final = 64
SINGLES_MAX: Final = 1_024  # unsigned ones in one entry: few enough that frames are nearly filled


Value = TypeVar("Value")


class DeferredToken:
    """The token of a read that waits for a later frame."""

    __slots__ = ("future",)

    def __init__(self, future: asyncio.Future[Any]) -> None:
        self.future = future

    def cancelled(self) -> bool:
        """Return whether the caller gave up."""
        return self.future.cancelled()


class LoopSubmitter:
    """Puts operations and reads of one event loop's coroutines into the queue. For that loop's thread only."""

    def __init__(self, admission: Admission, new_ids: Callable[[int], Ids]) -> None:
        """Bind to the running event loop. `new_ids(n)` returns n ids. Raises UsageError if no event loop is running."""
        self._admission = admission
        self._new_ids = new_ids
        self._queue = admission.queue
        self._owner = Owner()
        try:
            self._loop, self._thread = asyncio.get_running_loop(), get_ident()
        except RuntimeError as error:
            raise UsageError("no event loop is running", hint="call asynchronous() inside a coroutine") from error
        self._pending: list[Entry] = []  # until the next flush
        # Future, record, and whether it needs an id; they arrived after `_pending`.
        self._pending_singles: list[tuple[asyncio.Future[Result], bytes, bool]] = []
        self._pending_operations = self._pending_bytes = 0
        self._pending_signed: list[tuple[asyncio.Future[Any], bytes, bytes]] = []  # future, record, envelope
        self._pending_reads: list[WaitingRead] = []
        self._pending_balances: list[tuple[asyncio.Future[Any], int]] = []  # future, account id
        self._will_flush = False
        self._unanswered = 0  # futures without an outcome, pending ones included
        self._waiters: deque[tuple[asyncio.Future[None], int, int]] = deque()  # for space: future, operations, bytes
        self._admitted = 0  # waiters that were admitted and have not put their entry yet
        self._admitted_operations = self._admitted_bytes = 0
        self._deferred = 0  # reads that wait for a later frame, and functions on threads
        self._is_closed = False
        self._idle: asyncio.Future[None] | None = None  # set when every future has its outcome

    # --- the loop's side ---

    def prepare(self, operations: Array, envelopes: Array | Sequence[Envelope] = ()) -> PreparedBatch:
        """Copy and check a batch. Raises UsageError as `Admission.prepare` does."""
        return self._admission.prepare(operations, envelopes)

    async def submit(self, batch: PreparedBatch) -> Array:
        """Return a batch's results once it is durable. While the queue is full, wait for space in order of arrival."""
        self._owner.check("the ledger")
        if self._must_wait():
            await self._wait_for_space(*size_of(batch))
        elif self._is_closed:
            raise _closed()
        return await self._add_pending(batch)

    async def submit_single(self, record: bytes, *, needs_id: bool) -> Result:
        """Submit one TRANSFER or PAY, RECORD_BYTES outside any chain; return its Result once it is durable.

        `needs_id`: replace its id with a fresh one.
        """
        # A forked child is refused while it waits, or by the queue at the next flush.
        if self._must_wait():
            await self._wait_for_space(1, RECORD_BYTES)
        elif self._is_closed:
            raise _closed()
        future = self._future()
        self._pending_operations += 1
        self._pending_bytes += RECORD_BYTES
        self._pending_singles.append((future, record, needs_id))
        result: Result = await future
        return result

    def submit_nowait(self, batch: PreparedBatch) -> asyncio.Future[Array]:
        """Return the future of a batch's results. Raises UnavailableError while the queue is full."""
        self._owner.check("the ledger")
        if self._is_closed:
            raise _closed()
        if self._must_wait():
            raise self._busy()
        return self._add_pending(batch)

    def _busy(self) -> BusyError:
        waiting = self._queue.operations + self._pending_operations, self._queue.bytes + self._pending_bytes
        return BusyError(
            f"the ledger is busy: {waiting[0]:,} operations of {waiting[1]:,} bytes wait for the disk",
            hint="nothing was written: send it again in a moment, or use `submit`, which waits for space",
        )

    def _must_wait(self) -> bool:
        # A new caller waits behind earlier waiters, and behind admitted ones that have not put their entry yet.
        if self._waiters or self._admitted:
            return True
        return not self._queue.has_space(self._pending_operations, self._pending_bytes)

    async def submit_signed(self, record: bytes, envelope: bytes) -> Result:
        """Submit one record with one envelope that covers it; return its Result once it is durable.

        Creates no array for a single payment. The arguments are not checked here: `record` must have RECORD_BYTES, be
        in no chain and define nothing; `envelope` must have ENVELOPE_BYTES.
        """
        self._owner.check("the ledger")
        if self._must_wait():
            await self._wait_for_space(1, RECORD_BYTES + ENVELOPE_BYTES)
        elif self._is_closed:
            raise _closed()
        answer = await self._add_signed(record, envelope)
        return batches.result_of(answer)

    def submit_signed_nowait(self, record: bytes, envelope: bytes) -> asyncio.Future[AnswerTuple]:
        """Return the future of the answer to one signed record, as for `submit_signed`.

        Raises BusyError while the queue is full.
        """
        self._owner.check("the ledger")
        if self._is_closed:
            raise _closed()
        if self._must_wait():
            raise self._busy()
        return self._add_signed(record, envelope)

    def frame_time_ns(self, frame: int) -> int:
        """Return the time of a committed frame."""
        return self._admission.frame_time_ns(frame)

    def _add_signed(self, record: bytes, envelope: bytes) -> asyncio.Future[AnswerTuple]:
        future = self._future()
        self._pending_operations += 1
        self._pending_bytes += RECORD_BYTES + ENVELOPE_BYTES
        self._pending_signed.append((future, record, envelope))
        return future

    def read(self, requests: Array, *, at_least: int = 0) -> asyncio.Future[queries.Answers]:
        """Return the future of the Answers to requests, (n,) queries.READ. Raises UnavailableError once closed."""
        future = self._read_future()
        if not at_least:
            self._pending_reads.append((self, future, requests, 0))
            return future
        # Counted separately: `aclose` must not wait for a read that its caller gave up.
        self._unanswered -= 1
        self._deferred += 1
        future.add_done_callback(self._end_deferred)
        self._pending_reads.append((self, DeferredToken(future), requests, at_least))
        return future

    def balance(self, account: int) -> asyncio.Future[int | None]:
        """Return the future of an account's balance in minor units, or of None. Raises UnavailableError once closed.

        All balances that are requested in one iteration of the loop form one read.
        """
        future = self._read_future()
        self._pending_balances.append((future, account))
        return future

    async def in_thread(self, function: Callable[[], Value]) -> Value:
        """Return what `function` returns on a thread; `aclose` waits for it. Raises UnavailableError once closed."""
        self._owner.check("the ledger")
        if self._is_closed:
            raise _closed()
        self._check_loop()
        future = self._loop.run_in_executor(None, function)
        self._deferred += 1
        future.add_done_callback(self._end_deferred)
        return await future

    def _end_deferred(self, _: asyncio.Future[Any]) -> None:
        self._deferred -= 1
        self._set_if_idle()

    def _read_future(self) -> asyncio.Future[Any]:
        if self._is_closed:
            raise _closed()
        return self._future()

    def _add_pending(self, batch: PreparedBatch) -> asyncio.Future[Array]:
        self._group_singles()  # they arrived before this batch
        future = self._future()
        operations, size = size_of(batch)
        self._pending_operations += operations
        self._pending_bytes += size
        self._pending.append((self, future, batch))
        return future

    def _future(self) -> asyncio.Future[Any]:
        """Return a new future, and schedule a flush of the pending entries."""
        self._check_loop()
        if not self._will_flush:
            # Runs after all callbacks that are ready, so that their operations share the frame.
            self._will_flush = True
            self._loop.call_soon(self._flush)
        self._unanswered += 1
        return asyncio.Future(loop=self._loop)  # what every loop's create_future returns, without a call into Python

    def _check_loop(self) -> None:
        # asyncio.get_running_loop makes a system call. A thread runs one loop at a time, so comparing threads suffices.
        if get_ident() != self._thread or self._loop.is_closed():
            raise UsageError(
                "this AsyncLedger belongs to another event loop", hint="call ledger.asynchronous() in each event loop"
            )

    def _flush(self) -> None:
        """Put the pending entries into the queue; start the verification of signed ones."""
        self._will_flush = False
        self._group_singles()
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
        """Put entries or reads; if the queue is closed, fail all of them with its error."""
        try:
            put(entries)
        except UnavailableError as error:
            self._deliver_outcomes([(entry[1], copy_error(error)) for entry in entries])

    def _balance_reads(self, balances: list[tuple[asyncio.Future[Any], int]]) -> list[WaitingRead]:
        """Return balances as reads, each of at most READS_MAX accounts."""
        reads: list[WaitingRead] = []
        for start in range(0, len(balances), queries.READS_MAX):
            futures, accounts = zip(*balances[start : start + queries.READS_MAX], strict=True)
            reads.append((self, GroupToken(futures, queries.Answers.balances), queries.accounts(accounts), 0))
        return reads

    def _group_singles(self) -> None:
        """Add the pending single operations to the pending entries, as batches of up to SINGLES_MAX."""
        singles, self._pending_singles = self._pending_singles, []
        for start in range(0, len(singles), SINGLES_MAX):
            futures, *parts = zip(*singles[start : start + SINGLES_MAX], strict=True)
            prepare = partial(batches.prepare_singles, new_ids=self._new_ids)
            self._pending += self._entry(SinglesToken(futures, batches.results_of), prepare, *parts)

    def _group_signed(self, signed: list[tuple[asyncio.Future[Any], bytes, bytes]]) -> list[Entry]:
        """Return single signed records as batches of up to GROUP_RECORDS_MAX."""
        made: list[Entry] = []
        rest = iter([each for each in signed if not each[0].cancelled()])
        while some := list(islice(rest, GROUP_RECORDS_MAX)):
            futures, records, envelopes = zip(*some, strict=True)
            made += self._entry(GroupToken(futures, batches.tuples_of), batches.prepare_signed, records, envelopes)
        self._unanswered -= sum(each[0].cancelled() for each in signed)
        return made

    def _entry(self, token: GroupToken, prepare: Callable[..., PreparedBatch], *parts: Sequence[Any]) -> list[Entry]:
        """Return the entry of a group; none if its batch cannot be made: then its callers get the error."""
        try:
            return [(self, token, prepare(*parts))]
        except Exception as error:
            self._deliver_outcomes([(token, error)])
            return []

    def _start_verification(self, entry: Entry) -> Entry:
        """Start the verification of an entry's signatures, if it has any; the returned entry waits in the queue."""
        receiver, token, batch = entry
        if not isinstance(batch, PreparedBatch) or not batch.envelopes.size:
            return entry
        verifying = PendingVerification(batch)
        self._admission.verify(batch, partial(self._store_verification, verifying))
        return receiver, token, verifying

    def _store_verification(self, verifying: PendingVerification, outcome: PreparedBatch | BaseException) -> None:
        """Store the outcome of a verification and wake the writer. On a thread of the verifier."""
        verifying.outcome = outcome
        self._queue.notify_verified()

    async def _wait_for_space(self, operations: int, size: int) -> None:
        """Wait for space, in order of arrival. Raises UnavailableError once this is closed."""
        self._owner.check("the ledger")
        if self._is_closed:
            raise _closed()
        waiter = self._loop.create_future()
        self._waiters.append((waiter, operations, size))
        self._admit()
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self._leave_admission(operations, size)  # admitted and cancelled in the same iteration
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
        """Admit waiting callers in order until the limit is reached; the last of them may exceed it."""
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
        if self._waiters and not self._admitted and not self._pending_operations and not self._queue.watch_space(self):
            self._loop.call_soon(self._admit)  # space was freed since
        self._set_if_idle()

    def _deliver_outcomes(self, outcomes: list[tuple[Any, Any]]) -> None:
        """Set the outcomes of callers' futures; an exception is raised in its caller."""
        self._unanswered -= len(outcomes)
        for token, outcome in outcomes:
            if isinstance(token, GroupToken):
                self._unanswered -= len(token.futures) - 1
                _set_group(token, outcome)
            elif isinstance(token, DeferredToken):
                self._unanswered += 1  # a deferred read is not counted in `_unanswered`
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
        """Accept nothing more; return when all earlier submissions have outcomes."""
        self._is_closed = True
        if not self._owner.is_here:
            return  # the callers are in the parent process
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
        """Schedule the delivery of outcomes on the loop. Called by the writer."""
        self._call(self._deliver_outcomes, outcomes)

    def space_freed(self) -> None:
        """Schedule the admission of waiting callers on the loop. Called by the writer."""
        self._call(self._admit)

    def _call(self, function: Any, *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed, and with it all its callers
            self._loop.call_soon_threadsafe(function, *arguments)


def _set_group(group: GroupToken, outcome: Any) -> None:
    """Set the outcomes of a group's coroutines; None withdraws all of them."""
    if isinstance(outcome, Exception):
        for future in group.futures:
            _set(future, copy_error(outcome))
    elif isinstance(outcome, BaseException):
        for future in group.futures:
            _set(future, outcome)
    elif outcome is not None:
        for future, each in zip(group.futures, group.decode(outcome), strict=True):
            if not future.done():
                future.set_result(each)


def _set(future: asyncio.Future[Any], outcome: Any) -> None:
    if future.done():
        return
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _closed() -> UnavailableError:
    return UnavailableError(
        "this AsyncLedger is closed", hint="call ledger.asynchronous() again while the ledger is open"
    )
