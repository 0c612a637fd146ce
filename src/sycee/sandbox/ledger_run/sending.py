"""Bulk submission of signed records, while the ledger writes the records before them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from sycee.bank.rehearsal_clock import RehearsalClock
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.limits import ENVELOPE_BYTES, FRAME_RECORDS_MAX, RECORD_BYTES
from sycee.core.records.envelopes import Envelope
from sycee.ledger.batch import BODY_BYTES_MAX, first_codes
from sycee.sandbox.replay_signers import REPLAY_VALIDITY_NS
from sycee.sequencer.embedded import Ledger, Signer
from sycee.sequencer.submission_queue import Ticket

SIGNED_MAX: Final = min(FRAME_RECORDS_MAX, (BODY_BYTES_MAX - ENVELOPE_BYTES) // RECORD_BYTES)  # by one signature
PART_MAX: Final = 7 * SIGNED_MAX  # records of one submission: an envelope counts them in 16 bits
STARTED_MAX: Final = 2  # submissions that are not answered yet


class Sender:
    """Signs records, submits them in order and collects their results."""

    def __init__(self, ledger: Ledger, clock: RehearsalClock, signers: Sequence[Signer]) -> None:
        self._ledger, self._clock, self._signers = ledger, clock, signers
        self._started: deque[tuple[Array, Ticket]] = deque()

    def send(self, records: Array, by: Array, moment_ns: int, codes: Array) -> None:
        """Submit records at a moment, or now if that is later.

        `finish` waits for their first result codes, which are written to `codes`.
        by: (n,) the index of each record's signer; equal ones are neighbours.
        """
        for first, end, ranges in _parts(by):
            envelopes = [self._sign(records, first, by, moment_ns, each) for each in ranges]
            if read_ns(self._clock) < moment_ns:
                self.finish()  # a frame has the time at which it is written
                self._clock.pass_to(moment_ns)
            while len(self._started) >= STARTED_MAX:
                self._take()
            self._started.append((codes[first:end], self._ledger.sequencer.start(records[first:end], envelopes)))

    def finish(self) -> None:
        """Wait until all records are durable."""
        while self._started:
            self._take()

    def _take(self) -> None:
        codes, ticket = self._started.popleft()
        codes[:] = first_codes(ticket.wait())

    def _sign(self, records: Array, part: int, by: Array, moment_ns: int, signed: tuple[int, int]) -> Envelope:
        first, end = signed
        signer = self._signers[int(by[first])]
        until_ns = max(moment_ns, read_ns(self._clock)) + REPLAY_VALIDITY_NS
        return signer.sign(records[first:end], self._ledger.ledger_id, until_ns, first=first - part)


def _parts(by: Array) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Yield (first, end, ranges of one signature each) of each submission."""
    ranges: list[tuple[int, int]] = []
    starts = np.flatnonzero(np.diff(by, prepend=-1)).tolist()
    for first, end in pairwise([*starts, by.size]):
        for at in range(first, end, SIGNED_MAX):
            last = min(at + SIGNED_MAX, end)
            if ranges and last - ranges[0][0] > PART_MAX:
                yield ranges[0][0], ranges[-1][1], ranges
                ranges = []
            ranges.append((at, last))
    if ranges:
        yield ranges[0][0], ranges[-1][1], ranges
