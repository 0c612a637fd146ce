"""Keys of wallets: show and set them, with proof of possession, and revoke them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core.keys import PublicKey
from sycee.core.timestamps import exact_text
from sycee.identity.key_register import REVOKE, SET_KEY
from sycee.identity.tables import SET
from sycee.server import access
from sycee.server.operations import OWN, operation
from sycee.server.routes.common import SIGNED_ELSEWHERE, Moment, PathId, TheCaller, TheRuntime, number
from sycee.server.signing import ActionBody, Body, Id, Signatures

router = APIRouter(prefix="/v1", tags=["keys"])

Reason = Annotated[str, Field(pattern=r"^[a-z][a-z-]{0,39}$", description="One word, which is kept with the key")]


class KeyBody(ActionBody):
    """A new key. `proof`: its signature of the message that docs/reference/proposals.md defines, for the next epoch.

    `consent`: the present key's signature of the same message, for a wallet that has a key.
    """

    key: Annotated[str, Field(max_length=80)]
    proof: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$", description="Hexadecimal")]
    consent: Annotated[str, Field(pattern=r"^([0-9a-f]{128})?$", description="Hexadecimal")] = ""
    reason: Reason = "rotation"


class RevocationBody(ActionBody):
    """A key that nobody may use any more."""

    reason: Reason = "lost"


class KeyAnswer(Body):
    """A wallet after a change of its key; `key` is empty without one."""

    wallet: Id
    key: str
    key_epoch: int
    state: str


class StoredKey(Body):
    """A key that a wallet has or had. `is_blocked`: the block of its rotation is not lifted yet."""

    key: str
    key_epoch: int
    from_: Annotated[Moment, Field(alias="from")]
    until: Moment | None
    reason: str
    is_blocked: bool


class KeysShown(Body):
    """The present key, empty without one, and what the proof of a new key needs."""

    wallet: Id
    ledger_id: str
    key: str
    key_epoch: int
    next_epoch: int
    keys: tuple[StoredKey, ...]


@operation(
    router, "GET", "/wallets/{wallet}/keys", access=OWN, response_model=KeysShown, summary="Show the keys of a wallet"
)
async def show_keys(wallet: PathId, caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the present key, the earlier ones, and the values for the proof of a new key."""

    def work(bank: Bank) -> dict[str, Any]:
        account = access.visible_wallet(bank, caller, number(wallet)).account
        found = bank.stores.ledger.account(account)
        return {
            "wallet": wallet,
            "ledger_id": bank.stores.ledger.ledger_id.hex(),
            "key": str(PublicKey(int(found.key_flags), found.key)) if found.key else "",
            "key_epoch": found.key_epoch,
            "next_epoch": found.key_epoch + 1,
            "keys": [
                {
                    "key": row.public_key,
                    "key_epoch": row.epoch,
                    "from": exact_text(row.from_ns),
                    "until": exact_text(row.until_ns) if row.until_ns is not None else None,
                    "reason": row.reason,
                    "is_blocked": row.state != SET,
                }
                for row in bank.keys.history(account)
            ],
        }

    return await runtime.call(work)


@operation(
    router, "POST", "/wallets/{wallet}/keys", access=SET_KEY, status_code=201, response_model=KeyAnswer,
    responses=SIGNED_ELSEWHERE, summary="Set the key of a wallet",
)  # fmt: skip
async def set_key(wallet: PathId, body: KeyBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Block the debits, set the key, and lift the block in a later frame; a person of the operator signs.

    The present key signs the new one too. A wallet whose key was lost or revoked gets one by `recovery` only.
    There are two answers 202, because the last step is signed apart: send the envelopes of both together.
    """

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        account = access.served_wallet(bank, caller, number(wallet), SET_KEY).account
        key = PublicKey.parse(body.key)
        outcome = bank.keys.set(
            account, key, bytes.fromhex(body.proof), signers=signatures.person(caller.person), who=caller.person,
            consent=bytes.fromhex(body.consent), reason=body.reason, id=body.number,
        )  # fmt: skip
        outcome.require_created(f"wallet {wallet} keeps its key")
        newest = bank.keys.history(account)[-1]
        return {"wallet": wallet, "key": str(key), "key_epoch": newest.epoch, "state": newest.state}

    return await runtime.perform(SET_KEY, caller.person, body, work, place={"wallet": wallet})


@operation(
    router, "POST", "/wallets/{wallet}/keys/revocation", access=REVOKE, status_code=201, response_model=KeyAnswer,
    responses=SIGNED_ELSEWHERE, summary="Revoke the key of a wallet",
)  # fmt: skip
async def revoke_key(wallet: PathId, body: RevocationBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Remove a key: nobody takes money of the wallet until it has a new one. A person of the operator signs."""

    def work(bank: Bank, signatures: Signatures) -> dict[str, Any]:
        account = access.served_wallet(bank, caller, number(wallet), REVOKE).account
        outcome = bank.keys.revoke(
            account, reason=body.reason, signers=signatures.person(caller.person), who=caller.person, id=body.number
        )
        outcome.require_created(f"wallet {wallet} keeps its key")
        newest = bank.keys.history(account)[-1]
        return {"wallet": wallet, "key": "", "key_epoch": newest.epoch, "state": newest.state}

    return await runtime.perform(REVOKE, caller.person, body, work, place={"wallet": wallet})
