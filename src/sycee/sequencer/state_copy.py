"""Copies of the ledger's state as of one frame, made while frames continue.

`copied_state` is one to which records are applied without a trace. Exact: the kernels are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.errors import UnavailableError
from sycee.core.memory import available_bytes
from sycee.ledger import snapshot_tables
from sycee.ledger.state import LedgerState
from sycee.ledger.state_tables import StateTables
from sycee.sequencer.frozen import FrozenTables
from sycee.storage.snapshot_copy import CHANGING

if TYPE_CHECKING:
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
        _require_memory(sum(array.nbytes for array in tables.sections.values()), "the ledger's state")
        return LedgerState.load({name: _Section(tables, name) for name in tables.sections}, tables.small)


def readable_state(tables: FrozenTables) -> StateTables:
    """Return the state of frozen tables for its digest and its supply. Only the tables that change are copied.

    Use it inside the `frozen` block. Raises UnavailableError if the copy would take more than half of the free memory.
    """
    changing = {name: tables.sections[name] for name in CHANGING}
    _require_memory(sum(array.nbytes for array in changing.values()), "the ledger's changing tables")
    copies = {name: np.empty_like(array) for name, array in changing.items()}
    for name, copy in copies.items():
        tables.read_into(name, copy)
    return snapshot_tables.readable({**tables.sections, **copies}, tables.small)


def _require_memory(wanted: int, what: str) -> None:
    free = available_bytes()
    if wanted * _SHARE > free:
        raise UnavailableError(
            f"a copy of {what} takes {wanted >> 20:,} MiB; {free >> 20:,} MiB are free",
            hint="make the dry run on a restored copy of the bank, on another machine",
        )
