"""Corridors between currencies: their proposals, quotes of participants, and the acceptance of quotes."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.clearing import quotes
from sycee.clearing.corridors import CORRIDOR, VALID_MAX_S, Corridor, StoredQuote
from sycee.clearing.receiving import DELIVER
from sycee.clearing.tables import OPEN
from sycee.core import ids, money
from sycee.core.timestamps import exact_text
from sycee.server.operations import operation
from sycee.server.problems import Problem
from sycee.server.routes.clearing import ClearingPayment, Signature, house_of, payment_row
from sycee.server.routes.common import (
    REPEATED,
    Amount,
    Moment,
    OperatorNumber,
    PathId,
    Proposed,
    TheCaller,
    TheRuntime,
    hidden,
    number,
    proposed,
)
from sycee.server.signing import ActionBody, Body, Id, Nanoseconds, integer_of

router = APIRouter(prefix="/v1", tags=["clearing"])

JSON: Final = "application/json"
Code = Annotated[str, Field(pattern="^[A-Z]{3}$", description="Of ISO 4217", examples=["CNY"])]


def _signed_text(example: dict[str, Any]) -> dict[str, Any]:
    """Return the description of a body that is a signed text, whose members are texts."""
    schema = {
        "type": "object",
        "description": "Canonical JSON, as the participant signed it: docs/reference/corridors.md",
        "properties": {
            name: {"type": "object" if isinstance(each, dict) else "string"} for name, each in example.items()
        },
        "required": list(example),
    }
    return {"required": True, "content": {JSON: {"schema": schema, "example": example}}}


_QUOTE: Final = {
    "format": quotes.QUOTE, "id": "01930e2c-5a00-7abc-8def-0123456789ab", "provider": "EASTHKH1XXX", "takes": "CNY",
    "gives": "HKD", "rate": {"numerator": "682", "denominator": "625"}, "least": "100", "most": "30000",
    "until_ns": "1793577660000000000",
}  # fmt: skip
_ACCEPTANCE: Final = {
    "format": quotes.ACCEPTANCE, "quote": "01930e2c-5a00-7abc-8def-0123456789ab", "digest": "0" * 64,
    "taker": "NORTCNB1XXX", "uetr": "5e11c0de-0001-4000-8000-000000000001", "pays": "3333", "gets": "3636",
}  # fmt: skip


class CorridorBody(ActionBody):
    """Currency pair, maximum amount and validity of a participant's quotes. `most`: of one quote, in `takes`.

    `most` "0" ends the corridor.
    """

    takes: Code
    gives: Code
    most: Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,18})$", description="Minor units", examples=["50000"])]
    valid_s: Annotated[int, Field(ge=1, le=VALID_MAX_S)]


class ClearingParticipant(Body):
    """A participant: its code in messages, and the currencies in which it has a position."""

    participant: int
    code: str
    currencies: tuple[str, ...]


class CorridorRow(Body):
    """A corridor that counts now. `most`: of one quote, in `takes`. `valid_s`: the longest validity of a quote."""

    takes: Code
    gives: Code
    most: Amount
    valid_s: int


class Corridors(Body):
    """The corridors of a participant, by currencies."""

    rows: tuple[CorridorRow, ...]


class Rate(Body):
    """Units of `gives` for one unit of `takes`, exactly."""

    numerator: str
    denominator: str


class QuoteRow(Body):
    """A quote. `least`: of one acceptance; `most`: of all together; `left`: what may still be accepted, in `takes`.

    `digest`: the BLAKE3 of its signed text, which follows from the members before it.
    """

    id: Id
    provider: str
    takes: Code
    gives: Code
    rate: Rate
    least: Amount
    most: Amount
    until_ns: Nanoseconds
    digest: str
    left: Amount
    received: Moment


class Quotes(Body):
    """The quotes that may be accepted now, by provider and currencies."""

    rows: tuple[QuoteRow, ...]


@operation(
    router, "GET", "/operators/{operator}/clearing/participant", access=DELIVER, response_model=ClearingParticipant,
    summary="Show the participant's code and currencies",
)  # fmt: skip
async def show_clearing_participant(operator: OperatorNumber, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return how messages, quotes and acceptances name the participant."""

    def work(bank: Bank) -> dict[str, Any]:
        house_of(bank, caller, operator)
        register = bank.clearing.register
        mine = [each for each in register.positions(OPEN) if each.participant == operator]
        return {
            "participant": operator,
            "code": register.participant(operator).code,
            "currencies": [money.currency_code(each.currency) for each in mine],
        }

    return await runtime.call(work)


