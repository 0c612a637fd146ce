"""Bounded queue between callers and the writer, for threads and event loops.

Callers put *entries* (operations to be journaled) and *calls* (functions that the writer runs between two frames). The
writer pops all waiting calls, and entries for one frame, at a time.
"""

from __future__ import annotations

from asyncio import Future
from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from threading import Condition, Lock
from typing import Any, Final, Protocol, TypeAlias

import numpy as np

from sycee.core.arrays import Array
from sycee.core.errors import SyceeError, UnavailableError
from sycee.core.fork_guard import Owner
from sycee.core.limits import FRAME_RECORDS_MAX
from sycee.ledger.batch import BODY_BYTES_MAX, PreparedBatch

# Limits of operations and bytes without an outcome, the current frame included. Several frames, so that the disk never
# waits for callers; few enough that the last operation in the queue waits less than a second.
OPERATIONS_MAX: Final = 8 * FRAME_RECORDS_MAX
BYTES_MAX: Final = 16 << 20
# Ctrl-C may interrupt a caller after its entry is queued and before it wakes the writer. So the writer polls.
WAKE_TIMEOUT_S: Final = 1.0


class Token(Protocol):
    """The waiting caller of an entry: a thread's Ticket, or the asyncio future of a coroutine."""

    def cancelled(self) -> bool:
        """Return whether the caller gave up. The writer drops the entry if it has not popped it yet."""


class Receiver(Protocol):
    """Delivers outcomes to the callers of one event loop, or to threads."""

    def deliver(self, outcomes: list[tuple[Any, Any]]) -> None:
        """Give each token its outcome: a Result, results, or an exception to raise. Called by the writer."""

    def space_freed(self) -> None:
        """Handle new space in the queue; the writer calls it once for each `SubmissionQueue.watch_space`."""


class PendingVerification:
    """A batch whose signatures are being verified."""

    __slots__ = ("batch", "outcome")

    def __init__(self, batch: PreparedBatch) -> None:
        self.batch = batch
        self.outcome: PreparedBatch | BaseException | None = None  # the batch with its checks, or an error


# Receiver, token, and a batch, whose outcome is an array of results. A plain tuple, since each submission creates one.
ReadyEntry: TypeAlias = tuple[Receiver, Any, PreparedBatch]
Entry: TypeAlias = tuple[Receiver, Any, PreparedBatch | PendingVerification]


def _is_ready(entry: Entry) -> bool:
    """Return whether the writer can pop or drop an entry."""
    return not isinstance(entry[2], PendingVerification) or entry[2].outcome is not None or entry[1].cancelled()


def size_of(batch: PreparedBatch | PendingVerification) -> tuple[int, int]:
    """Return the operations and bytes of an entry. An empty batch counts as one operation."""
    if isinstance(batch, PendingVerification):
        batch = batch.batch
    return max(batch.size, 1), batch.body_bytes


def total_size(entries: Sequence[Entry]) -> tuple[int, int]:
    """Return the operations and bytes of all entries."""
    operations = size = 0
    for _, _, batch in entries:
        more, more_size = size_of(batch)
        operations += more
        size += more_size
    return operations, size


class GroupToken:
    """The token of several coroutines whose operations or reads form one entry.

    `decode` returns the outcome of each coroutine, in order, from the entry's results.
    """

    __slots__ = ("decode", "futures")

    def __init__(self, futures: Sequence[Future[Any]], decode: Callable[[Any], list[Any]]) -> None:
        self.futures = futures
        self.decode = decode

    def cancelled(self) -> bool:
        """Return False: one coroutine cannot withdraw the operations of the others."""
        return False


class SinglesToken(GroupToken):
    """The token of coroutines that each submitted one operation, of which each can be withdrawn."""

    __slots__ = ()

    def withdrawn(self) -> Array | None:
        """Return whose coroutine gave up, (n,) bool; None if no coroutine did."""
        cancelled = list(map(Future.cancelled, self.futures))  # a method of C: the writer does this for each payment
        return np.array(cancelled) if True in cancelled else None

    def select(self, selected: Array) -> SinglesToken:
        """Return the token of some coroutines: `selected`, (n,) bool."""
        return SinglesToken([self.futures[i] for i in np.flatnonzero(selected).tolist()], self.decode)


