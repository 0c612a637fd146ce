"""Money between wallets and the banks of their holders: fundings, and payments that lack money."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.errors import NotFound
from sycee.core.timestamps import exact_text
from sycee.issuance.service import CONFIRM, DEFUND, FUND, REJECT, Funding
from sycee.server import access, paging
from sycee.server.auth.caller import Caller
from sycee.server.operations import OWN, operation
from sycee.server.problems import not_found
from sycee.server.routes.common import (
    REPEATED,
    SIGNED_ELSEWHERE,
    Amount,
    Moment,
    Next,
    PathId,
    TheCaller,
    TheRuntime,
    number,
    refusal,
)
from sycee.server.signing import ActionBody, Body, Id, Minor, Nanoseconds, Signatures, integer_of
from sycee.wallets import waterfalls
from sycee.wallets.payments import PAY
from sycee.wallets.shortfalls import FUND as FUND_PAYMENT
from sycee.wallets.shortfalls import Shortfall

router = APIRouter(prefix="/v1", tags=["funding"])

TheOperator = Annotated[int, Path(ge=2, le=65_535, description="Number of the operator")]
States = Literal["", "sending", "sent", "confirmed", "rejected", "refused"]

_SHORTFALL: Final = "shortfall"


class FundingBody(ActionBody):
    """An amount, and the bank's text for its leg, which is unique for the operator."""

    minor: Minor
    bank_reference: Annotated[str, Field(min_length=1, max_length=35, pattern=r"^[A-Za-z0-9 /?:().,'+_-]+$")]


class ShortPayment(ActionBody):
    """A payment that lacks own money. `till` and `order` are of the merchant that is paid."""

    payee: Id
    minor: Minor
    text: Annotated[str, Field(max_length=35, description="For both sides; stored encrypted")] = ""
    till: Id | None = None
    order: Annotated[str, Field(max_length=64)] = ""


class FundingAnswer(Body):
    """A funding after an action."""

    funding: Id
    state: str


class ShortfallAnswer(Body):
    """A payment that waits for the bank, or was decided."""

    payment: Id
    missing_minor: str
    bank_reference: str
    state: str


class FundingRow(Body):
    """Money between a wallet and a bank. `direction`: in for the wallet, or out. `reason`: the code of a refusal."""

    funding: Id
    direction: str
    wallet: Id
    minor: Amount
    bank_reference: str
    state: str
    reason: str
    time: Moment
    decided: Moment | None


class FundingPage(Body):
    """Fundings, in the order of their ids."""

    rows: tuple[FundingRow, ...]
    next: Next


class ShortfallRow(ShortfallAnswer):
    """A payment that waits for the bank."""

    wallet: Id
    minor: Amount
    time: Moment
    expires_ns: Nanoseconds


class ShortfallPage(Body):
    """Payments that wait, in the order of their ids."""

    rows: tuple[ShortfallRow, ...]
    next: Next


class ExcessRow(Body):
    """What a waterfall sent on. `payment`: the one that exceeded the limit of the wallet."""

    payment: Id
    wallet: Id
    minor: Amount
    bank_reference: str
    time: Moment


class ExcessPage(Body):
    """The excess that the bank has to pay, in the order of ids."""

    rows: tuple[ExcessRow, ...]
    next: Next


