"""Aliases of wallets: find a wallet by a phone or a handle, register and end them, object to a move.

An alias is in the body of a request, never in a path: paths are logged. Answers do not repeat it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.identity.remote_key import MessageSignatureNeeded
from sycee.server import access
from sycee.server.auth.caller import Caller
from sycee.server.auth.dependencies import address_of, authentication_of
from sycee.server.auth.service import Authentication
from sycee.server.operations import SIGNED_IN, operation
from sycee.server.problems import Problem, not_found
from sycee.server.routes.common import (
    MESSAGE_SIGNED,
    REPEATED,
    PathId,
    TheCaller,
    TheRuntime,
    hidden,
    number,
    wallet_key,
)
from sycee.server.signing import ActionBody, Body, Id, MessageBody, Signatures
from sycee.wallets.aliases import MOVE, LookupsExhausted, is_beneficiary
from sycee.wallets.directory import Wallet

Value = TypeVar("Value")

router = APIRouter(prefix="/v1", tags=["aliases"])

REGISTER = "alias.register"
RETRY_S = 3_600  # the look-ups of a person are counted by local day

AliasText = Annotated[
    str,
    Field(
        min_length=2,
        max_length=40,
        description="A phone, a handle such as @tea, or a beneficiary's id such as id:CASE-0017",
    ),
]
TheAuthentication = Annotated[Authentication, Depends(authentication_of)]
Address = Annotated[str, Depends(address_of)]


class AliasQuery(Body):
    """The alias of a payee."""

    alias: AliasText


class AliasBody(MessageBody):
    """An alias of the wallet. The wallet's key signs; for a custodial wallet a person of the operator asks."""

    alias: AliasText


class CodeBody(ActionBody):
    """The digits that a phone received."""

    code: Annotated[str, Field(pattern=r"^[0-9]{6}$")]


class Found(Body):
    """A wallet, and the name of its holder: masked for a person, in full for a merchant."""

    wallet: Id
    name: str


class AliasAnswer(Body):
    """The wallet whose alias was changed."""

    wallet: Id


class Challenge(Body):
    """A code that is sent to the phone. It is valid for ten minutes."""

    challenge: Id


class Confirmed(Body):
    """`active`: the phone is an alias now; otherwise it moves from another wallet in 24 hours."""

    active: bool


@operation(
    router, "POST", "/aliases/resolution", access=SIGNED_IN, response_model=Found, errors=("not-found",),
    summary="Find the wallet of an alias",
)  # fmt: skip
async def resolve_alias(
    body: AliasQuery, caller: TheCaller, runtime: TheRuntime, authentication: TheAuthentication, address: Address
) -> dict[str, Any]:
    """Return the wallet of a phone or a handle, for a payer; of a beneficiary's id, for staff of an operator.

    Look-ups are limited for a person and for an address.
    """
    authentication.count_lookup(address)

    def work(bank: Bank) -> dict[str, Any]:
        with hidden("alias"):
            found = _counted(lambda: bank.aliases.resolve(body.alias, by=caller.person))
        return {"wallet": ids.format(found.account), "name": found.name}

    return await runtime.call(work)


