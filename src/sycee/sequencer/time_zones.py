"""Time zones by name, and what day it is where a currency is at home.

The sequencer writes these dates into each frame, so that a replay needs no time-zone database.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from sycee.core import limits
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.journal.frame import CalendarEntry
from sycee.ledger.layout import Kind

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def zone_info(name: str) -> ZoneInfo:
    """The time zone with this name in the time-zone database. Raises UsageError where there is none.

    A name that only this machine knows, such as "localtime", is none: a ledger may move.
    """
    if name not in _zone_names():
        raise UsageError(f"no time zone is called {name!r}", hint='names look like "Asia/Shanghai" or "Europe/Paris"')
    return ZoneInfo(name)


@cache
def _zone_names() -> frozenset[str]:
    return frozenset((resources.files("tzdata") / "zones").read_text().split())


def calendar_entry(currency: int, zone: str, now_ns: int) -> CalendarEntry:
    """Local day (since 1970-01-01), month (since January 1970) and year of a moment."""
    local = (EPOCH + timedelta(microseconds=now_ns // 1000)).astimezone(zone_info(zone))
    month = (local.year - 1970) * 12 + local.month - 1
    return CalendarEntry(currency=currency, day=local.toordinal() - EPOCH.toordinal(), month=month, year=local.year)


def calendar_of(zones: Mapping[int, str], now_ns: int) -> tuple[CalendarEntry, ...]:
    """The local date of every currency (number to zone name) at a moment, in order of definition."""
    return tuple(calendar_entry(currency, zone, now_ns) for currency, zone in zones.items())


def check_zones(operations: Array) -> None:
    """Refuse to define a currency in a zone that does not exist. Raises UsageError; a nameless zone is the ledger's."""
    kinds = operations["kind"]
    if not kinds.size or int(kinds.min()) > Kind.DEFINE_CURRENCY:
        return
    for at in np.flatnonzero(kinds == Kind.DEFINE_CURRENCY):
        text = operations[at : at + 1].view(np.uint8)[32 : 32 + limits.ZONE_BYTES_MAX].tobytes().rstrip(b"\0")
        if text and text[0]:
            zone_info(text.decode("latin-1"))
