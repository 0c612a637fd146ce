"""QR codes of merchants and requests, as text and as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

from sycee.core.errors import UsageError

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.wallets.requests import Request

PngFile: TypeAlias = Annotated[Path | None, Parameter(help="Write the QR code to this PNG file.")]
SvgFile: TypeAlias = Annotated[Path | None, Parameter(help="Write the QR code to this SVG file.")]


def account_code(bank: Bank, account: int, *, minor: int = 0, order: str = "", till: str = "", request: int = 0) -> str:
    """Return the text of the QR code of a wallet. A person's code has no name."""
    from sycee.wallets import emv_qr

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


def write_code(text: str, png: Path | None, svg: Path | None) -> None:
    """Write the pictures of a text that were asked for."""
    from sycee.core.output_files import require_distinct, write_file
    from sycee.wallets import emv_qr

    require_distinct({"--png": png, "--svg": svg})
    if png is not None:
        write_file(png, emv_qr.png(text))
    if svg is not None:
        write_file(svg, emv_qr.svg(text))
