"""Bulk payments over HTTP: cuts, changed rows, two persons, all or nothing, and who may do what."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from tests.bulk.world import rows_of, uuids
from tests.client.world import Place, place
from tests.forked import MAY_FORK
from tests.server.test_killed import running
from tests.server.world import logged_in, session_of
from tests.wallets import world
from tests.wallets.world import NORTH, Town

from sycee.bank.bank import Bank
from sycee.client import AsyncClient, Credentials, IdConflict, InvalidRequest, NotFound, NotPermitted, Signer, api, bulk
from sycee.client.bulk import Payment
from sycee.client.bulk_arrow import STREAM_TYPE, RowResults, read_results, write_rows
from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey
from sycee.core.records.bulk_rows import BATCH_ROWS, Mode, Rows
from sycee.sequencer.verify import verify
from sycee.server.auth.registers import Registers
from sycee.server.tables import SCHEMA

ROWS = 20_000
LIMIT_MINOR = 60_000_00  # above it, two persons approve
SOUTHS = SigningKey.derive(bytes([115]) * 32)
WAIT_S = 60


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("bulk"), bulk_approval_minor=str(LIMIT_MINOR)) as served:
        town = served.town
        for number in range(6):
            town.fund(town.ned, 1_500_00, f"B-{number}")
        yield served


def rows_to(town: Town, count: int, *, seed: int = 1) -> Rows:
    """Rows that pay Mia and the tea house by turns."""
    payees = uuids([town.mia, town.shop])[np.random.default_rng(seed).integers(0, 2, count)]
    return Rows(payees, np.ones(count, np.int64))


def payment_of(made: Place, rows: Rows, mode: Mode = Mode.EACH) -> Payment:
    """Ned's payment: his wallet is custodial, and North Bank's person signs."""
    return Payment(rows, made.town.ned, (made.staff,), mode)


def paid(results: Any) -> list[str]:
    return [name for each in results for name in each.names()]


def money(town: Town) -> list[int]:
    return [town.balance(account) for account in (town.ned, town.mia, town.shop, town.leo)]


def test_a_program_pays_a_file_and_again_pays_nothing(made: Place) -> None:
    town, payment = made.town, payment_of(made, rows_to(made.town, ROWS))
    before = money(town)
    with made.client(made.desk) as client:
        results = list(client.bulk(payment))
        assert [each.first for each in results] == [0, BATCH_ROWS, 2 * BATCH_ROWS]
        assert set(paid(results)) == {"CREATED"}
        assert not any(each.repeated.any() for each in results)
        after = money(town)
        assert after[0] == before[0] - ROWS
        again = list(client.bulk(payment))
        assert [each.frames.tolist() for each in again] == [each.frames.tolist() for each in results]
        sent = client.do(bulk.send(payment, client.do(bulk.status(payment.id)), 1, 1))
        assert sent[0].repeated.all()
        assert money(town) == after
        status = client.do(bulk.status(payment.id, summary=True))
        assert (status.state, status.next_batch, status.paid_minor) == ("open", 3, ROWS)
        assert status.counts == {"CREATED": ROWS}


def test_the_async_client_does_the_same(made: Place) -> None:
    payment = payment_of(made, rows_to(made.town, 10))

    async def run() -> list[RowResults]:
        async with AsyncClient(made.address, made.desk, **made.options) as client:
            return [each async for each in client.bulk(payment)]

    assert paid(asyncio.run(run())) == ["CREATED"] * 10


def test_a_citizen_signs_with_the_wallets_own_key(made: Place) -> None:
    """A file that a session declared, signed by the key of the wallet."""
    town = made.town
    payment = Payment(rows_of([town.mia], [5]), town.leo, (made.leo,))
    with logged_in(town.bank, made.address, town.holder(town.leo)) as client:
        assert declare(client, payment).status_code == 201
        answer = post(client, path_of(payment), body_of(made, payment))
        (results,) = read_results(httpx_file(answer))
        assert results.names() == ["CREATED"]


# --- cuts ---


def declare(client: httpx.Client, payment: Payment) -> httpx.Response:
    content = payment.content
    body = {
        "id": ids.format(payment.id),
        "payer": ids.format(payment.payer),
        "mode": content.mode.value,
        "rows": content.rows,
        "sum_minor": str(content.sum_minor),
        "batches": base64.b64encode(content.batches).decode(),
    }
    return client.post("/v1/bulk", json=body)


def path_of(payment: Payment) -> str:
    return f"/v1/bulk/{ids.format(payment.id)}"


def body_of(made: Place, payment: Payment) -> bytes:
    ledger = made.town.bank.stores.ledger
    until_ns = made.town.bank.stores.clock.now_ns() + 3_600 * 10**9
    return b"".join(
        write_rows(
            (number, payment.part(number), payment.signed(number, 0, ledger.ledger_id, until_ns))
            for number in range(payment.batches)
        )
    )


def post(client: httpx.Client, path: str, content: bytes | str, **options: Any) -> httpx.Response:
    """Send a stream; again while the streams of earlier requests have not ended."""
    options.setdefault("headers", {"Content-Type": STREAM_TYPE})
    until_s = time.monotonic() + WAIT_S
    while (answer := client.post(path, content=content, **options)).status_code == 429:
        assert time.monotonic() < until_s
        time.sleep(0.05)
    return answer


def httpx_file(answer: httpx.Response) -> io.BytesIO:
    assert answer.status_code == 200, answer.text
    return io.BytesIO(answer.content)


def cut_request(made: Place, cookies: httpx.Cookies, payment: Payment, body: bytes, cut: int) -> None:
    """Send the first `cut` bytes of a request for a whole file, and close the connection."""
    parts = urlsplit(made.address)
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    head = (
        f"POST {path_of(payment)} HTTP/1.1\r\nHost: {parts.netloc}\r\nOrigin: {made.origin}\r\nCookie: {cookie}\r\n"
        f"Sec-Fetch-Site: same-origin\r\nContent-Type: {STREAM_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with (
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=WAIT_S) as connection,
        suppress(ConnectionError),  # the server takes no third stream of a caller
    ):
        connection.sendall((head.encode() + body)[:cut])


def cut_and_send_on(made: Place, payer: int, rows: Rows, cuts: int, *, seed: int) -> None:
    """A file that is cut `cuts` times, and the same rows without a cut: the same results and the same money."""
    town, drawn, count = made.town, random.Random(seed), rows.size
    whole, cut = (Payment(rows, payer, (made.staff,)) for _ in range(2))
    cookies = session_of(town.bank, town.north)
    with made.client(made.desk) as client, logged_in(town.bank, made.address, town.north) as north:
        before, had = money(town), town.balance(payer)
        assert declare(north, cut).status_code == 201
        body = body_of(made, cut)
        for _ in range(cuts):
            cut_request(made, cookies, cut, body, drawn.randrange(1, len(body)))
        expected = paid(client.bulk(whole))
        # All streams of the cuts have ended, or the answer has their rows as repeated ones.
        assert paid(client.bulk(cut)) == expected == ["CREATED"] * count
        assert sum(money(town)) == sum(before)
        assert town.balance(payer) == had - 2 * count
        for payment in (whole, cut):
            summary = client.do(bulk.status(payment.id, summary=True))
            assert (summary.counts, summary.paid_minor) == ({"CREATED": count}, count)
    found = [town.bank.bulk.results(town.bank.bulk.get(cut.id), number) for number in range(cut.batches)]
    assert all(len(set(each.frames.tolist())) == 1 for each in found), "a batch is one frame"


def test_a_file_that_is_cut_at_random_bytes_is_paid_once(made: Place) -> None:
    cut_and_send_on(made, made.town.ned, rows_to(made.town, ROWS), 5, seed=7)


@pytest.mark.soak
def test_a_million_rows_cut_twenty_times_are_paid_once(tmp_path: Path) -> None:
    with place(tmp_path, bulk_approval_minor=str(10**11)) as served:
        town = served.town
        town.fund(town.shop, 30_000_00, "S-1")  # no limit
        payees = uuids([town.mia, town.leo])[np.random.default_rng(2).integers(0, 2, 1_000_000)]
        cut_and_send_on(served, town.shop, Rows(payees, np.ones(len(payees), np.int64)), 20, seed=8)


# --- what is refused ---


def test_rows_that_were_changed_after_signing_pay_nothing(made: Place) -> None:
    town, payment = made.town, payment_of(made, rows_to(made.town, BATCH_ROWS + 10))
    with logged_in(town.bank, made.address, town.north) as client:
        assert declare(client, payment).status_code == 201
        before = money(town)
        body = body_of(made, payment)
        mia = town.mia.to_bytes(16, "big")
        changed = body.replace(mia, town.leo.to_bytes(16, "big"), 1)
        assert changed != body
        answer = post(client, path_of(payment), changed)
        assert answer.status_code == 400
        assert "not those that were declared" in answer.json()["detail"]
        assert money(town) == before
        # Rows that are declared, with the signature of other rows.
        ledger_id, until_ns = town.bank.stores.ledger.ledger_id, town.bank.stores.clock.now_ns() + 10**12
        other = Payment(rows_to(town, BATCH_ROWS + 10, seed=2), town.ned, payment.signers, id=payment.id)
        wrong = [other.signed(number, 0, ledger_id, until_ns) for number in (0, 1)]
        body = b"".join(write_rows((number, payment.part(number), wrong[number]) for number in (0, 1)))
        answer = post(client, path_of(payment), body)
        codes = {name for each in read_results(httpx_file(answer)) for name in each.names()}
        assert codes == {"SIGNATURE_INVALID"}
        # A signature of a part of a batch.
        body = b"".join(write_rows([(0, payment.part(0), payment.signed(1, 0, ledger_id, until_ns))]))
        answer = post(client, path_of(payment), body)
        assert (answer.status_code, "covers 10 records" in answer.json()["detail"]) == (400, True)
        assert money(town) == before


def test_a_wrong_batch_ends_the_results_with_a_problem(made: Place) -> None:
    town, payment = made.town, payment_of(made, rows_to(made.town, BATCH_ROWS + 10))
    with logged_in(town.bank, made.address, town.north) as client:
        assert declare(client, payment).status_code == 201
        ledger_id, until_ns = town.bank.stores.ledger.ledger_id, town.bank.stores.clock.now_ns() + 10**12
        signed = payment.signed(0, 0, ledger_id, until_ns)
        body = b"".join(write_rows([(0, payment.part(0), signed), (1, payment.part(0), signed)]))
        answer = post(client, path_of(payment), body)
        first, problem = read_results(httpx_file(answer))
        assert set(first.names()) == {"CREATED"}
        assert (problem["status"], problem["type"]) == (400, "/problems/invalid-request")
        assert "batch 1 has 10 rows" in problem["detail"]
        last = payment.signed(1, 0, ledger_id, until_ns)
        backwards = b"".join(write_rows([(1, payment.part(1), last), (0, payment.part(0), signed)]))
        answer = post(client, path_of(payment), backwards)
        *_, problem = read_results(httpx_file(answer))
        assert problem["detail"] == "batch 0 follows batch 1"


def test_another_file_under_the_same_id_is_refused(made: Place) -> None:
    payment = payment_of(made, rows_to(made.town, 3))
    other = Payment(rows_to(made.town, 4), payment.payer, payment.signers, id=payment.id)
    with made.client(made.desk) as client:
        assert set(paid(client.bulk(payment))) == {"CREATED"}
        before = money(made.town)
        with pytest.raises(IdConflict):
            list(client.bulk(other))
        assert money(made.town) == before


def test_one_person_above_the_amount_is_refused_and_two_approve(made: Place) -> None:
    town = made.town
    payment = payment_of(made, rows_of([town.mia, town.mia], [LIMIT_MINOR, 1]))
    with made.client(made.desk) as client, made.client(made.ann) as ann, made.client(made.bob) as bob:
        with pytest.raises(UsageError, match="two persons approve its digest"):
            list(client.bulk(payment))
        with pytest.raises(InvalidRequest, match="waiting and takes no rows"):
            client.do(bulk.send(payment, client.do(bulk.status(payment.id)), 0))
        proposal = ann.do(bulk.approve(payment.id))
        shown = ann.do(api.proposal(proposal))
        assert shown.effect["digest"] == payment.content.digest.hex()
        ann.do(api.sign(shown, Signer(world.person(town.bank, world.ANN), world.ANN)))
        with pytest.raises(UsageError, match="two persons approve its digest"):
            list(client.bulk(payment))
        bob.do(api.sign(bob.do(api.proposal(proposal)), Signer(world.person(town.bank, world.BOB), world.BOB)))
        assert paid(client.bulk(payment)) == ["EXCEEDS_BALANCE", "CREATED"]


def test_all_or_nothing_with_one_refusal_pays_nothing(made: Place) -> None:
    town = made.town
    good = payment_of(made, rows_of([town.mia, town.shop], [7, 8]), Mode.ALL)
    bad = payment_of(made, rows_of([town.mia, 12_345], [7, 8]), Mode.ALL)
    with made.client(made.desk) as client:
        before = money(town)
        assert paid(client.bulk(bad)) == ["STAGED", "PAYEE_CANNOT_RECEIVE"]
        file = client.do(bulk.status(bad.id))
        with pytest.raises(InvalidRequest, match="1 PAYEE_CANNOT_RECEIVE"):
            client.do(bulk.settle(file, made.staff))
        assert client.do(bulk.settle(file, made.staff, discard=True)).state == "discarded"
        discarded = client.do(bulk.status(bad.id, summary=True))
        assert (discarded.counts, discarded.paid_minor) == ({"DISCARDED": 1, "PAYEE_CANNOT_RECEIVE": 1}, 0)
        assert money(town) == before
        assert paid(client.bulk(good)) == ["STAGED"] * 2
        assert money(town) == before
        assert client.do(bulk.settle(client.do(bulk.status(good.id)), made.staff)).state == "settled"
        assert money(town) == [before[0] - 15, before[1] + 7, before[2] + 8, before[3]]


def test_a_dry_run_answers_what_the_ledger_would_and_pays_nothing(made: Place) -> None:
    town = made.town
    rows = rows_of([town.mia, 12_345, town.mia, town.mia], [1, 1, 10**9, 0])
    with made.client(made.desk) as client:
        before = money(town)
        expected = ["CREATED", "PAYEE_CANNOT_RECEIVE", "EXCEEDS_BALANCE", "AMOUNT_MUST_BE_POSITIVE"]
        assert paid(client.do(bulk.check(rows, town.ned))) == expected
        assert money(town) == before
        with pytest.raises(NotFound):
            client.do(bulk.check(rows, town.leo))  # a wallet with a key of its own


# --- who ---


def test_only_those_who_may_move_the_money_send_and_read(made: Place) -> None:
    town, payment = made.town, payment_of(made, rows_to(made.town, 3))
    with made.client(made.desk) as client:
        list(client.bulk(payment))
        assert ids.format(payment.id) in [each.id for each in client.do(bulk.files(payment.payer))]
    with made.client(made.reader) as reader:
        assert reader.do(bulk.status(payment.id)).state == "open"
        with pytest.raises(NotPermitted):
            list(reader.bulk(payment))
    with made.client(made.ann) as officer:
        assert officer.do(bulk.status(payment.id)).rows == 3  # an officer audits
        with pytest.raises(NotFound):
            list(officer.bulk(Payment(rows_to(town, 4), town.ned, (made.staff,))))
        with pytest.raises(NotFound):
            officer.do(bulk.send(payment, officer.do(bulk.status(payment.id)), 0))
    with logged_in(town.bank, made.address, town.holder(town.leo)) as leo:
        for path in (path_of(payment), path_of(payment) + "/results", f"/v1/bulk?payer={ids.format(payment.payer)}"):
            assert leo.get(path).status_code == 404
        assert post(leo, path_of(payment), b"").status_code == 404
    with httpx.Client(base_url=made.address) as nobody:
        answer = nobody.post(path_of(payment), content=b"x" * 1_000)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert nobody.get(path_of(payment)).status_code == 401


@pytest.mark.parametrize(
    ("content_type", "path", "content", "status", "text"),
    [
        ("application/json", "", b"{}", 415, "the body is"),
        (STREAM_TYPE, "", b"payee,amount\n", 400, "no Arrow IPC stream"),
        (STREAM_TYPE, "", b"", 400, "no Arrow IPC stream"),
        (STREAM_TYPE, "?first_batch=-1", b"", 400, "no number of a batch"),
        ("text/csv", "", b"payee\n1\n", 400, "names the columns"),
    ],
)
def test_other_bodies_are_refused(
    made: Place, content_type: str, path: str, content: bytes, status: int, text: str
) -> None:
    town, payment = made.town, payment_of(made, rows_to(made.town, 3))
    with logged_in(town.bank, made.address, town.north) as client:
        assert declare(client, payment).status_code == 201
        answer = post(client, path_of(payment) + path, content, headers={"Content-Type": content_type})
        assert (answer.status_code, text in answer.json()["detail"]) == (status, True), answer.text
        assert post(client, "/v1/bulk/check", b"").status_code == 400


# --- CSV ---


def test_csv_is_paid_and_answered_in_csv(made: Place) -> None:
    town = made.town
    lines = ["payee,amount", *(f"{ids.format(town.mia)},0.0{number}" for number in range(1, 4))]
    payment = payment_of(made, rows_of([town.mia] * 3, [1, 2, 3]))
    ledger_id, until_ns = town.bank.stores.ledger.ledger_id, town.bank.stores.clock.now_ns() + 10**12
    envelopes = base64.b64encode(payment.signed(0, 0, ledger_id, until_ns)).decode()
    headers = {"Content-Type": "text/csv; charset=utf-8", "Sycee-Envelopes": envelopes}
    with logged_in(town.bank, made.address, town.north) as client:
        assert declare(client, payment).status_code == 201
        wrong = post(client, path_of(payment), "\n".join([*lines, "xx,1"]), headers=headers)
        assert wrong.status_code == 400
        assert wrong.json()["detail"].startswith("line 5, column payee: 'xx' is no id")
        unsigned = post(client, path_of(payment), "\n".join(lines), headers={"Content-Type": "text/csv"})
        assert unsigned.status_code == 400
        answer = post(client, path_of(payment), "\n".join(lines), headers=headers)
        assert answer.status_code == 200, answer.text
        head, *rows = answer.text.splitlines()
        assert head == "row,code,repeated,frame"
        assert [row.rpartition(",")[0] for row in rows] == ["1,CREATED,no", "2,CREATED,no", "3,CREATED,no"]
        stored = client.get(path_of(payment) + "/results", params={"form": "csv"}).text.splitlines()
        assert [row.split(",")[1] for row in stored[1:]] == ["CREATED"] * 3
        dry = post(
            client, "/v1/bulk/check", "\n".join(lines), params={"payer": ids.format(town.ned)},
            headers={"Content-Type": "text/csv"},
        )  # fmt: skip
        assert dry.text.splitlines()[1:] == ["1,CREATED,no,0", "2,CREATED,no,0", "3,CREATED,no,0"]


# --- kills ---


def kill_and_send_on(folder: Path, kills: int, count: int, *, seed: int) -> None:
    """Kill the server while a file arrives, start it again and send on; every row is paid once."""
    drawn = random.Random(seed)
    with world.bank("", folder) as town:
        town.fund(town.ned, 9_000_00, "K-1")
        who, key = town.north, SigningKey.derive(bytes([120]) * 32)
        town.bank.add_schema(SCHEMA)
        clients = Registers(town.bank).clients
        desk = clients.register(who, key.public, by=world.person(town.bank, world.ANN), name="desk", operator=2)
        credentials = Credentials(ids.format(desk.id), key)
        payment = Payment(rows_to(town, count), town.ned, (Signer(who, NORTH),))
        before, accounts = money(town), (town.ned, town.mia, town.shop, town.leo)
        origin = town.bank.config.text("http_origin")
    path = folder / "bank"
    for kill in range(kills + 1):
        with running(path) as (address, child):
            from sycee.client import Client, ClientError

            with Client(address, credentials, origin=origin, deadline_s=1 if kill < kills else WAIT_S) as client:
                if kill == kills:
                    assert paid(client.bulk(payment)) == ["CREATED"] * count
                    continue
                stop_after = drawn.randrange(1, 4)
                seen = threading.Event()

                def send(client: Client = client, stop_after: int = stop_after, seen: threading.Event = seen) -> None:
                    try:
                        client.do(bulk.declare(payment))
                        file = client.do(bulk.status(payment.id))
                        for number in range(payment.batches):
                            client.do(bulk.send(payment, file, number, 1))
                            if number + 1 == stop_after:
                                seen.set()
                    except ClientError:
                        pass
                    finally:
                        seen.set()

                sender = threading.Thread(target=send)
                sender.start()
                assert seen.wait(WAIT_S)
                os.kill(child.process, signal.SIGKILL)
                sender.join(WAIT_S)
                assert not sender.is_alive()
    with Bank.open(path, schemas=(SCHEMA,)) as bank:
        assert bank.check() == []
        ledger = bank.stores.ledger
        ledger.check()
        after = [ledger.balance(account) for account in accounts]
        assert (after[0], sum(after)) == (before[0] - count, sum(before))
    verify(path, authority=True)


@MAY_FORK
def test_a_server_is_killed_while_a_file_arrives(tmp_path: Path) -> None:
    kill_and_send_on(tmp_path, 1, 4 * BATCH_ROWS, seed=3)


@MAY_FORK
@pytest.mark.soak
def test_a_server_is_killed_twenty_times(tmp_path: Path) -> None:
    kill_and_send_on(tmp_path, 20, 40 * BATCH_ROWS, seed=4)
