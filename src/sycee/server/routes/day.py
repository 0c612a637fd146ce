"""The business day: its state, closing and countersigning with keys elsewhere, packs, and breaks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.day import statements_csv
from sycee.day.breaks import ACTION, REASON_LENGTH_MAX, Break
from sycee.day.closing import CLOSE, COUNTERSIGN
from sycee.day.matching import KINDS
from sycee.day.pack import Pack
from sycee.identity.duties import rule
from sycee.server import access
from sycee.server.auth.caller import Caller
from sycee.server.operations import SIGNED_IN, operation
from sycee.server.problems import not_found
from sycee.server.routes.common import MESSAGE_SIGNED, REPEATED, TheCaller, TheRuntime, hidden, own_key
from sycee.server.signing import ActionBody, Body, Id, MessageBody, Nanoseconds, Signatures

router = APIRouter(prefix="/v1", tags=["day"])

READ: Final = "day.read"
STATEMENTS_MAX: Final = 100
PACK_FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The file, byte for byte (docs/reference/day.md)",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}
PathDay = Annotated[date, Path(description="Business day", examples=["2026-11-02"])]
BreakNumber = Annotated[int, Path(ge=1, le=2**31 - 1, description="Number of the break")]


class Statement(Body):
    """An operator's or merchant's statement of its accounts: a CSV file (docs/reference/day.md), and its name."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    csv: str


class SignedBody(MessageBody):
    """The signature of a pack. `key`: the public key of the caller that signs; by default the caller's only one."""

    key: Annotated[str, Field(max_length=200)] = ""


class CloseBody(SignedBody):
    """A day to close, with the statements that are compared with the ledger."""

    statements: Annotated[tuple[Statement, ...], Field(max_length=STATEMENTS_MAX)] = ()


class AssignBody(ActionBody):
    """A new owner of a break, and the case that follows it."""

    owner: Id
    case: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


class CloseBreakBody(ActionBody):
    """Why a break is closed. Names no person."""

    reason: Annotated[str, Field(min_length=1, max_length=REASON_LENGTH_MAX)]


class ClosedDay(Body):
    """A closed day. `pack`: the digest of its pack."""

    day: date
    state: Literal["closed", "signed"]
    cutoff_ns: Nanoseconds
    frame: int
    pack: str
    closed_by: Id
    countersigned_by: Id | None


class Days(Body):
    """The closed days, oldest first. `next`: the day that is closed next, and the time from which it can be."""

    rows: tuple[ClosedDay, ...]
    next: date


class DayDone(Body):
    """A day that was closed or countersigned. `pack`: the digest of its pack; `breaks`: open ones in it."""

    day: date
    pack: str
    breaks: int


class ShownBreak(Body):
    """A difference that a close found. `party` and `cause` are words; `minor` may be negative."""

    number: int
    kind: Literal["statement-lacks", "ledger-lacks", "amount-differs", "suspense", "old-transit", "reserves"]
    party: str
    account: Id | None
    operation: Id | None
    minor: str
    cause: str
    owner: Id | None
    opened: date
    closed: date | None
    closed_as: str
    case: int


class Breaks(Body):
    """Breaks that the caller may see, by number."""

    rows: tuple[ShownBreak, ...]


assert KINDS == ("statement-lacks", "ledger-lacks", "amount-differs", "suspense", "old-transit", "reserves")


