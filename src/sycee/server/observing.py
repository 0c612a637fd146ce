"""Metrics and log entries of each request: operation, status, duration, kind of caller. No content, no ids.

Log lines are JSON on stderr. A line never has a body, a query, a path, an address, or the message of an exception:
all of these can contain personal data. `request_id` is random, and the answer has it too.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Final, TextIO

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sycee.core.timestamps import utc_text
from sycee.server.problems import Problem

NO_OPERATION: Final = "none"  # a path or a method that the API does not have
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # bounds of the histograms
KIND: Final = "sycee.caller_kind"  # in the scope of a request
LOGGER: Final = logging.getLogger("sycee.server")
_FRAMES_MAX: Final = 8  # of a traceback in a line


class Durations:
    """A histogram of durations. Not thread-safe."""

    __slots__ = ("counts", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(SECONDS) + 1)
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        """Count a duration."""
        self.counts[bisect_left(SECONDS, seconds)] += 1
        self.total_s += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Return upper bound and number of durations up to it, as Prometheus writes them."""
        found, total = [], 0
        for bound, count in zip((*map(str, SECONDS), "+Inf"), self.counts, strict=True):
            total += count
            found.append((bound, float(total)))
        return found


class Observations:
    """Counts of one application since its start."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()  # by operation and status
        self.durations: dict[str, Durations] = {}  # by operation

    def add(self, operation: str, status: int, seconds: float) -> None:
        """Count a request."""
        self.requests[operation, status] += 1
        if (found := self.durations.get(operation)) is None:
            found = self.durations[operation] = Durations()
        found.add(seconds)


class Observed:
    """Counts and logs each request of an application."""

    def __init__(self, app: ASGIApp, observations: Observations) -> None:
        self._app = app
        self._observations = observations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = perf_counter(), 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            seconds = perf_counter() - began
            members = _members(scope)
            self._observations.add(members["operation"], status, seconds)
            if LOGGER.isEnabledFor(logging.INFO):
                line = {**members, "status": status, "ms": round(seconds * 1_000, 3)}
                LOGGER.info("request", extra={"sycee": line})


class Failures:
    """Logs each request that fails with an exception of no known kind, and answers it with a problem."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        is_begun = False

        async def noticed(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noticed)
        except Problem:
            raise  # of the limits, which answer it
        except Exception as error:
            if scope["type"] != "http":
                raise
            LOGGER.error("request failed", extra={"sycee": {**_members(scope), **_failure(error)}})
            if is_begun:
                raise
            request_id = scope.get("sycee.request_id", "")
            await Problem("failed", "the server failed in this request").response(request_id)(scope, receive, send)


def _members(scope: Scope) -> dict[str, Any]:
    return {
        "request_id": scope.get("sycee.request_id", ""),
        "operation": operation_of(scope),
        "caller": str(scope.get(KIND, "unknown")),
    }


def operation_of(scope: Scope) -> str:
    """Return the name of a request's operation, which follows from its route alone."""
    route = scope.get("route")
    return str(getattr(route, "operation_id", None) or getattr(route, "name", None) or NO_OPERATION)


def _failure(error: BaseException) -> dict[str, Any]:
    """Return type and places of an exception, without its message: SQL errors, for example, repeat parameters."""
    places = traceback.extract_tb(error.__traceback__)[-_FRAMES_MAX:]
    return {
        "exception": type(error).__name__,
        "places": [f"{place.filename.rpartition('/sycee/')[2]}:{place.lineno}" for place in places],
    }


class JsonLines(logging.Formatter):
    """Formats each record as one line of JSON. Of other libraries' messages only the unformatted text is kept."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": utc_text(int(record.created * 1e9)),
            "level": record.levelname.lower(),
            "event": str(record.msg).partition("\n")[0],
        }
        if record.name != LOGGER.name:
            line["logger"] = record.name
        if record.exc_info and record.exc_info[1] is not None:
            line |= _failure(record.exc_info[1])
        return json.dumps({**line, **getattr(record, "sycee", {})}, ensure_ascii=False)


@contextmanager
def json_logs(level: int = logging.INFO, stream: TextIO | None = None) -> Iterator[None]:
    """Write all logs of this process as JSON lines to stderr, or to `stream`, inside the block."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    root, before = logging.getLogger(), (logging.getLogger().handlers[:], logging.getLogger().level, LOGGER.level)
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    LOGGER.setLevel(level)
    try:
        yield
    finally:
        root.handlers[:], root.level, LOGGER.level = before
