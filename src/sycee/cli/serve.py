"""`sycee serve`: the HTTP server of a bank."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sycee.cli.bank_options import BankFolder
from sycee.cli.clearing_options import signing
from sycee.cli.proposing import signing_keys
from sycee.cli.terminal import note
from sycee.core.extras import extra

if TYPE_CHECKING:
    from sycee.bank.bank import Bank


def serve(
    folder: BankFolder,
    /,
    *,
    house_key: Annotated[
        Path | None,
        Parameter(help="Private key of the clearing house's operator: settle what arrives before it is answered."),
    ] = None,
) -> int:
    """Serve a bank over HTTP until Ctrl-C or SIGTERM; requests in progress are completed.

    The settings whose names begin with `http_` state where and how. Other processes cannot open the bank meanwhile.
    """
    house = signing_keys([house_key]) if house_key else ()
    with extra("bank"):
        from sycee.server import main
        from sycee.server.routes.clearing import not_settled
    origin = ""

    def opened(bank: Bank) -> None:
        nonlocal origin
        origin = bank.config.text("http_origin")
        note(*(f"note: {finding}" for finding in bank.findings))
        if house:
            bank.clearing.settle_on_arrival(**signing(bank, house), failed=not_settled)

    main.serve_folder(
        folder, on_open=opened, on_ready=lambda: note(f"{origin} serves {folder}; Ctrl-C or SIGTERM stops")
    )
    note(f"{folder} is closed")
    return 0
