"""Reports of a programme for its team: the situation of each hour, and the closing report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path
from fastapi.responses import HTMLResponse, Response

from sycee.bank.bank import Bank
from sycee.core.timestamps import exact_text
from sycee.server.auth.caller import Caller
from sycee.server.operations import operation
from sycee.server.problems import not_found
from sycee.server.routes.common import Moment, TheCaller, TheRuntime, hidden
from sycee.server.routes.programmes import Name, Number, require_programme_operator
from sycee.server.signing import Body

router = APIRouter(prefix="/v1", tags=["programmes"])

REPORT: Final = "programme.report"
STEP: Final = "/programmes/{name}/occurrences/{occurrence}"
MEDIA_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
Hour = Annotated[str, Path(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}$", description="Local hour of the programme")]
FileName = Annotated[str, Path(pattern="^[a-z-]{1,40}[.](html|csv|parquet)$", description="Name of the file")]


class SituationRow(Body):
    """A stored situation. `hour`: local, such as 2026-11-07T08."""

    hour: str
    time: Moment


class SituationList(Body):
    """Stored situations, oldest first."""

    rows: tuple[SituationRow, ...]


class ReportFiles(Body):
    """Names of the files of a closing report."""

    files: tuple[str, ...]


@operation(
    router, "GET", f"{STEP}/situations", access=REPORT, response_model=SituationList,
    summary="List the situations that were stored each hour",
)  # fmt: skip
async def list_situations(name: Name, occurrence: Number, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the hours with a stored situation, oldest first."""

    def work(bank: Bank) -> dict[str, Any]:
        with _team(bank, caller, name):
            found = bank.situation_history.list(name, occurrence)
        return {"rows": [{"hour": each.hour, "time": exact_text(each.at_ns)} for each in found]}

    return await runtime.call(work)


@operation(
    router, "GET", STEP + "/situations/{hour}", access=REPORT, response_class=HTMLResponse,
    summary="The situation page of an hour",
)  # fmt: skip
async def get_situation_page(
    name: Name, occurrence: Number, hour: Hour, caller: TheCaller, runtime: TheRuntime
) -> Response:
    """Return the page that the job stored in this local hour."""

    def work(bank: Bank) -> Response:
        with _team(bank, caller, name):
            return Response(bank.situation_history.page(name, occurrence, hour), media_type=MEDIA_TYPES["html"])

    return await runtime.call(work)


@operation(
    router, "GET", f"{STEP}/report", access=REPORT, response_model=ReportFiles,
    summary="List the files of the closing report",
)  # fmt: skip
async def list_report_files(name: Name, occurrence: Number, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the names of the page and of its tables, from the drop on."""

    def work(bank: Bank) -> dict[str, Any]:
        with _team(bank, caller, name):
            return {"files": tuple(bank.closing_reports.files(name, occurrence))}

    return await runtime.call(work)


@operation(
    router, "GET", STEP + "/report/{file}", access=REPORT, response_class=Response,
    summary="A file of the closing report",
)  # fmt: skip
async def get_report_file(
    name: Name, occurrence: Number, file: FileName, caller: TheCaller, runtime: TheRuntime
) -> Response:
    """Return the page, or a table as CSV or Parquet. Rows about fewer than ten people are not shown."""

    def work(bank: Bank) -> Response:
        with _team(bank, caller, name):
            make = bank.closing_reports.files(name, occurrence).get(file)
        if make is None:
            raise not_found("file of the report")
        headers = {} if file.endswith(".html") else {"content-disposition": f'attachment; filename="{file}"'}
        return Response(make(), media_type=MEDIA_TYPES[file.rpartition(".")[2]], headers=headers)

    return await runtime.call(work)


@contextmanager
def _team(bank: Bank, caller: Caller, name: str) -> Iterator[None]:
    """Refuse a caller who is not of the team of a programme; hide one that does not exist."""
    with hidden("programme"):
        require_programme_operator(bank, caller, name)
        bank.people.require(caller.person, REPORT, operator=bank.programmes.get(name).operator)
        yield
