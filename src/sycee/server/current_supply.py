"""The supply as of the newest frame, for the page and the operation of the API."""

from __future__ import annotations

from sycee.bank.bank import Bank
from sycee.day.calendar import local_day
from sycee.issuance.supply_page import Supply
from sycee.sequencer.checkpoint import Checkpoint


def current_supply(bank: Bank) -> Supply:
    """Return the supply as of the newest frame, with the newest checkpoint of a closed day."""
    day = local_day(bank.stores.clock.now_ns(), bank.config.text("zone"))
    return bank.supply.current(day, _newest_checkpoint(bank), is_rehearsal=bank.is_rehearsal)


def _newest_checkpoint(bank: Bank) -> Checkpoint | None:
    packs = (bank.day.pack(each.day) for each in reversed(bank.day.days()))
    return next((pack.checkpoint for pack in packs if pack.is_witnessed), None)
