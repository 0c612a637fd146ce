"""Kernels and twin with the same frames: results and effects must be equal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from sycee.core.arrays import Array
from sycee.core.records import layout
from sycee.core.records.layout import Kind, Purpose
from sycee.core.result_codes import Result
from sycee.ledger.kernels import constants
from sycee.ledger.state import Dates, LedgerState
from sycee.testing.naive import NaiveLedger
from sycee.testing.naive_rows import Movement, Row

CHAIN_CODES = (Result.CHAIN_BROKEN, Result.CHAIN_OPEN, Result.CANNOT_BE_LINKED)
KNOWN_CODES = (Result.EXISTS, Result.EXISTS_WITH_DIFFERENT_CONTENT)


class Sides:
    """Kernels and twin. `resolve_first`: `apply` receives only the operations that `resolve` does not answer, as in the
    sequencer. Without it, `apply` receives the whole frame and must give the same results.

    The states are compared after each frame, or after one of `compare_every` frames. Results are always compared, and
    every movement by the next comparison.
    """

    def __init__(self, *, resolve_first: bool = True, compare_every: int = 1) -> None:
        self.compare_every = compare_every
        self.state = LedgerState()
        self.twin = NaiveLedger()
        self.resolve_first = resolve_first
        self.sequence = 0
        self._newest: dict[Row, int] = {}  # number of the newest movement of each row

    def frame(self, now_ns: int, operations: Array, calendar: Dates = ()) -> list[tuple[Result, Result]]:
        """Apply one frame to both. Return the equal (code, first code) of each operation."""
        self.sequence += 1
        if not operations.size:
            self.state.pass_time(now_ns, calendar, sequence=self.sequence)
            self.twin.pass_time(now_ns, calendar)
            self.compare()
            return []
        answers, pending = self.state.resolve(operations)
        fresh = answers["code"] == constants.PENDING
        assert pending == np.count_nonzero(fresh)
        resolved = self.twin.resolve(operations)
        assert [answer is None for answer in resolved] == fresh.tolist()
        known = [answer for answer in resolved if answer is not None]
        assert as_results(answers[~fresh]) == known
        submitted = operations[fresh] if self.resolve_first else operations
        self.state.reserve(operations[fresh])
        applied = self.state.apply(self.sequence, now_ns, submitted, calendar)
        expected = self.twin.apply(self.sequence, now_ns, submitted, calendar)
        assert as_results(applied) == expected, first_difference(as_results(applied), expected, submitted)
        if self.resolve_first:
            codes = iter(known)
            answers[fresh] = applied
            wanted = self.twin.resolve_broken_chains(
                operations, [expected.pop(0) if is_fresh else next(codes) for is_fresh in fresh]
            )
            self.state.resolve_broken_chains(operations, answers)
            assert as_results(answers) == wanted
        else:
            same = ["code", "first_code", "place"]
            # An operation of this frame may have bound an id that a broken chain also has.
            alike = ~fresh & ~(np.isin(answers["code"], CHAIN_CODES) & np.isin(applied["code"], KNOWN_CODES))
            assert applied[alike][same].tolist() == answers[alike][same].tolist(), "resolve and apply differ"
            answers = applied
        if self.sequence % self.compare_every == 0:
            self.compare()
        return as_results(answers)

    def history(self, frames: Iterable[tuple[int, Array, Dates]]) -> None:
        for now_ns, operations, calendar in frames:
            self.frame(now_ns, operations, calendar)

    def compare(self) -> None:
        """Assert that the states and the movements made since the last call are equal, and that all invariants hold."""
        done = sum(1 for _ in self.new_movements())
        assert len(self.twin.movements) == self.state.movements.size, f"{done} movements were equal"
        self.state.check()
        self.twin.check()
        assert self.state.digest() == self.twin.digest()
        assert self.state.movement_digest == self.twin.movement_digest

    def new_movements(self) -> Iterable[Movement]:
        movements = self.state.movements
        for number in range(max(self._newest.values(), default=0) + 1, movements.size + 1):
            movement = movements[number - 1]
            read = self.read(movement)
            assert read == self.twin.movements[number - 1]
            # Each movement names the previous movement of both its rows.
            assert movement["debit_previous"] == self._newest.get(read.debit, 0)
            assert movement["credit_previous"] == self._newest.get(read.credit, 0)
            assert movement["reserved"] == 0
            self._newest[read.debit] = self._newest[read.credit] = number
            yield read

    def read(self, movement: Any) -> Movement:
        """Return a movement of the kernels with ids instead of rows."""
        return Movement(
            debit=self.name_of(int(movement["debit_row"])),
            credit=self.name_of(int(movement["credit_row"])),
            amount=int(movement["amount"]),
            purpose=Purpose(int(movement["purpose"])),
            debit_balance=int(movement["debit_balance"]),
            credit_balance=int(movement["credit_balance"]),
            place=int(movement["place"]),
            leg=int(movement["leg"]),
        )

    def name_of(self, row: int) -> Row:
        if not row & layout.PURSE_BIT:
            return "account", self.state.account_id(row)
        number = row & ~layout.PURSE_BIT
        programme = int(self.state.tables.purses["programme"][number])
        return "purse", programme, number - int(self.state.tables.programmes["first_purse"][programme])


def as_results(answers: Array) -> list[tuple[Result, Result]]:
    return [(Result(code), Result(first)) for code, first in answers[["code", "first_code"]].tolist()]


def first_difference(
    applied: list[tuple[Result, Result]], expected: list[tuple[Result, Result]], operations: Array
) -> str:
    """Describe the first operation on which kernels and twin differ."""
    for at, (one, other) in enumerate(zip(applied, expected, strict=True)):
        if one != other:
            kind = int(operations["kind"][at])
            name = Kind(kind).name if kind in tuple(Kind) else str(kind)
            return f"operation {at}, {name}: kernels {one[0].name}, twin {other[0].name}"
    return "none"
