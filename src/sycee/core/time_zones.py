"""Time zones by name."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

from sycee.core.errors import UsageError

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def zone_info(name: str) -> ZoneInfo:
    """Return the time zone with this name. Raises UsageError unless the time-zone database lists the name.

    Names that only this machine defines, such as "localtime", are refused: a ledger may be moved.
    """
    if name not in _zone_names():
        raise UsageError(
            f"there is no time zone {name!r}", hint='use a name of the IANA database, such as "Asia/Shanghai"'
        )
    return ZoneInfo(name)


@cache
def _zone_names() -> frozenset[str]:
    return frozenset((resources.files("tzdata") / "zones").read_text().split())
