"""Rows of an archive's tables, copied from a state and converted to Arrow tables.

Each function of `COPIES` runs between two frames and so only copies; the conversion runs while the ledger continues.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum
from typing import Any, Final

import numpy as np

from sycee.archive import history_copy
from sycee.archive.history_source import StateReader
from sycee.archive.parquet_files import ColumnValues, arrow_table
from sycee.core.arrays import Array
from sycee.core.limits import PLACE_INDEX_BITS
from sycee.core.money import currency_code, currency_of
from sycee.core.records.layout import AccountKind, Block, Kind, Purpose, PurseState
from sycee.core.result_codes import Result
from sycee.core.timestamps import NS_PER_DAY, local_days
from sycee.ledger.state import LedgerState

Copies = Mapping[str, ColumnValues]

# Kinds with a final amount of money. The amount of a HOLD becomes final when the hold is posted.
_MONEY: Final = tuple(
    int(kind)
    for kind in (
        Kind.TRANSFER, Kind.PAY, Kind.REFUND, Kind.POST, Kind.REVERSE, Kind.SEND, Kind.STAGE, Kind.DROP,
    )
)  # fmt: skip


def slices(source: StateReader, table: str, first: int, end: int, zones: Mapping[int, str]) -> Iterator[Any]:
    """Yield rows `first` to `end` of a table, counted from 0, as Arrow tables; each is copied between two frames.

    zones: the time zone of each currency.
    """
    for start in range(first, end, history_copy.SLICE_ROWS):
        with source.reading() as state:
            copied = COPIES[table](state, start, min(start + history_copy.SLICE_ROWS, end))
        yield arrow_table(table, _with_local_dates(copied, zones) if table == "movements" else copied)


def _movements(state: LedgerState, first: int, end: int) -> Copies:
    rows = history_copy.movement_rows(state, np.arange(first + 1, end + 1))
    no_purse = ~(rows["debit_is_purse"] | rows["credit_is_purse"])
    return {
        **_numbers(rows, "number", "frame", "frame_index", "amount", "debit_balance", "credit_balance", "leg"),
        **_times(rows["time_ns"]),
        "currency": ColumnValues(rows["currency"], names=_currencies(state)),
        "purpose": _names(rows["purpose"], Purpose),
        "debit_account": _ids(rows, "debit", null=rows["debit_is_purse"]),
        "credit_account": _ids(rows, "credit", null=rows["credit_is_purse"]),
        "programme": ColumnValues(rows["programme"], null=no_purse),
        "member": ColumnValues(rows["member"], null=no_purse),
        "operation": _ids(rows, "operation"),
    }


def _with_local_dates(copied: Copies, zones: Mapping[int, str]) -> Copies:
    """Add the local dates of movements, which need a lookup in the time-zone database."""
    numbers, times = copied["currency"].numbers, copied["time"].numbers
    days = np.zeros(numbers.size, np.int64)
    for number in np.unique(numbers).tolist():
        days[numbers == number] = local_days(times[numbers == number], zones[number])
    return {**copied, "local_date": ColumnValues(days)}


def _operations(state: LedgerState, first: int, end: int) -> Copies:
    bound = state.bound[first:end].copy()
    frames = history_copy.frames_of(bound["place"])
    return {
        "operation": _ids(bound, "id"),
        "frame": ColumnValues(frames),
        "frame_index": ColumnValues(bound["place"] & np.uint64((1 << PLACE_INDEX_BITS) - 1)),
        **_times(state.frame_times[frames]),
        "kind": _names(bound["kind"], Kind),
        "result": _names(bound["result"], Result),
        "amount": ColumnValues(bound["amount"], null=~np.isin(bound["kind"], _MONEY)),
    }


def _frames(state: LedgerState, first: int, end: int) -> Copies:
    """Copy the rows of frames; row n is frame n + 1."""
    frames = np.arange(first + 1, end + 1)
    edges = np.arange(first + 1, end + 2).astype(np.uint64) << np.uint64(PLACE_INDEX_BITS)
    return {
        "frame": ColumnValues(frames),
        **_times(state.frame_times[first + 1 : end + 1].copy()),
        "operations": ColumnValues(np.diff(np.searchsorted(state.bound["place"], edges))),
        "movements": ColumnValues(np.diff(np.searchsorted(state.movements["place"], edges))),
    }


def _accounts(state: LedgerState, first: int, end: int) -> Copies:
    rows = state.accounts[first:end].copy()
    return {
        "account": _ids(rows, "id"),
        "currency": ColumnValues(rows["currency"], names=_currencies(state)),
        "kind": _names(rows["kind"], AccountKind),
        "suspense": _ids(state.accounts[rows["suspense"]], "id"),
        "link": _optional_account(state, rows["link"]),
        "debit_blocked": ColumnValues(rows["blocks"] & Block.DEBIT != 0),
        "credit_blocked": ColumnValues(rows["blocks"] & Block.CREDIT != 0),
        "closed": ColumnValues(rows["blocks"] & Block.CLOSED != 0),
        "held": ColumnValues(rows["debits_pending"]),
        "incoming": ColumnValues(rows["credits_pending"]),
        **_numbers(rows, "operator", "rule_set"),
    }


def _purses(state: LedgerState, first: int, end: int) -> Copies:
    rows, programmes = state.all_purses[first:end].copy(), state.programmes_of_purses(first, end)
    return {
        "programme": ColumnValues(programmes.astype(np.uint32)),
        "member": ColumnValues(np.arange(first, end) - state.tables.programmes["first_purse"][programmes]),
        "member_id": _ids(rows, "member"),
        "wallet": _optional_account(state, rows["wallet"]),
        "state": _names(rows["state"], PurseState),
        "held": ColumnValues(rows["pending"]),
    }


def _programmes(state: LedgerState, first: int, end: int) -> Copies:
    """Copy the rows of programmes, in order of their numbers."""
    programmes = state.tables.programmes.view(np.ndarray)
    numbers = np.flatnonzero(programmes["defined"])[first:end]
    rows = programmes[numbers]
    rules = state.tables.rule_sets.view(np.ndarray)[rows["rule_set"]]
    return {
        "programme": ColumnValues(numbers),
        "currency": ColumnValues(rows["currency"], names=_currencies(state)),
        "funder": _ids(state.accounts[rows["funder"]], "id"),
        "members": ColumnValues(rows["count"]),
        "sealed": ColumnValues(rows["sealed"] != 0),
        "spend_from_ns": ColumnValues(rules["from_ns"]),
        "spend_until_ns": ColumnValues(rules["until_ns"]),
        **_numbers(rows, "rule_set", "claim_from_ns", "claim_until_ns"),
    }


def _defined_currencies(state: LedgerState, first: int, end: int) -> Copies:
    numbers = list(state.zones)[first:end]
    array = np.array(numbers, np.int64)
    return {
        "currency": ColumnValues(array, names=_currencies(state)),
        "number": ColumnValues(array),
        "digits": ColumnValues(np.array([currency_of(number).digits for number in numbers], np.int64)),
        "zone": ColumnValues(array, names=dict(state.zones)),
    }


COPIES: Final[dict[str, Callable[[LedgerState, int, int], Copies]]] = {
    "movements": _movements,
    "operations": _operations,
    "frames": _frames,
    "accounts": _accounts,
    "purses": _purses,
    "programmes": _programmes,
    "currencies": _defined_currencies,
}


def register_rows(state: LedgerState) -> dict[str, int]:
    """Return the number of rows of each register."""
    return {
        "accounts": state.accounts.size,
        "purses": state.all_purses.size,
        "programmes": int(np.count_nonzero(state.tables.programmes["defined"])),
        "currencies": len(state.zones),
    }


def _numbers(rows: Array, *names: str) -> dict[str, ColumnValues]:
    return {name: ColumnValues(rows[name]) for name in names}


def _names(numbers: Array, enum: type[IntEnum]) -> ColumnValues:
    return ColumnValues(numbers, names={int(member): member.name for member in enum})


def _ids(rows: Array, name: str, *, null: Array | None = None) -> ColumnValues:
    return ColumnValues(rows[f"{name}_low"], rows[f"{name}_high"], null=null)


def _optional_account(state: LedgerState, rows: Array) -> ColumnValues:
    """Return the ids of accounts: row + 1 of each, 0 for null."""
    return _ids(state.accounts[np.maximum(rows.astype(np.int64) - 1, 0)], "id", null=rows == 0)


def _times(times_ns: Array) -> dict[str, ColumnValues]:
    return {"time": ColumnValues(times_ns), "day": ColumnValues(times_ns // NS_PER_DAY)}


def _currencies(state: LedgerState) -> dict[int, str]:
    return {number: currency_code(number) for number in state.zones}
