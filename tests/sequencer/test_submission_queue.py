"""The queue alone: order, frames, withdrawn entries, entries under verification, and its end."""

from __future__ import annotations

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
    SubmissionQueue,
    Ticket,
    total_size,
)

RECORD = bytes(RECORD_BYTES)


def plain() -> Entry:
    return THREAD_RECEIVER, Ticket(), RECORD, None


def of(count: int) -> Entry:
    return THREAD_RECEIVER, Ticket(), b"", batches.PreparedBatch(np.zeros(count, layout.OPERATION))


def taken(queue: SubmissionQueue) -> list[Any]:
    """Return the tokens of the next frame."""
    return [token for _, token, _, _ in queue.pop_frame()[0]]


def test_a_frame_ends_before_an_entry_that_is_being_verified() -> None:
    queue = SubmissionQueue()
    first, slow, last = plain(), of(3), plain()
    assert isinstance(slow[3], batches.PreparedBatch)
    verifying = PendingVerification(slow[3])
    queue.put([first, (*slow[:3], verifying), last])
    assert queue.wait_for_work()
    assert taken(queue) == [first[1]]
    assert taken(queue) == []
    verifying.outcome = slow[3]
    queue.notify_verified()
    assert queue.wait_for_work()
    assert taken(queue) == [slow[1], last[1]]


def test_an_entry_that_cannot_be_verified_leaves_with_its_error() -> None:
    queue = SubmissionQueue()
    first = of(1)
    assert isinstance(first[3], batches.PreparedBatch)
    verifying = PendingVerification(first[3])
    verifying.outcome = UnavailableError("no worker")
    queue.put([(*first[:3], verifying), plain()])
    assert queue.wait_for_work()
    frame, dropped = queue.pop_frame()
    assert len(frame) == 1
    assert [(entry[1], outcome) for entry, outcome in dropped] == [(first[1], verifying.outcome)]


def test_a_frame_has_entries_that_fit_or_one_larger_entry() -> None:
    queue = SubmissionQueue()
    entries = [of(FRAME_RECORDS_MAX - 1), plain(), plain(), of(FRAME_RECORDS_MAX + 5), plain()]
    queue.put(entries)
    assert queue.wait_for_work()
    tokens = [token for _, token, _, _ in entries]
    assert [taken(queue) for _ in range(4)] == [tokens[:2], tokens[2:3], tokens[3:4], tokens[4:]]


def test_counts_are_freed_when_entries_are_answered_or_withdrawn() -> None:
    queue = SubmissionQueue(operations_max=5)
    entries = [of(3), plain(), of(0)]
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


def test_a_closed_queue_admits_nothing_and_ends() -> None:
    queue = SubmissionQueue()
    waiting = of(1)
    assert isinstance(waiting[3], batches.PreparedBatch)
    queue.put([(*waiting[:3], PendingVerification(waiting[3]))])
    queue.close("the ledger is closed")
    for use in (lambda: queue.put([plain()]), lambda: queue.run(int), lambda: queue.put_reads([])):
        with pytest.raises(UnavailableError, match="the ledger is closed"):
            use()
    assert not queue.wait_for_work()
    assert [entry[1] for entry in queue.pop_all()] == [waiting[1]]
