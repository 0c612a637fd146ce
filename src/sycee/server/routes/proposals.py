"""Proposals, which wait for signatures: their records in words, signatures made elsewhere, and withdrawals."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.records.proposal_format import SIGNATURE_FORMAT, ProposalSignature
from sycee.core.timestamps import utc_text
from sycee.identity.appointments import ISSUER_OPERATORS
from sycee.identity.proposals import StoredProposal
from sycee.server import access, paging
from sycee.server.auth.caller import Caller
from sycee.server.operations import SIGNED_IN, operation
from sycee.server.problems import not_found
from sycee.server.routes.common import REPEATED, PathId, TheCaller, TheRuntime, hidden, number
from sycee.server.signing import ActionBody, Body, Id, Nanoseconds

router = APIRouter(prefix="/v1", tags=["proposals"])

READS_MAX: Final = 10  # reads of ROWS proposals for one page
State = Literal["open", "submitted", "done", "refused", "withdrawn", "lapsed"]


class ListedProposal(Body):
    """A proposal in a list. `code`: why it was refused or lapsed, "" otherwise."""

    proposal: Id
    action: str
    state: State
    code: str
    maker: Id
    operator: int | None
    signers: tuple[Id, ...]
    records: int
    made: str
    valid_until_ns: Nanoseconds


class ProposalPage(Body):
    """Proposals that the caller may see, by id. A page may have fewer rows than `limit` before the last page."""

    rows: tuple[ListedProposal, ...]
    next: str | None


class MaySign(Body):
    """A person who may sign, with a key of theirs."""

    person: Id
    key: str


class ShownProposal(ListedProposal):
    """A proposal with its records in words, and the document to sign (docs/reference/proposals.md)."""

    lines: tuple[str, ...]
    needs: tuple[str, ...]
    may_sign: tuple[MaySign, ...]
    digest: str
    document: dict[str, Any]


class SignatureBody(Body):
    """A signature of a proposal, as `sycee proposal sign` writes it. Bytes are hexadecimal digits."""

    format: Annotated[Literal["sycee.signature.v1"], Field()]
    proposal: Id
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    signer: Id
    key: Annotated[str, Field(max_length=200)]
    envelope: Annotated[str, Field(pattern="^([0-9a-f]{208})?$", description="Empty for a proposal without records")]
    approval: Annotated[str, Field(pattern="^[0-9a-f]{128}$")]


class SignedProposal(Body):
    """A proposal after a signature. It is done, or refused with a `code`, once nothing is needed."""

    proposal: Id
    state: State
    code: str
    needs: tuple[str, ...]


assert SIGNATURE_FORMAT == "sycee.signature.v1"


@operation(
    router, "GET", "/proposals", access=SIGNED_IN, response_model=ProposalPage, summary="List the caller's proposals",
)  # fmt: skip
async def list_proposals(
    caller: TheCaller,
    runtime: TheRuntime,
    state: Annotated[State | None, Query(description="Only proposals in this state")] = None,
    limit: paging.Limit = paging.ROWS,
    cursor: paging.Cursor = "",
) -> dict[str, Any]:
    """Return the proposals that the caller made, signed or may sign; officers and auditors see all."""

    def work(bank: Bank) -> dict[str, Any]:
        after = paging.after_id(cursor)
        sees, rows = _viewer(bank, caller), list[dict[str, Any]]()
        for _ in range(READS_MAX):
            part = bank.proposals.page(state, after=after, most=paging.ROWS)
            for stored in part:
                after = stored.id
                if sees(stored):
                    rows.append(_listed(stored))
                if len(rows) == limit:
                    return paging.page(rows, (ids.format(after),))
            if len(part) < paging.ROWS:
                return paging.page(rows, None)
        return paging.page(rows, (ids.format(after),))

    return await runtime.call(work)


@operation(
    router, "GET", "/proposals/{proposal}", access=SIGNED_IN, response_model=ShownProposal,
    summary="Show what a proposal does, and who must sign it",
)  # fmt: skip
async def show_proposal(proposal: PathId, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the records in words, the missing signatures, and the document to sign on the signer's machine.

    Compare `lines` with what your own machine decodes from `document`: sign nothing that this server only describes.
    """

    def work(bank: Bank) -> dict[str, Any]:
        stored = _found(bank, caller, proposal)
        exported = bank.proposals.exported(stored.id)
        return {
            **_listed(stored),
            "lines": list(bank.proposals.lines(stored.proposal)),
            "needs": list(bank.proposals.missing(stored.id).needs),
            "may_sign": [{"person": ids.format(who), "key": key} for key, who in exported.signers.items()],
            "digest": stored.proposal.digest.hex(),
            "document": json.loads(exported.text()),
        }

    return await runtime.call(work)


