"""Restore of a bank from a backup into a new folder.

All files are written to a staging folder beside the target. It is renamed last, so that a killed restore leaves no
bank. The journal is replayed from its first byte and compared with the digest in the backup before anything else is
written. The secrets of persons come from the *current* backup of the key file: persons shredded since the backup stay
shredded.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import inspect, select
from sqlalchemy.engine import Connection, Engine

from sycee.bank import backup, table_dump
from sycee.bank import config as bank_config
from sycee.bank.backup_format import Reader
from sycee.bank.bank import SCHEMAS, Bank
from sycee.bank.config import Config
from sycee.bank.folder import PRIVATE, DataFolder
from sycee.bank.rehearsal_clock import RehearsalClock
from sycee.core.clock import Clock, RealClock, read_ns
from sycee.core.errors import IntegrityError, UnavailableError, UsageError
from sycee.core.output_files import sync_folder, write_file
from sycee.core.secret_files import SecretKey
from sycee.database.engines import engine, shown
from sycee.database.intents import Resumed
from sycee.database.migrations import Schema, upgrade
from sycee.database.transactions import reading, write
from sycee.personal.keys import PersonalKeys
from sycee.personal.tables import RECORDS, SEARCH, SHREDS
from sycee.sequencer import online_copy
from sycee.sequencer.restore import restore as restore_ledger

RESTORED: Final = "restored"  # basis of a shredding that is later than the backup

_OF_THE_DATABASE: Final = ("database", "database_password_file")

_SEGMENT: Final = re.compile(r"\d{12}\.segment")
_PACK: Final = re.compile(r"[0-9a-z.-]+\.json")
_PUBLISHED: Final = re.compile(r"programmes/[a-z0-9-]+/\d{4}-\d{2}-\d{2}/[a-z]+\.(json|bin|csv)")


@dataclass(frozen=True, slots=True)
class RestoredBank:
    """Result of a restore. `done` and `lapsed`: intents that are later than the backup's frame."""

    frame: int
    epoch: int
    state_digest: bytes  # after `frame`, equal to the backup's
    supply: int
    done: int
    lapsed: int
    shredded: int  # persons whose data nobody can read
    findings: tuple[str, ...]


def restore_bank(
    source: Path,
    target: Path,
    key: SecretKey,
    *,
    master_key: Path,
    key_backup: Path,
    database: str = "",
    password_file: Path | None = None,
    progress: Callable[[str], None] | None = None,
    schemas: Sequence[Schema] = (),
) -> RestoredBank:
    """Restore the bank in a backup into the new folder `target`. `database`: a new PostgreSQL database or file;
    `password_file`: the file of its user's password.

    `schemas`: those of packages above this one that the backup may contain, as for `Bank.open`.
    Raises UsageError if `target` exists or the file is no backup, IntegrityError for a changed backup, another key, a
    ledger that differs from its digest; UnavailableError for a missing key backup.
    After any error `target` does not exist.
    """
    if target.exists() or target.is_symlink():
        raise UsageError(f"{target} already exists", hint="name a new folder for the restored bank")
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent} is no folder", hint="make it first")
    tell = progress or (lambda _: None)
    secret = SecretKey.load(master_key).secret
    building, staging = (target.with_name(f"{target.name}.{part}") for part in ("partial", "staging"))
    for left in (building, staging):  # of a restore that was killed
        shutil.rmtree(left, ignore_errors=True)
    try:
        staging.mkdir(mode=PRIVATE)
        tell("decrypting the backup")
        header, found = _unpack(source, key, staging, schemas)
        tell("replaying the journal")
        restored = restore_ledger(staging, building)
        _require_same(header, restored.digest, restored.frames)
        tell("loading the database")
        data_folder = DataFolder(building)
        config = _place_files(staging, data_folder, target, header, master_key, key_backup, database, password_file)
        resumed, shredded, findings = _open_once(
            data_folder, config, secret, staging, int(header["frame"]), tell, found
        )
        bank_config.write(data_folder, _texts(config, data_folder))
        building.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        raise UnavailableError(f"{error.filename}: {error.strerror}", hint="check the disk, then try again") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        shutil.rmtree(building, ignore_errors=True)
    supply = int(header["supply"].get(str(config.currency.numeric), 0))
    return RestoredBank(
        frame=int(header["frame"]),
        epoch=restored.epoch,
        state_digest=bytes.fromhex(header["state_digest"]),
        supply=supply,
        done=resumed.done,
        lapsed=resumed.lapsed,
        shredded=shredded,
        findings=(*restored.findings, *findings),
    )


