"""Holds: reserve money for a payee, take it, release it, set a later end."""

from __future__ import annotations

from collections.abc import Mapping

from sycee.client.calls import Call, Page, action, listed, read, value
from sycee.client.operations.arguments import account_of, id_member, name_of, number_of, signers_of
from sycee.client.signing import Signer, Wanted
from sycee.client.values import Hold, HoldState
from sycee.core.records.layout import Kind, PostFlag


def hold(
    payer: Signer | int | str,
    payee: int | str,
    minor: int,
    *,
    until_ns: int,
    text: str = "",
    till: int | str = "",
    order: str = "",
    signer: Signer | None = None,
    id: int = 0,
) -> Call[HoldState]:
    """Hold money of a wallet for a payee until a time. The id of the call is that of the hold.

    The arguments are those of `pay`. While an order is held, nothing else pays it.
    """
    account, to = account_of(payer), number_of(payee)
    body = {"payee": name_of(to), "minor": str(minor), "until_ns": str(until_ns), "text": text, "order": order}
    fields = {"debit": account, "credit": to, "amount": minor, "until_ns": until_ns}
    return action(
        f"/v1/wallets/{name_of(account)}/holds",
        body | id_member("till", till),
        value(HoldState),
        signers=signers_of(payer, signer),
        wanted=lambda number: [Wanted(Kind.HOLD, {"id": number, **fields})],
        id=id,
    )


def holds(wallet: int | str) -> Call[Page[Hold]]:
    """Return the holds of a wallet as payer or payee, in the order of their ids."""
    return listed(f"/v1/wallets/{name_of(wallet)}/holds", value(Hold))


def held(id: int | str) -> Call[Hold]:
    """Return a hold, to its payer, its payee, and the staff of their operators."""
    name = name_of(id)
    return read(f"/v1/holds/{name}", value(Hold, hold=name))


def post_hold(
    hold: int | str,
    payee: Signer | int | str,
    minor: int,
    *,
    till: int | str = "",
    signer: Signer | None = None,
    id: int = 0,
) -> Call[HoldState]:
    """Take money of a hold; the rest is released. `payee`: as `payer` of `pay`."""
    taken = {"reference": number_of(hold), "debit": account_of(payee), "amount": minor}
    body = {"minor": str(minor)} | id_member("till", till)
    return _end(hold, "post", body, payee, signer, Kind.POST, taken, id, flags=PostFlag.RELEASE_REST)


def void_hold(
    hold: int | str, payee: Signer | int | str, *, signer: Signer | None = None, id: int = 0
) -> Call[HoldState]:
    """Release all of a hold. `payee`: as `payer` of `pay`."""
    released = {"reference": number_of(hold), "debit": account_of(payee)}
    return _end(hold, "void", {}, payee, signer, Kind.VOID, released, id)


def extend_hold(
    hold: int | str, payer: Signer | int | str, until_ns: int, *, signer: Signer | None = None, id: int = 0
) -> Call[HoldState]:
    """Set a later end of a hold. `payer`: as of `pay`."""
    extended = {"reference": number_of(hold), "debit": account_of(payer), "until_ns": until_ns}
    return _end(hold, "extension", {"until_ns": str(until_ns)}, payer, signer, Kind.EXTEND, extended, id)


def _end(
    hold: int | str, step: str, body: Mapping[str, str], owner: Signer | int | str, signer: Signer | None, kind: Kind,
    fields: Mapping[str, int], id: int, *, flags: int = 0,
) -> Call[HoldState]:  # fmt: skip
    name = name_of(hold)
    return action(
        f"/v1/holds/{name}/{step}",
        body,
        value(HoldState, hold=name),
        signers=signers_of(owner, signer),
        wanted=lambda number: [Wanted(kind, {"id": number, **fields}, flags=flags)],
        id=id,
    )
