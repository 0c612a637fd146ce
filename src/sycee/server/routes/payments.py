"""Payments with a reference, an order or a till, refunds, and the states of payments and orders."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.timestamps import exact_text, utc_text
from sycee.server import access, paging
from sycee.server.operations import OWN, SIGNED_IN, operation
from sycee.server.problems import not_found
from sycee.server.routes.common import (
    SIGNED_ELSEWHERE,
    Moment,
    Next,
    OperatorNumber,
    PathId,
    TheCaller,
    TheRuntime,
    hidden,
    number,
    refusal,
)
from sycee.server.signing import ActionBody, Body, Id, Minor, Signatures, integer_of
from sycee.wallets.payments import PAY, REFUND, Paid, Refusal, payer_answer

router = APIRouter(prefix="/v1", tags=["payments"])

REFUSALS = "wallet.open"  # the duty: of the operator's staff


class PaymentBody(ActionBody):
    """A payment. `till` and `order` are of the merchant that is paid."""

    payee: Id
    minor: Minor
    text: Annotated[str, Field(max_length=35, description="For both sides; stored encrypted")] = ""
    till: Id | None = None
    order: Annotated[str, Field(max_length=64)] = ""


class RefundBody(ActionBody):
    """A refund of a part, or all, of a payment, at a till of the merchant."""

    minor: Minor
    till: Id | None = None


class Payment(Body):
    """A payment or refund that was done."""

    id: Id
    state: str


class RefusedPayment(Body):
    """A payment that the payee's account refused. `code`: the result code, which the payer did not hear."""

    payment: Id
    payee: Id
    code: Annotated[str, Field(examples=["EXCEEDS_BALANCE_LIMIT"])]
    time: Moment


class RefusalPage(Body):
    """Refused payments, oldest first."""

    rows: tuple[RefusedPayment, ...]
    next: Next


class RefusedPayer(Body):
    """A refused payment. `code`: the answer to the payer; exact where the cause is on the payer's side."""

    payment: Id
    payer: Id
    code: Annotated[str, Field(examples=["EXCEEDS_BALANCE"])]
    time: Moment


class PayerRefusalPage(Body):
    """Refused payments of payers, oldest first."""

    rows: tuple[RefusedPayer, ...]
    next: Next


class Bound(Body):
    """The first result of an operation's id."""

    id: Id
    result: str
    time: str