@operation(
    router, "POST", "/wallets/{wallet}/fundings", access=FUND, status_code=201, response_model=FundingAnswer,
    responses=SIGNED_ELSEWHERE, summary="Send money from the vault to a wallet",
)  # fmt: skip
async def fund(wallet: PathId, body: FundingBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Send money of the operator's vault to a wallet; it waits in transit for the bank's leg. The operator signs."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        found = access.served_wallet(bank, caller, number(wallet), FUND)
        outcome = bank.issuance.fund(
            found.operator, found.account, integer_of(body.minor), body.bank_reference,
            signers=signatures.person(caller.person), who=caller.person, id=body.number,
        )  # fmt: skip
        outcome.require_created("the wallet is not funded")
        return _sent(bank, outcome.intent)

    return await runtime.perform(FUND, caller.person, body, work, place={"wallet": wallet})


@operation(
    router, "POST", "/wallets/{wallet}/defundings", access=DEFUND, status_code=201, response_model=FundingAnswer,
    responses=SIGNED_ELSEWHERE, summary="Send money of a wallet to the holder's bank",
)  # fmt: skip
async def defund(wallet: PathId, body: FundingBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Send money of a wallet to the operator's vault, for a payment to the holder's bank. The wallet's key signs."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        found = access.own_wallet(bank, caller, number(wallet))
        outcome = bank.issuance.defund(
            found.account, integer_of(body.minor), body.bank_reference,
            signers=signatures.account(found.account, custodian=caller.person), who=caller.person, id=body.number,
        )  # fmt: skip
        outcome.require_created("nothing was sent")
        return _sent(bank, outcome.intent)

    return await runtime.perform(DEFUND, caller.person, body, work, place={"wallet": wallet})


@operation(
    router,
    "GET",
    "/wallets/{wallet}/fundings",
    access=OWN,
    response_model=FundingPage,
    summary="List the fundings of a wallet",
)
async def list_wallet_fundings(
    wallet: PathId,
    caller: TheCaller,
    runtime: TheRuntime,
    limit: paging.Limit = paging.ROWS,
    cursor: paging.Cursor = "",
) -> dict[str, Any]:
    """Return money that came from a bank or went to one, in the order of ids."""

    def work(bank: Bank) -> dict[str, Any]:
        found = access.visible_wallet(bank, caller, number(wallet))
        return _page(bank, limit, cursor, wallet=found.account)

    return await runtime.call(work)


@operation(
    router,
    "GET",
    "/operators/{operator}/fundings",
    access=CONFIRM,
    response_model=FundingPage,
    summary="List the fundings of an operator",
)
async def list_fundings(
    operator: TheOperator,
    caller: TheCaller,
    runtime: TheRuntime,
    state: Annotated[States, Query(description="Without it: all")] = "",
    limit: paging.Limit = paging.ROWS,
    cursor: paging.Cursor = "",
) -> dict[str, Any]:
    """Return the fundings of an operator to its staff, in the order of ids."""

    def work(bank: Bank) -> dict[str, Any]:
        _require_staff(bank, caller, operator)
        return _page(bank, limit, cursor, operator=operator, state=state)

    return await runtime.call(work)


@operation(
    router, "POST", "/fundings/{funding}/confirmation", access=CONFIRM, status_code=201, response_model=FundingAnswer,
    responses=REPEATED, summary="Report that the bank made its leg",
)  # fmt: skip
async def confirm_funding(funding: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Report that the bank made its leg: the money arrives. Operator 0 signs, with its key on this machine."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        found = _funding(bank, caller, number(funding))
        outcome = bank.issuance.confirm(found.id, signers=bank.technical_signers(), who=caller.person, id=body.number)
        outcome.require_created("the funding is not confirmed")
        return _answer(bank, found.id)

    return await runtime.perform(CONFIRM, caller.person, body, work, place={"funding": funding})


@operation(
    router, "POST", "/fundings/{funding}/rejection", access=REJECT, status_code=201, response_model=FundingAnswer,
    responses=REPEATED, summary="Report that the bank refused its leg",
)  # fmt: skip
async def reject_funding(funding: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Report that the bank refused its leg: the money returns to its source. Operator 0 signs."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        found = _funding(bank, caller, number(funding))
        outcome = bank.issuance.reject(found.id, signers=bank.technical_signers(), who=caller.person, id=body.number)
        outcome.require_created("the funding is not rejected")
        return _answer(bank, found.id)

    return await runtime.perform(REJECT, caller.person, body, work, place={"funding": funding})


# --- payments that lack money ---


@operation(
    router, "POST", "/wallets/{wallet}/shortfalls", access=PAY, status_code=201, response_model=ShortfallAnswer,
    responses=SIGNED_ELSEWHERE, summary="Pay what a wallet lacks from the holder's bank",
)  # fmt: skip
async def ask_bank(wallet: PathId, body: ShortPayment, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Store a payment that lacks own money until the bank has it; needs a mandate. The wallet's key signs.

    Nothing is in the ledger before the operator reports the bank's money. After an hour the payment expires.
    """

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        payer = access.own_wallet(bank, caller, number(wallet))
        made = bank.shortfalls.ask(
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
        return _short(made)

    return await runtime.perform("pay.short", caller.person, body, work, place={"wallet": wallet})


@operation(
    router,
    "GET",
    "/operators/{operator}/shortfalls",
    access=CONFIRM,
    response_model=ShortfallPage,
    summary="List payments that wait for the bank",
)
async def list_shortfalls(
    operator: TheOperator, caller: TheCaller, runtime: TheRuntime, limit: paging.Limit = paging.ROWS,
    cursor: paging.Cursor = "",
) -> dict[str, Any]:  # fmt: skip
    """Return the payments for which an operator's bank has to collect money, in the order of ids."""

    def work(bank: Bank) -> dict[str, Any]:
        _require_staff(bank, caller, operator)
        after = paging.after_id(cursor)
        waiting = sorted(bank.shortfalls.open(operator, by=caller.person), key=lambda each: each.id)
        rows = [each for each in waiting if each.id > after]
        place = paging.next_id(rows, limit)
        members = [
            {**_short(each), "wallet": ids.format(each.account), "minor": str(each.minor),
             "time": exact_text(each.at_ns), "expires_ns": str(each.expires_ns)}
            for each in rows[:limit]
        ]  # fmt: skip
        return paging.page(members, place)

    return await runtime.call(work)


@operation(
    router, "POST", "/shortfalls/{payment}/funding", access=FUND_PAYMENT, status_code=201,
    response_model=ShortfallAnswer, responses=SIGNED_ELSEWHERE, summary="Report that the bank has what a payment lacks",
)  # fmt: skip
async def fund_shortfall(payment: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Fund the wallet and make its payment, both or none. The operator signs, and operator 0 on this machine."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        found = _shortfall(bank, caller, number(payment))
        bank.people.require(caller.person, FUND_PAYMENT, operator=found.operator)
        signers = [*signatures.person(caller.person), *bank.technical_signers()]
        paid = bank.shortfalls.fund(found.id, signers=signers, who=caller.person)
        if not paid.is_paid:
            raise refusal("nothing was paid", paid.answer)
        return _short(bank.shortfalls.get(found.id))

    return await runtime.perform(FUND_PAYMENT, caller.person, body, work, place={"payment": payment})


@operation(
    router, "POST", "/shortfalls/{payment}/rejection", access=REJECT, status_code=201, response_model=ShortfallAnswer,
    responses=REPEATED, summary="Report that the bank refused what a payment lacks",
)  # fmt: skip
async def reject_shortfall(payment: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Refuse a payment because the bank refused: nothing was moved."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        found = _shortfall(bank, caller, number(payment))
        bank.shortfalls.reject(found.id, who=caller.person)
        return _short(bank.shortfalls.get(found.id))

    return await runtime.perform("shortfall.reject", caller.person, body, work, place={"payment": payment})


# --- waterfalls ---


@operation(
    router,
    "GET",
    "/operators/{operator}/waterfalls",
    access=CONFIRM,
    response_model=ExcessPage,
    summary="List what waterfalls sent to banks",
)
async def list_waterfalls(
    operator: TheOperator, caller: TheCaller, runtime: TheRuntime, limit: paging.Limit = paging.ROWS,
    cursor: paging.Cursor = "",
) -> dict[str, Any]:  # fmt: skip
    """Return what an operator's bank has to pay to holders of wallets, in the order of ids."""

    def work(bank: Bank) -> dict[str, Any]:
        _require_staff(bank, caller, operator)
        after = paging.after_id(cursor)
        found = sorted(bank.waterfalls.open(operator, by=caller.person), key=lambda each: each.id)
        rows = [each for each in found if each.id > after]
        place = paging.next_id(rows, limit)
        members = [
            {"payment": ids.format(each.id), "wallet": ids.format(each.wallet), "minor": str(each.minor),
             "bank_reference": each.bank_reference, "time": exact_text(each.at_ns)}
            for each in rows[:limit]
        ]  # fmt: skip
        return paging.page(members, place)

    return await runtime.call(work)


@operation(
    router, "POST", "/operators/{operator}/waterfalls/{payment}/confirmation", access=CONFIRM, status_code=201,
    response_model=FundingAnswer, responses=REPEATED, summary="Report that the bank paid an excess",
)  # fmt: skip
async def confirm_waterfall(
    operator: TheOperator, payment: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Report that the bank paid an excess to the holder: the money is in the vault. Operator 0 signs."""
    name, place = "waterfall.confirm", {"operator": operator, "payment": payment}

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        return _decided(bank, caller, operator, payment, body, is_paid=True)

    return await runtime.perform(name, caller.person, body, work, place=place)


@operation(
    router, "POST", "/operators/{operator}/waterfalls/{payment}/rejection", access=REJECT, status_code=201,
    response_model=FundingAnswer, responses=REPEATED, summary="Report that the bank refused an excess",
)  # fmt: skip
async def reject_waterfall(
    operator: TheOperator, payment: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Report that the bank refused an excess: it returns to the wallet, above its limit. Operator 0 signs."""
    name, place = "waterfall.reject", {"operator": operator, "payment": payment}

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        return _decided(bank, caller, operator, payment, body, is_paid=False)

    return await runtime.perform(name, caller.person, body, work, place=place)


# --- helpers ---


def _decided(
    bank: Bank, caller: Caller, operator: int, payment: str, body: ActionBody, *, is_paid: bool
) -> dict[str, Any]:
    """Decide an excess, or find that the same request decided it."""
    _require_staff(bank, caller, operator)
    decide, action = (
        (bank.waterfalls.confirm, waterfalls.CONFIRM) if is_paid else (bank.waterfalls.reject, waterfalls.REJECT)
    )
    stored = bank.stores.intents.find(body.number)
    if stored is not None and (stored.action, stored.payload) == (action, {"operation": payment}):
        outcome = stored.outcome
    else:
        reference = f"WF-{number(payment):032X}"
        if (excess := bank.waterfalls.find(operator, reference, by=caller.person)) is None:
            raise not_found("excess")
        outcome = decide(excess, signers=bank.technical_signers(), who=caller.person, id=body.number)
    outcome.require_created("the excess is not decided")
    return {"funding": payment, "state": "confirmed" if is_paid else "rejected"}


def _require_staff(bank: Bank, caller: Caller, operator: int) -> None:
    """Raise the problem `not-found` unless the caller is of the staff of an operator."""
    if not access.is_staff(bank, caller, operator):
        raise not_found("operator")


def _funding(bank: Bank, caller: Caller, funding: int) -> Funding:
    """Return a funding that the caller may decide, or see. Raises the problem `not-found` otherwise."""
    try:
        found = bank.issuance.get_funding(funding)
    except NotFound as error:
        raise not_found("funding") from error
    wallet = bank.directory.find(found.wallet)
    if access.is_staff(bank, caller, found.operator) or (
        wallet is not None and access.acts_for(bank, caller, wallet.holder)
    ):
        return found
    raise not_found("funding")


def _shortfall(bank: Bank, caller: Caller, payment: int) -> Shortfall:
    """Return a shortfall to its payer and to the staff of its operator. Raises `not-found` otherwise."""
    try:
        found = bank.shortfalls.get(payment)
    except NotFound as error:
        raise not_found(_SHORTFALL) from error
    wallet = bank.directory.get(found.account)
    if access.is_staff(bank, caller, found.operator) or access.acts_for(bank, caller, wallet.holder):
        return found
    raise not_found(_SHORTFALL)


def _page(
    bank: Bank, limit: int, cursor: str, *, operator: int | None = None, wallet: int | None = None, state: str = ""
) -> dict[str, Any]:
    after = paging.after_id(cursor)
    rows = bank.issuance.fundings_page(operator=operator, wallet=wallet, state=state, after=after, limit=limit + 1)
    place = paging.next_id(rows, limit)
    return paging.page([_members(each) for each in rows[:limit]], place)


def _members(funding: Funding) -> dict[str, Any]:
    return {
        "funding": ids.format(funding.id),
        "direction": funding.direction,
        "wallet": ids.format(funding.wallet),
        "minor": str(funding.minor),
        "bank_reference": funding.bank_reference,
        "state": funding.state,
        "reason": funding.reason,
        "time": exact_text(funding.at_ns),
        "decided": exact_text(funding.decided_ns) if funding.decided_ns else None,
    }


def _sent(bank: Bank, intent: int) -> dict[str, Any]:
    """Return the answer for a funding that an intent sent."""
    stored = bank.stores.intents.find(intent)
    assert stored is not None, "the intent was performed"
    return _answer(bank, ids.parse(stored.payload["funding"]))


def _answer(bank: Bank, funding: int) -> dict[str, Any]:
    return {"funding": ids.format(funding), "state": bank.issuance.get_funding(funding).state}


def _short(shortfall: Shortfall) -> dict[str, Any]:
    return {
        "payment": ids.format(shortfall.id),
        "missing_minor": str(shortfall.missing_minor),
        "bank_reference": shortfall.bank_reference,
        "state": shortfall.state,
    }
