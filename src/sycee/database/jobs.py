"""Jobs: work that is due at a set time, once or daily, and is done exactly once.

A run is claimed by a lease, which is renewed while it works, so that two processes do not run it together. Its id is
chosen at the first claim and used again by retries. The work passes it as the id of its intent, so a run that is killed
between intent and end has no second effect. A periodic job's next time follows from the one before, so runs that were
missed while no process was open are caught up.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

import sqlalchemy
from sqlalchemy.engine import Connection, Engine

from sycee.core import ids
from sycee.core.canonical_json import canonical
from sycee.core.clock import Clock, RealClock, read_ns
from sycee.core.errors import SyceeError, UsageError
from sycee.database.intents import check_payload
from sycee.database.periods import occurrence_at, parse_period
from sycee.database.states import DONE, LAPSED, STOPPED, WAITING
from sycee.database.tables import INTENTS, JOBS, RUNS
from sycee.database.transactions import reading, write

LEASE_NS: Final = 60 * 10**9
RETRY_NS: Final = tuple(minutes * 60 * 10**9 for minutes in (1, 2, 4, 8, 16, 32, 60))  # then always the last

CatchUp = Literal["each", "last"]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a job. `id` is the same in every attempt: pass it as the id of the run's intent."""

    id: int
    job: int
    due_ns: int
    payload: Mapping[str, Any]
    attempt: int  # from 1


Work = Callable[[Run], None]


@dataclass(frozen=True, slots=True)
class FailingJob:
    """A job whose last run failed. `error`: the type of the error, and its message if it is one of Sycee's."""

    name: str
    key: str
    attempts: int
    error: str


