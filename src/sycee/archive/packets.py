"""What a wallet's packets came to in a period: money of programmes, which stands in purses beside its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sycee.archive import history_copy
from sycee.archive.history_source import Reading
from sycee.core.arrays import Array
from sycee.ledger.layout import PURSE_BIT, Purpose

SCAN_PURSES: Final = 262_144  # looked through in a few milliseconds
_SIDES: Final = (
    ("dropped", "credit_row", (Purpose.DROP,)),
    ("spent", "debit_row", (Purpose.PAY_PURSE,)),
    ("refunded", "credit_row", (Purpose.REFUND_PURSE, Purpose.REVERSAL_PURSE)),
    ("returned", "debit_row", (Purpose.RETURN, Purpose.RETURN_SUSPENSE)),
)


@dataclass(frozen=True, slots=True)
class Packet:
    """One purse in a period. Amounts in minor units; `balance` is what stood in it at the end, held or not."""

    programme: int
    member: int
    dropped: int
    spent: int
    refunded: int
    returned: int
    balance: int


def packets_of(source: Reading, row: int, first: int, end: int) -> list[Packet]:
    """The packets that the wallet in a row has claimed, as far as they moved or held something in the period.

    first, end: its frames are those from the one on and before the other. O(purses), in short slices, since a wallet
    does not know its packets any more once they have expired; and O(k) in their movements.
    """
    found = []
    for purse in _claimed_by(source, row):
        with source.reading() as state:
            programme = int(state.all_purses["programme"][purse])
            member = purse - int(state.tables.programmes["first_purse"][programme])
        moved = _movements(source, purse | PURSE_BIT)
        moved = moved[history_copy.frames_of(moved["place"]) < end]
        is_inside = history_copy.frames_of(moved["place"]) >= first
        sums = {
            name: int(
                moved["amount"][is_inside & (moved[side] == purse | PURSE_BIT) & np.isin(moved["purpose"], of)].sum()
            )
            for name, side, of in _SIDES
        }
        went_out = moved["debit_row"] == purse | PURSE_BIT
        balance = int(np.where(went_out, -moved["amount"], moved["amount"]).sum())
        if balance or any(sums.values()):
            found.append(Packet(programme, member, balance=balance, **sums))
    return sorted(found, key=lambda packet: (packet.programme, packet.member))


def _claimed_by(source: Reading, row: int) -> list[int]:
    found: list[int] = []
    with source.reading() as state:
        size = state.all_purses.size
    for start in range(0, size, SCAN_PURSES):
        with source.reading() as state:
            wallets = state.all_purses["wallet"][start : min(start + SCAN_PURSES, size)]
            found += (np.flatnonzero(wallets == row + 1) + start).tolist()
    return found


def _movements(source: Reading, row: int) -> Array:
    """Every movement of a purse, newest first, as layout.MOVEMENT."""
    with source.reading() as state:
        number = history_copy.newest_movement(state, row)
    slices: list[Array] = []
    while True:
        with source.reading() as state:
            numbers, number = history_copy.chain(state, row, number, 0)
            slices.append(state.movements[numbers - 1])
        if numbers.size < history_copy.SLICE_ROWS:
            return np.concatenate(slices)