class Ticket:
    """The token of a thread that blocks until its batch has an outcome."""

    __slots__ = ("_done", "_is_withdrawn", "_outcome", "is_done")

    def __init__(self) -> None:
        self.is_done = False
        self._outcome: Any = None
        self._is_withdrawn = False
        self._done = Lock()
        self._done.acquire()

    def finish(self, outcome: Any) -> None:
        """Set the outcome and wake the thread."""
        self._outcome = outcome
        self.is_done = True
        self._done.release()

    def wait(self) -> Any:
        """Return the outcome, or raise it if it is an exception.

        Raises KeyboardInterrupt on Ctrl-C. The entry is then withdrawn unless the writer has popped it.
        """
        try:
            self._done.acquire()
        except BaseException:
            self._is_withdrawn = True
            raise
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome

    def cancelled(self) -> bool:
        """Return whether the thread gave up waiting."""
        return self._is_withdrawn


class ThreadReceiver:
    """The receiver of all entries of threads: each outcome goes to its ticket."""

    def deliver(self, outcomes: list[tuple[Any, Any]]) -> None:
        """Finish each ticket."""
        for ticket, outcome in outcomes:
            ticket.finish(outcome)

    def space_freed(self) -> None:
        """Do nothing: blocked threads wait on the queue's condition."""


THREAD_RECEIVER: Final = ThreadReceiver()


class Call:
    """A function that the writer runs between two frames, on its own thread."""

    def __init__(self, function: Callable[[], Any], *, always: bool = False) -> None:
        """Create a call. `always`: run the function even if its caller stopped waiting."""
        self._function = function
        self._always = always
        self._ticket = Ticket()

    @property
    def is_done(self) -> bool:
        """Return whether the function has run."""
        return self._ticket.is_done

    def run(self) -> None:
        """Run the function, unless its caller gave up."""
        if self._ticket.cancelled() and not self._always:
            return
        try:
            outcome = self._function()
        except BaseException as error:
            outcome = error
        self._ticket.finish(outcome)

    def wait(self) -> Any:
        """Return the function's result, or raise its error."""
        return self._ticket.wait()


class Pause:
    """A call that stops the writer between two frames for as long as the caller holds `gate`.

    The caller acquires `gate` in a `with` block before it puts the pause: no signal handler can run between the end of
    the block and the release.
    """

    def __init__(self) -> None:
        self.gate = Lock()
        self._ticket = Ticket()

    def run(self) -> None:
        """Let the caller continue, and wait until it releases `gate`."""
        self._ticket.finish(None)
        with self.gate:
            pass

    def begin(self) -> None:
        """Wait until the writer has stopped. Raises UnavailableError if the writer has ended."""
        self._ticket.wait()


