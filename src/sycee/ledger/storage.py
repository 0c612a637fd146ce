"""Interface to the memory of a state's tables. The state machine itself opens no file and starts no thread.

`Storage` is the interface, and the implementation for a state in process memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from sycee.core.arrays import Array
from sycee.core.worker_thread import Deferred

if TYPE_CHECKING:
    from sycee.ledger.kernels import Tables

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Section(Protocol):
    """One array of a snapshot, in a file or in memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""

    def read_into(self, array: Array) -> None:
        """Fill an array of this shape. Raise IntegrityError if the bytes were changed."""


class Pending(Protocol[T_co]):
    """A value that may still be computed."""

    def done(self) -> bool:
        """Return whether `result` need not wait."""

    def result(self) -> T_co:
        """Wait for the value and return it. Raise the exception of its computation."""


class TableArray(Protocol):
    """Rows of one type, zero until written. `array` has the length of the last `grow`."""

    array: Array

    def grow(self, length: int) -> Array:
        """Extend the array to `length` rows. Raise MemoryError if there is no memory."""

    def use(self, rows: int, *, expected: int = 0, later: int = 0) -> None:
        """Record that `rows` are in use, that `expected` more follow immediately, and `later` more at some time."""


class Storage:
    """Memory of one state's tables, and its background work. Here: process memory, and all work in the calling thread.

    `sycee.storage.TableStorage` has reserved address space, working files and worker threads instead.
    """

    @property
    def refused(self) -> str:
        """Reason why old rows are not evicted, as one sentence; empty if they can be."""
        return ""

    def array(self, dtype: np.dtype[Any], length: int) -> TableArray:
        """Return a new table."""
        return _PlainArray(dtype, length)

    def begin(self, work: Callable[[], T]) -> Deferred[T]:
        """Begin work that is shorter than a frame and that the next frame needs."""
        deferred = Deferred(work)
        deferred.run()
        return deferred

    def begin_long(self, work: Callable[[], T]) -> Pending[T]:
        """Begin work that takes as long as many frames."""
        return self.begin(work)

    def evict(self, tables: Tables, now_ns: int, *, wait: bool = False) -> None:
        """Evict old rows from memory; with `wait`, all that can be. Call it between two frames."""

    def fill(self, parts: Mapping[str, Array], sections: Mapping[str, Section]) -> None:
        """Fill new tables, by name, with sections of a snapshot. Raise UnavailableError if a working file fails."""
        for name, part in parts.items():
            sections[name].read_into(part)

    def close(self) -> None:
        """Accept no more work. Tables remain readable."""


class _PlainArray:
    def __init__(self, dtype: np.dtype[Any], length: int) -> None:
        self.array: Array = np.zeros((length, *dtype.shape), dtype.base)

    def grow(self, length: int) -> Array:
        old = self.array
        self.array = np.zeros((length, *old.shape[1:]), old.dtype)
        self.array[: len(old)] = old
        return self.array

    def use(self, rows: int, *, expected: int = 0, later: int = 0) -> None:
        """Do nothing: the first write to a page allocates its memory."""
