"""Exceptions of this package.

A refusal by the ledger is a code (`sycee.core.result_codes.Result`), not an exception. An exception means that a
caller, a file or the machine broke a rule. `hint` names the next step, `exit_code` is the command line's exit code::

    SyceeError            exit 1
    ├── UsageError        exit 2   the caller's input is wrong: a text, a file, an option
    │   └── NotFound               the id or name that the caller gave belongs to nothing
    ├── Refused           exit 1   the ledger refused what the caller needs; carries the code
    ├── IntegrityError    exit 3   bytes or figures do not prove what they should
    │   ├── JournalDamaged         acknowledged bytes are damaged; names file and place
    │   └── TailInDoubt            the last frame may or may not have been acknowledged: a person decides
    └── UnavailableError  exit 4   the folder is in use, the disk refuses, or the ledger stopped after a failed write
        └── BusyError              too much waits; nothing was accepted, and the same call may succeed in a moment
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sycee.core.passwords import without_passwords

if TYPE_CHECKING:
    from sycee.core.result_codes import Result


class SyceeError(Exception):
    """Base of all errors. `hint`, if given, is one sentence with the next step.

    A password in a URL is masked in the message: a caller's words are often repeated there.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        message = without_passwords(message)
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:
            self.add_note(f"hint: {hint}")  # Python prints notes below an uncaught exception


class UsageError(SyceeError):
    """The caller's input is wrong; nothing was changed."""

    exit_code = 2


class NotFound(UsageError):
    """The id or name that the caller gave belongs to nothing."""


class Refused(SyceeError):
    """The ledger refused an operation whose success the caller needs; `result` is its code."""

    def __init__(self, message: str, result: Result, *, hint: str | None = None) -> None:
        super().__init__(f"{message}: {result.name}", hint=hint)
        self.result = result


class IntegrityError(SyceeError):
    """Bytes or figures do not prove what they should."""

    exit_code = 3


class JournalDamaged(IntegrityError):
    """Acknowledged bytes of the journal are damaged. The message names the file, the frame and the byte."""


class TailInDoubt(IntegrityError):
    """The last frame has its full length but wrong content, and may or may not have been acknowledged."""


class UnavailableError(SyceeError):
    """The folder is in use, the disk refuses, or the ledger stopped after a failed write."""

    exit_code = 4


class BusyError(UnavailableError):
    """Too much waits for the ledger. Nothing was accepted, and the same call may succeed in a moment."""


def require(condition: object, message: str) -> None:
    """Raise IntegrityError with `message` unless `condition` is true. Unlike assert, it works under `python -O`."""
    if not condition:
        raise IntegrityError(message)
