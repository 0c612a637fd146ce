"""Registration for a programme: people, checks and codes, receipts and the support look-up.

Answers with a salt, a code or an identity are not stored as answers of requests: the service repeats them itself.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core.timestamps import exact_text
from sycee.personal.access import READ, Reason
from sycee.programmes.registration_entering import REGISTER, Receipt
from sycee.programmes.registration_lists import Entry
from sycee.programmes.registration_removals import EXCLUSIONS
from sycee.programmes.registration_results import Looked
from sycee.programmes.registration_rows import CELL_CHARACTERS_MAX, COLUMNS
from sycee.server import paging
from sycee.server.access import access_of, shown_text
from sycee.server.operations import operation
from sycee.server.routes.common import (
    REPEATED,
    Amount,
    Moment,
    Next,
    TheCaller,
    TheRuntime,
    hidden,
    number,
)
from sycee.server.routes.programmes import Name, Number
from sycee.server.signing import ActionBody, Body, Id, Signatures

router = APIRouter(prefix="/v1", tags=["registrations"])

PLACE: Final = "/programmes/{name}/occurrences/{occurrence}/registrations"
ROWS_MAX: Final = 10_000
ENTRIES_MAX: Final = 10_000
assert EXCLUSIONS == ("staff", "merchant-owner", "has-won", "other")
assert COLUMNS[:4] == ("document", "phone", "bank", "stratum")

TheEntry = Annotated[int, Path(ge=0, le=2**31 - 1, description="Number of the entry")]
Cell = Annotated[str, Field(max_length=CELL_CHARACTERS_MAX)]
Cells = Annotated[tuple[Cell, ...], Field(max_length=ROWS_MAX)]
CaseField = Annotated[int, Field(ge=1, le=2**31 - 1, description="Number of an open case")]
State = Literal[
    "", "registered", "checked", "confirmed", "duplicate", "excluded", "lapsed", "withdrawn",
]  # fmt: skip


class PersonToRegister(ActionBody):
    """One person. `bank`: name or title of an operator of the file. `wallet`: the person's, if there is one."""

    document: Cell = ""
    phone: Cell = ""
    bank: Cell = ""
    stratum: Cell = ""
    wallet: Id | None = None


class ReceiptAnswer(Body):
    """A receipt: with document, phone and salt the registrant finds the entry in the published list."""

    entry: int
    state: str
    reason: str
    document: str
    phone: str
    salt: str


class PeopleToRegister(ActionBody):
    """Rows of people by columns, up to 10,000. `confirmed`: the operators checked them and entered the codes."""

    columns: dict[str, Cells]
    confirmed: bool = False


class RefusedRow(Body):
    """Why a row was refused. `row`: from 1; `column`: empty for the row as a whole."""

    row: int
    column: str
    code: str


class PeopleAnswer(Body):
    """How many rows were registered, and which were refused."""

    rows: int
    registered: int
    refused: dict[str, int]
    faults: tuple[RefusedRow, ...]


class EntryRow(Body):
    """An entry without its identity. `accepted`: of a duplicate, the accepted entry of the same person."""

    entry: int
    state: str
    reason: str
    bank: str
    registered: Moment
    due: Moment | None
    accepted: int | None


class EntryPage(Body):
    """Entries by number."""

    rows: tuple[EntryRow, ...]
    next: Next


class EntryCount(Body):
    """The number of entries in a state, for a reason."""

    state: str
    reason: str
    entries: int


class EntryCounts(Body):
    """Numbers of entries by state and reason."""

    rows: tuple[EntryCount, ...]


class ScreeningAnswer(Body):
    """The duplicates now, and the entries that this screening excluded."""

    duplicates: int
    excluded: int


class EntriesToCheck(ActionBody):
    """Entries whose documents and phones were checked; null for all that wait."""

    entries: Annotated[tuple[int, ...] | None, Field(max_length=ENTRIES_MAX)] = None


class CodeRow(Body):
    """The code of an entry, for the registrant's phone."""

    entry: int
    code: str


class Codes(Body):
    """The codes of checked entries."""

    rows: tuple[CodeRow, ...]


class CodeBody(ActionBody):
    """The code that a registrant entered."""

    code: Annotated[str, Field(max_length=16)]


class WithdrawalBody(ActionBody):
    """Whether a winner who does not answer lapses, instead of withdrawing."""

    lapse: bool = False


class ExclusionBody(ActionBody):
    """Why a person excluded an entry."""

    reason: Literal["staff", "merchant-owner", "has-won", "other"]


class ExcludedRow(EntryRow):
    """An entry, and whether its exclusion waits for a second person, as it does after the draw."""

    waits: bool


class ReceiptBody(Body):
    """Why somebody reads the receipt of another person."""

    reason: Reason
    case: CaseField


class LookupBody(ReceiptBody):
    """The key of a lookup: exactly one of entry, document and phone."""

    entry: Annotated[int | None, Field(ge=0, le=2**31 - 1)] = None
    document: Cell = ""
    phone: Cell = ""


