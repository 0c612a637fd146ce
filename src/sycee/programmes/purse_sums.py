"""Sums over the purses of a programme, read in pieces: no payment waits for a cohort of millions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sycee.core.records.layout import PurseState
from sycee.sequencer.sequencer import Sequencer

PIECE_PURSES: Final = 100_000  # summed between two frames: about a millisecond, for which payments wait

_AMOUNTS: Final = ("dropped", "spent", "refunded", "returned", "pending")


@dataclass(frozen=True, slots=True)
class PurseSums:
    """Numbers of purses, and sums in minor units. `claimed`: purses that were ever claimed; `live`: not expired."""

    members: int = 0
    claimed: int = 0
    live: int = 0
    dropped: int = 0
    spent: int = 0
    refunded: int = 0
    returned: int = 0
    pending: int = 0


def purse_sums(sequencer: Sequencer, number: int | None) -> PurseSums:
    """Return the sums of a programme; zeros for a number that the ledger does not have.

    A programme of up to PIECE_PURSES is read as of one frame. Of a larger one frames are written between two pieces:
    each purse is as of one frame, but not all as of the same.
    """
    totals, first, members = np.zeros(2 + len(_AMOUNTS), np.int64), 0, 1
    while first < members:
        with sequencer.reading() as state:
            if number is None or not state.has_programme(number):
                return PurseSums()
            purses = state.purses(number)
            members, piece = purses.size, purses[first : first + PIECE_PURSES]
            claimed, live = piece["wallet"] > 0, piece["state"] != PurseState.EXPIRED
            totals += [claimed.sum(), live.sum(), *(piece[name].sum() for name in _AMOUNTS)]
        first += PIECE_PURSES
    return PurseSums(members, *totals.tolist())
