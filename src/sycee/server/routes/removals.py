"""Manual removals from a list of registrations: the list of them, and the decision of the second person."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.timestamps import exact_text
from sycee.programmes.registration_appeals import APPEAL, DECIDE
from sycee.programmes.registration_removals import Removal
from sycee.server.operations import operation
from sycee.server.routes.common import REPEATED, Moment, TheCaller, TheRuntime, hidden
from sycee.server.routes.programmes import Name, Number
from sycee.server.signing import ActionBody, Body, Id, Signatures

router = APIRouter(prefix="/v1", tags=["registrations"])


class RemovalRow(Body):
    """An entry that was removed manually, or waits for its second person. `kind`: withdrawn, lapsed or excluded."""

    removal: int
    entry: int
    kind: str
    reason: str
    state: str
    by: Id
    time: Moment
    decided_by: Id | None
    decided: Moment | None


class RemovalList(Body):
    """Entries that were removed manually, oldest first."""

    rows: tuple[RemovalRow, ...]


class RemovalDecision(ActionBody):
    """Whether an exclusion is allowed."""

    allow: bool


@operation(
    router, "GET", "/programmes/{name}/occurrences/{occurrence}/removals", access=APPEAL, response_model=RemovalList,
    summary="List the entries that were removed manually",
)  # fmt: skip
async def list_removals(
    name: Name, occurrence: Number, caller: TheCaller, runtime: TheRuntime,
    state: Annotated[Literal["", "waiting", "left", "refused"], Query(description="Without it: all")] = "",
) -> dict[str, Any]:  # fmt: skip
    """Return withdrawals, lapses and manual exclusions with their persons, oldest first."""

    def work(bank: Bank) -> dict[str, Any]:
        with hidden("occurrence"):
            return {"rows": [_removal(each) for each in bank.registrations.removals(name, occurrence, state=state)]}

    return await runtime.call(work)


@operation(
    router, "POST", "/removals/{removal}/decision", access=DECIDE, status_code=201, response_model=RemovalRow,
    responses=REPEATED, summary="Decide an exclusion after the draw",
)  # fmt: skip
async def decide_removal(
    removal: Annotated[int, Path(ge=1, le=2**31 - 1, description="Number of the removal")], body: RemovalDecision,
    caller: TheCaller, runtime: TheRuntime,
) -> JSONResponse:  # fmt: skip
    """Decide an exclusion that another person requested, before the terms are proposed."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        with hidden("removal"):
            return _removal(bank.registrations.decide_removal(removal, is_allowed=body.allow, who=caller.person))

    return await runtime.perform("programme.decide-removal", caller.person, body, work, place={"removal": removal})


def _removal(removal: Removal) -> dict[str, Any]:
    return {
        "removal": removal.number,
        "entry": removal.entry,
        "kind": removal.kind,
        "reason": removal.reason,
        "state": removal.state,
        "by": ids.format(removal.who),
        "time": exact_text(removal.at_ns),
        "decided_by": None if removal.decided_by is None else ids.format(removal.decided_by),
        "decided": None if removal.decided_ns is None else exact_text(removal.decided_ns),
    }
