"""A ledger whose appends wait at a gate, for tests of callers that wait for results."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from tests.sequencer.small import SHOP, TREASURY, opening

from sycee.core.arrays import Array
from sycee.core.records import layout, operations
from sycee.journal import Journal
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.sequencer import Sequencer
from sycee.sequencer.submission_queue import total_size
from sycee.testing.disk import FakeDisk

WAIT_S = 30.0  # far longer than any test waits: then it is blocked


class GatedLog:
    """A log whose appends wait while the gate is shut. `begun` is set when an append waits."""

    def __init__(self, log: Journal) -> None:
        self._log = log
        self.open = threading.Event()
        self.open.set()
        self.begun = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def append(self, **frame: Any) -> int:
        self.begun.set()
        assert self.open.wait(WAIT_S), "the gate was never opened"
        return self._log.append(**frame)


class Place:
    """A ledger on a fake disk behind a gate. `bounds` limit its queue after the opening."""

    def __init__(self, **bounds: int) -> None:
        self.disk = FakeDisk()
        self.log = GatedLog(Journal.create(self.disk))
        self.ledger = Ledger(Sequencer(self.log, overlap=False, **bounds))
        self.ledger.submit(opening())

    @property
    def waiting(self) -> int:
        """Return the number of operations that the writer has not popped yet."""
        queue = self.ledger.sequencer.admission.queue
        return total_size([*queue._backlog, *queue._arrived])[0]

    @property
    def frames(self) -> int:
        return self.ledger.sequencer.durable_sequence

    @asynccontextmanager
    async def shut(self) -> AsyncIterator[None]:
        """Block one frame inside the block. It contains the operation with the id 1."""
        self.log.begun.clear()
        self.log.open.clear()
        first = threading.Thread(
            target=self.ledger.submit, args=(operations.transfer(1, debit=TREASURY, credit=SHOP, amount=1),)
        )
        first.start()
        await asyncio.to_thread(self.log.begun.wait, WAIT_S)
        try:
            yield
        finally:
            self.log.open.set()
            await asyncio.to_thread(first.join, WAIT_S)

    @asynccontextmanager
    async def shut_on(self, call: Coroutine[Any, Any, Any]) -> AsyncIterator[asyncio.Task[Any]]:
        """Block the frame of this call inside the block."""
        self.log.begun.clear()
        self.log.open.clear()
        task = asyncio.create_task(call)
        await asyncio.to_thread(self.log.begun.wait, WAIT_S)
        try:
            yield task
        finally:
            self.log.open.set()

    def records(self) -> Array:
        """Return the journaled records in order."""
        return np.concatenate(
            [
                np.frombuffer(frame.records.tobytes(), layout.OPERATION)
                for frame in Journal.open(self.disk, read_only=True).recover()
            ]
        )

    def order_of(self, *ids: int) -> list[int]:
        """Return the journaled ids among `ids`, in order."""
        found = self.records()["id_low"].tolist()
        return sorted((id for id in ids if id in found), key=found.index)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine. Fails if it blocks."""
    return asyncio.run(asyncio.wait_for(main, WAIT_S))


async def settled(turns: int = 5) -> None:
    """Run all callbacks that are ready."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def seen(is_so: Callable[[], bool]) -> None:
    """Wait until `is_so` returns True. The caller sets a time limit."""
    while not is_so():
        await asyncio.sleep(0.001)
