"""A thread that makes a frame durable beside the kernel that applies it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

Write = Callable[[], Any]


class Writer:
    """Does one thing at a time on a thread of its own, for one other thread.

    Not an executor: a future costs a thirtieth of what a full frame takes.
    """

    def __init__(self) -> None:
        self._asked: SimpleQueue[Write | None] = SimpleQueue()
        self._ends: SimpleQueue[BaseException | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def begin(self, write: Write) -> None:
        """Have it done; `wait` follows. Where Ctrl-C comes between, nothing but `close` may."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="sycee-writer", daemon=True)
            self._thread.start()
        self._asked.put(write)

    def wait(self) -> None:
        """Until it is done. Raises what it raised."""
        error = self._ends.get()
        if error is not None:
            raise error

    def close(self) -> None:
        """End the thread, after what is at hand."""
        if self._thread is not None:
            self._asked.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (write := self._asked.get()) is not None:
            error: BaseException | None = None
            try:
                write()
            except BaseException as caught:
                error = caught
            del write  # its records are in memory that is used again once nobody has them any more
            self._ends.put(error)
