"""Vouchers: groups, pre-activation, activation, redemption, cancellation, and the status of each and of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.timestamps import exact_text
from sycee.server import access, paging
from sycee.server.auth.caller import Caller
from sycee.server.operations import OWN, operation
from sycee.server.problems import Problem, not_found
from sycee.server.routes.common import (
    REPEATED,
    SIGNED_ELSEWHERE,
    Amount,
    Moment,
    Next,
    PathId,
    Proposed,
    TheCaller,
    TheRuntime,
    hidden,
    number,
    proposed,
)
from sycee.server.signing import ActionBody, Body, Id, Minor, Nanoseconds, Signatures, integer_of
from sycee.vouchers.groups import PROPOSE, RETURN, Group
from sycee.vouchers.numbers import SERIAL_MAX
from sycee.vouchers.refusals import AttemptsExhausted
from sycee.vouchers.service import ACTIVATE, CANCEL, ISSUE, PRINT, REDEEM, ROWS_MAX, RowResult
from sycee.vouchers.steps import Step, Voucher
from sycee.vouchers.tables import OPEN

Value = TypeVar("Value")

router = APIRouter(prefix="/v1", tags=["vouchers"])

RETRY_S: Final = 3_600  # wrong numbers are counted by local day
GroupName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9-]{1,39}$", description="Name of the group of vouchers")]
PathSerial = Annotated[int, Path(ge=1, le=SERIAL_MAX, description="Serial of a voucher")]
Serial = Annotated[int, Field(ge=1, le=SERIAL_MAX, description="Serial of a voucher", examples=[17])]
Beneficiary = Annotated[
    str, Field(min_length=1, max_length=60, description="Id in the caller's register; stored as a keyed hash")
]
State = Annotated[str, Field(description="reserving, refused, preactivated, activated, redeemed, cancelled or expired")]


class GroupBody(ActionBody):
    """A group of vouchers. `merchants`: payee group of the programme; may be omitted if it has one."""

    group: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,39}$", examples=["school-2026"])]
    programme: Annotated[str, Field(max_length=80)]
    merchants: Annotated[str, Field(max_length=120)] = ""
    budget_minor: Minor
    until_ns: Nanoseconds


class AmountsBody(ActionBody):
    """The amounts of new vouchers."""

    amounts: Annotated[tuple[Minor, ...], Field(min_length=1, max_length=ROWS_MAX)]


class ActivationRow(Body):
    """A voucher and the beneficiary who gets it."""

    serial: Serial
    beneficiary: Beneficiary


class ActivationBody(ActionBody):
    """Vouchers to activate."""

    rows: Annotated[tuple[ActivationRow, ...], Field(min_length=1, max_length=ROWS_MAX)]


class CancellationBody(ActionBody):
    """Vouchers to cancel."""

    serials: Annotated[tuple[Serial, ...], Field(min_length=1, max_length=ROWS_MAX)]


class RedemptionBody(ActionBody):
    """A redemption. `voucher`: the number, 24 digits; `shop`: the account that is paid. `beneficiary`: compared."""

    voucher: Annotated[str, Field(min_length=1, max_length=40, examples=["0000 0000 1742 1190 5773 0266"])]
    shop: Id
    minor: Minor
    beneficiary: Annotated[str, Field(max_length=60)] = ""


class GroupRow(Body):
    """A group of vouchers. `account`: of the group, on the ledger. `state`: proposed, open or refused.

    `balance_minor`: what refunds and returns by authority left on the account.
    """

    group: str
    programme: str
    merchants: str
    funder: Id
    account: Id
    operator: int
    budget_minor: Amount
    balance_minor: Amount
    until_ns: Nanoseconds
    state: str


class GroupRows(Body):
    """The groups of the operators that the caller works for; all for officers and auditors."""

    rows: tuple[GroupRow, ...]


class ResultRow(Body):
    """The outcome of one row. `outcome`: done, refused, or sent while the ledger has not answered. `state`: now."""

    serial: int
    step: str
    outcome: str
    code: str
    minor: Amount
    state: str


class Results(Body):
    """The rows of a request, by serial."""

    batch: Id
    rows: tuple[ResultRow, ...]


class ResultPage(Body):
    """Rows of a request, by serial."""

    rows: tuple[ResultRow, ...]
    next: Next


class NumberRow(Body):
    """A voucher with its number, which is the money: print it or send it, and store it nowhere."""

    serial: int
    number: str


class Numbers(Body):
    """The numbers of the vouchers of a batch that still have money."""

    rows: tuple[NumberRow, ...]


class Redeemed(Body):
    """A redemption. `payment`: the operation that paid the shop. `rest_minor`, `state`: of the voucher then."""

    payment: Id
    serial: int
    minor: Amount
    rest_minor: Amount
    state: State


class StepRow(Body):
    """An action on a voucher. `id`: of the request or of the payment; `who`: the person who asked."""

    step: str
    outcome: str
    code: str
    minor: Amount
    shop: Id | None
    id: Id
    who: Id
    at: Moment


class VoucherAnswer(Body):
    """A voucher: what it promised, what shops got, what is left, and what returned to the funder."""

    serial: int
    group: str
    state: State
    minor: Amount
    redeemed_minor: Amount
    rest_minor: Amount
    returned_minor: Amount
    until_ns: Nanoseconds
    steps: tuple[StepRow, ...]


class Returned(Body):
    """The money of a group's account that went to its funder."""

    group: str
    minor: Amount


