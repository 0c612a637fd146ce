"""An account's statement between two moments, read along its chain of movements: O(k) in the lines since its beginning.

How large the ledger is does not matter, nor how old it is. The chain is walked from the newest movement back, in
slices, and payments go on between two slices: what was there at the first of them cannot change any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sycee.archive import history_copy
from sycee.archive.history_source import Reading, Source, source_of
from sycee.archive.packets import Packet, packets_of
from sycee.archive.timestamps import Moment, Period, local_days
from sycee.core import ids
from sycee.core.arguments import check_id
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.ledger.layout import AccountKind, Purpose
from sycee.ledger.state import LedgerState
from sycee.sequencer.embedded import Line


@dataclass(frozen=True, slots=True)
class Basis:
    """What something that was read rests on: who has the ledger can compute the same again."""

    ledger_id: bytes
    frame: int  # the newest that was read
    time_ns: int  # of it
    movement_digest: bytes  # of all movements up to it
    state_digest: bytes = b""  # of the ledger after it, as `sycee verify` says it; empty where it was not asked for


@dataclass(frozen=True, slots=True)
class Total:
    """Lines that have something in common. Amounts in minor units, both positive."""

    name: str
    lines: int
    came_in: int
    went_out: int
    balance: int | None = None  # after the last of them, where that means something


@dataclass(frozen=True)
class Statement:
    """Lines of one account, oldest first. Amounts in minor units: positive came in, negative went out."""

    account: int
    kind: AccountKind
    currency: int  # ISO 4217 number
    zone: str  # where its days begin and end
    period: Period
    opening: int  # balance before the first line
    rows: Array  # (n,) columns.MOVEMENT_ROW
    basis: Basis
    packets: tuple[Packet, ...] = ()  # money of programmes is no own money, and stands beside; where it was asked for

    @property
    def closing(self) -> int:
        """Balance after the last line."""
        return int(self.balances[-1]) if self.rows.size else self.opening

    @cached_property
    def amounts(self) -> Array:
        """(n,) int64. A suspense account that gives back what a closed payer cannot take keeps it: 0."""
        rows = self.rows
        amounts: Array = np.where(self._went_out, -rows["amount"], rows["amount"])
        amounts[self._went_out & self._is_own("credit")] = 0
        return amounts

    @cached_property
    def balances(self) -> Array:
        """After each line: (n,) int64."""
        balances: Array = np.where(self._went_out, self.rows["debit_balance"], self.rows["credit_balance"])
        return balances

    @cached_property
    def counterparties(self) -> Array:
        """The other side of each line: (n,) ids.ID, zero where it is a purse."""
        other = np.zeros(self.rows.size, ids.ID)
        for half in ("low", "high"):
            other[half] = np.where(self._went_out, self.rows[f"credit_{half}"], self.rows[f"debit_{half}"])
        other[self._went_out & self._is_own("credit")] = 0
        return other

    @cached_property
    def days(self) -> Array:
        """Local day of each line, since 1970-01-01: (n,) int64."""
        return local_days(self.rows["time_ns"], self.zone)

    @property
    def lines(self) -> list[Line]:
        """The same as `Ledger.statement` gives."""
        other, rows = self.counterparties, self.rows
        return [
            Line(time_ns, Purpose(purpose), amount, balance, high << 64 | low, by_high << 64 | by_low)
            for time_ns, purpose, amount, balance, low, high, by_low, by_high in zip(
                rows["time_ns"].tolist(),
                rows["purpose"].tolist(),
                self.amounts.tolist(),
                self.balances.tolist(),
                other["low"].tolist(),
                other["high"].tolist(),
                rows["operation_low"].tolist(),
                rows["operation_high"].tolist(),
                strict=True,
            )
        ]

    @property
    def total(self) -> Total:
        """All lines."""
        return self._total("total", np.ones(self.rows.size, np.bool_), self.closing)

    @property
    def by_purpose(self) -> list[Total]:
        """The lines of each purpose there is, in order of its number."""
        purposes = self.rows["purpose"]
        return [self._total(Purpose(number).name, purposes == number) for number in np.unique(purposes).tolist()]

    @property
    def by_month(self) -> list[Total]:
        """The lines of each local month that has some, named like "2026-03", with the balance at its end."""
        months = self.days.astype("datetime64[D]").astype("datetime64[M]")
        found = []
        for month in np.unique(months):
            chosen = months == month
            found.append(self._total(str(month), chosen, int(self.balances[np.flatnonzero(chosen)[-1]])))
        return found

    @cached_property
    def _went_out(self) -> Array:
        return self._is_own("debit")

    def _is_own(self, side: str) -> Array:
        rows, (low, high) = self.rows, ids.split(self.account)
        is_own: Array = ~rows[f"{side}_is_purse"] & (rows[f"{side}_low"] == low) & (rows[f"{side}_high"] == high)
        return is_own

    def _total(self, name: str, chosen: Array, balance: int | None = None) -> Total:
        # A sum is at most what the account ever received or gave, which fits 64 bits.
        amounts = self.amounts[chosen]
        return Total(
            name, amounts.size, int(amounts[amounts > 0].sum()), -int(amounts[amounts < 0].sum()), balance
        )  # fmt: skip


def statement(
    ledger: Source,
    account: int,
    *,
    from_: Moment | None = None,
    until: Moment | None = None,
    with_packets: bool = False,
    with_state_digest: bool = False,
) -> Statement:
    """The lines of an account from one moment on and before another, as of the newest durable frame.

    A moment is an integer of nanoseconds, or a date (or its ISO text), which begins at midnight where the account's
    currency is at home. `with_packets` adds what a wallet's packets came to, O(purses) in short slices.
    `with_state_digest` names the whole state it rests on, too, which takes O(state) while nothing else is done. Raises
    UsageError where there is no such account, or no such period.
    """
    number = check_id("account", account)
    source = source_of(ledger)
    with source.reading() as state:
        zone = state.zones[int(state.accounts["currency"][_row(state, number)])]
    period = Period.of(zone, from_, until)
    return _read(source, number, period, with_packets=with_packets, with_state_digest=with_state_digest)


def statement_of_year(
    ledger: Source, account: int, year: int, *, with_packets: bool = False, with_state_digest: bool = False
) -> Statement:
    """The same of a calendar year where the account's currency is at home."""
    number = check_id("account", account)
    source = source_of(ledger)
    with source.reading() as state:
        zone = state.zones[int(state.accounts["currency"][_row(state, number)])]
    period = Period.of_year(zone, year)
    return _read(source, number, period, with_packets=with_packets, with_state_digest=with_state_digest)


