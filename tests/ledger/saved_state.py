"""A state that is kept in memory, so that a test may have it anew as often as it likes."""

from __future__ import annotations

import json
from typing import Any

from sycee.core.arrays import Array
from sycee.ledger.state import LedgerState


class Kept:
    """A section of a snapshot, as storage.Section asks for, kept in memory."""

    def __init__(self, array: Array) -> None:
        self._array = array.copy()
        self.shape = array.shape

    def read_into(self, array: Array) -> None:
        assert array.dtype == self._array.dtype
        assert array.flags.c_contiguous
        array[...] = self._array


def kept(state: LedgerState) -> tuple[dict[str, Kept], dict[str, Any]]:
    """All of a state, as LedgerState.load takes it."""
    sections, small = state.save()
    said = json.loads(json.dumps(small))
    assert said == small
    return {name: Kept(array) for name, array in sections.items()}, said


def loaded(state: LedgerState) -> LedgerState:
    """Another state like this one."""
    return LedgerState.load(*kept(state))
