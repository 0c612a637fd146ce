"""Aliases of wallets: phones and handles."""

from __future__ import annotations

from collections.abc import Callable

from sycee.client.calls import Call, Members, Value, action, made, message_action, post, require_same, value
from sycee.client.errors import ContradictsRequest
from sycee.client.exchange import Conversation, Session
from sycee.client.operations.arguments import account_of, epoch_of, ledger_of, name_of, signers_of
from sycee.client.signing import Asked, Signer
from sycee.client.values import Found
from sycee.core.records.signed_messages import alias_message

HASH_BYTES = 16


def resolve(alias: str) -> Call[Found]:
    """Return the wallet of a phone or a handle, and the masked name of its holder. Look-ups are limited."""

    def converse(_: Session) -> Conversation[Found]:
        response = yield post("/v1/aliases/resolution", {"alias": alias})
        return made(response, value(Found))

    return Call(converse)


def register_handle(wallet: Signer | int | str, handle: str, *, id: int = 0) -> Call[str]:
    """Make a handle, such as @tea, an alias of a wallet; return the wallet's id. The wallet's own key signs.

    `wallet`: the wallet with its key; the id of a custodial one, for a person of its operator.
    """
    return _alias(wallet, "aliases", handle, _wallet(wallet), id)


def end_alias(wallet: Signer | int | str, alias: str, *, id: int = 0) -> Call[str]:
    """End an alias of a wallet. As `register_handle`."""
    return _alias(wallet, "aliases/end", alias, _wallet(wallet), id)


def keep_alias(wallet: Signer | int | str, alias: str, *, id: int = 0) -> Call[str]:
    """Object to the move of an alias to another wallet. As `register_handle`."""
    return _alias(wallet, "aliases/keep", alias, _wallet(wallet), id)


def challenge_phone(wallet: Signer | int | str, phone: str, *, id: int = 0) -> Call[str]:
    """Let the bank send a code to a phone, and return the challenge's id. As `register_handle`."""
    return _alias(wallet, "aliases/challenges", phone, lambda members: str(members["challenge"]), id)


def confirm_phone(challenge: int | str, code: str, *, id: int = 0) -> Call[bool]:
    """Enter the code that a phone received; return whether the phone is an alias now.

    Otherwise it moves from another wallet in 24 hours, unless the owner of that wallet objects.
    """
    path = f"/v1/challenges/{name_of(challenge)}/confirmation"
    return action(path, {"code": code}, lambda members: bool(members["active"]), id=id)


def _wallet(wallet: Signer | int | str) -> Callable[[Members], str]:
    name = name_of(account_of(wallet))

    def make(members: Members) -> str:
        require_same(members, "wallet", name)
        return name

    return make


def _alias(wallet: Signer | int | str, step: str, alias: str, make: Callable[[Members], Value], id: int) -> Call[Value]:
    account = account_of(wallet)

    def message(session: Session, _: int, asked: Asked) -> Conversation[bytes]:
        # The hash of an alias is keyed with a secret of the bank. So the alias itself is not compared, but the message
        # can be nothing else than one about an alias of this wallet.
        try:
            hash = bytes.fromhex(asked.document["alias_hash"])
        except (KeyError, TypeError, ValueError) as error:
            raise ContradictsRequest("the server's request for a signature has no hash of the alias") from error
        if len(hash) != HASH_BYTES:
            raise ContradictsRequest(f"the hash of an alias has {len(hash)} bytes, not {HASH_BYTES}")
        ledger_id, _currency = yield from ledger_of(session)
        return alias_message(ledger_id, account, (yield from epoch_of(session, account)), hash)

    return message_action(
        f"/v1/wallets/{name_of(account)}/{step}",
        {"alias": alias},
        make,
        message=message,
        signers=signers_of(wallet, None),
        id=id,
    )
