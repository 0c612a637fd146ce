"""Dormant wallets: those that neither paid nor received for a time."""

from __future__ import annotations

from typing import Final

import numpy as np

from sycee.core import ids
from sycee.core.limits import PLACE_INDEX_BITS
from sycee.core.records.layout import AccountKind
from sycee.database.stores import Stores
from sycee.wallets.directory import Directory, Wallet
from sycee.wallets.tables import OPEN

SLICE_ROWS: Final = 100_000  # accounts read between two frames


def dormant(stores: Stores, directory: Directory, *, before_ns: int, most: int = 1_000) -> list[Wallet]:
    """Return at most `most` open wallets of persons without a movement, and without an opening, since `before_ns`.

    Accounts are read in slices, with payments between them. `Life.dormant` blocks a wallet.
    """
    found: list[Wallet] = []
    start = 0
    while len(found) < most:
        with stores.ledger.sequencer.reading() as state:
            rows = state.accounts[start : start + SLICE_ROWS]
            if not rows.size:
                break
            last = rows["last_movement"]
            frames = np.zeros(rows.size, np.int64)
            moved = last > 0
            frames[moved] = state.movements["place"][last[moved] - 1] >> np.uint64(PLACE_INDEX_BITS)
            times = state.frame_times[frames]
            quiet = (rows["kind"] == int(AccountKind.WALLET)) & (~moved | (times < before_ns))
            chosen = [ids.of_record(rows[at], "id") for at in np.flatnonzero(quiet).tolist()]
        start += SLICE_ROWS
        for account in chosen:
            wallet = directory.find(account)
            if wallet is not None and wallet.state == OPEN and wallet.opened_ns < before_ns:
                found.append(wallet)
    return found[:most]
