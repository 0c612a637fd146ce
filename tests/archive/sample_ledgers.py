"""Ledgers for the tests: random histories replayed in memory, and a small town on disk over several days."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from sycee import AccountKind, Ledger
from sycee.archive.history_source import ReplayedLedger
from sycee.core.clock import SimulatedClock
from sycee.core.records import operations
from sycee.core.result_codes import Result
from sycee.ledger.state import LedgerState
from sycee.sequencer import reads
from sycee.sequencer.reads import Line
from sycee.testing.histories import Frame, random_history

LEDGER_ID = bytes(range(16))
DAY_NS = 86_400 * 10**9
HOUR_NS = 3_600 * 10**9


def moment(text: str) -> int:
    """Return the nanoseconds of a UTC time such as 2026-03-29T00:30."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def replayed_by_frame(history: Sequence[Frame]) -> Iterator[ReplayedLedger]:
    """Yield one state after each frame of a history."""
    state = LedgerState()
    source = ReplayedLedger(LEDGER_ID, state)
    for sequence, (now_ns, records, calendar) in enumerate(history, 1):
        if records.size:
            state.reserve(records)
            state.apply(sequence, now_ns, records.copy(), calendar)
        else:
            state.pass_time(now_ns, calendar, sequence=sequence)
        yield source


def replayed(history: Sequence[Frame]) -> ReplayedLedger:
    """Return the state after a whole history."""
    *_, last = replayed_by_frame(history)
    return last


def sample_ledger(seed: int = 7, steps: int = 300) -> ReplayedLedger:
    return replayed(random_history(seed, steps))


def whole_statement(source: ReplayedLedger, account: int) -> list[Line]:
    """Return the lines of `Ledger.statement` for a state."""
    return reads.statement(source.state, account)


def accounts_of(source: ReplayedLedger) -> list[int]:
    return [source.state.account_id(row) for row in range(source.state.accounts.size)]


class Town:
    """A ledger with two wallets, a shop and a programme of three packets, and a clock that the test sets."""

    def __init__(self, folder: Path, start: str = "2026-03-01T12:00", zone: str = "Europe/Paris") -> None:
        self.folder = folder
        self.clock = SimulatedClock(moment(start))
        self.ledger = Ledger.open(folder, clock=self.clock)
        ledger = self.ledger
        ledger.define_currency("EUR", zone=zone)
        kinds = ("ISSUANCE", "FUNDER", "WALLET", "WALLET", "MERCHANT")
        self.issuance, self.funder, self.ann, self.bob, self.shop = (
            ledger.open_account("EUR", AccountKind[kind]) for kind in kinds
        )
        assert ledger.transfer(self.issuance, self.ann, 100_000) == Result.CREATED

    def at(self, text: str) -> None:
        self.clock.set(moment(text))

    def wait(self, nanoseconds: int) -> None:
        self.clock.set(self.clock.now_ns() + nanoseconds)

    def drop(self) -> None:
        """Three packets of 20.00; ann claims the first and spends half of it."""
        ledger = self.ledger
        ledger.transfer(self.issuance, self.funder, 6_000)
        until_ns = self.clock.now_ns() + 30 * DAY_NS
        members = np.array([(n, 9) for n in (1, 2, 3)], [("low", "<u8"), ("high", "<u8")])
        seal = ledger.new_id()
        wallet = np.array([(self.ann & (2**64 - 1), self.ann >> 64)], members.dtype)
        for record in (
            operations.define_rule_set(
                ledger.new_id(), rule_set=1, groups=[], from_ns=0, until_ns=until_ns, return_account=self.funder
            ),
            operations.open_programme(
                ledger.new_id(), programme=1, funder=self.funder, rule_set=1, members=3, claim_from_ns=0,
                claim_until_ns=until_ns,
            ),
            operations.add_members(ledger.new_id(), programme=1, members=members),
            operations.seal_cohort(seal, programme=1, digest=operations.cohort_digest(members)),
            operations.drop(ledger.new_id(), programme=1, first=0, count=3, amount=2_000, seal=seal),
            operations.claim(
                ledger.new_id(), programme=1, member=np.array([0]), member_id=members[:1], wallet=wallet
            ),
        ):  # fmt: skip
            assert set(ledger.submit(record)["code"].tolist()) == {Result.CREATED}
        assert ledger.pay(self.ann, self.shop, 1_000) == Result.CREATED


def rows(answer: Any) -> list[Any]:
    return list(answer.values())
