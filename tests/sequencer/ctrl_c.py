"""Ctrl-C for a test that waits in the main thread."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def interrupted_when(is_so: Callable[[], bool]) -> Iterator[None]:
    """Interrupt the block, which runs in the main thread, as soon as `is_so` returns True; expect KeyboardInterrupt.

    A signal that comes right before the main thread begins to wait does not wake it. So it is sent until it arrives.
    """
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("NOT RUN: Ctrl-C reaches the main thread only, and this test runs in another")
    main = threading.get_ident()
    arrived = threading.Event()

    def handler(number: int, frame: object) -> None:
        if not arrived.is_set():
            arrived.set()
            raise KeyboardInterrupt

    def press() -> None:
        while not is_so():
            if arrived.wait(0.001):
                return
        while not arrived.wait(0.01):
            signal.pthread_kill(main, signal.SIGINT)

    before = signal.signal(signal.SIGINT, handler)
    presses = threading.Thread(target=press, daemon=True)
    presses.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        arrived.set()
        presses.join()
        signal.signal(signal.SIGINT, before)
