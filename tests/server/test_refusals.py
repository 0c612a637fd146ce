"""Refused payments over HTTP: the staff of the payee's operator reads the codes, in pages, and nobody else does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.office import LEO_KEY, Office, office
from tests.server.world import new_id, signed

from sycee.core import ids
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


@pytest.mark.parametrize(
    ("role", "status"), [("anonymous", 401), ("citizen", 403), ("merchant", 403), ("officer", 403), ("other bank", 404)]
)
def test_nobody_else_reads_them(made: Office, role: str, status: int) -> None:
    assert made.of(role).get(PATH).status_code == status
    if role == "other bank":
        foreign, missing = (made.of(role).get(path) for path in (PATH, "/v1/operators/9/refusals"))
        assert {**foreign.json(), "request_id": ""} == {**missing.json(), "request_id": ""}
        assert made.of(role).get("/v1/operators/3/refusals").json() == {"rows": [], "next": None}
