"""Beginnings of the occurrences of a programme with a schedule: each local day exactly once.

One job exists for each day, under the key of programme and day. Its run stores the occurrence, opens its registration
and adds the job of the next day, in one transaction. A restart, a second scheduler or a clock that moves
backwards finds the row of the day, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Final

from sqlalchemy.engine import Connection

from sycee.core.clock import read_ns
from sycee.core.errors import UsageError
from sycee.database.jobs import Run
from sycee.database.stores import Stores
from sycee.database.transactions import write
from sycee.programmes import states
from sycee.programmes.definition import Programme
from sycee.programmes.schedule import Schedule
from sycee.programmes.stored import (
    Occurrence,
    StoredProgramme,
    change_state,
    new_occurrence,
    occurrence_in,
    occurrences_in,
    programme_in,
    record_programme_event,
)
from sycee.programmes.tables import OCCURRENCES

BEGIN_JOB: Final = "programmes.begin"


def begin_job(stores: Stores) -> Callable[[Run], None]:
    """Return the work of the jobs."""

    def begin(run: Run) -> None:
        name, day = run.payload["programme"], date.fromisoformat(run.payload["day"])
        write(stores.engine, lambda connection: _begin(connection, stores, name, day))

    return begin


def add_begin_job(connection: Connection, stores: Stores, programme: Programme, *, after: date) -> None:
    """Add the job of the occurrence that follows the one of a day, if there is one. Again: change nothing."""
    schedule = programme.schedule
    day = None if schedule is None else schedule.first_after(after)
    if schedule is None or day is None:
        return
    stores.jobs.add(
        connection, BEGIN_JOB, schedule.begins_ns(day), key=_key(programme.name, day),
        payload={"programme": programme.name, "day": day.isoformat()},
    )  # fmt: skip


def follows(connection: Connection, stores: Stores, programme: StoredProgramme) -> bool:
    """Return whether another occurrence begins after those that are stored."""
    key = _following_key(connection, programme)
    return key is not None and stores.jobs.is_waiting(connection, BEGIN_JOB, key)


def stop_repeating(connection: Connection, stores: Stores, programme: StoredProgramme) -> None:
    """Let no further occurrence begin."""
    if (key := _following_key(connection, programme)) is not None:
        stores.jobs.stop(connection, BEGIN_JOB, key)


def _begin(connection: Connection, stores: Stores, name: str, day: date) -> None:
    """Store the occurrence of a day, begun or cancelled, and add the job of the next one.

    Raises UsageError while the programme is halted, and while an earlier occurrence must be finished first: the job is
    repeated later.
    """
    stored, found = programme_in(connection, name), occurrences_in(connection, name)
    schedule = stored.definition.schedule
    assert schedule is not None, "only a schedule adds this job"
    if any(each.date == day.isoformat() for each in found):
        return
    now_ns = read_ns(stores.clock)
    is_missed = _is_missed(schedule, stored.definition, day, now_ns)
    if not is_missed:
        stored.require_running()
        _check_earlier(schedule, found, day)
    number = len(found)
    connection.execute(OCCURRENCES.insert().values(new_occurrence(stored.definition, number, day.isoformat(), now_ns)))
    data = {"day": day.isoformat()}
    record_programme_event(connection, stores.clock, states.EVENTS[states.DRAFT], name, number, data)
    made = occurrence_in(connection, name, number)
    if is_missed:
        change_state(connection, stores.clock, made, states.CANCELLED, {"reason": "missed"})
    else:
        change_state(connection, stores.clock, made, states.REGISTRATION, {})
    add_begin_job(connection, stores, stored.definition, after=day)


def _is_missed(schedule: Schedule, programme: Programme, day: date, now_ns: int) -> bool:
    """Return whether the occurrence of a day does not begin any more.

    Its registration is over, or a later one has begun too and the schedule does not catch up with each.
    """
    if now_ns >= programme.on(day).registration.until_ns:
        return True
    following = schedule.first_after(day)
    later_began = following is not None and schedule.begins_ns(following) <= now_ns
    return later_began and schedule.catch_up != "each"


def _check_earlier(schedule: Schedule, found: Sequence[Occurrence], day: date) -> None:
    if schedule.overlap:
        return
    for each in found:
        if each.state not in states.FINISHED:
            raise UsageError(
                f"{each.title} is {each.state}: the occurrence of {day} does not begin on an unfinished one",
                hint=f"the next step of the earlier one: {states.NEXT_STEPS[each.state]}",
            )


def _following_key(connection: Connection, programme: StoredProgramme) -> str | None:
    schedule, found = programme.definition.schedule, occurrences_in(connection, programme.name)
    day = None if schedule is None else schedule.first_after(date.fromisoformat(found[-1].date))
    return None if day is None else _key(programme.name, day)


def _key(name: str, day: date) -> str:
    return f"{name} {day.isoformat()}"
