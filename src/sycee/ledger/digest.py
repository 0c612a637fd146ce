"""The state digest: equal states give equal bytes, however their operations were framed.

docs/reference/ledger.md section 12 gives the sections and their fields; rows, places and indices stay out of it.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterator
from typing import Any, Final

import blake3
import numpy as np

from sycee.core import limits
from sycee.core.arrays import Array
from sycee.ledger import kernels, layout
from sycee.ledger.state_tables import StateTables

PART_ROWS: Final = 1 << 17

_ID = ("<u8", 2)
_I64 = "<i8"
_DATE = [("day", "<i4"), ("month", "<i2"), ("year", "<i2")]
_OWNED = [("until_ns", _I64), ("own_held", _I64), ("state", "u1"), ("counted", "u1"), ("legs", "<u2")]
_SENT = [("amount", _I64), ("state", "u1"), ("counted", "u1")]
_ACCOUNT = np.dtype(
    [("id", *_ID), ("currency", "<u2"), ("kind", "<u2"), ("debit_reasons", "u1"), ("credit_reasons", "u1")]
    + [("close_reason", "u1"), ("key_flags", "u1"), ("operator", "<u4"), ("rule_set", "<u4")]
    + [("suspense_id", *_ID), ("link_id", *_ID)]
    + [(name, _I64) for name in ("debits_posted", "credits_posted", "debits_pending", "credits_pending")]
    + [(name, _I64) for name in ("day_used", "month_used", "year_used")]
    + [*_DATE, ("key_epoch", "<u4"), ("key", "<u8", 4)]
)
_PURSE = np.dtype(
    [("programme", "<u4"), ("member", "<u4"), ("member_id", *_ID), ("wallet_id", *_ID)]
    + [(name, _I64) for name in ("dropped", "spent", "refunded", "returned", "pending")]
    + [("state", "<u2")]
)
_HOLD = np.dtype(
    [("id", *_ID), ("payer_id", *_ID), ("payee_id", *_ID), ("third_id", *_ID), ("hash", "<u8", 4), *_OWNED, *_DATE]
)
_HOLD_LEG = np.dtype([("id", *_ID), ("programme", "<u4"), ("member", "<u4"), ("held", _I64)])
_TRANSIT = np.dtype([("id", *_ID), ("source_id", *_ID), ("through_id", *_ID), ("destination_id", *_ID), *_SENT, *_DATE])
_BATCH = np.dtype([("number", "<u4"), ("operator", "<u4"), ("count", "<u4"), ("total", _I64)])
_STAGED = np.dtype([("batch", "<u4"), ("debit_id", *_ID), ("credit_id", *_ID), ("amount", _I64)])
_BOUND = np.dtype([("id", *_ID), ("kind", "<u2"), ("result", "<u2"), ("refunded", _I64), ("final", "u1")])


def state_digest(state: StateTables) -> bytes:
    """BLAKE3-256 over everything the ledger knows, in id order. 32 bytes."""
    digest = blake3.blake3(b"sycee.state.v3")
    zones = [
        struct.pack("<H", number) + zone.encode("latin-1").ljust(48, b"\0")
        for number, zone in sorted(state.zones.items())
    ]
    for count, parts in (
        _listed(zones),
        _listed(_groups(state)),
        _listed(_rule_sets(state)),
        _accounts(state),
        _listed(_programmes(state)),
        _purses(state),
        _holds(state),
        _hold_legs(state),
        _transits(state),
        _batches(state),
        _staged(state),
        _listed(_grants(state)),
        _listed([struct.pack("<IB", state.rules, state.authority_on)]),
        _bound(state),
    ):
        digest.update(struct.pack("<Q", count))
        for part in parts:
            digest.update(part)
    return digest.digest()


# A section is its number of rows and its bytes, part by part: a copy of all rows might not fit beside them.
Section = tuple[int, Iterator[bytes]]


def _listed(rows: list[bytes]) -> Section:
    return len(rows), iter(rows)


def _groups(state: StateTables) -> list[bytes]:
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


def _rule_sets(state: StateTables) -> list[bytes]:
    nothing = bytes(limits.RECORD_BYTES)
    return [
        struct.pack("<I", number) + _version(definition) + _version(state.coming.get(number, nothing))
        for number, definition in sorted(state.rule_sets.items())
    ]


def _version(definition: bytes) -> bytes:
    """One version of a rule set: all zero where there is none."""
    record = np.frombuffer(definition, layout.RULE_SET_OPERATION)[0]
    names = ("from_ns", "until_ns", "balance_max", "single_max", "day_max", "month_max", "year_max")
    amount = int(record["refund_reserve"])
    has_payment_min = int(record["flags"]) & layout.RuleFlag.PAYMENT_MIN
    groups: bytes = record["groups"].tobytes()
    return (
        struct.pack("<H", int(record["flags"]))
        + groups
        + struct.pack("<QQ", int(record["return_low"]), int(record["return_high"]))
        + struct.pack("<7q", *(int(record[name]) for name in names))
        + struct.pack("<qq", *((0, amount) if has_payment_min else (amount, 0)))
        + struct.pack("<qI", int(record["effective_ns"]), int(record["refund_window_s"]))
    )


def _accounts(state: StateTables) -> Section:
    accounts = state.accounts
    keys = state.tables.keys.view(np.ndarray)

    def part(rows: Array) -> Array:
        chosen = accounts[rows]
        table = _copy(chosen, _ACCOUNT, but="key")
        table["id"] = _ids(chosen, "id_low", "id_high")
        table["suspense_id"] = _ids(accounts[chosen["suspense"]], "id_low", "id_high")
        table["link_id"] = _named(accounts, chosen["link"])
        keyed = np.flatnonzero(chosen["key"])
        table["key_flags"][keyed] = keys["flags"][chosen["key"][keyed] - 1]
        table["key"][keyed] = keys["key"][chosen["key"][keyed] - 1]
        return table

    return _section(np.lexsort((accounts["id_low"], accounts["id_high"])), part)


def _programmes(state: StateTables) -> list[bytes]:
    programmes, accounts = state.tables.programmes.view(np.ndarray), state.accounts
    return [
        struct.pack(
            "<IIQQIIHQQqq",
            number,
            int(programmes[number]["rule_set"]),
            int(accounts["id_low"][programmes[number]["funder"]]),
            int(accounts["id_high"][programmes[number]["funder"]]),
            *(int(programmes[number][name]) for name in ("count", "filled", "sealed", "seal_low", "seal_high")),
            *(int(programmes[number][name]) for name in ("claim_from_ns", "claim_until_ns")),
        )
        for number in np.flatnonzero(programmes["defined"]).tolist()
    ]


def _grants(state: StateTables) -> list[bytes]:
    return [
        grant.id.to_bytes(16, "little")
        + grant.person.to_bytes(16, "little")
        + bytes((grant.role, grant.flags, grant.revoked))
        + grant.key
        + struct.pack("<IHqq", grant.operator, grant.currency, grant.from_ns, grant.until_ns)
        for _, grant in sorted(state.grants.items())
    ]


def _purses(state: StateTables) -> Section:
    purses, accounts = state.all_purses, state.accounts
    first = state.tables.programmes["first_purse"]

    def part(rows: Array) -> Array:
        chosen = purses[rows]
        table = _copy(chosen, _PURSE)
        table["member"] = rows - first[chosen["programme"]]
        table["member_id"] = _ids(chosen, "member_low", "member_high")
        table["wallet_id"] = _named(accounts, chosen["wallet"])
        return table

    # A programme's purses are contiguous and in member order, so a stable sort by programme is all it takes.
    return _section(np.argsort(purses["programme"], kind="stable"), part)


def _by_operation(state: StateTables, made: Array) -> Array:
    """Order of holds or transits by the ids of the operations that made them."""
    bound = state.bound[made["bound"]]
    order: Array = np.lexsort((bound["id_low"], bound["id_high"]))
    return order


def _holds(state: StateTables) -> Section:
    holds, accounts, bound = state.holds, state.accounts, state.bound

    def part(rows: Array) -> Array:
        chosen = holds[rows]
        table = _copy(chosen, _HOLD)
        table["id"] = _ids(bound[chosen["bound"]], "id_low", "id_high")
        for name in ("payer", "payee"):
            table[f"{name}_id"] = _ids(accounts[chosen[name]], "id_low", "id_high")
        table["third_id"] = _named(accounts, chosen["third"])
        return table

    return _section(_by_operation(state, holds), part)


def _hold_legs(state: StateTables) -> Section:
    holds, legs, purses, bound = state.holds, state.hold_legs, state.all_purses, state.bound
    first = state.tables.programmes["first_purse"]
    order = _by_operation(state, holds)
    counts = holds["legs"][order].astype(np.int64)
    owners = np.repeat(order, counts)
    within = np.arange(owners.size) - np.repeat(np.cumsum(counts) - counts, counts)
    places = holds["first_leg"][owners].astype(np.int64) + within

    def part(rows: Array) -> Array:
        chosen = legs[places[rows]]
        table = np.zeros(rows.size, _HOLD_LEG)
        table["id"] = _ids(bound[holds["bound"][owners[rows]]], "id_low", "id_high")
        table["programme"] = purses["programme"][chosen["purse"]]
        table["member"] = chosen["purse"] - first[table["programme"]]
        table["held"] = chosen["held"]
        return table

    return _section(np.arange(owners.size), part)


def _transits(state: StateTables) -> Section:
    transits, accounts, bound = state.transits, state.accounts, state.bound

    def part(rows: Array) -> Array:
        chosen = transits[rows]
        table = _copy(chosen, _TRANSIT)
        table["id"] = _ids(bound[chosen["bound"]], "id_low", "id_high")
        for name in ("source", "through", "destination"):
            table[f"{name}_id"] = _ids(accounts[chosen[name]], "id_low", "id_high")
        return table

    return _section(_by_operation(state, transits), part)


def _open_batches(state: StateTables) -> Array:
    """Return the rows of the open batches, by number."""
    numbers = state.batches["number"]
    waiting = np.flatnonzero(numbers)
    return waiting[np.argsort(numbers[waiting])]


def _batches(state: StateTables) -> Section:
    table = _copy(state.batches[_open_batches(state)], _BATCH)
    newest = int(state.tables.counters[kernels.NEWEST_BATCH])
    if newest and newest not in table["number"][-1:]:
        table = np.append(table, np.array([(newest, 0, 0, 0)], _BATCH))
    return table.size, iter((table.tobytes(),))


def _staged(state: StateTables) -> Section:
    staged, accounts, batches = state.staged, state.accounts, state.batches
    chosen_batches = _open_batches(state)
    # Rows are used again, so only the chain from a batch's first payment gives the order of staging.
    following = np.ascontiguousarray(staged["next"]).data
    order = array("q")
    for link in batches["first"][chosen_batches].tolist():
        while link:
            order.append(link - 1)
            link = following[link - 1]
    rows_in_order = np.frombuffer(order, np.int64) if order else np.zeros(0, np.int64)
    numbers = np.repeat(batches["number"][chosen_batches], batches["count"][chosen_batches])

    def part(places: Array) -> Array:
        chosen = staged[rows_in_order[places]]
        table = _copy(chosen, _STAGED)
        table["batch"] = numbers[places]
        for name in ("debit", "credit"):
            table[f"{name}_id"] = _ids(accounts[chosen[name]], "id_low", "id_high")
        return table

    return _section(np.arange(rows_in_order.size), part)


def _bound(state: StateTables) -> Section:
    bound, refunds = state.bound, state.refunds
    refunds = refunds[np.argsort(refunds["bound"])]

    def part(rows: Array) -> Array:
        chosen = bound[rows]
        table = _copy(chosen, _BOUND)
        table["id"] = _ids(chosen, "id_low", "id_high")
        table["refunded"] = np.where(chosen["kind"] == layout.Kind.REVERSE, chosen["detail"], 0)
        table["final"] = (chosen["kind"] == layout.Kind.TRANSFER) & (chosen["detail"] != 0)
        if refunds.size:
            at = np.minimum(np.searchsorted(refunds["bound"], rows), refunds.size - 1)
            found = np.flatnonzero(refunds["bound"][at] == rows)
            table["refunded"][found] = refunds["refunded"][at[found]]
        return table

    return _section(np.lexsort((bound["id_low"], bound["id_high"])), part)


def _section(order: Array, part: Callable[[Array], Array]) -> Section:
    pieces = (order[start : start + PART_ROWS] for start in range(0, order.size, PART_ROWS))
    return order.size, (part(rows).tobytes() for rows in pieces)


def _named(accounts: Array, numbers: Array) -> Array:
    """Ids of the accounts whose rows + 1 these are; 0 stands for none, whose id is zero."""
    ids = np.zeros((numbers.size, 2), np.uint64)
    some = np.flatnonzero(numbers)
    ids[some] = _ids(accounts[numbers[some] - 1], "id_low", "id_high")
    return ids


def _copy(source: Array, dtype: np.dtype[Any], but: str = "") -> Array:
    table = np.zeros(source.size, dtype)
    for name in dtype.names or ():
        if source.dtype.names and name in source.dtype.names and name != but:
            table[name] = source[name]
    return table


def _ids(source: Array, low: str, high: str) -> Array:
    ids = np.empty((source.size, 2), np.uint64)
    ids[:, 0], ids[:, 1] = source[low], source[high]
    return ids


assert limits.ZONE_BYTES_MAX == 48
