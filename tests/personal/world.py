"""A register with its key file, access log and retention, on any database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import ClassVar
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.engine import Engine
from tests.database.places import opened

from sycee.core import ids
from sycee.core.clock import SimulatedClock
from sycee.core.errors import UsageError
from sycee.database.migrations import upgrade
from sycee.database.transactions import write
from sycee.personal import retention, tables
from sycee.personal.access import Access, AccessLog, Reason
from sycee.personal.keys import FILE_NAME, PersonalKeys
from sycee.personal.register import Register
from sycee.personal.retention import Retention

# Run a test that uses the fixture `bank` once per kind of database.
BOTH = pytest.mark.parametrize("bank", ["sqlite", "postgresql"], indirect=True)

MASTER = bytes(range(32))
DAY_NS = 86_400 * 10**9
NOON = 1_793_505_600 * 10**9  # 2026-11-01T04:00Z, noon in Shanghai
TODAY = date(2026, 11, 1)
CASE = 12
ANN, BOB, CLERK, PRIVACY = (ids.to_int(each) for each in ids.derive(b"personal", "persons", 4, time_ms=NOON // 10**6))
WANG = {
    "name": "Wang Li",
    "phone": "+86 138 0013 8000",
    "paper": "E1234567",
    "paper_kind": "passport",
    "birth": "1990-12-31",
    "address": "7 Lake Road",
}
ACCESS = Access(CLERK, Reason.COMPLAINT, CASE)


class OpenCases:
    """The numbers of the open cases, and the persons whom none concerns."""

    def __init__(self) -> None:
        self.open = {CASE}
        self.others: set[int] = set()
        self.opened_by = 0  # the person concerned

    def is_open(self, number: int) -> bool:
        return number in self.open

    def concerns(self, number: int, person: int) -> bool:
        return number in self.open and person not in self.others

    def opener(self, number: int, person: int) -> int:
        return self.opened_by or person


class Duties:
    """What each person may do."""

    MAY: ClassVar = {CLERK: {"person.read"}, PRIVACY: {"person.log", "person.shred"}}

    def require(self, person: int, action: str) -> None:
        if action not in self.MAY.get(person, ()):
            raise UsageError(f"{ids.format(person)} has no duty that allows {action}")


@dataclass
class World:
    """Everything that personal data needs."""

    engine: Engine
    clock: SimulatedClock
    cases: OpenCases
    keys: PersonalKeys
    log: AccessLog
    retention: Retention
    register: Register

    def store(self, person: int, fields: dict[str, str]) -> None:
        prepared = self.register.prepare_one(person, fields)
        write(self.engine, lambda connection: self.register.store_many(connection, prepared))

    def end_relation(self, person: int, since: date) -> date:
        return write(self.engine, lambda connection: self.retention.begin(connection, person, "relation-ended", since))


@contextmanager
def world(where: str, folder: Path, *, at_ns: int = NOON) -> Iterator[World]:
    """Open, or create, a world in a folder."""
    for name in ("bank", "backup"):
        (folder / name).mkdir(exist_ok=True)
    clock, cases, duties = SimulatedClock(at_ns), OpenCases(), Duties()
    with opened(where) as engine:
        upgrade(engine, tables.SCHEMA)
        keys = PersonalKeys.new(folder / "bank" / FILE_NAME, folder / "backup", MASTER, clock)
        log = AccessLog(engine, clock, cases, duties)
        kept = Retention(engine, clock, retention.load("eu-2015"), ZoneInfo("Asia/Shanghai"))
        register = Register(engine, clock, keys, log, kept, duties, phone_prefix="+86")
        try:
            yield World(engine, clock, cases, keys, log, kept, register)
        finally:
            keys.close()
