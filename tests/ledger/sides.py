"""Kernels and twin side by side: every frame goes to both, and both must say and do the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from sycee.core.codes import Result
from sycee.ledger import kernels, layout
from sycee.ledger.layout import Purpose
from sycee.ledger.state import LedgerState
from sycee.testing.naive import NaiveLedger
from sycee.testing.naive_rows import Movement, Row

Array = np.ndarray[Any, Any]


class Sides:
    """`known_apart`: what is malformed or known is answered by `resolve` and kept from `apply`, as the sequencer does.
    Without it `apply` gets the whole frame and must refuse the same by itself."""

    def __init__(self, *, known_apart: bool = True) -> None:
        self.state = LedgerState()
        self.twin = NaiveLedger()
        self.known_apart = known_apart
        self.sequence = 0
        self._newest: dict[Row, int] = {}  # of each row, the number of its newest movement

    def frame(self, now_ns: int, operations: Array) -> list[tuple[Result, Result]]:
        """Apply one frame to both; returns (code, first code) of each operation, on which they agree."""
        self.sequence += 1
        answers, pending = self.state.resolve(operations)
        fresh = answers["code"] == kernels.PENDING
        assert pending == np.count_nonzero(fresh)
        self.state.reserve(operations[fresh])
        if self.known_apart:
            expected = self.twin.apply(self.sequence, now_ns, operations[~fresh])
            assert as_results(answers[~fresh]) == expected
            applied = self.state.apply(self.sequence, now_ns, operations[fresh])
            assert as_results(applied) == self.twin.apply(self.sequence, now_ns, operations[fresh])
            answers[fresh] = applied
        else:
            applied = self.state.apply(self.sequence, now_ns, operations)
            expected = self.twin.apply(self.sequence, now_ns, operations)
            assert as_results(applied) == expected
            same = ("code", "first_code", "place")
            assert applied[~fresh][[*same]].tolist() == answers[~fresh][[*same]].tolist(), "resolve and apply differ"
            answers = applied
        self.compare()
        return as_results(answers)

    def history(self, frames: Iterable[tuple[int, Array]]) -> None:
        for now_ns, operations in frames:
            self.frame(now_ns, operations)

    def compare(self) -> None:
        """The states are equal, the movements made since the last time are equal, and all invariants hold on both."""
        done = sum(1 for _ in self.new_movements())
        assert len(self.twin.movements) == self.state.movements.size, f"{done} movements were equal"
        self.state.check()
        self.twin.check()
        assert self.state.digest() == self.twin.digest()

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
        programme = int(self.state.tables.purses[number]["programme"])
        return "purse", programme, number - int(self.state.tables.programmes[programme]["first_purse"])


def as_results(answers: Array) -> list[tuple[Result, Result]]:
    return [(Result(code), Result(first)) for code, first in answers[["code", "first_code"]].tolist()]
