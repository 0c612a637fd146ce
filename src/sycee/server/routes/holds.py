"""Holds: reserve money for a payee, take it, release it, set a later end."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.errors import NotFound
from sycee.server import access, paging
from sycee.server.auth.caller import Caller
from sycee.server.operations import OWN, operation
from sycee.server.problems import not_found
from sycee.server.routes.common import SIGNED_ELSEWHERE, Amount, Next, PathId, TheCaller, TheRuntime, number, refusal
from sycee.server.signing import ActionBody, Body, Id, Minor, Nanoseconds, Signatures, integer_of
from sycee.wallets.directory import Wallet
from sycee.wallets.holds import END, HOLD, WalletHold

router = APIRouter(prefix="/v1", tags=["holds"])


class HoldBody(ActionBody):
    """Money to hold for a payee. `till` and `order` are of the merchant that is the payee."""

    payee: Id
    minor: Minor
    until_ns: Nanoseconds
    text: Annotated[str, Field(max_length=35, description="For both sides; stored encrypted")] = ""
    till: Id | None = None
    order: Annotated[str, Field(max_length=64)] = ""


class PostBody(ActionBody):
    """The part of a hold to take; without `minor` all of it. The rest is released."""

    minor: Minor | None = None
    till: Id | None = None


class ExtensionBody(ActionBody):
    """A later end of a hold."""

    until_ns: Nanoseconds


class HoldAnswer(Body):
    """A hold after an action. `payment`: of the POST, null for none."""

    hold: Id
    state: str
    payment: Id | None = None


class HoldShown(Body):
    """A hold. `state`: open, posted, voided or ended by time. `text`: of the reader's side, for owners only."""

    hold: Id
    payer: Id
    payee: Id
    minor: Amount
    held_minor: Amount
    posted_minor: Amount
    till: Id | None
    order: str
    text: str
    until_ns: Nanoseconds
    state: str


class HoldPage(Body):
    """Holds, in the order of their ids."""

    rows: tuple[HoldShown, ...]
    next: Next


