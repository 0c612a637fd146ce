"""The supply as of the newest frame, for the page and the operation of the API."""

from __future__ import annotations

import threading
import time
from typing import Final

from sycee.bank.bank import Bank
from sycee.day.calendar import local_day
from sycee.issuance.supply_page import Supply
from sycee.sequencer.checkpoint import Checkpoint

# Everybody may read the supply. Its time grows with the number of accounts, and the ledger's writer waits meanwhile.
CHEAP_S: Final = 0.005  # of the processor: below, each caller gets the newest frame
REST: Final = 10  # a supply that was not cheap is given out again for this many times as long as it took


class CurrentSupply:
    """The supply of one bank, computed on one thread while others wait. Thread-safe."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._lock = threading.Lock()
        self._found: Supply | None = None
        self._until_s = 0.0

    def __call__(self) -> Supply:
        """Return the supply as of the newest frame, or of one shortly before, with the checkpoint of a closed day."""
        with self._lock:
            if self._found is not None and time.monotonic() < self._until_s:
                return self._found
            start_s = time.thread_time()
            self._found = _current(self._bank)
            took_s = time.thread_time() - start_s
            self._until_s = time.monotonic() + REST * took_s if took_s > CHEAP_S else 0.0
            return self._found


def _current(bank: Bank) -> Supply:
    day = local_day(bank.stores.clock.now_ns(), bank.config.text("zone"))
    return bank.supply.current(day, _newest_checkpoint(bank), is_rehearsal=bank.is_rehearsal)


def _newest_checkpoint(bank: Bank) -> Checkpoint | None:
    packs = (bank.day.pack(each.day) for each in reversed(bank.day.days()))
    return next((pack.checkpoint for pack in packs if pack.is_witnessed), None)
