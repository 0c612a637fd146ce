"""What an archive holds, in one small file: a file that is not named in it does not count.

Files are written beside, made durable and renamed; then the manifest is replaced in one step. Whatever comes between,
a reader meets the archive as it was before or as it is after; what was left behind is swept away by the next export.
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
from sycee.core.output_files import write_file

MANIFEST_NAME: Final = "manifest.json"
LOCK_NAME: Final = "lock"
FORMAT: Final = 1
# A long history has thousands of days, and the manifest names them all: it is not written for each.
COMMITS_WAITING_MAX: Final = 32
DEFAULT_FOLDER: Final = "archive"  # beside the ledger's journal


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a table, which was read back before it was named here."""

    table: str
    path: str  # below the archive's folder
    day: str  # UTC, of all its frames; empty for a register
    first_frame: int
    last_frame: int
    rows: int
    bytes: int
    blake3: str  # of its bytes, hexadecimal
    sums: dict[str, int]  # of the columns that prove the table, exactly


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is exported: of which ledger, up to which frame, in which files."""

    ledger: str  # its id, hexadecimal
    frame: int = 0  # the newest exported
    time_ns: int = 0  # its time
    operations: int = 0  # how many up to it
    movements: int = 0
    movement_digest: str = ""  # of all movements up to it; empty where later frames were there already
    registers_frame: int = 0  # the frame after which the registers were copied, or the copying began
    files: tuple[Entry, ...] = ()

    def of(self, table: str) -> tuple[Entry, ...]:
        """The files of one table, in order."""
        return tuple(entry for entry in self.files if entry.table == table)

    def days(self) -> list[str]:
        """The days that have files, in order."""
        return sorted({entry.day for entry in self.files if entry.day})

    def with_files(self, added: Iterable[Entry], *, without: Iterable[Entry] = ()) -> Manifest:
        """The same with other files: those of a table stay in order of frames."""
        gone = set(map(id, without))
        kept = [entry for entry in self.files if id(entry) not in gone] + list(added)
        order = list(TABLES)
        return replace(
            self, files=tuple(sorted(kept, key=lambda entry: (order.index(entry.table), entry.first_frame)))
        )  # fmt: skip

    def text(self) -> str:
        """As it stands in its file."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n"

    @classmethod
    def parse(cls, text: str, where: object) -> Self:
        """Read it back. Raises IntegrityError where it is none, UnavailableError where a newer release wrote it."""
        try:
            values: dict[str, Any] = json.loads(text)
            version = values.pop("format")
            if isinstance(version, int) and version > FORMAT:
                raise UnavailableError(
                    f"{where} has format {version}, and this release knows {FORMAT}",
                    hint="use a newer release, or export to a new folder",
                )
            files = tuple(Entry(**entry) for entry in values.pop("files"))
            return cls(files=files, **values)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise IntegrityError(
                f"{where} is no manifest of an archive", hint="Nothing is lost: remove the folder and export again."
            ) from error


def load(folder: Path) -> Manifest | None:
    """The manifest of an archive, or None where there is none yet."""
    path = folder / MANIFEST_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError:
        text = ""
    return Manifest.parse(text, path)


class Archive:
    """An archive's folder, owned by this process until `close`: one writes, any number read."""

    def __init__(self, folder: Path, ledger_id: bytes) -> None:
        """Own the folder, made if absent, and know what it holds.

        Raises UsageError where it holds something else or another ledger, UnavailableError where another process
        exports to it or the disk refuses.
        """
        self.folder = folder
        self._waiting = 0  # how many changes of the manifest are not durable yet
        known = load(folder)
        if known is None and folder.is_dir() and not all(_is_ours(path) for path in folder.iterdir()):
            raise UsageError(f"{folder} holds something else", hint="name a folder that is empty or not there yet")
        self._owner = Owner()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with no_fork:
                self._lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
                close_in_children(self)
        except OSError as error:
            raise UnavailableError(f"{folder} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.manifest = load(folder) or Manifest(ledger=ledger_id.hex())
            if self.manifest.ledger != ledger_id.hex():
                raise UsageError(
                    f"{folder} is the archive of another ledger, {self.manifest.ledger}",
                    hint="name another folder with --to",
                )
            self._named = {entry.path for entry in self.manifest.files}  # by the manifest that is on disk
        except BlockingIOError as error:
            self.close()
            raise UnavailableError(
                f"{folder} is being written by another process", hint="wait until it is done, or name another folder"
            ) from error
        except BaseException:
            self.close()
            raise

    def commit(self, manifest: Manifest) -> None:
        """Let another set of files count: durably after COMMITS_WAITING_MAX of them, and with `flush`.

        Raises UnavailableError where the disk refuses, and in a forked child.
        """
        self._owner.check(str(self.folder))
        self.manifest = manifest
        self._waiting += 1
        if self._waiting > COMMITS_WAITING_MAX:
            self.flush()

    def flush(self) -> None:
        """Make what counts durable; in a forked child do nothing. Raises UnavailableError where the disk refuses."""
        if not self._waiting or not self._owner.is_here:
            return
        named = {entry.path for entry in self.manifest.files}
        changed = {(self.folder / path).parent for path in named - self._named}
        try:
            for folder in sorted(changed | {each.parent for each in changed}):
                _fsync_folder(folder)
        except OSError as error:
            raise UnavailableError(f"{self.folder} cannot be written: {error.strerror or error}") from error
        write_file(self.folder / MANIFEST_NAME, self.manifest.text().encode())
        self._waiting, self._named = 0, named

    def sweep(self) -> None:
        """Remove what does not count: left behind by an export that was cut short, or replaced by the one before.

        A query that began before the last export may still read what that replaced, so this is done before the next.
        """
        self._owner.check(str(self.folder))
        counts = {entry.path for entry in self.manifest.files}
        for path in list(self.folder.rglob("*")):
            is_ours = path.suffix == ".parquet" or path.name.startswith(f".{MANIFEST_NAME}-")
            if path.is_file() and is_ours and path.relative_to(self.folder).as_posix() not in counts:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let the folder go. A second call does nothing."""
        with no_fork:
            self.close_lock()

    def close_lock(self) -> None:
        """See HoldsLock."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_ours(path: Path) -> bool:
    return path.name in (*TABLES, LOCK_NAME) or path.name.startswith(f".{MANIFEST_NAME}-")
