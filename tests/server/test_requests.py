"""Requests to pay over HTTP: asked with a signed message, paid once, and seen by payer and payee."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select
from tests.server.world import logged_in, new_id, served, signed, signed_message
from tests.wallets import world
from tests.wallets.world import LEO_KEY, MIA_KEY, NORTH, SOUTH, STRANGER, Town

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.clock import read_ns
from sycee.core.keys import SigningKey
from sycee.database.transactions import reading, write
from sycee.wallets import emv_qr
from sycee.wallets.tables import REQUESTS

NOWHERE = ids.format(int.from_bytes(b"x" * 16, "big"))
HOUR_NS = 3_600 * 10**9


@dataclass(frozen=True)
class Table:
    town: Town
    leo: httpx.Client
    mia: httpx.Client
    ned: httpx.Client
    north: httpx.Client
    south: httpx.Client

    def body(self, **more: object) -> dict[str, object]:
        expires_ns = read_ns(self.town.bank.stores.clock) + HOUR_NS
        return {"id": new_id(), "minor": "900", "expires_ns": str(expires_ns), **more}

    def asked(self, **more: object) -> str:
        path = f"/v1/wallets/{ids.format(self.town.mia)}/requests"
        done = signed_message(self.mia, path, self.body(**more), MIA_KEY)
        assert (done.status_code, done.json()["state"]) == (201, "open"), done.json()
        return done.json()["request"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    folder: Path = tmp_path_factory.mktemp("server")
    options = {**world.settled("").copy(folder), "country": "CN"}
    with Bank.open(folder / "bank", options=options) as bank:
        town = world.town(bank)
        world.join(bank, "South Bank", SOUTH)
        with served(bank) as address:
            people = (*map(town.holder, (town.leo, town.mia, town.ned)), town.north, world.person(bank, SOUTH))
            leo, mia, ned, north, south = (logged_in(bank, address, each) for each in people)
            with leo, mia, ned, north, south:
                yield Table(town, leo, mia, ned, north, south)


def shown(answer: httpx.Response) -> dict[str, object]:
    return {name: value for name, value in answer.json().items() if name != "request_id"}


def test_a_request_is_asked_and_paid_once(table: Table) -> None:
    town, leo = table.town, ids.format(table.town.leo)
    path = f"/v1/wallets/{ids.format(town.mia)}/requests"
    body = table.body(payer=leo, text="dinner")
    first = table.mia.post(path, json=body)
    assert (first.status_code, first.json()["message_to_sign"]["key"]) == (202, str(MIA_KEY.public))
    assert table.leo.get(f"/v1/requests/{body['id']}").status_code == 404
    forged = signed_message(table.mia, path, body, LEO_KEY)
    assert (forged.status_code, "signature" in forged.json()["detail"]) == (400, True)
    made = signed_message(table.mia, path, body, MIA_KEY)
    assert (made.status_code, made.json()["state"]) == (201, "open")
    again = signed_message(table.mia, path, body, MIA_KEY)
    assert (again.status_code, again.json()) == (200, made.json())
    assert signed_message(table.mia, path, {**body, "minor": "1"}, MIA_KEY).status_code == 409
    found = table.leo.get(f"/v1/requests/{body['id']}").json()
    assert (found["text"], found["minor"], found["payer"], found["state"]) == ("dinner", "900", leo, "open")
    listed = table.leo.get(f"/v1/wallets/{leo}/requests", params={"side": "payer"}).json()["rows"]
    assert [each["request"] for each in listed] == [body["id"]]
    before, paying = town.balance(town.mia), {"id": new_id(), "wallet": leo}
    paid = signed(table.leo, f"/v1/requests/{body['id']}/payment", paying, LEO_KEY)
    assert (paid.status_code, paid.json()["payment"]) == (201, paying["id"])
    assert signed(table.leo, f"/v1/requests/{body['id']}/payment", paying, LEO_KEY).status_code == 200
    twice = table.leo.post(f"/v1/requests/{body['id']}/payment", json={"id": new_id(), "wallet": leo})
    assert (twice.status_code, "is paid" in twice.json()["detail"]) == (400, True)
    assert town.balance(town.mia) == before + 900
    assert table.mia.get(f"/v1/requests/{body['id']}").json()["state"] == "paid"


def test_a_request_for_anybody_is_a_qr_code(table: Table) -> None:
    request = table.asked(text="coffee")
    found = table.ned.get(f"/v1/requests/{request}").json()
    assert (found["text"], found["payer"]) == ("coffee", None)
    code = emv_qr.parse(table.ned.get(f"/v1/requests/{request}/qr.txt").text)
    assert (code.is_dynamic, ids.format(code.request), code.account, code.minor) == (True, request, table.town.mia, 900)
    assert table.ned.get(f"/v1/requests/{request}/qr.png").content.startswith(b"\x89PNG")
    assert b"<svg" in table.ned.get(f"/v1/requests/{request}/qr.svg").content
    assert table.ned.get(f"/v1/requests/{request}/qr.gif").status_code == 400


def test_the_operator_and_a_till_ask_for_a_custodial_shop(table: Table) -> None:
    town = table.town
    path = f"/v1/wallets/{ids.format(town.shop)}/requests"
    by_staff = signed_message(table.north, path, table.body(order="Q-7"), NORTH)
    assert by_staff.status_code == 201
    key: SigningKey = STRANGER
    outlet = town.bank.institutions.outlets_of(town.tea)["MAIN"]
    till = ids.format(town.bank.institutions.add_till(outlet, "T7", by=town.north, key=key.public))
    body = table.body(till=till, key=str(key.public))
    assert signed_message(table.north, path, body, key).status_code == 201
    other = signed_message(table.north, path, table.body(key=str(key.public)), key)
    assert (other.status_code, "may not ask" in other.json()["detail"]) == (400, True)


def test_a_request_is_declined_or_withdrawn(table: Table) -> None:
    leo = ids.format(table.town.leo)
    for path, ending, client, other in (
        ("decline", "declined", table.leo, table.mia), ("withdrawal", "withdrawn", table.mia, table.leo),
    ):  # fmt: skip
        request, body = table.asked(payer=leo), {"id": new_id()}
        missing = other.post(f"/v1/requests/{NOWHERE}/{path}", json={"id": new_id()})
        wrong = other.post(f"/v1/requests/{request}/{path}", json={"id": new_id()})
        assert (wrong.status_code, shown(wrong)) == (404, shown(missing))
        done = client.post(f"/v1/requests/{request}/{path}", json=body)
        assert (done.status_code, done.json()["state"]) == (201, ending)
        assert client.post(f"/v1/requests/{request}/{path}", json=body).status_code == 200
        late = table.leo.post(f"/v1/requests/{request}/payment", json={"id": new_id(), "wallet": leo})
        assert (late.status_code, f"is {ending}" in late.json()["detail"]) == (400, True)


def test_others_see_and_pay_nothing(table: Table) -> None:
    leo, ned = ids.format(table.town.leo), ids.format(table.town.ned)
    request = table.asked(payer=leo, text="private")
    for caller in (table.ned, table.south):
        for path in ("", "/qr.txt"):
            foreign, missing = (caller.get(f"/v1/requests/{each}{path}") for each in (request, NOWHERE))
            assert (foreign.status_code, shown(foreign)) == (404, shown(missing))
    body = {"id": new_id(), "wallet": ned}
    foreign, missing = (table.ned.post(f"/v1/requests/{each}/payment", json=body) for each in (request, NOWHERE))
    assert (foreign.status_code, shown(foreign)) == (404, shown(missing))
    assert table.ned.post(f"/v1/requests/{request}/payment", json={**body, "wallet": leo}).status_code == 404
    lists = (table.ned.get(f"/v1/wallets/{each}/requests", params={"side": "payee"}) for each in (leo, NOWHERE))
    foreign, missing = lists
    assert (foreign.status_code, shown(foreign)) == (404, shown(missing))
    assert table.north.get(f"/v1/requests/{request}").json()["text"] == ""
    ask = table.ned.post(f"/v1/wallets/{leo}/requests", json=table.body())
    assert ask.status_code == 404


def test_requests_are_listed_in_pages_without_changed_ones(table: Table) -> None:
    made = {table.asked() for _ in range(3)}
    path, seen, cursor = f"/v1/wallets/{ids.format(table.town.mia)}/requests", [], ""
    while cursor is not None:
        page = table.mia.get(path, params={"side": "payee", "limit": 2, "cursor": cursor}).json()
        seen += [each["request"] for each in page["rows"]]
        cursor = page["next"]
    assert made <= set(seen)
    assert len(set(seen)) == len(seen)


def test_nothing_tells_whether_a_payer_exists(table: Table) -> None:
    path = f"/v1/wallets/{ids.format(table.town.mia)}/requests"
    answers = [
        signed_message(table.mia, path, table.body(payer=each), MIA_KEY)
        for each in (ids.format(table.town.leo), NOWHERE)
    ]
    assert [each.status_code for each in answers] == [201, 201]
    assert {each.json()["state"] for each in answers} == {"open"}


def test_a_changed_request_is_shown_to_nobody(table: Table) -> None:
    request, engine = table.asked(), table.town.bank.stores.engine
    chosen = REQUESTS.c.id == ids.parse(request)
    for minor in (1, 900):
        write(
            engine,
            lambda connection, minor=minor: connection.execute(REQUESTS.update().where(chosen).values(minor=minor)),
        )
        path = f"/v1/wallets/{ids.format(table.town.mia)}/requests"
        listed = table.mia.get(path, params={"side": "payee", "limit": 1000}).json()["rows"]
        found = table.ned.get(f"/v1/requests/{request}")
        if minor == 1:
            assert (found.status_code, found.json()["type"]) == (500, "/problems/damaged")
        assert (request in {each["request"] for each in listed}) is (found.status_code == 200) is (minor == 900)


def test_bad_bodies_are_refused(table: Table) -> None:
    path = f"/v1/wallets/{ids.format(table.town.mia)}/requests"
    for more in ({"minor": "-1"}, {"expires_ns": "x"}, {"text": "y" * 36}, {"signature": "00"}, {"till": "T1"}):
        wrong = table.mia.post(path, json=table.body(**more))
        assert (wrong.status_code, next(iter(more)) in wrong.json()["detail"]) == (400, True)
    assert table.mia.post(path, json=table.body(expires_ns="1")).status_code == 400
    assert table.mia.get(path).status_code == 400  # without a side


def test_a_running_server_does_what_is_due(table: Table) -> None:
    """A request expires in SQL while the server runs, without a restart."""
    town, soon_ns = table.town, read_ns(table.town.bank.stores.clock) + 10**9
    request = ids.parse(table.asked(expires_ns=str(soon_ns)))
    town.bank.stores.clock.set(soon_ns)
    chosen = select(REQUESTS.c.state).where(REQUESTS.c.id == request)
    state, until_s = "open", time.monotonic() + 20
    while state == "open" and time.monotonic() < until_s:
        time.sleep(0.05)
        with reading(town.bank.stores.engine) as connection:
            state = connection.scalar(chosen)
    assert state == "expired"