def _unpack(
    source: Path, key: SecretKey, staging: Path, schemas: Sequence[Schema]
) -> tuple[dict[str, Any], tuple[Schema, ...]]:
    """Write every section to its place in the staging folder.

    Return the header, once the whole file is proved, and those of `schemas` that the backup contains.
    """
    try:
        file = source.open("rb")
    except OSError as error:
        raise UsageError(f"the backup {source} cannot be read: {error.strerror}", hint="check the path") from error
    with file:
        reader = Reader(file)
        header = reader.header
        if header.get("format") != backup.FORMAT:
            raise UsageError(f"{source} is no backup of a bank", hint="name a file that `sycee backup` wrote")
        found = tuple(schema for schema in schemas if schema.package in header["schemas"])
        expected = {schema.package: schema.head for schema in (*SCHEMAS, *found)}
        if header["schemas"] != expected:
            raise UsageError(
                f"release {header['release']} made the backup, with other tables than this release",
                hint="restore with that release, and then open the bank with this one",
            )
        (staging / "packs").mkdir()
        (staging / "tables").mkdir()
        tables = {table.name for table in table_dump.tables_of((*SCHEMAS, *found))}
        for name, blocks in reader.sections(key.secret):
            _write_section(staging, name, blocks, header["segments"], tables)
    return header, found


def _write_section(
    staging: Path, name: str, blocks: Iterator[bytes], sizes: Mapping[str, int], tables: set[str]
) -> None:
    folder, _, rest = name.rpartition("/")
    if folder == "journal" and _SEGMENT.fullmatch(rest) and rest in sizes:
        part = online_copy.SegmentPart(rest, 0, sizes[rest])
        online_copy.write_part(staging, part, blocks)
        return
    is_known = (
        name in (backup.SETTINGS, backup.FOUNDING, backup.CLOCK)
        or (folder == "packs" and _PACK.fullmatch(rest))
        or _PUBLISHED.fullmatch(name)
        or (folder == "tables" and rest in tables)
    )
    if not is_known:
        raise IntegrityError(f"the backup has an unknown section {name!r:.80}", hint="nothing was restored")
    (staging / name).parent.mkdir(parents=True, exist_ok=True)
    with (staging / name).open("xb") as file:
        for block in blocks:
            file.write(block)


def _require_same(header: Mapping[str, Any], digest: str, frames: int) -> None:
    if digest != header["state_digest"] or frames != header["frame"]:
        raise IntegrityError(
            f"the journal in the backup ends with frame {frames} and the state digest {digest}; the backup names frame "
            f"{header['frame']} and {header['state_digest']}",
            hint="use another backup: nothing was restored",
        )


