"""Cases and claims: opening, steps with the operations they lead to, and money that a return did not find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.cases.claims import REVERSE, Claim
from sycee.cases.service import ACT, OPEN_ACTION, Case
from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.records.proposal_format import Proposal
from sycee.core.timestamps import utc_text
from sycee.identity.duties import Duty
from sycee.personal.access import READ, Reason
from sycee.server import access, paging
from sycee.server.auth.caller import Caller
from sycee.server.operations import SIGNED_IN, operation
from sycee.server.problems import not_found
from sycee.server.routes.common import (
    REPEATED,
    SIGNED_ELSEWHERE,
    PathId,
    Proposed,
    TheCaller,
    TheRuntime,
    hidden,
    number,
    proposed,
)
from sycee.server.signing import ActionBody, Body, Id, Minor, Signatures, integer_of

router = APIRouter(prefix="/v1", tags=["cases"])

READS_MAX: Final = 10  # reads of ROWS cases for one page
NOTE_MAX: Final = 4_000
CaseNumber = Annotated[int, Path(ge=1, le=2**31 - 1, description="Number of the case")]
Note = Annotated[str, Field(max_length=NOTE_MAX, description="Stored encrypted")]


class CaseBody(ActionBody):
    """A case to open: about a payment or a person, as its kind requires."""

    kind: Annotated[str, Field(max_length=40, examples=["unauthorised"])]
    payment: Id | None = None
    person: Id | None = None
    text: Note = ""


class StepBody(ActionBody):
    """A step in a case. `minor`: the part to hold or return; all of it by default.

    `signer`: the person who signs the step's operation for the payee's operator; by default the caller, if they can.
    """

    step: Annotated[str, Field(max_length=40, examples=["hold"])]
    minor: Minor | None = None
    signer: Id | None = None
    text: Note = ""


class Opened(Body):
    """The number of a case."""

    case: int


class Step(Body):
    """A case after a step. `proposal`: of a return that officers must sign before the step is taken."""

    case: int
    state: str
    proposal: Id | None
    needs: tuple[str, ...]


class ListedCase(Body):
    """A case. `deadline`: of its state. `held`: money that waits for the decision, in minor units; `hold`: its hold."""

    case: int
    kind: str
    state: str
    open: bool
    opened: str
    deadline: str | None
    person: Id
    payment: Id | None
    owner: Id
    held: str
    hold: Id | None
    steps: tuple[str, ...]


class CasePage(Body):
    """Cases that the caller may see, by number. A page may have fewer rows than `limit` before the last page."""

    rows: tuple[ListedCase, ...]
    next: str | None


class CaseEvent(Body):
    """An event of a case. `has_text`: a text is stored, which `/texts` shows after an entry in the access log."""

    number: int
    what: str
    time: str
    who: Id
    detail: dict[str, Any]
    has_text: bool


class ShownCase(ListedCase):
    """A case with its events."""

    events: tuple[CaseEvent, ...]


class CaseText(Body):
    """The text of an event."""

    number: int
    text: str


class CaseTexts(Body):
    """The texts of a case, in the order of its events."""

    rows: tuple[CaseText, ...]


class ShownClaim(Body):
    """Money that a return did not find. `left`: the amount that can still be collected. Amounts are minor units."""

    claim: Id
    case: int
    payment: Id
    minor: str
    collected: str
    left: str
    state: Literal["prepared", "open", "collected", "written_off"]


class Claims(Body):
    """Claims of cases that the caller may see, oldest first."""

    rows: tuple[ShownClaim, ...]


class Ended(Body):
    """The id of a claim that ended."""

    claim: Id


@operation(
    router, "POST", "/cases", access=OPEN_ACTION, status_code=201, response_model=Opened, responses=REPEATED,
    summary="Open a case",
)  # fmt: skip
async def open_case(body: CaseBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Open a case about a payment or a person. The caller owns it.

    Customers open cases about themselves and their payments, clerks and operators about their customers.
    """

    def work(bank: Bank, _: object) -> dict[str, Any]:
        person = number(body.person) if body.person else 0
        payment = number(body.payment) if body.payment else 0
        _require_concerned(bank, caller, person, payment)
        made = bank.cases.open(
            body.kind, by=caller.person, person=person, payment=payment, text=body.text, id=body.number
        )
        return {"case": made}

    return await runtime.perform(OPEN_ACTION, caller.person, body, work)


