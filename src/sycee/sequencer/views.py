"""Views: reads that wait at the same time share one pass between two frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from sycee.core.arguments import check_integer
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.limits import I64_MAX
from sycee.ledger import queries
from sycee.ledger.queries import Answers
from sycee.ledger.state import LedgerState
from sycee.sequencer.submission_queue import THREAD_RECEIVER, Receiver, SubmissionQueue, Ticket, deliver

# Receiver, token, requests (n,) queries.READ, and the first frame that may serve them; 0 for any.
WaitingRead: TypeAlias = tuple[Receiver, Any, Array, int]
NO_READS: Final = np.zeros(0, queries.READ)


class Views:
    """Executes reads of many callers before each frame, as many as fit one pass of the kernel."""

    def __init__(self, queue: SubmissionQueue, state: LedgerState) -> None:
        self._queue = queue
        self._state = state
        # Used by the writer only. A read stays in one of these until its result is known: after a defect, `refuse` must
        # find it.
        self._popped: deque[WaitingRead] = deque()  # from the queue, or deferred by the pass before
        self._backlog: deque[WaitingRead] = deque()
        self._deferred: list[WaitingRead] = []  # wait for a frame that is not committed yet

    # --- callers ---

    def read(self, requests: Array, *, at_least: int = 0) -> Answers:
        """Return the results of requests, (n,) queries.READ, as of one committed frame; block until they are available.

        `at_least`: wait until this frame is committed. Raises UsageError for more requests than one pass allows,
        UnavailableError once the ledger is closed or has stopped.
        """
        requests, at_least = check_requests(requests, at_least)
        ticket = Ticket()
        self._queue.put_reads([(THREAD_RECEIVER, ticket, requests, at_least)])
        answers: Answers = ticket.wait()
        return answers

    # --- the writer ---

    def has_work(self, durable_sequence: int) -> bool:
        """Return whether reads that arrived earlier can be executed, or refused, now."""
        if self._popped or self._backlog or (self._queue.stopped is not None and self._deferred):
            return True
        return any(read[3] <= durable_sequence for read in self._deferred)

    def answer(self, durable_sequence: int) -> None:
        """Execute one pass of the waiting reads. On the writer's thread, between two frames."""
        self._popped.extend(self._deferred)
        self._deferred = []
        self._popped.extend(self._queue.pop_reads())
        if self._queue.stopped is not None:
            self.refuse()
            return
        withdrawn: list[WaitingRead] = []
        while self._popped:
            read = self._popped[0]
            if read[1].cancelled():
                withdrawn.append(read)
            else:
                (self._deferred if read[3] > durable_sequence else self._backlog).append(read)
            self._popped.popleft()
        if withdrawn:
            deliver(withdrawn, [None for _ in withdrawn])
        if self._backlog:
            reads = self._next_pass()
            answers = self._answers(reads)
            for _ in reads:
                self._backlog.popleft()
            deliver(reads, answers)

    def refuse(self) -> None:
        """Fail every waiting read with an UnavailableError."""
        reads = [*self._popped, *self._backlog, *self._deferred]
        self._popped.clear()
        self._backlog.clear()
        self._deferred = []
        deliver(reads, [self._queue.stop_error() for _ in reads])

    def _next_pass(self) -> list[WaitingRead]:
        """Return the reads of the backlog that fit one pass."""
        reads: list[WaitingRead] = []
        count = lines = 0
        for read in self._backlog:
            requests = read[2]
            more_lines = queries.page_lines(requests)
            if reads and (count + requests.size > queries.READS_MAX or lines + more_lines > queries.LINES_MAX):
                break
            reads.append(read)
            count += requests.size
            lines += more_lines
        return reads

    def _answers(self, reads: Sequence[WaitingRead]) -> list[Any]:
        """Return the result of each read, or an error for a read that failed."""
        try:
            answers = queries.answer(self._state, np.concatenate([NO_READS, *(read[2] for read in reads)]))
        except Exception as error:
            if len(reads) == 1:
                return [error]
            return [self._answers([read])[0] for read in reads]
        outcomes, end = [], 0
        for _, _, requests, _ in reads:
            start, end = end, end + requests.size
            outcomes.append(answers.part(start, end))
        return outcomes


def check_requests(requests: Array, at_least: int) -> tuple[Array, int]:
    """Return a copy of the requests, and the frame that they wait for.

    Raises UsageError for an array of another type, for more requests than one pass allows, and for an invalid frame.
    """
    if getattr(requests, "dtype", None) != queries.READ or requests.ndim != 1:
        raise UsageError("requests must be an array of READ", hint="the functions of sycee.ledger.queries return one")
    requests = requests.copy()
    if requests.size and int(requests["kind"].max()) > max(queries.ReadKind):
        raise UsageError(
            f"{requests['kind'].max()} is no kind of read", hint="the functions of sycee.ledger.queries build requests"
        )
    if requests.size and queries.fitting(requests) < requests.size:
        raise UsageError(
            f"{requests.size:,} reads do not fit one pass",
            hint=f"read at most {queries.READS_MAX:,} requests, and pages of {queries.LINES_MAX:,} lines in total",
        )
    return requests, check_integer("at_least", at_least, high=I64_MAX)
