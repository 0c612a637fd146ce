"""What can go wrong outside the ledger's own refusals.

A refusal by the ledger is a code (`sycee.core.result_codes.Result`), never an exception. An exception says that a
caller, a file or the machine broke a promise; it carries what to do next and the exit code of the command line::

    SyceeError            exit 1
    ├── UsageError        exit 2   the caller's input is wrong: a text, a file, an option
    ├── Refused           exit 1   the ledger said no where the caller needs a yes; carries the code
    ├── IntegrityError    exit 3   bytes or figures do not prove what they should
    │   ├── JournalDamaged         damage in what was acknowledged; names the file and the place
    │   └── TailInDoubt            the last group may or may not have been acknowledged: a person decides
    └── UnavailableError  exit 4   the folder is in use, the disk refuses, the ledger stopped itself
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sycee.core.result_codes import Result


class SyceeError(Exception):
    """Base of all errors. `hint`, if given, is one sentence that says what to do next."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(SyceeError):
    """The caller's input is wrong; nothing was changed."""

    exit_code = 2


class Refused(SyceeError):
    """The ledger refused an operation that the caller cannot do without; `result` is its code."""

    def __init__(self, message: str, result: Result, *, hint: str | None = None) -> None:
        super().__init__(f"{message}: {result.name}", hint=hint)
        self.result = result


class IntegrityError(SyceeError):
    """Bytes or figures do not prove what they should."""

    exit_code = 3


class JournalDamaged(IntegrityError):
    """Acknowledged bytes of the journal are damaged. The message names the file, the frame and the byte."""


class TailInDoubt(IntegrityError):
    """The last group is complete in length but not in content, and nothing says whether it was acknowledged."""


class UnavailableError(SyceeError):
    """The folder is in use, the disk refuses, or the ledger stopped itself after a failed write."""

    exit_code = 4


def require(condition: object, message: str) -> None:
    """Raise IntegrityError with `message` unless `condition` holds. Stays under `python -O`, unlike assert."""
    if not condition:
        raise IntegrityError(message)