@operation(router, "GET", "/days", access=READ, response_model=Days, summary="List closed days")
async def list_days(caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the closed days, and the day that is to be closed next."""

    def work(bank: Bank) -> dict[str, Any]:
        return {
            "next": bank.day.next_day(),
            "rows": [
                {
                    "day": each.day,
                    "state": each.state,
                    "cutoff_ns": str(each.cutoff_ns),
                    "frame": each.cutoff_frame,
                    "pack": each.pack,
                    "closed_by": ids.format(each.closed_by),
                    "countersigned_by": ids.format(each.countersigned_by) if each.countersigned_by else None,
                }
                for each in bank.day.days()
            ],
        }

    return await runtime.call(work)


@operation(
    router, "GET", "/days/{day}/pack", access=READ, summary="Download the pack of a closed day",
    responses=PACK_FILE,
    response_class=Response,
)  # fmt: skip
async def read_pack(day: PathDay, caller: TheCaller, runtime: TheRuntime) -> Response:
    """Return the signed file. `sycee day verify` checks it on any machine."""

    def work(bank: Bank) -> Response:
        return Response(
            _closed(bank, day).text().encode("ascii"),
            media_type="application/json",
            headers={"Content-Disposition": f'attachment; filename="{day.isoformat()}.json"'},
        )

    return await runtime.call(work)


@operation(
    router, "POST", "/days/{day}/close", access=CLOSE, status_code=201, response_model=DayDone,
    responses=MESSAGE_SIGNED, summary="Close a business day",
)  # fmt: skip
async def close_day(day: PathDay, body: CloseBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Close a day after its cut-off, while payments continue.

    The answer 202 has the pack in `document`, and the 32 bytes to sign; the pack waits for its signature for an hour,
    or until the server restarts. Longer statements than a request may have are read by `sycee day close`.
    """

    def work(bank: Bank, _: object) -> dict[str, Any]:
        currency = bank.config.currency
        statements = [statements_csv.parse(each.csv.encode(), each.name, currency) for each in body.statements]
        key = own_key(bank, caller, body.key, body.signature_bytes)
        return _done(bank.day.close(day, key, statements=statements, request=body.number))

    return await runtime.perform(CLOSE, caller.person, body, work, place={"day": day.isoformat()})


@operation(
    router, "POST", "/days/{day}/countersignature", access=COUNTERSIGN, status_code=201, response_model=DayDone,
    responses=MESSAGE_SIGNED, summary="Countersign the pack of a closed day",
)  # fmt: skip
async def countersign_day(day: PathDay, body: SignedBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Check the pack against ledger, access log and earlier packs, and sign it as another person than the closer."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        _closed(bank, day)
        return _done(bank.day.countersign(day, own_key(bank, caller, body.key, body.signature_bytes)))

    return await runtime.perform(COUNTERSIGN, caller.person, body, work, place={"day": day.isoformat()})


@operation(router, "GET", "/breaks", access=SIGNED_IN, response_model=Breaks, summary="List breaks")
async def list_breaks(
    caller: TheCaller, runtime: TheRuntime, all: Annotated[bool, Query(description="Also closed breaks")] = False
) -> dict[str, Any]:
    """Return differences that closes found: all, or for an operator's persons those of the operator."""

    def work(bank: Bank) -> dict[str, Any]:
        sees = _viewer(bank, caller)
        return {"rows": [_break(each) for each in bank.day.breaks.list(open_only=not all) if sees(each)]}

    return await runtime.call(work)


@operation(
    router, "POST", "/breaks/{number}/owner", access=ACTION, status_code=201, response_model=ShownBreak,
    responses=REPEATED, summary="Name the owner of a break",
)  # fmt: skip
async def assign_break(number: BreakNumber, body: AssignBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Name the person with a duty who follows a break, and the case, if there is one."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        _found(bank, caller, number)
        changed = bank.day.breaks.assign(number, ids.parse(body.owner), by=caller.person, case=body.case)
        return _answer(changed)

    return await runtime.perform("break.assign", caller.person, body, work, place={"break": number})


@operation(
    router, "POST", "/breaks/{number}/closure", access=ACTION, status_code=201, response_model=ShownBreak,
    responses=REPEATED, summary="Close a break by hand",
)  # fmt: skip
async def close_break(
    number: BreakNumber, body: CloseBreakBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Close a break with a reason. A break that no longer exists is closed by the next close of a day."""

    def work(bank: Bank, request: Signatures) -> dict[str, Any]:
        _found(bank, caller, number)
        day, also = bank.day.next_day(), request.answering(_answer)
        return _answer(bank.day.breaks.close(number, body.reason, day=day, by=caller.person, also=also))

    return await runtime.perform("break.close", caller.person, body, work, place={"break": number})


def _answer(changed: Break) -> dict[str, Any]:
    return ShownBreak(**_break(changed)).model_dump(mode="json")


def _closed(bank: Bank, day: date) -> Pack:
    """Return the pack of a day. Raises the problem `not-found` for a day that is not closed."""
    if all(each.day != day for each in bank.day.days()):
        raise not_found("closed day")
    return bank.day.pack(day)


def _done(pack: Pack) -> dict[str, Any]:
    return {"day": pack.day.isoformat(), "pack": pack.digest.hex(), "breaks": len(pack.body["breaks"])}


def _found(bank: Bank, caller: Caller, number: int) -> Break:
    """Return a break that the caller may see. Raises the problem `not-found` otherwise."""
    with hidden("break"):
        found = bank.day.breaks.get(number)
    if not _viewer(bank, caller)(found):
        raise not_found("break")
    return found


def _viewer(bank: Bank, caller: Caller) -> Callable[[Break], bool]:
    """Return what decides whether the caller may see a break."""
    sees_all = access.has_duty(bank, caller, *rule(READ).makers)
    parties = {f"operator {number}" for number in access.served_operators(bank, caller)}
    return lambda found: sees_all or found.party in parties


def _break(found: Break) -> dict[str, Any]:
    return {
        "number": found.number,
        "kind": found.kind,
        "party": found.party,
        "account": ids.format(found.account) if found.account else None,
        "operation": ids.format(found.operation) if found.operation else None,
        "minor": str(found.minor),
        "cause": found.cause,
        "owner": ids.format(found.owner) if found.owner else None,
        "opened": found.opened_day,
        "closed": found.closed_day,
        "closed_as": found.closed_as,
        "case": found.case,
    }
