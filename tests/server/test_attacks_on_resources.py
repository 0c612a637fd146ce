"""Attacks on the time, the memory and the connections of a running server: others are served meanwhile."""

from __future__ import annotations

import gzip
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.server.attackers import ORIGIN, PAYMENT, Place, attacked, connected, rest, sealed
from tests.server.world import session_of
from tests.wallets.world import MIA_KEY

from sycee.core import ids
from sycee.core.keys import SigningKey
from sycee.core.records import operations
from sycee.ledger.state import LedgerState

OTHERS_S_MAX = 5  # a request of somebody else during an attack, on a busy machine


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with attacked(tmp_path_factory.mktemp("attacks")) as made:
        yield made


def resident_bytes() -> int:
    """The memory of this process, which is client and server."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def others_are_served(place: Place, *, memory_mib: int = 64) -> Iterator[None]:
    """Other callers read and pay during the block, and the process does not grow by more than `memory_mib`."""
    town, stop, slowest = place.town, threading.Event(), [0.0]
    cookies = session_of(town.bank, town.holder(town.mia))
    before, most = resident_bytes(), [0]

    def work() -> int:
        served = 0
        with place.client(cookies=cookies) as http:
            while not served or not stop.is_set():
                start = time.monotonic()
                assert http.get("/healthz").status_code == 200
                assert http.get("/auth/session").status_code == 200, "read on a thread of the services"
                record = operations.pay(ids.new(time.time_ns() // 10**6), payer=town.mia, payee=town.leo, amount=1)
                body = sealed(town, record, town.mia, MIA_KEY)
                assert http.post("/v1/payments", content=body, headers=PAYMENT).status_code == 201
                slowest[0] = max(slowest[0], time.monotonic() - start)
                most[0] = max(most[0], resident_bytes())
                served += 1
                stop.wait(0.02)
        return served

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        try:
            yield
        finally:
            stop.set()
        assert future.result(60) > 0
    assert slowest[0] < OTHERS_S_MAX
    assert most[0] - before < memory_mib << 20, f"{(most[0] - before) >> 20} MiB"


POSTS = ("/auth/passkeys/login", "/oauth/token", "/v1/payments")


@pytest.mark.parametrize("path", POSTS)
def test_a_body_of_a_gigabyte_is_not_read(place: Place, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\norigin: {ORIGIN}\r\ncontent-type: application/json\r\n"
    block = bytes(1 << 16)
    sent = 0
    with others_are_served(place):
        with connected(place) as connection:
            connection.sendall(f"{head}content-length: {1 << 30}\r\n\r\n".encode())
            assert rest(connection).startswith(b"HTTP/1.1 413 ")
        with connected(place) as connection, suppress(ConnectionError):
            connection.sendall(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
            for _ in range(1 << 14):
                connection.sendall(b"10000\r\n" + block + b"\r\n")
                sent += len(block)
    assert sent < 64 << 20, "the server closed the connection long before the end"


def test_large_bodies_without_end_occupy_little_memory(place: Place) -> None:
    """Ten dozen connections, each with almost a whole body of the largest size."""
    head = f"POST /auth/passkeys/login HTTP/1.1\r\nhost: x\r\norigin: {ORIGIN}\r\ncontent-type: application/json\r\n"
    body = b'{"credential": "' + b"a" * 1_000_000
    sender = next(place.senders)
    with others_are_served(place), ExitStack() as stack:
        sending = []
        for _ in range(120):
            connection = stack.enter_context(connected(place, sender))
            with suppress(ConnectionError):
                connection.sendall(f"{head}content-length: {1 << 20}\r\n\r\n".encode() + body)
            sending.append(connection)
        refused = 0
        for connection in sending:
            connection.settimeout(0.05)
            try:
                refused += connection.recv(12) in (b"HTTP/1.1 503", b"")
            except TimeoutError:
                continue  # its body is waited for
            except ConnectionError:
                refused += 1  # the refusal was lost, because the body was not read
        assert 100 < refused < 120


@pytest.mark.parametrize(
    ("name", "status", "body"),
    [
        ("deep", {400, 413}, b"[" * 500_000),
        ("deep objects", {400, 413}, b'{"credential":' * 50_000),
        ("a million keys", {413}, b'{"credential":{},' + b",".join(b'"%x":1' % at for at in range(90_000)) + b"}"),
        ("many lists", {413}, b'{"credential":[' + b"[]," * 330_000 + b"[]]}"),
        ("a huge number", {400}, b'{"credential":' + b"9" * 1_000_000 + b"}"),
        ("an infinite number", {400}, b'{"credential":{"rawId":1e999999999}}'),
        ("one key twice", {400}, b'{"credential":{"rawId":"a","rawId":"b"}}'),
        ("another encoding", {400}, '{"credential":{}}'.encode("utf-16")),
        ("too large", {413}, b" " * (1 << 20) + b"1"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_bodies_that_cost_more_than_they_weigh(place: Place, name: str, status: set[int], body: bytes) -> None:
    headers = {"content-type": "application/json", "Origin": ORIGIN}
    with place.client() as http:
        start = time.process_time()
        answer = http.post("/auth/passkeys/login", content=body, headers=headers)
        assert answer.status_code in status, answer.text
        assert time.process_time() - start < 0.3, "this process is client and server"


def test_compressed_bodies_are_not_taken(place: Place) -> None:
    bomb = gzip.compress(b'{"credential": "' + b"a" * 10_000_000 + b'"}')
    headers = {"content-type": "application/json", "Origin": ORIGIN}
    with place.client() as http:
        for encoding in ("gzip", "deflate", "br", "zstd", "gzip, gzip"):
            answer = http.post("/auth/passkeys/login", content=bomb, headers=headers | {"content-encoding": encoding})
            assert answer.status_code == 415
        assert http.post("/v1/payments", content=gzip.compress(bytes(232)), headers=PAYMENT).status_code == 400
        plain = http.post("/auth/passkeys/login", json={"credential": {}}, headers=headers)
        assert plain.status_code == 401


def test_slow_and_silent_clients_keep_nobody_waiting(place: Place) -> None:
    """Hundreds of connections with half a header, half a body, or an answer that is never read."""
    halves = (
        b"GET /healthz HTTP/1.1\r\nhost: x\r\na: ",
        b"POST /v1/payments HTTP/1.1\r\nhost: x\r\ncontent-length: 232\r\n\r\nx",
        b"POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-length: 232\r\n\r\nx",
        b"GET /reference/files/swagger-ui-bundle.js HTTP/1.1\r\nhost: x\r\n\r\n" * 3,
    )
    with others_are_served(place, memory_mib=128), ExitStack() as stack:
        for at in range(400):
            connection = stack.enter_context(connected(place, f"127.0.8.{1 + at % 4}"))
            connection.sendall(halves[at % len(halves)])
        time.sleep(0.3)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n12345",
        b"POST /oauth/token HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-length: +5\r\n\r\n12345",
        b"GET /healthz HTTP/1.1\nhost: x\n\n",
        b"GET /healthz HTTP/1.1\r\nhost : x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\na: b\r\n c\r\n\r\n",
        b"GET /healthz\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT evil.example:80 HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
)
def test_requests_that_a_proxy_may_read_otherwise_are_refused(place: Place, request_bytes: bytes) -> None:
    """None of them smuggles a second request past a proxy."""
    with connected(place) as connection:
        connection.sendall(request_bytes + b"GET /v1/supply HTTP/1.1\r\nhost: x\r\n\r\n")
        received = rest(connection)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert received.count(b"HTTP/1.1 ") == 1


def test_bad_signatures_of_one_address_stop_nobody_else(place: Place) -> None:
    """1,000 payments with a forged signature, as fast as the sender can: most are refused unread, and others pay."""
    town = place.town
    record = operations.pay(ids.new(time.time_ns() // 10**6), payer=town.mia, payee=town.leo, amount=1)
    forged = sealed(town, record, town.mia, SigningKey.derive(bytes([98]) * 32, "p256"))
    with place.client(headers=PAYMENT) as http, others_are_served(place):
        statuses = [http.post("/v1/payments", content=forged).status_code for _ in range(1_000)]
    assert set(statuses) == {422, 429}
    assert statuses.count(422) < 100
    assert town.bank.stores.ledger.result_of(ids.of_record(record[0], "id")) is None


def test_a_supply_that_costs_much_is_computed_rarely(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody may read the supply, and it takes longer the more wallets there are."""
    supply, computed = place.town.bank.supply, []
    usual = supply.current

    def costly(*arguments: Any, **options: Any) -> Any:
        start = time.thread_time()
        while time.thread_time() < start + 0.05:
            pass
        computed.append(1)
        return usual(*arguments, **options)

    with place.client() as http:
        monkeypatch.setattr(supply, "current", costly)
        answers = [http.get("/v1/supply") for _ in range(20)]
        monkeypatch.undo()
        assert {each.status_code for each in answers} == {200}
        assert len(computed) < 10
        time.sleep(0.6)  # ten times as long as it took
        http.get("/v1/supply")
        newer = http.get("/v1/supply").json()
        assert int(newer["frame"]) >= int(answers[0].json()["frame"])


