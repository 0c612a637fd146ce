"""Institutions: entering, owners, settlement accounts, and the due diligence that two persons decide."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.timestamps import utc_text
from sycee.identity.duties import Duty
from sycee.identity.institutions import NAME_MAX, WHOLE_PPM, Institution
from sycee.identity.tables import MERCHANT
from sycee.personal import settlement_accounts
from sycee.server import access, paging
from sycee.server.auth.caller import Caller
from sycee.server.operations import OWN, SIGNED_IN, operation
from sycee.server.problems import Problem, not_found
from sycee.server.routes.common import (
    REPEATED,
    PathId,
    Proposed,
    TheCaller,
    TheRuntime,
    hidden,
    number,
    proposed,
)
from sycee.server.signing import ActionBody, Body, Id

router = APIRouter(prefix="/v1", tags=["institutions"])

OWNERS_MAX: Final = 100
Kind = Literal["issuer", "operator", "merchant", "auditor"]
State = Literal["applied", "approved", "active", "leaving", "left", "refused"]
CheckOutcome = Literal["passed", "failed"]


class Owner(Body):
    """A person who owns a part of an institution, in parts per million."""

    person: Id
    share_ppm: Annotated[int, Field(ge=1, le=WHOLE_PPM)]


SettlementText = Annotated[
    str, Field(max_length=60, description="Account at a bank; stored encrypted", examples=["CN00 1234 5678"])
]


class InstitutionBody(ActionBody):
    """An institution to enter. `operator`: of a merchant, the number of the operator that serves it."""

    kind: Kind
    name: Annotated[str, Field(min_length=1, max_length=NAME_MAX)]
    operator: Annotated[int | None, Field(ge=0, le=65_535)] = None
    participant: Annotated[str, Field(max_length=NAME_MAX, description="Id in the compliance network")] = ""
    owners: Annotated[tuple[Owner, ...], Field(max_length=OWNERS_MAX)] = ()
    settlement: SettlementText | None = None


class SettlementBody(ActionBody):
    """A new settlement account."""

    settlement: SettlementText


class CheckBody(ActionBody):
    """The outcome of one check."""

    check: Literal["papers", "owners"]
    outcome: CheckOutcome


class MerchantCheckBody(ActionBody):
    """The outcome of one check of a merchant."""

    check: Literal["papers", "owners", "settlement"]
    outcome: CheckOutcome


class Entered(Body):
    """The id of an institution."""

    institution: Id


class ListedInstitution(Body):
    """An institution: its name is public."""

    institution: Id
    kind: Kind
    name: str
    operator: int | None
    state: State


class InstitutionPage(Body):
    """Institutions, by id."""

    rows: tuple[ListedInstitution, ...]
    next: str | None


class ShownInstitution(ListedInstitution):
    """An institution with the newest outcome of each check. `settlement`: the state of its account, never its text."""

    participant: str
    made: str
    checks: dict[str, CheckOutcome]
    checks_needed: tuple[str, ...]
    settlement: Literal["none", "stated", "verified"]


class Owners(Body):
    """The owners of an institution, largest first."""

    rows: tuple[Owner, ...]


@operation(
    router, "POST", "/institutions", access="institution.apply", status_code=201, response_model=Entered,
    responses=REPEATED, summary="Enter an institution",
)  # fmt: skip
async def enter_institution(body: InstitutionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Enter an institution with its owners. It participates once its due diligence passed."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        bank.people.require(caller.person, "institution.apply", operator=body.operator)
        if body.operator is not None:
            access.require_operator(caller, body.operator)
        elif not access.has_duty(bank, caller, Duty.OFFICER):
            raise Problem("not-permitted", "you enter merchants of your own operator", hint="officers enter all others")
        account = settlement_accounts.sealed(bank.personal, body.number, body.settlement) if body.settlement else None
        made = bank.institutions.add(
            body.kind,
            body.name,
            by=caller.person,
            operator=body.operator,
            participant=body.participant,
            owners={number(each.person): each.share_ppm for each in body.owners},
            settlement=account,
            id=body.number,
        )
        return {"institution": ids.format(made)}

    return await runtime.perform("institution.apply", caller.person, body, work)


@operation(
    router, "GET", "/institutions", access=SIGNED_IN, response_model=InstitutionPage, summary="List institutions"
)
async def list_institutions(
    caller: TheCaller,
    runtime: TheRuntime,
    kind: Annotated[Kind | None, Query()] = None,
    limit: paging.Limit = paging.ROWS,
    cursor: paging.Cursor = "",
) -> dict[str, Any]:
    """Return names and states, which are public to everybody who is known."""

    def work(bank: Bank) -> dict[str, Any]:
        after = paging.after_id(cursor)
        found = bank.institutions.page(kind, after=after, most=limit + 1)
        place = (ids.format(found[limit - 1].id),) if len(found) > limit else None
        return paging.page([_listed(each) for each in found[:limit]], place)

    return await runtime.call(work)


@operation(
    router, "GET", "/institutions/{institution}", access=OWN, response_model=ShownInstitution,
    summary="Show an institution and its due diligence",
)  # fmt: skip
async def show_institution(institution: PathId, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the checks and the state of the settlement account, for its own persons, its operator and the board."""

    def work(bank: Bank) -> dict[str, Any]:
        found = _visible(bank, caller, institution)
        account = bank.institutions.settlement_of(found.id)
        return {
            **_listed(found),
            "participant": found.participant,
            "made": utc_text(found.made_ns),
            "checks": bank.institutions.checks_of(found.id),
            "checks_needed": sorted(found.checks_needed),
            "settlement": "none" if account is None else account.state,
        }

    return await runtime.call(work)


