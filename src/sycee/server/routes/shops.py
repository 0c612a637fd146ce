"""Shops of programmes, the conditions before a drop, and the situation while packets are spent."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from sycee.bank import readiness
from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.canonical_json import canonical
from sycee.core.timestamps import exact_text
from sycee.programmes.shops import APPLY, CHECK, JOIN, Application
from sycee.programmes.situation_page import document
from sycee.server import access, paging
from sycee.server.operations import operation
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
    hidden,
    number,
)
from sycee.server.routes.programmes import Name, Number
from sycee.server.signing import ActionBody, Body, Id, Signatures

router = APIRouter(prefix="/v1", tags=["shops"])

States = Literal["", "applied", "accepted", "declined", "joined", "left"]


class ApplicationBody(ActionBody):
    """A merchant that applies. `group` and `wallet` may be omitted if there is one."""

    merchant: Id
    group: Annotated[str, Field(max_length=120)] = ""
    wallet: Id | None = None


class CheckBody(ActionBody):
    """The decision about an application, with a reason if it is declined."""

    accepted: bool
    reason: Annotated[str, Field(max_length=200)] = ""


class JoinBody(ActionBody):
    """The operator whose accepted shops join."""

    operator: Annotated[int, Field(ge=2, le=65_535)]


class EvidenceBody(ActionBody):
    """The result of a run elsewhere, as `sycee conformance --json` prints it. `operator`: 0 for a restored backup."""

    kind: Literal["conformance", "restore"]
    operator: Annotated[int, Field(ge=0, le=65_535)] = 0
    result: dict[str, Any]


class ShopRow(Body):
    """The application of a merchant's account for a group of a programme."""

    programme: str
    wallet: Id
    group: str
    merchant: Id
    operator: int
    state: str
    reason: str
    applied: Moment


class ShopPage(Body):
    """Applications, in the order of their wallets."""

    rows: tuple[ShopRow, ...]
    next: Next


class Joined(Body):
    """The number of shops of an operator in a programme."""

    operator: int
    joined: int


class UntestedRow(Body):
    """An outlet that took no payment since its merchant applied."""

    merchant: Id
    outlet: Id
    code: str
    operator: int


class Untested(Body):
    """Outlets without a test payment."""

    rows: tuple[UntestedRow, ...]


class ConditionRow(Body):
    """A condition before a drop. `met`: null if the system cannot know it."""

    name: str
    met: bool | None
    detail: str


class Conditions(Body):
    """The conditions of an occurrence. `go`: all are met."""

    go: bool
    conditions: tuple[ConditionRow, ...]


class Filed(Body):
    """Evidence that was filed."""

    kind: str
    operator: int
    passed: bool


class PartRow(Body):
    """Packets of an operator, or of a part of the list."""

    name: str
    packets: int
    claimed: int
    spent_gross_minor: Amount


class FlagRow(Body):
    """Unusual payments at a shop, which a person should look at. `wallet`: of a pair, otherwise empty."""

    kind: str
    shop: Id
    wallet: str
    count: int
    of: int
    threshold: str


class SituationAnswer(Body):
    """What was claimed, spent and refused as of `frame`. Refusals are numbers by the ledger's code."""

    frame: int
    members: int
    claimed: int
    payments: int
    dropped_minor: Amount
    spent_gross_minor: Amount
    refunded_minor: Amount
    own_gross_minor: Amount
    operators: tuple[PartRow, ...]
    parts: tuple[PartRow, ...]
    claims_refused: dict[str, int]
    payments_refused: dict[str, int]
    flags: tuple[FlagRow, ...]


