"""Packets of a programme: who has one, claims of many, and the end at the expiry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.result_codes import Result
from sycee.programmes.drawing import CLOSE
from sycee.programmes.dropping import CLAIM, EXPIRE, PacketClaim
from sycee.programmes.registration_entering import REGISTER
from sycee.programmes.stored import Occurrence
from sycee.server import access, paging
from sycee.server.operations import operation
from sycee.server.routes.common import (
    REPEATED,
    SIGNED_ELSEWHERE,
    Amount,
    Next,
    TheCaller,
    TheRuntime,
    hidden,
    number,
)
from sycee.server.routes.programme_steps import STEP, take_step
from sycee.server.routes.programmes import Name, Number, OccurrenceRow
from sycee.server.signing import ActionBody, Body, Id, Signatures

router = APIRouter(prefix="/v1", tags=["programmes"])

CLAIMS_MAX: Final = 1_000


class WinnerRow(Body):
    """Who has a packet, without an identity. `bank`: in the file; `wallet`: named at registration, null for none."""

    place: int
    member: Id
    packet: str
    minor: Amount
    bank: str
    wallet: Id | None


class WinnerPage(Body):
    """Winners who chose an operator that the caller works for, by place in the cohort."""

    rows: tuple[WinnerRow, ...]
    next: Next


class MemberAndWallet(Body):
    """A packet, by its member in the cohort, and the wallet that claims it."""

    member: Id
    wallet: Id


class ClaimsBody(ActionBody):
    """Packets to claim into wallets of one operator."""

    claims: Annotated[tuple[MemberAndWallet, ...], Field(min_length=1, max_length=CLAIMS_MAX)]


class ClaimedRow(Body):
    """The outcome of a claim. `code`: why the ledger refused it, empty for a claimed packet."""

    member: Id
    wallet: Id
    code: str


class ClaimedRows(Body):
    """Outcomes in the order of the request."""

    rows: tuple[ClaimedRow, ...]


@operation(
    router, "GET", f"{STEP}/winners", access=REGISTER, response_model=WinnerPage, summary="List who has a packet",
)  # fmt: skip
async def list_winners(
    name: Name, occurrence: Number, caller: TheCaller, runtime: TheRuntime, limit: paging.Limit = paging.ROWS,
    cursor: paging.Cursor = "",
) -> dict[str, Any]:  # fmt: skip
    """Return the winners who chose an operator that the caller works for, without identities."""

    def work(bank: Bank) -> dict[str, Any]:
        (after,) = paging.decode(cursor, int) or (-1,)
        with hidden("occurrence"):
            served, operators = access.served_operators(bank, caller), bank.programmes.get(name).operators
            banks = {each for each, operator in operators.items() if operator in served}
            found = bank.registration_results.winners(name, occurrence, banks=banks, after=after, most=limit + 1)
        rows = [
            {
                "place": each.place, "member": ids.format(each.member), "packet": each.packet,
                "minor": str(each.minor), "bank": each.bank,
                "wallet": ids.format(each.wallet) if each.wallet else None,
            }
            for each in found[:limit]
        ]  # fmt: skip
        return paging.page(rows, (found[limit - 1].place,) if len(found) > limit else None)

    return await runtime.call(work)


@operation(
    router, "POST", f"{STEP}/claims/many", access=CLAIM, status_code=201, response_model=ClaimedRows,
    responses=SIGNED_ELSEWHERE, summary="Claim many packets",
)  # fmt: skip
async def claim_packets(
    name: Name, occurrence: Number, body: ClaimsBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Claim packets into wallets of one operator, which signs one CLAIM for each. All are checked before the first.

    A packet that the ledger refuses does not stop the others.
    """

    def work(bank: Bank, signatures: Signatures) -> Mapping[str, Any]:
        wallets = [access.served_wallet(bank, caller, number(each.wallet), CLAIM) for each in body.claims]
        if len({each.operator for each in wallets}) > 1:
            raise UsageError("the wallets are of several operators", hint="send those of each operator apart")
        claims = [
            PacketClaim(number(each.member), wallet.account) for each, wallet in zip(body.claims, wallets, strict=True)
        ]
        (outcome,) = bank.programmes.claim_many(
            name, occurrence, claims, signers=signatures.person(caller.person), who=caller.person, id=body.number
        )
        codes = ["" if each is Result.CREATED else each.name for each in outcome.results]
        rows = zip(body.claims, codes, strict=True)
        return {"rows": [{"member": each.member, "wallet": each.wallet, "code": code} for each, code in rows]}

    place = {"name": name, "occurrence": occurrence}
    return await runtime.perform("programme.claim-many", caller.person, body, work, place=place)


@operation(
    router, "POST", f"{STEP}/expiry", access=CLOSE, status_code=201, response_model=OccurrenceRow,
    responses=REPEATED, summary="Return the rest of every packet",
)  # fmt: skip
async def expire_occurrence(
    name: Name, occurrence: Number, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Return the rest of every packet to the funder, from the expiry on. A job of the server does the same."""

    def take(bank: Bank, _: Signatures) -> Occurrence:
        return bank.programmes.expire(name, occurrence)

    return await take_step(runtime, EXPIRE, caller, body, (name, occurrence), take)
