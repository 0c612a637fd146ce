"""Exceptions of the client, which carry what the server answered.

All are `sycee.core.errors.SyceeError`, so that `message`, `hint` and `exit_code` are as elsewhere::

    ClientError                       exit 1
    ├── LostConnection                exit 4   no answer before the deadline: whether the server acted is unknown
    ├── ContradictsRequest            exit 3   records or an answer that are not what was requested; nothing was signed
    ├── WebhookRefused                exit 3   a webhook that the server did not sign, or signed long ago
    └── Problem                       exit 1   the server answered with a problem (RFC 9457)
        ├── InvalidRequest            exit 2   400, 405, 406, 413, 415: correct the request
        ├── NotAuthenticated          exit 2   401, and refusals of the token endpoint
        ├── NotPermitted              exit 2   403: the duties of the client's person do not permit this
        ├── NotFound                  exit 2   404: there is no such thing, or the caller may not see it
        ├── IdConflict                exit 2   409: the id belongs to another request
        ├── Refused                   exit 1   422: the ledger refused; `code` is its result code
        ├── TooManyRequests           exit 4   429 until the deadline
        ├── NotTaken                  exit 4   408, 502, 503, 504 until the deadline
        └── ServerFailed              exit 3   500: the server found damage, or has a defect

After LostConnection, TooManyRequests and NotTaken, do the same call again: its id makes that safe.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from sycee.core.errors import SyceeError

_TEXT_CHARACTERS_MAX: Final = 500  # of a text in a problem: it may come from a proxy


class ClientError(SyceeError):
    """Base of the errors of the client."""


class LostConnection(ClientError):
    """No answer arrived before the deadline. Whether the server acted is unknown: do the same call again."""

    exit_code = 4


class ContradictsRequest(ClientError):
    """The server sent records or an answer that are not what was requested. The client signed nothing."""

    exit_code = 3


class WebhookRefused(ClientError):
    """A webhook is not of the server, or old."""

    exit_code = 3


class Problem(ClientError):
    """The server answered with a problem.

    - `status`, `type`, `title`, `detail`: of RFC 9457. `type` is a page of the server, such as /problems/refused.
    - `code`: the ledger's result code, or the code of the token endpoint; "" for none.
    - `request_id`: under which the server's log has the request.
    """

    def __init__(self, status: int, members: Mapping[str, Any]) -> None:
        self.status = status
        self.type = _text(members, "type")
        self.title = _text(members, "title")
        self.detail = _text(members, "detail")
        self.code = _text(members, "code")
        self.request_id = _text(members, "request_id")
        what = self.detail or self.title or f"the server answered {status}"
        named = f"{what} ({self.code})" if self.code and self.code not in what else what
        super().__init__(named, hint=_text(members, "hint") or None)


class InvalidRequest(Problem):
    """The request is wrong."""

    exit_code = 2


class NotAuthenticated(Problem):
    """The credentials are missing, wrong or revoked."""

    exit_code = 2


class NotPermitted(Problem):
    """The duties of the client's person, or its scopes, do not permit this."""

    exit_code = 2


class NotFound(Problem):
    """There is no such thing, or the caller may not see it."""

    exit_code = 2


class IdConflict(Problem):
    """The id belongs to another request or to another caller."""

    exit_code = 2


class Refused(Problem):
    """The ledger refused. `code` is the result code; a new attempt needs a fresh id."""


class TooManyRequests(Problem):
    """The sender exceeded a limit of requests until the deadline."""

    exit_code = 4


class NotTaken(Problem):
    """The server did not take the request before the deadline: do the same call again later."""

    exit_code = 4


class ServerFailed(Problem):
    """The server found damage, or has a defect."""

    exit_code = 3


_BY_STATUS: Final[Mapping[int, type[Problem]]] = {
    400: InvalidRequest,
    401: NotAuthenticated,
    403: NotPermitted,
    404: NotFound,
    405: InvalidRequest,
    406: InvalidRequest,
    408: NotTaken,
    409: IdConflict,
    413: InvalidRequest,
    415: InvalidRequest,
    422: Refused,
    429: TooManyRequests,
    502: NotTaken,
    503: NotTaken,
    504: NotTaken,
}


def problem(status: int, content: bytes) -> Problem:
    """Return the problem of an answer whose status is an error. A body of another form has no members."""
    kind = _BY_STATUS.get(status, ServerFailed if status >= 500 else InvalidRequest)
    return kind(status, members_of(content))


def token_refused(status: int, content: bytes) -> Problem:
    """Return the error for an answer of the token endpoint (RFC 6749, section 5.2)."""
    members = members_of(content)
    if "error" not in members:
        return problem(status, content)
    return NotAuthenticated(
        status,
        {
            "detail": "the server issues no token to this client",
            "code": members["error"],
            "hint": "check the client's id and key, whether it was revoked, and the server's address",
        },
    )


def members_of(content: bytes) -> Mapping[str, Any]:
    """Return the members of a JSON object, {} for any other content."""
    try:
        members = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    return value[:_TEXT_CHARACTERS_MAX] if isinstance(value, str) else ""
