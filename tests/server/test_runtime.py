"""The threads of the services: every call ends, however fast it is."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest
from tests.bank import world

from sycee.core.errors import UnavailableError
from sycee.server.auth.refusals import TooManyRequests
from sycee.server.runtime import (
    HISTORY_PAUSE,
    HISTORY_PAUSE_S_MAX,
    PAYMENTS_WAITING_MIN,
    SENDER,
    THREADS,
    WAITING_MAX,
    Runtime,
)


class Inline(Executor):
    """An executor whose calls have ended when `submit` returns, as on a thread that is faster than its caller."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **options))
        except ValueError as error:
            future.set_exception(error)
        return future


def test_a_call_that_ends_at_once_is_counted_as_ended(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with world.bank("", tmp_path) as bank:

        async def work() -> int:
            runtime = Runtime(bank)
            runtime.start()
            threads, runtime._threads = runtime._threads, Inline()  # type: ignore[assignment]
            assert await runtime.run(int, "5") == 5
            with pytest.raises(ValueError, match="invalid literal"):
                await runtime.run(int, "five")
            await asyncio.sleep(0)
            calls = runtime._calls
            runtime._threads = threads
            await runtime.close()
            return calls

        assert asyncio.run(work()) == 0
    assert "exception calling callback" not in caplog.text


def test_the_calls_of_one_address_leave_room_for_others(tmp_path: Path) -> None:
    """One sender has half of the calls, a second one a third; the server's own calls may take the rest."""
    most = THREADS + WAITING_MAX
    with world.bank("", tmp_path) as bank:

        async def work() -> tuple[list[int], int]:
            runtime, go_on = Runtime(bank), threading.Event()
            runtime.start()
            try:
                taken: list[int] = []
                calls: list[asyncio.Future[bool]] = []
                for sender, error in (("a", TooManyRequests), ("b", TooManyRequests), ("", UnavailableError)):
                    SENDER.set(sender)
                    began = runtime.calls
                    for _ in range(most + 1):
                        call = asyncio.ensure_future(runtime.run(go_on.wait))
                        await asyncio.sleep(0)
                        if call.done():  # the other calls wait
                            with pytest.raises(error):
                                call.result()
                            break
                        calls.append(call)
                    taken.append(runtime.calls - began)
            finally:
                go_on.set()
            assert all(await asyncio.gather(*calls))
            SENDER.set("a")
            assert await runtime.run(int, "5") == 5
            await asyncio.sleep(0)
            left = runtime.calls
            await runtime.close()
            return taken, left

        taken, left = asyncio.run(work())
    assert taken == [most // 2, most // 4, most // 4]
    assert left == 0


def test_reads_of_the_history_pause_while_payments_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("sycee.server.runtime.asyncio.sleep", lambda seconds: asyncio.to_thread(pauses.append, seconds))

    def slow(seconds: float) -> str:
        time.sleep(seconds)
        return "page"

    with world.bank("", tmp_path) as bank:

        async def work() -> None:
            runtime = Runtime(bank)
            runtime.start()
            assert await runtime.read_history(lambda _: slow(0.001)) == "page"
            runtime.payments_waiting = lambda: PAYMENTS_WAITING_MIN - 1
            assert await runtime.read_history(lambda _: slow(0.001)) == "page"
            assert pauses == []
            runtime.payments_waiting = lambda: PAYMENTS_WAITING_MIN
            assert await runtime.read_history(lambda _: slow(0.02)) == "page"
            assert await runtime.read_history(lambda _: slow(0.1)) == "page"
            await runtime.close()

        asyncio.run(work())
    assert HISTORY_PAUSE * 0.02 <= pauses[0] <= pauses[1] == HISTORY_PAUSE_S_MAX
