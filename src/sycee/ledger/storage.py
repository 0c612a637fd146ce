"""What a state is given to keep its tables in. The state machine itself opens no file and starts no thread.

`Storage` is the interface, `InMemory` the plain one: arrays that are copied when they grow, and work done at once.
`sycee.storage` has the one that a durable ledger uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from sycee.core.arrays import Array
from sycee.core.worker_thread import Coming

if TYPE_CHECKING:
    from sycee.ledger.kernels import Tables

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Section(Protocol):
    """One array of a snapshot, as the journal hands it out."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        ...

    def read_into(self, array: Array) -> None:
        """Fill an array of this shape. Raises IntegrityError where the bytes changed."""
        ...


class Pending(Protocol[T_co]):
    """A value that may still be computed."""

    def result(self) -> T_co:
        """Wait for the value and return it. Raises what computing it raised."""
        ...


class TableArray(Protocol):
    """Rows of one type, zero until written. `array` is as long as it was last asked to be."""

    array: Array

    def grow(self, length: int) -> Array:
        """Make the array `length` rows long, at least what it was. MemoryError if there is no room."""
        ...

    def use(self, rows: int, *, coming: int = 0) -> None:
        """Note that `rows` are in use and that `coming` more are expected at once."""
        ...


class Storage(Protocol):
    """Where one state keeps its tables, and how it has work done beside the frames."""

    @property
    def refused(self) -> str:
        """Why old rows stay in memory, in one sentence; empty if they need not."""
        ...

    def array(self, dtype: np.dtype[Any], length: int) -> TableArray:
        """Return a new table."""
        ...

    def begin(self, work: Callable[[], T]) -> Coming[T]:
        """Begin work that takes less time than a frame does and is needed by the next one."""
        ...

    def begin_long(self, work: Callable[[], T]) -> Pending[T]:
        """Begin work that takes as long as many frames."""
        ...

    def settle(self, tables: Tables, now_ns: int, *, wait: bool = False) -> None:
        """Let old rows leave memory; with `wait`, all that may. For between two frames."""
        ...

    def fill(self, parts: Mapping[str, Array], sections: Mapping[str, Section]) -> None:
        """Fill new tables, by name, with sections of a snapshot. UnavailableError if a working file fails."""
        ...

    def close(self) -> None:
        """Begin nothing more. Tables stay readable."""
        ...


class InMemory:
    """Tables in the process' memory alone, and all work done at once by the calling thread."""

    refused = ""

    def array(self, dtype: np.dtype[Any], length: int) -> TableArray:
        """Return a new table."""
        return _PlainArray(dtype, length)

    def begin(self, work: Callable[[], T]) -> Coming[T]:
        """Do the work."""
        coming = Coming(work)
        coming.run()
        return coming

    def begin_long(self, work: Callable[[], T]) -> Pending[T]:
        """Do the work."""
        return self.begin(work)

    def settle(self, tables: Tables, now_ns: int, *, wait: bool = False) -> None:
        """Do nothing: all rows stay in memory."""

    def fill(self, parts: Mapping[str, Array], sections: Mapping[str, Section]) -> None:
        """Read the sections one after the other."""
        for name, part in parts.items():
            sections[name].read_into(part)

    def close(self) -> None:
        """Do nothing."""


class _PlainArray:
    def __init__(self, dtype: np.dtype[Any], length: int) -> None:
        self.array: Array = np.zeros((length, *dtype.shape), dtype.base)

    def grow(self, length: int) -> Array:
        old = self.array
        self.array = np.zeros((length, *old.shape[1:]), old.dtype)
        self.array[: len(old)] = old
        return self.array

    def use(self, rows: int, *, coming: int = 0) -> None:
        """Nothing: the first write to a page gets memory for it."""
