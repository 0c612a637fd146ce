"""Messages to phones over a real socket: signed, tried again, given up; a slow gateway and a stop."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bank.test_phone_messages import CODE, FIRST, PHONE, addressed
from tests.server.events.receiver import Received, Receiver, receiving
from tests.server.world import served
from tests.wallets import world
from tests.wallets.world import Town

from sycee.bank import phone_messages
from sycee.bank.bank import Bank
from sycee.bank.config import Config
from sycee.bank.phone_messages import Delivery, Message, Messenger
from sycee.core import ids
from sycee.core.clock import RealClock
from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey
from sycee.life.notices import LOGIN_CODE, LOGIN_CREATED
from sycee.server.events import sender
from sycee.server.events.webhooks import public_key_text
from sycee.server.phone_gateway import Gateway, way_of

KEY = SigningKey.derive(b"\7" * 32)
MESSAGE = Message(FIRST, {"phone": PHONE, "text": LOGIN_CODE, "secret": CODE})


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with world.bank("sqlite", tmp_path) as made:
        yield made


def test_a_gateway_gets_a_signed_message_with_the_same_id_at_each_attempt() -> None:
    with receiving(Receiver()) as receiver:
        gateway = Gateway(receiver.url(), KEY)
        try:
            assert [gateway.send(MESSAGE).is_taken for _ in range(2)] == [True, True]
        finally:
            gateway.close()
        first, second = receiver.requests
        assert first.id == second.id == f"msg_{FIRST:032x}"
        first.verify(public_key_text(KEY.public))
        document = json.loads(first.body)
        assert (document["type"], document["data"]) == ("message.phone", MESSAGE.members)
        assert document["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://192.168.1.1/x", "192.168.1.1 is not an address of the public internet"),
        ("http://8.8.8.8/x", "without TLS"),
    ],
)
def test_without_tls_only_loopback_and_permitted_networks_are_reached(url: str, reason: str) -> None:
    gateway = Gateway(url, KEY)
    try:
        answer = gateway.send(MESSAGE)
    finally:
        gateway.close()
    assert answer.status == 0
    assert answer.reason.startswith(reason)


def test_failures_are_tried_again_and_repeat_no_phone_and_no_secret(
    town: Town, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "TOTAL_S", 0.3)
    addressed(town.bank, FIRST, LOGIN_CODE, secret=CODE, until_ns=RealClock().now_ns() + 3_600 * 10**9)
    statuses = iter([500, 302, 204, 204])
    receiver = Receiver(lambda _: next(statuses), body=f"{PHONE} {CODE}".encode())

    def slow_at_first(_: Received) -> int:
        receiver.delay_s = 1.0 if len(receiver.requests) == 2 else 0.0
        return next(statuses)

    receiver.decide = slow_at_first
    reasons = []
    with receiving(receiver):
        gateway = Gateway(receiver.url(), KEY)
        delivery = Delivery(town.bank, gateway)
        for _ in range(4):
            town.bank.life.outbox.hurry()
            reasons.append(delivery.run().reason)
        gateway.close()
    assert reasons == ["status 500", "status 302", "no complete answer in 0.3 s", ""]
    assert town.bank.life.outbox.undelivered() == []
    said = capfd.readouterr()
    assert CODE not in said.out + said.err
    assert PHONE not in said.out + said.err


def test_a_gateway_that_is_gone_gets_no_second_attempt(town: Town) -> None:
    addressed(town.bank, FIRST, LOGIN_CODE, secret=CODE)
    with receiving(Receiver(lambda _: 410)) as receiver:
        gateway = Gateway(receiver.url(), KEY)
        delivery = Delivery(town.bank, gateway)
        assert delivery.run().failed == 1
        assert delivery.run().failed == 0
        gateway.close()
        assert len(receiver.requests) == 1
    (dead,) = town.bank.life.outbox.undelivered()
    assert (dead.state, dead.reason, dead.secret_sealed) == ("dead", "status 410", None)


def test_a_stop_waits_for_the_message_in_progress_alone(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    addressed(town.bank, FIRST, LOGIN_CREATED)
    addressed(town.bank, FIRST + 1, LOGIN_CREATED)
    with receiving(Receiver(delay_s=0.5)) as receiver:
        monkeypatch.setattr(phone_messages, "EVERY_S", 0.01)
        messenger = Messenger(town.bank, Gateway(receiver.url(), KEY))
        messenger.start()
        receiver.wait(1)
        began_s = time.monotonic()
        messenger.close()
        assert time.monotonic() - began_s < 5
        assert len(receiver.requests) == 1
    assert [each.id for each in town.bank.life.outbox.waiting()] == [FIRST + 1]


def test_a_running_server_posts_to_the_gateway_with_its_own_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sycee.bank.phone_messages.EVERY_S", 0.05)
    with receiving(Receiver()) as receiver:
        options = {**world.settled("").copy(tmp_path), "message_gateway": receiver.url()}
        with Bank.open(tmp_path / "bank", options=options) as bank:
            assert bank.delivers_messages
            addressed(bank, FIRST, LOGIN_CREATED)
            with served(bank):
                (found,) = receiver.wait(1)
            key = SigningKey.load(bank.config.path("http_key"))
        found.verify(public_key_text(key.public))
        assert found.event == {"notice": ids.format(FIRST), "phone": PHONE, "text": LOGIN_CREATED}


def test_a_gateway_with_a_wrong_network_stops_the_start(tmp_path: Path) -> None:
    options = {**world.settled("").copy(tmp_path), "message_gateway": "https://a.example/x"}
    with Bank.open(tmp_path / "bank", options=options) as bank:
        networks = {"http_webhook_networks": "10.0.0.0/99", "message_gateway": "https://a.example/x"}
        with pytest.raises(UsageError, match="http_webhook_networks"):
            way_of(Config.load(bank.folder, networks))
