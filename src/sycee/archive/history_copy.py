"""Copies of parts of the history, made between two frames, each small enough that nobody waits long.

Movements and bound operations are never changed once their frame is durable, so a history that is copied slice by
slice, with other frames coming in between, is still that of the frame at which the copying began.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.limits import PLACE_INDEX_BITS
from sycee.ledger.layout import PURSE_BIT
from sycee.ledger.state import LedgerState

SLICE_ROWS: Final = 8_192  # copied in a few milliseconds

# What is copied of a movement. A side that is a purse has no account, and the movement its programme and member.
MOVEMENT_ROW: Final = np.dtype(
    [
        ("number", "<i8"),
        ("frame", "<i8"),
        ("frame_index", "<i4"),
        ("time_ns", "<i8"),
        ("currency", "<u2"),
        ("purpose", "<u2"),
        ("leg", "<u2"),
        ("amount", "<i8"),
        ("debit_is_purse", "?"),
        ("debit_low", "<u8"),
        ("debit_high", "<u8"),
        ("debit_balance", "<i8"),
        ("credit_is_purse", "?"),
        ("credit_low", "<u8"),
        ("credit_high", "<u8"),
        ("credit_balance", "<i8"),
        ("programme", "<u4"),
        ("member", "<u4"),
        ("operation_low", "<u8"),
        ("operation_high", "<u8"),
    ]
)


def movement_rows(state: LedgerState, numbers: Array) -> Array:
    """Movements with ids in place of rows: (n,) int64 numbers to (n,) MOVEMENT_ROW, in their order."""
    movements = state.movements[numbers - 1]
    rows = np.zeros(numbers.size, MOVEMENT_ROW)
    rows["number"] = numbers
    for name in ("purpose", "leg", "amount", "debit_balance", "credit_balance"):
        rows[name] = movements[name]
    _fill_places(state, rows, movements["place"])
    accounts = state.accounts
    purse = np.full(numbers.size, -1, np.int64)
    for side in ("debit", "credit"):
        row = movements[f"{side}_row"].astype(np.int64)
        is_purse = row >= PURSE_BIT
        rows[f"{side}_is_purse"] = is_purse
        purse[is_purse] = row[is_purse] - PURSE_BIT
        row[is_purse] = 0
        for half in ("low", "high"):
            rows[f"{side}_{half}"] = accounts[f"id_{half}"][row]
            rows[f"{side}_{half}"][is_purse] = 0
    # One side may be a purse, but never both; an account's row is the smaller number.
    rows["currency"] = accounts["currency"][np.minimum(movements["debit_row"], movements["credit_row"])]
    if (purse >= 0).any():
        touched = purse >= 0
        programme = state.all_purses["programme"][purse[touched]]
        rows["programme"][touched] = programme
        rows["member"][touched] = purse[touched] - state.tables.programmes["first_purse"][programme]
    # Bound operations stand in order of place, so a movement finds its own by bisection.
    bound = state.bound
    made_by = np.searchsorted(bound["place"], movements["place"])
    rows["operation_low"], rows["operation_high"] = bound["id_low"][made_by], bound["id_high"][made_by]
    return rows


def _fill_places(state: LedgerState, rows: Array, places: Array) -> None:
    rows["frame"] = frames_of(places)
    rows["frame_index"] = places & np.uint64((1 << PLACE_INDEX_BITS) - 1)
    rows["time_ns"] = state.frame_times[rows["frame"]]


def frames_of(places: Array) -> Array:
    """The frames of places: (n,) uint64 to (n,) int64."""
    frames: Array = (places >> np.uint64(PLACE_INDEX_BITS)).astype(np.int64)
    return frames


def frame_before(state: LedgerState, time_ns: int) -> int:
    """The newest frame whose time is before a moment, 0 for none."""
    return int(np.searchsorted(state.frame_times[1:], time_ns))


def frame_at(state: LedgerState, time_ns: int) -> int:
    """The newest frame whose time is not after a moment, 0 for none."""
    return int(np.searchsorted(state.frame_times[1:], time_ns, side="right"))


def movements_until(state: LedgerState, frame: int) -> int:
    """How many movements there are up to a frame, it included."""
    return int(np.searchsorted(state.movements["place"], np.uint64((frame + 1) << PLACE_INDEX_BITS)))


def operations_until(state: LedgerState, frame: int) -> int:
    """How many operations are bound up to a frame, it included."""
    return int(np.searchsorted(state.bound["place"], np.uint64((frame + 1) << PLACE_INDEX_BITS)))


def newest_movement(state: LedgerState, row: int) -> int:
    """Number of the newest movement of a row, account's or purse's; 0 for none."""
    if row >= PURSE_BIT:
        return int(state.all_purses["last_movement"][row - PURSE_BIT])
    return int(state.accounts["last_movement"][row])


def chain(state: LedgerState, row: int, number: int, first_frame: int) -> tuple[Array, int]:
    """Along a row's chain, newest first, from a movement back to `first_frame`: at most SLICE_ROWS numbers.

    Returns them, (k,) int64, and the number at which the chain goes on: 0 at its beginning. O(k). Single fields are
    read as Python integers: that is several times quicker than reading records.
    """
    movements = state.movements
    debit_row, place = movements["debit_row"].item, movements["place"].item
    debit_previous, credit_previous = movements["debit_previous"].item, movements["credit_previous"].item
    first_place = first_frame << PLACE_INDEX_BITS
    numbers: list[int] = []
    while number and len(numbers) < SLICE_ROWS:
        at = number - 1
        if place(at) < first_place:
            break
        numbers.append(number)
        number = debit_previous(at) if debit_row(at) == row else credit_previous(at)
    return np.array(numbers, np.int64), number


def balance_after(state: LedgerState, row: int, number: int) -> int:
    """A row's balance after one of its movements, or before the first where `number` is 0."""
    if not number:
        return 0
    movement = state.movements[number - 1]
    return int(movement["debit_balance" if int(movement["debit_row"]) == row else "credit_balance"])
