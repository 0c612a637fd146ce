"""Errors of the API as RFC 9457 problems: `type`, `title`, `status`, `detail`, `hint`, `code` and `request_id`.

Each type has a page under /problems, which also states whether the request may be repeated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from sycee.core.errors import IntegrityError, Refused, SyceeError, UnavailableError, UsageError
from sycee.core.result_codes import Result
from sycee.database.requests import RequestConflict
from sycee.identity.people import DutyMissing
from sycee.server.auth.refusals import (
    CHALLENGE,
    ForeignOrigin,
    LoginTooOld,
    NotAuthenticated,
    ScopeMissing,
    SessionNeeded,
    TooManyRequests,
)
from sycee.vouchers.refusals import VoucherRefused
from sycee.wallets.opening import PersonRefused

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 1


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A kind of problem. `meaning` and `next_step` are sentences of its page."""

    name: str
    status: int
    title: str
    meaning: str
    next_step: str


TYPES: Final[Mapping[str, ProblemType]] = {
    each.name: each
    for each in (
        ProblemType(
            "invalid-request",
            400,
            "The request is wrong",
            "A field is missing, unknown, of the wrong form, or contradicts what the bank has stored.",
            "Correct the request; the same request will be answered in the same way.",
        ),
        ProblemType(
            "not-authenticated",
            401,
            "Authentication is missing or invalid",
            "The operation needs a token or a session, and the request has none that is valid now.",
            "Fetch a new token, or log in again.",
        ),
        ProblemType(
            "not-permitted",
            403,
            "The caller's duties do not permit this",
            "The caller is known, and no duty of the caller permits the action, or another person must act.",
            "The page of duties names who may request the action.",
        ),
        ProblemType(
            "not-found",
            404,
            "There is no such thing, or the caller may not see it",
            "Things that do not exist and things that the caller may not see have the same answer.",
            "Check the id, and whether it belongs to the caller.",
        ),
        ProblemType(
            "method-not-allowed",
            405,
            "The path has no such method",
            "The path exists, with other methods.",
            "The header Allow lists the methods.",
        ),
        ProblemType(
            "request-timeout",
            408,
            "The request did not arrive in time",
            "The header or the body of the request was not complete when the time was over.",
            "Send the same request again.",
        ),
        ProblemType(
            "conflict",
            409,
            "The id belongs to another request",
            "An id was sent before with other content, or by another caller.",
            "Use a fresh id for a new request; repeat a request with exactly its first content.",
        ),
        ProblemType(
            "too-large",
            413,
            "The request is too large",
            "The body has more bytes than the server takes.",
            "Divide the work into several requests.",
        ),
        ProblemType(
            "unsupported-media-type",
            415,
            "The body has another media type",
            "The operation takes the media types that the reference names.",
            "Send application/json, or what the operation names.",
        ),
        ProblemType(
            "refused",
            422,
            "The ledger refused",
            "The rules of the currency forbid the operation; `code` is the result code. The id is bound to this result "
            "unless the page of result codes says otherwise.",
            "Read the code's entry; a new attempt needs a fresh id.",
        ),
        ProblemType(
            "too-many-requests",
            429,
            "Too many requests",
            "The sender exceeded a limit of requests, or sent too many invalid signatures.",
            "Wait for the seconds in the header Retry-After.",
        ),
        ProblemType(
            "damaged",
            500,
            "Stored bytes do not prove what they should",
            "The server found damage, and stopped the operation.",
            "Call the operator of the server: the log has the details under the request id.",
        ),
        ProblemType(
            "failed",
            500,
            "The server failed",
            "The server has a fault. Whether an operation was done can be found by sending it again under the same id.",
            "Send the same request again; if it fails again, give the request id to the operator of the server.",
        ),
        ProblemType(
            "unavailable",
            503,
            "The server cannot do this now",
            "The queue is full, the disk or the database refuses, or the server is starting or stopping. Whether an "
            "operation was done can be found by sending it again under the same id.",
            "Send the same request again after the seconds in the header Retry-After.",
        ),
    )
}

