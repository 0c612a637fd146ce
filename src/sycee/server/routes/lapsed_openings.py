"""Openings of wallets whose signatures expired before the ledger had them: list them, and sign one anew."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.server import access, paging
from sycee.server.operations import operation
from sycee.server.routes.common import (
    SIGNED_ELSEWHERE,
    Next,
    OperatorNumber,
    PathId,
    TheCaller,
    TheRuntime,
    hidden,
    number,
)
from sycee.server.signing import ActionBody, Body, Id, Signatures
from sycee.wallets.opening import ACTION as OPEN

router = APIRouter(prefix="/v1", tags=["wallets"])


class LapsedRow(Body):
    """An opening whose signatures expired before the ledger had it. `wallet`: the first of its wallets."""

    opening: Id
    operator: int
    wallet: Id
    wallets: int
    tier: str
    key: Annotated[str, Field(description="Of the only wallet; empty for custodial ones")]
    kind: Annotated[str, Field(description="person or merchant")]


class LapsedPage(Body):
    """Openings, in the order of their ids."""

    rows: tuple[LapsedRow, ...]
    next: Next


class Renewed(Body):
    """An opening that was signed anew. `wallets`: how many are open."""

    opening: Id
    wallets: int


@operation(
    router, "GET", "/operators/{operator}/lapsed-openings", access=OPEN, response_model=LapsedPage,
    summary="List openings whose signatures expired",
)  # fmt: skip
async def list_lapsed_openings(
    operator: OperatorNumber, caller: TheCaller, runtime: TheRuntime,
    limit: paging.Limit = paging.ROWS, cursor: paging.Cursor = "",
) -> dict[str, Any]:  # fmt: skip
    """Return openings that a crash interrupted until their signatures had expired. Their wallets are not open."""

    def work(bank: Bank) -> dict[str, Any]:
        access.require_served(bank, caller, operator, OPEN)
        found = bank.wallets.lapsed(operator, after=paging.after_id(cursor), most=limit + 1)
        rows = [
            {
                "opening": ids.format(each.id),
                "operator": each.operator,
                "wallet": ids.format(each.account),
                "wallets": each.wallets,
                "tier": each.wallet_class,
                "key": each.key,
                "kind": "person" if each.is_person else "merchant",
            }
            for each in found[:limit]
        ]
        return paging.page(rows, paging.next_id(found, limit))

    return await runtime.call(work)


@operation(
    router, "POST", "/operators/{operator}/lapsed-openings/{opening}/renewal", access=OPEN, status_code=201,
    response_model=Renewed, responses=SIGNED_ELSEWHERE, summary="Sign a lapsed opening anew",
)  # fmt: skip
async def renew_opening(
    operator: OperatorNumber, opening: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Open the wallets of a lapsed opening; a person of the operator signs the stored records."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        access.require_operator(caller, operator)
        signers = signatures.person(caller.person)
        with hidden("opening"):
            bank.wallets.require_renewable(number(opening))
            wallets = bank.wallets.renew_one(number(opening), operator=operator, signers=signers, who=caller.person)
        return {"opening": opening, "wallets": wallets}

    place = {"operator": operator, "opening": opening}
    return await runtime.perform("wallet.renew", caller.person, body, work, place=place)
