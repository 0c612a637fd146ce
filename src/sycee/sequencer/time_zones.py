"""The local date of each currency, and the check of the zones that records name.

The sequencer writes these dates into each frame, so that a replay needs no time-zone database.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import numpy as np

from sycee.core import limits
from sycee.core.arrays import Array
from sycee.core.records.layout import Kind
from sycee.core.time_zones import EPOCH, zone_info
from sycee.journal.frame import CalendarEntry


def calendar_entry(currency: int, zone: str, now_ns: int) -> CalendarEntry:
    """Return the local day (since 1970-01-01), month (since January 1970) and year of a currency at a time."""
    local = (EPOCH + timedelta(microseconds=now_ns // 1000)).astimezone(zone_info(zone))
    month = (local.year - 1970) * 12 + local.month - 1
    return CalendarEntry(currency=currency, day=local.toordinal() - EPOCH.toordinal(), month=month, year=local.year)


def calendar_of(zones: Mapping[int, str], now_ns: int) -> tuple[CalendarEntry, ...]:
    """Return the local date of every currency (number to zone name) at a time, in order of definition."""
    return tuple(calendar_entry(currency, zone, now_ns) for currency, zone in zones.items())


def check_zones(operations: Array) -> None:
    """Raise UsageError if an operation defines a currency in an unknown zone. The ledger checks for empty names."""
    kinds = operations["kind"]
    if not kinds.size or int(kinds.min()) > Kind.DEFINE_CURRENCY:
        return
    for at in np.flatnonzero(kinds == Kind.DEFINE_CURRENCY):
        text = operations[at : at + 1].view(np.uint8)[32 : 32 + limits.ZONE_BYTES_MAX].tobytes().rstrip(b"\0")
        if text and text[0]:
            zone_info(text.decode("latin-1"))
