"""Shares of owners in an institution, as the command line writes them: ID=60 or new=60.5."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from sycee.cli.lazy import ids
from sycee.core.errors import UsageError

NEW: Final = "new"
PPM_PER_PERCENT: Final = 10_000
_PERCENT: Final = re.compile(r"(\d{1,3})(?:\.(\d{1,4}))?%?")


def owners_of(texts: Sequence[str], new_id: Callable[[], int]) -> dict[int, int]:
    """Return share in parts per million by person, from texts such as ID=60 or new=60.5."""
    owners: dict[int, int] = {}
    for text in texts:
        name, _, share = text.partition("=")
        match = _PERCENT.fullmatch(share.strip())
        if match is None:
            raise UsageError(f"{text!r} is not an owner", hint="write the person's id and the share: ID=60 or new=60.5")
        whole, part = match.groups()
        person = new_id() if name.strip() == NEW else ids.parse(name.strip())
        owners[person] = owners.get(person, 0) + int(whole) * PPM_PER_PERCENT + int((part or "").ljust(4, "0"))
    shares = owners.values()
    if any(share == 0 for share in shares) or sum(shares) > 100 * PPM_PER_PERCENT:
        raise UsageError(
            "the shares of owners must be above 0 and at most 100 % together",
            hint="give each share in percent: ID=60 or new=60.5",
        )
    return owners


def percent(share_ppm: int) -> str:
    """Return a share as percent, such as "25.5 %"."""
    whole, part = divmod(share_ppm, PPM_PER_PERCENT)
    return f"{whole}.{part:04}".rstrip("0").rstrip(".") + " %"
