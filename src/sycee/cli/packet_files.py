"""Files of packets that the commands of programmes share, on a folder and over a server: winners, and their claims."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

from cyclopts import Parameter

from sycee.cli.lazy import ids
from sycee.cli.terminal import print_list, show
from sycee.core.errors import UsageError
from sycee.core.input_files import read_bytes
from sycee.core.marks import marked_csv
from sycee.core.output_files import write_file
from sycee.core.words import quantity

CLAIMS_BYTES_MAX: Final = 1 << 28
WINNERS: Final = ("member", "packet", "amount", "bank", "wallet")

WinnersFile: TypeAlias = Annotated[Path | None, Parameter(help="CSV file to write, which `sycee drop claims` reads.")]
ClaimsFile: TypeAlias = Annotated[Path, Parameter(help="CSV file with the columns member and wallet.")]


def show_winners(rows: Sequence[dict[str, Any]], output: Path | None, *, as_json: bool, mark: str = "") -> int:
    """Print who has a packet, or write it to a file; return the exit code. mark: the first line of the file."""
    if output is None:
        return print_list("winners", rows, *WINNERS, numbers=("amount",), as_json=as_json)
    made = io.StringIO()
    writer = csv.DictWriter(made, WINNERS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_file(output, marked_csv(made.getvalue(), mark).encode())
    show(f"{quantity(len(rows), 'packet')} in {output}")
    return 0


def read_claims(file: Path) -> list[tuple[int, int]]:
    """Return member and wallet of each row that names a wallet. Raises UsageError for a file without the columns."""
    text = read_bytes(file, CLAIMS_BYTES_MAX, "claims").decode("utf-8-sig", "replace")
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    if rows and not {"member", "wallet"} <= rows[0].keys():
        raise UsageError(f"{file} has no columns member and wallet", hint="`sycee drop winners --output` writes them")
    return [(ids.parse(row["member"]), ids.parse(row["wallet"])) for row in rows if row["wallet"]]


def show_claimed(codes: Iterable[str]) -> None:
    """Show how many packets were claimed and refused. `codes`: "" for a claimed packet."""
    counted = Counter(codes)
    claimed = counted.pop("", 0)
    refused = ", ".join(f"{count:,} {code}" for code, count in counted.items())
    show(f"{quantity(claimed, 'packet')} claimed, {counted.total():,} refused{f': {refused}' if refused else ''}")
