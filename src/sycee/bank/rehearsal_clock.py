"""The clock of a rehearsal: a time stored in the data folder, which only a command changes."""

from __future__ import annotations

from pathlib import Path

from sycee.bank.folder import create_once
from sycee.core.clock import NS_MAX
from sycee.core.errors import IntegrityError, UnavailableError, UsageError
from sycee.core.input_files import read_text
from sycee.core.output_files import write_file

FILE_BYTES_MAX = 64


class RehearsalClock:
    """A clock whose time is one number of nanoseconds in a file."""

    def __init__(self, file: Path) -> None:
        """Read the time. Raises UsageError if there is no such file, IntegrityError if it contains no time."""
        self._file = file
        text = read_text(file, FILE_BYTES_MAX, "clock of the rehearsal").strip()
        if not (text.isascii() and text.isdecimal() and int(text) <= NS_MAX):
            raise IntegrityError(
                f"{file} contains no time", hint="it holds one number: nanoseconds since 1970-01-01T00:00:00Z"
            )
        self._ns = int(text)

    @classmethod
    def create(cls, file: Path, ns: int) -> RehearsalClock:
        """Create the file with this time, unless it exists, and return its clock."""
        try:
            create_once(file, f"{ns}\n".encode())
        except OSError as error:
            raise UnavailableError(f"{file} cannot be written: {error.strerror}") from error
        return cls(file)

    def now_ns(self) -> int:
        """Return the time that was set last."""
        return self._ns

    def set(self, ns: int) -> None:
        """Set a later time, durably. Raises UsageError for an earlier one: days that were closed stay closed."""
        self._check(ns)
        write_file(self._file, f"{ns}\n".encode())
        self._ns = ns

    def pass_to(self, ns: int) -> None:
        """Set a later time in memory alone, for a caller that repeats its work from a stored time after a kill."""
        self._check(ns)
        self._ns = ns

    def _check(self, ns: int) -> None:
        if not self._ns <= ns <= NS_MAX:
            raise UsageError(
                "the clock of a rehearsal moves forward only",
                hint="to begin earlier, found another bank with `sycee init --rehearsal-from`",
            )
