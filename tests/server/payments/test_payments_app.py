"""`POST /v1/payments` over real connections: results, refusals, repeats, limits of senders, and bad requests."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.server.payments.serving import (
    ACCOUNTS,
    ANN,
    BOB,
    EVE,
    FULL,
    MONEY,
    OFFICERS,
    TYPE,
    WALLETS,
    Serving,
    key_of,
    post,
    send,
    serving,
    signed,
)

from sycee.core import ids
from sycee.core.records import operations
from sycee.core.records.layout import Block, Reason
from sycee.core.result_codes import Result
from sycee.server import problems
from sycee.server.payments.refusals import PayeeRefusal
from sycee.server.payments.settings import PaymentSettings

ROOT = Path(__file__).resolve().parents[3]
UNLIMITED = PaymentSettings(rate_per_s=1e6, burst=10**6, failures_per_s=1e6, failures_burst=10**6)


class Stored:
    """Refusals in a list."""

    def __init__(self) -> None:
        self.refusals: list[PayeeRefusal] = []

    async def store(self, refusal: PayeeRefusal) -> None:
        self.refusals.append(refusal)


STORED = Stored()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("payments"), UNLIMITED, refusals=STORED, signature_workers=1) as found:
        yield found
        found.ledger.check()


def pay(id: int, amount: int = 5, *, payer: int = ANN, payee: int = BOB) -> Any:
    return operations.pay(id, payer=payer, payee=payee, amount=amount)


def problem(answer: Any) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    members: dict[str, Any] = json.loads(answer.body)
    assert {"type", "title", "status", "detail", "hint", "request_id"} <= set(members)
    assert answer.headers["x-request-id"] == members["request_id"]
    assert members["status"] == answer.status
    assert members["type"].removeprefix("/problems/") in problems.TYPES
    return members


def test_a_payment_is_durable_when_answered_and_repeats_give_its_first_result(running: Serving) -> None:
    before = running.ledger.balance(BOB)
    body = signed(running.ledger, pay(1))
    first = post(running.port, body)
    assert first.status == 201
    members = json.loads(first.body)
    bound = running.ledger.result_of(1)
    assert bound is not None
    assert members == {
        "id": ids.format(1), "result": "CREATED", "frame": running.ledger.sequencer.durable_sequence,
        "time_ns": str(bound.time_ns),
    }  # fmt: skip
    again = post(running.port, body)
    assert (again.status, again.body) == (200, first.body)
    in_json = {"record": base64.b64encode(body[:128]).decode(), "envelope": base64.b64encode(body[128:]).decode()}
    for type in ("application/json", "Application/JSON; charset=utf-8"):
        as_json = post(running.port, json.dumps(in_json).encode(), type=type)
        assert (as_json.status, as_json.body) == (200, first.body)
    different = post(running.port, signed(running.ledger, pay(1, 6)))
    assert (different.status, problem(different)["code"]) == (409, "EXISTS_WITH_DIFFERENT_CONTENT")
    assert running.ledger.balance(BOB) == before + 5


def test_both_curves_pay_at_once_over_many_connections(running: Serving) -> None:
    bodies = [
        signed(running.ledger, pay(100 + at, payer=payer, payee=EVE if payer != EVE else BOB), payer)
        for at, payer in enumerate([*ACCOUNTS] * 3)
    ]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda body: post(running.port, body), bodies))
    assert [answer.status for answer in answers] == [201] * len(bodies)
    assert len({json.loads(answer.body)["id"] for answer in answers}) == 6 * WALLETS


def test_refusals_have_the_code_that_the_payer_may_know(running: Serving) -> None:
    STORED.refusals.clear()
    own = post(running.port, signed(running.ledger, pay(200, MONEY * 2)))
    assert (own.status, problem(own)["code"]) == (422, "EXCEEDS_BALANCE")
    assert problem(own)["hint"] == "result-codes.md and payments.md in docs/reference explain the code"
    body = signed(running.ledger, pay(201, payee=FULL))
    for _ in range(2):  # the refusal is final, and stored again in case that the first answer was lost
        hidden = post(running.port, body)
        assert (hidden.status, problem(hidden)["code"]) == (422, "PAYEE_CANNOT_RECEIVE")
    unknown = post(running.port, signed(running.ledger, pay(202, payee=9)))
    assert (unknown.status, problem(unknown)["code"]) == (422, "PAYEE_CANNOT_RECEIVE")
    stored = [(each.operation, each.payee, each.result) for each in STORED.refusals if each.payee]
    limit = Result.EXCEEDS_BALANCE_LIMIT
    assert stored == [(201, FULL, limit), (201, FULL, limit), (202, 9, Result.CREDIT_ACCOUNT_NOT_FOUND)]
    assert [(each.operation, each.payer) for each in STORED.refusals] == [(at, ANN) for at in (200, 201, 201, 202)]


def test_holds_are_paid_by_the_same_path(running: Serving) -> None:
    until_ns = 2**62
    hold = operations.hold(300, payer=ANN, payee=BOB, amount=50, until_ns=until_ns)
    assert post(running.port, signed(running.ledger, hold)).status == 201
    posted = operations.post(301, hold=300, by=BOB, amount=20)
    assert post(running.port, signed(running.ledger, posted, BOB)).status == 201
    assert post(running.port, signed(running.ledger, operations.void(302, hold=300, by=BOB), BOB)).status == 201
    refund = operations.refund(303, original=301, amount=20)
    assert post(running.port, signed(running.ledger, refund, BOB)).status == 201


def test_the_two_sides_of_a_hold_hear_what_is_about_themselves(running: Serving) -> None:
    STORED.refusals.clear()
    for hold, third in ((310, EVE), (311, 0)):
        record = operations.hold(hold, payer=ANN, payee=BOB, amount=1, until_ns=2**62, third=third)
        assert post(running.port, signed(running.ledger, record)).status == 201
    officers = running.ledger.signed_by(*OFFICERS)
    assert officers.block(BOB, Reason.REQUEST, sides=Block.CREDIT).ok
    by_third = post(running.port, signed(running.ledger, operations.post(312, hold=310, by=EVE, amount=1), EVE))
    by_payee = post(running.port, signed(running.ledger, operations.post(313, hold=311, by=BOB, amount=1), BOB))
    assert officers.unblock(BOB, Reason.REQUEST, sides=Block.CREDIT).ok
    assert problem(by_third)["code"] == "PAYEE_CANNOT_RECEIVE"
    assert problem(by_payee)["code"] == "CREDIT_ACCOUNT_BLOCKED"
    assert [(each.operation, each.payee, each.result) for each in STORED.refusals] == [
        (312, BOB, Result.CREDIT_ACCOUNT_BLOCKED)
    ]


@pytest.mark.parametrize(
    ("code", "make"),
    [
        ("SIGNATURE_INVALID", lambda ledger: signed(ledger, pay(400), key=key_of(EVE))),
        ("NOT_AUTHORISED", lambda ledger: signed(ledger, pay(401, payer=BOB, payee=ANN), EVE)),
        ("SIGNER_NOT_FOUND", lambda ledger: signed(ledger, pay(402), 77, key=key_of(ANN))),
        ("AMOUNT_MUST_BE_POSITIVE", lambda ledger: _with(signed(ledger, pay(403)), 24, "<q", 0)),
    ],
)
def test_a_payment_of_somebody_else_is_refused(running: Serving, code: str, make: Any) -> None:
    body = make(running.ledger)
    answer = post(running.port, body)
    assert (answer.status, problem(answer)["code"]) == (422, code)
    assert running.ledger.result_of(int.from_bytes(body[:16], "little")) is None


def _with(body: bytes, at: int, form: str, value: int) -> bytes:
    changed = bytearray(body)
    struct.pack_into(form, changed, at, value)
    return bytes(changed)


@pytest.mark.parametrize(
    ("at", "form", "value", "detail"),
    [
        (16, "<H", 39, "kind 39 is not accepted"),  # REVERSE
        (16, "<H", 6, "kind 6 is not accepted"),  # GRANT_ROLE, an officer's record
        (16, "<H", 10, "kind 10 is not accepted"),  # OPEN_ACCOUNT
        (16, "<H", 44, "kind 44 is not accepted"),  # SETTLE
        (16, "<H", 0, "kind 0 is not accepted"),
        (18, "<H", 0x8000, "the record is linked"),
        (18, "<H", 3, "flags 3 are unknown for kind 31"),
        (128, "<H", 1, "1 records from index 1"),
        (130, "<H", 2, "2 records from index 0"),
        (132, "<H", 5, "not of an account's own key"),
        (134, "<H", 0, "not of an account's own key"),  # a person's envelope
        (140, "<I", 1, "not of an account's own key"),
    ],
)
def test_what_no_signature_can_permit_is_refused_before_it_is_verified(
    running: Serving, at: int, form: str, value: int, detail: str
) -> None:
    answer = post(running.port, _with(signed(running.ledger, pay(500)), at, form, value))
    members = problem(answer)
    assert (answer.status, members["type"]) == (400, "/problems/invalid-request")
    assert detail in members["detail"]
    assert running.ledger.result_of(500) is None


@pytest.mark.parametrize(
    ("status", "body", "type"),
    [
        (400, b"", "application/vnd.sycee.payment"),
        (400, bytes(231), "application/vnd.sycee.payment"),
        (400, bytes(233), "application/vnd.sycee.payment"),
        (400, b"{", "application/json"),
        (400, b"[" * 1_000, "application/json"),
        (400, b"[]", "application/json"),
        (400, b'{"record": 1, "envelope": 2}', "application/json"),
        (400, b'{"record": "!", "envelope": ""}', "application/json"),
        (400, '{"record": "é", "envelope": ""}'.encode(), "application/json"),
        (400, b'{"record": "", "envelope": ""}', "application/json"),
        (400, b'{"record": "", "envelope": "", "more": 1}', "application/json"),
        (413, bytes(1_025), "application/vnd.sycee.payment"),
        (415, bytes(232), "text/plain"),
        (415, bytes(232), ""),
    ],
)
def test_bodies_of_wrong_form(running: Serving, status: int, body: bytes, type: str) -> None:
    answer = post(running.port, body, type=type)
    assert answer.status == status
    assert problem(answer)["hint"]


def test_bodies_in_parts_and_bodies_without_end(running: Serving) -> None:
    body = signed(running.ledger, pay(600))
    head = b"POST /v1/payments HTTP/1.1\r\nhost: x\r\ncontent-type: application/vnd.sycee.payment\r\n"
    split = send(running.port, head + b"content-length: 232\r\n\r\n" + body[:100], after=body[100:])
    assert split.status == 201
    chunked = head + b"transfer-encoding: chunked\r\n\r\n"
    assert send(running.port, chunked + b"e8\r\n" + body + b"\r\n", after=b"0\r\n\r\n").status == 200
    endless = send(running.port, chunked + b"1000\r\n" + bytes(4_096) + b"\r\n")
    assert (endless.status, endless.headers["connection"]) == (413, "close")
    for length in (b"1073741824", b"999999999999"):  # 1 GiB that is announced and never read
        huge = send(running.port, head + b"content-length: " + length + b"\r\n\r\n" + bytes(1_000))
        assert (huge.status, huge.headers["connection"]) == (413, "close")


def test_a_slow_body_is_not_waited_for(tmp_path: Path) -> None:
    with serving(tmp_path, PaymentSettings(body_timeout_s=0.05)) as running:
        head = b"POST /v1/payments HTTP/1.1\r\nhost: x\r\ncontent-length: 232\r\n\r\n"
        answer = send(running.port, head + b"\0")
        assert (answer.status, problem(answer)["type"]) == (408, "/problems/request-timeout")
        # Other paths and methods, without another application.
        assert post(running.port, b"", path="/v1/payment").status == 404
        get = send(running.port, b"GET /v1/payments HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (get.status, get.headers["allow"]) == (405, "POST")


def test_failures_count_against_the_sender_not_the_account(tmp_path: Path) -> None:
    settings = PaymentSettings(failures_per_s=0.01, failures_burst=3, rate_per_s=0.01, burst=8)
    with serving(tmp_path, settings) as running:
        for at in range(3):
            forged = signed(running.ledger, pay(700 + at), key=key_of(EVE))
            assert post(running.port, forged, address="127.0.0.9").status == 422
        good = signed(running.ledger, pay(710))
        refused = post(running.port, good, address="127.0.0.9")
        assert (refused.status, problem(refused)["type"]) == (429, "/problems/too-many-requests")
        assert "too many payments that were invalid" in problem(refused)["detail"]
        assert int(refused.headers["retry-after"]) >= 90
        assert running.ledger.result_of(710) is None
        # Ann pays from another address, until that address has sent too much.
        statuses = [post(running.port, good, address="127.0.0.8").status for _ in range(9)]
        assert statuses == [201, *[200] * 7, 429]
        assert running.app.counts == {422: 3, 429: 2, 201: 1, 200: 7}
        last = post(running.port, good, address="127.0.0.8")
        assert problem(last)["detail"] == "this address may send 0.01 payments a second"


def test_a_proxy_names_the_sender_on_a_unix_socket(tmp_path: Path) -> None:
    settings = PaymentSettings(rate_per_s=0.01, burst=1, forwarded=True)
    place = tmp_path / "s"
    with serving(tmp_path, settings, uds=place) as running:
        body = signed(running.ledger, pay(750))

        def through(*addresses: str) -> int:
            lines = "".join(f"x-forwarded-for: {address}\r\n" for address in addresses)
            head = (
                f"POST /v1/payments HTTP/1.1\r\nhost: x\r\ncontent-type: {TYPE}\r\ncontent-length: 232\r\n{lines}\r\n"
            )
            return send(place, head.encode() + body).status

        assert through("192.0.2.1") == 201
        assert through("192.0.2.9, 192.0.2.1") == 429  # the sender wrote the first address, the proxy the last
        assert through("192.0.2.1", "192.0.2.2") == 200
        assert through("2001:db8::1") == 200
        assert through("2001:db8::2") == 429  # of the same network
        assert [through(), through()] == [200, 429]


def test_a_full_queue_and_a_closed_ledger_answer_503(tmp_path: Path) -> None:
    with serving(tmp_path, PaymentSettings(waiting_max=1)) as running:
        body = signed(running.ledger, pay(800))
        with ThreadPoolExecutor(1) as pool, running.ledger.sequencer.reading():  # the writer waits meanwhile
            first = pool.submit(post, running.port, body)
            while not running.app.waiting:
                pass
            busy = post(running.port, signed(running.ledger, pay(801)))
            assert (busy.status, busy.headers["retry-after"]) == (503, "1")
            assert problem(busy)["id"] == ids.format(801)
        assert first.result().status == 201
        running.ledger.close()
        stopped = post(running.port, signed(running.ledger, pay(802)))
        assert (stopped.status, problem(stopped)["type"]) == (503, "/problems/unavailable")
        assert int(stopped.headers["retry-after"]) > 1


def test_other_paths_reach_the_other_application(tmp_path: Path) -> None:
    seen = []

    async def otherwise(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["method"], scope["path"]))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with serving(tmp_path, otherwise=otherwise) as running:
        assert send(running.port, b"GET /v1/payments HTTP/1.1\r\nhost: x\r\n\r\n").status == 204
        assert post(running.port, b"", path="/v1/payments/").status == 204
        assert post(running.port, signed(running.ledger, pay(900))).status == 201
    assert seen == [("GET", "/v1/payments"), ("POST", "/v1/payments/")]


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "reference" / "http-payments.md").read_text(encoding="utf-8")
    missing = [name for name in PaymentSettings.__dataclass_fields__ if f"`{name}`" not in text]
    assert missing == []
