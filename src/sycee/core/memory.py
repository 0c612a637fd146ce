"""How much memory this machine can still give."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_MEMINFO: Final = Path("/proc/meminfo")
_AVAILABLE: Final = "MemAvailable:"


def available_bytes() -> int:
    """Memory that can be filled without swapping, in bytes; all there is where the system does not say."""
    try:
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith(_AVAILABLE):
                return int(line.removeprefix(_AVAILABLE).split()[0]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