@operation(
    router, "POST", "/wallets/{wallet}/holds", access=HOLD, status_code=201, response_model=HoldAnswer,
    responses=SIGNED_ELSEWHERE, summary="Hold money for a payee",
)  # fmt: skip
async def hold(wallet: PathId, body: HoldBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Hold money until a time; the wallet's key signs. While an order is held, nothing else pays it."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        payer = access.own_wallet(bank, caller, number(wallet))
        made = bank.holds.reserve(
            payer.account,
            number(body.payee),
            integer_of(body.minor),
            until_ns=integer_of(body.until_ns),
            signers=signatures.account(payer.account, custodian=caller.person),
            who=caller.person,
            text=body.text,
            till=number(body.till) if body.till else 0,
            order=body.order,
            operation=body.number,
        )
        if not made.is_held:
            raise refusal("nothing is held", made.answer)
        return {"hold": ids.format(made.hold), "state": "open", "payment": None}

    return await runtime.perform(HOLD, caller.person, body, work, place={"wallet": wallet})


@operation(
    router, "GET", "/wallets/{wallet}/holds", access=OWN, response_model=HoldPage, summary="List the holds of a wallet"
)
async def list_holds(
    wallet: PathId,
    caller: TheCaller,
    runtime: TheRuntime,
    limit: paging.Limit = paging.ROWS,
    cursor: paging.Cursor = "",
) -> dict[str, Any]:
    """Return the holds of a wallet as payer or payee, in the order of their ids."""

    def work(bank: Bank) -> dict[str, Any]:
        found = access.visible_wallet(bank, caller, number(wallet))
        after = paging.after_id(cursor)
        reader = found.account if access.acts_for(bank, caller, found.holder) else 0
        rows = bank.holds.page(found.account, reader=reader, after=after, limit=limit + 1)
        place = paging.next_id(rows, limit)
        return paging.page([_members(caller, each) for each in rows[:limit]], place)

    return await runtime.call(work)


@operation(router, "GET", "/holds/{hold}", access=OWN, response_model=HoldShown, summary="Show a hold")
async def show_hold(hold: PathId, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return a hold to its payer, its payee, and the staff of their operators."""

    def work(bank: Bank) -> dict[str, Any]:
        found = _get(bank, number(hold))
        side = _side(bank, caller, found)
        owns = access.acts_for(bank, caller, side.holder)
        return _members(caller, bank.holds.get(found.id, reader=side.account) if owns else found)

    return await runtime.call(work)


@operation(
    router, "POST", "/holds/{hold}/post", access=END, status_code=201, response_model=HoldAnswer,
    responses=SIGNED_ELSEWHERE, summary="Take the money of a hold",
)  # fmt: skip
async def post_hold(hold: PathId, body: PostBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Take the amount of a hold, or a part of it; the payee's key signs."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        payee = _own_side(bank, caller, _get(bank, number(hold)).payee)
        paid = bank.holds.post(
            number(hold),
            integer_of(body.minor) if body.minor else 0,
            signers=signatures.account(payee.account, custodian=caller.person),
            who=caller.person,
            till=number(body.till) if body.till else 0,
            operation=body.number,
        )
        if not paid.is_paid:
            raise refusal("nothing was taken", paid.answer)
        return {"hold": hold, "state": "posted", "payment": ids.format(paid.operation)}

    return await runtime.perform("hold.post", caller.person, body, work, place={"hold": hold})


@operation(
    router, "POST", "/holds/{hold}/void", access=END, status_code=201, response_model=HoldAnswer,
    responses=SIGNED_ELSEWHERE, summary="Release a hold",
)  # fmt: skip
async def void_hold(hold: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Release all of a hold; the payee's key signs."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        payee = _own_side(bank, caller, _get(bank, number(hold)).payee)
        signers = signatures.account(payee.account, custodian=caller.person)
        bank.holds.void(number(hold), signers=signers, who=caller.person, operation=body.number)
        return {"hold": hold, "state": "voided", "payment": None}

    return await runtime.perform("hold.void", caller.person, body, work, place={"hold": hold})


@operation(
    router, "POST", "/holds/{hold}/extension", access=HOLD, status_code=201, response_model=HoldAnswer,
    responses=SIGNED_ELSEWHERE, summary="Set a later end of a hold",
)  # fmt: skip
async def extend_hold(hold: PathId, body: ExtensionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Set a later end; the payer's key signs."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        payer = _own_side(bank, caller, _get(bank, number(hold)).payer)
        signers = signatures.account(payer.account, custodian=caller.person)
        until_ns = integer_of(body.until_ns)
        bank.holds.extend(number(hold), until_ns, signers=signers, who=caller.person, operation=body.number)
        return {"hold": hold, "state": "open", "payment": None}

    return await runtime.perform("hold.extend", caller.person, body, work, place={"hold": hold})


# --- helpers ---


def _get(bank: Bank, hold: int) -> WalletHold:
    try:
        return bank.holds.get(hold)
    except NotFound as error:
        raise not_found("hold") from error


def _side(bank: Bank, caller: Caller, hold: WalletHold) -> Wallet:
    """Return the side of a hold by which the caller sees it. Raises the problem `not-found` without one."""
    sides = [each for each in map(bank.directory.find, (hold.payer, hold.payee)) if each is not None]
    for each in sides:
        if access.acts_for(bank, caller, each.holder):
            return each
    for each in sides:
        if access.is_staff(bank, caller, each.operator) or access.may_audit(bank, caller):
            return each
    raise not_found("hold")


def _own_side(bank: Bank, caller: Caller, account: int) -> Wallet:
    """Return a side of a hold that the caller acts for. Raises the problem `not-found` of a hold otherwise."""
    wallet = bank.directory.find(account)
    if wallet is None or not access.may_move(bank, caller, wallet):
        raise not_found("hold")
    return wallet


def _members(caller: Caller, hold: WalletHold) -> dict[str, Any]:
    return {
        "hold": ids.format(hold.id),
        "payer": ids.format(hold.payer),
        "payee": ids.format(hold.payee),
        "minor": str(hold.minor),
        "held_minor": str(hold.held_minor),
        "posted_minor": str(hold.posted_minor),
        "till": ids.format(hold.till) if hold.till else None,
        "order": hold.order,
        "text": access.shown_text(caller, hold.text),
        "until_ns": str(hold.until_ns),
        "state": hold.state,
    }
