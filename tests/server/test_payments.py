"""Payments with a reference: signed elsewhere, done once, and visible to those whom they concern."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.server.world import logged_in, new_id, served, signed
from tests.wallets import world
from tests.wallets.world import LEO_KEY, MIA_KEY, Town

from sycee.core import ids


@dataclass(frozen=True)
class Shop:
    town: Town
    leo: httpx.Client
    mia: httpx.Client
    nobody: httpx.Client


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder: Path = tmp_path_factory.mktemp("server")
    with world.bank("sqlite", folder) as town, served(town.bank) as address, httpx.Client(base_url=address) as nobody:
        town.fund(town.leo, 500_00, "in-1")
        with (
            logged_in(town.bank, address, town.holder(town.leo)) as leo,
            logged_in(town.bank, address, town.holder(town.mia)) as mia,
        ):
            yield Shop(town, leo, mia, nobody)


def path_of(account: int) -> str:
    return f"/v1/wallets/{ids.format(account)}/payments"


def test_a_payment_is_signed_elsewhere_and_done_once(shop: Shop) -> None:
    town = shop.town
    body = {"id": new_id(), "payee": ids.format(town.shop), "minor": "1250", "text": "two teas", "order": "A-1"}
    before = town.balance(town.shop)
    asked = shop.leo.post(path_of(town.leo), json=body)
    assert asked.status_code == 202
    assert any("12.50" in line for line in asked.json()["to_sign"]["lines"]), asked.json()
    assert town.balance(town.shop) == before
    done = signed(shop.leo, path_of(town.leo), body, LEO_KEY)
    assert (done.status_code, done.json()) == (201, {"id": body["id"], "state": "paid"})
    again = signed(shop.leo, path_of(town.leo), body, LEO_KEY)
    assert (again.status_code, again.json()) == (200, done.json())
    other = signed(shop.leo, path_of(town.leo), {**body, "minor": "1"}, LEO_KEY)
    assert (other.status_code, other.json()["type"]) == (409, "/problems/conflict")
    assert town.balance(town.shop) == before + 1250
    result = shop.mia.get(f"/v1/operations/{body['id']}").json()
    assert result["result"] == "PAID"


def test_a_signature_with_another_key_pays_nothing(shop: Shop) -> None:
    town = shop.town
    body = {"id": new_id(), "payee": ids.format(town.shop), "minor": "100", "text": "x"}
    asked = shop.leo.post(path_of(town.leo), json=body).json()["to_sign"]["signers"]
    assert [each["key"] for each in asked] == [str(LEO_KEY.public)]
    forged = signed(shop.leo, path_of(town.leo), body, MIA_KEY, claims=LEO_KEY.public)
    assert forged.status_code == 202


def test_a_refusal_by_the_ledger_has_its_code(shop: Shop) -> None:
    body = {"id": new_id(), "payee": ids.format(shop.town.shop), "minor": "99999999", "text": "too much"}
    refused = signed(shop.leo, path_of(shop.town.leo), body, LEO_KEY)
    assert refused.status_code == 422
    assert refused.json()["code"] == "EXCEEDS_BALANCE"


def test_nobody_pays_from_or_sees_another_wallet(shop: Shop) -> None:
    town = shop.town
    body = {"id": new_id(), "payee": ids.format(town.mia), "minor": "1", "text": "x"}
    foreign = shop.mia.post(path_of(town.leo), json=body)
    missing = shop.mia.post(path_of(int.from_bytes(b"x" * 16, "big")), json=body)
    assert foreign.status_code == missing.status_code == 404
    hidden = {"request_id", "x-request-id"}
    assert {k: v for k, v in foreign.json().items() if k not in hidden} == {
        k: v for k, v in missing.json().items() if k not in hidden
    }
    assert shop.nobody.post(path_of(town.leo), json=body).status_code == 401


def test_bad_bodies_name_the_field(shop: Shop) -> None:
    body = {"id": new_id(), "payee": ids.format(shop.town.shop), "minor": "12.50"}
    wrong = shop.leo.post(path_of(shop.town.leo), json=body)
    assert wrong.status_code == 400
    assert "minor" in wrong.json()["detail"]
    unknown = shop.leo.post(path_of(shop.town.leo), json={**body, "minor": "1", "amuont": "2"})
    assert (unknown.status_code, "amuont" in unknown.json()["detail"]) == (400, True)
