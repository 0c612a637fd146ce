"""Programmes: from a file to the closing of each occurrence, with the published files for everybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.timestamps import exact_text
from sycee.programmes import draw_files, states
from sycee.programmes.drafts import DRAFT
from sycee.programmes.drawing import BEACON, CLOSE, DRAW, REGISTRATION
from sycee.programmes.dropping import ALLOT, CLAIM, DROP
from sycee.programmes.dry_run import DryRun
from sycee.programmes.funders import OPEN_FUNDER, Funder
from sycee.programmes.service import BLOCK, HALT, RESUME
from sycee.programmes.stored import Occurrence, StoredProgramme
from sycee.programmes.terms import TERMS
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
    Proposed,
    TheCaller,
    TheRuntime,
    hidden,
    number,
    proposed,
)
from sycee.server.signing import ActionBody, Body, Id, Minor, Signatures, integer_of, perform

router = APIRouter(prefix="/v1", tags=["programmes"])

FILE_CHARACTERS_MAX: Final = 200_000
NAME: Final = r"^[a-z0-9]+(-[a-z0-9]+)*$"
PUBLISHED: Final = (
    *(draw_files.ANNOUNCEMENT, draw_files.ENTRIES, draw_files.BEACON, draw_files.TICKETS, draw_files.WINNERS),
    draw_files.SUCCESSIONS,
)

Name = Annotated[str, Path(pattern=NAME, max_length=80, description="Name of the programme")]
Number = Annotated[int, Path(ge=0, le=1_000_000, description="Number of the occurrence, from 0")]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


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


class BeaconBody(ActionBody):
    """The value of the beacon, as the caller read it at its source."""

    value: Digest


class ClaimBody(ActionBody):
    """A packet and the wallet that claims it. `member`: the id in the cohort."""

    member: Id
    wallet: Id


class ReasonBody(ActionBody):
    """Why, in a sentence without personal data."""

    reason: Annotated[str, Field(min_length=1, max_length=200)]


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


class BeaconAnswer(Body):
    """How many persons brought each value."""

    values: dict[str, int]


class ClaimAnswer(Body):
    """A claimed packet."""

    claim: Id
    state: str


class HaltAnswer(Body):
    """A halted programme."""

    name: str
    halted: str | None


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
    """What the steps to come would do to the state after `frame`. `invented`: nobody is drawn yet."""

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
    bank = runtime.bank

    def work(signatures: Signatures) -> dict[str, Any]:
        access.require_operator(caller, body.operator)
        made = bank.funders.open(
            body.name, operator=body.operator, signers=signatures.person(caller.person), who=caller.person,
            id=body.number,
        )  # fmt: skip
        return _funder(bank, made)

    return await runtime.run(perform, bank, OPEN_FUNDER, caller.person, body, work)


@operation(router, "GET", "/funders", access=OPEN_FUNDER, response_model=Funders, summary="List funders")
async def list_funders(caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the funders of the caller's operators."""
    bank = runtime.bank

    def work() -> dict[str, Any]:
        served, audits = access.served_operators(bank, caller), access.may_audit(bank, caller)
        return {"rows": [_funder(bank, each) for each in bank.funders.list() if audits or each.operator in served]}

    return await runtime.run(work)


