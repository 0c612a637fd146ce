"""Programmes: from a file to the closing of each occurrence, with the published files for everybody."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.timestamps import exact_text
from sycee.programmes import draw_files, states
from sycee.programmes.drafts import DRAFT
from sycee.programmes.dry_run import DryRun
from sycee.programmes.funders import OPEN_FUNDER, Funder
from sycee.programmes.stored import Occurrence, StoredProgramme
from sycee.server import access, paging
from sycee.server.auth.caller import Caller
from sycee.server.operations import PUBLIC, SIGNED_IN, operation
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
from sycee.server.signing import ActionBody, Body, Id, Minor, Signatures, integer_of

router = APIRouter(prefix="/v1", tags=["programmes"])

FILE_CHARACTERS_MAX: Final = 200_000
NAME: Final = r"^[a-z0-9]+(-[a-z0-9]+)*$"
PUBLISHED: Final = (
    *(draw_files.ANNOUNCEMENT, draw_files.ENTRIES, draw_files.BEACON, draw_files.TICKETS, draw_files.WINNERS),
    draw_files.SUCCESSIONS,
)

Name = Annotated[str, Path(pattern=NAME, max_length=80, description="Name of the programme")]
Number = Annotated[int, Path(ge=0, le=1_000_000, description="Number of the occurrence, from 0")]


class FunderBody(ActionBody):
    """A funder to open at an operator."""

    operator: Annotated[int, Field(ge=2, le=65_535)]
    name: Annotated[str, Field(min_length=1, max_length=120)]


class MoveBody(ActionBody):
    """An amount to move from the operator's vault to a funder, or back with `out`."""

    minor: Minor
    out: bool = False


class FunderRow(Body):
    """An account that pays programmes."""

    account: Id
    name: str
    operator: int
    state: str
    balance_minor: Amount


class Funders(Body):
    """The funders of the operators that the caller works for; all for officers and auditors."""

    rows: tuple[FunderRow, ...]


class DraftBody(ActionBody):
    """A programme file, its funder, and the numbers of operators that the file names otherwise than this bank."""

    text: Annotated[str, Field(min_length=1, max_length=FILE_CHARACTERS_MAX)]
    funder: Id
    operators: Annotated[dict[str, int], Field(default_factory=dict, max_length=1_000)]


class ProgrammeRow(Body):
    """A programme. `digest`: SHA-256 of its file. `halted`: the reason, null while it is not halted."""

    name: str
    title: str
    state: str
    digest: str
    funder: Id
    operator: int
    operators: dict[str, int]
    halted: str | None


class ProgrammePage(Body):
    """Programmes by name."""

    rows: tuple[ProgrammeRow, ...]
    next: Next


class OccurrenceRow(Body):
    """An occurrence with its packets on the ledger. `number`: of its programme there. Digests are hexadecimal."""

    programme: str
    occurrence: int
    date: str
    state: str
    next_step: str
    number: int | None
    entries: int
    members: int
    claimed: int
    budget_minor: Amount
    dropped_minor: Amount
    spent_minor: Amount
    pending_minor: Amount
    returned_minor: Amount
    left_minor: Amount
    announcement: str | None
    published: Moment | None
    cohort: str | None


class ProgrammeAnswer(ProgrammeRow):
    """A programme with its file and occurrences."""

    text: str
    occurrences: tuple[OccurrenceRow, ...]


class DraftAnswer(Body):
    """A stored file."""

    name: str
    state: str
    digest: str


class ShareRow(Body):
    """`count` packets of one amount."""

    name: str
    count: int
    minor: Amount


class StepRow(Body):
    """A step of a dry run. `refused`: number of records by code."""

    name: str
    at: Moment
    records: int
    refused: dict[str, int]
    supply_minor: Amount
    funder_minor: Amount


class DryRunAnswer(Body):
    """Effects of the next steps on the state after `frame`. `invented`: nobody is drawn yet."""

    ok: bool
    frame: int
    invented: bool
    members: int
    budget_minor: Amount
    supply_minor: Amount
    funder_minor: Amount
    shares: tuple[ShareRow, ...]
    steps: tuple[StepRow, ...]
    problems: tuple[str, ...]


# --- funders ---


