"""Steps of an occurrence of a programme, from its registration to its close, and halts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.timestamps import exact_text
from sycee.programmes.drawing import BEACON, CLOSE, DRAW, REGISTRATION
from sycee.programmes.dropping import ALLOT, CLAIM, DROP, WIDEN
from sycee.programmes.service import BLOCK, HALT, RESUME
from sycee.programmes.stored import Occurrence
from sycee.programmes.terms import TERMS
from sycee.server import access
from sycee.server.operations import SIGNED_IN, operation
from sycee.server.routes.common import (
    REPEATED,
    SIGNED_ELSEWHERE,
    Amount,
    Moment,
    Proposed,
    TheCaller,
    TheRuntime,
    hidden,
    number,
    proposed,
)
from sycee.server.routes.programmes import Name, Number, OccurrenceRow, occurrence_answer, require_programme_operator
from sycee.server.signing import ActionBody, Body, Id, Signatures

router = APIRouter(prefix="/v1", tags=["programmes"])

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


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


class WideningBody(ActionBody):
    """The zone to drop on; empty for the next one."""

    zone: Annotated[str, Field(max_length=100)] = ""


class ZoneRow(Body):
    """A zone. `begins`: no earlier drop; `frame`: of its drop."""

    name: str
    members: int
    minor: Amount
    begins: Moment | None
    skippable: bool
    frame: int | None
    is_next: bool


class ZoneList(Body):
    """Zones in their order."""

    rows: tuple[ZoneRow, ...]


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

    def take(bank: Bank, _: Signatures) -> Occurrence:
        return bank.programmes.open_registration(name, occurrence, who=caller.person)

    return await take_step(runtime, REGISTRATION, caller, body, (name, occurrence), take)


@operation(
    router, "POST", f"{STEP}/freeze", access=DRAW, status_code=201, response_model=OccurrenceRow,
    responses=REPEATED, summary="Freeze the list",
)  # fmt: skip
async def freeze_list(
    name: Name, occurrence: Number, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Freeze the list after registration closed: write announcement and entries."""

    def take(bank: Bank, _: Signatures) -> Occurrence:
        return bank.programmes.freeze(name, occurrence, who=caller.person)

    return await take_step(runtime, DRAW, caller, body, (name, occurrence), take)


