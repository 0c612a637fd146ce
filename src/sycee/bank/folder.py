"""The data folder of a bank: its files and their names (docs/reference/data-folder.md)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sycee.core.errors import UsageError
from sycee.core.marks import SETTINGS
from sycee.core.output_files import sync_folder

FOUNDING: Final = "founding.json"
PRIVATE: Final = 0o700


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Paths in the data folder of a bank. It is the folder of the bank's ledger, too."""

    path: Path

    @property
    def founding(self) -> Path:
        """The arguments of `sycee init`, and the seed of the first ids."""
        return self.path / FOUNDING

    @property
    def settings(self) -> Path:
        """The settings. Written last at the founding, so a folder without it holds no finished bank."""
        return self.path / SETTINGS

    @property
    def database(self) -> Path:
        """The SQLite database, if the setting `database` names no other."""
        return self.path / "sycee.db"

    @property
    def people_keys(self) -> Path:
        """The per-person secrets, if the setting `key_store` names no other file."""
        return self.path / "people.keys"

    @property
    def keys(self) -> Path:
        """Private keys that this machine has; each file's name is the id of a person or an account."""
        return self.path / "keys"

    @property
    def packs(self) -> Path:
        """Packs of closed days, which the ledger's folder holds too."""
        return self.path / "packs"

    @property
    def programmes(self) -> Path:
        """Published files of programmes: PROGRAMME/DATE, made when a list is frozen."""
        return self.path / "programmes"

    @property
    def clearing(self) -> Path:
        """Certificates of the clearing house, made at the first settlement of a set."""
        return self.path / "clearing"

    @property
    def clock(self) -> Path:
        """The time of a rehearsal; there is no such file otherwise."""
        return self.path / "clock"

    def create(self) -> None:
        """Make the folders, readable by their owner only, as is the folder itself then. Raises OSError."""
        self.path.chmod(PRIVATE)  # it may have been there before
        for folder in (self.keys, self.packs):
            folder.mkdir(mode=PRIVATE, exist_ok=True)
        sync_folder(self.path)

    def require_free(self) -> None:
        """Raise UsageError if the folder holds something that is no bank."""
        if self.founding.exists() or not self.path.exists():
            return
        # An interrupted founding may have left its temporary file.
        if not self.path.is_dir() or any(not each.name.startswith(f".{FOUNDING}-") for each in self.path.iterdir()):
            raise UsageError(f"{self.path} is not an empty folder", hint="name a new folder for the bank")

    def require_bank(self) -> None:
        """Raise UsageError unless the folder holds a bank whose founding is finished."""
        if self.settings.is_file():
            return
        if self.founding.is_file():
            raise UsageError(
                f"the founding of the bank in {self.path} is not finished",
                hint="run the same `sycee init` again: it continues where it was interrupted",
            )
        raise UsageError(f"{self.path} holds no bank", hint="name the folder that was given to `sycee init`")


def create_once(path: Path, content: bytes) -> bool:
    """Write a new file atomically that only its owner can use; return False if it exists. Raises OSError."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        sync_folder(path.parent)
        return True
    finally:
        temporary.unlink(missing_ok=True)
