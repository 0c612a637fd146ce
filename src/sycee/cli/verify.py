"""`sycee verify`: reread a ledger's journal and recompute every balance and every purse from the operations."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sycee.cli import console


def verify(
    folder: Annotated[Path, Parameter(help="The ledger's folder, as given to --data or Ledger.open.")],
    /,
    *,
    json_: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object to stdout.")] = False,
) -> int:
    """Reread a ledger's journal from its first frame and recompute every balance and every purse from the operations.

    Writes nothing. Exit code 3 where something does not hold, with the place; 0 with what was proved.
    """
    from sycee.core import money
    from sycee.core.errors import IntegrityError, JournalDamaged, UsageError
    from sycee.programmes.published import WINNERS
    from sycee.programmes.service import check_cohort
    from sycee.sandbox.pilot import DRAW_FOLDER, PROGRAMME_NUMBER
    from sycee.sequencer.verify import verify as reread

    # Beside a pilot's ledger lies its draw: whoever was paid must be who was drawn.
    draw = folder / DRAW_FOLDER
    also = [partial(check_cohort, number=PROGRAMME_NUMBER, draw_folder=draw)] if (draw / WINNERS).is_file() else []
    try:
        with console(stderr=True).status("reading the journal") as status:
            found = reread(folder, progress=lambda frames: status.update(f"{frames:,} frames read"), also=also)
    except IntegrityError as error:
        if json_:
            print(json.dumps({"ok": False, "error": error.message}))
        if isinstance(error, JournalDamaged):
            error.hint = "nothing was changed; restore the file from a copy"  # it would send people here
        raise
    if json_:
        print(json.dumps({"ok": True, **asdict(found)}))
        return 0
    terminal = console()

    def moment(time_ns: int) -> str:
        return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

    terminal.print(f"{folder} holds what it claims.", style="bold", markup=False, soft_wrap=True)
    counts = f"{found.frames:,} frames, {found.operations:,} operations, {found.movements:,} movements"
    terminal.print(counts, soft_wrap=True)
    terminal.print(f"{found.accounts:,} accounts, {found.purses:,} purses", soft_wrap=True)
    if found.frames:
        terminal.print(f"from {moment(found.first_time_ns)} to {moment(found.last_time_ns)}")
    for code, supply in found.supply.items():
        try:
            terminal.print(f"in circulation: {money.format(supply, money.currency(code))} {code}")
        except UsageError:
            terminal.print(f"book {code}: {supply:,} minor units issued")
    terminal.print("proved:")
    for sentence in found.proved:
        terminal.print(f"  {sentence}", soft_wrap=True)
    for finding in found.findings:
        terminal.print(f"note: {finding}", style="yellow", markup=False, soft_wrap=True)
    terminal.print(f"state digest {found.digest}", soft_wrap=True)
    return 0
