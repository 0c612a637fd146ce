"""Backups of the served bank: written by one thread, one at a time, into the folder that the settings name.

A caller chooses neither the folder nor the name nor the key of a file. Payments continue meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.bank.backup import write_backup
from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.clock import read_ns
from sycee.core.errors import NotFound, SyceeError, UnavailableError, UsageError
from sycee.core.output_files import refuse_inside
from sycee.core.secret_files import SecretKey
from sycee.database.transactions import Also, nothing_else, reading, write
from sycee.server.backup_tables import BACKUPS, DONE, FAILED, RUNNING

BACKUP: Final = "backup"  # action of sycee.identity.duties
FOLDER: Final = "backup_folder"  # settings
KEY: Final = "backup_key"
DAY_NS: Final = 86_400 * 10**9
PER_DAY_MAX: Final = 24  # in 24 hours: a stolen session of an officer cannot fill the disk
INTERRUPTED: Final = "the server stopped before the backup was complete"

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup. `written_bytes`: of its file until now; the other figures are None unless it is done."""

    id: int
    who: int
    state: str
    reason: str
    written_bytes: int
    frame: int | None
    state_digest: str | None
    supply: int | None
    at_ns: int
    finished_ns: int | None

    @property
    def file(self) -> str:
        """Return the name of its file in the folder of the settings."""
        return _file(self.id)