@operation(
    router, "POST", "/vouchers/groups", access=PROPOSE, status_code=201, response_model=Proposed, responses=REPEATED,
    summary="Propose a group of vouchers",
)  # fmt: skip
async def propose_voucher_group(body: GroupBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Propose budget, end and shops of a group of vouchers; two officers sign."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        made = bank.vouchers.groups.propose(
            body.group, body.programme, merchants=body.merchants, budget_minor=integer_of(body.budget_minor),
            until_ns=integer_of(body.until_ns), maker=caller.person, id=body.number,
        )  # fmt: skip
        return proposed(bank, made)

    return await runtime.perform(PROPOSE, caller.person, body, work)


@operation(router, "GET", "/vouchers/groups", access=OWN, response_model=GroupRows, summary="Groups of vouchers")
async def list_voucher_groups(caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the groups by name."""

    def work(bank: Bank) -> dict[str, Any]:
        return {"rows": [_group_row(bank, each) for each in bank.vouchers.groups.list() if _sees(bank, caller, each)]}

    return await runtime.call(work)


@operation(
    router, "POST", "/vouchers/groups/{name}/batches", access=ISSUE, status_code=201, response_model=Results,
    responses=SIGNED_ELSEWHERE, summary="Pre-activate vouchers",
)  # fmt: skip
async def reserve_vouchers(name: GroupName, body: AmountsBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Reserve money of the funder for new vouchers; the operator signs one HOLD for each. The answer has no numbers."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        group = _own_group(bank, caller, name)
        rows = bank.vouchers.reserve(
            group.group, [integer_of(each) for each in body.amounts], signers=signatures.person(caller.person),
            who=caller.person, id=body.number,
        )  # fmt: skip
        return _results(body, rows)

    return await runtime.perform(ISSUE, caller.person, body, work, place={"name": name})


@operation(
    router, "GET", "/vouchers/batches/{batch}", access=OWN, response_model=ResultPage, summary="Status of a batch",
)  # fmt: skip
async def show_voucher_batch(
    batch: PathId, caller: TheCaller, runtime: TheRuntime, limit: paging.Limit = paging.ROWS, cursor: paging.Cursor = ""
) -> dict[str, Any]:
    """Return the rows of a request, each with its outcome and the state of its voucher now."""

    def work(bank: Bank) -> dict[str, Any]:
        _seen(bank, caller, number(batch))
        (after,) = paging.decode(cursor, int) or (0,)
        rows = bank.vouchers.batch(number(batch), after=after, most=limit + 1)
        place = (rows[limit - 1].serial,) if len(rows) > limit else None
        return paging.page([_result(each) for each in rows[:limit]], place)

    return await runtime.call(work)


@operation(
    router, "POST", "/vouchers/batches/{batch}/numbers", access=PRINT, response_model=Numbers,
    summary="Numbers of the vouchers of a batch",
)  # fmt: skip
async def voucher_numbers(batch: PathId, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the numbers for printing. The log of each voucher names the reader."""

    def work(bank: Bank) -> dict[str, Any]:
        group = _seen(bank, caller, number(batch))
        access.require_operator(caller, group.operator)
        found = bank.vouchers.numbers(number(batch), who=caller.person)
        return {"rows": [{"serial": serial, "number": text} for serial, text in found.items()]}

    return await runtime.call(work)


@operation(
    router, "POST", "/vouchers/groups/{name}/activations", access=ACTIVATE, status_code=201, response_model=Results,
    responses=REPEATED, summary="Activate vouchers",
)  # fmt: skip
async def activate_vouchers(
    name: GroupName, body: ActivationBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Activate vouchers, each for a beneficiary, once they are allotted. Moves no money."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        group = _own_group(bank, caller, name)
        rows = [(each.serial, each.beneficiary) for each in body.rows]
        return _results(body, bank.vouchers.activate(group.group, rows, who=caller.person, id=body.number))

    return await runtime.perform(ACTIVATE, caller.person, body, work, place={"name": name})


@operation(
    router, "POST", "/vouchers/groups/{name}/cancellations", access=CANCEL, status_code=201, response_model=Results,
    responses=SIGNED_ELSEWHERE, summary="Cancel vouchers",
)  # fmt: skip
async def cancel_vouchers(
    name: GroupName, body: CancellationBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Return the rest of vouchers to the funder; the operator signs one VOID for each."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        group = _own_group(bank, caller, name)
        signers = signatures.person(caller.person)
        rows = bank.vouchers.cancel(group.group, body.serials, signers=signers, who=caller.person, id=body.number)
        return _results(body, rows)

    return await runtime.perform(CANCEL, caller.person, body, work, place={"name": name})


@operation(
    router, "POST", "/vouchers/groups/{name}/returns", access=RETURN, status_code=201, response_model=Returned,
    responses=SIGNED_ELSEWHERE, summary="Return money to the funder",
)  # fmt: skip
async def return_voucher_money(
    name: GroupName, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Return what refunds and returns by authority left on a group's account; the operator signs."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        group = _own_group(bank, caller, name)
        signers = signatures.person(caller.person)
        minor = bank.vouchers.groups.return_money(group.group, signers=signers, who=caller.person, id=body.number)
        return {"group": group.group, "minor": str(minor)}

    return await runtime.perform(RETURN, caller.person, body, work, place={"name": name})


@operation(
    router, "POST", "/vouchers/redemptions", access=REDEEM, status_code=201, response_model=Redeemed,
    responses=SIGNED_ELSEWHERE, summary="Redeem a voucher",
)  # fmt: skip
async def redeem_voucher(body: RedemptionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Pay a shop from a voucher; the operator signs a POST and a PAY in one chain. Wrong numbers are limited."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        operator = bank.vouchers.operator_of(body.voucher)
        if operator is not None:
            access.require_operator(caller, operator)
        signers = signatures.person(caller.person)
        made = _counted(
            lambda: bank.vouchers.redeem(
                body.voucher, number(body.shop), integer_of(body.minor), signers=signers, who=caller.person,
                beneficiary=body.beneficiary, operation=body.number,
            )
        )  # fmt: skip
        return {
            "payment": ids.format(made.payment), "serial": made.serial, "minor": str(made.minor),
            "rest_minor": str(made.rest_minor), "state": made.state,
        }  # fmt: skip

    return await runtime.perform(REDEEM, caller.person, body, work)


@operation(router, "GET", "/vouchers/{serial}", access=OWN, response_model=VoucherAnswer, summary="Status of a voucher")
async def show_voucher(serial: PathSerial, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return a voucher and what was done with it, to the staff of its operator, officers and auditors."""

    def work(bank: Bank) -> dict[str, Any]:
        with hidden("voucher"):
            found = bank.vouchers.get(serial)
        if not _sees(bank, caller, bank.vouchers.groups.get(found.group)):
            raise not_found("voucher")
        return _voucher(found, bank.vouchers.steps(serial))

    return await runtime.call(work)


# --- helpers ---


def _sees(bank: Bank, caller: Caller, group: Group) -> bool:
    return access.is_staff(bank, caller, group.operator) or access.may_audit(bank, caller)


def _own_group(bank: Bank, caller: Caller, name: str) -> Group:
    """Return a group of an operator that the caller works for. Raises the problem `not-found` otherwise."""
    with hidden("group of vouchers"):
        found = bank.vouchers.groups.get(name)
    if not access.is_staff(bank, caller, found.operator):
        raise not_found("group of vouchers")
    return found


def _seen(bank: Bank, caller: Caller, batch: int) -> Group:
    """Return the group of a batch that the caller may see. Raises the problem `not-found` otherwise."""
    with hidden("batch"):
        found = bank.vouchers.group_of(batch)
    if not _sees(bank, caller, found):
        raise not_found("batch")
    return found


def _counted(work: Callable[[], Value]) -> Value:
    """Return what `work` returns. Raises the problem `too-many-requests` after the wrong numbers of one day."""
    try:
        return work()
    except AttemptsExhausted as error:
        headers = {"Retry-After": str(RETRY_S)}
        raise Problem("too-many-requests", error.message, hint=error.hint, headers=headers) from error


def _results(body: ActionBody, rows: Sequence[RowResult]) -> dict[str, Any]:
    return {"batch": body.id, "rows": [_result(each) for each in rows]}


def _result(found: RowResult) -> dict[str, Any]:
    return {
        "serial": found.serial, "step": found.step, "outcome": found.outcome, "code": found.code,
        "minor": str(found.minor), "state": found.state,
    }  # fmt: skip


def _group_row(bank: Bank, found: Group) -> dict[str, Any]:
    balance = bank.stores.ledger.balance(found.account) if found.state == OPEN else 0
    return {
        "group": found.group, "programme": found.programme, "merchants": found.merchants,
        "funder": ids.format(found.funder), "account": ids.format(found.account), "operator": found.operator,
        "budget_minor": str(found.budget_minor), "balance_minor": str(balance), "until_ns": str(found.until_ns),
        "state": found.state,
    }  # fmt: skip


def _voucher(found: Voucher, steps: Sequence[Step]) -> dict[str, Any]:
    return {
        "serial": found.serial, "group": found.group, "state": found.state, "minor": str(found.minor),
        "redeemed_minor": str(found.redeemed_minor), "rest_minor": str(found.rest_minor),
        "returned_minor": str(found.returned_minor), "until_ns": str(found.until_ns),
        "steps": [
            {
                "step": each.step, "outcome": each.state, "code": each.code, "minor": str(each.minor),
                "shop": ids.format(each.payee) if each.payee is not None else None, "id": ids.format(each.id),
                "who": ids.format(each.who), "at": exact_text(each.at_ns),
            }
            for each in steps
        ],
    }  # fmt: skip
