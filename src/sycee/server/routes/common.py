"""Helpers of the modules of operations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

from fastapi import Depends, Path
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.errors import NotFound, Refused, UsageError
from sycee.core.keys import PublicKey
from sycee.core.limits import I64_MAX
from sycee.core.records.proposal_format import Proposal
from sycee.core.result_codes import Result
from sycee.identity.remote_key import RemoteKey
from sycee.server.auth.dependencies import KnownCaller
from sycee.server.problems import Problem, not_found
from sycee.server.runtime import Runtime, runtime_of
from sycee.server.signing import ID_PATTERN, Body, Id, MessageRequest, SignatureRequest
from sycee.wallets.directory import Wallet
from sycee.wallets.holds import PAYER_CANNOT_PAY
from sycee.wallets.payments import PayerAnswer

TheRuntime = Annotated[Runtime, Depends(runtime_of)]
TheCaller = KnownCaller
PathId = Annotated[str, Path(pattern=ID_PATTERN)]
OperatorNumber = Annotated[int, Path(ge=0, le=65_535, description="Number of an operator")]
PathNumber = Annotated[int, Path(ge=1, le=I64_MAX)]

_WORDS: Final[dict[str, str]] = {
    PayerAnswer.PAYEE_CANNOT_RECEIVE: "the payee cannot receive this money",
    PAYER_CANNOT_PAY: "the payer cannot pay",
}

# Values of answers.
Amount = Annotated[str, Field(pattern=r"^-?[0-9]{1,19}$", description="Minor units of the currency", examples=["1250"])]
Moment = Annotated[str, Field(description="ISO 8601 in UTC", examples=["2026-11-02T00:00:00.000000000Z"])]
Next = Annotated[str | None, Field(description="Cursor of the next page; null on the last page")]

# Responses of an action besides 201, for the OpenAPI document.
REPEATED: Final[dict[int | str, dict[str, Any]]] = {200: {"description": "The same request was done before."}}
SIGNED_ELSEWHERE: Final[dict[int | str, dict[str, Any]]] = {
    **REPEATED,
    202: {"model": SignatureRequest, "description": "Nothing was changed: sign the records, and send this again."},
}

MESSAGE_SIGNED: Final[dict[int | str, dict[str, Any]]] = {
    **REPEATED,
    202: {"model": MessageRequest, "description": "Nothing was changed: sign the message, and send this again."},
}


def refusal(what: str, answer: str) -> Exception:
    """Return the error for a refusal by the ledger. `answer`: the code that the caller may hear."""
    if answer in Result.__members__:
        return Refused(what, Result[answer])
    return Problem("refused", f"{what}: {_WORDS[answer]}", code=answer)


def own_key(bank: Bank, caller: TheCaller, key: str, signature: bytes) -> RemoteKey:
    """Return the key of the caller that signs; "" for the first one. Raises UsageError for another person's."""
    keys = bank.people.keys_of(caller.person)
    wanted = PublicKey.parse(key) if key else next(iter(keys), None)
    if wanted is None or wanted not in keys:
        raise UsageError("this is no key of yours", hint="`GET /v1/me` lists your keys")
    return RemoteKey(wanted, signature)


def number(text: str) -> int:
    """Return the number of an id in a path or body."""
    return ids.parse(text)


def wallet_key(bank: Bank, wallet: Wallet, signature: bytes) -> RemoteKey:
    """Return the key of a wallet with the signature that was made elsewhere. Raises UsageError without a key."""
    account = bank.stores.ledger.account(wallet.account)
    if not account.key:
        raise UsageError(
            f"wallet {ids.format(wallet.account)} has no own key",
            hint="its operator acts for a custodial wallet; a revoked key is set anew",
        )
    return RemoteKey(PublicKey(int(account.key_flags), account.key), signature)


class Proposed(Body):
    """A proposal that was made: nothing is done until the persons of `needs` have signed it."""

    proposal: Id
    state: str
    needs: tuple[str, ...]


def proposed(bank: Bank, proposal: Proposal) -> dict[str, Any]:
    """Return the answer of an action that makes a proposal."""
    stored = bank.proposals.get(proposal.id)
    return {
        "proposal": ids.format(stored.id),
        "state": stored.state,
        "needs": list(bank.proposals.missing(stored.id).needs),
    }


@contextmanager
def hidden(what: str) -> Iterator[None]:
    """Answer a thing that does not exist like one that the caller may not see."""
    try:
        yield
    except NotFound as error:
        raise not_found(what) from error