class Backups:
    """The backups of one served bank. `close` ends the one that is being written."""

    def __init__(self, bank: Bank) -> None:
        """Read the key. Raises UsageError if only one of both settings is there, or they name no folder and no key."""
        self._bank = bank
        self._folder, self._key = _settings(bank)
        self._lock = Lock()
        self._thread: Thread | None = None
        self._running = 0  # the id of the backup that the thread writes
        self._written_bytes = 0
        self._is_closed = False

    def begin(self, id: int, *, who: int, also: Also = nothing_else) -> None:
        """Begin to write a backup on a thread; the same id again changes nothing. `also` writes in the transaction.

        Raises UsageError without the duty or the settings, and after PER_DAY_MAX backups in 24 hours; UnavailableError
        while another backup is written.
        """
        self._bank.people.require(who, BACKUP)
        if self._folder is None or self._key is None:
            raise UsageError(
                "this server writes no backups", hint=f"set {FOLDER} and {KEY} in sycee.toml, and restart the server"
            )
        with self._lock:
            if self._running or self._is_closed:
                raise UnavailableError("another backup is being written", hint="send the request again when it is done")
            self._running, self._written_bytes, is_new = id, 0, False
            try:
                is_new = write(self._bank.stores.engine, lambda connection: self._store(connection, id, who, also))
            finally:
                if not is_new:
                    self._running = 0
            if is_new:
                arguments = (id, self._folder, self._key)
                self._thread = Thread(target=self._write, args=arguments, name="sycee-backup")
                self._thread.start()

    def get(self, id: int) -> Backup:
        """Return a backup. Raises NotFound if there is none."""
        with reading(self._bank.stores.engine) as connection:
            row = connection.execute(sqlalchemy.select(BACKUPS).where(BACKUPS.c.id == id)).one_or_none()
        if row is None:
            raise NotFound(f"there is no backup {ids.format(id)}", hint="GET /v1/backups lists the backups")
        return self._backup(row)

    def page(self, *, after: int, most: int) -> Sequence[Backup]:
        """Return up to `most` backups whose ids follow `after`, by id."""
        query = sqlalchemy.select(BACKUPS).where(BACKUPS.c.id > after).order_by(BACKUPS.c.id).limit(most)
        with reading(self._bank.stores.engine) as connection:
            return [self._backup(row) for row in connection.execute(query)]

    def close(self) -> None:
        """End the backup that is being written, without a file, and begin no further one."""
        with self._lock:
            self._is_closed = True
        if self._thread is not None:
            self._thread.join()

    # --- helpers ---

    def _store(self, connection: Connection, id: int, who: int, also: Also) -> bool:
        """Store the row of a backup; return False if it is stored already."""
        if connection.scalar(sqlalchemy.select(BACKUPS.c.id).where(BACKUPS.c.id == id)) is not None:
            return False
        now_ns = read_ns(self._bank.stores.clock)
        recent = sqlalchemy.select(sqlalchemy.func.count()).where(BACKUPS.c.at_ns > now_ns - DAY_NS)
        if int(connection.scalar(recent) or 0) >= PER_DAY_MAX:
            raise UsageError(f"{PER_DAY_MAX} backups were begun in 24 hours", hint="keep one of them, or wait")
        # No thread writes now: a row that says so is of a server that stopped.
        stopped = {"state": FAILED, "reason": INTERRUPTED, "finished_ns": now_ns}
        connection.execute(BACKUPS.update().where(BACKUPS.c.state == RUNNING).values(stopped))
        row = {"id": id, "who": who, "state": RUNNING, "reason": "", "at_ns": now_ns}
        connection.execute(BACKUPS.insert().values(row))
        also(connection)
        return True

    def _write(self, id: int, folder: Path, key: SecretKey) -> None:
        """Write the file of a backup, and store the outcome."""
        try:
            self._remove_parts(folder)
            done = write_backup(self._bank, folder / _file(id), key, progress=self._progress)
            values: dict[str, Any] = {
                "state": DONE,
                "frame": done.frame,
                "state_digest": done.state_digest.hex(),
                "supply": done.supply,
                "file_bytes": done.file_bytes,
            }
        except SyceeError as error:
            values = {"state": FAILED, "reason": error.message}
        except Exception as error:
            _log.error("the backup %s failed: %s", ids.format(id), type(error).__name__)
            values = {"state": FAILED, "reason": "the server has a fault; its log has the details"}
        values["finished_ns"] = read_ns(self._bank.stores.clock)
        chosen = (BACKUPS.c.id == id) & (BACKUPS.c.state == RUNNING)
        with suppress(UnavailableError):  # the row is shown as failed, and the next backup marks it so
            write(
                self._bank.stores.engine,
                lambda connection: connection.execute(BACKUPS.update().where(chosen).values(values)),
            )
        self._running = 0

    def _remove_parts(self, folder: Path) -> None:
        """Remove what a killed server wrote of its backups."""
        query = sqlalchemy.select(BACKUPS.c.id).where(BACKUPS.c.reason == INTERRUPTED)
        with reading(self._bank.stores.engine) as connection:
            interrupted = list(connection.scalars(query))
        for id in interrupted:
            for left in folder.glob(f".{_file(id)}-*"):
                with suppress(OSError):
                    left.unlink()

    def _progress(self, written_bytes: int) -> None:
        if self._is_closed:
            raise UnavailableError("the server stopped")
        self._written_bytes = written_bytes

    def _backup(self, row: Row[Any]) -> Backup:
        is_running = row.state == RUNNING and self._running == row.id
        state, reason = (FAILED, INTERRUPTED) if row.state == RUNNING and not is_running else (row.state, row.reason)
        written = self._written_bytes if is_running else row.file_bytes or 0
        return Backup(
            row.id, row.who, state, reason, written, row.frame, row.state_digest, row.supply, row.at_ns, row.finished_ns
        )


def _file(id: int) -> str:
    return f"{ids.format(id)}.backup"


def _settings(bank: Bank) -> tuple[Path | None, SecretKey | None]:
    """Return folder and key, both None without the settings."""
    given = [name for name in (FOLDER, KEY) if bank.config.text(name)]
    if not given:
        return None, None
    if len(given) == 1:
        raise UsageError(
            f"the setting {given[0]} needs {KEY if given[0] == FOLDER else FOLDER}",
            hint="set both, or neither: a backup is encrypted with the key, and written to the folder",
        )
    folder = bank.config.path(FOLDER)
    refuse_inside(folder, bank.folder.path, f"the setting {FOLDER}")
    if not folder.is_dir():
        raise UsageError(f"the setting {FOLDER}: {folder} is no folder", hint="make it, with mode 0700")
    return folder, SecretKey.load(bank.config.path(KEY))
