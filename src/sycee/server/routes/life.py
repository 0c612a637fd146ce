"""Events of a person's life: a lost phone, a guardian, a death, a dormant wallet, a court order, and their ends."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.keys import PublicKey
from sycee.core.timestamps import utc_text
from sycee.life.actions import GUARD, LIFT_ORDER, RECOVER
from sycee.life.rules import LifeEventKind
from sycee.life.service import COURT_ORDER, DECEASED, DORMANT
from sycee.personal.access import Reason
from sycee.server import access, paging
from sycee.server.operations import OWN, operation
from sycee.server.problems import not_found
from sycee.server.routes.common import (
    REPEATED,
    SIGNED_ELSEWHERE,
    Next,
    OperatorNumber,
    PathId,
    Proposed,
    TheCaller,
    TheRuntime,
    number,
    proposed,
)
from sycee.server.signing import ActionBody, Body, Id, Nanoseconds, Signatures, integer_of, perform
from sycee.wallets.dormancy import dormant_part

router = APIRouter(prefix="/v1", tags=["life"])

Before = Annotated[
    str,
    Query(
        pattern=r"^[0-9]{1,19}$", description="Nanoseconds since 1970-01-01T00:00:00Z", examples=["1793577600000000000"]
    ),
]
CaseField = Annotated[int, Field(ge=1, le=2**31 - 1, description="Number of an open case that concerns the person")]


class CaseBody(ActionBody):
    """An event with the case that proves it."""

    case: CaseField


class RecoveryBody(CaseBody):
    """A new key of a wallet. `proof`: the new key's signature, as `sycee key prove` makes it."""

    key: Annotated[str, Field(max_length=200)]
    proof: Annotated[str, Field(pattern="^[0-9a-f]{128}$")]


class DeathBody(CaseBody):
    """The operator whose wallets of the person are blocked."""

    operator: Annotated[int, Field(ge=0, le=65_535)]
    signer: Annotated[Id | None, Field(description="Who signs for the operator; by default the caller")] = None


class GuardianBody(ActionBody):
    """A guardian, until a time or until a later proposal; a time that is over ends it."""

    guardian: Id
    until_ns: Nanoseconds | None = None


class EndBody(ActionBody):
    """The end of a block, for a case where there is one."""

    case: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


class Event(Body):
    """An event that was recorded. `until`: the end of a recovery."""

    id: Id
    accounts: tuple[Id, ...]
    until: str | None = None


class ShownRestriction(Body):
    """A restriction that an event put on a wallet."""

    kind: Literal["phone-lost", "deceased", "dormant", "court-order"]
    event: Id
    from_ns: Nanoseconds
    until_ns: Nanoseconds | None
    state: Literal["starting", "active"]


class DormantWallet(Body):
    """An open wallet of a person that was not used for a time."""

    wallet: Id
    holder: Id


class DormantPage(Body):
    """Dormant wallets."""

    rows: tuple[DormantWallet, ...]
    next: Next


class Restrictions(Body):
    """The restrictions of a wallet."""

    rows: tuple[ShownRestriction, ...]


