"""Fundings over HTTP: staff move money from the vault, holders send it to their bank, staff decide the bank's leg."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.server.world import logged_in, new_id, served, signed
from tests.wallets import world
from tests.wallets.world import LEO_KEY, MIA_KEY, NORTH, SOUTH, START_NS, Town

from sycee.core import ids

NOWHERE = ids.format(int.from_bytes(b"x" * 16, "big"))


@dataclass(frozen=True)
class Counter:
    town: Town
    leo: httpx.Client
    mia: httpx.Client
    north: httpx.Client
    south: httpx.Client

    @property
    def leo_path(self) -> str:
        return f"/v1/wallets/{ids.format(self.town.leo)}"

    def sent(self, minor: int, reference: str) -> str:
        body = {"id": new_id(), "minor": str(minor), "bank_reference": reference}
        done = signed(self.north, f"{self.leo_path}/fundings", body, NORTH)
        assert done.status_code == 201, done.json()
        return done.json()["funding"]


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counter]:
    folder: Path = tmp_path_factory.mktemp("server")
    with world.bank("sqlite", folder) as town:
        world.join(town.bank, "South Bank", SOUTH)
        with served(town.bank) as address:
            people = (town.holder(town.leo), town.holder(town.mia), town.north, world.person(town.bank, SOUTH))
            leo, mia, north, south = (logged_in(town.bank, address, each) for each in people)
            with leo, mia, north, south:
                yield Counter(town, leo, mia, north, south)


def shown(answer: httpx.Response) -> dict[str, object]:
    return {name: value for name, value in answer.json().items() if name != "request_id"}


def test_a_funding_is_sent_once_and_confirmed_once(counter: Counter) -> None:
    town, path = counter.town, f"{counter.leo_path}/fundings"
    body, before = {"id": new_id(), "minor": "700", "bank_reference": "B-1"}, town.balance(town.leo)
    assert counter.north.post(path, json=body).status_code == 202
    done = signed(counter.north, path, body, NORTH)
    assert (done.status_code, done.json()["state"]) == (201, "sent")
    again = signed(counter.north, path, body, NORTH)
    assert (again.status_code, again.json()) == (200, done.json())
    assert signed(counter.north, path, {**body, "minor": "8"}, NORTH).status_code == 409
    twice = signed(counter.north, path, {**body, "id": new_id()}, NORTH)
    assert (twice.status_code, "B-1" in twice.json()["detail"]) == (400, True)
    assert town.balance(town.leo) == before
    confirm, number = f"/v1/fundings/{done.json()['funding']}/confirmation", {"id": new_id()}
    made = counter.north.post(confirm, json=number)
    assert (made.status_code, made.json()["state"]) == (201, "confirmed")
    assert counter.north.post(confirm, json=number).status_code == 200
    late = counter.north.post(confirm, json={"id": new_id()})
    assert late.status_code == 422
    assert town.balance(town.leo) == before + 700


def test_a_rejected_funding_moves_nothing(counter: Counter) -> None:
    town, before = counter.town, counter.town.balance(counter.town.leo)
    funding = counter.sent(90, "B-2")
    made = counter.north.post(f"/v1/fundings/{funding}/rejection", json={"id": new_id()})
    assert (made.status_code, made.json()["state"], town.balance(town.leo)) == (201, "rejected", before)


def test_a_holder_sends_money_to_the_bank(counter: Counter) -> None:
    town, before = counter.town, counter.town.balance(counter.town.leo)
    body = {"id": new_id(), "minor": "150", "bank_reference": "L-1"}
    done = signed(counter.leo, f"{counter.leo_path}/defundings", body, LEO_KEY)
    assert (done.status_code, done.json()["state"]) == (201, "sent")
    own = counter.leo.post(f"/v1/fundings/{done.json()['funding']}/confirmation", json={"id": new_id()})
    assert own.status_code == 403
    counter.north.post(f"/v1/fundings/{done.json()['funding']}/confirmation", json={"id": new_id()})
    assert town.balance(town.leo) == before - 150
    rows = counter.leo.get(f"{counter.leo_path}/fundings").json()["rows"]
    assert ("L-1", "confirmed", "150") in {(each["bank_reference"], each["state"], each["minor"]) for each in rows}


def test_fundings_are_listed_in_pages_for_their_operator(counter: Counter) -> None:
    made = [counter.sent(10 + at, f"P-{at}") for at in range(3)]
    seen, cursor = [], ""
    while cursor is not None:
        page = counter.north.get("/v1/operators/2/fundings", params={"limit": 2, "cursor": cursor, "state": "sent"})
        seen += page.json()["rows"]
        cursor = page.json()["next"]
    assert [each["funding"] for each in seen] == sorted(made)
    assert counter.south.get("/v1/operators/3/fundings").json()["rows"] == []
    foreign, missing = (counter.south.get(f"/v1/operators/{number}/fundings") for number in (2, 77))
    assert (foreign.status_code, shown(foreign)) == (404, shown(missing))
    assert counter.north.get("/v1/operators/2/fundings", params={"state": "lost"}).status_code == 400


@pytest.mark.parametrize("path", ["confirmation", "rejection"])
def test_another_operator_decides_nothing(counter: Counter, path: str) -> None:
    funding = counter.sent(5, f"F-{path}")
    body = {"id": new_id()}
    foreign, missing = (counter.south.post(f"/v1/fundings/{each}/{path}", json=body) for each in (funding, NOWHERE))
    assert (foreign.status_code, shown(foreign)) == (404, shown(missing))
    foreign, missing = (counter.mia.post(f"/v1/fundings/{each}/{path}", json=body) for each in (funding, NOWHERE))
    assert shown(foreign) == shown(missing)


@pytest.mark.parametrize("path", ["fundings", "defundings", "shortfalls"])
def test_others_move_no_money(counter: Counter, path: str) -> None:
    body = {"id": new_id(), "minor": "5"}
    body |= {"payee": ids.format(counter.town.shop)} if path == "shortfalls" else {"bank_reference": "X"}
    for caller in (counter.south, counter.mia):
        urls = (f"{counter.leo_path}/{path}", f"/v1/wallets/{NOWHERE}/{path}")
        foreign, missing = (caller.post(url, json=body) for url in urls)
        assert foreign.status_code in (403, 404)
        assert shown(foreign) == shown(missing)


def test_bad_bodies_are_refused(counter: Counter) -> None:
    for more in ({"minor": "-1"}, {"bank_reference": ""}, {"bank_reference": "x" * 36}, {"bank_reference": "a\nb"}):
        body = {"id": new_id(), "minor": "5", "bank_reference": "X-1", **more}
        wrong = counter.north.post(f"{counter.leo_path}/fundings", json=body)
        assert (wrong.status_code, next(iter(more)) in wrong.json()["detail"]) == (400, True)


def test_a_payment_takes_what_it_lacks_from_the_bank(counter: Counter) -> None:
    town, bank = counter.town, counter.town.bank
    bank.sweeps.link(town.leo, "CN00 0000", signers=town.operator, who=town.north)
    bank.mandates.grant(town.leo, 100_00, key=LEO_KEY, by=town.holder(town.leo))
    shop, minor = town.balance(town.shop), town.balance(town.leo) + 500
    body = {"id": new_id(), "payee": ids.format(town.shop), "minor": str(minor), "order": "S-1"}
    asked = signed(counter.leo, f"{counter.leo_path}/shortfalls", body, LEO_KEY)
    assert (asked.status_code, asked.json()["missing_minor"], asked.json()["state"]) == (201, "500", "asked")
    assert signed(counter.leo, f"{counter.leo_path}/shortfalls", body, LEO_KEY).status_code == 200
    (row,) = counter.north.get("/v1/operators/2/shortfalls").json()["rows"]
    assert (row["payment"], row["bank_reference"]) == (body["id"], asked.json()["bank_reference"])
    path = f"/v1/shortfalls/{body['id']}"
    foreign, missing = (
        counter.south.post(f"/v1/shortfalls/{each}/funding", json={"id": new_id()}) for each in (body["id"], NOWHERE)
    )
    assert (foreign.status_code, shown(foreign)) == (404, shown(missing))
    done = signed(counter.north, f"{path}/funding", {"id": new_id()}, NORTH)
    assert (done.status_code, done.json()["state"]) == (201, "paid")
    assert (town.balance(town.leo), town.balance(town.shop)) == (0, shop + minor)
    rejected = counter.north.post(f"{path}/rejection", json={"id": new_id()})
    assert rejected.status_code == 400


def test_an_excess_is_paid_or_returns(counter: Counter) -> None:
    town, bank = counter.town, counter.town.bank
    most = next(each for each in bank.preset.tiers if each.name == "class-4").balance_max_minor
    town.fund(town.ned, most - town.balance(town.ned), "N-full")
    bank.sweeps.link(town.ned, "CN00 0001", signers=town.operator, who=town.north)
    mia = {"signers": town.signer(town.mia, MIA_KEY), "who": town.holder(town.mia)}
    # The list is in the order of ids, which for the same millisecond is random.
    operations = [ids.new(START_NS // 1_000_000 + at) for at in range(2)]
    for minor, each in zip((11, 12), operations, strict=True):
        assert bank.payments.pay(town.mia, town.ned, minor, operation=each, **mia).is_paid
    payments = list(map(ids.format, operations))
    path = "/v1/operators/2/waterfalls"
    rows = counter.north.get(path).json()["rows"]
    assert [(each["payment"], each["minor"]) for each in rows] == list(zip(payments, ("11", "12"), strict=True))
    assert counter.north.get(path, params={"limit": 1}).json()["rows"] == rows[:1]
    foreign, missing = (counter.south.get(f"/v1/operators/{number}/waterfalls") for number in (2, 77))
    assert (foreign.status_code, shown(foreign)) == (404, shown(missing))
    body = {"id": new_id()}
    confirm = f"{path}/{payments[0]}/confirmation"
    assert counter.south.post(confirm, json={"id": new_id()}).status_code == 404
    done = counter.north.post(confirm, json=body)
    assert (done.status_code, done.json()) == (201, {"funding": payments[0], "state": "confirmed"})
    assert counter.north.post(confirm, json=body).status_code == 200
    assert counter.north.post(confirm, json={"id": new_id()}).status_code == 404
    rejected = counter.north.post(f"{path}/{payments[1]}/rejection", json={"id": new_id()})
    assert (rejected.status_code, town.balance(town.ned)) == (201, most + 12)
