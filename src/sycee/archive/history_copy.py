"""Copies of parts of the history, each made between two frames and small enough not to delay payments.

Movements and bound operations never change after their frame is durable. So a history that is copied slice by slice,
with other frames applied meanwhile, is the history as of the frame at which copying began.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from sycee.archive.history_source import StateReader
from sycee.core.arrays import Array
from sycee.core.limits import PLACE_INDEX_BITS
from sycee.core.records.layout import PURSE_BIT
from sycee.ledger.state import LedgerState

SLICE_ROWS: Final = 8_192  # copied in a few milliseconds

# A movement with ids instead of rows. Programme and member are set if one side is a purse; that side's id is 0.
MOVEMENT_OF_IDS: Final = np.dtype(
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
    """Copy movements with ids instead of rows: (n,) int64 movement numbers to (n,) MOVEMENT_OF_IDS, in their order."""
    movements = state.movements[numbers - 1]
    rows = np.zeros(numbers.size, MOVEMENT_OF_IDS)
    rows["number"] = numbers
    for name in ("purpose", "leg", "amount", "debit_balance", "credit_balance"):
        rows[name] = movements[name]
    rows["frame"] = frames_of(movements["place"])
    rows["frame_index"] = movements["place"] & np.uint64((1 << PLACE_INDEX_BITS) - 1)
    rows["time_ns"] = state.frame_times[rows["frame"]]
    accounts = state.accounts
    purse = np.full(numbers.size, -1, np.int64)
    for side in ("debit", "credit"):
        row = movements[f"{side}_row"].astype(np.int64)
        is_purse = row >= PURSE_BIT
        rows[f"{side}_is_purse"] = is_purse
        purse[is_purse] = row[is_purse] - PURSE_BIT
        row[is_purse] = 0
        for half in ("low", "high"):
            rows[f"{side}_{half}"] = np.where(is_purse, 0, accounts[f"id_{half}"][row])
    # At most one side is a purse, and an account's row is the smaller number.
    rows["currency"] = accounts["currency"][np.minimum(movements["debit_row"], movements["credit_row"])]
    has_purse = purse >= 0
    programme = state.all_purses["programme"][purse[has_purse]]
    rows["programme"][has_purse] = programme
    rows["member"][has_purse] = purse[has_purse] - state.tables.programmes["first_purse"][programme]
    # Bound operations are sorted by place: a binary search finds the operation of each movement.
    bound = state.bound
    operation = np.searchsorted(bound["place"], movements["place"])
    rows["operation_low"], rows["operation_high"] = bound["id_low"][operation], bound["id_high"][operation]
    return rows


def frames_of(places: Array) -> Array:
    """Return the frames of places: (n,) uint64 to (n,) int64."""
    frames: Array = (places >> np.uint64(PLACE_INDEX_BITS)).astype(np.int64)
    return frames


def frame_before(state: LedgerState, time_ns: int) -> int:
    """Return the newest frame with a time < `time_ns`, or 0."""
    return int(np.searchsorted(state.frame_times[1:], time_ns))


def frame_at(state: LedgerState, time_ns: int) -> int:
    """Return the newest frame with a time ≤ `time_ns`, or 0."""
    return int(np.searchsorted(state.frame_times[1:], time_ns, side="right"))


def movements_until(state: LedgerState, frame: int) -> int:
    """Return the number of movements up to and including `frame`."""
    return int(np.searchsorted(state.movements["place"], np.uint64((frame + 1) << PLACE_INDEX_BITS)))


def operations_until(state: LedgerState, frame: int) -> int:
    """Return the number of operations bound up to and including `frame`."""
    return int(np.searchsorted(state.bound["place"], np.uint64((frame + 1) << PLACE_INDEX_BITS)))


def newest_movement(state: LedgerState, row: int) -> int:
    """Return the number of the newest movement of an account's or purse's row, or 0."""
    if row >= PURSE_BIT:
        return int(state.all_purses["last_movement"][row - PURSE_BIT])
    return int(state.accounts["last_movement"][row])


def read_chain(
    source: StateReader, row: int, first_frame: int, end_frame: int, copy: Callable[[LedgerState, Array], Array]
) -> tuple[Array, int]:
    """Copy a row's movements in frames from `first_frame` to before `end_frame`, slice by slice between frames.

    `copy(state, numbers)` copies one slice. Returns all copies, newest first, and the balance before them.
    """
    end_place = np.uint64(end_frame << PLACE_INDEX_BITS)
    with source.reading() as state:
        number = newest_movement(state, row)
    slices = []
    while True:
        with source.reading() as state:
            numbers, number = movement_chain(state, row, number, first_frame)
            # Later movements are only followed: copies of all of them may not fit memory.
            slices.append(copy(state, numbers[state.movements["place"][numbers - 1] < end_place]))
            if numbers.size < SLICE_ROWS:
                return np.concatenate(slices), balance_after(state, row, number)


def movement_chain(state: LedgerState, row: int, number: int, first_frame: int) -> tuple[Array, int]:
    """Follow a row's chain of movements from `number` back to `first_frame`, newest first; ≤ SLICE_ROWS numbers.

    Returns the numbers, (k,) int64, and the number at which the chain continues, 0 at its beginning. O(k). Single
    fields are read as Python integers, which is several times faster than reading records.
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
    """Return a row's balance after its movement `number`, or 0 if `number` is 0 (before its first movement)."""
    if not number:
        return 0
    movement = state.movements[number - 1]
    return int(movement["debit_balance" if int(movement["debit_row"]) == row else "credit_balance"])