@operation(
    router, "POST", "/funders", access=OPEN_FUNDER, status_code=201, response_model=FunderRow,
    responses=SIGNED_ELSEWHERE, summary="Open a funder's account",
)  # fmt: skip
async def open_funder(body: FunderBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Open an account that pays programmes. Its operator signs."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        access.require_operator(caller, body.operator)
        made = bank.funders.open(
            body.name, operator=body.operator, signers=signatures.person(caller.person), who=caller.person,
            id=body.number,
        )  # fmt: skip
        return _funder(bank, made)

    return await runtime.perform(OPEN_FUNDER, caller.person, body, work)


@operation(router, "GET", "/funders", access=OPEN_FUNDER, response_model=Funders, summary="List funders")
async def list_funders(caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the funders of the caller's operators."""

    def work(bank: Bank) -> dict[str, Any]:
        served, audits = access.served_operators(bank, caller), access.may_audit(bank, caller)
        return {"rows": [_funder(bank, each) for each in bank.funders.list() if audits or each.operator in served]}

    return await runtime.call(work)


@operation(
    router, "POST", "/funders/{account}/fundings", access=OPEN_FUNDER, status_code=201, response_model=FunderRow,
    responses=SIGNED_ELSEWHERE, summary="Move money between vault and funder",
)  # fmt: skip
async def fund_funder(account: PathId, body: MoveBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Move money from the operator's vault to a funder, or back. The operator signs."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        with hidden("funder"):
            found = bank.funders.get(number(account))
        access.require_operator(caller, found.operator)
        move = bank.funders.pay_out if body.out else bank.funders.pay_in
        moved = move(
            found.account, integer_of(body.minor), signers=signatures.person(caller.person), who=caller.person,
            id=body.number,
        )  # fmt: skip
        moved.require_created("nothing was moved")
        return _funder(bank, found)

    return await runtime.perform(OPEN_FUNDER, caller.person, body, work, place={"account": account})


# --- programmes ---


@operation(
    router, "POST", "/programmes", access=DRAFT, status_code=201, response_model=DraftAnswer, responses=REPEATED,
    summary="Store a programme file",
)  # fmt: skip
async def draft_programme(body: DraftBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Store a file as a draft, or replace it before its registration opens."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        if caller.operator is not None:
            access.require_operator(caller, bank.stores.ledger.account(number(body.funder)).operator)
        made = bank.programmes.draft(
            body.text, funder=number(body.funder), maker=caller.person, operators=body.operators
        )
        return {"name": made.name, "state": made.state, "digest": made.digest}

    return await runtime.perform(DRAFT, caller.person, body, work)


@operation(router, "GET", "/programmes", access=SIGNED_IN, response_model=ProgrammePage, summary="List programmes")
async def list_programmes(
    caller: TheCaller, runtime: TheRuntime, limit: paging.Limit = paging.ROWS, cursor: paging.Cursor = ""
) -> dict[str, Any]:
    """Return the programmes by name."""

    def work(bank: Bank) -> dict[str, Any]:
        (after,) = paging.decode(cursor, str) or ("",)
        found = bank.programmes.list(after=after, most=limit + 1)
        following = (found[limit - 1].name,) if len(found) > limit else None
        return paging.page([_programme(each) for each in found[:limit]], following)

    return await runtime.call(work)


@operation(router, "GET", "/programmes/{name}", access=SIGNED_IN, response_model=ProgrammeAnswer, summary="A programme")
async def get_programme(name: Name, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return a programme with its file and its occurrences."""

    def work(bank: Bank) -> dict[str, Any]:
        stored = bank.programmes.get(name)
        rows = [occurrence_answer(bank, each) for each in bank.programmes.occurrences(name)]
        return {**_programme(stored), "text": stored.text, "occurrences": rows}

    return await runtime.call(work)


@operation(
    router, "GET", "/programmes/{name}/occurrences/{occurrence}", access=SIGNED_IN, response_model=OccurrenceRow,
    summary="An occurrence, with its packets",
)  # fmt: skip
async def get_occurrence(name: Name, occurrence: Number, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the state of an occurrence, its digests, and its packets on the ledger."""
    bank = runtime.bank
    return await runtime.run(lambda: occurrence_answer(bank, bank.programmes.occurrence(name, occurrence)))


@operation(
    router, "GET", "/programmes/{name}/occurrences/{occurrence}/files/{file}", access=PUBLIC,
    response_class=FileResponse, summary="A published file of a draw",
)  # fmt: skip
async def get_programme_file(name: Name, occurrence: Number, file: str, runtime: TheRuntime) -> Response:
    """Return announcement, entries, beacon, tickets, winners or successions of a published list, byte for byte."""

    def work(bank: Bank) -> Response:
        with hidden("published file"):
            found = bank.programmes.occurrence(name, occurrence)
        path = bank.programmes.files_of(found) / file
        # A draw that was interrupted may have left files: they are no draw until its state is stored.
        is_public = found.members or file in (draw_files.ANNOUNCEMENT, draw_files.ENTRIES)
        if found.published_ns is None or file not in PUBLISHED or not is_public or not path.is_file():
            raise not_found("published file")
        return FileResponse(path, filename=file)

    return await runtime.call(work)


@operation(
    router, "GET", "/programmes/{name}/occurrences/{occurrence}/dry-run", access=DRAFT, response_model=DryRunAnswer,
    summary="What the steps to come would do",
)  # fmt: skip
async def dry_run(name: Name, occurrence: Number, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Apply the records of all further steps to a copy of the ledger's state. Nothing is written."""

    def work(bank: Bank) -> dict[str, Any]:
        require_programme_operator(bank, caller, name)
        return _dry_run(bank.programmes.dry_run(name, occurrence))

    return await runtime.call(work)


# --- answers ---


def require_programme_operator(bank: Bank, caller: Caller, name: str) -> None:
    """Raise `not-permitted` for a program that acts for another operator than the programme's."""
    access.require_operator(caller, bank.programmes.get(name).operator)


def _funder(bank: Bank, found: Funder) -> dict[str, Any]:
    return {
        "account": ids.format(found.account),
        "name": found.name,
        "operator": found.operator,
        "state": found.state,
        "balance_minor": str(bank.stores.ledger.balance(found.account)) if found.state == "open" else "0",
    }


def _programme(programme: StoredProgramme) -> dict[str, Any]:
    return {
        "name": programme.name,
        "title": programme.definition.title,
        "state": programme.state,
        "digest": programme.digest,
        "funder": ids.format(programme.funder),
        "operator": programme.operator,
        "operators": dict(programme.operators),
        "halted": programme.halt_reason if programme.is_halted else None,
    }


def occurrence_answer(bank: Bank, occurrence: Occurrence) -> dict[str, Any]:
    """Return an OccurrenceRow."""
    figures = bank.programmes.figures(occurrence.programme, occurrence.occurrence)
    return {
        "programme": occurrence.programme,
        "occurrence": occurrence.occurrence,
        "date": occurrence.date,
        "state": occurrence.state,
        "next_step": states.NEXT_STEPS[occurrence.state],
        "number": occurrence.number,
        "entries": occurrence.entries,
        "members": occurrence.members,
        "claimed": figures.claimed,
        "budget_minor": str(occurrence.minor),
        "dropped_minor": str(figures.dropped_minor),
        "spent_minor": str(figures.spent_minor),
        "pending_minor": str(figures.pending_minor),
        "returned_minor": str(figures.returned_minor),
        "left_minor": str(figures.left_minor),
        "announcement": occurrence.announcement,
        "published": None if occurrence.published_ns is None else exact_text(occurrence.published_ns),
        "cohort": occurrence.cohort,
    }


def _dry_run(result: DryRun) -> dict[str, Any]:
    return {
        "ok": result.ok,
        "frame": result.frame,
        "invented": result.is_invented,
        "members": result.members,
        "budget_minor": str(result.minor),
        "supply_minor": str(result.supply_minor),
        "funder_minor": str(result.funder_minor),
        "shares": [{"name": each.name, "count": each.count, "minor": str(each.minor)} for each in result.shares],
        "steps": [
            {
                "name": each.name,
                "at": exact_text(each.at_ns),
                "records": each.records,
                "refused": dict(each.refused),
                "supply_minor": str(each.supply_minor),
                "funder_minor": str(each.funder_minor),
            }
            for each in result.steps
        ],
        "problems": list(result.problems),
    }
