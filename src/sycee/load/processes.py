"""CPU time of processes, from /proc: of the server that listens on a port, of its children, and of this process."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_LISTEN: Final = "0A"
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class ProcessTime:
    """CPU seconds that a process used so far."""

    process: int
    name: str
    cpu_s: float


def own_cpu_s() -> float:
    """Return the CPU seconds of this process."""
    return time.process_time()


def server_processes(port: int) -> list[int]:
    """Return the process that listens on a port of this machine and its descendants; none if it cannot be found.

    Only processes of the same user are found, and only on Linux.
    """
    inodes = _listening_inodes(port)
    if not inodes:
        return []
    for folder in _PROC.iterdir():
        if folder.name.isdigit() and _opens(folder, inodes):
            return _with_descendants(int(folder.name))
    return []


def cpu_times(processes: list[int]) -> list[ProcessTime]:
    """Return the CPU seconds of processes; one that has ended is omitted."""
    found = []
    for process in processes:
        with suppress(OSError):
            # The name in brackets may contain spaces.
            before, _, after = (_PROC / str(process) / "stat").read_text().rpartition(")")
            fields = after.split()
            found.append(
                ProcessTime(process, before.partition("(")[2], (int(fields[11]) + int(fields[12])) / _TICKS_PER_S)
            )
    return found


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (_PROC / "net" / name).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    return inodes


def _opens(folder: Path, inodes: set[str]) -> bool:
    with suppress(OSError):
        for file in (folder / "fd").iterdir():
            with suppress(OSError):
                if str(file.readlink()) in inodes:
                    return True
    return False


def _with_descendants(process: int) -> list[int]:
    found, waiting = [], [process]
    while waiting:
        each = waiting.pop()
        found.append(each)
        with suppress(OSError):
            for thread in (_PROC / str(each) / "task").iterdir():
                waiting += [int(child) for child in (thread / "children").read_text().split()]
    return found
