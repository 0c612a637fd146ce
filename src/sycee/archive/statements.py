"""Statement of an account between two moments, read along its chain of movements.

O(lines from the newest back to the beginning), regardless of the size and age of the ledger. The chain is read in
slices, and payments continue between slices: movements that existed at the first slice never change.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sycee.archive import history_copy
from sycee.archive.history_source import Source, reader_of
from sycee.archive.packets import Packet, packets_of
from sycee.core import ids
from sycee.core.arguments import check_id
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.records.layout import AccountKind, Purpose
from sycee.core.timestamps import Moment, Period, local_days
from sycee.sequencer.embedded import Line


@dataclass(frozen=True, slots=True)
class Basis:
    """Position of a ledger from which a result was computed; the same ledger gives the same result again."""

    ledger_id: bytes
    frame: int  # the newest that was read
    time_ns: int  # of that frame
    movement_digest: bytes  # of all movements up to that frame
    state_digest: bytes = b""  # of the state after it, as `sycee verify` prints it; empty unless requested


@dataclass(frozen=True, slots=True)
class Total:
    """Sums over lines of one purpose, one month, or all. Amounts in minor units, both positive."""

    name: str
    lines: int
    received: int
    paid_out: int
    balance: int | None = None  # after the last line, where it has a meaning


@dataclass(frozen=True)
class Statement:
    """Lines of one account, oldest first. Amounts in minor units: positive if received, negative if paid out."""

    account: int
    kind: AccountKind
    currency: int  # ISO 4217 number
    zone: str  # time zone of its days
    period: Period
    opening: int  # balance before the first line
    rows: Array  # (n,) history_copy.MOVEMENT_OF_IDS
    basis: Basis
    packets: tuple[Packet, ...] = ()  # money of programmes, which is not in the lines; empty unless requested

    @property
    def closing(self) -> int:
        """Balance after the last line."""
        return int(self.balances[-1]) if self.rows.size else self.opening

    @cached_property
    def amounts(self) -> Array:
        """Signed amounts, (n,) int64.

        0 for a refund that a suspense account pays to itself: the payer's account is closed or blocked, and this is its
        suspense account.
        """
        rows = self.rows
        amounts: Array = np.where(self._is_debit, -rows["amount"], rows["amount"])
        amounts[self._is_debit & self._is_own("credit")] = 0
        return amounts

    @cached_property
    def balances(self) -> Array:
        """Balance after each line, (n,) int64."""
        balances: Array = np.where(self._is_debit, self.rows["debit_balance"], self.rows["credit_balance"])
        return balances

    @cached_property
    def counterparties(self) -> Array:
        """Other side of each line, (n,) ids.ID; zero for a purse."""
        other = np.zeros(self.rows.size, ids.ID)
        for half in ("low", "high"):
            other[half] = np.where(self._is_debit, self.rows[f"credit_{half}"], self.rows[f"debit_{half}"])
        other[self._is_debit & self._is_own("credit")] = 0
        return other

    @cached_property
    def days(self) -> Array:
        """Local day of each line since 1970-01-01, (n,) int64."""
        return local_days(self.rows["time_ns"], self.zone)

    @property
    def lines(self) -> list[Line]:
        """Lines in the form of `Ledger.statement`."""
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
        """Total of all lines."""
        return self._total("total", np.ones(self.rows.size, np.bool_), self.closing)

    @property
    def by_purpose(self) -> list[Total]:
        """Totals by purpose, in order of its number."""
        purposes = self.rows["purpose"]
        return [self._total(Purpose(number).name, purposes == number) for number in np.unique(purposes).tolist()]

    @property
    def by_month(self) -> list[Total]:
        """Totals by local month that has lines, named as in "2026-03", with the balance at its end."""
        months = self.days.astype("datetime64[D]").astype("datetime64[M]")
        return [
            self._total(str(month), months == month, int(self.balances[np.flatnonzero(months == month)[-1]]))
            for month in np.unique(months)
        ]

    @cached_property
    def _is_debit(self) -> Array:
        return self._is_own("debit")

    def _is_own(self, side: str) -> Array:
        is_own: Array = ~self.rows[f"{side}_is_purse"] & ids.match(self.rows, side, self.account)
        return is_own

    def _total(self, name: str, chosen: Array, balance: int | None = None) -> Total:
        # The sums fit 64 bits, because an account's total debits and credits do.
        amounts = self.amounts[chosen]
        received, paid_out = int(amounts[amounts > 0].sum()), -int(amounts[amounts < 0].sum())
        return Total(name, amounts.size, received, paid_out, balance)


def statement(
    ledger: Source,
    account: int,
    *,
    year: int | None = None,
    from_: Moment | None = None,
    until: Moment | None = None,
    with_packets: bool = False,
    with_state_digest: bool = False,
) -> Statement:
    """Return the lines of an account in a calendar year, or with from_ ≤ time < until, as of the newest durable frame.

    A moment is an integer of nanoseconds, or a date (or its ISO text), which begins at midnight; years and dates are
    those of the time zone of the account's currency. `with_packets` adds the packets of a wallet, O(purses) in short
    slices. `with_state_digest` adds the digest of the whole state, O(state), during which no frame is applied. Raises
    UsageError if there is no such account, or the period is invalid.
    """
    number, source = check_id("account", account), reader_of(ledger)
    if year is not None and (from_ is not None or until is not None):
        raise UsageError("a year excludes from and until", hint="give either a year or days")
    with source.reading() as state:
        row = state.row(number)
        if row < 0:
            hint = (
                "open_account returns an account's id; to list all, `sycee export FOLDER`, then "
                '`sycee query FOLDER "SELECT account, kind, balance FROM balances"`'
            )
            raise UsageError(f"no account {ids.format(number)}", hint=hint)
        kind, currency = AccountKind(int(state.accounts["kind"][row])), int(state.accounts["currency"][row])
        zone = state.zones[currency]
        period = Period.of(zone, from_, until) if year is None else Period.of_year(zone, year)
        basis = Basis(
            ledger_id=source.ledger_id,
            frame=state.sequence,
            time_ns=int(state.frame_times[state.sequence]),
            movement_digest=state.movement_digest,
            state_digest=state.digest() if with_state_digest else b"",
        )
        # The period's frames: first ≤ frame < end.
        first = 1 if period.from_ns is None else history_copy.frame_before(state, period.from_ns) + 1
        end = state.sequence + 1 if period.until_ns is None else history_copy.frame_before(state, period.until_ns) + 1
    rows, opening = history_copy.read_chain(source, row, first, end, history_copy.movement_rows)
    rows = np.ascontiguousarray(rows[::-1])
    packets = packets_of(source, row, first, end) if with_packets else []
    return Statement(number, kind, currency, zone, period, opening, rows, basis, tuple(packets))