@operation(
    router, "POST", "/wallets/{wallet}/payments", access=PAY, status_code=201, response_model=Payment,
    responses=SIGNED_ELSEWHERE, summary="Pay from a wallet, with a reference, a till or an order",
)  # fmt: skip
async def pay(wallet: PathId, body: PaymentBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Pay with packets that may reach the payee, then with own money. The wallet's key signs.

    A payment without text, till and order is faster at `POST /v1/payments`.
    """

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        payer = access.own_wallet(bank, caller, number(wallet))
        paid = bank.payments.pay(
            payer.account,
            number(body.payee),
            integer_of(body.minor),
            signers=signatures.account(payer.account, custodian=caller.person),
            who=caller.person,
            text=body.text,
            till=number(body.till) if body.till else 0,
            order=body.order,
            operation=body.number,
        )
        return _answer(paid)

    return await runtime.perform("pay", caller.person, body, work, place={"wallet": wallet})


@operation(
    router, "POST", "/payments/{payment}/refunds", access=REFUND, status_code=201, response_model=Payment,
    responses=SIGNED_ELSEWHERE, summary="Refund a payment",
)  # fmt: skip
async def refund(payment: PathId, body: RefundBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Return money to where it came from: own money first, then packets. The merchant's key signs."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        with hidden("payment"):
            account = bank.payments.payee_of(number(payment))
        payee = access.own_wallet(bank, caller, account, what="payment")
        paid = bank.payments.refund_payment(
            number(payment),
            integer_of(body.minor),
            till=number(body.till) if body.till else 0,
            signers=signatures.account(payee.account, custodian=caller.person),
            who=caller.person,
            operation=body.number,
        )
        return _answer(paid)

    return await runtime.perform("refund", caller.person, body, work, place={"payment": payment})


@operation(router, "GET", "/operations/{id}", access=SIGNED_IN, response_model=Bound, summary="The result of an id")
async def result_of(id: PathId, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the first result under an id, for a caller who does not know whether a request arrived.

    An id is no secret, and its result names no account: everybody who has the id may ask, and hears what a payer hears.
    """
    bound = await runtime.ledger.result_of(number(id))
    if bound is None:
        raise not_found("operation")
    return {
        "id": id,
        "result": payer_answer(bound.result),
        "time": utc_text(bound.time_ns),
    }


@operation(router, "GET", "/wallets/{wallet}/orders/{order}", access=OWN, summary="Whether an order was paid")
async def order_state(wallet: PathId, order: str, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the state of a merchant's order, for a till that lost its network."""

    def work(bank: Bank) -> dict[str, Any]:
        merchant = access.visible_wallet(bank, caller, number(wallet)).holder
        state = bank.payments.was_paid(merchant, order)
        return {
            "order": state.order,
            "state": state.state,
            "payment": ids.format(state.operation) if state.operation else None,
            "minor": str(state.minor),
            "refunded": str(state.refunded_minor),
            "time": utc_text(state.at_ns) if state.at_ns else None,
        }

    return await runtime.call(work)


@operation(
    router, "GET", "/operators/{operator}/refusals", access=REFUSALS, response_model=RefusalPage,
    summary="List payments that wallets of an operator refused",
)  # fmt: skip
async def list_refusals(
    operator: OperatorNumber,
    caller: TheCaller,
    runtime: TheRuntime,
    limit: paging.Limit = paging.ROWS,
    cursor: paging.Cursor = "",
) -> dict[str, Any]:
    """Return the payments that the payee's account refused, with the code that the payer did not hear, oldest first.

    For the staff of the payee's operator.
    """

    def work(bank: Bank) -> dict[str, Any]:
        if not access.is_staff(bank, caller, operator):
            raise not_found("operator")
        at_ns, last = paging.decode(cursor, int, str) or (0, ids.format(0))
        after = (at_ns, ids.parse(last))
        found = bank.payments.refusals_page(operator, by=caller.person, after=after, most=limit + 1)
        place = (found[limit - 1].at_ns, ids.format(found[limit - 1].operation)) if len(found) > limit else None
        return paging.page([_refused(each) for each in found[:limit]], place)

    return await runtime.call(work)


@operation(
    router, "GET", "/operators/{operator}/payer-refusals", access=REFUSALS, response_model=PayerRefusalPage,
    summary="List refused payments of an operator's own payers",
)  # fmt: skip
async def list_payer_refusals(
    operator: OperatorNumber,
    caller: TheCaller,
    runtime: TheRuntime,
    limit: paging.Limit = paging.ROWS,
    cursor: paging.Cursor = "",
) -> dict[str, Any]:
    """Return the refused payments and holds of the operator's wallets, oldest first, with what the payer heard.

    A code about the payee's account is `PAYEE_CANNOT_RECEIVE` here too. For the staff of the payer's operator.
    """

    def work(bank: Bank) -> dict[str, Any]:
        if not access.is_staff(bank, caller, operator):
            raise not_found("operator")
        at_ns, last = paging.decode(cursor, int, str) or (0, ids.format(0))
        after = (at_ns, ids.parse(last))
        found = bank.payments.payer_refusals_page(operator, by=caller.person, after=after, most=limit + 1)
        place = (found[limit - 1].at_ns, ids.format(found[limit - 1].operation)) if len(found) > limit else None
        rows = [
            {
                "payment": ids.format(each.operation),
                "payer": ids.format(each.payer),
                "code": each.answer,
                "time": exact_text(each.at_ns),
            }
            for each in found[:limit]
        ]
        return paging.page(rows, place)

    return await runtime.call(work)


def _refused(found: Refusal) -> dict[str, Any]:
    return {
        "payment": ids.format(found.operation),
        "payee": ids.format(found.payee),
        "code": found.code.name,
        "time": exact_text(found.at_ns),
    }


def _answer(paid: Paid) -> dict[str, Any]:
    """Return the answer for a payment. Raises the problem `refused` with the code that the payer may hear."""
    if paid.is_paid:
        return {"id": ids.format(paid.operation), "state": "paid"}
    raise refusal("nothing was paid", paid.answer)
