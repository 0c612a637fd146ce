"""Credit transfers of many messages in columns, and their form as JSON between two processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sycee.iso20022.bulk_credit_transfers import URGENCIES, TransferColumns, TransferMessage, columns
from sycee.iso20022.credit_transfer_messages import CORE

_INDEXES: Final = {"sender": "banks", "receiver": "banks", "debtor": "banks", "creditor": "banks",
                   "currency": "currencies"}  # fmt: skip
_TYPES: Final = {
    **dict.fromkeys(("sender", "receiver", "debtor", "creditor", "day"), np.int32),
    "currency": np.int16, "minor": np.int64, "urgency": np.int8,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class MessageColumns:
    """The transactions of m messages in columns of n rows, in order.

    - `ids`: of the messages: the business id, or without a header the message's own id.
    - `from_banks`: all that the headers name as senders. `counts`: (m,) rows of each message.
    - `uetrs`: n texts. `rows`: the columns.
    - `times`: row, begin and end of those that ask to be settled at a time, as of `TransferRow`.
    """

    ids: tuple[str, ...]
    from_banks: frozenset[str]
    counts: NDArray[np.int64]
    uetrs: tuple[str, ...]
    rows: TransferColumns
    times: tuple[tuple[int, str, str], ...]


def columns_of_messages(messages: Sequence[TransferMessage]) -> MessageColumns:
    """Return the transactions of messages in columns."""
    rows = [row for each in messages for row in each.rows]
    return MessageColumns(
        tuple([each.business_id or each.message_id for each in messages]),
        frozenset([each.from_bank for each in messages if each.from_bank]),
        np.array([len(each.rows) for each in messages], np.int64),
        tuple([row.uetr for row in rows]),
        columns(rows),
        tuple([(at, row.not_before, row.until) for at, row in enumerate(rows) if row.not_before or row.until]),
    )


def columns_if_plain(found: Sequence[TransferMessage | None]) -> MessageColumns | None:
    """Return what `read_plain` read of messages in columns; None if columns do not have all that a message says."""
    messages = [each for each in found if each and each.use == CORE and all(row.is_plain for row in each.rows)]
    return columns_of_messages(messages) if messages and len(messages) == len(found) else None


def to_json(group: MessageColumns) -> dict[str, Any]:
    """Return a group as a value for JSON."""
    rows = group.rows
    return {
        "ids": group.ids, "from_banks": sorted(group.from_banks), "counts": group.counts.tolist(),
        "uetrs": group.uetrs, "times": group.times, "banks": rows.banks, "currencies": rows.currencies,
        **{name: getattr(rows, name).tolist() for name in _TYPES},
    }  # fmt: skip


def from_json(values: Mapping[str, Any]) -> MessageColumns:
    """Return the group that `to_json` was given. Raises ValueError, KeyError, TypeError or OverflowError."""
    uetrs, counts = tuple(values["uetrs"]), np.array(values["counts"], np.int64)
    made: dict[str, Any] = {name: np.array(values[name], kind) for name, kind in _TYPES.items()}
    limits = {name: len(values[of]) for name, of in _INDEXES.items()} | {"urgency": len(URGENCIES)}
    for name, column in made.items():
        if column.shape != (len(uetrs),) or (name in limits and not _are_indexes(column, limits[name])):
            raise ValueError(f"the column {name} does not fit to {len(uetrs)} rows")
    if counts.shape != (len(values["ids"]),) or counts.min(initial=1) < 1 or int(counts.sum()) != len(uetrs):
        raise ValueError(f"the counts of messages do not fit to {len(uetrs)} rows")
    uetr = np.frombuffer(bytes.fromhex("".join(uetrs).replace("-", "")), np.uint8).reshape(len(uetrs), 16)
    rows = TransferColumns(
        banks=tuple(values["banks"]), currencies=tuple(values["currencies"]), uetr=uetr, **made
    )  # fmt: skip
    times = tuple([(int(at), str(begin), str(end)) for at, begin, end in values["times"]])
    return MessageColumns(tuple(values["ids"]), frozenset(values["from_banks"]), counts, uetrs, rows, times)


def _are_indexes(column: NDArray[Any], count: int) -> bool:
    return bool(column.min(initial=0) >= 0 and column.max(initial=-1) < count)
