"""Ids of an occurrence: of its operations, and of its members.

Ids of operations follow from ledger, programme, date, step and attempt. So a step that is repeated, by another process
or after a crash, makes the same records, and the ledger answers them with their first results. A second occurrence of
the same date would have the same ids, and is refused by them. Ids of members follow from their commitments.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np

from sycee.core import ids
from sycee.core.arrays import Array
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


def member_ids(commitments: Array) -> Array:
    """Return the ids of members: the first 16 bytes of their commitments. (k, 32) uint8 to (k,) ID."""
    members = np.empty(len(commitments), ids.ID)
    halves = np.ascontiguousarray(commitments[:, :16]).view("<u8")
    members["low"], members["high"] = halves[:, 0], halves[:, 1]
    return members