@operation(router, "GET", "/cases", access=SIGNED_IN, response_model=CasePage, summary="List the caller's cases")
async def list_cases(
    caller: TheCaller,
    runtime: TheRuntime,
    all: Annotated[bool, Query(description="Also decided cases")] = False,
    due: Annotated[bool, Query(description="Only cases whose deadline is reached")] = False,
    limit: paging.Limit = paging.ROWS,
    cursor: paging.Cursor = "",
) -> dict[str, Any]:
    """Return the cases that the caller owns, is concerned by, or serves; caseworkers and the board see all."""

    def work(bank: Bank) -> dict[str, Any]:
        after = paging.decode(cursor, int)[0] if cursor else 0
        now_ns = bank.stores.clock.now_ns()
        sees, rows = _viewer(bank, caller), list[dict[str, Any]]()
        for _ in range(READS_MAX):
            part = bank.cases.page(after=after, most=paging.ROWS, only_open=not all)
            for case in part:
                after = case.number
                if (not due or 0 < case.deadline_ns <= now_ns) and sees(case):
                    rows.append(_listed(bank, case))
                if len(rows) == limit:
                    return paging.page(rows, (after,))
            if len(part) < paging.ROWS:
                return paging.page(rows, None)
        return paging.page(rows, (after,))

    return await runtime.call(work)


