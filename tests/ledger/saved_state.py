"""A saved state in memory, which a test can load repeatedly."""

from __future__ import annotations

import json
from typing import Any

from sycee.core.arrays import Array
from sycee.ledger.state import LedgerState


class Kept:
    """A section of a snapshot in memory; implements storage.Section."""

    def __init__(self, array: Array) -> None:
        self._array = array.copy()
        self.shape = array.shape

    def read_into(self, array: Array) -> None:
        assert array.dtype == self._array.dtype
        assert array.flags.c_contiguous
        array[...] = self._array


def kept(state: LedgerState) -> tuple[dict[str, Kept], dict[str, Any]]:
    """Return all data of a state, as arguments of LedgerState.load."""
    sections, small = state.save()
    read_back = json.loads(json.dumps(small))
    assert read_back == small
    return {name: Kept(array) for name, array in sections.items()}, read_back


def loaded(state: LedgerState) -> LedgerState:
    """Return a copy of this state."""
    return LedgerState.load(*kept(state))
