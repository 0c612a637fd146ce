"""Work done in a forked child, and what it returned."""

from __future__ import annotations

import os
import pickle
import select
import signal
import traceback
from collections.abc import Callable
from typing import Any

import pytest

# Python 3.12 and later warn about a fork of a process with threads. That is what these tests are about.
MAY_FORK = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
WAIT_S = 60.0  # far more than anything here takes: a child that takes longer waits forever


class Child:
    """A forked child that does some work and sends back what it returned."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._is_there = True
        self._read, written = os.pipe()
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
                ready, _, _ = select.select([self._read], [], [], WAIT_S)
                assert ready, "the child waits forever"
                more = os.read(self._read, 1 << 16)
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
            os.close(self._read)
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)


def in_child(work: Callable[[], Any]) -> Any:
    """What `work` returned in a forked child."""
    return Child(work).result()
