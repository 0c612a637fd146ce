"""Persons: duties and appointments, personal data for a case and a reason, the access log, legal holds, shredding."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core import ids, money
from sycee.core.keys import PublicKey
from sycee.core.money import currency_code
from sycee.core.timestamps import utc_text
from sycee.identity.appointments import APPOINT, DISMISS
from sycee.identity.duties import Duty
from sycee.identity.people import HeldDuty
from sycee.personal.access import LOG, READ, Access, Entry, Reason
from sycee.personal.register import SHRED
from sycee.personal.sealing import FIELDS, SearchKind
from sycee.personal.two_person_orders import DELAY, HOLD, Order
from sycee.server import access
from sycee.server.auth.caller import Caller
from sycee.server.operations import SESSION, SIGNED_IN, operation
from sycee.server.problems import not_found
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
from sycee.server.signing import ActionBody, Body, Id, Nanoseconds, integer_of

router = APIRouter(prefix="/v1", tags=["people"])

READ_EVERYTHING: Final = "audit"
DUE_MAX: Final = 1_000
Field_ = Literal["name", "phone", "paper", "paper_kind", "birth", "address"]
assert FIELDS == ("name", "phone", "paper", "paper_kind", "birth", "address")
Appointed = Literal[
    "officer", "currency-officer", "operator", "clerk", "compliance", "privacy", "caseworker", "closer",
    "countersigner", "auditor", "witness", "merchant",
]  # fmt: skip
CaseField = Annotated[int, Field(ge=1, le=2**31 - 1, description="Number of an open case that concerns the person")]
Fields = Annotated[list[Field_], Query(min_length=1, description="Fields to read; may be repeated")]
CaseQuery = Annotated[int, Query(ge=1, le=2**31 - 1, description="Number of an open case that concerns the person")]
KINDS: Final = {
    "phone": SearchKind.PHONE,
    "paper": SearchKind.PAPER,
    "name-and-birth": SearchKind.NAME_AND_BIRTH,
}


class ShownDuty(Body):
    """A duty of a person. `operator`: number of the operator that it is for. `currency`: of a currency-officer."""

    duty_id: Id
    person: Id
    duty: str
    institution: Id | None
    operator: int | None
    currency: str | None
    until_ns: Nanoseconds


class Duties(Body):
    """Duties, by name."""

    rows: tuple[ShownDuty, ...]


class Me(Body):
    """The caller: a person with duties and the keys with which the person signs."""

    person: Id
    kind: Literal["machine", "person"]
    operator: int | None
    duties: tuple[ShownDuty, ...]
    keys: tuple[str, ...]


class AppointmentBody(ActionBody):
    """A duty to give. `person`: null for a new one. `institution`: of an operator, clerk or merchant's person."""

    duty: Appointed
    key: Annotated[str, Field(max_length=200, examples=[f"ed25519:{'0' * 64}"])]
    until_ns: Nanoseconds
    person: Id | None = None
    institution: Id | None = None
    operator: Annotated[int | None, Field(ge=0, le=1, description="Of the issuer's own operators, 0 and 1")] = None
    currency: Annotated[str | None, Field(max_length=3, description="Of a currency-officer", examples=["HKD"])] = None


class PersonData(Body):
    """Fields of a person. A field that the person does not have is missing."""

    person: Id
    fields: dict[str, str]


class SearchBody(Body):
    """A search by a phone number, `KIND:NUMBER` of a paper, or `YYYY-MM-DD NAME`."""

    by: Literal["phone", "paper", "name-and-birth"]
    text: Annotated[str, Field(min_length=1, max_length=200)]
    reason: Reason
    case: CaseField


class Found(Body):
    """Persons, as ids."""

    persons: tuple[Id, ...]


class LogEntry(Body):
    """An access to the data of a person. `case` is 0 where the reason needs none.

    `invitation`, `inviter`: by which staff let the reader's login be made; null for a login without staff.
    """

    number: int
    time: str
    who: Id
    fields: tuple[str, ...]
    reason: str
    case: int
    invitation: Id | None
    inviter: Id | None


class Log(Body):
    """Accesses to the data of one person, oldest first."""

    rows: tuple[LogEntry, ...]


class HoldBody(ActionBody):
    """A legal hold for a case; without `until_ns` until an order ends it."""

    case: CaseField
    until_ns: Nanoseconds | None = None


class DelayBody(ActionBody):
    """A time until which the person does not see the accesses for a case."""

    case: CaseField
    until_ns: Nanoseconds


class ShownOrder(Body):
    """A legal hold. `until_ns`: its end, null for none."""

    hold: Id
    case: int
    from_ns: Nanoseconds
    until_ns: Nanoseconds | None


class Orders(Body):
    """Legal holds of one person, ended ones too."""

    rows: tuple[ShownOrder, ...]


class ShredBody(ActionBody):
    """Why a person's data is deleted."""

    basis: Annotated[str, Field(min_length=1, max_length=200)]


class Shredded(Body):
    """The person whose data nobody can read any more."""

    person: Id


# --- duties ---


