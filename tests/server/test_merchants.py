"""Merchants over HTTP: outlets, tills, QR codes, day reports and sweeps, for the merchant and its operator alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.server.world import logged_in, new_id, served, signed
from tests.wallets import world
from tests.wallets.world import ANN, BOB, LEO_KEY, NORTH, SOUTH, START_NS, STRANGER, Town

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.identity.duties import Duty
from sycee.wallets import emv_qr

NOWHERE = ids.format(int.from_bytes(b"x" * 16, "big"))
DAY = "2026-11-02"


@dataclass(frozen=True)
class Market:
    town: Town
    tia: httpx.Client  # acts for the tea house
    leo: httpx.Client
    north: httpx.Client
    south: httpx.Client

    @property
    def path(self) -> str:
        return f"/v1/merchants/{ids.format(self.town.tea)}"

    @property
    def shop(self) -> str:
        return f"/v1/wallets/{ids.format(self.town.shop)}"

    def pay(self, minor: int, **more: object) -> None:
        town = self.town
        leo = {"signers": town.signer(town.leo, LEO_KEY), "who": town.holder(town.leo)}
        assert town.bank.payments.pay(town.leo, town.shop, minor, **leo, **more).is_paid


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    folder: Path = tmp_path_factory.mktemp("server")
    options = {**world.settled("").copy(folder), "country": "CN", "city": "Suzhou"}
    with Bank.open(folder / "bank", options=options) as bank:
        town = world.town(bank)
        world.join(bank, "South Bank", SOUTH)
        until_ns, ann = START_NS + world.YEAR_NS, world.person(bank, ANN)
        made = bank.appointments.appoint(
            Duty.MERCHANT, STRANGER.public, institution=town.tea, until_ns=until_ns, maker=ann
        )
        assert bank.proposals.sign(made.id, ANN, BOB).needs == ()
        with served(bank) as address:
            people = (world.person(bank, STRANGER), town.holder(town.leo), town.north, world.person(bank, SOUTH))
            tia, leo, north, south = (logged_in(bank, address, each) for each in people)
            with tia, leo, north, south:
                yield Market(town, tia, leo, north, south)


def shown(answer: httpx.Response) -> dict[str, object]:
    return {name: value for name, value in answer.json().items() if name != "request_id"}


def test_a_merchant_sees_itself(market: Market) -> None:
    assert [each["name"] for each in market.tia.get("/v1/merchants").json()["rows"]] == ["Tea house"]
    assert [each["name"] for each in market.north.get("/v1/merchants").json()["rows"]] == ["Tea house"]
    assert market.leo.get("/v1/merchants").json()["rows"] == []
    found = market.tia.get(market.path).json()
    assert (found["operator"], found["settlement"], found["wallets"]) == (
        2, "verified", [ids.format(market.town.shop)],
    )  # fmt: skip
    assert [each["code"] for each in found["tills"]] == ["T1", "T2"]
    assert [each["wallet"] for each in market.tia.get("/v1/wallets").json()["rows"]] == found["wallets"]


@pytest.mark.parametrize("path", ["", f"/days/{DAY}", f"/days/{DAY}/report.csv", "/sweeps"])
def test_others_see_no_merchant(market: Market, path: str) -> None:
    for caller in (market.south, market.leo):
        foreign, missing = (caller.get(f"{each}{path}") for each in (market.path, f"/v1/merchants/{NOWHERE}"))
        assert foreign.status_code == (403 if caller is market.leo and "days" in path else 404)
        assert shown(foreign) == shown(missing)


@pytest.mark.parametrize("path", ["outlets", "sweeps", "outlets/{outlet}/tills", "outlets/{outlet}/closure"])
def test_others_change_no_merchant(market: Market, path: str) -> None:
    outlet = market.tia.get(market.path).json()["outlets"][0]["outlet"]
    more = {"code": "T9"} if path.endswith(("tills", "outlets")) else {}
    for caller in (market.south, market.leo):
        urls = [f"{each}/{path.format(outlet=outlet)}" for each in (market.path, f"/v1/merchants/{NOWHERE}")]
        foreign, missing = (caller.post(url, json={"id": new_id(), **more}) for url in urls)
        assert foreign.status_code == (403 if caller is market.leo else 404)
        assert shown(foreign) == shown(missing)


def test_outlets_and_tills_open_and_close(market: Market) -> None:
    body = {"id": new_id(), "code": "WEST"}
    opened = market.tia.post(f"{market.path}/outlets", json=body)
    assert (opened.status_code, opened.json()["state"]) == (201, "open")
    again = market.tia.post(f"{market.path}/outlets", json=body)
    assert (again.status_code, again.json()) == (200, opened.json())
    assert market.tia.post(f"{market.path}/outlets", json={**body, "code": "EAST"}).status_code == 409
    tills = f"{market.path}/outlets/{opened.json()['outlet']}/tills"
    till = market.tia.post(tills, json={"id": new_id(), "code": "W1", "key": str(STRANGER.public)}).json()["till"]
    assert {each["code"]: each["key"] for each in market.tia.get(market.path).json()["tills"]}["W1"]
    closing = {"id": new_id()}
    closed = market.tia.post(f"{market.path}/tills/{till}/closure", json=closing)
    assert (closed.status_code, closed.json()) == (201, {"till": till, "state": "closed"})
    assert market.tia.post(f"{market.path}/tills/{till}/closure", json=closing).status_code == 200
    missing = market.tia.post(f"{market.path}/tills/{NOWHERE}/closure", json={"id": new_id()})
    late = market.tia.post(f"{market.path}/tills/{till}/closure", json={"id": new_id()})
    assert (late.status_code, shown(late)) == (404, shown(missing))
    done = market.north.post(f"{market.path}/outlets/{opened.json()['outlet']}/closure", json={"id": new_id()})
    assert done.status_code == 201
    assert [each["code"] for each in market.tia.get(market.path).json()["outlets"]] == ["MAIN"]
    bad = market.tia.post(f"{market.path}/outlets", json={"id": new_id(), "code": "a b"})
    assert (bad.status_code, "code" in bad.json()["detail"]) == (400, True)


def test_qr_codes_are_text_and_pictures(market: Market) -> None:
    static = market.tia.get(f"{market.shop}/qr").json()
    code = emv_qr.parse(static["text"])
    assert (static["dynamic"], code.account, code.name, code.minor) == (False, market.town.shop, "Tea house", 0)
    query = {"minor": "1250", "order": "Q-1", "till": ids.format(market.town.till_1)}
    dynamic = market.tia.get(f"{market.shop}/qr", params=query).json()
    code = emv_qr.parse(dynamic["text"])
    assert (dynamic["dynamic"], code.minor, code.order, code.till) == (True, 1250, "Q-1", "MAIN/T1")
    png = market.tia.get(f"{market.shop}/qr.png", params=query)
    assert (png.headers["content-type"], png.content) == ("image/png", emv_qr.png(dynamic["text"]))
    svg = market.tia.get(f"{market.shop}/qr.svg", params=query)
    assert (svg.headers["content-type"].split(";")[0], svg.content) == ("image/svg+xml", emv_qr.svg(dynamic["text"]))
    person = emv_qr.parse(market.leo.get(f"/v1/wallets/{ids.format(market.town.leo)}/qr").json()["text"])
    assert (person.account, person.name) == (market.town.leo, "")
    assert market.leo.get(f"{market.shop}/qr").status_code == 404
    for wrong in ({"minor": "0"}, {"order": "a b"}, {"minor": "1e3"}, {"till": "T1"}):
        assert market.tia.get(f"{market.shop}/qr", params=wrong).status_code == 400
    assert market.tia.get(f"{market.shop}/qr", params={"till": NOWHERE}).status_code == 404


def test_the_day_report_adds_up(market: Market) -> None:
    market.pay(10_00, till=market.town.till_1, order="R-1")
    market.pay(5_00, till=market.town.till_2, order="R-2")
    found = market.tia.get(f"{market.path}/days/{DAY}").json()
    rows = {(row["outlet"], row["till"]): row["gross_minor"] for row in found["tills"]}
    assert rows == {("MAIN", "T1"): "1000", ("MAIN", "T2"): "500"}
    assert int(found["opening_minor"]) + int(found["gross_minor"]) == int(found["closing_minor"])
    download = market.tia.get(f"{market.path}/days/{DAY}/report.csv")
    table = list(csv.DictReader(io.StringIO(download.text)))
    assert [(row["till"], row["gross_minor"], row["net_minor"]) for row in table] == [
        ("T1", "1000", "1000"), ("T2", "500", "500"),
    ]  # fmt: skip
    wrong = market.tia.get(f"{market.path}/days/yesterday")
    assert (wrong.status_code, "day" in wrong.json()["detail"]) == (400, True)
    for day in ("0001-01-01", "9999-12-31"):
        assert market.tia.get(f"{market.path}/days/{day}").status_code == 400
    leo = ids.format(market.town.leo)
    assert market.tia.get(f"{market.path}/days/{DAY}", params={"wallet": leo}).status_code == 404


def test_a_sweep_is_made_once_and_decided_once(market: Market) -> None:
    town = market.town
    market.pay(3_00)
    body = {"id": new_id()}
    assert market.north.post(f"{market.path}/sweeps", json=body).status_code == 202
    balance = town.balance(town.shop)
    made = signed(market.north, f"{market.path}/sweeps", body, NORTH)
    assert (made.status_code, made.json()["minor"], made.json()["state"]) == (201, str(balance), "sent")
    assert signed(market.north, f"{market.path}/sweeps", body, NORTH).status_code == 200
    assert town.balance(town.shop) == 0
    sweep = made.json()["sweep"]
    for path in ("confirmation", "rejection"):
        foreign, missing = (
            market.south.post(f"/v1/sweeps/{each}/{path}", json={"id": new_id()}) for each in (sweep, NOWHERE)
        )
        assert (foreign.status_code, shown(foreign)) == (404, shown(missing))
    assert market.tia.post(f"/v1/sweeps/{sweep}/confirmation", json={"id": new_id()}).status_code == 403
    confirm = {"id": new_id()}
    done = market.north.post(f"/v1/sweeps/{sweep}/confirmation", json=confirm)
    assert (done.status_code, done.json()["state"]) == (201, "confirmed")
    assert market.north.post(f"/v1/sweeps/{sweep}/confirmation", json=confirm).status_code == 200
    # As if the answer had not been stored.
    again = town.bank.sweeps.confirm(
        ids.parse(sweep), signers=town.bank.technical_signers(), who=town.north, id=ids.parse(confirm["id"])
    )
    assert again.created
    assert market.north.post(f"/v1/sweeps/{sweep}/rejection", json={"id": new_id()}).status_code == 400
    empty = signed(market.north, f"{market.path}/sweeps", {"id": new_id()}, NORTH)
    assert (empty.status_code, "nothing to sweep" in empty.json()["detail"]) == (400, True)
    market.pay(2_00)
    second = signed(market.north, f"{market.path}/sweeps", {"id": new_id()}, NORTH).json()["sweep"]
    rejected = market.north.post(f"/v1/sweeps/{second}/rejection", json={"id": new_id()})
    assert (rejected.json()["state"], town.balance(town.shop)) == ("rejected", 2_00)
    page = market.tia.get(f"{market.path}/sweeps", params={"limit": 1}).json()
    rest = market.tia.get(f"{market.path}/sweeps", params={"limit": 1, "cursor": page["next"]}).json()
    assert [each["sweep"] for each in page["rows"] + rest["rows"]] == sorted([sweep, second])
