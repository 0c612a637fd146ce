"""Packets of a wallet in a period: purses of programmes, whose money is separate from the wallet's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sycee.archive import history_copy
from sycee.archive.history_source import StateReader
from sycee.core.arrays import Array
from sycee.core.records.layout import PURSE_BIT, Purpose
from sycee.ledger.state import LedgerState

SCAN_PURSES: Final = 262_144  # scanned in a few milliseconds
_SUMS: Final = (
    ("dropped", "credit_row", (Purpose.DROP,)),
    ("spent", "debit_row", (Purpose.PAY_PURSE,)),
    ("refunded", "credit_row", (Purpose.REFUND_PURSE, Purpose.REVERSAL_PURSE)),
    ("returned", "debit_row", (Purpose.RETURN, Purpose.RETURN_SUSPENSE)),
)


@dataclass(frozen=True, slots=True)
class Packet:
    """One purse in a period. Amounts in minor units; `balance` is its balance at the end, including held money."""

    programme: int
    member: int
    dropped: int
    spent: int
    refunded: int
    returned: int
    balance: int


def packets_of(source: StateReader, row: int, first: int, end: int) -> list[Packet]:
    """Return the packets claimed by the wallet in `row` that moved or held money in frames `first` to `end` - 1.

    O(purses) in short slices, because a wallet does not list its expired packets; and O(movements of its packets).
    """
    found = []
    for purse in _claimed_by(source, row):
        with source.reading() as state:
            programme = int(state.all_purses["programme"][purse])
            member = purse - int(state.tables.programmes["first_purse"][programme])
        moved, _ = history_copy.read_chain(source, purse | PURSE_BIT, 0, end, _movements)
        in_period = history_copy.frames_of(moved["place"]) >= first
        sums = {
            name: int(
                moved["amount"][in_period & (moved[side] == purse | PURSE_BIT) & np.isin(moved["purpose"], of)].sum()
            )
            for name, side, of in _SUMS
        }
        is_debit = moved["debit_row"] == purse | PURSE_BIT
        balance = int(np.where(is_debit, -moved["amount"], moved["amount"]).sum())
        if balance or any(sums.values()):
            found.append(Packet(programme, member, balance=balance, **sums))
    return sorted(found, key=lambda packet: (packet.programme, packet.member))


def _claimed_by(source: StateReader, row: int) -> list[int]:
    found: list[int] = []
    with source.reading() as state:
        size = state.all_purses.size
    for start in range(0, size, SCAN_PURSES):
        with source.reading() as state:
            wallets = state.all_purses["wallet"][start : min(start + SCAN_PURSES, size)]
            found += (np.flatnonzero(wallets == row + 1) + start).tolist()
    return found


def _movements(state: LedgerState, numbers: Array) -> Array:
    movements: Array = state.movements[numbers - 1]
    return movements
