"""Webhooks from registration to delivery: in order, at least once, signed, with dead letters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.bank.world import ANN
from tests.server.events.receiver import Program, Received, Receiver, receiving
from tests.server.events.test_streams import pay
from tests.server.world import logged_in, new_id, served
from tests.wallets import world
from tests.wallets.world import Town, person

from sycee.bank.bank import Bank
from sycee.server.events import delivery
from sycee.server.tables import SCHEMA

PERMITTED = {"http_webhook_networks": "127.0.0.0/8"}


@dataclass
class Office:
    """A served town with two programs: of an officer, who sees all, and of operator 2."""

    town: Town
    officer: Program
    north: Program
    south: Program  # a second one of operator 2, which is revoked
    address: str = ""

    def register(self, program: Program, url: str, **others: Any) -> str:
        answer = program.call("POST", "/v1/webhooks", {"id": new_id(), "url": url, **others})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def state(self, program: Program, webhook: str) -> dict[str, Any]:
        found: dict[str, Any] = program.call("GET", f"/v1/webhooks/{webhook}").json()
        return found

    def wait(self, program: Program, webhook: str, state: str) -> dict[str, Any]:
        async def until() -> dict[str, Any]:
            while (found := self.state(program, webhook))["state"] != state:
                await asyncio.sleep(0.02)
            return found

        return asyncio.run(asyncio.wait_for(until(), 20))


@contextmanager
def serving(office: Office) -> Iterator[None]:
    with served(office.town.bank) as address:
        office.address = address
        for program in (office.officer, office.north, office.south):
            program.connect(address)
        yield


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder: Path = tmp_path_factory.mktemp("webhooks")
    world.prepared("").copy(folder)
    with Bank.open(folder / "bank", options=PERMITTED, schemas=(SCHEMA,)) as bank:
        town = world.town(bank)
        ann = person(bank, ANN)
        operators = [Program(bank, town.north, by=ann, operator=2) for _ in range(2)]
        yield Office(town, Program(bank, ann, by=ann), *operators)


@pytest.fixture(scope="module")
def office(prepared: Office) -> Iterator[Office]:
    """The town with one server for all tests but the first, which starts its own ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delivery, "RETRY_S", (0.05, 0.05))
        patch.setattr(delivery, "STORE_S", 0.0)
        patch.setattr(delivery, "POLL_S", 0.1)
        with serving(prepared):
            yield prepared


def test_a_restarted_server_continues_without_a_gap(prepared: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "POLL_S", 0.1)
    office = prepared
    with receiving(Receiver()) as receiver:
        with serving(office):
            webhook = office.register(office.north, receiver.url(), types=["payment.made"])
            paid = pay(office.town, 2)
            receiver.wait(2)
        paid += pay(office.town, 2)
        with serving(office):
            paid += pay(office.town)
            found = receiver.wait(5)
            office.north.call("DELETE", f"/v1/webhooks/{webhook}")
        assert [each.event["operation"] for each in found] == paid


def test_a_program_gets_its_events_signed_and_in_order(office: Office) -> None:
    key = httpx.get(f"{office.address}/v1/webhook-key").json()["public_key"]
    with receiving(Receiver()) as receiver:
        webhook = office.register(office.north, receiver.url(), types=["payment.made"])
        assert office.state(office.north, webhook)["types"] == ["payment.made"]
        paid = pay(office.town, 3)
        office.town.fund(office.town.mia, 5, "hook-1")  # other types
        paid += pay(office.town, 2)
        found = receiver.wait(5)
        assert [each.event["operation"] for each in found] == paid
        assert len({each.id for each in found}) == 5
        for each in found:
            each.verify(key)
        office.north.call("DELETE", f"/v1/webhooks/{webhook}")
        pay(office.town)
        assert office.north.call("GET", f"/v1/webhooks/{webhook}").status_code == 404
        assert len(receiver.requests) == 5


def test_the_whole_history_can_be_asked_for(office: Office) -> None:
    with receiving(Receiver()) as receiver:
        webhook = office.register(office.officer, receiver.url(), after="0.0.0")
        assert receiver.wait(30)[0].event["id"] == "1.0"
        office.officer.call("DELETE", f"/v1/webhooks/{webhook}")


