"""Time slices: threads and processes inherit them, and the priority that the administrator chose stays."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sycee.server import time_slice
from sycee.server.time_slice import SLICE_S, shorten_time_slice

pytestmark = pytest.mark.fast

GETTERS = {"x86_64": 315, "aarch64": 275}  # sched_getattr
FOLDER = str(Path(__file__).parent)
PROGRAM = f"import sys; sys.path.insert(0, {FOLDER!r}); import test_time_slice as t; t.child()"


def attributes() -> tuple[int, int]:
    """Return the niceness and the slice in nanoseconds of this thread."""
    found = ctypes.create_string_buffer(48)
    assert ctypes.CDLL(None).syscall(GETTERS[platform.machine()], 0, found, 48, 0) == 0
    _, _, _, nice, _, slice_ns, _, _ = struct.unpack("<IIQiIQQQ", found.raw)
    return nice, slice_ns


def child() -> None:
    """Run in a process of its own: the slice would last for the other tests."""
    os.nice(3)
    before = attributes()
    print(shorten_time_slice())
    threads: list[tuple[int, int]] = []
    thread = threading.Thread(target=lambda: threads.append(attributes()))
    thread.start()
    thread.join()
    print([before[0], *attributes(), *threads[0]])


@pytest.mark.skipif(
    sys.platform != "linux"
    or platform.machine() not in GETTERS
    or tuple(map(int, platform.release().split(".")[:2])) < (6, 12),
    reason="Linux 6.12 has slices of threads",
)
def test_threads_inherit_a_short_slice_and_keep_their_priority() -> None:
    out = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    wanted = min(nice + 3, 19), round(SLICE_S * 1e9)
    assert out.splitlines() == ["True", str([wanted[0], *wanted, *wanted])]


def test_a_system_without_slices_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_slice.sys, "platform", "darwin")
    assert not shorten_time_slice()
