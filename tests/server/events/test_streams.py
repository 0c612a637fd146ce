"""Streams of events over HTTP: each caller's own events, in order, without a gap around a reconnection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.bank.world import ANN
from tests.server.world import logged_in, served
from tests.wallets import world
from tests.wallets.world import LEO_KEY, Town, person

from sycee.core import ids
from sycee.core.errors import UnavailableError
from sycee.core.records import operations
from sycee.core.result_codes import Result
from sycee.server.auth.caller import Caller, CallerKind
from sycee.server.events import streams
from sycee.server.events.feed import START, Cursor, Page
from sycee.server.events.hub import Hub
from sycee.server.events.scopes import Scope, scope_of
from sycee.server.events.streams import EventStream, StreamSlots
from sycee.server.problems import Problem

WAIT_S = 20.0


@dataclass(frozen=True)
class Place:
    town: Town
    address: str
    officer: httpx.Client
    leo: httpx.Client
    mia: httpx.Client


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("streams")
    with world.bank("sqlite", folder) as town, served(town.bank) as address, contextlib.ExitStack() as stack:
        who = (person(town.bank, ANN), town.holder(town.leo), town.holder(town.mia))
        clients = [stack.enter_context(logged_in(town.bank, address, each)) for each in who]
        yield Place(town, address, *clients)


def pay(town: Town, count: int = 1) -> list[str]:
    """Make payments of Leo; return their operations."""
    made = []
    for _ in range(count):
        id = ids.new(town.bank.stores.clock.now_ns() // 1_000_000)
        record = operations.pay(id, payer=town.leo, payee=town.shop, amount=1)
        answer = town.bank.stores.ledger.signed_by(*town.signer(town.leo, LEO_KEY)).submit(record)
        assert answer["code"].tolist() == [Result.CREATED]
        made.append(ids.format(id))
    return made


def pay_in_one_frame(town: Town, count: int) -> None:
    """Make payments of Leo together."""
    time_ms = town.bank.stores.clock.now_ns() // 1_000_000
    records = [
        operations.pay(each, payer=town.leo, payee=town.shop, amount=1) for each in ids.generate(count, time_ms=time_ms)
    ]
    answers = town.bank.stores.ledger.signed_by(*town.signer(town.leo, LEO_KEY)).submit(np.concatenate(records))
    assert answers["code"].tolist() == [Result.CREATED] * count


class Reader:
    """An open stream. `events`: (cursor, type, data) of each event."""

    def __init__(self, response: httpx.Response) -> None:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        self._lines = response.iter_lines()
        self.cursor = ""
        self.read_position()

    def read_position(self) -> None:
        """Read up to lines that set the position without an event."""
        for line in self._lines:
            if line == ": position":
                self.cursor = next(self._lines).removeprefix("id: ")
                assert next(self._lines) == ""
                return

    def rest(self) -> list[str]:
        """Return the lines up to the end of the stream, without its positions."""
        return [line for line in self._lines if line and not line.startswith((":", "id"))]

    def take(self, count: int) -> list[dict[str, Any]]:
        """Read the next events; each has its cursor and type in the lines before the data."""
        found: list[dict[str, Any]] = []
        fields: dict[str, str] = {}
        while len(found) < count:
            line = next(self._lines)
            if line.startswith(":"):
                continue
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
                continue
            self.cursor = fields.get("id", self.cursor)
            if "data" in fields:
                event = json.loads(fields["data"])
                assert event["type"] == fields["event"]
                found.append(event)
            fields = {}
        return found


@contextlib.contextmanager
def following(client: httpx.Client, after: str = "", **headers: str) -> Iterator[Reader]:
    query = {"after": after} if after else {}
    with client.stream("GET", "/v1/events", params=query, headers=headers, timeout=WAIT_S) as response:
        yield Reader(response)


def test_each_caller_gets_its_events_as_they_happen(place: Place) -> None:
    with following(place.leo) as leo, following(place.mia) as mia, following(place.officer) as officer:
        paid = pay(place.town, 3)
        for reader in (leo, officer):
            found = reader.take(3)
            assert [each["operation"] for each in found] == paid
            assert {each["type"] for each in found} == {"payment.made"}
            assert Cursor.parse(reader.cursor).frame == int(found[-1]["id"].partition(".")[0])
        place.town.fund(place.town.mia, 5, f"mia-{time.monotonic_ns()}")
        (event,) = mia.take(1)
        assert ids.format(place.town.mia) in event["accounts"]


def test_a_reader_continues_after_its_last_event(place: Place) -> None:
    with following(place.officer) as first:
        paid = pay(place.town, 2)
        assert [each["operation"] for each in first.take(1)] == paid[:1]
        cursor = first.cursor
    paid += pay(place.town, 2)
    with following(place.officer, cursor) as second:
        assert [each["operation"] for each in second.take(3)] == paid[1:]
        third = pay(place.town)
        assert [each["operation"] for each in second.take(1)] == third
    headers = {"Last-Event-ID": cursor}
    with following(place.officer, "0.0.0", **headers) as browser:
        assert [each["operation"] for each in browser.take(4)] == paid[1:] + third


def test_the_whole_history_is_the_same_for_every_reader(place: Place) -> None:
    pay(place.town)
    with following(place.officer, "0.0.0") as one, following(place.officer, "0.0.0") as other:
        first = one.take(60)
        assert first == other.take(60)
    assert first[0]["id"] == "1.0"
    with following(place.leo, "0.0.0") as leo:
        account = ids.format(place.town.leo)
        mine = leo.take(3)
        assert mine[0]["type"] == "account.opened"
        assert all(account in each["accounts"] for each in mine)


def test_registers_reach_those_who_sign(place: Place) -> None:
    maker = person(place.town.bank, ANN)
    with following(place.officer) as officer:
        proposal = place.town.bank.issuance.mint(2, 100, maker=maker)
        (event,) = officer.take(1)
        assert (event["type"], event["subject"]) == ("proposal.waiting", ids.format(proposal.id))
        place.town.bank.proposals.withdraw(proposal.id, by=maker)
        assert officer.take(1)[0]["data"]["state"] == "withdrawn"


@pytest.mark.parametrize(("after", "detail"), [("1.2", "is no cursor"), ("900000.0.0", "is later than frame")])
def test_wrong_positions_are_refused(place: Place, after: str, detail: str) -> None:
    answer = place.officer.get("/v1/events", params={"after": after})
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-request")
    assert detail in answer.json()["detail"]


def test_nobody_follows_without_a_login_or_too_often(place: Place) -> None:
    assert httpx.get(f"{place.address}/v1/events").status_code == 401
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(following(place.mia)) for _ in range(streams.STREAMS_PER_CALLER_MAX)]
        refused = place.mia.get("/v1/events")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        with following(place.leo) as other:
            assert len({other.cursor, *(reader.cursor for reader in readers)}) == 1
    # Places are free again once the server has seen that the readers left.
    deadline = time.monotonic() + WAIT_S
    while place.mia.get("/v1/events", params={"after": "x"}).status_code == 429:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_server_has_a_number_of_streams() -> None:
    slots = StreamSlots(most=2, per_caller=1)
    one, two, three = (Caller(CallerKind.PERSON, "192.0.2.1", person) for person in (1, 2, 3))
    free = slots.take(one)
    with pytest.raises(Problem, match="the maximum") as refusal:
        slots.take(one)
    assert refusal.value.type.status == 429
    slots.take(two)
    with pytest.raises(Problem, match="as many open streams") as refusal:
        slots.take(three)
    assert refusal.value.type.status == 503
    free()
    free()
    assert slots.used == 1
    slots.take(three)


def test_a_silent_stream_names_its_position(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.05)
    with following(place.mia) as mia:
        before = mia.cursor
        pay(place.town)  # which Mia does not see
        deadline = time.monotonic() + WAIT_S
        while mia.cursor == before:
            mia.read_position()
            assert time.monotonic() < deadline
        assert Cursor.parse(mia.cursor).frame > Cursor.parse(before).frame


def test_a_stream_ends_after_its_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LIFE_S", 0.1)
    with following(place.mia) as mia:
        assert mia.rest() == []


def test_a_stream_ends_with_its_session(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "REFRESH_S", 0.05)
    person_of = place.town.holder(place.town.ned)
    with logged_in(place.town.bank, place.address, person_of) as ned, following(ned) as reader:
        assert ned.post("/auth/logout").status_code == 204
        assert reader.rest() == []


def test_a_reader_that_takes_nothing_is_left(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SLOW_S", 0.1)
    sent: list[bytes] = []
    freed: list[bool] = []

    async def main() -> None:
        hub = Hub(place.town.bank)
        hub.start()
        blocked = asyncio.Event()

        async def send(message: Any) -> None:
            if len(sent) == 2:
                await blocked.wait()  # as uvicorn does while the reader's buffers are full
            sent.append(message.get("body", b""))

        scope = scope_of(place.town.bank, Caller(CallerKind.PERSON, "192.0.2.1", person(place.town.bank, ANN)))

        async def refresh() -> Scope:
            return scope

        cursor = await hub.join(START)
        stream = EventStream(hub, cursor, refresh, scope, lambda: freed.append(True))
        await asyncio.wait_for(stream({}, blocked.wait, send), WAIT_S)  # type: ignore[arg-type]
        assert hub.listeners == 0
        await hub.close()

    asyncio.run(main())
    assert len(sent) == 2
    assert freed == [True]


def test_streams_of_equal_scopes_share_the_text_of_a_page(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Scope] = []
    make = streams.events_text

    def counted(page: Page, scope: Scope) -> bytes:
        made.append(scope)
        return make(page, scope)

    monkeypatch.setattr(streams, "events_text", counted)
    count = streams.SMALL_PAGE + 1
    bank, town = place.town.bank, place.town
    callers = [Caller(CallerKind.PERSON, "192.0.2.1", each) for each in (person(bank, ANN), town.holder(town.leo))]
    sent: dict[int, bytes] = {}

    async def follow(hub: Hub, at: int) -> None:
        left = asyncio.Event()

        async def send(message: Any) -> None:
            sent[at] = sent.get(at, b"") + message.get("body", b"")
            if sent[at].count(b"\nevent: ") == count:
                left.set()

        async def receive() -> dict[str, str]:
            await left.wait()
            return {"type": "http.disconnect"}

        async def refresh() -> Scope:
            raise AssertionError("the stream is too short for this")

        cursor, scope = await hub.join(None), scope_of(bank, callers[at % 2])
        stream = EventStream(hub, cursor, refresh, scope, lambda: None)
        await asyncio.wait_for(stream({}, receive, send), WAIT_S)  # type: ignore[arg-type]

    async def main() -> None:
        hub = Hub(bank)
        hub.start()
        following = [asyncio.create_task(follow(hub, at)) for at in range(6)]
        while len(sent) < 6:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(pay_in_one_frame, town, count)
        await asyncio.gather(*following)
        await hub.close()

    asyncio.run(main())
    assert len(made) == 2  # of six streams
    assert sent[0] == sent[2] == sent[4]
    assert sent[1] == sent[3] == sent[5]


def test_a_stopping_server_ends_its_streams(place: Place) -> None:
    async def main() -> None:
        hub = Hub(place.town.bank)
        hub.start()
        cursor = await hub.join(None)
        changed = hub.changed
        assert await hub.next(cursor) == cursor
        hub.stop_streams()
        await asyncio.wait_for(changed.wait(), WAIT_S)
        with pytest.raises(UnavailableError, match="is stopping"):
            await hub.join(None)
        hub.leave()
        await hub.close()

    asyncio.run(main())


def test_listeners_do_not_wait_for_a_feed_that_fails(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        hub = Hub(place.town.bank)
        hub.start()
        cursor = await hub.join(None)
        changed = hub.changed
        monkeypatch.setattr(hub.feed, "page", lambda *_: 1 // 0)
        pay(place.town)
        await asyncio.wait_for(changed.wait(), WAIT_S)
        for call in (hub.next(cursor), hub.join(None)):
            with pytest.raises(UnavailableError, match="cannot be read: ZeroDivisionError"):
                await call
        hub.leave()
        monkeypatch.undo()
        assert isinstance(await hub.join(cursor), Cursor)
        assert isinstance(await hub.next(cursor), Page)
        hub.leave()
        await hub.close()

    asyncio.run(main())


def test_eighteen_streams_get_every_payment(place: Place) -> None:
    with contextlib.ExitStack() as stack:
        readers = [
            stack.enter_context(following(client)) for client in (place.officer, place.leo, place.mia) for _ in range(6)
        ]
        paid = pay(place.town, 30)
        for reader in readers[:12]:
            assert [each["operation"] for each in reader.take(30)] == paid
