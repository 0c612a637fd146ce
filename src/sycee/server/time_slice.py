"""Short time slices of the server's threads, for a machine whose processors are shared.

A thread that wakes waits until the running thread's slice is over, some milliseconds, unless its own slice is shorter.
One payment passes several threads, so these waits add up to most of its time if other programs use the processors. A
short slice changes when a thread runs, not how much processor time it gets, so no privilege is needed (Linux 6.12,
sched_setattr(2)). Older kernels ignore it.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from typing import Final

SLICE_S: Final = 0.0001  # the shortest that the kernel accepts
_SYSCALL: Final = {"x86_64": 314, "aarch64": 274}  # sched_setattr; glibc has a function since 2.41
_ATTRIBUTES: Final = struct.Struct("<IIQiIQQQ")  # size, policy, flags, nice, priority, runtime, deadline, period


def shorten_time_slice() -> bool:
    """Give this thread, and those and the processes that it starts from now on, slices of SLICE_S.

    Returns whether the system accepted it. Nothing changes for a thread of another scheduling policy than the usual.
    """
    number = _SYSCALL.get(platform.machine())
    if sys.platform != "linux" or number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    nice, slice_ns = os.getpriority(os.PRIO_PROCESS, 0), round(SLICE_S * 1e9)
    attributes = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, 0, nice, 0, slice_ns, 0, 0)
    return int(ctypes.CDLL(None).syscall(number, 0, attributes, 0)) == 0
