"""Jobs are due at a time, done exactly once, retried and caught up, on both databases."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.engine import Connection, Engine
from tests.database.places import opened
from tests.database.town import SIGNER, town
from tests.processes import PROCESSES

from sycee.core.clock import SimulatedClock
from sycee.core.errors import UnavailableError, UsageError
from sycee.database import tables
from sycee.database.jobs import LEASE_NS, Jobs, Run, Scheduler
from sycee.database.migrations import upgrade
from sycee.database.periods import occurrence_at, parse_period
from sycee.database.transactions import reading, write

SECOND_NS = 10**9
DAY_NS = 86_400 * SECOND_NS
START_NS = 1_800_000_000 * SECOND_NS
SHANGHAI_8 = "daily:08:00 Asia/Shanghai"


@pytest.fixture
def engine(where: str) -> Iterator[Engine]:
    with opened(where) as made:
        upgrade(made, tables.SCHEMA)
        yield made


class Desk:
    """Jobs with a clock, whose work notes its runs."""

    def __init__(self, engine: Engine, **options: object) -> None:
        self.engine = engine
        self.clock, self.machine = SimulatedClock(START_NS), SimulatedClock(START_NS)
        self.jobs = Jobs(engine, self.clock, lease_clock=self.machine)
        self.runs: list[Run] = []
        self.problem: Exception | None = None
        self.jobs.register("note", self.work, **options)  # type: ignore[arg-type]

    def work(self, run: Run) -> None:
        self.runs.append(run)
        if self.problem is not None:
            raise self.problem

    def add(self, due_ns: int, key: str = "a", **others: object) -> int:
        return write(self.engine, lambda connection: self.jobs.add(connection, "note", due_ns, key=key, **others))  # type: ignore[arg-type]


def stored_runs(engine: Engine) -> list[tuple[int, int]]:
    with reading(engine) as connection:
        rows = connection.execute(sqlalchemy.select(tables.RUNS.c.job, tables.RUNS.c.due_ns)).all()
    return sorted((row.job, row.due_ns) for row in rows)


def test_a_job_runs_once_when_it_is_due(engine: Engine) -> None:
    desk = Desk(engine)
    number = desk.add(START_NS + 5, payload={"account": 2**100})
    assert desk.add(START_NS + 99) == number
    assert desk.jobs.run_due() == 0
    desk.clock.set(START_NS + 5)
    assert desk.jobs.run_due() == 1
    assert desk.jobs.run_due() == 0
    (run,) = desk.runs
    assert (run.job, run.due_ns, run.payload, run.attempt) == (number, START_NS + 5, {"account": 2**100}, 1)
    assert stored_runs(engine) == [(number, START_NS + 5)]


def test_jobs_run_in_order_and_at_most_so_many(engine: Engine) -> None:
    desk = Desk(engine)
    for at in (3, 1, 2):
        desk.add(START_NS - at, key=str(at))
    assert desk.jobs.run_due(most=2) == 2
    assert [START_NS - run.due_ns for run in desk.runs] == [3, 2]


@pytest.mark.parametrize(("catch_up", "days"), [("each", [0, 1, 2, 3, 4]), ("last", [4])])
def test_five_missed_days(engine: Engine, catch_up: str, days: list[int]) -> None:
    desk = Desk(engine, catch_up=catch_up)
    first = parse_period(SHANGHAI_8).following(START_NS)
    desk.add(first, period=SHANGHAI_8)
    desk.clock.set(first + 4 * DAY_NS + 1)
    assert desk.jobs.run_due() == len(days)
    assert [run.due_ns for run in desk.runs] == [first + day * DAY_NS for day in days]
    assert len({run.id for run in desk.runs}) == len(days)
    desk.clock.advance(DAY_NS)
    assert desk.jobs.run_due() == 1
    assert desk.runs[-1].due_ns == first + 5 * DAY_NS


def test_an_error_is_stored_and_the_run_repeated(engine: Engine) -> None:
    desk = Desk(engine)
    desk.add(START_NS)
    desk.problem = UnavailableError("the disk is full")
    assert desk.jobs.run_due() == 0
    (failing,) = desk.jobs.failing()
    assert (failing.name, failing.attempts, failing.error) == ("note", 1, "UnavailableError: the disk is full")
    desk.problem = ValueError("Wang Lei")
    assert desk.jobs.run_due() == 0
    assert len(desk.runs) == 1  # a minute has not passed
    for minutes in (1, 2):
        desk.clock.advance(minutes * 60 * SECOND_NS)
        desk.jobs.run_due()
    assert desk.jobs.failing()[0].error == "ValueError"  # another message may be personal data
    desk.problem = None
    desk.clock.advance(4 * 60 * SECOND_NS)
    assert desk.jobs.run_due() == 1
    assert desk.jobs.failing() == []
    assert [run.attempt for run in desk.runs] == [1, 2, 3, 4]
    assert len({run.id for run in desk.runs}) == 1


def test_a_lease_keeps_others_away_until_it_ends(engine: Engine) -> None:
    desk, other = Desk(engine), Desk(engine)
    desk.add(START_NS)

    def meanwhile(run: Run) -> None:
        assert other.jobs.run_due() == 0
        other.machine.advance(LEASE_NS + 1)  # the first process sleeps and does not renew
        assert other.jobs.run_due() == 1
        assert other.runs[0].id == run.id

    desk.jobs._work["note"] = (meanwhile, "each")
    desk.jobs.run_due()
    assert len(stored_runs(engine)) == 1


def test_the_only_process_takes_over(engine: Engine) -> None:
    desk, other = Desk(engine), Desk(engine)
    desk.add(START_NS)
    desk.jobs._claim()  # and is killed
    assert other.jobs.run_due() == 0
    assert other.jobs.take_over() == 1
    assert other.jobs.run_due() == 1
    assert other.runs[0].attempt == 2


def test_stop(engine: Engine) -> None:
    desk = Desk(engine)
    desk.add(START_NS, period=f"every:{DAY_NS}")
    write(engine, lambda connection: desk.jobs.stop(connection, "note", "a"))
    write(engine, lambda connection: desk.jobs.stop(connection, "note", "b"))
    assert desk.jobs.run_due() == 0


def test_a_run_whose_intent_lapsed_gets_a_new_id(where: str, tmp_path: Path) -> None:
    with town(tmp_path, where) as made:
        signers: list[object] = []
        runs: list[Run] = []

        def pay(run: Run) -> None:
            runs.append(run)
            draft = made.draft(1000 * len(runs), [10], id=run.id, signers=signers)
            made.intents.perform(draft).require_created("the payment was refused")

        jobs = made.stores.jobs
        jobs.register("pay", pay)
        write(made.stores.engine, lambda connection: jobs.add(connection, "pay", 0, key=""))
        assert jobs.run_due() == 0
        assert jobs.failing()[0].error == "Refused: the payment was refused: NOT_AUTHORISED"
        signers.append(SIGNER)
        made.clock.advance(60 * SECOND_NS)
        assert jobs.run_due() == 1
        assert runs[0].id != runs[1].id
        assert made.states() == {1000: "lapsed", 2000: "paid"}
        assert made.shop() == 10


def test_a_server_runs_jobs_on_a_thread(engine: Engine) -> None:
    import time

    desk = Desk(engine)
    with Scheduler(desk.jobs, every_s=0.01) as scheduler:
        desk.add(START_NS)
        for _ in range(1_000):
            if stored_runs(engine):
                break
            time.sleep(0.01)
    assert stored_runs(engine)
    assert scheduler.error is None


def test_a_caller_waits_for_the_jobs_of_another_thread(engine: Engine) -> None:
    desk = Desk(engine)
    started, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def slow(run: Run) -> None:
        started.set()
        assert may_end.wait(60)
        ended.set()

    desk.jobs.register("slow", slow)
    write(engine, lambda connection: desk.jobs.add(connection, "slow", START_NS, key="a"))
    desk.jobs.wait()  # nobody runs jobs yet
    with Scheduler(desk.jobs, every_s=0.01):
        assert started.wait(60)
        assert desk.jobs.run_due() == 0  # the other thread has the job
        threading.Timer(0.2, may_end.set).start()
        desk.jobs.wait()
        assert ended.is_set()


def test_the_thread_goes_on_after_the_database_failed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    desk, calls = Desk(engine), []

    def fails_once() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise UnavailableError("the database does not answer")
        return 0

    monkeypatch.setattr(desk.jobs, "run_due", fails_once)
    with Scheduler(desk.jobs, every_s=0.01) as scheduler:
        while len(calls) < 2:
            time.sleep(0.01)
    assert scheduler.error is None


def test_what_is_no_job(engine: Engine) -> None:
    desk = Desk(engine)
    with pytest.raises(UsageError, match="is registered twice"):
        desk.jobs.register("note", desk.work)
    with pytest.raises(UsageError, match="suggests personal data"):
        desk.add(START_NS, payload={"phone": "1"})
    for period, problem in (("weekly", "is not a period"), ("daily:25:00 UTC", "is not"), ("daily:08:00 X/Y", "zone")):
        with pytest.raises(UsageError, match=problem):
            desk.add(START_NS, period=period)


@pytest.mark.parametrize(
    ("zone", "start", "expected"),
    [
        ("Asia/Shanghai", "2026-11-02T00:00", ["2026-11-02T00:30", "2026-11-03T00:30"]),
        ("Europe/Berlin", "2026-03-28T12:00", ["2026-03-29T06:30", "2026-03-30T06:30"]),  # the clocks change
    ],
)
def test_a_period_follows_the_zone(zone: str, start: str, expected: list[str]) -> None:
    from datetime import UTC, datetime

    def ns(text: str) -> int:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND_NS

    period = parse_period(f"daily:08:30 {zone}")
    first = period.following(ns(start))
    assert [first, period.following(first)] == [ns(text) for text in expected]
    assert occurrence_at(f"daily:08:30 {zone}", first, first + 10 * DAY_NS) == first + 10 * DAY_NS
    assert occurrence_at(f"every:{DAY_NS}", 5, 5 + 3 * DAY_NS + 1) == 5 + 3 * DAY_NS


# --- several processes ---

RESULTS = sqlalchemy.Table(
    "results",
    sqlalchemy.MetaData(),
    sqlalchemy.Column("number", sqlalchemy.Integer, primary_key=True),
    sqlalchemy.Column("run", sqlalchemy.Text),
)


def work_on(where: str, kill_at: int) -> None:
    """Run all jobs; be killed in the middle of the run of this number."""
    with opened(where) as engine:
        jobs = Jobs(engine, SimulatedClock(START_NS))
        number = 0

        def note(run: Run) -> None:
            nonlocal number
            number += 1
            if number == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

            def once(connection: Connection) -> None:
                connection.execute(RESULTS.insert().values(run=f"{run.id}"))

            write(engine, once)

        jobs.register("note", note)
        jobs.run_due()


def test_two_processes_and_a_killed_one(where: str) -> None:
    with opened(where) as engine:
        upgrade(engine, tables.SCHEMA)
        RESULTS.create(engine)
        desk = Desk(engine)
        for at in range(12):
            desk.add(START_NS, key=str(at))
        started = [PROCESSES.Process(target=work_on, args=(where, kill_at)) for kill_at in (0, 0, 3)]
        for process in started:
            process.start()
        for process in started:
            process.join(timeout=120)
        assert [process.exitcode for process in started[:2]] == [0, 0]
        with reading(engine) as connection:
            done = list(connection.scalars(sqlalchemy.select(RESULTS.c.run)))
        killed = started[2].exitcode == -signal.SIGKILL
        assert len(done) == len(set(done)) == len(stored_runs(engine)) == 12 - killed
        if killed:
            desk.machine.set(0)
            assert desk.jobs.run_due() == 0  # until the lease ends
            desk.machine.set(2**62)
            assert desk.jobs.run_due() == 1
            assert desk.runs[0].attempt == 2
