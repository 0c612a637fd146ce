"""Comparison of rows of SQL with the ledger, while payments continue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

from sycee.ledger.state import LedgerState
from sycee.sequencer.embedded import Ledger

Row = TypeVar("Row")
PART_ROWS: Final = 100  # compared between two frames: some milliseconds


def differences(
    ledger: Ledger, rows: Iterable[Row], of: Callable[[LedgerState, Row], Iterable[str]], *, part_rows: int = PART_ROWS
) -> Iterator[str]:
    """Yield the sentences of `of(state, row)` for each row. Frames are written between two parts of the rows."""
    rest = iter(rows)
    while part := list(islice(rest, part_rows)):
        with ledger.sequencer.reading() as state:
            found = [sentence for row in part for sentence in of(state, row)]
        yield from found