_BY_STATUS: Final = {each.status: each for each in TYPES.values()}


class Problem(Exception):
    """An answer of the API that is an error. Handlers raise it; `install` makes it a response."""

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        hint: str | None = None,
        code: Result | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.type = TYPES[name]
        self.detail = detail
        self.hint = hint
        self.code = code.name if isinstance(code, Result) else code
        self.headers = dict(headers or {})

    def response(self, request_id: str) -> Response:
        """Return the response."""
        headers = dict(self.headers)
        if self.type.status in (429, 503):
            headers.setdefault("Retry-After", str(RETRY_AFTER_S))
        if self.type.status == 401:
            headers.setdefault("WWW-Authenticate", CHALLENGE)
        return Response(
            json.dumps(self.document(request_id), ensure_ascii=False),
            self.type.status,
            headers=headers,
            media_type=MEDIA_TYPE,
        )

    def document(self, request_id: str) -> dict[str, Any]:
        """Return the members of the problem."""
        members = {
            "type": f"/problems/{self.type.name}",
            "title": self.type.title,
            "status": self.type.status,
            "detail": self.detail,
            "hint": self.hint or self.type.next_step,
            "code": self.code,
            "request_id": request_id,
        }
        return {name: value for name, value in members.items() if value is not None}


def not_found(what: str = "this") -> Problem:
    """Return the problem for a thing that does not exist or that the caller may not see."""
    return Problem("not-found", f"there is no {what} that you may see")


def from_error(error: SyceeError) -> Problem:
    """Return the problem of an error of a service."""
    match error:
        case NotAuthenticated():
            return Problem("not-authenticated", error.message, hint=error.hint, headers=error.headers)
        case TooManyRequests():
            return Problem("too-many-requests", error.message, hint=error.hint, headers=error.headers)
        case ForeignOrigin() | ScopeMissing() | SessionNeeded() | LoginTooOld():
            return Problem("not-permitted", error.message, hint=error.hint, headers=error.headers)
        case RequestConflict():
            return Problem("conflict", error.message, hint=error.hint)
        case DutyMissing():
            return Problem("not-permitted", error.message, hint=error.hint)
        case Refused():
            return Problem("refused", error.message, hint=error.hint, code=error.result)
        case VoucherRefused():
            return Problem("refused", error.message, hint=error.hint, code=error.code)
        case IntegrityError():
            return Problem("damaged", "stored bytes do not prove what they should")
        case UnavailableError():
            return Problem("unavailable", error.message, hint=error.hint)
        case PersonRefused():
            return Problem("invalid-request", error.message, hint=error.hint, code=error.code)
        case UsageError():
            return Problem("invalid-request", error.message, hint=error.hint)
    return Problem("unavailable", "the server could not do this")


def install(app: FastAPI) -> None:
    """Answer every error of the application with a problem."""

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> Response:
        return error.response(request_id(request))

    @app.exception_handler(SyceeError)
    async def service_error(request: Request, error: SyceeError) -> Response:
        return from_error(error).response(request_id(request))

    @app.exception_handler(RequestValidationError)
    async def validation(request: Request, error: RequestValidationError) -> Response:
        return Problem("invalid-request", _first_error(error)).response(request_id(request))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        kind = _BY_STATUS.get(error.status_code, TYPES["invalid-request"])
        detail = "there is no such path" if error.status_code == 404 else str(error.detail)
        return Problem(kind.name, detail, headers=error.headers).response(request_id(request))


def request_id(request: Request) -> str:
    """Return the id of a request, which the response and the log contain."""
    return str(request.scope.get("sycee.request_id", ""))


def _first_error(error: RequestValidationError) -> str:
    """Return the first finding with its place, without the value: it may be personal data."""
    for each in error.errors():
        place = ".".join(str(part) for part in each["loc"])
        return f"{place}: {each['msg']}"
    return "the request does not match the operation's description"