@operation(
    router, "POST", "/funders/{account}/fundings", access=OPEN_FUNDER, status_code=201, response_model=FunderRow,
    responses=SIGNED_ELSEWHERE, summary="Move money between vault and funder",
)  # fmt: skip
async def fund_funder(account: PathId, body: MoveBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Move money from the operator's vault to a funder, or back. The operator signs."""
    bank = runtime.bank

    def work(signatures: Signatures) -> dict[str, Any]:
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

    return await runtime.run(perform, bank, OPEN_FUNDER, caller.person, body, work, place={"account": account})


# --- programmes ---


@operation(
    router, "POST", "/programmes", access=DRAFT, status_code=201, response_model=DraftAnswer, responses=REPEATED,
    summary="Store a programme file",
)  # fmt: skip
async def draft_programme(body: DraftBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Store a file as a draft, or replace it before its registration opens."""
    bank = runtime.bank

    def work(_: Signatures) -> dict[str, Any]:
        if caller.operator is not None:
            access.require_operator(caller, bank.stores.ledger.account(number(body.funder)).operator)
        made = bank.programmes.draft(
            body.text, funder=number(body.funder), maker=caller.person, operators=body.operators
        )
        return {"name": made.name, "state": made.state, "digest": made.digest}

    return await runtime.run(perform, bank, DRAFT, caller.person, body, work)


@operation(router, "GET", "/programmes", access=SIGNED_IN, response_model=ProgrammePage, summary="List programmes")
async def list_programmes(
    caller: TheCaller, runtime: TheRuntime, limit: paging.Limit = paging.ROWS, cursor: paging.Cursor = ""
) -> dict[str, Any]:
    """Return the programmes by name."""
    bank = runtime.bank

    def work() -> dict[str, Any]:
        (after,) = paging.decode(cursor, str) or ("",)
        found = bank.programmes.list(after=after, most=limit + 1)
        following = (found[limit - 1].name,) if len(found) > limit else None
        return paging.page([_programme(each) for each in found[:limit]], following)

    return await runtime.run(work)


@operation(router, "GET", "/programmes/{name}", access=SIGNED_IN, response_model=ProgrammeAnswer, summary="A programme")
async def get_programme(name: Name, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return a programme with its file and its occurrences."""
    bank = runtime.bank

    def work() -> dict[str, Any]:
        stored = bank.programmes.get(name)
        rows = [_occurrence(bank, each) for each in bank.programmes.occurrences(name)]
        return {**_programme(stored), "text": stored.text, "occurrences": rows}

    return await runtime.run(work)


@operation(
    router, "GET", "/programmes/{name}/occurrences/{occurrence}", access=SIGNED_IN, response_model=OccurrenceRow,
    summary="An occurrence, with its packets",
)  # fmt: skip
async def get_occurrence(name: Name, occurrence: Number, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the state of an occurrence, its digests, and its packets on the ledger."""
    bank = runtime.bank
    return await runtime.run(lambda: _occurrence(bank, bank.programmes.occurrence(name, occurrence)))


@operation(
    router, "GET", "/programmes/{name}/occurrences/{occurrence}/files/{file}", access=PUBLIC,
    response_class=FileResponse, summary="A published file of a draw",
)  # fmt: skip
async def get_programme_file(name: Name, occurrence: Number, file: str, runtime: TheRuntime) -> Response:
    """Return announcement, entries, beacon, tickets, winners or successions of a published list, byte for byte."""
    bank = runtime.bank

    def work() -> Response:
        with hidden("published file"):
            found = bank.programmes.occurrence(name, occurrence)
        path = bank.programmes.files_of(found) / file
        if found.published_ns is None or file not in PUBLISHED or not path.is_file():
            raise not_found("published file")
        return FileResponse(path, filename=file)

    return await runtime.run(work)


@operation(
    router, "GET", "/programmes/{name}/occurrences/{occurrence}/dry-run", access=DRAFT, response_model=DryRunAnswer,
    summary="What the steps to come would do",
)  # fmt: skip
async def dry_run(name: Name, occurrence: Number, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Apply the records of all steps to come to a copy of the ledger's state. Nothing is written."""
    bank = runtime.bank

    def work() -> dict[str, Any]:
        _require_operator(bank, caller, name)
        return _dry_run(bank.programmes.dry_run(name, occurrence))

    return await runtime.run(work)


# --- steps ---

STEP: Final = "/programmes/{name}/occurrences/{occurrence}"


@operation(
    router, "POST", f"{STEP}/registration", access=REGISTRATION, status_code=201, response_model=OccurrenceRow,
    responses=REPEATED, summary="Open the registration",
)  # fmt: skip
async def open_registration(
    name: Name, occurrence: Number, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Open the registration of a draft."""
    bank = runtime.bank

    def take(_: Signatures) -> Occurrence:
        return bank.programmes.open_registration(name, occurrence, who=caller.person)

    return await _step(runtime, REGISTRATION, caller, body, (name, occurrence), take)


@operation(
    router, "POST", f"{STEP}/freeze", access=DRAW, status_code=201, response_model=OccurrenceRow,
    responses=REPEATED, summary="Freeze the list",
)  # fmt: skip
async def freeze_list(
    name: Name, occurrence: Number, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Freeze the list after registration closed: write announcement and entries."""
    bank = runtime.bank

    def take(_: Signatures) -> Occurrence:
        return bank.programmes.freeze(name, occurrence, who=caller.person)

    return await _step(runtime, DRAW, caller, body, (name, occurrence), take)


@operation(
    router, "POST", f"{STEP}/publication", access=DRAW, status_code=201, response_model=OccurrenceRow,
    responses=REPEATED, summary="Publish the list",
)  # fmt: skip
async def publish_list(
    name: Name, occurrence: Number, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Publish announcement and list, before the beacon is due: from now on everybody may read the files."""
    bank = runtime.bank

    def take(_: Signatures) -> Occurrence:
        return bank.programmes.publish(name, occurrence, who=caller.person)

    return await _step(runtime, DRAW, caller, body, (name, occurrence), take)


@operation(
    router, "POST", f"{STEP}/beacon", access=BEACON, status_code=201, response_model=BeaconAnswer,
    responses=REPEATED, summary="Bring the beacon's value",
)  # fmt: skip
async def bring_beacon(
    name: Name, occurrence: Number, body: BeaconBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Store the beacon's value as the caller read it at its source. Two persons bring the same."""
    bank = runtime.bank

    def work(_: Signatures) -> dict[str, Any]:
        brought = list(
            bank.programmes.bring_beacon(name, occurrence, value=bytes.fromhex(body.value), who=caller.person).values()
        )
        return {"values": {each: brought.count(each) for each in sorted(set(brought))}}

    place = {"name": name, "occurrence": occurrence}
    await runtime.run(_require_operator, bank, caller, name)
    return await runtime.run(perform, bank, BEACON, caller.person, body, work, place=place)


@operation(
    router, "POST", f"{STEP}/draw", access=DRAW, status_code=201, response_model=OccurrenceRow,
    responses=REPEATED, summary="Draw the winners",
)  # fmt: skip
async def draw_winners(
    name: Name, occurrence: Number, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Draw the winners, once two persons brought the same value of the beacon."""
    bank = runtime.bank

    def take(_: Signatures) -> Occurrence:
        return bank.programmes.draw(name, occurrence, who=caller.person)

    return await _step(runtime, DRAW, caller, body, (name, occurrence), take)


@operation(
    router, "POST", f"{STEP}/terms", access=TERMS, status_code=201, response_model=Proposed, responses=REPEATED,
    summary="Propose the terms",
)  # fmt: skip
async def propose_terms(
    name: Name, occurrence: Number, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Verify the draw, and propose budget, cohort and announcement. Two officers sign the proposal."""
    bank = runtime.bank

    def work(_: Signatures) -> dict[str, Any]:
        return proposed(bank, bank.programmes.propose_terms(name, occurrence, maker=caller.person))

    place = {"name": name, "occurrence": occurrence}
    await runtime.run(_require_operator, bank, caller, name)
    return await runtime.run(perform, bank, TERMS, caller.person, body, work, place=place)


@operation(
    router, "POST", f"{STEP}/allotment", access=ALLOT, status_code=201, response_model=OccurrenceRow,
    responses=SIGNED_ELSEWHERE, summary="Add and seal the cohort",
)  # fmt: skip
async def allot_cohort(
    name: Name, occurrence: Number, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Add the members of the approved cohort and seal it. The operator signs 40,000 members at a time, then the seal.

    Each answer 202 has the next part; parts whose envelopes came are added at once.
    """
    bank = runtime.bank

    def take(signatures: Signatures) -> Occurrence:
        return bank.programmes.allot(name, occurrence, signers=signatures.person(caller.person), who=caller.person)

    return await _step(runtime, ALLOT, caller, body, (name, occurrence), take)


@operation(
    router, "POST", f"{STEP}/drop", access=DROP, status_code=201, response_model=OccurrenceRow,
    responses=SIGNED_ELSEWHERE, summary="Fill every packet",
)  # fmt: skip
async def drop_packets(
    name: Name, occurrence: Number, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Fill every packet of the sealed cohort. The funder's operator signs."""
    bank = runtime.bank

    def take(signatures: Signatures) -> Occurrence:
        return bank.programmes.drop(name, occurrence, signers=signatures.person(caller.person), who=caller.person)

    return await _step(runtime, DROP, caller, body, (name, occurrence), take)


@operation(
    router, "POST", f"{STEP}/claims", access=CLAIM, status_code=201, response_model=ClaimAnswer,
    responses=SIGNED_ELSEWHERE, summary="Claim a packet",
)  # fmt: skip
async def claim_packet(
    name: Name, occurrence: Number, body: ClaimBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Claim a packet into the winner's wallet. Somebody of the wallet's operator requests and signs it."""
    bank = runtime.bank

    def work(signatures: Signatures) -> dict[str, Any]:
        found = access.served_wallet(bank, caller, number(body.wallet), CLAIM)
        outcome = bank.programmes.claim(
            name, occurrence, number(body.member), found.account, signers=signatures.person(caller.person),
            who=caller.person, id=body.number,
        )  # fmt: skip
        outcome.require_created("the packet was not claimed")
        return {"claim": ids.format(outcome.intent), "state": "claimed"}

    place = {"name": name, "occurrence": occurrence}
    return await runtime.run(perform, bank, CLAIM, caller.person, body, work, place=place)


@operation(
    router, "POST", f"{STEP}/closing", access=CLOSE, status_code=201, response_model=OccurrenceRow,
    responses=REPEATED, summary="Close an expired occurrence",
)  # fmt: skip
async def close_occurrence(
    name: Name, occurrence: Number, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Close an expired occurrence."""
    bank = runtime.bank

    def take(_: Signatures) -> Occurrence:
        return bank.programmes.close(name, occurrence, who=caller.person)

    return await _step(runtime, CLOSE, caller, body, (name, occurrence), take)


@operation(
    router, "POST", f"{STEP}/cancellation", access=CLOSE, status_code=201, response_model=OccurrenceRow,
    responses=REPEATED, summary="Cancel an occurrence before its drop",
)  # fmt: skip
async def cancel_occurrence(
    name: Name, occurrence: Number, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Cancel an occurrence before its drop. It cannot be begun again."""
    bank = runtime.bank

    def take(_: Signatures) -> Occurrence:
        return bank.programmes.cancel(name, occurrence, who=caller.person)

    return await _step(runtime, CLOSE, caller, body, (name, occurrence), take)


# --- halts ---


@operation(
    router, "POST", "/programmes/{name}/halt", access=HALT, status_code=201, response_model=HaltAnswer,
    responses=REPEATED, summary="Refuse claims at once",
)  # fmt: skip
async def halt_programme(name: Name, body: ReasonBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Refuse the claims and the next steps of a programme. Claimed packets can still be spent."""
    bank = runtime.bank

    def work(_: Signatures) -> dict[str, Any]:
        halted = bank.programmes.halt(name, body.reason, who=caller.person)
        return {"name": name, "halted": halted.halt_reason}

    await runtime.run(_require_operator, bank, caller, name)
    return await runtime.run(perform, bank, HALT, caller.person, body, work, place={"name": name})


@operation(
    router, "POST", "/programmes/{name}/block", access=BLOCK, status_code=201, response_model=Proposed,
    responses=REPEATED, summary="Propose to block the funder's debits",
)  # fmt: skip
async def block_funder(name: Name, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Propose to block the debits of a halted programme's funder. An officer signs besides the maker."""
    bank = runtime.bank

    def work(_: Signatures) -> dict[str, Any]:
        return proposed(bank, bank.programmes.propose_block(name, maker=caller.person, id=body.number))

    await runtime.run(_require_operator, bank, caller, name)
    return await runtime.run(perform, bank, BLOCK, caller.person, body, work, place={"name": name})


@operation(
    router, "POST", "/programmes/{name}/resumption", access=RESUME, status_code=201, response_model=Proposed,
    responses=REPEATED, summary="Propose to end a halt",
)  # fmt: skip
async def resume_programme(name: Name, body: ReasonBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Propose to end a halt, and the block of the funder. An officer signs besides the maker."""
    bank = runtime.bank

    def work(_: Signatures) -> dict[str, Any]:
        made = bank.programmes.propose_resume(name, body.reason, maker=caller.person, id=body.number)
        return proposed(bank, made)

    await runtime.run(_require_operator, bank, caller, name)
    return await runtime.run(perform, bank, RESUME, caller.person, body, work, place={"name": name})


# --- helpers ---


async def _step(
    runtime: TheRuntime, action: str, caller: TheCaller, body: ActionBody, place: tuple[str, int],
    take: Callable[[Signatures], Occurrence],
) -> JSONResponse:  # fmt: skip
    """Take a step of an occurrence, and answer with the occurrence."""
    bank = runtime.bank
    name, occurrence = place

    def work(signatures: Signatures) -> Mapping[str, Any]:
        return _occurrence(bank, take(signatures))

    where = {"name": name, "occurrence": occurrence}
    await runtime.run(_require_operator, bank, caller, name)
    return await runtime.run(perform, bank, action, caller.person, body, work, place=where)


def _require_operator(bank: Bank, caller: Caller, name: str) -> None:
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


def _programme(stored: StoredProgramme) -> dict[str, Any]:
    return {
        "name": stored.name,
        "title": stored.definition.title,
        "state": stored.state,
        "digest": stored.digest,
        "funder": ids.format(stored.funder),
        "operator": stored.operator,
        "operators": dict(stored.operators),
        "halted": stored.halt_reason if stored.is_halted else None,
    }


def _occurrence(bank: Bank, found: Occurrence) -> dict[str, Any]:
    figures = bank.programmes.figures(found.programme, found.occurrence)
    return {
        "programme": found.programme,
        "occurrence": found.occurrence,
        "date": found.date,
        "state": found.state,
        "next_step": states.NEXT_STEPS[found.state],
        "number": found.number,
        "entries": found.entries,
        "members": found.members,
        "claimed": figures.claimed,
        "budget_minor": str(found.minor),
        "dropped_minor": str(figures.dropped_minor),
        "spent_minor": str(figures.spent_minor),
        "pending_minor": str(figures.pending_minor),
        "returned_minor": str(figures.returned_minor),
        "left_minor": str(figures.left_minor),
        "announcement": found.announcement,
        "published": None if found.published_ns is None else exact_text(found.published_ns),
        "cohort": found.cohort,
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
