"""Memory of the machine or the container: in all, and available to this process."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

_MEMINFO: Final = Path("/proc/meminfo")
_AVAILABLE: Final = "MemAvailable:"
# A container's limit, use and parts of the use: control groups of version 2, then of version 1.
_CONTAINER: Final = tuple(
    (folder / limit, folder / used, folder / "memory.stat")
    for folder, limit, used in (
        (Path("/sys/fs/cgroup"), "memory.max", "memory.current"),
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
    )
)
_FILES: Final = ("inactive_file", "active_file")  # cached file pages, which the system drops when it needs memory


def available_bytes() -> int:
    """Return the memory that can be filled without swapping, in bytes; all of it where the system gives no figure."""
    return min(_machine(), *(_container(*files) for files in _CONTAINER))


def total_bytes() -> int:
    """Return the memory of the machine, or of the container where that is less, in bytes."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limit, _, _ in _CONTAINER:
        with contextlib.suppress(OSError, ValueError):
            total = min(total, int(limit.read_text()))
    return total


def _machine() -> int:
    with contextlib.suppress(OSError):
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith(_AVAILABLE):
                return int(line.removeprefix(_AVAILABLE).split()[0]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _container(limit: Path, used: Path, parts: Path) -> int:
    """Return the free bytes of a control group; without one, or with the limit "max", more than any machine has."""
    with contextlib.suppress(OSError, ValueError):
        return max(int(limit.read_text()) - int(used.read_text()) + _files(parts), 0)
    return 1 << 62


def _files(parts: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        lines = (line.split() for line in parts.read_text().splitlines())
        return sum(int(size) for name, size in lines if name in _FILES)
    return 0
