"""Calls: what a client does with the server, as values that a sync and an async client carry out alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from sycee.client.errors import ContradictsRequest, members_of
from sycee.client.exchange import Conversation, Request, Response, Session
from sycee.client.signing import Signer, Wanted, envelopes
from sycee.core import ids
from sycee.core.clock import RealClock
from sycee.core.errors import UsageError

Value = TypeVar("Value")
Row = TypeVar("Row", covariant=True)
JSON: Final = "application/json"
Members = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Call(Generic[Value]):
    """One operation of the API. `Client.do` carries it out, and may do so again.

    `id`: of an action, "" for a read. Doing the same Call again repeats the request under the same id: the server acts
    once.
    """

    converse: Callable[[Session], Conversation[Value]]
    id: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows of a list, and the call for the next page; None after the last page."""

    rows: Sequence[Row]
    next: Call[Page[Row]] | None


def read(path: str, make: Callable[[Members], Value], *, query: Mapping[str, str] | None = None) -> Call[Value]:
    """Return a call that reads one JSON object and makes a value of its members."""

    def converse(_: Session) -> Conversation[Value]:
        response = yield Request("GET", path, query or {})
        return made(response, make)

    return Call(converse)


def download(path: str) -> Call[bytes]:
    """Return a call that reads a file."""

    def converse(_: Session) -> Conversation[bytes]:
        response = yield Request("GET", path)
        return response.content

    return Call(converse)


def listed(path: str, make: Callable[[Members], Row], *, query: Mapping[str, str] | None = None) -> Call[Page[Row]]:
    """Return a call that reads the first page of a list and makes a value of each row."""

    def page(members: Members) -> Page[Row]:
        following = members["next"]
        again = {**(query or {}), "cursor": following}
        return Page(tuple(make(row) for row in members["rows"]), listed(path, make, query=again) if following else None)

    return read(path, page, query=query)


def action(
    path: str,
    body: Members,
    make: Callable[[Members], Value],
    *,
    signers: Sequence[Signer] = (),
    wanted: Callable[[int], Sequence[Wanted]] = lambda _: (),
    id: int = 0,
) -> Call[Value]:
    """Return a call of an action that the server does once under its id.

    - `body`: without `id` and `envelopes`. `id`: a fresh one by default.
    - `wanted`: the records that the signers may sign, from the id. Other records raise ContradictsRequest.
    """
    number = id or fresh_id()
    name = ids.format(number)

    def converse(session: Session) -> Conversation[Value]:
        content = {"id": name, **body}
        response = yield post(path, content)
        if response.status == 202:
            to_sign = _object(response).get("to_sign")
            if not isinstance(to_sign, dict):
                raise ContradictsRequest("the server answered 202 without records to sign")
            session.require_ledger(to_sign.get("ledger_id"))
            signed = envelopes(to_sign, wanted(number), number, signers, session.now_ns())
            content = {**content, "envelopes": signed}
            response = yield post(path, content)
            if response.status == 202:
                raise UsageError(
                    "the server does not accept the signatures, and nothing was changed",
                    hint="check whether the key is that of the wallet, and whether its holder has a new one",
                )
        return made(response, make)

    return Call(converse, name)


def post(path: str, body: Members) -> Request:
    """Return a request with a JSON body."""
    return Request("POST", path, content=json.dumps(body, ensure_ascii=False).encode(), content_type=JSON)


def made(response: Response, make: Callable[[Members], Value]) -> Value:
    """Return what `make` makes of an answer. Raises ContradictsRequest for an answer of another form."""
    try:
        return make(_object(response))
    except (KeyError, TypeError, ValueError, UsageError) as error:
        raise ContradictsRequest(
            f"the answer of the server cannot be read: {type(error).__name__} {error}",
            hint="check the address: it must be that of a Sycee server, of this release or a later one",
        ) from error


def require_same(members: Members, name: str, value: object) -> None:
    """Raise ContradictsRequest unless a member of an answer has the value that was requested."""
    if members.get(name) != value:
        raise ContradictsRequest(
            f"the answer has {name} {members.get(name)!r}, the request {value!r}",
            hint="do not use the answer; call the bank",
        )


def fresh_id() -> int:
    """Return a fresh id."""
    return ids.new(RealClock().now_ns() // 1_000_000)


def place(text: str | int) -> str:
    """Return an id or a name as one part of a path."""
    return ids.format(text) if isinstance(text, int) else quote(text, safe="")


def _object(response: Response) -> Members:
    members = members_of(response.content)
    if not members:
        raise UsageError("it is no JSON object")
    return members
