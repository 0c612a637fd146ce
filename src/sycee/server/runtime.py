"""State shared by the handlers of one server: bank, ledger of the event loop, threads of the services."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

from fastapi import Request
from fastapi.responses import JSONResponse

from sycee.bank.bank import Bank
from sycee.core.errors import UnavailableError
from sycee.sequencer.asynchronous import AsyncLedger
from sycee.server.auth.refusals import TooManyRequests
from sycee.server.current_supply import CurrentSupply
from sycee.server.signing import ActionBody, Signatures, perform

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")

# SQLite writes transactions one after the other; the threads hide the waits for its commits and for the ledger's.
THREADS: Final = 8
WAITING_MAX: Final = 256  # calls of services without a thread; further ones are refused
HISTORY_PAUSE: Final = 3  # while payments wait, a read of the history pauses for this many times as long as it took,
HISTORY_PAUSE_S_MAX: Final = 0.25  # and at most for this long
PAYMENTS_WAITING_MIN: Final = 32  # payments without an answer from which on such reads pause
BUSY_RETRY_S: Final = 1  # after which an address with too many calls may try again

# Sender of the request that a task serves, as `senders.network_of` names it; "" for tasks of the server.
SENDER: Final[ContextVar[str]] = ContextVar("sycee_sender", default="")


class Runtime:
    """The bank of one server. `start` belongs to the event loop; `close` ends threads, not the bank."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.supply = CurrentSupply(bank)
        self.is_ready = False
        # Number of signed payments without an answer, from the application that serves them.
        self.payments_waiting: Callable[[], int] = lambda: 0
        self.is_stopping = False  # requests are served, and no further ones should be sent
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="sycee-service")
        self._calls = 0
        self._calls_of: Counter[str] = Counter()  # by sender
        self._ledger: AsyncLedger | None = None

    @property
    def ledger(self) -> AsyncLedger:
        """Return the ledger for coroutines. Raises UnavailableError before `start` and after `close`."""
        if self._ledger is None:
            raise UnavailableError("the server is starting or stopping", hint="send the request again in a moment")
        return self._ledger

    @property
    def calls(self) -> int:
        """Return the number of calls that run or wait for a thread."""
        return self._calls

    def start(self) -> None:
        """Bind to the running event loop."""
        self._ledger = self.bank.stores.ledger.asynchronous()
        self.bank.stores.ledger.sequencer.admission.start_workers()
        self.is_ready = True

    async def close(self) -> None:
        """Refuse further calls, and wait for those in progress."""
        self.is_ready = False
        ledger, self._ledger = self._ledger, None
        if ledger is not None:
            await ledger.aclose()
        await asyncio.to_thread(self._threads.shutdown)

    async def run(
        self, function: Callable[Arguments, Value], *arguments: Arguments.args, **options: Arguments.kwargs
    ) -> Value:
        """Return what a synchronous function returns on a thread of the services.

        Raises its errors, TooManyRequests if too many calls of its sender wait, and UnavailableError if too many calls
        of all wait. A call whose client has gone is completed.
        """
        free, sender = THREADS + WAITING_MAX - self._calls, SENDER.get()
        if not self.is_ready or free <= 0:
            raise UnavailableError("the server is busy", hint="send the same request again in a moment")
        # A sender may have as many calls as remain free: one sender takes half of all, and two take a third each. So a
        # flood leaves room for everybody else (dynamic thresholds of Choudhury and Hahne, 1998).
        if sender and self._calls_of[sender] >= free:
            raise TooManyRequests(BUSY_RETRY_S)
        loop = asyncio.get_running_loop()
        self._calls += 1
        self._calls_of[sender] += 1
        future = self._threads.submit(function, *arguments, **options)
        # At once, if it has ended already.
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._ended, sender))
        return await asyncio.shield(asyncio.wrap_future(future))

    async def call(self, work: Callable[[Bank], Value]) -> Value:
        """Return what a function of the bank returns on a thread of the services. Errors: `run`."""
        return await self.run(work, self.bank)

    async def read_history(self, work: Callable[[Bank], Value]) -> Value:
        """Return what `call` returns. While payments wait, pause before the answer.

        A program that reads one page after the other then leaves most of the processor's time to payments.
        """
        began_s = time.monotonic()
        value = await self.call(work)
        if self.payments_waiting() >= PAYMENTS_WAITING_MIN:
            await asyncio.sleep(min(HISTORY_PAUSE * (time.monotonic() - began_s), HISTORY_PAUSE_S_MAX))
        return value

    async def perform(
        self,
        name: str,
        who: int,
        body: ActionBody,
        work: Callable[[Bank, Signatures], Mapping[str, Any]],
        *,
        place: Mapping[str, Any] | None = None,
    ) -> JSONResponse:
        """Perform an action of the bank once, on a thread of the services. Arguments and errors: `signing.perform`."""
        return await self.run(perform, self.bank, name, who, body, partial(work, self.bank), place=place)

    def _ended(self, sender: str) -> None:
        self._calls -= 1
        self._calls_of[sender] -= 1
        if not self._calls_of[sender]:
            del self._calls_of[sender]


def runtime_of(request: Request) -> Runtime:
    """Return the runtime of a request's application; for `Depends`."""
    runtime: Any = request.app.state.runtime
    assert isinstance(runtime, Runtime)
    return runtime
