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
    start: int | None = 0
    while start is not None and len(found) < most:
        part, start = dormant_part(stores, directory, before_ns=before_ns, start=start, most=most)
        found += part
    return found[:most]


def dormant_part(
    stores: Stores, directory: Directory, *, before_ns: int, start: int, most: int, operator: int | None = None
) -> tuple[list[Wallet], int | None]:
    """Return dormant wallets among one slice of accounts, and the start of the next part; None after the last one.

    `start`: number of the first account to read, from 0. `most`: accounts that are looked up. `operator`: its wallets
    alone. A part may be empty before the last one.
    """
    with stores.ledger.sequencer.reading() as state:
        rows = state.accounts[start : start + SLICE_ROWS]
        if not rows.size:
            return [], None
        last = rows["last_movement"]
        frames = np.zeros(rows.size, np.int64)
        moved = last > 0
        frames[moved] = state.movements["place"][last[moved] - 1] >> np.uint64(PLACE_INDEX_BITS)
        times = state.frame_times[frames]
        quiet = (rows["kind"] == int(AccountKind.WALLET)) & (~moved | (times < before_ns))
        if operator is not None:
            quiet &= rows["operator"] == operator
        places = np.flatnonzero(quiet)[: most + 1].tolist()
        following = start + (places[most] if len(places) > most else rows.size)
        chosen = [ids.of_record(rows[at], "id") for at in places[:most]]
        is_last = following >= state.accounts.size
    wallets = [directory.find(account) for account in chosen]
    found = [each for each in wallets if each is not None and each.state == OPEN and each.opened_ns < before_ns]
    return found, None if is_last else following
