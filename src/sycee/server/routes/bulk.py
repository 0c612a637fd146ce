"""Bulk payments: declare a file, send its rows, approve it, settle it, and read its results."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field
from starlette.types import Receive, Scope, Send

from sycee.bank.bank import Bank
from sycee.bulk.files import File
from sycee.bulk.service import APPROVE, PAY
from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.records.bulk_rows import BATCH_BYTES, BATCHES_MAX, ROWS_MAX, Content, Mode
from sycee.server.bulk.access import require_payer, served_file, visible_file
from sycee.server.bulk.app import ARROW, CSV
from sycee.server.operations import OWN, operation
from sycee.server.routes.common import REPEATED, SIGNED_ELSEWHERE, Amount, PathId, Proposed, TheCaller, TheRuntime
from sycee.server.routes.common import proposed as proposed_answer
from sycee.server.signing import ActionBody, Body, Id, Signatures

router = APIRouter(prefix="/v1", tags=["bulk payments"])

RESULT_BATCHES_MAX: Final = 125  # of one answer: a million rows, 11 MB
_BASE64_MAX: Final = 4 * -(-BATCHES_MAX * BATCH_BYTES // 3)
_ID: Final = "01930e2c-5a00-7abc-8def-0123456789ab"


def _streams(description: str, example: str) -> dict[str, Any]:
    """Return the types of a stream of rows. `example`: of CSV; Arrow has bytes."""
    schema = {"type": "string", "format": "binary", "description": description}
    return {ARROW: {"schema": schema}, CSV: {"schema": schema, "example": example}}


_ROWS: Final[dict[str, Any]] = {
    "required": True,
    "content": _streams("docs/reference/bulk.md#rows", f"payee,amount,reference\r\n{_ID},12.50,{_ID}\r\n"),
}
_RESULTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "One result for each row, in order: a stream of the type of the body",
        "content": _streams(
            "docs/reference/bulk.md#results",
            "row,code,repeated,frame\n1,CREATED,no,412\n2,PAYEE_CANNOT_RECEIVE,no,412\n",
        ),
    }
}
_FILE: Final[dict[int | str, dict[str, Any]]] = {200: _RESULTS[200]}
Number = Annotated[int, Query(ge=0, lt=BATCHES_MAX, description="Number of the first batch, from 0")]


class FileBody(ActionBody):
    """A file to declare. `id` is the file's id. `batches`: base64 of 40 bytes for each batch."""

    payer: Id
    mode: Literal["each", "all"] = "each"
    rows: Annotated[int, Field(ge=1, le=ROWS_MAX)]
    sum_minor: Annotated[str, Field(pattern=r"^[0-9]{1,19}$", examples=["1250"])]
    batches: Annotated[str, Field(max_length=_BASE64_MAX)]


class SettleBody(ActionBody):
    """`discard`: pay no row, and end the file."""

    discard: bool = False


class BulkFile(Body):
    """A file. `settlement`: number of its settlement batch, 0 in mode "each". `next_batch`: from which to continue.

    `counts` and `paid_minor` are the summary, if it was asked for: rows by code, and the money of those that succeeded.
    """

    file: Id
    payer: Id
    mode: Literal["each", "all"]
    rows: int
    sum_minor: Amount
    digest: str
    state: Literal["waiting", "open", "settling", "settled", "discarded"]
    settlement: int
    proposal: Id | None
    batches: int
    next_batch: int
    counts: dict[str, int] | None = None
    paid_minor: Amount | None = None


class BulkFiles(Body):
    """Files of a payer, newest first."""

    rows: tuple[BulkFile, ...]