def _place_files(
    staging: Path, data_folder: DataFolder, target: Path, header: Mapping[str, Any], master_key: Path, key_backup: Path,
    database: str, password_file: Path | None,
) -> Config:  # fmt: skip
    """Write settings, founding, clock, packs and published files of the new folder, and return its settings."""
    data_folder.create()
    for name in (backup.FOUNDING, backup.CLOCK):
        if (staging / name).exists():
            shutil.copyfile(staging / name, data_folder.path / name)
    for pack in (staging / "packs").iterdir():
        shutil.copyfile(pack, data_folder.packs / pack.name)
    if (staging / "programmes").exists():
        shutil.copytree(staging / "programmes", data_folder.programmes)
    write_file(data_folder.settings, (staging / backup.SETTINGS).read_bytes(), mode=0o600)
    texts = _texts(Config.load(data_folder, environment={}, without=_OF_THE_DATABASE), data_folder)
    data_folder.settings.unlink()  # until the end: a folder without settings holds no bank
    texts |= {
        "master_key": os.path.relpath(master_key, target),
        "key_backup": os.path.relpath(key_backup, target),
        "key_store": bank_config.SETTINGS["key_store"].default or "",
    }
    for name in _OF_THE_DATABASE:
        texts.pop(name, None)
    if password_file:
        texts["database_password_file"] = os.path.relpath(password_file, target)
    if database:
        texts["database"] = database if "://" in database else os.path.relpath(database, target)
    for name in ("preset", "retention", "case_rules"):
        if bank_config.is_path(texts.get(name, "")) and not Path(os.path.normpath(target / texts[name])).is_file():
            raise UsageError(
                f"the bank's {name} is the file {texts[name]}, seen from its folder, and no backup contains it",
                hint=f"copy it to {os.path.normpath(target / texts[name])}, and restore again",
            )
    return Config.planned(data_folder, texts)


def _open_once(
    data_folder: DataFolder, config: Config, secret: bytes, staging: Path, frame: int, tell: Callable[[str], None],
    schemas: Sequence[Schema],
) -> tuple[Resumed, int, list[str]]:  # fmt: skip
    """Load the database and secrets, run later intents again; return their outcomes, persons shredded, findings."""
    clock: Clock = RehearsalClock(data_folder.clock) if config.flag("rehearsal") else RealClock()
    made = engine(config.database, password_file=config.password_file)
    try:
        shredded = _load(made, staging, (*SCHEMAS, *schemas))
    finally:
        made.dispose()
    keys = PersonalKeys.restore(data_folder.people_keys, config.path("key_backup"), secret, clock, shredded=shredded)
    keys.close()
    tell("finishing later intents")
    with Bank.open_restored(data_folder, config, clock, secret, frame, schemas) as bank:
        _shred_again(bank)
        return bank.resumed, len(bank.personal.shredded()), bank.findings + bank.check()


def _shred_again(bank: Bank) -> None:
    """Delete the rows of persons shredded since the backup, which nobody can read."""
    since = sorted(set(bank.personal_keys.shredded()).difference(bank.personal.shredded()))
    now_ns = read_ns(bank.stores.clock)

    def work(connection: Connection) -> None:
        for person in since:
            for table in (RECORDS, SEARCH):
                connection.execute(table.delete().where(table.c.person == person))
            for also in bank.personal.on_shred:
                also(connection, person)
            connection.execute(SHREDS.insert().values(person=person, at_ns=now_ns, who=0, basis=RESTORED))

    if since:
        write(bank.stores.engine, work)


def _texts(config: Config, data_folder: DataFolder) -> dict[str, str]:
    """Return the settings that are, or will be, in the file."""
    return {name: value.text for name, value in config.values.items() if value.source == str(data_folder.settings)}


def _load(made: Engine, staging: Path, schemas: Sequence[Schema]) -> list[int]:
    """Load all tables in one transaction; return the persons whom the database lists as shredded."""
    with reading(made) as connection:
        if inspect(connection).get_table_names():
            raise UsageError(f"the database {shown(made)} is not empty", hint="name a new database")
    upgrade(made, *schemas)

    def load(connection: Connection) -> None:
        for table in table_dump.tables_of(schemas):
            with (staging / "tables" / table.name).open("rb") as file:
                table_dump.load(connection, table, (line.rstrip(b"\n") for line in file))

    write(made, load)
    with reading(made) as connection:
        return list(connection.scalars(select(SHREDS.c.person)))