@operation(
    router, "GET", "/wallets/{wallet}/restrictions", access=OWN, response_model=Restrictions,
    summary="List the restrictions of a wallet",
)  # fmt: skip
async def list_restrictions(wallet: PathId, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return why a wallet is blocked, or may spend packets only."""

    def work(bank: Bank) -> dict[str, Any]:
        found = bank.life.restrictions(account=access.visible_wallet(bank, caller, number(wallet)).account)
        return {
            "rows": [
                {
                    "kind": each.kind,
                    "event": ids.format(each.event),
                    "from_ns": str(each.from_ns),
                    "until_ns": None if each.until_ns is None else str(each.until_ns),
                    "state": each.state,
                }
                for each in found
            ]
        }

    return await runtime.call(work)


@operation(
    router, "POST", "/wallets/{wallet}/recovery", access=RECOVER, status_code=201, response_model=Event,
    responses=SIGNED_ELSEWHERE, summary="Give a lost wallet a new key",
)  # fmt: skip
async def recover(wallet: PathId, body: RecoveryBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Give a wallet whose phone was lost a new key. For 24 hours it spends packets only, and the owner is told.

    The operator signs three steps together: the server answers 202 three times, and the last request has all envelopes.
    """

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        account = access.staff_wallet(bank, caller, number(wallet)).account
        done = bank.life.phone_lost(
            account,
            PublicKey.parse(body.key),
            bytes.fromhex(body.proof),
            evidence=access.access_of(caller, Reason.RECOVERY, body.case),
            signers=signatures.person(caller.person),
            id=body.number,
        )
        return {"id": body.id, "accounts": [wallet], "until": utc_text(done.until_ns)}

    return await runtime.perform(RECOVER, caller.person, body, work, place={"wallet": wallet})


@operation(
    router, "POST", "/wallets/{wallet}/recovery/end", access=RECOVER, status_code=201, response_model=Event,
    responses=SIGNED_ELSEWHERE, summary="Finish a recovery with a fresh signature",
)  # fmt: skip
async def finish_recovery(wallet: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Restore the earlier rules of a wallet after 24 hours, where the stored signature has expired."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        account = access.staff_wallet(bank, caller, number(wallet)).account
        signers = signatures.person(caller.person)
        done = bank.life.finish_recovery(account, who=caller.person, signers=signers)
        return {"id": body.id, "accounts": [wallet] if done else [], "until": None}

    return await runtime.perform("life.recovered", caller.person, body, work, place={"wallet": wallet})


@operation(
    router, "POST", "/persons/{person}/death", access=DECEASED, status_code=201, response_model=Event,
    responses=SIGNED_ELSEWHERE, summary="Block the wallets of a deceased person",
)  # fmt: skip
async def record_death(person: PathId, body: DeathBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Block the debits of a person's wallets at one operator. Money still arrives, for the estate."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        access.require_operator(caller, body.operator)
        if all(each.operator != body.operator for each in bank.directory.of_holder(number(person))):
            raise not_found("person")
        if not access.is_caseworker(bank, caller) and not access.is_staff(bank, caller, body.operator):
            raise not_found("person")
        done = bank.life.deceased(
            number(person),
            operator=body.operator,
            evidence=access.access_of(caller, Reason.DECEASED, body.case),
            signers=signatures.person(number(body.signer) if body.signer else caller.person),
            id=body.number,
        )
        return {"id": body.id, "accounts": [ids.format(each) for each in done.accounts], "until": None}

    return await runtime.perform(DECEASED, caller.person, body, work, place={"person": person})


@operation(
    router, "POST", "/wallets/{wallet}/estate", access=DECEASED, status_code=201, response_model=Event,
    responses=SIGNED_ELSEWHERE, summary="Lift the block of a deceased person's wallet",
)  # fmt: skip
async def release_estate(wallet: PathId, body: EndBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Lift the block for the estate. The operator signs."""
    return await runtime.run(_release, runtime, wallet, body, caller, LifeEventKind.DECEASED)


@operation(
    router, "GET", "/operators/{operator}/dormant-wallets", access=DORMANT, response_model=DormantPage,
    summary="List dormant wallets of an operator",
)  # fmt: skip
async def list_dormant_wallets(
    operator: OperatorNumber, caller: TheCaller, runtime: TheRuntime, before_ns: Before,
    limit: paging.Limit = paging.ROWS, cursor: paging.Cursor = "",
) -> dict[str, Any]:  # fmt: skip
    """Return open wallets of persons without a movement since a time. Each request reads a slice of the accounts.

    A page may have fewer rows than `limit`, or none, before the last page.
    """

    def work(bank: Bank) -> dict[str, Any]:
        access.require_served(bank, caller, operator, DORMANT)
        (start,) = paging.decode(cursor, int) or (0,)
        found, following = dormant_part(
            bank.stores, bank.directory, before_ns=integer_of(before_ns), start=start, most=limit, operator=operator
        )
        rows = [{"wallet": ids.format(each.account), "holder": ids.format(each.holder)} for each in found]
        return paging.page(rows, None if following is None else (following,))

    return await runtime.call(work)


@operation(
    router, "POST", "/wallets/{wallet}/dormancy", access=DORMANT, status_code=201, response_model=Event,
    responses=SIGNED_ELSEWHERE, summary="Block a dormant wallet",
)  # fmt: skip
async def mark_dormant(wallet: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Block the debits of a wallet that nobody has used for long; its owner is told. The operator signs."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        account = access.staff_wallet(bank, caller, number(wallet)).account
        signers = signatures.person(caller.person)
        bank.life.dormant(account, who=caller.person, signers=signers, id=body.number)
        return {"id": body.id, "accounts": [wallet], "until": None}

    return await runtime.perform(DORMANT, caller.person, body, work, place={"wallet": wallet})


@operation(
    router, "POST", "/wallets/{wallet}/dormancy/end", access=DORMANT, status_code=201, response_model=Event,
    responses=SIGNED_ELSEWHERE, summary="Lift the block of a dormant wallet",
)  # fmt: skip
async def end_dormancy(wallet: PathId, body: EndBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Lift the block of a dormant wallet. The operator signs."""
    return await runtime.run(_release, runtime, wallet, body, caller, LifeEventKind.DORMANT)


@operation(
    router, "POST", "/wallets/{wallet}/court-order", access=COURT_ORDER, status_code=201, response_model=Event,
    responses=SIGNED_ELSEWHERE, summary="Block a wallet by court order",
)  # fmt: skip
async def record_court_order(wallet: PathId, body: CaseBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Block the debits of a wallet. The operator, or an officer, signs; only officers lift the block."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        account = access.staff_wallet(bank, caller, number(wallet), or_officer=True).account
        evidence = access.access_of(caller, Reason.COURT_ORDER, body.case)
        signers = signatures.person(caller.person)
        bank.life.court_order(account, evidence=evidence, signers=signers, id=body.number)
        return {"id": body.id, "accounts": [wallet], "until": None}

    return await runtime.perform(COURT_ORDER, caller.person, body, work, place={"wallet": wallet})


@operation(
    router, "POST", "/wallets/{wallet}/court-order/end", access=LIFT_ORDER, status_code=201, response_model=Proposed,
    responses=REPEATED, summary="Propose to lift a block by court order",
)  # fmt: skip
async def lift_court_order(wallet: PathId, body: EndBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Propose the end of a court order. Officers sign."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        account = access.visible_wallet(bank, caller, number(wallet)).account
        return proposed(bank, bank.life.lift_order(account, case=body.case, maker=caller.person))

    return await runtime.perform(LIFT_ORDER, caller.person, body, work, place={"wallet": wallet})


@operation(
    router, "POST", "/persons/{person}/guardian", access=GUARD, status_code=201, response_model=Proposed,
    responses=REPEATED, summary="Propose a guardian",
)  # fmt: skip
async def propose_guardian(person: PathId, body: GuardianBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Propose that a guardian acts for a person. A compliance officer or an officer of the board signs."""
    until_ns = integer_of(body.until_ns) if body.until_ns else None

    def work(bank: Bank, _: object) -> dict[str, Any]:
        ward, guardian = number(person), number(body.guardian)
        if not access.is_caseworker(bank, caller) and not access.serves_person(bank, caller, ward):
            raise not_found("person")
        if bank.people.state_of(ward) is None or bank.people.state_of(guardian) is None:
            raise not_found("person")
        return proposed(bank, bank.life.guardian(ward, guardian, maker=caller.person, until_ns=until_ns))

    return await runtime.perform(GUARD, caller.person, body, work, place={"person": person})


def _release(runtime: TheRuntime, wallet: str, body: EndBody, caller: TheCaller, kind: LifeEventKind) -> JSONResponse:
    bank = runtime.bank

    def work(signatures: Signatures) -> dict[str, Any]:
        account = access.staff_wallet(bank, caller, number(wallet)).account
        signers = signatures.person(caller.person)
        bank.life.release(account, kind, who=caller.person, signers=signers, case=body.case, id=body.number)
        return {"id": body.id, "accounts": [wallet], "until": None}

    return perform(bank, f"life.release {kind.value}", caller.person, body, work, place={"wallet": wallet})
