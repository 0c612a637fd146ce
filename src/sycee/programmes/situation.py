"""The situation while packets are claimed and spent: figures by operator and part, refusals by cause, and flags.

A flag names a shop or a pair whose payments look unusual, with the numbers and the threshold. It judges nobody: a
person examines it (docs/reference/programmes-live.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import sqlalchemy

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.limits import PLACE_INDEX_BITS
from sycee.core.records.layout import PURSE_BIT, AccountKind, Kind, Purpose
from sycee.core.result_codes import Result
from sycee.database.stores import Stores
from sycee.database.tables import INTENTS
from sycee.database.transactions import reading
from sycee.programmes.closing_reports import ClosingReports, claim_payloads
from sycee.programmes.dropping import CLAIM
from sycee.programmes.frozen_tables import ProgrammeTables, programme_tables
from sycee.programmes.occurrence_figures import OccurrenceFigures
from sycee.programmes.stored import Occurrence

WHOLE_PACKETS_MIN: Final = 10  # payments of whole packets at one shop
WHOLE_SHARE_MIN: Final = 50  # percent of the shop's payments from packets
PAIR_PAYMENTS_MIN: Final = 5  # payments of one packet at one shop
REFUND_PAYMENTS_MIN: Final = 10
REFUND_SHARE_MIN: Final = 30  # percent of what packets paid to the shop

WHOLE: Final = "whole packets"
PAIR: Final = "repeated pair"
REFUNDS: Final = "refunds"


@dataclass(frozen=True, slots=True)
class Flag:
    """Unusual payments at a shop. `wallet`: of a pair, 0 otherwise. `count` of `of` reached `threshold`."""

    kind: str
    shop: int
    wallet: int
    count: int
    of: int
    threshold: str


@dataclass(frozen=True, slots=True)
class Situation:
    """The figures of an occurrence as of one frame. `claims_refused`, `payments_refused`: numbers by the ledger's code.

    `claims_refused` and the claims by hour are read from outcomes in the database, up to the same frame. A claim of the
    newest frames is missing until its outcome is stored, while the claimed packets count it. A refusal that the ledger
    does not record has no frame, and counts from its outcome on.
    `payments_refused` are all refused payments of the bank since the first claim: the ledger does not know whether
    their payers meant a packet.
    """

    results: OccurrenceFigures
    claims_refused: dict[str, int]
    payments_refused: dict[str, int]
    flags: tuple[Flag, ...]


class Situations:
    """Reads the situation of programmes of one bank."""

    def __init__(self, stores: Stores, reports: ClosingReports) -> None:
        self._stores = stores
        self._reports = reports

    def read(self, name: str, occurrence: int = 0) -> Situation:
        """Return the situation of an occurrence, as of one frame. Raises UsageError before its drop."""
        stored, found = self._reports.dropped(name, occurrence)
        assert found.number is not None, "it was dropped"
        tables = programme_tables(self._stores.ledger.sequencer, found.number)
        results = self._reports.results(name, occurrence, tables)
        refused = _payments_refused(tables, stored.on(found).claim.from_ns)
        return Situation(results, self._claims_refused(found, tables.frame), refused, tuple(_flags(tables)))

    def _claims_refused(self, occurrence: Occurrence, frame: int) -> dict[str, int]:
        chosen = (INTENTS.c.action == CLAIM) & INTENTS.c.payload.in_(claim_payloads(occurrence))
        chosen &= INTENTS.c.frame.is_(None) | (INTENTS.c.frame <= frame)  # a lapsed intent has no frame
        counted: Counter[str] = Counter()
        with reading(self._stores.engine) as connection:
            for (codes,) in connection.execute(sqlalchemy.select(INTENTS.c.results).where(chosen)):
                counted.update(Result(int(code)).name for code in np.frombuffer(codes or b"", "<u2") if code)
        return dict(sorted(counted.items()))


def _payments_refused(tables: ProgrammeTables, from_ns: int) -> dict[str, int]:
    bound = tables.bound
    chosen = bound[(bound["kind"] == Kind.PAY) & (bound["result"] != Result.CREATED)]
    times = tables.frame_times[(chosen["place"] >> np.uint64(PLACE_INDEX_BITS)).astype(np.int64)]
    codes, counts = np.unique(chosen["result"][times >= from_ns], return_counts=True)
    return {Result(int(code)).name: int(count) for code, count in zip(codes, counts, strict=True)}


def _flags(tables: ProgrammeTables) -> Sequence[Flag]:
    """Return the flags of a programme's purses, by kind and account."""
    purses, first, accounts, movements = tables.purses, tables.first, tables.accounts, tables.movements

    def legs(purpose: Purpose, column: str) -> tuple[Array, Array]:
        chosen = movements[movements["purpose"] == purpose]
        member = chosen[column].astype(np.int64) - PURSE_BIT - first
        inside = (member >= 0) & (member < purses.size)
        return chosen[inside], member[inside]

    spent, member = legs(Purpose.PAY_PURSE, "debit_row")
    back, _ = legs(Purpose.REFUND_PURSE, "credit_row")
    shops = spent["credit_row"].astype(np.int64)
    is_shop = accounts["kind"][shops] == AccountKind.MERCHANT
    spent, member, shops = spent[is_shop], member[is_shop], shops[is_shop]
    is_whole = spent["amount"] == purses["dropped"][member]
    size = accounts.size
    payments, whole = np.bincount(shops, minlength=size), np.bincount(shops[is_whole], minlength=size)
    paid, refunded = np.zeros(size, np.int64), np.zeros(size, np.int64)
    np.add.at(paid, shops, spent["amount"])
    np.add.at(refunded, back["debit_row"].astype(np.int64), back["amount"])

    def account(row: int) -> int:
        return ids.join(accounts["id_low"][row], accounts["id_high"][row])

    found = []
    for row in np.flatnonzero((whole >= WHOLE_PACKETS_MIN) & (100 * whole >= WHOLE_SHARE_MIN * payments)).tolist():
        threshold = f"{WHOLE_PACKETS_MIN} payments and {WHOLE_SHARE_MIN} %"
        found.append(Flag(WHOLE, account(row), 0, int(whole[row]), int(payments[row]), threshold))
    pairs, counts = np.unique(np.stack((shops, member), axis=1), axis=0, return_counts=True)
    for (row, at), count in zip(pairs.tolist(), counts.tolist(), strict=True):
        if count >= PAIR_PAYMENTS_MIN:
            wallet = account(int(purses["wallet"][at]) - 1)
            total = int((member == at).sum())
            found.append(Flag(PAIR, account(row), wallet, count, total, f"{PAIR_PAYMENTS_MIN} payments"))
    is_much = (payments >= REFUND_PAYMENTS_MIN) & (100 * refunded >= REFUND_SHARE_MIN * np.maximum(paid, 1))
    for row in np.flatnonzero(is_much).tolist():
        threshold = f"{REFUND_PAYMENTS_MIN} payments and {REFUND_SHARE_MIN} % of the amount"
        found.append(Flag(REFUNDS, account(row), 0, int(refunded[row]), int(paid[row]), threshold))
    return found
