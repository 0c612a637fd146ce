"""Packs that wait for their closer's signature, which is made on another machine: in memory, for an hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from threading import Lock
from typing import Final

from sycee.core import ids
from sycee.day.matching import Difference
from sycee.day.pack import Pack
from sycee.day.statements_csv import ImportedStatement

WAITING_NS: Final = 3_600 * 10**9
WAITING_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class Prepared:
    """An unsigned pack, and what is stored with it."""

    pack: Pack
    at_ns: int
    checkpoint_frame: int
    differences: tuple[Difference, ...]
    matched: tuple[int, ...]
    statements: tuple[ImportedStatement, ...]

    def is_of(self, day: date, person: int, statements: Sequence[ImportedStatement]) -> bool:
        """Return whether the pack is of this day, for this closer, and compared with these statements."""
        closer = self.pack.body["closed_by"]
        return (self.pack.day, closer, self.statements) == (day, ids.format(person), tuple(statements))


class WaitingPacks:
    """Prepared packs by the id of the request that asked for them. A new one replaces the oldest of WAITING_MAX."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._packs: dict[int, Prepared] = {}

    def get(self, request: int, now_ns: int) -> Prepared | None:
        """Return the pack of a request, if it still waits."""
        with self._lock:
            found = self._packs.get(request)
        return found if found is not None and found.at_ns > now_ns - WAITING_NS else None

    def keep(self, request: int, prepared: Prepared) -> None:
        """Keep a pack; without a request (0) its key is here, and nothing waits."""
        if not request:
            return
        with self._lock:
            self._packs[request] = prepared
            while len(self._packs) > WAITING_MAX:
                self._packs.pop(next(iter(self._packs)))

    def forget(self, request: int) -> None:
        """Forget the pack of a request."""
        with self._lock:
            self._packs.pop(request, None)
