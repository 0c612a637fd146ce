"""Work for the peers: the same transfers with the same ids, stored as a database would.

One transfer is a history row under a unique id of 16 bytes, and two balances; an insufficient balance is refused. There
is one currency and no limits, chains, signatures or digests: less work than the ledger's, in the peer's favour.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks import disk
from benchmarks.measure import Setting, Timing
from benchmarks.town import AMOUNT_MAX, WALLET_MINOR, Purpose, chunks, ids_of, random_of
from sycee.core.arrays import Array

ACCOUNTS: Final = 10_000
MINTED: Final = ACCOUNTS * WALLET_MINOR
FRAMES_LIMIT: Final = "the ledger's frames of the same number of transfers, written and synced"
BLOCKS_LIMIT: Final = "4 KiB written and synced for each"
BLOCKS_MAX: Final = 2_000


@dataclass(frozen=True, slots=True)
class Transfers:
    """Several transfers, one column each."""

    ids: Array  # (n,) ids.ID
    debit: Array  # (n,) account numbers from 0
    credit: Array
    amount: Array

    def identities(self) -> list[bytes]:
        """Return the ids as 16 bytes in comparison order, high half first."""
        both = np.stack([self.ids["high"], self.ids["low"]], axis=1).astype(">u8").tobytes()
        return [both[at : at + 16] for at in range(0, len(both), 16)]


def transfers(count: int, size: int) -> Iterator[Transfers]:
    """Yield `count` transfers, `size` at a time; both accounts uniform random and different."""
    for each in chunks(count, size):
        debit = random_of(each, salt=1) % np.uint64(ACCOUNTS)
        credit = (debit + random_of(each, salt=2) % np.uint64(ACCOUNTS - 1) + np.uint64(1)) % np.uint64(ACCOUNTS)
        amount = random_of(each, salt=3) % np.uint64(AMOUNT_MAX) + np.uint64(1)
        yield Transfers(
            ids_of(Purpose.WORK, each), debit.astype(np.int64), credit.astype(np.int64), amount.astype(np.int64)
        )


def limit(setting: Setting, size: int) -> Timing:
    """Time the disk alone as the ledger would use it: frames, or a block of 4 KiB for each transfer."""
    folder, count = setting.folder / "limit", setting.operations
    return disk.written(folder, count) if size > 1 else disk.synced(folder, min(count, BLOCKS_MAX))