@operation(router, "GET", "/cases/{case}", access=SIGNED_IN, response_model=ShownCase, summary="Show a case")
async def show_case(case: CaseNumber, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return a case with its events, without the texts."""

    def work(bank: Bank) -> dict[str, Any]:
        found = _found(bank, caller, case)
        return {
            **_listed(bank, found),
            "events": [
                {
                    "number": each.number,
                    "what": each.what,
                    "time": utc_text(each.at_ns),
                    "who": ids.format(each.who),
                    "detail": dict(each.detail),
                    "has_text": each.sealed is not None,
                }
                for each in bank.cases.events(found.number)
            ],
        }

    return await runtime.call(work)


@operation(
    router, "GET", "/cases/{case}/texts", access=READ, response_model=CaseTexts, summary="Read the texts of a case"
)
async def read_case_texts(
    case: CaseNumber, caller: TheCaller, runtime: TheRuntime, reason: Annotated[Reason, Query()] = Reason.DISPUTE
) -> dict[str, Any]:
    """Return the free texts of an open case, after an entry in the access log for each."""

    def work(bank: Bank) -> dict[str, Any]:
        found = _found(bank, caller, case)
        reader = access.access_of(caller, reason, found.number)
        return {
            "rows": [
                {"number": each.number, "text": bank.cases.text_of(found.number, each, access=reader)}
                for each in bank.cases.events(found.number)
                if each.sealed
            ]
        }

    return await runtime.call(work)


@operation(
    router, "POST", "/cases/{case}/steps", access=ACT, status_code=201, response_model=Step,
    responses=SIGNED_ELSEWHERE, summary="Take a step in a case",
)  # fmt: skip
async def act_in_case(case: CaseNumber, body: StepBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Take a step. The payee's operator signs what holds or releases money; two officers sign a return."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        found = _found(bank, caller, case)
        signer = number(body.signer) if body.signer else caller.person
        may_sign = body.signer or access.has_duty(bank, caller, Duty.OPERATOR)
        result = bank.cases.act(
            found.number,
            body.step,
            who=caller.person,
            signers=signatures.person(signer) if may_sign else (),
            text=body.text,
            minor=integer_of(body.minor) if body.minor else 0,
            id=body.number,
        )
        if isinstance(result, Proposal):
            made = proposed(bank, result)
            state = bank.cases.get(found.number).state
            return {"case": case, "state": state, "proposal": made["proposal"], "needs": made["needs"]}
        return {"case": case, "state": result.state, "proposal": None, "needs": []}

    return await runtime.perform(ACT, caller.person, body, work, place={"case": case})


@operation(router, "GET", "/claims", access=SIGNED_IN, response_model=Claims, summary="List claims")
async def list_claims(
    caller: TheCaller, runtime: TheRuntime, all: Annotated[bool, Query(description="Also claims that ended")] = False
) -> dict[str, Any]:
    """Return the claims of cases that the caller may see: money that returns did not find."""

    def work(bank: Bank) -> dict[str, Any]:
        sees = _viewer(bank, caller)
        found = bank.claims.list(only_open=not all)
        return {"rows": [_claim(each) for each in found if sees(bank.cases.get(each.case))]}

    return await runtime.call(work)


@operation(
    router, "POST", "/claims/{claim}/collection", access=REVERSE, status_code=201, response_model=Proposed,
    responses=REPEATED, summary="Propose to collect a claim",
)  # fmt: skip
async def collect_claim(claim: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Propose to take the money that the payee has now. Two officers sign."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        with hidden("claim"):
            bank.claims.get(number(claim))
        return proposed(bank, bank.claims.collect(number(claim), maker=caller.person, id=body.number))

    return await runtime.perform("claim.collect", caller.person, body, work, place={"claim": claim})


@operation(
    router, "POST", "/claims/{claim}/write-off", access=REVERSE, status_code=201, response_model=Ended,
    responses=REPEATED, summary="Write a claim off",
)  # fmt: skip
async def write_claim_off(claim: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """End a claim that nobody can collect."""

    def work(bank: Bank, request: Signatures) -> dict[str, Any]:
        with hidden("claim"):
            bank.claims.get(number(claim))
        answer = {"claim": claim}
        bank.claims.write_off(number(claim), who=caller.person, also=request.answered(answer))
        return answer

    return await runtime.perform("claim.write-off", caller.person, body, work, place={"claim": claim})


def _require_concerned(bank: Bank, caller: Caller, person: int, payment: int) -> None:
    """Raise UsageError unless person and payment concern the caller, or customers of the caller's operator.

    An unknown payment has the same answer as one of others.
    """
    if access.has_duty(bank, caller, Duty.CASEWORKER):
        return
    served = access.served_operators(bank, caller)

    def concerns(account: int) -> bool:
        wallet = bank.directory.find(account) if account else None
        return wallet is not None and (wallet.operator in served or access.acts_for(bank, caller, wallet.holder))

    if payment:
        try:
            found = bank.cases.payment(payment)
        except UsageError:
            raise _foreign() from None
        if not concerns(found.payer) and not concerns(found.payee):
            raise _foreign()
    if person and person != caller.person and not access.serves_person(bank, caller, person):
        sides = (found.payer, found.payee) if payment else ()
        holders = {wallet.holder for each in sides if each and (wallet := bank.directory.find(each))}
        if not served or person not in holders:
            raise _foreign()


def _foreign() -> UsageError:
    return UsageError(
        "the payment or person is unknown, or none of yours", hint="a caseworker opens cases about everybody"
    )


def _found(bank: Bank, caller: Caller, case: int) -> Case:
    """Return a case that the caller may see. Raises the problem `not-found` otherwise."""
    with hidden("case"):
        found = bank.cases.get(case)
    if not _viewer(bank, caller)(found):
        raise not_found("case")
    return found


def _viewer(bank: Bank, caller: Caller) -> Callable[[Case], bool]:
    """Return what decides whether the caller may see a case."""
    sees_all = access.may_audit(bank, caller) or access.has_duty(bank, caller, Duty.CASEWORKER, Duty.COMPLIANCE)
    served = access.served_operators(bank, caller)

    def sees(case: Case) -> bool:
        if sees_all or caller.person in (case.owner, case.person):
            return True
        if not served:
            return False
        payee = bank.directory.find(case.account) if case.account else None
        return (payee is not None and payee.operator in served) or access.serves_person(bank, caller, case.person)

    return sees


def _listed(bank: Bank, case: Case) -> dict[str, Any]:
    hold = bank.stores.ledger.find_hold(case.hold) if case.hold else None
    return {
        "case": case.number,
        "kind": case.kind,
        "state": case.state,
        "open": case.is_open,
        "opened": utc_text(case.opened_ns),
        "deadline": utc_text(case.deadline_ns) if case.deadline_ns else None,
        "person": ids.format(case.person),
        "payment": ids.format(case.payment) if case.payment else None,
        "owner": ids.format(case.owner),
        "held": str(hold.held if hold else 0),
        "hold": ids.format(case.hold) if case.hold else None,
        "steps": [step.name for step in bank.cases.rules.kind(case.kind).steps_from(case.state)],
    }


def _claim(claim: Claim) -> dict[str, Any]:
    return {
        "claim": ids.format(claim.reverse),
        "case": claim.case,
        "payment": ids.format(claim.original),
        "minor": str(claim.minor),
        "collected": str(claim.recovered),
        "left": str(claim.missing_minor),
        "state": claim.state,
    }