@operation(
    router, "POST", "/wallets/{wallet}/aliases", access=REGISTER, status_code=201, response_model=AliasAnswer,
    responses=MESSAGE_SIGNED, summary="Register a handle",
)  # fmt: skip
async def register_handle(wallet: PathId, body: AliasBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Make a handle an alias of a wallet. Counts as a look-up, since a handle may be another wallet's."""

    def work(bank: Bank, _: Signatures) -> dict[str, Any]:
        found, proof = _owned(bank, caller, wallet, body)
        _counted(lambda: bank.aliases.register_handle(found.account, body.alias, proof=proof, by=caller.person))
        return {"wallet": wallet}

    return await runtime.perform(REGISTER, caller.person, body, work, place={"wallet": wallet})


@operation(
    router, "POST", "/wallets/{wallet}/aliases/end", access=REGISTER, status_code=201, response_model=AliasAnswer,
    responses=MESSAGE_SIGNED, summary="End an alias",
)  # fmt: skip
async def end_alias(wallet: PathId, body: AliasBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """End an alias of a wallet."""

    def work(bank: Bank, request: Signatures) -> dict[str, Any]:
        found, proof = _owned(bank, caller, wallet, body)
        answer = {"wallet": wallet}
        bank.aliases.end(found.account, body.alias, proof=proof, by=caller.person, also=request.answered(answer))
        return answer

    return await runtime.perform("alias.end", caller.person, body, work, place={"wallet": wallet})


@operation(
    router, "POST", "/wallets/{wallet}/aliases/keep", access=MOVE, status_code=201, response_model=AliasAnswer,
    responses=MESSAGE_SIGNED, summary="Object to the move of an alias",
)  # fmt: skip
async def keep_alias(wallet: PathId, body: AliasBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """End the move of an alias to another wallet, as the owner of the wallet that has it."""

    def work(bank: Bank, request: Signatures) -> dict[str, Any]:
        found, proof = _owned(bank, caller, wallet, body)
        answer = {"wallet": wallet}
        bank.aliases.keep(found.account, body.alias, proof=proof, by=caller.person, also=request.answered(answer))
        return answer

    return await runtime.perform("alias.keep", caller.person, body, work, place={"wallet": wallet})


@operation(
    router, "POST", "/wallets/{wallet}/aliases/challenges", access=REGISTER, status_code=201,
    response_model=Challenge, responses=MESSAGE_SIGNED, summary="Ask for a code to a phone",
)  # fmt: skip
async def challenge_phone(wallet: PathId, body: AliasBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Prepare a code for a phone that becomes an alias of the wallet. The bank sends it to the phone."""

    def work(bank: Bank, request: Signatures) -> dict[str, Any]:
        found, proof = _owned(bank, caller, wallet, body)
        also = request.answering(_challenge)
        return _challenge(bank.aliases.challenge(found.account, body.alias, proof=proof, by=caller.person, also=also))

    return await runtime.perform("alias.challenge", caller.person, body, work, place={"wallet": wallet})


@operation(
    router, "POST", "/challenges/{challenge}/confirmation", access=REGISTER, status_code=201,
    response_model=Confirmed, responses=REPEATED, summary="Enter the code that a phone received",
)  # fmt: skip
async def confirm_phone(challenge: PathId, body: CodeBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Make the phone an alias, or begin its move from another wallet. Five wrong codes end the challenge."""

    def work(bank: Bank, request: Signatures) -> dict[str, Any]:
        with hidden("challenge"):
            wallet = bank.directory.find(bank.aliases.account_of(number(challenge)))
        if wallet is None or not access.may_move(bank, caller, wallet):
            raise not_found("challenge")
        return _confirmed(bank.aliases.confirm(number(challenge), body.code, also=request.answering(_confirmed)))

    return await runtime.perform("alias.confirm", caller.person, body, work, place={"challenge": challenge})


# --- helpers ---


def _owned(bank: Bank, caller: Caller, wallet: str, body: AliasBody) -> tuple[Wallet, bytes]:
    """Return the caller's wallet and the proof of its key; no proof for a custodial one.

    Raises the problem `not-found` for another's wallet, and MessageSignatureNeeded without a signature. Staff of the
    wallet's operator enters a beneficiary's id without one.
    """
    if is_beneficiary(body.alias):
        return access.staff_wallet(bank, caller, number(wallet)), b""
    found = access.own_wallet(bank, caller, number(wallet))
    if not bank.stores.ledger.account(found.account).key:
        return found, b""
    key = wallet_key(bank, found, body.signature_bytes)
    try:
        return found, key.sign(bank.aliases.message(found.account, body.alias))
    except MessageSignatureNeeded as needed:
        needed.document = {"alias_hash": bank.aliases.hash_of(body.alias).hex()}
        raise


def _challenge(challenge: int) -> dict[str, Any]:
    return {"challenge": ids.format(challenge)}


def _confirmed(active: bool) -> dict[str, Any]:
    return {"active": active}


def _counted(work: Callable[[], Value]) -> Value:
    """Return what `work` returns. Raises the problem `too-many-requests` after the look-ups of one day."""
    try:
        return work()
    except LookupsExhausted as error:
        headers = {"Retry-After": str(RETRY_S)}
        raise Problem("too-many-requests", error.message, hint=error.hint, headers=headers) from error
