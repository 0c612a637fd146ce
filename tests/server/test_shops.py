"""Shops, conditions and the situation of a programme over HTTP, each by those who may."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.programmes import world
from tests.programmes.shops_town import NAME, open_shop, shop_town
from tests.programmes.world import ANN, NORTH, SOUTH, person
from tests.server.world import logged_in, new_id, served, signed

from sycee.bank.bank import Bank
from sycee.core import ids

PATH = f"/v1/programmes/{NAME}"


@dataclass
class Counter:
    bank: Bank
    ann: httpx.Client
    north: httpx.Client
    south: httpx.Client


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counter]:
    folder: Path = tmp_path_factory.mktemp("shops")
    with world.opened(folder, shop_town().copy(folder)) as bank, served(bank) as address:
        clients = [logged_in(bank, address, person(bank, key)) for key in (ANN, NORTH, SOUTH)]
        yield Counter(bank, *clients)
        for each in clients:
            each.close()


def post(client: httpx.Client, path: str, **members: object) -> httpx.Response:
    return client.post(f"{PATH}/{path}", json={"id": new_id(), **members})


def test_a_shop_joins_over_http(counter: Counter) -> None:
    bank, north, ann = counter.bank, counter.north, counter.ann
    merchant = ids.format(bank.institutions.find("merchant", "Tea house").id)
    wallet = ids.format(open_shop(bank, "Tea house"))
    assert post(counter.south, "shops", merchant=merchant).status_code == 404  # a merchant of another operator
    applied = post(north, "shops", merchant=merchant)
    assert (applied.status_code, applied.json()["wallet"], applied.json()["state"]) == (201, wallet, "applied")
    assert post(north, f"shops/{wallet}/check", accepted=True).status_code == 400  # who applied
    assert post(counter.south, f"shops/{wallet}/check", accepted=True).status_code == 403
    assert post(ann, f"shops/{new_id()}/check", accepted=True).status_code == 404
    assert post(ann, f"shops/{wallet}/check", accepted=True).json()["state"] == "accepted"
    assert counter.south.get(f"{PATH}/shops").json()["rows"] == []
    (row,) = north.get(f"{PATH}/shops", params={"state": "accepted"}).json()["rows"]
    assert (row["group"], row["operator"]) == ("city-shops", 2)
    joined = signed(north, f"{PATH}/shops/joining", {"id": new_id(), "operator": 2}, NORTH)
    assert (joined.status_code, joined.json()) == (201, {"operator": 2, "joined": 1})
    assert ann.get(f"{PATH}/shops").json()["rows"][0]["state"] == "joined"
    assert north.get(f"{PATH}/shops/untested").json() == {"rows": []}
    assert post(counter.south, f"shops/{wallet}/leaving").status_code == 404
    left = signed(north, f"{PATH}/shops/{wallet}/leaving", {"id": new_id()}, NORTH)
    assert (left.status_code, left.json()["state"]) == (201, "left")
    assert bank.check() == []


def test_conditions_evidence_and_situation_over_http(counter: Counter) -> None:
    filed = post(counter.north, "evidence", kind="conformance", operator=2, result={"ok": True})
    assert (filed.status_code, filed.json()["passed"]) == (201, True)
    assert post(counter.south, "evidence", kind="conformance", operator=2, result={"ok": True}).status_code == 403
    assert post(counter.ann, "evidence", kind="restore", result={}).status_code == 400
    found = counter.ann.get(f"{PATH}/occurrences/0/conditions").json()
    met = {each["name"]: each["met"] for each in found["conditions"]}
    assert (found["go"], met["cohort sealed"], met["conformance of north"]) == (False, True, True)
    assert met["conformance of south"] is None
    situation = counter.north.get(f"{PATH}/occurrences/0/situation")
    assert (situation.status_code, situation.json()["dropped_minor"], situation.json()["members"]) == (200, "16000", 5)
    assert counter.ann.get(f"{PATH}/occurrences/7/situation").status_code in (400, 404)
