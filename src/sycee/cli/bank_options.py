"""Parameters and steps that the commands of a bank share."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

from cyclopts import Parameter

from sycee.cli.checkpoint import public_key
from sycee.cli.terminal import console, mark_output, note
from sycee.core import money
from sycee.core.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from datetime import date

    from sycee.bank.bank import Bank
    from sycee.core.keys import PublicKey, SigningKey

BankFolder: TypeAlias = Annotated[Path, Parameter(help="The data folder of the bank, as given to `sycee init`.")]
KeyFiles: TypeAlias = Annotated[
    list[Path] | None,
    Parameter(name="--key", negative="", help="File with the private key of a person who signs; may be repeated."),
]


IN_USE: Final = (
    "Only one process can use a bank, and nothing was changed. If a server has it open, give the command --server URL. "
    "`sycee statement`, `sycee verify` and `sycee export` read a folder in use; `sycee day verify` reads packs."
)


@contextmanager
def open_bank(folder: Path, options: Mapping[str, str] | None = None) -> Iterator[Bank]:
    """Open the bank in `folder`, with its findings on stderr, and close it at the end."""
    from sycee.bank.bank import Bank
    from sycee.sequencer.folders import journal_disk
    from sycee.server.tables import SCHEMA

    try:
        with console(stderr=True).status("opening the bank"):
            bank = Bank.open(folder, options=options, schemas=(SCHEMA,))
    except UnavailableError as error:
        if journal_disk(folder).locked_by():
            raise UnavailableError(error.message, hint=IN_USE) from error
        raise
    with bank:
        mark_output(bank.config.mark)
        note(*(f"note: {finding}" for finding in bank.findings))
        told = len(bank.findings)
        yield bank
        note(*(f"note: {finding}" for finding in bank.findings[told:]))


def load_keys(files: Sequence[Path] | None) -> list[SigningKey]:
    """Return the private keys in files. Raises UsageError for a file that holds none, and for a key given twice."""
    from sycee.core.keys import SigningKey

    keys = [SigningKey.load(file) for file in files or ()]
    if len({key.public for key in keys}) < len(keys):
        raise UsageError("the same key was given twice", hint="each --key is of another person")
    return keys


def named_key(text: str) -> PublicKey:
    """Return the public key in a text, in a file with that text, or of the private key in a PEM file."""
    from sycee.core.keys import SigningKey

    if os.path.isfile(text):  # noqa: PTH113 - a text that is no path is no error here
        with Path(text).open("rb") as file:
            is_private = b"PRIVATE KEY-----" in file.read(4_096)
        if is_private:
            return SigningKey.load(text).public
    return public_key(text)


def moment(text: str, zone: str) -> int:
    """Return the nanoseconds of a local time such as 2026-11-02T08:00, or of the midnight that begins a date.

    Raises UsageError for another text, a time outside 1970 to 2262, and one that the zone skips or has twice.
    """
    from datetime import UTC, datetime, timedelta

    from sycee.core.limits import I64_MAX
    from sycee.core.time_zones import EPOCH, zone_info

    hint = "write a local time such as 2026-11-02T08:00, or a date"
    try:
        local = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text[:40]!r} is not a time", hint=hint) from error
    if local.tzinfo is not None:
        raise UsageError(f"{text!r} has an offset", hint=f"{hint}: it is a time of {zone}")
    first, second = (local.replace(tzinfo=zone_info(zone), fold=fold) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        raise UsageError(f"{text!r} is skipped in {zone}, or there twice", hint="name a time an hour later")
    ns = (first.astimezone(UTC) - EPOCH) // timedelta(microseconds=1) * 1_000
    if not 0 <= ns <= I64_MAX:
        raise UsageError(f"{text!r} is not from 1970 to 2262", hint=hint)
    return ns


def local_day(bank: Bank) -> date:
    """Return the day that the bank's clock shows in its zone."""
    from sycee.core import timestamps

    return timestamps.local_time(bank.stores.clock.now_ns(), bank.config.text("zone")).date()


def local_time(ns: int, zone: str) -> str:
    """Return a time as local text to the minute: 2026-11-02 08:00."""
    from sycee.core import timestamps

    return timestamps.local_time(ns, zone).strftime("%Y-%m-%d %H:%M")


def positive_amount(bank: Bank, text: str) -> int:
    """Return an amount in minor units. Raises UsageError for a text that is no amount above 0."""
    minor = money.parse(text, bank.config.currency)
    if minor <= 0:
        raise UsageError(f"the amount {text[:40]} is not above 0", hint="name an amount such as 12.50")
    return minor
