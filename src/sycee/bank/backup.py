"""Backup of an open bank: its journal up to one frame, then its database, encrypted into one file.

Payments continue meanwhile. The last frame is chosen before the database is read, so the database contains every intent
of the copied journal, and perhaps later ones. A restore submits later intents again, or lets them lapse. Never in a
backup: the per-person secrets, private keys and the master key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import inspect

import sycee
from sycee.bank import table_dump
from sycee.bank.backup_format import CHUNK_BYTES, Writer
from sycee.bank.bank import Bank
from sycee.core.clock import read_ns
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.output_files import refuse_inside, require_place, sync_folder
from sycee.core.secret_files import SecretKey
from sycee.database.migrations import VERSION_SUFFIX
from sycee.database.transactions import reading
from sycee.sequencer import online_copy

FORMAT: Final = "sycee.backup.v1"
SETTINGS: Final = "sycee.toml"
FOUNDING: Final = "founding.json"
CLOCK: Final = "clock"
PACK: Final = "packs/"
PROGRAMME: Final = "programmes/"
JOURNAL: Final = "journal/"
TABLE: Final = "tables/"


@dataclass(frozen=True, slots=True)
class BackedUp:
    """Result of a backup: the ledger's last frame in the backup, with digest and supply, and the size of the file."""

    frame: int
    state_digest: bytes
    supply: int
    file_bytes: int


def write_backup(
    bank: Bank, path: Path, key: SecretKey, *, progress: Callable[[int], None] = lambda _: None
) -> BackedUp:
    """Write a backup of an open bank to a new file, durably, under a key that is kept elsewhere.

    `progress` is called with the number of bytes written; an error that it raises ends the backup without a file.
    Intents that the backup covers then lose their records in the database. Raises UsageError if the file exists or is
    inside the data folder, or if the database has tables that the bank was opened without; UnavailableError if the
    disk refuses.
    """
    require_place(path)
    refuse_inside(path, bank.folder.path, "the backup")
    if path.exists():
        raise UsageError(f"{path} already exists", hint="choose another name: you may need the older backup")
    _require_all_schemas(bank)
    position = bank.stores.ledger.sequencer.position()
    parts = online_copy.parts_up_to(bank.folder.path, position.sequence)
    header = {
        "format": FORMAT,
        "release": sycee.__version__,
        "made_ns": read_ns(bank.stores.clock),
        "rehearsal": bank.is_rehearsal,
        "ledger": position.ledger_id.hex(),
        "epoch": position.epoch,
        "frame": position.sequence,
        "frame_digest": position.frame_digest.hex(),
        "state_digest": position.state_digest.hex(),
        "supply": {str(currency): amount for currency, amount in position.supply.items()},
        "segments": {part.name: part.segment_bytes for part in parts},
        "schemas": {schema.package: schema.head for schema in bank.schemas},
    }
    temporary = path.with_name(f".{path.name}-{os.urandom(4).hex()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            writer = Writer(file, key.secret, header, progress)
            for name, source in _files(bank):
                writer.section(name, _blocks(source))
            for part in parts:
                writer.section(f"{JOURNAL}{part.name}", online_copy.content_of(bank.folder.path, part))
            with reading(bank.stores.engine) as connection:
                for table in table_dump.tables_of(bank.schemas):
                    writer.section(f"{TABLE}{table.name}", table_dump.dump(connection, table))
            for name, source in _published(bank):
                writer.section(name, _blocks(source))
            writer.finish()
            file.flush()
            os.fsync(descriptor)
            size = file.tell()
        os.replace(temporary, path)  # noqa: PTH105 - as everywhere, so that tests can stop here
        sync_folder(path.parent)
    except OSError as error:
        raise UnavailableError(
            f"the backup {path} cannot be written: {error.strerror}", hint="check the permissions and the free space"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    bank.stores.intents.prune(position.sequence)
    supply = position.supply.get(bank.config.currency.numeric, 0)
    return BackedUp(position.sequence, position.state_digest, supply, size)


def _require_all_schemas(bank: Bank) -> None:
    """Raise UsageError if the database has tables of a package whose schema the bank was opened without."""
    known = {schema.version_table for schema in bank.schemas}
    with reading(bank.stores.engine) as connection:
        found = {name for name in inspect(connection).get_table_names() if name.endswith(VERSION_SUFFIX)}
    if missing := sorted(name.removesuffix(VERSION_SUFFIX) for name in found - known):
        raise UsageError(
            f"the database has tables of {', '.join(missing)}, which the backup would not contain",
            hint="open the bank with `Bank.open(folder, schemas=...)`, as the command line does",
        )


def _files(bank: Bank) -> Iterator[tuple[str, Path]]:
    yield SETTINGS, bank.folder.settings
    yield FOUNDING, bank.folder.founding
    if bank.is_rehearsal:
        yield CLOCK, bank.folder.clock
    for pack in sorted(bank.folder.packs.glob("*.json")):
        yield f"{PACK}{pack.name}", pack


def _published(bank: Bank) -> Iterator[tuple[str, Path]]:
    """Yield the published files of programmes. Called after the tables were read, whose states they have to prove."""
    for file in sorted(bank.folder.programmes.glob("*/*/*")):
        if file.is_file() and not file.name.startswith("."):  # not the temporary file of a step in progress
            yield f"{PROGRAMME}{file.relative_to(bank.folder.programmes).as_posix()}", file


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(CHUNK_BYTES):
            yield block