@operation(
    router, "POST", f"{STEP}/publication", access=DRAW, status_code=201, response_model=OccurrenceRow,
    responses=REPEATED, summary="Publish the list",
)  # fmt: skip
async def publish_list(
    name: Name, occurrence: Number, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Publish announcement and list, before the beacon is due: everybody may then read the files."""

    def take(bank: Bank, _: Signatures) -> Occurrence:
        return bank.programmes.publish(name, occurrence, who=caller.person)

    return await take_step(runtime, DRAW, caller, body, (name, occurrence), take)


@operation(
    router, "POST", f"{STEP}/beacon", access=BEACON, status_code=201, response_model=BeaconAnswer,
    responses=REPEATED, summary="Bring the beacon's value",
)  # fmt: skip
async def bring_beacon(
    name: Name, occurrence: Number, body: BeaconBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Store the beacon's value as the caller read it at its source. Two persons bring the same."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        brought = list(
            bank.programmes.bring_beacon(name, occurrence, value=bytes.fromhex(body.value), who=caller.person).values()
        )
        return {"values": {each: brought.count(each) for each in sorted(set(brought))}}

    place = {"name": name, "occurrence": occurrence}
    await runtime.run(require_programme_operator, runtime.bank, caller, name)
    return await runtime.perform(BEACON, caller.person, body, work, place=place)


@operation(
    router, "POST", f"{STEP}/draw", access=DRAW, status_code=201, response_model=OccurrenceRow,
    responses=REPEATED, summary="Draw the winners",
)  # fmt: skip
async def draw_winners(
    name: Name, occurrence: Number, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Draw the winners, once two persons brought the same value of the beacon."""

    def take(bank: Bank, _: Signatures) -> Occurrence:
        return bank.programmes.draw(name, occurrence, who=caller.person)

    return await take_step(runtime, DRAW, caller, body, (name, occurrence), take)


@operation(
    router, "POST", f"{STEP}/terms", access=TERMS, status_code=201, response_model=Proposed, responses=REPEATED,
    summary="Propose the terms",
)  # fmt: skip
async def propose_terms(
    name: Name, occurrence: Number, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Verify the draw, and propose budget, cohort and announcement. Two officers sign the proposal."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        return proposed(bank, bank.programmes.propose_terms(name, occurrence, maker=caller.person))

    place = {"name": name, "occurrence": occurrence}
    await runtime.run(require_programme_operator, runtime.bank, caller, name)
    return await runtime.perform(TERMS, caller.person, body, work, place=place)


@operation(
    router, "POST", f"{STEP}/allotment", access=ALLOT, status_code=201, response_model=OccurrenceRow,
    responses=SIGNED_ELSEWHERE, summary="Add and seal the cohort",
)  # fmt: skip
async def allot_cohort(
    name: Name, occurrence: Number, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Add the members of the approved cohort and seal it. The operator signs parts of 40,000 members, then the seal.

    Each answer 202 has the next part; a part whose envelopes arrived is added immediately.
    """

    def take(bank: Bank, signatures: Signatures) -> Occurrence:
        return bank.programmes.allot(name, occurrence, signers=signatures.person(caller.person), who=caller.person)

    return await take_step(runtime, ALLOT, caller, body, (name, occurrence), take)


@operation(
    router, "POST", f"{STEP}/drop", access=DROP, status_code=201, response_model=OccurrenceRow,
    responses=SIGNED_ELSEWHERE, summary="Fill every packet",
)  # fmt: skip
async def drop_packets(
    name: Name, occurrence: Number, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Fill every packet of the sealed cohort. The funder's operator signs."""

    def take(bank: Bank, signatures: Signatures) -> Occurrence:
        return bank.programmes.drop(name, occurrence, signers=signatures.person(caller.person), who=caller.person)

    return await take_step(runtime, DROP, caller, body, (name, occurrence), take)


@operation(
    router, "POST", f"{STEP}/widening", access=DROP, status_code=201, response_model=OccurrenceRow,
    responses=SIGNED_ELSEWHERE, summary="Fill the packets of a later zone",
)  # fmt: skip
async def widen_programme(
    name: Name, occurrence: Number, body: WideningBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Drop on a later zone of the sealed cohort. The funder's operator signs."""

    def take(bank: Bank, signatures: Signatures) -> Occurrence:
        signers = signatures.person(caller.person)
        return bank.programmes.widen(name, occurrence, body.zone, signers=signers, who=caller.person)

    return await take_step(runtime, WIDEN, caller, body, (name, occurrence), take)


@operation(
    router, "GET", f"{STEP}/zones", access=SIGNED_IN, response_model=ZoneList, summary="The zones of an occurrence",
)  # fmt: skip
async def list_zones(name: Name, occurrence: Number, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the zones in their order, and which were dropped; none for a file without."""

    def work(bank: Bank) -> dict[str, Any]:
        with hidden("occurrence"):
            found = bank.programmes.zones(name, occurrence)
        return {
            "rows": [
                {
                    "name": each.name, "members": each.members, "minor": str(each.minor),
                    "begins": None if each.from_ns is None else exact_text(each.from_ns),
                    "skippable": each.skippable, "frame": each.frame, "is_next": each.is_next,
                }
                for each in found
            ]
        }  # fmt: skip

    return await runtime.call(work)


@operation(
    router, "POST", f"{STEP}/claims", access=CLAIM, status_code=201, response_model=ClaimAnswer,
    responses=SIGNED_ELSEWHERE, summary="Claim a packet",
)  # fmt: skip
async def claim_packet(
    name: Name, occurrence: Number, body: ClaimBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Claim a packet into the winner's wallet. Somebody of the wallet's operator requests and signs it."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        found = access.served_wallet(bank, caller, number(body.wallet), CLAIM)
        outcome = bank.programmes.claim(
            name, occurrence, number(body.member), found.account, signers=signatures.person(caller.person),
            who=caller.person, id=body.number,
        )  # fmt: skip
        outcome.require_created("the packet was not claimed")
        return {"claim": ids.format(outcome.intent), "state": "claimed"}

    return await runtime.perform(CLAIM, caller.person, body, work, place={"name": name, "occurrence": occurrence})


@operation(
    router, "POST", f"{STEP}/closing", access=CLOSE, status_code=201, response_model=OccurrenceRow,
    responses=REPEATED, summary="Close an expired occurrence",
)  # fmt: skip
async def close_occurrence(
    name: Name, occurrence: Number, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Close an expired occurrence."""

    def take(bank: Bank, _: Signatures) -> Occurrence:
        return bank.programmes.close(name, occurrence, who=caller.person)

    return await take_step(runtime, CLOSE, caller, body, (name, occurrence), take)


@operation(
    router, "POST", f"{STEP}/cancellation", access=CLOSE, status_code=201, response_model=OccurrenceRow,
    responses=REPEATED, summary="Cancel an occurrence before its drop",
)  # fmt: skip
async def cancel_occurrence(
    name: Name, occurrence: Number, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Cancel an occurrence before its drop. It cannot be begun again."""

    def take(bank: Bank, _: Signatures) -> Occurrence:
        return bank.programmes.cancel(name, occurrence, who=caller.person)

    return await take_step(runtime, CLOSE, caller, body, (name, occurrence), take)


# --- halts ---


@operation(
    router, "POST", "/programmes/{name}/halt", access=HALT, status_code=201, response_model=HaltAnswer,
    responses=REPEATED, summary="Refuse claims at once",
)  # fmt: skip
async def halt_programme(name: Name, body: ReasonBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Refuse the claims and the next steps of a programme. Claimed packets can still be spent."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        halted = bank.programmes.halt(name, body.reason, who=caller.person)
        return {"name": name, "halted": halted.halt_reason}

    await runtime.run(require_programme_operator, runtime.bank, caller, name)
    return await runtime.perform(HALT, caller.person, body, work, place={"name": name})


@operation(
    router, "POST", "/programmes/{name}/block", access=BLOCK, status_code=201, response_model=Proposed,
    responses=REPEATED, summary="Propose to block the funder's debits",
)  # fmt: skip
async def block_funder(name: Name, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Propose to block the debits of a halted programme's funder. An officer signs besides the maker."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        return proposed(bank, bank.programmes.propose_block(name, maker=caller.person, id=body.number))

    await runtime.run(require_programme_operator, runtime.bank, caller, name)
    return await runtime.perform(BLOCK, caller.person, body, work, place={"name": name})


@operation(
    router, "POST", "/programmes/{name}/resumption", access=RESUME, status_code=201, response_model=Proposed,
    responses=REPEATED, summary="Propose to end a halt",
)  # fmt: skip
async def resume_programme(name: Name, body: ReasonBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Propose to end a halt, and the block of the funder. An officer signs besides the maker."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        made = bank.programmes.propose_resume(name, body.reason, maker=caller.person, id=body.number)
        return proposed(bank, made)

    await runtime.run(require_programme_operator, runtime.bank, caller, name)
    return await runtime.perform(RESUME, caller.person, body, work, place={"name": name})


# --- the answer of a step ---


async def take_step(
    runtime: TheRuntime, action: str, caller: TheCaller, body: ActionBody, place: tuple[str, int],
    take: Callable[[Bank, Signatures], Occurrence],
) -> JSONResponse:  # fmt: skip
    """Take a step of an occurrence, and answer with the occurrence."""
    name, occurrence = place

    def work(bank: Bank, signatures: Signatures) -> Mapping[str, Any]:
        return occurrence_answer(bank, take(bank, signatures))

    where = {"name": name, "occurrence": occurrence}
    await runtime.run(require_programme_operator, runtime.bank, caller, name)
    return await runtime.perform(action, caller.person, body, work, place=where)
