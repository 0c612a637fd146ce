"""Texts of the QR codes of a bank's wallets and requests to pay."""

from __future__ import annotations

from sycee.bank.bank import Bank
from sycee.core.errors import UsageError
from sycee.wallets import emv_qr
from sycee.wallets.requests import Request


def account_code(bank: Bank, account: int, *, minor: int = 0, order: str = "", till: str = "", request: int = 0) -> str:
    """Return the text of the QR code of a wallet. A person's code has no name.

    Raises UsageError for a wallet that is not open, a bank without a country, and values that a code cannot have.
    """
    wallet, country = bank.directory.require_open(account), bank.config.text("country")
    if not country:
        raise UsageError(
            "the bank has no country for QR codes", hint='add country = "CN" and city = "..." to its sycee.toml'
        )
    is_person = bank.people.state_of(wallet.holder) is not None
    name = "" if is_person else bank.institutions.get(wallet.holder).name
    return emv_qr.encode(
        emv_qr.Payload(
            domain=bank.config.text("qr_domain"),
            account=account,
            currency=bank.config.currency.code,
            country=country,
            name=name[: emv_qr.NAME_CHARACTERS_MAX].strip(),
            city="" if is_person else bank.config.text("city"),
            request=request,
            minor=minor,
            order=order,
            till=till,
        )
    )


def request_code(bank: Bank, request: Request) -> str:
    """Return the text of the QR code of a request."""
    return account_code(bank, request.payee, minor=request.minor, request=request.id)
