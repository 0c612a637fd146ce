"""A session: who signs what one caller submits, and the fresh ids of its operations.

A ledger, each `signed_by` of it and their coroutine faces hold one session each. A session touches neither the queue
nor the state, so any thread may use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import Clock, read_ns
from sycee.core.errors import UsageError
from sycee.ledger.batch import check_types
from sycee.ledger.envelopes import Envelope
from sycee.sequencer.signer import Signer, sign_records

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
        """Return the envelopes to submit with the records: those given, or else one per signer and frame.

        Raise UsageError where `records` is no array of operations, or `envelopes` neither an array nor a list of
        Envelope.
        """
        check_types(records, envelopes)
        if len(envelopes) or not self._signers:
            return envelopes
        return sign_records(records, self._ledger_id, self._signers, read_ns(self._clock) + SIGNATURE_VALIDITY_NS)
