"""A programme over HTTP: every step by the persons who take it, signatures made elsewhere, published files for all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.programmes import world
from tests.programmes.world import ANN, BEACON_VALUE, BOB, FILE, NORTH, SOUTH, Register, moment, person
from tests.server.world import logged_in, new_id, served, signed

from sycee.bank.bank import Bank
from sycee.core import ids

NAME = "autumn-2026"
PATH = f"/v1/programmes/{NAME}"
RUN = f"{PATH}/occurrences/0"
VALUE = BEACON_VALUE.hex()


class Counter:
    """A served bank with a funder, and its persons."""

    def __init__(self, bank: Bank, address: str) -> None:
        self.bank = bank
        self.nobody = httpx.Client(base_url=address)
        self.ann, self.bob, self.north, self.south = (
            logged_in(bank, address, person(bank, key)) for key in (ANN, BOB, NORTH, SOUTH)
        )

    def close(self) -> None:
        for client in (self.nobody, self.ann, self.bob, self.north, self.south):
            client.close()


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counter]:
    folder: Path = tmp_path_factory.mktemp("programmes")
    with world.opened(folder, world.at("funded").copy(folder)) as bank, served(bank) as address:
        made = Counter(bank, address)
        yield made
        made.close()


def step(client: httpx.Client, path: str, **members: object) -> httpx.Response:
    return client.post(path, json={"id": new_id(), **members})


def state(answer: httpx.Response) -> str:
    assert answer.status_code == 201, answer.json()
    return str(answer.json()["state"])


def test_a_life_over_http(counter: Counter) -> None:
    bank, north, ann = counter.bank, counter.north, counter.ann
    (funder,) = north.get("/v1/funders").json()["rows"]
    assert (funder["name"], funder["balance_minor"]) == ("City of Examples", "100000")
    assert counter.south.get("/v1/funders").json()["rows"] == []
    body = {"id": new_id(), "minor": "100"}
    moved = signed(north, f"/v1/funders/{funder['account']}/fundings", body, NORTH)
    assert moved.json()["balance_minor"] == "100100"
    assert state(step(north, "/v1/programmes", text=FILE, funder=funder["account"])) == "draft"
    tried = north.get(f"{RUN}/dry-run").json()
    assert (tried["ok"], tried["invented"], tried["members"], tried["budget_minor"]) == (True, True, 5, "16000")
    bank.set_clock(moment(3, 9))
    assert state(step(north, f"{RUN}/registration")) == "registration"
    assert step(north, f"{RUN}/freeze").status_code == 400  # registration is open
    bank.set_clock(moment(5))
    frozen = step(north, f"{RUN}/freeze")
    assert state(frozen) == "frozen"
    file = f"{RUN}/files/announcement.json"
    assert counter.nobody.get(file).status_code == 404  # not published yet
    assert state(step(north, f"{RUN}/publication")) == "frozen"
    published = counter.nobody.get(file)
    assert hashlib.sha256(published.content).hexdigest() == frozen.json()["announcement"]
    assert len(counter.nobody.get(f"{RUN}/files/entries.bin").content) == 9 * 32
    assert counter.nobody.get(f"{RUN}/files/..%2Fsycee.toml").status_code == 404
    assert counter.nobody.get(f"{RUN}/files/sycee.toml").status_code == 404
    bank.set_clock(moment(6, 13))
    assert step(north, f"{RUN}/beacon", value=VALUE).json()["values"] == {VALUE: 1}
    assert step(north, f"{RUN}/draw").status_code == 400  # one person alone
    assert step(ann, f"{RUN}/beacon", value=VALUE).json()["values"] == {VALUE: 2}
    assert state(step(north, f"{RUN}/draw")) == "drawn"
    assert step(north, f"{RUN}/terms").status_code == 403
    terms = step(ann, f"{RUN}/terms").json()
    assert terms["needs"]
    assert step(north, f"{RUN}/allotment").status_code == 400  # nobody signed the terms
    assert bank.proposals.sign(ids.parse(terms["proposal"]), ANN, BOB).needs == ()
    assert step(counter.south, f"{RUN}/allotment").status_code == 403
    request = {"id": new_id()}
    assert north.post(f"{RUN}/allotment", json=request).status_code == 202
    assert state(signed(north, f"{RUN}/allotment", request, NORTH)) == "allotted"
    assert north.post(f"{RUN}/allotment", json=request).status_code == 200  # the first answer again
    dropped = signed(north, f"{RUN}/drop", {"id": new_id()}, NORTH)
    assert (state(dropped), dropped.json()["dropped_minor"]) == ("dropped", "16000")
    assert bank.check() == []
    claims_and_the_end(counter)


def claims_and_the_end(counter: Counter) -> None:
    bank, register = counter.bank, counter.bank.programmes.registered
    assert isinstance(register, Register)
    bank.set_clock(moment(7, 9))
    members = [ids.to_int(each) for each in bank.programmes.cohort_of(NAME).members]
    member = next(each for each in members if register.banks_of(NAME, 0, [each]) == ["north"])
    wallet = register.wallet_of(member)
    body = {"member": ids.format(member), "wallet": ids.format(wallet.account)}
    assert signed(counter.south, f"{RUN}/claims", {"id": new_id(), **body}, SOUTH).status_code in (403, 404)
    assert step(counter.north, f"{PATH}/halt", reason="a rumour").json()["halted"] == "a rumour"
    refused = signed(counter.north, f"{RUN}/claims", {"id": new_id(), **body}, NORTH)
    assert (refused.status_code, "is halted: a rumour" in refused.json()["detail"]) == (400, True)
    resumed = step(counter.north, f"{PATH}/resumption", reason="it was false").json()
    assert bank.proposals.sign(ids.parse(resumed["proposal"]), NORTH, ANN).needs == ()
    claim = {"id": new_id(), **body}
    assert signed(counter.north, f"{RUN}/claims", claim, NORTH).status_code == 201
    assert signed(counter.north, f"{RUN}/claims", claim, NORTH).status_code == 200
    twice = signed(counter.north, f"{RUN}/claims", {"id": new_id(), **body}, NORTH)
    assert (twice.status_code, twice.json()["code"]) == (422, "PURSE_CLAIMED")
    assert step(counter.north, f"{RUN}/cancellation").status_code == 400
    assert counter.north.get(f"{RUN}/zones").json() == {"rows": []}
    assert signed(counter.north, f"{RUN}/widening", {"id": new_id()}, NORTH).status_code == 400  # no zones
    assert counter.ann.get(f"{RUN}/situation").json()["claimed"] == 1
    bank.set_clock(moment(7, 10))
    bank.stores.jobs.wait()
    hours = [row["hour"] for row in counter.north.get(f"{RUN}/situations").json()["rows"]]
    assert "2026-11-07T10" in hours
    shown = counter.north.get(f"{RUN}/situations/2026-11-07T10")
    assert (shown.headers["content-type"], "Autumn packets" in shown.text) == ("text/html; charset=utf-8", True)
    files = counter.north.get(f"{RUN}/report").json()["files"]
    assert {"report.html", "operators.csv", "operators.parquet"} <= set(files)
    assert "Autumn packets" in counter.north.get(f"{RUN}/report/report.html").text
    assert "\nnorth,,,,,\n" in counter.north.get(f"{RUN}/report/operators.csv").text  # fewer than ten people
    assert counter.north.get(f"{RUN}/report/operators.parquet").content[:4] == b"PAR1"
    assert counter.north.get(f"{RUN}/report/other.csv").status_code == 404
    for path in ("situation", "situations", "report", "report/report.html"):
        assert counter.south.get(f"{RUN}/{path}").status_code == 403
    bank.set_clock(moment(15))
    bank.stores.jobs.wait()
    expired = counter.north.get(RUN).json()
    assert (expired["state"], expired["claimed"], expired["returned_minor"]) == ("expired", 1, "16000")
    assert state(step(counter.ann, f"{RUN}/closing")) == "closed"
    shown = counter.north.get(PATH).json()
    assert (shown["state"], shown["text"], shown["occurrences"][0]["state"]) == ("closed", FILE, "closed")
    listed = counter.north.get("/v1/programmes").json()
    assert ([each["name"] for each in listed["rows"]], listed["next"]) == ([NAME], None)
    assert counter.nobody.get("/v1/programmes").status_code == 401
    assert bank.check() == []
