"""Sets as stored: a set's row, its draws on lines, its certificate, and the records that follow from them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.clearing.gross import write_notes
from sycee.clearing.house import Position
from sycee.clearing.positions import Funds
from sycee.clearing.tables import CERTIFICATES, DONE, DRAWS, NET, SETS
from sycee.clearing.waiting import Nodes, Waiting, in_set, legs_of
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import NotFound, require
from sycee.core.records import operations

if TYPE_CHECKING:
    from sycee.clearing.certificate import Certificate

_LOW_BITS: Final = (1 << 64) - 1
PLACE_BITS: Final = 32  # of the ids of a set's records: its random bits, which count here


@dataclass(frozen=True, slots=True)
class Set:
    """A set. Fields as of the table `clearing_sets`."""

    id: int
    kind: str
    first: int
    batch: int
    payments: int
    records: int
    total_minor: int
    frame: int
    decided_ns: int
    ended_ns: int
    reason: str
    state: str
    who: int


def note_in(connection: Connection, id: int) -> int:
    """Return the note of a set's SETTLE: the first half of the digest of its certificate."""
    query = sqlalchemy.select(CERTIFICATES.c.digest).where(CERTIFICATES.c.set_id == id)
    digest = connection.execute(query).scalar_one()
    return int.from_bytes(bytes.fromhex(digest)[:16], "little")


def header_in(connection: Connection, id: int) -> dict[str, Any]:
    """Return the header of a set's certificate."""
    query = sqlalchemy.select(CERTIFICATES.c.header).where(CERTIFICATES.c.set_id == id)
    header: dict[str, Any] = json.loads(bytes(connection.execute(query).scalar_one()))
    return header


def set_in(connection: Connection, id: int) -> Set:
    """Return a set. Raises NotFound if there is none."""
    row = connection.execute(sqlalchemy.select(SETS).where(SETS.c.id == id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no set {ids.format(id)}")
    return Set(**row._mapping)


def unfinished_in(connection: Connection, kind: str) -> list[Set]:
    """Return the sets of a kind that have not ended, oldest first."""
    query = sqlalchemy.select(SETS).where(SETS.c.ended_ns == 0, SETS.c.kind == kind).order_by(SETS.c.id)
    return [Set(**row._mapping) for row in connection.execute(query)]


def certificate_in(connection: Connection, id: int) -> Certificate:
    """Return the certificate of a set. Raises NotFound if there is none. The extra `clearing` is needed."""
    from sycee.clearing.certificate import ROW, Certificate

    row = connection.execute(sqlalchemy.select(CERTIFICATES).where(CERTIFICATES.c.set_id == id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no certificate of {ids.format(id)}")
    header = bytes(row.header)
    require(hashlib.sha256(header).hexdigest() == row.digest, f"the certificate of {ids.format(id)} was changed")
    return Certificate(header, np.frombuffer(bytes(row.rows), ROW))


def done_batches_in(connection: Connection) -> set[int]:
    """Return the batches of the sets that are booked."""
    chosen = (SETS.c.kind == NET) & (SETS.c.state == DONE)
    return set(connection.scalars(sqlalchemy.select(SETS.c.batch).where(chosen)))


def first_id(now_ns: int) -> int:
    """Return the id of the first record of a new set: the low bits are free for the others."""
    return ids.fresh(now_ns // 1_000_000) >> PLACE_BITS << PLACE_BITS


def settle_id(found: Set) -> int:
    """Return the id of a set's SETTLE: it follows those of its records."""
    return found.first + found.records


def draws_of(funds: Sequence[Funds], outflows: Array) -> dict[tuple[int, int], int]:
    """Return what each position draws from its line, or repays if below zero, by participant and currency.

    `outflows`: what the set takes from each position net. A position that pays out draws what its own money lacks; any
    position repays what its line is owed, as far as its own money allows.
    """
    draws = {}
    for each, outflow in zip(funds, outflows.tolist(), strict=True):
        free = each.minor - each.floor_minor - outflow
        if free < 0 and outflow > 0:
            minor = -free
        elif free > 0 and each.can_pay and each.line_receives:
            minor = -min(free, each.drawn_minor)
        else:
            minor = 0
        if minor:
            draws[each.position.participant, each.position.currency] = minor
    return draws


def draws_in(connection: Connection, id: int) -> dict[tuple[int, int], int]:
    """Return the draws of a stored set."""
    query = sqlalchemy.select(DRAWS).where(DRAWS.c.set_id == id)
    query = query.order_by(DRAWS.c.participant, DRAWS.c.currency)
    return {(row.participant, row.currency): row.minor for row in connection.execute(query)}


def records_of(found: Set, chosen: Waiting, draws: dict[tuple[int, int], int], positions: Sequence[Position]) -> Array:
    """Return the STAGE records of a set, in order: the legs of its payments, then draws and repayments."""
    nodes = Nodes.of_positions(positions)
    legs = legs_of(chosen, nodes)
    accounts = np.array([ids.split(each.account) for each in positions], ids.ID)
    lines = np.array([ids.split(each.line) for each in positions], ids.ID)
    keys = sorted(draws)
    at = nodes.find(np.array([each for each, _ in keys], np.int64), np.array([each for _, each in keys], np.int64))
    minor = np.array([draws[key] for key in keys], np.int64)
    is_draw = minor > 0
    debit = np.concatenate([accounts[legs.senders], np.where(is_draw, lines[at], accounts[at])])
    credit = np.concatenate([accounts[legs.receivers], np.where(is_draw, accounts[at], lines[at])])
    amounts = np.concatenate([legs.amounts, np.abs(minor)])
    made = np.empty(amounts.size, ids.ID)
    made["high"] = found.first >> 64
    made["low"] = np.uint64(found.first & _LOW_BITS) + np.arange(amounts.size, dtype=np.uint64)
    records = operations.stage(made, batch=found.batch, debit=debit, credit=credit, amount=amounts)
    write_notes(records[: legs.payments.size], chosen.uetrs[legs.payments])
    return records


def stored_records(connection: Connection, found: Set, positions: Sequence[Position]) -> Array:
    """Return the STAGE records of a stored set."""
    return records_of(found, in_set(connection, found.id), draws_in(connection, found.id), positions)


def new_row(id: int, kind: str, **values: Any) -> dict[str, Any]:
    """Return the row of a new set."""
    return {"id": id, "kind": kind, "frame": 0, "ended_ns": 0, "reason": ""} | values
