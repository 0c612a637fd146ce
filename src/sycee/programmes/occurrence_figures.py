"""The figures of an occurrence, read from its purses and movements on the ledger: the figures of its closing report.

Amounts are minor units. A *gross* amount counts a payment in full although some of it was refunded later. All arrays
are of the frame that `OccurrenceFigures.frame` names. Claims by hour are those up to this frame whose outcome was
stored in the database when they were read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sycee.core.arrays import Array
from sycee.core.limits import PLACE_INDEX_BITS
from sycee.core.records.layout import PURSE_BIT, AccountKind, Purpose
from sycee.programmes.definition import Programme, Window
from sycee.programmes.frozen_tables import ProgrammeTables

HOUR_NS: Final = 3_600 * 10**9
SMALL: Final = 10  # a row about fewer people is not shown

Minor = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Row:
    """Packets of one operator, part of the list or merchant group. `people`: holders, or shops of a group."""

    name: str
    people: int
    claimed: int
    spent_minor: int  # gross
    own_minor: int
    refunded_minor: int  # to packets

    @property
    def is_small(self) -> bool:
        """Whether the row is about so few people that it could show one."""
        return 0 < self.people < SMALL


@dataclass(frozen=True, slots=True, eq=False)
class Hours:
    """Sums for each hour from the first claim until expiry; `start_ns` is the start of each."""

    start_ns: Minor
    claims: Minor
    payments: Minor
    packets_minor: Minor  # gross
    own_minor: Minor
    refunded_minor: Minor


@dataclass(frozen=True, slots=True, eq=False)
class OccurrenceFigures:
    """The figures of one occurrence. `spent_minor`, `own_minor`: gross, at shops; `left_minor`: of claimed packets."""

    frame: int
    members: int
    claimed: int
    payments: int
    dropped_minor: int
    spent_minor: int
    own_minor: int
    refunded_minor: int
    returned_minor: int
    pending_minor: int
    hours: Hours
    operators: tuple[Row, ...]
    parts: tuple[Row, ...]
    groups: tuple[Row, ...]
    left_minor: Minor
    packet_minor: Minor  # of claimed packets, as dropped
    shop_minor: Minor  # received from packets and own money beside them, largest first

    @property
    def net_minor(self) -> int:
        """Return what packets paid less what was refunded to them."""
        return self.spent_minor - self.refunded_minor


def read(
    tables: ProgrammeTables,
    programme: Programme,
    *,
    operators: Mapping[str, int],
    parts: Sequence[tuple[str, NDArray[np.bool_]]],
    groups: Mapping[str, int],
    claims: Sequence[tuple[int, int]],
) -> OccurrenceFigures:
    """Return the figures of a programme, as of the frame of its tables.

    - `programme`: with the windows of the occurrence. `operators`, `groups`: numbers on the ledger, by name.
    - `parts`: name of each part of the list, and which members, in cohort order, are in it.
    - `claims`: (time in nanoseconds, number of packets claimed).
    """
    return _Reader(tables).results(programme, operators, parts, groups, claims)


class _Reader:
    """The legs of one programme: movements of its purses, and own money that paid beside them."""

    def __init__(self, tables: ProgrammeTables) -> None:
        self.tables = tables
        self.purses, self.first, self.accounts = tables.purses, tables.first, tables.accounts
        movements = tables.movements
        self.spent = self._of_purses(movements, Purpose.PAY_PURSE, "debit_row")
        self.refunds = self._of_purses(movements, Purpose.REFUND_PURSE, "credit_row")
        own = movements[movements["purpose"] == Purpose.PAY_OWN]
        self.own = own[np.isin(own["place"], self.spent["place"])]

    def _of_purses(self, movements: Array, purpose: Purpose, column: str) -> Array:
        chosen = movements[movements["purpose"] == purpose]
        rows = chosen[column].astype(np.int64) - PURSE_BIT
        found: Array = chosen[(rows >= self.first) & (rows < self.first + self.purses.size)]
        return found

    def member(self, legs: Array, column: str) -> NDArray[np.int64]:
        """Return the member of each leg."""
        found: NDArray[np.int64] = legs[column].astype(np.int64) - PURSE_BIT - self.first
        return found

    def time(self, legs: Array) -> Minor:
        found: Minor = self.tables.frame_times[(legs["place"] >> np.uint64(PLACE_INDEX_BITS)).astype(np.int64)]
        return found

    def results(
        self, programme: Programme, operators: Mapping[str, int],
        parts: Sequence[tuple[str, NDArray[np.bool_]]], groups: Mapping[str, int], claims: Sequence[tuple[int, int]],
    ) -> OccurrenceFigures:  # fmt: skip
        purses, accounts = self.purses, self.accounts
        claimed = purses["wallet"] > 0
        # The operator of a packet is that of the wallet that claimed it; of others it is not known here.
        operator = np.zeros(purses.size, np.int64)
        operator[claimed] = accounts["operator"][purses["wallet"][claimed].astype(np.int64) - 1]
        by_operator = [(name, operator == number) for name, number in operators.items()]
        return OccurrenceFigures(
            frame=self.tables.frame,
            members=int(purses.size),
            claimed=int(claimed.sum()),
            payments=int(np.unique(self.spent["place"]).size),
            dropped_minor=int(purses["dropped"].sum()),
            spent_minor=int(self.spent["amount"].sum()),
            own_minor=int(self.own["amount"].sum()),
            refunded_minor=int(self.refunds["amount"].sum()),
            returned_minor=int(purses["returned"].sum()),
            pending_minor=int(purses["pending"].sum()),
            hours=self.hours(Window(programme.claim.from_ns, programme.expires_ns), claims),
            operators=tuple(self.row(name, chosen) for name, chosen in by_operator),
            parts=tuple(self.row(name, chosen) for name, chosen in parts),
            groups=tuple(self.group(name, number) for name, number in groups.items()),
            left_minor=(purses["dropped"] - purses["spent"] + purses["refunded"])[claimed],
            packet_minor=purses["dropped"][claimed].copy(),
            shop_minor=self.shops(),
        )

    def row(self, name: str, chosen: NDArray[np.bool_]) -> Row:
        """Return the packets of some members, a mask in cohort order."""
        mine = chosen[self.member(self.spent, "debit_row")]
        places = self.spent["place"][mine]
        return Row(
            name,
            people=int(chosen.sum()),
            claimed=int((self.purses["wallet"][chosen] > 0).sum()),
            spent_minor=int(self.spent["amount"][mine].sum()),
            own_minor=int(self.own["amount"][np.isin(self.own["place"], places)].sum()),
            refunded_minor=int(self.refunds["amount"][chosen[self.member(self.refunds, "credit_row")]].sum()),
        )

    def group(self, name: str, number: int) -> Row:
        """Return what the shops of a group received from packets, and from own money beside them."""
        accounts, tables = self.accounts, self.tables
        payee = accounts["payee"].astype(np.int64)
        row = int(tables.group_rows[number]) - 1
        words = tables.group_bits[row] if row >= 0 else np.zeros(1, np.uint64)
        bits = np.unpackbits(words.astype("<u8").view(np.uint8), bitorder="little")
        inside = (payee > 0) & (payee < bits.size)
        inside[inside] = bits[payee[inside]] == 1
        paid = self.spent["amount"][inside[self.spent["credit_row"].astype(np.int64)]]
        own = self.own["amount"][inside[self.own["credit_row"].astype(np.int64)]]
        back = self.refunds["amount"][inside[self.refunds["debit_row"].astype(np.int64)]]
        shops = np.unique(self.spent["credit_row"][inside[self.spent["credit_row"].astype(np.int64)]]).size
        return Row(name, int(inside.sum()), int(shops), int(paid.sum()), int(own.sum()), int(back.sum()))

    def shops(self) -> Minor:
        received = np.zeros(self.accounts.size, np.int64)
        for legs in (self.spent, self.own):
            np.add.at(received, legs["credit_row"].astype(np.int64), legs["amount"])
        is_shop = (self.accounts["kind"] == AccountKind.MERCHANT) & (received > 0)
        return -np.sort(-received[is_shop])

    def hours(self, window: Window, claims: Sequence[tuple[int, int]]) -> Hours:
        start = np.arange(window.from_ns, window.until_ns, HOUR_NS)

        def by_hour(times: Minor, weights: Minor) -> Minor:
            hour = (times - window.from_ns) // HOUR_NS
            inside = (hour >= 0) & (hour < start.size)
            counted = np.zeros(start.size, np.int64)
            np.add.at(counted, hour[inside], weights[inside])
            return counted

        first_legs = self.spent[np.unique(self.spent["place"], return_index=True)[1]]
        claimed = np.array(claims, np.int64).reshape(-1, 2)
        return Hours(
            start_ns=start,
            claims=by_hour(claimed[:, 0], claimed[:, 1]),
            payments=by_hour(self.time(first_legs), np.ones(first_legs.size, np.int64)),
            packets_minor=by_hour(self.time(self.spent), self.spent["amount"]),
            own_minor=by_hour(self.time(self.own), self.own["amount"]),
            refunded_minor=by_hour(self.time(self.refunds), self.refunds["amount"]),
        )
