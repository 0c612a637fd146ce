"""Kernels and twin side by side: every frame goes to both, and both must say and do the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from sycee.core.arrays import Array
from sycee.core.result_codes import Result
from sycee.ledger import layout
from sycee.ledger.kernels import constants
from sycee.ledger.layout import Kind, Purpose
from sycee.ledger.state import Dates, LedgerState
from sycee.testing.naive import NaiveLedger
from sycee.testing.naive_rows import Movement, Row

CHAIN_CODES = (Result.CHAIN_BROKEN, Result.CHAIN_OPEN, Result.CANNOT_BE_LINKED)
KNOWN_CODES = (Result.EXISTS, Result.EXISTS_WITH_DIFFERENT_CONTENT)


class Sides:
    """`known_apart`: what is malformed or known is answered by `resolve` and kept from `apply`, as the sequencer does.
    Without it `apply` gets the whole frame and must refuse the same by itself."""

    def __init__(self, *, known_apart: bool = True) -> None:
        self.state = LedgerState()
        self.twin = NaiveLedger()
        self.known_apart = known_apart
        self.sequence = 0
        self._newest: dict[Row, int] = {}  # of each row, the number of its newest movement

    def frame(self, now_ns: int, operations: Array, calendar: Dates = ()) -> list[tuple[Result, Result]]:
        """Apply one frame to both; returns (code, first code) of each operation, on which they agree."""
        self.sequence += 1
        if not operations.size:
            self.state.pass_time(now_ns, calendar, sequence=self.sequence)
            self.twin.pass_time(now_ns, calendar)
            self.compare()
            return []
        answers, pending = self.state.resolve(operations)
        fresh = answers["code"] == constants.PENDING
        assert pending == np.count_nonzero(fresh)
        assert [answer is None for answer in self.twin.resolve(operations)] == fresh.tolist()
        known = [answer for answer in self.twin.resolve(operations) if answer is not None]
        assert as_results(answers[~fresh]) == known
        asked = operations[fresh] if self.known_apart else operations
        self.state.reserve(operations[fresh])
        applied = self.state.apply(self.sequence, now_ns, asked, calendar)
        said = self.twin.apply(self.sequence, now_ns, asked, calendar)
        assert as_results(applied) == said, first_difference(as_results(applied), said, asked)
        if self.known_apart:
            codes = iter(known)
            answers[fresh] = applied
            wanted = self.twin.resolve_broken_chains(
                operations, [said.pop(0) if is_fresh else next(codes) for is_fresh in fresh]
            )
            self.state.resolve_broken_chains(operations, answers)
            assert as_results(answers) == wanted
        else:
            same = ["code", "first_code", "place"]
            # An operation of this frame may have bound the id of one in a broken chain, which is then known.
            alike = ~fresh & ~(np.isin(answers["code"], CHAIN_CODES) & np.isin(applied["code"], KNOWN_CODES))
            assert applied[alike][same].tolist() == answers[alike][same].tolist(), "resolve and apply differ"
            answers = applied
        self.compare()
        return as_results(answers)

    def history(self, frames: Iterable[tuple[int, Array, Dates]]) -> None:
        for now_ns, operations, calendar in frames:
            self.frame(now_ns, operations, calendar)

    def compare(self) -> None:
        """The states are equal, the movements made since the last time are equal, and all invariants hold on both."""
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
            # The chains: each movement names the one before it of both its rows.
            assert movement["debit_previous"] == self._newest.get(read.debit, 0)
            assert movement["credit_previous"] == self._newest.get(read.credit, 0)
            assert movement["reserved"] == 0
            self._newest[read.debit] = self._newest[read.credit] = number
            yield read

    def read(self, movement: Any) -> Movement:
        """A movement of the kernels with names instead of rows."""
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


def first_difference(applied: list[tuple[Result, Result]], said: list[tuple[Result, Result]], operations: Array) -> str:
    """The first operation on which kernels and twin differ, in words."""
    for at, (one, other) in enumerate(zip(applied, said, strict=True)):
        if one != other:
            kind = int(operations["kind"][at])
            name = Kind(kind).name if kind in tuple(Kind) else str(kind)
            return f"operation {at}, {name}: kernels {one[0].name}, twin {other[0].name}"
    return "none"
