"""`sycee serve`: the HTTP server of a bank."""

from __future__ import annotations

from sycee.cli.bank_options import BankFolder
from sycee.cli.terminal import note
from sycee.core.extras import extra


def serve(folder: BankFolder, /) -> int:
    """Serve a bank over HTTP until Ctrl-C or SIGTERM; requests in progress are completed.

    The settings whose names begin with `http_` state where and how. Other processes cannot open the bank meanwhile.
    """
    with extra("server"):
        from sycee.server import main
    from sycee.bank.bank import Bank
    from sycee.bank.config import Config
    from sycee.bank.folder import DataFolder
    from sycee.server.tables import SCHEMA

    workers = int(Config.load(DataFolder(folder)).text("signature_workers"))
    with Bank.open(folder, signature_workers=workers, schemas=(SCHEMA,)) as bank:
        origin = bank.config.text("http_origin")
        main.serve(bank, on_ready=lambda: note(f"{origin} serves {folder}; Ctrl-C stops"))
    note(f"{folder} is closed")
    return 0
