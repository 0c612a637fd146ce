"""The state digest: equal states give equal bytes, however their operations were framed.

docs/reference/ledger.md section 7 gives the sections and their fields; rows, places and indices stay out of it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import blake3
import numpy as np

from sycee.core import limits
from sycee.ledger import kernels, layout

if TYPE_CHECKING:
    from sycee.ledger.state import LedgerState

Array = np.ndarray[Any, Any]

PART_ROWS: Final = 1 << 17

_ACCOUNT = np.dtype(
    [
        ("id", "<u8", 2),
        ("currency", "<u2"),
        ("kind", "<u2"),
        ("blocks", "<u2"),
        ("operator", "<u4"),
        ("rule_set", "<u4"),
    ]
    + [("suspense_id", "<u8", 2)]
    + [(name, "<i8") for name in ("debits_posted", "credits_posted", "debits_pending", "credits_pending")]
    + [(name, "<i8") for name in ("day_used", "month_used", "year_used")]
    + [("day", "<i4"), ("month", "<i2"), ("year", "<i2")]
)
_PURSE = np.dtype(
    [("programme", "<u4"), ("member", "<u4"), ("member_id", "<u8", 2), ("wallet_id", "<u8", 2)]
    + [(name, "<i8") for name in ("dropped", "spent", "refunded", "returned", "pending")]
    + [("state", "<u2")]
)
_BOUND = np.dtype([("id", "<u8", 2), ("kind", "<u2"), ("result", "<u2"), ("refunded", "<i8")])


def state_digest(state: LedgerState) -> bytes:
    """BLAKE3-256 over everything the ledger knows, in id order. 32 bytes."""
    digest = blake3.blake3(b"sycee.state.v1")
    for rows in (
        [
            struct.pack("<H", number) + zone.encode("latin-1").ljust(48, b"\0")
            for number, zone in sorted(state.zones.items())
        ],
        _groups(state),
        _rule_sets(state),
    ):
        digest.update(struct.pack("<Q", len(rows)))
        for row in rows:
            digest.update(row)
    for count, parts in (_accounts(state), _programmes(state), _purses(state), _bound(state)):
        digest.update(struct.pack("<Q", count))
        for part in parts:
            digest.update(part)
    return digest.digest()


# A section is its number of rows and its bytes, part by part: a copy of all rows might not fit beside them.
Section = tuple[int, Iterator[bytes]]


def _groups(state: LedgerState) -> list[bytes]:
    accounts = state.accounts
    payees = accounts[accounts["payee"] > 0]
    payees = payees[np.lexsort((payees["id_low"], payees["id_high"]))]
    words, bits = payees["payee"] >> 6, (payees["payee"] & 63).astype(np.uint64)
    rows = []
    for group in sorted(state.groups):
        members = payees[
            (state.tables.group_bits[state.tables.group_rows[group] - 1][words] >> bits & np.uint64(1)).astype(bool)
        ]
        rows.append(struct.pack("<IQ", group, members.size) + _ids(members, "id_low", "id_high").tobytes())
    return rows


def _rule_sets(state: LedgerState) -> list[bytes]:
    rows = []
    for number, definition in sorted(state.rule_sets.items()):
        record = np.frombuffer(definition, layout.RULE_SET_OPERATION)[0]
        rows.append(
            struct.pack("<IH", number, int(record["flags"]))
            + record["groups"].tobytes()
            + struct.pack("<QQ", int(record["return_low"]), int(record["return_high"]))
            + struct.pack("<qq", int(record["from_ns"]), int(record["until_ns"]))
            + struct.pack(
                "<5q", *(int(record[f"{name}_max"]) for name in ("balance", "single", "day", "month", "year"))
            )
        )
    return rows


def _accounts(state: LedgerState) -> Section:
    accounts = state.accounts

    def part(rows: Array) -> Array:
        chosen = accounts[rows]
        table = _copy(chosen, _ACCOUNT)
        table["id"] = _ids(chosen, "id_low", "id_high")
        table["suspense_id"] = _ids(accounts[chosen["suspense"]], "id_low", "id_high")
        return table

    return _section(np.lexsort((accounts["id_low"], accounts["id_high"])), part)


def _programmes(state: LedgerState) -> Section:
    programmes = state.tables.programmes
    rows = [
        struct.pack(
            "<IIQQIIHQQqq",
            number,
            int(programmes[number]["rule_set"]),
            int(state.tables.accounts[programmes[number]["funder"]]["id_low"]),
            int(state.tables.accounts[programmes[number]["funder"]]["id_high"]),
            *(int(programmes[number][name]) for name in ("count", "filled", "sealed", "seal_low", "seal_high")),
            *(int(programmes[number][name]) for name in ("claim_from_ns", "claim_until_ns")),
        )
        for number in np.flatnonzero(programmes["defined"]).tolist()
    ]
    return len(rows), iter(rows)


def _purses(state: LedgerState) -> Section:
    first = state.tables.programmes["first_purse"]
    count = int(state.tables.counters[kernels.PURSES])

    def part(rows: Array) -> Array:
        chosen = state.tables.purses[rows]
        table = _copy(chosen, _PURSE)
        table["member"] = rows - first[chosen["programme"]]
        table["member_id"] = _ids(chosen, "member_low", "member_high")
        claimed = np.flatnonzero(chosen["wallet"])
        table["wallet_id"][claimed] = _ids(state.tables.accounts[chosen["wallet"][claimed] - 1], "id_low", "id_high")
        return table

    # A programme's purses are contiguous and in member order, so a stable sort by programme is all it takes.
    return _section(np.argsort(state.tables.purses["programme"][:count], kind="stable"), part)


def _bound(state: LedgerState) -> Section:
    bound = state.bound

    def part(rows: Array) -> Array:
        chosen = bound[rows]
        table = _copy(chosen, _BOUND)
        table["id"] = _ids(chosen, "id_low", "id_high")
        return table

    return _section(np.lexsort((bound["id_low"], bound["id_high"])), part)


def _section(order: Array, part: Callable[[Array], Array]) -> Section:
    pieces = (order[start : start + PART_ROWS] for start in range(0, order.size, PART_ROWS))
    return order.size, (part(rows).tobytes() for rows in pieces)


def _copy(source: Array, dtype: np.dtype[Any]) -> Array:
    table = np.zeros(source.size, dtype)
    for name in dtype.names or ():
        if source.dtype.names and name in source.dtype.names:
            table[name] = source[name]
    return table


def _ids(source: Array, low: str, high: str) -> Array:
    ids = np.empty((source.size, 2), np.uint64)
    ids[:, 0], ids[:, 1] = source[low], source[high]
    return ids


assert limits.ZONE_BYTES_MAX == 48
