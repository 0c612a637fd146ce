"""Ledger with signers: every submission is signed with private keys that this program holds.

`SigningLedger` replaces a plain ledger in every call that submits. One signature covers thousands of records: where one
frame holds records of several operators, each of these operators signs the frame once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import Clock, read_ns
from sycee.core.errors import UsageError
from sycee.core.records import operations
from sycee.core.records.envelopes import Envelope
from sycee.core.records.layout import Role
from sycee.ledger.administration import OFFICERS_MIN
from sycee.sequencer.embedded import SIGNATURE_VALIDITY_NS, Signer
from sycee.sequencer.signer import sign_records


class Submitter(Protocol):
    """Receiver of operations: a ledger, or a SigningLedger in front of one."""

    def submit(self, records: Array, envelopes: Array | Sequence[Envelope] = ()) -> Array:
        """Return the durable answers, (n,) layout.ANSWER, of records, (n,) layout.OPERATION."""
        ...


class SigningLedger:
    """Ledger together with the signers of everything submitted to it.

    All signers sign all records, unless `by` assigns each record to one signer. The ledger refuses an envelope whose
    signer has no authority for any record in it.
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
        """Use the ledger's own `clock`. Signatures are valid for `validity_ns`.

        Raise UsageError for an empty list of signers and for a repeated signer.
        """
        if not signers:
            raise UsageError("the list of signers is empty", hint="submit to the ledger itself without signatures")
        if len({(signer.id, signer.currency) for signer in signers}) < len(signers):
            raise UsageError("a signer is listed twice", hint="two officers must be two persons, each with an own key")
        self._ledger = ledger
        self._ledger_id = ledger_id
        self._signers = tuple(signers)
        self._clock = clock
        self._validity_ns = validity_ns

    def submit(self, records: Array, envelopes: Array | Sequence[Envelope] = (), *, by: Array | None = None) -> Array:
        """Sign the records, (n,) layout.OPERATION, submit them and return the durable answers, (n,) layout.ANSWER.

        `by`: (n,) for each record the index of its signer. Raise UsageError where `envelopes` are given, where a chain
        is longer than a frame, and for every error that the ledger raises.
        """
        if len(envelopes):
            raise UsageError("the records have envelopes already", hint="submit them to the ledger itself")
        return self._ledger.submit(records, self.sign(records, by=by))

    def sign(self, records: Array, *, by: Array | None = None) -> list[Envelope]:
        """Return the envelopes without submitting, with ranges that count from the first record."""
        if by is not None and by.shape != records.shape:
            raise UsageError(f"by has {by.size} elements for {records.size} records", hint="give one index per record")
        until_ns = read_ns(self._clock) + self._validity_ns
        return sign_records(records, self._ledger_id, self._signers, until_ns, by=by)


def grants(
    operation_ids: Array,
    *,
    officers: Sequence[Signer],
    operators: Mapping[int, Signer],
    from_ns: int,
    until_ns: int,
) -> Array:
    """Return one GRANT_ROLE per officer and per operator number, (n,) layout.OPERATION.

    operation_ids: (officers + operators,) ID. The ledger needs signatures from the next frame on. Raise UsageError for
    fewer than two officers, who could not sign an operation that needs two.
    """
    if len({officer.id for officer in officers}) < OFFICERS_MIN:
        raise UsageError(
            f"{len(officers)} officers are fewer than {OFFICERS_MIN} persons", hint="two different persons sign a mint"
        )
    roles = [(officer, Role.OFFICER, 0) for officer in officers]
    roles += [(signer, Role.OPERATOR, number) for number, signer in operators.items()]
    return np.concatenate(
        [
            operations.grant_role(
                ids.to_int(id),
                person=signer.id,
                role=role,
                key=signer.public_key.key,
                flags=signer.public_key.flags,
                from_ns=from_ns,
                until_ns=until_ns,
                operator=number,
            )
            for id, (signer, role, number) in zip(operation_ids, roles, strict=True)
        ]
    )