@operation(
    router, "POST", "/bulk", access=PAY, status_code=201, response_model=BulkFile, responses=REPEATED,
    errors=("not-found",), summary="Declare a file of bulk payments",
)  # fmt: skip
async def declare_bulk(body: FileBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Store payer, number of rows, sum and digests of a file. Nothing is paid: send its rows next.

    A file above the amount of the setting waits for the approval of two persons.
    """

    def work(bank: Bank, _: object) -> dict[str, Any]:
        payer = ids.parse(body.payer)
        require_payer(bank, caller, payer)
        try:
            batches = base64.b64decode(body.batches, validate=True)
        except binascii.Error as error:
            raise UsageError("batches is not base64", hint="encode 40 bytes for each batch") from error
        content = Content(payer, Mode(body.mode), body.rows, int(body.sum_minor), batches)
        return _answer(bank, bank.bulk.declare(body.number, content, who=caller.person), next_batch=0)

    return await runtime.perform(PAY, caller.person, body, work)


class _Raw(Response):
    """An answer of the application for streams: here for its description, and for an application without it."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._request = request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._request.app.state.bulk.serve(scope, receive, send)


@operation(
    router, "POST", "/bulk/check", access=PAY, summary="Dry run of rows", responses=_RESULTS,
    response_class=Response, openapi_extra={"requestBody": _ROWS},
    errors=("not-found",),
)  # fmt: skip
async def check_bulk(
    request: Request,
    payer: Annotated[Id, Query(description="The account that would pay")],
) -> Response:
    """Return what rows would be answered now. Moves no money, and needs no envelopes and no declaration."""
    return _Raw(request)


@operation(
    router, "POST", "/bulk/{file}", access=PAY, summary="Send rows of a file", responses=_RESULTS,
    response_class=Response, openapi_extra={"requestBody": _ROWS},
)  # fmt: skip
async def pay_in_bulk(request: Request, file: PathId, first_batch: Number = 0) -> Response:
    """Pay rows while they arrive. The same rows again are answered with their first results, and are not paid again.

    After a cut, send the file again, from `next_batch` of its status or from its first row. A sender that does not read
    the answer may send up to three million rows in one request. The header Sycee-Envelopes has the envelopes of batches
    without their own, separated by semicolons.
    """
    return _Raw(request)


@operation(
    router, "GET", "/bulk", access=OWN, response_model=BulkFiles, summary="List the files of a payer",
    errors=("not-found",),
)  # fmt: skip
async def list_bulk(
    caller: TheCaller, runtime: TheRuntime,
    payer: Annotated[Id, Query(description="The account that pays")],
) -> dict[str, Any]:  # fmt: skip
    """Return the newest 100 files of a payer, newest first."""

    def work(bank: Bank) -> dict[str, Any]:
        account = ids.parse(payer)
        require_payer(bank, caller, account)
        return {"rows": [_answer(bank, each) for each in bank.bulk.list(account)]}

    return await runtime.call(work)


@operation(router, "GET", "/bulk/{file}", access=OWN, response_model=BulkFile, summary="Show a file")
async def show_bulk(
    file: PathId, caller: TheCaller, runtime: TheRuntime,
    summary: Annotated[bool, Query(description="Count the rows by cause, which reads every row's result")] = False,
) -> dict[str, Any]:  # fmt: skip
    """Return a file with the batch from which a sender continues."""

    def work(bank: Bank) -> dict[str, Any]:
        return _answer(bank, visible_file(bank, caller, ids.parse(file)), summary=summary)

    return await runtime.call(work)


@operation(
    router, "GET", "/bulk/{file}/results", access=OWN, summary="Read results of a file", responses=_FILE,
    response_class=Response,
)  # fmt: skip
async def read_bulk_results(
    file: PathId, caller: TheCaller, runtime: TheRuntime, first_batch: Number = 0,
    batches: Annotated[int, Query(ge=1, le=RESULT_BATCHES_MAX)] = RESULT_BATCHES_MAX,
    form: Annotated[Literal["arrow", "csv"], Query()] = "arrow",
) -> Response:  # fmt: skip
    """Return the results of batches, from the ledger."""

    def work(bank: Bank) -> Response:
        from sycee.server.bulk.conversation import ArrowWriter, CsvWriter

        found = visible_file(bank, caller, ids.parse(file))
        writer = ArrowWriter() if form == "arrow" else CsvWriter()
        numbers = range(first_batch, min(first_batch + batches, found.content.count))
        content = b"".join([*(writer.add(bank.bulk.results(found, number)) for number in numbers), writer.end()])
        return Response(content, media_type=writer.media_type)

    return await runtime.call(work)


@operation(
    router, "POST", "/bulk/{file}/approval", access=APPROVE, status_code=201, response_model=Proposed,
    responses=REPEATED, summary="Propose to approve a file",
)  # fmt: skip
async def approve_bulk(file: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Make the proposal that names digest and sum of a file; two persons sign it."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        found = visible_file(bank, caller, ids.parse(file))
        return proposed_answer(bank, bank.bulk.approve(found.id, maker=caller.person, proposal=body.number))

    return await runtime.perform(APPROVE, caller.person, body, work, place={"file": file})


@operation(
    router, "POST", "/bulk/{file}/settlement", access=PAY, status_code=201, response_model=BulkFile,
    responses=SIGNED_ELSEWHERE, summary="Settle or discard a file",
)  # fmt: skip
async def settle_bulk(file: PathId, body: SettleBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Pay every row of a file of mode "all", or none. A person of the operator signs, or an officer."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        found = served_file(bank, caller, ids.parse(file))
        settled = bank.bulk.settle(
            found.id, signers=signatures.person(caller.person), who=caller.person, discard=body.discard,
            request=body.number,
        )  # fmt: skip
        return _answer(bank, settled)

    return await runtime.perform("bulk.settle", caller.person, body, work, place={"file": file})


def _answer(bank: Bank, file: File, *, summary: bool = False, next_batch: int | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "file": ids.format(file.id),
        "payer": ids.format(file.payer),
        "mode": file.content.mode.value,
        "rows": file.content.rows,
        "sum_minor": str(file.content.sum_minor),
        "digest": file.content.digest.hex(),
        "state": file.state,
        "settlement": file.settlement,
        "proposal": ids.format(file.proposal) if file.proposal else None,
        "batches": file.content.count,
        "next_batch": bank.bulk.next_batch(file) if next_batch is None else next_batch,
        "counts": None,
        "paid_minor": None,
    }
    if summary:
        found = bank.bulk.summary(file)
        counts: Mapping[str, int] = found.counts
        made |= {"counts": dict(counts), "paid_minor": str(found.paid_minor)}
    return made
