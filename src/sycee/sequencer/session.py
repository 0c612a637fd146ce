"""A session: who signs what one caller submits, and the fresh ids of its operations.

A ledger, each `signed_by` of it and their coroutine faces hold one session each. A session touches neither the queue
nor the state, so any thread may use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import Clock, read_ns
from sycee.core.errors import UsageError
from sycee.ledger import batch
from sycee.ledger.envelopes import Envelope, sign
from sycee.sequencer.signer import Signer

SIGNATURE_VALIDITY_NS: Final = 300 * 10**9  # longer than any queue, too short to reuse a signature later


class Session:
    """Signs submissions for a fixed list of signers, which may be empty, and makes ids by one clock."""

    def __init__(self, ledger_id: bytes, clock: Clock, signers: Sequence[Signer] = ()) -> None:
        """Raise UsageError if `signers` holds anything but Signer objects."""
        if not all(isinstance(signer, Signer) for signer in signers):
            raise UsageError("signed_by takes Signer objects", hint="Signer(person, key), or signer_for(account, key)")
        self._ledger_id = ledger_id
        self._clock = clock
        self._signers = tuple(signers)

    @property
    def signs(self) -> bool:
        """Return whether submissions without envelopes are signed."""
        return bool(self._signers)

    def with_signers(self, signers: Sequence[Signer]) -> Session:
        """Return a session of the same ledger and clock with other signers."""
        return Session(self._ledger_id, self._clock, signers)

    def new_id(self) -> int:
        """Return a fresh id of 128 bits that begins with the time in milliseconds."""
        return ids.new(read_ns(self._clock) // 1_000_000)

    def envelopes_of(self, records: Array, envelopes: Array | Sequence[Envelope] = ()) -> Array | Sequence[Envelope]:
        """Return the envelopes to submit beside records: those given, or else one of each signer for each frame.

        Raises UsageError where `records` is no array, or `envelopes` neither an array nor a list of Envelope.
        """
        _check_submission(records, envelopes)
        return envelopes if len(envelopes) or not self._signers else self._sign(records)

    def _sign(self, records: Array) -> list[Envelope]:
        until_ns = read_ns(self._clock) + SIGNATURE_VALIDITY_NS
        made: list[Envelope] = []
        start = 0
        for piece in batch.prepare(records).split_into_frames():
            end = start + piece.size
            made += [
                sign(
                    records[start:end],
                    self._ledger_id,
                    signer.id,
                    signer.key,
                    until_ns,
                    first=start,
                    currency=signer.currency,
                    key_epoch=signer.key_epoch,
                )
                for signer in self._signers
            ]
            start = end
        return made


def _check_submission(records: object, envelopes: object) -> None:
    if not isinstance(records, np.ndarray):
        raise UsageError("submit takes an array of operations", hint="the functions of ledger.operations make them")
    if isinstance(envelopes, np.ndarray) and envelopes.ndim == 1:
        return
    if not isinstance(envelopes, Sequence) or not all(isinstance(each, Envelope) for each in envelopes):
        raise UsageError("envelopes are a list of Envelope, or an array", hint="ledger.envelopes.sign makes one")
