"""`sycee clock`: set the clock of a rehearsal."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from sycee.cli.bank_options import BankFolder, local_time, moment, open_bank
from sycee.cli.terminal import show

app = App(name="clock", help="Set the clock of a rehearsal.")


@app.command(name="set")
def set_(
    folder: BankFolder,
    time: Annotated[str, Parameter(help="Local time, such as 2026-11-02T09:00.")],
    /,
) -> int:
    """Move the clock of a rehearsal forward, and run the jobs that are due.

    A bank has such a clock if `sycee init --rehearsal-from` founded it. All its packs and pages are marked.
    """
    with open_bank(folder) as bank:
        zone = bank.config.text("zone")
        bank.set_clock(moment(time, zone))
        show(f"the bank's clock shows {local_time(bank.stores.clock.now_ns(), zone)}")
    return 0