class Jobs:
    """The jobs of one database. Due times are of `clock`; leases are of the machine's clock, which always advances."""

    def __init__(self, engine: Engine, clock: Clock, *, lease_clock: Clock | None = None) -> None:
        self._engine = engine
        self._clock = clock
        self._lease_clock = lease_clock or RealClock()
        self._owner = f"{os.getpid()}-{os.urandom(8).hex()}"
        self._work: dict[str, tuple[Work, CatchUp]] = {}
        self._callers = 0  # of `run_due`, in all threads
        self._changed = threading.Condition()

    def register(self, name: str, work: Work, *, catch_up: CatchUp = "each") -> None:
        """Set the work of the jobs of this name.

        `catch_up`: whether a periodic job that missed several times runs for each, or for the last alone. Raises
        UsageError for a name that is registered.
        """
        if name in self._work:
            raise UsageError(f"the job {name!r} is registered twice", hint="register each job's work once")
        self._work[name] = (work, catch_up)

    def add(
        self,
        connection: Connection,
        name: str,
        due_ns: int,
        *,
        key: str,
        payload: Mapping[str, Any] | None = None,
        period: str = "",
    ) -> int:
        """Add a job in the caller's transaction and return its number.

        The same name and key again return the same number and change nothing. `period`: "" for one run, `every:NS`, or
        `daily:HH:MM ZONE`. Raises UsageError for another period and for a payload with personal data.
        """
        check_payload(payload or {})
        parse_period(period)
        number = connection.scalar(sqlalchemy.select(JOBS.c.number).where(JOBS.c.name == name, JOBS.c.key == key))
        if number is not None:
            return int(number)
        row = {
            "name": name,
            "key": key,
            "due_ns": due_ns,
            "payload": canonical(dict(payload or {})).decode(),
            "period": period,
            "state": WAITING,
            "attempts": 0,
            "error": "",
        }
        inserted = connection.execute(JOBS.insert().values(row)).inserted_primary_key
        assert inserted is not None, "one row was inserted"
        return int(inserted[0])

    def is_waiting(self, connection: Connection, name: str, key: str) -> bool:
        """Return whether a job of this name and key is still to run, as the caller's transaction sees it."""
        chosen = (JOBS.c.name == name) & (JOBS.c.key == key) & (JOBS.c.state == WAITING)
        return connection.scalar(sqlalchemy.select(JOBS.c.number).where(chosen)) is not None

    def stop(self, connection: Connection, name: str, key: str) -> None:
        """Stop a waiting job in the caller's transaction; do nothing if there is none. A run in progress ends."""
        chosen = (JOBS.c.name == name) & (JOBS.c.key == key) & (JOBS.c.state == WAITING)
        connection.execute(JOBS.update().where(chosen).values(state=STOPPED))

    def take_over(self) -> int:
        """End the leases of all other processes; return their number.

        For the process with the lock of the ledger's folder: the processes of other leases have ended.
        """
        others = (JOBS.c.owner != self._owner) & (JOBS.c.state == WAITING)
        statement = JOBS.update().where(others).values(owner=None, lease_until_ns=None)
        return write(self._engine, lambda connection: connection.execute(statement).rowcount)

    def run_due(self, *, most: int = 100) -> int:
        """Run jobs that are due, earliest first, at most `most`; return how many runs succeeded.

        An error of a job is stored and the run repeated later; see `failing`. Raises UnavailableError if the database
        cannot be used.
        """
        succeeded = 0
        with self._changed:
            self._callers += 1
        try:
            for _ in range(most):
                run = self._claim()
                if run is None:
                    break
                name, claimed = run
                succeeded += self._execute(name, claimed)
        finally:
            with self._changed:
                self._callers -= 1
                self._changed.notify_all()
        return succeeded

    def wait(self) -> None:
        """Wait until no thread of this process runs jobs. A job must not call it."""
        with self._changed:
            self._changed.wait_for(lambda: self._callers == 0)

    def failing(self) -> list[FailingJob]:
        """Return the waiting jobs whose last run failed."""
        chosen = (JOBS.c.state == WAITING) & (JOBS.c.error != "")
        columns = (JOBS.c.name, JOBS.c.key, JOBS.c.attempts, JOBS.c.error)
        with reading(self._engine) as connection:
            rows = connection.execute(sqlalchemy.select(*columns).where(chosen).order_by(JOBS.c.number)).all()
        return [FailingJob(*row) for row in rows]

    # --- one run ---

    def _claim(self) -> tuple[str, Run] | None:
        now_ns, lease_ns = read_ns(self._clock), read_ns(self._lease_clock)
        fresh = ids.new(lease_ns // 1_000_000)
        is_free = JOBS.c.lease_until_ns.is_(None) | (JOBS.c.lease_until_ns < lease_ns)
        is_due = (JOBS.c.due_ns <= now_ns) & (JOBS.c.retry_ns.is_(None) | (JOBS.c.retry_ns <= now_ns))
        chosen = (JOBS.c.state == WAITING) & JOBS.c.name.in_(list(self._work)) & is_due & is_free
        newest = sqlalchemy.select(JOBS).where(chosen).order_by(JOBS.c.due_ns, JOBS.c.number).limit(1)

        def claim(connection: Connection) -> tuple[str, Run] | None:
            row = connection.execute(newest).one_or_none()
            if row is None:
                return None
            run, due_ns = row.run, row.due_ns
            if run is None:  # not a retry
                run = fresh
                if row.period and self._work[row.name][1] == "last":
                    due_ns = occurrence_at(row.period, row.due_ns, now_ns)
            connection.execute(
                JOBS.update()
                .where(JOBS.c.number == row.number)
                .values(
                    owner=self._owner,
                    lease_until_ns=lease_ns + LEASE_NS,
                    run=run,
                    due_ns=due_ns,
                    attempts=row.attempts + 1,
                )
            )
            return row.name, Run(run, row.number, due_ns, json.loads(row.payload), row.attempts + 1)

        return write(self._engine, claim)

    def _execute(self, name: str, run: Run) -> bool:
        """Run the work and store its end; return whether it succeeded."""
        try:
            with self._renewing(run):
                self._work[name][0](run)
        except SyceeError as error:
            self._fail(run, f"{type(error).__name__}: {error.message}")
        except Exception as error:  # a defect: the job stays, with the type of the error as its sign
            # Other messages may contain personal data.
            self._fail(run, type(error).__name__)
        else:
            self._complete(run)
            return True
        return False

    def _mine(self, run: Run) -> sqlalchemy.ColumnElement[bool]:
        return (JOBS.c.number == run.job) & (JOBS.c.run == run.id) & (JOBS.c.owner == self._owner)

    def _complete(self, run: Run) -> None:
        now_ns = read_ns(self._clock)

        def complete(connection: Connection) -> None:
            row = connection.execute(sqlalchemy.select(JOBS).where(self._mine(run))).one_or_none()
            if row is None:  # the lease ended, and another process has the run
                return
            values: dict[str, Any] = {"owner": None, "lease_until_ns": None, "retry_ns": None, "error": ""}
            if row.state == WAITING and row.period:
                values |= {"run": None, "attempts": 0, "due_ns": parse_period(row.period).following(run.due_ns)}
            elif row.state == WAITING:
                values |= {"state": DONE}
            connection.execute(JOBS.update().where(JOBS.c.number == run.job).values(values))
            end = {"run": run.id, "job": run.job, "due_ns": run.due_ns, "finished_ns": now_ns}
            connection.execute(RUNS.insert().values(end))

        write(self._engine, complete)

    def _fail(self, run: Run, error: str) -> None:
        retry_ns = read_ns(self._clock) + RETRY_NS[min(run.attempt, len(RETRY_NS)) - 1]

        def fail(connection: Connection) -> None:
            state = connection.scalar(sqlalchemy.select(INTENTS.c.state).where(INTENTS.c.id == run.id))
            values: dict[str, Any] = {"owner": None, "lease_until_ns": None, "retry_ns": retry_ns, "error": error}
            if state == LAPSED:  # nothing of it happened, and a retry needs another intent
                values["run"] = None
            connection.execute(JOBS.update().where(self._mine(run)).values(values))

        write(self._engine, fail)

    def _renew(self, run: Run) -> None:
        until_ns = read_ns(self._lease_clock) + LEASE_NS
        statement = JOBS.update().where(self._mine(run)).values(lease_until_ns=until_ns)
        write(self._engine, lambda connection: connection.execute(statement))

    @contextmanager
    def _renewing(self, run: Run) -> Iterator[None]:
        """Renew the lease on a thread while the work lasts."""
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(LEASE_NS / 3e9):
                try:
                    self._renew(run)
                except SyceeError:
                    return  # the run ends with the same error, or the lease is lost and its id protects its effects

        thread = threading.Thread(target=renew, name="sycee-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


class Scheduler:
    """A thread that runs due jobs of an open bank. Commands do not need it: they run due jobs when they open one."""

    def __init__(self, jobs: Jobs, *, every_s: float = 1.0) -> None:
        self._jobs = jobs
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="sycee-jobs", daemon=True)
        self.error: SyceeError | None = None  # why the newest try ran no job, for example the database is down

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, after the job in progress."""
        self._ended.set()
        self._thread.join()

    def __enter__(self) -> Scheduler:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _loop(self) -> None:
        while not self._ended.wait(self._every_s):
            try:
                self._jobs.run_due()
                self.error = None
            except SyceeError as error:
                self.error = error
