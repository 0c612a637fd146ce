"""Merchants: outlets, tills, QR codes, day reports and sweeps."""

from __future__ import annotations

from typing import Literal

from sycee.client.calls import Call, Page, action, download, listed, place, read, value
from sycee.client.operations.arguments import account_of, id_member, name_of, signers_of
from sycee.client.signing import Signer, Wanted
from sycee.client.values import Merchant, MerchantDay, MerchantRow, Sweep, SweepState
from sycee.core.keys import PublicKey
from sycee.core.limits import I64_MAX
from sycee.core.records.layout import Kind, SendFlag


def merchants() -> Call[Page[MerchantRow]]:
    """Return the merchants of the caller's operators; for a merchant's person, that merchant."""
    return listed("/v1/merchants", value(MerchantRow))


def merchant(id: int | str) -> Call[Merchant]:
    """Return a merchant with its wallets, outlets and tills."""
    name = name_of(id)
    return read(f"/v1/merchants/{name}", value(Merchant, merchant=name))


def open_outlet(merchant: int | str, code: str, *, id: int = 0) -> Call[str]:
    """Open an outlet, and return its id; a code that the merchant has gives the same outlet."""
    path = f"/v1/merchants/{name_of(merchant)}/outlets"
    return action(path, {"code": code}, lambda members: str(members["outlet"]), id=id)


def open_till(
    merchant: int | str, outlet: int | str, code: str, *, key: PublicKey | None = None, id: int = 0
) -> Call[str]:
    """Open a till of an outlet, and return its id. `key`: the till's own, with which it asks for payments."""
    path = f"/v1/merchants/{name_of(merchant)}/outlets/{name_of(outlet)}/tills"
    body = {"code": code} | ({"key": str(key)} if key is not None else {})
    return action(path, body, lambda members: str(members["till"]), id=id)


def close_outlet(merchant: int | str, outlet: int | str, *, id: int = 0) -> Call[str]:
    """Close an outlet and its tills, which then take no payment; return its state."""
    path = f"/v1/merchants/{name_of(merchant)}/outlets/{name_of(outlet)}/closure"
    return action(path, {}, lambda members: str(members["state"]), id=id)


def close_till(merchant: int | str, till: int | str, *, id: int = 0) -> Call[str]:
    """Close a till, which then takes no payment; return its state."""
    path = f"/v1/merchants/{name_of(merchant)}/tills/{name_of(till)}/closure"
    return action(path, {}, lambda members: str(members["state"]), id=id)


def qr(wallet: int | str, *, minor: int = 0, order: str = "", till: int | str = "") -> Call[str]:
    """Return the text of a wallet's QR code. `minor`: 0 if the payer enters the amount. An order is paid once."""
    query = _code(minor, order, till)
    return read(f"/v1/wallets/{name_of(wallet)}/qr", lambda members: str(members["text"]), query=query)


def qr_picture(
    wallet: int | str, form: Literal["png", "svg"] = "png", *, minor: int = 0, order: str = "", till: int | str = ""
) -> Call[bytes]:
    """Return the picture of the code of `qr`."""
    return download(f"/v1/wallets/{name_of(wallet)}/qr.{form}", query=_code(minor, order, till))


def merchant_day(merchant: int | str, day: str, *, wallet: int | str = "") -> Call[MerchantDay]:
    """Return a merchant's day: payments and refunds for each till, and sweeps. `wallet`: the oldest by default."""
    name = name_of(merchant)
    path = f"/v1/merchants/{name}/days/{place(day)}"
    return read(path, value(MerchantDay, merchant=name, day=day), query=id_member("wallet", wallet))


def sweep(
    merchant: int | str, wallet: Signer | int | str, *, signer: Signer | None = None, id: int = 0
) -> Call[SweepState]:
    """Send a merchant's available balance to its bank, under one bank reference.

    `wallet`: of the merchant, as `payer` of `pay`. The server chooses the operator's vault and its account for transit.
    """
    account = account_of(wallet)
    fields = {"debit": account, "amount": I64_MAX}
    free = frozenset({"credit", "reference"})
    return action(
        f"/v1/merchants/{name_of(merchant)}/sweeps",
        {"wallet": name_of(account)},
        value(SweepState),
        signers=signers_of(wallet, signer),
        wanted=lambda number: [Wanted(Kind.SEND, {"id": number, **fields}, free=free, flags=SendFlag.UP_TO)],
        id=id,
    )


def sweeps(merchant: int | str) -> Call[Page[Sweep]]:
    """Return the sweeps of a merchant, in the order of their ids."""
    return listed(f"/v1/merchants/{name_of(merchant)}/sweeps", value(Sweep))


def confirm_sweep(sweep: int | str, *, id: int = 0) -> Call[SweepState]:
    """Report that the bank received a sweep: the money is in the vault. The server signs as operator 0."""
    name = name_of(sweep)
    return action(f"/v1/sweeps/{name}/confirmation", {}, value(SweepState, sweep=name), id=id)


def reject_sweep(sweep: int | str, *, id: int = 0) -> Call[SweepState]:
    """Report that the bank refused a sweep: the money returns to the merchant. The server signs as operator 0."""
    name = name_of(sweep)
    return action(f"/v1/sweeps/{name}/rejection", {}, value(SweepState, sweep=name), id=id)


def _code(minor: int, order: str, till: int | str) -> dict[str, str]:
    named = {"minor": str(minor) if minor else "", "order": order}
    return {name: each for name, each in named.items() if each} | id_member("till", till)
