"""Vouchers over HTTP, through the client: the operator signs what it asked for, and refusals have stable codes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import httpx
import pytest
from tests.programmes.shops_town import NAME
from tests.programmes.world import ANN, BOB, NORTH, SOUTH, person
from tests.server.world import logged_in, new_id, sent_after_a_crash, served, signed
from tests.vouchers.town import GROUP, LEFT, UNTIL_NS, Town, town

from sycee.client import Client, Credentials, Signer, api
from sycee.client.errors import ContradictsRequest
from sycee.client.values import VoucherGroup
from sycee.core import ids
from sycee.core.keys import SigningKey
from sycee.server.auth.registers import Registers
from sycee.server.tables import SCHEMA
from sycee.vouchers import numbers
from sycee.vouchers.service import ATTEMPTS_MAX

PROGRAM = SigningKey.derive(bytes([140]) * 32)


@dataclass(frozen=True)
class Served:
    """The served town: the program of its operator, who signs, and sessions of persons."""

    town: Town
    desk: Client
    signer: Signer
    north: httpx.Client
    south: httpx.Client
    ann: httpx.Client

    @property
    def group(self) -> VoucherGroup:
        return next(each for each in self.desk.do(api.voucher_groups()) if each.group == GROUP)

    def redeemed(self, number: str, minor: int, **members: object) -> httpx.Response:
        shop = ids.format(self.town.tea)
        body = {"id": new_id(), "voucher": number, "shop": shop, "minor": str(minor), **members}
        return signed(self.north, "/v1/vouchers/redemptions", body, NORTH)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with town(tmp_path_factory.mktemp("http")) as made:
        bank = made.bank
        bank.add_schema(SCHEMA)
        clients = Registers(bank).clients
        program = clients.register(made.north, PROGRAM.public, by=person(bank, ANN), name="registry", operator=2)
        with served(bank) as address:
            options = {"origin": bank.config.text("http_origin"), "now_ns": bank.stores.clock.now_ns}
            sessions = [logged_in(bank, address, person(bank, key)) for key in (NORTH, SOUTH, ANN)]
            with Client(address, Credentials(ids.format(program.id), PROGRAM), **options) as desk:
                yield Served(made, desk, Signer(made.north, NORTH), *sessions)
            for each in sessions:
                each.close()
        assert bank.check() == []


def test_the_life_of_vouchers_through_the_client(place: Served) -> None:
    desk, signer, group = place.desk, place.signer, place.group
    assert (group.programme, group.merchants, group.until_ns) == (NAME, "city-shops", UNTIL_NS)
    call = api.reserve_vouchers(group, [10_00, 5_00], signer)
    batch = desk.do(call)
    assert desk.do(call) == batch
    assert [(each.outcome, each.minor, each.state) for each in batch.rows] == [
        ("done", 10_00, "preactivated"), ("done", 5_00, "preactivated"),
    ]  # fmt: skip
    first, second = (each.serial for each in batch.rows)
    texts = {each.serial: each.number for each in desk.do(api.voucher_numbers(batch.batch))}
    assert numbers.parse(texts[first])[0] == first
    activated = desk.do(api.activate_vouchers(GROUP, {first: "CHILD-1", second: "CHILD-2", 10**9: "CHILD-3"}))
    assert [each.code for each in activated.rows] == ["", "", "VOUCHER_NOT_FOUND"]
    payment = api.redeem_voucher(texts[first], group, place.town.tea, 4_00, signer, beneficiary="CHILD-1")
    paid = desk.do(payment)
    assert desk.do(payment) == paid
    assert (paid.payment, paid.rest_minor, paid.state) == (payment.id, 6_00, "activated")
    cancelled = desk.do(api.cancel_vouchers(group, [first, second], signer))
    assert [(each.minor, each.state) for each in cancelled.rows] == [(6_00, "cancelled"), (5_00, "cancelled")]
    shown = desk.do(api.voucher(first))
    assert (shown.state, shown.redeemed_minor, shown.rest_minor, shown.returned_minor) == ("cancelled", 4_00, 0, 6_00)
    assert [each.step for each in shown.steps] == ["reserve", "print", "activate", "redeem", "cancel"]
    assert shown.steps[3].shop == ids.format(place.town.tea)
    assert [each.state for each in desk.rows(api.voucher_batch(batch.batch))] == ["cancelled"] * 2
    assert place.town.balance(place.town.funder) == LEFT - 4_00


def test_the_client_signs_nothing_else(place: Served) -> None:
    group = place.group
    with pytest.raises(ContradictsRequest):
        place.desk.do(api.reserve_vouchers(replace(group, until_ns=UNTIL_NS - 1), [1_00], place.signer))
    ((_, number),) = place.town.ready(1_00)
    other = replace(group, account=group.funder)
    with pytest.raises(ContradictsRequest):
        place.desk.do(api.redeem_voucher(number, other, place.town.tea, 1_00, place.signer))
    assert place.desk.do(api.redeem_voucher(number, group, place.town.tea, 1_00, place.signer)).state == "redeemed"


def test_an_officer_proposes_a_group(place: Served) -> None:
    body = {"id": new_id(), "group": "winter", "programme": NAME, "budget_minor": "100", "until_ns": str(UNTIL_NS)}
    made = sent_after_a_crash(lambda: place.ann.post("/v1/vouchers/groups", json=body)).json()
    assert made["state"] == "open"
    assert place.town.bank.proposals.sign(ids.parse(made["proposal"]), ANN, BOB).needs == ()
    states = {each["group"]: each["state"] for each in place.ann.get("/v1/vouchers/groups").json()["rows"]}
    assert states["winter"] == "open"
    assert place.north.post("/v1/vouchers/groups", json={**body, "id": new_id()}).status_code == 403


def test_refusals_over_http_have_codes(place: Served) -> None:
    ((serial, number),) = place.town.ready(2_00)
    for minor, members, code in (
        (2_01, {}, "EXCEEDS_VOUCHER"),
        (1_00, {"beneficiary": "CHILD-9"}, "BENEFICIARY_DIFFERS"),
        (1_00, {"shop": ids.format(place.town.cafe)}, "SHOP_NOT_IN_GROUP"),
        (1_00, {"voucher": numbers.number_text(serial, 1)}, "VOUCHER_NUMBER_WRONG"),
    ):
        answer = place.redeemed(number, minor, **members)
        assert (answer.status_code, answer.json()["code"], answer.json()["type"]) == (422, code, "/problems/refused")
    misread = place.redeemed(number[:-1] + str((int(number[-1]) + 1) % 10), 1_00)
    assert (misread.status_code, "check digit" in misread.json()["detail"]) == (400, True)
    assert number not in misread.text
    for _ in range(ATTEMPTS_MAX - 1):
        assert place.redeemed(numbers.number_text(serial, 1), 1_00).status_code == 422
    blocked = place.redeemed(number, 1_00)
    assert (blocked.status_code, blocked.headers["Retry-After"]) == (429, "3600")
    assert place.town.bank.vouchers.get(serial).rest_minor == 2_00


def test_other_operators_find_no_voucher(place: Served) -> None:
    (row,) = place.town.reserve(1_00)
    batch = ids.format(place.town.bank.vouchers.get(row.serial).batch)
    for path in (f"/v1/vouchers/{row.serial}", f"/v1/vouchers/batches/{batch}"):
        assert place.south.get(path).status_code == 404
        assert place.ann.get(path).status_code == 200
    assert place.south.post(f"/v1/vouchers/batches/{batch}/numbers", json={}).status_code == 404
    assert place.ann.post(f"/v1/vouchers/batches/{batch}/numbers", json={}).status_code == 403
    assert place.south.get("/v1/vouchers/groups").json()["rows"] == []
    for what, members in (
        ("batches", {"amounts": ["100"]}),
        ("activations", {"rows": [{"serial": row.serial, "beneficiary": "X"}]}),
        ("cancellations", {"serials": [row.serial]}),
        ("returns", {}),
    ):
        answer = place.south.post(f"/v1/vouchers/groups/{GROUP}/{what}", json={"id": new_id(), **members})
        assert answer.status_code == 404, what
    assert place.north.get("/v1/vouchers/999999").status_code == 404


def test_pages_of_a_batch(place: Served) -> None:
    rows = place.town.reserve(*[1] * 5, id=ids.parse(id := new_id()))
    page = place.north.get(f"/v1/vouchers/batches/{id}", params={"limit": 3}).json()
    rest = place.north.get(f"/v1/vouchers/batches/{id}", params={"cursor": page["next"]}).json()
    assert [each["serial"] for each in page["rows"] + rest["rows"]] == [each.serial for each in rows]
    assert rest["next"] is None
