"""The state digest: equal states have equal digests, however their operations were distributed over frames.

docs/reference/ledger.md section 12 lists the sections and their fields. Rows, places and indexes are not included.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import blake3
import numpy as np

from sycee.core import limits
from sycee.core.arrays import Array
from sycee.core.records import layout
from sycee.ledger.kernels import constants
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
    + [*_DATE, ("key_epoch", "<u4"), ("key_bytes", "<u8", 4)]
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
    """Return BLAKE3-256 over the contents of the ledger in the order of ids, 32 bytes."""
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


# Number of rows, and their bytes in parts: a copy of all rows might not fit into memory.
Section = tuple[int, Iterator[bytes]]


def _listed(rows: list[bytes]) -> Section:
    return len(rows), iter(rows)


def _groups(state: StateTables) -> list[bytes]:
    accounts = state.accounts
    payees = accounts[accounts["payee"] > 0]
    payees = payees[_by_id(payees)]
    words, bits = payees["payee"] >> 6, (payees["payee"] & 63).astype(np.uint64)
    rows = []
    for group in sorted(state.groups):
        members = payees[
            (state.tables.group_bits[state.tables.group_rows[group] - 1][words] >> bits & np.uint64(1)).astype(bool)
        ]
        rows.append(struct.pack("<IQ", group, members.size) + _ids(members).tobytes())
    return rows


def _rule_sets(state: StateTables) -> list[bytes]:
    nothing = bytes(limits.RECORD_BYTES)
    return [
        struct.pack("<I", number) + _version(definition) + _version(state.scheduled_rule_sets.get(number, nothing))
        for number, definition in sorted(state.rule_sets.items())
    ]


def _version(definition: bytes) -> bytes:
    """Return the bytes of one version of a rule set; the definition is all zero if there is no such version."""
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
    accounts, keys = state.accounts, state.keys

    def part(rows: Array) -> Array:
        chosen = accounts[rows]
        ids = {"id": _ids(chosen), "suspense_id": _ids(accounts[chosen["suspense"]])}
        table = _copy(chosen, _ACCOUNT, ids | {"link_id": _linked(accounts, chosen["link"])})
        keyed = np.flatnonzero(chosen["key"])
        table["key_flags"][keyed] = keys["flags"][chosen["key"][keyed] - 1]
        table["key_bytes"][keyed] = keys["key"][chosen["key"][keyed] - 1]
        return table

    return _section(_by_id(accounts), part)


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
    first, programmes = state.tables.programmes["first_purse"], state.programmes_of_purses(0, purses.size)

    def part(rows: Array) -> Array:
        chosen, numbers = purses[rows], programmes[rows]
        ids = {"member_id": _ids(chosen, "member"), "wallet_id": _linked(accounts, chosen["wallet"])}
        return _copy(chosen, _PURSE, ids | {"programme": numbers, "member": rows - first[numbers]})

    # A programme's purses are contiguous and in member order, so a stable sort by programme is sufficient.
    return _section(np.argsort(programmes, kind="stable"), part)


def _holds(state: StateTables) -> Section:
    holds, accounts, bound = state.holds, state.accounts, state.bound

    def part(rows: Array) -> Array:
        chosen = holds[rows]
        ids = {f"{name}_id": _ids(accounts[chosen[name]]) for name in ("payer", "payee")}
        ids |= {"id": _ids(bound[chosen["bound"]]), "third_id": _linked(accounts, chosen["third"])}
        return _copy(chosen, _HOLD, ids)

    return _section(_by_id(bound[holds["bound"]]), part)


def _hold_legs(state: StateTables) -> Section:
    holds, legs, purses, bound = state.holds, state.hold_legs, state.all_purses, state.bound
    first = state.tables.programmes["first_purse"]
    order = _by_id(bound[holds["bound"]])
    counts = holds["legs"][order].astype(np.int64)
    owners = np.repeat(order, counts)
    within = np.arange(owners.size) - np.repeat(np.cumsum(counts) - counts, counts)
    leg_rows = holds["first_leg"][owners].astype(np.int64) + within

    def part(rows: Array) -> Array:
        chosen = legs[leg_rows[rows]]
        programme = purses["programme"][chosen["purse"]]
        member = chosen["purse"] - first[programme]
        ids = _ids(bound[holds["bound"][owners[rows]]])
        return _copy(chosen, _HOLD_LEG, {"id": ids, "programme": programme, "member": member})

    return _section(np.arange(owners.size), part)


def _transits(state: StateTables) -> Section:
    transits, accounts, bound = state.transits, state.accounts, state.bound

    def part(rows: Array) -> Array:
        chosen = transits[rows]
        ids = {f"{name}_id": _ids(accounts[chosen[name]]) for name in ("source", "through", "destination")}
        return _copy(chosen, _TRANSIT, ids | {"id": _ids(bound[chosen["bound"]])})

    return _section(_by_id(bound[transits["bound"]]), part)


def _open_batches(state: StateTables) -> Array:
    """Return the open batches, in the order of their numbers."""
    batches = state.batches[state.batches["number"] > 0]
    return batches[np.argsort(batches["number"])]


def _batches(state: StateTables) -> Section:
    table = _copy(_open_batches(state), _BATCH)
    newest = int(state.tables.counters[constants.NEWEST_BATCH])
    if newest and newest not in table["number"][-1:]:
        table = np.append(table, np.array([(newest, 0, 0, 0)], _BATCH))
    return table.size, iter((table.tobytes(),))


def _staged(state: StateTables) -> Section:
    staged, accounts, batches = state.staged, state.accounts, _open_batches(state)
    # Rows are reused, so only the links from a batch's first payment give the order of staging.
    following = np.ascontiguousarray(staged["next"]).data
    order = array("q")
    for link in batches["first"].tolist():
        while link:
            order.append(link - 1)
            link = following[link - 1]
    rows_in_order = np.frombuffer(order, np.int64) if order else np.zeros(0, np.int64)
    numbers = np.repeat(batches["number"], batches["count"])

    def part(positions: Array) -> Array:
        chosen = staged[rows_in_order[positions]]
        ids = {f"{name}_id": _ids(accounts[chosen[name]]) for name in ("debit", "credit")}
        return _copy(chosen, _STAGED, ids | {"batch": numbers[positions]})

    return _section(np.arange(rows_in_order.size), part)


def _bound(state: StateTables) -> Section:
    bound, refunds = state.bound, state.refunds
    refunds = refunds[np.argsort(refunds["bound"])]

    def part(rows: Array) -> Array:
        chosen = bound[rows]
        table = _copy(chosen, _BOUND, {"id": _ids(chosen)})
        table["refunded"] = np.where(chosen["kind"] == layout.Kind.REVERSE, chosen["detail"], 0)
        table["final"] = (chosen["kind"] == layout.Kind.TRANSFER) & (chosen["detail"] != 0)
        if refunds.size:
            at = np.minimum(np.searchsorted(refunds["bound"], rows), refunds.size - 1)
            found = np.flatnonzero(refunds["bound"][at] == rows)
            table["refunded"][found] = refunds["refunded"][at[found]]
        return table

    return _section(_by_id(bound), part)


def _section(order: Array, part: Callable[[Array], Array]) -> Section:
    pieces = (order[start : start + PART_ROWS] for start in range(0, order.size, PART_ROWS))
    return order.size, (part(rows).tobytes() for rows in pieces)


def _copy(source: Array, dtype: np.dtype[Any], fields: Mapping[str, Array] | None = None) -> Array:
    """Return rows of another type, with the given fields and all others that the source has under the same name."""
    table = np.zeros(source.size, dtype)
    fields = fields or {}
    for name in dtype.names or ():
        if name in fields:
            table[name] = fields[name]
        elif source.dtype.names and name in source.dtype.names:
            table[name] = source[name]
    return table


def _ids(source: Array, field: str = "id") -> Array:
    """Return ids as (n, 2) u64, low and high."""
    return np.stack((source[f"{field}_low"], source[f"{field}_high"]), axis=-1)


def _linked(accounts: Array, numbers: Array) -> Array:
    """Return the ids of the accounts in the rows `numbers` - 1, and zero for number 0."""
    ids = np.zeros((numbers.size, 2), np.uint64)
    linked = np.flatnonzero(numbers)
    ids[linked] = _ids(accounts[numbers[linked] - 1])
    return ids


def _by_id(rows: Array) -> Array:
    """Return the order of rows by id."""
    order: Array = np.lexsort((rows["id_low"], rows["id_high"]))
    return order


assert limits.ZONE_BYTES_MAX == 48
