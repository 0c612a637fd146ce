"""The queue alone: order, frames, withdrawn entries, entries under verification, and its end."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from sycee.core.errors import UnavailableError
from sycee.core.limits import FRAME_RECORDS_MAX, RECORD_BYTES
from sycee.core.records import layout
from sycee.ledger import batch as batches
from sycee.sequencer.submission_queue import (
    THREAD_RECEIVER,
    Entry,
    PendingVerification,
    SinglesToken,
    SubmissionQueue,
    Ticket,
    total_size,
)


def of(count: int) -> Entry:
    return THREAD_RECEIVER, Ticket(), batches.PreparedBatch(np.zeros(count, layout.OPERATION))


def taken(queue: SubmissionQueue) -> list[Any]:
    """Return the tokens of the next frame."""
    return [token for _, token, _ in queue.pop_frame()[0]]


def test_a_frame_ends_before_an_entry_that_is_being_verified() -> None:
    queue = SubmissionQueue()
    first, slow, last = of(1), of(3), of(1)
    assert isinstance(slow[2], batches.PreparedBatch)
    verifying = PendingVerification(slow[2])
    queue.put([first, (*slow[:2], verifying), last])
    assert queue.wait_for_work()
    assert taken(queue) == [first[1]]
    assert taken(queue) == []
    verifying.outcome = slow[2]
    queue.notify_verified()
    assert queue.wait_for_work()
    assert taken(queue) == [slow[1], last[1]]


def test_an_entry_that_cannot_be_verified_leaves_with_its_error() -> None:
    queue = SubmissionQueue()
    first = of(1)
    assert isinstance(first[2], batches.PreparedBatch)
    verifying = PendingVerification(first[2])
    verifying.outcome = UnavailableError("no worker")
    queue.put([(*first[:2], verifying), of(1)])
    assert queue.wait_for_work()
    frame, dropped = queue.pop_frame()
    assert len(frame) == 1
    assert [(entry[1], outcome) for entry, outcome in dropped] == [(first[1], verifying.outcome)]


def test_a_frame_has_entries_that_fit_or_one_larger_entry() -> None:
    queue = SubmissionQueue()
    entries = [of(FRAME_RECORDS_MAX - 1), of(1), of(1), of(FRAME_RECORDS_MAX + 5), of(1)]
    queue.put(entries)
    assert queue.wait_for_work()
    tokens = [token for _, token, _ in entries]
    assert [taken(queue) for _ in range(4)] == [tokens[:2], tokens[2:3], tokens[3:4], tokens[4:]]


def test_counts_are_freed_when_entries_are_answered_or_withdrawn() -> None:
    queue = SubmissionQueue(operations_max=5)
    entries = [of(3), of(1), of(0)]
    queue.put(entries)
    assert (queue.operations, queue.bytes) == total_size(entries) == (5, 4 * RECORD_BYTES)
    assert not queue.has_space()
    entries[1][1]._is_withdrawn = True
    assert queue.wait_for_work()
    frame, dropped = queue.pop_frame()
    assert len(frame) == 2
    assert dropped == [(entries[1], None)]
    queue.free_space([*frame, entries[1]])
    assert (queue.operations, queue.bytes) == (0, 0)


def test_each_operation_of_a_group_is_withdrawn_by_itself() -> None:
    async def main() -> None:
        queue = SubmissionQueue()
        futures = [asyncio.Future[Any]() for _ in range(4)]
        token = SinglesToken(futures, batches.results_of)
        records = np.zeros(4, layout.OPERATION)
        records["amount"] = np.arange(4)
        queue.put([(THREAD_RECEIVER, token, batches.PreparedBatch(records)), of(1)])
        futures[1].cancel()
        futures[3].cancel()
        assert queue.wait_for_work()
        frame, dropped = queue.pop_frame()
        group = frame[0]
        assert isinstance(group[1], SinglesToken)
        assert group[1].futures == [futures[0], futures[2]]
        assert group[2].operations["amount"].tolist() == [0, 2]
        assert [(entry[1].futures, outcome) for entry, outcome in dropped] == [([futures[1], futures[3]], None)]
        queue.free_space([*frame, *(entry for entry, _ in dropped)])
        assert (queue.operations, queue.bytes) == (0, 0)

        for each in (futures[0], futures[2]):
            each.cancel()
        queue.put([(THREAD_RECEIVER, group[1], group[2])])
        assert queue.wait_for_work()
        frame, dropped = queue.pop_frame()
        assert not frame
        assert len(dropped) == 1

    asyncio.run(main())


def test_a_closed_queue_admits_nothing_and_ends() -> None:
    queue = SubmissionQueue()
    waiting = of(1)
    assert isinstance(waiting[2], batches.PreparedBatch)
    queue.put([(*waiting[:2], PendingVerification(waiting[2]))])
    queue.close("the ledger is closed")
    for use in (lambda: queue.put([of(1)]), lambda: queue.run(int), lambda: queue.put_reads([])):
        with pytest.raises(UnavailableError, match="the ledger is closed"):
            use()
    assert not queue.wait_for_work()
    assert [entry[1] for entry in queue.pop_all()] == [waiting[1]]