@operation(router, "GET", "/me", access=SIGNED_IN, response_model=Me, summary="Who the caller is")
async def me(caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the caller's person, duties and public keys."""

    def work(bank: Bank) -> dict[str, Any]:
        return {
            "person": ids.format(caller.person),
            "kind": caller.kind.value,
            "operator": caller.operator,
            "duties": [_duty(each) for each in access.duties_of(bank, caller)],
            "keys": [str(each) for each in bank.people.keys_of(caller.person)],
        }

    return await runtime.call(work)


@operation(router, "GET", "/duties", access=READ_EVERYTHING, response_model=Duties, summary="Who has which duty")
async def list_duties(caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return all duties that count now."""
    bank = runtime.bank
    return await runtime.run(lambda: {"rows": [_duty(each) for each in bank.people.holders()]})


@operation(
    router, "POST", "/appointments", access=APPOINT, status_code=201, response_model=Proposed, responses=REPEATED,
    summary="Propose to give a person a duty",
)  # fmt: skip
async def appoint(body: AppointmentBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Propose that a person has a duty until a time, and signs with a key. Two officers sign."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        made = bank.appointments.appoint(
            Duty(body.duty),
            PublicKey.parse(body.key),
            until_ns=integer_of(body.until_ns),
            maker=caller.person,
            person=number(body.person) if body.person else 0,
            institution=number(body.institution) if body.institution else 0,
            operator=body.operator,
            currency=money.currency(body.currency).numeric if body.currency else 0,
        )
        return proposed(bank, made)

    return await runtime.perform(APPOINT, caller.person, body, work)


@operation(
    router, "POST", "/duties/{duty}/dismissal", access=DISMISS, status_code=201, response_model=Proposed,
    responses=REPEATED, summary="Propose to end a duty",
)  # fmt: skip
async def dismiss(duty: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Propose the end of a duty, by its `duty_id`. Two officers sign."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        if all(number(duty) not in (each.id, each.grant) for each in bank.people.holders()):
            raise not_found("duty")
        return proposed(bank, bank.appointments.dismiss(number(duty), maker=caller.person))

    return await runtime.perform(DISMISS, caller.person, body, work, place={"duty": duty})


# --- personal data ---


@operation(router, "GET", "/me/data", access=SESSION, response_model=PersonData, errors=("not-found",),
           summary="Read one's own data")  # fmt: skip
async def read_own_data(caller: TheCaller, runtime: TheRuntime, fields: Fields) -> dict[str, Any]:
    """Return fields of the caller's own record, after an entry in the access log.

    The entry names who invited the login. A new login that staff invited reads masked texts for some hours.
    """
    reader = access.access_of(caller, Reason.OWN_REQUEST)
    return await runtime.run(_read, runtime.bank, caller.person, fields, reader)


@operation(
    router, "GET", "/persons/{person}", access=READ, response_model=PersonData,
    summary="Read personal data for a case and a reason",
)  # fmt: skip
async def read_person(
    person: PathId, caller: TheCaller, runtime: TheRuntime, fields: Fields, reason: Reason, case: CaseQuery
) -> dict[str, Any]:
    """Return fields of a person after an entry in the access log, which the person reads.

    Clerks and operators read the data of their customers.
    """

    def work(bank: Bank) -> dict[str, Any]:
        _require_served(bank, caller, number(person))
        return _read(bank, number(person), fields, access.access_of(caller, reason, case))

    return await runtime.call(work)


@operation(
    router, "POST", "/persons/searches", access=READ, response_model=Found, errors=("not-found",),
    summary="Find persons by phone, paper, or name and birth",
)  # fmt: skip
async def find_persons(body: SearchBody, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return ids of persons after an entry in the access log; of clerks and operators, own customers only."""

    def work(bank: Bank) -> dict[str, Any]:
        reader = access.access_of(caller, body.reason, body.case)
        found = bank.personal.find(KINDS[body.by], body.text, access=reader)
        return {"persons": [ids.format(each) for each in found if _is_served(bank, caller, each)]}

    return await runtime.call(work)


# --- the access log ---


@operation(router, "GET", "/me/access-log", access=SIGNED_IN, response_model=Log, summary="Who read the caller's data")
async def own_access_log(caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the accesses to the caller's own data; an order of two persons may delay those of a case."""
    bank = runtime.bank
    return await runtime.run(lambda: _log(bank.life.access_log(caller.person, by=caller.person)))


@operation(
    router, "GET", "/me/wards/{person}/access-log", access=SIGNED_IN, response_model=Log,
    summary="Who read the data of a ward",
)  # fmt: skip
async def ward_access_log(person: PathId, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the accesses to the data of a person whose guardian the caller is, as the person sees them."""

    def work(bank: Bank) -> dict[str, Any]:
        if not bank.life.is_guardian(caller.person, number(person)):
            raise not_found("ward")
        return _log(bank.life.access_log(number(person), by=caller.person))

    return await runtime.call(work)


@operation(
    router, "GET", "/persons/{person}/access-log", access=LOG, response_model=Log,
    summary="Who read the data of a person",
)  # fmt: skip
async def access_log(person: PathId, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return all accesses to the data of a person, also delayed ones."""
    bank = runtime.bank
    return await runtime.run(lambda: _log(bank.access.of_person(number(person), by=caller.person)))


# --- orders and the end of data ---


@operation(
    router, "POST", "/persons/{person}/log-delays", access=DELAY, status_code=201, response_model=Proposed,
    responses=REPEATED, summary="Propose to delay the access log",
)  # fmt: skip
async def delay_log(person: PathId, body: DelayBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Propose that a person does not see the accesses for a case until a time. Another person signs."""
    until_ns = integer_of(body.until_ns)

    def work(bank: Bank, _: object) -> dict[str, Any]:
        return proposed(bank, bank.orders.delay(number(person), body.case, until_ns, maker=caller.person))

    return await runtime.perform(DELAY, caller.person, body, work, place={"person": person})


@operation(
    router, "POST", "/persons/{person}/legal-holds", access=HOLD, status_code=201, response_model=Proposed,
    responses=REPEATED, summary="Propose a legal hold",
)  # fmt: skip
async def hold_data(person: PathId, body: HoldBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Propose that a person's data is not shredded while a legal case lasts. Another person signs."""
    until_ns = integer_of(body.until_ns) if body.until_ns else None

    def work(bank: Bank, _: object) -> dict[str, Any]:
        made = bank.orders.hold(number(person), body.case, maker=caller.person, until_ns=until_ns)
        return proposed(bank, made)

    return await runtime.perform(HOLD, caller.person, body, work, place={"person": person})


@operation(
    router, "GET", "/persons/{person}/legal-holds", access=HOLD, response_model=Orders,
    summary="List the legal holds of a person",
)  # fmt: skip
async def list_holds_of_data(person: PathId, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the legal holds of a person, ended ones too."""
    bank = runtime.bank
    return await runtime.run(lambda: {"rows": [_order(each) for each in bank.orders.holds_of(number(person))]})


@operation(
    router, "POST", "/legal-holds/{hold}/release", access=HOLD, status_code=201, response_model=Proposed,
    responses=REPEATED, summary="Propose the end of a legal hold",
)  # fmt: skip
async def release_data(hold: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Propose to end a legal hold. Another person signs."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        with hidden("legal hold"):
            return proposed(bank, bank.orders.release(number(hold), maker=caller.person))

    return await runtime.perform("person.release", caller.person, body, work, place={"hold": hold})


@operation(
    router, "GET", "/retention/due", access=SHRED, response_model=Found, summary="List persons who may be shredded"
)
async def due_for_shredding(
    caller: TheCaller, runtime: TheRuntime, limit: Annotated[int, Query(ge=1, le=DUE_MAX)] = DUE_MAX
) -> dict[str, Any]:
    """Return persons whose retention periods are all over, and who are under no legal hold."""
    bank = runtime.bank
    return await runtime.run(lambda: {"persons": [ids.format(each) for each in bank.retention.due(most=limit)]})


@operation(
    router, "POST", "/persons/{person}/shredding", access=SHRED, status_code=201, response_model=Shredded,
    responses=REPEATED, summary="Make a person's data unreadable",
)  # fmt: skip
async def shred_person(person: PathId, body: ShredBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Delete the key of a person's data and the data. Refused while retention runs or a legal hold lasts."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        bank.personal.shred(number(person), who=caller.person, basis=body.basis)
        return {"person": person}

    return await runtime.perform(SHRED, caller.person, body, work, place={"person": person})


def _read(bank: Bank, person: int, fields: list[Field_], reader: Access) -> dict[str, Any]:
    if not bank.personal.has_record(person):
        raise not_found("person")
    return {"person": ids.format(person), "fields": bank.personal.read(person, list(fields), access=reader)}


def _is_served(bank: Bank, caller: Caller, person: int) -> bool:
    return access.has_duty(bank, caller, Duty.CASEWORKER, Duty.COMPLIANCE) or access.serves_person(bank, caller, person)


def _require_served(bank: Bank, caller: Caller, person: int) -> None:
    """Raise the problem `not-found` for a person who is nobody's, or another operator's customer."""
    if not _is_served(bank, caller, person):
        raise not_found("person")


def _duty(held: HeldDuty) -> dict[str, Any]:
    return {
        "duty_id": ids.format(held.id),
        "person": ids.format(held.person),
        "duty": held.duty.value,
        "institution": ids.format(held.institution) if held.institution else None,
        "operator": held.operator,
        "currency": currency_code(held.currency) if held.currency else None,
        "until_ns": str(held.until_ns),
    }


def _log(entries: list[Entry]) -> dict[str, Any]:
    return {
        "rows": [
            {
                "number": each.number,
                "time": utc_text(each.at_ns),
                "who": ids.format(each.who),
                "fields": list(each.fields),
                "reason": each.reason,
                "case": each.case,
                "invitation": ids.format(each.invitation) if each.invitation else None,
                "inviter": ids.format(each.inviter) if each.inviter else None,
            }
            for each in entries
        ]
    }


def _order(order: Order) -> dict[str, Any]:
    return {
        "hold": ids.format(order.id),
        "case": order.case,
        "from_ns": str(order.from_ns),
        "until_ns": None if order.until_ns is None else str(order.until_ns),
    }
