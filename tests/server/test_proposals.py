"""Proposals and issuance over HTTP: made, signed elsewhere, visible to those whom they concern, done once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.bank import world
from tests.bank.world import ANN, BOB, DESK, NORTH, SOUTH
from tests.server.world import logged_in, new_id, served

from sycee.bank.bank import Bank
from sycee.core.keys import SigningKey
from sycee.core.records import proposal_format
from sycee.core.records.proposal_format import Proposal

Client = Callable[[SigningKey], httpx.Client]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    folder: Path = tmp_path_factory.mktemp("server")
    with world.bank("sqlite", folder, operators=True) as made:
        yield made


@pytest.fixture(scope="module")
def of(bank: Bank) -> Iterator[Client]:
    """The client of the person with a key."""
    made: dict[int, httpx.Client] = {}
    with served(bank) as address:

        def client(key: SigningKey) -> httpx.Client:
            person = bank.people.person_of_key(key.public)
            if person not in made:
                made[person] = logged_in(bank, address, person)
            return made[person]

        yield client
        for each in made.values():
            each.close()


def propose(client: httpx.Client, path: str, **members: object) -> dict[str, object]:
    answer = client.post(f"/v1/{path}", json={"id": new_id(), **members})
    assert answer.status_code == 201, answer.text
    return answer.json()


def signature(bank: Bank, client: httpx.Client, proposal: object, key: SigningKey) -> dict[str, object]:
    """A signature that is made from what the server shows, checked against its digest."""
    shown = client.get(f"/v1/proposals/{proposal}").json()
    found = Proposal.parse(json.dumps(shown["document"]))
    assert found.digest.hex() == shown["digest"]
    return json.loads(proposal_format.sign(found, bank.people.person_of_key(key.public), key).text())


def sign(bank: Bank, client: httpx.Client, proposal: object, key: SigningKey) -> httpx.Response:
    made = signature(bank, client, proposal, key)
    return client.post(f"/v1/proposals/{proposal}/signatures", json=made)


def test_a_mint_is_proposed_shown_and_signed_by_three(bank: Bank, of: Client) -> None:
    supply = int(of(ANN).get("/v1/supply").json()["supply"])
    propose(of(ANN), "operators/2/reserves", minor="5000")
    body = {"id": new_id(), "minor": "5000"}
    made = of(NORTH).post("/v1/operators/2/mints", json=body)
    assert made.status_code == 201, made.text
    assert made.json()["proposal"] == body["id"]
    again = of(NORTH).post("/v1/operators/2/mints", json=body)
    assert (again.status_code, again.json()) == (200, made.json())
    id = body["id"]
    shown = of(BOB).get(f"/v1/proposals/{id}").json()
    assert any("50.00" in line for line in shown["lines"]), shown["lines"]
    assert len(shown["needs"]) == 2
    assert {each["key"] for each in shown["may_sign"]} >= {str(key.public) for key in (ANN, BOB, NORTH)}
    for key, needs in ((NORTH, 1), (ANN, 1)):
        answer = sign(bank, of(key), id, key)
        assert (answer.status_code, len(answer.json()["needs"])) == (201, needs), answer.text
    last = signature(bank, of(BOB), id, BOB)
    done = of(BOB).post(f"/v1/proposals/{id}/signatures", json=last)
    # The reserves of this mint were proposed, and nobody signed them.
    assert done.json() | {"needs": 0} == {"proposal": id, "state": "refused", "code": done.json()["code"], "needs": 0}
    assert done.json()["code"] == "EXCEEDS_BALANCE"
    repeated = of(BOB).post(f"/v1/proposals/{id}/signatures", json=last)
    assert (repeated.status_code, repeated.json()) == (200, done.json())
    assert int(of(ANN).get("/v1/supply").json()["supply"]) == supply


def test_reserves_and_money_are_recorded_once_signed(bank: Bank, of: Client) -> None:
    supply = int(of(ANN).get("/v1/supply").json()["supply"])
    credited = propose(of(ANN), "operators/3/reserves", minor="700")["proposal"]
    minted = propose(of(BOB), "operators/3/mints", minor="700")["proposal"]
    for proposal, keys in ((credited, (ANN, BOB)), (minted, (ANN, BOB, SOUTH))):
        for key in keys:
            answer = sign(bank, of(key), proposal, key)
            assert answer.status_code == 201, answer.text
        assert answer.json()["state"] == "done"
    assert int(of(ANN).get("/v1/supply").json()["supply"]) == supply + 700
    rows = {each["number"]: each for each in of(SOUTH).get("/v1/operators").json()["rows"]}
    assert rows[3]["money"]["vault"] == str(world.MINTED + 700)
    assert rows[2]["money"] is None
    assert rows[2]["name"] == "North Bank"
    redeemed = propose(of(SOUTH), "operators/3/redemptions", minor="700")["proposal"]
    assert sign(bank, of(SOUTH), redeemed, SOUTH).json()["needs"]
    assert sign(bank, of(DESK), redeemed, DESK).json()["state"] == "done"
    assert int(of(ANN).get("/v1/supply").json()["supply"]) == supply


def test_another_bank_neither_proposes_nor_sees(bank: Bank, of: Client) -> None:
    for path in ("mints", "redemptions"):
        foreign = of(SOUTH).post(f"/v1/operators/2/{path}", json={"id": new_id(), "minor": "1"})
        assert (foreign.status_code, foreign.json()["type"]) == (403, "/problems/not-permitted")
    made = propose(of(NORTH), "operators/2/redemptions", minor="1")["proposal"]
    missing = of(SOUTH).get(f"/v1/proposals/{new_id()}").json()
    hidden = of(SOUTH).get(f"/v1/proposals/{made}")
    assert hidden.status_code == 404
    assert {**hidden.json(), "request_id": ""} == {**missing, "request_id": ""}
    assert made not in {each["proposal"] for each in of(SOUTH).get("/v1/proposals?limit=1000").json()["rows"]}
    assert made in {each["proposal"] for each in of(NORTH).get("/v1/proposals?limit=1000").json()["rows"]}
    body = signature(bank, of(NORTH), made, NORTH)
    assert of(SOUTH).post(f"/v1/proposals/{made}/signatures", json=body).status_code == 404
    assert of(SOUTH).post(f"/v1/proposals/{made}/withdrawal", json={"id": new_id()}).status_code == 404


def test_a_duty_is_checked_before_the_fields(of: Client) -> None:
    for path in ("operators/2/reserves", "minting-cap", "operators", "reserve-rules"):
        assert of(NORTH).post(f"/v1/{path}", json={}).status_code == 403
        assert of(ANN).post(f"/v1/{path}", json={}).status_code == 400


def test_changed_and_foreign_signatures_are_refused(bank: Bank, of: Client) -> None:
    made = propose(of(ANN), "minting-cap", minor="999", effective_ns=str(world.START_NS + 9 * world.DAY_NS))["proposal"]
    body = signature(bank, of(ANN), made, ANN)
    flipped = str(body["approval"])
    wrong = {**body, "approval": ("1" if flipped[0] == "0" else "0") + flipped[1:]}
    path = f"/v1/proposals/{made}/signatures"
    assert "not a signature" in of(ANN).post(path, json=wrong).json()["detail"]
    person = signature(bank, of(ANN), made, BOB)["signer"]
    assert of(ANN).post(path, json={**body, "signer": person}).status_code == 400
    assert of(ANN).post(path, json={**body, "proposal": new_id()}).status_code == 404
    assert of(ANN).get(f"/v1/proposals/{made}").json()["state"] == "open"
    # An officer who did not make it withdraws it, once.
    end = {"id": new_id()}
    assert of(BOB).post(f"/v1/proposals/{made}/withdrawal", json=end).status_code == 201
    assert of(BOB).post(f"/v1/proposals/{made}/withdrawal", json=end).status_code == 200
    late = of(ANN).post(path, json=body)
    assert (late.status_code, "withdrawn" in late.json()["detail"]) == (400, True)


def test_pages_have_every_proposal_once(of: Client) -> None:
    for _ in range(3):
        propose(of(ANN), "operators/2/reserves", minor="1")
    whole = of(ANN).get("/v1/proposals?limit=1000").json()
    found, cursor = [], ""
    while cursor is not None:
        page = of(ANN).get("/v1/proposals", params={"limit": 2, "cursor": cursor}).json()
        assert len(page["rows"]) <= 2
        found += page["rows"]
        cursor = page["next"]
    assert found == whole["rows"]
    assert {each["state"] for each in of(ANN).get("/v1/proposals?state=open").json()["rows"]} == {"open"}
    assert of(ANN).get("/v1/proposals?cursor=x").status_code == 400


def test_reserve_rules_and_limits_are_proposals_too(bank: Bank, of: Client) -> None:
    day = "2026-11-03"
    rule = {"wallet_class": "class-4", "from_day": day, "holder": "operator", "share_ppm": 200_000, "source": "board"}
    made = propose(of(ANN), "reserve-rules", rules=[rule])["proposal"]
    for key in (ANN, BOB):
        last = sign(bank, of(key), made, key).json()
    assert last["state"] == "done"
    assert of(NORTH).get("/v1/reserve-rules", params={"day": day}).json()["rows"] == [rule]
    assert of(NORTH).get("/v1/reserve-rules", params={"day": "2026-11-01"}).json()["rows"] == []
    later = str(world.START_NS + 9 * world.DAY_NS)
    assert propose(of(ANN), "operators/2/quota", minor="123", effective_ns=later)["needs"]
    assert propose(of(ANN), "operators/3/leaving")["needs"]
    missing = of(ANN).post("/v1/operators/99/reserves", json={"id": new_id(), "minor": "1"})
    assert missing.status_code == 400
