"""Watchers of new frames: each learns the newest frame, and none can delay or fail a payment."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from tests.sequencer.gated import WAIT_S, Place
from tests.sequencer.small import ANN, SHOP, TREASURY

from sycee.core.result_codes import Result
from sycee.sequencer.frame_watch import FrameWatch


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.ledger.check()
    place.ledger.close()


@contextmanager
def watched(place: Place, notify: Callable[[int], None]) -> Iterator[FrameWatch]:
    """A watcher on the event loop of another thread, which ends with the block."""
    loop, ready = asyncio.new_event_loop(), threading.Event()
    made: list[FrameWatch] = []

    def watch() -> None:
        made.append(place.ledger.sequencer.watch_frames(notify))
        ready.set()

    def run() -> None:
        loop.call_soon(watch)  # in the one run of the loop, which `stop` ends
        loop.run_forever()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(WAIT_S)
    try:
        yield made[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WAIT_S)
        loop.close()


def pay(place: Place, count: int = 1) -> None:
    for _ in range(count):
        assert place.ledger.transfer(TREASURY, SHOP, 1) is Result.CREATED


def test_a_watcher_gets_each_newest_frame_after_its_results(place: Place) -> None:
    seen: list[int] = []
    arrived = threading.Event()

    def notify(sequence: int) -> None:
        seen.append(sequence)
        arrived.set()

    with watched(place, notify) as watch:
        for _ in range(3):
            pay(place)
            assert arrived.wait(WAIT_S)
            arrived.clear()
        assert seen == [place.frames - 2, place.frames - 1, place.frames]
        watch.close()
        watch.close()
        pay(place)
        pay(place)
    assert seen[-1] == place.frames - 2, "a closed watcher gets nothing"


def test_a_watcher_that_blocks_delays_no_payment_and_skips_frames(place: Place) -> None:
    seen: list[int] = []
    blocked, released, again = (threading.Event() for _ in range(3))

    def notify(sequence: int) -> None:
        seen.append(sequence)
        if len(seen) > 1:
            again.set()
            return
        blocked.set()
        assert released.wait(WAIT_S)

    with watched(place, notify):
        pay(place)
        assert blocked.wait(WAIT_S)
        first = place.frames
        pay(place, 50)  # returns only once its frames are durable, while the watcher is blocked
        assert (seen, place.frames) == ([first], first + 50)
        released.set()
        assert again.wait(WAIT_S)
    assert seen == [first, first + 50]
    assert place.ledger.balance(SHOP) == 51


def test_a_watcher_that_raises_is_dropped(place: Place) -> None:
    raised = threading.Event()
    calls: list[int] = []

    def notify(sequence: int) -> None:
        calls.append(sequence)
        raised.set()
        raise ValueError("a defect of a watcher")

    with watched(place, notify) as watch:
        pay(place)
        assert raised.wait(WAIT_S)
        pay(place, 5)
    assert len(calls) == 1
    assert isinstance(watch.error, ValueError)
    assert place.ledger.balance(SHOP) == 6


def test_a_watcher_whose_loop_is_closed_is_dropped(place: Place) -> None:
    with watched(place, lambda sequence: None) as watch:
        pass
    pay(place, 2)
    assert isinstance(watch.error, RuntimeError)
    assert place.ledger.transfer(TREASURY, ANN, 1) is Result.CREATED


def test_a_watcher_whose_loop_is_closed_before_its_callback_ran_is_dropped(place: Place) -> None:
    async def begin() -> FrameWatch:
        return place.ledger.sequencer.watch_frames(lambda sequence: None)

    loop = asyncio.new_event_loop()
    watch = loop.run_until_complete(begin())
    pay(place, 2)  # the first frame is published before the second is answered
    loop.close()
    pay(place, 2)
    assert isinstance(watch.error, RuntimeError)
