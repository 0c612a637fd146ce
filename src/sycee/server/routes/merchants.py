"""Merchants: outlets and tills, QR codes and day reports."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.bank.qr_codes import account_code
from sycee.core import ids
from sycee.core.errors import NotFound
from sycee.core.keys import PublicKey
from sycee.core.money import currency_code
from sycee.identity.duties import Duty
from sycee.identity.institutions import Institution, Till
from sycee.server import access, paging
from sycee.server.auth.caller import Caller
from sycee.server.operations import OWN, SIGNED_IN, operation
from sycee.server.problems import not_found
from sycee.server.routes.common import (
    REPEATED,
    Amount,
    Next,
    PathId,
    TheCaller,
    TheRuntime,
    number,
)
from sycee.server.routes.csv_tables import CSV, csv_answer
from sycee.server.signing import ID_PATTERN, ActionBody, Body, Id, Signatures, integer_of
from sycee.wallets import emv_qr
from sycee.wallets.merchant_reports import REPORT, DayReport

router = APIRouter(prefix="/v1", tags=["merchants"])

OUTLET = "merchant.outlet"

Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,16}$", examples=["T1"])]
Day = Annotated[date, Path(description="A local day of the bank", examples=["2026-11-02"])]
QrMinor = Annotated[
    str, Query(pattern=r"^([1-9][0-9]{0,18})?$", description="Minor units; without it the payer enters an amount")
]
QrOrder = Annotated[str, Query(max_length=25, description="An order makes the code valid for one payment")]
QrTill = Annotated[str, Query(pattern=f"({ID_PATTERN})|^$", description="A till of the merchant")]
PICTURES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The picture", "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
}
SVG_PICTURES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The picture", "content": {"image/svg+xml": {"schema": {"type": "string"}}}}
}

_REPORT_COLUMNS = (
    "outlet", "till", "payments", "gross_minor", "own_minor", "packets_minor", "refunds", "refunded_own_minor",
    "refunded_packets_minor", "net_minor",
)  # fmt: skip


class MerchantRow(Body):
    """A merchant, and the number of the operator that serves it."""

    merchant: Id
    name: str
    operator: int
    state: str


class MerchantPage(Body):
    """Merchants, in the order of their ids."""

    rows: tuple[MerchantRow, ...]
    next: Next


class OutletRow(Body):
    """An open outlet."""

    outlet: Id
    code: str


class TillRow(Body):
    """An open till. `key`: its public key, empty without one."""

    till: Id
    code: str
    outlet: Id
    key: str


class MerchantShown(MerchantRow):
    """A merchant with its open wallets, outlets and tills. `settlement`: none, stated or verified."""

    settlement: str
    wallets: tuple[Id, ...]
    outlets: tuple[OutletRow, ...]
    tills: tuple[TillRow, ...]


class TillDay(Body):
    """Payments and refunds of a till; the codes are empty for payments without a till."""

    outlet: str
    till: str
    payments: int
    gross_minor: Amount
    own_minor: Amount
    packets_minor: Amount
    refunds: int
    refunded_own_minor: Amount
    refunded_packets_minor: Amount
    net_minor: Amount


class DayShown(Body):
    """A day: opening + gross - refunded - swept + other = closing. `frame`: the newest that was read."""

    merchant: Id
    wallet: Id
    day: date
    currency: str
    tills: tuple[TillDay, ...]
    opening_minor: Amount
    gross_minor: Amount
    refunded_minor: Amount
    swept_minor: Amount
    other_minor: Amount
    closing_minor: Amount
    frame: int


class OutletBody(ActionBody):
    """An outlet to open, or to open again."""

    code: Code


class TillBody(ActionBody):
    """A till to open, or to open again. `key`: the till's own public key, with which it asks for payments."""

    code: Code
    key: Annotated[str, Field(max_length=80)] = ""


class OutletAnswer(Body):
    """An outlet that is open, or was closed."""

    outlet: Id
    state: str


class TillAnswer(Body):
    """A till that is open, or was closed."""

    till: Id
    state: str


class Qr(Body):
    """The text of a QR code. A dynamic code is for one payment."""

    text: str
    dynamic: bool


# --- merchants, outlets, tills ---


@operation(router, "GET", "/merchants", access=SIGNED_IN, response_model=MerchantPage, summary="List merchants")
async def list_merchants(
    caller: TheCaller, runtime: TheRuntime, limit: paging.Limit = paging.ROWS, cursor: paging.Cursor = ""
) -> dict[str, Any]:
    """Return the merchants of the caller's operators; for a merchant's person, that merchant."""

    def work(bank: Bank) -> dict[str, Any]:
        after = paging.after_id(cursor)
        start = after
        found = list(bank.institutions.merchants(access.served_operators(bank, caller), after=start, limit=limit + 1))
        held = [each for each in access.duties_of(bank, caller) if each.duty is Duty.MERCHANT]
        known = {each.id for each in found}
        found += [bank.institutions.get(each) for each in {one.institution for one in held} - known if each > start]
        rows = sorted(found, key=lambda each: each.id)
        place = paging.next_id(rows, limit)
        return paging.page([_members(each) for each in rows[:limit]], place)

    return await runtime.call(work)