@operation(
    router, "POST", "/programmes/{name}/shops", access=APPLY, status_code=201, response_model=ShopRow,
    responses=REPEATED, summary="Apply for a merchant group",
)  # fmt: skip
async def apply_for_group(name: Name, body: ApplicationBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Apply with a merchant's account for a merchant group of a programme."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        merchant = access.visible_merchant(bank, caller, number(body.merchant))
        wallet = number(body.wallet) if body.wallet else 0
        made = bank.shops.apply(name, merchant.id, who=caller.person, group=body.group, account=wallet)
        return _shop(made)

    return await runtime.perform(APPLY, caller.person, body, work, place={"name": name})


@operation(
    router, "POST", "/programmes/{name}/shops/{wallet}/check", access=CHECK, status_code=201, response_model=ShopRow,
    responses=REPEATED, summary="Accept or decline a shop",
)  # fmt: skip
async def check_shop(
    name: Name, wallet: PathId, body: CheckBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Accept an application, or decline it with a reason. Another person than the one who applied decides."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        with hidden("shop"):
            bank.shops.get(name, number(wallet))
        return _shop(
            bank.shops.check(name, number(wallet), accepted=body.accepted, reason=body.reason, who=caller.person)
        )

    return await runtime.perform(CHECK, caller.person, body, work, place={"name": name, "wallet": wallet})


@operation(
    router, "POST", "/programmes/{name}/shops/joining", access=JOIN, status_code=201, response_model=Joined,
    responses=SIGNED_ELSEWHERE, summary="Let accepted shops join",
)  # fmt: skip
async def join_shops(name: Name, body: JoinBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Let the accepted shops of an operator join, which signs. Packets then reach them."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        access.require_operator(caller, body.operator)
        signers = signatures.person(caller.person)
        joined = bank.shops.join(name, body.operator, signers=signers, who=caller.person, id=body.number)
        return {"operator": body.operator, "joined": len(joined)}

    return await runtime.perform(JOIN, caller.person, body, work, place={"name": name})


@operation(
    router, "POST", "/programmes/{name}/shops/{wallet}/leaving", access=JOIN, status_code=201, response_model=ShopRow,
    responses=SIGNED_ELSEWHERE, summary="Let a shop leave",
)  # fmt: skip
async def leave_group(
    name: Name, wallet: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Let a shop leave its group, for which its operator signs. Packets no longer reach it."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        with hidden("shop"):
            found = bank.shops.get(name, number(wallet))
        if not access.is_staff(bank, caller, found.operator):
            raise not_found("shop")
        signers = signatures.person(caller.person)
        return _shop(bank.shops.leave(name, found.account, signers=signers, who=caller.person, id=body.number))

    return await runtime.perform(JOIN, caller.person, body, work, place={"name": name, "wallet": wallet})


@operation(
    router, "GET", "/programmes/{name}/shops", access=CHECK, response_model=ShopPage, summary="Shops of a programme",
)  # fmt: skip
async def list_shops(
    name: Name, caller: TheCaller, runtime: TheRuntime,
    state: Annotated[States, Query(description="Only applications of this state")] = "",
    limit: paging.Limit = paging.ROWS, cursor: paging.Cursor = "",
) -> dict[str, Any]:  # fmt: skip
    """Return the applications of the operators that the caller works for; officers see all."""

    def work(bank: Bank) -> dict[str, Any]:
        after = paging.after_id(cursor)
        chosen = (state,) if state else ()
        found = bank.shops.list(
            name, operator=_operator(runtime, caller, name), states=chosen, after=after, most=limit + 1
        )
        return paging.page([_shop(each) for each in found[:limit]], paging.next_id(found, limit))

    return await runtime.call(work)


@operation(
    router, "GET", "/programmes/{name}/shops/untested", access=CHECK, response_model=Untested,
    summary="Outlets without a test payment",
)  # fmt: skip
async def untested_outlets(name: Name, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the outlets of accepted and joined shops that took no payment since their application."""

    def work(bank: Bank) -> dict[str, Any]:
        operator = _operator(runtime, caller, name)
        rows = [
            {
                "merchant": ids.format(each.merchant), "outlet": ids.format(each.outlet), "code": each.code,
                "operator": each.operator,
            }
            for each in bank.shops.untested(name)
            if operator in (None, each.operator)
        ]  # fmt: skip
        return {"rows": rows}

    return await runtime.call(work)


@operation(
    router, "GET", "/programmes/{name}/occurrences/{occurrence}/conditions", access=readiness.FILE,
    response_model=Conditions, summary="Go, or no go",
)  # fmt: skip
async def get_conditions(
    name: Name, occurrence: Number, caller: TheCaller, runtime: TheRuntime,
    zone: Annotated[str, Query(max_length=100, description="Zone to drop on; empty for the next one")] = "",
) -> dict[str, Any]:  # fmt: skip
    """Return the conditions before a drop, computed now."""

    def work(bank: Bank) -> dict[str, Any]:
        access.require_operator(caller, bank.programmes.get(name).operator)
        found = readiness.conditions(bank, name, occurrence, zone)
        rows = [{"name": each.name, "met": each.is_met, "detail": each.detail} for each in found]
        return {"go": all(each.is_met for each in found), "conditions": rows}

    return await runtime.call(work)


@operation(
    router, "POST", "/programmes/{name}/evidence", access=readiness.FILE, status_code=201, response_model=Filed,
    responses=REPEATED, summary="File the result of a run",
)  # fmt: skip
async def file_evidence(name: Name, body: EvidenceBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """File the result of a conformance run or of a restored backup for the conditions before a drop."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        if body.operator:
            access.require_operator(caller, body.operator)
        passed = readiness.file_evidence(
            bank, name, body.kind, canonical(body.result), who=caller.person, operator=body.operator
        )
        return {"kind": body.kind, "operator": body.operator, "passed": passed}

    return await runtime.perform(readiness.FILE, caller.person, body, work, place={"name": name})


@operation(
    router, "GET", "/programmes/{name}/occurrences/{occurrence}/situation", access=readiness.FILE,
    response_model=SituationAnswer, summary="Claimed, spent and refused so far",
)  # fmt: skip
async def get_situation(name: Name, occurrence: Number, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return what was claimed, spent and refused, by operator and part, and payments to examine."""

    def work(bank: Bank) -> dict[str, Any]:
        operator = bank.programmes.get(name).operator
        access.require_operator(caller, operator)
        bank.people.require(caller.person, readiness.FILE, operator=operator)
        return dict(_texts(document(bank.situations.read(name, occurrence))))

    return await runtime.call(work)


def _operator(runtime: TheRuntime, caller: TheCaller, name: str) -> int | None:
    """Return the operator whose shops the caller sees; None for all, which officers and the funder's operator see."""
    served = access.served_operators(runtime.bank, caller)
    funder = runtime.bank.programmes.get(name).operator
    return None if not served or funder in served else min(served)


def _shop(found: Application) -> dict[str, Any]:
    return {
        "programme": found.programme, "wallet": ids.format(found.account), "group": found.group,
        "merchant": ids.format(found.merchant), "operator": found.operator, "state": found.state,
        "reason": found.reason, "applied": exact_text(found.at_ns),
    }  # fmt: skip


def _texts(values: Any) -> Any:
    """Return a document with its amounts as texts, as all answers have them."""
    if isinstance(values, list):
        return [_texts(each) for each in values]
    if not isinstance(values, dict):
        return values
    return {key: str(value) if key.endswith("_minor") else _texts(value) for key, value in values.items()}
