"""Calls: requests of a client to the server, as values that a sync and an async client perform alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from sycee.client import decoding
from sycee.client.errors import ContradictsRequest, members_of
from sycee.client.exchange import Conversation, Query, Request, Response, Session
from sycee.client.signing import (
    VALIDITY_NS_MAX,
    Asked,
    Signer,
    Wanted,
    asked_among,
    asked_message,
    envelopes,
    message_signature,
)
from sycee.core import ids
from sycee.core.clock import RealClock
from sycee.core.errors import UsageError
from sycee.core.records import parts

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


def read(path: str, make: Callable[[Members], Value], *, query: Query | None = None) -> Call[Value]:
    """Return a call that reads one JSON object and makes a value of its members."""

    def converse(_: Session) -> Conversation[Value]:
        response = yield Request("GET", path, query or {})
        return made(response, make)

    return Call(converse)


def download(path: str, *, query: Query | None = None) -> Call[bytes]:
    """Return a call that reads a file."""

    def converse(_: Session) -> Conversation[bytes]:
        response = yield Request("GET", path, query or {})
        return response.content

    return Call(converse)


def listed(path: str, make: Callable[[Members], Row], *, query: Query | None = None) -> Call[Page[Row]]:
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
    before: Sequence[Sequence[Wanted]] = (),
    in_parts: bool = False,
    may_omit: str = "",
    parent: int = 0,
    valid_ns_max: int = VALIDITY_NS_MAX,
    id: int = 0,
) -> Call[Value]:
    """Return a call of an action that the server does once under its id.

    - `body`: without `id` and `envelopes`. `id`: a fresh one by default.
    - `wanted`: the records that the signers may sign, from the id. Other records raise ContradictsRequest.
    - `before`: records of earlier steps, which the server asks for one after another, before `wanted`.
    - `in_parts`: records of each step are signed in the parts of `sycee.core.records.parts`, each of which the server
      may submit without the others. It has done the steps before the one that it asks for.
    - `may_omit`: a field of ids in `wanted`. The server may ask for the records of fewer of these ids, since it refuses
      the others.
    - `parent`: the id from which ids inside the records follow, if it is that of an earlier action.
    - `valid_ns_max`: the longest validity of a signature.
    """
    number = id or fresh_id()
    name = ids.format(number)

    def converse(session: Session) -> Conversation[Value]:
        content = {"id": name, **body}
        signed: list[str] = []
        response = yield post(path, content)
        for part in (*before, wanted(number)):
            if response.status != 202:
                break
            to_sign = _object(response).get("to_sign")
            if not isinstance(to_sign, dict):
                raise ContradictsRequest("the server answered 202 without records to sign")
            session.require_ledger(to_sign.get("ledger_id"))
            if may_omit:
                part = asked_among(to_sign, part, may_omit)
            follows = parent or number
            sizes = parts.sizes([each.kind for each in part], [each.fields.get("count", 0) for each in part])
            made_now = envelopes(
                to_sign, part, follows, signers, session.now_ns(), valid_ns_max=valid_ns_max,
                parts=sizes if in_parts else (),
            )  # fmt: skip
            signed = made_now if in_parts else [*signed, *made_now]
            response = yield post(path, {**content, "envelopes": signed})
        _require_accepted(response)
        return made(response, make)

    return Call(converse, name)


def message_action(
    path: str,
    body: Members,
    make: Callable[[Members], Value],
    *,
    message: Callable[[Session, int, Asked], Conversation[bytes]],
    signers: Sequence[Signer] = (),
    id: int = 0,
) -> Call[Value]:
    """Return a call of an action whose signature is over a message of 32 bytes, not over records.

    `message`: a conversation that returns the message that the request needs, from the id and what the server sent.
    Another message is not signed and raises ContradictsRequest.
    """
    number = id or fresh_id()
    name = ids.format(number)

    def converse(session: Session) -> Conversation[Value]:
        content = {"id": name, **body}
        response = yield post(path, content)
        if response.status == 202:
            asked = asked_message(_object(response))
            expected = yield from message(session, number, asked)
            response = yield post(path, {**content, "signature": message_signature(asked, expected, signers)})
            _require_accepted(response)
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


def value(kind: type[Value], **expected: object) -> Callable[[Members], Value]:
    """Return what makes a value of a dataclass of an answer, after it compared the members in `expected`."""
    make = decoding.of(kind)

    def checked(members: Members) -> Value:
        for name, each in expected.items():
            require_same(members, name, each)
        return make(members)

    return checked


def require_same(members: Members, name: str, value: object) -> None:
    """Raise ContradictsRequest unless a member of an answer has the value that was requested."""
    if members.get(name) != value:
        raise ContradictsRequest(
            f"the answer has {name} {members.get(name)!r}, the request {value!r}",
            hint="do not use the answer; call the bank",
        )


def rows(path: str, make: Callable[[Members], Row], *, query: Query | None = None) -> Call[Sequence[Row]]:
    """Return a call that reads a whole list and makes a value of each row."""
    return read(path, lambda members: tuple(make(row) for row in members["rows"]), query=query)


def fresh_id() -> int:
    """Return a fresh id."""
    return ids.new(RealClock().now_ns() // 1_000_000)


def place(text: str | int) -> str:
    """Return an id or a name as one part of a path."""
    return ids.format(text) if isinstance(text, int) else quote(text, safe="")


def _require_accepted(response: Response) -> None:
    """Raise UsageError for an answer 202 to a signed request."""
    if response.status == 202:
        raise UsageError(
            "the server does not accept the signatures, and nothing was changed",
            hint="check whether the key is that of the wallet, and whether its holder has a new one",
        )


def _object(response: Response) -> Members:
    members = members_of(response.content)
    if not members:
        raise UsageError("it is no JSON object")
    return members
