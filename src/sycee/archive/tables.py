"""What is copied of a state for each table of an archive, and the columns that are made of it afterwards.

Each function of `COPIES` runs between two frames and so only copies; what it returns is turned into Arrow tables when
the ledger goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from sycee.archive import history_copy
from sycee.archive.history_source import Reading, currency_code, currency_of
from sycee.archive.parquet_files import Values, arrow_table
from sycee.archive.timestamps import NS_PER_DAY, local_days
from sycee.core.arrays import Array
from sycee.core.limits import PLACE_INDEX_BITS
from sycee.core.result_codes import Result
from sycee.ledger.layout import AccountKind, Block, Kind, Purpose, PurseState
from sycee.ledger.state import LedgerState

Copies = Mapping[str, Values]

# Kinds whose amount is money asked for, once and for all. A HOLD's comes to count when it is posted, and changes then.
_MONEY: Final = tuple(
    int(kind)
    for kind in (
        Kind.TRANSFER, Kind.PAY, Kind.REFUND, Kind.POST, Kind.REVERSE, Kind.SEND, Kind.STAGE, Kind.DROP,
    )
)  # fmt: skip
_KINDS: Final = {int(kind): kind.name for kind in Kind}
_RESULTS: Final = {int(result): result.name for result in Result}
_PURPOSES: Final = {int(purpose): purpose.name for purpose in Purpose}
_ACCOUNT_KINDS: Final = {int(kind): kind.name for kind in AccountKind}
_PURSE_STATES: Final = {int(state): state.name for state in PurseState}


def slices(
    source: Reading, table: str, first: int, end: int, zones: Mapping[int, str]
) -> Iterator[Any]:  # fmt: skip
    """Rows `first` to `end` of a table, counted from 0, as Arrow tables; each is copied between two frames.

    zones: the time zone of each currency.
    """
    for start in range(first, end, history_copy.SLICE_ROWS):
        with source.reading() as state:
            copied = COPIES[table](state, start, min(start + history_copy.SLICE_ROWS, end))
        yield arrow_table(table, _finished(copied, zones) if table == "movements" else copied)


def _movements(state: LedgerState, first: int, end: int) -> Copies:
    rows = history_copy.movement_rows(state, np.arange(first + 1, end + 1))
    no_purse = ~(rows["debit_is_purse"] | rows["credit_is_purse"])
    return {
        **_numbers(rows, "number", "frame", "frame_index", "amount", "debit_balance", "credit_balance", "leg"),
        **_times(rows["time_ns"]),
        "currency": Values(rows["currency"], names=_currencies(state)),
        "purpose": Values(rows["purpose"], names=_PURPOSES),
        "debit_account": Values(rows["debit_low"], rows["debit_high"], null=rows["debit_is_purse"]),
        "credit_account": Values(rows["credit_low"], rows["credit_high"], null=rows["credit_is_purse"]),
        "programme": Values(rows["programme"], null=no_purse),
        "member": Values(rows["member"], null=no_purse),
        "operation": Values(rows["operation_low"], rows["operation_high"]),
    }


def _finished(copied: Copies, zones: Mapping[int, str]) -> Copies:
    """With the local dates of movements, which take a look into the time zones."""
    numbers, times = copied["currency"].numbers, copied["time"].numbers
    days = np.zeros(numbers.size, np.int64)
    for number in np.unique(numbers).tolist():
        days[numbers == number] = local_days(times[numbers == number], zones[number])
    return {**copied, "local_date": Values(days)}


def _operations(state: LedgerState, first: int, end: int) -> Copies:
    bound = state.bound[first:end].copy()
    frames = history_copy.frames_of(bound["place"])
    return {
        "operation": Values(bound["id_low"], bound["id_high"]),
        "frame": Values(frames),
        "frame_index": Values(bound["place"] & np.uint64((1 << PLACE_INDEX_BITS) - 1)),
        **_times(state.frame_times[frames]),
        "kind": Values(bound["kind"], names=_KINDS),
        "result": Values(bound["result"], names=_RESULTS),
        "amount": Values(bound["amount"], null=~np.isin(bound["kind"], _MONEY)),
    }


def _frames(state: LedgerState, first: int, end: int) -> Copies:
    """Row n is frame n + 1."""
    frames = np.arange(first + 1, end + 1)
    edges = np.arange(first + 1, end + 2).astype(np.uint64) << np.uint64(PLACE_INDEX_BITS)
    return {
        "frame": Values(frames),
        **_times(state.frame_times[first + 1 : end + 1].copy()),
        "operations": Values(np.diff(np.searchsorted(state.bound["place"], edges))),
        "movements": Values(np.diff(np.searchsorted(state.movements["place"], edges))),
    }


def _accounts(state: LedgerState, first: int, end: int) -> Copies:
    rows = state.accounts[first:end].copy()
    suspense = state.accounts[rows["suspense"]]
    linked = np.maximum(rows["link"].astype(np.int64) - 1, 0)
    link = state.accounts[linked]
    return {
        "account": Values(rows["id_low"], rows["id_high"]),
        "currency": Values(rows["currency"], names=_currencies(state)),
        "kind": Values(rows["kind"], names=_ACCOUNT_KINDS),
        "suspense": Values(suspense["id_low"], suspense["id_high"]),
        "link": Values(link["id_low"], link["id_high"], null=rows["link"] == 0),
        "debit_blocked": Values(rows["blocks"] & Block.DEBIT != 0),
        "credit_blocked": Values(rows["blocks"] & Block.CREDIT != 0),
        "closed": Values(rows["blocks"] & Block.CLOSED != 0),
        "held": Values(rows["debits_pending"]),
        "coming": Values(rows["credits_pending"]),
        **_numbers(rows, "operator", "rule_set"),
    }


def _purses(state: LedgerState, first: int, end: int) -> Copies:
    rows = state.all_purses[first:end].copy()
    wallet = state.accounts[np.maximum(rows["wallet"].astype(np.int64) - 1, 0)]
    return {
        "programme": Values(rows["programme"]),
        "member": Values(np.arange(first, end) - state.tables.programmes["first_purse"][rows["programme"]]),
        "member_id": Values(rows["member_low"], rows["member_high"]),
        "wallet": Values(wallet["id_low"], wallet["id_high"], null=rows["wallet"] == 0),
        "state": Values(rows["state"], names=_PURSE_STATES),
        "held": Values(rows["pending"]),
    }


def _programmes(state: LedgerState, first: int, end: int) -> Copies:
    """Row n is the programme with the n-th lowest number."""
    programmes = state.tables.programmes.view(np.ndarray)
    numbers = np.flatnonzero(programmes["defined"])[first:end]
    rows = programmes[numbers]
    funder = state.accounts[rows["funder"]]
    rules = state.tables.rule_sets.view(np.ndarray)[rows["rule_set"]]
    return {
        "programme": Values(numbers),
        "currency": Values(rows["currency"], names=_currencies(state)),
        "funder": Values(funder["id_low"], funder["id_high"]),
        "members": Values(rows["count"]),
        "sealed": Values(rows["sealed"] != 0),
        "spend_from_ns": Values(rules["from_ns"]),
        "spend_until_ns": Values(rules["until_ns"]),
        **_numbers(rows, "rule_set", "claim_from_ns", "claim_until_ns"),
    }


def _currencies_kept(state: LedgerState, first: int, end: int) -> Copies:
    numbers = list(state.zones)[first:end]
    return {
        "currency": Values(np.array(numbers, np.int64), names=_currencies(state)),
        "number": Values(np.array(numbers, np.int64)),
        "digits": Values(np.array([currency_of(number).digits for number in numbers], np.int64)),
        "zone": Values(np.array(numbers, np.int64), names=dict(state.zones)),
    }


COPIES: Final[dict[str, Callable[[LedgerState, int, int], Copies]]] = {
    "movements": _movements,
    "operations": _operations,
    "frames": _frames,
    "accounts": _accounts,
    "purses": _purses,
    "programmes": _programmes,
    "currencies": _currencies_kept,
}


def register_rows(state: LedgerState) -> dict[str, int]:
    """How many rows each register has."""
    return {
        "accounts": state.accounts.size,
        "purses": state.all_purses.size,
        "programmes": int(np.count_nonzero(state.tables.programmes["defined"])),
        "currencies": len(state.zones),
    }


def _numbers(rows: Array, *names: str) -> dict[str, Values]:
    return {name: Values(rows[name]) for name in names}


def _times(times_ns: Array) -> dict[str, Values]:
    return {"time": Values(times_ns), "day": Values(times_ns // NS_PER_DAY)}


def _currencies(state: LedgerState) -> dict[int, str]:
    return {number: currency_code(number) for number in state.zones}
