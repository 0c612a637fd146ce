"""Regular programmes: each occurrence begins once, through restarts, jumps of the clock and two schedulers."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.programmes import world
from tests.programmes.world import ANN, BOB, FILE, NORTH, moment, person

from sycee.bank.bank import Bank
from sycee.core.clock import SimulatedClock
from sycee.core.errors import UsageError
from sycee.programmes import states
from sycee.programmes.stored import Occurrence

NAME = "autumn-2026"
DAY_NS = world.world.DAY_NS
MONTHLY = "FREQ=MONTHLY;BYMONTHDAY=3;COUNT=13"


def repeated(rule: str = MONTHLY, *, catch_up: str = "each", overlap: bool = False) -> str:
    values = f'rule = "{rule}"\ncatch_up = "{catch_up}"\noverlap = {str(overlap).lower()}\nbeacon_period_s = 3\n'
    return f"{FILE}\n[schedule]\n{values}"


@contextmanager
def running(folder: Path, text: str) -> Iterator[Bank]:
    """A bank whose clock is a day after the first occurrence began."""
    options = world.at("funded").copy(folder)
    with world.opened(folder, options) as bank:
        bank.programmes.draft(text, funder=world.funder(bank), maker=person(bank, NORTH))
        bank.set_clock(moment(4))
        bank.programmes.open_registration(NAME, who=person(bank, NORTH))
        yield bank


def finish(bank: Bank, *which: int) -> None:
    for number in which:
        bank.programmes.cancel(NAME, number, who=person(bank, NORTH))


def hold(bank: Bank, found: Occurrence) -> None:
    """Lead an occurrence from its registration to its end; cancel it if its list cannot be published in time."""
    programmes, north, ann, number = bank.programmes, person(bank, NORTH), person(bank, ANN), found.occurrence
    windows = programmes.get(NAME).on(found)

    def until(moment_ns: int) -> None:
        bank.set_clock(max(moment_ns, bank.stores.clock.now_ns()))

    until(windows.registration.until_ns)
    if bank.stores.clock.now_ns() >= windows.draw.beacon_due_ns:
        programmes.cancel(NAME, number, who=north)
        return
    programmes.freeze(NAME, number, who=north, entries=world.entries())
    programmes.publish(NAME, number, who=north)
    until(windows.draw.beacon_due_ns)
    for who in (north, ann):
        programmes.bring_beacon(NAME, number, value=world.BEACON_VALUE, who=who)
    programmes.draw(NAME, number, who=north)
    proposal = programmes.propose_terms(NAME, number, maker=ann)
    assert bank.proposals.sign(proposal.id, ANN, BOB).needs == ()
    programmes.allot(NAME, number, signers=bank.signers(NORTH), who=north)
    programmes.drop(NAME, number, signers=bank.signers(NORTH), who=north)
    until(windows.expires_ns)
    assert programmes.occurrence(NAME, number).state == states.EXPIRED
    programmes.close(NAME, number, who=north)


def shown(found: tuple[Occurrence, ...]) -> list[tuple[str, str]]:
    return [(each.date, each.state) for each in found]


def test_an_occurrence_begins_at_its_time_with_its_own_windows(tmp_path: Path) -> None:
    with running(tmp_path, repeated()) as bank:
        finish(bank, 0)
        bank.set_clock(moment(3 + 30, 8) - 1)
        assert shown(bank.programmes.occurrences(NAME)) == [("2026-11-03", "cancelled")]
        bank.set_clock(moment(3 + 30, 8))
        assert shown(bank.programmes.occurrences(NAME))[1:] == [("2026-12-03", "registration")]
        stored, found = bank.programmes.get(NAME), bank.programmes.occurrence(NAME, 1)
        assert stored.state == states.RUNNING
        assert stored.on(found).registration.from_ns == moment(3 + 30, 8)
        with pytest.raises(UsageError, match="closes 2026-12-05 00:00:00"):
            bank.programmes.freeze(NAME, 1, who=person(bank, NORTH), entries=world.entries())


def test_an_occurrence_waits_for_an_unfinished_one_unless_they_may_overlap(tmp_path: Path) -> None:
    with running(tmp_path, repeated()) as bank:
        bank.set_clock(moment(3 + 30, 9))
        assert len(bank.programmes.occurrences(NAME)) == 1
        assert any("programmes.begin" in each for each in bank.findings)
        finish(bank, 0)
        bank.set_clock(moment(3 + 30, 11))  # the job is repeated
        assert shown(bank.programmes.occurrences(NAME))[1:] == [("2026-12-03", "registration")]
    with running(tmp_path / "overlapping", repeated("FREQ=DAILY;COUNT=9", overlap=True)) as bank:
        bank.set_clock(moment(5, 23))
        assert [each.state for each in bank.programmes.occurrences(NAME)] == ["registration"] * 3


@pytest.mark.parametrize(("catch_up", "begun"), [("each", ["11-04", "11-05"]), ("last", ["11-05"])])
def test_missed_occurrences(tmp_path: Path, catch_up: str, begun: list[str]) -> None:
    """At the end of 5 November the registrations of the 4th and the 5th are open, and that of the 3rd is over."""
    text = repeated("FREQ=DAILY;COUNT=9", catch_up=catch_up, overlap=True)
    with running(tmp_path, text) as bank:
        bank.set_clock(moment(5, 23))
        found = bank.programmes.occurrences(NAME)
    assert [each.date for each in found] == ["2026-11-03", "2026-11-04", "2026-11-05"]
    assert [each.date[5:] for each in found[1:] if each.state == states.REGISTRATION] == begun


def test_a_missed_registration_cancels_and_the_schedule_goes_on_until_it_is_stopped(tmp_path: Path) -> None:
    with running(tmp_path, repeated()) as bank:
        finish(bank, 0)
        bank.set_clock(moment(3 + 30 + 31 + 31, 9))  # 3 February; December and January passed
        assert shown(bank.programmes.occurrences(NAME))[1:] == [
            ("2026-12-03", "cancelled"),
            ("2027-01-03", "cancelled"),
            ("2027-02-03", "registration"),
        ]
        finish(bank, 3)
        assert bank.programmes.get(NAME).state == states.RUNNING
        bank.programmes.stop_repeating(NAME, who=person(bank, ANN))
        assert bank.programmes.get(NAME).state == states.CLOSED
        bank.set_clock(moment(3 + 30 + 31 + 31 + 28, 9))
        assert len(bank.programmes.occurrences(NAME)) == 4


def test_a_halted_programme_begins_nothing(tmp_path: Path) -> None:
    with running(tmp_path, repeated()) as bank:
        finish(bank, 0)
        bank.programmes.halt(NAME, "a shop was robbed", who=person(bank, ANN))
        bank.set_clock(moment(3 + 30, 9))
        assert len(bank.programmes.occurrences(NAME)) == 1


def test_two_schedulers_and_a_clock_that_goes_back_begin_each_occurrence_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path, repeated("FREQ=DAILY;COUNT=200", overlap=True)) as bank:
        jobs = bank.stores.jobs
        clock = SimulatedClock(moment(4))
        monkeypatch.setattr(jobs, "_clock", clock)
        chance = random.Random(7)
        for _ in range(12):
            clock.set(moment(4) + chance.randrange(-5, 30) * DAY_NS)
            callers = [threading.Thread(target=jobs.run_due) for _ in range(2)]
            for each in callers:
                each.start()
            for each in callers:
                each.join()
        days = [each.date for each in bank.programmes.occurrences(NAME)]
    assert days == sorted(set(days))
    assert len(days) > 5


@pytest.mark.parametrize("restarts", [6, pytest.param(50, marks=pytest.mark.soak)])
def test_a_year_with_restarts_and_jumps_of_the_clock(tmp_path: Path, restarts: int) -> None:
    """Each month's occurrence is drawn and dropped as soon as the restarted bank has its time; none happens twice."""
    options = world.at("funded").copy(tmp_path)
    chance = random.Random(restarts)
    with world.opened(tmp_path, options) as bank:
        bank.programmes.draft(repeated(), funder=world.funder(bank), maker=person(bank, NORTH))
        bank.set_clock(moment(4))
        bank.programmes.open_registration(NAME, who=person(bank, NORTH))
    for _ in range(restarts):
        with world.opened(tmp_path, options) as bank:
            now_ns = bank.stores.clock.now_ns()
            for found in bank.programmes.occurrences(NAME):
                if found.state == states.REGISTRATION:
                    hold(bank, found)
            bank.set_clock(max(now_ns, bank.stores.clock.now_ns()) + chance.randrange(1, 2 * 365 // restarts) * DAY_NS)
    with world.opened(tmp_path, options) as bank:
        found = bank.programmes.occurrences(NAME)
        assert [each.occurrence for each in found] == list(range(len(found)))
        assert [each.date for each in found] == sorted({each.date for each in found})
        assert {each.state for each in found} <= {states.CLOSED, states.CANCELLED, states.EXPIRED, states.REGISTRATION}
        dropped = [each for each in found if each.dropped_frame is not None]
        assert len(dropped) >= 2
        assert bank.check() == []
        with bank.stores.ledger.sequencer.reading() as state:
            for each in dropped:
                assert each.number is not None
                assert int(state.purses(each.number)["dropped"].sum()) == each.minor
