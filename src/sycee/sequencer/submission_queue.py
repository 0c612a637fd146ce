"""The bounded queue between callers and the writer, for threads and event loops alike.

Callers put *entries* (operations to be journaled) and *calls* (functions that the writer runs between two frames). The
writer takes all calls that wait and one frame's worth of entries at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from threading import Condition, Lock
from typing import Any, Final, Protocol, TypeAlias

from sycee.core.errors import SyceeError, UnavailableError
from sycee.core.fork_guard import Owner
from sycee.core.limits import FRAME_RECORDS_MAX, RECORD_BYTES
from sycee.ledger.batch import BODY_BYTES_MAX, PreparedBatch

# Admitted and not yet answered, the frame at hand included. Several frames, so that the disk never waits for callers;
# few enough that the last operation in the queue is answered within a fraction of a second.
OPERATIONS_MAX: Final = 8 * FRAME_RECORDS_MAX
BYTES_MAX: Final = 16 << 20
# Ctrl-C may come to a caller after its entry is queued and before the writer is woken: the writer then looks by itself.
WAKE_TIMEOUT_S: Final = 1.0


class Token(Protocol):
    """One caller's place in the queue: a thread's Ticket, or the asyncio future of a coroutine."""

    def cancelled(self) -> bool:
        """Return whether the caller withdrew; an entry that the writer has not taken yet is then dropped."""
        ...


class Receiver(Protocol):
    """Delivers outcomes to the callers of one event loop, or to threads."""

    def deliver(self, outcomes: list[tuple[Any, Any]]) -> None:
        """Hand each token its outcome: a Result or answers, or an Exception to raise. Called by the writer."""
        ...

    def space_freed(self) -> None:
        """Learn that the queue has space again, after `SubmissionQueue.watch_space`. Called by the writer."""
        ...


class PendingVerification:
    """A batch whose signatures are being verified."""

    __slots__ = ("batch", "outcome")

    def __init__(self, batch: PreparedBatch) -> None:
        self.batch = batch
        self.outcome: PreparedBatch | BaseException | None = None  # the batch with its checks, or why there are none


# The record of one TRANSFER or PAY, whose caller is told a Result, or any batch, whose caller is told its answers. A
# plain tuple: one is made for each single payment.
ReadyEntry: TypeAlias = tuple[Receiver, Any, bytes, PreparedBatch | None]
Entry: TypeAlias = tuple[Receiver, Any, bytes, PreparedBatch | PendingVerification | None]
_SINGLE: Final = 1, RECORD_BYTES


def _is_ready(entry: Entry) -> bool:
    """Return whether the writer can take an entry, or drop it."""
    return not isinstance(entry[3], PendingVerification) or entry[3].outcome is not None or entry[1].cancelled()


def size_of(batch: PreparedBatch | PendingVerification | None) -> tuple[int, int]:
    """Return the operations and bytes that an entry counts for. An empty batch counts as one operation."""
    if isinstance(batch, PendingVerification):
        batch = batch.batch
    return _SINGLE if batch is None else (max(batch.size, 1), batch.body_bytes)


def total_size(entries: Sequence[Entry]) -> tuple[int, int]:
    """Return the operations and bytes that entries count for."""
    singles = operations = size = 0
    for _, _, _, batch in entries:
        if batch is None:
            singles += 1
        else:
            more, more_size = size_of(batch)
            operations += more
            size += more_size
    return operations + singles, size + singles * RECORD_BYTES


class Ticket:
    """The token of a thread that blocks until its batch is answered."""

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
        """Return the outcome. Raises it if it is an exception, and KeyboardInterrupt on Ctrl-C.

        After Ctrl-C an entry that the writer had taken goes on; any other is withdrawn.
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
    """The receiver of all entries that threads put: each is answered through its ticket."""

    def deliver(self, outcomes: list[tuple[Any, Any]]) -> None:
        """Finish each ticket."""
        for ticket, outcome in outcomes:
            ticket.finish(outcome)

    def space_freed(self) -> None:
        """Do nothing: blocked threads wait on the queue's own condition."""


THREAD_RECEIVER: Final = ThreadReceiver()


class Call:
    """A function that the writer runs between two frames, on its own thread."""

    def __init__(self, function: Callable[[], Any], *, always: bool = False) -> None:
        """`always`: run the function also if its caller gave up waiting."""
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
    """A call that holds the writer between two frames while the caller holds `gate`, from before it is put.

    A lock in a `with` block, since no signal handler can run between the block and the release.
    """

    def __init__(self) -> None:
        self.gate = Lock()
        self._ticket = Ticket()

    def run(self) -> None:
        """Let the caller go on, and wait for it."""
        self._ticket.finish(None)
        with self.gate:
            pass

    def begin(self) -> None:
        """Wait until the writer is held. Raises UnavailableError where there is no writer any more."""
        self._ticket.wait()


