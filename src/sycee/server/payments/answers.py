"""Bytes of answers to payments: results as JSON, problems as RFC 9457."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, NamedTuple

from sycee.core.result_codes import Result
from sycee.server.problems import MEDIA_TYPE, Problem

Headers = list[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """Status, headers and body of a response."""

    status: int
    headers: Headers
    body: bytes


async def send(answer: Answer, sender: Callable[[MutableMapping[str, Any]], Awaitable[None]]) -> None:
    """Send an answer as an ASGI application does."""
    await sender({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await sender({"type": "http.response.body", "body": answer.body})


_JSON: Final = (b"content-type", b"application/json")
_PROBLEM: Final = (b"content-type", MEDIA_TYPE.encode())
_EVERY: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
# Headers of results by the length of the body: few lengths occur, so each list is made once.
_RESULT_HEADERS: Final[list[Headers]] = [[_JSON, (b"content-length", b"%d" % length), *_EVERY] for length in range(512)]


def id_text(record: bytes) -> bytes:
    """Return the text of the id in a record's first 16 bytes, as `core.ids.format` writes it."""
    digits = record[15::-1].hex().encode()
    return b"%b-%b-%b-%b-%b" % (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])


def result(status: int, record: bytes, found: Result, frame: int, time_ns: int) -> Answer:
    """Return the answer to a payment that the ledger made. `frame`, `time_ns`: of the frame that decided it."""
    body = b'{"id":"%b","result":"%b","frame":%d,"time_ns":"%d"}' % (
        id_text(record),
        found.name.encode(),
        frame,
        time_ns,
    )
    return Answer(status, _RESULT_HEADERS[len(body)], body)


def problem(
    name: str,
    detail: str,
    hint: str,
    *,
    code: str | None = None,
    retry_after_s: float | None = None,
    headers: Headers | None = None,
    id: bytes = b"",
) -> Answer:
    """Return a problem. `code`: the ledger's result, as its reader may know it; `id`: text of the payment's id."""
    found = Problem(name, detail, hint=hint, code=code)
    request_id = os.urandom(8).hex()
    members = found.document(request_id)
    if id:
        members["id"] = id.decode()
    body = json.dumps(members, ensure_ascii=False).encode()
    made = [_PROBLEM, (b"content-length", b"%d" % len(body)), *_EVERY, (b"x-request-id", request_id.encode())]
    if retry_after_s is not None:
        made.append((b"retry-after", b"%d" % max(1, math.ceil(retry_after_s))))
    return Answer(found.type.status, [*made, *(headers or ())], body)
