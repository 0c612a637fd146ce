"""`sycee serve`: the HTTP server of a bank."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sycee.cli.bank_options import BankFolder
from sycee.cli.terminal import note
from sycee.core.extras import extra

if TYPE_CHECKING:
    from sycee.bank.bank import Bank


def serve(folder: BankFolder, /) -> int:
    """Serve a bank over HTTP until Ctrl-C or SIGTERM; requests in progress are completed.

    The settings whose names begin with `http_` state where and how. Other processes cannot open the bank meanwhile.
    """
    with extra("server"):
        from sycee.server import main
    origin = ""

    def opened(bank: Bank) -> None:
        nonlocal origin
        origin = bank.config.text("http_origin")
        note(*(f"note: {finding}" for finding in bank.findings))

    main.serve_folder(
        folder, on_open=opened, on_ready=lambda: note(f"{origin} serves {folder}; Ctrl-C or SIGTERM stops")
    )
    note(f"{folder} is closed")
    return 0
