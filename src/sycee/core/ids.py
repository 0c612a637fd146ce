"""Ids of 128 bits, ordered by time, for one operation or a million.

An id is a UUIDv7 (RFC 9562, section 5.7). From the most significant bit:

| bits | content |
|---|---|
| 48 | milliseconds since 1970-01-01T00:00:00Z |
| 4 | version, 7 |
| 12 + 30 | a counter (RFC 9562, section 6.2, method 1), split around the variant |
| 2 | variant, binary 10 |
| 32 | random |

The counter starts at a random value in its lower half and does not restart within one call. So the ids of one call
increase strictly, and the counter cannot overflow: COUNT_MAX is less than its upper half. An id is no secret.

In memory an id is 16 bytes, little-endian: `low`, then `high`. The ledger accepts any id but zero; only the ids of
`generate`, `new` and `derive` are of version 7.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, SupportsInt, TypeAlias
from uuid import UUID

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from sycee.core.arrays import Array
from sycee.core.errors import UsageError

ID: Final = np.dtype([("low", "<u8"), ("high", "<u8")])
Ids: TypeAlias = NDArray[np.void]  # of dtype ID
AnyId: TypeAlias = "int | UUID | str"  # an argument of public functions: a number, a UUID or its text
Times: TypeAlias = "int | NDArray[np.integer[Any]]"

COUNT_MAX = 2**40  # far above any frame or draw, and half of the counter's upper half
TIME_MS_MAX = 2**48 - 1  # the year 10889
COUNTER_START_BITS = 41  # of 42: the highest bit starts at 0, so that the counter cannot overflow
RANDOM_BITS = 32

_SEED_BYTES = 8  # of entropy for the counter's start
_SEED_AND_RANDOM: Final = struct.Struct("<QI")
_DERIVE_CONTEXT = "sycee 2026-11-25 ids: counter start and random bits"
_CHILD_CONTEXT = "sycee 2026-11-27 ids: derived from the id of a request"
_TEXT = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_LOW_BITS: Final = 2**64 - 1
_SHOWN_MAX = 60


def generate(count: int, *, time_ms: Times, entropy: Callable[[int], bytes] = os.urandom) -> Ids:
    """Return `count` new ids, strictly increasing: shape (count,), dtype ID.

    `time_ms` is one time for all, or an array of `count` times in ascending order. `entropy(n)` returns n bytes. Raises
    UsageError for a count or times out of range, and for entropy of another length.

    Inside a block of `derived_from` the ids follow from the block's id instead.
    """
    _check_count(count)
    if (parent := _parent.get()) is not None:
        return parent.take(count)
    return fresh_many(count, time_ms=time_ms, entropy=entropy)


def fresh_many(count: int, *, time_ms: Times, entropy: Callable[[int], bytes] = os.urandom) -> Ids:
    """Return new ids as `generate`, also inside a block of `derived_from`, where they are for other callers."""
    _check_count(count)
    return _assemble(count, time_ms, entropy(_SEED_BYTES + 4 * count))


def new(time_ms: int, *, entropy: Callable[[int], bytes] = os.urandom) -> int:
    """Return one new id as an integer, as `generate` of one does, in a microsecond. Parameters as `generate`.

    Inside a block of `derived_from` the id follows from the block's id instead.
    """
    if (parent := _parent.get()) is not None:
        return to_int(parent.take(1)[0])
    return fresh(time_ms, entropy=entropy)


def fresh(time_ms: int, *, entropy: Callable[[int], bytes] = os.urandom) -> int:
    """Return one new id as `new`, also inside a block of `derived_from`, where the caller of an API chose the time."""
    drawn = entropy(_SEED_BYTES + 4)
    if not 0 <= time_ms <= TIME_MS_MAX or len(drawn) != _SEED_BYTES + 4:
        return to_int(_assemble(1, time_ms, drawn)[0])  # raises the error for the wrong argument
    seed: int
    random: int
    seed, random = _SEED_AND_RANDOM.unpack(drawn)
    # The counter is the upper 41 bits of the seed, and its upper 11 bits belong to the upper half of the id.
    return (time_ms << 16 | 0x7000 | seed >> 53) << 64 | 1 << 63 | (seed >> 23 & 0x3FFF_FFFF) << RANDOM_BITS | random


class _Parent:
    """The id from which a block derives its ids, and the number of calls so far."""

    def __init__(self, id: int) -> None:
        self._bytes = id.to_bytes(16, "little")
        self._time_ms = id >> 80
        self._calls = 0

    def take(self, count: int) -> Ids:
        """Return the next `count` ids."""
        self._calls += 1
        stream = blake3(self._bytes + self._calls.to_bytes(8, "little"), derive_key_context=_CHILD_CONTEXT)
        return _assemble(count, self._time_ms, stream.digest(_SEED_BYTES + 4 * count))


_parent: ContextVar[_Parent | None] = ContextVar("sycee_id_parent", default=None)


@contextmanager
def derived_from(id: int) -> Iterator[None]:
    """Derive the ids that `new` and `generate` return in this block from `id`.

    Repeating the block's work gives the same ids: a server builds the same records when a request is repeated. For this
    thread or coroutine only.
    """
    token = _parent.set(_Parent(id))
    try:
        yield
    finally:
        _parent.reset(token)


def are_derived() -> bool:
    """Return whether this is inside a block of `derived_from`."""
    return _parent.get() is not None


def derive(seed: bytes, purpose: str, count: int, *, time_ms: Times) -> Ids:
    """Return ids derived from a seed: the same seed, purpose and times give the same ids, on every machine.

    The first n ids do not depend on `count`. The entropy is BLAKE3's derive-key stream. For replays and tests only:
    the ids can be computed by everybody who has the seed. Errors as `generate`.
    """
    _check_count(count)
    name = purpose.encode()
    # The length in front separates purpose and seed: ("ab", "c") and ("a", "bc") must differ.
    material = len(name).to_bytes(8, "little") + name + seed
    return _assemble(
        count, time_ms, blake3(material, derive_key_context=_DERIVE_CONTEXT).digest(_SEED_BYTES + 4 * count)
    )


def parse(text: str) -> int:
    """Read an id from UUID text: 8-4-4-4-12 hexadecimal digits in either case. UsageError for any other text."""
    if not _TEXT.fullmatch(text):
        shown = ascii(text) if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]!a}… ({len(text)} characters)"
        raise UsageError(f"{shown} is not an id", hint='an id looks like "01930e2c-5a00-7abc-8def-0123456789ab"')
    return int(text.replace("-", ""), 16)


def format(id: int | np.void) -> str:
    """Return an id as UUID text in lower case."""
    digits = f"{id if isinstance(id, int) else to_int(id):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def to_int(id: np.void) -> int:
    """Return an id as one integer. Integers have the same order as ids."""
    return join(id["low"], id["high"])


def from_int(number: int) -> np.void:
    """Return the id of dtype ID for an integer from 0 to 2**128 - 1."""
    if not 0 <= number < 2**128:
        raise UsageError(f"{number} does not fit the 128 bits of an id")
    scalar: np.void = np.array([split(number)], dtype=ID)[0]
    return scalar


def from_ints(numbers: Sequence[int]) -> Ids:
    """Return ids of integers, (n,) ID."""
    return np.array([split(each) for each in numbers], ID)


def to_ints(many: Ids) -> list[int]:
    """Return ids, (n,) ID, as integers."""
    return [high << 64 | low for low, high in zip(many["low"].tolist(), many["high"].tolist(), strict=True)]


def split(id: int) -> tuple[int, int]:
    """Return the lower and the upper 64 bits of an id: (low, high)."""
    return id & _LOW_BITS, id >> 64


def join(low: SupportsInt, high: SupportsInt) -> int:
    """Return the id of which these are the lower and the upper 64 bits."""
    return int(high) << 64 | int(low)


def of_record(record: Any, name: str) -> int:
    """Return the id in the fields `{name}_low` and `{name}_high` of one record."""
    return join(record[f"{name}_low"], record[f"{name}_high"])


def of_records(records: Array, name: str) -> list[int]:
    """Return the id in the fields `{name}_low` and `{name}_high` of each record: n integers for (n,) records."""
    halves = zip(records[f"{name}_low"].tolist(), records[f"{name}_high"].tolist(), strict=True)
    return [high << 64 | low for low, high in halves]


def match(records: Array, name: str, id: int) -> NDArray[np.bool_]:
    """Return which records have this id in the fields `{name}_low` and `{name}_high`: (n,) for (n,) records."""
    low, high = split(id)
    return np.asarray((records[f"{name}_low"] == low) & (records[f"{name}_high"] == high))


def time_ms(ids: Ids | np.void) -> NDArray[np.int64]:
    """Return the milliseconds since 1970 in ids of version 7. Same shape as `ids`."""
    return np.asarray(np.asarray(ids["high"], dtype=np.uint64) >> np.uint64(16)).astype(np.int64)


def is_zero(ids: Ids | np.void) -> NDArray[np.bool_]:
    """Return which ids are zero, that is, no id. Same shape as `ids`."""
    return np.asarray((ids["low"] == 0) & (ids["high"] == 0))


def argsort(ids: Ids) -> NDArray[np.intp]:
    """Return the indexes that sort the ids, stable for equal ids."""
    return np.lexsort((ids["low"], ids["high"]))


def _assemble(count: int, time_ms: Times, entropy: bytes) -> Ids:
    if len(entropy) != _SEED_BYTES + 4 * count:
        raise UsageError(f"the entropy source gave {len(entropy)} bytes where {_SEED_BYTES + 4 * count} were asked for")
    start = int.from_bytes(entropy[:_SEED_BYTES], "little") >> (64 - COUNTER_START_BITS)
    counter = np.arange(start, start + count, dtype=np.uint64)
    random = np.frombuffer(entropy, dtype="<u4", offset=_SEED_BYTES).astype(np.uint64)
    ids = np.empty(count, dtype=ID)
    ids["high"] = _checked_times(count, time_ms) << np.uint64(16) | np.uint64(0x7000) | counter >> np.uint64(30)
    ids["low"] = np.uint64(0b10 << 62) | (counter & np.uint64(2**30 - 1)) << np.uint64(RANDOM_BITS) | random
    return ids


def _checked_times(count: int, time_ms: Times) -> NDArray[np.uint64]:
    times = np.asarray(time_ms)
    if times.dtype.kind not in "iu":
        raise UsageError(f"times are integers of milliseconds, not {times.dtype}")
    if times.ndim > 0 and times.shape != (count,):
        raise UsageError(f"{count} ids take one time or {count} times, not an array of shape {times.shape}")
    if times.size and (int(times.min()) < 0 or int(times.max()) > TIME_MS_MAX):
        raise UsageError(
            f"times from {times.min()} to {times.max()} ms do not fit an id's 48 bits",
            hint="times are milliseconds since 1970-01-01T00:00:00Z",
        )
    times = times.astype(np.uint64)
    if times.ndim and (back := np.flatnonzero(times[1:] < times[:-1])).size:
        place = int(back[0])
        raise UsageError(
            f"times must not go back: number {place} is {times[place]}, number {place + 1} is {times[place + 1]}",
            hint="sort the times first: ids of one call are strictly increasing",
        )
    return times


def _check_count(count: int) -> None:
    if not 0 <= count <= COUNT_MAX:
        raise UsageError(f"{count} ids cannot be made in one call; 0 to {COUNT_MAX} can")
