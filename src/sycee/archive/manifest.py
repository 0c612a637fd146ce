"""Manifest of an archive: one small file that lists all its files. A file that is not listed does not count.

Data files are written under temporary names, made durable and renamed; then the manifest is replaced atomically. So a
reader finds the archive as it was before or after an export; the next export removes files that are not listed.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from sycee.archive.schema import TABLES
from sycee.core.errors import IntegrityError, UnavailableError, UsageError
from sycee.core.fork_guard import Owner, close_in_children, no_fork
from sycee.core.output_files import sync_folder, write_file

MANIFEST_NAME: Final = "manifest.json"
LOCK_NAME: Final = "lock"
FORMAT: Final = 1
# The manifest of a long history lists thousands of days, so it is not written for each of them.
COMMITS_WAITING_MAX: Final = 32
DEFAULT_FOLDER: Final = "archive"  # in the ledger's folder


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a table, read back and checked before it was listed."""

    table: str
    path: str  # relative to the archive's folder
    day: str  # UTC day of all its frames; empty for a register
    first_frame: int
    last_frame: int
    rows: int
    bytes: int
    blake3: str  # of the file's bytes, hexadecimal
    sums: dict[str, int]  # exact sums of parquet_files.SUMMED_COLUMNS


@dataclass(frozen=True, slots=True)
class Manifest:
    """Contents of an archive: the ledger, the newest exported frame, and the files."""

    ledger: str  # id, hexadecimal
    frame: int = 0  # the newest exported
    time_ns: int = 0  # of that frame
    operations: int = 0  # number up to that frame
    movements: int = 0
    movement_digest: str = ""  # of all movements up to that frame; empty if the ledger had later frames already
    registers_frame: int = 0  # the newest frame when copying of the registers began
    files: tuple[Entry, ...] = ()
    mark: str = ""  # such as "rehearsal, invented people"

    def files_of(self, table: str) -> tuple[Entry, ...]:
        """Return the files of one table, in order of frames."""
        return tuple(entry for entry in self.files if entry.table == table)

    def days(self) -> list[str]:
        """Return the days that have files, in order."""
        return sorted({entry.day for entry in self.files if entry.day})

    def with_files(self, added: Iterable[Entry], *, without: Iterable[Entry] = ()) -> Manifest:
        """Return a manifest with files added and removed, sorted by table and first frame."""
        removed, order = set(map(id, without)), list(TABLES)
        files = [*(entry for entry in self.files if id(entry) not in removed), *added]
        files.sort(key=lambda entry: (order.index(entry.table), entry.first_frame))
        return replace(self, files=tuple(files))

    def text(self) -> str:
        """Return the manifest as JSON text."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n"

    @classmethod
    def parse(cls, text: str, where: object) -> Self:
        """Parse the text of a manifest; `where` names the file in errors.

        Raises IntegrityError if it is not a manifest, UnavailableError if a newer release wrote it.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            version = values.pop("format")
            if isinstance(version, int) and version > FORMAT:
                raise UnavailableError(
                    f"{where} has format {version}, and this release reads format {FORMAT}",
                    hint="use a newer release, or export to a new folder",
                )
            files = tuple(Entry(**entry) for entry in values.pop("files"))
            return cls(files=files, **values)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise IntegrityError(
                f"{where} is not the manifest of an archive",
                hint="nothing of the ledger is lost: remove the folder and export again",
            ) from error


def load(folder: Path) -> Manifest | None:
    """Read the manifest of an archive, or return None if the folder has none."""
    path = folder / MANIFEST_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError:
        text = ""
    return Manifest.parse(text, path)


class Archive:
    """Folder of an archive, locked by this process until `close`: one writer, any number of readers."""

    def __init__(self, folder: Path, ledger_id: bytes, mark: str = "") -> None:
        """Lock the folder, which is created if absent, and read its manifest.

        Raises UsageError if it holds other files or another ledger's archive, UnavailableError if another process
        exports to it or the disk refuses.
        """
        self.folder = folder
        self._waiting = 0  # changes of the manifest that are not durable yet
        found = load(folder)
        if found is None and folder.is_dir() and not all(_is_ours(path) for path in folder.iterdir()):
            raise UsageError(f"{folder} holds other files", hint="name an empty or new folder")
        self._owner = Owner()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with no_fork:
                self._lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
                close_in_children(self)
        except OSError as error:
            raise UnavailableError(
                f"{folder} cannot be written: {error.strerror}", hint="name a folder that you may write to with --to"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.manifest = load(folder) or Manifest(ledger=ledger_id.hex(), mark=mark)
            if self.manifest.ledger != ledger_id.hex():
                raise UsageError(
                    f"{folder} is the archive of another ledger, {self.manifest.ledger}",
                    hint="name another folder with --to",
                )
            self._durable_paths = {entry.path for entry in self.manifest.files}  # listed by the manifest on disk
        except BlockingIOError as error:
            self.close()
            raise UnavailableError(
                f"another process exports to {folder}", hint="wait until it ends, or name another folder"
            ) from error
        except BaseException:
            self.close()
            raise

    def commit(self, manifest: Manifest) -> None:
        """Replace the manifest in memory; on disk after COMMITS_WAITING_MAX commits, and by `flush`.

        Raises UnavailableError if the disk refuses, and in a forked child.
        """
        self._owner.check(str(self.folder))
        self.manifest = manifest
        self._waiting += 1
        if self._waiting > COMMITS_WAITING_MAX:
            self.flush()

    def flush(self) -> None:
        """Make the manifest and its files durable; do nothing in a forked child.

        Raises UnavailableError if the disk refuses.
        """
        if not self._waiting or not self._owner.is_here:
            return
        paths = {entry.path for entry in self.manifest.files}
        changed = {(self.folder / path).parent for path in paths - self._durable_paths}
        try:
            for folder in sorted(changed | {each.parent for each in changed}):
                sync_folder(folder)
        except OSError as error:
            raise UnavailableError(
                f"{self.folder} cannot be written: {error.strerror or error}",
                hint="earlier exports are unharmed: export again when the disk accepts writes",
            ) from error
        write_file(self.folder / MANIFEST_NAME, self.manifest.text().encode())
        self._waiting, self._durable_paths = 0, paths

    def sweep(self) -> None:
        """Remove files that the manifest does not list: replaced ones, and those of an interrupted export.

        A query that began before the last export may still read replaced files, so they are removed before the next.
        """
        self._owner.check(str(self.folder))
        listed = {entry.path for entry in self.manifest.files}
        for path in list(self.folder.rglob("*")):
            is_ours = path.suffix == ".parquet" or path.name.startswith(f".{MANIFEST_NAME}-")
            if path.is_file() and is_ours and path.relative_to(self.folder).as_posix() not in listed:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Unlock the folder. A second call does nothing."""
        with no_fork:
            self.close_lock()

    def close_lock(self) -> None:
        """Close the lock's descriptor; see HoldsLock."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _is_ours(path: Path) -> bool:
    return path.name in (*TABLES, LOCK_NAME) or path.name.startswith(f".{MANIFEST_NAME}-")
