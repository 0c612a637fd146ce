"""Days of the house: rounds, calls for money, default, the end, and kills between their steps."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path

import pytest
from tests.bank.killing import check_kills
from tests.bank.world import Copies
from tests.clearing.world import (
    EAST_BANK,
    HOUSE_OPERATOR,
    NORTH_BANK,
    PREFUNDED,
    SOUTH_BANK,
    Place,
    Sent,
    cleared_bank,
    place,
)
from tests.database.places import temporary_folder

from sycee.bank.bank import Bank
from sycee.clearing.house_days import Call, Day
from sycee.core.errors import NotFound, UsageError
from sycee.core.timestamps import exact_text
from sycee.database.events import EventKind, events_after

TODAY = date(2026, 11, 2)
MINUTE = 60 * 10**9
LATER = 10 * MINUTE  # of the close after the start


class Clocked(Place):
    """The open bank, whose clock is moved by minutes from where it was."""

    def start(self) -> int:
        return self.bank.stores.clock.now_ns()

    def open(self, start_ns: int) -> Day:
        """A day with a round after 5 minutes, the close after 10, and funding until 20."""
        return self.bank.clearing.house_days.open(
            TODAY, rounds_ns=[start_ns + 5 * MINUTE], close_ns=start_ns + LATER, funding_ns=start_ns + 2 * LATER,
            who=self.person(HOUSE_OPERATOR),
        )  # fmt: skip

    def run(self, at_ns: int) -> str:
        """Set the clock, do what is due, and return the state of the day."""
        if at_ns > self.bank.stores.clock.now_ns():
            self.bank.set_clock(at_ns)
        return self.bank.clearing.house_days.run(**self.signing, seconds=0.05).state  # type: ignore[arg-type]


def queue(town: Place) -> None:
    """A ring, what South cannot pay and North lives on, and what comes in another month."""
    town.send(NORTH_BANK, Sent(1, SOUTH_BANK, 10**9), Sent(2, EAST_BANK, 150_00))
    town.send(SOUTH_BANK, Sent(3, EAST_BANK, 10**9), Sent(4, NORTH_BANK, 120_00))
    town.send(EAST_BANK, Sent(5, NORTH_BANK, 10**9), Sent(6, SOUTH_BANK, 1, from_ns=2 * 10**18))


def test_a_day_with_a_default(tmp_path: Path) -> None:
    with place(tmp_path) as made:
        town = Clocked(made.bank)
        house_days, start = town.bank.clearing.house_days, town.start()
        with pytest.raises(NotFound):
            house_days.day()
        town.open(start)
        assert town.open(start).state == "open"
        queue(town)
        assert town.run(start) == "open"
        assert town.states(1, 3, 5) == ["queued"] * 3
        assert town.run(start + 5 * MINUTE) == "open"
        assert town.states(1, 2, 3, 4, 5) == ["booked", "queued", "booked", "queued", "booked"]
        assert [done > 0 for _, done in house_days.rounds("2026-11-02")] == [True]
        town.send(EAST_BANK, Sent(7, NORTH_BANK, 5_00))
        assert town.run(start + LATER) == "called"
        # North receives 120.00 and 5.00 and has 100.00; South has 100.00 and pays 120.00.
        assert house_days.calls("2026-11-02") == [Call(SOUTH_BANK, 156, 20_00, 20_00)]
        town.send(NORTH_BANK, Sent(8, EAST_BANK, 900_00))  # after the close
        assert town.run(start + LATER) == "called"
        assert town.run(start + 2 * LATER) == "ended"
        assert house_days.defaults("2026-11-02") == [SOUTH_BANK]
        assert house_days.calls("2026-11-02") == [Call(SOUTH_BANK, 156, 20_00, 20_00)]
        assert [town.funds(each).can_pay for each in (NORTH_BANK, SOUTH_BANK)] == [True, False]
        assert town.states(1, 2, 3, 4, 5, 6, 7, 8) == [
            "booked", "cancelled", "booked", "cancelled", "booked", "cleared", "booked", "queued",
        ]  # fmt: skip
        reasons = {each.uetr[-4:]: each.reason for each in town.bank.clearing.payments.page(state="cancelled")}
        assert reasons == {"0002": "TM01", "0004": "AM04"}
        assert house_days.day().cancelled == 2
        told = [
            (each.kind, each.operator, dict(each.data))
            for each in events_after(town.bank.stores.engine, 0, most=1_000)
            if each.kind in (EventKind.CLEARING_CALLED, EventKind.CLEARING_CANCELLED)
        ]
        called = {"currency": "CNY", "amount": "2000", "until": exact_text(start + 2 * LATER)}
        assert told == [
            (EventKind.CLEARING_CALLED, SOUTH_BANK, called),
            (EventKind.CLEARING_CANCELLED, NORTH_BANK, {"payments": 1, "reason": "TM01"}),
            (EventKind.CLEARING_CANCELLED, SOUTH_BANK, {"payments": 1, "reason": "AM04"}),
        ]
        assert town.run(start + 2 * LATER) == "ended"
        with pytest.raises(UsageError, match="other times"):
            town.open(start + 1)
        assert town.bank.check() == []


def test_a_day_with_called_money_ends_when_it_is_there(tmp_path: Path) -> None:
    with place(tmp_path) as made:
        town = Clocked(made.bank)
        start, house_days = town.start(), town.bank.clearing.house_days
        town.open(start)
        with pytest.raises(UsageError, match="has not ended"):
            house_days.open(
                date(2026, 11, 3), rounds_ns=[], close_ns=start + 1, funding_ns=start + 2,
                who=town.person(HOUSE_OPERATOR),
            )  # fmt: skip
        queue(town)
        assert town.run(start + LATER) == "called"
        assert house_days.calls("2026-11-02")[0].minor == 20_00
        assert town.prefund(SOUTH_BANK, 20_00) == "CREATED"
        assert town.run(start + LATER) == "ended"
        assert town.states(1, 2, 3, 4, 5) == ["booked"] * 5
        assert (house_days.defaults("2026-11-02"), house_days.day().cancelled) == ([], 0)
        assert town.balances() == [PREFUNDED - 30_00, 0, PREFUNDED + 150_00]


@cache
def opened_bank() -> Copies:
    """A closed bank with an open day and a queue; its clock shows the end of funding."""
    folder = temporary_folder()
    cleared_bank().copy(folder)
    with Bank.open(folder / "bank") as bank:
        town = Clocked(bank)
        start = town.start()
        town.open(start)
        queue(town)
        town.run(start + LATER)
        bank.set_clock(start + 2 * LATER)
    return Copies(folder, "")


def end(bank: Bank) -> None:
    """Judge, block South, settle the rest, and end the day."""
    town = Clocked(bank)
    assert town.run(0) == "ended"


def ended(bank: Bank) -> None:
    town = Clocked(bank)
    assert town.states(1, 2, 3, 4, 5) == ["booked", "cancelled", "booked", "cancelled", "booked"]
    assert town.bank.clearing.house_days.defaults("2026-11-02") == [SOUTH_BANK]
    assert not town.funds(SOUTH_BANK).can_pay
    assert town.bank.clearing.house_days.day().cancelled == 2


def test_killed_ends_of_a_day(tmp_path: Path) -> None:
    assert check_kills("", tmp_path, opened_bank(), end, expect=ended) >= 10


@pytest.mark.soak
def test_ends_killed_at_every_boundary(tmp_path: Path) -> None:
    assert check_kills("", tmp_path, opened_bank(), end, expect=ended, every=True) >= 10
