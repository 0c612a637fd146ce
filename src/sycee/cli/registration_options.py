"""Options and files that the commands of registration share, on a folder and over a server."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Annotated, Any, Final, TypeAlias

from cyclopts import Parameter

from sycee.cli.terminal import note, print_table, show, show_json, table
from sycee.core.errors import UsageError
from sycee.core.input_files import read_bytes
from sycee.core.words import quantity

Name: TypeAlias = Annotated[str, Parameter(help="Name of the programme.")]
Number: TypeAlias = Annotated[int, Parameter(name="--occurrence", help="Number of the occurrence.")]
EntryNumber: TypeAlias = Annotated[int, Parameter(help="Number of the entry, as its registration printed it.")]
Document: TypeAlias = Annotated[str, Parameter(help="Number of the identity document.")]
Phone: TypeAlias = Annotated[str, Parameter(help="Phone number.")]
BankName: TypeAlias = Annotated[str, Parameter(help="Name or title of an operator of the file.")]
Stratum: TypeAlias = Annotated[str, Parameter(help="Name of a stratum of the file, if it has several.")]
PersonWallet: TypeAlias = Annotated[str, Parameter(help="Id of the person's wallet, if there is one.")]
ReceiptFile: TypeAlias = Annotated[Path | None, Parameter(help="File for the receipt, for the registrant.")]
PeopleFile: TypeAlias = Annotated[Path, Parameter(help="CSV, Arrow or Parquet.")]
Confirmed: TypeAlias = Annotated[
    bool, Parameter(negative="", help="The operators checked each person and entered the code.")
]
Entries: TypeAlias = Annotated[
    list[int] | None, Parameter(negative="", help="Number of an entry; all that wait without it.")
]
EntryState: TypeAlias = Annotated[
    str, Parameter(help="Show the entries in this state, instead of the numbers by state.")
]
After: TypeAlias = Annotated[int, Parameter(help="Begin behind this entry; needs --state.")]
Code: TypeAlias = Annotated[str, Parameter(help="The code of six digits.")]
Exclusion: TypeAlias = Annotated[str, Parameter(help="staff, merchant-owner, has-won or other.")]
Lapse: TypeAlias = Annotated[bool, Parameter(negative="", help="A winner who does not answer lapses.")]
RemovalState: TypeAlias = Annotated[str, Parameter(help="waiting, left or refused.")]
Removal: TypeAlias = Annotated[int, Parameter(help="Number of the removal.")]
AllowExclusion: TypeAlias = Annotated[bool, Parameter(negative="--refuse", help="Whether the entry is excluded.")]
AppealText: TypeAlias = Annotated[Path, Parameter(help="File with the text of the registrant; it is stored encrypted.")]
AppealState: TypeAlias = Annotated[str, Parameter(help="open, allowed or refused.")]
AppealId: TypeAlias = Annotated[str, Parameter(help="Id of the appeal.")]
Answer: TypeAlias = Annotated[Path, Parameter(help="File with the answer to the registrant; it is stored encrypted.")]
Allow: TypeAlias = Annotated[bool, Parameter(negative="--refuse", help="Whether the appeal is allowed.")]
LookedUp: TypeAlias = Annotated[int | None, Parameter(help="Number of the entry.")]
Output: TypeAlias = Annotated[Path | None, Parameter(help="File to write, which nobody else may read.")]

FAULTS_SHOWN_MAX: Final = 20
ENTRIES_SHOWN_MAX: Final = 1_000
TEXT_BYTES_MAX: Final = 16_384


def read_text(path: Path) -> str:
    """Return the text of a registrant, or the answer to it. Raises UsageError for a file that is too large."""
    return read_bytes(path, TEXT_BYTES_MAX, "text").decode("utf-8", "replace")


def require_state_for(after: int, state: str) -> None:
    """Raise UsageError for --after without --state: numbers of entries by state have no order."""
    if after >= 0 and not state:
        raise UsageError("--after needs --state", hint="such as `--state confirmed --after 1000`")


def open_private(path: Path) -> IO[str]:
    """Open a file to write that only its owner may read from now on, also if it existed; a pipe stays as it is."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "w", encoding="utf-8")


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    with open_private(path) as file:
        file.write(text)


def write_receipt(path: Path, entry: int, members: Mapping[str, str]) -> None:
    """Write the receipt of an entry. `members`: of its file."""
    write_private(path, json.dumps(dict(members)) + "\n")
    show(f"{path} is the receipt of entry {entry}: give it to the registrant, and delete it here")


def show_registered(rows: int, registered: int, refused: Mapping[str, int], faults: Iterable[str]) -> None:
    """Show how many rows of a file were registered, and why others were refused."""
    show(f"{registered:,} of {quantity(rows, 'row')} registered")
    note(*(f"note: {each}" for each in list(faults)[:FAULTS_SHOWN_MAX]))
    for code, number in sorted(refused.items()):
        show(f"refused: {number:,} {code}")


def show_codes(codes: Iterable[tuple[int, str]], output: Path | None) -> None:
    """Show the codes of entries that were checked, or write them to a file."""
    made = list(codes)
    if output is None:
        show(
            f"{quantity(len(made), 'entry', 'entries')} checked",
            *(f"entry {number}: code {code}" for number, code in made),
        )
        return
    write_private(output, "".join(["entry,code\n", *(f"{number},{code}\n" for number, code in made)]))
    show(f"{quantity(len(made), 'entry', 'entries')} checked; codes in {output}")


def show_state(entry: int, state: str, reason: str) -> None:
    """Show the state of an entry after a step."""
    show(f"entry {entry} is {state}" + (f": {reason}" if reason else ""))


def show_looked(found: list[dict[str, Any]], *, as_json: bool) -> None:
    """Show what support answers about entries."""
    if as_json:
        show_json({"entries": found})
        return
    if not found:
        show("nobody registered with it")
    for each in found:
        show(f"entry {each['entry']}: {each['answer']}")
        made = table("", "", ruled=False)
        for word, value in each.items():
            if value not in (None, "", [], (), {}) and word not in ("entry", "answer"):
                made.add_row(word.replace("_", " "), str(value))
        print_table(made)
