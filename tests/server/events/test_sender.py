"""One webhook on its way: to checked addresses only, over real sockets."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.server.events.receiver import Receiver, receiving

from sycee.core.errors import UsageError
from sycee.core.retries import Answer
from sycee.server.events import sender as sending
from sycee.server.events.addresses import networks
from sycee.server.events.sender import Resolve, Sender, check_url, resolve

LOOPBACK = networks("127.0.0.0/8 ::1/128")


def send(url: str, *, permitted: str | None = "127.0.0.0/8", resolver: Resolve = resolve, times: int = 1,
         tls: ssl.SSLContext | None = None) -> list[Answer]:  # fmt: skip
    async def main() -> list[Answer]:
        made = Sender(url, permitted=networks(permitted or ""), resolver=resolver, tls=tls)
        try:
            return [await made.send(b'{"a":1}', {"webhook-id": f"evt_{at}"}) for at in range(times)]
        finally:
            await made.close()

    return asyncio.run(main())


def names(*answers: Sequence[str]) -> Resolve:
    """A resolver that gives these answers, one for each call, and then the last one."""
    left = list(answers)

    async def found(host: str, port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return found


def test_a_webhook_reaches_a_permitted_address_with_its_headers() -> None:
    with receiving(Receiver()) as receiver:
        answers = send(receiver.url(), times=2)
        assert [each.is_taken for each in answers] == [True, True]
        first, second = receiver.requests
        assert (first.path, first.body, first.id, second.id) == ("/hook", b'{"a":1}', "evt_0", "evt_1")
        assert first.headers["host"] == f"127.0.0.1:{receiver.port}"
        assert first.headers["content-type"] == "application/json"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0.0.0.0"])  # noqa: S104
def test_loopback_is_refused_by_address_and_by_name(host: str) -> None:
    with receiving(Receiver()) as receiver:
        for scheme in ("http", "https"):
            (answer,) = send(receiver.url(host, scheme), permitted=None)
            assert (answer.status, "is not an address of the public internet" in answer.reason) == (0, True)
        assert receiver.requests == []


def test_a_name_that_changes_its_address_is_checked_at_each_connection() -> None:
    """DNS rebinding: the name is permitted at first, and loopback's other address at the next connection."""
    closing = Receiver(headers={"connection": "close"})
    with receiving(closing, host="127.0.0.2") as allowed, receiving(Receiver()) as private:
        moved = names(["127.0.0.2"], ["127.0.0.1"])
        answers = send(allowed.url("hook.example"), permitted="127.0.0.2/32", resolver=moved, times=2)
        assert answers[0].is_taken
        assert answers[1] == Answer(0, "127.0.0.1 is not an address of the public internet")
        both = names(["127.0.0.2", "127.0.0.1"])
        assert not send(allowed.url("hook.example"), permitted="127.0.0.2/32", resolver=both)[0].status
        assert (len(allowed.requests), len(private.requests)) == (1, 0)


def test_the_connection_is_made_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's resolver is asked once: what it answers later, or to somebody else, does not count."""
    asked: list[object] = []
    original = socket.getaddrinfo

    def found(host: object, *arguments: object, **named: object) -> object:
        asked.append(host)
        return original("127.0.0.1" if host == "hook.example" else host, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    with receiving(Receiver()) as receiver:
        assert send(receiver.url("hook.example"))[0].is_taken
    assert asked.count("hook.example") == 1
    assert {each for each in asked if each != "hook.example"} <= {"127.0.0.1"}


def test_a_redirect_is_not_followed() -> None:
    with receiving(Receiver()) as private:
        for status in (301, 302, 307, 308):
            redirecting = Receiver(decide=lambda _, status=status: status, headers={"location": private.url()})
            with receiving(redirecting) as receiver:
                (answer,) = send(receiver.url())
                assert (answer.status, answer.is_taken) == (status, False)
        assert private.requests == []


def test_a_slow_or_endless_answer_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving(Receiver(decide=lambda _: 200, body=b"x" * 3_000_000)) as receiver:
        assert send(receiver.url(), times=2)[1].is_taken
    monkeypatch.setattr(sending, "TOTAL_S", 0.2)
    with receiving(Receiver(delay_s=1.0)) as receiver:
        (answer,) = send(receiver.url())
        assert answer == Answer(0, "no complete answer in 0.2 s")
    (closed,) = send(receiver.url())
    assert (closed.status, closed.reason) == (0, "no answer: ConnectError")


def test_the_certificate_is_of_the_name(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hook.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hook.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    file = tmp_path / "server.pem"
    file.write_bytes(
        pem
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(file)
    trusted = ssl.create_default_context(cadata=pem.decode())
    with receiving(Receiver(), tls=served) as receiver:
        for host, is_taken in (("hook.example", True), ("other.example", False)):
            found = names(["127.0.0.1"])
            (answer,) = send(receiver.url(host, "https"), resolver=found, tls=trusted)
            assert answer.is_taken == is_taken
        assert not send(receiver.url("hook.example", "https"), resolver=names(["127.0.0.1"]))[0].status
        assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "", "ftp://a.example/", "https://", "https:///x", "//a.example", "https://user@a.example/", "file:///etc/passwd",
        "https://a.example/#x", "https://a.example/ x", "https://a.example/\r\nX: y", "https://ä.example/",
        "https://a.example:99999/", "https://a.example/" + "x" * 1_000, "gopher://127.0.0.1:6379/_x",
    ],
)  # fmt: skip
def test_wrong_addresses_are_refused_at_registration(url: str) -> None:
    with pytest.raises(UsageError, match="URL"):
        check_url(url)