class LookedRow(Body):
    """The answer of support about an entry. `answer`: one sentence for the registrant."""

    entry: int
    answer: str
    state: str
    reason: str
    occurrence_state: str
    bank: str
    stratum: str
    position: int | None
    rank: int | None
    winners: int | None
    ticket: str | None
    follows: int | None
    packet: str | None
    amount_minor: Amount | None
    purse: str | None
    appeals: tuple[str, ...]


class LookedRows(Body):
    """The entries that were found."""

    rows: tuple[LookedRow, ...]


# --- people -------------------------------------------------------------------------------------------------------


@operation(
    router, "POST", PLACE, access=REGISTER, status_code=201, response_model=ReceiptAnswer,
    summary="Register a person for a programme",
)  # fmt: skip
async def register_person(
    name: Name, occurrence: Number, body: PersonToRegister, caller: TheCaller, runtime: TheRuntime
) -> dict[str, Any]:
    """Register one person now; the same request again gives the same receipt."""

    def work(bank: Bank) -> dict[str, Any]:
        with hidden("occurrence"):
            made = bank.registrations.register(
                name, occurrence, who=caller.person, document=body.document, phone=body.phone, bank=body.bank,
                stratum=body.stratum, wallet=number(body.wallet) if body.wallet else 0, id=body.number,
            )  # fmt: skip
        return _receipt(made)

    return await runtime.call(work)


