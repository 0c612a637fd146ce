"""The newest pages of the feed, read once for all streams.

A frame wakes the hub through the sequencer's watch. It reads the new events at most every INTERVAL_S, on a thread of
its own, and keeps the newest pages. A stream that is further behind has its pages read one by one, with pauses, so that
readers of the history cannot take the processor from payments.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, ParamSpec, TypeVar

from sycee.bank.bank import Bank
from sycee.core.errors import UnavailableError
from sycee.sequencer.frame_records import FrameRecords
from sycee.sequencer.frame_watch import FrameWatch
from sycee.server.events.feed import Cursor, Feed, Page

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")

INTERVAL_S: Final = 0.1  # between two reads of new events
POLL_S: Final = 1.0  # registers change without a frame
PAGES_MAX: Final = 16  # kept for streams that are slightly behind; a full page with its texts has 2 MB
REST: Final = 3  # a replay pauses for this many times as long as its page took


class Hub:
    """The shared reader of one server's feed. Used on the event loop; `start` binds it, `close` ends its streams."""

    def __init__(self, bank: Bank) -> None:
        self.feed = Feed(bank.stores, FrameRecords(bank.folder.path))
        self._sequencer = bank.stores.ledger.sequencer
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sycee-feed")
        self._pages: OrderedDict[Cursor, Page] = OrderedDict()  # by their start
        self._end: Cursor | None = None  # of the newest page; None while nobody listens
        self._listeners = 0
        self._woken = asyncio.Event()
        self._changed = asyncio.Event()  # replaced for each new page
        self._replays = asyncio.Semaphore(1)
        self._error: UnavailableError | None = None  # why nothing is read any more; cleared when all listeners left
        self._watch: FrameWatch | None = None
        self._task: asyncio.Task[None] | None = None
        self.is_closed = False

    def start(self) -> None:
        """Bind to the running event loop."""
        self._watch = self._sequencer.watch_frames(lambda _: self._woken.set())

    @property
    def listeners(self) -> int:
        """Return the number of those who listen."""
        return self._listeners

    def stop_streams(self) -> None:
        """Wake every stream so that it ends."""
        self.is_closed = True
        self._changed.set()

    async def close(self) -> None:
        """End the streams and the thread."""
        self.stop_streams()
        if self._watch is not None:
            self._watch.close()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await asyncio.to_thread(self._thread.shutdown)

    async def join(self, after: Cursor | None) -> Cursor:
        """Begin to listen after a position, or after the newest event; return the position. Call `leave` once.

        Raises UsageError for a position that the bank has not reached.
        """
        if self.is_closed:
            raise UnavailableError("the server is stopping", hint="continue from the same cursor in a moment")
        if self._error is not None:
            raise self._error
        self._listeners += 1
        try:
            newest = await self.run(self.feed.newest)
            start = newest if after is None else await self.run(self.feed.reached, after)
            if self._end is None:
                self._end = newest
                self._task = asyncio.create_task(self._read_new())
            while start.place > self._end.place or start.number > self._end.number:
                changed = self._changed
                self._woken.set()
                await changed.wait()
        except BaseException:
            self.leave()
            raise
        return start

    def leave(self) -> None:
        """Stop listening. Without listeners nothing is read."""
        self._listeners -= 1
        if not self._listeners:
            self._end = self._error = None
            self._pages.clear()
            if self._task is not None:
                self._task.cancel()
                self._task = None

    async def next(self, cursor: Cursor) -> Page | Cursor:
        """Return the page after a position, or, once there is none, the position of the newest event.

        For a listener; wait with `changed` before the next call if the position is the newest. Raises UnavailableError
        once nothing can be read any more: leave, and join later.
        """
        if self._error is not None:
            raise self._error
        end = self._end
        assert end is not None, "a listener keeps the hub reading"
        if cursor == end:
            return end
        if cursor in self._pages:
            return self._pages[cursor]
        async with self._replays:
            began = time.monotonic()
            page = await self.run(self.feed.page, cursor, end)
            await asyncio.sleep(REST * (time.monotonic() - began))
        if page.is_last:
            page.end = end
        return page

    @property
    def changed(self) -> asyncio.Event:
        """Return the event that is set at the next page. Take it before `next`."""
        return self._changed

    async def run(
        self, function: Callable[Arguments, Value], *arguments: Arguments.args, **options: Arguments.kwargs
    ) -> Value:
        """Return what a function of the feed returns on the hub's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: function(*arguments, **options))

    async def _read_new(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), POLL_S)
            self._woken.clear()
            assert self._end is not None, "leave() ends this task"
            try:
                page = await self.run(self.feed.page, self._end)
            except UnavailableError:  # the ledger or the database, as its own callers learn
                await asyncio.sleep(POLL_S)
                continue
            except Exception as error:  # damage, or a defect: the listeners must not wait for events that never come
                self._error = UnavailableError(f"events cannot be read: {type(error).__name__}", hint="try again later")
                self._error.__cause__ = error
                self._changed.set()
                return
            if page.end != self._end:
                self._add(page)
            if not page.is_last:
                self._woken.set()
            await asyncio.sleep(INTERVAL_S)

    def _add(self, page: Page) -> None:
        self._pages[page.start] = page
        if len(self._pages) > PAGES_MAX:
            self._pages.popitem(last=False)
        self._end = page.end
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
