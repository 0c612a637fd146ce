"""The storage of a durable ledger's state: tables in reserved address space, old rows in working files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import numpy as np

from sycee.core.arrays import Array
from sycee.core.worker_thread import Coming, Executor, Worker
from sycee.ledger import kernels
from sycee.ledger.storage import Pending, Section
from sycee.storage.eviction import Eviction
from sycee.storage.history import History
from sycee.storage.reserved_arrays import ReservedArray

T = TypeVar("T")

SETTLED_EVERY_ROWS: Final = 1 << 16  # to check whether old rows may go to disk costs microseconds
PARALLEL_READ_BYTES_MIN: Final = 64 << 20  # less is read in the time that threads take to begin
READ_THREADS_MAX: Final = 4  # as many as there are tables that take long
OLD_TABLES: Final = ("movements", "bound")  # of which old rows may leave memory while they are read from a snapshot

# One thread each for the whole program: they sleep unless a state has work for them.
_SHORT: Final = Worker("sycee-digest")
_LONG: Final = Executor("sycee-sealing")


class TableStorage:
    """Implements `ledger.storage.Storage` for one state."""

    def __init__(self, history: History | None = None) -> None:
        """`history`: where old rows go; without it all stay in memory."""
        if history:
            history.begin()
        self.history = history
        self._eviction = Eviction(history) if history else None
        self._settles_at = SETTLED_EVERY_ROWS

    @property
    def refused(self) -> str:
        """Why old rows stay in memory, in one sentence; empty if they need not."""
        return self.history.refused if self.history else ""

    def array(self, dtype: np.dtype[Any], length: int) -> ReservedArray:
        """Return a new table, which grows without being copied."""
        return ReservedArray(dtype, length)

    def begin(self, work: Callable[[], T]) -> Coming[T]:
        """Begin work on a thread that takes one task after another."""
        return _SHORT.begin(work)

    def begin_long(self, work: Callable[[], T]) -> Pending[T]:
        """Begin work on a thread for tasks that take as long as many frames."""
        return _LONG.submit(work)

    def settle(self, tables: kernels.Tables, now_ns: int, *, wait: bool = False) -> None:
        """Let old rows leave memory: purses of programmes that are over, and the oldest rows of what only grows."""
        if self.history is None or self._eviction is None:
            return
        if now_ns >= self._eviction.goes_on_ns:
            self._eviction.go_on(tables, now_ns, wait=wait)
        ids = int(tables.generations[kernels.RUN_IDS])
        movements, bound = (int(tables.counters[counter]) for counter in (kernels.MOVEMENTS, kernels.BOUND))
        if wait or movements + bound + ids >= self._settles_at:
            self._settles_at = movements + bound + ids + SETTLED_EVERY_ROWS
            final = {"movements": movements, "bound": bound, "run_ids": ids, "run_rows": ids}
            self.history.settle(
                {name: (getattr(tables, name).view(np.ndarray), rows) for name, rows in final.items()}, wait=wait
            )

    def fill(self, parts: Mapping[str, Array], sections: Mapping[str, Section]) -> None:
        """Fill new tables with sections of a snapshot: large ones in parallel, old rows into the working files."""
        if self.history:
            self.history.take_in({name: (parts[name], len(parts[name])) for name in OLD_TABLES})
        if sum(part.nbytes for part in parts.values()) < PARALLEL_READ_BYTES_MIN:
            for name, part in parts.items():
                sections[name].read_into(part)
        else:
            _read_in_parallel(parts, sections)
        if self.history:
            self.history.taken_in()

    def close(self) -> None:
        """Begin nothing more. Tables stay readable."""
        if self.history:
            self.history.close()


def _read_in_parallel(parts: Mapping[str, Array], sections: Mapping[str, Section]) -> None:
    with ThreadPoolExecutor(min(READ_THREADS_MAX, os.cpu_count() or 1), thread_name_prefix="sycee-load") as pool:
        longest_first = sorted(parts, key=lambda name: -parts[name].nbytes)
        for done in [pool.submit(sections[name].read_into, parts[name]) for name in longest_first]:
            done.result()