@operation(
    router, "POST", f"{PLACE}/rows", access=REGISTER, status_code=201, response_model=PeopleAnswer, responses=REPEATED,
    summary="Register many people for a programme",
)  # fmt: skip
async def register_people(
    name: Name, occurrence: Number, body: PeopleToRegister, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Register rows of people, given by columns. A row that is refused does not stop the others."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        with hidden("occurrence"):
            made = bank.registrations.register_rows(
                name, occurrence, body.columns, who=caller.person, id=body.number, is_confirmed=body.confirmed
            )
        faults = [{"row": each.row, "column": each.column, "code": each.code} for each in made.faults]
        return {"rows": made.rows, "registered": made.registered, "refused": made.refused, "faults": faults}

    place = {"name": name, "occurrence": occurrence}
    return await runtime.perform("programme.register-rows", caller.person, body, work, place=place)


@operation(
    router, "GET", PLACE, access=REGISTER, response_model=EntryPage, summary="List the registrations of an occurrence"
)  # fmt: skip
async def list_entries(
    name: Name, occurrence: Number, caller: TheCaller, runtime: TheRuntime,
    state: Annotated[State, Query(description="Without it: all")] = "",
    after: Annotated[int, Query(ge=-1, le=2**31 - 1, description="Begin the first page behind this entry")] = -1,
    limit: paging.Limit = paging.ROWS, cursor: paging.Cursor = "",
) -> dict[str, Any]:  # fmt: skip
    """Return entries with state and reason, without identities, by number."""

    def work(bank: Bank) -> dict[str, Any]:
        (behind,) = paging.decode(cursor, int) or (after,)
        with hidden("occurrence"):
            found = bank.registrations.entries(name, occurrence, state=state, after=behind, most=limit + 1)
            banks = [each.name for each in bank.programmes.get(name).definition.operators]
        following = (found[limit - 1].entry,) if len(found) > limit else None
        return paging.page([entry_answer(each, banks) for each in found[:limit]], following)

    return await runtime.call(work)


@operation(
    router, "GET", f"{PLACE}/counts", access=REGISTER, response_model=EntryCounts,
    summary="Count the registrations by state",
)  # fmt: skip
async def count_entries(name: Name, occurrence: Number, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return how many entries are in which state, for which reason."""

    def work(bank: Bank) -> dict[str, Any]:
        with hidden("occurrence"):
            counted = bank.registrations.counts(name, occurrence)
        return {"rows": [{"state": state, "reason": why, "entries": count} for (state, why), count in counted.items()]}

    return await runtime.call(work)


@operation(
    router, "POST", f"{PLACE}/screening", access=REGISTER, status_code=201, response_model=ScreeningAnswer,
    responses=REPEATED, summary="Find duplicates, and exclude who may not take part",
)  # fmt: skip
async def screen_entries(
    name: Name, occurrence: Number, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Find duplicates, and exclude staff, owners of merchants and earlier holders, as happens before the freeze."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        with hidden("occurrence"):
            found = bank.registrations.screen(name, occurrence)
        return {"duplicates": found.duplicates, "excluded": found.excluded}

    place = {"name": name, "occurrence": occurrence}
    return await runtime.perform("programme.screen", caller.person, body, work, place=place)


@operation(
    router, "POST", f"{PLACE}/checks", access=REGISTER, status_code=201, response_model=Codes,
    summary="Report that registrations were checked",
)  # fmt: skip
async def check_entries(
    name: Name, occurrence: Number, body: EntriesToCheck, caller: TheCaller, runtime: TheRuntime
) -> dict[str, Any]:
    """Report that documents and phones were checked, and return the codes; a checked entry has the same code again."""

    def work(bank: Bank) -> dict[str, Any]:
        with hidden("occurrence"):
            made = bank.registrations.check(name, occurrence, who=caller.person, entries=body.entries)
        return {"rows": [{"entry": entry, "code": code} for entry, code in made]}

    return await runtime.call(work)


@operation(
    router, "POST", PLACE + "/{entry}/code", access=REGISTER, status_code=201, response_model=EntryRow,
    responses=REPEATED, summary="Enter the code of a registrant",
)  # fmt: skip
async def confirm_entry(
    name: Name, occurrence: Number, entry: TheEntry, body: CodeBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Confirm an entry by the code that was sent to the registrant's phone."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        with hidden("entry"):
            refused = bank.registrations.confirm(name, occurrence, [(entry, body.code)], who=caller.person)
        if refused:
            raise refused[entry]
        return _answer(bank, name, occurrence, entry)

    place = {"name": name, "occurrence": occurrence, "entry": entry}
    return await runtime.perform("programme.code", caller.person, body, work, place=place)


@operation(
    router, "POST", PLACE + "/{entry}/withdrawal", access=REGISTER, status_code=201, response_model=EntryRow,
    responses=REPEATED, summary="Withdraw a registration",
)  # fmt: skip
async def withdraw_entry(
    name: Name, occurrence: Number, entry: TheEntry, body: WithdrawalBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Withdraw an entry at the wish of its person; after the draw the next published ticket follows."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        with hidden("entry"):
            bank.registrations.withdraw(name, occurrence, entry, who=caller.person, is_lapse=body.lapse)
        return _answer(bank, name, occurrence, entry)

    place = {"name": name, "occurrence": occurrence, "entry": entry}
    return await runtime.perform("programme.withdraw", caller.person, body, work, place=place)


@operation(
    router, "POST", PLACE + "/{entry}/exclusion", access=REGISTER, status_code=201, response_model=ExcludedRow,
    responses=REPEATED, summary="Exclude a registration",
)  # fmt: skip
async def exclude_entry(
    name: Name, occurrence: Number, entry: TheEntry, body: ExclusionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Exclude an entry, with a reason. After the draw, it waits for the decision of a second person."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        with hidden("entry"):
            bank.registrations.exclude(name, occurrence, [entry], reason=body.reason, who=caller.person)
        waiting = bank.registrations.removals(name, occurrence, state="waiting")
        waits = any(each.entry == entry for each in waiting)
        return {**_answer(bank, name, occurrence, entry), "waits": waits}

    place = {"name": name, "occurrence": occurrence, "entry": entry}
    return await runtime.perform("programme.exclude", caller.person, body, work, place=place)


# --- identities: each answer follows an entry in the access log -----------------------------------------------------


@operation(
    router, "POST", PLACE + "/{entry}/receipt", access=READ, response_model=ReceiptAnswer,
    summary="Read a receipt again, for a case and a reason",
)  # fmt: skip
async def read_receipt(
    name: Name, occurrence: Number, entry: TheEntry, body: ReceiptBody, caller: TheCaller, runtime: TheRuntime
) -> dict[str, Any]:
    """Return document, phone and salt of an entry, after an entry in the access log."""

    def work(bank: Bank) -> dict[str, Any]:
        access = access_of(caller, body.reason, body.case)
        with hidden("entry"):
            made = _receipt(bank.registration_results.receipt(name, occurrence, entry, access=access))
        return made | {each: shown_text(caller, made[each]) for each in ("document", "phone")}

    return await runtime.call(work)


@operation(
    router, "POST", f"{PLACE}/lookups", access=READ, response_model=LookedRows,
    summary="Look up why somebody did not win, or where a packet is",
)  # fmt: skip
async def look_up_entries(
    name: Name, occurrence: Number, body: LookupBody, caller: TheCaller, runtime: TheRuntime
) -> dict[str, Any]:
    """Return state, reason, rank, ticket and packet of entries, after an entry in the access log."""

    def work(bank: Bank) -> dict[str, Any]:
        access = access_of(caller, body.reason, body.case)
        with hidden("entry"):
            found = bank.registration_results.lookup(
                name, occurrence, access=access, entry=body.entry, document=body.document, phone=body.phone
            )
        return {"rows": [_looked(each) for each in found]}

    return await runtime.call(work)


# --- answers ------------------------------------------------------------------------------------------------------


def _receipt(made: Receipt) -> dict[str, Any]:
    return {"entry": made.entry, "state": made.state, "reason": made.reason, **made.members()}


def _answer(bank: Bank, name: str, occurrence: int, entry: int) -> dict[str, Any]:
    banks = [each.name for each in bank.programmes.get(name).definition.operators]
    return entry_answer(bank.registrations.entry(name, occurrence, entry), banks)


def entry_answer(entry: Entry, banks: list[str]) -> dict[str, Any]:
    """Return an EntryRow. `banks`: names of the operators in the file."""
    return {
        "entry": entry.entry,
        "state": entry.state,
        "reason": entry.reason,
        "bank": banks[entry.bank],
        "registered": exact_text(entry.registered_ns),
        "due": exact_text(entry.due_ns) if entry.due_ns else None,
        "accepted": entry.accepted,
    }


def _looked(looked: Looked) -> dict[str, Any]:
    packet = looked.packet
    return looked.members() | {"amount_minor": str(packet.minor) if packet else None}
