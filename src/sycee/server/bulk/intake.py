"""The body of a request as a file that a thread reads while the event loop fills it."""

from __future__ import annotations

import asyncio
from collections import deque
from threading import Condition
from typing import Final

HELD_BYTES_MAX: Final = 4 << 20  # about 20 batches; then the sender waits


class Cut(Exception):
    """The request ended before its body was complete."""


class Intake:
    """A body in pieces. `feed`, `finish` and `has_space` are for the event loop, `read` is for one thread."""

    closed = False  # as of a file

    def __init__(self, loop: asyncio.AbstractEventLoop, bytes_max: int | None = None) -> None:
        """`bytes_max`: of the whole body; None for no limit."""
        self._loop = loop
        self._left = bytes_max
        self._parts: deque[memoryview] = deque()
        self._held = 0
        self._wanted = 0  # bytes for which the reader waits
        self._is_finished = self._is_cut = False
        self._changed = Condition()
        self._space = asyncio.Event()
        self._space.set()
        self.is_too_large = False

    def feed(self, data: bytes) -> None:
        """Add a piece."""
        if not data:
            return
        with self._changed:
            if self._left is not None:
                self._left -= len(data)
                if self._left < 0:
                    self.is_too_large = self._is_cut = True
            self._parts.append(memoryview(data))
            self._held += len(data)
            if self._held > HELD_BYTES_MAX:
                self._space.clear()
            if self._held >= self._wanted or self._is_cut:  # not for each piece: a batch has several
                self._changed.notify()

    def finish(self) -> None:
        """End the body."""
        with self._changed:
            self._is_finished = True
            self._changed.notify()

    def cut(self) -> None:
        """End the body before its end: `read` raises Cut."""
        with self._changed:
            self._is_cut = True
            self._changed.notify()
        self._space.set()

    async def has_space(self) -> None:
        """Return when another piece may be added."""
        await self._space.wait()

    def read(self, size: int = -1) -> bytes:
        """Return `size` bytes, fewer only at the end of the body. Raises Cut if the request ended early."""
        found: list[memoryview] = []
        with self._changed:
            while size:
                self._wanted = min(size, HELD_BYTES_MAX // 2) if size > 0 else 1
                while self._held < self._wanted and not (self._is_cut or self._is_finished):
                    self._changed.wait()
                if not self._parts:
                    if self._is_cut:
                        raise Cut
                    return b"".join(found)
                part = self._parts.popleft()
                if 0 < size < len(part):
                    self._parts.appendleft(part[size:])
                    part = part[:size]
                found.append(part)
                self._held -= len(part)
                size -= len(part) if size > 0 else 0
                if self._held <= HELD_BYTES_MAX // 2 and not self._space.is_set():
                    self._loop.call_soon_threadsafe(self._space.set)
        return b"".join(found)

    def readable(self) -> bool:
        """Return True, as of a file."""
        return True

    def seekable(self) -> bool:
        """Return False, as of a file."""
        return False

    def writable(self) -> bool:
        """Return False, as of a file."""
        return False

    def close(self) -> None:
        """Do nothing: the request ends the body."""


class Outlet:
    """Pieces of an answer, from a thread to the event loop. `put` waits while too many bytes wait."""

    def __init__(self, loop: asyncio.AbstractEventLoop, bytes_max: int) -> None:
        self._loop = loop
        self._bytes_max = bytes_max
        self._held = 0
        self._is_cut = False
        self._changed = Condition()
        self._queue: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue()

    def put(self, item: bytes | BaseException | None) -> None:
        """Add a piece, an error, or None for the end; wait for space first. Raises Cut once nobody takes pieces."""
        size = len(item) if isinstance(item, bytes) else 0
        with self._changed:
            while self._held and self._held + size > self._bytes_max and not self._is_cut:
                self._changed.wait()
            if self._is_cut:
                raise Cut
            self._held += size
        self._loop.call_soon_threadsafe(self._queue.put_nowait, item)

    async def take(self) -> bytes | BaseException | None:
        """Return the next piece."""
        item = await self._queue.get()
        if isinstance(item, bytes):
            with self._changed:
                self._held -= len(item)
                self._changed.notify()
        return item

    def cut(self) -> None:
        """Take no more pieces."""
        with self._changed:
            self._is_cut = True
            self._changed.notify()
