"""Batches of openings: many new persons, each with a wallet, in one request."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.keys import PublicKey
from sycee.core.limits import OPENINGS_MAX
from sycee.server.operations import operation
from sycee.server.routes.common import SIGNED_ELSEWHERE, TheCaller, TheRuntime, number
from sycee.server.routes.wallets import HexProof, KeyText, require_opener
from sycee.server.signing import ActionBody, Body, Id, Signatures
from sycee.wallets.batch_opening import NewWallet
from sycee.wallets.opening import ACTION as OPEN

router = APIRouter(prefix="/v1", tags=["wallets"])

# A text that is too long for its field refuses its row, and a longer one than this the request.
Texts = Annotated[tuple[Annotated[str, Field(max_length=4_096)], ...], Field(max_length=OPENINGS_MAX)]


class PersonColumns(Body):
    """Data of new persons by column, "" for none; a column that is not given is empty. Stored encrypted."""

    name: Texts
    phone: Texts
    paper: Texts = ()
    paper_kind: Texts = ()
    birth: Texts = ()
    address: Texts = ()


class PersonBatch(ActionBody):
    """New persons, each with a wallet of the class `tier`, whose id the caller chooses.

    `keys` and `proofs`: of the wallets, "" for custodial ones; without them all are custodial.
    """

    operator: Annotated[int, Field(ge=2, le=65_535)]
    tier: Annotated[str, Field(max_length=40, description="Class of the preset")]
    wallets: Annotated[tuple[Id, ...], Field(min_length=1, max_length=OPENINGS_MAX)]
    columns: PersonColumns
    keys: Annotated[tuple[KeyText, ...], Field(max_length=OPENINGS_MAX)] = ()
    proofs: Annotated[tuple[HexProof, ...], Field(max_length=OPENINGS_MAX)] = ()


class BatchOutcome(Body):
    """The outcome of a row. `holder` is null and `code` says why where no wallet was opened."""

    wallet: Id
    holder: Id | None
    code: Annotated[str, Field(examples=["DUPLICATE_PHONE"])]


class BatchOpened(Body):
    """Outcomes in the order of the request."""

    rows: tuple[BatchOutcome, ...]


@operation(
    router, "POST", "/persons/many", access=OPEN, status_code=201, response_model=BatchOpened,
    responses=SIGNED_ELSEWHERE, summary="Register persons and open a wallet for each",
)  # fmt: skip
async def open_persons(body: PersonBatch, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Register persons and open a wallet for each, in one frame; a person of the operator signs the rows that open.

    A row that cannot be opened has a code and does not stop the others. Nothing is stored before the records are
    signed.
    """

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        require_opener(bank, caller, body.operator)
        columns = {name: list(texts) for name, texts in body.columns.model_dump().items() if texts}
        made = bank.wallets.open_batch(
            columns, _new_wallets(body), operator=body.operator, tier=body.tier,
            signers=signatures.person(caller.person), who=caller.person, id=body.number,
        )  # fmt: skip
        rows = [
            {
                "wallet": ids.format(each.account),
                "holder": ids.format(each.holder) if each.holder else None,
                "code": each.code,
            }
            for each in made
        ]
        return {"rows": rows}

    return await runtime.perform("wallet.open.batch", caller.person, body, work)


def _new_wallets(body: PersonBatch) -> list[NewWallet]:
    """Return the wallets of a batch. Raises UsageError for a text that is no key, and for too few keys or proofs."""
    empty = ("",) * len(body.wallets)
    keys, proofs = body.keys or empty, body.proofs or empty
    if not len(keys) == len(proofs) == len(body.wallets):
        raise UsageError(
            f"{len(body.wallets):,} wallets have {len(keys):,} keys and {len(proofs):,} proofs",
            hint='give one of each for every wallet, "" for a custodial one',
        )
    return [
        NewWallet(number(wallet), PublicKey.parse(key) if key else None, bytes.fromhex(proof))
        for wallet, key, proof in zip(body.wallets, keys, proofs, strict=True)
    ]
