"""`sycee backup`: write an encrypted backup of a bank."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sycee.cli.bank_options import BankFolder, open_bank
from sycee.cli.parameters import AsJson
from sycee.cli.terminal import console, note, show, show_json
from sycee.core import money
from sycee.core.output_files import require_place


def backup(
    folder: BankFolder,
    file: Annotated[Path, Parameter(help="New file for the backup.")],
    /,
    *,
    backup_key: Annotated[Path, Parameter(help="File of the key that encrypts the backup, created if absent.")],
    json_: AsJson = False,
) -> int:
    """Write an encrypted backup: the journal up to one frame, then the database, settings and packs.

    Per-person keys, private keys and the master key are in no backup: copy them separately.
    """
    from sycee.bank.backup import write_backup
    from sycee.core.secret_files import SecretKey

    require_place(file)
    with open_bank(folder) as bank:
        if not backup_key.exists():
            SecretKey.generate().save(backup_key)
            note(f"note: {backup_key} is a new key: without it the backup cannot be opened, so keep a copy elsewhere")
        key = SecretKey.load(backup_key)
        with console(stderr=True).status("writing the backup"):
            done = write_backup(bank, file, key)
        currency = bank.config.currency
    if json_:
        show_json(
            {
                "file": str(file),
                "bytes": done.file_bytes,
                "frame": done.frame,
                "state_digest": done.state_digest.hex(),
                "supply": money.format(done.supply, currency),
            }
        )
        return 0
    show(
        f"{file} has the bank up to frame {done.frame:,}, and its database",
        f"in circulation: {money.with_code(done.supply, currency)}",
        f"state digest {done.state_digest.hex()}",
    )
    return 0
