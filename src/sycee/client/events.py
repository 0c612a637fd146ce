"""Events of a server as they happen: the parser of a stream, and the place where it continues.

`Feed` has no network: a client gives it what arrived, and asks it with which call to connect again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sycee.client.calls import Call
from sycee.client.errors import ContradictsRequest, members_of
from sycee.client.exchange import Conversation, Request, Response, Session
from sycee.core.errors import UsageError

PATH: Final = "/v1/events"
EVENT_STREAM: Final = "text/event-stream"
PAUSE_S: Final = 1.0  # between the beginnings of two connections
EVENT_CHARACTERS_MAX: Final = 8 << 20  # a drop for a whole city names many accounts
_PLACE: Final = re.compile(r"[0-9]{1,19}\.[0-9]{1,19}\.[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Event:
    """An event. `place`: store it after the event was handled, to continue from there. `data`: by type."""

    place: str
    type: str
    data: Mapping[str, Any]


class Feed:
    """A stream over all its connections. `place`: of the last event that was handled; "" for later events.

    Each event is given once and in order, also if a connection repeats it. Raises UsageError for a text that is no
    place.
    """

    def __init__(self, place: str = "") -> None:
        if place and not _PLACE.fullmatch(place):
            raise UsageError(f"{place!r} is no place in a stream", hint='use `place` of an event, or "0.0.0" for all')
        self.place = place
        self._rest = ""
        self._fields: dict[str, str] = {}
        self._characters = 0  # of the unfinished event
        self._connected_s = 0.0  # monotonic

    @property
    def pause_s(self) -> float:
        """Return how long to wait before the next connection: some proxies close every new connection."""
        return max(0.0, self._connected_s + PAUSE_S - time.monotonic())

    def connect(self) -> Call[Response]:
        """Return the call that opens a connection from this place, and forget the unfinished event of the last one."""
        self._rest, self._fields, self._characters = "", {}, 0
        self._connected_s = time.monotonic()

        def converse(_: Session) -> Conversation[Response]:
            query = {"after": self.place} if self.place else {}
            return (yield Request("GET", PATH, query, is_stream=True))

        return Call(converse)

    def take(self, text: str) -> Iterator[Event]:
        """Yield the events that a piece of the stream completes. Raises ContradictsRequest for another stream."""
        *lines, self._rest = (self._rest + text).replace("\r\n", "\n").split("\n")
        self._characters += len(text)
        if self._characters > EVENT_CHARACTERS_MAX:
            raise ContradictsRequest(f"an event has more than {EVENT_CHARACTERS_MAX:,} characters")
        for line in lines:
            if line:
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                earlier = self._fields.get(name) if name == "data" else None
                self._fields[name] = value if earlier is None else f"{earlier}\n{value}"
                continue
            fields, self._fields, self._characters = self._fields, {}, len(self._rest)
            yield from self._ended(fields)

    def _ended(self, fields: Mapping[str, str]) -> Iterator[Event]:
        place = fields.get("id", "")
        if not place:
            return  # comments, and the pause that the server proposes
        if not _PLACE.fullmatch(place):
            raise ContradictsRequest(f"{place[:60]!r} is no place in a stream")
        if _numbers(place) <= _numbers(self.place):
            return  # a connection repeats what was given
        self.place = place
        if "data" in fields:
            yield Event(place, fields.get("event", "message"), _data(fields["data"]))


def _data(text: str) -> Mapping[str, Any]:
    members = members_of(text.encode())
    if not members:
        raise ContradictsRequest("an event is no JSON object")
    return members


def _numbers(place: str) -> tuple[int, ...]:
    return tuple(map(int, place.split("."))) if place else ()
