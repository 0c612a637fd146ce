"""Storage of a durable ledger's state: tables in reserved address space, old rows in working files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import numpy as np

from sycee.core.arrays import Array
from sycee.core.worker_thread import Deferred, Executor, Worker
from sycee.ledger import kernels
from sycee.ledger.kernels import constants
from sycee.ledger.storage import Pending, Section, Storage
from sycee.storage.eviction import Eviction
from sycee.storage.history import History
from sycee.storage.reserved_arrays import ReservedArray

T = TypeVar("T")

EVICTION_ROWS: Final = 1 << 16  # new rows between two checks for old ones, each of which costs microseconds
PARALLEL_READ_BYTES_MIN: Final = 64 << 20  # smaller sections are read faster than threads start
READ_THREADS_MAX: Final = 4  # as many as there are slow tables
OLD_TABLES: Final = ("movements", "bound")  # tables whose old rows are evicted while a snapshot is read

# One thread each for the whole program: they sleep unless a state has work for them.
_SHORT: Final = Worker("sycee-digest")
_LONG: Final = Executor("sycee-sorting")


class TableStorage(Storage):
    """Implements `ledger.storage.Storage` for one state."""

    def __init__(self, history: History | None = None) -> None:
        """Create the storage. Old rows are evicted to `history`; without it all rows stay in memory."""
        if history:
            history.begin()
        self.history = history
        self._eviction = Eviction(history) if history else None
        self._evicts_at = EVICTION_ROWS

    @property
    def refused(self) -> str:
        """Return the reason for which old rows stay in memory; empty if there is none."""
        return self.history.refused if self.history else ""

    def array(self, dtype: np.dtype[Any], length: int) -> ReservedArray:
        """Return a new table that grows without being copied."""
        return ReservedArray(dtype, length)

    def begin(self, work: Callable[[], T]) -> Deferred[T]:
        """Begin a task on the worker that runs the calling task, if it is known, else on the one for short tasks."""
        return (Worker.current() or _SHORT).submit(work)

    def begin_long(self, work: Callable[[], T]) -> Pending[T]:
        """Begin a task on the worker thread for tasks that last for many frames."""
        return _LONG.submit(work)

    def evict(self, tables: kernels.Tables, now_ns: int, *, wait: bool = False) -> None:
        """Evict old rows: purses of finished programmes, and the oldest rows of append-only tables."""
        if self.history is None or self._eviction is None:
            return
        if now_ns >= self._eviction.next_check_ns:
            self._eviction.evict_next(tables, now_ns, wait=wait)
        ids = int(tables.generations[constants.RUN_IDS])
        movements, bound = (int(tables.counters[counter]) for counter in (constants.MOVEMENTS, constants.BOUND))
        if wait or movements + bound + ids >= self._evicts_at:
            self._evicts_at = movements + bound + ids + EVICTION_ROWS
            final = {"movements": movements, "bound": bound, "run_ids": ids, "run_rows": ids}
            self.history.evict(
                {name: (getattr(tables, name).view(np.ndarray), rows) for name, rows in final.items()}, wait=wait
            )

    def fill(self, parts: Mapping[str, Array], sections: Mapping[str, Section]) -> None:
        """Fill new tables with sections of a snapshot: large ones in parallel, old rows to the working files."""
        if self.history:
            self.history.begin_loading({name: (parts[name], len(parts[name])) for name in OLD_TABLES})
        if sum(part.nbytes for part in parts.values()) < PARALLEL_READ_BYTES_MIN:
            for name, part in parts.items():
                sections[name].read_into(part)
        else:
            _read_in_parallel(parts, sections)
        if self.history:
            self.history.finish_loading()

    def close(self) -> None:
        """Stop evicting. Tables stay readable."""
        if self.history:
            self.history.close()


def _read_in_parallel(parts: Mapping[str, Array], sections: Mapping[str, Section]) -> None:
    with ThreadPoolExecutor(min(READ_THREADS_MAX, os.cpu_count() or 1), thread_name_prefix="sycee-load") as pool:
        longest_first = sorted(parts, key=lambda name: -parts[name].nbytes)
        for done in [pool.submit(sections[name].read_into, parts[name]) for name in longest_first]:
            done.result()
