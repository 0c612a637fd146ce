"""Backups: begin one, follow it, list them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.timestamps import exact_text
from sycee.server import paging
from sycee.server.backups import BACKUP, Backup, Backups
from sycee.server.operations import operation
from sycee.server.routes.common import REPEATED, Amount, Moment, Next, PathId, TheCaller, TheRuntime, hidden, number
from sycee.server.signing import ActionBody, Body, Id, Signatures

router = APIRouter(prefix="/v1", tags=["backups"])


def backups_of(request: Request) -> Backups:
    """Return the backups of a request's application; for `Depends`."""
    found = request.app.state.backups
    assert isinstance(found, Backups)
    return found


TheBackups = Annotated[Backups, Depends(backups_of)]


class Begun(Body):
    """The id of a backup that is being written."""

    backup: Id
    state: Literal["running"]


class ShownBackup(Body):
    """A backup. `file`: its name in the folder of the settings; `written_bytes`: of the file until now.

    `frame`, `state_digest` and `supply`: of the ledger in the backup, null unless the state is done.
    """

    backup: Id
    state: Literal["running", "done", "failed"]
    reason: str
    file: str
    written_bytes: int
    frame: int | None
    state_digest: str | None
    supply: Amount | None
    who: Id
    begun: Moment
    finished: Moment | None


class BackupPage(Body):
    """Backups, in the order of their ids."""

    rows: tuple[ShownBackup, ...]
    next: Next


@operation(
    router, "POST", "/backups", access=BACKUP, status_code=201, response_model=Begun, responses=REPEATED,
    summary="Begin an encrypted backup",
)  # fmt: skip
async def begin_backup(body: ActionBody, caller: TheCaller, runtime: TheRuntime, backups: TheBackups) -> JSONResponse:
    """Begin to write the journal up to one frame, and then the database, into one encrypted file.

    The server's settings name folder and key. Payments continue; `GET /v1/backups/{backup}` shows the progress.
    """

    def work(bank: Bank, request: Signatures) -> dict[str, Any]:
        answer = {"backup": body.id, "state": "running"}
        backups.begin(body.number, who=caller.person, also=request.answered(answer))
        return answer

    return await runtime.perform(BACKUP, caller.person, body, work)


@operation(router, "GET", "/backups", access=BACKUP, response_model=BackupPage, summary="List backups")
async def list_backups(
    caller: TheCaller,
    runtime: TheRuntime,
    backups: TheBackups,
    limit: paging.Limit = paging.ROWS,
    cursor: paging.Cursor = "",
) -> dict[str, Any]:
    """Return the backups that this server began, failed ones too."""

    def work() -> dict[str, Any]:
        found = backups.page(after=paging.after_id(cursor), most=limit + 1)
        return paging.page([_shown(each) for each in found[:limit]], paging.next_id(found, limit))

    return await runtime.run(work)


@operation(router, "GET", "/backups/{backup}", access=BACKUP, response_model=ShownBackup, summary="Show a backup")
async def show_backup(backup: PathId, caller: TheCaller, runtime: TheRuntime, backups: TheBackups) -> dict[str, Any]:
    """Return the progress of a backup, and its result once it is done."""

    def work() -> dict[str, Any]:
        with hidden("backup"):
            return _shown(backups.get(number(backup)))

    return await runtime.run(work)


def _shown(found: Backup) -> dict[str, Any]:
    return {
        "backup": ids.format(found.id),
        "state": found.state,
        "reason": found.reason,
        "file": found.file,
        "written_bytes": found.written_bytes,
        "frame": found.frame,
        "state_digest": found.state_digest,
        "supply": None if found.supply is None else str(found.supply),
        "who": ids.format(found.who),
        "begun": exact_text(found.at_ns),
        "finished": exact_text(found.finished_ns) if found.finished_ns else None,
    }
