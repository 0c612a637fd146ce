"""Requests to pay: ask with a signed message, list, pay, decline and withdraw."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.bank.qr_codes import request_code
from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.keys import PublicKey
from sycee.core.money import currency_code
from sycee.identity.remote_key import RemoteKey
from sycee.server import access, paging
from sycee.server.auth.caller import Caller
from sycee.server.operations import OWN, SIGNED_IN, operation
from sycee.server.problems import not_found
from sycee.server.routes.common import (
    MESSAGE_SIGNED,
    REPEATED,
    SIGNED_ELSEWHERE,
    Amount,
    Next,
    PathId,
    TheCaller,
    TheRuntime,
    hidden,
    number,
    refusal,
    wallet_key,
)
from sycee.server.signing import (
    ActionBody,
    Body,
    Id,
    MessageBody,
    Minor,
    Nanoseconds,
    Signatures,
    integer_of,
)
from sycee.wallets import emv_qr
from sycee.wallets.directory import Wallet
from sycee.wallets.payments import PAY
from sycee.wallets.requests import Request

router = APIRouter(prefix="/v1", tags=["requests"])

ASK = "request"
DAMAGED = ("damaged",)  # the stored request is not what its payee signed


class AskBody(MessageBody):
    """A request for an amount. `payer`: the only wallet that may pay; without it everybody who has the id may.

    `key`: the public key that signs; without it the wallet's own one, or for a custodial wallet the caller's.
    """

    minor: Minor
    expires_ns: Nanoseconds
    payer: Id | None = None
    text: Annotated[str, Field(max_length=35, description="For the payer; stored encrypted")] = ""
    till: Id | None = None
    order: Annotated[str, Field(max_length=64)] = ""
    key: Annotated[str, Field(max_length=80)] = ""


class PayBody(ActionBody):
    """The wallet that pays."""

    wallet: Id


class RequestAnswer(Body):
    """A request after an action. `payment`: of the payment that pays it, null for none."""

    request: Id
    state: str
    payment: Id | None = None


class RequestShown(Body):
    """A request to pay. `payer`: null for anybody. `text`: for the owners of both wallets only."""

    request: Id
    payee: Id
    payer: Id | None
    minor: Amount
    currency: str
    till: Id | None
    order: str
    text: str
    expires_ns: Nanoseconds
    state: str
    payment: Id | None


class RequestPage(Body):
    """Requests, in the order of their ids."""

    rows: tuple[RequestShown, ...]
    next: Next


@operation(
    router, "POST", "/wallets/{wallet}/requests", access=ASK, status_code=201, response_model=RequestAnswer,
    responses=MESSAGE_SIGNED, summary="Ask for a payment",
)  # fmt: skip
async def ask(wallet: PathId, body: AskBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Ask for an amount until a time. The requester signs: wallet, till, or operator of a custodial wallet."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        found = access.own_wallet(bank, caller, number(wallet))
        made = bank.requests.ask(
            found.account,
            integer_of(body.minor),
            key=_key(bank, caller, found, body),
            expires_ns=integer_of(body.expires_ns),
            payer=number(body.payer) if body.payer else 0,
            text=body.text,
            till=number(body.till) if body.till else 0,
            order=body.order,
            id=body.number,
        )
        if made.payee != found.account:
            raise UsageError(f"the id {body.id} is of another request", hint="choose a fresh id")
        return {"request": ids.format(made.id), "state": made.state, "payment": None}

    return await runtime.perform(ASK, caller.person, body, work, place={"wallet": wallet})


@operation(
    router, "GET", "/wallets/{wallet}/requests", access=OWN, response_model=RequestPage, summary="List requests to pay"
)
async def list_requests(
    wallet: PathId,
    caller: TheCaller,
    runtime: TheRuntime,
    side: Annotated[Literal["payee", "payer"], Query(description="payer: open requests that the wallet may pay")],
    limit: paging.Limit = paging.ROWS,
    cursor: paging.Cursor = "",
) -> dict[str, Any]:
    """Return requests in the order of ids, with their texts for the owner of the wallet only.

    Requests that the payee's present keys did not sign are omitted: nobody can pay them.
    """

    def work(bank: Bank) -> dict[str, Any]:
        found = access.visible_wallet(bank, caller, number(wallet))
        after = paging.after_id(cursor)
        rows, last = bank.requests.page(found.account, is_payer=side == "payer", after=after, limit=limit)
        owns = access.acts_for(bank, caller, found.holder)
        return paging.page([_members(caller, each, owns=owns) for each in rows], (ids.format(last),) if last else None)

    return await runtime.call(work)


@operation(
    router,
    "GET",
    "/requests/{request}",
    access=SIGNED_IN,
    response_model=RequestShown,
    errors=DAMAGED,
    summary="Show a request to pay",
)
async def show_request(request: PathId, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return a request to its payer and its payee; a request for anybody to everybody who has its id."""

    def work(bank: Bank) -> dict[str, Any]:
        found, owns = _visible(bank, caller, number(request))
        return _members(caller, found, owns=owns)

    return await runtime.call(work)


