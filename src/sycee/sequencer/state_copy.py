"""A copy of the ledger's state, to which records are applied without a trace. Exact: the kernels are the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sycee.core.arrays import Array
from sycee.core.errors import UnavailableError
from sycee.core.memory import available_bytes
from sycee.ledger.state import LedgerState
from sycee.sequencer.frozen import FrozenTables
from sycee.sequencer.sequencer import Sequencer

_SHARE: Final = 2  # at most this part of the free memory


@dataclass(frozen=True, slots=True, eq=False)
class _Section:
    """One table of a frozen state."""

    tables: FrozenTables
    name: str

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.tables.sections[self.name].shape
        return shape

    def read_into(self, array: Array) -> None:
        self.tables.read_into(self.name, array)


def copied_state(sequencer: Sequencer) -> LedgerState:
    """Return a copy of the ledger's state as of the newest frame, which nobody else uses. Frames continue meanwhile.

    Raises UnavailableError if the copy would take more than half of the free memory, and as `Sequencer.frozen`.
    """
    with sequencer.frozen() as tables:
        wanted, free = sum(array.nbytes for array in tables.sections.values()), available_bytes()
        if wanted * _SHARE > free:
            raise UnavailableError(
                f"a copy of the ledger's state takes {wanted >> 20:,} MiB; {free >> 20:,} MiB are free",
                hint="make the dry run on a restored copy of the bank, on another machine",
            )
        return LedgerState.load({name: _Section(tables, name) for name in tables.sections}, tables.small)
