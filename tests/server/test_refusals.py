"""Refused payments over HTTP: the staff of the payee's operator reads the codes, in pages, and nobody else does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.office import LEO_KEY, MIA_KEY, Office, office
from tests.server.world import new_id, signed

from sycee.core import ids
from sycee.core.records import envelopes, operations
from sycee.core.records.layout import Block, Reason

PATH = "/v1/operators/2/refusals"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder: Path = tmp_path_factory.mktemp("office")
    with office(folder) as town:
        yield town


def refused(made: Office, payee: int) -> str:
    """Send a payment that its payee's account refuses, and return its id."""
    body = {"id": new_id(), "payee": ids.format(payee), "minor": "100", "text": "tea"}
    answer = signed(made.of("citizen"), f"/v1/wallets/{ids.format(made.town.leo)}/payments", body, LEO_KEY)
    assert (answer.status_code, answer.json()["code"]) == (422, "PAYEE_CANNOT_RECEIVE")
    return body["id"]


def test_the_payees_operator_reads_the_codes_in_pages(made: Office) -> None:
    town = made.town
    town.bank.stores.ledger.signed_by(*town.operator).block(town.mia, Reason.REQUEST, sides=Block.CREDIT)
    sent = [refused(made, town.mia) for _ in range(5)]  # at one time: the clock of a rehearsal does not move
    rows: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 2}
    sizes = []
    while True:
        page = made.of("operator").get(PATH, params=query).json()
        rows += page["rows"]
        sizes.append(len(page["rows"]))
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert sizes == [2, 2, 1]
    assert sorted(each["payment"] for each in rows) == sorted(sent)
    assert {(each["payee"], each["code"]) for each in rows} == {(ids.format(town.mia), "CREDIT_ACCOUNT_BLOCKED")}
    assert made.of("clerk").get(PATH).json()["rows"] == rows
    assert made.of("operator").get(PATH, params={"cursor": "WzFd"}).status_code == 400


def test_the_payers_operator_reads_what_the_payers_heard(made: Office) -> None:
    """The exact code where the cause is the payer; of the payee's side only what the payer heard."""
    town, path = made.town, "/v1/operators/2/payer-refusals"
    town.bank.stores.ledger.signed_by(*town.operator).block(town.mia, Reason.COURT_ORDER, sides=Block.CREDIT)
    before = made.of("operator").get(path).json()["rows"]
    hidden = refused(made, town.mia)
    sent = [(hidden, "PAYEE_CANNOT_RECEIVE")]
    for text in ("tea", ""):  # with a reference, and the ledger's own PAY
        body = {"id": new_id(), "payee": ids.format(town.shop), "minor": "99999999", "text": text}
        answer = signed(made.of("citizen"), f"/v1/wallets/{ids.format(town.leo)}/payments", body, LEO_KEY)
        assert (answer.status_code, answer.json()["code"]) == (422, "EXCEEDS_BALANCE")
        sent.append((body["id"], "EXCEEDS_BALANCE"))
    # Without a login: the payer's own envelope.
    for number, valid in ((1, True), (2, False)):
        record = operations.pay(ids.parse(new_id()), payer=town.leo, payee=town.shop, amount=99_999_999)
        until_ns = time.time_ns() + 3_600 * 10**9
        key = LEO_KEY if valid else MIA_KEY
        ledger_id, account = town.bank.stores.ledger.ledger_id, town.bank.stores.ledger.account(town.leo)
        envelope = envelopes.sign(
            record, ledger_id, town.leo, key, until_ns, currency=account.currency, key_epoch=account.key_epoch
        )
        answer = made.nobody.post(
            "/v1/payments",
            content=record.tobytes() + envelope.encode(),
            headers={"Content-Type": "application/vnd.sycee.payment"},
        )
        assert answer.json()["code"] == ("EXCEEDS_BALANCE" if valid else "SIGNATURE_INVALID"), number
        if valid:
            sent.append((answer.json()["id"], "EXCEEDS_BALANCE"))
    rows: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = made.of("clerk").get(path, params=query).json()
        rows += page["rows"]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert rows == made.of("operator").get(path).json()["rows"]
    new = [each for each in rows if each not in before]
    assert sorted((each["payment"], each["code"]) for each in new) == sorted(sent)
    assert {each["payer"] for each in new} == {ids.format(town.leo)}
    statuses = {role: made.of(role).get(path).status_code for role in ("anonymous", "citizen", "officer", "other bank")}
    assert statuses == {"anonymous": 401, "citizen": 403, "officer": 403, "other bank": 404}


@pytest.mark.parametrize(
    ("role", "status"), [("anonymous", 401), ("citizen", 403), ("merchant", 403), ("officer", 403), ("other bank", 404)]
)
def test_nobody_else_reads_them(made: Office, role: str, status: int) -> None:
    assert made.of(role).get(PATH).status_code == status
    if role == "other bank":
        foreign, missing = (made.of(role).get(path) for path in (PATH, "/v1/operators/9/refusals"))
        assert {**foreign.json(), "request_id": ""} == {**missing.json(), "request_id": ""}
        assert made.of(role).get("/v1/operators/3/refusals").json() == {"rows": [], "next": None}
