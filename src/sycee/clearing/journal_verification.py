"""Verification of certificates against a journal alone: what was chosen is what was booked, and booked once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from sycee.clearing import certificate
from sycee.clearing.certificate import Certificate
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import require
from sycee.core.limits import PLACE_INDEX_BITS
from sycee.core.records import layout
from sycee.core.records.layout import Block, Kind, SettleFlag
from sycee.core.result_codes import Result
from sycee.journal.frame import FrameKind
from sycee.journal.journal import Journal
from sycee.ledger.state import LedgerState
from sycee.sequencer.applier import Applier
from sycee.sequencer.folders import existing_journal_disk
from sycee.storage.table_storage import TableStorage

KINDS: Final = (Kind.TRANSFER, Kind.STAGE, Kind.SETTLE)


class Held(NamedTuple):
    """An account after a frame: its money, what its rule set keeps on it, and whether its debits are blocked."""

    minor: int
    floor: int
    is_blocked: bool


NOTHING_HELD: Final = Held(0, 0, False)


@dataclass(frozen=True)
class Books:
    """What a journal booked.

    - `records`: (n,) layout.OPERATION: TRANSFER, and STAGE of settled batches, that the ledger made, in order.
    - `settled`: by batch the note of its SETTLE, and the frame. `held`: by frame and account. `state`: at the end.
    """

    ledger_id: bytes
    records: Array
    settled: Mapping[int, tuple[int, int]]
    held: Mapping[tuple[int, int], Held]
    state: LedgerState


def verify(folder: Path, certificates: Sequence[Certificate]) -> int:
    """Check certificates and what the ledger in a folder booked for them, from its journal alone.

    Checked are: each certificate itself; the note of each SETTLE; positions at each certificate's frame; that the
    batch has the chosen legs in order, and no other payments but draws and repayments; and that no UETR was settled
    twice, in all sets and single bookings between these positions.

    Returns the number of settled batches between these positions that none of the certificates describes. Raises
    IntegrityError for the first difference, UsageError if the folder holds no ledger.
    """
    headers = [certificate.check(each) for each in certificates]
    accounts = [_accounts(header) for header in headers]
    wanted: dict[int, set[int]] = {}
    for header, of in zip(headers, accounts, strict=True):
        lines = [int(node["line"], 16) for node in header["nodes"]]
        wanted.setdefault(header["frame"], set()).update(each for each in (*of, *lines) if each)
    books = read(folder, wanted)
    described: set[int] = set()
    for made, header, of in zip(certificates, headers, accounts, strict=True):
        batch = header["batch"]
        require(batch not in described, f"two certificates are of batch {batch:,}")
        described.add(batch)
        _check_settled(books, header, made, of)
        _check_staged(books, header, made, of)
    batches = _check_once(books, {each for of in accounts for each in of if each})
    return len(batches - described)


def read(folder: Path, wanted: Mapping[int, Collection[int]]) -> Books:
    """Replay the journal of a ledger read-only. `wanted`: by frame, the accounts that are needed."""
    journal = Journal.open(existing_journal_disk(folder), read_only=True)
    state = LedgerState(TableStorage())
    applier = Applier(state)
    parts, places = [np.zeros(0, layout.OPERATION)], [np.zeros(0, np.uint64)]
    held = {}
    try:
        for frame in journal.recover():
            applier.replay(frame)
            if frame.kind is FrameKind.OPERATIONS:
                records = frame.records.copy().reshape(-1).view(layout.OPERATION)
                rows = np.flatnonzero(np.isin(records["kind"], KINDS))
                parts.append(records[rows])
                places.append(np.uint64(frame.sequence << PLACE_INDEX_BITS) + rows.astype(np.uint64))
            for account in wanted.get(frame.sequence, ()):
                held[frame.sequence, account] = _held(state, account)
    finally:
        journal.close()
    records, at = np.concatenate(parts), np.concatenate(places)
    bound = state.bound.view(np.ndarray)
    is_made = np.isin(at, bound["place"][(bound["result"] == Result.CREATED) & np.isin(bound["kind"], KINDS)])
    records, at = records[is_made], at[is_made]
    settles = (records["kind"] == Kind.SETTLE) & (records["flags"] & SettleFlag.DISCARD == 0)
    notes = ids.of_records(records[settles], "note")
    frames = (at[settles] >> np.uint64(PLACE_INDEX_BITS)).tolist()
    settled = dict(zip(records["number"][settles].tolist(), zip(notes, frames, strict=True), strict=True))
    is_booked = (records["kind"] == Kind.TRANSFER) | np.isin(records["number"], list(settled))
    is_booked &= records["kind"] != Kind.SETTLE
    return Books(journal.ledger_id, records[is_booked], settled, held, state)


def _held(state: LedgerState, id: int) -> Held:
    account = state.account(id)
    if account is None:
        return NOTHING_HELD
    floor = int(state.tables.rule_sets.view(np.ndarray)[account.rule_set]["refund_reserve"]) if account.rule_set else 0
    return Held(account.available, floor, bool(account.blocks & (Block.DEBIT | Block.CLOSED)))


def _check_settled(books: Books, header: Mapping[str, Any], made: Certificate, accounts: Sequence[int]) -> None:
    """Require that the batch was settled under this certificate, from its positions."""
    batch, frame = header["batch"], header["frame"]
    require(header["ledger"] == books.ledger_id.hex(), f"the certificate of batch {batch:,} is of another ledger")
    require(batch in books.settled, f"the ledger settled no batch {batch:,}")
    note, settled = books.settled[batch]
    require(note == made.note, f"the SETTLE of batch {batch:,} names another certificate")
    require(frame < settled, f"batch {batch:,} was settled in frame {settled:,}, not after frame {frame:,}")
    for node, account in zip(header["nodes"], accounts, strict=True):
        if not account:
            continue  # a limit that no account has
        own, line = (books.held.get((frame, each), NOTHING_HELD) for each in (account, int(node["line"], 16)))
        credit = 0 if line.is_blocked else line.minor
        for what, had, said in (
            ("", own.minor, node["position"]),
            ("a floor of ", own.floor, node["floor"]),
            ("on its line ", credit, node["credit"]),
            ("blocked debits: ", own.is_blocked, node["blocked"]),
        ):
            require(had == said, f"{node['name']} had {what}{had} after frame {frame:,}, not {said}")


def _check_staged(books: Books, header: Mapping[str, Any], made: Certificate, accounts: Sequence[int]) -> None:
    """Require that a batch has the chosen legs in order, and after them draws on lines and repayments alone."""
    batch = header["batch"]
    staged = books.records[(books.records["kind"] == Kind.STAGE) & (books.records["number"] == batch)]
    is_position = np.array([account > 0 for account in accounts])
    rows = made.rows[(made.rows["chosen"] == 1) & is_position[made.rows["sender"]]]
    legs, others = staged[: rows.size], staged[rows.size :]
    lines = list(zip(accounts, (int(node["line"], 16) for node in header["nodes"]), strict=True))
    of = np.array(accounts, object)
    uetrs = [int.from_bytes(each.tobytes(), "big") for each in rows["uetr"]]
    require(
        legs.size == rows.size
        and ids.of_records(legs, "note") == uetrs
        and ids.of_records(legs, "debit") == of[rows["sender"]].tolist()
        and ids.of_records(legs, "credit") == of[rows["receiver"]].tolist()
        and np.array_equal(legs["amount"], rows["amount"].astype(np.int64)),
        f"batch {batch:,} has other payments than its certificate chose",
    )
    drawn: set[int] = set()
    for note, *sides in zip(*(ids.of_records(others, name) for name in ("note", "debit", "credit")), strict=True):
        own = next((pair for pair in lines if set(sides) == set(pair)), None)
        require(not note and own is not None, f"batch {batch:,} has a payment that its certificate did not choose")
        assert own is not None
        require(own[0] not in drawn, f"batch {batch:,} has two draws or repayments of one position")
        drawn.add(own[0])


def _check_once(books: Books, positions: Collection[int]) -> set[int]:
    """Require that no leg between positions was booked twice; return the batches of those that were staged."""
    seen: set[tuple[int, int]] = set()
    batches: set[int] = set()
    for debit, credit, note, batch in _booked(books.records):
        if debit not in positions or credit not in positions:
            continue
        account = books.state.account(debit)
        assert account is not None
        leg = note, account.currency
        require(leg not in seen, f"the payment {ids.format(note)} is settled twice")
        seen.add(leg)
        batches |= {batch} - {0}
    return batches


def _booked(records: Array) -> Iterator[tuple[int, int, int, int]]:
    """Yield debit, credit, note and batch of each record; the batch of a TRANSFER is 0."""
    batches = np.where(records["kind"] == Kind.STAGE, records["number"], 0).tolist()
    sides = (ids.of_records(records, name) for name in ("debit", "credit", "note"))
    yield from zip(*sides, batches, strict=True)


def _accounts(header: Mapping[str, Any]) -> list[int]:
    return [int(node["account"], 16) for node in header["nodes"]]
