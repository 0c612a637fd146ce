"""Sweeps: the balance of a merchant is sent to its bank, and the bank's leg is reported."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.timestamps import exact_text
from sycee.server import access, paging
from sycee.server.auth.caller import Caller
from sycee.server.operations import OWN, operation
from sycee.server.problems import not_found
from sycee.server.routes.common import (
    REPEATED,
    SIGNED_ELSEWHERE,
    Moment,
    Next,
    PathId,
    TheCaller,
    TheRuntime,
    hidden,
    number,
)
from sycee.server.signing import ActionBody, Body, Id, Signatures
from sycee.wallets.sweeps import SWEEP, Sweep

router = APIRouter(prefix="/v1", tags=["merchants"])

CONFIRM = "transit.confirm"
REJECT = "transit.reject"


class SweepBody(ActionBody):
    """A sweep. `wallet`: of the merchant; without it the oldest open one."""

    wallet: Id | None = None


class SweepAnswer(Body):
    """A sweep after an action."""

    sweep: Id
    minor: str
    bank_reference: str
    state: str


class SweepRow(SweepAnswer):
    """A sweep with the frames whose payments it carries."""

    wallet: Id
    time: Moment
    first_frame: int
    last_frame: int


class SweepPage(Body):
    """Sweeps, in the order of their ids."""

    rows: tuple[SweepRow, ...]
    next: Next


@operation(
    router, "POST", "/merchants/{merchant}/sweeps", access=SWEEP, status_code=201, response_model=SweepAnswer,
    responses=SIGNED_ELSEWHERE, summary="Send a merchant's balance to its bank",
)  # fmt: skip
async def sweep(merchant: PathId, body: SweepBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Send the available balance under one bank reference; the wallet's key signs, or the operator for it."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        found = access.visible_merchant(bank, caller, number(merchant))
        account = number(body.wallet) if body.wallet else bank.directory.open_of(found.id).account
        wallet = bank.directory.find(account)
        if wallet is None or wallet.holder != found.id:
            raise not_found("wallet")
        signers = signatures.account(account, custodian=caller.person)
        made = bank.sweeps.sweep(found.id, signers=signers, who=caller.person, account=account, id=body.number)
        return _swept(made)

    return await runtime.perform(SWEEP, caller.person, body, work, place={"merchant": merchant})


@operation(
    router,
    "GET",
    "/merchants/{merchant}/sweeps",
    access=OWN,
    response_model=SweepPage,
    summary="List the sweeps of a merchant",
)
async def list_sweeps(
    merchant: PathId, caller: TheCaller, runtime: TheRuntime, limit: paging.Limit = paging.ROWS,
    cursor: paging.Cursor = "",
) -> dict[str, Any]:  # fmt: skip
    """Return the sweeps of a merchant, in the order of ids."""

    def work(bank: Bank) -> dict[str, Any]:
        found = access.visible_merchant(bank, caller, number(merchant))
        after = paging.after_id(cursor)
        rows = bank.sweeps.page(found.id, after=after, limit=limit + 1)
        place = paging.next_id(rows, limit)
        members = [
            {**_swept(each), "wallet": ids.format(each.account), "time": exact_text(each.at_ns),
             "first_frame": each.first_frame, "last_frame": each.last_frame}
            for each in rows[:limit]
        ]  # fmt: skip
        return paging.page(members, place)

    return await runtime.call(work)


@operation(
    router, "POST", "/sweeps/{sweep}/confirmation", access=CONFIRM, status_code=201, response_model=SweepAnswer,
    responses=REPEATED, summary="Report that the bank received a sweep",
)  # fmt: skip
async def confirm_sweep(sweep: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Report that the bank received a sweep: the money is in the vault. Operator 0 signs, with its key here."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        found = _sweep(bank, caller, number(sweep))
        bank.sweeps.confirm(found.id, signers=bank.technical_signers(), who=caller.person, id=body.number)
        return _swept(bank.sweeps.get(found.id))

    return await runtime.perform("sweep.confirm", caller.person, body, work, place={"sweep": sweep})


@operation(
    router, "POST", "/sweeps/{sweep}/rejection", access=REJECT, status_code=201, response_model=SweepAnswer,
    responses=REPEATED, summary="Report that the bank refused a sweep",
)  # fmt: skip
async def reject_sweep(sweep: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Report that the bank refused a sweep: the money returns to the merchant. Operator 0 signs."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        found = _sweep(bank, caller, number(sweep))
        bank.sweeps.reject(found.id, signers=bank.technical_signers(), who=caller.person, id=body.number)
        return _swept(bank.sweeps.get(found.id))

    return await runtime.perform("sweep.reject", caller.person, body, work, place={"sweep": sweep})


# --- helpers ---


def _sweep(bank: Bank, caller: Caller, sweep: int) -> Sweep:
    """Return a sweep of a merchant that the caller may see."""
    with hidden("sweep"):
        found = bank.sweeps.get(sweep)
    if access.is_staff(bank, caller, found.operator) or access.acts_for(bank, caller, found.merchant):
        return found
    raise not_found("sweep")


def _swept(sweep: Sweep) -> dict[str, Any]:
    return {
        "sweep": ids.format(sweep.id),
        "minor": str(sweep.minor),
        "bank_reference": sweep.bank_reference,
        "state": sweep.state,
    }
