"""Files beside the ledger with which an interrupted run continues: its facts, and the end of the last day.

`run.json` is written before the bank is founded. `run-day.npz` has purses and own money after a whole day, so that the
next day is decided from the same figures again: its operations have the same ids, and the ledger answers those that it
has with their first results.
"""

from __future__ import annotations

import io
import json
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.input_files import read_bytes
from sycee.core.output_files import write_file
from sycee.journal.disk import LOCK_NAME, RealDisk

FILE: Final = "run.json"
DAY_FILE: Final = "run-day.npz"
BANK: Final = "bank"
RECORD: Final = "record.json"
FORMAT: Final = "sycee-sandbox-ledger-1"
BYTES_MAX: Final = 1 << 16
DAY_BYTES_MAX: Final = 1 << 34
CODE_FACTS: Final = ("release", "code")  # what began a run, among its facts
# What numpy raises for a file that was cut or changed; a file of another kind lacks the attributes of an archive.
DAMAGE: Final = (
    *(ValueError, KeyError, OSError, EOFError, RuntimeError, TypeError, AttributeError),
    *(zipfile.BadZipFile, zlib.error),
)


@dataclass(frozen=True, slots=True, eq=False)
class Day:
    """Figures after `days` days: purses of the recipients, own money of all wallets, and counts by name."""

    days: int
    purses: Array  # [recipients, PURSE_FIELDS]
    own: Array  # [people], or empty
    counts: Mapping[str, int]


@dataclass(slots=True)
class RunFolder:
    """The folder of a run, locked until `close`. `is_founded`: its bank exists, so the run continues."""

    path: Path
    facts: dict[str, Any]
    is_founded: bool
    _disk: RealDisk

    @classmethod
    def open(cls, path: Path, facts: Mapping[str, Any]) -> Self:
        """Begin a run in a new or empty folder, or return the run that the folder has.

        Raises UsageError for a folder with something else, and for a run with other facts; UnavailableError while
        another process has it.
        """
        if not (path / FILE).exists() and path.exists() and (not path.is_dir() or _content(path)):
            raise UsageError(f"{path} is not an empty folder", hint="name a new folder for --ledger")
        path.mkdir(parents=True, exist_ok=True)
        disk = RealDisk(path)
        disk.lock()
        try:
            return cls._locked(path, {"format": FORMAT, **facts}, disk)
        except BaseException:
            disk.unlock()
            raise

    @classmethod
    def _locked(cls, path: Path, wanted: dict[str, Any], disk: RealDisk) -> Self:
        file = path / FILE
        if not file.exists():
            made = cls(path, wanted, False, disk)
            made._write()
            return made
        try:
            kept = json.loads(read_bytes(file, BYTES_MAX, "facts of a run"))
            is_founded = kept.pop("founded")
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise IntegrityError(f"{file} is damaged", hint="delete the folder, and run again") from error
        other = [key for key, value in wanted.items() if kept.get(key) != value]
        if other:
            key = other[0]
            if key in CODE_FACTS:
                raise UsageError(
                    f"{path} has a run that other code began: {key} {kept.get(key, 'unknown')}, now {wanted[key]}",
                    hint="continue it with the release that began it, or name a new folder for --ledger",
                )
            raise UsageError(
                f"{path} has a run with {key} {kept.get(key)!r}, and this one has {wanted[key]!r}",
                hint="repeat the command of that run to continue it, or name a new folder for --ledger",
            )
        made = cls(path, wanted, bool(is_founded), disk)
        if not made.is_founded:  # killed before its bank was complete: nothing of the programme has happened
            for each in _content(path):
                if each != file:
                    shutil.rmtree(each) if each.is_dir() else each.unlink()
        return made

    def close(self) -> None:
        """Release the folder."""
        self._disk.unlock()

    @property
    def bank(self) -> Path:
        """The data folder of the bank, which is the ledger's too."""
        return self.path / BANK

    def founded(self) -> None:
        """Store that the bank exists."""
        self.is_founded = True
        self._write()

    def keep(self, day: Day) -> None:
        """Store the end of a day, all of it or nothing."""
        buffer = io.BytesIO()
        names = np.array(sorted(day.counts))
        counts = np.array([day.counts[name] for name in names.tolist()], np.int64)
        np.savez(buffer, days=day.days, purses=day.purses, own=day.own, names=names, counts=counts)
        write_file(self.path / DAY_FILE, buffer.getvalue())

    def day(self) -> Day | None:
        """Return the last day that was kept, or None."""
        file = self.path / DAY_FILE
        if not file.exists():
            return None
        try:
            with np.load(io.BytesIO(read_bytes(file, DAY_BYTES_MAX, "day of a run")), allow_pickle=False) as kept:
                counts = dict(zip(kept["names"].tolist(), kept["counts"].tolist(), strict=True))
                return Day(int(kept["days"]), kept["purses"], kept["own"], counts)
        except DAMAGE as error:
            raise IntegrityError(f"{file} is damaged", hint="delete the folder, and run again") from error

    def _write(self) -> None:
        content = json.dumps({**self.facts, "founded": self.is_founded}, indent=1)
        write_file(self.path / FILE, content.encode() + b"\n")


def _content(path: Path) -> list[Path]:
    """Return what a folder holds beside its lock."""
    return [each for each in path.iterdir() if each.name != LOCK_NAME]
