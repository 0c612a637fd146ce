"""Ids of the operations of an occurrence: they follow from ledger, programme, date, step and attempt.

So a step that is repeated, by another process or after a crash, makes the same records, and the ledger answers them
with their first results. A second occurrence of the same date would have the same ids, and is refused by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from sycee.core import ids
from sycee.core.ids import Ids


@dataclass(frozen=True, slots=True)
class OccurrenceIds:
    """The ids of one occurrence. `date`: its local day, ISO 8601. `ledger_id`: 16 bytes."""

    ledger_id: bytes
    programme: str
    date: str

    def many(self, step: str, count: int, *, attempt: int = 0) -> Ids:
        """Return the first `count` ids of a step: (count,) ID, increasing. A larger count begins with the same ids."""
        day = date.fromisoformat(self.date)
        time_ms = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000
        seed = self.ledger_id + self.programme.encode() + b"\0" + self.date.encode()
        return ids.derive(seed, f"{step} {attempt}", count, time_ms=time_ms)

    def one(self, step: str, *, attempt: int = 0) -> int:
        """Return the id of a step that has one."""
        return ids.to_int(self.many(step, 1, attempt=attempt)[0])