def _read(source: Reading, account: int, period: Period, *, with_packets: bool, with_state_digest: bool) -> Statement:
    with source.reading() as state:
        row = _row(state, account)
        kind, currency = AccountKind(int(state.accounts["kind"][row])), int(state.accounts["currency"][row])
        zone = state.zones[currency]
        basis = basis_of(source, state, with_state_digest=with_state_digest)
        # Frames from `first` on, and before `end`.
        first = 1 if period.from_ns is None else history_copy.frame_before(state, period.from_ns) + 1
        end = state.sequence + 1 if period.until_ns is None else history_copy.frame_before(state, period.until_ns) + 1
        number = history_copy.newest_movement(state, row)
    slices: list[Array] = []
    while True:
        with source.reading() as state:
            numbers, number = history_copy.chain(state, row, number, first)
            if numbers.size < history_copy.SLICE_ROWS:
                opening = history_copy.balance_after(state, row, number)
            part = history_copy.movement_rows(state, numbers)
        slices.append(part[part["frame"] < end])
        if numbers.size < history_copy.SLICE_ROWS:
            break
    rows = np.ascontiguousarray(np.concatenate(slices)[::-1])
    packets = packets_of(source, row, first, end) if with_packets else []
    return Statement(account, kind, currency, zone, period, opening, rows, basis, tuple(packets))


def basis_of(source: Reading, state: LedgerState, *, with_state_digest: bool = False) -> Basis:
    """What is read of this state rests on."""
    return Basis(
        ledger_id=source.ledger_id,
        frame=state.sequence,
        time_ns=int(state.frame_times[state.sequence]),
        movement_digest=state.movement_digest,
        state_digest=state.digest() if with_state_digest else b"",
    )


def _row(state: LedgerState, account: int) -> int:
    row = state.row(account)
    if row < 0:
        raise UsageError(f"no account {ids.format(account)}", hint="ids come from open_account, or from `sycee query`")
    return row
