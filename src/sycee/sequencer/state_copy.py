"""A copy of the ledger's state, to which records are applied without a trace. Exact: the kernels are the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sycee.core.arrays import Array
from sycee.core.errors import UnavailableError
from sycee.core.memory import available_bytes
from sycee.ledger.state import LedgerState
from sycee.sequencer.sequencer import Sequencer

_SHARE: Final = 2  # at most this part of the free memory


@dataclass(frozen=True, slots=True, eq=False)
class _Copied:
    """One array of a state, in memory."""

    array: Array

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.array.shape
        return shape

    def read_into(self, array: Array) -> None:
        array[...] = self.array


def copied_state(sequencer: Sequencer) -> LedgerState:
    """Return a copy of the ledger's state between two frames, which nobody else uses.

    Payments wait while the tables are copied. Raises UnavailableError if the copy would take more than half of the free
    memory.
    """
    with sequencer.reading() as state:
        sections, small = state.save()
        wanted = sum(array.nbytes for array in sections.values())
        free = available_bytes()
        if wanted * _SHARE * 2 > free:
            raise UnavailableError(
                f"a copy of the ledger's state takes {wanted >> 20:,} MiB twice; {free >> 20:,} MiB are free",
                hint="make the dry run on a restored copy of the bank, on another machine",
            )
        sections = {name: array.copy() for name, array in sections.items()}
    return LedgerState.load({name: _Copied(array) for name, array in sections.items()}, small)
