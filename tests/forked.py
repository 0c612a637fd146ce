"""Work done in a forked child, and what it returned."""

from __future__ import annotations

import os
import pickle
import select
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

# Python 3.12 and later warn about a fork of a process with threads. That is what these tests are about.
MAY_FORK = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
WAIT_S = 60.0  # far more than anything here takes: a child that takes longer waits forever


class Child:
    """A forked child that does some work and sends back what it returned."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._is_there = True
        self.pipe, written = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            try:
                outcome = pickle.dumps((work(), ""))
            except BaseException:
                outcome = pickle.dumps((None, traceback.format_exc()))
            os.write(written, outcome)
            os._exit(0)
        os.close(written)

    def result(self) -> Any:
        """What the work returned. Fails where it raised, and where it takes longer than WAIT_S."""
        content = b""
        try:
            while True:
                ready, _, _ = select.select([self.pipe], [], [], WAIT_S)
                assert ready, "the child waits forever"
                more = os.read(self.pipe, 1 << 16)
                if not more:
                    break
                content += more
        finally:
            self.kill()
        value, error = pickle.loads(content)  # noqa: S301 - our own child wrote it
        assert not error, error
        return value

    def kill(self) -> None:
        """End the child. A second call does nothing."""
        if self._is_there:
            self._is_there = False
            os.close(self.pipe)
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)


def in_child(work: Callable[[], Any]) -> Any:
    """What `work` returned in a forked child."""
    return Child(work).result()


@contextmanager
def waiting_child(work: Callable[[], tuple[Any, ...]]) -> Iterator[tuple[Child, Any]]:
    """Yield a forked child that has done some work and waits, and the first value that it returned.

    The child keeps the other values, such as an open ledger. It is killed at the end of the block.
    """
    read, written = os.pipe()

    def works() -> None:
        done = work()
        os.write(written, pickle.dumps(done[0]))
        while done:  # what it opened stays open
            signal.pause()

    child = Child(works)
    os.close(written)
    try:
        ready, _, _ = select.select([read, child.pipe], [], [], WAIT_S)
        assert ready, "the child waits forever"
        if read not in ready:
            child.result()  # raises the child's error
        yield child, pickle.loads(os.read(read, 1 << 16))  # noqa: S301 - our own child wrote it
    finally:
        os.close(read)
        child.kill()
