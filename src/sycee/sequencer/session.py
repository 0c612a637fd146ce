"""A session: the signers of one caller's submissions, and fresh ids for its operations.

Each `Ledger`, each `signed_by` and each `AsyncLedger` has one session. A session uses neither the queue nor the state,
so any thread may use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import Clock, read_ns
from sycee.core.errors import UsageError
from sycee.core.records.envelopes import Envelope
from sycee.ledger.batch import check_types
from sycee.sequencer.signer import Signer, sign_records

SIGNATURE_VALIDITY_NS: Final = 300 * 10**9  # longer than any queue, too short to reuse a signature later


class Session:
    """Signs submissions for a fixed list of signers, which may be empty, and creates ids from one clock."""

    def __init__(self, ledger_id: bytes, clock: Clock, signers: Sequence[Signer] = ()) -> None:
        """Raise UsageError if `signers` contains anything but Signer objects."""
        if not all(isinstance(signer, Signer) for signer in signers):
            raise UsageError(
                "signed_by accepts Signer objects only", hint="use Signer(person, key) or signer_for(account, key)"
            )
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

    def new_ids(self, count: int) -> ids.Ids:
        """Return `count` fresh ids, strictly increasing, (count,) ID; for callers in different blocks."""
        return ids.fresh_many(count, time_ms=read_ns(self._clock) // 1_000_000)

    def envelopes_of(self, records: Array, envelopes: Array | Sequence[Envelope] = ()) -> Array | Sequence[Envelope]:
        """Return the envelopes to submit with records: those given, or else one of each signer for each frame.

        Raises UsageError unless `records` is an array and `envelopes` an array or a list of Envelope.
        """
        check_types(records, envelopes)
        if len(envelopes) or not self._signers:
            return envelopes
        return sign_records(records, self._ledger_id, self._signers, read_ns(self._clock) + SIGNATURE_VALIDITY_NS)