class SubmissionQueue:
    """Entries and calls in order of arrival. Any thread may put; one thread, the writer, takes."""

    def __init__(self, operations_max: int = OPERATIONS_MAX, bytes_max: int = BYTES_MAX) -> None:
        """Bound what is admitted and not yet answered to this many operations and bytes.

        An entry is admitted whole as long as the bound is not reached before it, so that a batch larger than the bound
        is possible.
        """
        self.operations = self.bytes = 0  # admitted and not yet answered
        self._operations_max, self._bytes_max = operations_max, bytes_max
        self._lock = Lock()
        self._space = Condition(self._lock)
        self._watchers: set[Receiver] = set()  # to be told when there is space again
        self._arrived: list[Entry] = []
        self._calls: list[Call | Pause] = []
        self._reads: list[Any] = []  # views.Read
        self._backlog: deque[Entry] = deque()  # taken over from `_arrived`, for the writer alone
        self._wake = Lock()
        self._wake.acquire()
        self._is_idle = False  # the writer waits for `_wake`
        self.stopped: str | None = None  # why nothing more is written or read
        self.stop_hint = "open the ledger again"
        self._refusal: str | None = None  # why nothing is admitted any more
        self._owner = Owner()  # a forked child has no writer, and another thread may have held the lock at the fork

    def __len__(self) -> int:
        """Return the number of entries that the writer has not taken yet."""
        return len(self._arrived) + len(self._backlog)

    def has_space(self, operations: int = 0, size: int = 0) -> bool:
        """Return whether another entry is admitted beside `operations` of `size` bytes that are to be put first.

        Exact under the lock; without it, a moment old.
        """
        return self.operations + operations < self._operations_max and self.bytes + size < self._bytes_max

    def check_running(self) -> None:
        """Raise UnavailableError if the ledger is closed or has stopped itself."""
        if self.stopped is not None:
            raise self.stop_error()

    def stop_error(self) -> UnavailableError:
        """Return the error for callers of a ledger that is closed or has stopped itself."""
        return UnavailableError(self.stopped or "the ledger is closed", hint=self.stop_hint)

    # --- callers ---

    def submit(self, batch: PreparedBatch) -> Any:
        """Put a thread's batch, waiting for space, and return its answers, (n,) layout.ANSWER, once it is durable."""
        self._owner.check("the ledger")
        ticket = Ticket()
        with self._lock:
            while not self.has_space() and self._refusal is None:
                self._space.wait()
            self._put([(THREAD_RECEIVER, ticket, b"", batch)])
        return ticket.wait()

    def put(self, entries: Sequence[Entry]) -> None:
        """Put entries that their receiver found space for. Raises UnavailableError once the queue is closed."""
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
        """Queue reads, each a views.Read. Raises UnavailableError once the queue is closed."""
        self._owner.check("the ledger")
        with self._lock:
            self._check_open()
            self._reads += reads
            self._wake_writer()

    def notify_verified(self) -> None:
        """Learn that the signatures of an entry were verified: the writer may wait for it."""
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

        In this order: Ctrl-C may come between any two lines, and a second release must find the lock taken.
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
        """Wait until a call, a read or an entry is there; False once the queue is closed and empty.

        `has_more`: do not wait, since the writer has work left over.
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
        """Return the calls that wait, without waiting."""
        with self._lock:
            calls, self._calls = self._calls, []
        return calls

    def pop_reads(self) -> list[Any]:
        """Return the reads that wait, without waiting."""
        with self._lock:
            reads, self._reads = self._reads, []
        return reads

    def pop_frame(self) -> tuple[list[ReadyEntry], list[tuple[Entry, Any]]]:
        """Return entries of the backlog that fit one frame, or one entry that may be larger.

        Also returns entries that leave the queue unwritten, each with its outcome: None for one that was withdrawn, an
        error for one that could not be verified. Entries keep the order in which they were put, so the frame ends
        before the first one that is still being verified.
        """
        backlog = self._backlog
        taken: list[ReadyEntry] = []
        dropped: list[tuple[Entry, Any]] = []
        operations = size = 0
        while backlog:
            entry = backlog[0]
            receiver, token, record, batch = entry
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
            more, more_size = _SINGLE if batch is None else size_of(batch)
            if taken and (operations + more > FRAME_RECORDS_MAX or size + more_size > BODY_BYTES_MAX):
                break
            backlog.popleft()
            taken.append((receiver, token, record, batch))
            operations += more
            size += more_size
        return taken, dropped

    def pop_all(self) -> list[Entry]:
        """Return every entry that waits, after `wait_for_work` returned False."""
        rest = list(self._backlog)
        self._backlog.clear()
        return rest

    def free_space(self, entries: Sequence[Entry]) -> None:
        """Free the space of entries that were answered or withdrawn, and tell callers that wait for space."""
        operations, size = total_size(entries)
        with self._lock:
            self.operations -= operations
            self.bytes -= size
            watchers, self._watchers = self._watchers, set()
            self._space.notify_all()
        for watcher in watchers:
            watcher.space_freed()

    def close(self, reason: str) -> None:
        """Admit nothing more: callers, also blocked ones, get an UnavailableError with this reason."""
        with self._lock:
            self._refusal = reason
            self._space.notify_all()
            self._wake_writer()


def deliver(entries: Sequence[tuple[Any, ...]], outcomes: Sequence[Any]) -> None:
    """Hand the outcomes of entries, or of reads, to their receivers, one call for each receiver."""
    by_receiver: dict[Receiver, list[tuple[Any, Any]]] = {}
    for (receiver, token, *_), outcome in zip(entries, outcomes, strict=True):
        by_receiver.setdefault(receiver, []).append((token, outcome))
    for receiver, told in by_receiver.items():
        receiver.deliver(told)


def copy_error(error: Exception) -> Exception:
    """Return a copy of an error for one of several callers, whose traceback the others do not share."""
    if isinstance(error, SyceeError):
        own: Exception = copy(error)
    else:
        own = UnavailableError(
            f"the ledger could not write this: {str(error) or type(error).__name__}",
            hint="look the operation up by its id, or send it again under the same id",
        )
    own.__cause__ = error
    return own
