"""The path as an operation of the API: its description, and its answers without the fast path in front."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
from fastapi import FastAPI
from tests.server.payments.serving import ANN, BOB, TYPE, open_town, signed

from sycee.core.records import operations
from sycee.sequencer.embedded import Ledger
from sycee.server.payments.app import PATH, PaymentsApp
from sycee.server.payments.settings import PaymentSettings
from sycee.server.routes import signed_payments


def test_the_route_answers_as_the_fast_path(tmp_path: Path) -> None:
    async def main(ledger: Ledger) -> None:
        app = FastAPI()
        app.include_router(signed_payments.router)
        async with (
            ledger.asynchronous() as async_ledger,
            httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://bank") as client,
        ):
            app.state.payments = PaymentsApp(lambda: async_ledger, PaymentSettings())
            body = signed(ledger, operations.pay(1, payer=ANN, payee=BOB, amount=5))
            for status in (201, 200):
                answer = await client.post(PATH, content=body, headers={"content-type": TYPE})
                assert (answer.status_code, answer.json()["result"]) == (status, "CREATED")
            example = signed_payments._BODY["content"]["application/json"]["example"]
            refused = await client.post(PATH, json=example)
            assert (refused.status_code, refused.json()["code"]) == (422, "SIGNATURE_INVALID")
            assert refused.headers["content-type"] == "application/problem+json"

    with Ledger.open(tmp_path / "ledger") as ledger:
        open_town(ledger)
        asyncio.run(main(ledger))


def test_every_answer_is_described() -> None:
    app = FastAPI()
    app.include_router(signed_payments.router)
    operation = app.openapi()["paths"][PATH]["post"]
    statuses = {"200", "201", "400", "408", "409", "413", "415", "422", "429", "503"}
    assert set(operation["responses"]) == statuses
    for status, response in operation["responses"].items():
        (content,) = response["content"].values()
        assert content["example"], status
    assert set(operation["requestBody"]["content"]) == {TYPE, "application/json"}
    assert operation["x-sycee-access"] == "envelope"