@operation(
    router,
    "GET",
    "/merchants/{merchant}",
    access=OWN,
    response_model=MerchantShown,
    summary="Show a merchant with outlets and tills",
)
async def show_merchant(merchant: PathId, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return state, wallets, open outlets and tills, and whether the settlement account is verified."""

    def work(bank: Bank) -> dict[str, Any]:
        found = access.visible_merchant(bank, caller, number(merchant))
        settlement = bank.institutions.settlement_of(found.id)
        return {
            **_members(found),
            "settlement": settlement.state if settlement is not None else "none",
            "wallets": [ids.format(each) for each in bank.directory.accounts_of(found.id)],
            "outlets": [
                {"outlet": ids.format(outlet), "code": code}
                for code, outlet in bank.institutions.outlets_of(found.id).items()
            ],
            "tills": [
                {
                    "till": ids.format(each.id),
                    "code": each.code,
                    "outlet": ids.format(each.outlet),
                    "key": str(each.public_key) if each.public_key is not None else "",
                }
                for each in bank.institutions.tills_of(found.id)
            ],
        }

    return await runtime.call(work)


@operation(
    router, "POST", "/merchants/{merchant}/outlets", access=OUTLET, status_code=201, response_model=OutletAnswer,
    responses=REPEATED, summary="Open an outlet",
)  # fmt: skip
async def open_outlet(merchant: PathId, body: OutletBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Open an outlet; a code that the merchant has gives the same outlet."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        found = access.visible_merchant(bank, caller, number(merchant))
        outlet = bank.institutions.add_outlet(found.id, body.code, by=caller.person)
        return {"outlet": ids.format(outlet), "state": "open"}

    return await runtime.perform("outlet.open", caller.person, body, work, place={"merchant": merchant})


@operation(
    router, "POST", "/merchants/{merchant}/outlets/{outlet}/tills", access=OUTLET, status_code=201,
    response_model=TillAnswer, responses=REPEATED, summary="Open a till",
)  # fmt: skip
async def open_till(
    merchant: PathId, outlet: PathId, body: TillBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Open a till of an outlet; a code that the outlet has gives the same till."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        _outlet(bank, access.visible_merchant(bank, caller, number(merchant)), number(outlet))
        key = PublicKey.parse(body.key) if body.key else None
        till = bank.institutions.add_till(number(outlet), body.code, by=caller.person, key=key)
        return {"till": ids.format(till), "state": "open"}

    return await runtime.perform("till.open", caller.person, body, work, place={"merchant": merchant, "outlet": outlet})


@operation(
    router, "POST", "/merchants/{merchant}/outlets/{outlet}/closure", access=OUTLET, status_code=201,
    response_model=OutletAnswer, responses=REPEATED, summary="Close an outlet and its tills",
)  # fmt: skip
async def close_outlet(
    merchant: PathId, outlet: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Close an outlet and its tills, which then take no payment."""

    def work(bank: Bank, request: Signatures) -> dict[str, Any]:
        _outlet(bank, access.visible_merchant(bank, caller, number(merchant)), number(outlet))
        answer = {"outlet": outlet, "state": "closed"}
        bank.institutions.close_outlet(number(outlet), by=caller.person, also=request.answered(answer))
        return answer

    place = {"merchant": merchant, "outlet": outlet}
    return await runtime.perform("outlet.close", caller.person, body, work, place=place)


@operation(
    router, "POST", "/merchants/{merchant}/tills/{till}/closure", access=OUTLET, status_code=201,
    response_model=TillAnswer, responses=REPEATED, summary="Close a till",
)  # fmt: skip
async def close_till(
    merchant: PathId, till: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Close a till, which then takes no payment."""

    def work(bank: Bank, request: Signatures) -> dict[str, Any]:
        found = _till(bank, access.visible_merchant(bank, caller, number(merchant)).id, number(till))
        answer = {"till": till, "state": "closed"}
        bank.institutions.close_till(found.id, by=caller.person, also=request.answered(answer))
        return answer

    return await runtime.perform("till.close", caller.person, body, work, place={"merchant": merchant, "till": till})


# --- QR codes ---


@operation(router, "GET", "/wallets/{wallet}/qr", access=OWN, response_model=Qr, summary="The text of a QR code")
async def qr_text(
    wallet: PathId, caller: TheCaller, runtime: TheRuntime, minor: QrMinor = "", order: QrOrder = "", till: QrTill = ""
) -> Qr:
    """Return the text of an EMVCo code: static, or with an order dynamic, which is paid once."""
    bank = runtime.bank
    return await runtime.run(lambda: Qr(text=_qr(bank, caller, wallet, minor, order, till), dynamic=bool(order)))


@operation(
    router, "GET", "/wallets/{wallet}/qr.png", access=OWN, response_class=Response, responses=PICTURES,
    summary="The picture of a QR code, PNG",
)  # fmt: skip
async def qr_png(
    wallet: PathId, caller: TheCaller, runtime: TheRuntime, minor: QrMinor = "", order: QrOrder = "", till: QrTill = ""
) -> Response:
    """Return the picture of the code of `qr_text`."""
    bank = runtime.bank
    picture = await runtime.run(lambda: emv_qr.png(_qr(bank, caller, wallet, minor, order, till)))
    return Response(picture, media_type="image/png")


@operation(
    router, "GET", "/wallets/{wallet}/qr.svg", access=OWN, response_class=Response, responses=SVG_PICTURES,
    summary="The picture of a QR code, SVG",
)  # fmt: skip
async def qr_svg(
    wallet: PathId, caller: TheCaller, runtime: TheRuntime, minor: QrMinor = "", order: QrOrder = "", till: QrTill = ""
) -> Response:
    """Return the picture of the code of `qr_text`."""
    bank = runtime.bank
    picture = await runtime.run(lambda: emv_qr.svg(_qr(bank, caller, wallet, minor, order, till)))
    return Response(picture, media_type="image/svg+xml")


# --- reports ---


@operation(
    router,
    "GET",
    "/merchants/{merchant}/days/{day}",
    access=REPORT,
    response_model=DayShown,
    summary="Read a merchant's day report",
)
async def day_report(
    merchant: PathId,
    day: Day,
    caller: TheCaller,
    runtime: TheRuntime,
    wallet: Annotated[str, Query(pattern=f"({ID_PATTERN})|^$", description="Without it: the oldest open one")] = "",
) -> dict[str, Any]:
    """Return payments and refunds for each outlet and till, packets and own money apart, and sweeps."""

    def work(bank: Bank) -> dict[str, Any]:
        found = _report(bank, caller, merchant, day, wallet)
        totals = ("opening_minor", "gross_minor", "refunded_minor", "swept_minor", "other_minor", "closing_minor")
        return {
            "merchant": merchant,
            "wallet": ids.format(found.account),
            "day": found.day.isoformat(),
            "currency": currency_code(found.currency),
            "tills": [
                {
                    name: str(value) if name.endswith("_minor") else value
                    for name, value in zip(_REPORT_COLUMNS, row, strict=True)
                }
                for row in _report_rows(found)
            ],
            **{name: str(getattr(found, name)) for name in totals},
            "frame": found.frame,
        }

    return await runtime.call(work)


@operation(
    router, "GET", "/merchants/{merchant}/days/{day}/report.csv", access=REPORT, response_class=Response,
    responses=CSV, summary="Download a merchant's day report as CSV",
)  # fmt: skip
async def download_day_report(
    merchant: PathId,
    day: Day,
    caller: TheCaller,
    runtime: TheRuntime,
    wallet: Annotated[str, Query(pattern=f"({ID_PATTERN})|^$", description="Without it: the oldest open one")] = "",
) -> Response:
    """Return one row for each outlet and till, as `day_report`."""

    def work(bank: Bank) -> Response:
        rows = _report_rows(_report(bank, caller, merchant, day, wallet))
        return csv_answer(f"report-{day.isoformat()}.csv", _REPORT_COLUMNS, rows)

    return await runtime.call(work)


# --- helpers ---


def _outlet(bank: Bank, merchant: Institution, outlet: int) -> None:
    if outlet not in bank.institutions.outlets_of(merchant.id).values():
        raise not_found("outlet")


def _till(bank: Bank, merchant: int, till: int) -> Till:
    try:
        found = bank.institutions.till(till)
    except NotFound as error:
        raise not_found("till") from error
    if found.merchant != merchant:
        raise not_found("till")
    return found


def _qr(bank: Bank, caller: Caller, wallet: str, minor: str, order: str, till: str) -> str:
    found = access.visible_wallet(bank, caller, number(wallet))
    code = ""
    if till:
        at = _till(bank, found.holder, number(till))
        code = f"{at.outlet_code}/{at.code}"
    return account_code(bank, found.account, minor=integer_of(minor) if minor else 0, order=order, till=code)


def _report(bank: Bank, caller: Caller, merchant: str, day: date, wallet: str) -> DayReport:
    found = access.visible_merchant(bank, caller, number(merchant))
    return bank.reports.day(found.id, day, by=caller.person, account=_account(bank, found.id, wallet))


def _account(bank: Bank, merchant: int, wallet: str) -> int:
    """Return the account of a merchant's wallet, 0 for "". Raises the problem `not-found` for another's."""
    if not wallet:
        return 0
    found = bank.directory.find(number(wallet))
    if found is None or found.holder != merchant:
        raise not_found("wallet")
    return found.account


def _report_rows(report: DayReport) -> list[list[Any]]:
    return [[getattr(row, name) for name in _REPORT_COLUMNS] for row in report.tills]


def _members(merchant: Institution) -> dict[str, Any]:
    return {
        "merchant": ids.format(merchant.id),
        "name": merchant.name,
        "operator": merchant.operator,
        "state": merchant.state,
    }