@operation(
    router, "GET", "/requests/{request}/qr.{form}", access=SIGNED_IN, errors=DAMAGED, response_class=Response,
    responses={200: {"description": "The text or the picture", "content": {
        "text/plain": {"schema": {"type": "string"}}, "image/svg+xml": {"schema": {"type": "string"}},
        "image/png": {"schema": {"type": "string", "format": "binary"}},
    }}},
    summary="The QR code of a request",
)  # fmt: skip
async def request_qr(
    request: PathId, form: Literal["txt", "png", "svg"], caller: TheCaller, runtime: TheRuntime
) -> Response:
    """Return the code, which is valid for one payment, as text or picture."""

    def work(bank: Bank) -> Response:
        text = request_code(bank, _visible(bank, caller, number(request))[0])
        match form:
            case "png":
                return Response(emv_qr.png(text), media_type="image/png")
            case "svg":
                return Response(emv_qr.svg(text), media_type="image/svg+xml")
        return Response(text, media_type="text/plain; charset=utf-8")

    return await runtime.call(work)


@operation(
    router, "POST", "/requests/{request}/payment", access=PAY, errors=DAMAGED, status_code=201,
    response_model=RequestAnswer,
    responses=SIGNED_ELSEWHERE, summary="Pay a request",
)  # fmt: skip
async def pay_request(request: PathId, body: PayBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Pay an open request; the wallet's key signs. The signature ends with the request, at the latest."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        payer = access.own_wallet(bank, caller, number(body.wallet))
        found = _get(bank, number(request))
        if found.payer not in (0, payer.account):
            raise not_found("request")
        paid = bank.requests.pay(
            found.id,
            payer.account,
            signers=signatures.account(payer.account, custodian=caller.person),
            who=caller.person,
            operation=body.number,
        )
        if not paid.is_paid:
            raise refusal("nothing was paid", paid.answer)
        return {"request": request, "state": "paid", "payment": ids.format(paid.operation)}

    return await runtime.perform("request.pay", caller.person, body, work, place={"request": request})


@operation(
    router, "POST", "/requests/{request}/decline", access=PAY, errors=DAMAGED, status_code=201,
    response_model=RequestAnswer,
    responses=REPEATED, summary="Decline a request",
)  # fmt: skip
async def decline_request(request: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Decline a request, as the holder of the wallet that it names."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        payer = _side(bank, caller, _get(bank, number(request)).payer)
        bank.requests.decline(number(request), by=payer.holder)
        return {"request": request, "state": "declined", "payment": None}

    return await runtime.perform("request.decline", caller.person, body, work, place={"request": request})


@operation(
    router, "POST", "/requests/{request}/withdrawal", access=ASK, errors=DAMAGED, status_code=201,
    response_model=RequestAnswer,
    responses=REPEATED, summary="Withdraw a request",
)  # fmt: skip
async def withdraw_request(request: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Withdraw a request, as the holder of the payee's wallet, or as the operator of a custodial one."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        payee = bank.directory.find(_get(bank, number(request)).payee)
        if payee is None or not access.may_move(bank, caller, payee):
            raise not_found("request")
        owns = access.acts_for(bank, caller, payee.holder)
        bank.requests.withdraw(number(request), by=payee.holder if owns else caller.person)
        return {"request": request, "state": "withdrawn", "payment": None}

    return await runtime.perform("request.withdraw", caller.person, body, work, place={"request": request})


# --- helpers ---


def _key(bank: Bank, caller: Caller, wallet: Wallet, body: AskBody) -> RemoteKey:
    """Return the key that asks, with the signature that was made elsewhere."""
    if body.key:
        return RemoteKey(PublicKey.parse(body.key), body.signature_bytes)
    if bank.stores.ledger.account(wallet.account).key:
        return wallet_key(bank, wallet, body.signature_bytes)
    keys = bank.people.keys_of(caller.person)
    if not keys:
        raise UsageError("the caller has no key that asks for payments", hint="name the key of a till")
    return RemoteKey(keys[0], body.signature_bytes)


def _get(bank: Bank, request: int) -> Request:
    with hidden("request"):
        return bank.requests.get(request)


def _side(bank: Bank, caller: Caller, account: int) -> Wallet:
    """Return a wallet of the caller. Raises the problem `not-found` of a request otherwise."""
    wallet = bank.directory.find(account) if account else None
    if wallet is None or not access.acts_for(bank, caller, wallet.holder):
        raise not_found("request")
    return wallet


def _visible(bank: Bank, caller: Caller, request: int) -> tuple[Request, bool]:
    """Return a request, and whether the caller may read its text. Raises the problem `not-found`."""
    found = _get(bank, request)
    sides = [each for each in map(bank.directory.find, (found.payee, found.payer)) if each is not None]
    if not found.payer or any(access.acts_for(bank, caller, each.holder) for each in sides):
        return found, True
    if any(access.is_staff(bank, caller, each.operator) or access.may_audit(bank, caller) for each in sides):
        return found, False
    raise not_found("request")


def _members(caller: Caller, request: Request, *, owns: bool) -> dict[str, Any]:
    return {
        "request": ids.format(request.id),
        "payee": ids.format(request.payee),
        "payer": ids.format(request.payer) if request.payer else None,
        "minor": str(request.minor),
        "currency": currency_code(request.currency),
        "till": ids.format(request.till) if request.till else None,
        "order": request.order,
        "text": access.shown_text(caller, request.text) if owns else "",
        "expires_ns": str(request.expires_ns),
        "state": request.state,
        "payment": ids.format(request.operation) if request.operation and request.state == "paid" else None,
    }
