"""Bodies and addresses of requests: other media types are answered 415, and what no database stores 400, everywhere."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.server.attackers import MISSING
from tests.server.office import Office, office
from tools.operations_page import NO, ROLES, cell

from sycee.server.operations import ACCESS

JSON = "application/json"
# JSON values that no operation takes, whatever their place in a body.
UNREADABLE = {
    "a lone surrogate": rb'"\ud800"',
    "half a pair": rb'"\udc00\ud800"',
    "bytes of a surrogate": b'"\xed\xa0\x80"',
    "a NUL": rb'"a\u0000b"',
    "a raw NUL": b'"a\x00b"',
    "65 bits": b"9223372036854775808",
    "a long integer": b"9" * 5_000,
    "an infinite number": b"1e999",
    "NaN": b"NaN",
    "a name twice": b'{"a": 1, "a": 1}',
    "a name that is no text": rb'{"\ud800": 1}',
    "65 levels": b"[" * 65 + b"]" * 65,
    "no end of levels": b"[" * 7_000,
    "Latin-1": b'"\xe9"',
}


@pytest.fixture(scope="module")
def roles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with office(tmp_path_factory.mktemp("bodies")) as made:
        yield made


@pytest.fixture(scope="module")
def client(roles: Office) -> httpx.Client:
    return roles.of("officer")


@pytest.fixture(scope="module")
def operations(roles: Office) -> list[tuple[str, dict[str, Any], httpx.Client]]:
    """Address, description and permitted caller of each operation with a body."""
    paths = roles.nobody.get("/openapi.json").json()["paths"]
    found = []
    for path, methods in paths.items():
        operation = methods.get("post", {})
        if "requestBody" in operation:
            role = next(each for each in ROLES if cell(operation[ACCESS], each) != NO)
            named = path.replace("{operator}", "2").replace("{day}", "2026-11-02").replace("{number}", "1")
            found.append((re.sub(r"{\w+}", MISSING, named), operation, roles.of(role)))
    assert len(found) > 100
    return found


def unlike(answer: httpx.Response, status: int, operation: dict[str, Any]) -> str:
    """How an answer differs from a documented problem, "" if it does not."""
    if answer.status_code == status and str(status) in operation["responses"] and answer.json()["hint"]:
        return ""
    return f"{operation['operationId']}: {answer.status_code} {answer.text[:200]}"


@pytest.mark.parametrize("media_type", ["text/plain", "application/x+json", "multipart/form-data; boundary=x", ""])
def test_a_body_of_another_media_type_is_answered_415(
    operations: list[tuple[str, dict[str, Any], httpx.Client]], media_type: str
) -> None:
    headers = {"content-type": media_type} if media_type else {}
    found = [
        unlike(caller.post(path, content=b"{}", headers=headers), 415, operation)
        for path, operation, caller in operations
        if not path.startswith("/v1/bulk/")  # streams, whose file is found first: test_bulk.py
    ]
    assert [each for each in found if each] == []


def test_a_body_in_pieces_needs_a_media_type_too(client: httpx.Client) -> None:
    path = "/v1/operators/2/mints"
    assert client.post(path, content=iter([b"{}"])).status_code == 415
    assert client.post(path, content=iter([b"{}"]), headers={"content-type": "text/csv"}).status_code == 415
    assert client.post(path).status_code == 400  # no body at all


@pytest.mark.parametrize("media_type", [JSON, "Application/JSON ; charset=utf-8"])
def test_a_media_type_has_parameters_in_any_case(client: httpx.Client, media_type: str) -> None:
    answer = client.post("/v1/operators/2/mints", content=b"{}", headers={"content-type": media_type})
    assert answer.json()["detail"] == "body.id: Field required"


def test_strangers_hear_401_about_every_body(roles: Office) -> None:
    for kind in ("text/plain", JSON):
        answer = roles.nobody.post("/v1/operators/2/mints", content=b"{}", headers={"content-type": kind})
        assert answer.status_code == 401


def test_json_that_cannot_be_stored_is_answered_400(operations: list[tuple[str, dict[str, Any], httpx.Client]]) -> None:
    # Signed texts of the clearing house are read after their participant is found: test_clearing.py.
    asked = [each for each in operations if JSON in each[1]["requestBody"]["content"] and "/clearing/" not in each[0]]
    texts, found = list(UNREADABLE.values()), []
    for at, (path, operation, caller) in enumerate(asked):
        for value in (texts[at % len(texts)], texts[(at + 5) % len(texts)]):
            # A signed payment has at most 1,024 bytes.
            body = b'{"id": ' + (value[:900] if path == "/v1/payments" else value) + b"}"
            query = {"signature": "0" * 128}  # which some operations need
            answer = caller.post(path, content=body, params=query, headers={"content-type": JSON})
            found.append(unlike(answer, 400, operation))
    assert [each for each in found if each] == []


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_refusal_of_json_names_its_place(client: httpx.Client, kind: str) -> None:
    body = b'{\n"kind": ' + UNREADABLE[kind] + b"}"
    answer = client.post("/v1/operators/2/mints", content=body, headers={"content-type": JSON})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("body:")
    assert answer.json()["type"] == "/problems/invalid-request"


@pytest.mark.parametrize(
    "address",
    [
        "/v1/wallets/%00", "/v1/wallets/a%00b/statement", "/v1/wallets/%ff", "/v1/wallets/%ed%a0%80", "/nothing/%00",
        "/v1/supply?at=%00", "/v1/wallets?holder=%ff", "/v1/wallets?%00=1", "/auth/oidc/a/callback?state=%ed%a0%80",
        "/healthz?%C0%80", "/v1/bulk?payer=%00", "/metrics?%fe",
    ],
)  # fmt: skip
def test_an_address_that_is_no_text_is_answered_400(client: httpx.Client, address: str) -> None:
    answer = raw(client, f"GET {address} HTTP/1.1".encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"is not UTF-8, or has a NUL" in answer


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v1/wallets/\xff HTTP/1.1", b"GET /v1/wallets/\x00 HTTP/1.1", b"GET /v1/supply?\xff HTTP/1.1",
        b"GET /v1/supply HTTP/1.1\r\nuser-agent: a\x00b", b"GET /v1/supply HTTP/1.1\r\nx-\x00: b",
        b"GET /v1/me HTTP/1.1\r\nauthorization: DPoP \xff\xfe\r\ndpop: \xff",
        b"GET /v1/me HTTP/1.1\r\ncookie: sycee=\xed\xa0\x80; sycee=\xff",
        b"GET /auth/oidc/a/callback?state=x HTTP/1.1\r\ncookie: sycee-login=\xff",
    ],
)  # fmt: skip
def test_bytes_that_are_no_text_in_a_head_are_answered_4xx(client: httpx.Client, head: bytes) -> None:
    status = raw(client, head).split(b" ")[1]
    assert status in (b"400", b"401"), status


def raw(client: httpx.Client, head: bytes) -> bytes:
    """The answer to a request whose first lines no HTTP library would send."""
    address = urlsplit(str(client.base_url))
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(head + b"\r\nhost: x\r\nconnection: close\r\n\r\n")
        parts = []
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)