@operation(
    router, "GET", "/operators/{operator}/clearing/corridors", access=DELIVER, response_model=Corridors,
    summary="List pairs, maximum amounts and validity of quotes",
)  # fmt: skip
async def list_corridors(operator: OperatorNumber, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the corridors of a participant that count now."""

    def work(bank: Bank) -> dict[str, Any]:
        house_of(bank, caller, operator)
        return {"rows": [_corridor(each) for each in bank.clearing.corridors.corridors() if each.provider == operator]}

    return await runtime.call(work)


@operation(
    router, "POST", "/operators/{operator}/clearing/corridors", access=CORRIDOR, status_code=201,
    response_model=Proposed, responses=REPEATED, summary="Propose pair, maximum amount and validity of quotes",
)  # fmt: skip
async def propose_corridor(
    operator: OperatorNumber, body: CorridorBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Let a participant quote a pair of currencies. Two persons sign: an officer of each currency, or of the board."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        with hidden("participant of the clearing house"):
            bank.clearing.register.participant(operator)
        made = bank.clearing.corridors.open(
            operator, body.takes, body.gives, most_minor=integer_of(body.most), valid_s=body.valid_s,
            maker=caller.person, id=body.number,
        )  # fmt: skip
        return proposed(bank, made)

    return await runtime.perform(CORRIDOR, caller.person, body, work, place={"operator": operator})


@operation(
    router, "GET", "/operators/{operator}/clearing/quotes", access=DELIVER, response_model=Quotes,
    summary="List quotes of all participants",
)  # fmt: skip
async def list_quotes(operator: OperatorNumber, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the quotes that a participant may accept now, its own among them."""

    def work(bank: Bank) -> dict[str, Any]:
        house_of(bank, caller, operator)
        codes = _codes(bank)
        return {"rows": [_quote(each, codes) for each in bank.clearing.corridors.current()]}

    return await runtime.call(work)


@operation(
    router, "GET", "/operators/{operator}/clearing/quotes/{quote}", access=DELIVER, response_model=QuoteRow,
    summary="Show a quote",
)  # fmt: skip
async def show_quote(operator: OperatorNumber, quote: PathId, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return a quote, also one that ended or was replaced."""

    def work(bank: Bank) -> dict[str, Any]:
        house_of(bank, caller, operator)
        with hidden("quote"):
            return _quote(bank.clearing.corridors.get(number(quote)), _codes(bank))

    return await runtime.call(work)


@operation(
    router, "POST", "/operators/{operator}/clearing/quotes", access=DELIVER, status_code=201,
    response_model=QuoteRow, responses=REPEATED, openapi_extra={"requestBody": _signed_text(_QUOTE)},
    summary="Give a signed quote",
)  # fmt: skip
async def give_quote(
    request: Request, operator: OperatorNumber, caller: TheCaller, runtime: TheRuntime, signature: Signature
) -> JSONResponse:
    """Store a quote of the participant, which replaces its earlier one of the pair. The body is the signed text."""
    content = await _content(request)

    def work(bank: Bank) -> JSONResponse:
        house_of(bank, caller, operator)
        corridors = bank.clearing.corridors
        before = corridors.has_quote(quotes.read_quote(content).id)
        stored = corridors.quote(operator, content, bytes.fromhex(signature), who=caller.person)
        return JSONResponse(_quote(stored, _codes(bank)), 200 if before else 201)

    return await runtime.call(work)


@operation(
    router, "POST", "/operators/{operator}/clearing/acceptances", access=DELIVER, status_code=201,
    response_model=ClearingPayment, responses=REPEATED, openapi_extra={"requestBody": _signed_text(_ACCEPTANCE)},
    summary="Accept a quote",
)  # fmt: skip
async def accept_quote(
    request: Request, operator: OperatorNumber, caller: TheCaller, runtime: TheRuntime, signature: Signature
) -> JSONResponse:
    """Store the acceptance of a quote as a payment against payment, and return it. The body is the signed text."""
    content = await _content(request)

    def work(bank: Bank) -> JSONResponse:
        house_of(bank, caller, operator)
        payments = bank.clearing.payments
        made = quotes.read_acceptance(content)
        with hidden("quote"):
            bank.clearing.corridors.get(made.quote)
        before = payments.sent(operator, made.uetr)
        stored = bank.clearing.corridors.accept(operator, content, bytes.fromhex(signature), who=caller.person)
        (payment,) = payments.of_numbers([stored]).values()
        return JSONResponse(payment_row(payment, _codes(bank)), 200 if before else 201)

    return await runtime.call(work)


async def _content(request: Request) -> bytes:
    """Return the body, which is signed as it is. Raises a problem for one that is empty."""
    content = await request.body()
    if not content:
        raise Problem("invalid-request", "the body is empty", hint=f"send the signed text as {JSON}")
    return content


def _codes(bank: Bank) -> dict[int, str]:
    return {each.participant: each.code for each in bank.clearing.register.participants()}


def _corridor(each: Corridor) -> dict[str, Any]:
    return {
        "takes": money.currency_code(each.takes),
        "gives": money.currency_code(each.gives),
        "most": str(each.most_minor),
        "valid_s": each.valid_ns // 10**9,
    }


def _quote(each: StoredQuote, codes: dict[int, str]) -> dict[str, Any]:
    return {
        "id": ids.format(each.id),
        "provider": codes[each.provider],
        "takes": money.currency_code(each.takes),
        "gives": money.currency_code(each.gives),
        "rate": {"numerator": str(each.rate.numerator), "denominator": str(each.rate.denominator)},
        "least": str(each.least_minor),
        "most": str(each.most_minor),
        "until_ns": str(each.until_ns),
        "digest": each.digest,
        "left": str(each.left_minor),
        "received": exact_text(each.at_ns),
    }
