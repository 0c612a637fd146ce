"""ASGI application of `POST /v1/bulk/{file}` and `POST /v1/bulk/check`: rows in, results out, both as streams.

No framework collects a body here: rows are paid while they arrive. docs/reference/bulk.md has the formats.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import Queue
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qs

from starlette.requests import Request

from sycee.bulk.service import PAY
from sycee.core import ids
from sycee.core.errors import SyceeError, UsageError
from sycee.core.limits import ENVELOPE_BYTES
from sycee.core.records.bulk_rows import BATCHES_MAX, ENVELOPES_MAX
from sycee.server.auth.caller import Caller
from sycee.server.auth.dependencies import path_of
from sycee.server.auth.logins import Visitor
from sycee.server.auth.refusals import NotAuthenticated
from sycee.server.auth.service import Authentication
from sycee.server.bulk.access import payable_file, require_payer
from sycee.server.bulk.intake import Cut, Intake, Outlet
from sycee.server.observing import KIND, LOGGER, Observations, Observed
from sycee.server.payments.senders import address_of, network_of
from sycee.server.problems import Problem, from_error
from sycee.server.runtime import SENDER, Runtime

if TYPE_CHECKING:
    from sycee.core.arrays import Array

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

PREFIX: Final = "/v1/bulk/"
CHECK: Final = "check"
ENVELOPES_HEADER: Final = "sycee-envelopes"
ARROW: Final = "application/vnd.apache.arrow.stream"
CSV: Final = "text/csv"
CONVERSATIONS_MAX: Final = 8  # concurrent streams: each has two threads, and some batches in memory
PER_CALLER_MAX: Final = 2
CSV_BYTES_MAX: Final = 64 << 20  # about a million rows, all of them in memory
_FILE: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_EVERY: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


class _Route:
    """The name under which a request is counted."""

    def __init__(self, operation_id: str) -> None:
        self.operation_id = operation_id


PAY_ROUTE: Final = _Route("pay_in_bulk")
CHECK_ROUTE: Final = _Route("check_bulk")


class BulkApp:
    """Answers streams of rows, and passes every other request to `otherwise`."""

    def __init__(
        self, runtime: Runtime, authentication: Authentication, observations: Observations, *, otherwise: AsgiApp
    ) -> None:
        """Create the application. `observations`: where requests are counted."""
        self._counted = Observed(self.serve, observations)
        self._runtime = runtime
        self._authentication = authentication
        self._otherwise = otherwise
        self._threads = ThreadPoolExecutor(2 * CONVERSATIONS_MAX, thread_name_prefix="sycee-bulk")
        self._open: Counter[tuple[int, int]] = Counter()  # by caller
        self._intakes: set[Intake] = set()
        self._checking = asyncio.Lock()
        self._is_stopping = False

    def handles(self, scope: Scope) -> bool:
        """Return whether a request is a stream of rows."""
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith(PREFIX):
            return False
        name = scope["path"].removeprefix(PREFIX)
        return name == CHECK or _FILE.fullmatch(name) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if not self.handles(scope):
            await self._otherwise(scope, receive, send)
            return
        await self._counted(scope, receive, send)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a stream of rows, uncounted."""
        request_id = scope.setdefault("sycee.request_id", os.urandom(8).hex())
        name = scope["path"].removeprefix(PREFIX)
        scope["route"] = CHECK_ROUTE if name == CHECK else PAY_ROUTE
        is_begun = False

        async def noticed(message: MutableMapping[str, Any]) -> None:
            nonlocal is_begun
            if message["type"] == "http.response.start":
                is_begun = True
                message["headers"] = [*message["headers"], *_EVERY, (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._serve(name, Request(scope, receive), receive, noticed)
        except (SyceeError, Problem) as error:
            problem = error if isinstance(error, Problem) else from_error(error)
        except Exception as error:
            LOGGER.error(
                "request failed", extra={"sycee": {"request_id": request_id, "exception": type(error).__name__}}
            )
            if is_begun:
                raise
            problem = Problem("failed", "the server failed in this request")
        else:
            return
        problem.headers["connection"] = "close"  # the rest of the body is not read
        await problem.response(request_id)(scope, receive, noticed)

    def stop(self) -> None:
        """End all streams: their senders continue at another server, or after the restart."""
        self._is_stopping = True
        for intake in tuple(self._intakes):
            intake.cut()

    async def aclose(self) -> None:
        """Return when no thread works any more."""
        self.stop()
        await asyncio.to_thread(self._threads.shutdown)

    # --- one request ---

    async def _serve(self, name: str, request: Request, receive: Receive, send: Send) -> None:
        caller = await self._admitted(request)
        bank, run = self._runtime.bank, self._runtime.run
        await run(bank.people.require, caller.person, PAY, operator=caller.operator)
        query = parse_qs(request.scope.get("query_string", b"").decode("ascii", "replace"))
        first, envelopes = _first_batch(query), _envelopes(request)
        from sycee.server.bulk import conversation as talk  # needs pyarrow, which an installation may lack

        if name == CHECK:
            payer = _payer(query)
            await run(require_payer, bank, caller, payer)
            take: Callable[[], talk.Take] = partial(talk.checking, bank, payer)
        else:
            file = await run(payable_file, bank, caller, ids.parse(name))
            take = partial(talk.paying, bank, file)
        is_csv = _is_csv(request)
        intake = Intake(asyncio.get_running_loop(), CSV_BYTES_MAX if is_csv else None)
        if is_csv:
            signed = None if name == CHECK else envelopes
            batches = partial(talk.csv_batches, intake, first, signed, bank.config.currency)
        else:
            batches = partial(talk.arrow_batches, intake, first, envelopes)
        writer: talk.Writer = talk.CsvWriter() if is_csv else talk.ArrowWriter()
        with self._place(caller, intake):
            async with self._checking if name == CHECK else contextlib.nullcontext():
                await self._converse(intake, batches, take, writer, receive, send)

    async def _converse(
        self, intake: Intake, batches: Any, take: Any, writer: Any, receive: Receive, send: Send
    ) -> None:
        """Pay rows while they arrive, and send their results."""
        from sycee.server.bulk import conversation as talk

        loop = asyncio.get_running_loop()
        outlet = Outlet(loop, talk.ANSWER_BYTES_MAX)
        waiting: Queue[Any] = Queue(talk.IN_FLIGHT)
        threads = [
            loop.run_in_executor(self._threads, talk.read_rows, batches, take, waiting),
            loop.run_in_executor(self._threads, talk.write_results, waiting, outlet, writer),
        ]
        feeding = asyncio.create_task(_feed(intake, receive))
        is_begun = False
        try:
            while True:
                item = await outlet.take()
                if isinstance(item, Cut):
                    if intake.is_too_large:
                        raise Problem("too-large", f"the body may have {CSV_BYTES_MAX:,} bytes")
                    if not is_begun and self._is_stopping:
                        raise Problem("unavailable", "the server is stopping", hint="send the file again in a moment")
                    return  # nobody reads the rest, and the answer stays incomplete
                if isinstance(item, BaseException):
                    raise item
                if not is_begun:
                    is_begun = True
                    headers = [(b"content-type", writer.media_type.encode())]
                    await send({"type": "http.response.start", "status": 200, "headers": headers})
                if item is None:
                    await send({"type": "http.response.body", "body": b""})
                    return
                await send({"type": "http.response.body", "body": item, "more_body": True})
        finally:
            feeding.cancel()
            intake.cut()
            outlet.cut()
            await asyncio.shield(asyncio.wait(threads))

    async def _admitted(self, request: Request) -> Caller:
        """Return the caller, after the limits of the sender's address. Raises NotAuthenticated without a login."""
        authentication = self._authentication
        address = address_of(request.scope, forwarded=authentication.settings.behind_proxy)
        SENDER.set(network_of(address))
        authentication.admit(address)
        device = authentication.sessions.device_in(request.cookies)
        caller = await authentication.caller(
            method=request.method,
            path=path_of(request),
            authorization=request.headers.getlist("authorization"),
            proofs=request.headers.getlist("dpop"),
            cookies=request.cookies,
            headers=request.headers,
            visitor=Visitor(address, request.headers.get("user-agent", ""), device),
            run=self._runtime.run,
        )
        request.scope[KIND] = caller.kind.value
        if not caller.signed_in:
            raise NotAuthenticated("")
        return caller

    @contextlib.contextmanager
    def _place(self, caller: Caller, intake: Intake) -> Any:
        """Take a place for a stream. Raises the problems too-many-requests and unavailable."""
        key = caller.person, caller.client
        if self._open[key] >= PER_CALLER_MAX:
            raise Problem(
                "too-many-requests", f"{PER_CALLER_MAX} streams of rows are open already", hint="end one of them first"
            )
        if self._open.total() >= CONVERSATIONS_MAX or self._is_stopping or not self._runtime.is_ready:
            raise Problem("unavailable", "too many streams of rows are open", hint="send the file again in a moment")
        self._open[key] += 1
        self._intakes.add(intake)
        try:
            yield
        finally:
            self._intakes.discard(intake)
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]


async def _feed(intake: Intake, receive: Receive) -> None:
    """Pass the body to the intake, as fast as it is read."""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            intake.cut()
            return
        intake.feed(message.get("body", b""))
        if not message.get("more_body"):
            intake.finish()
            return
        await intake.has_space()


def _is_csv(request: Request) -> bool:
    """Return whether the body is CSV rather than Arrow. Raises the problem for another type."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in (ARROW, CSV) or request.headers.get("content-encoding", "identity") != "identity":
        raise Problem("unsupported-media-type", f"the body is {ARROW} or {CSV}, without compression")
    return media_type == CSV


def _first_batch(query: dict[str, list[str]]) -> int:
    text = query.get("first_batch", ["0"])[-1]
    if not (text.isascii() and text.isdigit() and len(text) < 6) or int(text) >= BATCHES_MAX:
        raise UsageError("first_batch is no number of a batch", hint="batches are numbered from 0")
    return int(text)


def _payer(query: dict[str, list[str]]) -> int:
    text = query.get("payer", [""])[-1]
    if not text:
        raise UsageError("payer is missing", hint="name the account that would pay: ?payer=ID")
    return ids.parse(text)


def _envelopes(request: Request) -> list[Array]:
    """Return the envelopes of the header, one list for each batch. `;` separates batches."""
    from sycee.client.bulk_arrow import envelopes_of

    text = request.headers.get(ENVELOPES_HEADER, "")
    return [envelopes_of(part.strip().encode("ascii", "replace")) for part in text.split(";")] if text else []


assert ENVELOPES_MAX * ENVELOPE_BYTES < 1_024
