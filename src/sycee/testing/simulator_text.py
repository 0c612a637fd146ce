"""Text of a simulated history: operations by kind, accounts by name, times as dates."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sycee.core.records.layout import LINKED, AccountKind, Kind
from sycee.core.result_codes import Result
from sycee.testing.histories_world import CURRENCIES, account_id
from sycee.testing.naive_record import RULE_SET_AMOUNTS, USED, Operation

NAMES: Final = (  # in the order of the accounts of `histories_world`
    "issuance", "suspense", "funder", "return", "ann", "bob", "cat", "shop", "cafe", "other suspense", "way", "bank",
    "reserve", "other way",
)  # fmt: skip
_NAMED: Final = {
    account_id(currency, number): (NAMES[number] if number < len(NAMES) else f"account {number}")
    + f" {CURRENCIES[1]}" * currency
    for currency in range(2)
    for number in range(80)
}
_IDS: Final = ("debit", "credit", "reference")
_NUMBERS: Final = ("amount", "number", "first", "count", "rule_set", "from_ns", "until_ns")


def moment(time_ns: int) -> str:
    """Return a time to the nanosecond."""
    second, rest = divmod(time_ns, 10**9)
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}.{rest:09} UTC"


def operation(record: npt.NDArray[Any] | np.void) -> str:
    """Return the kind of an operation and its non-zero fields."""
    read = Operation.read(record.tobytes())
    try:
        kind = Kind(read.kind)
    except ValueError:
        return f"id {_id(read.id)}: unknown kind {read.kind}"
    parts = [kind.name]
    used = USED[kind]
    for name in _IDS:
        if name in used and getattr(read, name):
            parts.append(f"{name} {_named(getattr(read, name))}")
    for name in _NUMBERS:
        value = getattr(read, name)
        if name in used and value:
            parts.append(f"{name} {_value(kind, name, value)}")
    if kind is Kind.DEFINE_RULE_SET:
        parts += [f"{name} {read.signed(name):,}" for name in RULE_SET_AMOUNTS if read.signed(name)]
        if any(read.field("groups")):
            parts.append(f"groups {np.frombuffer(read.field('groups'), '<u2').tolist()}")
    if read.flags & ~LINKED:
        parts.append(f"flags {read.flags & ~LINKED}")
    if read.flags & LINKED:
        parts.append("linked to the next")
    return f"id {_id(read.id)}: {', '.join(parts).replace(', ', ' ', 1)}"


def answered(record: npt.NDArray[Any] | np.void, code: int, first: int = 0) -> str:
    """Return an operation and its result."""
    again = f" (first {Result(first).name})" if code in (Result.EXISTS, Result.EXISTS_WITH_DIFFERENT_CONTENT) else ""
    return f"{operation(record)}: {Result(code).name}{again}"


def _value(kind: Kind, name: str, value: int) -> str:
    if name.endswith("_ns"):
        return moment(value) if 0 <= value < 253_402_300_800 * 10**9 else f"{value} ns"
    if kind is Kind.OPEN_ACCOUNT and name == "first" and value in {int(each) for each in AccountKind}:
        return AccountKind(value).name
    return f"{value:,}"


def _named(id: int) -> str:
    return _NAMED.get(id) or _id(id)


def _id(id: int) -> str:
    return str(id) if id < 1 << 64 else f"{id >> 64}:{id & (1 << 64) - 1}"