def test_webhooks_take_turns_within_the_servers_limit(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "PER_S_MAX", 20.0)
    times: list[float] = []

    def decide(_: Received) -> int:
        times.append(time.monotonic())
        return 204

    with receiving(Receiver(decide)) as receiver:
        webhooks = [office.register(office.north, receiver.url(), types=["payment.made"]) for _ in range(2)]
        pay(office.town, 3)
        found = receiver.wait(6)
        assert times[-1] - times[0] > 2 / 20  # 5 / 20 without delays of this machine
        senders = [each.id.split("_")[1] for each in found]
        assert sorted(map(senders.count, set(senders))) == [3, 3]
        for each in webhooks:
            office.north.call("DELETE", f"/v1/webhooks/{each}")


def test_a_failed_event_is_sent_again_before_later_ones(office: Office) -> None:
    failures = iter([500, 302, 204])

    def decide(found: Received) -> int:
        return next(failures, 204)

    with receiving(Receiver(decide)) as receiver:
        webhook = office.register(office.north, receiver.url(), types=["payment.made"])
        paid = pay(office.town, 2)
        found = receiver.wait(4)
        assert [each.event["operation"] for each in found] == [paid[0]] * 3 + [paid[1]]
        assert len({each.id for each in found}) == 2
        assert office.north.call("GET", f"/v1/webhooks/{webhook}/dead-letters").json() == {"rows": []}
        office.north.call("DELETE", f"/v1/webhooks/{webhook}")


def test_dead_letters_are_listed_and_sent_again(office: Office) -> None:
    refused: list[str] = []

    def decide(found: Received) -> int:
        return 500 if found.event["operation"] in refused else 204

    with receiving(Receiver(decide)) as receiver:
        webhook = office.register(office.north, receiver.url(), types=["payment.made", "proposal.waiting"])
        paid = pay(office.town)
        receiver.wait(1)
        receiver.decide = lambda found: 500
        paid += pay(office.town)
        receiver.wait(4)
        receiver.decide = lambda found: 204
        paid += pay(office.town)
        found = receiver.wait(5)
        assert [each.event["operation"] for each in found] == [paid[0], *[paid[1]] * 3, paid[2]]
        (letter,) = office.north.call("GET", f"/v1/webhooks/{webhook}/dead-letters").json()["rows"]
        assert (letter["event"], letter["type"]) == (found[1].event["id"], "payment.made")
        assert (letter["reason"], letter["attempts"], letter["state"]) == ("status 500", 3, "dead")
        path = f"/v1/webhooks/{webhook}/dead-letters/resend"
        missing = office.north.call("POST", path, {"id": new_id(), "events": ["1.7777"]})
        assert (missing.status_code, "no dead letter" in missing.text) == (400, True)
        assert office.north.call("POST", path, {"id": new_id(), "events": [letter["event"]]}).status_code == 201
        again = receiver.wait(6)[-1]
        assert (again.id, again.event) == (found[1].id, found[1].event)
        later = pay(office.town)
        assert receiver.wait(7)[-1].event["operation"] == later[0]
        assert office.north.call("GET", f"/v1/webhooks/{webhook}/dead-letters").json() == {"rows": []}
        office.north.call("DELETE", f"/v1/webhooks/{webhook}")


def test_a_webhook_that_fails_for_long_is_disabled_with_an_event(office: Office) -> None:
    with receiving(Receiver(decide=lambda _: 503)) as receiver, receiving(Receiver()) as watcher:
        watching = office.register(office.officer, watcher.url(), types=["webhook.disabled"])
        webhook = office.register(office.north, receiver.url(), types=["payment.made"])
        paid = pay(office.town, 5)
        state = office.wait(office.north, webhook, "disabled")
        assert "3 events one after the other were not taken: status 503" in state["reason"]
        assert len(receiver.requests) == 9
        event = watcher.wait(1)[0].event
        assert (event["subject"], event["operator"]) == (webhook, 2)
        receiver.decide = lambda _: 204
        path = f"/v1/webhooks/{webhook}/enable"
        assert office.north.call("POST", path, {"id": new_id()}).status_code == 201
        assert [each.event["operation"] for each in receiver.wait(11)[9:]] == paid[3:]
        for program, each in ((office.officer, watching), (office.north, webhook)):
            assert program.call("DELETE", f"/v1/webhooks/{each}").status_code == 204


