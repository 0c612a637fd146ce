"""The tables of the ledger that the figures of one programme are computed from, copied while frames continue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.sequencer.frozen import FrozenTables
from sycee.sequencer.sequencer import Sequencer

PURSE_COLUMNS: Final = ("wallet", "dropped", "spent", "refunded", "returned", "pending")
ACCOUNT_COLUMNS: Final = ("id_low", "id_high", "kind", "operator", "payee")


@dataclass(frozen=True, slots=True, eq=False)
class ProgrammeTables:
    """Tables as of frame `frame`.

    - `purses`: of the programme, in cohort order, (members,) with PURSE_COLUMNS; `first`: row of the first one.
    - `accounts`: of the ledger, by row, with ACCOUNT_COLUMNS.
    - `movements`, `bound`, `frame_times`: all rows up to the frame, not copied; valid while the ledger is open.
    - `group_rows`, `group_bits`: which payees are in which group, as in the state.
    """

    frame: int
    purses: Array
    first: int
    accounts: Array
    movements: Array
    bound: Array
    frame_times: Array
    group_rows: Array
    group_bits: Array


def programme_tables(sequencer: Sequencer, number: int) -> ProgrammeTables:
    """Return the tables as of the newest frame. Payments do not wait for a cohort of millions.

    Waits up to two seconds while a snapshot copies the tables. Raises UnavailableError as `Sequencer.frozen`.
    """
    with sequencer.frozen() as tables:
        sections = tables.sections
        first, count = (int(sections["programmes"][number][name]) for name in ("first_purse", "count"))
        group_bits = np.empty_like(sections["group_bits"])
        tables.read_into("group_bits", group_bits)
        return ProgrammeTables(
            tables.sequence,
            _columns(tables, "purses", first, count, PURSE_COLUMNS),
            first,
            _columns(tables, "accounts", 0, sections["accounts"].size, ACCOUNT_COLUMNS),
            sections["movements"],
            sections["bound"],
            sections["frame_times"],
            sections["group_rows"],
            group_bits,
        )


def _columns(tables: FrozenTables, name: str, first: int, count: int, columns: Sequence[str]) -> Array:
    """Return these columns of rows of a table."""
    found = np.empty(count, [(column, tables.sections[name].dtype[column]) for column in columns])
    at = 0
    for piece in tables.rows(name, first, count):
        for column in columns:
            found[column][at : at + piece.size] = piece[column]
        at += piece.size
    return found
