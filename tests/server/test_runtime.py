"""The threads of the services: every call ends, however fast it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest
from tests.bank import world

from sycee.server.runtime import Runtime


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
