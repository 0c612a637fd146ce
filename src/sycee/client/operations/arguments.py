"""Helpers of the calls of all areas: ids and signers in arguments, and facts that messages to sign need."""

from __future__ import annotations

from sycee.client.calls import place, read
from sycee.client.exchange import Conversation, Session
from sycee.client.signing import Signer
from sycee.core import ids, money


def number_of(id: int | str) -> int:
    """Return the number of an id."""
    return id if isinstance(id, int) else ids.parse(id)


def name_of(id: int | str) -> str:
    """Return the text of an id."""
    return ids.format(number_of(id))


def account_of(owner: Signer | int | str) -> int:
    """Return the account of an owner: a signer, or the id of a custodial wallet."""
    return owner.id if isinstance(owner, Signer) else number_of(owner)


def signers_of(owner: Signer | int | str, signer: Signer | None) -> tuple[Signer, ...]:
    """Return who can sign for an owner: its own key, or a person of its operator."""
    return tuple(each for each in (owner, signer) if isinstance(each, Signer))


def id_member(name: str, id: int | str) -> dict[str, str]:
    """Return a member with an id, no member for 0 or ""."""
    return {name: name_of(id)} if id else {}


def ledger_of(session: Session) -> Conversation[tuple[bytes, int]]:
    """Return the id of the ledger in which this client signs, and the number of its currency; read them once."""
    if session.signs_in is None:
        public = yield from read("/v1/supply", dict).converse(session)
        session.require_ledger(public["ledger"])
        session.signs_in = bytes.fromhex(public["ledger"]), money.currency(public["currency"]).numeric
    return session.signs_in


def epoch_of(session: Session, account: int) -> Conversation[int]:
    """Read the key epoch of a wallet that the caller may see."""
    return (
        yield from read(f"/v1/wallets/{place(account)}", lambda members: int(members["key_epoch"])).converse(session)
    )
