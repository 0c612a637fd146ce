"""Registration over HTTP: people, check and code, appeals, receipt and look-up; no answer is stored with a salt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.programmes.registering import CASEWORKER, NAME, NORTH, SOUTH, person, prepared
from tests.programmes.world import ACCOUNTS
from tests.server.world import logged_in, new_id, served

from sycee.bank.bank import Bank
from sycee.core import ids

RUN = f"/v1/programmes/{NAME}/occurrences/0"
PATH = f"{RUN}/registrations"


class Counter:
    """A served bank whose programme registers: two desks and a caseworker."""

    def __init__(self, bank: Bank, address: str) -> None:
        self.bank = bank
        self.north, self.south, self.worker = (
            logged_in(bank, address, person(bank, key)) for key in (NORTH, SOUTH, CASEWORKER)
        )

    def close(self) -> None:
        for client in (self.north, self.south, self.worker):
            client.close()


@pytest.fixture
def counter(tmp_path: Path) -> Iterator[Counter]:
    prepared("").copy(tmp_path)
    with Bank.open(tmp_path / "bank") as bank, served(bank) as address:
        made = Counter(bank, address)
        yield made
        made.close()


def send(client: httpx.Client, path: str, status: int = 201, **members: object) -> Any:
    answer = client.post(path, json={"id": new_id(), **members})
    assert answer.status_code == status, answer.json()
    return answer.json()


def test_registration_over_http(counter: Counter) -> None:
    north, south, worker = counter.north, counter.south, counter.worker
    body = {"id": new_id(), "document": "1001", "phone": "+8613900000001", "bank": "north"}
    first = north.post(PATH, json=body).json()
    assert north.post(PATH, json=body).json() == first
    assert (first["entry"], first["state"], first["phone"], len(first["salt"])) == (
        0,
        "registered",
        "8613900000001",
        64,
    )
    refused = send(north, PATH, 400, document="12x", bank="north")
    assert "12x" not in str(refused)

    columns = {"document": ["1002", "12x"], "phone": ["+8613900000001", ""], "bank": ["south", "south"]}
    rows = {"id": new_id(), "columns": columns, "confirmed": True}
    made = south.post(f"{PATH}/rows", json=rows)
    assert (made.status_code, made.json()["registered"], made.json()["refused"]) == (201, 1, {"INVALID_DOCUMENT": 1})
    assert made.json()["faults"] == [{"row": 2, "column": "document", "code": "INVALID_DOCUMENT"}]
    assert south.post(f"{PATH}/rows", json=rows).json() == made.json()
    send(south, f"{PATH}/rows", 400, columns={"document": ["1"], "phone": [], "bank": ["north"]})
    counter.bank.registrations.screen(NAME)

    (waiting,) = send(north, f"{PATH}/checks")["rows"]
    assert send(north, f"{PATH}/checks", entries=[0])["rows"] == [waiting]
    wrong = f"{(int(waiting['code']) + 1) % 10**6:06}"
    send(north, f"{PATH}/0/code", 400, code=wrong)
    assert send(north, f"{PATH}/0/code", code=waiting["code"])["state"] == "confirmed"

    pages = [north.get(PATH, params={"limit": 1}).json()]
    pages.append(north.get(PATH, params={"limit": 1, "cursor": pages[0]["next"]}).json())
    found = [row for page in pages for row in page["rows"]]
    assert [(row["entry"], row["state"], row["reason"], row["bank"]) for row in found] == [
        (0, "confirmed", "", "north"),
        (1, "duplicate", "same-phone", "south"),
    ]
    assert pages[1]["next"] is None
    (duplicate,) = north.get(PATH, params={"state": "duplicate"}).json()["rows"]
    assert duplicate["accepted"] == 0

    appeal = send(south, f"{PATH}/1/appeals", text="We are a family.")
    assert (appeal["entry"], appeal["against"], appeal["state"]) == (1, "duplicate: same-phone", "open")
    assert worker.get(f"{RUN}/appeals", params={"state": "open"}).json()["rows"] == [appeal]
    decision = f"/v1/appeals/{appeal['appeal']}/decision"
    send(south, decision, 403, allow=True, answer="yes")
    assert send(worker, decision, allow=True, answer="Yes.")["state"] == "confirmed"
    send(worker, f"/v1/appeals/{new_id()}/decision", 404, allow=True, answer="yes")
    assert send(north, f"{PATH}/1/exclusion", reason="other")["reason"] == "other"
    assert send(north, f"{PATH}/0/withdrawal")["state"] == "withdrawn"
    send(north, f"{PATH}/9/withdrawal", 404)
    removals = worker.get(f"{RUN}/removals").json()["rows"]
    assert [(row["entry"], row["kind"], row["state"], row["decided_by"]) for row in removals] == [
        (1, "excluded", "left", None),
        (0, "withdrawn", "left", None),
    ]
    send(worker, f"/v1/removals/{removals[0]['removal']}/decision", 400, allow=True)
    send(worker, "/v1/removals/99/decision", 404, allow=True)
    texts = north.get(f"{RUN}/messages", params={"language": "zh"}).json()["rows"]
    assert (texts[6]["state"], texts[6]["open"]) == ("withdrawn", ["entry"])
    own = 'languages = ["en"]\n[en]\nwithdrawn = "{entry} is gone."\n'
    assert send(north, f"/v1/programmes/{NAME}/messages", text=own) == {"languages": ["en"]}
    assert north.get(f"{RUN}/messages").json()["rows"][6]["text"] == "{entry} is gone."
    send(south, f"/v1/programmes/{NAME}/messages", 403, text=own)
    assert north.get("/v1/programmes/none/occurrences/0/registrations").status_code == 404


def test_identities_are_read_for_a_case(counter: Counter) -> None:
    north, worker, bank = counter.north, counter.worker, counter.bank
    first = send(north, PATH, document="1001", bank="north")
    customer = bank.directory.get(ids.to_int(ACCOUNTS[0])).holder
    case = bank.cases.open("complaint", by=person(bank, CASEWORKER), person=customer)
    reading = {"reason": "complaint", "case": case}
    answer = worker.post(f"{PATH}/lookups", json={**reading, "document": "1001"})
    (row,) = answer.json()["rows"]
    assert (row["entry"], row["answer"], row["rank"]) == (0, "your registration is registered", None)
    assert worker.post(f"{PATH}/lookups", json=reading).status_code == 400
    receipt = worker.post(f"{PATH}/0/receipt", json=reading)
    assert receipt.json() == first
    assert worker.post(f"{PATH}/0/receipt", json={**reading, "case": case + 1}).status_code == 400
    assert [each.fields for each in bank.access.entries()] == [("programme-entry",), ("programme-receipt",)]
    # Neither the request nor the answer is stored with a salt, a document or a code.
    with bank.stores.engine.connect() as connection:
        stored = str(connection.exec_driver_sql("SELECT * FROM database_requests").all())
    assert first["salt"] not in stored
