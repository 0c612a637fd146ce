"""Signatures over what is submitted: whose keys this program holds, and which records each of them signs.

`SigningLedger` replaces a plain ledger in every call that submits. One signature covers thousands of records: where one
frame holds records of several operators, each of these operators signs the frame once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

import numpy as np

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import Clock, read_ns
from sycee.core.errors import UsageError
from sycee.core.limits import ENVELOPE_BYTES, FRAME_RECORDS_MAX, RECORD_BYTES
from sycee.ledger import envelopes, layout, operations
from sycee.ledger.batch import BODY_BYTES_MAX
from sycee.ledger.envelopes import Envelope
from sycee.ledger.layout import Role
from sycee.sequencer.embedded import SIGNATURE_VALIDITY_NS, Signer

OFFICERS_MIN: Final = 2  # from two persons on a ledger asks for signatures


class Submitter(Protocol):
    """Whatever takes operations: a ledger, or signatures before one."""

    def submit(self, records: Array, envelopes: Array | Sequence[Envelope] = ()) -> Array:
        """(n,) layout.OPERATION to (n,) layout.ANSWER, durable when it returns."""
        ...


class SigningLedger:
    """A ledger to submit to, and those who sign what is submitted.

    All sign all, unless `by` says whose each record is. Every signer must have a say in something that it signs, so
    whoever signs too much is refused.
    """

    def __init__(
        self,
        ledger: Submitter,
        ledger_id: bytes,
        signers: Sequence[Signer],
        clock: Clock,
        *,
        validity_ns: int = SIGNATURE_VALIDITY_NS,
    ) -> None:
        """`clock`: the ledger's own. A signature is void `validity_ns` after it was given.

        Raises UsageError where nobody signs, or one signer is named twice.
        """
        if not signers:
            raise UsageError("nobody was named to sign", hint="submit to the ledger itself where nothing is signed")
        if len({(signer.id, signer.currency) for signer in signers}) < len(signers):
            raise UsageError(
                "one signer is named twice", hint="two officers are two persons, each with a key of their own"
            )
        self._ledger = ledger
        self._ledger_id = ledger_id
        self._signers = tuple(signers)
        self._clock = clock
        self._validity_ns = validity_ns

    def submit(self, records: Array, envelopes: Array | Sequence[Envelope] = (), *, by: Array | None = None) -> Array:
        """Sign the records and submit them: (n,) layout.OPERATION to (n,) layout.ANSWER, durable when it returns.

        `by`: (n,) the place in the signers of who signs for each record; a range that has none of somebody's records
        goes without that signature. Raises UsageError where `envelopes` are given too, or a chain is longer than a
        frame, and whatever the ledger raises.
        """
        if len(envelopes):
            raise UsageError("what is signed here was signed before", hint="submit it to the ledger itself")
        if by is not None and by.shape != records.shape:
            raise UsageError(f"{records.size} records, but {by.size} say who signs them", hint="one place per record")
        return self._ledger.submit(records, self.sign(records, by=by))

    def sign(self, records: Array, *, by: Array | None = None) -> list[Envelope]:
        """The envelopes alone, with ranges that count from the first record."""
        until_ns = read_ns(self._clock) + self._validity_ns
        made = []
        for start, end in ranges(records, len(self._signers)):
            places = range(len(self._signers)) if by is None else np.unique(by[start:end]).tolist()
            for signer in (self._signers[place] for place in places):
                made.append(
                    envelopes.sign(
                        records[start:end],
                        self._ledger_id,
                        signer.id,
                        signer.key,
                        until_ns,
                        first=start,
                        currency=signer.currency,
                        key_epoch=signer.key_epoch,
                    )
                )
        return made


def ranges(records: Array, signatures: int) -> Iterator[tuple[int, int]]:
    """Cut records into ranges, (first, end), that fit a frame beside so many envelopes and never part a chain.

    records: (n,) layout.OPERATION. Raises UsageError where a chain is longer than that, or does not end.
    """
    most = min(FRAME_RECORDS_MAX, (BODY_BYTES_MAX - signatures * ENVELOPE_BYTES) // RECORD_BYTES)
    bounds = np.flatnonzero((records["flags"] & layout.LINKED) == 0) + 1  # after these records a cut may come
    start = 0
    while start < records.size:
        fitting = int(np.searchsorted(bounds, start + most, "right"))
        end = int(bounds[fitting - 1]) if fitting else 0
        if end <= start:
            raise UsageError(
                f"a chain begins at record {start} that does not end, or not within {most:,} records",
                hint="a chain stands in one frame, beside its signatures; its last record is not linked",
            )
        yield start, end
        start = end


def grants(
    operation_ids: Array,
    *,
    officers: Sequence[Signer],
    operators: Mapping[int, Signer],
    from_ns: int,
    until_ns: int,
) -> Array:
    """Make these persons officers and operators of these numbers: one GRANT_ROLE each, (n,) layout.OPERATION.

    operation_ids: (officers and operators,) ID. The ledger asks for signatures from the frame after this one on.
    Raises UsageError for fewer than two officers, who could never sign anything that needs two.
    """
    if len({officer.id for officer in officers}) < OFFICERS_MIN:
        raise UsageError(
            f"{len(officers)} officers are no two persons", hint="what makes money is signed by two different persons"
        )
    roles = [(officer, Role.OFFICER, 0) for officer in officers]
    roles += [(signer, Role.OPERATOR, number) for number, signer in operators.items()]
    return np.concatenate(
        [
            operations.grant_role(
                ids.to_int(one),
                person=signer.id,
                role=role,
                key=signer.key.public.key,
                flags=signer.key.public.flags,
                from_ns=from_ns,
                until_ns=until_ns,
                operator=number,
            )
            for one, (signer, role, number) in zip(operation_ids, roles, strict=True)
        ]
    )
