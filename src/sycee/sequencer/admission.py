"""Admission: check what callers submit, and queue it for the writer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sycee.ledger import batch as batches
from sycee.ledger.batch import PreparedBatch
from sycee.ledger.envelopes import Envelope
from sycee.ledger.layout import Kind
from sycee.sequencer import rules
from sycee.sequencer.log import Log
from sycee.sequencer.submission_queue import SubmissionQueue
from sycee.sequencer.zones import check_zones

Array = np.ndarray[Any, Any]

_DEFINITIONS = (2 << Kind.UPGRADE) - 1  # as bits: the kinds up to UPGRADE


class Admission:
    """Lets batches of threads and event loops into one queue. Safe for many threads."""

    def __init__(self, queue: SubmissionQueue, log: Log) -> None:
        self.queue = queue
        self._buffers = log.buffers

    def prepare(self, operations: Array, envelopes: Array | Sequence[Envelope] = ()) -> PreparedBatch:
        """Copy and check a batch. Raises UsageError as `Sequencer.submit` does."""
        batch = batches.prepare(operations, envelopes, buffers=self._buffers)
        if batch.kinds:
            defines = batch.kinds & _DEFINITIONS
        else:
            kinds = batch.operations["kind"]
            defines = kinds.size and (kinds.item() if kinds.size == 1 else int(kinds.min())) <= Kind.UPGRADE
        if defines:
            check_zones(batch.operations)
            rules.check_upgrades(batch.operations)
        return batch

    def submit(self, operations: Array, envelopes: Array | Sequence[Envelope] = ()) -> Array:
        """Answer a thread's batch once it is durable; blocks while the queue is full. Raises as `Sequencer.submit`."""
        answers: Array = self.queue.submit(self.prepare(operations, envelopes))
        return answers
