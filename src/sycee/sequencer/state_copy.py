"""A copy of the ledger's state, to which records are applied without a trace. Exact: the kernels are the same."""

from __future__ import annotations

from dataclasses import dataclass

from sycee.core.arrays import Array
from sycee.ledger.state import LedgerState
from sycee.sequencer.frozen import FrozenTables, require_memory
from sycee.sequencer.sequencer import Sequencer


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
        require_memory(sum(array.nbytes for array in tables.sections.values()), "the ledger's state")
        return LedgerState.load({name: _Section(tables, name) for name in tables.sections}, tables.small)