class SubmissionQueue:
    """Entries and calls in order of arrival. Any thread may put; only the writer pops."""

    def __init__(self, operations_max: int = OPERATIONS_MAX, bytes_max: int = BYTES_MAX) -> None:
        """Limit the operations and bytes that are admitted and have no outcome yet.

        An entry is admitted if the limit is not reached before it. So a batch may be larger than the limit.
        """
        self.operations = self.bytes = 0  # admitted, without an outcome
        self._operations_max, self._bytes_max = operations_max, bytes_max
        self._lock = Lock()
        self._space = Condition(self._lock)
        self._watchers: set[Receiver] = set()  # notified when there is space again
        self._arrived: list[Entry] = []
        self._calls: list[Call | Pause] = []
        self._reads: list[Any] = []  # views.WaitingRead
        self._backlog: deque[Entry] = deque()  # entries from `_arrived`, used by the writer only
        self._wake = Lock()
        self._wake.acquire()
        self._is_idle = False  # the writer waits for `_wake`
        self.stopped: str | None = None  # reason why nothing more is written or read
        self.stop_hint = "open the ledger again"
        self._refusal: str | None = None  # reason why nothing more is admitted
        self._owner = Owner()  # a forked child has no writer, and a thread may have held the lock during the fork

    def __len__(self) -> int:
        """Return the number of entries that the writer has not popped yet."""
        return len(self._arrived) + len(self._backlog)

    def has_space(self, operations: int = 0, size: int = 0) -> bool:
        """Return whether another entry is admitted after `operations` of `size` bytes that are not put yet.

        Exact under the lock; without the lock the result may be outdated.
        """
        return self.operations + operations < self._operations_max and self.bytes + size < self._bytes_max

    def check_running(self) -> None:
        """Raise UnavailableError if the ledger is closed or has stopped."""
        if self.stopped is not None:
            raise self.stop_error()

    def stop_error(self) -> UnavailableError:
        """Return the error for callers of a ledger that is closed or has stopped."""
        return UnavailableError(self.stopped or "the ledger is closed", hint=self.stop_hint)

    # --- callers ---

    def submit(self, batch: PreparedBatch) -> Any:
        """Put a thread's batch, waiting for space; return its results, (n,) layout.ANSWER, once it is durable."""
        return self.start(batch).wait()

    def start(self, batch: PreparedBatch | PendingVerification) -> Ticket:
        """Put a thread's batch, waiting for space; `wait` of the ticket returns its results."""
        self._owner.check("the ledger")
        ticket = Ticket()
        with self._lock:
            while not self.has_space() and self._refusal is None:
                self._space.wait()
            self._put([(THREAD_RECEIVER, ticket, batch)])
        return ticket

    def put(self, entries: Sequence[Entry]) -> None:
        """Put entries for which the receiver found space. Raises UnavailableError once the queue is closed."""
        self._owner.check("the ledger")
        with self._lock:
            self._put(entries)

    def run(self, function: Callable[[], Any]) -> Any:
        """Have the writer run `function` between two frames; return its result, or raise its error."""
        call = Call(function)
        self.put_call(call)
        return call.wait()

    def put_call(self, call: Call | Pause) -> None:
        """Queue a call. Raises UnavailableError once the queue is closed."""
        self._owner.check("the ledger")
        with self._lock:
            self._check_open()
            self._calls.append(call)
            self._wake_writer()

    def put_reads(self, reads: Sequence[Any]) -> None:
        """Queue reads, each a views.WaitingRead. Raises UnavailableError once the queue is closed."""
        self._owner.check("the ledger")
        with self._lock:
            self._check_open()
            self._reads += reads
            self._wake_writer()

    def notify_verified(self) -> None:
        """Wake the writer: the verification of an entry has ended."""
        with self._lock:
            self._wake_writer()

    def watch_space(self, receiver: Receiver) -> bool:
        """Have `receiver.space_freed` called once when space is freed; return False if there is space already."""
        with self._lock:
            if self.has_space():
                return False
            self._watchers.add(receiver)
        return True

    def _put(self, entries: Sequence[Entry]) -> None:
        """Put entries; `_lock` is held."""
        self._check_open()
        operations, size = total_size(entries)
        self.operations += operations
        self.bytes += size
        self._arrived += entries
        self._wake_writer()

    def _wake_writer(self) -> None:
        """Wake the writer if it is idle; `_lock` is held.

        The order of the lines matters: Ctrl-C may interrupt between any two, and a second release must find the lock
        locked.
        """
        if self._is_idle:
            if self._wake.locked():
                self._wake.release()
            self._is_idle = False

    def _check_open(self) -> None:
        if self._refusal is not None:
            raise UnavailableError(self._refusal, hint=self.stop_hint)

    # --- the writer ---

    def wait_for_work(self, *, has_more: bool = False) -> bool:
        """Wait for a call, a read or an entry; return False once the queue is closed and empty.

        `has_more`: return without waiting, since the writer has work left.
        """
        while True:
            with self._lock:
                if self._arrived:
                    self._backlog += self._arrived
                    self._arrived = []
                if self._calls or self._reads or has_more or (self._backlog and _is_ready(self._backlog[0])):
                    return True
                if self._refusal is not None:
                    return False
                self._is_idle = True
            self._wake.acquire(timeout=WAKE_TIMEOUT_S)

    def pop_calls(self) -> list[Call | Pause]:
        """Return the waiting calls; do not wait for others."""
        with self._lock:
            calls, self._calls = self._calls, []
        return calls

    def pop_reads(self) -> list[Any]:
        """Return the waiting reads; do not wait for others."""
        with self._lock:
            reads, self._reads = self._reads, []
        return reads

    def pop_frame(self) -> tuple[list[ReadyEntry], list[tuple[Entry, Any]]]:
        """Return entries of the backlog that fit one frame, or one entry that may be larger.

        Also return entries that leave the queue unwritten, with their outcomes: None for a withdrawn entry, an error
        for one whose verification failed. Entries stay in order, so the frame ends before the first entry under
        verification.
        """
        backlog = self._backlog
        entries: list[ReadyEntry] = []
        dropped: list[tuple[Entry, Any]] = []
        operations = size = 0
        while backlog:
            entry = backlog[0]
            receiver, token, batch = entry
            if token.cancelled():
                dropped.append((backlog.popleft(), None))
                continue
            if isinstance(batch, PendingVerification):
                if batch.outcome is None:
                    break
                if isinstance(batch.outcome, BaseException):
                    dropped.append((backlog.popleft(), batch.outcome))
                    continue
                batch = batch.outcome
            if isinstance(token, SinglesToken) and (withdrawn := token.withdrawn()) is not None:
                backlog.popleft()
                dropped.append(((receiver, token.select(withdrawn), batch.select(withdrawn)), None))
                if not withdrawn.all():
                    backlog.appendleft((receiver, token.select(~withdrawn), batch.select(~withdrawn)))
                continue
            more, more_size = size_of(batch)
            if entries and (operations + more > FRAME_RECORDS_MAX or size + more_size > BODY_BYTES_MAX):
                break
            backlog.popleft()
            entries.append((receiver, token, batch))
            operations += more
            size += more_size
        return entries, dropped

    def pop_all(self) -> list[Entry]:
        """Return every waiting entry, after `wait_for_work` returned False."""
        rest = list(self._backlog)
        self._backlog.clear()
        return rest

    def free_space(self, entries: Sequence[Entry]) -> None:
        """Free the space of entries that have an outcome, and wake callers that wait for space."""
        operations, size = total_size(entries)
        with self._lock:
            self.operations -= operations
            self.bytes -= size
            watchers, self._watchers = self._watchers, set()
            self._space.notify_all()
        for watcher in watchers:
            watcher.space_freed()

    def close(self, reason: str) -> None:
        """Admit nothing more. Callers, blocked ones included, get an UnavailableError with this reason."""
        with self._lock:
            self._refusal = reason
            self._space.notify_all()
            self._wake_writer()


def deliver(entries: Sequence[tuple[Any, ...]], outcomes: Sequence[Any]) -> None:
    """Pass the outcomes of entries or reads to their receivers, with one call for each receiver."""
    by_receiver: dict[Receiver, list[tuple[Any, Any]]] = {}
    for (receiver, token, *_), outcome in zip(entries, outcomes, strict=True):
        by_receiver.setdefault(receiver, []).append((token, outcome))
    for receiver, pairs in by_receiver.items():
        receiver.deliver(pairs)


def copy_error(error: Exception) -> Exception:
    """Return a copy of an error for one of several callers, so that they do not share a traceback."""
    if isinstance(error, SyceeError):
        copied: Exception = copy(error)
    else:
        copied = UnavailableError(
            f"the ledger could not write this: {str(error) or type(error).__name__}",
            hint="send the operation again under the same id",
        )
    copied.__cause__ = error
    return copied
