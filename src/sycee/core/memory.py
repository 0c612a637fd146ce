"""How much memory this process can still get."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

_MEMINFO: Final = Path("/proc/meminfo")
_AVAILABLE: Final = "MemAvailable:"
# A container's limit and use: control groups of version 2, then of version 1.
_CONTAINER: Final = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


def available_bytes() -> int:
    """Memory that can be filled without swapping, in bytes; all there is where the system does not say."""
    return min(_machine(), *(_container(limit, used) for limit, used in _CONTAINER))


def _machine() -> int:
    with contextlib.suppress(OSError):
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith(_AVAILABLE):
                return int(line.removeprefix(_AVAILABLE).split()[0]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _container(limit: Path, used: Path) -> int:
    """What a control group leaves; without one, or with the limit "max", more than any machine has."""
    with contextlib.suppress(OSError, ValueError):
        return max(int(limit.read_text()) - int(used.read_text()), 0)
    return 1 << 62
