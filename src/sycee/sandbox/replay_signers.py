"""Signers of a replay, and the verification of their signatures.

Officers and operators are synthetic: ids and keys are derived from the seed, so a second run signs the same bytes. They
demonstrate the operation of a ledger and prove nothing about the person who ran the replay.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from blake3 import blake3

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import Clock
from sycee.core.errors import require
from sycee.core.keys import SEED_BYTES, SigningKey
from sycee.core.records import envelopes, layout
from sycee.core.records.layout import Kind
from sycee.core.result_codes import Result
from sycee.issuance.central_bank import CentralBank
from sycee.issuance.signing import SigningLedger, grants
from sycee.journal.frame import FrameKind
from sycee.journal.journal import Journal
from sycee.ledger import authority
from sycee.ledger.state import LedgerState
from sycee.programmes.definition import Programme
from sycee.sandbox.outcome import SignerRow
from sycee.sequencer.applier import Applier
from sycee.sequencer.embedded import Ledger, Signer
from sycee.sequencer.folders import journal_disk
from sycee.storage.table_storage import TableStorage

OFFICERS: Final = 2  # a mint needs two officers
# Simulated time jumps from frame to frame, and a continued run signs with the same times again.
REPLAY_VALIDITY_NS: Final = 3_600 * 10**9

_KEY_CONTEXT: Final = "sycee 2026-11-25 sandbox: synthetic keys of a replay"


@dataclass(frozen=True, slots=True)
class Authorities:
    """Two officers of the central bank, and one signer per operator; the last one is the funder's treasury."""

    officers: tuple[Signer, ...]
    operators: tuple[Signer, ...]  # of operator number 1 and up
    titles: tuple[str, ...]  # of officers, then operators

    @classmethod
    def derive(cls, programme: Programme, seed: bytes, *, time_ms: int) -> Authorities:
        """Derive synthetic persons and keys from the seed."""
        titles = [f"officer {number} of the central bank" for number in range(1, OFFICERS + 1)]
        titles += [operator.title for operator in programme.operators] + [programme.funder.name]
        persons = ids.derive(seed, "persons who sign", len(titles), time_ms=time_ms)
        keys = blake3(seed, derive_key_context=_KEY_CONTEXT).digest(SEED_BYTES * len(titles))
        signers = [
            Signer(ids.to_int(person), SigningKey.derive(keys[SEED_BYTES * place : SEED_BYTES * (place + 1)]))
            for place, person in enumerate(persons)
        ]
        return cls(tuple(signers[:OFFICERS]), tuple(signers[OFFICERS:]), tuple(titles))

    @property
    def treasury(self) -> Signer:
        """Signer of the funder."""
        return self.operators[-1]

    def grants(self, operation_ids: Array, *, from_ns: int, until_ns: int) -> Array:
        """Return records that grant every role for the whole replay. operation_ids: (officers and operators,) ID."""
        operators = dict(enumerate(self.operators, 1))
        return grants(operation_ids, officers=self.officers, operators=operators, from_ns=from_ns, until_ns=until_ns)


def signed(ledger: Ledger, clock: Clock, *signers: Signer) -> SigningLedger:
    """Return the ledger with these signers of every submission."""
    return SigningLedger(ledger, ledger.ledger_id, signers, clock, validity_ns=REPLAY_VALIDITY_NS)


@dataclass(slots=True)
class Signed:
    """Verified signatures in the journal of a replay."""

    by_signer: Counter[int] = field(default_factory=Counter)  # number of envelopes
    mint_officers: int = 0  # smallest number of different officers who signed a mint

    def rows(self, authorities: Authorities) -> tuple[SignerRow, ...]:
        """Return the number of signatures per signer, in the order of the authorities."""
        signers = (*authorities.officers, *authorities.operators)
        return tuple(
            SignerRow(
                title, ids.format(signer.id), "officer" if place < OFFICERS else "operator", self.by_signer[signer.id]
            )
            for place, (title, signer) in enumerate(zip(authorities.titles, signers, strict=True))
        )


def check_signatures(folder: Path, bank: CentralBank, authorities: Authorities, digest: bytes) -> Signed:
    """Read the journal of `folder` from its first byte and verify every signature, like `sycee verify --authority`.

    `digest` is the expected digest of the final state. Raises IntegrityError with the frame and operation that fails.
    """
    state, report = LedgerState(TableStorage()), authority.Report()
    applier = Applier(state)
    officers = {officer.id for officer in authorities.officers}
    mints: dict[int, int] = {}
    journal = Journal.open(journal_disk(folder), read_only=True)
    try:
        for frame in journal.recover():
            if frame.kind is FrameKind.OPERATIONS:
                records = frame.records.reshape(-1).view(layout.OPERATION).copy()
                sealed = envelopes.decode(frame.envelopes)
                authority.verify_frame(state, journal.ledger_id, frame.sequence, frame.time_ns, records, sealed, report)
                mints |= _mints(records, sealed, bank.issuance, officers)
            applier.replay(frame)
    finally:
        journal.close()
    require(state.digest() == digest, "a replay of the journal gives another state than the one in memory")
    bound = {operation: state.bound_of(operation) for operation in mints}
    done = [mints[operation] for operation, row in bound.items() if row is not None and row["result"] == Result.CREATED]
    return Signed(report.by_signer, min(done, default=0))


def _mints(records: Array, sealed: Array, issuance: int, officers: set[int]) -> dict[int, int]:
    """Return the number of different officers who signed, per operation that mints."""
    makes = ids.match(records, "debit", issuance)
    found = {}
    for at in np.flatnonzero(makes & np.isin(records["kind"], (Kind.TRANSFER, Kind.PAY))).tolist():
        covers = sealed[(sealed["first"] <= at) & (at < sealed["first"].astype(np.int64) + sealed["count"])]
        signed = {envelopes.signer_of(envelope) for envelope in covers}
        found[ids.of_record(records[at], "id")] = len(signed & officers)
    return found