@operation(
    router, "GET", "/institutions/{institution}/owners", access=OWN, response_model=Owners,
    summary="List the owners of an institution",
)  # fmt: skip
async def list_owners(institution: PathId, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return who owns which share, as ids."""

    def work(bank: Bank) -> dict[str, Any]:
        found = bank.institutions.owners_of(_visible(bank, caller, institution).id)
        return {"rows": [{"person": ids.format(person), "share_ppm": share} for person, share in found.items()]}

    return await runtime.call(work)


@operation(
    router, "POST", "/institutions/{institution}/settlement", access="institution.apply", status_code=201,
    response_model=Entered, responses=REPEATED, summary="State a settlement account",
)  # fmt: skip
async def state_settlement(
    institution: PathId, body: SettlementBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Replace the settlement account. Two persons verify it before money is sent to it."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        found = _visible(bank, caller, institution)
        bank.people.require(caller.person, "institution.apply", operator=found.operator)
        account = settlement_accounts.sealed(bank.personal, found.id, body.settlement)
        bank.institutions.state_settlement(found.id, account, by=caller.person)
        return {"institution": institution}

    place = {"institution": institution}
    return await runtime.perform("institution.settlement", caller.person, body, work, place=place)


@operation(
    router, "POST", "/institutions/{institution}/checks", access="institution.verify", status_code=201,
    response_model=Proposed, responses=REPEATED, summary="Propose the outcome of a check of an institution",
)  # fmt: skip
async def decide_check(institution: PathId, body: CheckBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Propose that papers or owners of an operator, auditor or issuer passed. Another person signs."""
    return await _decide(institution, body, caller, runtime, "institution.verify")


@operation(
    router, "POST", "/merchants/{institution}/checks", access="merchant.verify", status_code=201,
    response_model=Proposed, responses=REPEATED, summary="Propose the outcome of a check of a merchant",
)  # fmt: skip
async def decide_merchant_check(
    institution: PathId, body: MerchantCheckBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Propose that papers, owners or settlement account of a merchant passed. Another person signs."""
    return await _decide(institution, body, caller, runtime, "merchant.verify")


async def _decide(
    institution: str, body: CheckBody | MerchantCheckBody, caller: Caller, runtime: TheRuntime, action: str
) -> JSONResponse:
    def work(bank: Bank, _: object) -> dict[str, Any]:
        found = _visible(bank, caller, institution)
        if (found.kind == MERCHANT) is not (action == "merchant.verify"):
            raise not_found("institution of this kind")
        return proposed(bank, bank.institutions.decide(found.id, body.check, body.outcome, maker=caller.person))

    return await runtime.perform(action, caller.person, body, work, place={"institution": institution})


def _visible(bank: Bank, caller: Caller, text: str) -> Institution:
    """Return an institution whose details the caller may see. Raises the problem `not-found` otherwise."""
    with hidden("institution"):
        found = bank.institutions.get(number(text))
    if access.may_audit(bank, caller) or access.has_duty(bank, caller, Duty.COMPLIANCE):
        return found
    if found.operator is not None and access.is_staff(bank, caller, found.operator):
        return found
    if access.acts_for(bank, caller, found.id) or caller.person in bank.institutions.owners_of(found.id):
        return found
    raise not_found("institution")


def _listed(found: Institution) -> dict[str, Any]:
    return {
        "institution": ids.format(found.id),
        "kind": found.kind,
        "name": found.name,
        "operator": found.operator,
        "state": found.state,
    }