@operation(
    router, "POST", "/proposals/{proposal}/signatures", access=SIGNED_IN, status_code=201,
    response_model=SignedProposal, responses=REPEATED, summary="Add a signature to a proposal",
)  # fmt: skip
async def sign_proposal(proposal: PathId, body: SignatureBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Check and store a signature that was made elsewhere; with the last one, the proposal is done.

    The same signature again is answered 200. The state may be `refused`: then `code` is the ledger's.
    """

    def work(bank: Bank) -> JSONResponse:
        stored = _found(bank, caller, proposal)
        signature = ProposalSignature.parse(json.dumps(body.model_dump()))
        if signature.proposal != stored.id:
            raise not_found("proposal of this signature")
        status = 200
        if not bank.proposals.has_signature(signature):
            bank.proposals.add_signature(signature)
            status = 201
        after = bank.proposals.get(stored.id)
        return JSONResponse(
            {
                "proposal": proposal,
                "state": after.state,
                "code": after.reason,
                "needs": list(bank.proposals.missing(stored.id).needs),
            },
            status,
        )

    return await runtime.call(work)


@operation(
    router, "POST", "/proposals/{proposal}/withdrawal", access=SIGNED_IN, status_code=201,
    response_model=SignedProposal, responses=REPEATED, summary="Withdraw an open proposal",
)  # fmt: skip
async def withdraw_proposal(proposal: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """End a proposal that nobody shall sign any more: its maker, and every officer, may."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        stored = _found(bank, caller, proposal)
        if stored.state != "withdrawn":  # else an interrupted request withdrew it
            bank.proposals.withdraw(stored.id, by=caller.person)
        return {"proposal": proposal, "state": "withdrawn", "code": "", "needs": []}

    return await runtime.perform("proposal.withdraw", caller.person, body, work, place={"proposal": proposal})


def _found(bank: Bank, caller: Caller, text: str) -> StoredProposal:
    """Return a proposal that the caller may see. Raises the problem `not-found` otherwise."""
    with hidden("proposal"):
        stored = bank.proposals.get(number(text))
    if not _viewer(bank, caller)(stored):
        raise not_found("proposal")
    return stored


def _viewer(bank: Bank, caller: Caller) -> Callable[[StoredProposal], bool]:
    """Return what decides whether the caller may see a proposal."""
    held, audits = access.duties_of(bank, caller), access.may_audit(bank, caller)

    def sees(stored: StoredProposal) -> bool:
        if audits:
            return True
        operator = stored.proposal.effect.get("operator")
        if operator is not None and caller.operator not in (None, operator):
            return False  # a program acts for one operator
        if caller.person in (stored.proposal.maker, *stored.signers):
            return True
        # A rule may accept the signature of every operator; what another bank does is nobody's business all the same.
        mine = [each for each in held if each.operator in (None, operator, *ISSUER_OPERATORS)]
        return bank.proposals.has_place(stored.proposal, mine)

    return sees


def _listed(stored: StoredProposal) -> dict[str, Any]:
    proposal = stored.proposal
    operator = proposal.effect.get("operator")
    return {
        "proposal": ids.format(stored.id),
        "action": proposal.action,
        "state": stored.state,
        "code": stored.reason,
        "maker": ids.format(proposal.maker),
        "operator": operator if type(operator) is int else None,
        "signers": [ids.format(each) for each in stored.signers],
        "records": int(proposal.records.size),
        "made": utc_text(stored.made_ns),
        "valid_until_ns": str(proposal.valid_until_ns),
    }