def test_a_receiver_that_is_gone_is_left_at_once(office: Office) -> None:
    with receiving(Receiver(decide=lambda _: 410)) as receiver:
        webhook = office.register(office.north, receiver.url(), types=["payment.made"])
        pay(office.town)
        assert "410" in office.wait(office.north, webhook, "disabled")["reason"]
        assert len(receiver.requests) == 1
        office.north.call("DELETE", f"/v1/webhooks/{webhook}")


def test_a_revoked_program_gets_nothing_more(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "REFRESH_S", 0.0)
    bank, ann = office.town.bank, person(office.town.bank, ANN)
    with receiving(Receiver()) as receiver, logged_in(bank, office.address, ann) as officer:
        webhook = office.register(office.south, receiver.url(), types=["payment.made"])
        pay(office.town)
        receiver.wait(1)
        path = f"/v1/clients/{office.south.client}/revocation"
        assert officer.post(path, json={"id": new_id()}).status_code == 201
        state = office.wait(office.officer, webhook, "disabled")
        assert state["reason"] == "the program was revoked"
        pay(office.town)
        assert len(receiver.requests) == 1


def test_a_webhook_is_its_programs_alone(office: Office) -> None:
    with receiving(Receiver()) as receiver:
        webhook = office.register(office.officer, receiver.url(), types=["payment.made"])
        foreign = office.north.call("GET", f"/v1/webhooks/{webhook}")
        missing = office.north.call("GET", f"/v1/webhooks/{new_id()}")
        assert foreign.status_code == missing.status_code == 404
        assert foreign.json()["detail"] == missing.json()["detail"]
        assert office.north.call("DELETE", f"/v1/webhooks/{webhook}").status_code == 404
        assert office.north.call("POST", f"/v1/webhooks/{webhook}/enable", {"id": new_id()}).status_code == 404
        assert office.north.call("GET", "/v1/webhooks").json() == {"rows": []}
        taken = office.north.call("POST", "/v1/webhooks", {"id": webhook, "url": "https://a.example/"})
        assert (taken.status_code, taken.json()["type"]) == (409, "/problems/conflict")
        assert webhook in [each["id"] for each in office.officer.call("GET", "/v1/webhooks").json()["rows"]]
        office.officer.call("DELETE", f"/v1/webhooks/{webhook}")
    body = {"id": new_id(), "url": "https://a.example/"}
    assert httpx.post(f"{office.address}/v1/webhooks", json=body).status_code == 401
    with logged_in(office.town.bank, office.address, person(office.town.bank, ANN)) as ann:
        assert ann.post("/v1/webhooks", json=body).status_code == 403


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"url": "ftp://a.example/"}, "URL"),
        ({"types": ["payment.mode"]}, "no type of events"),
        ({"after": "x"}, "no cursor"),
        ({"after": "900000.0.0"}, "is later than frame"),
    ],
)
def test_wrong_webhooks_are_refused(office: Office, change: dict[str, Any], detail: str) -> None:
    body = {"id": new_id(), "url": "https://a.example/", **change}
    answer = office.north.call("POST", "/v1/webhooks", body)
    assert (answer.status_code, detail in answer.json()["detail"]) == (400, True), answer.text


def test_the_document_describes_the_requests_that_the_server_sends(office: Office) -> None:
    document = httpx.get(f"{office.address}/openapi.json").json()
    sent = document["webhooks"]["event"]["post"]
    schema = sent["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert set(document["components"]["schemas"][schema]["properties"]) == {"type", "timestamp", "data"}
    assert set(sent["responses"]) == {"2XX"}
    assert "HTTPValidationError" not in str(document)