def test_the_supply_needs_no_digest_of_the_state(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time grows with every operation since the first, and the writer would wait for it."""
    digests = []
    monkeypatch.setattr(LedgerState, "digest", lambda _: digests.append(1) or bytes(32))
    with place.client() as http:
        answer = http.get("/v1/supply")
        page = http.get("/supply")
    assert (answer.status_code, page.status_code) == (200, 200)
    assert answer.json()["state_digest"] is None
    assert answer.json()["frame_digest"] in page.text
    assert not digests


@pytest.mark.parametrize("count", [60, pytest.param(1_000, marks=pytest.mark.soak)], ids=["quick", "soak"])
def test_a_thousand_streams_of_one_caller_are_eight(place: Place, count: int) -> None:
    """The others are refused, as streams or as requests of an address, and other callers are served meanwhile."""
    with place.citizen(place.town.leo) as leo:
        cookie = f"sycee={leo.cookies['sycee']}"
    request = f"GET /v1/events HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\n\r\n".encode()
    with others_are_served(place, memory_mib=128), ExitStack() as stack:
        sockets = [stack.enter_context(connected(place, f"127.0.7.{1 + at % 8}")) for at in range(count)]
        for connection in sockets:
            connection.sendall(request)
        statuses = Counter(connection.recv(12) for connection in sockets)
    assert statuses == {b"HTTP/1.1 200": 8, b"HTTP/1.1 429": count - 8}
