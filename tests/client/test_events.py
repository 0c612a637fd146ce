"""Events of a real server: order, resumption after a lost connection, and streams of other forms."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue
from typing import Any

import httpx
import pytest
from tests.client.world import DEADLINE_S, Place, place

from sycee.client import AsyncClient, Client, ContradictsRequest, Event, WebhookRefused, api, webhooks
from sycee.client import events as module
from sycee.client.events import Feed
from sycee.core.errors import UsageError


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("events"), http_webhook_networks="127.0.0.0/8") as made:
        yield made


class Cut(httpx.HTTPTransport):
    """A real connection, of which each stream ends after some bytes, in the middle of an event."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        if "events" not in request.url.path or answer.status_code != 200:
            return answer
        whole = answer.stream
        assert isinstance(whole, httpx.SyncByteStream)

        class Part(httpx.SyncByteStream):
            def __iter__(self) -> Iterator[bytes]:
                left = 900
                for piece in whole:
                    yield piece[:left]
                    left -= len(piece)
                    if left <= 0:
                        raise httpx.ReadError("the connection was lost")

            def close(self) -> None:
                whole.close()

        return httpx.Response(200, headers=answer.headers, stream=Part())


def paid(client: Client, town: Place, count: int) -> list[str]:
    return [client.do(api.pay_signed(town.leo, town.town.shop, 1)).id for _ in range(count)]


def taken(events: Iterator[Event], count: int) -> list[Event]:
    return list(itertools.islice((each for each in events if each.type == "payment.made"), count))


def test_a_stream_is_resumed_without_gap_and_repetition(town: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    with town.client(town.desk) as bank, town.client(town.desk, transport=Cut()) as cut:
        made = paid(bank, town, 6)
        found = taken(cut.events("0.0.0"), 6)
        assert [each.data["operation"] for each in found] == made
        assert found[0].data["amount"] == "1"
        later = paid(bank, town, 2)
        again = taken(bank.events(found[-1].place), 2)
        assert [each.data["operation"] for each in again] == later


def test_the_async_client_reads_the_same(town: Place) -> None:
    async def main() -> list[str]:
        async with AsyncClient(town.address, town.desk, origin=town.origin, deadline_s=DEADLINE_S) as bank:
            found: list[str] = []
            async for event in bank.events("0.0.0"):
                found.append(event.type)
                if len(found) == 5:
                    return found
        return []

    with town.client(town.desk) as bank:
        assert asyncio.run(main()) == [each.type for each in itertools.islice(bank.events("0.0.0"), 5)]


def test_a_webhook_of_the_server_is_verified(town: Place) -> None:
    received: Queue[tuple[dict[str, str], bytes]] = Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.put((dict(self.headers.items()), self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as server, town.client(town.desk) as bank:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        key = bank.do(api.webhook_key())
        register = api.webhook(f"http://127.0.0.1:{server.server_port}/", types=["payment.made"])
        assert bank.do(register) == bank.do(register) == register.id
        (paying,) = paid(bank, town, 1)
        headers, body = received.get(timeout=20)
        server.shutdown()
        thread.join(10)
    event = webhooks.received(headers, body, key)
    assert (event["type"], event["operation"]) == ("payment.made", paying)
    with pytest.raises(WebhookRefused):
        webhooks.received(headers, body.replace(b'"1"', b'"2"'), key)


def test_the_feed_takes_pieces_of_any_size() -> None:
    text = ': position\nid: 1.0.0\n\nid: 2.1.0\nevent: a\ndata: {\ndata: "x":1}\n\nid: 2.1.0\ndata: {}\n\nretry: 5\n\n'
    for size in (1, 7, 1_000):
        feed = Feed()
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert [event for piece in pieces for event in feed.take(piece)] == [Event("2.1.0", "a", {"x": 1})]
        assert feed.place == "2.1.0"


@pytest.mark.parametrize("text", ["id: x\n\n", "id: 3.0.0\ndata: [\n\n", "id: 3.0.0\ndata: 1\n\n"])
def test_another_stream_is_refused(text: str) -> None:
    with pytest.raises(ContradictsRequest):
        list(Feed().take(text))


def test_an_endless_event_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVENT_CHARACTERS_MAX", 100)
    feed: Any = Feed()
    for _ in range(6):
        assert list(feed.take("data: xxxxxxxx\n")) == []
    with pytest.raises(ContradictsRequest, match="more than 100 characters"):
        list(feed.take("data: xxxxxxxx\n"))
    with pytest.raises(UsageError, match="no place in a stream"):
        Feed("12")
