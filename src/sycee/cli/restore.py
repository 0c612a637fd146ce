"""`sycee restore`: restore a ledger from a copy of its journal, or a bank from its backup."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sycee.cli.ledger_steps import journal_disk_of
from sycee.cli.parameters import AsJson
from sycee.cli.terminal import console, show, show_json
from sycee.core import money
from sycee.core.errors import UsageError
from sycee.core.output_files import refuse_inside

if TYPE_CHECKING:
    from sycee.sequencer.restore import Restored


def restore(
    source: Annotated[Path, Parameter(help="Folder with a copy of a ledger, or the file of a bank's backup.")],
    target: Annotated[Path, Parameter(help="Folder for what is restored, empty or new; new for a bank.")],
    /,
    *,
    cut_tail: Annotated[bool, Parameter(negative="", help="Discard a last frame of SOURCE that is in doubt.")] = False,
    backup_key: Annotated[Path | None, Parameter(help="For a backup: file of the key that encrypts it.")] = None,
    master_key: Annotated[Path | None, Parameter(help="For a backup: file of the master key of personal data.")] = None,
    key_backup: Annotated[Path | None, Parameter(help="For a backup: folder with the backup of per-person keys.")] = (
        None
    ),
    database: Annotated[
        str | None, Parameter(help="For a backup: new PostgreSQL database, or file for SQLite.")
    ] = None,
    database_password_file: Annotated[
        Path | None, Parameter(help="For a backup: file with the password of the PostgreSQL user.")
    ] = None,
    json_: AsJson = False,
) -> int:
    """Copy a ledger into a new folder, check the journal from its first byte, and begin a new epoch.

    SOURCE is not changed. If its former owner writes to it again, the epoch distinguishes those frames from the
    frames of TARGET. From the file of a backup, restore the whole bank.
    """
    if source.is_file():
        return _restore_bank(
            source, target, backup_key, master_key, key_backup, database, database_password_file, json_=json_
        )
    if backup_key or master_key or key_backup or database or database_password_file:
        raise UsageError(
            f"{source} is no file of a backup: the options for keys and database do not apply",
            hint="name the file that `sycee backup` wrote, or leave these options out",
        )
    from sycee.sequencer.restore import restore as copy

    journal_disk_of(source)
    refuse_inside(target, source, "TARGET")
    result = None
    try:
        with console(stderr=True).status("reading the journal") as status:
            result = copy(
                source, target, cut_tail=cut_tail, progress=lambda frames: status.update(f"{frames:,} frames read")
            )
        _show(result, source, target, json_=json_)
    except KeyboardInterrupt:
        if result is None:
            raise
        raise KeyboardInterrupt(f"{target} holds the ledger, now in epoch {result.epoch}") from None
    return 0


def _restore_bank(
    source: Path,
    target: Path,
    backup_key: Path | None,
    master_key: Path | None,
    key_backup: Path | None,
    database: str | None,
    password_file: Path | None,
    *,
    json_: bool,
) -> int:
    from sycee.bank.config import Config
    from sycee.bank.folder import DataFolder
    from sycee.bank.restoring import restore_bank
    from sycee.core.secret_files import SecretKey
    from sycee.server.tables import SCHEMA

    if backup_key is None or master_key is None or key_backup is None:
        raise UsageError(
            f"{source} is a backup, which needs --backup-key, --master-key and --key-backup",
            hint="name the key of the backup, the master key, and the folder with the backup of per-person keys",
        )
    key = SecretKey.load(backup_key)
    with console(stderr=True).status("reading the backup") as status:
        result = restore_bank(
            source,
            target,
            key,
            master_key=master_key,
            key_backup=key_backup,
            database=database or "",
            password_file=password_file,
            progress=status.update,
            schemas=(SCHEMA,),
        )
    currency = Config.load(DataFolder(target)).currency
    if json_:
        show_json(
            {
                "frame": result.frame,
                "epoch": result.epoch,
                "state_digest": result.state_digest.hex(),
                "supply": money.format(result.supply, currency),
                "intents_done": result.done,
                "intents_lapsed": result.lapsed,
                "persons_shredded": result.shredded,
                "findings": list(result.findings),
            }
        )
        return 0
    show(f"{source} was restored to {target}", style="bold")
    show(
        f"frame {result.frame:,}: the same state digest and supply as in the backup; now epoch {result.epoch}",
        f"in circulation: {money.with_code(result.supply, currency)}",
        f"later actions: {result.done} done again, {result.lapsed} lapsed",
        f"persons shredded, whose data nobody can read: {result.shredded}",
    )
    show(*(f"note: {finding}" for finding in result.findings), style="yellow")
    show(f"state digest {result.state_digest.hex()}")
    return 0


def _show(result: Restored, source: Path, target: Path, *, json_: bool) -> None:
    if json_:
        show_json(asdict(result))
        return
    show(f"{source} was restored to {target}", style="bold")
    show(f"{result.frames:,} frames; the next frame begins epoch {result.epoch}")
    show(*(f"note: {finding}" for finding in result.findings), style="yellow")
    show(f"state digest {result.digest}")
