"""Appeals of registrants: filing, the list, the texts for a person who decides, and the decision."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.timestamps import exact_text
from sycee.programmes.registration_appeals import APPEAL, DECIDE, TEXT_CHARACTERS_MAX, Appeal
from sycee.server.operations import operation
from sycee.server.routes.common import REPEATED, Moment, PathId, TheCaller, TheRuntime, hidden, number
from sycee.server.routes.programmes import Name, Number
from sycee.server.routes.registrations import PLACE, EntryRow, TheEntry, entry_answer
from sycee.server.signing import ActionBody, Body, Id, Signatures

router = APIRouter(prefix="/v1", tags=["registrations"])


class AppealBody(ActionBody):
    """The text of a registrant; stored encrypted."""

    text: Annotated[str, Field(min_length=1, max_length=TEXT_CHARACTERS_MAX)]


class AppealRow(Body):
    """An appeal without its texts. `against`: state and reason of the entry."""

    appeal: Id
    entry: int
    against: str
    state: str
    time: Moment


class AppealList(Body):
    """Appeals, oldest first."""

    rows: tuple[AppealRow, ...]


class DecisionBody(ActionBody):
    """The decision of an appeal, and its answer; stored encrypted."""

    allow: bool
    answer: Annotated[str, Field(min_length=1, max_length=TEXT_CHARACTERS_MAX)]


class AppealTexts(Body):
    """The text of a registrant, and the answer; empty before the decision."""

    appeal: Id
    text: str
    answer: str


@operation(
    router, "POST", PLACE + "/{entry}/appeals", access=APPEAL, status_code=201, response_model=AppealRow,
    responses=REPEATED, summary="File the appeal of a registrant",
)  # fmt: skip
async def file_appeal(
    name: Name, occurrence: Number, entry: TheEntry, body: AppealBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """File an appeal against a duplicate, an exclusion or a lapse, before the freeze."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        with hidden("entry"):
            made = bank.appeals.file(name, occurrence, entry, body.text, who=caller.person, id=body.number)
        return _appeal(made)

    place = {"name": name, "occurrence": occurrence, "entry": entry}
    return await runtime.perform(APPEAL, caller.person, body, work, place=place)


@operation(
    router, "GET", "/programmes/{name}/occurrences/{occurrence}/appeals", access=APPEAL, response_model=AppealList,
    summary="List the appeals of registrants",
)  # fmt: skip
async def list_appeals(
    name: Name, occurrence: Number, caller: TheCaller, runtime: TheRuntime,
    state: Annotated[Literal["", "open", "allowed", "refused"], Query(description="Without it: all")] = "",
) -> dict[str, Any]:  # fmt: skip
    """Return appeals without their texts, oldest first."""

    def work(bank: Bank) -> dict[str, Any]:
        with hidden("occurrence"):
            return {"rows": [_appeal(each) for each in bank.appeals.list(name, occurrence, state=state)]}

    return await runtime.call(work)


@operation(
    router, "POST", "/appeals/{appeal}/decision", access=DECIDE, status_code=201, response_model=EntryRow,
    responses=REPEATED, summary="Decide the appeal of a registrant",
)  # fmt: skip
async def decide_appeal(appeal: PathId, body: DecisionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Decide an appeal that another person filed, about an entry that another person registered."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        with hidden("appeal"):
            found = bank.appeals.get(number(appeal))
            entry = bank.appeals.decide(number(appeal), is_allowed=body.allow, answer=body.answer, who=caller.person)
        banks = [each.name for each in bank.programmes.get(found.programme).definition.operators]
        return entry_answer(entry, banks)

    return await runtime.perform(DECIDE, caller.person, body, work, place={"appeal": appeal})


@operation(
    router, "GET", "/appeals/{appeal}/texts", access=DECIDE, response_model=AppealTexts,
    summary="Read the texts of an appeal",
)  # fmt: skip
async def read_appeal_texts(appeal: PathId, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the text of the registrant and the answer, to a person who may decide the appeal."""

    def work(bank: Bank) -> dict[str, Any]:
        with hidden("appeal"):
            text, answer = bank.appeals.texts(number(appeal), who=caller.person)
        return {"appeal": appeal, "text": text, "answer": answer}

    return await runtime.call(work)


def _appeal(appeal: Appeal) -> dict[str, Any]:
    return {
        "appeal": ids.format(appeal.id),
        "entry": appeal.entry,
        "against": appeal.against,
        "state": appeal.state,
        "time": exact_text(appeal.at_ns),
    }
